//! Teams that have left the account, and what is left of them here.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{AccountId, ServiceId, TeamId};
use incidents::{Connected, place};
use runtime::App;
use store::Subscription;

use crate::ReconcileError;

/// Finishes disconnections that broke off, and removes connections of teams that do not belong to the account (any more).
/// Gives what is connected, and the first failure of the tidying, which must not keep incidents from being looked at.
pub(crate) async fn tidy(
    app: &App,
    account: &AccountId,
) -> Result<(Connected, Result<(), ReconcileError>), ReconcileError> {
    let mut tidied = Ok(());
    for installation in app.store.teams_leaving_account(account).await? {
        tracing::info!(team.id = %installation.team, "finishing a disconnection");
        if let Err(error) = setup::finish_leaving(app, &installation).await {
            tidied = tidied.and(Err(error.into()));
        }
    }
    let installations = app.store.teams_of_account(account).await?;
    let teams = installations.iter().map(|installation| installation.team.clone()).collect::<BTreeSet<_>>();
    let subscriptions = app.store.subscriptions_of_account(account).await?;
    reseal(app, &subscriptions).await;
    let mut known: BTreeSet<ServiceId> = subscriptions.into_iter().map(|subscription| subscription.service).collect();
    for team in &teams {
        let connections = app.store.connections_of_team(team).await?;
        known.extend(connections.into_iter().filter(|c| &c.account == account).map(|c| c.service));
    }
    let mut connected = Connected { teams, services: BTreeMap::new() };
    for service in known {
        for connection in app.store.connections_of_service(account, &service).await? {
            let belongs = match belongs(app, account, &connected, &connection.team).await {
                // Of a newer version, perhaps: nothing is posted there for now, and nothing is taken away.
                Err(error) if error.is_unreadable() => {
                    tracing::error!(team.id = %connection.team, error = runtime::chain(&error), "team is left alone");
                    continue;
                }
                belongs => belongs?,
            };
            if belongs {
                connected.teams.insert(connection.team.clone());
                connected.services.entry(service.clone()).or_default().push(connection);
                continue;
            }
            tracing::warn!(team.id = %connection.team, service.id = %service, "connection of a team that has left");
            if let Err(error) = setup::remove(app, &connection.key(), None).await {
                tidied = tidied.and(Err(error.into()));
            }
        }
    }
    Ok((connected, tidied))
}

/// Webhook secrets that an older key has sealed are sealed anew, so that the key can be dropped. They open until then, so what
/// fails here fails nothing else.
async fn reseal(app: &App, subscriptions: &[Subscription]) {
    let mut resealed = 0;
    for subscription in subscriptions {
        match setup::reseal_subscription(app, subscription).await {
            Ok(done) => resealed += usize::from(done),
            Err(error) => {
                let error = runtime::chain(&error);
                tracing::error!(subscription.id = %subscription.id, error, "webhook secrets not sealed anew");
            }
        }
    }
    if resealed > 0 {
        tracing::info!(resealed, "webhook secrets sealed anew with the current key");
    }
}

/// Whether a team belongs to the account. One that does without being listed is listed from now on.
async fn belongs(app: &App, account: &AccountId, connected: &Connected, team: &TeamId) -> Result<bool, store::Error> {
    if connected.teams.contains(team) {
        return Ok(true);
    }
    if place::team(app, account, team).await?.is_none() {
        return Ok(false);
    }
    tracing::warn!(team.id = %team, "team was not listed");
    app.store.put_team_of_account(account, team).await?;
    Ok(true)
}
