//! Incidents that are old at their first post, as after an outage: whether they are still open is asked of PagerDuty once for all.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::channel::{Facts, Listed, is_late};
use domain::ids::AccountId;
use domain::incident::Status;
use incidents::read;
use runtime::App;
use store::{ListTurn, Look, OpenList};

/// No answer in this time: they are posted.
const ASK: Duration = Duration::from_secs(2);

/// How many incidents are asked for twice, at the end of a page and at the beginning of the next.
const OVERLAP: u32 = 20;

/// PagerDuty lists no more than 10,000 (REST docs, "Pagination").
const PAGING_ENDS: u32 = 9_800;

/// Notes for each late incident that is open as far as is known here whether PagerDuty lists it as such.
pub(crate) async fn ask(app: &App, account: &AccountId, looks: &mut [Look]) -> Result<(), store::Error> {
    let (rules, now) = (&app.config.storm, app.clock.now());
    let is_open = |facts: &Facts| {
        let state = facts.record.as_ref().and_then(|(record, _)| record.state());
        state.is_some_and(|state| state.status != Status::Resolved)
    };
    let may_be_over = |facts: &Facts| facts.connection.is_some() && is_open(facts) && is_late(facts, rules, now);
    if !looks.iter().any(|look| may_be_over(&look.facts)) {
        return Ok(());
    }
    let list = match app.store.open_list(account, now).await? {
        ListTurn::Known(list) => Some(list),
        ListTurn::Mine => fetch(app, account).await?,
        ListTurn::Asking => {
            let late = looks.iter_mut().filter(|look| may_be_over(&look.facts));
            late.for_each(|look| look.facts.listed = Listed::Asking);
            return Ok(());
        }
        ListTurn::Unknown => None,
    };
    let Some(list) = list else { return Ok(()) };
    for facts in looks.iter_mut().map(|look| &mut look.facts).filter(|facts| may_be_over(facts)) {
        let Some((record, _)) = &facts.record else { continue };
        facts.listed = match (list.incidents.contains(&record.id), list.is_whole) {
            (true, _) => Listed::Open,
            (false, true) => Listed::Over,
            (false, false) => Listed::Unknown,
        };
    }
    Ok(())
}

/// As much of the list as comes in time. `None`: nothing came.
async fn fetch(app: &App, account: &AccountId) -> Result<Option<OpenList>, store::Error> {
    let mut list = OpenList { asked_at: app.clock.now(), incidents: BTreeSet::new(), is_whole: false };
    let asking = async {
        let mut offset = Some(0);
        while let Some(start) = offset {
            let page = match read::page(app, &[], pagerduty::rest::Which::Open, start).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(error = runtime::chain(&error), "open incidents not listed");
                    return;
                }
            };
            list.incidents.extend(page.items.into_iter().map(|incident| incident.id));
            // What is resolved meanwhile draws others over the edge between two pages.
            offset = page.next.map(|next| next.saturating_sub(OVERLAP));
            if start >= PAGING_ENDS {
                return;
            }
        }
        list.is_whole = true;
    };
    if tokio::time::timeout(ASK, Box::pin(asking)).await.is_err() {
        tracing::warn!("open incidents not listed in time");
    }
    if list.incidents.is_empty() && !list.is_whole {
        return Ok(None);
    }
    app.store.put_open_list(account, &list).await?;
    Ok(Some(list))
}
