//! PagerDuty's services, as the app sees them.

use domain::ids::ServiceId;
use domain::incident::ServiceRef;
use pagerduty::rest::{Page, Service};
use runtime::App;

use crate::error::SetupError;

/// The services of the account whose name contains `query`, a page at a time.
pub async fn find_services(app: &App, query: &str, offset: u32, limit: u32) -> Result<Page<ServiceRef>, SetupError> {
    Ok(app.as_app().call(async |api, auth| api.find_services(auth, query, offset, limit).await).await?)
}

/// One service.
///
/// # Errors
/// [`SetupError::ServiceUnknown`] if PagerDuty does not know it.
pub async fn service(app: &App, id: &ServiceId) -> Result<Service, SetupError> {
    app.as_app().call(async |api, auth| api.service(auth, id).await).await.map_err(|error| {
        if error.is_not_found() { SetupError::ServiceUnknown { service: id.clone() } } else { error.into() }
    })
}
