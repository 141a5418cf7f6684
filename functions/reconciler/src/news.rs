//! News: what happened by PagerDuty's own log, and was not told by webhooks.
//!
//! The account's log is read from where the last look stopped, page by page. What it says of incidents that are known here is
//! observed as webhooks are; of others, and of those that have changed, it is told who they are, so that they are asked for.
//! Where PagerDuty does not show the account's log, the open incidents' own logs are read in turns.

use std::collections::{BTreeMap, BTreeSet};

use domain::failure::Class;
use domain::healing::Ended;
use domain::ids::{AccountId, IncidentId, ServiceId};
use domain::incident::{Happening, IncidentEvent, IncidentRecord, Status, is_future};
use domain::news::{After, Reading};
use domain::round;
use futures_util::{StreamExt as _, stream};
use incidents::{Connected, ObserveError, What, observe};
use jiff::{SignedDuration, Timestamp};
use pagerduty::rest::{ApiError, Change, LogLine, LogPage};
use runtime::{App, AsAppError};
use store::OpenIncident;

use crate::ours::Ours;
use crate::rate::Rate;
use crate::{ReconcileError, Run};

/// How many incidents are looked at at the same time.
const AT_ONCE: usize = 8;

/// How many incidents are named at most that have to be asked for; what is left is read by the next run.
const MOST_CHANGED: usize = 1_000;

/// How many requests the log leaves for those incidents that it names, and for all others.
const KEPT: usize = 45;

/// How many open incidents' own logs a run reads where the account's is not shown, and how far back.
const LOGS_AT_ONCE: usize = 30;
const OWN_LOG: SignedDuration = SignedDuration::from_hours(24);

/// What a look has found.
#[derive(Debug)]
pub(crate) struct Caught {
    /// [`Ended::Partly`]: the next look goes on, or something was skipped.
    pub(crate) ended: Ended,
    /// Incidents that are to be asked for; those who ask [`tell`] what else was heard of them.
    pub(crate) changed: BTreeMap<IncidentId, Heard>,
    /// How many rows could not be read.
    pub(crate) skipped: usize,
    /// What the account's log says about the time since the last look.
    pub(crate) log: Log,
    /// How far it has been read: to be kept when what was heard has been asked for and told.
    pub(crate) reading: Option<Reading>,
    /// Whether there is more than this run could read.
    pub(crate) more: bool,
    /// Why it was not read on.
    pub(crate) failed: Option<ReconcileError>,
}

/// What the account's log says about the time since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// Nothing has happened to any incident.
    Quiet,
    /// Something has.
    Told,
    /// It was not read to its end, or PagerDuty does not show it.
    Unknown,
}

/// What was heard of an incident that is not known here as it is now.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// When it was opened, or what is the oldest that was heard.
    pub(crate) at: Option<Timestamp>,
    /// What happened to one that is not known at all, or could not be noted.
    events: Vec<IncidentEvent>,
}

impl Caught {
    fn nothing() -> Self {
        Self {
            ended: Ended::Well,
            changed: BTreeMap::new(),
            skipped: 0,
            log: Log::Quiet,
            reading: None,
            more: false,
            failed: None,
        }
    }

    fn note(&mut self, id: IncidentId, heard: Heard) {
        let known = self.changed.entry(id).or_default();
        known.at = known.at.into_iter().chain(heard.at).min();
        known.events.extend(heard.events);
    }
}

/// Reads PagerDuty's log from where the last look stopped.
pub(crate) async fn catch_up(run: &mut Run<'_>, ours: &Ours<'_>) -> Result<Caught, ReconcileError> {
    let (app, account, deadline) = (run.app, run.account, run.until);
    let Ours { connected, open, .. } = *ours;
    let rate = &mut run.rate;
    let began = app.clock.now();
    let services = ours.services();
    let mut reading = Reading::begun(app.store.reading(account).await?, began);
    let mut caught = Caught::nothing();
    loop {
        let is_enough = caught.changed.len() >= MOST_CHANGED || rate.left() <= KEPT;
        if app.clock.now() > deadline || is_enough || !rate.take() {
            tracing::info!(since = %reading.since, offset = reading.offset, "the next run reads on in PagerDuty's log");
            (caught.ended, caught.log, caught.more) = (Ended::Partly, Log::Unknown, true);
            return Ok(caught);
        }
        let Reading { since, until, offset, .. } = reading;
        let page = app.as_app().call(async |api, auth| api.log_entries(auth, since, until, offset).await).await;
        let page = match page {
            // What cannot be read of so much may be read of less.
            Err(AsAppError::PagerDuty(error @ ApiError::Unreadable { .. })) => {
                tracing::error!(%since, %until, offset, error = runtime::chain(&error), "page of PagerDuty's log cannot be read");
                caught.skipped += 1;
                caught.ended = Ended::Partly;
                LogPage { lines: Vec::new(), unreadable: 0, next: None, is_cut_off: true }
            }
            Err(error) if is_refused(&error) => {
                tracing::warn!(error = runtime::chain(&error), "PagerDuty does not show the account's log");
                return Box::pin(read_in_turns(app, account, connected, open, rate, deadline)).await;
            }
            // What was heard until then is heard.
            Err(error) => {
                (caught.log, caught.failed) = (Log::Unknown, Some(error.into()));
                return Ok(caught);
            }
            Ok(page) => page,
        };
        if !page.lines.is_empty() || page.unreadable > 0 || page.is_cut_off {
            caught.log = Log::Told;
        }
        let after = match page.next {
            Some(next) => After::Page(next),
            None if page.is_cut_off => After::TooMuch,
            None => After::Nothing,
        };
        Box::pin(take_in(app, account, connected, page, Some(&services), &mut caught)).await;
        reading = reading.after(after);
        caught.reading = Some(reading);
        match reading.next(began) {
            Some(next) => reading = next,
            None => return Ok(caught),
        }
    }
}

/// What was heard of incidents that have been asked for since.
pub(crate) async fn tell(run: &Run<'_>, connected: &Connected, changed: BTreeMap<IncidentId, Heard>) {
    let (app, account) = (run.app, run.account);
    let told = changed.into_iter().filter(|(_, heard)| !heard.events.is_empty()).map(|(id, heard)| async move {
        match app.store.record(account, &id).await {
            Ok(None) => {}
            Ok(Some(known)) => {
                if let Err(error) = note(app, account, connected, &known.record, heard.events).await {
                    tracing::error!(incident.id = %id, error = runtime::chain(&error), "news not noted");
                }
            }
            Err(error) => tracing::error!(incident.id = %id, error = runtime::chain(&error), "news not noted"),
        }
    });
    stream::iter(told).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// One incident's own log: for whoever knows that something has happened to it.
pub(crate) async fn of_incident(
    app: &App,
    account: &AccountId,
    connected: &Connected,
    id: &IncidentId,
    rate: &mut Rate,
    caught: &mut Caught,
) -> Result<(), AsAppError> {
    let since = app.clock.now().checked_sub(OWN_LOG).unwrap_or(Timestamp::MIN);
    let mut offset = Some(0);
    while let Some(start) = offset {
        if !rate.take() {
            caught.ended = Ended::Partly;
            return Ok(());
        }
        let page = app.as_app().call(async |api, auth| api.log_entries_of(auth, id, since, start).await).await?;
        offset = page.next;
        Box::pin(take_in(app, account, connected, page, None, caught)).await;
    }
    Ok(())
}

async fn read_in_turns(
    app: &App,
    account: &AccountId,
    connected: &Connected,
    open: &[OpenIncident],
    rate: &mut Rate,
    deadline: Timestamp,
) -> Result<Caught, ReconcileError> {
    let mut caught = Caught { log: Log::Unknown, ..Caught::nothing() };
    if open.len() > LOGS_AT_ONCE {
        caught.ended = Ended::Partly;
    }
    for known in round::share(open, LOGS_AT_ONCE, app.clock.now()) {
        if app.clock.now() > deadline {
            caught.ended = Ended::Partly;
            break;
        }
        match of_incident(app, account, connected, &known.id, rate, &mut caught).await {
            Ok(()) => {}
            // It may be the one that nobody may see.
            Err(error) if matches!(error.class(), Class::Forbidden | Class::Gone | Class::Invalid | Class::Bug) => {
                tracing::error!(incident.id = %known.id, error = runtime::chain(&error), "its log cannot be read");
                caught.skipped += 1;
                caught.ended = Ended::Partly;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(caught)
}

/// PagerDuty does not do this for us, however often it is asked.
fn is_refused(error: &AsAppError) -> bool {
    let AsAppError::PagerDuty(ApiError::Refused { status, .. }) = error else { return false };
    matches!(status, 400..=499) && !matches!(status, 401 | 408)
}

/// Observes what a page says. `services`: of which services it is wanted, if not of all.
async fn take_in(
    app: &App,
    account: &AccountId,
    connected: &Connected,
    page: LogPage,
    services: Option<&BTreeSet<&ServiceId>>,
    caught: &mut Caught,
) {
    let now = app.clock.now();
    let is_wanted = |line: &LogLine| {
        line.service.as_ref().is_none_or(|service| services.is_none_or(|services| services.contains(service)))
    };
    let (lines, from_the_future): (Vec<LogLine>, Vec<LogLine>) =
        page.lines.into_iter().filter(is_wanted).partition(|line| !is_future(line.at, now));
    let unreadable = page.unreadable + from_the_future.len();
    if unreadable > 0 {
        tracing::error!(rows = unreadable, "rows of PagerDuty's log cannot be read");
        caught.skipped += unreadable;
        caught.ended = Ended::Partly;
    }
    let mut incidents: BTreeMap<IncidentId, Vec<LogLine>> = BTreeMap::new();
    for line in lines {
        incidents.entry(line.incident.clone()).or_default().push(line);
    }
    let looks = incidents.into_iter().map(|(id, lines)| async move {
        let heard = look(app, account, connected, &id, lines).await;
        (id, heard)
    });
    let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
    while let Some((id, heard)) = looks.next().await {
        heard.into_iter().for_each(|heard| caught.note(id.clone(), heard));
    }
}

/// Notes what is new of an incident; what is left to do about it, if anything is.
async fn look(
    app: &App,
    account: &AccountId,
    connected: &Connected,
    id: &IncidentId,
    lines: Vec<LogLine>,
) -> Option<Heard> {
    let opened = lines.iter().filter(|line| line.change == Change::Triggered).map(|line| line.at).min();
    let at = opened.or_else(|| lines.iter().map(|line| line.at).min());
    let changes: Vec<(Timestamp, Change)> = lines.iter().map(|line| (line.at, line.change)).collect();
    let events: Vec<IncidentEvent> = lines.into_iter().filter_map(|line| line.event).collect();
    let known = match app.store.record(account, id).await {
        Ok(Some(known)) => known.record,
        Ok(None) => {
            let has_changed = changes.iter().any(|(_, change)| *change != Change::Nothing);
            return has_changed.then_some(Heard { at, events });
        }
        Err(error) => {
            tracing::error!(incident.id = %id, error = runtime::chain(&error), "news not compared");
            return Some(Heard { at, events });
        }
    };
    // Told when PagerDuty has said what it is now: that names what the log has by its id.
    if changes.into_iter().any(|change| is_behind(&known, change)) {
        return Some(Heard { at, events });
    }
    match note(app, account, connected, &known, events.clone()).await {
        Ok(()) => None,
        Err(error) => {
            tracing::error!(incident.id = %id, error = runtime::chain(&error), "news not noted");
            Some(Heard { at, events })
        }
    }
}

/// Observes what is new, all at once.
async fn note(
    app: &App,
    account: &AccountId,
    connected: &Connected,
    known: &IncidentRecord,
    events: Vec<IncidentEvent>,
) -> Result<(), ObserveError> {
    let events: Vec<IncidentEvent> = events
        .into_iter()
        .filter_map(|event| Some(IncidentEvent { what: Some(by_name(event.what?, known)?), ..event }))
        .collect();
    let cause = round::cause(app.clock.now());
    let news = events.iter().fold(known.clone(), |news, event| {
        news.merge(IncidentRecord::from_event(account.clone(), event.clone(), cause.at))
    });
    if news.says_the_same(known) {
        return Ok(());
    }
    let observed = Box::pin(observe(app, account, What::News(&known.id, &events, connected), &cause)).await?;
    tracing::info!(incident.id = %known.id, cards = observed.marked, "news from PagerDuty's log");
    Ok(())
}

/// Whether what is known of an incident is older than a change of which the log tells.
fn is_behind(known: &IncidentRecord, (at, change): (Timestamp, Change)) -> bool {
    let Some(snapshot) = &known.snapshot else { return change != Change::Nothing };
    let is_resolved = snapshot.value.status == Status::Resolved;
    // The log has whole seconds.
    let may_be_later = at.checked_add(SignedDuration::from_secs(1)).unwrap_or(at) > snapshot.version.at;
    match change {
        Change::Nothing => false,
        // Each alert of an open incident raises it again.
        Change::Triggered => is_resolved && may_be_later,
        Change::Resolved => !is_resolved && may_be_later,
        Change::Other => at > snapshot.version.at,
    }
}

/// Where the log names a priority or a service by its id. `None`: nobody could read it, and the card shows what it is now.
fn by_name(what: Happening, known: &IncidentRecord) -> Option<Happening> {
    let state = known.state();
    Some(match what {
        Happening::PriorityChanged { to: Some(to) } if is_like_an_id(&to) => {
            let priority = state.and_then(|state| state.priority.as_ref());
            let named = priority.filter(|priority| priority.id.as_ref().is_some_and(|id| id.as_str() == to));
            Happening::PriorityChanged { to: Some(named?.name.clone()) }
        }
        Happening::ServiceChanged { to } if is_like_an_id(&to) => {
            let service = state.map(|state| &state.service).filter(|service| service.id.as_str() == to);
            Happening::ServiceChanged { to: service.map(|service| service.name.clone()).unwrap_or_default() }
        }
        other => other,
    })
}

/// As in `PIJ90N7`.
fn is_like_an_id(text: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    text.len() >= 7 && text.starts_with(['P', 'Q', 'R']) && text.bytes().all(is_of_one)
}
