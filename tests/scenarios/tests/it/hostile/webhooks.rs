//! Webhooks that PagerDuty did not sign: each is refused, and nothing is written or woken for any.
//!
//! A request that names a subscription of ours and carries a well-formed signature that does not fit is answered 503: the secret in our
//! table may be the one that is wrong, and PagerDuty drops what it hears a 4xx for. Everything else is a stranger's, and gets a 4xx.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use runtime::Metric;
use secrecy::SecretString;

use super::dice::Dice;
use super::ground::Ground;

/// How many there are. A debug build takes ten times as long for each.
const COUNT: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

/// Bodies as PagerDuty sends them.
const BODIES: &str = include_str!("../../../corpora/webhook-bodies.jsonl");

const SIGNATURE: &str = "x-pagerduty-signature";
const SUBSCRIPTION: &str = "x-webhook-subscription";

/// A genuine delivery, to be spoilt in one way.
#[derive(Clone)]
struct Webhook {
    method: Method,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    /// Whether API Gateway passes it on in base64.
    encoded: bool,
}

/// What forgers know, and what they do not.
struct Known {
    subscription: String,
    secret: SecretString,
    other: String,
    others_secret: SecretString,
}

fn sign(secret: &str, body: &[u8]) -> String {
    pagerduty::webhook::sign(&SecretString::from(secret), body)
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

    fn get(&self, name: &str) -> Vec<u8> {
        self.headers.iter().find(|(known, _)| *known == name).unwrap().1.clone()
    }

    fn set(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.remove(name);
        self.headers.push((name, value.into()));
    }

    fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| *known != name);
    }

    fn signature(&self) -> String {
        String::from_utf8(self.get(SIGNATURE)).unwrap()
    }

    /// As the function gets it: over HTTP, or out of API Gateway's event.
    fn request(&self) -> Request<Body> {
        if self.encoded {
            return self.from_gateway();
        }
        let mut request = Request::builder().method(self.method.clone()).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        request.body(Body::from(self.body.clone())).unwrap()
    }

    fn from_gateway(&self) -> Request<Body> {
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

/// One way to spoil a delivery, and what may be answered.
type Mutation = (&'static str, fn(&mut Webhook, &mut Dice, &Known), &'static [u16]);

/// Refused for what it is, without a look at the table.
const STRANGER: &[u16] = &[400];
/// As that, unless the body is JSON still and the signature could be anybody's.
const UNCLEAR: &[u16] = &[400, 503];
const OURS: &[u16] = &[503];
const UNSIGNED: &[u16] = &[401];

const MUTATIONS: &[Mutation] = &[
    ("bits of the body", |hook, dice, _| dice.flip_bits(&mut hook.body), UNCLEAR),
    (
        "a byte of the body",
        |hook, dice, _| {
            let at = dice.below(hook.body.len());
            hook.body[at] = hook.body[at].wrapping_add(1 + dice.byte() % 255);
        },
        UNCLEAR,
    ),
    (
        "a digit of the body",
        |hook, _, _| {
            let at = hook.body.iter().position(u8::is_ascii_digit).unwrap();
            hook.body[at] = if hook.body[at] == b'9' { b'1' } else { hook.body[at] + 1 };
        },
        OURS,
    ),
    (
        "a shorter body",
        |hook, dice, _| {
            let kept = dice.below(hook.body.len());
            hook.body.truncate(kept);
        },
        STRANGER,
    ),
    ("no body", |hook, _, _| hook.body.clear(), STRANGER),
    (
        "white space behind the body",
        |hook, dice, _| {
            let spaces = 1 + dice.below(9);
            hook.body.extend(std::iter::repeat_n(*dice.pick(b" \n\t\r"), spaces));
        },
        OURS,
    ),
    (
        "rubbish behind the body",
        |hook, dice, _| {
            let rubbish = 1 + dice.below(50);
            hook.body.extend((0..rubbish).map(|_| dice.byte() | 0x80));
        },
        STRANGER,
    ),
    ("the body twice", |hook, _, _| hook.body.extend(hook.body.clone()), STRANGER),
    (
        "another body",
        |hook, dice, _| {
            let others: Vec<&str> = BODIES.lines().filter(|line| line.as_bytes() != hook.body).collect();
            hook.body = (*dice.pick(&others)).as_bytes().to_vec();
        },
        OURS,
    ),
    (
        "any bytes",
        |hook, dice, _| {
            let length = 1 + dice.below(4000);
            hook.body = (0..length).map(|_| dice.byte()).collect();
        },
        UNCLEAR,
    ),
    ("a line break instead of nothing", |hook, _, _| hook.body.insert(0, b'\n'), OURS),
    ("a byte order mark", |hook, _, _| drop(hook.body.splice(0..0, [0xef, 0xbb, 0xbf])), STRANGER),
    (
        "in UTF-16",
        |hook, _, _| {
            let text = String::from_utf8(hook.body.clone()).unwrap();
            hook.body = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        },
        STRANGER,
    ),
    ("another signature", |hook, dice, _| hook.set(SIGNATURE, format!("v1={}", dice.hex(64))), OURS),
    (
        "bits of the signature",
        |hook, dice, _| {
            let mut signature = hook.get(SIGNATURE);
            let at = 3 + dice.below(64);
            let other = b"0123456789abcdef".iter().copied().filter(|digit| *digit != signature[at]);
            signature[at] = *dice.pick(&other.collect::<Vec<u8>>());
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    (
        "a letter in the signature",
        |hook, dice, _| {
            let mut signature = hook.get(SIGNATURE);
            signature[3 + dice.below(64)] = *dice.pick(b"gzGZ-+_=/. ;'\"");
            hook.set(SIGNATURE, signature);
        },
        UNSIGNED,
    ),
    (
        "a shorter signature",
        |hook, dice, _| {
            let kept = dice.below(67);
            let shorter = hook.signature().chars().take(kept).collect::<String>();
            hook.set(SIGNATURE, shorter);
        },
        UNSIGNED,
    ),
    (
        "a longer signature",
        |hook, dice, _| {
            let more = 1 + dice.below(200);
            let longer = hook.signature() + &dice.hex(more);
            hook.set(SIGNATURE, longer);
        },
        UNSIGNED,
    ),
    ("no signature", |hook, _, _| hook.remove(SIGNATURE), UNSIGNED),
    ("an empty signature", |hook, _, _| hook.set(SIGNATURE, ""), UNSIGNED),
    ("the version alone", |hook, _, _| hook.set(SIGNATURE, "v1="), UNSIGNED),
    (
        "another version",
        |hook, dice, _| {
            let version =
                *dice.pick(&["v2=", "v0=", "v=", "V1=", "v1:", "v1 =", "v01=", "v1==", "sha256=", "", "1=", "hv1="]);
            let signature = hook.signature().replace("v1=", version);
            hook.set(SIGNATURE, signature);
        },
        UNSIGNED,
    ),
    (
        "another separator",
        |hook, dice, _| {
            let between = *dice.pick(&[";", " ", "|", "\t", "&", ", ,x", "\u{a0}"]);
            let signature = format!("v1={}{between}{}", dice.hex(64), hook.signature());
            hook.set(SIGNATURE, signature);
        },
        // One of them may pass for a list whose signatures are wrong.
        &[401, 503],
    ),
    (
        "several wrong ones",
        |hook, dice, _| {
            let count = 2 + dice.below(6);
            let list: Vec<String> = (0..count).map(|_| format!("v1={}", dice.hex(64))).collect();
            hook.set(SIGNATURE, list.join(*dice.pick(&[",", ", ", ",,", " , "])));
        },
        OURS,
    ),
    (
        "two wrong headers",
        |hook, dice, _| {
            let (one, other) = (format!("v1={}", dice.hex(64)), format!("v1={}", dice.hex(64)));
            hook.set(SIGNATURE, one);
            hook.headers.push((SIGNATURE, other.into_bytes()));
        },
        OURS,
    ),
    (
        "nothing but commas",
        |hook, dice, _| {
            let commas = 1 + dice.below(5000);
            hook.set(SIGNATURE, ",".repeat(commas));
        },
        UNSIGNED,
    ),
    (
        "a hundred signatures",
        |hook, dice, _| {
            let list: Vec<String> = (0..100).map(|_| format!("v1={}", dice.hex(64))).collect();
            hook.set(SIGNATURE, list.join(","));
        },
        OURS,
    ),
    (
        "a signature that is no ASCII",
        |hook, dice, _| {
            let rubbish: Vec<u8> = (0..64).map(|_| dice.byte() | 0x80).collect();
            hook.set(SIGNATURE, [b"v1=".to_vec(), rubbish].concat());
        },
        UNSIGNED,
    ),
    (
        "the signature in base64",
        |hook, _, _| {
            let encoded = BASE64_STANDARD.encode(hook.signature());
            hook.set(SIGNATURE, format!("v1={encoded}"));
        },
        UNSIGNED,
    ),
    ("an empty secret", |hook, _, _| hook.set(SIGNATURE, sign("", &hook.body.clone())), OURS),
    (
        "another subscription's secret",
        |hook, _, known| {
            let signature = pagerduty::webhook::sign(&known.others_secret, &hook.body);
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    (
        "a secret that anybody knows",
        |hook, dice, known| {
            let ids = [
                known.subscription.as_str(),
                known.other.as_str(),
                "PagerDuty",
                "secret",
                "null",
                "undefined",
                local::ACCOUNT,
            ];
            let signature = sign(ids[dice.below(ids.len())], &hook.body);
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    (
        "nearly the secret",
        |hook, dice, known| {
            use secrecy::ExposeSecret as _;
            let secret = known.secret.expose_secret();
            let nearly = [
                format!("{secret} "),
                format!(" {secret}"),
                format!("{secret}\n"),
                secret[1..].to_owned(),
                secret.to_uppercase() + "x",
            ];
            let signature = sign(&nearly[dice.below(nearly.len())], &hook.body);
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    (
        "a signature of nothing",
        |hook, _, known| {
            let signature = pagerduty::webhook::sign(&known.secret, b"");
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    ("another subscription", |hook, _, known| hook.set(SUBSCRIPTION, known.other.clone()), OURS),
    (
        "an unknown subscription",
        |hook, dice, known| {
            let made_up = [
                dice.hex(7).to_uppercase(),
                known.subscription.to_lowercase(),
                known.subscription.clone() + "0",
                dice.hex(300),
            ];
            let id = dice.pick(&made_up).clone();
            hook.set(SUBSCRIPTION, id);
        },
        // It may be one of ours that is being made right now.
        OURS,
    ),
    (
        "no usable subscription",
        |hook, dice, known| {
            let id = &known.subscription;
            let unusable = [
                String::new(),
                " ".to_owned(),
                format!("{id} x"),
                format!("{id}#SUBSCRIPTION"),
                dice.hex(301),
                format!("{id}\u{e9}"),
            ];
            let id = dice.pick(&unusable).clone();
            hook.set(SUBSCRIPTION, id);
        },
        STRANGER,
    ),
    ("no subscription", |hook, _, _| hook.remove(SUBSCRIPTION), STRANGER),
    (
        "a subscription that is no ASCII",
        |hook, dice, _| {
            let rubbish: Vec<u8> = (0..7).map(|_| dice.byte() | 0x80).collect();
            hook.set(SUBSCRIPTION, rubbish);
        },
        STRANGER,
    ),
    (
        "two subscriptions",
        |hook, _, known| {
            let own = hook.get(SUBSCRIPTION);
            hook.set(SUBSCRIPTION, known.other.clone());
            hook.headers.push((SUBSCRIPTION, own));
        },
        OURS,
    ),
    (
        "headers with other names",
        |hook, dice, _| {
            let name = *dice.pick(&[
                "x-pagerduty-signature-256",
                "pagerduty-signature",
                "x_pagerduty_signature",
                "authorization",
            ]);
            let signature = hook.get(SIGNATURE);
            hook.remove(SIGNATURE);
            hook.headers.push((name, signature));
        },
        UNSIGNED,
    ),
    (
        "huge headers",
        |hook, dice, _| {
            let length = 8_000 + dice.below(50_000);
            hook.set(SIGNATURE, "v1=".to_owned() + &"0".repeat(length));
            hook.set("user-agent", "x".repeat(length));
        },
        UNSIGNED,
    ),
    (
        "said to be compressed",
        |hook, dice, _| {
            hook.set("content-encoding", *dice.pick(&["gzip", "deflate", "br", "gzip, gzip"]));
            // An empty gzip stream, and the begin of one.
            hook.body = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0x1f, 0x8b]]
                [dice.below(2)]
            .to_vec();
        },
        STRANGER,
    ),
    (
        "in another type",
        |hook, dice, _| {
            hook.set(
                "content-type",
                *dice.pick(&["application/x-www-form-urlencoded", "text/xml", "multipart/form-data; boundary=x", ""]),
            );
            dice.flip_bits(&mut hook.body);
        },
        UNCLEAR,
    ),
    (
        "another method",
        |hook, dice, _| {
            hook.method = dice
                .pick(&[
                    Method::GET,
                    Method::PUT,
                    Method::DELETE,
                    Method::PATCH,
                    Method::HEAD,
                    Method::OPTIONS,
                    Method::TRACE,
                ])
                .clone()
        },
        &[405],
    ),
    (
        "another path",
        |hook, dice, _| {
            hook.path = (*dice.pick(&[
                "/webhooks/pagerduty/",
                "/webhooks//pagerduty",
                "/Webhooks/PagerDuty",
                "/webhooks",
                "/webhooks/pagerduty/x",
                "/webhooks/pagerduty%00",
                "/webhooks/..%2fpagerduty",
                "/v1/webhooks/pagerduty",
                "/",
            ]))
            .to_owned();
        },
        &[404],
    ),
    (
        "too large",
        |hook, dice, known| {
            let length = 256 * 1024 + 1 + dice.below(1000);
            hook.body.resize(length, b' ');
            // Even if it were PagerDuty's.
            let signature = pagerduty::webhook::sign(&known.secret, &hook.body);
            hook.set(SIGNATURE, signature);
        },
        &[413],
    ),
    (
        "in base64, and changed",
        |hook, dice, _| {
            hook.encoded = true;
            dice.flip_bits(&mut hook.body);
        },
        UNCLEAR,
    ),
    (
        "base64 that is signed itself",
        |hook, _, known| {
            hook.encoded = true;
            let signature = pagerduty::webhook::sign(&known.secret, BASE64_STANDARD.encode(&hook.body).as_bytes());
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    (
        "base64 of base64",
        |hook, _, _| {
            hook.encoded = true;
            hook.body = BASE64_STANDARD.encode(&hook.body).into_bytes();
        },
        STRANGER,
    ),
    ("base64 that nobody decodes", |hook, _, _| hook.body = BASE64_STANDARD.encode(&hook.body).into_bytes(), STRANGER),
];

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
        let mut hook = Webhook::genuine(&known, *dice.pick(&bodies));
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
    for name in [SIGNATURE, SUBSCRIPTION] {
        assert!(HeaderName::from_bytes(name.as_bytes()).is_ok());
    }
}
