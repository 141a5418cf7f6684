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
mod lists;
mod missed;
mod news;
mod observed;
mod open;
mod ours;
mod over;
mod plan;
mod rate;
mod report;
mod subscriptions;
mod tidying;
mod unfinished;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use domain::healing::{Ended, Healing, Part};
use domain::ids::{AccountId, TeamId};
use domain::news::Reading;
use domain::round::Round;
use incidents::Connected;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, BotError, Lock, Metric};
use setup::SetupError;
use store::LockKey;
use tokio::time::Instant;

pub use crate::input::{Extent, Input};
use crate::news::{Caught, Log};
use crate::open::Looked;
use crate::ours::Ours;
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
    /// Each failure is in the log.
    #[error("not one of the incidents could be brought up to date")]
    NothingObserved,
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
            Self::Slow | Self::NothingObserved => true,
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
    began: Instant,
    /// A call that hangs is given up then.
    end: Instant,
    rate: Rate,
    report: Report,
}

/// One run. `left` is the time until Lambda ends the invocation.
pub async fn run(app: &App, extent: Extent, left: Duration) -> Report {
    let began = Instant::now();
    let work = SignedDuration::try_from(left.saturating_sub(RESERVE).min(WORK)).unwrap_or_default();
    let until = app.clock.now().checked_add(work).unwrap_or(Timestamp::MAX);
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
        let end = began + left.saturating_sub(RESERVE / 2);
        let run = Run { app, account: &account, until, began, end, rate: Rate::default(), report };
        // Behind a pointer, or the compiler loses itself in the depth of its type.
        let locked: Pin<Box<dyn Future<Output = Report> + Send + '_>> = Box::pin(locked(run, extent, &healing));
        report = locked.await;
    }
    report.keep(app, healing).await;
    report
}

async fn locked(mut run: Run<'_>, extent: Extent, healing: &Healing) -> Report {
    let spent = SignedDuration::try_from(run.began.elapsed()).unwrap_or_default();
    let lock = match Lock::take(run.app, LockKey::Reconciler(run.account.clone()), LOCK - spent).await {
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
        let full = Full { asked: extent == Extent::Full, is_due: is_full };
        heal(run, &mut connected, &mut round, full, &turn).await;
    }
    if turn(Part::Kept) || round.looks_on {
        let looked = in_time(run.end, look_at_kept(run, &mut round)).await;
        run.report.note(Part::Kept, looked);
    }
    run.save(&round).await;
    if turn(Part::BotToken) {
        let checked = in_time(run.end, check_bot_token(app)).await;
        run.report.note(Part::BotToken, checked);
    }
}

/// Whether everything is looked at.
#[derive(Debug, Clone, Copy)]
struct Full {
    /// Somebody asks for it, whatever is known.
    asked: bool,
    /// It is time for it.
    is_due: bool,
}

async fn heal(
    run: &mut Run<'_>,
    connected: &mut Connected,
    round: &mut Round,
    mut full: Full,
    turn: &(dyn Fn(Part) -> bool + Sync),
) {
    let end = run.end;
    if turn(Part::Teams) {
        let tidied = in_time(end, tidying::tidy(run, connected)).await;
        run.report.note(Part::Teams, tidied);
    }
    let mended = in_time(end, subscriptions::mend(run, connected, full.is_due)).await;
    if run.report.note(Part::Subscriptions, mended).is_some_and(|mended| mended > 0) {
        // Nobody knows how much was lost meanwhile.
        full = Full { asked: true, is_due: true };
    }
    // Before PagerDuty is asked: what is opened in between is in its list and not here, and not the other way round.
    let here = match run.app.store.open_incidents(run.account).await {
        Ok(here) => here,
        Err(error) => {
            run.report.note::<()>(Part::Incidents, Err(error.into()));
            return;
        }
    };
    let ours = Ours::new(connected, &here);
    let plan = Plan::of(round, full, turn(Part::News) || round.reads_on, run.app.clock.now());
    let (mut log, mut heard, mut reading) = (Log::Unknown, BTreeMap::new(), None);
    if plan == Plan::Everything {
        round.reads_on = true;
        let caught = in_time(end, news::catch_up(run, &ours)).await;
        if let Some(caught) = note_news(run, round, caught) {
            (log, heard, reading) = (caught.log, caught.changed, caught.reading);
        }
        // A log that has never told anything may not tell what happens.
        round.is_quiet = log == Log::Quiet && round.log_tells;
        if !full.asked && round.is_quiet && round.is_small {
            // Nothing has happened since these were looked at last.
            run.report.parts.extend([(Part::Incidents, Ended::Well), (Part::Missed, Ended::Well)]);
            if let Some(reading) = reading {
                keep_reading(run, reading).await;
            }
            return;
        }
    }
    let mut looked = Looked::default();
    if plan == Plan::WhatIsOver {
        // The log has its turn again next time, whatever becomes of this.
        round.is_quiet = false;
    } else {
        let look = in_time(end, open::look(run, &ours, round, full.is_due)).await;
        match run.report.note(Part::Incidents, look) {
            Some(found) => looked = found,
            // The log is read once more.
            None => {
                round.reads_on |= plan == Plan::Everything;
                return;
            }
        }
    }
    let wanted = heard.iter().filter(|(id, _)| !looked.seen.contains(*id)).map(|(id, heard)| (id.clone(), heard.at));
    let wanted = missed::Wanted {
        gone: looked.gone.as_ref(),
        heard: wanted.collect(),
        over: plan.looks_at_what_is_over(round, log, full, run.app.clock.now()),
    };
    let mut is_whole = true;
    if wanted.is_nothing() {
        if looked.gone.is_some() {
            run.report.parts.push((Part::Missed, Ended::Well));
        }
    } else {
        let found = in_time(end, missed::find(run, &ours, &wanted, round)).await;
        is_whole = run.report.note(Part::Missed, found).unwrap_or(false);
    }
    let told = tokio::time::timeout_at(end, Box::pin(news::tell(run, connected, heard))).await.is_ok();
    match reading {
        Some(reading) if round.may_go_on(is_whole && told) => keep_reading(run, reading).await,
        Some(_) => round.reads_on = true,
        None => {}
    }
    if plan == Plan::Everything && full.is_due {
        // Nice to know: what does not come in time comes another time.
        let _late = tokio::time::timeout_at(end, details::refresh(run, &here)).await;
    }
}

/// What the log has told; `None`: nothing that could be heard.
fn note_news(run: &mut Run<'_>, round: &mut Round, caught: Result<Caught, ReconcileError>) -> Option<Caught> {
    let mut caught = match caught {
        Ok(caught) => caught,
        Err(error) => return run.report.note(Part::News, Err(error)),
    };
    let ended = caught.failed.take().map_or(Ok((caught.ended, ())), Err);
    run.report.note(Part::News, ended);
    run.report.skipped += caught.skipped;
    round.reads_on = caught.more;
    round.log_tells |= caught.log == Log::Told;
    Some(caught)
}

/// How far the log has been read, when everything that it told is known. If it cannot be kept, it is read once more.
async fn keep_reading(run: &Run<'_>, reading: Reading) {
    if let Err(error) = run.app.store.put_reading(run.account, &reading).await {
        tracing::error!(error = runtime::chain(&error), "how far PagerDuty's log has been read is not noted");
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

/// Webhooks that an earlier version could not read, as many as there is time for.
async fn look_at_kept(run: &mut Run<'_>, round: &mut Round) -> Result<(Ended, ()), ReconcileError> {
    let mut ended = Ended::Well;
    loop {
        let looked = kept::look_again(run.app, run.account, run.until, &mut run.rate).await?;
        run.report.skipped += looked.skipped;
        ended = ended.max(looked.ended());
        round.looks_on = looked.more;
        let done = looked.read + looked.done;
        if done > 0 {
            tracing::info!(read = looked.read, done = looked.done, "kept webhooks");
        }
        if !looked.more || done == 0 || !run.has_time() || run.rate.left() == 0 {
            return Ok((ended, ()));
        }
    }
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
