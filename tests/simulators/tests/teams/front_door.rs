//! The front door for the Agents Playground.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use reqwest::Method as Verb;
use serde_json::{Value, json};
use url::Url;

use crate::world::{World, read, serve, text_activity};

type Calls = Arc<Mutex<Vec<(String, String)>>>;

async fn playground(State(calls): State<Calls>, method: Method, uri: Uri, body: Bytes) -> impl IntoResponse {
    calls.lock().unwrap().push((format!("{method} {uri}"), String::from_utf8(body.to_vec()).unwrap()));
    (StatusCode::CREATED, axum::Json(json!({ "id": "from-the-playground" })))
}

/// (world, address of simulator and front door together, what the Playground's connector got)
async fn with_playground() -> (World, String, Calls) {
    let mut world = World::new().await;
    let calls = Calls::default();
    let playground = serve(&mut world.servers, |_| Router::new().fallback(self::playground).with_state(calls.clone()))
        .await
        + "_connector";
    let teams = world.teams.clone();
    let base = serve(&mut world.servers, |base| {
        teams.set_base(base);
        teams.router().merge(teams.front_door_router(Url::parse(&playground).unwrap()))
    })
    .await;
    (world, base, calls)
}

#[tokio::test]
async fn an_unsigned_activity_reaches_the_bot_signed_and_answers_go_back() {
    let (world, base, _) = with_playground().await;
    world.bot.will_answer(202, &json!({ "statusCode": 200 }));
    let activity = json!({ "type": "invoke", "channelId": "msteams", "serviceUrl": "http://localhost:56150/_connector", "extra": [1] });
    let got = read(world.http.post(format!("{base}api/messages")).json(&activity)).await.unwrap();
    assert_eq!((got.status, got.body), (202, json!({ "statusCode": 200 })));
    let received = world.bot.last();
    let mut expected = activity;
    expected["serviceUrl"] = json!(format!("{base}playground/connector/"));
    assert_eq!(received.activity, expected);
    let authorization = received.headers["authorization"].to_str().unwrap();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(authorization.strip_prefix("Bearer ").unwrap())
        .unwrap()
        .claims;
    assert_eq!(claims["serviceurl"], expected["serviceUrl"]);
    for body in ["no json", "[]"] {
        assert_eq!(
            world.http.post(format!("{base}api/messages")).body(body).send().await.unwrap().status(),
            400,
            "{body}"
        );
    }
    assert_eq!(world.bot.received().len(), 1);
    world.finish();
}

#[tokio::test]
async fn the_bots_calls_are_checked_and_passed_on() {
    let (world, base, calls) = with_playground().await;
    let url = format!("{base}playground/connector/v3/conversations/19%3Ax%40thread.tacv2%3Bmessageid=1/activities?a=b");
    let denied =
        read(world.http.request(Verb::PUT, &url).bearer_auth("made-up").json(&text_activity("x"))).await.unwrap();
    assert_eq!(denied.status, 401);
    assert!(calls.lock().unwrap().is_empty());
    let token = world.token().await;
    let got = read(world.http.request(Verb::PUT, &url).bearer_auth(token).json(&text_activity("x"))).await.unwrap();
    assert_eq!((got.status, got.body), (201, json!({ "id": "from-the-playground" })));
    let passed = "PUT /_connector/v3/conversations/19%3Ax%40thread.tacv2%3Bmessageid=1/activities?a=b".to_owned();
    assert_eq!(*calls.lock().unwrap(), [(passed, text_activity("x").to_string())]);
    world.finish();
}

#[tokio::test]
async fn a_bot_that_is_away_is_a_bad_gateway() {
    let (world, base, _) = with_playground().await;
    world.teams.set_bot_endpoint(Url::parse("http://127.0.0.1:9/").unwrap());
    let answer = world.http.post(format!("{base}api/messages")).json(&text_activity("x")).send().await.unwrap();
    assert_eq!(answer.status(), 502);
    world.finish();
}
