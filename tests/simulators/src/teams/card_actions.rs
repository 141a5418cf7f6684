//! What a person's client does with a card: finds the pressed button, takes what was typed, and refuses to send an input that the
//! card itself forbids.

use serde_json::{Map, Value};

use super::Mistake;
use super::values::text;

/// A button with the inputs that go along with it: those of its own card and of the cards around it, never of a sibling
/// (Adaptive Cards docs, "Input validation").
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Button {
    pub(super) action: Value,
    inputs: Vec<Value>,
}

/// Which button is meant: by title, verb or id, and by its data where several share a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted<'a> {
    /// Title, verb or id.
    pub name: &'a str,
    /// The `data` of the button's action.
    pub data: Option<&'a Value>,
}

impl<'a> From<&'a str> for Wanted<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, data: None }
    }
}

impl<'a> From<&'a String> for Wanted<'a> {
    fn from(name: &'a String) -> Self {
        Self { name, data: None }
    }
}

/// Keys whose content is not shown.
const UNSHOWN: &[&str] = &["fallback", "data", "refresh", "msteams", "msTeams"];

/// Looks for the title first, then the verb, then the id.
pub(super) fn find(card: &Value, Wanted { name: wanted, data }: Wanted<'_>) -> Result<Button, Mistake> {
    let mut buttons = Vec::new();
    collect(card, &mut Vec::new(), &mut buttons);
    let has_data = |button: &Button| data.is_none_or(|data| button.action.get("data").unwrap_or(&Value::Null) == data);
    let found = ["title", "verb", "id"]
        .iter()
        .find_map(|key| buttons.iter().find(|button| text(&button.action, key) == Some(wanted) && has_data(button)));
    match found {
        Some(button) if button.action.get("isEnabled") == Some(&Value::Bool(false)) => {
            Err(Mistake::NotClickable { button: wanted.to_owned(), why: "it is disabled".to_owned() })
        }
        Some(button) => Ok(button.clone()),
        None => Err(Mistake::NoSuchButton {
            button: wanted.to_owned(),
            known: buttons.iter().filter_map(|button| text(&button.action, "title").map(str::to_owned)).collect(),
        }),
    }
}

/// Titles of everything that can be pressed, in reading order.
pub(super) fn titles(card: &Value) -> Vec<String> {
    let mut buttons = Vec::new();
    collect(card, &mut Vec::new(), &mut buttons);
    buttons.iter().filter_map(|button| text(&button.action, "title").map(str::to_owned)).collect()
}

/// Whether there is an input whose choices are asked for under this name.
pub(super) fn asks_for(card: &Value, dataset: &str) -> bool {
    let mut buttons = Vec::new();
    collect(card, &mut Vec::new(), &mut buttons);
    let mut inputs = Vec::new();
    inputs_of(card, &mut inputs);
    let asks = |input: &Value| {
        let query = input.get("choices.data").unwrap_or(&Value::Null);
        text(query, "type") == Some("Data.Query") && text(query, "dataset") == Some(dataset)
    };
    // The inputs of an inner card go along with its buttons.
    inputs.iter().chain(buttons.iter().flat_map(|button| &button.inputs)).any(asks)
}

fn collect(card: &Value, outer: &mut Vec<Value>, buttons: &mut Vec<Button>) {
    let before = outer.len();
    inputs_of(card, outer);
    buttons_of(card, outer, buttons);
    outer.truncate(before);
}

fn inputs_of(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(list) => list.iter().for_each(|entry| inputs_of(entry, found)),
        Value::Object(content) => {
            let kind = text(value, "type").unwrap_or_default();
            if kind.starts_with("Input.") {
                found.push(value.clone());
            } else if kind != "Action.ShowCard" {
                shown(content).for_each(|child| inputs_of(child, found));
            }
        }
        _ => {}
    }
}

fn buttons_of(value: &Value, inputs: &mut Vec<Value>, buttons: &mut Vec<Button>) {
    match value {
        Value::Array(list) => list.iter().for_each(|entry| buttons_of(entry, inputs, buttons)),
        Value::Object(content) => {
            if text(value, "type").is_some_and(|kind| kind.starts_with("Action.")) {
                buttons.push(Button { action: value.clone(), inputs: inputs.clone() });
            }
            if let (Some("Action.ShowCard"), Some(card)) = (text(value, "type"), content.get("card")) {
                collect(card, inputs, buttons);
            } else {
                shown(content).for_each(|child| buttons_of(child, inputs, buttons));
            }
        }
        _ => {}
    }
}

/// In reading order: a card's own actions stand below its body.
fn shown(content: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let above = content.iter().filter(|(key, _)| *key != "actions" && !UNSHOWN.contains(&key.as_str()));
    above.map(|(_, child)| child).chain(content.get("actions"))
}

impl Button {
    pub(super) fn kind(&self) -> &str {
        text(&self.action, "type").unwrap_or_default()
    }

    /// The action's data with every input's value, as text.
    pub(super) fn data(&self, typed: &Value) -> Result<Map<String, Value>, Mistake> {
        let mut data = match self.action.get("data") {
            Some(Value::Object(data)) => data.clone(),
            _ => Map::new(),
        };
        let typed = typed.as_object().cloned().unwrap_or_default();
        let takes_inputs =
            text(&self.action, "associatedInputs").is_none_or(|which| !which.eq_ignore_ascii_case("none"));
        let inputs = if takes_inputs { self.inputs.as_slice() } else { &[] };
        if let Some(stray) = typed.keys().find(|key| !inputs.iter().any(|input| text(input, "id") == Some(key))) {
            return Err(Mistake::BadInput {
                input: stray.clone(),
                why: "the card has no such input for this button".to_owned(),
            });
        }
        for input in inputs {
            let Some(id) = text(input, "id") else { continue };
            let value = typed.get(id).or_else(|| input.get("value")).map(as_text).unwrap_or_default();
            allowed(input, &value).map_err(|why| Mistake::BadInput { input: id.to_owned(), why })?;
            let value = if value.is_empty() && text(input, "type") == Some("Input.Toggle") {
                text(input, "valueOff").unwrap_or("false").to_owned()
            } else {
                value
            };
            data.insert(id.to_owned(), Value::String(value));
        }
        Ok(data)
    }
}

fn allowed(input: &Value, value: &str) -> Result<(), String> {
    if value.is_empty() {
        let required = input.get("isRequired") == Some(&Value::Bool(true));
        return if required { Err("it is required".to_owned()) } else { Ok(()) };
    }
    let most = input.get("maxLength").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    if most.is_some_and(|most| value.encode_utf16().count() > most) {
        return Err("it is longer than maxLength".to_owned());
    }
    let choices = input.get("choices").and_then(Value::as_array);
    match choices {
        Some(choices) if input.get("choices.data").is_none() => {
            let many = input.get("isMultiSelect") == Some(&Value::Bool(true));
            let known = |one: &str| choices.iter().any(|choice| text(choice, "value") == Some(one));
            let fits = if many { value.split(',').all(known) } else { known(value) };
            if fits { Ok(()) } else { Err("it is none of the choices".to_owned()) }
        }
        _ => Ok(()),
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "type": "AdaptiveCard", "version": "1.5",
            "refresh": { "action": { "type": "Action.Execute", "title": "Refresh", "verb": "refresh" } },
            "body": [
                { "type": "Input.Toggle", "id": "loud", "title": "Loud" },
                { "type": "Container", "items": [{ "type": "ActionSet", "actions": [
                    { "type": "Action.Execute", "title": "Acknowledge", "verb": "ack", "data": { "i": "P1", "n": 2 } }] }] },
            ],
            "actions": [
                { "type": "Action.ShowCard", "title": "Note", "card": { "type": "AdaptiveCard",
                    "body": [
                        { "type": "Input.Text", "id": "note", "isRequired": true, "maxLength": 5 },
                        { "type": "Input.ChoiceSet", "id": "who", "value": "a", "choices": [{ "title": "A", "value": "a" }] }],
                    "actions": [{ "type": "Action.Execute", "title": "Save", "verb": "save", "id": "saver",
                                  "fallback": { "type": "Action.Submit", "title": "Save old" } }] } },
                { "type": "Action.Execute", "title": "Gone", "isEnabled": false },
                { "type": "Action.Execute", "title": "Plain", "associatedInputs": "none", "data": { "i": "P1" } },
            ],
        })
    }

    #[test]
    fn buttons_carry_the_inputs_of_their_own_and_outer_cards() {
        let table = [
            ("Acknowledge", json!({}), json!({ "i": "P1", "n": 2, "loud": "false" })),
            ("ack", json!({ "loud": true }), json!({ "i": "P1", "n": 2, "loud": "true" })),
            ("saver", json!({ "note": "ok" }), json!({ "note": "ok", "who": "a", "loud": "false" })),
            ("Plain", json!({}), json!({ "i": "P1" })),
        ];
        for (wanted, typed, expected) in table {
            let data = find(&sample(), wanted.into()).and_then(|button| button.data(&typed)).map(Value::Object);
            assert_eq!(data, Ok(expected), "{wanted}");
        }
    }

    #[test]
    fn what_a_client_refuses_is_not_sent() {
        let bad = |input: &str, why: &str| Err(Mistake::BadInput { input: input.to_owned(), why: why.to_owned() });
        let table = [
            ("Save", json!({}), bad("note", "it is required")),
            ("Save", json!({ "note": "too long" }), bad("note", "it is longer than maxLength")),
            ("Save", json!({ "note": "ok", "who": "b" }), bad("who", "it is none of the choices")),
            ("Acknowledge", json!({ "note": "x" }), bad("note", "the card has no such input for this button")),
            (
                "Gone",
                json!({}),
                Err(Mistake::NotClickable { button: "Gone".to_owned(), why: "it is disabled".to_owned() }),
            ),
            (
                "Refresh",
                json!({}),
                Err(Mistake::NoSuchButton {
                    button: "Refresh".to_owned(),
                    known: ["Acknowledge", "Note", "Save", "Gone", "Plain"].map(str::to_owned).to_vec(),
                }),
            ),
        ];
        for (wanted, typed, expected) in table {
            assert_eq!(find(&sample(), wanted.into()).and_then(|button| button.data(&typed)), expected, "{wanted}");
        }
    }
}
