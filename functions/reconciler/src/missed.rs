//! What is open here and not in PagerDuty: found in lists of what is over, and asked for one by one only where no list shows it.

use std::collections::{BTreeMap, BTreeSet};

use domain::catch_up::Missing;
use domain::healing::Ended;
use domain::ids::{IncidentId, ServiceId};
use domain::incident::Asked;
use domain::round::Round;
use futures_util::{StreamExt as _, stream};
use incidents::{Answer, read};
use jiff::{SignedDuration, Timestamp};
use pagerduty::rest::{Which, narrowing};

use crate::observed::Tally;
use crate::open::Gone;
use crate::ours::Ours;
use crate::{ReconcileError, Run, lists, over};

/// How many a run looks for: as many as it can ask for, and no more memory for it.
const MOST: usize = 5_000;

/// How many requests lists leave for those that are asked for one by one.
const ALONE: usize = 24;

/// So many that PagerDuty does not give one after another are not the fault of these incidents.
const MOST_IN_VAIN: usize = 3;

/// How many records are read at the same time.
const AT_ONCE: usize = 16;

/// An index may be behind the table, and an incident of this second may not be in a list yet.
const FRESH: SignedDuration = SignedDuration::from_secs(15);

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Wanted<'g> {
    /// Incidents that are open here and not in PagerDuty.
    pub(crate) gone: Option<&'g Gone>,
    /// Incidents of which PagerDuty's log tells and that no list has shown, with when they were opened as far as it says so.
    pub(crate) heard: BTreeMap<IncidentId, Option<Timestamp>>,
    /// Whether those are looked for that came and went unseen.
    pub(crate) over: bool,
}

impl Wanted<'_> {
    pub(crate) fn is_nothing(&self) -> bool {
        !self.over && self.heard.is_empty() && self.gone.is_none_or(|gone| gone.ids.is_empty())
    }
}

/// Finds what was missed. `true`: everything was looked for that is wanted.
pub(crate) async fn find(
    run: &mut Run<'_>,
    ours: &Ours<'_>,
    wanted: &Wanted<'_>,
    round: &mut Round,
) -> Result<(Ended, bool), ReconcileError> {
    round.hidden.keep(|id| ours.has_open(id));
    let (mut ended, is_whole) = in_lists(run, ours, wanted, round).await?;
    if wanted.over {
        ended = ended.max(over::look(run, ours.connected, round).await?);
    }
    Ok((ended, is_whole))
}

async fn in_lists(
    run: &mut Run<'_>,
    ours: &Ours<'_>,
    Wanted { gone, heard, .. }: &Wanted<'_>,
    round: &mut Round,
) -> Result<(Ended, bool), ReconcileError> {
    let now = run.app.clock.now();
    let gone = gone.iter().flat_map(|gone| gone.ids.iter().map(|id| (id, Some(gone.as_of))));
    let gone = gone.filter(|(id, _)| !round.hidden.waits(id, now) && !heard.contains_key(*id));
    let ids: BTreeMap<&IncidentId, Option<Timestamp>> =
        heard.keys().map(|id| (id, None)).chain(gone.take(MOST)).collect();
    let mut all = opened(run, ids).await?;
    for (id, opened) in &mut all {
        *opened = opened.or_else(|| heard.get(id).copied().flatten());
    }
    if all.is_empty() {
        return Ok((Ended::Well, true));
    }
    tracing::info!(incidents = all.len(), "looked for in lists of what is over");
    let wanted: BTreeSet<IncidentId> = all.iter().map(|(id, _)| id.clone()).collect();
    let mut missing = Missing::new(all);
    let of = ours.open.iter().filter(|open| wanted.contains(&open.id)).map(|open| &open.service);
    // What only the log tells of may be of any service that is connected.
    let others = ours.connected.services.keys().filter(|_| !heard.is_empty());
    let of: BTreeSet<&ServiceId> = of.chain(others).collect();
    let of: Vec<ServiceId> = of.into_iter().cloned().collect();
    let (mut of, mut tally) = (narrowing(&of), Tally::default());
    let mut is_whole = true;
    while let Some(span) = missing.span(now) {
        // What no list shows must not wait for all lists: else it would never be known that it is hidden.
        if !run.has_time() || run.rate.left() <= ALONE || !run.rate.take() {
            is_whole = false;
            break;
        }
        let asked = Asked::at(run.app.clock.now());
        let which = Which::Over { since: span.since, until: span.until };
        let page = lists::page(run, &mut of, which, span.offset).await?;
        let shown: Vec<_> =
            page.items.iter().map(|incident| (incident.id.clone(), incident.snapshot.created_at)).collect();
        let found = page.items.into_iter().filter(|one| wanted.contains(&one.id) && ours.matters(one));
        let found = found.map(|incident| Answer { incident, asked }).collect();
        tally = tally.and(run.observe(found, ours.connected).await?).without(page.skipped);
        missing.shown(span, &shown, page.next.is_some());
    }
    let (alone, all_alone) = one_by_one(run, ours, missing.unlisted(), round).await?;
    is_whole &= all_alone;
    let ended = tally.and(alone).ended()?;
    Ok((if is_whole { ended } else { ended.max(Ended::Partly) }, is_whole))
}

/// When each was opened, as far as the table knows it. Of those that were open at a time (`as_of`), without what is too young to be
/// missed.
async fn opened(
    run: &mut Run<'_>,
    wanted: BTreeMap<&IncidentId, Option<Timestamp>>,
) -> Result<Vec<(IncidentId, Option<Timestamp>)>, ReconcileError> {
    let (app, account) = (run.app, run.account);
    let wanted: Vec<(IncidentId, Option<Timestamp>)> =
        wanted.into_iter().map(|(id, as_of)| (id.clone(), as_of)).collect();
    let reading = wanted.into_iter().map(|(id, as_of)| async move {
        let record = app.store.record(account, &id).await;
        (id, as_of, record)
    });
    let mut reading = stream::iter(reading).buffer_unordered(AT_ONCE);
    let (mut known, mut failed) = (Vec::new(), None);
    while let Some((id, as_of, record)) = reading.next().await {
        match record {
            Ok(record) => {
                let opened = record.as_ref().and_then(|stored| stored.record.state()?.created_at);
                let is_fresh = as_of.zip(opened).is_some_and(|(as_of, opened)| as_of.duration_since(opened) <= FRESH);
                if !is_fresh {
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

/// Asks for each by itself. `true`: for all of them.
async fn one_by_one(
    run: &mut Run<'_>,
    ours: &Ours<'_>,
    unlisted: &[IncidentId],
    round: &mut Round,
) -> Result<(Tally, bool), ReconcileError> {
    let (mut tally, mut in_vain) = (Tally::default(), 0);
    for id in unlisted {
        if !run.has_time() || !run.rate.take() {
            return Ok((tally, false));
        }
        match read::one(run.app, id).await {
            Ok(Some(answer)) if !ours.matters(&answer.incident) => {}
            Ok(Some(answer)) => tally = tally.and(run.observe(vec![answer], ours.connected).await?),
            Ok(None) => {
                tracing::warn!(incident.id = %id, "PagerDuty does not show this incident any more");
                round.hidden.note(id, run.app.clock.now());
            }
            Err(error) => {
                let error = ReconcileError::from(error);
                in_vain += 1;
                // One of them may be what PagerDuty cannot give; several are PagerDuty's trouble.
                if error.may_pass() && in_vain >= MOST_IN_VAIN {
                    return Err(error);
                }
                tracing::error!(incident.id = %id, error = runtime::chain(&error), "incident not asked for");
                run.report.skipped += 1;
                round.hidden.note(id, run.app.clock.now());
                tally = tally.without(1);
            }
        }
    }
    Ok((tally, true))
}
