//! Changing incidents over REST: what is refused with which code, and what a change does and sends.

use serde_json::{Value, json};

use crate::world::World;

fn update(fields: &Value) -> Value {
    let mut incident = json!({ "type": "incident_reference" });
    incident.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "incident": incident })
}

fn reference(kind: &str, id: &str) -> Value {
    json!({ "id": id, "type": format!("{kind}_reference") })
}

impl World {
    async fn update(&self, user: &str, incident: &str, fields: Value) -> (u16, u64) {
        self.call_as(user, "PUT", &format!("/incidents/{incident}"), update(&fields)).await.error()
    }

    fn opening(&self, fields: &Value) -> Value {
        let mut incident =
            json!({ "type": "incident", "title": "DB down", "service": reference("service", &self.service) });
        incident.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({ "incident": incident })
    }
}

#[tokio::test]
async fn what_is_so_already_or_makes_no_sense_is_refused() {
    let world = World::new().await;
    let open = world.pagerduty.trigger(&world.service, "DB down", "high");
    let taken = world.pagerduty.trigger(&world.service, "DB slow", "high");
    world.pagerduty.acknowledge(&taken, &world.ada);
    let over = world.pagerduty.trigger(&world.service, "DB gone", "high");
    world.pagerduty.resolve(&over, &world.ada);
    let stranger = reference("user", "PX");
    let before = world.pagerduty.incidents();
    for (what, incident, fields, expected) in [
        ("resolve twice", &over, json!({ "status": "resolved" }), (400, 1001)),
        ("acknowledge twice", &taken, json!({ "status": "acknowledged" }), (400, 1002)),
        ("an unknown status", &open, json!({ "status": "closed" }), (400, 1003)),
        ("no text as status", &open, json!({ "status": 3 }), (400, 1003)),
        ("a level that is not there", &open, json!({ "escalation_level": 3 }), (400, 1006)),
        ("level 0", &open, json!({ "escalation_level": 0 }), (400, 1006)),
        ("escalate what is over", &over, json!({ "escalation_level": 2 }), (400, 1006)),
        ("assign to a stranger", &open, json!({ "assignments": [{ "assignee": stranger }] }), (400, 1007)),
        ("assign to nobody", &open, json!({ "assignments": [] }), (400, 2001)),
        (
            "assign what is over",
            &over,
            json!({ "assignments": [{ "assignee": reference("user", &world.ben) }] }),
            (400, 1011),
        ),
        ("an unknown policy", &open, json!({ "escalation_policy": reference("escalation_policy", "PX") }), (400, 1014)),
        ("an unknown priority", &open, json!({ "priority": reference("priority", "PX") }), (400, 1020)),
        ("an unknown priority by name", &open, json!({ "priority": "P9" }), (400, 1020)),
        ("an unknown urgency", &open, json!({ "urgency": "medium" }), (400, 2001)),
        ("an empty title", &open, json!({ "title": " " }), (400, 2001)),
        ("a service of another kind", &open, json!({ "service": reference("team", &world.service) }), (400, 2001)),
        ("an unknown service", &open, json!({ "service": reference("service", "PX") }), (400, 2001)),
        ("another type", &open, json!({ "type": "note" }), (400, 2001)),
        ("one good part and one bad", &open, json!({ "title": "New", "urgency": "medium" }), (400, 2001)),
        ("another incident", &"QX".to_owned(), json!({ "status": "resolved" }), (404, 2100)),
    ] {
        assert_eq!(world.update(&world.ada, incident, fields).await, expected, "{what}");
    }
    let path = format!("/incidents/{open}");
    for (what, body, expected) in [
        ("no incident", json!({}), (400, 2003)),
        ("a list", json!({ "incident": [] }), (400, 2003)),
        ("no JSON", Value::String("x".to_owned()), (400, 2003)),
    ] {
        assert_eq!(world.call_as(&world.ada, "PUT", &path, body).await.error(), expected, "{what}");
    }
    for content in [json!(""), json!("  "), json!(7), Value::Null] {
        let note = json!({ "note": { "content": content } });
        assert_eq!(world.call_as(&world.ada, "POST", &format!("{path}/notes"), note).await.error(), (400, 2001));
    }
    assert_eq!(world.pagerduty.incidents(), before, "nothing has changed");
    world.finish();
}

#[tokio::test]
async fn a_change_is_made_logged_and_sent() {
    let world = World::new().await;
    world.subscribe(json!({ "type": "account_reference" }), "a").await;
    let pagerduty = &world.pagerduty;
    let (priority, search) = (pagerduty.add_priority("P1"), pagerduty.add_service("Search"));
    let night = pagerduty.add_policy("Night", &[&[&world.ben]]);
    let ben = json!([{ "assignee": reference("user", &world.ben) }]);
    world.deliver().await;
    for (what, fields, events, entry, pointer, expected) in [
        (
            "acknowledge",
            json!({ "status": "acknowledged" }),
            "incident.acknowledged",
            "acknowledge",
            "/status",
            json!("acknowledged"),
        ),
        ("resolve", json!({ "status": "resolved" }), "incident.resolved", "resolve", "/status", json!("resolved")),
        (
            "by reference",
            json!({ "priority": reference("priority", &priority) }),
            "incident.priority_updated",
            "field_value_change",
            "/priority/summary",
            json!("P1"),
        ),
        (
            "by name",
            json!({ "priority": "P1" }),
            "incident.priority_updated",
            "field_value_change",
            "/priority/summary",
            json!("P1"),
        ),
        (
            "escalate",
            json!({ "escalation_level": 2 }),
            "incident.escalated",
            "escalate",
            "/assignments/0/assignee/summary",
            json!("Ben Okafor"),
        ),
        (
            "reassign",
            json!({ "assignments": ben }),
            "incident.reassigned",
            "assign",
            "/assigned_via",
            json!("direct_assignment"),
        ),
        (
            "delegate",
            json!({ "escalation_policy": reference("escalation_policy", &night) }),
            "incident.delegated",
            "delegate",
            "/escalation_policy/summary",
            json!("Night"),
        ),
        (
            "move",
            json!({ "service": reference("service", &search) }),
            "incident.service_updated",
            "field_value_change",
            "/service/summary",
            json!("Search"),
        ),
        (
            "type",
            json!({ "incident_type": { "name": "major_incident" } }),
            "incident.incident_type.changed",
            "field_value_change",
            "/incident_type/name",
            json!("major_incident"),
        ),
        (
            "bridge",
            json!({ "conference_bridge": { "conference_url": "https://meet.example/1" } }),
            "incident.conference_bridge.updated",
            "field_value_change",
            "/status",
            json!("triggered"),
        ),
        ("title", json!({ "title": "DB on fire" }), "", "field_value_change", "/title", json!("DB on fire")),
        ("urgency", json!({ "urgency": "low" }), "", "urgency_change", "/urgency", json!("low")),
        (
            "two at once",
            json!({ "title": "DB on fire", "status": "acknowledged" }),
            "incident.acknowledged",
            "field_value_change",
            "/title",
            json!("DB on fire"),
        ),
    ] {
        let incident = pagerduty.trigger(&world.service, "DB down", "high");
        world.deliver().await;
        world.take("a");
        assert_eq!(world.update(&world.ada, &incident, fields).await, (200, 0), "{what}");
        let now = world.incident(&incident);
        assert_eq!(now.pointer(pointer), Some(&expected), "{what}");
        let log = world.get(&format!("/incidents/{incident}/log_entries?limit=2")).await;
        // Whoever gets it is told afterwards.
        let last = usize::from(log.text("/log_entries/0/type") == "notify_log_entry");
        let last = ["type", "agent/summary"].map(|part| log.text(&format!("/log_entries/{last}/{part}")));
        assert_eq!(last, [format!("{entry}_log_entry"), "Ada Wong".to_owned()], "{what}");
        world.deliver().await;
        assert_eq!(world.kinds("a").join(" "), events, "{what}");
        for received in world.take("a") {
            assert_eq!(received.event["agent"]["summary"], "Ada Wong", "{what}");
        }
    }
    world.finish();
}

#[tokio::test]
async fn a_resolved_incident_is_reopened_by_any_other_status() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    for (status, events, assignee) in [
        ("triggered", "incident.reopened", "Ada Wong"),
        ("acknowledged", "incident.reopened incident.acknowledged", "Ben Okafor"),
    ] {
        let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
        world.pagerduty.resolve(&incident, &world.ada);
        world.deliver().await;
        world.take("a");
        assert_eq!(world.update(&world.ben, &incident, json!({ "status": status })).await, (200, 0));
        let now = world.incident(&incident);
        assert_eq!((&now["status"], &now["resolved_at"]), (&json!(status), &Value::Null));
        assert_eq!(now["assignments"][0]["assignee"]["summary"], assignee, "{status}");
        world.deliver().await;
        assert_eq!(world.kinds("a").join(" "), events);
        let sent = world.take("a");
        assert_eq!(sent[0].event["data"]["reopened_at"], "2026-11-23T09:00:00Z");
        assert_eq!(sent.last().unwrap().event["data"]["status"], status);
    }
    world.finish();
}

#[tokio::test]
async fn a_second_person_may_acknowledge_as_well() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    for user in [&world.ada, &world.ben] {
        assert_eq!(world.update(user, &incident, json!({ "status": "acknowledged" })).await, (200, 0));
        assert_eq!(world.update(user, &incident, json!({ "status": "acknowledged" })).await, (400, 1002));
    }
    let now = world.incident(&incident);
    let names: Vec<&str> = now["acknowledgements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["acknowledger"]["summary"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Ada Wong", "Ben Okafor"]);
    let note = json!({ "status": "resolved", "resolution": "restarted" });
    assert_eq!(world.update(&world.ben, &incident, note).await, (200, 0));
    let log = world.get(&format!("/incidents/{incident}/log_entries?limit=1")).await;
    assert_eq!(
        (log.text("/log_entries/0/type"), log.text("/log_entries/0/note")),
        ("resolve_log_entry".to_owned(), "restarted".to_owned())
    );
    assert_eq!(world.incident(&incident)["notes"], json!([]), "a resolution is no note");
    world.finish();
}

#[tokio::test]
async fn opening_checks_everything_first() {
    let world = World::new().await;
    let night = world.pagerduty.add_policy("Night", &[&[&world.ben]]);
    let (ada, ben) = (reference("user", &world.ada), reference("user", &world.ben));
    let policy = reference("escalation_policy", &night);
    for (what, fields, expected) in [
        ("another type", json!({ "type": "incident_reference" }), (400, 2001)),
        ("no title", json!({ "title": "" }), (400, 2001)),
        ("no service", json!({ "service": null }), (400, 2001)),
        ("an unknown service", json!({ "service": reference("service", "PX") }), (400, 2001)),
        ("a service of no kind", json!({ "service": { "id": world.service } }), (400, 2001)),
        ("an unknown urgency", json!({ "urgency": "medium" }), (400, 2001)),
        ("an untyped body", json!({ "body": { "details": "x" } }), (400, 2001)),
        ("an unknown priority", json!({ "priority": reference("priority", "PX") }), (400, 1020)),
        ("an unknown policy", json!({ "escalation_policy": reference("escalation_policy", "PX") }), (400, 1014)),
        (
            "policy and assignee",
            json!({ "escalation_policy": policy, "assignments": [{ "assignee": ada }] }),
            (400, 2001),
        ),
        ("two assignees", json!({ "assignments": [{ "assignee": ada }, { "assignee": ben }] }), (400, 2001)),
    ] {
        let got = world.call_as(&world.ada, "POST", "/incidents", world.opening(&fields)).await;
        assert_eq!(got.error(), expected, "{what}");
    }
    assert_eq!(world.pagerduty.incidents(), Vec::<Value>::new());
    world.finish();
}

#[tokio::test]
async fn an_opened_incident_has_a_key_that_no_other_open_one_of_its_service_has() {
    let world = World::new().await;
    let search = world.pagerduty.add_service("Search");
    let open = |fields: Value| {
        let body = world.opening(&fields);
        async { world.call_as(&world.ada, "POST", "/incidents", body).await }
    };
    let generated = open(json!({})).await.text("/incident/incident_key");
    assert_eq!(generated.len(), 32);
    let first = open(json!({ "incident_key": "disk-7" })).await;
    assert_eq!((first.status, first.text("/incident/incident_key")), (201, "disk-7".to_owned()));
    let again = open(json!({ "incident_key": "disk-7" })).await;
    assert_eq!(again.error(), (400, 2002));
    assert!(again.text("/error/errors/0").contains("already exists"));
    let elsewhere = json!({ "incident_key": "disk-7", "service": reference("service", &search) });
    assert_eq!(open(elsewhere).await.status, 201);
    world.pagerduty.resolve(&first.text("/incident/id"), &world.ada);
    assert_eq!(open(json!({ "incident_key": "disk-7" })).await.status, 201);
    world.finish();
}

#[tokio::test]
async fn whoever_opens_an_incident_for_themselves_has_acknowledged_it() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    for (assignee, status, events) in [
        (&world.ada, "acknowledged", "incident.triggered incident.acknowledged"),
        (&world.ben, "triggered", "incident.triggered"),
    ] {
        let body = world.opening(&json!({ "assignments": [{ "assignee": reference("user", assignee) }],
            "urgency": "low", "body": { "type": "incident_body", "details": "x" } }));
        let got = world.call_as(&world.ada, "POST", "/incidents", body).await;
        assert_eq!(
            (got.status, got.text("/incident/status").as_str(), got.text("/incident/urgency").as_str()),
            (201, status, "low")
        );
        world.deliver().await;
        assert_eq!(world.kinds("a").join(" "), events);
        world.take("a");
    }
    world.finish();
}
