//! Webhooks that PagerDuty did not sign: each is refused, and nothing is written or woken for any.
//!
//! A request that names a subscription of ours is answered 503, whatever else is wrong with it: the secret in our table may be the one that
//! is wrong, and PagerDuty drops what it hears a 4xx for. Everything else is a stranger's, and gets a 4xx.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use runtime::Metric;
use secrecy::SecretString;

use super::dice::Dice;
use super::ground::Ground;
use super::mutations::MUTATIONS;

/// How many there are. A debug build takes ten times as long for each.
const COUNT: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

/// Bodies as PagerDuty sends them.
pub(super) const BODIES: &str = include_str!("../../../corpora/webhook-bodies.jsonl");

pub(super) const SIGNATURE: &str = "x-pagerduty-signature";
pub(super) const SUBSCRIPTION: &str = "x-webhook-subscription";

/// A genuine delivery, to be spoilt in one way.
#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// Whether API Gateway passes it on in base64.
    pub(super) encoded: bool,
}

/// What forgers know, and what they do not.
pub(super) struct Known {
    pub(super) subscription: String,
    pub(super) secret: SecretString,
    pub(super) other: String,
    pub(super) others_secret: SecretString,
}

impl Webhook {
    fn genuine(known: &Known, body: &[u8]) -> Self {
        let signature = pagerduty::webhook::sign(&known.secret, body);
        let headers = vec![
            ("content-type", b"application/json".to_vec()),
            ("user-agent", b"PagerDuty-Webhook/V3.0".to_vec()),
            ("x-webhook-id", b"11111111-2222-4333-8444-555555555555".to_vec()),
            (SUBSCRIPTION, known.subscription.clone().into_bytes()),
            (SIGNATURE, signature.into_bytes()),
        ];
        let path = "/webhooks/pagerduty".to_owned();
        Self { method: Method::POST, path, headers, body: body.to_vec(), encoded: false }
    }

    pub(super) fn get(&self, name: &str) -> Vec<u8> {
        self.headers.iter().find(|(known, _)| *known == name).unwrap().1.clone()
    }

    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.remove(name);
        self.headers.push((name, value.into()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| *known != name);
    }

    pub(super) fn signature(&self) -> String {
        String::from_utf8(self.get(SIGNATURE)).unwrap()
    }

    /// As the function gets it: over HTTP, or out of API Gateway's event.
    fn request(&self) -> Request<Body> {
        if self.encoded {
            return self.by_gateway();
        }
        let mut request = Request::builder().method(self.method.clone()).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        request.body(Body::from(self.body.clone())).unwrap()
    }

    fn by_gateway(&self) -> Request<Body> {
        let headers: BTreeMap<&str, String> =
            self.headers.iter().map(|(name, value)| (*name, String::from_utf8_lossy(value).into_owned())).collect();
        let event = serde_json::json!({
            "version": "2.0",
            "routeKey": "POST /webhooks/pagerduty",
            "rawPath": self.path,
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {
                "accountId": "000000000000", "apiId": "api", "domainName": "example.com", "domainPrefix": "example",
                "http": { "method": self.method.as_str(), "path": self.path, "protocol": "HTTP/1.1",
                          "sourceIp": "192.0.2.1", "userAgent": "x" },
                "requestId": "r", "routeKey": "POST /webhooks/pagerduty", "stage": "$default",
                "time": "23/Nov/2026:09:00:00 +0000", "timeEpoch": 1_795_424_400_000_i64,
            },
            "body": BASE64_STANDARD.encode(&self.body),
            "isBase64Encoded": true,
        });
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        request.map(|body| Body::from(body.to_vec()))
    }
}

/// A subscription of a new service, with its secret.
async fn subscription(ground: &Ground, team: &str, name: &str) -> (String, SecretString) {
    let (_, service) = ground.inside.add_channel(team, name).await.unwrap();
    let id = ground.inside.pagerduty.subscriptions_of(&service).remove(0);
    let secret = ground.inside.pagerduty.secret_of(&id).unwrap();
    (id, secret.into())
}

#[tokio::test(start_paused = true)]
async fn what_pagerduty_did_not_sign_is_refused_and_leaves_no_trace() {
    let ground = Ground::new().await;
    let team = ground.inside.add_team("Site Reliability").await.unwrap();
    let (subscription, secret) = subscription(&ground, &team, "payments").await;
    let (other, others_secret) = self::subscription(&ground, &team, "search").await;
    let known = Known { subscription, secret, other, others_secret };
    ground.settle().await;
    ground.calls();

    let bodies: Vec<&[u8]> = BODIES.lines().map(str::as_bytes).collect();
    let mut dice = Dice::new(0x00C0_FFEE);
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    for number in 0..COUNT {
        let (name, spoil, expected) = MUTATIONS[number % MUTATIONS.len()];
        let body: &[u8] = dice.pick::<&[u8]>(&bodies);
        let mut hook = Webhook::genuine(&known, body);
        spoil(&mut hook, &mut dice, &known);
        let answer = ground.ask(hook.request()).await;
        assert!(
            expected.contains(&answer.status),
            "number {number}, {name}: {} is none of {expected:?}",
            answer.status
        );
        assert!(answer.body.is_empty(), "number {number}, {name}: nothing is told");
        *answers.entry(answer.status).or_default() += 1;
        if number % 1000 == 0 {
            for call in ground.calls() {
                assert!(["GetItem", "GetSecretValue"].contains(&call.operation.as_str()), "{call:?}");
            }
        }
    }
    assert_eq!(ground.inside.queued(), 0, "no channel is woken");
    let metrics = &ground.inside.app.metrics;
    let failed = *answers.get(&503).unwrap();
    assert_eq!(metrics.sum(Metric::WebhooksFailed), failed as f64, "each 503 is one that was meant");
    assert_eq!(metrics.sum(Metric::UnreadableWebhooks), 0.0);
    println!("{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_corpus_is_made_of_is_accepted_unspoilt() {
    let ground = Ground::new().await;
    let team = ground.inside.add_team("Site Reliability").await.unwrap();
    let (subscription, secret) = subscription(&ground, &team, "payments").await;
    let known = Known { other: subscription.clone(), others_secret: secret.clone(), subscription, secret };
    for body in BODIES.lines() {
        for encoded in [false, true] {
            let hook = Webhook { encoded, ..Webhook::genuine(&known, body.as_bytes()) };
            assert_eq!(ground.ask(hook.request()).await.status, 202, "{body}");
        }
    }
    assert_eq!(ground.inside.app.metrics.sum(Metric::UnreadableWebhooks), 0.0);
}
