//! What changes in Teams, as far as connections are concerned.

use std::collections::BTreeSet;

use domain::cause::{Cause, Occasion};
use domain::connection::{Channel, ChannelKind, Connection, Installation};
use domain::ids::{AccountId, CauseId, ChannelId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::{What, observe, wake_anew};
use runtime::App;
use store::OpenIncident;

use crate::error::SetupError;

/// How many incidents are looked at at the same time.
const AT_ONCE: usize = 8;

/// Asks Teams for the team's channels and stores what has changed. Standard channels that Teams does not list any more are
/// deleted ones; private and shared ones are listed only where the bot is in.
pub async fn refresh_channels(app: &App, installation: &Installation) -> Result<Vec<Channel>, SetupError> {
    let listed = async { Ok::<_, SetupError>(app.bot().channels(installation).await?) };
    let (listed, known) =
        tokio::try_join!(listed, async { Ok(app.store.channels_of_team(&installation.team).await?) })?;
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
pub async fn suspend_connections(app: &App, connections: &[Connection], reason: &str) -> Result<usize, SetupError> {
    let mut changed = 0;
    for connection in connections {
        changed += usize::from(app.store.mark_connection_broken(connection, reason, app.clock.now()).await?);
    }
    Ok(changed)
}

/// Marks connections as healthy again and has the card of every open incident looked at, since changes may have been missed.
/// Gives how many connections there are.
pub async fn restore_connections(app: &App, connections: &[Connection], cause: CauseId) -> Result<usize, SetupError> {
    let cause = Cause { id: cause, occasion: Occasion::Restored, at: app.clock.now(), happened_at: None };
    let accounts: BTreeSet<&AccountId> = connections.iter().map(|connection| &connection.account).collect();
    for account in accounts {
        let theirs: Vec<Connection> = connections.iter().filter(|c| &c.account == account).cloned().collect();
        let open = app.store.open_incidents(account).await?;
        let open = open.into_iter().filter(|open| theirs.iter().any(|c| c.service == open.service));
        let look = async |open: OpenIncident| {
            let record = match app.store.record(account, &open.id).await {
                // It is made anew when something is learned of the incident.
                Err(error) if error.is_unreadable() => {
                    tracing::error!(incident.id = %open.id, error = runtime::chain(&error), "card is not looked at");
                    return Ok(());
                }
                stored => stored?.map(|stored| stored.record),
            };
            let Some(record) = record else { return Ok(()) };
            Box::pin(observe(app, account, What::Restored(&record, &theirs), &cause)).await?;
            Ok::<_, SetupError>(())
        };
        stream::iter(open.map(look)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    // Everything that was marked while the channels were away is still there.
    let channels: BTreeSet<(&AccountId, &ChannelId)> = connections.iter().map(|c| (&c.account, &c.channel)).collect();
    for (account, channel) in channels {
        app.store.release_channel(account, channel).await?;
        wake_anew(app, account, channel).await?;
    }
    // Last: who sees a failure before this tries everything again.
    for connection in connections {
        app.store.mark_connection_healthy(connection).await?;
    }
    Ok(connections.len())
}
