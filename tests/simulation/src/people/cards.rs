//! Cards as people see them, and how they fill in a form.

use serde_json::{Map, Value, json};

/// A button that sends something to the bot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Button {
    pub(super) title: String,
    pub(super) data: Value,
    /// It asks for an answer at once, and does not open or carry a dialog.
    pub(super) executes: bool,
    verb: String,
}

impl Button {
    pub(super) fn opens_dialog(&self) -> bool {
        self.data.pointer("/msteams/type") == Some(&json!("task/fetch"))
    }

    fn signs_in(&self) -> bool {
        self.data.pointer("/msteams/type") == Some(&json!("signin"))
    }

    pub(super) fn verb(&self) -> String {
        let said = ["verb", "dialog"].iter().find_map(|key| self.data.get(*key).and_then(Value::as_str));
        if self.verb.is_empty() { said.unwrap_or_default().to_owned() } else { self.verb.clone() }
    }

    pub(super) fn incident(&self) -> Option<String> {
        self.data.get("incident").and_then(Value::as_str).map(str::to_owned)
    }
}

/// Everything on the card that sends something, in reading order.
pub(super) fn buttons(card: &Value) -> Vec<Button> {
    let mut found = Vec::new();
    collect(card, &mut |value| {
        let kind = text_of(value, "type");
        if matches!(kind, "Action.Execute" | "Action.Submit") && value.get("isEnabled") != Some(&Value::Bool(false)) {
            let button = Button {
                title: text_of(value, "title").to_owned(),
                data: value.get("data").cloned().unwrap_or_default(),
                executes: kind == "Action.Execute",
                verb: text_of(value, "verb").to_owned(),
            };
            if !button.signs_in() {
                found.push(button);
            }
        }
    });
    found
}

/// Whether a button on it is about the incident.
pub(super) fn is_about(card: &Value, incident: &str) -> bool {
    has(card, &|value| value.get("data").is_some_and(|data| text_of(data, "incident") == incident))
}

/// Whether it is a storm's.
pub(super) fn is_storm(card: &Value) -> bool {
    has(card, &|value| value.get("data").is_some_and(|data| data.get("storm").is_some()))
}

/// The first page that a button of it opens, if this is wanted.
pub(super) fn link(card: &Value, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    let mut found = None;
    collect(card, &mut |value| {
        if found.is_none() && text_of(value, "type") == "Action.OpenUrl" && is_wanted(text_of(value, "url")) {
            found = Some(text_of(value, "url").to_owned());
        }
    });
    found
}

/// Every text on it, line by line.
pub(super) fn text(card: &Value) -> String {
    let mut texts: Vec<&str> = Vec::new();
    collect(card, &mut |value| {
        texts.extend(["text", "title", "label"].iter().map(|key| text_of(value, key)).filter(|text| !text.is_empty()));
    });
    texts.join("\n")
}

/// What somebody types into a form whose words are a number: into every line, and what must be chosen. `searched`: choices that a
/// typeahead has found.
pub(super) fn filled_in(form: &Value, words: usize, searched: &dyn Fn(&str) -> Option<String>) -> Map<String, Value> {
    let mut typed = Map::new();
    collect(form, &mut |input| {
        let is_given = input.get("value").is_some_and(|value| value != "");
        let is_required = input.get("isRequired") == Some(&Value::Bool(true));
        let value = match text_of(input, "type") {
            "Input.Text" if !is_given || !is_required => Some(format!("words {words}")),
            "Input.ChoiceSet" if is_required && !is_given => {
                let choices = input.get("choices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let found = input.pointer("/choices.data/dataset").and_then(Value::as_str).and_then(searched);
                let offered = super::chosen(choices, words).map(|(_, choice)| text_of(choice, "value").to_owned());
                offered.or(found)
            }
            // What need not be chosen is chosen now and then.
            "Input.ChoiceSet" if words.is_multiple_of(2) => {
                let choices = input.get("choices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                super::chosen(choices, words / 2).map(|(_, choice)| text_of(choice, "value").to_owned())
            }
            _ => None,
        };
        if let Some(value) = value {
            typed.insert(text_of(input, "id").to_owned(), Value::String(value));
        }
    });
    typed
}

/// Data sets that the form's typeaheads search in.
pub(super) fn data_sets(form: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(form, &mut |input| {
        if input.get("isRequired") == Some(&Value::Bool(true))
            && let Some(name) = input.pointer("/choices.data/dataset").and_then(Value::as_str)
        {
            found.push(name.to_owned());
        }
    });
    found
}

/// Shows `see` every object of a card that is shown, in reading order: a card's own actions stand below its body.
fn collect<'v>(value: &'v Value, see: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Object(content) => {
            see(value);
            let above = content.iter().filter(|(key, _)| !matches!(key.as_str(), "actions" | "data" | "refresh"));
            for child in above.map(|(_, child)| child).chain(content.get("actions")) {
                collect(child, see);
            }
        }
        Value::Array(list) => list.iter().for_each(|entry| collect(entry, see)),
        _ => {}
    }
}

fn has(card: &Value, is_it: &dyn Fn(&Value) -> bool) -> bool {
    let mut found = false;
    collect(card, &mut |value| found = found || is_it(value));
    found
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
