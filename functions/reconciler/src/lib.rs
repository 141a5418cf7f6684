//! On a schedule: heals what the other functions could have missed.
//!
//! PagerDuty drops deliveries and disables subscriptions for a day, the table's index lags, processes end half-way. So every
//! few minutes PagerDuty is asked what is true, and whatever differs here is brought about by the same functions that the
//! webhooks and the commands use. A run does as much as its time allows; the next one goes on where it stopped.
//!
//! Every minute a short round wakes the channels in which something is unfinished: queue messages get lost, too.

mod input;
mod kept;
mod missed;
mod subscriptions;
mod tidying;
mod unfinished;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use domain::healing::Ended;
use domain::ids::{AccountId, ChannelId, ServiceId};
use domain::round::Round;
use incidents::Connected;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, BotError, Lock, Metric};
use setup::SetupError;
use store::LockKey;
use tokio::time::Instant;

pub use crate::input::{Extent, Input};

/// Kept free at the end of an invocation: a page of incidents that was begun is finished in this time.
const RESERVE: Duration = Duration::from_secs(30);

/// Longer than an invocation: two at once would do everything twice.
const LOCK: SignedDuration = SignedDuration::from_mins(5);

/// How long waking channels may take: the next round begins after a minute.
const WAKING: Duration = Duration::from_secs(45);

/// Services whose incidents are asked for at once: their ids fit into one address.
const SERVICES_AT_ONCE: usize = 25;

/// Why a run has not ended well. What it had done until then stays done.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// PagerDuty, the table or the queue did not do it.
    #[error("not everything could be reconciled")]
    Setup(#[source] SetupError),
    /// The table or the queue is too slow.
    #[error("not every channel was looked at in time")]
    Slow,
}

impl<E: Into<SetupError>> From<E> for ReconcileError {
    fn from(error: E) -> Self {
        Self::Setup(error.into())
    }
}

/// One run. `left` is the time until Lambda ends the invocation. What could not be looked at will be, by a later run.
pub async fn run(app: &App, extent: Extent, left: Duration) -> Result<(), ReconcileError> {
    let began = Instant::now();
    let woken = Box::pin(unfinished::wake(app, left.min(WAKING))).await;
    if let Err(error) = &woken {
        tracing::error!(error = runtime::chain(error), "not every channel was looked at");
    }
    match extent {
        Extent::Short => woken,
        Extent::Full => Box::pin(full(app, left.saturating_sub(began.elapsed()))).await.and(woken),
    }
}

async fn full(app: &App, left: Duration) -> Result<(), ReconcileError> {
    let started = app.clock.now();
    let work = SignedDuration::try_from(left.saturating_sub(RESERVE)).unwrap_or_default();
    // Behind a pointer, or the compiler loses itself in the depth of its type.
    let run: Pin<Box<dyn Future<Output = Result<(), ReconcileError>> + Send + '_>> =
        Box::pin(locked(app, started.checked_add(work).unwrap_or(Timestamp::MAX)));
    let done = run.await;
    let figures =
        [Metric::ReconcilerRuns.times(done.is_ok().into()), Metric::ReconcilerFailures.times(done.is_err().into())];
    app.metrics.emit(&figures, app.clock.now());
    if let Err(error) = &done {
        tracing::error!(error = runtime::chain(error), "reconciler");
    }
    done
}

async fn locked(app: &App, deadline: Timestamp) -> Result<(), ReconcileError> {
    let Some(account) = app.store.known_account_of_app(&app.config.pagerduty_client_id).await? else {
        tracing::info!("nobody has authorized anything yet");
        return Ok(());
    };
    let Some(lock) = Lock::take(app, LockKey::Reconciler(account.clone()), LOCK).await? else {
        tracing::warn!("another run is going on");
        return Ok(());
    };
    check_bot_token(app).await;
    let done = Box::pin(reconcile(app, &account, deadline)).await;
    lock.release(app).await;
    done
}

/// Whether Entra gives the bot a token is found out here, and not only when the next incident comes.
async fn check_bot_token(app: &App) {
    if let Err(BotError::Teams(error)) = app.bot().check().await {
        tracing::error!(error = runtime::chain(&error), "the bot gets no token");
        app.metrics.count(Metric::AppTokenFailures, app.clock.now());
    }
}

/// Looks at everything, even if a part of it fails, and tells of the first failure.
async fn reconcile(app: &App, account: &AccountId, deadline: Timestamp) -> Result<(), ReconcileError> {
    let (connected, teams) = tidying::tidy(app, account).await?;
    list_channels(app, account, &connected).await?;
    let subscriptions = subscriptions::mend(app, account, &connected, deadline).await;
    if let Err(error) = &subscriptions {
        tracing::error!(error = runtime::chain(error), "subscriptions not all mended");
    }
    let kept = kept::look_again(app, account, deadline).await;
    match &kept {
        Ok(looked) if looked.ended() == Ended::Partly => {
            tracing::warn!(skipped = looked.skipped, more = looked.more, "kept webhooks not all looked at");
        }
        Ok(looked) => tracing::info!(read = looked.read, done = looked.done, "kept webhooks"),
        Err(error) => tracing::error!(error = runtime::chain(error), "kept webhooks not looked at"),
    }
    go_round(app, account, &connected, deadline).await?;
    teams.and(subscriptions).and(kept.map(drop).map_err(ReconcileError::from))
}

/// What may ever be marked is found by the short rounds.
async fn list_channels(app: &App, account: &AccountId, connected: &Connected) -> Result<(), ReconcileError> {
    let known: BTreeSet<ChannelId> = app.store.channels_of_account(account).await?.into_iter().collect();
    let channels: BTreeSet<&ChannelId> = connected.services.values().flatten().map(|one| &one.channel).collect();
    for channel in channels.into_iter().filter(|channel| !known.contains(*channel)) {
        app.store.put_channel_of_account(account, channel).await?;
    }
    Ok(())
}

/// Goes through the services, from where the last run stopped.
async fn go_round(
    app: &App,
    account: &AccountId,
    connected: &Connected,
    deadline: Timestamp,
) -> Result<(), ReconcileError> {
    let now = app.clock.now();
    let mut round = app.store.round(account).await?.unwrap_or_else(|| Round::first(now));
    let open = app.store.open_incidents(account).await?;
    // Incidents that have moved to services that nobody has connected are followed until they are resolved.
    let services: BTreeSet<&ServiceId> =
        connected.services.keys().chain(open.iter().map(|open| &open.service)).collect();
    let due: Vec<ServiceId> = services.into_iter().filter(|id| round.is_due(id)).cloned().collect();
    for services in due.chunks(SERVICES_AT_ONCE) {
        if app.clock.now() > deadline {
            tracing::info!(after = round.after.as_ref().map(ServiceId::as_str), "the next run goes on");
            return Ok(());
        }
        missed::refresh(app, account, services, connected, &open, &round).await?;
        round.after = services.last().cloned();
        app.store.put_round(account, &round).await?;
    }
    app.store.put_round(account, &round.next(now)).await?;
    Ok(())
}
