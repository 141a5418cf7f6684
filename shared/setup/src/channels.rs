//! What changes in Teams, as far as connections are concerned.

use std::collections::BTreeSet;

use domain::cause::{Cause, Occasion};
use domain::connection::{Channel, ChannelKind, Connection, Installation};
use domain::ids::{AccountId, CauseId, ChannelId, IncidentId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::{What, observe, wake_anew};
use runtime::App;

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

/// Marks connections as healthy again and has the card of every open incident looked at, since changes may have been missed, and
/// each that Teams refused meanwhile: an archived team refuses everything. Gives how many connections there are.
pub async fn restore_connections(app: &App, connections: &[Connection], cause: CauseId) -> Result<usize, SetupError> {
    let cause = Cause { id: cause, occasion: Occasion::Restored, at: app.clock.now(), happened_at: None };
    let accounts: BTreeSet<&AccountId> = connections.iter().map(|connection| &connection.account).collect();
    for account in accounts {
        let theirs: Vec<Connection> = connections.iter().filter(|c| &c.account == account).cloned().collect();
        let open = app.store.open_incidents(account).await?;
        let open = open.into_iter().filter(|open| theirs.iter().any(|c| c.service == open.service));
        let mut incidents: BTreeSet<IncidentId> = open.map(|open| open.id).collect();
        incidents.extend(given_up(app, account, &theirs).await?);
        let look = async |id: IncidentId| {
            let record = match app.store.record(account, &id).await {
                // It is made anew when something is learned of the incident.
                Err(error) if error.is_unreadable() => {
                    tracing::error!(incident.id = %id, error = runtime::chain(&error), "card is not looked at");
                    return Ok(());
                }
                stored => stored?.map(|stored| stored.record),
            };
            let Some(record) = record else { return Ok(()) };
            Box::pin(observe(app, account, What::Restored(&record, &theirs), &cause)).await?;
            Ok::<_, SetupError>(())
        };
        stream::iter(incidents.into_iter().map(look)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
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

/// The incidents whose cards there nobody tries to change any more. They may be over.
async fn given_up(app: &App, account: &AccountId, connections: &[Connection]) -> Result<Vec<IncidentId>, SetupError> {
    let channels: BTreeSet<&ChannelId> = connections.iter().map(|connection| &connection.channel).collect();
    let mut given_up = Vec::new();
    for channel in channels {
        let set = app.store.behind_set(account, channel).await?;
        let parked = set.into_iter().filter(|item| item.parked.is_some());
        given_up.extend(parked.filter_map(|item| item.subject.incident().cloned()));
    }
    Ok(given_up)
}
