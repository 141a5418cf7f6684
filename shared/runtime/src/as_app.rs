//! The PagerDuty app's own voice. What an admin sets up is done with it, so that it survives that admin.

use std::sync::Arc;

use domain::failure::Class;
use jiff::{SignedDuration, Timestamp};
use pagerduty::oauth::{APP_SCOPES, AppToken, OAuthError, OPTIONAL_APP_SCOPES};
use pagerduty::rest::{Api, ApiError, Auth};
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
    /// PagerDuty does not accept the one that it has just given.
    #[error("PagerDuty does not accept the token that it has just given")]
    Refused(#[source] ApiError),
}

impl AppTokenError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Secret(error) => error.class(),
            Self::OAuth(error) => error.class(),
            // Nothing about the app is known to be wrong, and nobody can link it again.
            Self::Refused(_) => Class::Retry { after: None },
        }
    }
}

/// PagerDuty did not do what the app asked.
#[derive(Debug, thiserror::Error)]
pub enum AsAppError {
    /// The app has no token.
    #[error(transparent)]
    Token(#[from] AppTokenError),
    /// PagerDuty refused or did not answer.
    #[error(transparent)]
    PagerDuty(#[from] ApiError),
}

impl AsAppError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Token(error) => error.class(),
            Self::PagerDuty(error) => error.class(),
        }
    }

    /// Whether what the call was about is not there, or is hidden from the app.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::PagerDuty(error) if error.is_not_found())
    }
}

/// Speaks to PagerDuty as the app.
#[derive(Debug, Clone, Copy)]
pub struct AsApp<'a>(&'a App);

/// The newest token, shared by all clones of an [`App`].
#[derive(Debug, Clone, Default)]
pub(crate) struct CachedAppToken(Arc<Mutex<Option<AppToken>>>);

impl App {
    /// PagerDuty's app, as which it speaks to PagerDuty.
    #[must_use]
    pub fn as_app(&self) -> AsApp<'_> {
        AsApp(self)
    }
}

impl AsApp<'_> {
    /// Asks PagerDuty; once more with a fresh token if the first one is refused. (A closure that is cloned instead of called
    /// twice, since the compiler cannot see of an [`AsyncFn`] that borrows whether its future is [`Send`].)
    pub async fn call<T>(
        self,
        ask: impl AsyncFnOnce(&Api, Auth<'_>) -> Result<T, ApiError> + Clone,
    ) -> Result<T, AsAppError> {
        let token = self.token(false).await?;
        match ask.clone()(&self.0.pagerduty, Auth::App(&token)).await {
            Err(error) if error.refuses_token() => {}
            answer => return Ok(answer?),
        }
        let token = self.token(true).await?;
        match ask(&self.0.pagerduty, Auth::App(&token)).await {
            Err(error) if error.refuses_token() => {
                tracing::error!(
                    error = crate::chain(&error),
                    "PagerDuty refuses a token that it has just given the app"
                );
                self.0.metrics.count(Metric::AppTokenFailures, self.0.clock.now());
                Err(AppTokenError::Refused(error).into())
            }
            answer => Ok(answer?),
        }
    }

    /// Whether PagerDuty gives the app a token.
    pub async fn check(self) -> Result<(), AppTokenError> {
        self.token(false).await.map(drop)
    }

    /// A new token with what PagerDuty says about it, for whoever checks the app itself.
    pub async fn new_token(self) -> Result<AppToken, AppTokenError> {
        self.0.with_secret(async |values| self.ask_for_token(values.pagerduty_client_secret()?).await).await
    }

    async fn ask_for_token(self, secret: &SecretString) -> Result<AppToken, AppTokenError> {
        let App { config, oauth, clock, .. } = self.0;
        let (now, region): (Timestamp, _) = (clock.now(), config.pagerduty_region);
        let ask =
            async |scopes: &[&str]| oauth.app_token(secret, region, &config.pagerduty_subdomain, scopes, now).await;
        let lacks = |token: &AppToken| token.missing.iter().any(|scope| APP_SCOPES.contains(&scope.as_str()));
        let mut token = match ask(&[APP_SCOPES, OPTIONAL_APP_SCOPES].concat()).await {
            // What becomes of a request with one scope too many is not documented: it may fail, or be granted in part.
            Err(OAuthError::Refused { status: 400 | 403, .. }) => ask(APP_SCOPES).await?,
            Ok(token) if lacks(&token) => ask(APP_SCOPES).await?,
            answer => answer?,
        };
        token.missing.retain(|scope| APP_SCOPES.contains(&scope.as_str()));
        Ok(token)
    }

    /// `fresh`: the last one was refused, whatever its age.
    async fn token(self, fresh: bool) -> Result<SecretString, AppTokenError> {
        let now = self.0.clock.now();
        let mut cached = self.0.app_token.0.lock().await;
        if let Some(token) = cached.as_ref()
            && !fresh
            && token.expires_at.duration_since(now) > MARGIN
        {
            return Ok(token.access_token.clone());
        }
        let token = self.new_token().await.inspect_err(|_| self.0.metrics.count(Metric::AppTokenFailures, now))?;
        let access = token.access_token.clone();
        *cached = Some(token);
        Ok(access)
    }
}
