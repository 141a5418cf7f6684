//! Who may call what: credentials, headers, scopes, `From`, roles and the rate limit.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{ALL_SCOPES, VERSION, World};

#[tokio::test]
async fn headers_must_be_exact() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", world.pagerduty.app_token(&ALL_SCOPES));
    let key = format!("Token token={}", world.pagerduty.account_key());
    let other_scheme = bearer.replace("Bearer", "Token");
    let old_version = VERSION.replace('2', "1");
    for (what, headers, expected) in [
        ("a token", vec![("authorization", bearer.as_str())], (200, 0)),
        ("an account key", vec![("authorization", key.as_str())], (200, 0)),
        ("no credentials", vec![], (401, 2006)),
        ("an unknown token", vec![("authorization", "Bearer nonsense")], (401, 2006)),
        ("a token as a key", vec![("authorization", other_scheme.as_str())], (401, 2006)),
        ("a key as a token", vec![("authorization", "Bearer y_NbAkKc66ryYTWUXYEu")], (401, 2006)),
        ("no Accept", vec![("authorization", bearer.as_str()), ("accept", "")], (400, 2001)),
        ("any Accept", vec![("authorization", bearer.as_str()), ("accept", "*/*")], (400, 2001)),
        ("an old version", vec![("authorization", bearer.as_str()), ("accept", &old_version)], (400, 2001)),
    ] {
        assert_eq!(world.call_with("GET", "/services", Value::Null, &headers).await.error(), expected, "{what}");
    }
    let body = json!({ "note": { "content": "hello" } });
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    let path = format!("/incidents/{incident}/notes");
    for (content_type, expected) in [
        ("application/json", (200, 0)),
        ("application/json; charset=utf-8", (200, 0)),
        ("text/plain", (400, 2001)),
        ("", (400, 2001)),
    ] {
        let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
        assert_eq!(world.call_with("POST", &path, body.clone(), &headers).await.error(), expected, "{content_type}");
    }
    world.finish();
}

#[tokio::test]
async fn an_access_token_lives_a_day() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", world.pagerduty.user_token(&world.ada, &["users.read"]));
    for (hours, expected) in [(0, 200), (23, 200), (1, 401)] {
        world.advance(SignedDuration::from_hours(hours));
        let got = world.call_with("GET", "/users/me", Value::Null, &[("authorization", &bearer)]).await;
        assert_eq!(got.status, expected);
    }
    world.finish();
}

#[tokio::test]
async fn every_operation_wants_its_scope() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    let at = |end: &str| format!("/incidents/{incident}{end}");
    let note = json!({ "note": { "content": "x" } });
    let update = json!({ "incident": { "type": "incident_reference", "title": "y" } });
    for (method, path, body, scope) in [
        ("GET", "/users/me".to_owned(), Value::Null, "users.read"),
        ("GET", format!("/users/{}", world.ben), Value::Null, "users.read"),
        ("GET", "/services".to_owned(), Value::Null, "services.read"),
        ("GET", format!("/services/{}", world.service), Value::Null, "services.read"),
        ("GET", "/incidents".to_owned(), Value::Null, "incidents.read"),
        ("GET", at(""), Value::Null, "incidents.read"),
        ("PUT", at(""), update, "incidents.write"),
        ("GET", at("/notes"), Value::Null, "incidents.read"),
        ("POST", at("/notes"), note, "incidents.write"),
        ("GET", at("/log_entries"), Value::Null, "incidents.read"),
        ("GET", "/priorities".to_owned(), Value::Null, "priorities.read"),
        ("GET", "/escalation_policies".to_owned(), Value::Null, "escalation_policies.read"),
        ("GET", "/oncalls".to_owned(), Value::Null, "oncalls.read"),
        ("GET", "/webhook_subscriptions".to_owned(), Value::Null, "webhook_subscriptions.read"),
    ] {
        let others: Vec<&str> = ALL_SCOPES.into_iter().filter(|known| *known != scope).collect();
        for (scopes, expected) in [(vec![scope], 200), (others, 403)] {
            let bearer = format!("Bearer {}", world.pagerduty.user_token(&world.ada, &scopes));
            let got = world.call_with(method, &path, body.clone(), &[("authorization", &bearer)]).await;
            assert_eq!(got.status, expected, "{method} {path} with {scopes:?}");
            if expected == 403 {
                let error = json!({ "error": { "message": "Token missing required scopes", "code": 0 } });
                assert_eq!(got.body, error);
            }
        }
    }
    world.finish();
}

#[tokio::test]
async fn from_says_who_acts_where_the_credential_does_not() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let token = format!("Bearer {}", pagerduty.user_token(&world.ada, &ALL_SCOPES));
    let user_key = format!("Token token={}", pagerduty.user_key(&world.ada));
    let account_key = format!("Token token={}", pagerduty.account_key());
    let app = format!("Bearer {}", pagerduty.app_token(&ALL_SCOPES));
    let incident = pagerduty.trigger(&world.service, "DB down", "high");
    let path = format!("/incidents/{incident}/notes");
    let (ada, ben) = (Ok("Ada Wong"), Ok("Ben Okafor"));
    let nobody = Ok("Payments");
    for (what, credential, from, expected) in [
        ("a token alone", &token, "", ada),
        ("a token with its address", &token, "Ada@example.com", ada),
        ("a token with another address", &token, "ben@example.com", Err((400, 1008))),
        ("a token with a stranger's address", &token, "eve@example.com", Err((400, 1008))),
        ("a token with a name", &token, "Ada Wong", Err((400, 1028))),
        ("a user key alone", &user_key, "", ada),
        ("an account key alone", &account_key, "", Err((400, 2016))),
        ("an account key with an address", &account_key, "ben@example.com", ben),
        ("an account key with a name", &account_key, "Ben", Err((400, 1028))),
        ("an account key with a stranger's address", &account_key, "eve@example.com", Err((400, 1008))),
        ("the app", &app, "", nobody),
        ("the app with an address", &app, "ben@example.com", nobody),
        ("the app with nonsense", &app, "nonsense", nobody),
    ] {
        let headers = [("authorization", credential.as_str()), ("from", from)];
        let got = world.call_with("POST", &path, json!({ "note": { "content": "x" } }), &headers).await;
        match expected {
            Ok(author) => assert_eq!(got.text("/note/user/summary"), author, "{what}"),
            Err(error) => assert_eq!(got.error(), error, "{what}"),
        }
    }
    let got = world.call_with("GET", "/users/me", Value::Null, &[("authorization", &account_key)]).await;
    assert_eq!(got.error(), (400, 2001), "an account key is nobody");
    world.finish();
}

#[tokio::test]
async fn roles_limit_who_may_act() {
    let world = World::new().await;
    for (role, on_any, on_own, opens) in [
        ("owner", 200, 200, 201),
        ("admin", 200, 200, 201),
        ("user", 200, 200, 201),
        ("limited_user", 200, 200, 201),
        ("observer", 403, 200, 403),
        ("restricted_access", 403, 200, 403),
        ("read_only_user", 403, 403, 403),
        ("read_only_limited_user", 403, 403, 403),
    ] {
        let user = world.pagerduty.add_user(role, &format!("{role}@example.com"), role);
        let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
        let (path, note) = (format!("/incidents/{incident}/notes"), json!({ "note": { "content": "x" } }));
        let update = json!({ "incident": { "type": "incident_reference", "title": "y" } });
        for (method, path, body) in [("POST", path.clone(), note), ("PUT", format!("/incidents/{incident}"), update)] {
            let got = world.call_as(&user, method, &path, body.clone()).await;
            assert_eq!(got.status, on_any, "{role}: {method}");
            if on_any == 403 {
                assert_eq!(got.body, json!({ "error": { "message": "Access Denied", "code": 2010 } }));
            }
            world.pagerduty.reassign(&incident, &world.ada, &user);
            assert_eq!(world.call_as(&user, method, &path, body).await.status, on_own, "{role}, own: {method}");
            world.pagerduty.reassign(&incident, &world.ada, &world.ada);
        }
        let new = json!({ "incident": { "type": "incident", "title": "New",
            "service": { "id": world.service, "type": "service_reference" } } });
        assert_eq!(world.call_as(&user, "POST", "/incidents", new).await.status, opens, "{role}: opens");
        assert_eq!(world.call_as(&user, "GET", "/incidents", Value::Null).await.status, 200, "{role}: reads");
    }
    world.finish();
}

#[tokio::test]
async fn a_token_has_960_calls_a_minute() {
    let world = World::new().await;
    let busy = format!("Bearer {}", world.pagerduty.user_token(&world.ada, &ALL_SCOPES));
    let limit = |got: &crate::world::Got| {
        ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| got.header(name).unwrap().to_owned())
    };
    let headers = [("authorization", busy.as_str())];
    let read = || world.call_with("GET", "/users/me", Value::Null, &headers);
    assert_eq!(limit(&read().await), ["960", "959", "60"]);
    for _ in 0..958 {
        read().await;
    }
    world.advance(SignedDuration::from_millis(20_500));
    let last = read().await;
    assert_eq!((last.status, limit(&last)), (200, ["960", "0", "40"].map(str::to_owned)));
    let refused = read().await;
    assert_eq!((refused.error(), limit(&refused)), ((429, 2020), ["960", "0", "40"].map(str::to_owned)));
    assert_eq!(
        world.call_as(&world.ada, "GET", "/users/me", Value::Null).await.status,
        200,
        "another token has its own"
    );
    world.advance(SignedDuration::from_millis(39_499));
    assert_eq!(read().await.status, 429);
    world.advance(SignedDuration::from_millis(1));
    assert_eq!(read().await.status, 200);
    world.finish();
}

#[tokio::test]
async fn opening_incidents_is_limited_to_300_a_minute() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.pagerduty.user_token(&world.ada, &ALL_SCOPES));
    let new = json!({ "incident": { "type": "incident", "title": "New",
        "service": { "id": world.service, "type": "service_reference" } } });
    let mut refused = 0;
    for _ in 0..301 {
        let got = world.call_with("POST", "/incidents", new.clone(), &[("authorization", &token)]).await;
        refused += usize::from(got.error() == (429, 2020));
    }
    assert_eq!((refused, world.pagerduty.incidents().len()), (1, 300));
    world.finish();
}
