//! Incidents that were opened and resolved while nothing was delivered: the channel gets a line of each. They are listed together
//! with those of their time that are open still, so that this look is enough where nothing else is asked.

use domain::healing::Ended;
use domain::ids::ServiceId;
use domain::incident::Asked;
use domain::round::Round;
use incidents::{Answer, Connected, read};
use pagerduty::rest::{Which, narrowing};
use runtime::AsAppError;

use crate::open::is_about_services;
use crate::{ReconcileError, Run};

/// Goes through what was opened, from where the last look has come to.
pub(crate) async fn look(run: &mut Run<'_>, connected: &Connected, round: &mut Round) -> Result<Ended, ReconcileError> {
    let services: Vec<ServiceId> = connected.services.keys().cloned().collect();
    let (app, now) = (run.app, run.app.clock.now());
    let (mut since, mut offset, mut of) = (round.since(now), 0_u32, narrowing(&services));
    let (mut ended, mut is_whole) = (Ended::Well, true);
    loop {
        if services.is_empty() {
            break;
        }
        if !run.has_time() || !run.rate.take() {
            return Ok(Ended::Partly);
        }
        let asked = Asked::at(app.clock.now());
        let page = match read::page(app, of, Which::Created { since, until: now }, offset).await {
            Err(AsAppError::PagerDuty(error)) if !of.is_empty() && is_about_services(&error) => {
                of = &[];
                continue;
            }
            page => page?,
        };
        let count = u32::try_from(page.items.len() + page.skipped).unwrap_or(u32::MAX);
        let last = page.items.iter().filter_map(|incident| incident.snapshot.created_at).max();
        let more = page.next.is_some();
        run.report.skipped += page.skipped;
        let found = page.items.into_iter().filter(|one| connected.services.contains_key(&one.snapshot.service.id));
        let found = found.map(|incident| Answer { incident, asked }).collect();
        let tally = run.observe(found, connected).await?.without(page.skipped);
        ended = ended.max(tally.ended());
        is_whole &= !tally.may_pass;
        match (more, last) {
            (false, _) => break,
            (true, Some(last)) if last > since => (since, offset) = (last, 0),
            // So many in one second.
            (true, _) => offset = offset.saturating_add(count.max(1)),
        }
        round.looked_to = Some(since);
        run.save(round).await;
    }
    round.looked_to = None;
    if is_whole {
        round.before = Some(now);
    }
    Ok(ended)
}
