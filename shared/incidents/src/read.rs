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

/// A page of the incidents of some services (of all, if none is given); their ids must fit into one address.
pub async fn page(
    app: &App,
    services: &[ServiceId],
    which: Which,
    offset: u32,
) -> Result<Page<RestIncident>, AsAppError> {
    app.as_app().call(async |api, auth| api.incidents(auth, services, which, offset).await).await
}
