//! *Details*: everything that PagerDuty knows around an incident, in a dialog for the person who asks.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value, json};
use simulators::pagerduty::{Context, EVENT_INTELLIGENCE, Fault, NewAlert};
use simulators::teams::Task;

use crate::card::message;
use crate::world::World;

/// An incident with everything around it, and Ada is linked.
struct Around {
    world: World,
    incident: String,
}

impl Around {
    async fn new() -> Self {
        let world = Box::pin(World::new()).await;
        let alert = NewAlert { details: json!({ "lag": 43, "hosts": ["db-7", "db-9"] }), ..NewAlert::default() };
        let incident = world.pagerduty().trigger_with_alert(&world.service("Payments"), "DB down", "high", alert);
        Box::pin(world.settle()).await;
        Box::pin(world.link("Ada Wong")).await;
        Self { world, incident }
    }

    async fn whole() -> Self {
        let around = Self::new().await;
        let (world, incident) = (&around.world, around.incident.as_str());
        let (ada, ben) = (world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
        let pagerduty = world.pagerduty();
        world.tick(SignedDuration::from_mins(1));
        pagerduty.add_alert(incident, NewAlert { summary: Some("Replica is gone".to_owned()), ..NewAlert::default() });
        pagerduty.acknowledge(incident, &ben);
        pagerduty.add_note(incident, &ben, "Failing over:\n1. stop writes\n2. promote");
        pagerduty.ask_responder(incident, &ada, &ben, "Please look at the replica");
        pagerduty.answer_request(incident, &ben, true, "On my way");
        let (past, related) =
            (world.trigger("Search", "Index stale").await, world.trigger("Search", "Shards lost").await);
        let short = |id: &str| json!({ "incident": pagerduty.short_incident(id) });
        pagerduty.set_context(incident, Context::PastIncidents, json!([short(&past)]));
        pagerduty.set_context(incident, Context::RelatedIncidents, json!([{
            "incident": pagerduty.short_incident(&related), "relationships": [{ "type": "service_dependency", "metadata": {} }],
        }]));
        pagerduty.set_context(incident, Context::RelatedChangeEvents, json!([{
            "id": "C1", "type": "change_event", "summary": "Deploy 4.12.0", "timestamp": "2026-11-23T08:55:00Z", "source": "build-17",
            "links": [{ "href": "https://ci.example/17", "text": "Build" }], "correlation_reason": { "reason": "most_recent" },
        }]));
        let occurrence = json!({ "count": 2, "frequency": 0.04, "category": "rare" });
        pagerduty.set_context(
            incident,
            Context::OutlierIncident,
            json!({ "incident": { "id": incident, "occurrence": occurrence } }),
        );
        pagerduty.set_context(
            incident,
            Context::BusinessServiceImpacts,
            json!([
                { "id": "B1", "name": "Web shop", "type": "business_service", "status": "impacted" },
                { "id": "B2", "name": "Payroll", "type": "business_service", "status": "not_impacted" },
            ]),
        );
        world.settle().await;
        around
    }

    /// The card of the incident, whatever others are there.
    fn message(&self) -> String {
        let cards = self.world.cards("Payments");
        cards.iter().find(|card| card.json().contains(&self.incident)).unwrap().message.id.clone()
    }

    async fn open(&self, who: &str) -> Task {
        self.world.tick(SignedDuration::from_millis(1));
        let who = self.world.person(who).teams;
        self.world.teams().click(&who, &self.message(), "Details", json!({})).await.unwrap().task()
    }

    async fn press(&self, who: &str, button: &str) -> Task {
        self.world.tick(SignedDuration::from_millis(1));
        let who = self.world.person(who).teams;
        self.world.teams().submit_dialog(&who, button, json!({})).await.unwrap().task()
    }
}

#[track_caller]
fn dialog(task: &Task) -> &Value {
    match task {
        Task::Dialog { title, card } => {
            assert_eq!(title, "Incident details");
            card
        }
        other => panic!("a dialog was expected, not {other:?}"),
    }
}

#[track_caller]
fn shows(task: &Task, texts: &[&str]) {
    let card = dialog(task).to_string();
    texts.iter().for_each(|text| assert!(card.contains(text), "{text}: {card}"));
}

#[track_caller]
fn hides(task: &Task, texts: &[&str]) {
    let card = dialog(task).to_string();
    texts.iter().for_each(|text| assert!(!card.contains(text), "{text}: {card}"));
}

fn buttons(task: &Task) -> Vec<String> {
    let rows = dialog(task)["body"].as_array().unwrap().iter();
    let actions = rows.flat_map(|row| row["actions"].as_array().cloned().unwrap_or_default());
    actions.map(|action| action["title"].as_str().unwrap().to_owned()).collect()
}

const PLANNED: [&str; 3] = ["Past incidents", "Related incidents", "How usual this is"];

#[tokio::test]
async fn everything_around_an_incident_is_in_one_dialog() {
    let around = Around::whole().await;
    let page = around.open("Ada Wong").await;
    shows(&page, &["DB down", "Acknowledged", "Escalation policy: ", "Alerts (2)", "Replica is gone", "lag: 43"]);
    shows(&page, &["Impacted business services", "Web shop", "Rare: incidents like this one seldom happen"]);
    shows(
        &page,
        &["1. stop writes", "2. promote", "Ben Okafor", "accepted", "asked by Ada Wong: Please look at the replica"],
    );
    shows(&page, &["Activity", "Acknowledged by Ben Okafor", "Triggered"]);
    shows(&page, &["Deploy 4.12.0", "opens ci.example", "the latest one"]);
    shows(&page, &["Index stale", "Shards lost", "services depend on each other"]);
    hides(&page, &["Payroll", "Retry", "None"]);
    assert_eq!(buttons(&page), Vec::<String>::new());
    let card = dialog(&page).to_string();
    let line = |text: &str| card.find(text).unwrap();
    assert!(line("Alerts (2)") < line("Notes") && line("Activity") < line("Past incidents"), "{card}");
    around.world.finish();
}

#[tokio::test]
async fn what_the_account_does_not_have_is_absent() {
    let around = Around::whole().await;
    around.world.pagerduty().set_ability(EVENT_INTELLIGENCE, false);
    let page = around.open("Ada Wong").await;
    shows(&page, &["Alerts (2)", "Notes", "Responders", "Activity", "Recent changes"]);
    hides(&page, &PLANNED);
    hides(&page, &["Retry"]);
    for status in [402, 403, 404] {
        around.world.pagerduty().fail_next_at("GET /incidents/{id}/alerts", 1, &Fault::Status(status));
        let page = around.open("Ada Wong").await;
        shows(&page, &["Notes"]);
        hides(&page, &["Alerts (2)", "Retry"]);
    }
    around.world.finish();
}

#[tokio::test]
async fn a_part_that_hangs_is_named_and_retry_brings_it() {
    let around = Around::whole().await;
    around.world.pagerduty().fail_next_at("GET /incidents/{id}/alerts", 1, &Fault::Hang);
    let asked = Instant::now();
    let page = around.open("Ada Wong").await;
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    shows(&page, &["PagerDuty has not told me in time: alerts.", "Notes", "Responders", "Activity", "Past incidents"]);
    hides(&page, &["Alerts (2)"]);
    assert_eq!(buttons(&page), ["Retry"]);
    let page = around.press("Ada Wong", "Retry").await;
    shows(&page, &["Alerts (2)", "Replica is gone"]);
    hides(&page, &["Retry", "in time"]);
    around.world.finish();
}

#[tokio::test]
async fn what_fails_in_passing_can_be_asked_again() {
    let around = Around::whole().await;
    let pagerduty = around.world.pagerduty();
    pagerduty.fail_next_at("GET /incidents/{id}/notes", 1, &Fault::Status(503));
    pagerduty.fail_next_at("GET /incidents/{id}/log_entries", 1, &Fault::RateLimited(Some(30)));
    pagerduty.fail_next_at("GET /incidents/{id}/past_incidents", 1, &Fault::NoAnswer);
    pagerduty.fail_next_at("GET /incidents/{id}", 1, &Fault::Status(500));
    let page = around.open("Ada Wong").await;
    shows(&page, &["in time: notes, responders, activity and past incidents.", "Alerts (2)", "Related incidents"]);
    let page = around.press("Ada Wong", "Retry").await;
    shows(&page, &["Notes", "Responders", "Activity", "Past incidents"]);
    assert_eq!(buttons(&page), Vec::<String>::new());
    around.world.finish();
}

#[tokio::test]
async fn when_nothing_is_told_the_dialog_shows_what_the_card_knows() {
    let around = Around::whole().await;
    let pagerduty = around.world.pagerduty();
    pagerduty.fail_next(9, &Fault::Hang);
    let asked = Instant::now();
    let page = around.open("Ada Wong").await;
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    shows(&page, &["DB down", "Escalation policy: ", "so this is only what the card knows."]);
    assert_eq!(buttons(&page), ["Retry"]);
    let page = around.press("Ada Wong", "Retry").await;
    assert_eq!(buttons(&page), Vec::<String>::new());

    // The token has ended, and there is no other for now.
    around.world.tick(SignedDuration::from_hours(25));
    pagerduty.fail_next_token(1, &Fault::Status(503));
    let page = around.open("Ada Wong").await;
    shows(&page, &["DB down", "so this is only what the card knows."]);
    shows(&around.press("Ada Wong", "Retry").await, &["Alerts (2)"]);
    around.world.finish();
}

#[tokio::test]
async fn times_are_those_of_the_channels_zone() {
    let around = Around::whole().await;
    let (app, service) = (&around.world.stack.app, around.world.service("Payments"));
    let channel = around.world.card_key("Payments", &around.incident).channel;
    let service = domain::ids::ServiceId::new(service).unwrap();
    let key = domain::connection::ConnectionKey { account: crate::world::account(), service, channel };
    let connection = app.store.connection(&key).await.unwrap().unwrap();
    let manner = domain::connection::Manner { zone: domain::zone::Zone::named("Asia/Tokyo").ok(), mentions: None };
    assert!(app.store.change_manner(&connection, &manner).await.unwrap());
    let page = around.open("Ada Wong").await;
    shows(&page, &["23 Nov 2026, 18:00 JST (Asia/Tokyo)", "18:01 JST · Ben Okafor", "17:55 JST · build-17"]);
    hides(&page, &["UTC"]);
    around.world.finish();
}

#[tokio::test]
async fn sixty_alerts_are_paged_through_once() {
    let around = Around::new().await;
    let world = &around.world;
    for number in 2..=60 {
        let summary = Some(format!("Alert number {number:02}."));
        world.pagerduty().add_alert(&around.incident, NewAlert { summary, ..NewAlert::default() });
    }
    let mut page = around.open("Ada Wong").await;
    shows(&page, &["Alerts 1-10 of "]);
    assert_eq!(buttons(&page), ["Next alerts"]);
    let mut found = Vec::new();
    let numbers = |page: &Task| {
        let card = dialog(page).to_string();
        (2..=60).filter(|number| card.contains(&format!("Alert number {number:02}."))).collect::<Vec<u32>>()
    };
    for _ in 0..20 {
        found.extend(numbers(&page));
        if !buttons(&page).contains(&"Next alerts".to_owned()) {
            break;
        }
        page = around.press("Ada Wong", "Next alerts").await;
    }
    assert_eq!(found, (2..=60).collect::<Vec<u32>>());
    shows(&page, &["Alerts 51-60 of 60"]);
    assert_eq!(buttons(&page), ["First alerts"]);
    // A page that is late is the one that Retry brings.
    around.press("Ada Wong", "First alerts").await;
    world.pagerduty().fail_next_at("GET /incidents/{id}/alerts", 1, &Fault::Status(503));
    assert_eq!(buttons(&around.press("Ada Wong", "Next alerts").await), ["Retry"]);
    shows(&around.press("Ada Wong", "Retry").await, &["Alerts 11-20 of "]);
    around.world.finish();
}

#[tokio::test]
async fn whoever_is_not_linked_gets_a_private_link() {
    let around = Around::whole().await;
    let world = &around.world;
    let told = message(around.open("Ben Okafor").await);
    assert!(told.contains("private message with a personal link"), "{told}");
    let private = world.private_cards("Ben Okafor");
    assert!(private.len() == 1 && private[0].link().contains("/oauth/start?ticket="));

    // A log-in that has ended is told in the same way.
    let before = world.private_cards("Ada Wong").len();
    world.pagerduty().revoke_tokens(&world.pagerduty_user("Ada Wong"));
    let told = message(around.open("Ada Wong").await);
    assert!(told.contains("private message with a personal link"), "{told}");
    assert_eq!(world.private_cards("Ada Wong").len(), before + 1);
    around.world.finish();
}

#[tokio::test]
async fn a_token_that_is_refused_once_is_renewed() {
    let around = Around::whole().await;
    around.world.pagerduty().fail_next_at("GET /incidents/{id}/notes", 1, &Fault::Status(401));
    let page = around.open("Ada Wong").await;
    shows(&page, &["Notes", "Alerts (2)"]);
    assert_eq!(buttons(&page), Vec::<String>::new());
    around.world.finish();
}

#[tokio::test]
async fn a_token_that_stays_refused_is_told_as_such() {
    let around = Around::new().await;
    around.world.link("Ada Wong").await;
    let before = around.world.private_cards("Ada Wong").len();
    around.world.pagerduty().fail_next(60, &Fault::Status(401));
    assert_eq!(message(around.open("Ada Wong").await), cards::text::LOG_IN_REFUSED);
    around.world.pagerduty().clear_faults();
    assert_eq!(around.world.private_cards("Ada Wong").len(), before, "no personal link");
    around.world.finish();
}

#[tokio::test]
async fn a_forged_incident_is_not_shown() {
    let around = Around::whole().await;
    let world = &around.world;
    let elsewhere = world.cards("Search");
    let theirs = elsewhere[0].json();
    let other = theirs.split("\"incident\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let ada = world.person("Ada Wong").teams;
    let data = |incident: &str| json!({ "v": 1, "account": local::ACCOUNT, "incident": incident, "verb": "details", "from": 0 });
    for incident in [other.as_str(), "QNONE"] {
        for opens in [true, false] {
            let (message_id, data) = (around.message(), data(incident));
            let answer = if opens {
                world.teams().task_fetch(&ada, &message_id, data).await
            } else {
                world.teams().task_submit(&ada, &message_id, data).await
            };
            let told = message(answer.unwrap().task());
            assert!(told.starts_with("I do not know this card here."), "{incident}: {told}");
        }
    }
    // The right incident in another channel.
    let answer = world.teams().task_fetch(&ada, &elsewhere[0].message.id, data(&around.incident)).await.unwrap();
    assert!(message(answer.task()).starts_with("I do not know this card here."));
    around.world.finish();
}

#[tokio::test]
async fn an_incident_that_pagerduty_hides_from_the_person_is_not_shown() {
    let around = Around::whole().await;
    for (status, why) in [(404, "does not know this incident any more"), (403, "does not allow you to do this")] {
        around.world.pagerduty().fail_next_at("GET /incidents/{id}", 1, &Fault::Status(status));
        let told = message(around.open("Ada Wong").await);
        assert!(told.contains(why), "{told}");
    }
    around.world.finish();
}

#[tokio::test]
async fn nothing_in_an_alert_comes_alive() {
    let around = Around::new().await;
    let world = &around.world;
    let poison = "<at>everyone</at> {{DATE(2026-01-01T00:00:00Z)}} [ok](https://evil.example) \u{202E}";
    let alert = NewAlert {
        summary: Some(poison.to_owned()),
        details: json!({ poison: { poison: [poison, 7] }, "deep": { "a": { "b": { "c": { "d": { "e": 1 } } } } } }),
        contexts: vec![json!({ "type": "image", "src": "https://evil.example/pixel.png" }), json!({ "type": "link" })],
        ..NewAlert::default()
    };
    world.pagerduty().add_alert(&around.incident, alert);
    world.pagerduty().add_note(&around.incident, &world.pagerduty_user("Ben Okafor"), poison);
    let changes = json!([{ "summary": poison, "source": poison, "links": [{ "href": "javascript:alert(1)" }] }]);
    world.pagerduty().set_context(&around.incident, Context::RelatedChangeEvents, changes);
    let past = json!([{ "incident": { "id": "Q9", "title": poison, "self": "https://evil.example/" } }]);
    world.pagerduty().set_context(&around.incident, Context::PastIncidents, past);
    world.settle().await;
    let page = around.open("Ada Wong").await;
    shows(&page, &["Alerts (2)", "Notes", "Recent changes", "Past incidents", "[ok](https://evil.example)"]);
    hides(&page, &["<at>", "{{", "\u{202E}", "javascript:", "pixel.png", "\"Image\""]);
    around.world.finish();
}
