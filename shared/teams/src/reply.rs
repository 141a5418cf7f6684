//! The answer to an invoke: the body of the HTTP response, which always has the status 200.
//!
//! The forms are those of the Adaptive Cards docs (universal action model) and of the Teams docs on dialogs.

use serde::Serialize;
use serde_json::{Value, json};

/// The content type of an Adaptive Card, as an attachment and as an answer.
pub(crate) const CARD_TYPE: &str = "application/vnd.microsoft.card.adaptive";

/// Replaces the clicked card in the clicker's client. `card` is the card's content, without its summary.
#[must_use]
pub fn card(card: &impl Serialize) -> Value {
    match serde_json::to_value(card) {
        Ok(content) => json!({ "statusCode": 200, "type": CARD_TYPE, "value": content }),
        Err(_) => failure(500, "InternalError", ""),
    }
}

/// Shows a short text under the clicked card.
#[must_use]
pub fn message(text: &str) -> Value {
    json!({ "statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": text })
}

/// Shows `text` as an error under the clicked card; `code` is for programs.
#[must_use]
pub fn error(code: &str, text: &str) -> Value {
    failure(400, code, text)
}

/// Shows a text in the dialog, as its last page.
#[must_use]
pub fn task_message(text: &str) -> Value {
    json!({ "task": { "type": "message", "value": text } })
}

/// Opens a dialog with a card, or goes on to its next page. `card` is the card's content.
#[must_use]
pub fn task_card(title: &str, card: &impl Serialize) -> Value {
    let Ok(content) = serde_json::to_value(card) else { return task_message("") };
    json!({ "task": { "type": "continue", "value": {
        "title": title,
        "width": "medium",
        "height": "medium",
        "card": { "contentType": CARD_TYPE, "content": content },
    } } })
}

/// Choices for a list that somebody types into, as title and value (Teams docs, "Typeahead search").
#[must_use]
pub fn choices(found: impl IntoIterator<Item = (String, String)>) -> Value {
    let results: Vec<Value> =
        found.into_iter().map(|(title, value)| json!({ "title": title, "value": value })).collect();
    json!({
        "statusCode": 200,
        "type": "application/vnd.microsoft.search.searchResponse",
        "value": { "results": results },
    })
}

fn failure(status: u16, code: &str, text: &str) -> Value {
    json!({
        "statusCode": status,
        "type": "application/vnd.microsoft.error",
        "value": { "code": code, "message": text },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_documented_forms() {
        let content = json!({ "type": "AdaptiveCard", "version": "1.5" });
        for (answer, expected) in [
            (
                card(&content),
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.card.adaptive",
                    "value": { "type": "AdaptiveCard", "version": "1.5" } }),
            ),
            (
                message("Done."),
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "Done." }),
            ),
            (
                error("NotFound", "No such card."),
                json!({ "statusCode": 400, "type": "application/vnd.microsoft.error",
                    "value": { "code": "NotFound", "message": "No such card." } }),
            ),
            (
                choices([("Payments".to_owned(), "P1".to_owned())]),
                json!({ "statusCode": 200, "type": "application/vnd.microsoft.search.searchResponse",
                    "value": { "results": [{ "title": "Payments", "value": "P1" }] } }),
            ),
            (task_message("Saved."), json!({ "task": { "type": "message", "value": "Saved." } })),
            (
                task_card("Note", &content),
                json!({ "task": { "type": "continue", "value": {
                    "title": "Note", "width": "medium", "height": "medium",
                    "card": { "contentType": "application/vnd.microsoft.card.adaptive",
                        "content": { "type": "AdaptiveCard", "version": "1.5" } } } } }),
            ),
        ] {
            assert_eq!(answer, expected);
        }
    }
}
