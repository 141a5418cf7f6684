//! Something was learned about an incident: merge it, find out who must show it, open the ledger's lines, ask for a look at
//! the cards, count. Nobody else does any of these.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::connection::Connection;
use domain::failure::Class;
use domain::ids::{AccountId, IncidentId, ServiceId, TeamId};
use domain::incident::{IncidentEvent, IncidentRecord};
use domain::job::{CardJob, Cause};
use domain::ledger::LedgerEntry;
use domain::plan::{CardKey, CardRecord};
use domain::round;
use domain::routing::{self, Channels};
use futures_util::future::join_all;
use jiff::Timestamp;
use runtime::{App, Metric, QueueError};
use store::StoredRecord;

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
    /// Nothing, but these connections were broken for a while: whoever of them wants the incident is to look at it.
    Restored(&'a IncidentRecord, &'a [Connection]),
    /// Nothing: these channels are to look again at what is known.
    Again(&'a IncidentRecord, Channels),
}

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
    /// Whether what was looked for ([`What::Found`]) was not known.
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
}

impl ObserveError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Table(error) => error.class(),
            Self::Queue(error) => error.class(),
        }
    }
}

/// Notes what was learned, and has every card looked at that may be out of date. The record is stored before the queue is
/// told; whoever waits for an answer gets it after both.
pub async fn observe(app: &App, account: &AccountId, what: What<'_>, cause: &Cause) -> Result<Observed, ObserveError> {
    match what {
        What::Event(event) => {
            let timeless = event.occurred_at.is_none();
            let seen_at = if timeless { first_seen(app, account, &event).await?.unwrap_or(cause.at) } else { cause.at };
            let cause = &Cause { happened_at: cause.happened_at.or(Some(seen_at)), ..cause.clone() };
            let stored = merge(app, IncidentRecord::from_event(account.clone(), event, seen_at)).await?;
            let stored = if stored.gap { Box::pin(fill_gap(app, stored)).await? } else { stored };
            let (connections, cards) = Box::pin(concerned(app, &stored.record)).await?;
            let channels = routing::targets(&stored.record, &connections, &cards);
            let (incident, version) = (&stored.record.id, stored.version.0);
            tracing::info!(incident.id = %incident, event.id = %cause.id, channels = channels.len(), version, "merged");
            if channels.is_empty() {
                open_line(app, &LedgerEntry::opened(&stored.record, cause, None, app.clock.now())).await;
            }
            let doubtful = timeless || stored.record.is_ambiguous();
            let observed = mark(app, stored.record, channels, cause).await?;
            Ok(Observed { doubtful, ..observed })
        }
        What::Answer(Answer { incident, asked }) => {
            let stored = merge(app, incident.into_record(account.clone(), asked)).await?;
            let (connections, cards) = Box::pin(concerned(app, &stored.record)).await?;
            let channels = routing::behind(&stored.record, stored.version, &connections, &cards);
            mark(app, stored.record, channels, cause).await
        }
        What::Found(Answer { incident, asked }, connected) => {
            let (stored, cards, learned) = merge_if_new(app, incident.into_record(account.clone(), asked)).await?;
            if !learned && !round::looks_again(&stored.record, cause.at) {
                return Ok(Observed { record: stored.record, healed: false, doubtful: false, marked: 0 });
            }
            let connections = stored.record.state().and_then(|state| connected.services.get(&state.service.id));
            let connections = connections.map_or(&[][..], Vec::as_slice);
            let version = stored.version;
            let channels = routing::stale_channels(&stored.record, version, connections, &cards, &connected.teams);
            if learned {
                app.metrics.count(Metric::IncidentsMerged, cause.at);
            }
            let cause = Cause { id: cause.id.numbered(version.0), ..cause.clone() };
            let observed = mark(app, stored.record, channels, &cause).await?;
            Ok(Observed { healed: learned, ..observed })
        }
        What::Restored(record, connections) => {
            mark(app, record.clone(), routing::targets(record, connections, &[]), cause).await
        }
        What::Again(record, channels) => mark(app, record.clone(), channels, cause).await,
    }
}

async fn merge(app: &App, observed: IncidentRecord) -> Result<StoredRecord, store::Error> {
    app.store.merge_record(observed, app.kept_until()).await
}

/// When an event without a time of its own came first: delivered again, it is the same event.
async fn first_seen(app: &App, account: &AccountId, event: &IncidentEvent) -> Result<Option<Timestamp>, store::Error> {
    let (known, _) = app.store.incident_with_cards(account, &event.incident).await?;
    Ok(known.and_then(|known| known.record.log.iter().find(|entry| entry.id == event.id).map(|entry| entry.at)))
}

/// What was known could not be read, and an event need not tell it again: PagerDuty is asked. What the event told is kept in any
/// case.
async fn fill_gap(app: &App, stored: StoredRecord) -> Result<StoredRecord, store::Error> {
    let IncidentRecord { account, id, .. } = &stored.record;
    match tokio::time::timeout(ASK, read::one(app, id)).await {
        Ok(Ok(Some(Answer { incident, asked }))) => {
            return merge(app, incident.into_record(account.clone(), asked)).await;
        }
        Ok(Ok(None)) => {
            tracing::error!(incident.id = %id, "record was rebuilt from an event alone: PagerDuty does not know it")
        }
        Ok(Err(error)) => {
            tracing::error!(incident.id = %id, error = runtime::chain(&error), "record was rebuilt from an event alone");
        }
        Err(_) => {
            tracing::error!(incident.id = %id, "record was rebuilt from an event alone: PagerDuty does not answer")
        }
    }
    Ok(stored)
}

/// The connections of the incident's service, and its cards.
async fn concerned(app: &App, record: &IncidentRecord) -> Result<(Vec<Connection>, Vec<CardRecord>), store::Error> {
    let connections = async {
        match record.state() {
            Some(state) => app.store.connections_of_service(&record.account, &state.service.id).await,
            None => Ok(Vec::new()),
        }
    };
    let cards = app.store.incident_with_cards(&record.account, &record.id);
    let (connections, (_, cards)) = tokio::try_join!(connections, cards)?;
    Ok((connections, cards))
}

/// Most of what is looked for is known: then nothing is written.
async fn merge_if_new(
    app: &App,
    observed: IncidentRecord,
) -> Result<(StoredRecord, Vec<CardRecord>, bool), store::Error> {
    let (known, cards) = app.store.incident_with_cards(&observed.account, &observed.id).await?;
    let before = known.as_ref().map(|known| known.version);
    let nothing_new = known.filter(|known| known.record.clone().merge(observed.clone()).says_the_same(&known.record));
    let stored = match nothing_new {
        Some(known) if known.unlisted => merge(app, known.record).await?,
        Some(known) => known,
        None => merge(app, observed).await?,
    };
    let learned = before != Some(stored.version);
    Ok((stored, cards, learned))
}

/// Has the cards in these channels looked at, and opens their lines in the ledger.
async fn mark(app: &App, record: IncidentRecord, channels: Channels, cause: &Cause) -> Result<Observed, ObserveError> {
    let key = |(account, incident): (&AccountId, &IncidentId), channel| CardKey {
        account: account.clone(),
        incident: incident.clone(),
        channel,
    };
    let jobs: Vec<CardJob> = channels
        .keys()
        .map(|channel| CardJob::new(key((&record.account, &record.id), channel.clone()), cause))
        .collect();
    let now = app.clock.now();
    let lines: Vec<LedgerEntry> =
        channels.into_iter().map(|channel| LedgerEntry::opened(&record, cause, Some(channel), now)).collect();
    let opened = join_all(lines.iter().map(|line| open_line(app, line)));
    let (queued, _) = tokio::join!(app.queue.send(&jobs), opened);
    queued?;
    if !jobs.is_empty() {
        app.metrics.emit(&[Metric::JobsQueued.times(jobs.len())], now);
    }
    Ok(Observed { record, healed: false, doubtful: false, marked: jobs.len() })
}

/// An incident must not wait for its bookkeeping, so a failure is only logged.
async fn open_line(app: &App, line: &LedgerEntry) {
    if let Err(error) = app.store.open_ledger_line(line, app.config.retention).await {
        tracing::warn!(error = runtime::chain(&error), "ledger line not written");
    }
}
