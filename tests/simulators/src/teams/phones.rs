//! What Teams takes and phones do not show or do not carry out (Teams docs, "Cards format"; issues of the platform's repositories).
//!
//! The real service refuses none of it, so this one does not either: it complains.

use serde_json::Value;
use url::Url;

/// Buttons that stand side by side; the others belong behind the dots.
const IN_SIGHT: usize = 3;

/// Every mistake in a card that is posted in a conversation, with where it is.
pub(super) fn mistakes(card: &Value) -> Vec<String> {
    let mut check = Check::default();
    check.value(card, "card", Place::Root);
    if check.in_sight > IN_SIGHT {
        check.mistakes.push(format!("card: {} buttons in sight", check.in_sight));
    }
    check.mistakes
}

/// Where something stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The card itself, and its plain rows of buttons.
    Root,
    /// In a column, a container and the like.
    Inner,
}

#[derive(Default)]
struct Check {
    mistakes: Vec<String>,
    in_sight: usize,
}

impl Check {
    fn mistake(&mut self, path: &str, what: &str) {
        self.mistakes.push(format!("{path}: {what} on phones"));
    }

    fn value(&mut self, element: &Value, path: &str, place: Place) {
        let kind = text(element, "type");
        if kind.starts_with("Input.") {
            self.mistake(path, "an input of a posted card does nothing");
        }
        if kind == "Image" {
            self.address(element, "url", path);
        }
        let shown = [text(element, "text"), text(element, "title")].join(" ");
        if shown.contains("{{DATE") || shown.contains("{{TIME") {
            self.mistake(path, "a date function is shown as it is");
        }
        for (index, action) in list(element, "actions").iter().enumerate() {
            self.button(action, &format!("{path}.actions[{index}]"), place);
        }
        if let Some(action) = element.get("selectAction") {
            self.action(action, &format!("{path}.selectAction"));
        }
        for children in ["body", "items", "columns", "rows", "cells", "images", "inlines", "facts"] {
            for (index, child) in list(element, children).iter().enumerate() {
                let is_row = place == Place::Root && children == "body" && text(child, "type") == "ActionSet";
                let place = if is_row { Place::Root } else { Place::Inner };
                self.value(child, &format!("{path}.{children}[{index}]"), place);
            }
        }
    }

    fn button(&mut self, action: &Value, path: &str, place: Place) {
        if place == Place::Inner {
            self.mistake(path, "a button in a column or container does nothing");
        }
        self.in_sight += usize::from(!text(action, "mode").eq_ignore_ascii_case("secondary"));
        self.action(action, path);
    }

    fn action(&mut self, action: &Value, path: &str) {
        match text(action, "type") {
            "Action.ShowCard" => self.mistake(path, "a card inside a posted card does not open"),
            "Action.OpenUrl" => self.address(action, "url", path),
            "Action.Submit" => {
                let special = action.pointer("/data/msteams").unwrap_or(&Value::Null);
                if text(special, "type") == "signin" {
                    self.address(special, "value", path);
                }
            }
            "Action.Execute" => {
                if text(action, "verb").is_empty() {
                    self.mistake(path, "a button without a verb sends nothing");
                }
                let fallback = action.get("fallback").unwrap_or(&Value::Null);
                if text(fallback, "type") != "Action.Submit" || fallback.get("data").is_none() {
                    self.mistake(path, "a button without an Action.Submit as fallback does nothing");
                }
            }
            _ => {}
        }
    }

    fn address(&mut self, element: &Value, key: &str, path: &str) {
        let is_web =
            Url::parse(text(element, key)).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_web {
            self.mistake(path, "a wrong address makes the whole card blank");
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_phones_do_not_take_is_named() {
        let good = json!({ "type": "Action.Execute", "title": "A", "verb": "a", "fallback": { "type": "Action.Submit", "data": {} } });
        let open = json!({ "type": "Action.OpenUrl", "title": "O", "url": "https://a.example" });
        let card = |body: Value| json!({ "type": "AdaptiveCard", "body": body });
        let row = |actions: Value| card(json!([{ "type": "ActionSet", "actions": actions }]));
        let behind = json!({ "type": "Action.OpenUrl", "title": "O", "url": "https://a.example", "mode": "secondary" });
        let table = [
            (row(json!([good, open, open, behind, behind])), ""),
            (row(json!([good, open, open, open])), "4 buttons in sight"),
            (
                card(json!([{ "type": "Container", "items": [{ "type": "ActionSet", "actions": [good] }] }])),
                "in a column or container",
            ),
            (card(json!([{ "type": "Input.Text", "id": "x" }])), "an input"),
            (row(json!([{ "type": "Action.ShowCard", "title": "S", "card": {} }])), "a card inside"),
            (row(json!([{ "type": "Action.Execute", "title": "A", "fallback": good["fallback"] }])), "without a verb"),
            (row(json!([{ "type": "Action.Execute", "title": "A", "verb": "a", "fallback": "drop" }])), "as fallback"),
            (row(json!([{ "type": "Action.OpenUrl", "title": "A", "url": "wiki" }])), "blank"),
            (
                card(
                    json!([{ "type": "Container", "items": [], "selectAction": { "type": "Action.OpenUrl", "url": "javascript:1" } }]),
                ),
                "blank",
            ),
            (card(json!([{ "type": "TextBlock", "text": "at {{TIME(2026-01-01T00:00:00Z)}}" }])), "date function"),
        ];
        for (card, expected) in table {
            let found = mistakes(&card).join("; ");
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{card}: {found}");
        }
    }
}
