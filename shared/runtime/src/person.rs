//! A linked person's voice in PagerDuty: their token, refreshed when it is about to end or when PagerDuty refuses it.
//!
//! A refresh token works once (PagerDuty OAuth docs: a refresh gives a new pair). So one refresher at a time, under a
//! lease in the table, and the new pair is stored before it is used, even if the click that asked for it has run out of
//! time meanwhile: the function's answer waits for it ([`App::finished`]).
//!
//! That a refresh begins is noted before PagerDuty hears of it. So a lost answer is known for one afterwards: the same refresh
//! token is tried again, since nobody says that it dies at once, and whoever is refused then has lost a log-in and did not
//! withdraw one.

use std::time::Duration;

use domain::failure::Class;
use domain::linking::AccountLink;
use jiff::SignedDuration;
use pagerduty::oauth::OAuthError;
use pagerduty::rest::{Api, ApiError, Auth};
use secrecy::SecretString;
use store::seal::Sealed;
use store::{RefreshLease, Saved, StoredLink, Tokens, Unrefreshed};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{App, Metric, OpenError, RefusesSecret, SecretValues};

/// Refresh early, so that a token does not end between the check and its use.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// A refresh takes one request, or two within the same time; after this time a crashed refresher no longer blocks others.
const LEASE: SignedDuration = SignedDuration::from_secs(10);

/// With less time left no refresh begins: the caller would not live to see its end.
const LEAST_FOR_REFRESH: Duration = Duration::from_secs(1);

/// A refresh that has begun is waited for this much longer than its caller has time: a click's answer then still comes within
/// Teams' 5 s, and what PagerDuty says later than that is lost.
const REFRESH_BEYOND: Duration = Duration::from_millis(1500);

/// For so long at most. The lease outlasts it.
const LONGEST_REFRESH: Duration = Duration::from_secs(6);

/// How often the storing of a new pair is tried: without it the person has to link again.
const SAVES: usize = 3;

/// With less time left nothing is asked of PagerDuty any more: its answer would come too late.
const LEAST_FOR_CALL: Duration = Duration::from_millis(250);

/// Sealing anew can wait for the next click, and somebody waits for this one.
const MOST_FOR_RESEALING: Duration = Duration::from_millis(300);

/// PagerDuty did not do what the person asked.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// Their log-in is gone: they have to link again.
    #[error("the account link is no longer valid")]
    NeedsLink,
    /// Their log-in is gone since PagerDuty's answer to an earlier refresh was lost: they have to link again.
    #[error("PagerDuty's answer to a refresh was lost, and the log-in with it")]
    LogInLost,
    /// PagerDuty does not accept a token that it has just given.
    #[error("PagerDuty does not accept the token that it has just given")]
    TokenRefused(#[source] ApiError),
    /// There is no time left, or the token is being refreshed: nothing was asked.
    #[error("there is no time to ask PagerDuty")]
    Busy,
    /// PagerDuty refused or did not answer.
    #[error(transparent)]
    PagerDuty(#[from] ApiError),
    /// PagerDuty gives no new token for now.
    #[error("the person's token is not refreshed")]
    OAuth(#[from] OAuthError),
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] store::Error),
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] crate::SecretError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] crate::RandomError),
    /// The stored token cannot be opened, or a new one not sealed.
    #[error(transparent)]
    Seal(#[from] store::seal::SealError),
}

impl From<OpenError> for PersonError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Secret(error) => error.into(),
            OpenError::Seal(error) => error.into(),
        }
    }
}

/// Speaks to PagerDuty as a linked person, until a deadline.
#[derive(Debug)]
pub struct Person<'a> {
    app: &'a App,
    stored: StoredLink,
    deadline: Instant,
    token: Option<SecretString>,
}

impl App {
    /// The voice of a linked person. Nothing is asked of PagerDuty after `deadline`.
    #[must_use]
    pub fn person(&self, link: &StoredLink, deadline: Instant) -> Person<'_> {
        Person { app: self, stored: link.clone(), deadline, token: None }
    }
}

impl Person<'_> {
    /// Who is linked to whom.
    #[must_use]
    pub fn link(&self) -> &AccountLink {
        &self.stored.link
    }

    /// Makes sure that the person has a token, without asking PagerDuty for anything else.
    pub async fn ready(&mut self) -> Result<(), PersonError> {
        self.token().await.map(drop)
    }

    /// Asks PagerDuty; once more with a renewed token if the first one is refused. What a closure does before its refusal is
    /// done twice, so it asks for one thing, or for several at the same time.
    pub async fn call<T>(
        &mut self,
        ask: impl AsyncFnOnce(&Api, Auth<'_>) -> Result<T, ApiError> + Clone,
    ) -> Result<T, PersonError> {
        let token = self.token().await?;
        match self.ask(&token, ask.clone()).await {
            Err(PersonError::PagerDuty(error)) if error.refuses_token() => {}
            answer => return answer,
        }
        let token = self.usable(true).await?;
        self.token = Some(token.clone());
        match self.ask(&token, ask).await {
            // The log-in was good for a new token a moment ago, so that linking again is not what helps.
            Err(PersonError::PagerDuty(error)) if error.refuses_token() => {
                tracing::error!(error = crate::chain(&error), "PagerDuty refuses a token that it has just given");
                Err(PersonError::TokenRefused(error))
            }
            answer => answer,
        }
    }

    async fn ask<T>(
        &self,
        token: &SecretString,
        ask: impl AsyncFnOnce(&Api, Auth<'_>) -> Result<T, ApiError>,
    ) -> Result<T, PersonError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left < LEAST_FOR_CALL {
            return Err(PersonError::Busy);
        }
        let api = self.app.pagerduty.clone().within(left);
        Ok(ask(&api, Auth::User { token, email: &self.stored.link.pd_email }).await?)
    }

    async fn token(&mut self) -> Result<SecretString, PersonError> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let token = self.usable(false).await?;
        self.token = Some(token.clone());
        Ok(token)
    }

    /// A token that is good for the next minutes. `rejected`: PagerDuty has just refused the stored one, although it should
    /// still be good. A refresh that has begun before the deadline ends in any case.
    async fn usable(&self, rejected: bool) -> Result<SecretString, PersonError> {
        let Self { app, stored, deadline, .. } = self;
        let now = app.clock.now();
        let tokens = open(app, stored).await?;
        let ends_soon = tokens.expires_at.duration_since(now) < MARGIN;
        if !ends_soon && !rejected {
            // A refresh seals anew anyway.
            reseal(app, stored, &tokens).await;
            return Ok(tokens.access);
        }
        let still_good = tokens.expires_at > now && !rejected;
        let left = deadline.saturating_duration_since(Instant::now());
        if left < LEAST_FOR_REFRESH {
            return if still_good { Ok(tokens.access) } else { Err(PersonError::Busy) };
        }
        let holder = app.random.token()?;
        let lease = match app.store.claim_refresh(&stored.link, stored.tokens_version, &holder, now, LEASE).await? {
            Some(lease) => lease,
            // Another click refreshes it; until it is done the old token still serves, if it has not ended.
            None if still_good => return Ok(tokens.access),
            None => return reread(app, stored).await,
        };
        let patience = (left + REFRESH_BEYOND).min(LONGEST_REFRESH);
        let work = app.finish(renew((*app).clone(), stored.clone(), tokens.clone(), lease, patience));
        match timeout_at(*deadline, work).await {
            Ok(Ok(Ok(access))) => Ok(access),
            _ if still_good => Ok(tokens.access),
            Ok(Ok(Err(error))) => Err(error),
            // Too late for this caller, or broken off: either way nothing was done in PagerDuty yet.
            Ok(Err(crate::BrokenOff)) | Err(_) => Err(PersonError::Busy),
        }
    }
}

/// Refreshes, as the holder of the lease. Must not be dropped between PagerDuty's answer and its storing.
async fn renew(
    app: App,
    stored: StoredLink,
    tokens: Tokens,
    lease: RefreshLease,
    patience: Duration,
) -> Result<SecretString, PersonError> {
    let refreshed = refresh(&app, &stored, &tokens, &lease, patience).await;
    let Err(error) = &refreshed else { return refreshed };
    app.metrics.count(Metric::TokenRefreshFailures, app.clock.now());
    if matches!(error, PersonError::LogInLost) {
        app.metrics.count(Metric::LogInsLost, app.clock.now());
        tracing::error!(user.id = %stored.link.user, "an answer of PagerDuty was lost, and a person's log-in with it");
    }
    if let Err(error) = app.store.release_refresh(&lease, ended(error)).await {
        tracing::warn!(error = crate::chain(&error), "refresh lease runs out by itself");
    }
    refreshed
}

/// Whether PagerDuty may have used up the refresh token. A table that fails does so after its answer.
fn ended(error: &PersonError) -> Unrefreshed {
    match error {
        PersonError::OAuth(
            OAuthError::NoAnswer(_) | OAuthError::Unreadable(_) | OAuthError::Refused { status: 500.., .. },
        )
        | PersonError::Table(_)
        | PersonError::Seal(_) => Unrefreshed::Unclear,
        PersonError::OAuth(_)
        | PersonError::NeedsLink
        | PersonError::LogInLost
        | PersonError::TokenRefused(_)
        | PersonError::Busy
        | PersonError::PagerDuty(_)
        | PersonError::Secret(_)
        | PersonError::Random(_) => Unrefreshed::NotDone,
    }
}

/// Somebody else held the lease, or saved first: use what they stored meanwhile.
async fn reread(app: &App, stored: &StoredLink) -> Result<SecretString, PersonError> {
    let link = &stored.link;
    let newer = app.store.link(&link.tenant, &link.user, &link.account).await?.ok_or(PersonError::NeedsLink)?;
    if newer.tokens_version == stored.tokens_version {
        return Err(PersonError::Busy);
    }
    Ok(open(app, &newer).await?.access)
}

async fn open(app: &App, stored: &StoredLink) -> Result<Tokens, PersonError> {
    let open = |values: &SecretValues| Ok(Tokens::open(values.token_keys()?, &stored.tokens, &stored.link)?);
    Ok(app.secrets.open(app.clock.now(), open).await?)
}

/// Seals with the current key what an older one has sealed, so that it can be dropped one day. What keeps it from being done now
/// keeps nobody from working.
async fn reseal(app: &App, stored: &StoredLink, tokens: &Tokens) {
    let now = app.clock.now();
    let resealed = async {
        let values = app.secrets.values(now).await?;
        let ring = values.token_keys()?;
        if ring.is_current(&stored.tokens) {
            return Ok(());
        }
        let sealed = tokens.seal(ring, &stored.link, app.random.bytes()?)?;
        app.store.reseal_tokens(stored, &sealed, now).await?;
        Ok::<_, PersonError>(())
    };
    match timeout(MOST_FOR_RESEALING, resealed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = crate::chain(&error), "tokens not sealed anew"),
        Err(_) => tracing::warn!("tokens not sealed anew in time"),
    }
}

async fn refresh(
    app: &App,
    stored: &StoredLink,
    old: &Tokens,
    lease: &RefreshLease,
    patience: Duration,
) -> Result<SecretString, PersonError> {
    let refresh_token = old.refresh.as_ref().ok_or(PersonError::NeedsLink)?;
    let until = Instant::now() + patience;
    // Whatever can fail here fails before PagerDuty has used up the token.
    let nonce = app.random.bytes()?;
    let keys = app.secrets.values(app.clock.now()).await?;
    let ring = keys.token_keys()?;
    let ask = async |values: &SecretValues| {
        // A second request, with another client secret, has what the first one has left: the lease must outlast both.
        let left = until.saturating_duration_since(Instant::now());
        if left < LEAST_FOR_REFRESH {
            return Err(PersonError::Busy);
        }
        let oauth = app.oauth.clone().with_timeout(left);
        Ok(oauth.refresh(values.pagerduty_client_secret()?, refresh_token, app.clock.now()).await?)
    };
    let grant = match app.with_secret(ask).await {
        Ok(grant) => grant,
        Err(PersonError::OAuth(error)) if error.class() == Class::Relink => {
            return Err(if lease.repeats() { PersonError::LogInLost } else { PersonError::NeedsLink });
        }
        Err(error) => return Err(error),
    };
    // An answer without a new refresh token leaves the old one in force.
    let refresh = grant.refresh_token.or_else(|| old.refresh.clone());
    let tokens = Tokens { access: grant.access_token, refresh, expires_at: grant.expires_at };
    let sealed = tokens.seal(ring, &stored.link, nonce)?;
    match save(app, lease, &sealed).await? {
        Saved::Yes => Ok(tokens.access),
        Saved::Overtaken => {
            tracing::warn!("a newer link or refresh came before these tokens");
            reread(app, stored).await
        }
    }
}

async fn save(app: &App, lease: &RefreshLease, sealed: &Sealed) -> Result<Saved, store::Error> {
    for _ in 1..SAVES {
        match app.store.save_tokens(lease, sealed).await {
            Err(error) => tracing::warn!(error = crate::chain(&error), "new tokens not stored, tried again"),
            saved => return saved,
        }
    }
    app.store.save_tokens(lease, sealed).await
}

impl RefusesSecret for PersonError {
    fn refuses_secret(&self) -> bool {
        matches!(self, Self::OAuth(error) if error.refuses_client())
    }
}
