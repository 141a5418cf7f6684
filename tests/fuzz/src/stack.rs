//! The functions, the simulators and AWS in this process, for targets that are reached through a front door only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, Request};
use jiff::Timestamp;
use local::inside::{Delays, Inside};
use secrecy::SecretString;
use simulators::teams::Flaw;
use tokio::runtime::Runtime;
use tower_service::Service as _;
use url::Url;

/// 23 November 2026, 09:00 UTC.
pub const START: Timestamp = Timestamp::constant(1_795_424_400, 0);

/// A connected channel, and whoever may come in at a front door.
#[derive(Debug)]
pub struct Stack {
    runtime: Runtime,
    pub inside: Inside,
    router: Router,
    pub team: String,
    pub channel: String,
    pub service: String,
    pub subscription: String,
    pub webhook_secret: SecretString,
    /// Somebody in Teams.
    pub ada: String,
    /// An admin who is logged in to the configuration page.
    pub admin: Browser,
    pub csrf: String,
}

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION).and_then(|value| value.to_str().ok())
    }
}

/// A browser as far as we need one: it keeps cookies.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    #[must_use]
    pub fn line(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub fn keep(&mut self, answer: &Answer) {
        let lines = answer.headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        for (name, value) in lines.filter_map(|line| line.split(';').next()?.split_once('=')) {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

thread_local! {
    static STACK: RefCell<Option<Stack>> = const { RefCell::new(None) };
}

/// Throws this thread's stack away and composes a new one.
pub fn renew() {
    STACK.set(None);
    with(|_| ());
}

/// Does something with this thread's stack.
pub fn with<R>(work: impl FnOnce(&Stack) -> R) -> R {
    if STACK.with_borrow(Option::is_none) {
        let stack = Stack::new().unwrap_or_else(|error| panic!("the stack cannot be composed: {error:#}"));
        STACK.set(Some(stack));
    }
    STACK.with_borrow(|stack| stack.as_ref().map(work)).unwrap_or_else(|| panic!("the stack was composed"))
}

/// All front doors as one.
pub fn doors(inside: &Inside) -> Router {
    webhook_ingest::router(inside.app.clone())
        .merge(bot_messages::router(inside.app.clone()))
        .merge(oauth_callback::router(inside.app.clone()))
        .merge(admin_api::router(inside.app.clone()))
}

/// Asks one of the doors.
///
/// # Errors
/// The answer breaks off.
pub async fn ask(router: &Router, request: Request<Body>) -> anyhow::Result<Answer> {
    let answer = router.clone().call(request).await.unwrap_or_else(|never| match never {});
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}

/// Goes where a browser would go, through PagerDuty's log-in as `login`, to the last page.
///
/// # Errors
/// An address that cannot be followed.
pub async fn browse(
    router: &Router,
    inside: &Inside,
    browser: &mut Browser,
    first: &str,
    login: &str,
) -> anyhow::Result<Answer> {
    let mut next = first.to_owned();
    for _ in 0..8 {
        let request = Request::builder().uri(&next).header(COOKIE, browser.line()).body(Body::empty())?;
        let answer = ask(router, request).await?;
        browser.keep(&answer);
        let Some(location) = answer.location() else { return Ok(answer) };
        let public = inside.app.config.public(&next);
        let mut url = Url::parse(&public)?.join(location)?;
        if url.path().contains("authorize") {
            url = inside.pagerduty.log_in(&url, login).map_err(anyhow::Error::msg)?;
        }
        if url.path() == "/admin" {
            return Ok(answer);
        }
        next = url.path().to_owned() + &url.query().map(|query| format!("?{query}")).unwrap_or_default();
    }
    anyhow::bail!("redirects without an end")
}

impl Stack {
    fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(Box::pin(Self::compose())).map(|stack| stack(runtime))
    }

    async fn compose() -> anyhow::Result<impl FnOnce(Runtime) -> Self> {
        let inside = Box::pin(Inside::compose(START, Delays::default())).await?;
        inside.teams.set_throttling(false);
        let team = inside.add_team("Site Reliability").await?;
        let (channel, service) = inside.add_channel(&team, "payments").await?;
        let subscription = inside.pagerduty.subscriptions_of(&service).into_iter().next().unwrap_or_default();
        let webhook_secret = SecretString::from(inside.pagerduty.secret_of(&subscription).unwrap_or_default());
        let ada = inside.teams.add_user("Ada Wong");
        let login = inside.pagerduty.add_user("Ada Wong", "ada@example.com", "owner");
        let router = doors(&inside);
        let mut admin = Browser::default();
        browse(&router, &inside, &mut admin, "/oauth/start?for=admin", &login).await?;
        let session = Request::get("/admin/api/v1/session").header(COOKIE, admin.line()).body(Body::empty())?;
        let session = ask(&router, session).await?;
        anyhow::ensure!(session.status == 200, "nobody is logged in: {}", session.text());
        let session: serde_json::Value = serde_json::from_slice(&session.body)?;
        let csrf = session.get("csrf").and_then(|csrf| csrf.as_str()).unwrap_or_default().to_owned();
        Ok(move |runtime| Self {
            runtime,
            inside,
            router,
            team,
            channel,
            service,
            subscription,
            webhook_secret,
            ada,
            admin,
            csrf,
        })
    }

    /// Runs it to its end, in this stack's own time.
    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Asks one of the doors.
    #[must_use]
    pub fn ask(&self, request: Request<Body>) -> Answer {
        let answer = self.wait(ask(&self.router, request));
        answer.unwrap_or_else(|error| panic!("an answer broke off: {error:#}"))
    }

    /// A request with these headers; those that cannot be sent at all are left out.
    #[must_use]
    pub fn send(&self, method: &Method, uri: &str, headers: &[(&str, &[u8])], body: Vec<u8>) -> Option<Answer> {
        let mut request = Request::builder().method(method.clone()).uri(uri);
        for (name, value) in headers {
            if let Ok(value) = axum::http::HeaderValue::from_bytes(value) {
                request = request.header(*name, value);
            }
        }
        Some(self.ask(request.body(Body::from(body)).ok()?))
    }

    /// The header with a token that Teams could have sent with an activity of this address.
    #[must_use]
    pub fn authorization(&self, service_url: &str) -> String {
        let made = self.inside.teams.authorization(service_url, Flaw::None);
        made.ok().flatten().unwrap_or_default()
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inside.app.clock.now()
    }

    /// Drains what is in the queue, a few messages at most.
    pub fn drain(&self) {
        self.wait(async {
            for _ in 0..4 {
                let Ok(batch) = self.inside.receive(0).await else { return };
                let Some(receipt) = batch.records.first().and_then(|message| message.receipt_handle.clone()) else {
                    return;
                };
                let answer =
                    Box::pin(notification_sender::handle(&self.inside.app, batch, Duration::from_secs(60))).await;
                if answer.batch_item_failures.is_empty() && self.inside.delete(&receipt).await.is_err() {
                    return;
                }
            }
        });
    }
}
