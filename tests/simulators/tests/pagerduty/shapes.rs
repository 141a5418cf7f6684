//! Checks JSON against the fact tables in `shapes/pagerduty`; their README explains the notation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Key path -> types.
type Keys = Map<String, Value>;

static OBJECTS: LazyLock<BTreeMap<String, Keys>> = LazyLock::new(|| {
    let files = std::fs::read_dir(folder().join("objects")).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let table: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (name, table["keys"].as_object().unwrap().clone())
        })
        .collect()
});
static OPERATIONS: LazyLock<Keys> = LazyLock::new(|| table("operations.json"));
static WEBHOOKS: LazyLock<Keys> = LazyLock::new(|| table("webhooks.json"));

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shapes/pagerduty")
}

fn table(name: &str) -> Keys {
    serde_json::from_str(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

/// Every operation in the table.
pub(crate) fn operations() -> Vec<String> {
    OPERATIONS.keys().cloned().collect()
}

/// Every event type in the table.
pub(crate) fn event_types() -> Vec<String> {
    WEBHOOKS.keys().cloned().collect()
}

/// The operation that a request is for.
pub(crate) fn operation_of(method: &str, path: &str) -> Option<String> {
    let fits = |operation: &str| {
        let (known, pattern) = operation.split_once(' ').unwrap();
        let (pattern, path) = (pattern.split('/'), path.split('/'));
        known == method
            && pattern.clone().count() == path.clone().count()
            && pattern.zip(path).all(|(expected, is)| expected == "{id}" || expected == is)
    };
    // `/users/me` stands before `/users/{id}` where it matters: the more exact pattern wins.
    let mut found: Vec<&String> = OPERATIONS.keys().filter(|operation| fits(operation)).collect();
    found.sort_by_key(|operation| operation.matches("{id}").count());
    found.first().map(|operation| (*operation).clone())
}

/// What is wrong with an answer of an operation.
pub(crate) fn check_answer(operation: &str, status: u16, body: &Value) -> Vec<String> {
    if !(200..300).contains(&status) {
        return check(OPERATIONS[operation]["refusal"].as_str().unwrap_or("error"), body);
    }
    let expected = &OPERATIONS[operation];
    let mut wrong = Vec::new();
    if expected["status"] != status {
        wrong.push(format!("status {status} instead of {}", expected["status"]));
    }
    match &expected["body"] {
        Value::Null if body.is_null() => {}
        Value::Object(keys) => object(keys, "", body, &mut wrong),
        Value::String(kind) => one(&Keys::new(), "", kind, body, &mut wrong),
        other => wrong.push(format!("{body} instead of {other}")),
    }
    wrong
}

/// What is wrong with a webhook's body.
pub(crate) fn check_webhook(body: &Value) -> Vec<String> {
    let mut wrong = check("webhook_envelope", body);
    let event = &body["event"];
    let Some(expected) = WEBHOOKS.get(event["event_type"].as_str().unwrap_or_default()) else {
        wrong.push(format!("{} is not documented", event["event_type"]));
        return wrong;
    };
    if event["resource_type"] != expected["resource_type"] {
        wrong.push(format!("resource_type is {}", event["resource_type"]));
    }
    wrong.extend(check(expected["data"].as_str().unwrap(), &event["data"]));
    wrong
}

/// What is wrong with an object.
pub(crate) fn check(name: &str, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let keys = OBJECTS.get(name).unwrap_or_else(|| panic!("there is no shape {name}"));
    object(keys, "", value, &mut wrong);
    wrong.into_iter().map(|what| format!("{name}: {what}")).collect()
}

fn object(keys: &Keys, path: &str, value: &Value, wrong: &mut Vec<String>) {
    let Some(fields) = value.as_object() else {
        wrong.push(format!("{path} is no object: {value}"));
        return;
    };
    let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
    let own: BTreeMap<&str, (&str, bool)> = keys
        .iter()
        .filter_map(|(key, types)| Some((key.strip_prefix(&prefix)?, types.as_str().unwrap())))
        .filter(|(key, _)| !key.contains(['.', '[']))
        .map(|(key, types)| (key.trim_end_matches('?'), (types, key.ends_with('?'))))
        .collect();
    for (key, (types, is_optional)) in &own {
        match fields.get(*key) {
            Some(value) => any(keys, &format!("{prefix}{key}"), types, value, wrong),
            None if *is_optional => {}
            None => wrong.push(format!("{prefix}{key} is missing")),
        }
    }
    for key in fields.keys().filter(|key| !own.contains_key(key.as_str())) {
        wrong.push(format!("{prefix}{key} is not documented"));
    }
}

/// The value must be of one of the types.
fn any(keys: &Keys, path: &str, types: &str, value: &Value, wrong: &mut Vec<String>) {
    let mut reasons = Vec::new();
    for kind in types.split(" | ") {
        let mut why = Vec::new();
        one(keys, path, kind, value, &mut why);
        if why.is_empty() {
            return;
        }
        reasons.extend(why);
    }
    wrong.append(&mut reasons);
}

fn one(keys: &Keys, path: &str, kind: &str, value: &Value, wrong: &mut Vec<String>) {
    let text = value.as_str();
    let fits = match kind.split_once(' ') {
        Some(("=", expected)) => text == Some(expected),
        Some(("shape", name)) => {
            wrong.extend(check(name, value).into_iter().map(|what| format!("{path}: {what}")));
            return;
        }
        Some((reference, kind)) => is_reference(reference, kind, value),
        None => match kind {
            "object" => {
                object(keys, path, value, wrong);
                return;
            }
            "array" => {
                list(keys, path, value, wrong);
                return;
            }
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "anything" => !value.is_null(),
            "url" => text.is_some_and(|text| url::Url::parse(text).is_ok()),
            "time" => text.is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            "utc" => text.is_some_and(|text| is_utc(text, 20)),
            "utc-ms" => text.is_some_and(|text| is_utc(text, 24)),
            other => panic!("{path}: there is no type {other}"),
        },
    };
    if !fits {
        wrong.push(format!("{path} is not {kind}: {value}"));
    }
}

fn list(keys: &Keys, path: &str, value: &Value, wrong: &mut Vec<String>) {
    let Some(entries) = value.as_array() else {
        wrong.push(format!("{path} is no array: {value}"));
        return;
    };
    let entry = format!("{path}[]");
    let types = keys.get(&entry).unwrap_or_else(|| panic!("{entry} is not in the table")).as_str().unwrap();
    for value in entries {
        any(keys, &entry, types, value, wrong);
    }
}

fn is_utc(text: &str, length: usize) -> bool {
    text.len() == length && text.ends_with('Z') && text.parse::<Timestamp>().is_ok()
}

fn is_reference(flavour: &str, kind: &str, value: &Value) -> bool {
    let (optional, nullable, absent): (&[&str], &[&str], &[&str]) = match flavour {
        "ref" => (&[], &[], &[]),
        "ref-nameless" => (&[], &["summary"], &[]),
        "ref-pageless" => (&["html_url"], &[], &[]),
        "ref-placeless" => (&[], &[], &["self", "html_url"]),
        "ref-bare" => (&[], &[], &["summary", "self", "html_url"]),
        other => panic!("there is no type {other}"),
    };
    let Some(fields) = value.as_object() else { return false };
    let all = ["id", "type", "summary", "self", "html_url"];
    let is = value["type"].as_str().and_then(|is| is.strip_suffix("_reference")).unwrap_or_default();
    let is_kind = kind.strip_prefix('*').map_or(is == kind, |end| is.ends_with(end));
    is_kind
        && fields.keys().all(|key| all.contains(&key.as_str()))
        && all.iter().all(|key| match fields.get(*key) {
            _ if absent.contains(key) => !fields.contains_key(*key),
            None => optional.contains(key),
            Some(Value::Null) => nullable.contains(key),
            Some(Value::String(text)) => !["self", "html_url"].contains(key) || url::Url::parse(text).is_ok(),
            Some(_) => false,
        })
}

#[test]
fn the_check_itself_finds_every_kind_of_mistake() {
    let good = serde_json::json!({
        "incident": { "id": "Q1", "type": "incident_reference", "summary": "DB down",
                      "self": "https://api.example/incidents/Q1", "html_url": "https://acme.example/incidents/Q1" },
        "id": "P1", "content": "text", "trimmed": false, "type": "incident_note",
    });
    assert_eq!(check("webhook_note", &good), Vec::<String>::new());
    for (what, pointer, value, expected) in [
        ("a wrong type", "/trimmed", Value::from("no"), "webhook_note: trimmed is not boolean: \"no\""),
        ("a wrong constant", "/type", Value::from("note"), "webhook_note: type is not = incident_note: \"note\""),
        (
            "a reference to something else",
            "/incident/type",
            Value::from("user_reference"),
            "webhook_note: incident is not ref incident",
        ),
        ("a reference without a name", "/incident/summary", Value::Null, "webhook_note: incident is not ref incident"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let wrong = check("webhook_note", &bad);
        assert!(wrong.len() == 1 && wrong[0].starts_with(expected), "{what}: {wrong:?}");
    }
    let mut bad = good.clone();
    bad["extra"] = Value::from(1);
    bad.as_object_mut().unwrap().remove("content");
    assert_eq!(
        check("webhook_note", &bad),
        ["webhook_note: content is missing", "webhook_note: extra is not documented"]
    );
}
