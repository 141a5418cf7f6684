//! Incidents: what PagerDuty says is merged as a webhook would be, and cards that do not show it are marked.

use std::collections::BTreeMap;

use domain::ids::{AccountId, IncidentId, ServiceId};
use domain::incident::{IncidentRecord, RecordVersion};
use domain::job::{CardJob, Cause, Occasion};
use domain::routing::stale_channels;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use pagerduty::rest::{RestIncident, Which};
use runtime::{App, Metric};
use setup::SetupError;
use store::Round;

use crate::{Connected, ReconcileError};

/// How many incidents are merged at the same time.
const AT_ONCE: usize = 8;

/// A younger change is still on its way through the queue.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(1);

/// A card that has been out of date for longer is marked in one of [`SLOTS`] runs only: its channel has trouble, and every
/// mark costs a try.
const OFTEN: SignedDuration = SignedDuration::from_mins(20);
const SLOTS: i64 = 6;
const SLOT: i64 = 300;

/// Brings the records of some services' incidents up to date and marks their cards. `open`: what the table takes for open.
pub(crate) async fn refresh(
    app: &App,
    account: &AccountId,
    services: &[ServiceId],
    connected: &Connected,
    open: &[IncidentRecord],
    round: &Round,
) -> Result<(), ReconcileError> {
    let mut found: BTreeMap<IncidentId, RestIncident> = BTreeMap::new();
    let created = Which::Created { since: round.since(), until: app.clock.now() };
    for which in [Which::Open, created] {
        let mut offset = Some(0);
        while let Some(start) = offset {
            let page = setup::incidents(app, services, which, start).await?;
            found.extend(page.items.into_iter().map(|incident| (incident.id.clone(), incident)));
            offset = page.next;
        }
    }
    // Open here and not there: closed or moved meanwhile.
    for record in open {
        let theirs = record.state().is_some_and(|state| services.contains(&state.service.id));
        if theirs && !found.contains_key(&record.id) {
            found.extend(setup::incident(app, &record.id).await?.map(|incident| (record.id.clone(), incident)));
        }
    }
    let looked: Vec<Looked> = stream::iter(found.into_values())
        .map(|incident| look(app, account, incident, connected))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let jobs: Vec<CardJob> = looked.iter().flat_map(|looked| looked.jobs.iter().cloned()).collect();
    app.queue.send(&jobs).await.map_err(SetupError::from)?;
    let merged = looked.iter().filter(|looked| looked.learned).count();
    if merged > 0 || !jobs.is_empty() {
        tracing::info!(incidents = merged, cards = jobs.len(), "healed");
    }
    let figures = [Metric::IncidentsMerged.times(merged), Metric::JobsQueued.times(jobs.len())];
    app.metrics.emit(&figures, app.clock.now());
    Ok(())
}

/// One incident that was looked at.
struct Looked {
    /// PagerDuty knew something that we did not.
    learned: bool,
    jobs: Vec<CardJob>,
}

async fn look(
    app: &App,
    account: &AccountId,
    incident: RestIncident,
    connected: &Connected,
) -> Result<Looked, ReconcileError> {
    let observed = incident.into_record(account.clone());
    let (known, cards) = app.store.incident_with_cards(account, &observed.id).await?;
    let before = known.as_ref().map(|known| known.version);
    let nothing_new = known.filter(|known| known.record.clone().merge(observed.clone()) == known.record);
    let stored = match nothing_new {
        Some(known) => known,
        None => app.store.merge_record(observed).await?,
    };
    let learned = before != Some(stored.version);
    let now = app.clock.now();
    let changed_at = stored.record.snapshot.as_ref().map(|snapshot| snapshot.version.at);
    if !learned && !changed_at.is_some_and(|at| is_due(&stored.record.id, at, now)) {
        return Ok(Looked { learned, jobs: Vec::new() });
    }
    let connections = stored.record.state().and_then(|state| connected.services.get(&state.service.id));
    let connections = connections.map_or(&[][..], Vec::as_slice);
    let stale = stale_channels(&stored.record, stored.version, connections, &cards, &connected.teams);
    Ok(Looked { learned, jobs: cause(stored.version, now).jobs(account, &stored.record.id, stale) })
}

/// The same for two runs at the same time, and another one in the next.
fn cause(version: RecordVersion, now: Timestamp) -> Cause {
    let id = format!("reconciled-{}-{}", version.0, now.as_second() / SLOT);
    Cause { id, occasion: Occasion::Reconciled, at: now }
}

/// Whether it is time to mark a card that is out of date although nothing new was learned of its incident, which changed then.
fn is_due(incident: &IncidentId, changed_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(changed_at);
    let turn: i64 = incident.as_str().bytes().map(i64::from).sum::<i64>() % SLOTS;
    age >= ON_ITS_WAY && (age < OFTEN || now.as_second() / SLOT % SLOTS == turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_stays_behind_is_marked_in_every_run_at_first_and_then_twice_an_hour() {
        let changed_at = Timestamp::from_second(1_795_424_400).unwrap();
        let incident = IncidentId::new("I").unwrap();
        let marked = |from_minute: i64, to_minute: i64| {
            let runs = (from_minute..to_minute).filter(|minute| minute % 5 == 0);
            runs.filter(|minute| is_due(&incident, changed_at, changed_at + SignedDuration::from_mins(*minute))).count()
        };
        assert_eq!(marked(0, 1), 0, "still on its way");
        assert_eq!(marked(5, 20), 3);
        assert_eq!(marked(30, 90), 2);
        assert_eq!(marked(60 * 24, 60 * 25), 2, "for as long as it is wrong");
    }
}
