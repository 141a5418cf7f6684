//! PagerDuty's REST API v2, as far as we use it.
//!
//! Nothing is repeated here: whether a call may be made again depends on what it does, which the caller knows. Any 2xx is
//! success, since the documented statuses and the real ones differ. [`ApiError`] is what every call can return.

mod context;
mod details;
mod directory;
mod error;
mod log;
mod model;
mod reopened;

use std::time::Duration;

use ::wire::Wire;
use domain::ids::{IncidentId, SubscriptionId};
use domain::incident::Status;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

pub use self::directory::{
    ListedSubscription, OnCall, PolicyRef, Priority, Service, SubscriptionState, UserRef, Which, narrowing,
};
pub use self::error::ApiError;
pub(crate) use self::error::retry_after;
pub use self::log::{Change, LogLine, LogPage};
pub use self::model::{CreatedSubscription, NewIncident, NewSubscription, Note, Page, RestIncident, Role, User};
pub use self::reopened::Resolved;
pub use crate::events::SUBSCRIPTION_SCOPES;
use crate::wire::text;

/// How many incidents [`Api::set_statuses`] changes at most (REST docs, "Manage incidents").
pub const MOST_STATUSES: usize = 250;

/// Below the 5 s that Teams gives an answer to a click.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A client of the REST API. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Api {
    http: Wire,
    base: Url,
    timeout: Duration,
}

/// As whom a call is made.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    /// A person, with their own rights. `email` goes into the `From` header of every write (REST docs).
    User { token: &'a SecretString, email: &'a str },
    /// The app itself, with its scopes.
    App(&'a SecretString),
}

impl Api {
    /// A client for the API at `base`. `http` must not follow redirects: they would carry the token to another host.
    #[must_use]
    pub fn new(http: Wire, base: Url) -> Self {
        Self { http, base, timeout: TIMEOUT }
    }

    /// The same client with another time limit per call; 4 s by default.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same client for a caller who waits no longer than this.
    #[must_use]
    pub fn within(self, left: Duration) -> Self {
        Self { timeout: self.timeout.min(left), ..self }
    }

    /// Who the token belongs to; a person's token only.
    pub async fn me(&self, token: &SecretString) -> Result<User, ApiError> {
        model::user(&self.call(Method::GET, &["users", "me"], &[], Auth::App(token), None).await?)
    }

    /// One incident.
    pub async fn incident(&self, auth: Auth<'_>, id: &IncidentId) -> Result<RestIncident, ApiError> {
        model::incident(&self.call(Method::GET, &["incidents", id.as_str()], &[], auth, None).await?)
    }

    /// Acknowledges, resolves or (with [`Status::Triggered`]) reopens an incident. PagerDuty reopens a resolved incident
    /// on acknowledge as well: check the state first.
    ///
    /// # Errors
    /// [`ApiError`]; see [`ApiError::already_done`].
    pub async fn set_status(&self, auth: Auth<'_>, id: &IncidentId, status: Status) -> Result<RestIncident, ApiError> {
        let body = json!({ "incident": { "type": "incident_reference", "status": status } });
        model::incident(&self.call(Method::PUT, &["incidents", id.as_str()], &[], auth, Some(&body)).await?)
    }

    /// As [`Api::set_status`] for up to [`MOST_STATUSES`] incidents: all of them, or none. The answer has the first 100, so that
    /// an incident that is not in it is changed as well. PagerDuty limits these calls to 500 a minute.
    ///
    /// # Errors
    /// [`ApiError`]. One incident that PagerDuty does not know, or that is in the status already, spoils all; 413 for more.
    pub async fn set_statuses(
        &self,
        auth: Auth<'_>,
        ids: &[IncidentId],
        status: Status,
    ) -> Result<Vec<RestIncident>, ApiError> {
        // PagerDuty would refuse an empty list.
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let change = |id| json!({ "id": id, "type": "incident_reference", "status": status });
        let body = json!({ "incidents": ids.iter().map(change).collect::<Vec<_>>() });
        let size = model::PAGE.to_string();
        let answer = self.call(Method::PUT, &["incidents"], &[("limit", &size)], auth, Some(&body)).await?;
        directory::list(&answer, "incidents", model::rest_incident)
    }

    /// Opens an incident. PagerDuty limits these to 300 a minute.
    ///
    /// # Errors
    /// [`ApiError`]. After an unclear one only a call with an `incident_key` may be repeated; see
    /// [`ApiError::is_duplicate`].
    pub async fn create_incident(&self, auth: Auth<'_>, wanted: &NewIncident<'_>) -> Result<RestIncident, ApiError> {
        model::incident(&self.call(Method::POST, &["incidents"], &[], auth, Some(&wanted.body())).await?)
    }

    /// Writes a note. Not idempotent: the caller makes sure that it is wanted once.
    pub async fn create_note(&self, auth: Auth<'_>, id: &IncidentId, content: &str) -> Result<Note, ApiError> {
        let body = json!({ "note": { "content": content } });
        let path = ["incidents", id.as_str(), "notes"];
        Ok(model::note(&self.call(Method::POST, &path, &[], auth, Some(&body)).await?))
    }

    /// Makes a webhook subscription. If its secret cannot be stored, delete it again: nobody can read the secret later.
    /// One that comes without a secret is deleted at once, since its deliveries could never be checked.
    ///
    /// # Errors
    /// [`ApiError`]; see [`ApiError::is_limit`].
    pub async fn create_subscription(
        &self,
        auth: Auth<'_>,
        wanted: &NewSubscription<'_>,
    ) -> Result<CreatedSubscription, ApiError> {
        let path = ["webhook_subscriptions"];
        let answer = self.call(Method::POST, &path, &[], auth, Some(&wanted.body())).await?;
        let made = answer.get("webhook_subscription").unwrap_or(&Value::Null);
        let id = text(made, "id").and_then(|id| SubscriptionId::new(id).ok());
        let id = id.ok_or(ApiError::Unreadable { what: "webhook subscription" })?;
        match made.get("delivery_method").and_then(|method| text(method, "secret")) {
            Some(secret) => Ok(CreatedSubscription { id, secret: SecretString::from(secret) }),
            None => {
                self.delete_subscription(auth, &id).await?;
                Err(ApiError::Unreadable { what: "webhook secret" })
            }
        }
    }

    /// Deletes a webhook subscription.
    pub async fn delete_subscription(&self, auth: Auth<'_>, id: &SubscriptionId) -> Result<(), ApiError> {
        self.call(Method::DELETE, &["webhook_subscriptions", id.as_str()], &[], auth, None).await.map(drop)
    }

    /// Switches a subscription on again that PagerDuty has disabled after three dropped deliveries.
    pub async fn enable_subscription(&self, auth: Auth<'_>, id: &SubscriptionId) -> Result<(), ApiError> {
        self.call(Method::POST, &["webhook_subscriptions", id.as_str(), "enable"], &[], auth, None).await.map(drop)
    }

    /// Asks PagerDuty for a test delivery.
    pub async fn ping_subscription(&self, auth: Auth<'_>, id: &SubscriptionId) -> Result<(), ApiError> {
        self.call(Method::POST, &["webhook_subscriptions", id.as_str(), "ping"], &[], auth, None).await.map(drop)
    }

    /// The body of a 2xx answer; null if it has none that is JSON.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        auth: Auth<'_>,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let request = self.request(method, path, query, auth, body)?;
        let answer = self.http.send(request).await.map_err(ApiError::no_answer)?;
        let status = answer.status();
        if status.is_success() {
            let bytes = answer.bytes().await.map_err(|error| ApiError::no_answer(error.into()))?;
            return Ok(::wire::read(&bytes).unwrap_or(Value::Null));
        }
        let after = error::retry_after(answer.headers());
        // The status alone says what to do, should the body break off.
        let bytes = answer.bytes().await.unwrap_or_default();
        Err(error::refusal(status.as_u16(), after, &bytes))
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        auth: Auth<'_>,
        body: Option<&Value>,
    ) -> Result<reqwest::RequestBuilder, ApiError> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| ApiError::Unwritable)?.pop_if_empty().extend(path);
        let (token, from) = match auth {
            Auth::User { token, email } => (token, Some(email).filter(|_| method != Method::GET)),
            Auth::App(token) => (token, None),
        };
        // RFC 9110 8.6: a POST without a body says so.
        let writes_nothing = method == Method::POST && body.is_none();
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| ApiError::Unwritable)?;
        bearer.set_sensitive(true);
        let mut request = self
            .http
            .client()
            .request(method, url)
            .timeout(self.timeout)
            .header(ACCEPT, "application/vnd.pagerduty+json;version=2")
            .header(AUTHORIZATION, bearer);
        if !query.is_empty() {
            request = request.query(query);
        }
        // An address that no header can carry is left out: a person's token says who acts.
        if let Some(from) = from.filter(|email| !email.is_empty()).and_then(|email| HeaderValue::try_from(email).ok()) {
            request = request.header("From", from);
        }
        Ok(match body {
            Some(body) => request.json(body),
            None if writes_nothing => request.header(CONTENT_LENGTH, 0),
            None => request,
        })
    }
}
