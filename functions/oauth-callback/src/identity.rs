//! Who logged in at PagerDuty.

use domain::ids::AccountId;
use pagerduty::oauth::{Grant, missing_scopes};
use pagerduty::rest::User;
use runtime::App;

use crate::outcome::{Failure, oauth};

/// The person whom the id token names, as PagerDuty's API describes them, and their account, if PagerDuty granted all that
/// was asked for. `wanted`: the only account that they may belong to.
pub(crate) async fn who(
    app: &App,
    grant: &Grant,
    scopes: &'static [&'static str],
    wanted: Option<&AccountId>,
) -> Result<(AccountId, User), Failure> {
    let missing = missing_scopes(grant, scopes);
    if !missing.is_empty() {
        tracing::warn!(missing = missing.join(" "), "PagerDuty granted less than asked for");
        return Err(Failure::MissingScopes);
    }
    let id_token = grant.id_token.as_ref().ok_or(Failure::Broken)?;
    let named = app.oauth.identity(id_token, app.clock.now()).map_err(oauth)?;
    if wanted.is_some_and(|account| account != &named.account) {
        return Err(Failure::WrongAccount);
    }
    let user = app.pagerduty.me(&grant.access_token).await.map_err(|error| {
        tracing::warn!(error = runtime::chain(&error), "PagerDuty does not say who logged in");
        if error.refuses_token() { Failure::TokenRefused } else { Failure::TryAgain }
    })?;
    if user.id != named.user {
        tracing::error!("the id token and the API name different users");
        return Err(Failure::Broken);
    }
    Ok((named.account, user))
}
