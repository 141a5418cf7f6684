//! Incidents as PagerDuty tells them to the app.

use domain::ids::{IncidentId, ServiceId};
use pagerduty::rest::{Page, RestIncident, Which};
use runtime::{App, AsAppError};

/// One incident. `None`: the app does not see it (any more).
pub async fn one(app: &App, id: &IncidentId) -> Result<Option<RestIncident>, AsAppError> {
    match app.as_app().call(async |api, auth| api.incident(auth, id).await).await {
        Err(error) if error.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}

/// A page of the incidents of some services; their ids must fit into one address.
pub async fn page(
    app: &App,
    services: &[ServiceId],
    which: Which,
    offset: u32,
) -> Result<Page<RestIncident>, AsAppError> {
    app.as_app().call(async |api, auth| api.incidents(auth, services, which, offset).await).await
}

/// All incidents of some services, page by page, as far as PagerDuty's paging reaches.
pub async fn all(app: &App, services: &[ServiceId], which: Which) -> Result<Vec<RestIncident>, AsAppError> {
    let (mut found, mut offset) = (Vec::new(), Some(0));
    while let Some(start) = offset {
        let next = page(app, services, which, start).await?;
        found.extend(next.items);
        offset = next.next;
    }
    Ok(found)
}
