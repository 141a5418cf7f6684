//! What only PagerDuty can tell: events without a time, of the future, or that contradict each other.

use domain::cause::Cause;
use domain::ids::{AccountId, IncidentId};
use domain::incident::Asked;
use runtime::{App, AsAppError};

use crate::{Answer, ObserveError, Observed, What, observe, read};

/// What is true could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// PagerDuty did not answer.
    #[error(transparent)]
    PagerDuty(#[from] AsAppError),
    /// The answer was not noted.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// Asks PagerDuty for an incident and observes the answer, which wins against everything that was known before the question.
/// `None`: the app does not see the incident (any more).
pub async fn refresh(
    app: &App,
    account: &AccountId,
    incident: &IncidentId,
    cause: &Cause,
) -> Result<Option<Observed>, RefreshError> {
    let known = match app.store.record(account, incident).await {
        // The answer makes it anew.
        Err(error) if error.is_unreadable() => None,
        known => known.map_err(ObserveError::from)?.map(|known| known.record),
    };
    let (snapshot, status) = known.map(|known| (known.snapshot, known.status_change)).unwrap_or_default();
    let knowing = snapshot.map(|known| known.version.at);
    let knowing_status = status.map(|known| known.version.at);
    let Some(answer) = read::one(app, incident).await? else { return Ok(None) };
    let answer = Answer { asked: Asked { knowing, knowing_status, ..answer.asked }, ..answer };
    Ok(Some(Box::pin(observe(app, account, What::Answer(answer), cause)).await?))
}
