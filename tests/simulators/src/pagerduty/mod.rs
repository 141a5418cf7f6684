//! PagerDuty as seen from outside: a REST subset with its error bodies and limits, the Events API that monitoring tools
//! send to, scoped OAuth, and V3 webhooks with signatures, retries and the disabling of subscriptions.
//!
//! It is stricter than the service where the documentation is vague, and whatever the documents do not have is remembered,
//! so that a test can ask for it. What it answers and sends is checked against the fact tables in `shapes/pagerduty`.

mod access;
mod acting;
mod alerts;
mod changes;
mod context;
mod delivery;
mod enqueue;
mod events;
mod faults;
mod ids;
mod model;
mod oauth;
mod pages;
mod references;
mod rest;
mod server;
mod subscribing;
mod timers;
mod webhooks;
mod world;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use jiff::Timestamp;
use serde_json::Value;

pub use alerts::{NewAlert, Severity};
pub use context::{Context, EVENT_INTELLIGENCE};
pub use events::event_types;
pub use faults::Fault;
pub use webhooks::{Delivery, Outcome, Pending};

use crate::Now;
use model::State;
use oauth::SigningKey;
use references::Links;

/// The account of [`PagerDuty::add_foreign_user`].
pub const FOREIGN_ACCOUNT: &str = "PELSEWHERE";
/// Its subdomain.
const FOREIGN_SUBDOMAIN: &str = "elsewhere";

/// The account and its one scoped OAuth app.
#[derive(Clone)]
pub struct Options {
    /// The account's id.
    pub account_id: String,
    /// The account's subdomain.
    pub subdomain: String,
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: String,
    /// The app's registered callback addresses.
    pub redirect_uris: Vec<String>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("account_id", &self.account_id)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// One simulated PagerDuty account. Clones share it.
#[derive(Clone)]
pub struct PagerDuty {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    now: Now,
    http: reqwest::Client,
    /// Where webhooks go instead of over the network.
    receiver: Mutex<Option<Router>>,
    /// Made when somebody logs in: most tests never need it.
    key: OnceLock<SigningKey>,
    state: Mutex<State>,
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty").field("account", &self.inner.options.account_id).finish_non_exhaustive()
    }
}

impl PagerDuty {
    /// An account without people, services or incidents.
    ///
    /// # Panics
    /// If this machine makes no HTTP client.
    #[must_use]
    pub fn new(now: Now, options: Options) -> Self {
        #[expect(clippy::expect_used, reason = "a simulator that cannot send is of no use")]
        let http = crate::http::client().expect("an HTTP client");
        let mut state = State::default();
        state.passing.links =
            Links::of("https://api.pagerduty.com", &format!("https://{}.pagerduty.com", options.subdomain));
        let inner =
            Inner { options, now, http, receiver: Mutex::default(), key: OnceLock::new(), state: Mutex::new(state) };
        Self { inner: Arc::new(inner) }
    }

    /// REST, the Events API, OAuth, and a page for each incident. Every other request is answered with 404 and remembered.
    pub fn router(&self) -> Router {
        server::router(self.clone())
    }

    /// Tells under which address [`PagerDuty::router`] is served; it becomes part of every link. Until then links are
    /// those of the real PagerDuty.
    pub fn set_base(&self, base: &str) {
        let base = base.trim_end_matches('/');
        self.lock().passing.links = Links::of(base, base);
    }

    /// The address of the API, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> String {
        self.lock().passing.links.api.clone()
    }

    /// From now on webhooks go to this router, whatever the host of their address: nothing leaves the process.
    pub fn deliver_to(&self, receiver: Router) {
        *self.inner.receiver.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
    }

    /// What is not in PagerDuty's documents: requests, query parameters and body keys, and ids in a test's own script that
    /// do not exist. A test that leaves any has found a mistake, or a gap in the simulator.
    #[must_use]
    pub fn unknown_requests(&self) -> Vec<String> {
        self.lock().passing.unknown.clone()
    }

    /// Returns the unknown requests and forgets them: for tests that provoke one.
    pub fn take_unknown_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().passing.unknown)
    }

    /// Every REST request since the last time that this was asked, with the time at which it came.
    #[must_use]
    pub fn take_asked(&self) -> Vec<(Timestamp, String)> {
        std::mem::take(&mut self.lock().passing.asked)
    }

    /// Lets the next `times` REST calls fail.
    pub fn fail_next(&self, times: usize, fault: &Fault) {
        self.lock().passing.faults.anywhere(times, fault);
    }

    /// Lets the next `times` calls of one operation fail, for example of `PUT /incidents/{id}` or `POST /v2/enqueue`.
    pub fn fail_next_at(&self, operation: &str, times: usize, fault: &Fault) {
        let mut state = self.lock();
        if operation != enqueue::OPERATION && !rest::OPERATIONS.iter().any(|known| known.name() == operation) {
            state.note_unknown(format!("fail_next_at: there is no {operation}"));
        }
        state.passing.faults.at(operation, times, fault);
    }

    /// Lets the next `times` requests of the token endpoint fail.
    pub fn fail_next_token(&self, times: usize, fault: &Fault) {
        self.lock().passing.faults.at_token_endpoint(times, fault);
    }

    /// Faults on order that nobody ran into yet.
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        self.lock().passing.faults.pending()
    }

    /// Takes all orders back.
    pub fn clear_faults(&self) {
        self.lock().passing.faults.clear();
    }

    /// Everything that a restart should keep, for [`PagerDuty::restore`]. Addresses, faults, the log of deliveries, the
    /// key of id tokens and rate windows are not part of it.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        serde_json::to_value(&*self.lock()).unwrap_or(Value::Null)
    }

    /// Puts a snapshot in the place of everything there is.
    ///
    /// # Errors
    /// The value is no snapshot; nothing changed then.
    pub fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        let restored: State = serde_json::from_value(snapshot)?;
        let mut state = self.lock();
        let passing = std::mem::take(&mut state.passing);
        *state = State { passing, ..restored };
        Ok(())
    }

    /// The state, with the time of this moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        let now = (self.inner.now)();
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.passing.now = now;
        state
    }
}
