//! People and tools at work, and the webhooks that follow.

use serde_json::{Value, json};

use crate::shapes;
use crate::world::World;

/// (event type, agent's type, status in `data`, who has it)
fn told(event: &Value) -> (String, String, String, String) {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    (text("/event_type"), text("/agent/type"), text("/data/status"), text("/data/assignees/0/summary"))
}

/// What is done, how, and what is told of it.
type Act<'a> = (&'a str, Box<dyn Fn() + 'a>, Vec<(&'a str, &'a str, &'a str, &'a str)>);

#[tokio::test]
async fn each_act_sends_its_event() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let pagerduty = &world.pagerduty;
    let night = pagerduty.add_policy("Night", &[&[&world.ben]]);
    let other = pagerduty.trigger(&world.service, "other", "high");
    let incident = pagerduty.trigger(&world.service, "DB down", "high");
    let (ada, ben) = (&world.ada, &world.ben);
    world.deliver().await;
    let triggered = world.take("a").pop().unwrap().event;
    assert_eq!(
        told(&triggered),
        told_as("incident.triggered", "inbound_integration_reference", "triggered", "Ada Wong")
    );
    let person = "user_reference";
    let acts: Vec<Act<'_>> = vec![
        (
            "acknowledge",
            Box::new(|| pagerduty.acknowledge(&incident, ben)),
            vec![("incident.acknowledged", person, "acknowledged", "Ben Okafor")],
        ),
        ("acknowledge again", Box::new(|| pagerduty.acknowledge(&incident, ben)), vec![]),
        (
            "a note",
            Box::new(|| pagerduty.add_note(&incident, ada, "on it")),
            vec![("incident.annotated", person, "-", "-")],
        ),
        (
            "time is up",
            Box::new(|| pagerduty.unacknowledge(&incident)),
            vec![("incident.unacknowledged", "-", "triggered", "Ben Okafor")],
        ),
        ("time is up again", Box::new(|| pagerduty.unacknowledge(&incident)), vec![]),
        (
            "reassign",
            Box::new(|| pagerduty.reassign(&incident, ada, ada)),
            vec![("incident.reassigned", person, "triggered", "Ada Wong")],
        ),
        (
            "escalate",
            Box::new(|| pagerduty.escalate(&incident, ben)),
            vec![("incident.escalated", "-", "triggered", "Ben Okafor")],
        ),
        (
            "delegate",
            Box::new(|| pagerduty.delegate(&incident, ada, &night)),
            vec![("incident.delegated", person, "triggered", "Ben Okafor")],
        ),
        (
            "type",
            Box::new(|| pagerduty.change_type(&incident, ada, "major_incident")),
            vec![("incident.incident_type.changed", person, "triggered", "Ben Okafor")],
        ),
        (
            "bridge",
            Box::new(|| pagerduty.set_conference(&incident, ada, None, Some("https://meet.example/1"))),
            vec![("incident.conference_bridge.updated", person, "-", "-")],
        ),
        ("title", Box::new(|| pagerduty.set_title(&incident, ada, "DB on fire")), vec![]),
        ("urgency", Box::new(|| pagerduty.set_urgency(&incident, ada, "low")), vec![]),
        (
            "status update",
            Box::new(|| pagerduty.publish_status_update(&incident, ada, "soon")),
            vec![("incident.status_update_published", person, "-", "-")],
        ),
        (
            "ask",
            Box::new(|| pagerduty.ask_responder(&incident, ada, ben, "help")),
            vec![("incident.responder.added", person, "-", "-")],
        ),
        (
            "answer",
            Box::new(|| pagerduty.answer_request(&incident, ben, true, "coming\n")),
            vec![("incident.responder.replied", person, "-", "-")],
        ),
        (
            "by the tool",
            Box::new(|| pagerduty.resolve_by_integration(&incident)),
            vec![("incident.resolved", "inbound_integration_reference", "resolved", "-")],
        ),
        ("resolve again", Box::new(|| pagerduty.resolve(&incident, ada)), vec![]),
        (
            "reopen",
            Box::new(|| pagerduty.reopen(&incident, ada)),
            vec![("incident.reopened", person, "triggered", "Ben Okafor")],
        ),
        ("reopen again", Box::new(|| pagerduty.reopen(&incident, ada)), vec![]),
        (
            "with a note",
            Box::new(|| pagerduty.resolve_with_note(&incident, ada, "restarted")),
            vec![("incident.resolved", person, "resolved", "-"), ("incident.annotated", person, "-", "-")],
        ),
        (
            "merge",
            Box::new(|| pagerduty.merge(&other, &pagerduty.trigger(&world.service, "target", "high"), ben)),
            vec![
                ("incident.triggered", "inbound_integration_reference", "triggered", "Ada Wong"),
                ("incident.resolved", person, "resolved", "-"),
            ],
        ),
        (
            "orchestration",
            Box::new(|| drop(pagerduty.trigger_by_orchestration(&world.service, "x", "low"))),
            vec![("incident.triggered", "-", "triggered", "Ada Wong")],
        ),
        (
            "by hand",
            Box::new(|| drop(pagerduty.trigger_by_user(&world.service, "x", "low", ben))),
            vec![("incident.triggered", person, "triggered", "Ada Wong")],
        ),
        (
            "rename the service",
            Box::new(|| pagerduty.rename_service(&world.service, "Money")),
            vec![("service.updated", "-", "-", "-")],
        ),
        (
            "delete the service",
            Box::new(|| pagerduty.delete_service(&world.service)),
            vec![("service.deleted", "-", "-", "-")],
        ),
    ];
    for (what, act, expected) in acts {
        act();
        world.deliver().await;
        let got: Vec<_> = world.take("a").iter().map(|received| told(&received.event)).collect();
        let expected: Vec<_> = expected.into_iter().map(|(a, b, c, d)| told_as(a, b, c, d)).collect();
        assert_eq!(got, expected, "{what}");
    }
    world.finish();
}

fn told_as(event_type: &str, agent: &str, status: &str, assignee: &str) -> (String, String, String, String) {
    (event_type.to_owned(), agent.to_owned(), status.to_owned(), assignee.to_owned())
}

#[tokio::test]
async fn a_priority_from_the_start_is_told_at_once() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let pagerduty = &world.pagerduty;
    let priority = pagerduty.add_priority("P1");
    pagerduty.trigger_with_priority(&world.service, "DB down", "high", &priority);
    world.deliver().await;
    let events: Vec<Value> = world.take("a").into_iter().map(|received| received.event).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    for (pointer, expected) in [
        ("/event_type", json!("incident.triggered")),
        ("/agent/type", json!("inbound_integration_reference")),
        ("/data/priority/id", json!(priority)),
        ("/data/priority/summary", json!("P1")),
    ] {
        assert_eq!(events[0].pointer(pointer), Some(&expected), "{pointer}");
    }
    assert_eq!(pagerduty.trigger_with_priority(&world.service, "DB down", "high", "PX"), "");
    world.finish_with(&["trigger_with_priority: there is no PX"]);
}

#[tokio::test]
async fn an_event_is_told_as_webhooks_tell_it() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let pagerduty = &world.pagerduty;
    let priority = pagerduty.add_priority("P1");
    let target = pagerduty.trigger(&world.service, "target", "high");
    let incident =
        pagerduty.trigger_with_client(&world.service, "DB down", "low", "Grafana", "https://grafana.example/d/1");
    pagerduty.set_priority(&incident, &world.ada, Some(&priority));
    pagerduty.merge(&incident, &target, &world.ben);
    pagerduty.add_note(&target, &world.ben, &"ü".repeat(5000));
    pagerduty.answer_request(&target, &world.ben, false, "no");
    world.deliver().await;
    let events: Vec<Value> = world.take("a").into_iter().map(|received| received.event).collect();
    let reference = |kind: &str, id: &str, name: &str, path: &str| {
        json!({ "id": id, "type": format!("{kind}_reference"), "summary": name,
                "self": format!("{}/{path}/{id}", world.base), "html_url": format!("{}/{path}/{id}", world.base) })
    };
    for (event, pointer, expected) in [
        (1, "/client", json!({ "name": "Grafana", "url": "https://grafana.example/d/1" })),
        (1, "/resource_type", json!("incident")),
        (1, "/data/number", json!(2)),
        (1, "/data/incident_key", Value::Null),
        (1, "/data/created_at", json!("2026-11-23T09:00:00Z")),
        (1, "/data/service", reference("service", &world.service, "Payments", "services")),
        (1, "/data/urgency", json!("low")),
        (1, "/data/priority", Value::Null),
        (1, "/data/resolve_reason", Value::Null),
        (2, "/agent", reference("user", &world.ada, "Ada Wong", "users")),
        (2, "/client", Value::Null),
        (2, "/data/priority/summary", json!("P1")),
        (2, "/data/priority/html_url", json!(format!("{}/account/incident_priorities", world.base))),
        (3, "/data/assignees", json!([])),
        (
            3,
            "/data/resolve_reason",
            json!({ "type": "merge_resolve_reason", "incident": reference("incident", &target, "target", "incidents") }),
        ),
        (4, "/data/incident", reference("incident", &target, "target", "incidents")),
        (4, "/data/trimmed", json!(true)),
        (4, "/data/content", json!("ü".repeat(4096))),
        (5, "/data/state", json!("declined")),
        (5, "/data/escalation_policy", Value::Null),
    ] {
        assert_eq!(events[event].pointer(pointer), Some(&expected), "{event} {pointer}");
    }
    assert_eq!(world.get(&format!("/incidents/{target}/notes")).await.text("/notes/0/content").chars().count(), 5000);
    assert_eq!(world.incident(&target)["alert_counts"]["all"], 2, "the alert of the source has moved");
    world.finish();
}

#[tokio::test]
async fn events_have_times_and_ids_that_only_grow() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.add_note(&incident, &world.ada, "one");
    world.pagerduty.add_note(&incident, &world.ada, "two");
    world.advance(jiff::SignedDuration::from_secs(1));
    world.pagerduty.resolve(&incident, &world.ada);
    world.deliver().await;
    let events = world.take("a");
    let times: Vec<&str> = events.iter().map(|received| received.event["occurred_at"].as_str().unwrap()).collect();
    let expected = [
        "2026-11-23T09:00:00.251Z",
        "2026-11-23T09:00:00.252Z",
        "2026-11-23T09:00:00.253Z",
        "2026-11-23T09:00:01.250Z",
    ];
    assert_eq!(times, expected, "the service was made at .250");
    let ids: Vec<&str> = events.iter().map(|received| received.event["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 26), "{ids:?}");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    world.finish();
}

#[tokio::test]
async fn every_documented_event_type_can_be_sent() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.deliver().await;
    world.take("a");
    let before = world.incident(&incident);
    let types: Vec<String> = shapes::event_types().into_iter().filter(|kind| kind != "pagey.ping").collect();
    assert_eq!(types.len(), 30);
    for kind in &types {
        world.pagerduty.emit(kind, &incident);
    }
    world.deliver().await;
    let mut sent = world.kinds("a");
    sent.sort();
    assert_eq!(sent, types);
    for received in world.take("a") {
        let id = received.event["id"].as_str().unwrap();
        let is_decimal = id.len() == 38 && id.bytes().all(|byte| byte.is_ascii_digit());
        assert_eq!(is_decimal, received.kind().starts_with("incident.workflow."), "{id}");
    }
    assert_eq!(world.incident(&incident), before, "nothing has changed");
    world.finish();
}

#[tokio::test]
async fn other_event_types_reach_everybody_who_listens_to_the_service() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.emit_with("incident.sang", &incident, Some(&world.ada), json!({ "type": "song" }));
    let sent: Vec<_> = world.pagerduty.take_pending();
    assert_eq!(
        sent.iter().map(|pending| pending.event_type()).collect::<Vec<_>>(),
        ["incident.triggered", "incident.sang"]
    );
    let body: Value = serde_json::from_str(sent[1].body()).unwrap();
    assert_eq!(body["event"]["data"], json!({ "type": "song" }));
    world.finish();
}

#[tokio::test]
async fn a_mistake_in_the_script_changes_nothing_and_is_listed() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    let over = world.pagerduty.trigger(&world.service, "over", "high");
    world.pagerduty.resolve(&over, &world.ada);
    let before = world.pagerduty.snapshot();
    world.pagerduty.add_user("Eve", "eve@example.com", "emperor");
    world.pagerduty.trigger("PX", "DB down", "high");
    world.pagerduty.acknowledge("QX", &world.ada);
    world.pagerduty.resolve(&incident, "PX");
    world.pagerduty.merge(&incident, &over, &world.ada);
    world.pagerduty.emit("incident.sang", &incident);
    world.pagerduty.rename_service("PX", "x");
    world.pagerduty.sign_also_with("PX", "x");
    assert_eq!(world.pagerduty.snapshot(), before);
    let song = format!("emit: there is no incident.sang about {incident}");
    world.finish_with(&[
        "add_user: there is no role emperor",
        "trigger: there is no PX",
        "acknowledge: there is no QX",
        "resolve: there is no PX",
        &format!("merge: {over} is no open incident"),
        &song,
        "rename_service: there is no PX",
        "sign_also_with: there is no PX",
    ]);
}
