//! Who PagerDuty's people are in Teams, as far as they have linked their accounts.

use cards::Called;
use domain::connection::Installation;
use domain::ids::AccountId;
use domain::incident::Actor;
use futures_util::future::try_join_all;
use runtime::App;

/// Finds those of the team's own tenant. Whoever is not linked is called by their name alone.
pub(crate) async fn who_they_are(
    app: &App,
    home: &Installation,
    account: &AccountId,
    people: Vec<Actor>,
) -> Result<Vec<Called>, store::Error> {
    try_join_all(people.into_iter().map(async |person| {
        let user = match &person.user {
            Some(user) => app.store.linked_to(account, &home.tenant, user).await?,
            None => None,
        };
        Ok(Called { name: person.name, user })
    }))
    .await
}
