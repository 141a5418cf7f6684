//! For which account all this is.

use domain::ids::{AccountId, TenantId};
use runtime::App;

use crate::ReconcileError;

/// The account of the PagerDuty app; `None`: nobody has authorized anything yet.
///
/// # Errors
/// [`ReconcileError::NoAccount`] if a team belongs to an account all the same: what says which one it is has been lost.
pub(crate) async fn find(app: &App) -> Result<Option<AccountId>, ReconcileError> {
    if let Some(account) = app.store.known_account_of_app(&app.config.pagerduty_client_id).await? {
        return Ok(Some(account));
    }
    let tenants: Vec<&TenantId> =
        std::iter::once(&app.config.teams_tenant).chain(&app.config.allowed_tenants).collect();
    for tenant in tenants {
        let installations = app.store.installations_of_tenant(tenant).await?;
        if let Some(lost) = installations.into_iter().find(|installation| installation.account.is_some()) {
            return Err(ReconcileError::NoAccount { team: lost.team });
        }
    }
    Ok(None)
}
