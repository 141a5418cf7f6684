//! What every card promises, whoever wrote the texts in it: it is small, it is a card, and nothing foreign in it is alive.

use cards::{AdaptiveCard, Card, MAX_CARD_BYTES};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;
use url::{Host, Url};

const TYPES: &[&str] = &[
    "AdaptiveCard",
    "TextBlock",
    "RichTextBlock",
    "TextRun",
    "Container",
    "ColumnSet",
    "Column",
    "ActionSet",
    "Input.Text",
    "Input.ChoiceSet",
    "Action.Execute",
    "Action.Submit",
    "Action.OpenUrl",
    "Data.Query",
];

/// Our own pages: what the targets give as such.
pub const OWN: &str = "bridge.example";

/// Checks a card.
///
/// # Panics
/// The card breaks a promise.
pub fn card(card: &Card) {
    content(&card.content);
    dead(&card.summary);
    assert!(!card.summary.is_empty() && utf16(&card.summary) <= 250, "the summary has {} units", utf16(&card.summary));
}

/// Checks what a dialog shows.
///
/// # Panics
/// The card breaks a promise.
pub fn content(card: &AdaptiveCard) {
    let text = serde_json::to_string(card).unwrap_or_else(|error| panic!("no JSON: {error}"));
    assert!(2 * utf16(&text) <= MAX_CARD_BYTES, "a card of {} bytes", 2 * utf16(&text));
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON: {error}"));
    let at = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!((at("type"), at("version")), ("AdaptiveCard", "1.5"));
    assert!(!at("fallbackText").is_empty(), "no text for old clients");
    assert!(json.pointer("/msteams/entities").is_none(), "a mention");
    walk(&json, "", "");
}

/// Checks a message that is no card.
///
/// # Panics
/// It is alive.
pub fn message(text: &str) {
    assert!(2 * utf16(text) <= MAX_CARD_BYTES, "a message of {} bytes", 2 * utf16(text));
    assert!(!text.contains("]("), "a link in {text:?}");
    text.lines().for_each(dead);
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `kind`: of the nearest object with a type; `title`: of the button or tap that an address belongs to.
fn walk(value: &Value, kind: &str, around: &str) {
    match value {
        Value::Array(list) => list.iter().for_each(|child| walk(child, kind, around)),
        Value::Object(content) => {
            let kind = content.get("type").and_then(Value::as_str).unwrap_or(kind);
            // Where a tap on a row leads stands in the row.
            let shown = if content.contains_key("selectAction") { beside_the_tap(content) } else { String::new() };
            let around = if shown.is_empty() { around } else { shown.as_str() };
            let title = content.get("title").and_then(Value::as_str).unwrap_or_default();
            for (key, child) in content {
                match child {
                    Value::String(text) => property(kind, key, text, &format!("{title} {around}")),
                    _ if key == "data" => {}
                    child => walk(child, kind, around),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn beside_the_tap(content: &serde_json::Map<String, Value>) -> String {
    content.iter().filter(|(key, _)| *key != "selectAction").map(|(_, child)| child.to_string()).collect()
}

fn property(kind: &str, key: &str, text: &str, said: &str) {
    match key {
        "type" => assert!(TYPES.contains(&text), "an element {text}"),
        "url" => address(text, said),
        "text" if kind == "TextRun" => dead(text),
        "title" if kind == "Input.ChoiceSet" => dead(text),
        // Goes back to us, or to the person who typed it.
        "value" if kind.starts_with("Input.") => {}
        "text" | "fallbackText" | "title" | "label" | "placeholder" | "errorMessage" => {
            let markup = markup(text);
            assert!(markup.is_empty(), "markup in {text:?}: {markup:?}");
            dead(&rendered(text));
        }
        "$schema" | "version" | "width" | "style" | "color" | "weight" | "size" | "spacing" | "id" | "verb"
        | "mode" | "dataset" => {}
        other => panic!("{kind}.{other} is not known: {text:?}"),
    }
}

/// PagerDuty, Teams and ourselves; anybody else only where the host stands beside it.
fn address(text: &str, said: &str) {
    let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?} is no address: {error}"));
    assert!(matches!(url.scheme(), "https" | "http"), "{text:?}");
    assert!(url.username().is_empty() && url.password().is_none(), "{text:?}");
    assert!(text.len() <= 1000, "an address of {} bytes", text.len());
    let is_ours = match url.host() {
        Some(Host::Domain(name)) => {
            let is_known = name == "pagerduty.com" || name.ends_with(".pagerduty.com") || name == "teams.microsoft.com";
            name == "localhost" || ((is_known || name == OWN) && url.scheme() == "https")
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let host = url.host_str().unwrap_or_default();
    let end: String = host.chars().skip(host.chars().count().saturating_sub(20)).collect();
    // Markup is escaped in a title, and a host has none but these.
    let shown = said.replace("\\\\", "").replace('\\', "");
    assert!(is_ours || (!end.is_empty() && shown.contains(&end)), "{text:?} is not ours, and {said:?} does not say so");
}

/// What a Markdown renderer would make of the text besides a paragraph.
fn markup(text: &str) -> Vec<String> {
    let plain = |event: &Event<'_>| match event {
        Event::Text(_) | Event::Start(Tag::Paragraph) => true,
        Event::End(end) => *end == TagEnd::Paragraph,
        _ => false,
    };
    Parser::new_ext(text, Options::all()).filter(|event| !plain(event)).map(|event| format!("{event:?}")).collect()
}

fn rendered(text: &str) -> String {
    let text_of = |event| if let Event::Text(text) = event { Some(text.into_string()) } else { None };
    Parser::new(text).filter_map(text_of).collect()
}

/// No function, no mention, no character that hides or reorders others.
fn dead(text: &str) {
    let lower = text.to_ascii_lowercase();
    for poison in ["{{", "<at", "</at"] {
        assert!(!lower.contains(poison), "{poison} in {text:?}");
    }
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{061C}' | '\u{AD}')
    };
    let found = text.chars().find(|c| hidden(*c) && *c != '\n');
    assert!(found.is_none(), "{found:?} in {text:?}");
}
