//! JSON as deep, as wide and as long as it may be, wherever JSON is read. Nothing breaks; what it costs at most is measured by
//! `cargo run --release -p bench -- adversarial`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use secrecy::SecretString;
use serde_json::{Value, json};
use simulators::hostile;
use simulators::teams::Flaw;

use super::ground::Ground;
use crate::platform::AdminPage;
use crate::world::World;

/// Nearly as much as is read of anything. Wide ones are shorter in a debug build, which takes long for each; deep ones are not,
/// since they are what could end the process.
const BYTES: usize = 240 * 1024;
const WIDE: usize = if cfg!(debug_assertions) { 24 * 1024 } else { BYTES };

const BODIES: &str = include_str!("../../../corpora/webhook-bodies.jsonl");

fn documents() -> Vec<(&'static str, Vec<u8>)> {
    let is_deep = |name: &str| name.starts_with("lists ") || name.starts_with("objects ");
    let mut all: Vec<_> = hostile::documents(BYTES).into_iter().filter(|(name, _)| is_deep(name)).collect();
    all.extend(hostile::documents(WIDE).into_iter().filter(|(name, _)| !is_deep(name)));
    all
}

#[tokio::test(start_paused = true)]
async fn no_signed_webhook_breaks_anything() {
    let ground = Ground::new().await;
    let team = ground.inside.add_team("Site Reliability").await.unwrap();
    let (_, service) = ground.inside.add_channel(&team, "payments").await.unwrap();
    let subscription = ground.inside.pagerduty.subscriptions_of(&service).remove(0);
    let secret = SecretString::from(ground.inside.pagerduty.secret_of(&subscription).unwrap());
    let bodies: Vec<Value> = BODIES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let post = async |body: Vec<u8>, signature: &str| {
        let request = Request::post("/webhooks/pagerduty")
            .header("x-webhook-subscription", &subscription)
            .header("x-pagerduty-signature", signature);
        ground.ask(request.body(Body::from(body)).unwrap()).await.status
    };
    let forged = format!("v1={}", "0".repeat(64));
    for (name, document) in documents() {
        for pointer in [
            "",
            "/event",
            "/event/id",
            "/event/event_type",
            "/event/agent",
            "/event/data",
            "/event/data/title",
            "/event/data/number",
            "/event/data/assignees",
            "/event/data/priority",
            "/event/data/created_at",
        ] {
            let body = hostile::inside(&bodies[4], pointer, &document);
            let signature = pagerduty::webhook::sign(&secret, &body);
            assert_eq!(post(body.clone(), &signature).await, 202, "{name} at {pointer}: PagerDuty signed it");
            assert_eq!(post(body, &forged).await, 503, "{name} at {pointer}");
        }
    }
    // What could be read of them is shown.
    for _ in 0..30 {
        ground.work(1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(ground.inside.teams.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn no_activity_breaks_anything() {
    let ground = Ground::new().await;
    let teams = &ground.inside.teams;
    teams.set_throttling(false);
    let ada = teams.add_user("Ada Wong");
    let team = ground.inside.add_team("Site Reliability").await.unwrap();
    let channel = teams.add_channel(&team, "alerts");
    let said = teams.message_activity(&ada, &channel, "help").unwrap();
    let invoke = |name: &str, value: Value| {
        let mut activity = said.clone();
        activity["type"] = json!("invoke");
        activity["name"] = json!(name);
        activity["value"] = value;
        activity
    };
    let button = json!({ "v": 1, "account": local::ACCOUNT, "incident": "Q1", "verb": "acknowledge" });
    let storm = json!({ "v": 1, "account": local::ACCOUNT, "storm": "1", "dialog": "list", "after": "", "filter": {} });
    let click = json!({ "action": { "type": "Action.Execute", "verb": "acknowledge", "data": button } });
    let mut submitted = said.clone();
    submitted["text"] = json!("");
    submitted["value"] = button.clone();
    let mut updated = said.clone();
    updated["type"] = json!("conversationUpdate");
    updated["membersAdded"] = json!([]);
    let places = [
        (
            said.clone(),
            vec![
                "",
                "/text",
                "/id",
                "/from",
                "/from/aadObjectId",
                "/entities",
                "/channelData",
                "/conversation",
                "/type",
            ],
        ),
        (submitted, vec!["/value", "/value/verb", "/value/account"]),
        (updated, vec!["/membersAdded", "/channelData/team", "/channelData/channel"]),
        (
            invoke("adaptiveCard/action", click),
            vec!["/value", "/value/action", "/value/action/verb", "/value/action/data", "/value/action/data/incident"],
        ),
        (
            invoke("task/fetch", json!({ "data": storm })),
            vec!["/value/data", "/value/data/after", "/value/data/filter", "/name"],
        ),
        (
            invoke("task/submit", json!({ "data": { "v": 1, "dialog": "trigger", "form": "f", "title": "x" } })),
            vec!["/value/data", "/value/data/form", "/value/data/title"],
        ),
        (
            invoke("application/search", json!({ "dataset": "services", "queryText": "x" })),
            vec!["/value/dataset", "/value/queryText"],
        ),
    ];
    let bearer = teams.authorization(&teams.service_url(), Flaw::None).unwrap().unwrap();
    for (name, document) in documents() {
        for (activity, pointers) in &places {
            for pointer in pointers {
                let body = hostile::inside(activity, pointer, &document);
                let unsigned = ground.messages(Some("Bearer a.b.c"), body.clone()).await.status;
                let signed = ground.messages(Some(&bearer), body).await.status;
                assert_eq!(unsigned, 401, "{name} at {pointer}");
                assert!(matches!(signed, 200 | 400 | 401 | 403), "{name} at {pointer}: {signed}");
            }
        }
    }
    // As what a token says.
    for (name, document) in documents() {
        let (header, claims) = (r#"{"alg":"RS256","kid":"x"}"#.as_bytes(), document.as_slice());
        for parts in [[header, claims], [claims, header]] {
            let encoded = parts.map(|part| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, part));
            let token = format!("Bearer {}.{}.AAAA", encoded[0], encoded[1]);
            assert_eq!(ground.messages(Some(&token), Vec::new()).await.status, 401, "{name}");
        }
    }
}

#[tokio::test]
async fn no_body_of_the_page_and_no_message_of_the_queue_breaks_anything() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let team = crate::platform::path(&world.demo().team);
    let ask = async |path: &str, body: Vec<u8>| {
        let app = world.stack.app.clone();
        let request = Request::post(format!("/admin/api/v1{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, page.browser.cookies())
            .header("x-pagerbridge-csrf", &page.csrf);
        let answer = tower_service::Service::call(&mut admin_api::router(app), request.body(Body::from(body)).unwrap());
        answer.await.unwrap().status().as_u16()
    };
    let connection =
        json!({ "service": "P1", "channel": "19:x", "filter": "all", "zone": "UTC", "mentions": "nobody" });
    let replay = json!({ "incident": "Q1", "channel": "19:x" });
    for (name, document) in documents() {
        for (path, outer, pointers) in [
            (format!("/teams/{team}/connections"), &connection, ["", "/service", "/channel", "/zone"]),
            ("/deliveries/replay".to_owned(), &replay, ["", "/incident", "/channel", "/incident"]),
        ] {
            for pointer in pointers {
                let status = ask(&path, hostile::inside(outer, pointer, &document)).await;
                assert!((400..500).contains(&status), "{name} at {pointer} of {path}: {status}");
            }
        }
        // It comes again until the dead-letter queue takes it.
        let message = json!({ "Records": [{ "messageId": "m", "receiptHandle": "r", "body": String::from_utf8_lossy(&document) }] });
        let batch = serde_json::from_value(message).unwrap();
        let left = Duration::from_secs(60);
        let response = Box::pin(notification_sender::handle(&world.stack.app, batch, left)).await;
        assert_eq!(response.batch_item_failures.len(), 1, "{name}");
    }
    world.finish();
}
