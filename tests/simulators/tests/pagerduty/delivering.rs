//! How webhooks are delivered: signed, in order, again and again, and one day no more.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulators::pagerduty::Outcome;

use crate::world::{START_MS, World, signature, subscription};

impl World {
    /// Status and outcome of every attempt for a subscription.
    fn attempts(&self, subscription: &str) -> Vec<(Option<u16>, Outcome)> {
        let deliveries = self.pagerduty.deliveries().into_iter();
        deliveries.filter(|one| one.subscription == subscription).map(|one| (one.status, one.outcome)).collect()
    }

    fn texts(&self, hook: &str) -> Vec<String> {
        let text = |event: &Value| event["data"]["content"].as_str().unwrap_or("-").to_owned();
        self.received(hook).iter().map(|received| text(&received.event)).collect()
    }
}

#[tokio::test]
async fn a_delivery_has_pagerdutys_headers_and_signature() {
    let world = World::new().await;
    let mut wanted = subscription(&json!({ "type": "service_reference", "id": world.service }), &world.hook("a"));
    wanted["webhook_subscription"]["delivery_method"]["custom_headers"] =
        json!([{ "name": "x-key", "value": "secret" }]);
    let made = world.call("POST", "/webhook_subscriptions", wanted).await;
    let id = made.text("/webhook_subscription/id");
    let secret = made.text("/webhook_subscription/delivery_method/secret");
    assert_eq!((secret.len(), world.pagerduty.secret_of(&id)), (64, Some(secret.clone())));
    world.pagerduty.trigger(&world.service, "DB down", "high");
    world.deliver().await;
    let received = world.take("a").remove(0);
    for (name, expected) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "PagerDuty-Webhook/V3.0"),
        ("x-webhook-subscription", id.as_str()),
        ("x-key", "secret"),
        ("x-pagerduty-signature", &signature(&secret, &received.bytes)),
    ] {
        assert_eq!(received.header(name), expected, "{name}");
    }
    assert_eq!(received.header("x-webhook-id").len(), 36);
    world.finish();
}

#[tokio::test]
async fn while_a_secret_is_replaced_both_sign() {
    let world = World::new().await;
    let id = world.subscribe_service("a").await;
    let old = world.pagerduty.secret_of(&id).unwrap();
    let sent = async || {
        world.pagerduty.trigger(&world.service, "DB down", "high");
        world.deliver().await;
        let received = world.take("a").remove(0);
        (received.header("x-pagerduty-signature").to_owned(), received.bytes)
    };
    world.pagerduty.sign_also_with(&id, "new secret");
    let (signatures, body) = sent().await;
    assert_eq!(signatures, format!("{},{}", signature(&old, &body), signature("new secret", &body)));
    world.pagerduty.sign_only_with(&id, "new secret");
    let (signatures, body) = sent().await;
    assert_eq!(signatures, signature("new secret", &body));
    world.finish();
}

#[tokio::test]
async fn an_answer_decides_what_becomes_of_a_webhook() {
    for (status, expected) in [
        (200, Outcome::Delivered),
        (202, Outcome::Delivered),
        (204, Outcome::Delivered),
        (302, Outcome::Dropped),
        (400, Outcome::Dropped),
        (401, Outcome::Dropped),
        (404, Outcome::Dropped),
        (410, Outcome::Dropped),
        (413, Outcome::Dropped),
        (429, Outcome::Retry),
        (500, Outcome::Retry),
        (503, Outcome::Retry),
    ] {
        let world = World::new().await;
        let id = world.subscribe_service("a").await;
        world.will_answer("a", &[status]);
        world.pagerduty.trigger(&world.service, "DB down", "high");
        assert_eq!(world.pagerduty.deliver().await, 1);
        assert_eq!(world.attempts(&id), [(Some(status), expected)]);
        assert_eq!(world.pagerduty.undelivered(), usize::from(expected == Outcome::Retry), "{status}");
        world.finish();
    }
}

#[tokio::test]
async fn a_failed_delivery_is_repeated_at_a_growing_distance_for_two_days() {
    let world = World::new().await;
    // Nobody listens there.
    let wanted = subscription(&json!({ "type": "account_reference" }), "http://127.0.0.1:1/");
    let id = world.call("POST", "/webhook_subscriptions", wanted).await.text("/webhook_subscription/id");
    world.pagerduty.trigger(&world.service, "DB down", "high");
    let start = world.now();
    let mut at = Vec::new();
    while let Some(due) = world.pagerduty.next_due() {
        world.advance(due.duration_since(world.now()));
        assert_eq!(world.pagerduty.deliver().await, 1);
        assert_eq!(world.pagerduty.deliver().await, 0, "not before its time");
        at.push(world.now().duration_since(start).as_secs());
    }
    assert_eq!(at[..6], [0, 10, 30, 70, 150, 310]);
    let gaps: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[..gaps.len() - 1].is_sorted() && gaps.iter().all(|gap| *gap <= 3600), "{gaps:?}");
    assert_eq!(at.last(), Some(&(48 * 3600)), "the last attempt");
    let attempts = world.attempts(&id);
    assert!(attempts[..attempts.len() - 1].iter().all(|attempt| *attempt == (None, Outcome::Retry)));
    assert_eq!(attempts.last(), Some(&(None, Outcome::Dropped)));
    let ids: std::collections::BTreeSet<_> =
        world.pagerduty.deliveries().into_iter().map(|one| one.webhook_id).collect();
    assert_eq!(ids.len(), 1, "the same X-Webhook-Id on every attempt");
    world.finish();
}

#[tokio::test]
async fn later_webhooks_of_an_incident_wait_behind_one_that_fails() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    world.subscribe(json!({ "type": "account_reference" }), "b").await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    let other = world.pagerduty.trigger(&world.service, "Disk full", "high");
    world.deliver().await;
    world.take("a");
    world.take("b");
    world.will_answer("a", &[503]);
    for text in ["one", "two"] {
        world.pagerduty.add_note(&incident, &world.ada, text);
    }
    world.pagerduty.add_note(&other, &world.ada, "other");
    world.deliver().await;
    assert_eq!(world.texts("a"), ["one", "other"], "another incident goes on");
    assert_eq!(world.texts("b"), ["one", "two", "other"], "another subscription goes on");
    world.pagerduty.add_note(&incident, &world.ada, "three");
    world.deliver().await;
    assert_eq!(world.texts("a"), ["one", "other"], "a new one waits as well");
    let due = world.pagerduty.next_due().unwrap();
    assert_eq!(due, Timestamp::from_millisecond(START_MS).unwrap() + SignedDuration::from_secs(10));
    world.advance(SignedDuration::from_secs(10));
    world.deliver().await;
    assert_eq!(world.texts("a"), ["one", "other", "one", "two", "three"]);
    world.finish();
}

#[tokio::test]
async fn a_dropped_webhook_does_not_hold_up_the_next() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    world.will_answer("a", &[400]);
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.add_note(&incident, &world.ada, "one");
    world.deliver().await;
    assert_eq!(world.kinds("a"), ["incident.triggered", "incident.annotated"]);
    assert_eq!(world.pagerduty.undelivered(), 0);
    world.finish();
}

#[tokio::test]
async fn three_drops_in_a_row_disable_a_subscription_for_a_day() {
    let world = World::new().await;
    let id = world.subscribe_service("a").await;
    let path = format!("/webhook_subscriptions/{id}");
    let disabled =
        async || world.get(&path).await.at("/webhook_subscription/delivery_method/temporarily_disabled").clone();
    let trigger = || world.pagerduty.trigger(&world.service, "DB down", "high");
    // A success in between starts the count again.
    world.will_answer("a", &[400, 400, 202, 400, 400, 400]);
    for drops in 1..=5 {
        trigger();
        world.deliver().await;
        assert_eq!(disabled().await, false, "{drops}");
    }
    trigger();
    trigger();
    world.deliver().await;
    assert_eq!((disabled().await, world.pagerduty.is_disabled(&id)), (json!(true), true));
    assert_eq!((world.pagerduty.undelivered(), world.take("a").len()), (0, 6), "its queue is lost");
    trigger();
    world.advance(SignedDuration::from_hours(24) - SignedDuration::from_millis(1));
    trigger();
    assert_eq!(world.pagerduty.undelivered(), 0, "and so is what happens meanwhile");
    world.advance(SignedDuration::from_millis(1));
    trigger();
    world.deliver().await;
    assert_eq!((disabled().await, world.take("a").len()), (json!(false), 1));
    world.finish();
}

#[tokio::test]
async fn a_disabled_subscription_can_be_enabled() {
    let world = World::new().await;
    let id = world.subscribe_service("a").await;
    world.will_answer("a", &[400; 5]);
    for _ in 0..3 {
        world.pagerduty.trigger(&world.service, "DB down", "high");
        world.deliver().await;
    }
    assert!(world.pagerduty.is_disabled(&id));
    let got = world.call("POST", &format!("/webhook_subscriptions/{id}/enable"), Value::Null).await;
    assert_eq!(got.at("/webhook_subscription/delivery_method/temporarily_disabled"), &json!(false));
    for drops in 1..=2 {
        world.pagerduty.trigger(&world.service, "DB down", "high");
        world.deliver().await;
        assert!(!world.pagerduty.is_disabled(&id), "the count starts again: {drops}");
    }
    world.finish();
}

#[tokio::test]
async fn a_delivery_may_come_twice() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    world.pagerduty.duplicate_next_delivery(1);
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.resolve(&incident, &world.ada);
    world.deliver().await;
    let received = world.take("a");
    assert_eq!(
        received.iter().map(crate::world::Received::kind).collect::<Vec<_>>(),
        ["incident.triggered", "incident.triggered", "incident.resolved"]
    );
    assert_eq!(received[0].header("x-webhook-id"), received[1].header("x-webhook-id"));
    assert_eq!(received[0].bytes, received[1].bytes);
    assert_eq!(world.pagerduty.deliveries().len(), 3);
    world.finish();
}

#[tokio::test]
async fn taken_webhooks_can_be_delivered_in_any_order() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    world.pagerduty.acknowledge(&incident, &world.ada);
    let mut taken = world.pagerduty.take_pending();
    assert_eq!((taken.len(), world.pagerduty.undelivered()), (2, 0));
    taken.reverse();
    for pending in taken {
        assert_eq!(world.pagerduty.deliver_this(pending).await, Outcome::Delivered);
    }
    assert_eq!(world.kinds("a"), ["incident.acknowledged", "incident.triggered"]);
    world.finish();
}

#[tokio::test]
async fn two_deliveries_at_once_do_not_overtake_each_other() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    for number in 0..5 {
        world.pagerduty.add_note(&incident, &world.ada, &number.to_string());
    }
    let (one, two) = tokio::join!(world.pagerduty.deliver(), world.pagerduty.deliver());
    assert_eq!(one + two, 6, "each once");
    assert_eq!(world.texts("a"), ["-", "0", "1", "2", "3", "4"]);
    world.finish();
}

#[tokio::test]
async fn delivering_can_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let world = World::new().await;
    let delivering = world.pagerduty.deliver();
    is_send(&delivering);
    delivering.await;
    world.finish();
}

#[tokio::test]
async fn an_event_over_256_kb_is_never_delivered() {
    let world = World::new().await;
    let id = world.subscribe_service("a").await;
    world.pagerduty.trigger(&world.service, &"x".repeat(256 * 1024), "high");
    world.deliver().await;
    assert_eq!((world.attempts(&id), world.received("a").len()), (vec![(None, Outcome::Dropped)], 0));
    world.finish();
}
