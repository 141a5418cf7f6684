//! What no webhook has told is found in PagerDuty's log, and told once.

use domain::healing::Ended;
use jiff::SignedDuration;
use runtime::Metric;
use serde_json::json;
use simulators::pagerduty::{Fault, Pending};

use crate::world::World;

const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);

/// A world with a card for an incident.
async fn with_card() -> (World, String) {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    world.advance(SignedDuration::from_mins(1)).await;
    (world, incident)
}

/// What the card shows and what its thread was told, and how many messages there are besides.
fn seen(world: &World) -> (String, Vec<String>, usize) {
    let card = world.only_card("Payments");
    (card.text(), card.replies().to_vec(), world.cards("Payments").len())
}

#[tokio::test]
async fn what_was_lost_is_in_the_thread_and_on_the_card_after_one_run() {
    let (world, incident) = Box::pin(with_card()).await;
    let (pagerduty, ada, ben) =
        (world.pagerduty(), world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
    let p1 = pagerduty.add_priority("P1");
    // The subscription is off, so that nothing is even queued.
    pagerduty.disable(&world.subscription("Payments").id);
    pagerduty.acknowledge(&incident, &ben);
    world.tick(SignedDuration::from_secs(10));
    pagerduty.add_note(&incident, &ben, "looking into it");
    world.tick(SignedDuration::from_secs(10));
    pagerduty.set_priority(&incident, &ada, Some(&p1));
    world.tick(SignedDuration::from_secs(10));
    pagerduty.reassign(&incident, &ben, &ada);
    world.tick(SignedDuration::from_secs(10));
    // PagerDuty documents no type for these.
    pagerduty.write_log(&incident, &ben, "status_update", json!({ "message": "Half of the shop is closed" }));
    world.tick(SignedDuration::from_secs(10));
    pagerduty.write_log(
        &incident,
        &ada,
        "responder_request",
        json!({ "user": { "id": ben, "type": "user_reference", "summary": "Ben Okafor" } }),
    );
    world.tick(SignedDuration::from_secs(10));
    world.reconcile().await;
    let expected = "Acknowledged by Ben Okafor\nNote by Ben Okafor: looking into it\nPriority changed to P1 by Ada Wong\n\
        Reassigned to Ada Wong by Ben Okafor\nStatus update by Ben Okafor: Half of the shop is closed\n\
        Ben Okafor was asked to help by Ada Wong";
    assert_eq!(world.only_card("Payments").replies(), [expected], "in one reply");
    let card = world.only_card("Payments");
    for line in ["Half of the shop is closed", "was asked to help by Ada Wong", "acknowledged by Ben Okafor"] {
        assert!(card.shows(line), "{line}: {}", card.text());
    }

    // Other runs read some of it again.
    let (before, edits) = (seen(&world), world.counted(Metric::CardsEdited));
    for _ in 0..3 {
        world.advance(SignedDuration::from_mins(2)).await;
        world.reconcile().await;
    }
    assert_eq!((seen(&world), world.counted(Metric::CardsEdited)), (before, edits));
    assert_eq!(world.counted(Metric::ElementsSkipped), 0.0);
    world.finish();
}

#[tokio::test]
async fn the_late_webhook_of_what_was_found_changes_nothing() {
    // The reply to the first is posted before or after the webhooks come.
    for settled in [true, false] {
        let (world, incident) = Box::pin(with_card()).await;
        let (pagerduty, ada, ben) =
            (world.pagerduty(), world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
        pagerduty.acknowledge(&incident, &ben);
        world.tick(SignedDuration::from_millis(10_700));
        pagerduty.add_note(&incident, &ada, "looking into it");
        world.tick(SignedDuration::from_millis(10_700));
        pagerduty.escalate(&incident, &ada);
        let late = world.take_undelivered();
        assert_eq!(late.len(), 3);
        world.tick(SignedDuration::from_secs(10));
        assert_eq!(world.stack.reconcile().await.ended(), Ended::Well);
        if settled {
            world.settle_all().await;
            world.advance(SignedDuration::from_hours(40)).await;
        }
        for webhook in late.into_iter().rev() {
            pagerduty.deliver_this(webhook).await;
            world.settle_all().await;
        }
        let told = "Acknowledged by Ben Okafor\nNote by Ada Wong: looking into it\nEscalated to Ada Wong";
        assert_eq!(world.only_card("Payments").replies(), [told], "{settled}");
        let (before, edits) = (seen(&world), world.counted(Metric::CardsEdited));
        world.advance(FIVE_MINUTES).await;
        world.reconcile().await;
        assert_eq!((seen(&world), world.counted(Metric::CardsEdited)), (before, edits), "{settled}");
        world.finish();
    }
}

#[tokio::test]
async fn what_webhooks_have_told_is_not_found_again() {
    let (world, incident) = Box::pin(with_card()).await;
    let (pagerduty, ada, ben) =
        (world.pagerduty(), world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
    let p1 = pagerduty.add_priority("P1");
    pagerduty.acknowledge(&incident, &ben);
    pagerduty.add_note(&incident, &ada, "looking into it\n");
    pagerduty.set_priority(&incident, &ada, Some(&p1));
    pagerduty.escalate(&incident, &ada);
    pagerduty.reassign(&incident, &ben, &ada);
    pagerduty.move_to_service(&incident, &ada, &world.service("Search"));
    pagerduty.change_type(&incident, &ada, "major_incident");
    pagerduty.unacknowledge(&incident);
    pagerduty.resolve_with_note(&incident, &ben, "fixed");
    pagerduty.reopen(&incident, &ada);
    pagerduty.resolve(&incident, &ada);
    world.settle_all().await;
    let (before, marks) = (seen(&world), world.counted(Metric::CardsMarked));
    world.advance(SignedDuration::from_mins(2)).await;
    world.reconcile().await;
    world.advance(FIVE_MINUTES).await;
    world.reconcile().await;
    assert_eq!(seen(&world), before);
    assert_eq!(world.counted(Metric::CardsMarked), marks, "nobody is even asked to look");
    world.finish();
}

#[tokio::test]
async fn two_notes_with_the_same_words_are_told_twice() {
    let (world, incident) = Box::pin(with_card()).await;
    let (pagerduty, ada) = (world.pagerduty(), world.pagerduty_user("Ada Wong"));
    pagerduty.add_note(&incident, &ada, "still down");
    world.settle_all().await;
    world.advance(SignedDuration::from_secs(20)).await;
    pagerduty.add_note(&incident, &ada, "still down");
    let late = world.take_undelivered();
    world.advance(FIVE_MINUTES).await;
    world.reconcile().await;
    let told = || world.only_card("Payments").replies().join("\n").matches("still down").count();
    assert_eq!(told(), 2);
    for webhook in late {
        pagerduty.deliver_this(webhook).await;
    }
    world.settle_all().await;
    assert_eq!(told(), 2);
    world.finish();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_costs_itself() {
    let (world, incident) = Box::pin(with_card()).await;
    let (pagerduty, ada) = (world.pagerduty(), world.pagerduty_user("Ada Wong"));
    pagerduty.add_note(&incident, &ada, "the first");
    pagerduty.write_log(&incident, &ada, "annotate", json!({ "created_at": null, "note": "timeless" }));
    pagerduty.write_log(&incident, &ada, "annotate", json!({ "incident": [], "note": "of nothing" }));
    pagerduty.write_log(
        &incident,
        &ada,
        "annotate",
        json!({ "created_at": "2036-01-01T00:00:00Z", "note": "to come" }),
    );
    world.tick(SignedDuration::from_secs(1));
    pagerduty.add_note(&incident, &ada, "the last");
    world.take_undelivered();
    world.advance(FIVE_MINUTES).await;
    world.reconcile().await;
    assert_eq!(world.only_card("Payments").replies(), ["Note by Ada Wong: the first\nNote by Ada Wong: the last"]);
    assert_eq!(world.counted(Metric::ElementsSkipped), 3.0);
    world.finish();
}

#[tokio::test]
async fn where_the_accounts_log_is_refused_the_open_incidents_own_logs_are_read() {
    for status in [403, 404, 400] {
        let (world, incident) = Box::pin(with_card()).await;
        let ada = world.pagerduty_user("Ada Wong");
        world.pagerduty().add_note(&incident, &ada, "looking into it");
        world.take_undelivered();
        world.advance(FIVE_MINUTES).await;
        world.pagerduty().fail_next_at("GET /log_entries", 1, &Fault::Status(status));
        world.reconcile().await;
        assert_eq!(world.only_card("Payments").replies(), ["Note by Ada Wong: looking into it"], "{status}");
        world.finish();
    }
}

#[tokio::test]
async fn after_a_failure_the_next_run_reads_on() {
    let (world, incident) = Box::pin(with_card()).await;
    let ada = world.pagerduty_user("Ada Wong");
    world.pagerduty().add_note(&incident, &ada, "looking into it");
    world.take_undelivered();
    for fault in [Fault::Status(500), Fault::RateLimited(Some(30))] {
        world.advance(SignedDuration::from_mins(20)).await;
        world.pagerduty().fail_next_at("GET /log_entries", 1, &fault);
        assert_eq!(world.stack.reconcile().await.ended(), Ended::Failed);
        world.settle_all().await;
        assert!(world.only_card("Payments").replies().is_empty());
    }
    world.advance(SignedDuration::from_mins(20)).await;
    world.reconcile().await;
    assert_eq!(world.only_card("Payments").replies(), ["Note by Ada Wong: looking into it"]);
    world.finish();
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_asked_for_in_parts() {
    let (world, incident) = Box::pin(with_card()).await;
    world.pagerduty().add_note(&incident, &world.pagerduty_user("Ada Wong"), "looking into it");
    world.take_undelivered();
    world.advance(FIVE_MINUTES).await;
    let odd = Fault::Answer(200, "<html>busy</html>".to_owned());
    world.pagerduty().fail_next_at("GET /log_entries", 3, &odd);
    world.reconcile().await;
    assert_eq!(world.only_card("Payments").replies(), ["Note by Ada Wong: looking into it"]);
    assert_eq!(world.counted(Metric::ElementsSkipped), 3.0);
    world.finish();
}

#[tokio::test]
async fn what_was_found_days_later_is_on_the_card_and_told_to_nobody() {
    let (world, incident) = Box::pin(with_card()).await;
    world.reconcile().await;
    world.pagerduty().add_note(&incident, &world.pagerduty_user("Ada Wong"), "looking into it");
    let late = world.take_undelivered();
    world.tick(SignedDuration::from_hours(30));
    world.reconcile().await;
    for webhook in late {
        world.pagerduty().deliver_this(webhook).await;
    }
    world.settle_all().await;
    let card = world.only_card("Payments");
    assert!(card.shows("looking into it"), "{}", card.text());
    assert!(card.replies().is_empty(), "{:?}", card.replies());
    world.finish();
}

#[tokio::test]
async fn what_happened_during_an_outage_is_known_of_all_incidents_and_spams_nobody() {
    let world = World::new().await;
    let (pagerduty, ada, ben) =
        (world.pagerduty(), world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
    pagerduty.disable(&world.subscription("Payments").id);
    let incident = world.trigger("Payments", "DB down").await;
    world.advance(SignedDuration::from_secs(30)).await;
    pagerduty.acknowledge(&incident, &ben);
    for number in 0..5 {
        world.tick(SignedDuration::from_secs(20));
        pagerduty.add_note(&incident, &ada, &format!("step {number}"));
    }
    let other = world.trigger("Search", "of a service that is told of").await;
    pagerduty.trigger(&pagerduty.add_service("Nobody's"), "of no channel", "high");
    world.settle_all().await;
    world.advance(SignedDuration::from_secs(10)).await;
    world.reconcile().await;
    let card = world.only_card("Payments");
    assert!(card.shows("step 4") && card.text().contains("acknowledged by Ben Okafor"), "{}", card.text());
    assert!(card.replies().len() <= 1, "{:?}", card.replies());
    assert!(world.only_card("Search").replies().is_empty());
    assert!(world.only_card("Search").json().contains(&other));
    world.finish();
}

#[tokio::test]
async fn what_happened_before_a_service_was_connected_is_not_told() {
    let world = World::new().await;
    let platform = crate::platform::Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let (pagerduty, ada) = (world.pagerduty(), world.pagerduty_user("Ada Wong"));
    let service = pagerduty.add_service("Checkout");
    let incident = world.trigger_in(&service, "Carts are empty").await;
    world.advance(SignedDuration::from_mins(1)).await;
    pagerduty.add_note(&incident, &ada, "long before");
    world.advance(SignedDuration::from_hours(1)).await;
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    world.settle_all().await;
    world.advance(FIVE_MINUTES).await;
    pagerduty.acknowledge(&incident, &ada);
    world.settle_all().await;
    world.advance(FIVE_MINUTES).await;
    world.reconcile().await;
    let card = platform.posts().into_iter().rfind(|card| card.summary().contains("Carts are empty")).unwrap();
    assert!(card.replies().is_empty(), "{:?}", card.replies());
    assert!(card.shows("long before"), "{}", card.text());
    world.finish();
}

#[tokio::test]
async fn one_that_came_and_went_is_asked_for_and_its_news_are_kept() {
    let (world, _) = Box::pin(with_card()).await;
    let (pagerduty, ben) = (world.pagerduty(), world.pagerduty_user("Ben Okafor"));
    world.reconcile().await;
    world.advance(FIVE_MINUTES).await;
    let over = world.trigger("Payments", "came and went").await;
    pagerduty.acknowledge(&over, &ben);
    pagerduty.add_note(&over, &ben, "it was nothing");
    pagerduty.resolve(&over, &ben);
    world.take_undelivered();
    world.advance(SignedDuration::from_mins(1)).await;
    // What is listed is not what the log has: nobody else finds it in this run.
    world.reconcile().await;
    let id = domain::ids::IncidentId::new(over).unwrap();
    let record = world.stack.app.store.record(&crate::world::account(), &id).await.unwrap().unwrap().record;
    let notes =
        record.happenings().into_iter().filter(|told| told.entry.what.event_type() == domain::event::EventType::Note);
    assert_eq!(notes.count(), 1);
    assert_eq!(record.in_status_since().unwrap().1.unwrap().name, "Ben Okafor");
    world.finish();
}

/// Everything that can happen to the order of a webhook and the log, over a whole story.
#[tokio::test]
async fn a_story_is_told_once_whichever_webhooks_are_lost_or_late() {
    for seed in 0..8_usize {
        let (world, incident) = Box::pin(with_card()).await;
        let (pagerduty, ada, ben) =
            (world.pagerduty(), world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
        let mut late: Vec<Pending> = Vec::new();
        for step in 0..6 {
            world.tick(SignedDuration::from_millis(7_300));
            match step {
                0 => pagerduty.acknowledge(&incident, &ben),
                1 => pagerduty.add_note(&incident, &ada, "one"),
                2 => pagerduty.reassign(&incident, &ben, &ada),
                3 => pagerduty.add_note(&incident, &ada, "one"),
                4 => pagerduty.escalate(&incident, &ben),
                _ => pagerduty.resolve(&incident, &ben),
            }
            match (seed * 7 + step * 5) % 4 {
                0 => world.settle_all().await,
                1 => drop(world.take_undelivered()),
                2 => late.extend(world.take_undelivered()),
                _ => {
                    late.extend(world.take_undelivered());
                    world.reconcile().await;
                }
            }
        }
        world.advance(SignedDuration::from_mins(1)).await;
        if seed.is_multiple_of(2) {
            world.reconcile().await;
        }
        for webhook in late {
            pagerduty.deliver_this(webhook).await;
            world.settle_all().await;
        }
        world.advance(FIVE_MINUTES).await;
        world.reconcile().await;
        let told = world.only_card("Payments").replies().join("\n");
        for (line, times) in [
            ("Note by Ada Wong: one", 2),
            ("Reassigned to Ada Wong by Ben Okafor", 1),
            ("Escalated to Ben Okafor", 1),
            ("Resolved by Ben Okafor", 1),
        ] {
            assert_eq!(told.matches(line).count(), times, "{seed}: {line} in {told}");
        }
        assert!(told.matches("Acknowledged by").count() <= 1, "{seed}: {told}");
        world.finish();
    }
}
