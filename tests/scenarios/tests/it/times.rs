//! Times that cannot be: of the future, unreadable, or the same for two things. What is true is asked of PagerDuty.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulators::pagerduty::Pending;

use crate::platform::AdminPage;
use crate::world::{Signed, World};

/// Delivers an event in which something is different, signed as PagerDuty would.
async fn deliver_with(world: &World, event: &Pending, changes: &Value) -> u16 {
    let mut body: Value = serde_json::from_str(event.body()).unwrap();
    for (field, value) in changes.as_object().unwrap() {
        body["event"][field] = value.clone();
    }
    let known = world.subscription("Payments");
    world.post_webhook(body.to_string().as_bytes(), Signed::by(&known)).await
}

async fn deliver_at(world: &World, event: &Pending, at: Value) -> u16 {
    deliver_with(world, event, &json!({ "occurred_at": at })).await
}

/// The trigger, which PagerDuty then does not deliver itself.
fn taken(world: &World) -> Pending {
    world.take_undelivered().into_iter().find(|event| event.event_type() == "incident.triggered").unwrap()
}

fn in_an_hour(world: &World) -> Value {
    let at: Timestamp = world.stack.app.clock.now() + SignedDuration::from_hours(1);
    at.to_string().into()
}

#[tokio::test]
async fn an_event_of_the_future_is_kept_apart_and_pagerduty_says_what_is_true() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    let triggered = taken(&world);
    let at = in_an_hour(&world);
    assert_eq!(deliver_at(&world, &triggered, at).await, 202, "never punished");
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("triggered"), "the incident is not lost");

    world.tick(SignedDuration::from_secs(1));
    world.pagerduty().acknowledge(&incident, &ada);
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("acknowledged"), "and nothing is frozen until then");
    world.finish();
}

#[tokio::test]
async fn an_event_without_a_legible_time_costs_the_time_only() {
    for time in [Value::Null, "around noon".into(), "2026-11-23T09:00:00".into()] {
        let world = World::new().await;
        world.trigger("Payments", "DB down").await;
        let triggered = taken(&world);
        assert_eq!(deliver_at(&world, &triggered, time.clone()).await, 202);
        world.settle().await;
        let card = world.only_card("Payments");
        assert!(card.summary().contains("DB down (triggered") && card.shows("Triggered"), "{time}: {}", card.text());
        world.finish();
    }
}

#[tokio::test]
async fn an_event_without_a_legible_time_that_is_delivered_again_is_told_once() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().add_note(&incident, &world.pagerduty_user("Ada Wong"), "looking at it");
    let note = world.take_undelivered().into_iter().find(|event| event.event_type() == "incident.annotated").unwrap();
    world.stack.aws.refuse_sqs(true);
    assert_eq!(deliver_at(&world, &note, Value::Null).await, 503);
    world.stack.aws.refuse_sqs(false);
    world.tick(SignedDuration::from_mins(1));
    assert_eq!(deliver_at(&world, &note, Value::Null).await, 202);
    world.settle_all().await;
    let card = world.only_card("Payments");
    assert_eq!(card.text().matches("looking at it").count(), 1, "{}", card.text());
    let told: usize = card.replies().iter().map(|reply| reply.matches("looking at it").count()).sum();
    assert_eq!(told, 1, "{:?}", card.replies());
    let (_, found) = page.get(&format!("/deliveries?incident={incident}")).await;
    assert!(!found.to_string().contains("queued"), "{found:#}");
    world.finish();
}

#[tokio::test]
async fn a_status_keeps_its_time_when_something_later_is_asked_for() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().acknowledge(&incident, &ada);
    world.settle().await;
    let since =
        |card: &crate::card::Card| card.text().lines().find(|line| line.contains("fter 1 min")).map(str::to_owned);
    let before = since(&world.only_card("Payments"));
    assert!(before.is_some(), "{}", world.only_card("Payments").text());
    world.tick(SignedDuration::from_mins(45));
    world.pagerduty().set_priority(&incident, &ada, Some("P1"));
    world.settle().await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().add_note(&incident, &ada, "looking at it");
    let note = world.take_undelivered().into_iter().find(|event| event.event_type() == "incident.annotated").unwrap();
    assert_eq!(deliver_at(&world, &note, Value::Null).await, 202);
    world.settle_all().await;
    let card = world.only_card("Payments");
    assert!(card.shows("looking at it"), "{}", card.text());
    assert_eq!(since(&card), before, "{}", card.text());
    world.finish();
}

#[tokio::test]
async fn an_old_event_without_a_legible_time_does_not_bring_back_the_past() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    let triggered = taken(&world);
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().resolve(&incident, &ada);
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("resolved"));
    world.tick(SignedDuration::from_hours(1));
    assert_eq!(deliver_at(&world, &triggered, Value::Null).await, 202);
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(card.summary().contains("resolved") && card.never_went_back(), "{}", card.summary());
    world.finish();
}

#[tokio::test]
async fn of_two_changes_at_the_same_time_the_card_shows_what_pagerduty_says() {
    for reversed in [false, true] {
        let world = World::new().await;
        let ada = world.pagerduty_user("Ada Wong");
        let incident = world.trigger("Payments", "DB down").await;
        world.settle().await;
        world.tick(SignedDuration::from_mins(1));
        let at = world.stack.app.clock.now().to_string();
        world.pagerduty().resolve(&incident, &ada);
        world.pagerduty().reopen(&incident, &ada);
        world.pagerduty().acknowledge(&incident, &ada);
        let mut events: Vec<(usize, Pending)> = world.take_undelivered().into_iter().enumerate().collect();
        if reversed {
            events.reverse();
        }
        for (number, event) in events {
            // All have the same time, and ids say nothing about the order: here the last event has the smallest.
            let changes = json!({ "occurred_at": at, "id": format!("01ZZZ{}", 9 - number) });
            assert_eq!(deliver_with(&world, &event, &changes).await, 202);
        }
        world.settle_all().await;
        assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
        assert!(world.only_card("Payments").summary().contains("acknowledged"), "reversed: {reversed}");
        world.finish();
    }
}

#[tokio::test]
async fn what_pagerduty_said_a_while_later_is_not_overtaken_by_an_event_of_that_second() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().acknowledge(&incident, &ada);
    world.tick(SignedDuration::from_millis(300));
    world.pagerduty().resolve(&incident, &ada);
    let mut late = world.take_undelivered();
    // The resolution is lost for good; the reconciler has it from PagerDuty, which tells whole seconds.
    late.pop();
    world.tick(SignedDuration::from_secs(30));
    world.reconcile().await;
    assert!(world.only_card("Payments").summary().contains("resolved"));
    world.deliver_in_this_order(late).await;
    world.settle_all().await;
    assert!(world.only_card("Payments").summary().contains("resolved"), "the acknowledgement came too late");
    world.finish();
}
