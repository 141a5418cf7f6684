//! A made-up account: a concert hall's on-call team. Shapes as PagerDuty sends them, contents ours.

use domain::ids::{EventId, IncidentId, PdUserId, PriorityId, ServiceId};
use domain::incident::{Actor, Priority, ServiceRef, Snapshot, Status, Urgency};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const EVENT: &str = "01JKZ4M8T2RWB6Q0E5HNVXCY7D";
pub(crate) const INCIDENT: &str = "Q1BOXOFFICE77";
pub(crate) const SERVICE: &str = "PTICKET";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn event_id() -> EventId {
    EventId::new(EVENT).unwrap()
}

pub(crate) fn incident_id() -> IncidentId {
    IncidentId::new(INCIDENT).unwrap()
}

pub(crate) fn service_id() -> ServiceId {
    ServiceId::new(SERVICE).unwrap()
}

pub(crate) fn occurred_at() -> Timestamp {
    at("2026-11-20T08:15:30.250Z")
}

pub(crate) fn person(id: &str, name: &str) -> Actor {
    Actor { user: Some(PdUserId::new(id).unwrap()), name: name.to_owned() }
}

pub(crate) fn mira() -> Actor {
    person("PMIRA01", "Mira Solberg")
}

pub(crate) fn tomas() -> Actor {
    person("PTOMAS2", "Tomás Quispe")
}

pub(crate) fn priority(id: &str, name: &str) -> Priority {
    Priority { id: Some(PriorityId::new(id).unwrap()), name: name.to_owned() }
}

/// A reference with all its fields.
pub(crate) fn reference(kind: &str, id: &str, summary: &str) -> Value {
    json!({
        "id": id,
        "type": format!("{kind}_reference"),
        "self": format!("https://api.pagerduty.com/{kind}s/{id}"),
        "html_url": format!("https://philharmonie.pagerduty.com/{kind}s/{id}"),
        "summary": summary,
    })
}

pub(crate) fn mira_reference() -> Value {
    reference("user", "PMIRA01", "Mira Solberg")
}

pub(crate) fn tomas_reference() -> Value {
    reference("user", "PTOMAS2", "Tomás Quispe")
}

pub(crate) fn incident_reference() -> Value {
    reference("incident", INCIDENT, "Box office cannot print tickets")
}

/// The object with these keys set anew; null stays as null.
pub(crate) fn with(mut object: Value, changes: &Value) -> Value {
    let (fields, changes) = (object.as_object_mut().unwrap(), changes.as_object().unwrap());
    fields.extend(changes.iter().map(|(key, value)| (key.clone(), value.clone())));
    object
}

pub(crate) fn without(mut object: Value, key: &str) -> Value {
    object.as_object_mut().unwrap().remove(key).unwrap();
    object
}

/// A whole incident as in a webhook.
pub(crate) fn incident() -> Value {
    json!({
        "id": INCIDENT,
        "type": "incident",
        "self": format!("https://api.pagerduty.com/incidents/{INCIDENT}"),
        "html_url": format!("https://philharmonie.pagerduty.com/incidents/{INCIDENT}"),
        "number": 4711,
        "status": "triggered",
        "incident_key": null,
        "created_at": "2026-11-20T08:15:29Z",
        "reopened_at": null,
        "title": "Box office cannot print tickets",
        "incident_type": { "name": "incident_default" },
        "service": reference("service", SERVICE, "Ticketing"),
        "assignees": [mira_reference()],
        "escalation_policy": reference("escalation_policy", "PEVENING", "Evening shift"),
        "teams": [reference("team", "PHOUSE", "House technology")],
        "priority": reference("priority", "PPRIO2", "P2"),
        "urgency": "high",
        "conference_bridge": { "conference_number": 4930, "conference_url": "https://meet.example.com/box-office" },
        "resolve_reason": null,
    })
}

/// What [`incident`] says.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        number: 4711,
        title: "Box office cannot print tickets".to_owned(),
        status: Status::Triggered,
        urgency: Urgency::High,
        priority: Some(priority("PPRIO2", "P2")),
        service: ServiceRef { id: service_id(), name: "Ticketing".to_owned() },
        escalation_policy: Some("Evening shift".to_owned()),
        assignees: vec![mira()],
        html_url: format!("https://philharmonie.pagerduty.com/incidents/{INCIDENT}"),
        created_at: Some(at("2026-11-20T08:15:29Z")),
        merged_into: None,
    }
}

/// An event by Mira.
pub(crate) fn envelope(event_type: &str, data: &Value) -> Value {
    json!({ "event": {
        "id": EVENT,
        "event_type": event_type,
        "resource_type": event_type.split('.').next(),
        "occurred_at": "2026-11-20T08:15:30.250Z",
        "agent": mira_reference(),
        "client": null,
        "data": data,
    }})
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}
