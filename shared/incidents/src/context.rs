//! What PagerDuty knows around an incident, as a person may see it.
//!
//! All parts are asked for at the same time. What is not there when the person has waited long enough is late, and the rest is shown.

use domain::context::{Context, Part};
use domain::failure::Class;
use domain::ids::IncidentId;
use pagerduty::rest::{Api, ApiError, Auth};
use runtime::{App, PersonError};
use store::StoredLink;
use tokio::time::Instant;

/// How many alerts a page has.
pub const ALERTS_PAGE: u32 = 10;

/// Asks for all of it, with the alerts from `from` on.
///
/// # Errors
/// [`PersonError::NeedsLink`]; [`PersonError::PagerDuty`] if the person may not see the incident at all.
pub async fn context(
    app: &App,
    link: &StoredLink,
    incident: &IncidentId,
    from: u32,
    deadline: Instant,
) -> Result<Context, PersonError> {
    let mut person = app.person(link, deadline);
    let asked = Box::pin(person.call(async |api: &Api, auth: Auth<'_>| ask(api, auth, incident, from).await)).await;
    match asked {
        // Without a token for now, what the record says is better than nothing.
        Err(PersonError::Busy) => Ok(Context::late()),
        Err(PersonError::OAuth(error)) if error.class().may_pass() => {
            tracing::warn!(error = runtime::chain(&error), "no token to read an incident's context with");
            Ok(Context::late())
        }
        answer => answer,
    }
}

/// `Err` at once if the token is refused, since it then is for every part; or if the person may not see the incident.
async fn ask(api: &Api, auth: Auth<'_>, id: &IncidentId, from: u32) -> Result<Context, ApiError> {
    let alerts = Box::pin(async { part("alerts", api.alerts(auth, id, from, ALERTS_PAGE).await) });
    let activity = Box::pin(async { part("activity", api.activity(auth, id).await) });
    let notes = Box::pin(async { part("notes", api.notes(auth, id).await) });
    let responders = Box::pin(async {
        match api.responders(auth, id).await {
            Err(error) if matches!(error.class(), Class::Forbidden | Class::Gone) => Err(error),
            answer => part("responders", answer),
        }
    });
    let past = Box::pin(async { part("past incidents", api.past_incidents(auth, id).await) });
    let related = Box::pin(async { part("related incidents", api.related_incidents(auth, id).await) });
    let changes = Box::pin(async { part("changes", api.related_changes(auth, id).await) });
    let outlier = Box::pin(async { part("outlier", api.outlier(auth, id).await) });
    let impacts = Box::pin(async { part("impacts", api.impacts(auth, id).await) });
    let (alerts, activity, notes, responders, past, related, changes, outlier, impacts) =
        tokio::try_join!(alerts, activity, notes, responders, past, related, changes, outlier, impacts)?;
    Ok(Context { alerts, activity, notes, responders, past, related, changes, outlier, impacts })
}

fn part<T>(what: &'static str, answer: Result<T, ApiError>) -> Result<Part<T>, ApiError> {
    let error = match answer {
        Ok(part) => return Ok(Part::Known(part)),
        Err(error) if error.refuses_token() => return Err(error),
        Err(error) => error,
    };
    let class = error.class();
    // Accounts without the plan for it are no news.
    if !matches!(class, Class::Forbidden | Class::Gone) {
        tracing::warn!(what, error = runtime::chain(&error), "part of an incident's context not read");
    }
    Ok(if class.may_pass() { Part::Late } else { Part::NotGiven })
}
