//! The bot's answers, read as a Teams client reads them.

use serde::Serialize;
use serde_json::Value;

use super::card_check;

/// What the bot's endpoint answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body as JSON; text that is no JSON as a string; null if empty.
    pub body: Value,
}

/// What the answer to an `adaptiveCard/action` does in the client of the person who clicked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Effect {
    /// The card is replaced, for this person only.
    Card(Value),
    /// A line under the card.
    Toast(String),
    /// A red bar.
    ErrorBar {
        /// For developers.
        code: String,
        /// What the person reads.
        message: String,
    },
    /// A sign-in card.
    SignIn(Value),
    /// The client cannot read the answer and says "Unable to reach app".
    Broken(String),
}

/// What the answer to a `task/fetch` or `task/submit` does (Teams docs, "Use dialogs in bots").
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Task {
    /// A dialog opens, or shows its next page.
    Dialog {
        /// Above the dialog.
        title: String,
        /// Its card.
        card: Value,
    },
    /// The dialog closes and a text is shown.
    Message(String),
    /// The dialog closes.
    Closed,
    /// The client cannot read the answer and says "Unable to reach app".
    Broken(String),
}

/// One choice that was found for what somebody typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What the person reads.
    pub title: String,
    /// What is sent for it.
    pub value: String,
}

/// Teams docs, "Typeahead search in Adaptive Cards".
pub(super) const MOST_CHOICES: usize = 15;

impl HttpAnswer {
    /// What a dialog's client does with the answer.
    #[must_use]
    pub fn task(&self) -> Task {
        let text = |pointer: &str| self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if self.status != 200 {
            return Task::Broken(format!("HTTP {}", self.status));
        }
        match (self.body.pointer("/task/type").and_then(Value::as_str), self.body.pointer("/task/value/card/content")) {
            (Some("continue"), Some(card)) => match card_check::mistakes(card).as_slice() {
                [] => Task::Dialog { title: text("/task/value/title").to_owned(), card: card.clone() },
                mistakes => Task::Broken(mistakes.join("; ")),
            },
            (Some("message"), _) if !text("/task/value").is_empty() => Task::Message(text("/task/value").to_owned()),
            (None, _) if self.body.get("task").is_none() => Task::Closed,
            _ => Task::Broken("the task is neither a dialog with a card nor a message".to_owned()),
        }
    }

    /// The choices that a typeahead shows.
    ///
    /// # Errors
    /// Why the client cannot read the answer.
    pub fn choices(&self) -> Result<Vec<Choice>, String> {
        if self.status != 200 {
            return Err(format!("HTTP {}", self.status));
        }
        if self.body.get("statusCode") != Some(&Value::from(200)) {
            return Err("statusCode is not 200".to_owned());
        }
        if self.body.get("type").and_then(Value::as_str) != Some("application/vnd.microsoft.search.searchResponse") {
            return Err("type is no search response".to_owned());
        }
        let results = self.body.pointer("/value/results").and_then(Value::as_array);
        let results = results.ok_or_else(|| "value.results is no list".to_owned())?;
        if results.len() > MOST_CHOICES {
            return Err(format!("{} results are more than {MOST_CHOICES}", results.len()));
        }
        let part = |result: &Value, key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned);
        let choice = |result: &Value| Some(Choice { title: part(result, "title")?, value: part(result, "value")? });
        let choices: Option<Vec<Choice>> = results.iter().map(choice).collect();
        choices.ok_or_else(|| "title and value must be texts".to_owned())
    }

    /// As the universal action model of the Adaptive Cards docs describes it: HTTP 200 with `statusCode`, `type` and `value`.
    #[must_use]
    pub fn effect(&self) -> Effect {
        if self.status != 200 {
            return Effect::Broken(format!("HTTP {}", self.status));
        }
        let status = self.body.get("statusCode").and_then(Value::as_u64);
        let kind = self.body.get("type").and_then(Value::as_str);
        let (Some(status), Some(kind), Some(value)) = (status, kind, self.body.get("value")) else {
            return Effect::Broken("the body lacks statusCode, type or value".to_owned());
        };
        match (status, kind) {
            (200, "application/vnd.microsoft.card.adaptive") => match card_check::mistakes(value).as_slice() {
                [] => Effect::Card(value.clone()),
                mistakes => Effect::Broken(mistakes.join("; ")),
            },
            (200, "application/vnd.microsoft.activity.message") => match value {
                Value::String(text) if !text.is_empty() => Effect::Toast(text.clone()),
                _ => Effect::Broken("a message's value is no text".to_owned()),
            },
            (400..=599, "application/vnd.microsoft.error") => {
                let part = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
                match (part("code"), part("message")) {
                    (Some(code), Some(message)) => Effect::ErrorBar { code, message },
                    _ => Effect::Broken("an error's value lacks code or message".to_owned()),
                }
            }
            (401, "application/vnd.microsoft.activity.loginRequest") => Effect::SignIn(value.clone()),
            _ => Effect::Broken(format!("status code {status} does not go with {kind}")),
        }
    }
}

/// A wish that the simulated person or Teams itself cannot fulfil, or a bot that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// No such user.
    #[error("there is no user {0:?}")]
    UnknownUser(String),
    /// No such team, channel or chat.
    #[error("there is no conversation {0:?}")]
    UnknownConversation(String),
    /// No such message, or it was deleted, or it has no card.
    #[error("there is no card message {0:?}")]
    UnknownMessage(String),
    /// The user is not a member, or the app is not there, so Teams would not deliver.
    #[error("Teams would not deliver this: {0}")]
    NotDeliverable(String),
    /// The user's view of the card has no such button.
    #[error("the card has no button {button:?}, only {known:?}")]
    NoSuchButton {
        /// What was looked for.
        button: String,
        /// Titles that are there.
        known: Vec<String>,
    },
    /// The button is there but the client sends nothing.
    #[error("the button {button:?} cannot be clicked: {why}")]
    NotClickable {
        /// Its title.
        button: String,
        /// Why not.
        why: String,
    },
    /// The client would not accept the input.
    #[error("the input {input:?} is not accepted: {why}")]
    BadInput {
        /// Its id.
        input: String,
        /// Why not.
        why: String,
    },
    /// Nothing to send again.
    #[error("nothing was sent before")]
    NothingSent,
    /// The bot did not answer in time, or the connection failed.
    #[error("the bot did not answer: {0}")]
    NoAnswer(String),
    /// This machine makes no keys or clients.
    #[error("cannot sign or send: {0}")]
    Unable(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dialogs_are_read_as_a_client_reads_them() {
        let card = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [{ "type": "TextBlock", "text": "hi" }] });
        let dialog = |card: &Value| json!({ "task": { "type": "continue", "value": { "title": "New", "card": { "content": card } } } });
        let unreadable = || Task::Broken("the task is neither a dialog with a card nor a message".to_owned());
        let table = [
            (200, dialog(&card), Task::Dialog { title: "New".to_owned(), card: card.clone() }),
            (
                200,
                dialog(&json!({ "type": "AdaptiveCard", "version": "1.5" })),
                Task::Broken("card: has neither body nor actions".to_owned()),
            ),
            (200, json!({ "task": { "type": "message", "value": "Done" } }), Task::Message("Done".to_owned())),
            (200, Value::Null, Task::Closed),
            (200, json!({}), Task::Closed),
            (200, json!({ "task": { "type": "continue", "value": {} } }), unreadable()),
            (200, json!({ "task": { "type": "message", "value": {} } }), unreadable()),
            (200, json!({ "task": {} }), unreadable()),
            (500, dialog(&card), Task::Broken("HTTP 500".to_owned())),
        ];
        for (status, body, expected) in table {
            assert_eq!(HttpAnswer { status, body: body.clone() }.task(), expected, "{body}");
        }
    }

    #[test]
    fn answers_are_read_as_a_client_reads_them() {
        let card = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [{ "type": "TextBlock", "text": "hi" }] });
        let broken = |why: &str| Effect::Broken(why.to_owned());
        let table = [
            (
                200,
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": card }),
                Effect::Card(card.clone()),
            ),
            (
                200,
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": { "type": "AdaptiveCard", "version": "1.5" } }),
                broken("card: has neither body nor actions"),
            ),
            (
                200,
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "done" }),
                Effect::Toast("done".to_owned()),
            ),
            (
                200,
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": {} }),
                broken("a message's value is no text"),
            ),
            (
                200,
                json!({ "statusCode": 400, "type": "application/vnd.microsoft.error", "value": { "code": "No", "message": "Not now" } }),
                Effect::ErrorBar { code: "No".to_owned(), message: "Not now".to_owned() },
            ),
            (
                200,
                json!({ "statusCode": 400, "type": "application/vnd.microsoft.error", "value": "Not now" }),
                broken("an error's value lacks code or message"),
            ),
            (
                200,
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.adaptive.card", "value": card }),
                broken("status code 200 does not go with application/vnd.microsoft.adaptive.card"),
            ),
            (200, Value::Null, broken("the body lacks statusCode, type or value")),
            (500, json!({}), broken("HTTP 500")),
        ];
        for (status, body, expected) in table {
            assert_eq!(HttpAnswer { status, body: body.clone() }.effect(), expected, "{body}");
        }
    }
}
