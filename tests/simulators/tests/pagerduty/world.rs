//! A simulator, a clock that stands still, a client that checks the shape of every answer, and a receiver that checks the
//! shape of every webhook.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use simulators::pagerduty::{Options, PagerDuty};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::shapes;

pub(crate) const ACCOUNT: &str = "PACCOUNT";
pub(crate) const CLIENT_ID: &str = "client-1";
pub(crate) const CLIENT_SECRET: &str = "client-secret";
pub(crate) const CALLBACK: &str = "https://bridge.example/oauth/callback";
pub(crate) const VERSION: &str = "application/vnd.pagerduty+json;version=2";
/// 2026-11-23T09:00:00.250Z
pub(crate) const START_MS: i64 = 1_795_424_400_250;

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) event: Value,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn kind(&self) -> &str {
        self.event["event_type"].as_str().unwrap()
    }
}

/// Takes webhooks at `/{hook}`, and answers 202 or what it was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receiver {
    received: Arc<Mutex<BTreeMap<String, Vec<Received>>>>,
    answers: Arc<Mutex<BTreeMap<String, VecDeque<u16>>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(hook): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> StatusCode {
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    receiver.wrong.lock().unwrap().extend(shapes::check_webhook(&body));
    let event = body["event"].clone();
    receiver.received.lock().unwrap().entry(hook.clone()).or_default().push(Received { headers, bytes, event });
    let answer = receiver.answers.lock().unwrap().get_mut(&hook).and_then(VecDeque::pop_front).unwrap_or(202);
    StatusCode::from_u16(answer).unwrap()
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: HeaderMap,
}

impl Got {
    /// (status, code)
    pub(crate) fn error(&self) -> (u16, u64) {
        (self.status, self.body["error"]["code"].as_u64().unwrap_or_default())
    }

    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {self:?}"))
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// One text of each entry of a list.
    pub(crate) fn each(&self, list: &str, key: &str) -> Vec<String> {
        self.at(list).as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) struct World {
    pub(crate) pagerduty: PagerDuty,
    pub(crate) receiver: Receiver,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) ada: String,
    pub(crate) ben: String,
    pub(crate) service: String,
    hooks: String,
    clock: Arc<AtomicI64>,
    _servers: JoinSet<()>,
    answered: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// Ada (admin) and Ben (responder), who are on call in this order, and a service.
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(START_MS));
        let reads = Arc::clone(&clock);
        let pagerduty = PagerDuty::new(
            Arc::new(move || Timestamp::from_millisecond(reads.load(Ordering::SeqCst)).unwrap()),
            Options {
                account_id: ACCOUNT.to_owned(),
                subdomain: "acme".to_owned(),
                client_id: CLIENT_ID.to_owned(),
                client_secret: CLIENT_SECRET.to_owned(),
                redirect_uris: vec![CALLBACK.to_owned()],
            },
        );
        let (receiver, mut servers) = (Receiver::default(), JoinSet::new());
        let hooks =
            serve(&mut servers, Router::new().route("/{hook}", post(receive)).with_state(receiver.clone())).await;
        let base = serve(&mut servers, pagerduty.router()).await;
        pagerduty.set_base(&base);
        let ada = pagerduty.add_user("Ada Wong", "ada@example.com", "admin");
        let ben = pagerduty.add_user("Ben Okafor", "ben@example.com", "limited_user");
        let service = pagerduty.add_service("Payments");
        let answered = Arc::default();
        let http = http_client();
        Self { pagerduty, receiver, base, http, ada, ben, service, hooks, clock, _servers: servers, answered }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.load(Ordering::SeqCst)).unwrap()
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        self.clock.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// As the app, which may do everything.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Got {
        let bearer = format!("Bearer {}", self.pagerduty.app_token(&ALL_SCOPES));
        self.call_with(method, path, body, &[("authorization", &bearer)]).await
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.call("GET", path, Value::Null).await
    }

    /// As a person with the usual scopes.
    pub(crate) async fn call_as(&self, user: &str, method: &str, path: &str, body: Value) -> Got {
        let bearer = format!("Bearer {}", self.pagerduty.user_token(user, &ALL_SCOPES));
        self.call_with(method, path, body, &[("authorization", &bearer)]).await
    }

    /// Any call; headers that are given replace the usual ones, an empty one leaves it out.
    pub(crate) async fn call_with(&self, method: &str, path: &str, body: Value, headers: &[(&str, &str)]) -> Got {
        self.try_call(method, path, body, headers).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Got> {
        let mut request = self.http.request(method.parse::<Method>().unwrap(), format!("{}{path}", self.base));
        let mut all = BTreeMap::from([("accept", VERSION)]);
        if !body.is_null() {
            all.insert("content-type", "application/json");
            request = request.body(body.to_string());
        }
        all.extend(headers.iter().copied());
        for (name, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(name, value);
        }
        let got = read(request).await?;
        self.check(method, path.split('?').next().unwrap(), &got);
        Ok(got)
    }

    fn check(&self, method: &str, path: &str, got: &Got) {
        let Some(operation) = shapes::operation_of(method, path) else { return };
        let wrong = shapes::check_answer(&operation, got.status, &got.body);
        assert!(wrong.is_empty(), "{operation}: {wrong:#?} in {}", got.body);
        if (200..300).contains(&got.status) {
            self.answered.lock().unwrap().push(operation);
        }
    }

    /// Operations that were answered with 2xx, and so in their documented shape.
    pub(crate) fn answered(&self) -> Vec<String> {
        self.answered.lock().unwrap().clone()
    }

    pub(crate) fn hook(&self, name: &str) -> String {
        format!("{}/{name}", self.hooks)
    }

    /// A subscription to everything, delivered to a hook.
    pub(crate) async fn subscribe(&self, filter: Value, hook: &str) -> String {
        let mut wanted = subscription(&filter, &self.hook(hook));
        wanted["webhook_subscription"]["events"] =
            shapes::event_types().into_iter().filter(|kind| kind != "pagey.ping").collect();
        self.call("POST", "/webhook_subscriptions", wanted).await.text("/webhook_subscription/id")
    }

    pub(crate) async fn subscribe_service(&self, hook: &str) -> String {
        self.subscribe(json!({ "type": "service_reference", "id": self.service }), hook).await
    }

    /// Delivers until nothing is due now.
    pub(crate) async fn deliver(&self) {
        while self.pagerduty.deliver().await > 0 {}
    }

    pub(crate) fn will_answer(&self, hook: &str, statuses: &[u16]) {
        self.receiver.answers.lock().unwrap().entry(hook.to_owned()).or_default().extend(statuses);
    }

    pub(crate) fn received(&self, hook: &str) -> Vec<Received> {
        self.receiver.received.lock().unwrap().get(hook).cloned().unwrap_or_default()
    }

    pub(crate) fn kinds(&self, hook: &str) -> Vec<String> {
        self.received(hook).iter().map(|received| received.kind().to_owned()).collect()
    }

    /// What arrived since the last time.
    pub(crate) fn take(&self, hook: &str) -> Vec<Received> {
        self.receiver.received.lock().unwrap().remove(hook).unwrap_or_default()
    }

    pub(crate) fn incident(&self, id: &str) -> Value {
        self.pagerduty.incident(id).unwrap()
    }

    pub(crate) fn finish(self) {
        self.finish_with(&[]);
    }

    /// Nothing may be left over, but these unknown requests.
    pub(crate) fn finish_with(self, unknown: &[&str]) {
        assert_eq!(*self.receiver.wrong.lock().unwrap(), Vec::<String>::new());
        assert_eq!(self.pagerduty.unknown_requests(), unknown);
        assert_eq!(self.pagerduty.pending_faults(), 0);
    }
}

pub(crate) const ALL_SCOPES: [&str; 10] = [
    "incidents.read",
    "incidents.write",
    "incident_workflows.read",
    "users.read",
    "services.read",
    "priorities.read",
    "escalation_policies.read",
    "oncalls.read",
    "webhook_subscriptions.read",
    "webhook_subscriptions.write",
];

/// A new subscription to triggered incidents.
pub(crate) fn subscription(filter: &Value, url: &str) -> Value {
    json!({ "webhook_subscription": {
        "type": "webhook_subscription", "description": "test", "events": ["incident.triggered"], "filter": filter,
        "delivery_method": { "type": "http_delivery_method", "url": url },
    }})
}

pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    tag.as_ref().iter().fold("v1=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn serve(servers: &mut JoinSet<()>, router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    servers.spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

fn http_client() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> reqwest::Result<Got> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    Ok(Got { status, body, headers })
}
