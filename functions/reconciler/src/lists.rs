//! Lists of incidents, as far as PagerDuty gives them.

use domain::ids::ServiceId;
use jiff::Timestamp;
use pagerduty::rest::{ApiError, Page, RestIncident, Which};
use runtime::AsAppError;

use crate::{ReconcileError, Run};

/// A page's entries, all of which are lost if it cannot be read.
const PAGE: u32 = 100;

/// A page of a list, which is narrowed to services (`of`) unless they are too many. PagerDuty refuses one that is narrowed to a service
/// that it does not know: then all are asked for, now and from then on. A page that cannot be read is gone past.
pub(crate) async fn page(
    run: &mut Run<'_>,
    of: &mut &[ServiceId],
    which: Which,
    offset: u32,
) -> Result<Page<RestIncident>, ReconcileError> {
    let page = match incidents::read::page(run.app, of, which, offset).await {
        Err(AsAppError::PagerDuty(error)) if !of.is_empty() && is_about_services(&error) => {
            tracing::warn!(error = runtime::chain(&error), "the list of these services is refused");
            *of = &[];
            run.rate.spend(1);
            incidents::read::page(run.app, of, which, offset).await
        }
        page => page,
    };
    let page = match page {
        Err(AsAppError::PagerDuty(error @ ApiError::Unreadable { .. })) => {
            tracing::error!(error = runtime::chain(&error), offset, "page of incidents cannot be read");
            Page { items: Vec::new(), next: Some(offset.saturating_add(PAGE)), skipped: PAGE as usize }
        }
        page => page?,
    };
    run.report.skipped += page.skipped;
    Ok(page)
}

/// When these were opened, in the list's order, as far as that can be read.
pub(crate) fn opened(incidents: &[RestIncident]) -> Vec<Timestamp> {
    incidents.iter().filter_map(|incident| incident.snapshot.created_at).collect()
}

fn is_about_services(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { .. }) && !error.class().may_pass() && !error.refuses_token()
}
