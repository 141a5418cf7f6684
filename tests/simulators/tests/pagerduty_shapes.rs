//! The PagerDuty simulator may not drift into fiction: whatever it sends has the shape of PagerDuty's published examples.
//!
//! `shapes/pagerduty.json` is a table of facts about those examples: for each kind of answer and event, the JSON types of
//! every key path, with `?` where not every example has it (a kind with a single example has it everywhere: one example
//! cannot tell). Keys that real deliveries have as `null` although the examples do
//! not show it (`incident_key`, `priority`) say so. An undocumented key, a missing one or another type fails.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use simulators::pagerduty::{Options, PagerDuty};

type Shape = BTreeMap<String, String>;

fn shapes() -> BTreeMap<String, Shape> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/shapes/pagerduty.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Every way in which `value` differs from the table.
fn differences(shape: &Shape, path: &str, value: &Value, found: &mut BTreeSet<String>) {
    if !path.is_empty() {
        let Some(known) = shape.get(path) else {
            found.insert(format!("{path} is not documented"));
            return;
        };
        // What some examples leave out may as well be null: real deliveries do both.
        let optional = known.ends_with('?');
        let types: Vec<&str> = known.trim_end_matches('?').split('|').collect();
        let kind = type_of(value);
        let fits = types.contains(&kind) || (optional && kind == "null");
        if !fits {
            found.insert(format!("{path} is {kind}, not {known}"));
        }
    }
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(shape, &below, inner, found);
            }
            let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
            let required = shape.iter().filter(|(_, types)| !types.ends_with('?'));
            for (known, _) in required {
                let Some(key) = known.strip_prefix(&prefix) else { continue };
                if !key.contains(['.', '[']) && !fields.contains_key(key) {
                    found.insert(format!("{known} is missing"));
                }
            }
        }
        Value::Array(values) => {
            for inner in values {
                differences(shape, &format!("{path}[]"), inner, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[track_caller]
fn assert_shape(kind: &str, value: &Value) {
    let mut found = BTreeSet::new();
    differences(&shapes()[kind], "", value, &mut found);
    assert!(found.is_empty(), "{kind}: {found:#?}");
}

struct World {
    pagerduty: PagerDuty,
    base: String,
    token: String,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        let now = Arc::new(Mutex::new(Timestamp::constant(1_795_424_400, 0)));
        let clock = Arc::clone(&now);
        let pagerduty = PagerDuty::new(
            Arc::new(move || {
                let mut now = clock.lock().unwrap();
                *now += SignedDuration::from_millis(1);
                *now
            }),
            Options {
                account_id: "PACCT".to_owned(),
                subdomain: "acme".to_owned(),
                client_id: "client".to_owned(),
                client_secret: "secret".to_owned(),
                redirect_uris: vec!["http://127.0.0.1/oauth/callback".to_owned()],
            },
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        pagerduty.set_base(&base);
        let router = pagerduty.router();
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        let user = pagerduty.add_user("Ada Wong", "ada@example.com", "admin");
        let http = client();
        let token = log_in(&http, &base, &user).await;
        Self { pagerduty, base, token, http }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header("Accept", "application/vnd.pagerduty+json;version=2")
            .bearer_auth(&self.token)
            .header("From", "ada@example.com");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }
}

fn client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A person's token with every scope that the tour needs, the way that OAuth gives it. The verifier is RFC 7636's example.
async fn log_in(http: &reqwest::Client, base: &str, user: &str) -> String {
    let scopes = "openid incidents.read incidents.write users.read services.read webhook_subscriptions.read webhook_subscriptions.write";
    let query = [
        ("client_id", "client"),
        ("redirect_uri", "http://127.0.0.1/oauth/callback"),
        ("response_type", "code"),
        ("scope", scopes),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("login", user),
    ];
    let back = http.get(format!("{base}/oauth/authorize")).query(&query).send().await.unwrap();
    let location = url::Url::parse(back.headers()["location"].to_str().unwrap()).unwrap();
    let code = location.query_pairs().find(|(key, _)| key == "code").expect("a code").1.into_owned();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "client"),
        ("client_secret", "secret"),
        ("code", &code),
        ("redirect_uri", "http://127.0.0.1/oauth/callback"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    let answer: Value =
        http.post(format!("{base}/oauth/token")).form(&form).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_answer_has_a_published_shape() {
    let world = World::new().await;
    let service = world.pagerduty.add_service("Payments");
    let priority = world.pagerduty.add_priority("P1");
    let new = json!({ "incident": { "type": "incident", "title": "DB down", "service": { "id": service, "type": "service_reference" } } });
    let opened = world.call(Method::POST, "/incidents", Some(new)).await;
    assert_shape("incident", &opened);
    let id = opened["incident"]["id"].as_str().unwrap().to_owned();
    let user = world.pagerduty.user_with_email("ada@example.com").unwrap();
    world.pagerduty.set_priority(&id, &user, Some(&priority));
    for status in ["acknowledged", "resolved", "triggered"] {
        let change = json!({ "incident": { "type": "incident_reference", "status": status } });
        assert_shape("incident", &world.call(Method::PUT, &format!("/incidents/{id}"), Some(change)).await);
        assert_shape("incident", &world.call(Method::GET, &format!("/incidents/{id}"), None).await);
    }
    let note = json!({ "note": { "content": "looking" } });
    assert_shape("note", &world.call(Method::POST, &format!("/incidents/{id}/notes"), Some(note)).await);
    assert_shape("notes", &world.call(Method::GET, &format!("/incidents/{id}/notes"), None).await);
    assert_shape("me", &world.call(Method::GET, "/users/me", None).await);
    assert_shape("services", &world.call(Method::GET, "/services?query=pay", None).await);
    assert_shape("service", &world.call(Method::GET, &format!("/services/{service}"), None).await);
    let wanted = json!({ "webhook_subscription": {
        "type": "webhook_subscription", "description": "d", "events": ["incident.triggered"],
        "filter": { "type": "service_reference", "id": service },
        "delivery_method": { "type": "http_delivery_method", "url": "http://127.0.0.1:1/" },
    }});
    let made = world.call(Method::POST, "/webhook_subscriptions", Some(wanted)).await;
    assert_shape("subscription", &made);
    let made = made["webhook_subscription"]["id"].as_str().unwrap().to_owned();
    assert_shape("subscription", &world.call(Method::GET, &format!("/webhook_subscriptions/{made}"), None).await);
    assert_shape("subscriptions", &world.call(Method::GET, "/webhook_subscriptions", None).await);
    assert_eq!(world.pagerduty.unknown_requests(), Vec::<String>::new());
}

#[tokio::test]
async fn every_webhook_has_a_published_shape() {
    let world = World::new().await;
    let service = world.pagerduty.add_service("Payments");
    let other = world.pagerduty.add_service("Search");
    let priority = world.pagerduty.add_priority("P1");
    let events = [
        "incident.triggered",
        "incident.acknowledged",
        "incident.unacknowledged",
        "incident.resolved",
        "incident.reopened",
        "incident.escalated",
        "incident.reassigned",
        "incident.priority_updated",
        "incident.service_updated",
        "incident.annotated",
    ];
    let wanted = json!({ "webhook_subscription": {
        "type": "webhook_subscription", "description": "d", "events": events, "filter": { "type": "account_reference" },
        "delivery_method": { "type": "http_delivery_method", "url": "http://127.0.0.1:1/" },
    }});
    let made = world.call(Method::POST, "/webhook_subscriptions", Some(wanted)).await;
    let pagerduty = &world.pagerduty;
    let user = pagerduty.user_with_email("ada@example.com").unwrap();
    let id = pagerduty.trigger(&service, "DB down", "high");
    let second = pagerduty.trigger(&service, "Also down", "low");
    pagerduty.acknowledge(&id, &user);
    pagerduty.unacknowledge(&id);
    pagerduty.escalate(&id, &user);
    pagerduty.reassign(&id, &user, &user);
    pagerduty.set_priority(&id, &user, Some(&priority));
    pagerduty.add_note(&id, &user, "looking");
    pagerduty.resolve_by_integration(&id);
    pagerduty.reopen(&id, &user);
    pagerduty.move_to_service(&id, &user, &other);
    pagerduty.merge(&second, &id, &user);
    let subscription = made["webhook_subscription"]["id"].as_str().unwrap();
    world
        .http
        .post(format!("{}/webhook_subscriptions/{subscription}/ping", world.base))
        .header("Accept", "application/vnd.pagerduty+json;version=2")
        .bearer_auth(&world.token)
        .send()
        .await
        .unwrap();
    let mut seen = BTreeSet::new();
    for pending in pagerduty.take_pending() {
        let body: Value = serde_json::from_str(pending.body()).unwrap();
        let kind = format!("webhook.{}", body["event"]["data"]["type"].as_str().unwrap());
        assert_shape(&kind, &body);
        seen.insert(body["event"]["event_type"].as_str().unwrap().to_owned());
    }
    let expected: BTreeSet<String> = events.into_iter().chain(["pagey.ping"]).map(str::to_owned).collect();
    assert_eq!(seen, expected, "every kind of event was sent");
}
