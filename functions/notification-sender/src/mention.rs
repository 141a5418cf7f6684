//! Who PagerDuty's people are in Teams, as far as they have linked their accounts.

use cards::Called;
use domain::connection::Installation;
use domain::ids::AccountId;
use domain::incident::Actor;
use futures_util::future::join_all;
use runtime::App;

/// Finds those of the team's own tenant. Whoever is not found is called by their name alone.
pub(crate) async fn who_they_are(
    app: &App,
    home: &Installation,
    account: &AccountId,
    people: Vec<Actor>,
) -> Vec<Called> {
    join_all(people.into_iter().map(async |person| {
        let user = match &person.user {
            Some(user) => app.store.linked_to(account, &home.tenant, user).await.unwrap_or_else(|error| {
                tracing::warn!(error = runtime::chain(&error), "who somebody is in Teams is not known");
                None
            }),
            None => None,
        };
        Called { name: person.name, user }
    }))
    .await
}
