//! A day of the product with every line of the log, every item, message and answer kept, and every secret that was ever in use. None of
//! these is found in any of those.
//!
//! The stack runs in one process and in virtual time, so it has no sockets; what a network client logs is not seen here.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says what it has done"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use futures_util::future::ready;
use futures_util::stream::once;
use fuzz::canary::{Canary, Finding, found};
use fuzz::stack::{Answer, Browser, START, ask, browse};
use local::inside::{Delays, Inside};
use reconciler::Extent;
use runtime::{App, AwsClients, Metrics};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulators::pagerduty::Fault;
use simulators::teams;
use tower_service::Service as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What was kept.
#[derive(Clone, Default)]
struct Kept {
    /// Secrets by what they are.
    secrets: Arc<Mutex<BTreeSet<(String, String)>>>,
    /// Texts by where they were.
    places: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Kept {
    fn secret(&self, name: &str, value: &str) {
        if !value.is_empty() {
            self.secrets.lock().unwrap().insert((name.to_owned(), value.to_owned()));
        }
    }

    fn place(&self, name: &str, text: &[u8]) {
        let mut places = self.places.lock().unwrap();
        let place = places.entry(name.to_owned()).or_default();
        place.extend(text);
        place.push(b'\n');
    }

    /// Everything in a document or a form that is a secret by its name.
    fn secrets_in(&self, whose: &str, body: &[u8]) {
        let names = ["access_token", "refresh_token", "id_token", "client_secret", "code", "code_verifier", "secret"];
        if let Ok(document) = serde_json::from_slice::<Value>(body) {
            self.secrets_of(whose, &document, &names);
        } else {
            for (name, value) in url::form_urlencoded::parse(body) {
                if names.contains(&name.as_ref()) {
                    self.secret(&format!("{whose}'s {name}"), &value);
                }
            }
        }
    }

    fn secrets_of(&self, whose: &str, document: &Value, names: &[&str]) {
        match document {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) if names.contains(&name.as_str()) => {
                            self.secret(&format!("{whose}'s {name}"), text)
                        }
                        value => self.secrets_of(whose, value, names),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.secrets_of(whose, value, names)),
            _ => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let secrets = self.secrets.lock().unwrap();
        let canaries: Vec<Canary> = secrets.iter().filter_map(|(name, value)| Canary::new(name, value)).collect();
        let places = self.places.lock().unwrap();
        let mut all: Vec<Finding> = places.iter().flat_map(|(place, text)| found(&canaries, place, text)).collect();
        // What the product gives to the person it is for.
        all.retain(|finding| !belongs(&finding.canary, &finding.place));
        all
    }
}

/// A ticket is a link in a private message, and so is a key for another admin; a page's own tag is in the page.
fn belongs(canary: &str, place: &str) -> bool {
    place == "what Teams was sent" && matches!(canary, "a ticket")
}

impl Write for Kept {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.places.lock().unwrap().entry("the log".to_owned()).or_default().extend(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// The same router, with what goes in and comes out kept: a neighbour's for the secrets in it, one of ours for its answers.
fn tapped(router: Router, kept: &Kept, whose: &'static str, keeps_answers: bool) -> Router {
    let kept = kept.clone();
    router.layer(from_fn(move |request: Request, next: Next| {
        let kept = kept.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            for (name, what) in [("authorization", "Authorization header"), ("x-pagerduty-signature", "signature")] {
                for value in head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()) {
                    let value = value.strip_prefix("Bearer ").unwrap_or(value).trim_start_matches("v1=");
                    kept.secret(&format!("{whose}'s {what}"), value);
                }
            }
            if !keeps_answers {
                kept.secrets_in(whose, &body);
            }
            let answer = next.run(Request::from_parts(head, Body::from(body))).await;
            let (head, body) = answer.into_parts();
            let body = match to_bytes(body, usize::MAX).await {
                Ok(body) => body,
                // It breaks off for whoever asked as well.
                Err(error) => {
                    return Response::from_parts(head, Body::from_stream(once(ready(Err::<Vec<u8>, _>(error)))));
                }
            };
            if keeps_answers {
                kept.place(&format!("answers of {whose}"), &body);
            } else {
                kept.secrets_in(whose, &body);
            }
            for line in head.headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
                let value = line.split(';').next().and_then(|pair| pair.split_once('=')).map(|(_, value)| value);
                kept.secret("a cookie", value.unwrap_or_default());
            }
            if let Some(location) = head.headers.get(LOCATION).and_then(|location| location.to_str().ok()) {
                let query = location.split_once('?').map(|(_, query)| query).unwrap_or_default();
                for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
                    if name == "state" || name == "code" {
                        kept.secret(&format!("OAuth {name}"), &value);
                    }
                }
            }
            Response::from_parts(head, Body::from(body))
        }
    }))
}

/// PagerDuty and Entra at other addresses, where somebody listens.
const PAGERDUTY: &str = "http://127.0.0.1:13/";
const ENTRA: &str = "http://127.0.0.1:14/";
const AWS_SECRET: &str = "AwsSecretAccessKeyOfTheCanary0123456789";
const AWS_SESSION: &str = "AwsSessionTokenOfTheCanary0123456789";

/// The product for a day.
struct Day {
    inside: Inside,
    app: App,
    doors: Router,
    kept: Kept,
    aws: AwsClients,
    ada: String,
    login: String,
    team: String,
    channel: String,
    service: String,
}

impl Day {
    async fn begin(kept: &Kept) -> Self {
        let sides: Arc<OnceLock<(Router, Router)>> = Arc::default();
        let known = Arc::clone(&sides);
        let elsewhere = Router::new().fallback(move |request: Request| {
            let known = Arc::clone(&known);
            async move {
                let (pagerduty, entra) = known.get().unwrap();
                let is_entra = request.uri().port_u16() == Some(14);
                let (mut head, body) = request.into_parts();
                head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
                let mut side = if is_entra { entra.clone() } else { pagerduty.clone() };
                side.call(Request::from_parts(head, body)).await.unwrap()
            }
        });
        let tenant = "99999999-8888-4777-8666-555555555555";
        let environment = [
            ("PAGERDUTY_API_URL", PAGERDUTY.trim_end_matches('/').to_owned()),
            ("PAGERDUTY_IDENTITY_URL", PAGERDUTY.trim_end_matches('/').to_owned()),
            ("TEAMS_TOKEN_URL", format!("{ENTRA}{tenant}/oauth2/v2.0/token")),
            ("AWS_SECRET_ACCESS_KEY", AWS_SECRET.to_owned()),
            ("AWS_SESSION_TOKEN", AWS_SESSION.to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let composed = Inside::compose_with(START, Delays::default(), environment, Some(elsewhere));
        let inside = Box::pin(composed).await.unwrap();
        inside.pagerduty.set_base(PAGERDUTY);
        inside.teams.set_throttling(false);
        let taps = (
            tapped(inside.pagerduty.router(), kept, "PagerDuty", false),
            tapped(inside.teams.router(), kept, "Entra", false),
        );
        sides.set(taps).unwrap();
        let metrics = kept.clone();
        let write = move |line: &Value| metrics.place("metrics", line.to_string().as_bytes());
        let mut app = inside.app.clone();
        app.metrics = Metrics::read_by("function".to_owned(), write);
        let ingest = tapped(webhook_ingest::router(app.clone()), kept, "webhook-ingest", true);
        let bot = tapped(bot_messages::router(app.clone()), kept, "bot-messages", true);
        inside.pagerduty.deliver_to(ingest.clone());
        inside.teams.deliver_to(bot.clone());
        let pages = oauth_callback::router(app.clone()).merge(admin_api::router(app.clone()));
        let doors = ingest.merge(bot).merge(tapped(pages, kept, "pages", true));
        let aws = inside.clients.clone();
        let (ada, login) =
            (inside.teams.add_user("Ada Wong"), inside.pagerduty.add_user("Ada Wong", "ada@example.com", "owner"));
        let team = inside.teams.add_team("Site Reliability");
        let channel = inside.teams.add_channel(&team, "payments");
        let service = inside.pagerduty.add_service("Payments");
        kept.secret("AWS's secret access key", AWS_SECRET);
        kept.secret("AWS's session token", AWS_SESSION);
        let day = Self { inside, app, doors, kept: kept.clone(), aws, ada, login, team, channel, service };
        day.know_stored_secrets().await;
        day
    }

    /// Every text in Secrets Manager but the keys' ids.
    async fn know_stored_secrets(&self) -> Value {
        let answer =
            self.aws.secrets_manager.get_secret_value().secret_id(&self.app.config.secret_id).send().await.unwrap();
        let document: Value = serde_json::from_str(answer.secret_string().unwrap()).unwrap();
        for (name, value) in document.as_object().unwrap() {
            match value {
                Value::String(text) => self.kept.secret(&format!("stored {name}"), text),
                value => self.kept.secrets_of(&format!("stored {name}"), value, &["key"]),
            }
        }
        document
    }

    async fn settle(&self) {
        for _ in 0..30 {
            let delivered = self.inside.pagerduty.deliver().await;
            for _ in 0..self.inside.queued() {
                let Ok(batch) = self.inside.receive(0).await else { break };
                let Some(message) = batch.records.first().cloned() else { break };
                self.kept.place("the queue", format!("{message:?}").as_bytes());
                let answer = Box::pin(notification_sender::handle(&self.app, batch, Duration::from_secs(60))).await;
                if answer.batch_item_failures.is_empty() {
                    self.inside.delete(message.receipt_handle.as_deref().unwrap()).await.unwrap();
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if delivered == 0 && self.inside.queued() == 0 && self.inside.pagerduty.undelivered() == 0 {
                return;
            }
        }
    }

    /// The newest personal link of Ada.
    fn link(&self) -> String {
        let messages = self.inside.teams.personal_messages(&self.ada);
        let all = messages.iter().rev().filter_map(|message| message.card.as_ref().map(Value::to_string));
        let start = all.into_iter().find_map(|card| {
            let at = card.find("/oauth/start?ticket=")?;
            Some(card[at..].split('"').next().unwrap().to_owned())
        });
        let start = start.expect("a personal link");
        self.kept.secret("a ticket", start.split_once("ticket=").unwrap().1.split('&').next().unwrap());
        start
    }

    async fn get(&self, uri: &str, cookies: &str) -> Answer {
        ask(&self.doors, Request::get(uri).header(COOKIE, cookies).body(Body::empty()).unwrap()).await.unwrap()
    }

    /// Follows the newest personal link to its end; gives the last page.
    async fn follow(&self) -> String {
        let mut browser = Browser::default();
        let link = self.link();
        let question = browse(&self.doors, &self.inside, &mut browser, &link, &self.login).await.unwrap().text();
        let csrf = between(&question, "name=\"csrf\" value=\"", '"');
        let form = format!("csrf={csrf}&choice=link");
        let request = Request::post("/oauth/confirm")
            .header(COOKIE, browser.line())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = ask(&self.doors, request.body(Body::from(form)).unwrap()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    async fn say(&self, text: &str) {
        assert_eq!(self.inside.teams.say_privately(&self.ada, text).await.unwrap().status, 200);
    }

    /// Presses a button of the newest card in the channel; whatever comes of it.
    async fn click(&self, verb: &str) {
        let messages = self.inside.teams.messages(&self.channel);
        let card = messages.iter().rev().find(|message| message.card.is_some()).expect("a card");
        let activity = self.inside.teams.click_activity(&self.ada, &card.id, verb, &json!({}));
        if let Ok(activity) = activity {
            let _any = self.inside.teams.send(activity).await;
        }
    }

    fn trigger(&self, title: &str) -> String {
        self.inside.pagerduty.trigger(&self.service, title, "high")
    }

    async fn set_up(&self) {
        self.inside.teams.install_in(&self.team, &self.team, &self.ada).await.unwrap();
        self.settle().await;
        self.follow().await;
        self.say("linkUser").await;
        let page = self.follow().await;
        let number = between(&page, "<p class=\"number\">", '<').to_owned();
        self.say(&number).await;
        let address = format!("connect {PAGERDUTY}services/{}", self.service);
        assert_eq!(self.inside.teams.say(&self.ada, &self.channel, &address).await.unwrap().status, 200);
        self.settle().await;
        let said: Vec<_> =
            self.inside.teams.messages(&self.channel).iter().map(|message| format!("{message:?}")).collect();
        assert!(!self.inside.pagerduty.subscriptions_of(&self.service).is_empty(), "nothing is connected: {said:?}");
        for subscription in self.inside.pagerduty.subscriptions_of(&self.service) {
            self.kept.secret("a webhook's signing secret", &self.inside.pagerduty.secret_of(&subscription).unwrap());
        }
    }

    async fn trouble(&self) {
        let (pagerduty, teams) = (&self.inside.pagerduty, &self.inside.teams);
        let incident = self.trigger("DB down");
        self.settle().await;
        self.click("acknowledge").await;
        assert_eq!(pagerduty.incident(&incident).unwrap()["status"], "acknowledged", "Ada is linked");
        let of_teams = |status| teams::Fault::Status { status, code: "Fault".to_owned(), retry_after: None };
        for status in [401, 429, 500] {
            pagerduty.fail_next(2, &Fault::Status(status));
            self.click("resolve").await;
            teams.fail_next(2, &of_teams(status));
            pagerduty.fail_next_token(1, &Fault::Status(status));
            teams.fail_next_token(1, &of_teams(status));
            self.trigger(&format!("Incident of {status}"));
            self.settle().await;
            pagerduty.clear_faults();
            teams.clear_faults();
        }
        for fault in [
            Fault::Hang,
            Fault::NoAnswer,
            Fault::DropAnswerAfterApplying,
            Fault::Answer(400, "{\"error\":[\"no\"]}".to_owned()),
        ] {
            pagerduty.fail_next(1, &fault);
            self.click("acknowledge").await;
            pagerduty.fail_next_token(1, &fault);
            pagerduty.expire_access_tokens(&self.login);
            self.click("acknowledge").await;
            pagerduty.clear_faults();
            self.say("linkUser").await;
        }
        for fault in [teams::Fault::Hang, teams::Fault::NoAnswer, teams::Fault::DropAnswerAfterApplying] {
            teams.fail_next(1, &fault);
            teams.fail_next_token(1, &fault);
            teams.revoke_tokens();
            self.trigger("Another one");
            self.settle().await;
            teams.clear_faults();
        }
        for down in [true, false] {
            self.inside.aws.refuse_dynamodb(down);
            self.trigger("While the table is away");
            self.settle().await;
            self.click("acknowledge").await;
            self.inside.aws.refuse_dynamodb(false);
            self.inside.aws.refuse_sqs(down);
            self.trigger("While the queue is away");
            let _undelivered = pagerduty.deliver().await;
            self.inside.aws.refuse_sqs(false);
        }
        self.reconcile().await;
        self.settle().await;
    }

    async fn reconcile(&self) {
        for extent in [Extent::Short, Extent::Full] {
            let report = Box::pin(reconciler::run(&self.app, extent, Duration::from_secs(60))).await;
            self.kept.place("the reconciler's answer", format!("{report:?}").as_bytes());
        }
    }

    /// Secrets change, and neighbours refuse the old ones.
    async fn rotation(&self) {
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        self.click("resolve").await;
        let mut secret = self.know_stored_secrets().await;
        for ring in ["token_keys", "webhook_keys"] {
            if let Some(keys) = secret[ring].as_array_mut() {
                let key = "ZnV6ei1jYW5hcnkta2V5LW9mLTMyLWJ5dGVzLWxvbmc=";
                keys.insert(0, json!({ "id": format!("{ring}-new"), "key": key }));
            }
        }
        secret["pagerduty_client_secret"] = json!("the-new-secret-of-pagerduty");
        secret["teams_client_secret"] = json!("the-new-secret-of-teams");
        self.inside.pagerduty.change_client_secret("the-new-secret-of-pagerduty");
        self.inside.teams.change_client_secret("the-new-secret-of-teams");
        self.inside.teams.revoke_tokens();
        self.inside.pagerduty.expire_app_tokens();
        self.inside.pagerduty.expire_access_tokens(&self.login);
        self.click("resolve").await;
        self.trigger("With the old secrets");
        self.settle().await;
        let put = self.aws.secrets_manager.put_secret_value().secret_id(&self.app.config.secret_id);
        put.secret_string(secret.to_string()).send().await.unwrap();
        self.know_stored_secrets().await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        self.reconcile().await;
        self.trigger("With the new secrets");
        self.settle().await;
        self.click("acknowledge").await;
    }

    async fn admin(&self) {
        let mut browser = Browser::default();
        browse(&self.doors, &self.inside, &mut browser, "/oauth/start?for=admin", &self.login).await.unwrap();
        let session = self.get("/admin/api/v1/session", &browser.line()).await;
        assert_eq!(session.status, 200, "{}", session.text());
        let csrf: Value = serde_json::from_slice(&session.body).unwrap();
        for path in
            ["/teams", "/audit", "/deliveries", "/health", "/services", "/deliveries?day=no", "/services?offset=no"]
        {
            self.get(&format!("/admin/api/v1{path}"), &browser.line()).await;
        }
        let write = |method: Method, path: &str, body: &str| {
            Request::builder()
                .method(method)
                .uri(format!("/admin/api/v1{path}"))
                .header(COOKIE, browser.line())
                .header("x-pagerbridge-csrf", csrf["csrf"].as_str().unwrap())
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_owned()))
                .unwrap()
        };
        ask(&self.doors, write(Method::POST, "/deliveries/replay", "{\"x\":1}")).await.unwrap();
        ask(&self.doors, write(Method::DELETE, "/session", "")).await.unwrap();
    }

    /// What strangers send: their forgeries are secrets as well, they may be somebody else's.
    async fn strangers(&self) {
        let forged = "forged-secret-of-a-stranger-0123456789";
        self.kept.secret("what a stranger sent", forged);
        for uri in [
            format!("/oauth/start?ticket={forged}"),
            format!("/oauth/callback?code={forged}&state={forged}"),
            format!("/oauth/callback?error={forged}"),
            format!("/oauth/start?for={forged}"),
            format!("/oauth/callback?code={forged}&code={forged}&state=x"),
        ] {
            self.get(&uri, &format!("__Host-pagerbridge-link={forged}; __Host-pagerbridge-session={forged}")).await;
        }
        self.get("/admin/api/v1/session", &format!("__Host-pagerbridge-session={forged}")).await;
        let token =
            self.inside.teams.authorization(&self.inside.teams.service_url(), teams::Flaw::WrongAudience).unwrap();
        for authorization in [
            token.unwrap(),
            format!("Bearer {forged}"),
            format!("Bearer {forged}.{forged}.{forged}"),
            forged.to_owned(),
        ] {
            let request =
                Request::post("/api/messages").header(AUTHORIZATION, authorization).body(Body::from("{}")).unwrap();
            ask(&self.doors, request).await.unwrap();
        }
        let subscription = self.inside.pagerduty.subscriptions_of(&self.service).remove(0);
        let request = Request::post("/webhooks/pagerduty")
            .header("x-webhook-subscription", subscription)
            .header("x-pagerduty-signature", format!("v1={}", "c0ffee01".repeat(8)));
        ask(&self.doors, request.body(Body::from("{}")).unwrap()).await.unwrap();
        self.say(&format!("authorize {forged}")).await;
    }

    /// Every attribute of every item, and every message.
    async fn look_around(&self) {
        let table = &self.app.config.table;
        let mut start = None;
        let mut items = 0;
        loop {
            let page = self.aws.dynamodb.scan().table_name(table).set_exclusive_start_key(start).send().await.unwrap();
            for item in page.items() {
                items += 1;
                item.values().for_each(|value| keep_attribute(&self.kept, value));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        assert!(items > 50, "{items} items");
        let teams = &self.inside.teams;
        let messages = [teams.personal_messages(&self.ada), teams.messages(&self.channel), teams.messages(&self.team)];
        for message in messages.iter().flatten().filter(|message| message.from_bot) {
            self.kept.place("what Teams was sent", format!("{message:?}").as_bytes());
        }
        let values = self.app.secrets.values(self.app.clock.now()).await.unwrap();
        self.kept.place("what is printed for debugging", format!("{:?} {values:?}", self.app).as_bytes());
        assert!(self.app.config.aws.secret_access_key.expose_secret() == AWS_SECRET);
    }
}

fn keep_attribute(kept: &Kept, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => kept.place("the table", text.as_bytes()),
        AttributeValue::B(bytes) => kept.place("the table", bytes.as_ref()),
        AttributeValue::M(fields) => fields.iter().for_each(|(name, value)| {
            kept.place("the table", name.as_bytes());
            keep_attribute(kept, value);
        }),
        AttributeValue::L(list) => list.iter().for_each(|value| keep_attribute(kept, value)),
        other => kept.place("the table", format!("{other:?}").as_bytes()),
    }
}

fn between<'t>(text: &'t str, begin: &str, end: char) -> &'t str {
    let rest = text.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {text}")).1;
    rest.split(end).next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_where_it_does_not_belong() {
    let kept = Kept::default();
    let log = runtime::log_to(kept.clone(), EnvFilter::new("trace"));
    let _logging = tracing::subscriber::set_default(log);
    let day = Day::begin(&kept).await;
    Box::pin(day.set_up()).await;
    Box::pin(day.trouble()).await;
    Box::pin(day.rotation()).await;
    Box::pin(day.admin()).await;
    Box::pin(day.strangers()).await;
    Box::pin(day.look_around()).await;

    let names: BTreeSet<String> = kept.secrets.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
    for expected in [
        "PagerDuty's access_token",
        "PagerDuty's refresh_token",
        "PagerDuty's id_token",
        "PagerDuty's client_secret",
        "PagerDuty's code",
        "PagerDuty's code_verifier",
        "PagerDuty's secret",
        "PagerDuty's Authorization header",
        "Entra's access_token",
        "Entra's client_secret",
        "bot-messages's Authorization header",
        "webhook-ingest's signature",
        "a webhook's signing secret",
        "a cookie",
        "a ticket",
        "OAuth state",
        "stored session_key",
        "stored token_keys's key",
    ] {
        assert!(names.contains(expected), "no {expected} was ever seen: {names:?}");
    }
    {
        let places = kept.places.lock().unwrap();
        for expected in [
            "the log",
            "metrics",
            "the queue",
            "the table",
            "answers of bot-messages",
            "answers of pages",
            "what Teams was sent",
        ] {
            assert!(places.get(expected).is_some_and(|text| text.len() > 100), "nothing is known of {expected}");
        }
        println!("{} secrets, {} MB of log", kept.secrets.lock().unwrap().len(), places["the log"].len() >> 20);
    }
    let findings = kept.findings();
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", shown.len(), shown.join("\n"));
}

/// As a careless line of ours would have it.
#[test]
fn a_token_in_the_log_is_found() {
    let kept = Kept::default();
    let token = "pdus+an/access=token-0123456789";
    kept.secret("a token", token);
    let log = runtime::log_to(kept.clone(), EnvFilter::new("trace"));
    tracing::subscriber::with_default(log, || {
        tracing::info!(target: "runtime::person", user = "PUSER", "renewed");
        assert_eq!(kept.findings(), []);
        tracing::trace!(target: "runtime::person", answer = format!("{{\"access_token\":\"{token}\"}}"), "renewed");
    });
    assert_eq!(kept.findings().first().map(|finding| finding.place.as_str()), Some("the log"));
}
