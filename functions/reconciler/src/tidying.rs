//! What is connected, and what is left of teams that have left the account.

use std::collections::{BTreeMap, BTreeSet};

use domain::connection::{Connection, Health};
use domain::healing::Ended;
use domain::ids::{AccountId, ChannelId, ServiceId, TeamId};
use domain::round;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::{Connected, place};
use jiff::Timestamp;
use runtime::App;
use store::Subscription;

use crate::{ReconcileError, Run};

/// How many teams or services are looked at at the same time.
const AT_ONCE: usize = 16;

/// Of how many services a round reads the connections without the index, which may lag.
const LOOKED_AT: usize = 200;

/// What is connected, as the index tells it: teams that belong to the account, and their connections.
pub(crate) async fn connected(app: &App, account: &AccountId) -> Result<Connected, ReconcileError> {
    let installations = app.store.teams_of_account(account).await?;
    let teams: BTreeSet<TeamId> = installations.into_iter().map(|installation| installation.team).collect();
    let reading = teams.iter().cloned().map(|team| async move { app.store.connections_of_team(&team).await });
    let connections: Vec<Vec<Connection>> = stream::iter(reading).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut connected = Connected { teams, services: BTreeMap::new() };
    for connection in connections.into_iter().flatten().filter(|connection| &connection.account == account) {
        connected.services.entry(connection.service.clone()).or_default().push(connection);
    }
    Ok(connected)
}

/// Whether PagerDuty has deleted the service of these connections.
pub(crate) fn is_gone(connections: &[Connection]) -> bool {
    !connections.is_empty() && connections.iter().all(|one| matches!(one.health, Health::ServiceGone { .. }))
}

/// Finishes disconnections that broke off, and removes connections of teams that do not belong to the account (any more). What cannot
/// be done for one is tried again by the next round.
pub(crate) async fn tidy(run: &mut Run<'_>, connected: &mut Connected) -> Result<(Ended, ()), ReconcileError> {
    let (app, account) = (run.app, run.account);
    let mut skipped = 0;
    for installation in app.store.teams_leaving_account(account).await? {
        if !run.has_time() {
            return Ok((Ended::Partly, ()));
        }
        tracing::info!(team.id = %installation.team, "finishing a disconnection");
        if let Err(error) = Box::pin(setup::finish_leaving(app, &installation)).await {
            tracing::error!(team.id = %installation.team, error = runtime::chain(&error), "disconnection not finished");
            skipped += 1;
        }
    }
    let subscriptions = app.store.subscriptions_of_account(account).await?;
    reseal(app, &subscriptions).await;
    for service in services(connected, &subscriptions, app.clock.now()) {
        if !run.has_time() {
            return Ok((Ended::Partly, ()));
        }
        if let Err(error) = look_at(app, account, connected, &service).await {
            tracing::error!(service.id = %service, error = runtime::chain(&error), "connections not looked at");
            skipped += 1;
        }
    }
    list_channels(app, account, connected).await?;
    run.report.skipped += skipped;
    Ok((if skipped == 0 { Ended::Well } else { Ended::Partly }, ()))
}

/// Which services are looked at in this round: those first of which the index shows a subscription and no connection.
fn services(connected: &Connected, subscriptions: &[Subscription], now: Timestamp) -> Vec<ServiceId> {
    let subscribed: BTreeSet<&ServiceId> = subscriptions.iter().map(|subscription| &subscription.service).collect();
    let (some, none): (Vec<&ServiceId>, Vec<&ServiceId>) =
        subscribed.into_iter().partition(|service| connected.services.contains_key(*service));
    let others: BTreeSet<&ServiceId> = some.into_iter().chain(connected.services.keys()).collect();
    let others: Vec<ServiceId> = others.into_iter().cloned().collect();
    let none: Vec<ServiceId> = round::share(&none, LOOKED_AT, now).into_iter().cloned().collect();
    none.into_iter().chain(round::share(&others, LOOKED_AT, now)).collect()
}

/// Replaces what the index says of a service's connections by what the table says.
async fn look_at(
    app: &App,
    account: &AccountId,
    connected: &mut Connected,
    service: &ServiceId,
) -> Result<(), ReconcileError> {
    let (mut kept, mut failed) = (Vec::new(), Ok(()));
    for connection in app.store.connections_of_service(account, service).await? {
        let belongs = match belongs(app, account, connected, &connection.team).await {
            // Of a newer version, perhaps: nothing is posted there for now, and nothing is taken away.
            Err(error) if error.is_unreadable() => {
                tracing::error!(team.id = %connection.team, error = runtime::chain(&error), "team is left alone");
                continue;
            }
            belongs => belongs?,
        };
        if belongs {
            connected.teams.insert(connection.team.clone());
            kept.push(connection);
            continue;
        }
        tracing::warn!(team.id = %connection.team, service.id = %service, "connection of a team that has left");
        if let Err(error) = Box::pin(setup::remove(app, &connection.key(), None)).await {
            failed = failed.and(Err(error.into()));
        }
    }
    if kept.is_empty() {
        connected.services.remove(service);
    } else {
        connected.services.insert(service.clone(), kept);
    }
    failed
}

/// What may ever be marked is found by whoever wakes channels.
async fn list_channels(app: &App, account: &AccountId, connected: &Connected) -> Result<(), ReconcileError> {
    let known: BTreeSet<ChannelId> = app.store.channels_of_account(account).await?.into_iter().collect();
    let channels: BTreeSet<&ChannelId> = connected.services.values().flatten().map(|one| &one.channel).collect();
    for channel in channels.into_iter().filter(|channel| !known.contains(*channel)) {
        app.store.put_channel_of_account(account, channel).await?;
    }
    Ok(())
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
