//! Incidents: what PagerDuty says is observed as a webhook would be, and cards that do not show it are marked.

use std::collections::BTreeMap;

use domain::ids::{AccountId, IncidentId, ServiceId};
use domain::round::{self, Round};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::{Connected, Observed, What, observe, read};
use pagerduty::rest::{RestIncident, Which};
use runtime::App;
use store::OpenIncident;

use crate::ReconcileError;

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
    let mut found: BTreeMap<IncidentId, RestIncident> = BTreeMap::new();
    let created = Which::Created { since: round.since(), until: app.clock.now() };
    for which in [Which::Open, created] {
        let listed = read::all(app, services, which).await?;
        found.extend(listed.into_iter().map(|incident| (incident.id.clone(), incident)));
    }
    // Open here and not there: closed or moved meanwhile.
    for known in open {
        if services.contains(&known.service) && !found.contains_key(&known.id) {
            found.extend(read::one(app, &known.id).await?.map(|incident| (known.id.clone(), incident)));
        }
    }
    let cause = round::cause(app.clock.now());
    let observed: Vec<Observed> = stream::iter(found.into_values())
        .map(|incident| observe(app, account, What::Found(incident, connected), &cause))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let learned = observed.iter().filter(|observed| observed.learned).count();
    let marked: usize = observed.iter().map(|observed| observed.marked).sum();
    if learned > 0 || marked > 0 {
        tracing::info!(incidents = learned, cards = marked, "healed");
    }
    Ok(())
}
