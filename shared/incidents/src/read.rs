//! Incidents as PagerDuty tells them to the app.

use domain::ids::{IncidentId, ServiceId};
use domain::incident::Asked;
use pagerduty::rest::{Page, RestIncident, Which};
use runtime::{App, AsAppError};

/// What PagerDuty said of an incident, and when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub incident: RestIncident,
    pub asked: Asked,
}

/// One incident. `None`: the app does not see it (any more).
pub async fn one(app: &App, id: &IncidentId) -> Result<Option<Answer>, AsAppError> {
    let asked = Asked::at(app.clock.now());
    match app.as_app().call(async |api, auth| api.incident(auth, id).await).await {
        Err(error) if error.is_not_found() => Ok(None),
        answer => answer.map(|incident| Some(Answer { incident, asked })),
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
pub async fn all(app: &App, services: &[ServiceId], which: Which) -> Result<Vec<Answer>, AsAppError> {
    let (mut found, mut offset) = (Vec::new(), Some(0));
    while let Some(start) = offset {
        let asked = Asked::at(app.clock.now());
        let next = page(app, services, which, start).await?;
        found.extend(next.items.into_iter().map(|incident| Answer { incident, asked }));
        offset = next.next;
    }
    Ok(found)
}
