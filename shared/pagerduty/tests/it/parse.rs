use std::collections::BTreeSet;

use domain::event::{EventType, subscribed, subscribed_if_allowed};
use domain::ids::{EventId, ServiceId};
use domain::incident::{Actor, Happening, IncidentEvent, Priority, ServiceRef, Snapshot, Status, Urgency};
use pagerduty::webhook::{Received, ServiceChange, ServiceEvent, Unreadable, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::*;

fn read(body: &Value) -> Result<Received, Unreadable> {
    parse(&bytes(body))
}

/// What [`envelope`] gives about [`INCIDENT`].
fn event(snapshot: Option<Snapshot>, what: Option<Happening>) -> Received {
    Received::Incident(IncidentEvent {
        id: event_id(),
        occurred_at: Some(occurred_at()),
        incident: incident_id(),
        by: Some(mira()),
        snapshot,
        what,
    })
}

fn service(change: ServiceChange) -> Received {
    Received::Service(ServiceEvent { id: event_id(), service: service_id(), change })
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Part of an incident, as most events carry it.
fn about(data_type: &str, fields: &Value) -> Value {
    with(json!({ "type": data_type, "id": "PPART11", "incident": incident_reference() }), fields)
}

fn field(name: &str, value: &Value) -> Value {
    json!({ "id": "PFIELD1", "name": name, "namespace": "incidents", "data_type": "string", "field_type": "single_value", "type": "field_value", "value": value })
}

fn assignment(role: &str, assignee: &Value) -> Value {
    json!({
        "id": "6f0c2d5e-1c5f-4d0e-9f0a-3a7f3a1b9c11",
        "type": "role_assignment_reference",
        "status": "active",
        "incident": incident_reference(),
        "role": { "id": "PROLE01", "type": "role_reference", "summary": role },
        "assignee": assignee,
        "old_assignee": null,
    })
}

fn service_object() -> Value {
    with(
        reference("service", SERVICE, "Ticketing"),
        &json!({ "type": "service", "alert_creation": "create_incidents", "teams": [] }),
    )
}

type Row = (&'static str, Value, Received);

/// The events whose data is the whole incident.
fn incident_rows() -> Vec<Row> {
    let row = |event_type, changes: Value, state: Snapshot, what| {
        (event_type, with(incident(), &changes), event(Some(state), Some(what)))
    };
    let assigned = json!({ "assignees": [tomas_reference()] });
    let to_tomas = || Snapshot { assignees: vec![tomas()], ..snapshot() };
    vec![
        row("incident.triggered", json!({}), snapshot(), Happening::Triggered),
        row(
            "incident.acknowledged",
            json!({ "status": "acknowledged" }),
            Snapshot { status: Status::Acknowledged, ..snapshot() },
            Happening::Acknowledged,
        ),
        row("incident.unacknowledged", json!({}), snapshot(), Happening::Unacknowledged),
        row("incident.reopened", json!({ "reopened_at": "2026-11-20T08:15:30Z" }), snapshot(), Happening::Reopened),
        row(
            "incident.resolved",
            json!({ "status": "resolved", "assignees": [] }),
            Snapshot { status: Status::Resolved, assignees: Vec::new(), ..snapshot() },
            Happening::Resolved { merged_into: None },
        ),
        row(
            "incident.escalated",
            assigned.clone(),
            to_tomas(),
            Happening::Escalated { to: vec!["Tomás Quispe".to_owned()] },
        ),
        row("incident.reassigned", assigned, to_tomas(), Happening::Reassigned { to: vec!["Tomás Quispe".to_owned()] }),
        row(
            "incident.delegated",
            json!({ "escalation_policy": reference("escalation_policy", "PNIGHT0", "Night shift") }),
            Snapshot { escalation_policy: some("Night shift"), ..snapshot() },
            Happening::Delegated { to: some("Night shift") },
        ),
        row(
            "incident.priority_updated",
            json!({ "priority": reference("priority", "PPRIO1", "P1") }),
            Snapshot { priority: Some(priority("PPRIO1", "P1")), ..snapshot() },
            Happening::PriorityChanged { to: some("P1") },
        ),
        row(
            "incident.service_updated",
            json!({ "service": reference("service", "PDOORS1", "Doors") }),
            Snapshot {
                service: ServiceRef { id: ServiceId::new("PDOORS1").unwrap(), name: "Doors".to_owned() },
                ..snapshot()
            },
            Happening::ServiceChanged { to: "Doors".to_owned() },
        ),
        row(
            "incident.incident_type.changed",
            json!({ "incident_type": { "name": "major" } }),
            snapshot(),
            Happening::TypeChanged { to: some("major") },
        ),
    ]
}

/// The events whose data is something that belongs to an incident.
fn part_rows() -> Vec<Row> {
    let row =
        |event_type, data_type, fields: Value, what| (event_type, about(data_type, &fields), event(None, Some(what)));
    let task =
        |change: &str| Happening::Task { summary: "Call the printer's maker".to_owned(), change: change.to_owned() };
    let task_fields = || json!({ "name": "Call the printer's maker", "summary": "Call the printer's maker", "status": "todo", "assignees": [] });
    let action =
        |change: &str| Happening::ActionInvocation { action: some("Restart print server"), change: change.to_owned() };
    let action_fields =
        || json!({ "action": reference("action", "01JACTION", "Restart print server"), "state": "created" });
    let workflow = |change: &str| Happening::Workflow { name: some("Open a bridge"), change: change.to_owned() };
    let workflow_fields = || json!({ "summary": "", "incident_workflow": reference("incident_workflow", "PFLOW01", "Open a bridge"), "service": reference("service", SERVICE, "Ticketing") });
    vec![
        row(
            "incident.annotated",
            "incident_note",
            json!({ "content": "Paper jam in hall 2.\nSpare printer is on its way. \n", "trimmed": false }),
            Happening::Note { content: "Paper jam in hall 2.\nSpare printer is on its way.".to_owned() },
        ),
        row(
            "incident.status_update_published",
            "incident_status_update",
            json!({ "message": "Tickets are sold at the side door.", "trimmed": false }),
            Happening::StatusUpdate { message: "Tickets are sold at the side door.".to_owned() },
        ),
        row(
            "incident.responder.added",
            "incident_responder",
            json!({ "user": tomas_reference(), "escalation_policy": reference("escalation_policy", "PNIGHT0", "Night shift"), "message": "Please come", "state": "pending" }),
            Happening::ResponderAdded { who: some("Tomás Quispe"), message: some("Please come") },
        ),
        row(
            "incident.responder.replied",
            "incident_responder",
            json!({ "user": tomas_reference(), "escalation_policy": null, "message": "On my way\n", "state": "accepted" }),
            Happening::ResponderReplied {
                who: some("Tomás Quispe"),
                reply: "accepted".to_owned(),
                message: some("On my way"),
            },
        ),
        row(
            "incident.conference_bridge.updated",
            "incident_conference_bridge",
            json!({ "conference_numbers": [{ "label": "", "number": "+49 30 5550100" }], "conference_url": "https://meet.example.com/box-office" }),
            Happening::ConferenceBridge {
                url: some("https://meet.example.com/box-office"),
                numbers: vec!["+49 30 5550100".to_owned()],
            },
        ),
        row(
            "incident.custom_field_values.updated",
            "incident_field_values",
            json!({ "custom_fields": [field("hall", &json!("2")), field("sold_out", &json!(true))], "changed_custom_fields": [field("hall", &json!("1"))] }),
            Happening::CustomFields { names: vec!["hall".to_owned()] },
        ),
        row("incident.task.created", "incident_task", task_fields(), task("created")),
        row("incident.task.updated", "incident_task", task_fields(), task("updated")),
        row("incident.task.completed", "incident_task", task_fields(), task("completed")),
        row("incident.action_invocation.created", "incident_action_invocation", action_fields(), action("created")),
        row("incident.action_invocation.updated", "incident_action_invocation", action_fields(), action("updated")),
        row(
            "incident.action_invocation.terminated",
            "incident_action_invocation",
            action_fields(),
            action("terminated"),
        ),
        row("incident.workflow.started", "incident_workflow_instance", workflow_fields(), workflow("started")),
        row("incident.workflow.completed", "incident_workflow_instance", workflow_fields(), workflow("completed")),
        (
            "incident.role.assigned",
            json!({ "type": "incident_role_assignment", "incident_role_assignments": [assignment("Commander", &mira_reference()), assignment("Scribe", &Value::Null)] }),
            event(
                None,
                Some(Happening::Roles {
                    assignments: vec!["Commander: Mira Solberg".to_owned(), "Scribe: nobody".to_owned()],
                }),
            ),
        ),
    ]
}

fn service_rows() -> Vec<Row> {
    let values = json!({ "type": "service_field_values", "service": reference("service", SERVICE, "Ticketing"), "custom_fields": [field("hall", &json!(["1", "2"]))], "changed_custom_fields": [] });
    vec![
        ("service.created", service_object(), service(ServiceChange::Created)),
        ("service.updated", service_object(), service(ServiceChange::Updated { name: some("Ticketing") })),
        ("service.deleted", service_object(), service(ServiceChange::Deleted)),
        ("service.custom_field_values.updated", values, service(ServiceChange::CustomFields)),
    ]
}

fn rows() -> Vec<Row> {
    [incident_rows(), part_rows(), service_rows()].concat()
}

fn with_time(given: &Value) -> Value {
    let mut body = envelope("incident.acknowledged", &incident());
    body["event"]["occurred_at"] = given.clone();
    body
}

#[test]
fn a_time_that_cannot_be_read_costs_the_time_only() {
    for (given, expected) in [
        (json!("2026-11-20T08:15:30.250Z"), Some("2026-11-20T08:15:30.250Z")),
        (json!("2026-11-20T09:15:30.250+01:00"), Some("2026-11-20T08:15:30.250Z")),
        (json!("2026-11-20T08:15:30.250"), Some("2026-11-20T08:15:30.250Z")),
        (json!(" 2026-11-20 08:15:30 "), Some("2026-11-20T08:15:30Z")),
        (json!(null), None),
        (json!("noon"), None),
        (json!(1_795_424_400), None),
    ] {
        let Ok(Received::Incident(event)) = read(&with_time(&given)) else {
            panic!("{given} costs the event");
        };
        assert_eq!(event.occurred_at, expected.map(|at| at.parse().unwrap()), "{given}");
        assert!(event.snapshot.is_some() && event.what.is_some(), "{given}");
    }
}

#[test]
fn every_documented_type() {
    let rows = rows();
    assert_eq!(rows.iter().map(|(event_type, ..)| *event_type).collect::<BTreeSet<_>>().len(), 30);
    for (event_type, data, expected) in rows {
        if let Received::Incident(IncidentEvent { what: Some(what), .. }) = &expected {
            assert_eq!(what.event_type().name(), event_type);
        }
        assert_eq!(read(&envelope(event_type, &data)), Ok(expected), "{event_type}");
    }
}

#[test]
fn asks_for_all_documented_types_that_it_may_be_told() {
    let documented: BTreeSet<&str> = rows().iter().map(|(event_type, ..)| *event_type).collect();
    for (names, left_out) in [
        (subscribed(), &["incident.workflow.completed", "incident.workflow.started", "service.created"][..]),
        (subscribed_if_allowed(), &["service.created"]),
    ] {
        let asked: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(asked.len(), names.len());
        assert_eq!(documented.symmetric_difference(&asked).copied().collect::<Vec<_>>(), left_out);
    }
}

/// Product and simulator share no table, so that neither hides a mistake of the other's.
#[test]
fn the_product_and_its_simulator_know_the_documented_types() {
    let documented: BTreeSet<&str> = rows().iter().map(|(event_type, ..)| *event_type).collect();
    assert_eq!(EventType::ALL.iter().map(|known| known.name()).collect::<BTreeSet<_>>(), documented);
    assert_eq!(simulators::pagerduty::event_types().collect::<BTreeSet<_>>(), documented);
}

#[test]
fn a_ping_needs_nothing() {
    for data in [json!({ "message": "Hello", "type": "ping" }), Value::Null] {
        assert_eq!(read(&envelope("pagey.ping", &data)), Ok(Received::Ping));
    }
    assert_eq!(read(&json!({ "event": { "event_type": "pagey.ping" } })), Ok(Received::Ping));
}

#[test]
fn unknown_types_are_fine() {
    let unknown = |event_type: &str| Ok(Received::Unknown { event_type: event_type.to_owned() });
    for (event_type, data) in [
        ("incident.teleported", about("incident_teleport", &json!({}))),
        ("incident", incident()),
        ("incident_note.created", about("incident_note", &json!({}))),
        ("service.painted", service_object()),
        ("pagey.pong", json!({ "type": "ping" })),
        ("orchestra.tuned", json!({})),
        // Carries an incident that we cannot read: nobody promised the shape of a type that we do not know.
        ("incident.teleported", with(incident(), &json!({ "status": "floating" }))),
        ("incident.teleported", json!({ "type": "incident" })),
    ] {
        assert_eq!(read(&envelope(event_type, &data)), unknown(event_type), "{event_type}");
    }
    assert_eq!(read(&envelope(&"x".repeat(5000), &json!({}))), unknown(&format!("{}…", "x".repeat(99))));
}

#[test]
fn an_unknown_type_with_a_whole_incident_still_gives_its_state() {
    let data = with(incident(), &json!({ "title": "Box office cannot sell tickets" }));
    let state = Snapshot { title: "Box office cannot sell tickets".to_owned(), ..snapshot() };
    assert_eq!(read(&envelope("incident.title_updated", &data)), Ok(event(Some(state), None)));
}

#[test]
fn agents_come_in_all_shapes() {
    let name_only = |name: &str| Some(Actor { user: None, name: name.to_owned() });
    for (agent, expected) in [
        (Value::Null, None),
        (mira_reference(), Some(mira())),
        (json!({ "id": "PMIRA01", "type": "user_reference" }), Some(person("PMIRA01", "PMIRA01"))),
        (json!({ "id": "PMIRA01", "type": "user", "summary": null, "name": "Mira" }), Some(person("PMIRA01", "Mira"))),
        (json!({ "id": "PMIRA01", "type": "user_reference", "summary": " " }), Some(person("PMIRA01", "PMIRA01"))),
        (reference("inbound_integration", "PINTEG1", "Smoke detectors"), name_only("Smoke detectors")),
        (reference("service", SERVICE, "Ticketing"), name_only("Ticketing")),
        (reference("bot_user", "PBOT001", "Stage hand"), name_only("Stage hand")),
        (json!({ "summary": "Somebody" }), name_only("Somebody")),
        (json!({ "id": "has a blank", "type": "user_reference", "summary": "Odd" }), name_only("Odd")),
        (json!({ "type": "user_reference" }), None),
        (json!({}), None),
        (json!("Mira"), None),
        (json!([1]), None),
    ] {
        let mut body = envelope("incident.triggered", &incident());
        body["event"]["agent"] = agent.clone();
        let Ok(Received::Incident(event)) = read(&body) else { panic!("{agent}") };
        assert_eq!(event, IncidentEvent { by: expected, ..whole_event() }, "{agent}");
    }
    let mut body = envelope("incident.triggered", &incident());
    body["event"] = without(body["event"].clone(), "agent");
    assert_eq!(read(&body), Ok(Received::Incident(IncidentEvent { by: None, ..whole_event() })));
}

fn whole_event() -> IncidentEvent {
    let Received::Incident(event) = event(Some(snapshot()), Some(Happening::Triggered)) else { unreachable!() };
    event
}

#[test]
fn gaps_in_an_incident() {
    let none = Value::Null;
    for (changes, expected) in [
        (json!({ "incident_key": "abc", "teams": [], "conference_bridge": null }), snapshot()),
        (json!({ "conference_bridge": { "conference_number": 1000, "conference_url": null } }), snapshot()),
        (json!({ "priority": none }), Snapshot { priority: None, ..snapshot() }),
        (
            json!({ "priority": { "id": "PPRIO2" } }),
            Snapshot { priority: Some(priority("PPRIO2", "PPRIO2")), ..snapshot() },
        ),
        (
            json!({ "priority": { "id": "has a blank", "summary": "P2" } }),
            Snapshot { priority: Some(Priority { id: None, name: "P2".to_owned() }), ..snapshot() },
        ),
        (json!({ "escalation_policy": none }), Snapshot { escalation_policy: None, ..snapshot() }),
        (json!({ "assignees": none }), Snapshot { assignees: Vec::new(), ..snapshot() }),
        (json!({ "assignees": [none, {}, tomas_reference()] }), Snapshot { assignees: vec![tomas()], ..snapshot() }),
        (json!({ "created_at": none }), Snapshot { created_at: None, ..snapshot() }),
        (json!({ "created_at": "last Friday" }), Snapshot { created_at: None, ..snapshot() }),
        (json!({ "created_at": "2026-11-20T03:15:29-05:00" }), snapshot()),
        (json!({ "urgency": none }), snapshot()),
        (json!({ "urgency": "severe" }), snapshot()),
        (json!({ "urgency": "low" }), Snapshot { urgency: Urgency::Low, ..snapshot() }),
        (json!({ "number": "4711" }), snapshot()),
        (json!({ "number": none, "incident_number": 4711 }), snapshot()),
        (json!({ "number": none, "summary": "[#4711] Box office" }), snapshot()),
        (json!({ "number": none, "summary": "[#x] Box office" }), Snapshot { number: 0, ..snapshot() }),
        (json!({ "number": -1 }), Snapshot { number: 0, ..snapshot() }),
        (json!({ "status": none }), snapshot()),
        (json!({ "status": "floating" }), snapshot()),
        (json!({ "title": none }), Snapshot { title: "(no title)".to_owned(), ..snapshot() }),
        (
            json!({ "title": " ", "summary": "[#4711] Box office" }),
            Snapshot { title: "[#4711] Box office".to_owned(), ..snapshot() },
        ),
        (json!({ "html_url": none }), Snapshot { html_url: String::new(), ..snapshot() }),
        (
            json!({ "service": { "id": SERVICE } }),
            Snapshot { service: ServiceRef { id: service_id(), name: SERVICE.to_owned() }, ..snapshot() },
        ),
        (
            json!({ "service": reference("service", SERVICE, "Ticketing"), "resolve_reason": { "type": "merge_resolve_reason", "incident": reference("incident", "Q2OTHER", "Power is out") } }),
            Snapshot { merged_into: some("Power is out"), ..snapshot() },
        ),
        (
            json!({ "resolve_reason": { "type": "merge_resolve_reason", "incident": { "id": "Q2OTHER", "summary": null } } }),
            Snapshot { merged_into: some("Q2OTHER"), ..snapshot() },
        ),
        (json!({ "resolve_reason": { "type": "merge_resolve_reason", "incident": none } }), snapshot()),
    ] {
        let body = envelope("incident.triggered", &with(incident(), &changes));
        assert_eq!(read(&body), Ok(event(Some(expected), Some(Happening::Triggered))), "{changes}");
    }
    for key in ["incident_key", "reopened_at", "incident_type", "teams", "conference_bridge", "resolve_reason", "self"]
    {
        let body = envelope("incident.triggered", &without(incident(), key));
        assert_eq!(read(&body), Ok(event(Some(snapshot()), Some(Happening::Triggered))), "{key}");
    }
}

#[test]
fn an_incident_whose_state_cannot_be_read_is_a_reference() {
    for (event_type, changes, happened) in [
        ("incident.triggered", json!({ "service": null }), Happening::Triggered),
        ("incident.triggered", json!({ "service": "PTICKET" }), Happening::Triggered),
        ("incident.resolved", json!({ "service": { "id": "a#b" } }), Happening::Resolved { merged_into: None }),
        ("incident.priority_updated", json!({ "status": null, "priority": null }), {
            Happening::PriorityChanged { to: None }
        }),
    ] {
        assert!(happened.brings_state(), "so PagerDuty is asked");
        let body = envelope(event_type, &with(incident(), &changes));
        assert_eq!(read(&body), Ok(event(None, Some(happened))), "{event_type} {changes}");
    }
}

#[test]
fn an_event_without_a_legible_type_tells_its_state() {
    for event_type in [Value::Null, json!(7), json!(""), json!("incident.\u{fffd}")] {
        let mut body = envelope("incident.triggered", &incident());
        body["event"]["event_type"] = event_type.clone();
        assert_eq!(read(&body), Ok(event(Some(snapshot()), None)), "{event_type}");
    }
}

#[test]
fn an_event_without_a_legible_id_gets_one_of_its_body() {
    for id in [Value::Null, json!(""), json!("a#b"), json!("x".repeat(301)), json!("01\u{fffd}"), json!([])] {
        let mut body = envelope("incident.triggered", &incident());
        body["event"]["id"] = id.clone();
        let id_of = |body: &Value| match read(body) {
            Ok(Received::Incident(event)) => event.id,
            other => panic!("{other:?}"),
        };
        let given = id_of(&body);
        assert_eq!(read(&body), Ok(Received::Incident(IncidentEvent { id: given.clone(), ..whole_event() })), "{id}");
        assert_eq!(id_of(&body), given, "delivered again, it is the same event");
        body["event"]["occurred_at"] = json!("2026-11-23T10:00:01Z");
        assert_ne!(id_of(&body), given, "another event is another one");
    }
}

#[test]
fn what_cannot_be_read_costs_its_own_field() {
    let whole = String::from_utf8(bytes(&envelope("incident.triggered", &incident()))).unwrap();
    let title =
        |title: &str| event(Some(Snapshot { title: title.to_owned(), ..snapshot() }), Some(Happening::Triggered));
    let replaced = |old: &str, new: &[u8]| {
        let (before, after) = whole.split_once(old).unwrap_or_else(|| panic!("{old} is in {whole}"));
        [before.as_bytes(), new, after.as_bytes()].concat()
    };
    let old = json!(snapshot().title).to_string();
    let deep = format!("\"deep\":{}1{},\"title\":", "[".repeat(200), "]".repeat(200));
    for (name, body, expected) in [
        ("half an emoji", replaced(&old, br#""DB down \ud83d""#), title("DB down \u{fffd}")),
        ("bad UTF-8", replaced(&old, b"\"DB down \xf0\x9f\""), title("DB down \u{fffd}")),
        ("control characters", replaced(&old, b"\"DB\x00 \x1bdown\""), title("DB down")),
        ("a number instead", replaced(&old, b"1e999"), title("(no title)")),
        ("something deep", replaced("\"title\":", deep.as_bytes()), title(&snapshot().title)),
        ("a byte order mark", [b"\xef\xbb\xbf", whole.as_bytes()].concat(), title(&snapshot().title)),
        ("something behind it", [whole.as_bytes(), b"\0\n}"].concat(), title(&snapshot().title)),
        ("a number out of range", replaced("4711", b"1e999"), {
            event(Some(Snapshot { number: 0, ..snapshot() }), Some(Happening::Triggered))
        }),
    ] {
        assert_eq!(parse(&body), Ok(expected), "{name}");
    }
}

#[test]
fn a_merge_names_the_target_in_the_log_too() {
    let changes = json!({ "status": "resolved", "assignees": [], "resolve_reason": { "type": "merge_resolve_reason", "incident": reference("incident", "Q2OTHER", "Power is out") } });
    let state =
        Snapshot { status: Status::Resolved, assignees: Vec::new(), merged_into: some("Power is out"), ..snapshot() };
    let expected = event(Some(state), Some(Happening::Resolved { merged_into: some("Power is out") }));
    assert_eq!(read(&envelope("incident.resolved", &with(incident(), &changes))), Ok(expected));
}

#[test]
fn gaps_in_the_parts() {
    let bridge = |url: Option<&str>, numbers: &[&str]| Happening::ConferenceBridge {
        url: url.map(str::to_owned),
        numbers: numbers.iter().map(|&number| number.to_owned()).collect(),
    };
    let url = |url| bridge(url, &[]);
    for (event_type, data, expected) in [
        ("incident.annotated", json!({ "content": null }), Happening::Note { content: String::new() }),
        (
            "incident.annotated",
            json!({ "content": 7, "incident": { "id": INCIDENT, "summary": null } }),
            Happening::Note { content: String::new() },
        ),
        ("incident.status_update_published", json!({}), Happening::StatusUpdate { message: String::new() }),
        (
            "incident.responder.added",
            json!({ "user": null, "escalation_policy": reference("escalation_policy", "PNIGHT0", "Night shift") }),
            Happening::ResponderAdded { who: some("Night shift"), message: None },
        ),
        (
            "incident.responder.added",
            json!({ "message": " \n" }),
            Happening::ResponderAdded { who: None, message: None },
        ),
        (
            "incident.responder.replied",
            json!({ "user": null, "message": 7 }),
            Happening::ResponderReplied { who: None, reply: "replied".to_owned(), message: None },
        ),
        (
            "incident.conference_bridge.updated",
            json!({ "conference_numbers": null, "conference_url": null }),
            url(None),
        ),
        ("incident.conference_bridge.updated", json!({ "conference_numbers": [], "conference_url": "" }), url(None)),
        (
            "incident.conference_bridge.updated",
            json!({ "conference_numbers": [{ "label": "", "number": 4930 }], "conference_url": null }),
            url(Some("4930")),
        ),
        (
            "incident.conference_bridge.updated",
            json!({ "conference_numbers": [{ "number": null }, { "number": "+49 30 5550100" }] }),
            url(Some("+49 30 5550100")),
        ),
        (
            "incident.conference_bridge.updated",
            json!({ "conference_numbers": [{ "label": " Berlin ", "number": "+49 30 5550100,,12#" }, "x", { "number": 4930 }] }),
            bridge(Some("Berlin +49 30 5550100,,12#"), &["4930"]),
        ),
        (
            "incident.custom_field_values.updated",
            json!({ "custom_fields": [field("hall", &json!(2)), { "id": "PX" }], "changed_custom_fields": null }),
            Happening::CustomFields { names: vec!["hall".to_owned()] },
        ),
        ("incident.custom_field_values.updated", json!({}), Happening::CustomFields { names: Vec::new() }),
        (
            "incident.task.created",
            json!({ "summary": null, "name": null }),
            Happening::Task { summary: String::new(), change: "created".to_owned() },
        ),
        (
            "incident.action_invocation.updated",
            json!({ "action": null }),
            Happening::ActionInvocation { action: None, change: "updated".to_owned() },
        ),
        (
            "incident.workflow.completed",
            json!({ "incident_workflow": null }),
            Happening::Workflow { name: None, change: "completed".to_owned() },
        ),
        ("incident.role.assigned", json!({}), Happening::Roles { assignments: Vec::new() }),
    ] {
        let body = envelope(event_type, &about("something", &data));
        assert_eq!(read(&body), Ok(event(None, Some(expected))), "{event_type} {data}");
    }
}

#[test]
fn roles_name_the_incident_where_one_of_them_does() {
    let assignments = json!([
        with(assignment("Commander", &mira_reference()), &json!({ "incident": null })),
        assignment("Scribe", &tomas_reference())
    ]);
    let data =
        json!({ "type": "incident_role_assignment", "incident": null, "incident_role_assignments": assignments });
    let roles = vec!["Commander: Mira Solberg".to_owned(), "Scribe: Tomás Quispe".to_owned()];
    assert_eq!(
        read(&envelope("incident.role.assigned", &data)),
        Ok(event(None, Some(Happening::Roles { assignments: roles })))
    );
}

#[test]
fn only_data_that_is_an_incident_gives_its_state() {
    let data = with(incident(), &json!({ "type": "incident_note", "incident": incident_reference(), "content": "Hi" }));
    let expected = event(None, Some(Happening::Note { content: "Hi".to_owned() }));
    assert_eq!(read(&envelope("incident.annotated", &data)), Ok(expected));
}

#[test]
fn a_service_without_a_name_keeps_the_one_it_had() {
    let data = with(service_object(), &json!({ "summary": null }));
    assert_eq!(read(&envelope("service.updated", &data)), Ok(service(ServiceChange::Updated { name: None })));
    let data = with(service_object(), &json!({ "service": null }));
    assert_eq!(read(&envelope("service.deleted", &data)), Ok(service(ServiceChange::Deleted)));
}

#[test]
fn event_ids_are_taken_as_they_are() {
    for id in
        ["32743191412443541367815146404898342710", "0d6f6b0e-7c1f-4bb5-8e0b-5f2f9c1f2f3a", "01JKZ4M8T2RWB6Q0E5HNVXCY7D"]
    {
        let mut body = envelope("incident.triggered", &incident());
        body["event"]["id"] = json!(id);
        let expected = IncidentEvent { id: EventId::new(id).unwrap(), ..whole_event() };
        assert_eq!(read(&body), Ok(Received::Incident(expected)));
    }
}

#[test]
fn what_is_no_event_is_unreadable_and_says_why() {
    let event_with = |changes: &Value| {
        let mut body = envelope("incident.triggered", &incident());
        body["event"] = with(body["event"].clone(), changes);
        body
    };
    let data_with = |changes: &Value| event_with(&json!({ "data": with(incident(), changes) }));
    for (body, missing) in [
        (json!({}), "event"),
        (json!([]), "event"),
        (json!("event"), "event"),
        (json!({ "event": null }), "event"),
        (json!({ "event": [] }), "event"),
        (json!({ "event": {} }), "event type"),
        (event_with(&json!({ "event_type": null, "data": { "type": "incident_note" } })), "event type"),
        (event_with(&json!({ "event_type": 7, "data": null })), "event type"),
        (event_with(&json!({ "data": null })), "incident id"),
        (event_with(&json!({ "data": { "type": "incident_note", "incident": {} } })), "incident id"),
        (data_with(&json!({ "id": null })), "incident id"),
        (data_with(&json!({ "id": "has a blank" })), "incident id"),
        (data_with(&json!({ "id": "P\u{fffd}" })), "incident id"),
        (event_with(&json!({ "event_type": "service.updated", "data": {} })), "service id"),
    ] {
        assert_eq!(read(&body), Err(Unreadable::Missing(missing)), "{body}");
    }
    for body in [&b""[..], b"{", b"{\"event\":", b"\xff\xfe", b"hello", "[".repeat(100_000).as_bytes()] {
        assert_eq!(parse(body), Err(Unreadable::NotJson));
    }
    assert_eq!(parse(format!("[{}0]", "[],".repeat(50_000)).as_bytes()), Err(Unreadable::TooManyParts));
}

#[test]
fn an_unreadable_body_is_not_repeated() {
    let mut body = envelope("incident.triggered", &with(incident(), &json!({ "id": "hunter2 hunter2" })));
    body["event"]["client"] = json!("hunter2");
    let reason = read(&body).unwrap_err();
    assert_eq!(reason.to_string(), "the event has no usable incident id");
    assert!(!format!("{reason:?}").contains("hunter2"));
}

/// The addresses of everything in a JSON value.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    found.push(place.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            places(value, &format!("{place}/{key}"), found);
        }),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(i, value)| places(value, &format!("{place}/{i}"), found))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(Value::from("incident")),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("id|type|incident|summary|.{0,5}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_break_it(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&body);
    }

    #[test]
    fn a_cut_body_is_unreadable(row in any::<prop::sample::Index>(), length in any::<prop::sample::Index>()) {
        let rows = rows();
        let (event_type, data, _) = row.get(&rows);
        let body = bytes(&envelope(event_type, data));
        prop_assert_eq!(parse(&body[..length.index(body.len())]), Err(Unreadable::NotJson));
    }

    #[test]
    fn nothing_in_any_place_breaks_it(
        row in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..4),
    ) {
        let rows = rows();
        let (event_type, data, _) = row.get(&rows);
        let mut body = envelope(event_type, data);
        for (place, value) in changes {
            let mut found = Vec::new();
            places(&body, "", &mut found);
            let place: &String = place.get(&found);
            *body.pointer_mut(place).unwrap() = value;
        }
        let _ = read(&body);
    }
}
