//! Incidents: what PagerDuty says is observed as a webhook would be, and cards that do not show it are marked.

use std::collections::BTreeMap;

use domain::ids::{AccountId, IncidentId, ServiceId};
use domain::incident::{IncidentRecord, Status};
use domain::round::{self, Round};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::{Answer, Connected, Observed, What, details, observe, read};
use pagerduty::rest::Which;
use runtime::App;
use store::OpenIncident;

use crate::ReconcileError;

/// Of how many open incidents of some services a round asks for alerts and the like.
const DETAILS_AT_ONCE: usize = 60;

/// How many incidents are observed at the same time.
const AT_ONCE: usize = 8;

/// Brings the records of some services' incidents up to date and marks their cards. `open`: what the table takes for open.
pub(crate) async fn refresh(
    app: &App,
    account: &AccountId,
    services: &[ServiceId],
    connected: &Connected,
    open: &[OpenIncident],
    round: &Round,
) -> Result<(), ReconcileError> {
    let mut found: BTreeMap<IncidentId, Answer> = BTreeMap::new();
    let created = Which::Created { since: round.since(), until: app.clock.now() };
    for which in [Which::Open, created] {
        let listed = read::all(app, services, which).await?;
        found.extend(listed.into_iter().map(|answer| (answer.incident.id.clone(), answer)));
    }
    // Of a service that nobody has connected, only what is known already.
    let is_known = |id: &IncidentId| open.iter().any(|open| &open.id == id);
    found.retain(|id, answer| connected.services.contains_key(&answer.incident.snapshot.service.id) || is_known(id));
    // Open here and not there: closed or moved meanwhile.
    for known in open {
        if services.contains(&known.service) && !found.contains_key(&known.id) {
            found.extend(read::one(app, &known.id).await?.map(|answer| (known.id.clone(), answer)));
        }
    }
    let cause = round::cause(app.clock.now());
    let observed: Vec<Observed> = stream::iter(found.into_values())
        .map(|answer| observe(app, account, What::Found(answer, connected), &cause))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let healed = observed.iter().filter(|observed| observed.healed).count();
    let marked: usize = observed.iter().map(|observed| observed.marked).sum();
    if healed > 0 || marked > 0 {
        tracing::info!(incidents = healed, cards = marked, "healed");
    }
    let open = observed.iter().map(|observed| &observed.record).filter(|record| is_open(record));
    let open: Vec<IncidentId> = open.map(|record| record.id.clone()).collect();
    let asked = round::share(&open, DETAILS_AT_ONCE, app.clock.now());
    let cause = &cause;
    // Nice to know: what fails stops nothing.
    let asking = asked.into_iter().map(|id| async move {
        if let Err(error) = details::refresh(app, account, &id, cause).await {
            tracing::warn!(incident.id = %id, error = runtime::chain(&error), "details not refreshed");
        }
    });
    stream::iter(asking).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    Ok(())
}

fn is_open(record: &IncidentRecord) -> bool {
    record.state().is_some_and(|state| state.status != Status::Resolved)
}
