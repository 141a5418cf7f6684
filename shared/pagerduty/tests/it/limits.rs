//! How much of an event is kept: the table refuses an item above 400 KB, and a record keeps the newest 30 entries.

use domain::ids::{AccountId, EventId};
use domain::incident::{FOUND_LIMIT, Happening, IncidentEvent, IncidentRecord, LOG_LIMIT, Priority};
use pagerduty::webhook::{Received, parse};
use serde_json::{Value, json};

use crate::fixtures::*;

fn read(event_type: &str, data: &Value) -> IncidentEvent {
    match parse(&bytes(&envelope(event_type, data))) {
        Ok(Received::Incident(event)) => event,
        other => panic!("{event_type}: {other:?}"),
    }
}

fn note(content: &str) -> String {
    let data = json!({ "type": "incident_note", "incident": incident_reference(), "content": content });
    match read("incident.annotated", &data).what {
        Some(Happening::Note { content }) => content,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_note_is_cut_at_a_thousand_characters_and_shows_it() {
    for (given, kept) in [
        ("é".repeat(999), "é".repeat(999)),
        ("é".repeat(1000), "é".repeat(1000)),
        ("é".repeat(1001), format!("{}…", "é".repeat(999))),
        ("🎻".repeat(50_000), format!("{}…", "🎻".repeat(999))),
        // What nobody can read does not count.
        (format!("{}\u{0}\u{1b}\r", "x".repeat(1000)), "x".repeat(1000)),
        ("one\r\n\ttwo\u{7}".to_owned(), "one\n\ttwo".to_owned()),
    ] {
        assert_eq!(note(&given), kept);
    }
}

#[test]
fn titles_names_and_links_are_bounded() {
    let long = "ä".repeat(5000);
    let cut = |chars: usize| format!("{}…", "ä".repeat(chars - 1));
    let many: Vec<Value> = (0..50).map(|_| reference("user", "PMIRA01", &long)).collect();
    let data = with(
        incident(),
        &json!({
            "title": long,
            "assignees": many,
            "priority": { "summary": long },
            "service": { "id": SERVICE, "summary": long },
            "html_url": format!("https://philharmonie.pagerduty.com/{long}"),
        }),
    );
    let event = read("incident.reassigned", &data);
    assert_eq!(event.what, Some(Happening::Reassigned { to: vec![cut(100); 10] }));
    let state = event.snapshot.unwrap();
    assert_eq!(state.title, cut(1024));
    assert_eq!(state.assignees, vec![person("PMIRA01", &cut(200)); 20]);
    assert_eq!(state.priority, Some(Priority { id: None, name: cut(200) }));
    assert_eq!(state.service.name, cut(200));
    // Half a link leads nowhere.
    assert_eq!(state.html_url, "");
}

/// Every text longer than any limit, in four-byte characters, and more of everything than is kept.
fn stuffed(event_type: &str) -> IncidentEvent {
    let long = "🎺".repeat(1_100);
    let thing = |id: &str| json!({ "id": id, "type": "user_reference", "summary": long });
    let things: Vec<Value> = (0..21).map(|i| thing(&format!("P{}{i}", "X".repeat(290)))).collect();
    let fields: Vec<Value> = (0..21).map(|_| json!({ "name": long })).collect();
    let numbers: Vec<Value> = (0..21).map(|_| json!({ "label": long, "number": long })).collect();
    let roles: Vec<Value> = (0..21)
        .map(|_| json!({ "role": thing("R"), "assignee": thing("U"), "incident": incident_reference() }))
        .collect();
    let common = json!({
        "assignees": things, "escalation_policy": thing("E"), "priority": thing("P"), "service": thing(SERVICE),
        "incident_type": thing("T"), "content": long, "message": long, "user": thing("U"), "state": long,
        "conference_url": long, "conference_numbers": numbers, "changed_custom_fields": fields, "incident_role_assignments": roles, "summary": long,
        "action": thing("A"), "incident_workflow": thing("W"), "title": long, "html_url": "h".repeat(500),
        "resolve_reason": { "incident": thing("I") },
    });
    let data = match event_type {
        "incident.role.assigned" | "incident.annotated" => {
            with(json!({ "type": "part", "incident": incident_reference() }), &common)
        }
        _ => with(incident(), &common),
    };
    let mut body = envelope(event_type, &data);
    body["event"]["agent"] = thing(&"U".repeat(300));
    match parse(&bytes(&body)) {
        Ok(Received::Incident(event)) => event,
        other => panic!("{event_type}: {other:?}"),
    }
}

#[test]
fn the_largest_record_stays_far_below_the_tables_limit() {
    for event_type in [
        "incident.annotated",
        "incident.role.assigned",
        "incident.reassigned",
        "incident.escalated",
        "incident.custom_field_values.updated",
        "incident.conference_bridge.updated",
        "incident.responder.added",
        "incident.responder.replied",
        "incident.task.created",
        "incident.workflow.started",
        "incident.resolved",
    ] {
        let account = AccountId::new("PACCOUNT").unwrap();
        let event = stuffed(event_type);
        let mut record =
            IncidentRecord::from_event(account.clone(), stuffed("incident.resolved"), jiff::Timestamp::UNIX_EPOCH);
        for number in 1..=LOG_LIMIT {
            let id = EventId::new(format!("{number:0>300}")).unwrap();
            record = record.merge(IncidentRecord::from_event(
                account.clone(),
                IncidentEvent { id, ..event.clone() },
                jiff::Timestamp::UNIX_EPOCH,
            ));
        }
        // As much as PagerDuty's own log tells, which tells of fewer things.
        for number in 1..=FOUND_LIMIT {
            let id = EventId::of_log(&format!("{number:0>290}")).unwrap();
            record = record.merge(IncidentRecord::from_event(
                account.clone(),
                IncidentEvent { id, snapshot: None, ..stuffed("incident.responder.added") },
                jiff::Timestamp::UNIX_EPOCH,
            ));
        }
        assert_eq!((record.log.len(), record.found.len()), (LOG_LIMIT, FOUND_LIMIT));
        let size = serde_json::to_vec(&record).unwrap().len();
        assert!(size < 370 * 1024, "{event_type}: {size} bytes");
    }
}
