//! Something was learned about an incident: merge it, find out who must show it, mark those channels, store it, wake them,
//! count. Nobody else does any of these.
//!
//! What is unfinished is marked before it is known what it is: a process that dies in between has marked too much, which is
//! harmless, and never too little.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::behind::{Mark, Wish};
use domain::cause::Cause;
use domain::connection::Connection;
use domain::failure::Class;
use domain::ids::{AccountId, ChannelId, IncidentId, ServiceId, TeamId};
use domain::incident::{Happening, IncidentEvent, IncidentRecord, RecordVersion};
use domain::ledger::LedgerEntry;
use domain::plan::CardRecord;
use domain::round;
use domain::routing::{self, Channels};
use runtime::{App, Metric, QueueError, RandomError};
use store::{IncidentItems, Merged, StoredRecord};

use crate::mark::{count, mark, tell, wake, wake_up_calls};
use crate::{Answer, read};

/// How long a webhook waits for what PagerDuty says of an incident of which something stored could not be read. The reconciler finds
/// what does not come in time.
const ASK: Duration = Duration::from_secs(2);

/// What was learned.
#[derive(Debug)]
pub enum What<'a> {
    /// PagerDuty told of a change.
    Event(IncidentEvent),
    /// PagerDuty answered somebody who acted.
    Answer(Answer),
    /// PagerDuty answered somebody who looks for what was missed.
    Found(Answer, &'a Connected),
    /// PagerDuty's log tells of these, whatever webhooks have told; of one incident, which is known here.
    News(&'a IncidentId, &'a [IncidentEvent], &'a Connected),
    /// Nothing, but these connections were broken for a while: whoever of them wants the incident is to look at it.
    Restored(&'a IncidentRecord, &'a [Connection]),
    /// Nothing: these channels are to look again at what is known.
    Again(&'a IncidentRecord, Channels, Wish),
}

/// How often a merge is tried when others change the record at the same time.
const TRIES: usize = 12;

/// What is connected to an account, as one run of the reconciler sees it.
#[derive(Debug, Default)]
pub struct Connected {
    /// The teams that belong to the account.
    pub teams: BTreeSet<TeamId>,
    /// The services with their connections; none has none.
    pub services: BTreeMap<ServiceId, Vec<Connection>>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    pub record: IncidentRecord,
    /// Whether what was looked for ([`What::Found`], [`What::News`]) was not known.
    pub healed: bool,
    /// Whether only PagerDuty can tell what is true now; see [`crate::refresh`].
    pub doubtful: bool,
    pub marked: usize,
}

/// It was not noted, or not everybody was told: to be observed again, which is harmless.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] store::Error),
    /// The queue did not take it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// No randomness to name a message.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl ObserveError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Table(error) => error.class(),
            Self::Queue(error) => error.class(),
            Self::Random(_) => Class::Bug,
        }
    }
}

/// Notes what was learned, and has every card looked at that may be out of date. Whoever waits for an answer gets it after the
/// channels are marked, the record is stored and the queue is told.
pub async fn observe(app: &App, account: &AccountId, what: What<'_>, cause: &Cause) -> Result<Observed, ObserveError> {
    match what {
        What::Event(event) => {
            let timeless = event.occurred_at.is_none();
            let stateless = event.snapshot.is_none() && event.what.as_ref().is_some_and(Happening::brings_state);
            let id = event.incident.clone();
            let known_service = event.snapshot.as_ref().map(|state| state.service.id.clone());
            let of_event = |known: &IncidentItems| {
                // When an event without a time of its own came first: delivered again, it is the same event.
                let log = known.known.iter().flat_map(|known| &known.record.log);
                let first_at = log.filter(|entry| timeless && entry.id == event.id).map(|entry| entry.at).next();
                let seen_at = first_at.unwrap_or(cause.at);
                let cause = Cause { happened_at: cause.happened_at.or(Some(seen_at)), ..cause.clone() };
                (IncidentRecord::from_event(account.clone(), event.clone(), seen_at), cause)
            };
            let targets = |stored: &StoredRecord, connections: &[Connection], cards: &[CardRecord]| {
                routing::targets(&stored.record, connections, cards)
            };
            let concerned = Concerned::Event(known_service);
            let taken = Box::pin(take_in(app, account, &id, of_event, concerned, targets)).await?;
            let taken = if taken.stored.gap { Box::pin(fill_gap(app, account, taken, cause)).await? } else { taken };
            tell(app, &taken.lines).await;
            let (record, version) = (taken.stored.record, taken.stored.version.0);
            tracing::info!(incident.id = %record.id, event.id = %cause.id, channels = taken.marked, version, "merged");
            let doubtful = timeless || stateless || record.is_ambiguous();
            Ok(Observed { record, healed: false, doubtful, marked: taken.marked })
        }
        What::Answer(answer) => {
            let taken = Box::pin(take_answer(app, account, answer, cause)).await?;
            tell(app, &taken.lines).await;
            Ok(Observed { record: taken.stored.record, healed: false, doubtful: false, marked: taken.marked })
        }
        What::Found(Answer { incident, asked }, connected) => {
            let id = incident.id.clone();
            let found = |_: &IncidentItems| (incident.clone().into_record(account.clone(), asked), cause.clone());
            let stale = |stored: &StoredRecord, connections: &[Connection], cards: &[CardRecord]| {
                routing::stale_channels(&stored.record, stored.version, connections, cards, &connected.teams)
            };
            let taken = Box::pin(take_in(app, account, &id, found, Concerned::Known(connected), stale)).await?;
            tell(app, &taken.lines).await;
            if taken.learned {
                app.metrics.count(Metric::IncidentsMerged, cause.at);
            }
            Ok(Observed { record: taken.stored.record, healed: taken.learned, doubtful: false, marked: taken.marked })
        }
        What::News(id, events, connected) => {
            let told = |_: &IncidentItems| {
                let all = events.iter().cloned();
                let all = all.map(|event| IncidentRecord::from_event(account.clone(), event, cause.at));
                (all.fold(IncidentRecord::empty(account.clone(), id.clone()), IncidentRecord::merge), cause.clone())
            };
            let stale = |stored: &StoredRecord, connections: &[Connection], cards: &[CardRecord]| {
                routing::stale_channels(&stored.record, stored.version, connections, cards, &connected.teams)
            };
            let taken = Box::pin(take_in(app, account, id, told, Concerned::Known(connected), stale)).await?;
            tell(app, &taken.lines).await;
            Ok(Observed { record: taken.stored.record, healed: taken.learned, doubtful: false, marked: taken.marked })
        }
        What::Restored(record, connections) => {
            let channels = routing::targets(record, connections, &[]);
            look_again(app, record, channels, cause, Wish::Shown).await
        }
        What::Again(record, channels, wish) => look_again(app, record, channels, cause, wish).await,
    }
}

/// What came of an observation.
struct Taken {
    stored: StoredRecord,
    /// Whether it was new.
    learned: bool,
    marked: usize,
    /// What the ledger is to be told, after everything that the incident needs.
    lines: Vec<LedgerEntry>,
}

/// Where the connections of an incident's service are known from.
enum Concerned<'a> {
    /// From the table, for this service at first: the incident's, unless something newer says otherwise. That nobody wants an event
    /// is told in the ledger.
    Event(Option<ServiceId>),
    /// The same for an answer, of which nobody waits to hear.
    Answer(Option<ServiceId>),
    /// From one reading of all, for whoever looks for what was missed.
    Known(&'a Connected),
}

/// Marks whoever must show it, stores it, wakes them. `observed` makes an observation of what is known, and names its cause.
async fn take_in(
    app: &App,
    account: &AccountId,
    id: &IncidentId,
    observed: impl Fn(&IncidentItems) -> (IncidentRecord, Cause),
    concerned: Concerned<'_>,
    who: impl Fn(&StoredRecord, &[Connection], &[CardRecord]) -> Channels,
) -> Result<Taken, ObserveError> {
    let mut told: BTreeSet<ChannelId> = BTreeSet::new();
    let mut lines = Vec::new();
    for _ in 0..TRIES {
        let guess = match &concerned {
            Concerned::Event(service) | Concerned::Answer(service) => service.as_ref(),
            Concerned::Known(_) => None,
        };
        let guessed = connections_of(app, account, guess);
        let (items, guessed) = tokio::try_join!(app.store.incident(account, id), guessed)?;
        let (observation, cause) = observed(&items);
        let merged = match &concerned {
            Concerned::Known(_) => items.merged_if_new(observation),
            Concerned::Event(_) | Concerned::Answer(_) => items.merged(observation),
        };
        let stored = merged.record();
        let service = stored.record.state().map(|state| &state.service.id);
        let mut mark_once = |channels: Channels, cause: &Cause| -> Vec<Mark> {
            let mut marks = marks_of(app, stored, channels, cause);
            // Tried again, it is still the same cause.
            marks.iter_mut().filter(|mark| !told.insert(mark.channel.clone())).for_each(|mark| mark.cause = None);
            marks
        };
        let mut marks = Vec::new();
        let connections = match &concerned {
            Concerned::Event(guess) | Concerned::Answer(guess) if guess.as_ref() == service => guessed,
            Concerned::Event(_) | Concerned::Answer(_) => {
                // An event that does not name its service: who shows the incident is marked beside asking who else wants it.
                marks = mark_once(who(stored, &[], &items.cards), &cause);
                let (connections, without_room) =
                    tokio::try_join!(connections_of(app, account, service), mark(app, &marks))?;
                lines.extend(without_room);
                connections
            }
            Concerned::Known(connected) => {
                service.and_then(|service| connected.services.get(service)).cloned().unwrap_or_default()
            }
        };
        let mut channels = who(stored, &connections, &items.cards);
        channels.retain(|channel, _| marks.iter().all(|mark| &mark.channel != channel));
        let before = items.known.as_ref().map(|known| known.version);
        let learned = before != Some(stored.version);
        if let (Concerned::Known(_), false) = (&concerned, learned) {
            return found_again(app, &items, merged, channels, &cause).await;
        }
        let cause = match &concerned {
            Concerned::Known(_) => Cause { id: cause.id.numbered(stored.version.0), ..cause },
            Concerned::Event(_) | Concerned::Answer(_) => cause,
        };
        let others = mark_once(channels, &cause);
        lines.extend(mark(app, &others).await?);
        marks.extend(others);
        let put = async {
            match &merged {
                Merged::Nothing(_) => Ok(true),
                Merged::New(stored) => app.store.put_merged(&items, stored, app.kept_until()).await,
            }
        };
        let (put, calls) = tokio::try_join!(put, wake_up_calls(app, &marks))?;
        if put {
            wake(app, &calls).await?;
            count(app, &marks);
            if marks.is_empty() && matches!(concerned, Concerned::Event(_)) {
                lines.push(LedgerEntry::unwanted(&stored.record, &cause, app.clock.now()));
            }
            return Ok(Taken { stored: stored.clone(), learned, marked: marks.len(), lines });
        }
    }
    Err(store::Error::Contended { what: format!("the record of incident {id}") }.into())
}

fn marks_of(app: &App, stored: &StoredRecord, channels: Channels, cause: &Cause) -> Vec<Mark> {
    let rules = &app.config.storm;
    let mark = |channel| Mark::card(&stored.record, stored.version, channel, cause, Wish::Shown, rules);
    channels.into_iter().map(mark).collect()
}

/// What is looked for is known. A card that does not show it is marked, or else somebody has lost that mark.
async fn found_again(
    app: &App,
    items: &IncidentItems,
    merged: Merged,
    channels: Channels,
    cause: &Cause,
) -> Result<Taken, ObserveError> {
    if let Merged::New(unlisted) = &merged {
        app.store.put_merged(items, unlisted, app.kept_until()).await?;
    }
    let stored = merged.record().clone();
    let mut lost = Vec::new();
    if round::looks_again(&stored.record, cause.at) {
        let cause = Cause { id: cause.id.numbered(stored.version.0), ..cause.clone() };
        for mark in marks_of(app, &stored, channels, &cause) {
            if app.store.mark_if_absent(&mark, app.kept_until()).await? {
                lost.push(mark);
            }
        }
    }
    wake(app, &wake_up_calls(app, &lost).await?).await?;
    count(app, &lost);
    Ok(Taken { stored, learned: false, marked: lost.len(), lines: Vec::new() })
}

async fn take_answer(
    app: &App,
    account: &AccountId,
    Answer { incident, asked }: Answer,
    cause: &Cause,
) -> Result<Taken, ObserveError> {
    let id = incident.id.clone();
    let answered = |_: &IncidentItems| (incident.clone().into_record(account.clone(), asked), cause.clone());
    let behind = |stored: &StoredRecord, connections: &[Connection], cards: &[CardRecord]| {
        routing::behind(&stored.record, stored.version, connections, cards)
    };
    let service = answered(&IncidentItems::default()).0.state().map(|state| state.service.id.clone());
    Box::pin(take_in(app, account, &id, answered, Concerned::Answer(service), behind)).await
}

/// What was known could not be read, and an event need not tell it again: PagerDuty is asked. What the event told is kept in any
/// case.
async fn fill_gap(app: &App, account: &AccountId, taken: Taken, cause: &Cause) -> Result<Taken, ObserveError> {
    let id = &taken.stored.record.id;
    let why = match tokio::time::timeout(ASK, read::one(app, id)).await {
        Ok(Ok(Some(answer))) => {
            let cause = Cause { id: cause.id.numbered(1), ..cause.clone() };
            let mut answered = Box::pin(take_answer(app, account, answer, &cause)).await?;
            answered.lines.extend(taken.lines);
            return Ok(answered);
        }
        Ok(Ok(None)) => "PagerDuty does not know it".to_owned(),
        Ok(Err(error)) => runtime::chain(&error),
        Err(_) => "PagerDuty does not answer".to_owned(),
    };
    tracing::error!(incident.id = %id, why, "record was rebuilt from an event alone");
    Ok(taken)
}

async fn connections_of(
    app: &App,
    account: &AccountId,
    service: Option<&ServiceId>,
) -> Result<Vec<Connection>, store::Error> {
    match service {
        Some(service) => app.store.connections_of_service(account, service).await,
        None => Ok(Vec::new()),
    }
}

/// Has the cards in these channels looked at, though nothing new is known.
async fn look_again(
    app: &App,
    record: &IncidentRecord,
    channels: Channels,
    cause: &Cause,
    wish: Wish,
) -> Result<Observed, ObserveError> {
    let mark = |channel| Mark::card(record, RecordVersion(0), channel, cause, wish, &app.config.storm);
    let marks: Vec<Mark> = channels.into_iter().map(mark).collect();
    crate::want(app, &marks).await?;
    Ok(Observed { record: record.clone(), healed: false, doubtful: false, marked: marks.len() })
}
