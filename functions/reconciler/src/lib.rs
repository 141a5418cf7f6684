//! On a schedule: heals what the other functions could have missed.
//!
//! PagerDuty drops deliveries and disables subscriptions for a day, the table's index lags, processes end half-way. So every minute
//! PagerDuty is asked what is true, and whatever differs here is brought about by the same functions that the webhooks and the
//! commands use. Every fifth minute more is looked at.
//!
//! A run has parts. Each has its turn whatever became of the others, each goes past what it cannot read, and each notes how far it has
//! come, page by page: the next run goes on from there, however this one ends. What a run has done it says in its [`Report`]; it fails
//! as an invocation only if it dies.

mod account;
mod details;
mod input;
mod kept;
mod missed;
mod news;
mod observed;
mod open;
mod over;
mod plan;
mod rate;
mod report;
mod subscriptions;
mod tidying;
mod unfinished;

use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::time::Duration;

use domain::healing::{Ended, Healing, Part};
use domain::ids::{AccountId, IncidentId, TeamId};
use domain::round::Round;
use incidents::Connected;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, BotError, Lock, Metric};
use setup::SetupError;
use store::{LockKey, OpenIncident};
use tokio::time::Instant;

pub use crate::input::{Extent, Input};
use crate::news::Log;
use crate::open::Looked;
use crate::plan::Plan;
use crate::rate::Rate;
pub use crate::report::Report;

/// How long a run begins new work: the next one begins after a minute.
const WORK: Duration = Duration::from_secs(45);

/// Nobody works for longer than this, or the lock of a run that was killed would keep the next one from working.
const LOCK: SignedDuration = SignedDuration::from_secs(50);

/// Kept free at the end of an invocation: what was begun is finished in this time, or given up.
const RESERVE: Duration = Duration::from_secs(10);

/// How long waking channels may take: the rest needs time as well.
const WAKING: Duration = Duration::from_secs(20);

/// Why a part could not be done. What it had done until then stays done.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// PagerDuty, the table or the queue did not do it.
    #[error("PagerDuty, the table or the queue did not do it")]
    Setup(#[source] SetupError),
    /// It took too long.
    #[error("it took too long")]
    Slow,
    /// A team belongs to an account, and the table does not say any more which account is PagerBridge's.
    #[error("team {team} belongs to an account, and the app's own account is not known")]
    NoAccount { team: TeamId },
    /// Entra gives the bot no token.
    #[error("the bot gets no token")]
    BotToken(#[source] BotError),
}

impl<E: Into<SetupError>> From<E> for ReconcileError {
    fn from(error: E) -> Self {
        Self::Setup(error.into())
    }
}

impl ReconcileError {
    /// Whether the same may work a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Setup(error) => error.class().may_pass(),
            Self::Slow => true,
            Self::NoAccount { .. } | Self::BotToken(_) => false,
        }
    }
}

/// What the parts of a run work with.
struct Run<'a> {
    app: &'a App,
    account: &'a AccountId,
    /// New work is begun until then.
    until: Timestamp,
    /// A call that hangs is given up then.
    end: Instant,
    rate: Rate,
    report: Report,
}

/// One run. `left` is the time until Lambda ends the invocation.
pub async fn run(app: &App, extent: Extent, left: Duration) -> Report {
    let began = Instant::now();
    // Now and not at its end: a run may take most of a minute, and silence is to be told from that.
    app.metrics.count(Metric::ReconcilerStarted, app.clock.now());
    let mut report = Report::default();
    let client = &app.config.pagerduty_client_id;
    let healing = match app.store.healing(client).await {
        Ok(healing) => healing,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "what earlier runs have done is not known");
            Healing::default()
        }
    };
    let found = account::find(app).await.map(|account| (Ended::Well, account));
    if matches!(found, Ok((_, None))) {
        tracing::info!("nobody has authorized anything yet");
    }
    if let Some(account) = report.note(Part::Account, found).flatten() {
        let woken = Box::pin(unfinished::wake(app, &account, left.min(WAKING))).await;
        if let Some(skipped) = report.note(Part::Channels, woken) {
            report.skipped += skipped;
        }
        let work = SignedDuration::try_from(left.saturating_sub(RESERVE).min(WORK)).unwrap_or_default();
        let until = app.clock.now().checked_add(work).unwrap_or(Timestamp::MAX);
        let end = began + left.saturating_sub(RESERVE / 2);
        let run = Run { app, account: &account, until, end, rate: Rate::default(), report };
        // Behind a pointer, or the compiler loses itself in the depth of its type.
        let locked: Pin<Box<dyn Future<Output = Report> + Send + '_>> = Box::pin(locked(run, extent, &healing));
        report = locked.await;
    }
    report.keep(app, healing).await;
    report
}

async fn locked(mut run: Run<'_>, extent: Extent, healing: &Healing) -> Report {
    let lock = match Lock::take(run.app, LockKey::Reconciler(run.account.clone()), LOCK).await {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            tracing::warn!("another run is at work");
            run.report.parts.push((Part::Incidents, Ended::Skipped));
            return run.report;
        }
        Err(error) => {
            run.report.note::<()>(Part::Incidents, Err(error.into()));
            return run.report;
        }
    };
    Box::pin(reconcile(&mut run, extent, healing)).await;
    lock.release(run.app).await;
    run.report
}

async fn reconcile(run: &mut Run<'_>, extent: Extent, healing: &Healing) {
    let (app, account, now) = (run.app, run.account, run.app.clock.now());
    let (mut round, is_first) = match app.store.round(account).await {
        Ok(Some(round)) => (round, false),
        Ok(None) => (Round::first(now), true),
        Err(error) => {
            run.report.note::<()>(Part::Incidents, Err(error.into()));
            return;
        }
    };
    let is_full = match extent {
        Extent::Full => true,
        Extent::Due => is_first || round.is_due(now),
        Extent::Short => false,
    };
    if is_full {
        round.began_at = now;
    }
    // What has failed is tried again each minute.
    let turn = |part: Part| is_full || healing.of(part).failing_since.is_some();
    let connected = match tidying::connected(app, account).await {
        Ok(connected) => Some(connected),
        Err(error) => run.report.note::<Connected>(Part::Incidents, Err(error)),
    };
    if let Some(mut connected) = connected {
        heal(run, &mut connected, &mut round, (extent, is_full), &turn).await;
        run.save(&round).await;
    }
    if turn(Part::Kept) {
        let looked = in_time(run.end, look_at_kept(app, account, run.until)).await;
        if let Some(skipped) = run.report.note(Part::Kept, looked) {
            run.report.skipped += skipped;
        }
    }
    if turn(Part::BotToken) {
        let checked = in_time(run.end, check_bot_token(app)).await;
        run.report.note(Part::BotToken, checked);
    }
}

async fn heal(
    run: &mut Run<'_>,
    connected: &mut Connected,
    round: &mut Round,
    (extent, is_full): (Extent, bool),
    turn: &(dyn Fn(Part) -> bool + Sync),
) {
    let end = run.end;
    if turn(Part::Teams) {
        let tidied = in_time(end, tidying::tidy(run, connected)).await;
        run.report.note(Part::Teams, tidied);
    }
    let mended = in_time(end, subscriptions::mend(run, connected, is_full)).await;
    run.report.note(Part::Subscriptions, mended);
    // Before PagerDuty is asked: what is opened in between is in its list and not here, and not the other way round.
    let here = match run.app.store.open_incidents(run.account).await {
        Ok(here) => here,
        Err(error) => {
            run.report.note::<()>(Part::Incidents, Err(error.into()));
            return;
        }
    };
    let plan = Plan::of(round, extent, turn(Part::News), run.app.clock.now());
    let mut heard = BTreeMap::new();
    let mut log = Log::Unknown;
    if plan == Plan::Everything {
        let caught = in_time(end, news::catch_up(run, connected, &here)).await.map(|caught| (caught.ended, caught));
        if let Some(caught) = run.report.note(Part::News, caught) {
            run.report.skipped += caught.skipped;
            (log, heard) = (caught.log, caught.changed);
        }
        round.is_quiet = log == Log::Quiet;
        if extent != Extent::Full && round.is_quiet && round.is_small {
            // Nothing has happened since these were looked at last.
            return;
        }
    }
    let mut looked = Looked { gone: None, seen: HashSet::new() };
    if plan != Plan::WhatIsOver {
        let look = in_time(end, open::look(run, connected, &here, round, is_full)).await;
        match run.report.note(Part::Incidents, look) {
            Some(found) => looked = found,
            None => return,
        }
    }
    let wanted = heard.iter().filter(|(id, _)| !looked.seen.contains(*id)).map(|(id, heard)| (id.clone(), heard.at));
    let wanted = missed::Wanted {
        gone: looked.gone.as_ref(),
        heard: wanted.collect(),
        over: plan == Plan::WhatIsOver || is_full && log == Log::Unknown || round.looked_to.is_some(),
    };
    if !wanted.is_nothing() || turn(Part::Missed) {
        let found = in_time(end, missed::find(run, connected, &here, &wanted, round)).await;
        run.report.note(Part::Missed, found);
    }
    if !heard.is_empty() {
        news::tell(run, connected, heard).await;
    }
    if plan == Plan::Everything {
        details::refresh(run, &here).await;
    }
}

/// A part that hangs is given up, so that what the others have done is noted.
async fn in_time<T>(
    end: Instant,
    part: impl Future<Output = Result<T, ReconcileError>> + Send,
) -> Result<T, ReconcileError> {
    tokio::time::timeout_at(end, Box::pin(part)).await.unwrap_or(Err(ReconcileError::Slow))
}

impl Run<'_> {
    /// Whether there is time to begin something.
    fn has_time(&self) -> bool {
        self.app.clock.now() < self.until
    }

    /// Notes how far the run has come. If that fails, the next one does something twice.
    async fn save(&self, round: &Round) {
        if let Err(error) = self.app.store.put_round(self.account, round).await {
            tracing::error!(error = runtime::chain(&error), "how far this run has come is not noted");
        }
    }
}

/// Webhooks that an earlier version could not read; gives how many were gone past.
async fn look_at_kept(app: &App, account: &AccountId, until: Timestamp) -> Result<(Ended, usize), ReconcileError> {
    let looked = kept::look_again(app, account, until).await?;
    if looked.read > 0 || looked.done > 0 {
        tracing::info!(read = looked.read, done = looked.done, "kept webhooks");
    }
    Ok((looked.ended(), looked.skipped))
}

/// Whether Entra gives the bot a token is found out here, and not only when the next incident comes.
async fn check_bot_token(app: &App) -> Result<(Ended, ()), ReconcileError> {
    match app.bot().check().await {
        Ok(()) => Ok((Ended::Well, ())),
        Err(error) => {
            app.metrics.count(Metric::AppTokenFailures, app.clock.now());
            Err(ReconcileError::BotToken(error))
        }
    }
}

/// The ids of incidents that are open here.
fn ids(here: &[OpenIncident]) -> HashSet<&IncidentId> {
    here.iter().map(|open| &open.id).collect()
}
