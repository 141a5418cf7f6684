//! A channel that Teams says is gone: mark its connections broken and tell the team, once. They stay in use all the same, so
//! that they heal by themselves when the channel is back.

use domain::behind::{Mark, Subject};
use domain::connection::{Connection, Health};
use domain::ids::{AccountId, ChannelId, TeamId};
use incidents::want;
use runtime::{App, Metric};

/// Marks the connections of a channel broken. Whoever marks one first also tells the team's General channel.
pub(crate) async fn note(app: &App, account: &AccountId, team: &TeamId, channel: &ChannelId, reason: &str) {
    let connections = match app.store.connections_of_team(team).await {
        Ok(connections) => connections,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), channel.id = %channel, "lost channel not marked");
            return;
        }
    };
    for connection in connections.into_iter().filter(|c| &c.channel == channel && &c.account == account) {
        match app.store.mark_connection_broken(&connection, reason, app.clock.now()).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                tracing::error!(error = runtime::chain(&error), "broken connection not marked");
                continue;
            }
        }
        tracing::error!(channel.id = %channel, service.id = %connection.service, reason, "channel is gone");
        app.metrics.count(Metric::ChannelsLost, app.clock.now());
        if channel.is_general(team) {
            continue;
        }
        let subject = Subject::ChannelLost(connection.service.clone(), channel.clone());
        let at = app.clock.now();
        let told = Mark { channel: ChannelId::general(team), ..Mark::message(&connection, subject, None, at) };
        if let Err(error) = want(app, &[told]).await {
            tracing::warn!(error = runtime::chain(&error), team.id = %team, "team not told about its broken connection");
        }
    }
}

/// A message has arrived in the channel of a connection that was broken.
pub(crate) async fn is_back(app: &App, connection: &Connection) {
    match connection.health {
        Health::Broken { .. } => {}
        Health::Healthy | Health::ServiceGone { .. } => return,
    }
    tracing::info!(channel.id = %connection.channel, service.id = %connection.service, "channel is back");
    if let Err(error) = app.store.mark_connection_healthy(connection).await {
        tracing::warn!(error = runtime::chain(&error), "connection not marked healthy");
    }
}
