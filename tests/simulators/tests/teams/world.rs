//! A simulator, a clock that stands still, and a bot that answers what it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::teams::{Options, Teams};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

pub(crate) const APP_ID: &str = "0f5c7a3e-1111-4222-8333-444455556666";
pub(crate) const SECRET: &str = "bot-secret";
pub(crate) const TENANT: &str = "7d3c0000-2222-4333-8444-555566667777";
/// 2026-11-23T09:00:00Z
pub(crate) const START_MS: i64 = 1_795_424_400_000;

/// What the bot got: the headers and the activity.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) activity: Value,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Bot {
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
}

impl Bot {
    pub(crate) fn will_answer(&self, status: u16, body: &Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.answers.lock().unwrap().push_back((status, text));
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Received {
        self.received().pop().expect("the bot got nothing")
    }

    pub(crate) fn activities(&self) -> Vec<Value> {
        self.received().into_iter().map(|received| received.activity).collect()
    }
}

async fn bot(State(bot): State<Bot>, headers: HeaderMap, body: Bytes) -> Response {
    let activity = serde_json::from_slice(&body).expect("the activity is no JSON");
    bot.received.lock().unwrap().push(Received { headers, activity });
    let (status, body) = bot.answers.lock().unwrap().pop_front().unwrap_or((200, String::new()));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<String>,
}

impl Got {
    /// (status, error code)
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default())
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {self:?}"))
            .to_owned()
    }
}

pub(crate) struct World {
    pub(crate) teams: Teams,
    pub(crate) bot: Bot,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) servers: JoinSet<()>,
    clock: Arc<AtomicI64>,
    token: Mutex<Option<String>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(START_MS));
        let (bot, mut servers) = (Bot::default(), JoinSet::new());
        let bot_url =
            serve(&mut servers, |_| Router::new().route("/api/messages", post(self::bot)).with_state(bot.clone()))
                .await;
        let reads = Arc::clone(&clock);
        let teams = Teams::new(
            Arc::new(move || Timestamp::from_millisecond(reads.load(Ordering::SeqCst)).unwrap()),
            Options {
                app_id: APP_ID.to_owned(),
                client_secret: SECRET.to_owned(),
                tenant: TENANT.to_owned(),
                bot_endpoint: Url::parse(&bot_url).unwrap().join("/api/messages").unwrap(),
            },
        );
        let base = serve(&mut servers, |base| {
            teams.set_base(base);
            teams.router()
        })
        .await;
        Self { teams, bot, base, http: http_client(), servers, clock, token: Mutex::default() }
    }

    /// Ada and Ben, a team with the bot in it, and a channel of it: (world, team, channel, Ada).
    pub(crate) async fn with_team() -> (Self, String, String, String) {
        let world = Self::new().await;
        let ada = world.teams.add_user("Ada Wong");
        world.teams.add_user("Ben Okafor");
        let team = world.teams.add_team("SRE");
        let channel = world.teams.add_channel(&team, "incidents");
        world.teams.admit_bot(&team);
        (world, team, channel, ada)
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn token(&self) -> String {
        if let Some(token) = self.token.lock().unwrap().clone() {
            return token;
        }
        let got = self.ask_token(TENANT, &good_form()).await;
        let token = got.text("/access_token");
        *self.token.lock().unwrap() = Some(token.clone());
        token
    }

    pub(crate) fn forget_token(&self) {
        *self.token.lock().unwrap() = None;
    }

    pub(crate) async fn ask_token(&self, tenant: &str, form: &[(&str, &str)]) -> Got {
        read(self.http.post(format!("{}{tenant}/oauth2/v2.0/token", self.base)).form(form)).await.unwrap()
    }

    /// A connector call with a good token; the path is below `/v3`.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Got {
        self.try_call(method, path, body).await.unwrap()
    }

    pub(crate) async fn try_call(&self, method: Method, path: &str, body: Value) -> reqwest::Result<Got> {
        let url = format!("{}v3{path}", self.teams.service_url());
        let mut request = self.http.request(method, url).bearer_auth(self.token().await);
        if !body.is_null() {
            request = request.json(&body);
        }
        read(request).await
    }

    /// Posts a card in a channel; its id.
    pub(crate) async fn post_card(&self, channel: &str, card: &Value) -> String {
        let got = self.call(Method::POST, "/conversations", new_post(channel, &card_activity(card))).await;
        assert_eq!(got.status, 201, "{got:?}");
        got.text("/activityId")
    }

    pub(crate) fn finish(self) {
        assert_eq!(self.teams.complaints(), Vec::<String>::new());
        assert_eq!(self.teams.unknown_requests(), Vec::<String>::new());
        assert_eq!(self.teams.pending_faults(), 0);
    }
}

pub(crate) async fn serve(servers: &mut JoinSet<()>, router: impl FnOnce(&str) -> Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let router = router(&base);
    servers.spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

fn http_client() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> reqwest::Result<Got> {
    let answer = request.send().await?;
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    Ok(Got { status, body: serde_json::from_str(&text).unwrap_or_default(), retry_after })
}

pub(crate) fn good_form() -> [(&'static str, &'static str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", APP_ID),
        ("client_secret", SECRET),
        ("scope", "https://api.botframework.com/.default"),
    ]
}

pub(crate) fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(crate) fn activities(conversation: &str) -> String {
    format!("/conversations/{}/activities", encoded(conversation))
}

pub(crate) fn new_post(channel: &str, activity: &Value) -> Value {
    json!({ "isGroup": true, "channelData": { "channel": { "id": channel } }, "activity": activity })
}

pub(crate) fn card_activity(card: &Value) -> Value {
    json!({
        "type": "message", "summary": "in short",
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }],
    })
}

pub(crate) fn text_activity(text: &str) -> Value {
    json!({ "type": "message", "text": text })
}

/// A card with one line.
pub(crate) fn card(line: &str) -> Value {
    json!({ "type": "AdaptiveCard", "version": "1.5", "body": [{ "type": "TextBlock", "text": line }] })
}
