//! Keys that come, go and are replaced, while webhooks arrive and people click.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::ids::{EntraUserId, SubscriptionId, TenantId};
use jiff::SignedDuration;
use local::LocalConfig;
use serde_json::{Value, json};
use store::StoredLink;

use crate::platform::Platform;
use crate::world::{self, World};

/// Longer than functions keep the secret, as infra/secrets waits.
const PAUSE: SignedDuration = SignedDuration::from_mins(6);

fn key(id: &str) -> Value {
    let bytes: Vec<u8> = id.bytes().cycle().take(32).collect();
    json!({ "id": id, "key": BASE64_STANDARD.encode(bytes) })
}

fn ring(ids: &[&str]) -> Value {
    ids.iter().map(|id| key(id)).collect()
}

/// As a stack has it from before webhooks had keys of their own.
fn one_ring(ids: &[&str]) -> Value {
    json!({
        "teams_client_secret": "local-teams-secret",
        "pagerduty_client_secret": "local-pagerduty-secret",
        "token_keys": ring(ids),
        "session_key": "session",
    })
}

fn two_rings(tokens: &[&str], webhooks: &[&str]) -> Value {
    let mut secret = one_ring(tokens);
    secret["webhook_keys"] = ring(webhooks);
    secret
}

async fn world_of(secret: &Value) -> World {
    let config = LocalConfig { secrets: Some(secret.to_string()), ..world::config() };
    World::of(local::compose(config).await.unwrap())
}

/// As infra/secrets changes it.
async fn put(world: &World, secret: &Value) {
    world.tick(SignedDuration::from_millis(1));
    world.stack.put_secret(&secret.to_string()).await.unwrap();
}

/// One function's own secret alone.
async fn put_own(world: &World, function: &str, secret: &Value) {
    world.tick(SignedDuration::from_millis(1));
    let clients = runtime::AwsClients::new(&world.stack.app.config.aws);
    let put = clients.secrets_manager.put_secret_value().secret_id(format!("pagerbridge-{function}"));
    put.secret_string(secret.to_string()).send().await.unwrap();
}

/// Everything that PagerDuty has sent so far was taken at once.
#[track_caller]
fn all_taken(world: &World, service: &str) {
    let answers = world.webhook_answers(service);
    assert!(answers.iter().all(|answer| *answer == 202), "{answers:?}");
}

async fn takes_a_webhook(world: &World, when: &str) {
    let before = world.webhook_answers("Payments").len();
    world.trigger("Payments", when).await;
    world.deliver_webhooks().await;
    assert!(world.webhook_answers("Payments").len() > before, "{when}");
    all_taken(world, "Payments");
}

/// The ids of the keys that have sealed a service's webhook secrets.
async fn sealed_by(world: &World, service: &str) -> Vec<String> {
    let id = SubscriptionId::new(world.subscription(service).id).unwrap();
    let known = world.stack.app.store.subscription(&id).await.unwrap().unwrap();
    known.secrets.iter().map(|sealed| sealed.key_id().to_owned()).collect()
}

async fn link_of(world: &World, who: &str) -> StoredLink {
    let user = world.teams().user(&world.person(who).teams).unwrap();
    let (tenant, entra) = (TenantId::new(user.tenant).unwrap(), EntraUserId::new(user.entra).unwrap());
    world.stack.app.store.links_of(&tenant, &entra).await.unwrap().remove(0)
}

#[tokio::test]
async fn no_webhook_is_refused_on_the_way_to_keys_of_their_own_nor_in_a_rotation() {
    let world = world_of(&one_ring(&["t1"])).await;
    takes_a_webhook(&world, "before").await;
    assert_eq!(sealed_by(&world, "Payments").await, ["t1"]);
    for (step, secret, sealed) in [
        ("added", two_rings(&["t1"], &["t1", "w1"]), "t1"),
        ("promoted", two_rings(&["t1"], &["w1", "t1"]), "w1"),
        ("dropped", two_rings(&["t1"], &["w1"]), "w1"),
        ("rotated: added", two_rings(&["t1"], &["w1", "w2"]), "w1"),
        ("rotated: promoted", two_rings(&["t1"], &["w2", "w1"]), "w2"),
        ("rotated: dropped", two_rings(&["t1"], &["w2"]), "w2"),
    ] {
        put(&world, &secret).await;
        takes_a_webhook(&world, &format!("{step}, at once")).await;
        world.reconcile().await;
        takes_a_webhook(&world, &format!("{step}, after a round")).await;
        world.advance(PAUSE).await;
        world.reconcile().await;
        takes_a_webhook(&world, &format!("{step}, after a pause")).await;
        assert_eq!(sealed_by(&world, "Payments").await, [sealed], "{step}");
    }
    world.settle_all().await;
    all_taken(&world, "Payments");
    world.finish();
}

#[tokio::test]
async fn a_key_that_is_newer_than_what_a_function_has_read_makes_it_read_again() {
    let world = world_of(&two_rings(&["t1"], &["w1"])).await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    world.advance(PAUSE).await;
    // From now on webhook-ingest knows this secret for five minutes …
    takes_a_webhook(&world, "read").await;
    world.tick(SignedDuration::from_secs(11));
    // … and bot-messages, which has not read its own for long, seals with a key of which nobody had time to hear.
    put(&world, &two_rings(&["t1"], &["w2", "w1"])).await;
    let service = platform.connect("Checkout").await;
    let id = SubscriptionId::new(world.pagerduty().subscriptions_of(&service).remove(0)).unwrap();
    let stored = world.stack.app.store.subscription(&id).await.unwrap().unwrap();
    assert_eq!(stored.secrets[0].key_id(), "w2");
    world.trigger_in(&service, "Sealed by the newest key").await;
    world.deliver_webhooks().await;
    let delivered = world.pagerduty().deliveries().into_iter();
    let answers: Vec<_> =
        delivered.filter(|one| one.subscription == id.as_str()).filter_map(|one| one.status).collect();
    assert!(!answers.is_empty() && answers.iter().all(|answer| *answer == 202), "{answers:?}");
    world.settle_all().await;
    world.finish();
}

#[tokio::test]
async fn tokens_are_sealed_anew_when_they_are_used() {
    let world = world_of(&two_rings(&["t1"], &["w1"])).await;
    world.link("Ada Wong").await;
    let before = link_of(&world, "Ada Wong").await;
    assert_eq!(before.tokens.key_id(), "t1");
    put(&world, &two_rings(&["t2", "t1"], &["w1"])).await;
    world.advance(PAUSE).await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    world.click("Ada Wong", &world.only_card("Payments"), "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    let after = link_of(&world, "Ada Wong").await;
    assert_eq!((after.tokens.key_id(), after.tokens_version), ("t2", before.tokens_version));
    assert_eq!(after.link, before.link);

    // The old key can go, and an hour later the tokens are refreshed as ever.
    put(&world, &two_rings(&["t2"], &["w1"])).await;
    world.advance(SignedDuration::from_hours(2)).await;
    world.settle_all().await;
    world.click("Ada Wong", &world.only_card("Payments"), "Resolve").await;
    assert_eq!(world.status_in_pagerduty(&incident), "resolved");
    world.finish();
}

#[tokio::test]
async fn the_operator_seals_everything_anew_and_hears_what_is_left() {
    let world = world_of(&two_rings(&["t1"], &["w1"])).await;
    for who in ["Ada Wong", "Ben Okafor"] {
        world.link(who).await;
    }
    let app = &world.stack.app;
    let reseal = async |check| {
        world.tick(PAUSE);
        let done = local::operator::reseal(app, check).await.unwrap();
        (done.text.replace('\n', "; "), done.is_complete)
    };
    let (told, complete) = reseal(true).await;
    assert_eq!(told, "account links: 2 with the current key; webhook subscriptions: 2 with the current key");
    assert!(complete);

    put(&world, &two_rings(&["t2", "t1"], &["w2", "w1"])).await;
    let (told, complete) = reseal(true).await;
    let old = "account links: 0 with the current key, 2 with the older key t1; \
               webhook subscriptions: 0 with the current key, 2 with the older key w1";
    assert_eq!((told.as_str(), complete), (old, false), "only counted");
    // Somebody's tokens are being refreshed: whoever does it seals anew.
    let ada = link_of(&world, "Ada Wong").await;
    world.tick(PAUSE);
    let now = app.clock.now();
    let lease = app.store.claim_refresh(&ada.link, ada.tokens_version, "holder", now, PAUSE * 2).await.unwrap();
    let (told, complete) = reseal(false).await;
    let done = "account links: 1 with the current key, 1 of them sealed anew, 1 changed at the same time: run it again; \
                webhook subscriptions: 2 with the current key, 2 of them sealed anew";
    assert_eq!((told.as_str(), complete), (done, false));
    let ada = link_of(&world, "Ada Wong").await;
    assert_eq!(ada.tokens.key_id(), "t1");
    assert_eq!(
        app.store.save_tokens(&lease.unwrap(), &ada.tokens).await.unwrap(),
        store::Saved::Yes,
        "its lease is left"
    );
    assert_eq!(link_of(&world, "Ben Okafor").await.tokens.key_id(), "t2");
    assert_eq!(sealed_by(&world, "Payments").await, ["w2"]);

    assert!(reseal(false).await.1);
    assert_eq!(link_of(&world, "Ada Wong").await.tokens.key_id(), "t2");
    put(&world, &two_rings(&["t2"], &["w2"])).await;
    assert!(reseal(true).await.1);
    world.tick(PAUSE);
    takes_a_webhook(&world, "afterwards").await;
    world.settle_all().await;
    world.click("Ben Okafor", &world.only_card("Payments"), "Acknowledge").await;

    // A key that was lost is told, and everything else is done.
    put(&world, &two_rings(&["t3", "t2"], &["w9"])).await;
    let (told, complete) = reseal(false).await;
    let lost = "account links: 2 with the current key, 2 of them sealed anew; webhook subscriptions: 0 with the current key, \
                2 cannot be opened: their key w2 is gone, or is another one by now";
    assert_eq!((told.as_str(), complete), (lost, false));
    world.finish();
}

#[tokio::test]
async fn until_its_secret_is_filled_a_function_refuses_and_nothing_is_lost() {
    let secret = two_rings(&["t1"], &["w1"]);
    for empty in [json!({}), json!({ "pagerduty_client_secret": "local-pagerduty-secret" })] {
        let world = world_of(&secret).await;
        put_own(&world, "webhook-ingest", &empty).await;
        world.trigger("Payments", "DB down").await;
        world.deliver_webhooks().await;
        let answers = world.webhook_answers("Payments");
        assert!(!answers.is_empty() && answers.iter().all(|answer| *answer == 503), "{empty}: {answers:?}");
        put(&world, &secret).await;
        world.advance(SignedDuration::from_hours(1)).await;
        world.settle_all().await;
        assert_eq!(world.webhook_answers("Payments").last(), Some(&202));
        assert_eq!(world.only_card("Payments").posts(), 1);
        world.finish();
    }
}
