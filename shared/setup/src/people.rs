//! What PagerDuty lets a person set up. PagerDuty is asked each time: a role that was taken away counts at once.

use domain::ids::{AccountId, EntraUserId, PdUserId, TenantId};
use domain::permission::Rank;
use pagerduty::rest::{Role, User};
use runtime::App;
use store::Admin;

use crate::error::SetupError;

/// What a base role allows (guide, "App Commands": Admins, and Admins and Managers).
fn rank(role: &Role) -> Rank {
    match role {
        Role::Owner | Role::Admin => Rank::Admin,
        Role::User => Rank::Manager,
        Role::LimitedUser | Role::Other(_) => Rank::Member,
    }
}

/// A PagerDuty user as the app sees them now. `None`: the account that the app belongs to has no such user.
pub async fn admin(app: &App, user: &PdUserId) -> Result<Option<Admin>, SetupError> {
    match app.as_app().call(async |api, auth| api.user(auth, user).await).await {
        Ok(user) => Ok(Some(known(user))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a linked Teams user may set up; `None`: they are not linked to the account.
pub async fn rank_of(
    app: &App,
    tenant: &TenantId,
    user: &EntraUserId,
    account: &AccountId,
) -> Result<Option<Rank>, SetupError> {
    let Some(stored) = app.store.link(tenant, user, account).await? else { return Ok(None) };
    Ok(Some(admin(app, &stored.link.pd_user).await?.map(|admin| admin.rank).unwrap_or_default()))
}

fn known(user: User) -> Admin {
    let role = match &user.role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::User => "user",
        Role::LimitedUser => "limited_user",
        Role::Other(name) => name,
    };
    Admin { rank: rank(&user.role), role: role.to_owned(), user: user.id, name: user.name, email: user.email }
}
