//! What is read around an incident, against the simulator.

use domain::context::{ActivityKind, Category, Outlier, Reason, Relation, Reply};
use domain::details::{Fact, Severity};
use domain::failure::Class;
use domain::ids::IncidentId;
use domain::incident::Status;
use jiff::SignedDuration;
use pagerduty::rest::ApiError;
use serde_json::json;
use simulators::pagerduty::{Context, EVENT_INTELLIGENCE, Fault, NewAlert};

use crate::contract::World;

/// An incident that a tool has opened.
fn dark(world: &World, alert: NewAlert) -> IncidentId {
    IncidentId::new(world.pagerduty.trigger_with_alert(world.ticketing.as_str(), "Dark", "high", alert)).unwrap()
}

fn named(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[tokio::test]
async fn alerts_are_read_page_by_page_the_oldest_first() {
    let world = World::start().await;
    let auth = world.as_mira();
    let id = dark(&world, NewAlert { details: json!({ "row": 7 }), ..NewAlert::default() });
    let mut alerts = vec!["Dark".to_owned()];
    for number in 1..25 {
        world.pass(SignedDuration::from_secs(1));
        let summary = Some(format!("Lamp {number}"));
        let alert =
            world.pagerduty.add_alert(id.as_str(), NewAlert { summary: summary.clone(), ..NewAlert::default() });
        alerts.extend(summary);
        if number == 3 {
            world.pagerduty.resolve_alert(id.as_str(), &alert);
        }
    }
    let (mut found, mut next, mut pages) = (Vec::new(), Some(0), 0);
    while let Some(from) = next {
        let page = world.api.alerts(auth, &id, from, 10).await.unwrap();
        assert_eq!(page.from, from);
        (next, pages) = (page.next, pages + 1);
        found.extend(page.alerts);
    }
    let summaries: Vec<String> = found.iter().map(|alert| alert.said.summary.clone().unwrap()).collect();
    assert_eq!((summaries, pages), (alerts, 3));
    let resolved: Vec<usize> = (0..25).filter(|at| found[*at].is_resolved).collect();
    assert_eq!(resolved, [3]);
    assert_eq!(found[0].said.severity, Some(Severity::Critical));
    assert_eq!(found[0].said.facts, [Fact { name: "row".to_owned(), value: "7".to_owned() }]);
    assert!(found.iter().map(|alert| alert.created_at.unwrap()).is_sorted());
    let beyond = world.api.alerts(auth, &id, 25, 10).await.unwrap();
    assert_eq!((beyond.alerts, beyond.next), (Vec::new(), None));
    let refused = world.api.alerts(auth, &id, 10_000, 10).await.unwrap_err();
    assert_eq!(refused.class(), Class::Invalid, "{refused:?}");
    world.finish();
}

#[tokio::test]
async fn activity_and_notes_are_the_newest_first() {
    let world = World::start().await;
    let auth = world.as_mira();
    let id = dark(&world, NewAlert::default());
    for note in ["Looking", "Found\nit"] {
        world.pass(SignedDuration::from_secs(60));
        world.pagerduty.add_note(id.as_str(), world.tomas.as_str(), note);
    }
    world.pass(SignedDuration::from_secs(60));
    world.pagerduty.acknowledge(id.as_str(), world.tomas.as_str());
    world.pagerduty.reassign(id.as_str(), world.mira.as_str(), world.tomas.as_str());
    let notes = world.api.notes(auth, &id).await.unwrap();
    let told: Vec<(&str, Option<&str>)> =
        notes.items.iter().map(|note| (note.content.as_str(), note.by.as_deref())).collect();
    assert_eq!(told, [("Found\nit", Some("Tomás Quispe")), ("Looking", Some("Tomás Quispe"))]);
    assert_eq!((notes.more, notes.at_least), (0, false));
    let activity = world.api.activity(auth, &id).await.unwrap();
    let kinds: Vec<&ActivityKind> = activity.items.iter().map(|entry| &entry.kind).collect();
    assert_eq!(kinds[0], &ActivityKind::Assigned);
    assert!(kinds.contains(&&ActivityKind::Acknowledged) && kinds.ends_with(&[&ActivityKind::Triggered]), "{kinds:?}");
    assert!(kinds.iter().all(|kind| !matches!(kind, ActivityKind::Other(_))), "{kinds:?}");
    assert_eq!(
        (&activity.items[0].by, &activity.items[0].to),
        (&named("Mira Solberg"), &vec!["Tomás Quispe".to_owned()])
    );
    world.finish();
}

#[tokio::test]
async fn those_who_were_asked_are_told_once_with_their_answer() {
    let world = World::start().await;
    let auth = world.as_mira();
    let id = dark(&world, NewAlert::default());
    assert_eq!(world.api.responders(auth, &id).await.unwrap().items, []);
    let third = world.pagerduty.add_user("Eve Third", "eve@philharmonie.example", "user");
    world.pagerduty.ask_responder(id.as_str(), world.mira.as_str(), world.tomas.as_str(), "Bring a torch");
    world.pagerduty.ask_responder(id.as_str(), world.mira.as_str(), &third, "And you");
    world.pass(SignedDuration::from_secs(60));
    world.pagerduty.answer_request(id.as_str(), world.tomas.as_str(), true, "On my way");
    let responders = world.api.responders(auth, &id).await.unwrap().items;
    let told: Vec<_> = responders.iter().map(|one| (one.name.as_str(), &one.reply, one.message.as_deref())).collect();
    let expected =
        [("Tomás Quispe", &Reply::Accepted, Some("Bring a torch")), ("Eve Third", &Reply::Pending, Some("And you"))];
    assert_eq!(told, expected);
    assert!(responders.iter().all(|one| one.asked_by == named("Mira Solberg")));
    world.finish();
}

#[tokio::test]
async fn what_pagerduty_finds_around_an_incident_is_read() {
    let world = World::start().await;
    let (auth, pagerduty) = (world.as_mira(), &world.pagerduty);
    let id = dark(&world, NewAlert::default());
    let other = pagerduty.trigger(world.doors.as_str(), "Locked", "low");
    let short = pagerduty.short_incident(&other).unwrap();
    let past = vec![json!({ "incident": short, "score": 46.8 }); 23];
    pagerduty.set_context(id.as_str(), Context::PastIncidents, json!(past));
    let relationships = json!([{ "type": "service_dependency", "metadata": {} }]);
    let related = json!([{ "incident": short, "relationships": relationships }]);
    pagerduty.set_context(id.as_str(), Context::RelatedIncidents, related);
    let change = json!({ "id": "C1", "summary": "New bulbs", "timestamp": "2026-11-23T08:00:00Z", "type": "change_event",
        "correlation_reason": { "reason": "related_service" } });
    pagerduty.set_context(id.as_str(), Context::RelatedChangeEvents, json!([change]));
    let occurrence = json!({ "count": 3, "frequency": 0.02, "category": "rare" });
    let outlier = json!({ "incident": { "id": id, "occurrence": occurrence }, "incident_template": { "id": "T1" } });
    let services = json!([{ "id": "B1", "name": "Concerts", "status": "impacted" }, { "id": "B2", "name": "Bar", "status": "not_impacted" }]);
    assert_eq!(world.api.outlier(auth, &id).await.unwrap(), Outlier::default(), "without an occurrence");
    pagerduty.set_context(id.as_str(), Context::OutlierIncident, outlier);
    pagerduty.set_context(id.as_str(), Context::BusinessServiceImpacts, services);

    let past = world.api.past_incidents(auth, &id).await.unwrap();
    assert_eq!((past.items.len(), past.more), (20, 3));
    assert_eq!((past.items[0].id.as_str(), past.items[0].title.as_str()), (other.as_str(), "Locked"));
    assert_eq!((past.items[0].number, past.items[0].status), (None, None));
    let related = world.api.related_incidents(auth, &id).await.unwrap().items.remove(0);
    assert_eq!((related.status, related.service.as_deref()), (Some(Status::Triggered), Some("Doors")));
    assert!(related.number.is_some() && related.html_url.unwrap().ends_with(&other));
    assert_eq!(related.why, [Relation::Dependency]);
    let changes = world.api.related_changes(auth, &id).await.unwrap().items;
    assert_eq!((changes[0].summary.as_str(), &changes[0].why), ("New bulbs", &Some(Reason::RelatedService)));
    let outlier = world.api.outlier(auth, &id).await.unwrap();
    assert_eq!((outlier.category, outlier.count, outlier.per_mille), (Some(Category::Rare), Some(3), Some(20)));
    assert_eq!(world.api.impacts(auth, &id).await.unwrap().items, ["Concerts"]);
    world.finish();
}

#[tokio::test]
async fn what_a_plan_lacks_is_refused_and_does_not_pass() {
    let world = World::start().await;
    let (auth, id) = (world.as_mira(), dark(&world, NewAlert::default()));
    world.pagerduty.set_ability(EVENT_INTELLIGENCE, false);
    let errors: [ApiError; 3] = [
        world.api.past_incidents(auth, &id).await.unwrap_err(),
        world.api.related_incidents(auth, &id).await.unwrap_err(),
        world.api.outlier(auth, &id).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ApiError::Refused { status: 402, .. }), "{error:?}");
        assert_eq!(error.class(), Class::Forbidden);
    }
    world.api.related_changes(auth, &id).await.unwrap();
    let odd = Fault::Answer(200, "[]".to_owned());
    for operation in ["alerts", "notes", "log_entries", "past_incidents", "related_change_events"] {
        world.pagerduty.fail_next_at(&format!("GET /incidents/{{id}}/{operation}"), 1, &odd);
    }
    assert!(world.api.alerts(auth, &id, 0, 10).await.is_err(), "an answer without its list is no empty list");
    assert!(world.api.notes(auth, &id).await.is_err());
    assert!(world.api.activity(auth, &id).await.is_err());
    assert!(world.api.related_changes(auth, &id).await.is_err());
    world.finish();
}
