//! The context of an incident: what a test says was found, in the form of each call; and who was asked to help.

use jiff::SignedDuration;
use serde_json::{Value, json};
use simulators::pagerduty::{Context, EVENT_INTELLIGENCE, Fault};

use crate::world::World;

const CALLS: [(Context, &str); 5] = [
    (Context::PastIncidents, "past_incidents"),
    (Context::RelatedIncidents, "related_incidents"),
    (Context::RelatedChangeEvents, "related_change_events"),
    (Context::OutlierIncident, "outlier_incident"),
    (Context::BusinessServiceImpacts, "business_services/impacts"),
];

#[tokio::test]
async fn what_was_found_is_told_in_the_form_of_each_call() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let incident = pagerduty.trigger(&world.service, "DB down", "high");
    let other = pagerduty.trigger(&world.service, "DB slow", "low");
    let short = |id: &str| pagerduty.short_incident(id).unwrap();
    let past = json!([{ "incident": short(&other), "score": 46.8 }]);
    let relationship = json!({
        "type": "machine_learning_inferred",
        "metadata": { "grouping_classification": "similar_contents",
                      "user_feedback": { "positive_feedback_count": 1, "negative_feedback_count": 0 } },
    });
    let related = json!([{ "incident": short(&other), "relationships": [relationship] }]);
    let changes = json!([{
        "id": "01CHANGE", "type": "change_event", "summary": "Deployed 1.2.3", "timestamp": "2026-11-23T08:50:00Z",
        "source": "ci", "services": [{ "id": world.service, "type": "service_reference" }],
        "links": [{ "href": "https://ci.example/1", "text": "Build" }], "custom_details": { "commit": "abc" },
        "correlation_reason": { "reason": "most_recent" },
    }]);
    let mut itself = short(&incident);
    itself["occurrence"] = json!({
        "count": 3, "frequency": 0.04, "category": "rare",
        "since": "2026-10-24T09:00:00Z", "until": "2026-11-23T09:00:00Z",
    });
    let template = json!({ "id": "PTEMPL1", "cluster_id": "PCLUST1", "mined_text": "DB <*>" });
    let outlier = json!({ "incident": itself, "incident_template": template });
    let impacts = json!([{ "id": "PBS0001", "name": "Shop", "type": "business_service", "status": "impacted" }]);
    let nothing = json!({ "limit": null, "offset": null, "total": null, "more": false });
    let table = [
        (json!([]), past, "past_incidents", json!({ "limit": 5, "total": null })),
        (json!([]), related, "related_incidents", json!({})),
        (json!([]), changes, "change_events", nothing),
        (json!({ "incident": short(&incident) }), outlier, "outlier_incident", json!({})),
        (json!([]), impacts, "services", json!({ "limit": 100, "next_cursor": null })),
    ];
    for ((context, path), (at_first, found, key, around)) in CALLS.into_iter().zip(table) {
        let path = format!("/incidents/{incident}/{path}");
        for expected in [at_first, found.clone()] {
            let mut got = world.get(&path).await.body;
            assert_eq!(got.as_object_mut().unwrap().remove(key), Some(expected), "{path}");
            assert_eq!(got, around, "{path}");
            pagerduty.set_context(&incident, context, found.clone());
        }
    }
    world.finish();
}

#[tokio::test]
async fn each_call_has_its_own_limits() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let incident = pagerduty.trigger(&world.service, "DB down", "high");
    let short = pagerduty.short_incident(&incident).unwrap();
    let many = |entry: &dyn Fn(usize) -> Value| (0..120).map(entry).collect::<Value>();
    pagerduty.set_context(&incident, Context::PastIncidents, many(&|_| json!({ "incident": short, "score": 0 })));
    let entry = |_| json!({ "incident": short, "relationships": [] });
    pagerduty.set_context(&incident, Context::RelatedIncidents, many(&entry));
    let entry = |number| {
        json!({ "id": format!("C{number}"), "type": "change_event", "summary": "x", "timestamp": "2026-11-23T08:00:00Z",
                "correlation_reason": { "reason": "intelligent" } })
    };
    pagerduty.set_context(&incident, Context::RelatedChangeEvents, many(&entry));
    let entry = |number| json!({ "id": format!("B{number}"), "name": "x", "type": "business_service", "status": "not_impacted" });
    pagerduty.set_context(&incident, Context::BusinessServiceImpacts, many(&entry));
    for (path, list, count, (key, value)) in [
        ("past_incidents", "past_incidents", 5, ("total", Value::Null)),
        ("past_incidents?limit=999&total=true", "past_incidents", 120, ("total", json!(120))),
        ("past_incidents?limit=7", "past_incidents", 7, ("limit", json!(7))),
        ("related_incidents", "related_incidents", 20, ("more", Value::Null)),
        ("related_change_events", "change_events", 120, ("more", json!(false))),
        ("related_change_events?limit=3", "change_events", 3, ("more", json!(false))),
        ("business_services/impacts", "services", 100, ("next_cursor", json!("after-100"))),
        ("business_services/impacts?cursor=after-100", "services", 20, ("next_cursor", Value::Null)),
        ("business_services/impacts?limit=50&cursor=after-50", "services", 50, ("next_cursor", json!("after-100"))),
    ] {
        let got = world.get(&format!("/incidents/{incident}/{path}")).await;
        let told = got.body[list].as_array().map(Vec::len);
        assert_eq!((told, &got.body[key]), (Some(count), &value), "{path}");
    }
    for path in [
        "past_incidents?limit=0",
        "past_incidents?limit=1000",
        "related_incidents?additional_details[]=service",
        "related_change_events?limit=x",
        "business_services/impacts?cursor=100",
    ] {
        assert_eq!(world.get(&format!("/incidents/{incident}/{path}")).await.error(), (400, 2001), "{path}");
    }
    world.finish();
}

#[tokio::test]
async fn whole_incidents_come_if_they_are_asked_for() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let incident = pagerduty.trigger(&world.service, "DB down", "high");
    let short = pagerduty.short_incident(&incident).unwrap();
    pagerduty.set_context(&incident, Context::RelatedIncidents, json!([{ "incident": short, "relationships": [] }]));
    for (path, pointer) in
        [("related_incidents", "/related_incidents/0/incident"), ("outlier_incident", "/outlier_incident/incident")]
    {
        let path = format!("/incidents/{incident}/{path}");
        assert_eq!(world.get(&path).await.at(pointer), &short);
        let whole = world.get(&format!("{path}?additional_details[]=incident")).await;
        assert_eq!(whole.at(pointer)["alert_counts"]["all"], 1);
    }
    world.finish();
}

#[tokio::test]
async fn some_calls_need_a_plan_and_each_can_fail() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let incident = pagerduty.trigger(&world.service, "DB down", "high");
    for (has, planned) in [(false, (402, 2014)), (true, (200, 0))] {
        pagerduty.set_ability(EVENT_INTELLIGENCE, has);
        for (context, path) in CALLS {
            let needs = !matches!(context, Context::RelatedChangeEvents | Context::BusinessServiceImpacts);
            let expected = if needs { planned } else { (200, 0) };
            let got = world.get(&format!("/incidents/{incident}/{path}")).await;
            assert_eq!(got.error(), expected, "{path}");
            if expected.0 == 402 {
                assert_eq!(got.at("/error/errors"), &json!([EVENT_INTELLIGENCE]));
            }
        }
    }
    for (_, path) in CALLS {
        let operation = format!("GET /incidents/{{id}}/{path}");
        for (status, code) in [(402, 2014), (403, 2010), (404, 2100), (500, 2000)] {
            pagerduty.fail_next_at(&operation, 1, &Fault::Status(status));
            let got = world.get(&format!("/incidents/{incident}/{path}")).await;
            assert_eq!(got.error(), (status, code), "{path}");
        }
    }
    pagerduty.set_ability("levitation", true);
    pagerduty.set_context("QX", Context::PastIncidents, json!([]));
    pagerduty.set_context(&incident, Context::PastIncidents, json!({}));
    pagerduty.set_context(&incident, Context::OutlierIncident, json!([]));
    world.finish_with(&[
        "set_ability: there is no ability levitation",
        "set_context: there is no QX",
        "set_context: there is no such PastIncidents: {}",
        "set_context: there is no such OutlierIncident: []",
    ]);
}

#[tokio::test]
async fn who_was_asked_to_help_is_told_with_the_incident() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let (ada, ben) = (&world.ada, &world.ben);
    let incident = pagerduty.trigger(&world.service, "DB down", "high");
    let path = format!("/incidents/{incident}");
    let got = world.get(&path).await;
    assert_eq!(got.at("/incident/responder_requests"), &json!([]));
    pagerduty.ask_responder(&incident, ada, ben, "Please help");
    for (answer, state, updated_at) in
        [(None, "pending", "09:00:00"), (Some(true), "joined", "09:00:10"), (Some(false), "declined", "09:00:20")]
    {
        if let Some(accepts) = answer {
            world.advance(SignedDuration::from_secs(10));
            pagerduty.answer_request(&incident, ben, accepts, "ok");
        }
        let got = world.get(&path).await;
        let responder = got.at("/incident/incidents_responders/0");
        for (key, expected) in [
            ("state", json!(state)),
            ("message", json!("Please help")),
            ("requested_at", json!("2026-11-23T09:00:00Z")),
            ("updated_at", json!(format!("2026-11-23T{updated_at}Z"))),
        ] {
            assert_eq!(responder[key], expected, "{key}");
        }
        assert_eq!((&responder["user"]["id"], &responder["requester"]["id"]), (&json!(ben), &json!(ada)));
        let request = got.at("/incident/responder_requests/0");
        assert_eq!(request["requester"]["id"], json!(ada));
        let target = &request["responder_request_targets"][0]["responder_request_target"];
        assert_eq!(target, &json!({ "type": "user", "id": ben, "incidents_responders": [responder] }));
    }
    world.finish();
}

#[tokio::test]
async fn the_log_tells_who_got_an_incident() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.escalate(&incident, &world.ben);
    world.pagerduty.acknowledge(&incident, &world.ben);
    world.pagerduty.reassign(&incident, &world.ben, &world.ada);
    let got = world.get(&format!("/incidents/{incident}/log_entries")).await;
    let told: Vec<Value> = got
        .at("/log_entries")
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| json!([entry["type"], entry["assignees"][0]["summary"], entry["user"]["summary"]]))
        .collect();
    let expected = json!([
        ["notify_log_entry", null, "Ada Wong"],
        ["assign_log_entry", "Ada Wong", null],
        ["acknowledge_log_entry", null, null],
        ["notify_log_entry", null, "Ben Okafor"],
        ["escalate_log_entry", "Ben Okafor", null],
        ["notify_log_entry", null, "Ada Wong"],
        ["assign_log_entry", "Ada Wong", null],
        ["trigger_log_entry", null, null],
    ]);
    assert_eq!(json!(told), expected);
    world.finish();
}
