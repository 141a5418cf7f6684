//! What PagerDuty is answered, row by row (the status table of the architecture page).

use crate::world::{Signed, World};

#[tokio::test]
async fn each_kind_of_delivery_has_its_answer() {
    let world = World::new().await;
    let ping = br#"{"event":{"id":"E1","event_type":"pagey.ping","resource_type":"pagey","occurred_at":"2026-11-23T09:00:00.000Z","agent":null,"client":null,"data":{"message":"Hello","type":"ping"}}}"#;
    let unknown_type = br#"{"event":{"id":"E2","event_type":"incident.sang","resource_type":"incident","occurred_at":"2026-11-23T09:00:00.000Z","agent":null,"client":null,"data":{"type":"song"}}}"#;
    let known = world.subscription("Payments");
    let huge = vec![b' '; 256 * 1024 + 1];
    let wrong = || Signed::by(&known).with_signature(&format!("v1={}", "0".repeat(64)));
    let unknown = || Signed::by(&known).of_subscription("PUNKNOWN");
    for (name, body, delivery, expected) in [
        ("a ping", ping.as_slice(), Signed::by(&known), 202),
        ("an unknown event type", unknown_type, Signed::by(&known), 202),
        ("signed, but not an event", b"[1,2,3]", Signed::by(&known), 202),
        ("signed, but not even JSON", b"hello", Signed::by(&known), 202),
        ("signed, and empty", b"", Signed::by(&known), 202),
        ("no subscription header", ping, Signed::by(&known).without_subscription(), 400),
        ("no signature header", ping, Signed::by(&known).without_signature(), 503),
        ("a signature of another version", ping, Signed::by(&known).with_signature("v2=00"), 503),
        ("a signature that is no hex", ping, Signed::by(&known).with_signature("v1=zz"), 503),
        ("a wrong signature", ping, wrong(), 503),
        ("a wrong signature and no JSON", b"hello", wrong(), 503),
        ("a wrong signature and nothing else", b"", wrong(), 503),
        ("an unknown subscription", ping, unknown(), 503),
        ("an unknown subscription and no JSON", b"hello", unknown(), 503),
        ("an unknown subscription and nothing else", b"", unknown(), 503),
        ("an unknown subscription, over 256 KB", &huge, unknown(), 503),
        ("an unknown subscription without a signature", ping, unknown().without_signature(), 401),
    ] {
        assert_eq!(world.post_webhook(body, delivery).await, expected, "{name}");
    }
    assert_eq!(world.method_on_webhooks("GET").await, 405);
    world.finish();
}

#[tokio::test]
async fn a_rotated_secret_is_accepted_beside_the_old_one() {
    let world = World::new().await;
    let ping = br#"{"event":{"id":"E1","event_type":"pagey.ping","resource_type":"pagey","occurred_at":"2026-11-23T09:00:00.000Z","agent":null,"client":null,"data":{"type":"ping"}}}"#;
    let known = world.subscription("Payments");
    let both = format!("v1={},{}", "0".repeat(64), Signed::by(&known).signature(ping));
    assert_eq!(world.post_webhook(ping, Signed::by(&known).with_signature(&both)).await, 202, "any v1 may match");
    // The cached secret no longer fits: the forced re-read finds the new one.
    world.replace_secret(&known, "new-secret").await;
    let renewed = known.with_secret("new-secret");
    assert_eq!(world.post_webhook(ping, Signed::by(&renewed)).await, 202);
    world.finish();
}

#[tokio::test]
async fn when_the_table_is_down_pagerduty_repeats_and_nothing_is_lost() {
    let world = World::new().await;
    world.stack.aws.refuse_dynamodb(true);
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    assert_eq!(world.webhook_answers("Payments").last(), Some(&503));
    world.stack.aws.refuse_dynamodb(false);
    world.advance(jiff::SignedDuration::from_hours(1)).await;
    assert_eq!(world.only_card("Payments").posts(), 1);
    world.finish();
}

#[tokio::test]
async fn when_the_queue_is_down_pagerduty_repeats_and_nothing_is_lost() {
    let world = World::new().await;
    world.stack.aws.refuse_sqs(true);
    world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    assert_eq!(world.webhook_answers("Payments").last(), Some(&503));
    world.stack.aws.refuse_sqs(false);
    world.advance(jiff::SignedDuration::from_hours(1)).await;
    assert_eq!(world.only_card("Payments").posts(), 1);
    world.finish();
}
