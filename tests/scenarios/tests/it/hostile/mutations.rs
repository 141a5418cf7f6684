//! The ways to spoil a webhook that PagerDuty has signed, and what each may be answered.

use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;

use super::dice::Dice;
use super::webhooks::{BODIES, Known, SIGNATURE, SUBSCRIPTION, Webhook};

fn sign(secret: &str, body: &[u8]) -> String {
    pagerduty::webhook::sign(&SecretString::from(secret), body)
}

/// One way to spoil a delivery, and what may be answered.
pub(super) type Mutation = (&'static str, fn(&mut Webhook, &mut Dice, &Known), &'static [u16]);

/// Refused for what it is, without a look at the table.
const STRANGER: &[u16] = &[400];
/// It names a subscription that is known, or that may be made right now.
const OURS: &[u16] = &[503];

pub(super) const MUTATIONS: &[Mutation] = &[
    ("bits of the body", |hook, dice, _| dice.flip_bits(&mut hook.body), OURS),
    (
        "a byte of the body",
        |hook, dice, _| {
            let at = dice.below(hook.body.len());
            hook.body[at] = hook.body[at].wrapping_add(1 + dice.byte() % 255);
        },
        OURS,
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
        OURS,
    ),
    ("no body", |hook, _, _| hook.body.clear(), OURS),
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
        OURS,
    ),
    ("the body twice", |hook, _, _| hook.body.extend(hook.body.clone()), OURS),
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
        OURS,
    ),
    ("a line break instead of nothing", |hook, _, _| hook.body.insert(0, b'\n'), OURS),
    ("a byte order mark", |hook, _, _| drop(hook.body.splice(0..0, [0xef, 0xbb, 0xbf])), OURS),
    (
        "in UTF-16",
        |hook, _, _| {
            let text = String::from_utf8(hook.body.clone()).unwrap();
            hook.body = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        },
        OURS,
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
        OURS,
    ),
    (
        "a shorter signature",
        |hook, dice, _| {
            let kept = dice.below(67);
            let shorter = hook.signature().chars().take(kept).collect::<String>();
            hook.set(SIGNATURE, shorter);
        },
        OURS,
    ),
    (
        "a longer signature",
        |hook, dice, _| {
            let more = 1 + dice.below(200);
            let longer = hook.signature() + &dice.hex(more);
            hook.set(SIGNATURE, longer);
        },
        OURS,
    ),
    ("no signature", |hook, _, _| hook.remove(SIGNATURE), OURS),
    ("an empty signature", |hook, _, _| hook.set(SIGNATURE, ""), OURS),
    ("the version alone", |hook, _, _| hook.set(SIGNATURE, "v1="), OURS),
    (
        "another version",
        |hook, dice, _| {
            let version =
                *dice.pick(&["v2=", "v0=", "v=", "V1=", "v1:", "v1 =", "v01=", "v1==", "sha256=", "", "1=", "hv1="]);
            let signature = hook.signature().replace("v1=", version);
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    (
        "another separator",
        |hook, dice, _| {
            let between = *dice.pick(&[";", " ", "|", "\t", "&", ", ,x", "\u{a0}"]);
            let signature = format!("v1={}{between}{}", dice.hex(64), hook.signature());
            hook.set(SIGNATURE, signature);
        },
        OURS,
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
        OURS,
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
        OURS,
    ),
    (
        "the signature in base64",
        |hook, _, _| {
            let encoded = BASE64_STANDARD.encode(hook.signature());
            hook.set(SIGNATURE, format!("v1={encoded}"));
        },
        OURS,
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
        "an unknown subscription and no signature",
        |hook, dice, _| {
            hook.set(SUBSCRIPTION, dice.hex(7).to_uppercase());
            hook.remove(SIGNATURE);
        },
        // A process looks up so many in a minute.
        &[401, 503],
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
        OURS,
    ),
    (
        "huge headers",
        |hook, dice, _| {
            let length = 8_000 + dice.below(50_000);
            hook.set(SIGNATURE, "v1=".to_owned() + &"0".repeat(length));
            hook.set("user-agent", "x".repeat(length));
        },
        OURS,
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
        OURS,
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
        OURS,
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
            let length = 1024 * 1024 + 1 + dice.below(1000);
            hook.body.resize(length, b' ');
            // Even if it were PagerDuty's.
            let signature = pagerduty::webhook::sign(&known.secret, &hook.body);
            hook.set(SIGNATURE, signature);
        },
        OURS,
    ),
    (
        "in base64, and changed",
        |hook, dice, _| {
            hook.encoded = true;
            dice.flip_bits(&mut hook.body);
        },
        OURS,
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
        OURS,
    ),
    ("base64 that nobody decodes", |hook, _, _| hook.body = BASE64_STANDARD.encode(&hook.body).into_bytes(), OURS),
];
