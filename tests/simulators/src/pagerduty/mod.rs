//! PagerDuty as seen from outside: a REST subset with its error bodies and limits, scoped OAuth, and V3 webhooks with
//! signatures, retries and the disabling of subscriptions. Whatever it does not know is refused and remembered.

mod acting;
mod incidents;
mod login_page;
mod model;
mod oauth;
mod payload;
mod rest;
mod subscriptions;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use jiff::Timestamp;
use serde_json::Value;

pub use model::{Fault, Options};
use model::{Passing, State};
pub use webhooks::{Delivery, Outcome, Pending};

use crate::Now;

/// One simulated PagerDuty account. Clones share it.
#[derive(Clone)]
pub struct PagerDuty {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    now: Now,
    http: reqwest::Client,
    key: oauth::SigningKey,
    state: Mutex<State>,
    passing: Mutex<Passing>,
}

impl std::fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagerDuty").field("account", &self.inner.options.account_id).finish_non_exhaustive()
    }
}

impl PagerDuty {
    /// An account without people, services or incidents.
    ///
    /// # Panics
    /// If this machine makes no RSA key or HTTP client.
    #[must_use]
    pub fn new(now: Now, options: Options) -> Self {
        let inner = Inner {
            options,
            now,
            http: webhooks::client(),
            key: oauth::SigningKey::generate(),
            state: Mutex::default(),
            passing: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// REST, OAuth and a page per incident. Every other request is answered with 404 and remembered.
    pub fn router(&self) -> Router {
        rest::router(self.clone()).merge(oauth::router(self.clone())).fallback(rest::unknown).with_state(self.clone())
    }

    /// Tells under which address [`PagerDuty::router`] is served; it becomes part of every link.
    pub fn set_base(&self, base: &str) {
        self.passing().base = base.trim_end_matches('/').to_owned();
    }

    /// The address under which the simulator is served.
    #[must_use]
    pub fn base(&self) -> String {
        self.passing().base.clone()
    }

    /// Requests that the simulator does not know. A test that leaves any has found a client that does something else
    /// than PagerDuty's documents say, or a gap in the simulator.
    #[must_use]
    pub fn unknown_requests(&self) -> Vec<String> {
        self.passing().unknown.clone()
    }

    /// Lets the next `times` REST calls fail.
    pub fn fail_next(&self, times: usize, fault: &Fault) {
        self.passing().faults.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Everything that a restart should keep.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        serde_json::to_value(&*self.state()).unwrap_or(Value::Null)
    }

    /// Brings back a [`PagerDuty::snapshot`].
    ///
    /// # Errors
    /// If it is not one.
    pub fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        *self.state() = serde_json::from_value(snapshot)?;
        Ok(())
    }

    fn now(&self) -> Timestamp {
        (self.inner.now)()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passing(&self) -> MutexGuard<'_, Passing> {
        self.inner.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
