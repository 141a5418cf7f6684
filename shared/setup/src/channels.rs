//! What changes in Teams, as far as connections are concerned.

use std::collections::BTreeSet;

use domain::connection::{Channel, ChannelKind, Connection, Installation};
use domain::ids::{AccountId, ChannelId};
use domain::job::{CardJob, Cause, Occasion};
use runtime::App;
use teams::connector::ConnectorAuth;

use crate::SetupError;

/// Asks Teams for the team's channels and stores what has changed. Standard channels that Teams does not list any more are
/// deleted ones; private and shared ones are listed only where the bot is in.
///
/// # Errors
/// [`SetupError`] if Teams or the table does not answer.
pub async fn refresh_channels(app: &App, installation: &Installation) -> Result<Vec<Channel>, SetupError> {
    let now = app.clock.now();
    let values = app.secrets.values(now).await?;
    let auth = ConnectorAuth { secret: &values.teams_client_secret, now };
    let team = &installation.team;
    let (listed, known) =
        tokio::try_join!(async { Ok(app.connector.channels(&auth, &installation.service_url, team).await?) }, async {
            Ok::<_, SetupError>(app.store.channels_of_team(team).await?)
        })?;
    for channel in listed.iter().filter(|channel| !known.contains(channel)) {
        app.store.put_channel(channel).await?;
    }
    let ids: BTreeSet<&ChannelId> = listed.iter().map(|channel| &channel.id).collect();
    let mut channels = listed.clone();
    for gone in known.into_iter().filter(|channel| !ids.contains(&channel.id)) {
        let deleted = gone.deleted || gone.kind == ChannelKind::Standard;
        let channel = Channel { deleted, ..gone.clone() };
        if channel != gone {
            app.store.put_channel(&channel).await?;
        }
        channels.push(channel);
    }
    Ok(channels)
}

/// Marks connections as broken, so that the configuration page says why nothing arrives. Gives how many were in order before.
///
/// # Errors
/// [`SetupError`] if the table does not answer.
pub async fn suspend_connections(app: &App, connections: &[Connection], reason: &str) -> Result<usize, SetupError> {
    let mut changed = 0;
    for connection in connections {
        changed += usize::from(app.store.mark_connection_broken(connection, reason, app.clock.now()).await?);
    }
    Ok(changed)
}

/// Marks connections as healthy again and has the card of every open incident looked at, since changes may have been missed.
/// Gives how many connections there are.
///
/// # Errors
/// [`SetupError`] if the table or the queue does not answer.
pub async fn restore_connections(app: &App, connections: &[Connection], cause: &str) -> Result<usize, SetupError> {
    let cause = Cause { id: cause.to_owned(), occasion: Occasion::Restored, at: app.clock.now() };
    let accounts: BTreeSet<&AccountId> = connections.iter().map(|connection| &connection.account).collect();
    for account in accounts {
        let open = app.store.open_incidents(account).await?;
        let theirs = || connections.iter().filter(|connection| &connection.account == account);
        let jobs: Vec<CardJob> = open
            .iter()
            .filter_map(|record| Some((record, record.state()?)))
            .flat_map(|(record, state)| {
                let channels = theirs().filter(|connection| connection.wants(state));
                cause.jobs(account, &record.id, channels.map(|connection| connection.channel.clone()))
            })
            .collect();
        app.queue.send(&jobs).await?;
    }
    // Last: who sees a failure before this tries everything again.
    for connection in connections {
        app.store.mark_connection_healthy(connection).await?;
    }
    Ok(connections.len())
}
