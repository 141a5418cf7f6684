//! Reading PagerDuty's JSON leniently: real deliveries have nulls, missing keys and odd types where the documents do not.

use domain::ids::{PdUserId, ServiceId};
use domain::incident::{Actor, ServiceRef, Snapshot, Status, Urgency};
use jiff::Timestamp;
use serde_json::Value;

/// Free text is bounded when it comes in, so that a record with a full log stays far below the table's item limit.
const MAX_TITLE: usize = 1024;
const MAX_NAME: usize = 200;
pub(crate) const MAX_TEXT: usize = 1000;

/// At most `limit` characters, with a visible sign if something was cut.
pub(crate) fn bounded(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str().filter(|text| !text.trim().is_empty())
}

pub(crate) fn name(value: &Value) -> Option<String> {
    ["summary", "name", "id"].iter().find_map(|key| text(value, key)).map(|name| bounded(name, MAX_NAME))
}

pub(crate) fn time(value: &Value, key: &str) -> Option<Timestamp> {
    text(value, key)?.parse().ok()
}

pub(crate) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A reference to whoever did something. Only people have an id that means a person.
pub(crate) fn actor(value: &Value) -> Option<Actor> {
    let kind = text(value, "type").unwrap_or_default();
    let user = kind.starts_with("user").then(|| text(value, "id")).flatten().and_then(|id| PdUserId::new(id).ok());
    Some(Actor { user, name: name(value)? })
}

fn status(value: &Value) -> Option<Status> {
    serde_json::from_value(value.get("status")?.clone()).ok()
}

fn urgency(value: &Value) -> Option<Urgency> {
    serde_json::from_value(value.get("urgency")?.clone()).ok()
}

/// The incident's number: `number` in webhooks, `incident_number` in REST answers.
fn number(value: &Value) -> Option<u64> {
    let number = value.get("number").or_else(|| value.get("incident_number"))?;
    number.as_u64().or_else(|| number.as_str()?.parse().ok())
}

/// A whole incident object, from a webhook or from REST. `None` if what a card cannot do without is missing.
pub(crate) fn snapshot(value: &Value) -> Option<Snapshot> {
    let service = value.get("service")?;
    let assignees = items(value, "assignees").iter().chain(items(value, "assignments").iter().filter_map(|a| a.get("assignee")));
    Some(Snapshot {
        number: number(value)?,
        title: bounded(text(value, "title").or_else(|| text(value, "summary")).unwrap_or("(no title)"), MAX_TITLE),
        status: status(value)?,
        urgency: urgency(value).unwrap_or(Urgency::High),
        priority: value.get("priority").and_then(name),
        service: ServiceRef { id: ServiceId::new(text(service, "id")?).ok()?, name: name(service)? },
        escalation_policy: value.get("escalation_policy").and_then(name),
        assignees: assignees.filter_map(actor).take(20).collect(),
        html_url: text(value, "html_url").unwrap_or_default().to_owned(),
        created_at: time(value, "created_at"),
        merged_into: merged_into(value),
    })
}

pub(crate) fn merged_into(value: &Value) -> Option<String> {
    value.get("resolve_reason")?.get("incident").and_then(name)
}
