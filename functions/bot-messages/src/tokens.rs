//! A linked person's PagerDuty token, refreshed when it is about to end.
//!
//! A refresh token works once (PagerDuty OAuth docs: a refresh gives a new pair). So one refresher at a time, under a
//! lease in the table, and the new pair is stored before it is used, even if the click that asked for it has run out of
//! time meanwhile.

use std::time::Duration;

use domain::failure::Class;
use jiff::SignedDuration;
use pagerduty::oauth::OAuthError;
use runtime::{App, Metric};
use secrecy::SecretString;
use store::{RefreshClaim, Saved, StoredLink, Tokens};
use tokio::time::{Instant, timeout_at};

/// Refresh early, so that a token does not end between the check and its use.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// A refresh takes one request; after this time a crashed refresher no longer blocks others.
const LEASE: SignedDuration = SignedDuration::from_secs(10);

/// How long a caller waits who sets no limit: one request to PagerDuty and what the table takes.
const PATIENCE: Duration = Duration::from_secs(8);

/// With less time left no refresh begins: its end would be frozen together with the function that has answered.
const LEAST_FOR_REFRESH: Duration = Duration::from_secs(1);

/// No usable token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The person has to link again.
    #[error("the account link is no longer valid")]
    Relink,
    /// Somebody else refreshes it right now, or PagerDuty did not answer: try again in a moment.
    #[error("the token is being refreshed")]
    Busy,
    #[error(transparent)]
    Table(#[from] store::Error),
    #[error(transparent)]
    Secret(#[from] runtime::SecretError),
    #[error(transparent)]
    Random(#[from] runtime::RandomError),
    #[error(transparent)]
    Seal(#[from] store::seal::SealError),
    #[error(transparent)]
    OAuth(#[from] OAuthError),
}

/// A token that is good for the next minutes. `rejected` is one that PagerDuty has just refused, although it should
/// still be good: it is refreshed regardless of its age.
pub(crate) async fn usable(app: &App, stored: &StoredLink, rejected: bool) -> Result<SecretString, TokenError> {
    usable_by(app, stored, rejected, Instant::now() + PATIENCE).await
}

/// The same for a caller who waits until `deadline` at most. A refresh that has begun by then still ends.
pub(crate) async fn usable_by(
    app: &App,
    stored: &StoredLink,
    rejected: bool,
    deadline: Instant,
) -> Result<SecretString, TokenError> {
    let now = app.clock.now();
    let values = app.secrets.values(now).await?;
    let tokens = Tokens::open(&values.token_keys, &stored.tokens, &stored.link)?;
    let ends_soon = tokens.expires_at.duration_since(now) < MARGIN;
    if !ends_soon && !rejected {
        return Ok(tokens.access);
    }
    let still_good = tokens.expires_at > now && !rejected;
    if deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_REFRESH {
        return if still_good { Ok(tokens.access) } else { Err(TokenError::Busy) };
    }
    let holder = app.random.token()?;
    match app.store.claim_refresh(&stored.link, stored.tokens_version, &holder, now, LEASE).await? {
        RefreshClaim::Won => {}
        // Another click refreshes it; until it is done the old token still serves, if it has not ended.
        RefreshClaim::Lost if still_good => return Ok(tokens.access),
        RefreshClaim::Lost => return reread(app, stored).await,
    }
    let work = runtime::finish(renew(app.clone(), stored.clone(), tokens.clone(), holder));
    match timeout_at(deadline, work).await {
        Ok(Ok(Ok(access))) => Ok(access),
        _ if still_good => Ok(tokens.access),
        Ok(Ok(Err(error))) => Err(error),
        // Too late for this caller, or broken off: either way nothing was done in PagerDuty yet.
        Ok(Err(runtime::BrokenOff)) | Err(_) => Err(TokenError::Busy),
    }
}

/// Refreshes, as the holder of the lease. Must not be dropped between PagerDuty's answer and its storing.
async fn renew(app: App, stored: StoredLink, tokens: Tokens, holder: String) -> Result<SecretString, TokenError> {
    let refreshed = refresh(&app, &stored, &tokens, &holder).await;
    if refreshed.is_err() {
        app.metrics.count(Metric::TokenRefreshFailures, app.clock.now());
        if let Err(error) = app.store.release_refresh(&stored.link, &holder).await {
            tracing::warn!(error = runtime::chain(&error), "refresh lease runs out by itself");
        }
    }
    refreshed
}

/// Somebody else held the lease, or saved first: use what they stored meanwhile.
async fn reread(app: &App, stored: &StoredLink) -> Result<SecretString, TokenError> {
    let link = &stored.link;
    let newer = app.store.link(&link.tenant, &link.user, &link.account).await?.ok_or(TokenError::Relink)?;
    if newer.tokens_version == stored.tokens_version {
        return Err(TokenError::Busy);
    }
    let values = app.secrets.values(app.clock.now()).await?;
    Ok(Tokens::open(&values.token_keys, &newer.tokens, &newer.link)?.access)
}

async fn refresh(app: &App, stored: &StoredLink, old: &Tokens, holder: &str) -> Result<SecretString, TokenError> {
    let now = app.clock.now();
    let refresh_token = old.refresh.as_ref().ok_or(TokenError::Relink)?;
    let values = app.secrets.values(now).await?;
    let grant = match app.oauth.refresh(&values.pagerduty_client_secret, refresh_token, now).await {
        Ok(grant) => grant,
        Err(error) if error.class() == Class::Relink => return Err(TokenError::Relink),
        Err(error) => return Err(error.into()),
    };
    // An answer without a new refresh token leaves the old one in force.
    let refresh = grant.refresh_token.or_else(|| old.refresh.clone());
    let tokens = Tokens { access: grant.access_token, refresh, expires_at: grant.expires_at };
    let sealed = tokens.seal(&values.token_keys, &stored.link, app.random.bytes()?)?;
    match app.store.save_tokens(&stored.link, holder, stored.tokens_version, &sealed).await? {
        Saved::Yes => Ok(tokens.access),
        Saved::Overtaken => {
            tracing::warn!("a newer link or refresh came before these tokens");
            reread(app, stored).await
        }
    }
}
