//! What is open here and not in PagerDuty: found in lists of what is over, and asked for one by one only where no list shows it.

use std::collections::{BTreeMap, BTreeSet};

use domain::catch_up::Missing;
use domain::healing::Ended;
use domain::ids::{IncidentId, ServiceId};
use domain::incident::Asked;
use domain::round::Round;
use futures_util::{StreamExt as _, stream};
use incidents::{Answer, Connected, read};
use jiff::{SignedDuration, Timestamp};
use pagerduty::rest::{RestIncident, Which, narrowing};
use runtime::AsAppError;
use store::OpenIncident;

use crate::observed::Tally;
use crate::open::{Gone, is_about_services};
use crate::{ReconcileError, Run, over};

/// How many a run looks for: as many as it can ask for, and no more memory for it.
const MOST: usize = 5_000;

/// How many records are read at the same time.
const AT_ONCE: usize = 16;

/// An index may be behind the table, and an incident of this second may not be in a list yet.
const FRESH: SignedDuration = SignedDuration::from_secs(15);

/// Finds what was missed: incidents that are not open any more (`gone`) and, in a full round, those that came and went unseen.
pub(crate) async fn find(
    run: &mut Run<'_>,
    connected: &Connected,
    here: &[OpenIncident],
    gone: Option<&Gone>,
    round: &mut Round,
    is_full: bool,
) -> Result<(Ended, ()), ReconcileError> {
    let mut ended = Ended::Well;
    if let Some(gone) = gone {
        let open: BTreeSet<&IncidentId> = here.iter().map(|open| &open.id).collect();
        round.hidden.keep(|id| open.contains(id));
        ended = ended.max(closed(run, connected, here, gone, round).await?);
    }
    if is_full || round.looked_to.is_some() {
        ended = ended.max(over::look(run, connected, round).await?);
    }
    Ok((ended, ()))
}

async fn closed(
    run: &mut Run<'_>,
    connected: &Connected,
    here: &[OpenIncident],
    gone: &Gone,
    round: &mut Round,
) -> Result<Ended, ReconcileError> {
    let now = run.app.clock.now();
    let wanted: Vec<&IncidentId> = gone.ids.iter().filter(|id| !round.hidden.waits(id, now)).take(MOST).collect();
    if wanted.is_empty() {
        return Ok(Ended::Well);
    }
    tracing::info!(incidents = wanted.len(), "open here and not in PagerDuty");
    let mut missing = Missing::new(opened(run, &wanted, gone.as_of).await?);
    let services: BTreeMap<&IncidentId, &ServiceId> = here.iter().map(|open| (&open.id, &open.service)).collect();
    let of: BTreeSet<ServiceId> = wanted.iter().filter_map(|id| services.get(id)).map(|id| (*id).clone()).collect();
    let of: Vec<ServiceId> = of.into_iter().collect();
    let (mut of, mut tally) = (narrowing(&of), Tally::default());
    let wanted: BTreeSet<&IncidentId> = wanted.into_iter().collect();
    while let Some(span) = missing.span(now) {
        if !run.has_time() || !run.rate.take() {
            return Ok(Ended::Partly);
        }
        let asked = Asked::at(run.app.clock.now());
        let which = Which::Over { since: span.since, until: span.until };
        let page = match read::page(run.app, of, which, span.offset).await {
            Err(AsAppError::PagerDuty(error)) if !of.is_empty() && is_about_services(&error) => {
                of = &[];
                continue;
            }
            page => page?,
        };
        let shown: Vec<_> =
            page.items.iter().map(|incident| (incident.id.clone(), incident.snapshot.created_at)).collect();
        let found: Vec<RestIncident> =
            page.items.into_iter().filter(|incident| wanted.contains(&incident.id)).collect();
        let found = found.into_iter().map(|incident| Answer { incident, asked }).collect();
        tally = tally.and(run.observe(found, connected).await?);
        missing.shown(span, &shown, page.next.is_some());
    }
    let alone = one_by_one(run, connected, missing.unlisted(), round).await?;
    Ok(tally.ended().max(alone))
}

/// When each was opened, as far as that is known; without those that are too young to be missed.
async fn opened(
    run: &mut Run<'_>,
    wanted: &[&IncidentId],
    as_of: Timestamp,
) -> Result<Vec<(IncidentId, Option<Timestamp>)>, ReconcileError> {
    let (app, account) = (run.app, run.account);
    let wanted: Vec<IncidentId> = wanted.iter().map(|id| (*id).clone()).collect();
    let reading = wanted.into_iter().map(|id| async move {
        let record = app.store.record(account, &id).await;
        (id, record)
    });
    let mut reading = stream::iter(reading).buffer_unordered(AT_ONCE);
    let (mut known, mut failed) = (Vec::new(), None);
    while let Some((id, record)) = reading.next().await {
        match record {
            Ok(record) => {
                let opened = record.as_ref().and_then(|stored| stored.record.state()?.created_at);
                if opened.is_none_or(|opened| as_of.duration_since(opened) > FRESH) {
                    known.push((id, opened));
                }
            }
            // PagerDuty's answer makes it anew.
            Err(error) if error.is_unreadable() => known.push((id, None)),
            Err(error) => {
                tracing::error!(incident.id = %id, error = runtime::chain(&error), "record not read");
                run.report.skipped += 1;
                failed = failed.or(Some(error));
            }
        }
    }
    match failed {
        Some(error) if known.is_empty() => Err(error.into()),
        _ => Ok(known),
    }
}

async fn one_by_one(
    run: &mut Run<'_>,
    connected: &Connected,
    unlisted: &[IncidentId],
    round: &mut Round,
) -> Result<Ended, ReconcileError> {
    let mut ended = Ended::Well;
    for id in unlisted {
        if !run.has_time() || !run.rate.take() {
            return Ok(Ended::Partly);
        }
        match read::one(run.app, id).await {
            Ok(Some(answer)) => ended = ended.max(run.observe(vec![answer], connected).await?.ended()),
            Ok(None) => {
                tracing::warn!(incident.id = %id, "PagerDuty does not show this incident any more");
                round.hidden.note(id, run.app.clock.now());
            }
            Err(error) => {
                let error = ReconcileError::from(error);
                if error.may_pass() {
                    return Err(error);
                }
                tracing::error!(incident.id = %id, error = runtime::chain(&error), "incident not asked for");
                run.report.skipped += 1;
                round.hidden.note(id, run.app.clock.now());
                ended = Ended::Partly;
            }
        }
    }
    Ok(ended)
}
