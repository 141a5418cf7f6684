//! Alerts: listed, counted, moved and resolved with their incident; and what people say when they open one by hand.

use jiff::SignedDuration;
use serde_json::{Value, json};
use simulators::pagerduty::{NewAlert, Severity};

use crate::world::{Got, World};

fn alert(summary: &str, severity: Severity) -> NewAlert {
    NewAlert { summary: Some(summary.to_owned()), severity: Some(severity), ..NewAlert::default() }
}

impl World {
    async fn alerts_of(&self, incident: &str, query: &str) -> Got {
        self.get(&format!("/incidents/{incident}/alerts?{query}")).await
    }
}

fn counts(world: &World, incident: &str) -> (u64, u64, u64) {
    let counts = world.incident(incident)["alert_counts"].clone();
    let count = |key: &str| counts[key].as_u64().unwrap();
    (count("triggered"), count("resolved"), count("all"))
}

#[tokio::test]
async fn an_alert_is_told_with_all_that_its_tool_said() {
    let world = World::new().await;
    let details = json!({ "free": "2 %", "volumes": [{ "name": "/var", "full": true }], "depth": { "a": { "b": 1 } } });
    let contexts = json!([
        { "type": "link", "href": "https://runbooks.example/disk", "text": "Runbook" },
        { "type": "image", "src": "https://graphs.example/1.png", "text": "Free space" },
    ]);
    let wanted = NewAlert {
        key: Some("disk-7".to_owned()),
        details: details.clone(),
        contexts: contexts.as_array().unwrap().clone(),
        suppressed: true,
        ..alert("Disk full", Severity::Error)
    };
    let incident = world.pagerduty.trigger_with_alert(&world.service, "Disks", "high", wanted);
    let got = world.alerts_of(&incident, "").await;
    let (id, base) = (got.text("/alerts/0/id"), &world.base);
    for (pointer, expected) in [
        ("/alerts/0/summary", json!("Disk full")),
        ("/alerts/0/self", json!(format!("{base}/incidents/{incident}/alerts/{id}"))),
        ("/alerts/0/html_url", json!(format!("{base}/alerts/{id}"))),
        ("/alerts/0/created_at", json!("2026-11-23T09:00:00Z")),
        ("/alerts/0/status", json!("triggered")),
        ("/alerts/0/severity", json!("error")),
        ("/alerts/0/suppressed", json!(true)),
        ("/alerts/0/alert_key", json!("disk-7")),
        ("/alerts/0/service/summary", json!("Payments")),
        ("/alerts/0/incident", json!({ "id": incident, "type": "incident_reference" })),
        ("/alerts/0/body", json!({ "type": "alert_body", "contexts": contexts, "details": details })),
        ("/alerts/0/first_trigger_log_entry/id", world.incident(&incident)["log"][0]["id"].clone()),
        ("/limit", json!(25)),
        ("/more", json!(false)),
        ("/total", Value::Null),
    ] {
        assert_eq!(got.at(pointer), &expected, "{pointer}");
    }
    assert_eq!(json!(world.pagerduty.alerts(&incident)), got.body["alerts"]);
    let query = "include[]=services&include[]=incidents&include[]=first_trigger_log_entries";
    let got = world.alerts_of(&incident, query).await;
    for (pointer, expected) in [
        ("/alerts/0/service/name", json!("Payments")),
        ("/alerts/0/incident/title", json!("Disks")),
        ("/alerts/0/first_trigger_log_entry/channel/incident_key", json!("disk-7")),
        ("/alerts/0/first_trigger_log_entry/channel/details", details),
    ] {
        assert_eq!(got.at(pointer), &expected, "{pointer}");
    }
    world.finish();
}

#[tokio::test]
async fn every_way_to_open_an_incident_has_the_alerts_that_it_should() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let service = &world.service;
    for (incident, expected) in [
        (pagerduty.trigger(service, "DB down", "high"), json!([["DB down", "critical"]])),
        (pagerduty.trigger(service, "DB slow", "low"), json!([["DB slow", "warning"]])),
        (pagerduty.trigger_by_orchestration(service, "DB", "low"), json!([["DB", "warning"]])),
        (pagerduty.trigger_with_alert(service, "DB", "low", alert("Disk", Severity::Info)), json!([["Disk", "info"]])),
        (pagerduty.trigger_by_user(service, "by hand", "high", &world.ada), json!([])),
    ] {
        let alerts = pagerduty.alerts(&incident);
        let told: Vec<Value> = alerts.iter().map(|alert| json!([alert["summary"], alert["severity"]])).collect();
        assert_eq!(json!(told), expected);
        assert_eq!(world.incident(&incident)["alert_counts"]["all"], json!(told.len()));
    }
    world.finish();
}

#[tokio::test]
async fn alerts_are_filtered_sorted_and_paged() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "a", "high");
    let mut ids = Vec::new();
    for name in ["b", "c", "d"] {
        world.advance(SignedDuration::from_secs(1));
        let wanted = NewAlert { key: Some(format!("key-{name}")), ..alert(name, Severity::Warning) };
        ids.push(world.pagerduty.add_alert(&incident, wanted));
    }
    for id in [&ids[2], &ids[0]] {
        world.advance(SignedDuration::from_secs(1));
        world.pagerduty.resolve_alert(&incident, id);
    }
    for (query, expected, more) in [
        ("", vec!["a", "b", "c", "d"], false),
        ("limit=2", vec!["a", "b"], true),
        ("limit=2&offset=2", vec!["c", "d"], false),
        ("statuses[]=triggered", vec!["a", "c"], false),
        ("statuses[]=resolved&statuses[]=triggered", vec!["a", "b", "c", "d"], false),
        ("statuses[]=resolved", vec!["b", "d"], false),
        ("sort_by=created_at:desc", vec!["d", "c", "b", "a"], false),
        ("statuses[]=resolved&sort_by=resolved_at", vec!["d", "b"], false),
        ("sort_by=resolved_at:desc,created_at:desc&limit=3", vec!["b", "d", "c"], true),
        ("alert_key=key-c", vec!["c"], false),
        ("alert_key=none", vec![], false),
    ] {
        let got = world.alerts_of(&incident, query).await;
        assert_eq!((got.each("/alerts", "summary"), got.at("/more")), (owned(&expected), &json!(more)), "{query}");
    }
    assert_eq!(world.alerts_of(&incident, "total=true&limit=1").await.at("/total"), &json!(4));
    for query in ["statuses[]=acknowledged", "sort_by=severity", "include[]=channels", "limit=x"] {
        assert_eq!(world.alerts_of(&incident, query).await.error(), (400, 2001), "{query}");
    }
    assert_eq!(world.alerts_of("QX", "").await.error(), (404, 2100));
    let bearer = format!("Bearer {}", world.pagerduty.app_token(&["services.read"]));
    let path = format!("/incidents/{incident}/alerts");
    assert_eq!(world.call_with("GET", &path, Value::Null, &[("authorization", &bearer)]).await.status, 403);
    world.finish();
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What is done, how, and how many alerts are triggered, resolved and there then.
type Step<'a> = (&'a str, &'a dyn Fn(), (u64, u64, u64));

#[tokio::test]
async fn alerts_live_and_end_with_their_incident() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let pagerduty = &world.pagerduty;
    let incident = pagerduty.trigger(&world.service, "one", "high");
    let target = pagerduty.trigger(&world.service, "target", "high");
    let other = pagerduty.add_alert(&incident, alert("two", Severity::Error));
    let steps: [Step<'_>; 7] = [
        ("two of them", &|| {}, (2, 0, 2)),
        ("one is over", &|| pagerduty.resolve_alert(&incident, &other), (1, 1, 2)),
        ("once more", &|| pagerduty.resolve_alert(&incident, &other), (1, 1, 2)),
        ("resolved", &|| pagerduty.resolve(&incident, &world.ada), (0, 2, 2)),
        ("reopened", &|| pagerduty.reopen(&incident, &world.ada), (2, 0, 2)),
        ("the last one is over", &|| end_all(pagerduty, &incident), (0, 2, 2)),
        ("merged", &|| merge(pagerduty, &incident, &target, &world.ben), (0, 0, 0)),
    ];
    for (what, step, expected) in steps {
        step();
        assert_eq!(counts(&world, &incident), expected, "{what}");
    }
    assert_eq!(counts(&world, &target), (3, 0, 3), "those of the source have moved");
    let moved = world.alerts_of(&target, "").await;
    assert_eq!(moved.each("/alerts", "summary"), ["one", "target", "two"]);
    assert!(moved.text("/alerts/0/first_trigger_log_entry/self").ends_with(&format!("?incident_id={incident}")));
    world.deliver().await;
    let resolved = |kinds: Vec<String>| kinds.iter().filter(|kind| *kind == "incident.resolved").count();
    assert_eq!(resolved(world.kinds("a")), 3, "by Ada, with the last alert, and by merging");
    assert_eq!(pagerduty.add_alert(&incident, NewAlert::default()), "");
    pagerduty.resolve_alert(&incident, &other);
    world.finish_with(&[
        &format!("add_alert: there is no open incident {incident}"),
        &format!("resolve_alert: there is no {other}"),
    ]);
}

fn end_all(pagerduty: &simulators::pagerduty::PagerDuty, incident: &str) {
    for alert in pagerduty.alerts(incident) {
        pagerduty.resolve_alert(incident, alert["id"].as_str().unwrap());
    }
}

fn merge(pagerduty: &simulators::pagerduty::PagerDuty, source: &str, target: &str, user: &str) {
    pagerduty.reopen(source, user);
    pagerduty.merge(source, target, user);
}

#[tokio::test]
async fn what_a_person_writes_comes_back_with_the_first_entry_only() {
    let world = World::new().await;
    let reference = json!({ "id": world.service, "type": "service_reference" });
    for (body, expected) in [
        (json!({ "type": "incident_body", "details": "It smells of smoke" }), "It smells of smoke"),
        (json!({ "type": "incident_body" }), ""),
    ] {
        let new = json!({ "incident": { "type": "incident", "title": "Fire", "service": reference, "body": body } });
        let made = world.call_as(&world.ada, "POST", "/incidents", new).await;
        assert_eq!(made.body["incident"].get("body"), None);
        let path = format!("/incidents/{}", made.text("/incident/id"));
        let plain = world.get(&path).await;
        assert_eq!(plain.at("/incident/first_trigger_log_entry").get("channel"), None);
        let channel = json!({ "type": "web_trigger", "summary": "Fire", "subject": "Fire", "details": expected });
        let whole = world.get(&format!("{path}?include[]=first_trigger_log_entries")).await;
        assert_eq!(whole.at("/incident/first_trigger_log_entry/channel"), &channel);
        let log = world.get(&format!("{path}/log_entries?include[]=channels")).await;
        assert_eq!(log.at("/log_entries/2/channel"), &channel, "before whoever got it and was told");
        let log = world.get(&format!("{path}/log_entries")).await;
        assert_eq!(log.at("/log_entries/2/channel"), &json!({ "type": "web_trigger" }));
        assert_eq!(world.get(&format!("{path}?include[]=body")).await.error(), (400, 2001), "not documented");
    }
    world.finish();
}
