//! What is reached through a front door only: requests, activities, queue messages, and the reconciler.
//!
//! The rest of the stack is as it always is, so an answer of 500 or more is a fault of ours.

use std::cell::RefCell;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::wake_up::WakeUp;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use reconciler::{Extent, Input};
use serde_json::{Value, json};
use url::Url;

use crate::engine::outcome;
use crate::stack::{self, Answer, Stack};

/// What cannot stand in a request line at all.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'#').add(b'`').add(b'{').add(b'}');

fn is_no_fault(answer: &Answer) {
    assert!(answer.status < 500, "answered {}: {}", answer.status, answer.text());
}

pub(super) fn webhook(input: &[u8]) {
    stack::with(|stack| {
        let signature = pagerduty::webhook::sign(&stack.webhook_secret, input);
        let post = |signature: &str| {
            let headers: [(&str, &[u8]); 2] = [
                ("x-webhook-subscription", stack.subscription.as_bytes()),
                ("x-pagerduty-signature", signature.as_bytes()),
            ];
            stack.send(&Method::POST, "/webhooks/pagerduty", &headers, input.to_vec()).map(|answer| answer.status)
        };
        // Whatever PagerDuty has signed is taken, or PagerDuty would end the subscription; never is anything else.
        assert_eq!(post(&signature), Some(202), "a signed body");
        let forged = format!("v1={}", "0".repeat(64));
        assert_eq!(post(&forged), Some(503), "a body that is not signed");
        stack.drain();
        let complaints = stack.inside.teams.take_complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    });
}

/// An activity of the stack's own people, with these changes.
fn said(stack: &Stack, text: &str) -> Value {
    let activity = stack.inside.teams.message_activity(&stack.ada, &stack.channel, text);
    activity.unwrap_or_else(|mistake| panic!("{mistake}"))
}

/// The input as an activity that Teams has signed. `{…}` stand for the ids of the stack.
pub(super) fn activity(input: &[u8]) {
    stack::with(|stack| {
        let whole = said(stack, "help");
        let at = |pointer: &str| whole.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let service_url = stack.inside.teams.service_url();
        let mut body = String::from_utf8_lossy(input).into_owned();
        for (name, value) in [
            ("{url}", service_url.as_str()),
            ("{tenant}", at("/conversation/tenantId")),
            ("{channel}", stack.channel.as_str()),
            ("{team}", stack.team.as_str()),
            ("{user}", at("/from/id")),
            ("{aad}", at("/from/aadObjectId")),
            ("{bot}", at("/recipient/id")),
            ("{service}", stack.service.as_str()),
            ("{account}", local::ACCOUNT),
        ] {
            body = body.replace(name, value);
        }
        // Bytes that are no text stay what they are.
        let body = if std::str::from_utf8(input).is_ok() { body.into_bytes() } else { input.to_vec() };
        let authorization = stack.authorization(&service_url);
        let read = |body: &[u8]| {
            let checked = stack.wait(stack.inside.app.bot_auth.check(Some(&authorization), body, stack.now()));
            checked
                .map(|verified| (format!("{:?}", verified.activity()), format!("{:?}", verified.activity().inbound())))
        };
        let (once, twice) = (read(&body), read(&body));
        assert_eq!(once.as_ref().ok(), twice.as_ref().ok(), "read twice");
        outcome(
            once.as_ref()
                .map(|(_, inbound)| inbound.chars().take_while(|c| c.is_alphanumeric()).collect::<String>())
                .map_err(ToString::to_string),
        );
        if let Ok((activity, _)) = &once {
            assert!(activity.contains(at("/conversation/tenantId")), "another tenant: {activity}");
        }
        let headers: [(&str, &[u8]); 2] =
            [("authorization", authorization.as_bytes()), ("content-type", b"application/json")];
        let Some(answer) = stack.send(&Method::POST, "/api/messages", &headers, body) else { return };
        is_no_fault(&answer);
        outcome(answer.status);
        assert_eq!(once.is_ok(), answer.status == 200, "{once:?}");
        whole_cards(stack);
    });
}

/// Teams has nothing to object to what it was sent.
fn whole_cards(stack: &Stack) {
    let complaints = stack.inside.teams.take_complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    let unknown = stack.inside.teams.unknown_requests();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// An Authorization header. `{token}`, `{header}`, `{claims}` and `{signature}` stand for a good one and its parts; an input that begins
/// with `@` says which bytes of the good one are others.
pub(super) fn activity_token(input: &[u8]) {
    stack::with(|stack| {
        let body = said(stack, "help").to_string();
        let good = stack.authorization(&stack.inside.teams.service_url());
        let token = good.strip_prefix("Bearer ").unwrap_or_default();
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("a token of {} parts", parts.len()) };
        let given = if let [b'@', changes @ ..] = input {
            let mut bytes = token.as_bytes().to_vec();
            for change in changes.chunks_exact(3) {
                let [high, low, byte] = change else { continue };
                let at = (usize::from(*high) << 8 | usize::from(*low)) % bytes.len();
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            [b"Bearer ".to_vec(), bytes].concat()
        } else {
            let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
            let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
            let mut text = String::from_utf8_lossy(input).into_owned();
            // `<…>` is encoded: for claims and headers of one's own.
            if let Some((before, rest)) = text.clone().split_once('<')
                && let Some((inner, after)) = rest.split_once('>')
            {
                let inner = inner
                    .replace("{header}", &String::from_utf8_lossy(&decoded(header)))
                    .replace("{claims}", &String::from_utf8_lossy(&decoded(claims)));
                text = format!("{before}{}{after}", encoded(&inner));
            }
            let text = text.replace("{token}", token).replace("{header}", header);
            text.replace("{claims}", claims).replace("{signature}", signature).into_bytes()
        };
        let given_text = String::from_utf8_lossy(&given).into_owned();
        let checked = stack.wait(stack.inside.app.bot_auth.check(Some(&given_text), body.as_bytes(), stack.now()));
        outcome(checked.as_ref().map(|_| ()).map_err(|error| runtime::chain(error).to_string()));
        let is_good = given_text.split_once(' ').is_some_and(|(_, given)| given.trim() == token);
        assert!(checked.is_err() || is_good, "{given_text:?} is taken for {good:?}");
        if checked.is_ok() {
            return;
        }
        let headers: [(&str, &[u8]); 1] = [("authorization", &given)];
        let Some(answer) = stack.send(&Method::POST, "/api/messages", &headers, body.into_bytes()) else { return };
        assert!(matches!(answer.status, 401 | 403 | 400), "answered {}", answer.status);
    });
}

/// What somebody writes to the bot. A text that begins with `@` is written in the channel, behind a mention.
pub(super) fn command_line(input: &[u8]) {
    stack::with(|stack| {
        let text = String::from_utf8_lossy(input);
        let teams = &stack.inside.teams;
        let before = teams.messages(&stack.channel).len();
        let sent = match text.strip_prefix('@') {
            Some(text) => stack.wait(teams.say(&stack.ada, &stack.channel, text)),
            None => {
                if teams.personal_chat(&stack.ada).is_none() {
                    let installed = stack.wait(teams.install_personal(&stack.ada));
                    installed.unwrap_or_else(|mistake| panic!("{mistake}"));
                }
                stack.wait(teams.say_privately(&stack.ada, &text))
            }
        };
        // Nobody can write nothing.
        let Ok(answer) = sent else { return };
        assert_eq!(answer.status, 200);
        whole_cards(stack);
        let (private, public) = (teams.personal_messages(&stack.ada), teams.messages(&stack.channel));
        outcome((public.len() - before.min(public.len()), private.last().map(|last| last.from_bot)));
        for message in
            private.iter().rev().take(2).chain(public.iter().rev().take(2)).filter(|message| message.from_bot)
        {
            let shown = format!("{message:?}");
            let typed = text.trim();
            assert!(!shown.to_ascii_lowercase().contains("<at>") || typed.is_empty(), "a mention in {shown}");
        }
    });
}

pub(super) fn oauth_query(input: &[u8]) {
    stack::with(|stack| {
        let query = percent_encode(input, QUERY).to_string();
        for path in ["/oauth/start", "/oauth/callback"] {
            let Some(answer) = stack.send(&Method::GET, &format!("{path}?{query}"), &[], Vec::new()) else { continue };
            page(stack, &answer, input);
        }
        let form: [(&str, &[u8]); 2] =
            [("content-type", b"application/x-www-form-urlencoded"), ("cookie", b"__Host-pagerbridge-link=abc")];
        let Some(answer) = stack.send(&Method::POST, "/oauth/confirm", &form, input.to_vec()) else { return };
        page(stack, &answer, input);
    });
}

/// A page for somebody who has shown nothing: it leads nowhere but to PagerDuty's log-in, and repeats nothing.
fn page(stack: &Stack, answer: &Answer, input: &[u8]) {
    is_no_fault(answer);
    outcome(answer.status);
    if let Some(location) = answer.location() {
        let base = Url::parse(&stack.inside.app.config.public("/")).unwrap_or_else(|error| panic!("{error}"));
        let url = base.join(location).unwrap_or_else(|error| panic!("{location:?}: {error}"));
        let host = (url.host_str(), url.port());
        let known = [stack.inside.app.config.public("/"), stack.inside.pagerduty.base()];
        let known = known.iter().filter_map(|url| Url::parse(url).ok());
        assert!(known.into_iter().any(|url| (url.host_str(), url.port()) == host), "leads to {location}");
    }
    let (text, input) = (answer.text(), String::from_utf8_lossy(input));
    for part in input.split(['&', '=']).filter(|part| part.len() > 2 && part.contains(['<', '"'])) {
        assert!(!text.contains(part), "{part:?} comes back");
    }
    for header in ["content-security-policy", "x-content-type-options"] {
        assert!(answer.headers.contains_key(header), "without {header}");
    }
}

/// A Cookie header; `{good}` stands for the one of the admin who is logged in.
pub(super) fn cookies(input: &[u8]) {
    stack::with(|stack| {
        let good = stack.admin.cookies.get(setup::SESSION_COOKIE).cloned().unwrap_or_default();
        let text = String::from_utf8_lossy(input).replace("{good}", &good);
        let line = if std::str::from_utf8(input).is_ok() { text.clone().into_bytes() } else { input.to_vec() };
        let headers: [(&str, &[u8]); 1] = [("cookie", &line)];
        // Others are none for us, as if there was no cookie.
        if !axum::http::HeaderValue::from_bytes(&line).is_ok_and(|line| line.to_str().is_ok()) {
            return;
        }
        let Some(answer) = stack.send(&Method::GET, "/admin/api/v1/session", &headers, Vec::new()) else { return };
        is_no_fault(&answer);
        outcome(answer.status);
        let pair = format!("{}={good}", setup::SESSION_COOKIE);
        let has_good = text.split(';').any(|part| part.trim_matches([' ', '\t']) == pair);
        assert!(answer.status != 200 || has_good, "{text:?} is logged in");
        let Some(write) = stack.send(&Method::DELETE, "/admin/api/v1/session", &headers, Vec::new()) else { return };
        is_no_fault(&write);
        assert!(!has_good || write.status == 403, "written without the page's header: {}", write.status);
        let Some(back) = stack.send(&Method::GET, "/oauth/callback", &headers, Vec::new()) else { return };
        is_no_fault(&back);
    });
}

/// `METHOD path LF body`, from an admin who is logged in. `{team}`, `{channel}` and `{service}` are those of the stack.
pub(super) fn admin_json(input: &[u8]) {
    stack::with(|stack| {
        let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let (head, body) = (input.get(..end).unwrap_or_default(), input.get(end + 1..).unwrap_or_default());
        let head = String::from_utf8_lossy(head);
        let (method, path) = head.split_once(' ').unwrap_or(("GET", &head));
        let method: Method = method.parse().unwrap_or(Method::POST);
        // These would end what the next input needs.
        if path.contains("session") && method == Method::DELETE || path.contains("disconnect") {
            return;
        }
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let path = path
            .replace("{team}", &encoded(&stack.team))
            .replace("{channel}", &encoded(&stack.channel))
            .replace("{service}", &encoded(&stack.service));
        let uri = format!("/admin/api/v1{}", percent_encode(path.as_bytes(), QUERY));
        let line = stack.admin.line();
        let headers: [(&str, &[u8]); 3] = [
            ("cookie", line.as_bytes()),
            ("x-pagerbridge-csrf", stack.csrf.as_bytes()),
            ("content-type", b"application/json"),
        ];
        let body = String::from_utf8_lossy(body)
            .replace("{channel}", &stack.channel)
            .replace("{service}", &stack.service)
            .into_bytes();
        let Some(answer) = stack.send(&method, &uri, &headers, body.clone()) else { return };
        is_no_fault(&answer);
        outcome((method.as_str(), answer.status));
        assert!(answer.status != 401, "the admin was logged in");
        if !answer.body.is_empty() {
            let read: Result<Value, _> = serde_json::from_slice(&answer.body);
            assert!(read.is_ok(), "no JSON: {}", answer.text());
        }
        // A stranger with the same is nobody.
        if method != Method::GET
            && let Some(answer) = stack.send(&method, &uri, &headers[2..], body)
        {
            assert!(matches!(answer.status, 400..=499), "a stranger is answered {}", answer.status);
        }
        stack.drain();
        whole_cards(stack);
    });
}

/// The body of a message in the sender's queue, and an invocation of the reconciler.
pub(super) fn queue_message(input: &[u8]) {
    stack::with(|stack| {
        let body = String::from_utf8_lossy(input);
        let body = body.replace("{channel}", &stack.channel).replace("{account}", local::ACCOUNT);
        let readable = serde_json::from_str::<WakeUp>(&body).is_ok();
        let mut message = SqsMessage::default();
        (message.message_id, message.body) = (Some("m1".to_owned()), Some(body.clone()));
        let mut event = SqsEvent::default();
        event.records = vec![message];
        let answer =
            stack.wait(Box::pin(notification_sender::handle(&stack.inside.app, event, Duration::from_secs(60))));
        let failed: Vec<&str> =
            answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        outcome((readable, failed.len()));
        assert!(readable || failed == ["m1"], "a message that nobody has read is gone: {failed:?}");
        if let Ok(input) = serde_json::from_str::<Input>(&body) {
            outcome(format!("{:?}", input.extent()));
        }
        whole_cards(stack);
    });
}

thread_local! {
    static HEALED: RefCell<Option<HealedStack>> = const { RefCell::new(None) };
    static ANSWER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct HealedStack {
    runtime: tokio::runtime::Runtime,
    inside: local::inside::Inside,
}

pub(super) fn renew_reconciler() {
    HEALED.set(Some(HealedStack::new().unwrap_or_else(|error| panic!("{error:#}"))));
}

/// What PagerDuty answers whatever the reconciler asks: behind a `-` in a short round, otherwise in a full one.
pub(super) fn reconciler(input: &[u8]) {
    let (extent, answer) = match input {
        [b'-', answer @ ..] => (Extent::Short, answer),
        answer => (Extent::Full, answer),
    };
    ANSWER.set(answer.to_vec());
    HEALED.with_borrow(|healed| {
        let Some(healed) = healed else { return };
        let run = Box::pin(reconciler::run(&healed.inside.app, extent, Duration::from_secs(60)));
        let report = healed.runtime.block_on(run);
        outcome(format!("{:?}", report.parts));
        let complaints = healed.inside.teams.take_complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    });
}

impl HealedStack {
    /// Its PagerDuty is asked at another address, once everything is set up.
    fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let inside = runtime.block_on(async {
            let answers = axum::Router::new().fallback(|request: axum::extract::Request| async move {
                let is_token = request.uri().path().contains("token");
                let token = json!({ "access_token": "t", "token_type": "bearer", "expires_in": 86_400, "scope": "x" });
                let body = if is_token { token.to_string().into_bytes() } else { ANSWER.with_borrow(Clone::clone) };
                ([("content-type", "application/json")], body)
            });
            let environment = [("PAGERDUTY_API_URL".to_owned(), "http://127.0.0.1:9/".to_owned())];
            let delays = local::inside::Delays::default();
            let composed = local::inside::Inside::compose_with(stack::START, delays, environment.into(), Some(answers));
            let inside = Box::pin(composed).await?;
            let (app, team) = (&inside.app, inside.add_team("Site Reliability").await?);
            let channel = inside.teams.add_channel(&team, "payments");
            ANSWER.set(subscription().to_string().into_bytes());
            local::connect(app, &team, &channel, "PSVC", "Payments").await?;
            anyhow::Ok(inside)
        })?;
        Ok(Self { runtime, inside })
    }
}

fn subscription() -> Value {
    json!({ "webhook_subscription": { "id": "PSUB", "delivery_method": { "secret": "s3cr3t", "url": "http://127.0.0.1:1/" } } })
}
