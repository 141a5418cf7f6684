//! Incidents that were opened and resolved while nothing was delivered: the channel gets a line of each. They are listed together
//! with those of their time that are open still, so that this look is enough where nothing else is asked.

use domain::catch_up::are_oldest_first;
use domain::healing::Ended;
use domain::ids::ServiceId;
use domain::incident::Asked;
use domain::round::Round;
use incidents::{Answer, Connected};
use pagerduty::rest::{Which, narrowing};

use crate::observed::Tally;
use crate::{ReconcileError, Run, lists};

/// Goes through what was opened, from where the last look has come to.
pub(crate) async fn look(run: &mut Run<'_>, connected: &Connected, round: &mut Round) -> Result<Ended, ReconcileError> {
    let services: Vec<ServiceId> = connected.services.keys().cloned().collect();
    let now = run.app.clock.now();
    let (mut since, mut offset, mut of) = (round.since(now), 0_u32, narrowing(&services));
    let mut all = Tally::default();
    while !services.is_empty() {
        if !run.has_time() || !run.rate.take() {
            return Ok(all.ended()?.max(Ended::Partly));
        }
        let asked = Asked::at(run.app.clock.now());
        let page = lists::page(run, &mut of, Which::Created { since, until: now }, offset).await?;
        let rows = u32::try_from(page.items.len() + page.skipped).unwrap_or(u32::MAX);
        let opened = lists::opened(&page.items);
        let (more, skipped) = (page.next.is_some(), page.skipped);
        let found = page.items.into_iter().filter(|one| connected.services.contains_key(&one.snapshot.service.id));
        let found = found.map(|incident| Answer { incident, asked }).collect();
        all = all.and(run.observe(found, connected).await?.without(skipped));
        let last = opened.last().filter(|last| are_oldest_first(&opened) && **last > since);
        match (more, last) {
            (false, _) => break,
            (true, Some(last)) => (since, offset) = (*last, 0),
            // So many in one second, or they are in no order.
            (true, None) => offset = offset.saturating_add(rows.max(1)),
        }
        round.looked_to = Some(since);
        run.save(round).await;
    }
    round.looked_to = None;
    if !all.may_pass {
        round.before = Some(now);
    }
    all.ended()
}
