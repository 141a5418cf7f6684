//! On a schedule: heals what the other functions could have missed.
//!
//! PagerDuty drops deliveries and disables subscriptions for a day, the table's index lags, processes end half-way. So every
//! few minutes PagerDuty is asked what is true, and whatever differs here is brought about by the same functions that the
//! webhooks and the commands use. A run does as much as its time allows; the next one goes on where it stopped.
//!
//! Every minute a short round wakes the channels in which something is unfinished: queue messages get lost, too.

mod input;
mod missed;
mod subscriptions;
mod tidying;
mod unfinished;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use domain::healing::{Ended, Healing, Part};
use domain::ids::{AccountId, ChannelId, ServiceId};
use domain::round::Round;
use incidents::Connected;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, Lock, Metric};
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

/// One run. `left` is the time until Lambda ends the invocation. What could not be looked at will be, by a later run: what has failed
/// is tried again by the next one, also if that is a short one.
pub async fn run(app: &App, extent: Extent, left: Duration) -> Result<(), ReconcileError> {
    let began = Instant::now();
    let woken = Box::pin(unfinished::wake(app, left.min(WAKING))).await;
    if let Err(error) = &woken {
        tracing::error!(error = runtime::chain(error), "not every channel was looked at");
    }
    let mut healing = app.store.healing(&app.config.pagerduty_client_id).await.unwrap_or_default();
    let owes = OF_FULL_ROUNDS.into_iter().any(|part| healing.of(part).failing_since.is_some());
    let (healed, ends) = if extent == Extent::Full || owes {
        Box::pin(full(app, left.saturating_sub(began.elapsed()))).await
    } else {
        (Ok(()), Vec::new())
    };
    let channels = (Part::Channels, if woken.is_ok() { Ended::Well } else { Ended::Failed });
    Box::pin(tell(app, &mut healing, ends.into_iter().chain([channels]))).await;
    healed.and(woken)
}

/// What full rounds do besides.
const OF_FULL_ROUNDS: [Part; 2] = [Part::Incidents, Part::BotToken];

/// Notes how the parts have ended, and adds it to the metrics.
async fn tell(app: &App, healing: &mut Healing, ends: impl Iterator<Item = (Part, Ended)>) {
    let now = app.clock.now();
    let mut all = Ended::Well;
    for (part, ended) in ends {
        if ended > Ended::Partly {
            tracing::warn!(part = part.name(), ended = ?ended, "a part is not done");
        }
        healing.note(part, ended, now);
        all = all.max(ended);
    }
    if let Err(error) = app.store.put_healing(&app.config.pagerduty_client_id, healing).await {
        tracing::error!(error = runtime::chain(&error), "how the run has ended is not noted");
        all = Ended::Failed;
    }
    let figures = [
        Metric::ReconcilerRuns.times((all == Ended::Well).into()),
        Metric::ReconcilerPartial.times((all == Ended::Partly).into()),
        Metric::ReconcilerSkipped.times((all == Ended::Skipped).into()),
        Metric::ReconcilerFailures.times((all == Ended::Failed).into()),
        (Metric::NotHealing, healing.longest(now).as_secs_f64()),
        Metric::ElementsSkipped.times(0),
    ];
    app.metrics.emit(&figures, now);
}

async fn full(app: &App, left: Duration) -> (Result<(), ReconcileError>, Vec<(Part, Ended)>) {
    let started = app.clock.now();
    let work = SignedDuration::try_from(left.saturating_sub(RESERVE)).unwrap_or_default();
    let mut ends = Vec::new();
    // Behind a pointer, or the compiler loses itself in the depth of its type.
    let run: Pin<Box<dyn Future<Output = Result<(), ReconcileError>> + Send + '_>> =
        Box::pin(locked(app, started.checked_add(work).unwrap_or(Timestamp::MAX), &mut ends));
    let done = run.await;
    if let Err(error) = &done {
        tracing::error!(error = runtime::chain(error), "reconciler");
        ends.push((Part::Incidents, Ended::Failed));
    }
    (done, ends)
}

async fn locked(app: &App, deadline: Timestamp, ends: &mut Vec<(Part, Ended)>) -> Result<(), ReconcileError> {
    let Some(account) = app.store.known_account_of_app(&app.config.pagerduty_client_id).await? else {
        tracing::info!("nobody has authorized anything yet");
        return Ok(());
    };
    let Some(lock) = Lock::take(app, LockKey::Reconciler(account.clone()), LOCK).await? else {
        tracing::warn!("another run is going on");
        ends.push((Part::Incidents, Ended::Skipped));
        return Ok(());
    };
    ends.push((Part::BotToken, check_bot_token(app).await));
    let done = Box::pin(reconcile(app, &account, deadline)).await;
    lock.release(app).await;
    done?;
    ends.push((Part::Incidents, Ended::Well));
    Ok(())
}

/// Whether Entra gives the bot a token is found out here, and not only when the next incident comes.
async fn check_bot_token(app: &App) -> Ended {
    match app.bot().check().await {
        Ok(()) => Ended::Well,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "the bot gets no token");
            app.metrics.count(Metric::AppTokenFailures, app.clock.now());
            Ended::Failed
        }
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
    go_round(app, account, &connected, deadline).await?;
    teams.and(subscriptions)
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
