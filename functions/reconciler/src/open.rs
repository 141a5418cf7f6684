//! Open incidents, the newest first: a page each minute, all of them every fifth.

use std::collections::{BTreeSet, HashSet};

use domain::catch_up::Sweep;
use domain::healing::Ended;
use domain::ids::{IncidentId, ServiceId};
use domain::incident::Asked;
use domain::round::Round;
use incidents::{Answer, Connected, read};
use jiff::Timestamp;
use pagerduty::rest::{Page, RestIncident, Which, narrowing};
use runtime::AsAppError;
use store::OpenIncident;

use crate::{ReconcileError, Run, ids};

/// What a look has found out.
#[derive(Debug)]
pub(crate) struct Looked {
    /// What is open here and not in PagerDuty; `None`: not all of PagerDuty's list was seen.
    pub(crate) gone: Option<Gone>,
    /// Incidents that were on a page of this look.
    pub(crate) seen: HashSet<IncidentId>,
}

/// What is open here and not there.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) ids: Vec<IncidentId>,
    /// What was opened later than this may have been missed by the list.
    pub(crate) as_of: Timestamp,
}

/// Looks at the newest open incidents and, in a full round, at all of them: from where the last run stopped.
///
/// `here`: what is open here, read before.
pub(crate) async fn look(
    run: &mut Run<'_>,
    connected: &Connected,
    here: &[OpenIncident],
    round: &mut Round,
    is_full: bool,
) -> Result<(Ended, Looked), ReconcileError> {
    let (app, account, began_at) = (run.app, run.account, run.app.clock.now());
    let services = services_of(connected, here);
    let services = narrowing(&services);
    let Some((services, first)) = newest(run, services).await? else {
        return Ok((Ended::Partly, Looked { gone: None, seen: HashSet::new() }));
    };
    let mut seen: HashSet<IncidentId> = first.items.iter().map(|incident| incident.id.clone()).collect();
    let last = opened(&first.items).min();
    let is_all = first.next.is_none();
    let mut tally = take(run, first, began_at, connected, here).await?;
    round.is_small = is_all;
    if is_all {
        round.sweep = None;
        return Ok((tally.ended(), Looked { gone: Some(gone(here, &seen, began_at)), seen }));
    }
    let begins = round.sweep.is_none();
    if begins && is_full {
        let sweep = Sweep::begin(began_at, last);
        app.store.put_swept(account, &Sweep { pages: 0, ..sweep.clone() }, &sorted(&seen)).await?;
        round.sweep = Some(sweep);
    }
    let Some(mut sweep) = round.sweep.clone() else {
        return Ok((tally.ended(), Looked { gone: None, seen }));
    };
    loop {
        let calls = if sweep.oldest.is_none() { 2 } else { 1 };
        if !run.has_time() || !run.rate.take_many(calls) {
            tracing::info!(pages = sweep.pages, "the next run goes on");
            return Ok((Ended::Partly, Looked { gone: None, seen }));
        }
        let oldest = match sweep.oldest {
            Some(oldest) => oldest,
            None => {
                let oldest = read::page(app, services, Which::Open, 0).await?;
                opened(&oldest.items).min().unwrap_or(sweep.until)
            }
        };
        let (span, asked_at) = (sweep.span(), app.clock.now());
        let which = Which::NewestOf { since: span.since, until: span.until };
        let page = read::page(app, services, which, span.offset).await?;
        let (times, more): (Vec<Timestamp>, bool) = (opened(&page.items).collect(), page.next.is_some());
        let rows = page.items.len() + page.skipped;
        let shown: Vec<IncidentId> = page.items.iter().map(|incident| incident.id.clone()).collect();
        tally = tally.and(take(run, page, asked_at, connected, here).await?);
        seen.extend(shown.iter().cloned());
        app.store.put_swept(account, &sweep, &shown).await?;
        let after = sweep.clone().after(&times, rows, more, oldest);
        round.sweep.clone_from(&after);
        run.save(round).await;
        let Some(next) = after else { break };
        sweep = next;
    }
    seen.extend(app.store.swept(account, &sweep).await?);
    Ok((tally.ended(), Looked { gone: Some(gone(here, &seen, sweep.began_at)), seen }))
}

/// The services whose incidents matter: those that are connected, and those to which incidents have moved that are open here.
fn services_of(connected: &Connected, here: &[OpenIncident]) -> Vec<ServiceId> {
    let services: BTreeSet<&ServiceId> =
        connected.services.keys().chain(here.iter().map(|open| &open.service)).collect();
    services.into_iter().cloned().collect()
}

/// The first page. A list that is narrowed to services is refused if PagerDuty does not know one of them: then it is asked for
/// without. `None`: this run has asked too much already.
async fn newest<'s>(
    run: &mut Run<'_>,
    services: &'s [ServiceId],
) -> Result<Option<(&'s [ServiceId], Page<RestIncident>)>, ReconcileError> {
    if !run.rate.take() {
        return Ok(None);
    }
    match read::page(run.app, services, Which::Newest, 0).await {
        Err(AsAppError::PagerDuty(error)) if !services.is_empty() && is_about_services(&error) => {
            tracing::warn!(error = runtime::chain(&error), "the list of these services is refused");
            run.rate.take();
            Ok(Some((&[], read::page(run.app, &[], Which::Newest, 0).await?)))
        }
        page => Ok(Some((services, page?))),
    }
}

pub(crate) fn is_about_services(error: &pagerduty::rest::ApiError) -> bool {
    !error.class().may_pass() && !error.refuses_token()
}

fn opened(incidents: &[RestIncident]) -> impl Iterator<Item = Timestamp> {
    incidents.iter().filter_map(|incident| incident.snapshot.created_at)
}

/// Observes a page. Of a service that nobody has connected, only what is known already.
async fn take(
    run: &mut Run<'_>,
    page: Page<RestIncident>,
    asked_at: Timestamp,
    connected: &Connected,
    here: &[OpenIncident],
) -> Result<crate::observed::Tally, ReconcileError> {
    let known = ids(here);
    let matters = |incident: &RestIncident| {
        connected.services.contains_key(&incident.snapshot.service.id) || known.contains(&incident.id)
    };
    let (asked, skipped) = (Asked::at(asked_at), page.skipped);
    run.report.skipped += skipped;
    let found = page.items.into_iter().filter(matters).map(|incident| Answer { incident, asked }).collect();
    Ok(run.observe(found, connected).await?.without(skipped))
}

fn gone(here: &[OpenIncident], seen: &HashSet<IncidentId>, as_of: Timestamp) -> Gone {
    Gone { ids: here.iter().map(|open| &open.id).filter(|id| !seen.contains(*id)).cloned().collect(), as_of }
}

fn sorted(seen: &HashSet<IncidentId>) -> Vec<IncidentId> {
    let mut ids: Vec<IncidentId> = seen.iter().cloned().collect();
    ids.sort();
    ids
}
