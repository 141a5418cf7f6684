//! The Events API v2: monitoring tools raise, repeat, acknowledge and end alerts.

use jiff::SignedDuration;
use serde_json::{Value, json};
use simulators::pagerduty::Fault;

use crate::world::{Got, World};

impl World {
    fn event(&self, action: &str, key: Option<&str>) -> Value {
        json!({
            "routing_key": self.pagerduty.routing_key(&self.service), "event_action": action, "dedup_key": key,
            "payload": { "summary": "Disk full", "source": "db-03", "severity": "critical" },
        })
    }

    /// Monitoring tools have no token and send no version.
    async fn enqueue(&self, event: &Value) -> Got {
        self.call_with("POST", "/v2/enqueue", event.clone(), &[("accept", "")]).await
    }

    async fn send(&self, action: &str, key: Option<&str>) -> String {
        let got = self.enqueue(&self.event(action, key)).await;
        assert_eq!((got.status, got.text("/message")), (202, "Event processed".to_owned()));
        got.text("/dedup_key")
    }
}

fn errors(got: &Got) -> Vec<String> {
    let errors = got.at("/errors").as_array().unwrap();
    errors.iter().map(|error| error.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_event_becomes_an_incident_with_all_that_it_says() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let details = json!({ "free": "2 %", "volumes": [{ "name": "/var" }] });
    let event = json!({
        "routing_key": world.pagerduty.routing_key(&world.service), "event_action": "trigger", "dedup_key": "disk-7",
        "payload": {
            "summary": "Disk full", "source": "db-03", "severity": "error", "timestamp": "2026-11-23T08:59:00.000+0000",
            "component": "postgres", "group": "databases", "class": "disk", "custom_details": details,
        },
        "links": [{ "href": "https://runbooks.example/disk", "text": "Runbook" }],
        "images": [{ "src": "https://graphs.example/1.png", "href": "https://graphs.example/1", "alt": "Free space" }],
        "client": "Grafana", "client_url": "https://grafana.example/d/1",
    });
    let got = world.enqueue(&event).await;
    assert_eq!(
        (got.status, got.body),
        (202, json!({ "status": "success", "message": "Event processed", "dedup_key": "disk-7" }))
    );
    let incident = world.pagerduty.incidents().remove(0);
    let id = incident["id"].as_str().unwrap();
    for (pointer, expected) in [
        ("/title", json!("Disk full")),
        ("/urgency", json!("high")),
        ("/incident_key", Value::Null),
        ("/alert_counts", json!({ "all": 1, "triggered": 1, "resolved": 0 })),
        ("/assignments/0/assignee/id", json!(world.ada)),
    ] {
        assert_eq!(incident.pointer(pointer), Some(&expected), "{pointer}");
    }
    let contexts = json!([
        { "type": "link", "href": "https://runbooks.example/disk", "text": "Runbook" },
        { "type": "image", "src": "https://graphs.example/1.png", "href": "https://graphs.example/1", "text": "Free space" },
    ]);
    let got = world.get(&format!("/incidents/{id}/alerts")).await;
    for (pointer, expected) in [
        ("/alerts/0/summary", json!("Disk full")),
        ("/alerts/0/severity", json!("error")),
        ("/alerts/0/alert_key", json!("disk-7")),
        ("/alerts/0/body/contexts", contexts.clone()),
        ("/alerts/0/body/details", details.clone()),
        (
            "/alerts/0/body/cef_details",
            json!({
                "severity": "error", "source_origin": "db-03", "source_component": "postgres",
                "service_group": "databases", "event_class": "disk", "message": "Disk full",
                "creation_time": "2026-11-23T08:59:00.000+0000", "contexts": contexts, "details": details,
                "dedup_key": "disk-7", "client": "Grafana", "client_url": "https://grafana.example/d/1",
            }),
        ),
    ] {
        assert_eq!(got.at(pointer), &expected, "{pointer}");
    }
    world.deliver().await;
    let events = world.take("a");
    assert_eq!(events.len(), 1);
    let event = &events[0].event;
    assert_eq!(event["event_type"], "incident.triggered");
    assert_eq!(event["agent"]["type"], "inbound_integration_reference");
    assert_eq!(event["client"], json!({ "name": "Grafana", "url": "https://grafana.example/d/1" }));
    world.finish();
}

#[tokio::test]
async fn severity_decides_the_urgency() {
    let world = World::new().await;
    for (severity, urgency) in [("critical", "high"), ("error", "high"), ("warning", "low"), ("info", "low")] {
        let mut event = world.event("trigger", None);
        event["payload"]["severity"] = json!(severity);
        assert_eq!(world.enqueue(&event).await.status, 202);
        assert_eq!(world.pagerduty.incidents()[0]["urgency"], urgency, "{severity}");
    }
    world.finish();
}

#[tokio::test]
async fn a_key_stands_for_one_alert_as_long_as_it_is_open() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let newest = |status: &str| {
        let incident = world.pagerduty.incidents().remove(0);
        assert_eq!(incident["status"], status);
        incident["id"].as_str().unwrap().to_owned()
    };
    let kinds = async || {
        world.deliver().await;
        world.take("a").iter().map(|received| received.kind().to_owned()).collect::<Vec<_>>()
    };
    for (action, key, status, incidents, told) in [
        ("acknowledge", Some("k"), "", 0, vec![]),
        ("resolve", Some("k"), "", 0, vec![]),
        ("trigger", Some("k"), "triggered", 1, vec!["incident.triggered"]),
        ("trigger", Some("k"), "triggered", 1, vec![]),
        ("acknowledge", Some("k"), "acknowledged", 1, vec!["incident.acknowledged"]),
        ("acknowledge", Some("k"), "acknowledged", 1, vec![]),
        ("trigger", Some("k"), "acknowledged", 1, vec![]),
        ("resolve", Some("other"), "acknowledged", 1, vec![]),
        ("resolve", Some("k"), "resolved", 1, vec!["incident.resolved"]),
        ("resolve", Some("k"), "resolved", 1, vec![]),
        ("trigger", Some("k"), "triggered", 2, vec!["incident.triggered"]),
        ("trigger", None, "triggered", 3, vec!["incident.triggered"]),
        ("trigger", None, "triggered", 4, vec!["incident.triggered"]),
    ] {
        let answered = world.send(action, key).await;
        assert!(key.map_or(answered.len() == 32, |key| key == answered), "{answered}");
        assert_eq!(world.pagerduty.incidents().len(), incidents, "{action} {key:?}");
        assert_eq!(kinds().await, told, "{action} {key:?}");
        if incidents > 0 {
            newest(status);
        }
    }
    world.finish();
}

#[tokio::test]
async fn the_same_key_again_brings_the_alert_up_to_date() {
    let world = World::new().await;
    world.send("trigger", Some("k")).await;
    world.advance(SignedDuration::from_mins(1));
    let mut event = world.event("trigger", Some("k"));
    event["payload"] =
        json!({ "summary": "Disk fuller", "source": "db-03", "severity": "warning", "custom_details": { "free": 1 } });
    world.enqueue(&event).await;
    let incident = world.pagerduty.incidents().remove(0);
    let path = format!("/incidents/{}", incident["id"].as_str().unwrap());
    let alerts = world.get(&format!("{path}/alerts")).await;
    for (pointer, expected) in [
        ("/alerts/0/summary", json!("Disk full")),
        ("/alerts/0/created_at", json!("2026-11-23T09:00:00Z")),
        ("/alerts/0/severity", json!("warning")),
        ("/alerts/0/body/details", json!({ "free": 1 })),
    ] {
        assert_eq!(alerts.at(pointer), &expected, "{pointer}");
    }
    assert_eq!(incident["title"], "Disk full");
    let log = world.get(&format!("{path}/log_entries?include[]=channels")).await;
    assert_eq!(
        log.each("/log_entries", "type"),
        ["trigger_log_entry", "notify_log_entry", "assign_log_entry", "trigger_log_entry"]
    );
    assert_eq!(log.at("/log_entries/0/channel/details"), &json!({ "free": 1 }));
    assert_eq!(log.at("/log_entries/3/channel/details"), &json!({}), "the first entry tells what was said first");
    world.finish();
}

#[tokio::test]
async fn keys_belong_to_a_service_and_follow_a_merge() {
    let world = World::new().await;
    let search = world.pagerduty.add_service("Search");
    let first = world.send("trigger", Some("k")).await;
    let mut elsewhere = world.event("trigger", Some("k"));
    elsewhere["routing_key"] = json!(world.pagerduty.routing_key(&search));
    world.enqueue(&elsewhere).await;
    let ids: Vec<String> =
        world.pagerduty.incidents().iter().map(|incident| incident["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((first.as_str(), ids.len()), ("k", 2));
    world.pagerduty.merge(&ids[1], &ids[0], &world.ada);
    world.send("trigger", Some("k")).await;
    assert_eq!(world.pagerduty.incidents().len(), 2, "the alert is open in another incident");
    world.send("resolve", Some("k")).await;
    assert_eq!(world.incident(&ids[0])["status"], "triggered", "one alert of two is over");
    elsewhere["event_action"] = json!("resolve");
    world.enqueue(&elsewhere).await;
    assert_eq!(world.incident(&ids[0])["status"], "resolved");
    world.finish();
}

#[tokio::test]
async fn without_anybody_on_call_there_is_no_incident() {
    let world = World::new().await;
    let nobody = world.pagerduty.add_policy("Nobody", &[&[]]);
    world.pagerduty.use_policy(&world.service, &nobody);
    world.send("trigger", Some("k")).await;
    assert_eq!(world.pagerduty.incidents().len(), 0);
    world.finish();
}

#[tokio::test]
async fn what_is_wrong_with_an_event_is_listed() {
    let world = World::new().await;
    let severity = "'payload.severity' is invalid (must be one of: 'info', 'warning', 'error' or 'critical')";
    let length = "Length of 'routing_key' is incorrect (should be 32 characters)";
    let action = "'event_action' is invalid (must be one of: 'trigger', 'acknowledge' or 'resolve')";
    let missing = |key: &str| format!("'{key}' is missing or blank");
    for (pointer, value, expected) in [
        ("/routing_key", Value::Null, length.to_owned()),
        ("/routing_key", json!("short"), length.to_owned()),
        ("/routing_key", json!("0".repeat(32)), "Invalid routing key".to_owned()),
        ("/event_action", json!("open"), action.to_owned()),
        ("/event_action", Value::Null, action.to_owned()),
        ("/payload", Value::Null, missing("payload")),
        ("/payload/summary", json!(" "), missing("payload.summary")),
        (
            "/payload/summary",
            json!("x".repeat(1025)),
            "'payload.summary' is too long (maximum is 1024 characters)".to_owned(),
        ),
        ("/payload/source", Value::Null, missing("payload.source")),
        ("/payload/severity", Value::Null, missing("payload.severity")),
        ("/payload/severity", json!("high"), severity.to_owned()),
        ("/dedup_key", json!("x".repeat(256)), "'dedup_key' is too long (maximum is 255 characters)".to_owned()),
    ] {
        let mut event = world.event("trigger", None);
        *event.pointer_mut(pointer).unwrap() = value.clone();
        let got = world.enqueue(&event).await;
        assert_eq!((got.status, errors(&got)), (400, vec![expected]), "{pointer} {value}");
    }
    for (more, expected) in [
        (json!({ "links": "x" }), "'links' is not a list"),
        (json!({ "links": [{ "text": "Runbook" }] }), "'links' has an entry without 'href'"),
        (json!({ "images": [{ "href": "https://x.example" }] }), "'images' has an entry without 'src'"),
    ] {
        let mut event = world.event("trigger", None);
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(errors(&world.enqueue(&event).await), [expected]);
    }
    let mut event = world.event("trigger", None);
    event["payload"]["timestamp"] = json!("yesterday");
    event["payload"]["severity"] = json!("high");
    let expected = [severity, "'payload.timestamp' is invalid (must be an ISO 8601 time)"];
    assert_eq!(errors(&world.enqueue(&event).await), expected, "all of it at once");
    let mut event = world.event("resolve", None);
    assert_eq!(errors(&world.enqueue(&event).await), [missing("dedup_key")]);
    event["payload"]["mood"] = json!("bad");
    event["urgency"] = json!("high");
    world.enqueue(&event).await;
    let got = world.call_with("POST", "/v2/enqueue", json!("x".repeat(600_000)), &[]).await;
    assert_eq!(got.status, 400);
    assert_eq!(world.pagerduty.incidents().len(), 0);
    world.finish_with(&["POST /v2/enqueue: body key urgency", "POST /v2/enqueue: body key payload.mood"]);
}

#[tokio::test]
async fn too_many_events_of_one_key_are_throttled() {
    let world = World::new().await;
    let other = world.pagerduty.add_service("Search");
    let event = |service: &str| {
        let mut event = world.event("resolve", Some("k"));
        event["routing_key"] = json!(world.pagerduty.routing_key(service));
        event
    };
    for _ in 0..120 {
        assert_eq!(world.pagerduty.enqueue(&event(&world.service)).0, 202);
    }
    assert_eq!(world.enqueue(&event(&world.service)).await.status, 429);
    assert_eq!(world.enqueue(&event(&other)).await.status, 202);
    world.advance(SignedDuration::from_mins(1));
    assert_eq!(world.enqueue(&event(&world.service)).await.status, 202);
    world.finish();
}

#[tokio::test]
async fn the_events_api_fails_on_order_and_apart_from_rest() {
    let world = World::new().await;
    let event = world.event("trigger", Some("k"));
    world.pagerduty.fail_next(1, &Fault::NoAnswer);
    assert_eq!(world.enqueue(&event).await.status, 202);
    world.pagerduty.clear_faults();
    world.pagerduty.fail_next_at("POST /v2/enqueue", 1, &Fault::Answer(503, "busy".to_owned()));
    let post = || world.http.post(format!("{}/v2/enqueue", world.base)).body(event.to_string()).send();
    assert_eq!(post().await.unwrap().status(), 503);
    world.pagerduty.fail_next_at("POST /v2/enqueue", 1, &Fault::DropAnswerAfterApplying);
    assert!(post().await.is_err());
    let incident = world.pagerduty.incidents().remove(0);
    assert_eq!(incident["log"].as_array().unwrap().len(), 2, "the answer was lost, the event was not");
    world.finish();
}
