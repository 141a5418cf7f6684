//! The bot's own token: OAuth client credentials with its secret (Microsoft identity platform docs).

use std::sync::Arc;
use std::time::Duration;

use ::wire::{Wire, WireError};
use domain::failure::Class;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::ConnectorAuth;
use crate::wire;

/// A token is replaced this long before its end, as Microsoft's SDK does.
const MARGIN: SignedDuration = SignedDuration::from_secs(300);

/// Real answers have two or three kilobytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Gets the bot's token and keeps it until shortly before its end. Cloning is cheap; all clones share the token.
#[derive(Debug, Clone)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: Wire,
    token_url: Url,
    app_id: String,
    scope: String,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    token: SecretString,
    until: Timestamp,
}

/// The bot got no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No answer, or it broke off.
    #[error("the token endpoint did not answer")]
    NoAnswer(#[source] WireError),
    /// It is overloaded or broken (429, 5xx).
    #[error("the token endpoint is busy ({status})")]
    Busy { status: u16, after: Option<Duration> },
    /// The bot's id, secret or tenant is wrong.
    #[error("the token endpoint refuses the bot ({status} {code}, AADSTS {numbers:?})")]
    Refused {
        status: u16,
        /// OAuth error, for example `invalid_client`.
        code: String,
        /// Entra's error numbers, for example 7000222 for an expired secret.
        numbers: Vec<u64>,
    },
    /// A success without a bearer token in it.
    #[error("the token endpoint's answer cannot be read")]
    Unreadable,
}

impl TokenError {
    /// Whether the bot's secret is what Entra does not accept: it is wrong (7000215) or has run out (7000222).
    pub(super) fn refuses_client(&self) -> bool {
        matches!(self, Self::Refused { status, code, .. } if *status == 401 || code == "invalid_client")
    }

    /// What a caller can do about it. Nothing was sent to Teams, so nothing is unclear.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NoAnswer(_) => Class::Retry { after: None },
            Self::Busy { after, .. } => Class::Retry { after: *after },
            Self::Refused { .. } | Self::Unreadable => Class::Bug,
        }
    }
}

impl TokenSource {
    /// `token_url` is the whole address of `/oauth2/v2.0/token`; `scope` the Bot Framework's in the bot's cloud.
    #[must_use]
    pub fn new(http: Wire, token_url: Url, app_id: String, scope: String) -> Self {
        Self { inner: Arc::new(Inner { http, token_url, app_id, scope, cached: Mutex::new(None) }) }
    }

    /// The kept token, or a new one. Callers that come together wait for one request.
    pub(super) async fn token(&self, auth: &ConnectorAuth<'_>, end: Instant) -> Result<SecretString, TokenError> {
        let mut cached = self.inner.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| auth.now < cached.until) {
            return Ok(cached.token.clone());
        }
        let granted = self.fetch(auth, super::left(end)).await?;
        let lifetime = SignedDuration::from_secs(granted.expires_in.unwrap_or_default()).saturating_sub(MARGIN);
        let until = auth.now.saturating_add(lifetime.max(SignedDuration::ZERO)).unwrap_or(auth.now);
        *cached = Some(Cached { token: granted.access_token.clone(), until });
        Ok(granted.access_token)
    }

    /// Forgets a token that Teams refused, unless somebody has replaced it already.
    pub(super) async fn forget(&self, refused: &SecretString) {
        let mut cached = self.inner.cached.lock().await;
        cached.take_if(|cached| cached.token.expose_secret() == refused.expose_secret());
    }

    async fn fetch(&self, auth: &ConnectorAuth<'_>, patience: Duration) -> Result<Granted, TokenError> {
        let Inner { http, token_url, app_id, scope, .. } = self.inner.as_ref();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", app_id),
            ("client_secret", auth.secret.expose_secret()),
            ("scope", scope),
        ];
        let request = http.client().post(token_url.clone()).timeout(patience).form(&form);
        let response = http.send(request).await.map_err(TokenError::NoAnswer)?;
        let status = response.status();
        let after = wire::retry_after(response.headers(), auth.now);
        if status.as_u16() == 429 || status.is_server_error() {
            return Err(TokenError::Busy { status: status.as_u16(), after });
        }
        let body = wire::read(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
            wire::ReadError::Broken(error) => TokenError::NoAnswer(error),
            wire::ReadError::TooLarge => TokenError::Unreadable,
        })?;
        if status != reqwest::StatusCode::OK {
            let complaint = wire::json(&body);
            let numbers = complaint.get("error_codes").and_then(Value::as_array);
            return Err(TokenError::Refused {
                status: status.as_u16(),
                code: wire::code(&wire::text(&complaint, "error").unwrap_or_default()),
                numbers: numbers.into_iter().flatten().filter_map(Value::as_u64).collect(),
            });
        }
        Granted::read(&wire::json(&body)).ok_or(TokenError::Unreadable)
    }
}

struct Granted {
    access_token: SecretString,
    expires_in: Option<i64>,
}

impl Granted {
    /// A bearer token is visible ASCII (RFC 6750, 2.1): what is not was damaged on its way.
    fn read(answer: &Value) -> Option<Self> {
        let is_token = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let access_token = wire::text(answer, "access_token").filter(is_token)?;
        let token_type = wire::text(answer, "token_type")?;
        let seconds = answer.get("expires_in");
        token_type.eq_ignore_ascii_case("bearer").then(|| Self {
            access_token: access_token.into(),
            // Entra's older endpoint writes it as a string.
            expires_in: seconds.and_then(|seconds| seconds.as_i64().or_else(|| seconds.as_str()?.parse().ok())),
        })
    }
}
