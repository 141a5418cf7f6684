//! When an incident is shown, as somebody who reads the channel sees it: judged by what Teams accepted, and by nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use simulators::teams::{Message, Teams};

/// The incident that a card is about: the first that it names.
fn own_card(card: &Value) -> Option<u64> {
    card.get("body").and_then(first_named)
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

/// What a storm's card counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    pub triggered: u64,
    pub acknowledged: u64,
    pub resolved: u64,
}

impl Counted {
    fn all(self) -> u64 {
        self.triggered + self.acknowledged + self.resolved
    }
}

/// The counts of a storm's card: the first text that has all of them.
fn counts(value: &Value) -> Option<Counted> {
    match value {
        Value::String(text) => {
            let before = |word: &str| {
                let start = text.get(..text.find(word)?)?.trim_end();
                start.rsplit(' ').next()?.replace(',', "").parse().ok()
            };
            let (triggered, acknowledged) = (before(" triggered")?, before(" acknowledged")?);
            Some(Counted { triggered, acknowledged, resolved: before(" resolved")? })
        }
        Value::Array(values) => values.iter().find_map(counts),
        Value::Object(members) => members.values().find_map(counts),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// What a channel has shown so far.
#[derive(Debug, Default)]
struct Seen {
    /// When each incident first had a card of its own.
    cards: BTreeMap<u64, Timestamp>,
    /// What each such card says of itself now.
    summaries: BTreeMap<u64, String>,
    /// What each storm's card counts now.
    storms: BTreeMap<String, Counted>,
    /// How many incidents were shown from when on.
    totals: Vec<(Timestamp, u64)>,
}

/// What every channel has shown so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    board: Arc<Mutex<BTreeMap<String, Seen>>>,
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
        let Some(card) = message.card.as_ref().filter(|_| message.root.is_none()) else { return };
        let at = message.changed_at.checked_add(after).unwrap_or(message.changed_at);
        let mut board = self.board();
        let seen = board.entry(message.conversation.clone()).or_default();
        if let Some(counted) = counts(card) {
            seen.storms.insert(message.id.clone(), counted);
        } else if let Some(number) = own_card(card) {
            seen.cards.entry(number).or_insert(at);
            seen.summaries.insert(number, message.summary.clone().unwrap_or_default());
        }
        let counted: u64 = seen.storms.values().map(|storm| storm.all()).sum();
        seen.totals.push((at, counted + seen.cards.len() as u64));
    }

    /// When the channel first showed the incident, which is the `nth` of the channel: by a card of its own, or in a count of so many.
    #[must_use]
    pub fn at(&self, channel: &str, number: u64, nth: u64) -> Option<Timestamp> {
        let board = self.board();
        let seen = board.get(channel)?;
        let counted = seen.totals.iter().find(|(_, total)| *total >= nth).map(|(at, _)| *at);
        seen.cards.get(&number).copied().into_iter().chain(counted).min()
    }

    /// When the channel first showed a card of the incident's own.
    #[must_use]
    pub fn own_card_at(&self, channel: &str, number: u64) -> Option<Timestamp> {
        self.board().get(channel)?.cards.get(&number).copied()
    }

    /// What the incident's own card says of itself now.
    #[must_use]
    pub fn own_card(&self, channel: &str, number: u64) -> Option<String> {
        self.board().get(channel)?.summaries.get(&number).cloned()
    }

    /// How many incidents have a card of their own there, and what the storms' cards count.
    #[must_use]
    pub fn now(&self, channel: &str) -> (u64, Counted) {
        let board = self.board();
        let Some(seen) = board.get(channel) else { return (0, Counted::default()) };
        let sum = |all: Counted, storm: &Counted| Counted {
            triggered: all.triggered + storm.triggered,
            acknowledged: all.acknowledged + storm.acknowledged,
            resolved: all.resolved + storm.resolved,
        };
        (seen.cards.len() as u64, seen.storms.values().fold(Counted::default(), sum))
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
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

    #[test]
    fn a_storms_card_counts() {
        let counted = |triggered, acknowledged, resolved| Some(Counted { triggered, acknowledged, resolved });
        for (text, expected) in [
            ("290 triggered (248 high, 42 low) · 22 acknowledged · 40 resolved", counted(290, 22, 40)),
            ("12 open · 10 triggered (8 high, 2 low) · 2 acknowledged · 1,388 resolved", counted(10, 2, 1388)),
            ("#12 was triggered, acknowledged and resolved", None),
        ] {
            assert_eq!(counts(&json!([{ "text": "x" }, { "text": text }])), expected, "{text}");
        }
    }
}
