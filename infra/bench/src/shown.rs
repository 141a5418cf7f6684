//! When an incident is shown, as somebody who reads the channel sees it: judged by what Teams accepted, and by nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use simulators::teams::{Message, Teams};

/// One way in which a message shows incidents.
struct Way {
    /// Whether the message is about the one incident alone.
    is_own_card: bool,
    /// The numbers of the incidents.
    shows: fn(&Message) -> Vec<u64>,
}

/// All ways; an incident is shown by the first message that shows it in any.
const WAYS: &[Way] = &[Way { is_own_card: true, shows: own_card }];

/// The incident that a card is about: the first that it names.
fn own_card(message: &Message) -> Vec<u64> {
    if message.root.is_some() {
        return Vec::new();
    }
    message.card.as_ref().and_then(|card| card.get("body")).and_then(first_named).into_iter().collect()
}

/// The number in the first text that begins like `#12 `.
fn first_named(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => named_by(text),
        Value::Array(values) => values.iter().find_map(first_named),
        Value::Object(members) => members.values().find_map(first_named),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn named_by(text: &str) -> Option<u64> {
    text.strip_prefix('#')?.split_once(' ')?.0.parse().ok()
}

/// When an incident was shown in a channel.
#[derive(Debug, Clone, Copy)]
struct First {
    in_any_way: Timestamp,
    own_card: Option<Timestamp>,
}

/// What every channel has shown so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    board: Arc<Mutex<BTreeMap<(String, u64), First>>>,
}

impl Shown {
    /// Watches what Teams accepts. People see it `after` that: Teams' answer takes as long.
    #[must_use]
    pub fn watch(teams: &Teams, after: Duration) -> Self {
        let shown = Self::default();
        let watching = shown.clone();
        teams.watch(false, move |message| watching.see(message, after));
        shown
    }

    fn see(&self, message: &Message, after: Duration) {
        let at = message.changed_at.checked_add(after).unwrap_or(message.changed_at);
        let mut board = self.board();
        for way in WAYS {
            for number in (way.shows)(message) {
                let key = (message.conversation.clone(), number);
                let first = board.entry(key).or_insert(First { in_any_way: at, own_card: None });
                if way.is_own_card {
                    first.own_card.get_or_insert(at);
                }
            }
        }
    }

    /// When the channel first showed the incident, in any way.
    #[must_use]
    pub fn at(&self, channel: &str, number: u64) -> Option<Timestamp> {
        self.first(channel, number).map(|first| first.in_any_way)
    }

    /// When the channel first showed a card of the incident's own.
    #[must_use]
    pub fn own_card_at(&self, channel: &str, number: u64) -> Option<Timestamp> {
        self.first(channel, number)?.own_card
    }

    fn first(&self, channel: &str, number: u64) -> Option<First> {
        self.board().get(&(channel.to_owned(), number)).copied()
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<(String, u64), First>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_card_names_its_incident_first() {
        for (body, expected) in [
            (json!([{ "text": "Triggered" }, { "inlines": [{ "text": "#12 Down" }] }, { "text": "#13 Up" }]), Some(12)),
            (json!([{ "text": "see #12 Down" }]), None),
            (json!([{ "text": "#ff0000 is red" }]), None),
        ] {
            assert_eq!(first_named(&body), expected, "{body}");
        }
    }
}
