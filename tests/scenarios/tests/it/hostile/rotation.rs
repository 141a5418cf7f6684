//! Every secret is replaced while a thousand webhooks and the clicks of people go on: none of them is refused.
//!
//! Each function has caches of its own, as in AWS, so for minutes some know the old secret and some the new one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::ids::SubscriptionId;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::platform::AdminPage;
use crate::world::World;

const ADA: &str = "Ada Wong";
const WEBHOOKS: usize = 1000;
const INCIDENTS: usize = 8;

/// How much time passes between two webhooks: in a hundred of them, every function has read every secret anew.
const BETWEEN: SignedDuration = SignedDuration::from_secs(4);

/// A secret is replaced, or a part of that is done, before the webhook of this number.
const STEPS: &[(usize, &str)] = &[
    (50, "PagerDuty signs with a second webhook secret"),
    (60, "the table has it"),
    (120, "PagerDuty signs with the new one only"),
    (200, "both have another one from now on"),
    (250, "a key is added to both rings"),
    (350, "they seal what is new"),
    (450, "a webhook secret is sealed with it"),
    (550, "the session key is another"),
    (600, "PagerDuty knows another client secret only"),
    (650, "Teams signs with another key"),
    (700, "Entra knows another client secret only"),
    (750, "Teams forgets the old key"),
];

const RINGS: [&str; 2] = ["token_keys", "webhook_keys"];

fn ring_of<'d>(document: &'d mut Value, ring: &str) -> &'d mut Vec<Value> {
    document[ring].as_array_mut().unwrap()
}

/// The webhook secrets that the table has for a subscription, sealed with the newest key.
async fn store_webhook_secrets(world: &World, id: &str, secrets: &[&str]) {
    // A process that has just started.
    let app = runtime::App::new(world.stack.app.config.as_ref().clone(), world.stack.app.clock.clone()).unwrap();
    let id = SubscriptionId::new(id).unwrap();
    let values = app.secrets.values(app.clock.now()).await.unwrap();
    let seal = |secret: &&str| {
        values.webhook_keys().unwrap().seal(secret.as_bytes(), id.as_str(), app.random.bytes().unwrap()).unwrap()
    };
    let known = app.store.subscription(&id).await.unwrap().unwrap();
    let sealed = secrets.iter().map(seal).collect();
    app.store.put_subscription(&store::Subscription { secrets: sealed, ..known }).await.unwrap();
}

async fn take_step(world: &World, number: usize, subscription: &str, old: &str) {
    let pagerduty = world.pagerduty();
    match number {
        50 => pagerduty.sign_also_with(subscription, "a-new-secret"),
        60 => store_webhook_secrets(world, subscription, &[old, "a-new-secret"]).await,
        120 => pagerduty.sign_only_with(subscription, "a-new-secret"),
        200 => {
            store_webhook_secrets(world, subscription, &["another-secret"]).await;
            pagerduty.sign_only_with(subscription, "another-secret");
        }
        450 => store_webhook_secrets(world, subscription, &["another-secret"]).await,
        250 => {
            let key = json!({ "id": "another", "key": BASE64_STANDARD.encode([7; 32]) });
            world
                .change_secret(|document| RINGS.iter().for_each(|ring| ring_of(document, ring).push(key.clone())))
                .await;
        }
        350 => {
            world.change_secret(|document| RINGS.iter().for_each(|ring| ring_of(document, ring).rotate_right(1))).await
        }
        550 => world.change_secret(|document| document["session_key"] = json!("another-session-key")).await,
        600 => {
            world.change_secret(|document| document["pagerduty_client_secret"] = json!("another-of-pagerduty")).await;
            pagerduty.change_client_secret("another-of-pagerduty");
            pagerduty.expire_app_tokens();
        }
        700 => {
            world.change_secret(|document| document["teams_client_secret"] = json!("another-of-teams")).await;
            world.teams().change_client_secret("another-of-teams");
            world.teams().revoke_tokens();
        }
        650 => world.teams().rotate_keys(true),
        750 => world.teams().rotate_keys(false),
        other => panic!("no step {other}"),
    }
}

#[tokio::test]
async fn no_secret_that_is_replaced_costs_a_webhook_or_a_click() {
    let world = World::new().await;
    world.link(ADA).await;
    let page = AdminPage::open(&world, ADA).await;
    let mut incidents = Vec::new();
    for number in 0..INCIDENTS {
        incidents.push(world.trigger("Payments", &format!("DB {number} down")).await);
        world.settle().await;
        world.tick(SignedDuration::from_secs(10));
    }
    let known = world.subscription("Payments");
    let ada = world.pagerduty_user(ADA);
    let mut written = Vec::new();
    let mut steps = STEPS.iter().peekable();
    for number in 0..WEBHOOKS {
        if let Some((_, what)) = steps.next_if(|(at, _)| *at == number) {
            take_step(&world, number, &known.id, &known.secret).await;
            // Whatever was seen before the step, and whatever only after it.
            assert!(page.get("/session").await.0 == 200, "{what}");
        }
        world.tick(BETWEEN);
        let incident = &incidents[number % INCIDENTS];
        let priority = if (number / INCIDENTS).is_multiple_of(2) { "P2" } else { "P3" };
        world.pagerduty().set_priority(incident, &ada, Some(priority));
        world.deliver_webhooks().await;
        if number % 25 == 24 {
            let note = format!("in Teams {number}");
            let cards = world.cards("Payments");
            let card = cards.iter().find(|card| card.json().contains(incident)).unwrap();
            let answer = world.click_with(ADA, card, "Add note", json!({ "note": note })).await;
            assert_eq!((answer.0.status, answer.error()), (200, None), "{number}");
            written.push((incident.clone(), note));
            world.deliver_webhooks().await;
        }
        if number % 100 == 99 {
            world.settle().await;
        }
    }
    assert_eq!(steps.next(), None, "every step was taken");
    let answers = world.webhook_answers("Payments");
    assert!(answers.len() > WEBHOOKS && answers.iter().all(|status| *status == 202), "{answers:?}");
    assert_eq!(written.len(), WEBHOOKS / 25);
    for (incident, note) in &written {
        assert!(world.notes_in_pagerduty(incident).contains(note), "no click is lost");
    }

    // An open page's writes are tagged with the key that is gone: it has to be loaded again, and nobody is logged out.
    let (status, _) =
        page.write("POST", "/deliveries/replay", Some(json!({ "incident": incidents[0], "channel": "19:x" }))).await;
    assert_eq!(status, 403);
    let (_, session) = page.get("/session").await;
    assert_ne!(session["csrf"].as_str(), Some(page.csrf.as_str()));
    world.finish();
}
