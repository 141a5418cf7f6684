//! Faults on order, pages, addresses, and stopping and going on.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use simulators::pagerduty::{Fault, Options, PagerDuty};

use crate::world::{ALL_SCOPES, World, read};

#[tokio::test]
async fn rest_fails_on_order() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    let path = format!("/incidents/{incident}/notes");
    let bearer = format!("Bearer {}", world.pagerduty.app_token(&ALL_SCOPES));
    let headers = [("authorization", bearer.as_str())];
    let note = json!({ "note": { "content": "x" } });
    let notes = || world.incident(&incident)["notes"].as_array().unwrap().len();
    for (fault, expected) in [
        (Fault::Status(500), Ok((500, Some(2000), None))),
        (Fault::Status(402), Ok((402, Some(2014), None))),
        (Fault::Status(403), Ok((403, Some(2010), None))),
        (Fault::Status(404), Ok((404, Some(2100), None))),
        (Fault::RateLimited(Some(12)), Ok((429, Some(2020), Some("12")))),
        (Fault::RateLimited(None), Ok((429, Some(2020), None))),
        (Fault::NoAnswer, Err(0)),
        (Fault::DropAnswerAfterApplying, Err(1)),
    ] {
        let before = notes();
        world.pagerduty.fail_next(1, &fault);
        let got = world.try_call("POST", &path, note.clone(), &headers).await;
        match (got, expected) {
            (Ok(got), Ok((status, code, reset))) => {
                let told = (got.status, got.body["error"]["code"].as_u64(), got.header("ratelimit-reset"));
                assert_eq!(told, (status, code, reset), "{fault:?}");
                assert_eq!(notes(), before, "nothing was done");
            }
            (Err(_), Err(added)) => assert_eq!(notes(), before + added, "{fault:?}"),
            (got, _) => panic!("{fault:?}: {got:?}"),
        }
    }
    world.pagerduty.fail_next(1, &Fault::Answer(500, "<html>".to_owned()));
    let got = read(world.http.get(format!("{}/services", world.base))).await.unwrap();
    assert_eq!((got.status, got.body), (500, json!("<html>")));
    world.finish();
}

#[tokio::test]
async fn a_fault_can_wait_for_one_operation() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.fail_next_at("PUT /incidents/{id}", 2, &Fault::Status(500));
    assert_eq!(world.get(&format!("/incidents/{incident}")).await.status, 200);
    let body = json!({ "incident": { "type": "incident_reference", "status": "resolved" } });
    for expected in [500, 500, 200] {
        let got = world.call_as(&world.ada, "PUT", &format!("/incidents/{incident}"), body.clone()).await;
        assert_eq!(got.status, expected);
    }
    world.pagerduty.fail_next(3, &Fault::Hang);
    assert_eq!(world.pagerduty.pending_faults(), 3);
    world.pagerduty.clear_faults();
    world.pagerduty.fail_next_at("PUT /incident/{id}", 1, &Fault::Hang);
    world.pagerduty.clear_faults();
    world.finish_with(&["fail_next_at: there is no PUT /incident/{id}"]);
}

#[tokio::test]
async fn a_hanging_call_is_never_answered() {
    let world = World::new().await;
    world.pagerduty.fail_next(1, &Fault::Hang);
    let url = format!("{}/services", world.base);
    let error = world.http.get(url).timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    world.finish();
}

#[tokio::test]
async fn a_slow_call_is_done_before_it_is_answered() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    let path = format!("/incidents/{incident}/notes");
    let note = json!({ "note": { "content": "x" } });
    world.pagerduty.fail_next_at("POST /incidents/{id}/notes", 1, &Fault::Slow(Duration::from_millis(1)));
    assert_eq!(world.call("POST", &path, note.clone()).await.status, 200);
    world.pagerduty.fail_next_at("POST /incidents/{id}/notes", 1, &Fault::Slow(Duration::MAX));
    let impatient = tokio::time::timeout(Duration::from_millis(50), world.call("POST", &path, note)).await;
    assert!(impatient.is_err());
    assert_eq!(world.incident(&incident)["notes"].as_array().unwrap().len(), 2);
    world.finish();
}

#[tokio::test]
async fn every_link_leads_to_a_page() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "<b>DB</b> down", "high");
    world.pagerduty.add_note(&incident, &world.ada, "on <it>");
    let told = world.get(&format!("/incidents/{incident}")).await;
    let page = async |url: &str| read(world.http.get(url).header("accept", "text/html,*/*")).await.unwrap();
    for (pointer, name) in [
        ("/incident/html_url", "#1 &lt;b&gt;DB&lt;/b&gt; down"),
        ("/incident/service/html_url", "Payments"),
        ("/incident/escalation_policy/html_url", "Default"),
        ("/incident/assignments/0/assignee/html_url", "Ada Wong"),
    ] {
        let got = page(&told.text(pointer)).await;
        let html = got.body.as_str().unwrap();
        assert!(got.status == 200 && html.contains(&format!("<h1>{name}</h1>")), "{pointer}: {html}");
    }
    let html = page(&told.text("/incident/html_url")).await.body;
    for part in ["triggered", "Payments", "Ada Wong", "<li>on &lt;it&gt;</li>"] {
        assert!(html.as_str().unwrap().contains(part), "{part}: {html}");
    }
    let gone = page(&format!("{}/incidents/QX", world.base)).await;
    assert_eq!(gone.status, 404);
    world.finish_with(&["GET /incidents/QX"]);
}

#[tokio::test]
async fn without_an_address_links_are_the_real_ones() {
    let now = || jiff::Timestamp::from_second(1_795_424_400).unwrap();
    let options = Options {
        account_id: "PACCOUNT".to_owned(),
        subdomain: "acme".to_owned(),
        client_id: String::new(),
        client_secret: String::new(),
        redirect_uris: vec![],
    };
    let pagerduty = PagerDuty::new(Arc::new(now), options);
    let service = pagerduty.add_service("Payments");
    let incident = pagerduty.trigger(&service, "DB down", "high");
    let told = pagerduty.incident(&incident).unwrap();
    assert_eq!(told["html_url"], format!("https://acme.pagerduty.com/incidents/{incident}"));
    assert_eq!(told["self"], format!("https://api.pagerduty.com/incidents/{incident}"));
    assert_eq!(pagerduty.base(), "https://api.pagerduty.com");
    pagerduty.set_base("http://127.0.0.1:4000/");
    assert_eq!(
        pagerduty.incident(&incident).unwrap()["html_url"],
        format!("http://127.0.0.1:4000/incidents/{incident}")
    );
}

#[tokio::test]
async fn a_restored_simulator_goes_on_where_the_old_one_was() {
    let old = World::new().await;
    let id = old.subscribe_service("a").await;
    let incident = old.pagerduty.trigger(&old.service, "DB down", "high");
    old.pagerduty.acknowledge(&incident, &old.ben);
    let bearer = format!("Bearer {}", old.pagerduty.user_token(&old.ada, &ALL_SCOPES));
    old.will_answer("a", &[503]);
    old.deliver().await;
    old.take("a");
    let kept: Value = serde_json::from_str(&old.pagerduty.snapshot().to_string()).unwrap();

    let new = World::new().await;
    new.pagerduty.restore(kept.clone()).unwrap();
    assert_eq!(new.pagerduty.snapshot(), kept);
    let (mut before, after) = (old.incident(&incident).to_string(), new.incident(&incident).to_string());
    before = before.replace(&old.base, &new.base);
    assert_eq!(after, before, "the addresses are the new ones");
    let got = new.call_with("GET", "/users/me", Value::Null, &[("authorization", &bearer)]).await;
    assert_eq!(got.status, 200, "tokens are kept");
    new.advance(SignedDuration::from_secs(10));
    new.deliver().await;
    assert_eq!(
        old.kinds("a"),
        ["incident.triggered", "incident.acknowledged"],
        "the queue goes on, to the old address"
    );
    assert_eq!(new.pagerduty.secret_of(&id), old.pagerduty.secret_of(&id));
    let another = new.pagerduty.trigger(&new.service, "Disk full", "high");
    assert!(old.pagerduty.incident(&another).is_none(), "ids are not given twice");
    old.finish();
    new.finish();
}

#[tokio::test]
async fn what_is_no_snapshot_changes_nothing() {
    let world = World::new().await;
    let before = world.pagerduty.snapshot();
    assert!(world.pagerduty.restore(json!({ "users": 3 })).is_err());
    assert_eq!(world.pagerduty.snapshot(), before);
    world.finish();
}

#[tokio::test]
async fn what_the_local_page_shows() {
    let world = World::new().await;
    let priority = world.pagerduty.add_priority("P1");
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.add_note(&incident, &world.ada, "on it");
    let second = world.pagerduty.trigger(&world.service, "Disk full", "high");
    let listed = world.pagerduty.incidents();
    assert_eq!(listed.iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), [&second, &incident]);
    assert_eq!(listed[1]["notes"][0]["content"], "on it");
    assert_eq!(listed[1]["log"][1]["type"], "annotate_log_entry");
    assert_eq!(world.pagerduty.priorities(), [(priority, "P1".to_owned())]);
    assert_eq!(world.pagerduty.users()[1]["name"], "Ben Okafor");
    assert_eq!(world.pagerduty.services()[0]["name"], "Payments");
    assert_eq!(world.pagerduty.user_with_email("BEN@example.com"), Some(world.ben.clone()));
    assert_eq!(world.pagerduty.service_named("Payments"), Some(world.service.clone()));
    world.pagerduty.delete_service(&world.service);
    assert_eq!(world.pagerduty.service_named("Payments"), None);
    assert_eq!(world.incident(&incident)["service"]["summary"], "Payments", "the incident still names it");
    world.finish();
}
