//! PagerDuty's REST API v2, as far as we use it.

mod error;

use std::time::Duration;

use domain::ids::{AccountId, IncidentId, PdUserId, ServiceId, SubscriptionId};
use domain::incident::{Actor, IncidentRecord, Snapshot, Status};
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

pub use crate::events::SUBSCRIBED_EVENTS;
use crate::wire::{self, text};
pub use error::ApiError;

/// Below the 5 s that Teams gives an answer to a click.
const TIMEOUT: Duration = Duration::from_millis(3500);

/// A client of the REST API. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

/// As whom a call is made.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    /// A person, with their own rights. `email` goes into the `From` header of every write (REST docs).
    User {
        /// Their access token.
        token: &'a SecretString,
        /// Their address in PagerDuty.
        email: &'a str,
    },
    /// The app itself, with its scopes.
    App(&'a SecretString),
}

/// A PagerDuty user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// PagerDuty's id.
    pub id: PdUserId,
    /// As PagerDuty shows it.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Their base role.
    pub role: Role,
}

/// Base roles, by PagerDuty's API names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Account owner.
    Owner,
    /// Global admin.
    Admin,
    /// Manager.
    User,
    /// Responder.
    LimitedUser,
    /// Observer, stakeholder, restricted access, or a role that is new.
    Other(String),
}

/// An incident as REST gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestIncident {
    /// PagerDuty's id.
    pub id: IncidentId,
    /// When it last changed; whole seconds.
    pub updated_at: Timestamp,
    /// Its state.
    pub snapshot: Snapshot,
    /// When it came into its status, and who brought it there.
    pub status_changed: Option<(Timestamp, Option<Actor>)>,
}

impl RestIncident {
    /// What the answer adds to the record.
    #[must_use]
    pub fn into_record(self, account: AccountId) -> IncidentRecord {
        IncidentRecord::from_rest(account, self.id, self.updated_at, self.snapshot, self.status_changed)
    }
}

/// A webhook subscription to be made for one service.
#[derive(Debug, Clone, Copy)]
pub struct NewSubscription<'a> {
    /// The service.
    pub service: &'a ServiceId,
    /// Where deliveries go.
    pub url: &'a Url,
    /// For people who look at PagerDuty's list.
    pub description: &'a str,
    /// Event types.
    pub events: &'a [&'a str],
}

/// A subscription that was made. PagerDuty shows the secret this once.
#[derive(Debug)]
pub struct CreatedSubscription {
    /// PagerDuty's id.
    pub id: SubscriptionId,
    /// What deliveries are signed with.
    pub secret: SecretString,
}

impl Api {
    /// A client for the API at `base`. `http` must not follow redirects.
    #[must_use]
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        Self { http, base, timeout: TIMEOUT }
    }

    /// The same client with another time limit per call.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Who the token belongs to.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn me(&self, token: &SecretString) -> Result<User, ApiError> {
        let answer = self.call(Method::GET, &["users", "me"], Auth::App(token), None).await?;
        user(answer.get("user").unwrap_or(&Value::Null)).ok_or(ApiError::Unreadable { what: "user" })
    }

    /// One incident.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn incident(&self, auth: Auth<'_>, id: &IncidentId) -> Result<RestIncident, ApiError> {
        incident(&self.call(Method::GET, &["incidents", id.as_str()], auth, None).await?)
    }

    /// Acknowledges, resolves or (with [`Status::Triggered`]) reopens an incident. PagerDuty reopens a resolved incident
    /// on acknowledge as well: check the state first.
    ///
    /// # Errors
    /// [`ApiError`]; see [`ApiError::already_done`].
    pub async fn set_status(&self, auth: Auth<'_>, id: &IncidentId, status: Status) -> Result<RestIncident, ApiError> {
        let body = json!({ "incident": { "type": "incident_reference", "status": status } });
        incident(&self.call(Method::PUT, &["incidents", id.as_str()], auth, Some(&body)).await?)
    }

    /// Writes a note. Not idempotent: the caller makes sure that it is wanted once.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create_note(&self, auth: Auth<'_>, id: &IncidentId, content: &str) -> Result<(), ApiError> {
        let body = json!({ "note": { "content": content } });
        self.call(Method::POST, &["incidents", id.as_str(), "notes"], auth, Some(&body)).await.map(drop)
    }

    /// Makes a webhook subscription. If its secret cannot be stored, delete it again: nobody can read the secret later.
    ///
    /// # Errors
    /// [`ApiError`]; code 2019 means that the service has ten subscriptions already.
    pub async fn create_subscription(
        &self,
        auth: Auth<'_>,
        wanted: &NewSubscription<'_>,
    ) -> Result<CreatedSubscription, ApiError> {
        let body = json!({ "webhook_subscription": {
            "type": "webhook_subscription",
            "description": wanted.description,
            "events": wanted.events,
            "filter": { "type": "service_reference", "id": wanted.service },
            "delivery_method": { "type": "http_delivery_method", "url": wanted.url.as_str() },
        }});
        let answer = self.call(Method::POST, &["webhook_subscriptions"], auth, Some(&body)).await?;
        let made = answer.get("webhook_subscription").unwrap_or(&Value::Null);
        let id = text(made, "id").and_then(|id| SubscriptionId::new(id).ok());
        let secret = made.get("delivery_method").and_then(|method| text(method, "secret"));
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(CreatedSubscription { id, secret: SecretString::from(secret.to_owned()) }),
            _ => Err(ApiError::Unreadable { what: "webhook subscription" }),
        }
    }

    /// Deletes a webhook subscription.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delete_subscription(&self, auth: Auth<'_>, id: &SubscriptionId) -> Result<(), ApiError> {
        self.call(Method::DELETE, &["webhook_subscriptions", id.as_str()], auth, None).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        auth: Auth<'_>,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| ApiError::Request)?.pop_if_empty().extend(path);
        let (token, from) = match auth {
            Auth::User { token, email } => (token, Some(email)),
            Auth::App(token) => (token, None),
        };
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).map_err(|_| ApiError::Request)?;
        bearer.set_sensitive(true);
        let mut request = self
            .http
            .request(method, url)
            .timeout(self.timeout)
            .header(ACCEPT, "application/vnd.pagerduty+json;version=2")
            .header(AUTHORIZATION, bearer);
        if let Some(body) = body {
            request = request.json(body);
            if let Some(from) = from.and_then(|email| HeaderValue::try_from(email).ok()) {
                request = request.header("From", from);
            }
        }
        let answer = request.send().await.map_err(|error| ApiError::NoAnswer(error.without_url()))?;
        let status = answer.status();
        let after = error::retry_after(answer.headers());
        let bytes = answer.bytes().await.map_err(|error| ApiError::NoAnswer(error.without_url()))?;
        if status.is_success() {
            return if bytes.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_slice(&bytes).map_err(|_| ApiError::Unreadable { what: "JSON" })
            };
        }
        Err(error::refusal(status.as_u16(), after, &bytes))
    }
}

fn user(value: &Value) -> Option<User> {
    Some(User {
        id: PdUserId::new(text(value, "id")?).ok()?,
        name: wire::name(&json!({ "summary": value.get("name"), "id": value.get("id") }))?,
        email: text(value, "email")?.to_owned(),
        role: match text(value, "role")? {
            "owner" => Role::Owner,
            "admin" => Role::Admin,
            "user" => Role::User,
            "limited_user" => Role::LimitedUser,
            other => Role::Other(other.to_owned()),
        },
    })
}

fn incident(answer: &Value) -> Result<RestIncident, ApiError> {
    let value = answer.get("incident").unwrap_or(&Value::Null);
    let read = || {
        let changed_at = wire::time(value, "last_status_change_at");
        Some(RestIncident {
            id: IncidentId::new(text(value, "id")?).ok()?,
            updated_at: wire::time(value, "updated_at").or(changed_at)?,
            snapshot: wire::snapshot(value)?,
            status_changed: changed_at.map(|at| (at, value.get("last_status_change_by").and_then(wire::actor))),
        })
    };
    read().ok_or(ApiError::Unreadable { what: "incident" })
}
