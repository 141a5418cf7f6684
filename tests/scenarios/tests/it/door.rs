//! Who may come in, what it costs to knock, and which address is the door.

use std::time::Duration;

use domain::healing::{Ended, Healing, Part};
use jiff::SignedDuration;
use local::Ports;
use runtime::Metric;
use serde_json::json;
use tokio::task::JoinSet;

use crate::platform::AdminPage;
use crate::world::{Signed, World};

const SOURCES: &str = "PAGERBRIDGE_WEBHOOK_SOURCES";
const PING: &[u8] = br#"{"event":{"id":"E1","event_type":"pagey.ping","resource_type":"pagey","occurred_at":"2026-11-23T09:00:00.000Z","agent":null,"client":null,"data":{"message":"Hello","type":"ping"}}}"#;

/// How old an answer of `/health` may be.
const KEPT: SignedDuration = SignedDuration::from_secs(5);

#[tokio::test]
async fn health_tells_strangers_one_word_and_admins_each_part() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let (ok, failing) = (json!({ "status": "ok" }), json!({ "status": "failing" }));
    assert_eq!(world.health().await, (200, ok.clone()));
    let every = json!({
        "status": "ok", "version": env!("CARGO_PKG_VERSION"), "table": "ok", "queue": "ok", "secret": "ok", "teams": "ok",
        "pagerduty": "ok", "reconciler": "ok", "silent_since": null, "healing": [],
    });
    assert_eq!(page.get("/health").await, (200, every));

    world.stack.aws.refuse_sqs(true);
    world.tick(KEPT - SignedDuration::from_millis(1));
    assert_eq!(world.health().await, (200, ok), "as of some seconds ago");
    world.tick(SignedDuration::from_millis(1));
    assert_eq!(world.health().await, (503, failing.clone()));
    let (status, parts) = page.get("/health").await;
    assert_eq!(
        (status, &parts["status"], &parts["queue"], &parts["table"]),
        (200, &json!("failing"), &json!("failing"), &json!("ok"))
    );
    world.stack.aws.refuse_sqs(false);

    world.tick(KEPT);
    world.stack.aws.refuse_dynamodb(true);
    assert_eq!(world.health().await, (503, failing));
    world.stack.aws.refuse_dynamodb(false);
    world.finish();
}

#[tokio::test]
async fn admins_are_told_which_part_does_not_heal_and_since_when() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let (store, client_id) = (&world.stack.app.store, &world.stack.app.config.pagerduty_client_id);
    let mut healing = Healing::default();
    let note = async |healing: &mut Healing, ends: &[(Part, Ended)]| {
        for (part, ended) in ends {
            healing.note(*part, *ended, world.stack.app.clock.now());
        }
        store.put_healing(client_id, healing).await.unwrap();
    };
    let (incidents, news) = (Part::Incidents, Part::News);
    note(&mut healing, &[(incidents, Ended::Failed), (news, Ended::Well)]).await;
    assert_eq!(world.health().await.0, 200, "one failure may be the moment's");
    world.tick(SignedDuration::from_secs(120));
    note(&mut healing, &[(incidents, Ended::Failed), (news, Ended::Partly)]).await;
    assert_eq!(world.health().await, (503, json!({ "status": "failing" })), "strangers are told no more");
    assert_eq!(world.counted(Metric::HealthChecksFailed), 1.0, "which has no alarm");
    assert_eq!(world.counted(Metric::RequestsFailed), 0.0, "which has one");
    let (_, told) = page.get("/health").await;
    let expected = json!([
        {
            "name": "incidents", "status": "failing", "done_at": null, "failing_since": "2026-11-23T09:00:00Z",
            "undone": "Open incidents have not been compared with PagerDuty", "undone_since": "2026-11-23T09:00:00Z",
        },
        {
            "name": "news", "status": "ok", "done_at": "2026-11-23T09:02:00Z", "failing_since": null,
            "undone": null, "undone_since": null,
        },
    ]);
    assert_eq!(
        (&told["reconciler"], &told["silent_since"], &told["healing"]),
        (&json!("failing"), &json!(null), &expected)
    );

    note(&mut healing, &[(incidents, Ended::Well)]).await;
    world.tick(KEPT);
    assert_eq!(world.health().await.0, 200, "healed");
    world.tick(SignedDuration::from_secs(5 * 60 - 4));
    assert_eq!(world.health().await.0, 503);
    let (_, told) = page.get("/health").await;
    assert_eq!(told["silent_since"], "2026-11-23T09:02:00Z", "nothing runs any more");
    world.finish();
}

#[tokio::test]
async fn a_thousand_questions_after_health_are_one_question_to_aws() {
    let world = World::new().await;
    world.stack.aws.watch(Duration::from_millis(20));
    let url = world.stack.app.config.public("/health");
    let ask = async |times: usize| {
        let mut strangers = JoinSet::new();
        for _ in 0..times.min(50) {
            let (url, http) = (url.clone(), runtime::http_client().unwrap());
            strangers.spawn(async move {
                for _ in 0..times.div_ceil(50) {
                    assert_eq!(http.get(&url).send().await.unwrap().status().as_u16(), 200);
                }
            });
        }
        strangers.join_all().await;
        world.stack.aws.take_calls().len()
    };
    let one = ask(1).await;
    assert!(one > 0, "somebody has looked");
    assert_eq!(ask(1).await, 0);
    world.tick(KEPT);
    let flood = ask(1_000).await;
    println!("1,000 requests to /health within 5 s: {flood} calls of AWS; 1 request: {one}");
    assert!(flood > 0 && flood <= one, "{flood} calls for all of them, {one} for one");
    world.tick(KEPT);
    assert_eq!(ask(1).await, flood, "and again after five seconds");
    world.finish();
}

#[tokio::test]
async fn from_elsewhere_strangers_are_refused_and_pagerduty_is_asked_to_repeat() {
    // This test itself comes from 127.0.0.1.
    let world = World::with(SOURCES, "192.0.2.7,198.51.100.0/24").await;
    let known = world.subscription("Payments");
    let wrong = format!("v1={}", "0".repeat(64));
    let good = || Signed::by(&known);
    let before = world.counted(Metric::WebhooksFromElsewhere);
    world.stack.aws.watch(Duration::ZERO);
    for (name, body, delivery, expected, calls) in [
        ("nothing at all", &b""[..], good().without_subscription().without_signature(), 403, 0),
        ("no subscription", PING, good().without_subscription(), 403, 0),
        ("no signature", PING, good().of_subscription("PUNKNOWN").without_signature(), 403, 1),
        ("no usable signature", PING, good().of_subscription("PUNKNOWN").with_signature("v1=zz"), 403, 1),
        ("a subscription of ours, no signature", PING, good().without_signature(), 503, 1),
        // It may have been made this second.
        ("an unknown subscription", PING, good().of_subscription("PUNKNOWN"), 503, 1),
        ("an unknown subscription, no JSON", &b"hello"[..], good().of_subscription("PUNKNOWN"), 503, 1),
        // The secret as well, which opens the webhook's.
        ("a subscription of ours, signed", PING, good(), 503, 2),
        ("the same again, from memory", PING, good(), 503, 0),
        ("the same without a signature", PING, good().without_signature(), 503, 0),
        ("a subscription of ours, guessed", PING, good().with_signature(&wrong), 503, 1),
    ] {
        assert_eq!(world.post_webhook(body, delivery).await, expected, "{name}");
        assert_eq!(world.stack.aws.take_calls().len(), calls, "{name}");
    }
    assert_eq!(world.counted(Metric::WebhooksFromElsewhere) - before, 2.0, "only what PagerDuty has signed");

    let claims = runtime::http_client().unwrap().post(world.stack.app.config.public("/webhooks/pagerduty"));
    let claims = claims.header("X-Webhook-Subscription", &known.id).header("X-Forwarded-For", "192.0.2.7");
    let claims = claims.header("X-PagerDuty-Signature", good().signature(PING)).body(PING).send().await.unwrap();
    assert_eq!(claims.status().as_u16(), 503, "a header says nothing about where it comes from");
    world.finish();
}

#[tokio::test]
async fn new_addresses_of_pagerduty_lose_nothing_once_they_are_on_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder_with(folder.path(), Ports::default(), &[(SOURCES, "192.0.2.7")]).await;
    world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    assert_eq!(world.webhook_answers("Payments").last(), Some(&503));
    assert_eq!(world.cards("Payments").len(), 0);
    world.keep_state();
    let ports = world.ports();
    world.stop().await;

    let world = World::in_folder_with(folder.path(), ports, &[(SOURCES, "192.0.2.7,127.0.0.0/8")]).await;
    world.advance(SignedDuration::from_hours(1)).await;
    assert!(world.only_card("Payments").summary().contains("DB down"));
    assert!(world.webhook_answers("Payments").iter().all(|status| *status == 202));
    assert_eq!(world.counted(Metric::WebhooksFromElsewhere), 0.0);
    world.finish();
}

#[tokio::test]
async fn webhooks_follow_to_another_public_address_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path(), 0).await;
    world.trigger("Payments", "before").await;
    world.settle().await;
    let (old_address, old) = (world.stack.base().clone(), world.subscription("Payments").id);
    world.keep_state();
    let ports = Ports { app: 0, ..world.ports() };
    world.stop().await;

    // The old address is closed too early: nobody listens there any more.
    let world = World::in_folder_with(folder.path(), ports, &[]).await;
    assert_ne!(*world.stack.base(), old_address);
    world.trigger("Payments", "meanwhile").await;
    world.deliver_webhooks().await;
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 1, "PagerDuty does not know the new address");
    world.reconcile().await;
    assert_eq!(world.cards("Payments").len(), 2, "what was missed is fetched");

    world.trigger("Payments", "after").await;
    world.settle().await;
    let cards = world.cards("Payments");
    for title in ["before", "meanwhile", "after"] {
        assert_eq!(cards.iter().filter(|card| card.summary().contains(title)).count(), 1, "{title}");
    }
    let subscriptions = world.pagerduty().subscriptions_of(&world.service("Payments"));
    assert!(subscriptions.len() == 1 && subscriptions[0] != old, "{subscriptions:?}");
    assert_eq!(world.webhook_answers("Payments").last(), Some(&202));
    world.finish();
}
