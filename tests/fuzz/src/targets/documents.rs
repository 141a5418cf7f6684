//! JSON, and PagerDuty's webhooks.

use domain::ids::AccountId;
use domain::incident::IncidentRecord;
use domain::zone::Zone;
use jiff::Timestamp;
use pagerduty::webhook::{self, Received};
use secrecy::SecretString;
use serde_json::Value;

use crate::engine::outcome;
use crate::harmless;
use crate::stack::START;

/// As deep as `serde_json` reads.
const DEEPEST: usize = 128;

pub(super) fn json(input: &[u8]) {
    let read = wire::read(input);
    assert_eq!(read, wire::read(input), "read twice");
    if let Ok(strict) = serde_json::from_slice::<Value>(input) {
        assert_eq!(read.as_ref(), Ok(&strict), "valid JSON is read as it is");
    }
    let bearable = wire::read_bearable(input);
    if let (Ok(one), Ok(other)) = (&read, &bearable) {
        assert_eq!(one, other, "two readers");
    }
    outcome((read.is_ok(), bearable.is_ok()));
    if let Ok(value) = read {
        assert!(depth(&value) <= DEEPEST, "{} deep", depth(&value));
        let again = wire::read(value.to_string().as_bytes());
        // The last digits of a number that is no whole one are read as well as can be.
        assert!(again.as_ref() == Ok(&value) || has_fraction(&value), "what was read is read again: {again:?}");
        outcome(kinds(&value));
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        Value::Number(number) => number.is_f64(),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn kinds(value: &Value) -> (u8, usize) {
    match value {
        Value::Null => (0, 0),
        Value::Bool(_) => (1, 0),
        Value::Number(_) => (2, 0),
        Value::String(text) => (3, text.len().min(4)),
        Value::Array(list) => (4, list.len().min(8)),
        Value::Object(fields) => (5, fields.len().min(8)),
    }
}

fn account() -> AccountId {
    super::id("PACC", "PACC")
}

/// From the bytes to the card.
pub(super) fn webhook_body(input: &[u8]) {
    let received = webhook::parse(input);
    assert_eq!(received, webhook::parse(input), "read twice");
    let salvaged = webhook::incident_in(input);
    outcome((salvaged.is_some(), format!("{:?}", received.as_ref().map(std::mem::discriminant))));
    let Ok(Received::Incident(event)) = received else { return };
    outcome((
        event.what.as_ref().map(|what| what.event_type().row().name),
        event.snapshot.is_some(),
        event.by.is_some(),
        event.occurred_at.is_some(),
    ));
    let record = IncidentRecord::from_event(account(), event.clone(), START);
    let again = IncidentRecord::from_event(account(), event, START);
    assert_eq!(record.clone().merge(again), record, "told twice is told once");
    let late = IncidentRecord::empty(account(), record.id.clone()).merge(record.clone());
    assert_eq!(late, record, "nothing adds nothing");
    let stored = serde_json::to_vec(&record).unwrap_or_else(|error| panic!("cannot be stored: {error}"));
    let read: IncidentRecord =
        serde_json::from_slice(&stored).unwrap_or_else(|error| panic!("cannot be read: {error}"));
    assert_eq!(read, record, "stored and read");
    for frozen_since in [None, Some(START)] {
        harmless::card(&cards::incident(&cards::IncidentView { record: &record, frozen_since, zone: &Zone::UTC }));
    }
    harmless::card(&cards::incident_fallback(&record));
    let log: Vec<_> = record.log.iter().cloned().collect();
    harmless::message(&cards::text::thread_reply(&log));
}

/// `header LF body`, with `{good}` for the body's true signature and `{empty}` for one that anybody can make.
pub(super) fn webhook_signature(input: &[u8]) {
    let secrets = ["first secret", ""].map(SecretString::from);
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (header, body) = input.split_at(end);
    let good = webhook::sign(&secrets[0], body);
    let header =
        String::from_utf8_lossy(header).replace("{good}", &good).replace("{empty}", &webhook::sign(&secrets[1], body));
    let verified = webhook::verify(&secrets, Some(&header), body);
    outcome(format!("{verified:?}"));
    let has_good =
        header.split(',').any(|part| part.trim().eq_ignore_ascii_case(&good) && part.trim().starts_with("v1="));
    assert_eq!(verified.is_ok(), has_good, "{header:?}");
    assert!(webhook::verify(&secrets[1..], Some(&header), body).is_err(), "an empty secret");
    let mut other = body.to_vec();
    other.push(b' ');
    assert!(webhook::verify(&secrets, Some(&header), &other).is_err(), "another body");
}

/// For targets that need a moment.
pub(super) fn moment(seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds % 4_000_000_000).unwrap_or_default();
    Timestamp::from_second(seconds).unwrap_or(START)
}
