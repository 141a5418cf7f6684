//! Cards and answers as a person sees them.

use serde_json::{Value, json};
use simulators::teams::{Effect, HttpAnswer, Message, Task};

/// A card in a channel, as it is now and as it was.
pub(crate) struct Card {
    pub(crate) message: Message,
    pub(crate) replies: Vec<String>,
}

/// What a click was answered.
pub(crate) struct Answer(pub(crate) HttpAnswer);

/// Every text that a card shows, wherever it stands.
fn texts(card: &Value) -> Vec<String> {
    match card {
        Value::Object(fields) => {
            let own = ["text", "title", "label", "value"]
                .iter()
                .filter_map(|key| fields.get(*key)?.as_str())
                .map(str::to_owned);
            own.chain(fields.values().flat_map(texts)).collect()
        }
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The titles of a card's action buttons. A link to PagerDuty is no action on the incident.
fn buttons(card: &Value) -> Vec<String> {
    let title = |action: &Value| action["title"].as_str().unwrap_or_default().to_owned();
    let is_action = |action: &&Value| action["type"] == "Action.Execute" || action["type"] == "Action.Submit";
    match card {
        Value::Object(fields) => {
            let own =
                fields.get("actions").and_then(Value::as_array).into_iter().flatten().filter(is_action).map(title);
            let body = ["body", "items", "columns"].iter().filter_map(|key| fields.get(*key));
            body.flat_map(buttons).chain(own).collect()
        }
        Value::Array(values) => values.iter().flat_map(buttons).collect(),
        _ => Vec::new(),
    }
}

fn links(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) if fields.get("type") == Some(&json!("Action.OpenUrl")) => {
            fields.get("url").and_then(Value::as_str).map(str::to_owned).into_iter().collect()
        }
        Value::Object(fields) => fields.values().flat_map(links).collect(),
        Value::Array(values) => values.iter().flat_map(links).collect(),
        _ => Vec::new(),
    }
}

/// What a dialog ends with.
#[track_caller]
pub(crate) fn message(task: Task) -> String {
    match task {
        Task::Message(text) => text,
        other => panic!("a message was expected, not {other:?}"),
    }
}

impl Card {
    fn content(&self) -> Value {
        self.message.card.clone().unwrap_or(Value::Null)
    }

    pub(crate) fn summary(&self) -> String {
        self.message.summary.clone().unwrap_or_default()
    }

    pub(crate) fn json(&self) -> String {
        self.content().to_string()
    }

    pub(crate) fn text(&self) -> String {
        let own = self.message.text.clone().into_iter();
        own.chain(texts(&self.content())).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn shows(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    pub(crate) fn shows_status(&self, status: &str) -> bool {
        self.summary().contains(&format!("({status}, "))
    }

    pub(crate) fn buttons(&self) -> Vec<String> {
        buttons(&self.content())
    }

    /// What its thread says.
    pub(crate) fn replies(&self) -> &[String] {
        &self.replies
    }

    pub(crate) fn posts(&self) -> usize {
        1
    }

    pub(crate) fn edits(&self) -> usize {
        self.message.edits.len()
    }

    pub(crate) fn link(&self) -> String {
        self.any_link().expect("a link on the card")
    }

    pub(crate) fn any_link(&self) -> Option<String> {
        links(&self.content()).into_iter().next()
    }

    /// Whether the times of the log lines that it showed only ever grew.
    pub(crate) fn never_went_back(&self) -> bool {
        // What is over shows durations only.
        let newest = |card: &Value| times(card).into_iter().max();
        let history = self.message.history();
        let newest: Vec<String> =
            history.iter().filter_map(|revision| revision.card.as_ref().and_then(newest)).collect();
        newest.is_sorted()
    }
}

/// Every UTC time that a card shows; within one month they sort as text. One without a day is of the first.
fn times(card: &Value) -> Vec<String> {
    let text = texts(card).join(" ");
    let before = |end: usize, length: usize| text.get(end.checked_sub(length)?..end);
    let whole = |end| before(end, "23 Nov 2026, 09:00".len()).filter(|time| time.contains(" Nov 2026, "));
    text.match_indices(" UTC")
        .filter_map(|(end, _)| {
            whole(end).map(str::to_owned).or_else(|| Some(format!("23 Nov 2026, {}", before(end, "09:00".len())?)))
        })
        .collect()
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    #[track_caller]
    pub(crate) fn message(&self) -> String {
        match self.0.task() {
            Task::Message(text) => return text,
            // What is said stands first.
            Task::Dialog { card, .. } => return texts(&card["body"][0]).join("\n"),
            Task::Closed | Task::Broken(_) => {}
        }
        match self.0.effect() {
            Effect::Toast(text) => text,
            other => panic!("a message was expected, not {other:?}"),
        }
    }

    pub(crate) fn error(&self) -> Option<String> {
        match self.0.effect() {
            Effect::ErrorBar { message, .. } => Some(message),
            Effect::Card(_) | Effect::Toast(_) | Effect::SignIn(_) | Effect::Broken(_) => None,
        }
    }

    #[track_caller]
    fn card(&self) -> Value {
        match self.0.effect() {
            Effect::Card(card) => card,
            other => panic!("a card was expected, not {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn card_buttons(&self) -> Vec<String> {
        buttons(&self.card())
    }

    #[track_caller]
    pub(crate) fn card_text(&self) -> String {
        texts(&self.card()).join("\n")
    }
}
