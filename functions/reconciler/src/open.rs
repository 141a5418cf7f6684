//! Open incidents, the newest first: a page each minute, all of them every fifth.

use std::collections::HashSet;

use domain::catch_up::Sweep;
use domain::healing::Ended;
use domain::ids::{IncidentId, ServiceId};
use domain::incident::Asked;
use domain::round::Round;
use incidents::Answer;
use jiff::Timestamp;
use pagerduty::rest::{Page, RestIncident, Which, narrowing};

use crate::observed::Tally;
use crate::ours::Ours;
use crate::{ReconcileError, Run, lists};

/// What a look has found out.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// What is open here and not in PagerDuty; `None`: not all of PagerDuty's list was seen.
    pub(crate) gone: Option<Gone>,
    /// Incidents that were on a page of this run.
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
pub(crate) async fn look(
    run: &mut Run<'_>,
    ours: &Ours<'_>,
    round: &mut Round,
    is_full: bool,
) -> Result<(Ended, Looked), ReconcileError> {
    let (app, account, began_at) = (run.app, run.account, run.app.clock.now());
    let services: Vec<ServiceId> = ours.services().into_iter().cloned().collect();
    let mut of = narrowing(&services);
    if !run.rate.take() {
        return Ok((Ended::Partly, Looked::default()));
    }
    let first = lists::page(run, &mut of, Which::Newest, 0).await?;
    let shown: Vec<IncidentId> = first.items.iter().map(|incident| incident.id.clone()).collect();
    let (times, is_all) = (lists::opened(&first.items), first.next.is_none());
    let mut tally = take(run, first, began_at, ours).await?;
    let mut seen: HashSet<IncidentId> = shown.iter().cloned().collect();
    round.is_small = is_all;
    if is_all {
        round.sweep = None;
        return Ok((tally.ended()?, Looked { gone: Some(gone(ours, &seen, began_at)), seen }));
    }
    round.sweep.take_if(|sweep| sweep.is_too_old(began_at));
    if round.sweep.is_none() && is_full {
        let sweep = Sweep::begin(began_at, &times);
        app.store.put_swept(account, &Sweep { pages: 0, ..sweep.clone() }, &shown).await?;
        round.sweep = Some(sweep);
    }
    let Some(mut sweep) = round.sweep.clone() else {
        return Ok((tally.ended()?, Looked { gone: None, seen }));
    };
    loop {
        let calls = if sweep.oldest.is_none() { 2 } else { 1 };
        if !run.has_time() || !run.rate.take_many(calls) {
            tracing::info!(pages = sweep.pages, "the next run goes on");
            return Ok((tally.ended()?.max(Ended::Partly), Looked { gone: None, seen }));
        }
        let oldest = match sweep.oldest {
            Some(oldest) => oldest,
            None => {
                let oldest = lists::page(run, &mut of, Which::Open, 0).await?;
                lists::opened(&oldest.items).into_iter().min().unwrap_or(sweep.until)
            }
        };
        let (span, asked_at) = (sweep.span(), app.clock.now());
        let which = Which::NewestOf { since: span.since, until: span.until };
        let page = lists::page(run, &mut of, which, span.offset).await?;
        let (times, more) = (lists::opened(&page.items), page.next.is_some());
        let rows = page.items.len() + page.skipped;
        let shown: Vec<IncidentId> = page.items.iter().map(|incident| incident.id.clone()).collect();
        tally = tally.and(take(run, page, asked_at, ours).await?);
        seen.extend(shown.iter().cloned());
        app.store.put_swept(account, &sweep, &shown).await?;
        let after = sweep.clone().after(&times, rows, more, oldest);
        round.sweep.clone_from(&after);
        run.save(round).await;
        let Some(next) = after else { break };
        sweep = next;
    }
    let swept = app.store.swept(account, &sweep).await?.into_iter().chain(seen.iter().cloned()).collect();
    Ok((tally.ended()?, Looked { gone: Some(gone(ours, &swept, sweep.began_at)), seen }))
}

/// Observes what matters of a page.
async fn take(
    run: &mut Run<'_>,
    page: Page<RestIncident>,
    asked_at: Timestamp,
    ours: &Ours<'_>,
) -> Result<Tally, ReconcileError> {
    let (asked, skipped) = (Asked::at(asked_at), page.skipped);
    let found = page.items.into_iter().filter(|one| ours.matters(one));
    let found = found.map(|incident| Answer { incident, asked }).collect();
    Ok(run.observe(found, ours.connected).await?.without(skipped))
}

fn gone(ours: &Ours<'_>, seen: &HashSet<IncidentId>, as_of: Timestamp) -> Gone {
    Gone { ids: ours.open.iter().map(|open| &open.id).filter(|id| !seen.contains(*id)).cloned().collect(), as_of }
}
