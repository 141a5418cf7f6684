//! Reading over REST: every operation in its documented shape, lists with pages and filters.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::shapes;
use crate::world::{World, subscription};

#[tokio::test]
async fn every_operation_answers_in_its_documented_shape() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let priority = pagerduty.add_priority("P1");
    let team = pagerduty.add_team("SRE");
    pagerduty.put_in_team(&world.service, &team);
    let target = pagerduty.trigger(&world.service, "DB down", "high");
    let merged = pagerduty.trigger_by_user(&world.service, "DB slow", "low", &world.ada);
    pagerduty.set_conference(&target, &world.ada, Some("+1 555 0100"), None);
    pagerduty.set_priority(&target, &world.ada, Some(&priority));
    pagerduty.acknowledge(&target, &world.ada);
    pagerduty.add_note(&target, &world.ada, "on it");
    pagerduty.merge(&merged, &target, &world.ben);

    world.call_as(&world.ada, "GET", "/users/me", Value::Null).await;
    world.get(&format!("/users/{}", world.ben)).await;
    let every_include = "include[]=acknowledgers&include[]=agents&include[]=assignees&include[]=conference_bridge\
        &include[]=escalation_policies&include[]=first_trigger_log_entries&include[]=priorities&include[]=services\
        &include[]=teams&include[]=users";
    for path in [
        "/users?include[]=teams",
        "/services?include[]=teams&include[]=escalation_policies&total=true",
        "/priorities",
        "/escalation_policies",
        "/oncalls?include[]=users&include[]=escalation_policies",
        "/incidents",
        &format!("/incidents?{every_include}"),
        &format!("/services/{}", world.service),
        &format!("/services/{}?include[]=teams&include[]=escalation_policies", world.service),
        &format!("/incidents/{target}"),
        &format!("/incidents/{merged}?{every_include}&include[]=custom_fields"),
        &format!("/incidents/{target}/alerts?include[]=services&include[]=incidents&total=true"),
        &format!("/incidents/{target}/past_incidents"),
        &format!("/incidents/{target}/related_incidents"),
        &format!("/incidents/{target}/related_change_events"),
        &format!("/incidents/{target}/outlier_incident"),
        &format!("/incidents/{target}/business_services/impacts"),
        &format!("/incidents/{target}/notes"),
        &format!("/incidents/{target}/log_entries?include[]=channels"),
        "/log_entries?include[]=channels",
    ] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
    let reference = json!({ "id": world.service, "type": "service_reference" });
    let new = json!({ "incident": { "type": "incident", "title": "New", "service": reference } });
    let made = world.call_as(&world.ada, "POST", "/incidents", new).await.text("/incident/id");
    let update = json!({ "incident": { "type": "incident_reference", "status": "resolved" } });
    world.call_as(&world.ada, "PUT", &format!("/incidents/{made}"), update).await;
    let reopened = json!({ "incidents": [{ "id": made, "type": "incident_reference", "status": "triggered" }] });
    world.call_as(&world.ada, "PUT", "/incidents?total=true", reopened).await;
    world.call_as(&world.ada, "POST", &format!("/incidents/{made}/notes"), json!({ "note": { "content": "x" } })).await;
    let mut wanted = subscription(&json!({ "type": "account_reference" }), &world.hook("a"));
    wanted["webhook_subscription"]["delivery_method"]["custom_headers"] =
        json!([{ "name": "x-key", "value": "secret" }]);
    let made = world.call("POST", "/webhook_subscriptions", wanted).await.text("/webhook_subscription/id");
    let path = format!("/webhook_subscriptions/{made}");
    world.get("/webhook_subscriptions").await;
    world.get(&path).await;
    world.call("PUT", &path, json!({ "webhook_subscription": { "description": "other" } })).await;
    world.call("POST", &format!("{path}/enable"), Value::Null).await;
    world.call("POST", &format!("{path}/ping"), Value::Null).await;
    world.call("DELETE", &path, Value::Null).await;
    let event = json!({
        "routing_key": pagerduty.routing_key(&world.service), "event_action": "resolve", "dedup_key": "unknown",
    });
    world.call("POST", "/v2/enqueue", event).await;
    world.get("/global/oauth/anonymous/jwks").await;
    world.get("/global/oauth/anonymous/.well-known/openid-configuration").await;

    let mut left = shapes::operations();
    left.retain(|operation| !world.answered().contains(operation));
    assert_eq!(left, Vec::<String>::new(), "these were never answered");
    world.finish();
}

#[tokio::test]
async fn an_incident_is_told_as_rest_tells_it() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "low");
    let priority = world.pagerduty.add_priority("P1");
    world.advance(SignedDuration::from_secs(10));
    world.pagerduty.acknowledge(&incident, &world.ben);
    world.advance(SignedDuration::from_secs(10));
    world.pagerduty.set_priority(&incident, &world.ada, Some(&priority));
    let by_id = world.get(&format!("/incidents/{incident}")).await;
    assert_eq!(world.get("/incidents/1").await.body, by_id.body, "the number is as good as the id");
    let told = by_id.at("/incident");
    let base = &world.base;
    let reference = |kind: &str, id: &str, name: &str, api: &str, web: &str| {
        json!({ "id": id, "type": format!("{kind}_reference"), "summary": name,
                "self": format!("{base}/{api}/{id}"), "html_url": format!("{base}/{web}/{id}") })
    };
    let ben = reference("user", &world.ben, "Ben Okafor", "users", "users");
    for (key, expected) in [
        ("summary", json!("[#1] DB down")),
        ("html_url", json!(format!("{base}/incidents/{incident}"))),
        ("incident_number", json!(1)),
        ("status", json!("acknowledged")),
        ("incident_key", Value::Null),
        ("created_at", json!("2026-11-23T09:00:00Z")),
        ("last_status_change_at", json!("2026-11-23T09:00:10Z")),
        ("last_status_change_by", ben.clone()),
        ("updated_at", json!("2026-11-23T09:00:20Z")),
        ("assignments", json!([{ "at": "2026-11-23T09:00:10Z", "assignee": ben }])),
        ("acknowledgements", json!([{ "at": "2026-11-23T09:00:10Z", "acknowledger": ben }])),
        ("service", reference("service", &world.service, "Payments", "services", "service-directory")),
        (
            "priority",
            json!({ "id": priority, "type": "priority_reference", "summary": "P1", "self": format!("{base}/priorities/{priority}") }),
        ),
        ("alert_counts", json!({ "all": 1, "triggered": 1, "resolved": 0 })),
        ("urgency", json!("low")),
    ] {
        assert_eq!(told[key], expected, "{key}");
    }
    world.pagerduty.unacknowledge(&incident);
    world.advance(SignedDuration::from_secs(10));
    world.pagerduty.add_note(&incident, &world.ada, "x");
    let told = world.get("/incidents/1").await;
    assert_eq!(
        told.text("/incident/last_status_change_at"),
        told.text("/incident/updated_at"),
        "while it is triggered"
    );
    world.finish();
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::new().await;
    for path in [
        "/users/PX",
        "/services/PX",
        "/incidents/QX",
        "/incidents/QX/alerts",
        "/incidents/QX/past_incidents",
        "/incidents/QX/related_incidents",
        "/incidents/QX/related_change_events",
        "/incidents/QX/outlier_incident",
        "/incidents/QX/business_services/impacts",
        "/incidents/QX/notes",
        "/incidents/QX/log_entries",
        "/webhook_subscriptions/PX",
    ] {
        let got = world.get(path).await;
        assert_eq!(
            (got.status, got.body),
            (404, json!({ "error": { "message": "Not Found", "code": 2100 } })),
            "{path}"
        );
    }
    world.pagerduty.delete_service(&world.service);
    assert_eq!(world.get(&format!("/services/{}", world.service)).await.status, 404);
    world.finish();
}

#[tokio::test]
async fn lists_have_pages() {
    let world = World::new().await;
    for number in 0..129 {
        world.pagerduty.add_service(&format!("Service {number:03}"));
    }
    for (query, (limit, offset, entries, more)) in [
        ("", (25, 0, 25, true)),
        ("limit=100", (100, 0, 100, true)),
        ("limit=500", (100, 0, 100, true)),
        ("limit=30&offset=100", (30, 100, 30, false)),
        ("limit=29&offset=100", (29, 100, 29, true)),
        ("offset=130", (25, 130, 0, false)),
        ("limit=100&offset=9900", (100, 9900, 0, false)),
    ] {
        let got = world.get(&format!("/services?{query}")).await;
        let count = got.at("/services").as_array().unwrap().len();
        let expected = json!({ "limit": limit, "offset": offset, "more": more, "total": null });
        let mut told = got.body;
        told.as_object_mut().unwrap().remove("services");
        assert_eq!((told, count), (expected, entries), "{query}");
    }
    assert_eq!(world.get("/services?total=true&limit=1").await.at("/total"), &json!(130));
    for query in ["limit=100&offset=9901", "limit=x", "offset=-1", "total=yes"] {
        assert_eq!(world.get(&format!("/services?{query}")).await.error(), (400, 2001), "{query}");
    }
    world.finish();
}

#[tokio::test]
async fn services_are_filtered_and_sorted() {
    let world = World::new().await;
    let search = world.pagerduty.add_service("Search");
    world.pagerduty.add_service("Payments (EU)");
    let team = world.pagerduty.add_team("SRE");
    world.pagerduty.put_in_team(&search, &team);
    for (query, expected) in [
        ("", vec!["Payments", "Search", "Payments (EU)"]),
        ("query=PAY", vec!["Payments", "Payments (EU)"]),
        ("name=Payments", vec!["Payments"]),
        ("sort_by=name", vec!["Payments", "Payments (EU)", "Search"]),
        ("sort_by=name:desc", vec!["Search", "Payments (EU)", "Payments"]),
        (&format!("team_ids[]={team}"), vec!["Search"]),
        ("query=nothing", vec![]),
    ] {
        assert_eq!(world.get(&format!("/services?{query}")).await.each("/services", "name"), expected, "{query}");
    }
    for query in ["sort_by=age", "include[]=everything"] {
        assert_eq!(world.get(&format!("/services?{query}")).await.error(), (400, 2001), "{query}");
    }
    world.finish();
}

#[tokio::test]
async fn incidents_are_filtered_and_sorted() {
    let world = World::new().await;
    let search = world.pagerduty.add_service("Search");
    let old = world.pagerduty.trigger(&world.service, "old", "high");
    world.pagerduty.resolve(&old, &world.ada);
    world.advance(SignedDuration::from_hours(31 * 24));
    world.pagerduty.trigger(&world.service, "first", "low");
    world.advance(SignedDuration::from_hours(1));
    let second = world.pagerduty.trigger(&search, "second", "high");
    world.pagerduty.acknowledge(&second, &world.ben);
    let third = world.pagerduty.trigger_by_user(&search, "third", "low", &world.ada);
    world.pagerduty.resolve(&third, &world.ada);
    let key = world.incident(&third)["incident_key"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("", vec!["first", "second", "third"]),
        ("date_range=all", vec!["old", "first", "second", "third"]),
        ("since=2026-11-01T00:00:00Z&until=2026-12-01T00:00:00Z", vec!["old"]),
        ("since=2026-12-24T04:30:00-05:00", vec!["second", "third"]),
        ("statuses[]=triggered&statuses[]=acknowledged", vec!["first", "second"]),
        ("statuses[]=resolved&date_range=all", vec!["old", "third"]),
        ("urgencies[]=low", vec!["first", "third"]),
        (&format!("service_ids[]={search}"), vec!["second", "third"]),
        (&format!("user_ids[]={}", world.ben), vec!["second"]),
        (&format!("incident_key={key}"), vec!["third"]),
        ("sort_by=created_at:desc", vec!["third", "second", "first"]),
        ("sort_by=urgency,incident_number:desc", vec!["second", "third", "first"]),
        ("limit=1&offset=1", vec!["second"]),
    ] {
        assert_eq!(world.get(&format!("/incidents?{query}")).await.each("/incidents", "title"), expected, "{query}");
    }
    for (query, code) in [
        ("since=yesterday", 2004),
        ("since=2026-01-01T00:00:00Z", 2005),
        ("since=2026-12-02T00:00:00Z&until=2026-12-01T00:00:00Z", 2005),
        ("statuses[]=closed", 2001),
        ("urgencies[]=medium", 2001),
        ("date_range=some", 2001),
        ("sort_by=title", 2001),
        ("sort_by=created_at:up", 2001),
        ("sort_by=created_at,urgency,incident_number", 2001),
        ("include[]=custom_fields", 2001),
    ] {
        assert_eq!(world.get(&format!("/incidents?{query}")).await.error(), (400, code), "{query}");
    }
    world.finish();
}

#[tokio::test]
async fn includes_make_references_whole() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.acknowledge(&incident, &world.ben);
    for (include, pointer, whole) in [
        ("services", "/incident/service/type", "service"),
        ("assignees", "/incident/assignments/0/assignee/type", "user"),
        ("acknowledgers", "/incident/acknowledgements/0/acknowledger/type", "user"),
        ("agents", "/incident/last_status_change_by/type", "user"),
        ("users", "/incident/last_status_change_by/type", "user"),
        ("escalation_policies", "/incident/escalation_policy/type", "escalation_policy"),
        ("first_trigger_log_entries", "/incident/first_trigger_log_entry/type", "trigger_log_entry"),
    ] {
        let path = format!("/incidents/{incident}");
        assert_eq!(world.get(&path).await.text(pointer), format!("{whole}_reference"), "{include}");
        assert_eq!(world.get(&format!("{path}?include[]={include}")).await.text(pointer), whole, "{include}");
    }
    let with = world.get(&format!("/incidents/{incident}?include[]=conference_bridge")).await;
    assert_eq!(with.at("/incident/conference_bridge"), &Value::Null);
    assert_eq!(world.get(&format!("/incidents/{incident}")).await.body.pointer("/incident/conference_bridge"), None);
    world.finish();
}

#[tokio::test]
async fn a_service_shows_its_policy_and_teams_whole() {
    let world = World::new().await;
    let team = world.pagerduty.add_team("SRE");
    world.pagerduty.put_in_team(&world.service, &team);
    for (include, pointer, whole) in
        [("escalation_policies", "/escalation_policy", "escalation_policy"), ("teams", "/teams/0", "team")]
    {
        for (path, service) in
            [(format!("/services/{}", world.service), "/service"), ("/services".to_owned(), "/services/0")]
        {
            let (kind, name) = (format!("{service}{pointer}/type"), format!("{service}{pointer}/name"));
            assert_eq!(world.get(&path).await.text(&kind), format!("{whole}_reference"), "{path}");
            let got = world.get(&format!("{path}?include[]={include}")).await;
            let expected = if whole == "team" { "SRE" } else { "Default" };
            assert_eq!((got.text(&kind).as_str(), got.text(&name).as_str()), (whole, expected), "{path}");
        }
    }
    world.finish();
}

#[tokio::test]
async fn people_are_found_by_name_and_address() {
    let world = World::new().await;
    world.pagerduty.add_foreign_user("Ada Elsewhere", "ada@elsewhere.example", "user");
    for (query, expected) in [
        ("", vec!["Ada Wong", "Ben Okafor"]),
        ("query=WONG", vec!["Ada Wong"]),
        ("query=ben@", vec!["Ben Okafor"]),
        ("limit=1&offset=1", vec!["Ben Okafor"]),
        ("query=nobody", vec![]),
    ] {
        assert_eq!(world.get(&format!("/users?{query}")).await.each("/users", "name"), expected, "{query}");
    }
    assert_eq!(world.get("/users?include[]=everything").await.error(), (400, 2001));
    world.finish();
}

#[tokio::test]
async fn policies_and_who_is_on_call() {
    let world = World::new().await;
    let policy = world.pagerduty.add_policy("Night", &[&[&world.ben], &[&world.ada, &world.ben]]);
    for (query, expected) in [
        ("", vec!["Default", "Night"]),
        ("query=nig", vec!["Night"]),
        ("sort_by=name:desc", vec!["Night", "Default"]),
        ("user_ids[]=PX", vec![]),
    ] {
        let got = world.get(&format!("/escalation_policies?{query}")).await;
        assert_eq!(got.each("/escalation_policies", "name"), expected, "{query}");
    }
    let got = world.get(&format!("/oncalls?escalation_policy_ids[]={policy}&user_ids[]={}", world.ben)).await;
    let levels: Vec<u64> = got
        .at("/oncalls")
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["escalation_level"].as_u64().unwrap())
        .collect();
    assert_eq!(levels, [1, 2]);
    let whole = world.get(&format!("/oncalls?escalation_policy_ids[]={policy}&include[]=users")).await;
    assert_eq!(whole.text("/oncalls/0/user/email"), "ben@example.com");
    assert_eq!(whole.text("/oncalls/0/escalation_policy/type"), "escalation_policy_reference");
    assert_eq!(world.get("/oncalls?schedule_ids[]=PX").await.at("/oncalls"), &json!([]));
    world.finish();
}

#[tokio::test]
async fn notes_and_the_log_tell_what_was_done() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.acknowledge(&incident, &world.ada);
    world.pagerduty.add_note(&incident, &world.ben, "on it");
    world.advance(SignedDuration::from_mins(5));
    world.pagerduty.set_urgency(&incident, &world.ada, "low");
    world.pagerduty.resolve_by_integration(&incident);
    let notes = world.get(&format!("/incidents/{incident}/notes")).await;
    assert_eq!(notes.each("/notes", "content"), ["on it"]);
    assert_eq!(notes.text("/notes/0/user/summary"), "Ben Okafor");
    assert_eq!(notes.text("/notes/0/created_at"), "2026-11-23T04:00:00-05:00", "in the account's time zone");
    let all = ["resolve", "urgency_change", "annotate", "acknowledge", "notify", "assign", "trigger"];
    for (query, expected) in [
        ("", &all[..]),
        ("is_overview=true", &["resolve", "acknowledge", "assign", "trigger"]),
        ("since=2026-11-23T09:01:00Z", &all[..2]),
        ("until=2026-11-23T09:01:00Z", &all[2..]),
        ("limit=1&offset=2", &all[2..3]),
    ] {
        let kinds = world.get(&format!("/incidents/{incident}/log_entries?{query}")).await.each("/log_entries", "type");
        let expected: Vec<String> = expected.iter().map(|kind| format!("{kind}_log_entry")).collect();
        assert_eq!(kinds, expected, "{query}");
    }
    let log = world.get(&format!("/incidents/{incident}/log_entries")).await;
    assert_eq!(log.text("/log_entries/0/agent/type"), "service_reference", "a tool goes by the service");
    assert_eq!(log.text("/log_entries/2/note"), "on it");
    world.finish();
}

#[tokio::test]
async fn the_accounts_log_has_what_happened_to_all_incidents_whoever_is_told() {
    let world = World::new().await;
    let one = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.advance(SignedDuration::from_mins(1));
    let other = world.pagerduty.trigger(&world.service, "DB slow", "low");
    world.advance(SignedDuration::from_mins(1));
    world.pagerduty.add_note(&one, &world.ben, "on it");
    world.pagerduty.acknowledge(&other, &world.ada);
    let got = world.get("/log_entries?since=2026-11-23T09:02:00Z").await;
    assert_eq!(got.each("/log_entries", "type"), ["acknowledge_log_entry", "annotate_log_entry"], "the newest first");
    assert_eq!(got.text("/log_entries/1/incident/id"), one);
    assert_eq!(got.text("/log_entries/1/created_at"), "2026-11-23T09:02:00Z", "whole seconds");
    assert_eq!(got.text("/log_entries/1/service/id"), world.service);
    let until = world.get("/log_entries?until=2026-11-23T09:00:30Z&limit=2").await;
    assert_eq!((until.each("/log_entries", "type").len(), until.at("/more")), (2, &json!(true)));
    assert_eq!(world.get("/log_entries?limit=100&offset=9900").await.status, 200);
    assert_eq!(world.get("/log_entries?limit=100&offset=9901").await.error(), (400, 2001));
    let priority = world.pagerduty.add_priority("P1");
    world.pagerduty.set_priority(&one, &world.ada, Some(&priority));
    let got = world.get("/log_entries?include[]=channels&limit=1").await;
    assert_eq!(got.text("/log_entries/0/type"), "field_value_change_log_entry");
    assert_eq!(got.text("/log_entries/0/channel/changeset/application_fields/0/value"), priority);
    world.finish();
}

#[tokio::test]
async fn what_the_documents_do_not_have_is_remembered() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    for (method, path) in [
        ("GET", "/schedules"),
        ("PATCH", "/incidents"),
        ("DELETE", "/services/PX"),
        ("GET", "/incidents//notes"),
        ("POST", "/oauth/revoke"),
    ] {
        let got = world.call(method, path, Value::Null).await;
        let expected = json!({ "error": { "message": "Not Found", "code": 2100 } });
        assert_eq!((got.status, got.body), (404, expected), "{method} {path}");
    }
    assert_eq!(world.get("/services?q=pay").await.status, 200, "an unknown parameter is ignored");
    let body = json!({ "note": { "content": "x", "colour": "red" }, "more": 1 });
    assert_eq!(world.call("POST", &format!("/incidents/{incident}/notes"), body).await.status, 200);
    assert_eq!(world.http.get(format!("{}/favicon.ico", world.base)).send().await.unwrap().status(), 404);
    world.finish_with(&[
        "GET /schedules",
        "PATCH /incidents",
        "DELETE /services/PX",
        "GET /incidents//notes",
        "POST /oauth/revoke",
        "GET /services: parameter q",
        "POST /incidents/{id}/notes: body key more",
        "POST /incidents/{id}/notes: body key note.colour",
    ]);
}
