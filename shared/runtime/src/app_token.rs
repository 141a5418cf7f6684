//! The token of the PagerDuty app itself. What an admin sets up is done with it, so that it survives that admin.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pagerduty::oauth::{AppToken, OAuthError};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::{App, Metric, SecretError};

/// A token is not used in its last minutes: it might end on the way.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The app has no token.
#[derive(Debug, thiserror::Error)]
pub enum AppTokenError {
    /// The client secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// PagerDuty gave none.
    #[error("PagerDuty gives the app no token")]
    OAuth(#[from] OAuthError),
}

impl AppTokenError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> domain::failure::Class {
        match self {
            Self::Secret(error) => error.class(),
            Self::OAuth(error) => error.class(),
        }
    }
}

/// The newest token, shared by all clones of an [`App`].
#[derive(Debug, Clone, Default)]
pub(crate) struct CachedAppToken(Arc<Mutex<Option<AppToken>>>);

impl App {
    /// A token that acts as the app. `fresh`: the last one was refused, whatever its age.
    ///
    /// # Errors
    /// [`AppTokenError`].
    pub async fn pagerduty_token(&self, fresh: bool) -> Result<SecretString, AppTokenError> {
        let now: Timestamp = self.clock.now();
        let mut cached = self.app_token.0.lock().await;
        if let Some(token) = cached.as_ref()
            && !fresh
            && token.expires_at.duration_since(now) > MARGIN
        {
            return Ok(token.access_token.clone());
        }
        let token = self.new_app_token(now).await.inspect_err(|_| self.metrics.count(Metric::AppTokenFailures, now))?;
        let access = token.access_token.clone();
        *cached = Some(token);
        Ok(access)
    }

    /// A new token with what PagerDuty says about it, for whoever checks the app itself.
    ///
    /// # Errors
    /// [`AppTokenError`].
    pub async fn new_app_token(&self, now: Timestamp) -> Result<AppToken, AppTokenError> {
        let values = self.secrets.values(now).await?;
        let (secret, config) = (&values.pagerduty_client_secret, &self.config);
        let scopes = pagerduty::oauth::APP_SCOPES;
        Ok(self.oauth.app_token(secret, config.pagerduty_region, &config.pagerduty_subdomain, scopes, now).await?)
    }
}
