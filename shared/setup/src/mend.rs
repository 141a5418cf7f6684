//! Mending: what PagerDuty and the table may have lost of each other.

use domain::ids::{AccountId, ServiceId, SubscriptionId};
use runtime::App;

use crate::SetupError;
use crate::connect::{delete_at_pagerduty, end_unused, subscribe, unsubscribe};
use crate::disconnect::SubscriptionEnd;
use crate::lock::one_at_a_time;

/// Sees to it that a connected service has a subscription that delivers: one that is disabled is switched on, one that is
/// gone is made anew.
///
/// # Errors
/// [`SetupError`] if PagerDuty or the table does not answer, or somebody else changes the same service.
pub async fn mend_subscription(app: &App, account: &AccountId, service: &ServiceId) -> Result<(), SetupError> {
    let (app, account, service) = (app.clone(), account.clone(), service.clone());
    let work = async move {
        let mend = async {
            let made = subscribe(&app, &account, &service).await?;
            // The last connection may have gone meanwhile.
            if let Some(made) = made
                && app.store.connections_of_service(&account, &service).await?.is_empty()
            {
                end_unused(&app, &made).await?;
            }
            Ok(())
        };
        one_at_a_time(&app, &account, &service, Box::pin(mend)).await
    };
    runtime::finish(work).await?
}

/// Deletes a subscription of ours at PagerDuty that no service uses. `false`: it is in use after all.
///
/// # Errors
/// As [`mend_subscription`].
pub async fn remove_orphan(
    app: &App,
    account: &AccountId,
    service: &ServiceId,
    id: &SubscriptionId,
) -> Result<bool, SetupError> {
    // Under the lock: somebody may have made it a moment ago, and be about to store it.
    let remove = async {
        let used = app.store.subscription_of_service(account, service).await?;
        if let Some(used) = used.filter(|used| &used.id == id) {
            if !app.store.connections_of_service(account, service).await?.is_empty() {
                return Ok(false);
            }
            return Ok(end_unused(app, &used).await? == SubscriptionEnd::Deleted);
        }
        match app.store.subscription(id).await? {
            Some(retired) => unsubscribe(app, &retired).await?,
            None => delete_at_pagerduty(app, id).await?,
        }
        Ok(true)
    };
    one_at_a_time(app, account, service, Box::pin(remove)).await
}
