//! What is known of open incidents beyond their state: alerts and the like, which no webhook tells.

use domain::round;
use futures_util::{StreamExt as _, stream};
use pagerduty::rest::Api;
use store::OpenIncident;

use crate::Run;

/// Of how many incidents a round asks at most.
const MOST: usize = 60;

const AT_ONCE: usize = 4;

/// Asks for some, other ones each time. Nice to know: what fails stops nothing, and it uses only what the rest has left of the rate.
pub(crate) async fn refresh(run: &mut Run<'_>, open: &[OpenIncident]) {
    let (app, account, now) = (run.app, run.account, run.app.clock.now());
    let room = run.rate.left() / Api::CALLS_FOR_DETAILS;
    let asked = round::share(open, MOST.min(room), now);
    if !run.has_time() || !run.rate.take_many(asked.len() * Api::CALLS_FOR_DETAILS) {
        return;
    }
    let cause = &round::cause(now);
    let asking = asked.into_iter().map(|OpenIncident { id, .. }| async move {
        if let Err(error) = Box::pin(incidents::details::refresh(app, account, &id, cause)).await {
            tracing::warn!(incident.id = %id, error = runtime::chain(&error), "details not refreshed");
        }
    });
    stream::iter(asking).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}
