//! Whether a card could be an Adaptive Card that Teams shows (schema 1.5 and the Teams documentation's extra elements).
//!
//! The real service is vaguer about what it refuses; a simulator that refuses every mistake finds them before a user does.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Every mistake in the card, with where it is. None means that Teams would show it.
pub(super) fn mistakes(card: &Value) -> Vec<String> {
    let mut check = Check::default();
    check.root(card);
    check.mistakes
}

#[derive(Clone, Copy)]
enum Shape {
    Text,
    List,
    Object,
}

/// Element type and the properties that it cannot do without.
const ELEMENTS: &[(&str, &[(&str, Shape)])] = &[
    ("TextBlock", &[("text", Shape::Text)]),
    ("RichTextBlock", &[("inlines", Shape::List)]),
    ("TextRun", &[("text", Shape::Text)]),
    ("Image", &[("url", Shape::Text)]),
    ("ImageSet", &[("images", Shape::List)]),
    ("Media", &[("sources", Shape::List)]),
    ("FactSet", &[("facts", Shape::List)]),
    ("Container", &[("items", Shape::List)]),
    ("ColumnSet", &[("columns", Shape::List)]),
    ("Column", &[]),
    ("Table", &[("rows", Shape::List)]),
    ("TableRow", &[("cells", Shape::List)]),
    ("TableCell", &[("items", Shape::List)]),
    ("ActionSet", &[("actions", Shape::List)]),
    ("Input.Text", &[("id", Shape::Text)]),
    ("Input.Number", &[("id", Shape::Text)]),
    ("Input.Date", &[("id", Shape::Text)]),
    ("Input.Time", &[("id", Shape::Text)]),
    ("Input.Toggle", &[("id", Shape::Text), ("title", Shape::Text)]),
    ("Input.ChoiceSet", &[("id", Shape::Text)]),
    ("Input.Rating", &[("id", Shape::Text)]),
    ("Badge", &[]),
    ("ProgressBar", &[]),
    ("ProgressRing", &[]),
    ("Rating", &[]),
    ("Icon", &[("name", Shape::Text)]),
    ("IconRun", &[("name", Shape::Text)]),
    ("ImageRun", &[("url", Shape::Text)]),
    ("CompoundButton", &[]),
    ("CodeBlock", &[]),
    ("Carousel", &[("pages", Shape::List)]),
    ("CarouselPage", &[("items", Shape::List)]),
    ("Chart.Donut", &[]),
    ("Chart.Pie", &[]),
    ("Chart.Gauge", &[]),
    ("Chart.Line", &[]),
    ("Chart.VerticalBar", &[]),
    ("Chart.VerticalBar.Grouped", &[]),
    ("Chart.HorizontalBar", &[]),
    ("Chart.HorizontalBar.Stacked", &[]),
];

const ACTIONS: &[(&str, &[(&str, Shape)])] = &[
    ("Action.Execute", &[]),
    ("Action.Submit", &[]),
    ("Action.OpenUrl", &[("url", Shape::Text)]),
    ("Action.OpenUrlDialog", &[("url", Shape::Text)]),
    ("Action.ShowCard", &[("card", Shape::Object)]),
    ("Action.ToggleVisibility", &[("targetElements", Shape::List)]),
    ("Action.Popover", &[("content", Shape::Object)]),
    ("Action.ResetInputs", &[]),
    ("Action.InsertImage", &[]),
];

/// (type prefix, property, allowed values); the schema compares without case.
const CHOICES: &[(&str, &str, &[&str])] = &[
    ("", "spacing", &["default", "none", "small", "medium", "large", "extralarge", "padding"]),
    ("", "horizontalAlignment", &["left", "center", "right"]),
    ("TextBlock", "size", &["default", "small", "medium", "large", "extralarge"]),
    ("TextBlock", "weight", &["default", "lighter", "bolder"]),
    ("TextBlock", "color", &["default", "dark", "light", "accent", "good", "warning", "attention"]),
    ("TextBlock", "fontType", &["default", "monospace"]),
    ("TextBlock", "style", &["default", "columnheader", "heading"]),
    ("TextRun", "size", &["default", "small", "medium", "large", "extralarge"]),
    ("TextRun", "weight", &["default", "lighter", "bolder"]),
    ("TextRun", "color", &["default", "dark", "light", "accent", "good", "warning", "attention"]),
    ("Container", "style", &["default", "emphasis", "good", "attention", "warning", "accent"]),
    ("ColumnSet", "style", &["default", "emphasis", "good", "attention", "warning", "accent"]),
    ("Action.", "style", &["default", "positive", "destructive"]),
    ("Action.", "mode", &["primary", "secondary"]),
    ("Action.", "associatedInputs", &["auto", "none"]),
    ("Input.ChoiceSet", "style", &["compact", "expanded", "filtered"]),
    ("Input.Text", "style", &["text", "tel", "url", "email", "password"]),
];

/// What a tap can do something on (schema 1.5, `selectAction`; 1.6's elements by the Teams documentation).
const TAPPED: &[&str] = &[
    "TextRun",
    "Image",
    "Container",
    "ColumnSet",
    "Column",
    "TableCell",
    "Icon",
    "IconRun",
    "ImageRun",
    "CompoundButton",
    "CarouselPage",
];

const VERSIONS: &[&str] = &["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"];
/// Teams docs, "User Specific Views".
const MOST_REFRESH_USERS: usize = 60;

#[derive(Default)]
struct Check {
    mistakes: Vec<String>,
    ids: BTreeSet<String>,
}

impl Check {
    fn mistake(&mut self, path: &str, what: &str) {
        self.mistakes.push(format!("{path}: {what}"));
    }

    fn root(&mut self, card: &Value) {
        self.card(card, "card");
        match card.get("version").and_then(Value::as_str) {
            Some(version) if VERSIONS.contains(&version) => {}
            Some(version) => self.mistake("card", &format!("version {version:?} is newer than 1.5 or no version")),
            None => self.mistake("card", "no version"),
        }
        let Some(refresh) = card.get("refresh") else { return };
        match refresh.get("action") {
            Some(action) if type_of(action) == "Action.Execute" => self.action(action, "card.refresh.action"),
            _ => self.mistake("card.refresh", "its action is no Action.Execute"),
        }
        match refresh.get("userIds") {
            None => {}
            Some(Value::Array(users)) if users.len() <= MOST_REFRESH_USERS && users.iter().all(Value::is_string) => {}
            Some(_) => self.mistake("card.refresh.userIds", "is no list of at most 60 user ids"),
        }
    }

    /// The root, or the card inside an `Action.ShowCard`.
    fn card(&mut self, card: &Value, path: &str) {
        let Some(content) = card.as_object() else { return self.mistake(path, "is no object") };
        if type_of(card) != "AdaptiveCard" {
            self.mistake(path, &format!("type is {:?}, not AdaptiveCard", type_of(card)));
        }
        for optional in ["body", "actions"] {
            if content.get(optional).is_some_and(|value| !value.is_array()) {
                self.mistake(path, &format!("{optional} is no list"));
            }
        }
        if list(content, "body").is_empty() && list(content, "actions").is_empty() {
            self.mistake(path, "has neither body nor actions");
        }
        for (index, element) in list(content, "body").iter().enumerate() {
            self.element(element, &format!("{path}.body[{index}]"));
        }
        self.actions(content, path);
    }

    fn element(&mut self, element: &Value, path: &str) {
        let Some(content) = self.object_of(element, ELEMENTS, path) else { return };
        let kind = type_of(element);
        self.named_once(content, kind, path);
        match kind {
            "ColumnSet" => self.each(content, "columns", path, |check, column, at| check.column(column, at)),
            "Table" => self.each(content, "rows", path, Self::element),
            "FactSet" => self.pairs(content, "facts", path),
            "Input.ChoiceSet" => self.pairs_of_choices(content, path),
            "RichTextBlock" => self.each(content, "inlines", path, |check, inline, at| {
                if !inline.is_string() {
                    check.element(inline, at);
                }
            }),
            _ => {}
        }
        for children in ["items", "images", "cells", "pages"] {
            self.each(content, children, path, Self::element);
        }
        for action in ["selectAction", "inlineAction"] {
            if let Some(action_value) = content.get(action) {
                let taken = if action == "selectAction" { TAPPED.contains(&kind) } else { kind == "Input.Text" };
                if !taken {
                    self.mistake(path, &format!("{kind} has no {action}"));
                }
                self.tapped(action_value, &format!("{path}.{action}"));
            }
        }
        self.actions(content, path);
        self.fallback(content, path, Self::element);
    }

    /// A column may leave its type out.
    fn column(&mut self, column: &Value, path: &str) {
        if column.get("type").is_some() {
            return self.element(column, path);
        }
        let Some(content) = column.as_object() else { return self.mistake(path, "is no object") };
        self.each(content, "items", path, Self::element);
        if let Some(action) = content.get("selectAction") {
            self.tapped(action, &format!("{path}.selectAction"));
        }
    }

    fn actions(&mut self, content: &Map<String, Value>, path: &str) {
        self.each(content, "actions", path, Self::action);
    }

    /// An action without a button of its own, so without room for a card that opens below it.
    fn tapped(&mut self, action: &Value, path: &str) {
        if type_of(action) == "Action.ShowCard" {
            self.mistake(path, "Action.ShowCard needs a button");
        }
        self.action(action, path);
    }

    fn action(&mut self, action: &Value, path: &str) {
        let Some(content) = self.object_of(action, ACTIONS, path) else { return };
        let kind = type_of(action);
        if matches!(kind, "Action.Execute" | "Action.Submit")
            && content.get("data").is_some_and(|data| !(data.is_object() || data.is_string()))
        {
            self.mistake(path, "data is neither object nor text");
        }
        if content.get("verb").is_some_and(|verb| !verb.is_string()) {
            self.mistake(path, "verb is no text");
        }
        if kind == "Action.ShowCard"
            && let Some(card) = content.get("card")
        {
            self.card(card, &format!("{path}.card"));
        }
        if kind == "Action.Popover"
            && let Some(popover) = content.get("content")
        {
            self.element(popover, &format!("{path}.content"));
        }
        self.fallback(content, path, Self::action);
    }

    /// The object, if its type is in the table; required properties and closed choices are checked on the way.
    fn object_of<'a>(
        &mut self,
        value: &'a Value,
        table: &[(&str, &[(&str, Shape)])],
        path: &str,
    ) -> Option<&'a Map<String, Value>> {
        let Some(content) = value.as_object() else {
            self.mistake(path, "is no object");
            return None;
        };
        let kind = type_of(value);
        let Some((_, required)) = table.iter().find(|(known, _)| *known == kind) else {
            self.mistake(path, &format!("unknown type {kind:?}"));
            return None;
        };
        for (property, shape) in *required {
            let given = content.get(*property);
            let fits = match shape {
                Shape::Text => given.is_some_and(Value::is_string),
                Shape::List => given.is_some_and(Value::is_array),
                Shape::Object => given.is_some_and(Value::is_object),
            };
            if !fits {
                self.mistake(path, &format!("{kind} without a proper {property}"));
            }
        }
        for (prefix, property, allowed) in CHOICES {
            if kind.starts_with(prefix)
                && let Some(given) = content.get(*property)
                && !given.as_str().is_some_and(|text| allowed.contains(&text.to_ascii_lowercase().as_str()))
            {
                self.mistake(path, &format!("{property} is {given}"));
            }
        }
        Some(content)
    }

    fn named_once(&mut self, content: &Map<String, Value>, kind: &str, path: &str) {
        let Some(id) = content.get("id").and_then(Value::as_str) else { return };
        if id.is_empty() && kind.starts_with("Input.") {
            self.mistake(path, "an input's id is empty");
        } else if !self.ids.insert(id.to_owned()) {
            self.mistake(path, &format!("the id {id:?} is used twice"));
        }
    }

    fn fallback(&mut self, content: &Map<String, Value>, path: &str, check: fn(&mut Self, &Value, &str)) {
        match content.get("fallback") {
            None => {}
            Some(Value::String(text)) if text == "drop" => {}
            Some(other) => {
                // Only one of element and fallback is shown: their ids do not clash.
                let shown = std::mem::take(&mut self.ids);
                check(self, other, &format!("{path}.fallback"));
                self.ids = shown;
            }
        }
    }

    fn pairs(&mut self, content: &Map<String, Value>, property: &str, path: &str) {
        for (index, pair) in list(content, property).iter().enumerate() {
            if !["title", "value"].iter().all(|part| pair.get(part).is_some_and(Value::is_string)) {
                self.mistake(&format!("{path}.{property}[{index}]"), "title and value must be texts");
            }
        }
    }

    fn pairs_of_choices(&mut self, content: &Map<String, Value>, path: &str) {
        self.pairs(content, "choices", path);
        if content.get("choices").is_some_and(|choices| !choices.is_array()) {
            self.mistake(path, "choices is no list");
        }
        match content.get("choices.data") {
            None if list(content, "choices").is_empty() => self.mistake(path, "nothing to choose from"),
            None => {}
            Some(query) => self.query(query, &format!("{path}.choices.data")),
        }
    }

    /// Choices that the bot is asked for while somebody types.
    fn query(&mut self, query: &Value, path: &str) {
        let Some(content) = query.as_object() else { return self.mistake(path, "is no object") };
        if type_of(query) != "Data.Query" {
            self.mistake(path, &format!("type is {:?}, not Data.Query", type_of(query)));
        }
        if content.get("dataset").and_then(Value::as_str).is_none_or(str::is_empty) {
            self.mistake(path, "no dataset");
        }
        for (property, given) in content {
            let fits = match property.as_str() {
                "type" | "dataset" => true,
                "count" | "skip" => given.is_u64(),
                "associatedInputs" => matches!(given.as_str(), Some("auto" | "none")),
                _ => false,
            };
            if !fits {
                self.mistake(path, &format!("{property} is {given}"));
            }
        }
    }

    fn each(
        &mut self,
        content: &Map<String, Value>,
        property: &str,
        path: &str,
        check: impl Fn(&mut Self, &Value, &str),
    ) {
        for (index, child) in list(content, property).iter().enumerate() {
            check(self, child, &format!("{path}.{property}[{index}]"));
        }
    }
}

fn type_of(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(content: &'a Map<String, Value>, property: &str) -> &'a [Value] {
    content.get(property).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "rows are easier to read without a reference at each json!")]
    fn card(body: Value, actions: Value) -> Value {
        json!({ "type": "AdaptiveCard", "version": "1.5", "body": body, "actions": actions })
    }

    #[test]
    fn good_cards_have_no_mistakes() {
        let everything = json!({
            "type": "AdaptiveCard", "version": "1.4", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "msteams": { "width": "Full" },
            "refresh": { "action": { "type": "Action.Execute", "verb": "look" }, "userIds": ["29:1"] },
            "body": [
                { "type": "TextBlock", "text": "**Down**", "size": "Large", "weight": "bolder", "color": "Attention", "wrap": true },
                { "type": "RichTextBlock", "inlines": ["a", { "type": "TextRun", "text": "b" }] },
                { "type": "ColumnSet", "columns": [{ "items": [] }, { "type": "Column", "width": "auto",
                    "items": [{ "type": "Image", "url": "https://example.com/i.png",
                                "selectAction": { "type": "Action.OpenUrl", "url": "https://example.com" } }] }] },
                { "type": "Table", "columns": [{ "width": 1 }], "rows": [{ "type": "TableRow", "cells": [{ "type": "TableCell", "items": [] }] }] },
                { "type": "FactSet", "facts": [{ "title": "a", "value": "b" }] },
                { "type": "Input.ChoiceSet", "id": "service", "style": "filtered",
                  "choices.data": { "type": "Data.Query", "dataset": "services", "associatedInputs": "auto", "count": 15 } },
                { "type": "Badge", "text": "new", "fallback": { "type": "TextBlock", "text": "new" } },
                { "type": "ActionSet", "actions": [{ "type": "Action.ShowCard", "title": "Note", "card": {
                    "type": "AdaptiveCard",
                    "body": [{ "type": "Input.Text", "id": "note", "isMultiline": true }],
                    "actions": [{ "type": "Action.Execute", "title": "Add", "verb": "note", "data": { "x": 1 },
                                  "fallback": { "type": "Action.Submit", "title": "Add" } }] } }] },
            ],
        });
        assert_eq!(mistakes(&everything), Vec::<String>::new());
    }

    #[test]
    fn no_card_of_ours_has_a_mistake() {
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/cards/src/snapshots");
        let files = std::fs::read_dir(snapshots).unwrap().map(|file| file.unwrap().path());
        let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert!(texts.len() > 40, "{} cards", texts.len());
        for text in texts {
            let (_, json) = text.split_once("\n---\n").unwrap();
            let snapshot: Value = serde_json::from_str(json).unwrap();
            assert_eq!(mistakes(snapshot.get("content").unwrap_or(&snapshot)), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        let text = json!({ "type": "TextBlock", "text": "t" });
        let input = json!({ "type": "Input.Text", "id": "same" });
        let with = |change: Value| {
            let mut card = card(json!([text]), json!([]));
            card.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            card
        };
        let table: Vec<(Value, Vec<&str>)> = vec![
            (json!([]), vec!["card: is no object", "card: no version"]),
            (with(json!({ "type": "Card" })), vec!["card: type is \"Card\", not AdaptiveCard"]),
            (with(json!({ "version": "1.6" })), vec!["card: version \"1.6\" is newer than 1.5 or no version"]),
            (with(json!({ "version": 1.5 })), vec!["card: no version"]),
            (with(json!({ "body": {} })), vec!["card: body is no list", "card: has neither body nor actions"]),
            (
                card(json!([{ "type": "Textblock", "text": "t" }]), json!([])),
                vec!["card.body[0]: unknown type \"Textblock\""],
            ),
            (card(json!([{ "type": "TextBlock" }]), json!([])), vec!["card.body[0]: TextBlock without a proper text"]),
            (
                card(json!([{ "type": "TextBlock", "text": "t", "color": "Red" }]), json!([])),
                vec!["card.body[0]: color is \"Red\""],
            ),
            (
                card(json!([{ "type": "FactSet", "facts": [{ "title": "t", "value": 3 }] }]), json!([])),
                vec!["card.body[0].facts[0]: title and value must be texts"],
            ),
            (
                card(json!([{ "type": "Input.ChoiceSet", "id": "c", "choices": [] }]), json!([])),
                vec!["card.body[0]: nothing to choose from"],
            ),
            (
                card(
                    json!([{ "type": "Input.ChoiceSet", "id": "c", "choices": {}, "choices.data": { "type": "Query", "top": 9 } }]),
                    json!([]),
                ),
                vec![
                    "card.body[0]: choices is no list",
                    "card.body[0].choices.data: type is \"Query\", not Data.Query",
                    "card.body[0].choices.data: no dataset",
                    "card.body[0].choices.data: top is 9",
                ],
            ),
            (
                card(json!([input, { "type": "Container", "items": [input] }]), json!([])),
                vec!["card.body[1].items[0]: the id \"same\" is used twice"],
            ),
            (
                card(
                    json!([input]),
                    json!([{ "type": "Action.ShowCard", "card": { "type": "AdaptiveCard", "body": [input] } }]),
                ),
                vec!["card.actions[0].card.body[0]: the id \"same\" is used twice"],
            ),
            (
                card(
                    json!([{ "type": "TextBlock", "text": "t", "selectAction": { "type": "Action.OpenUrl", "url": "u" } }]),
                    json!([]),
                ),
                vec!["card.body[0]: TextBlock has no selectAction"],
            ),
            (
                card(
                    json!([
                        { "type": "Container", "items": [], "selectAction": { "type": "Action.OpenUrl" } },
                        { "type": "ColumnSet", "columns": [{ "selectAction":
                            { "type": "Action.ShowCard", "card": { "type": "AdaptiveCard", "body": [text] } } }] },
                        { "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": "t", "size": "tiny" }] },
                    ]),
                    json!([]),
                ),
                vec![
                    "card.body[0].selectAction: Action.OpenUrl without a proper url",
                    "card.body[1].columns[0].selectAction: Action.ShowCard needs a button",
                    "card.body[2].inlines[0]: size is \"tiny\"",
                ],
            ),
            (
                card(json!([]), json!([{ "type": "Action.Http", "url": "x" }])),
                vec!["card.actions[0]: unknown type \"Action.Http\""],
            ),
            (
                card(json!([]), json!([{ "type": "Action.OpenUrl" }])),
                vec!["card.actions[0]: Action.OpenUrl without a proper url"],
            ),
            (
                card(json!([]), json!([{ "type": "Action.Execute", "data": [1] }])),
                vec!["card.actions[0]: data is neither object nor text"],
            ),
            (
                card(json!([]), json!([{ "type": "Action.Execute", "fallback": { "type": "Action.Nope" } }])),
                vec!["card.actions[0].fallback: unknown type \"Action.Nope\""],
            ),
            (
                with(json!({ "refresh": { "action": { "type": "Action.Submit" } } })),
                vec!["card.refresh: its action is no Action.Execute"],
            ),
            (
                with(json!({ "refresh": { "action": { "type": "Action.Execute" }, "userIds": vec!["29:1"; 61] } })),
                vec!["card.refresh.userIds: is no list of at most 60 user ids"],
            ),
        ];
        for (card, expected) in table {
            assert_eq!(mistakes(&card), expected, "{card}");
        }
    }
}
