//! A channel that Teams says is gone: mark the connection broken and tell the team, once. It stays in use all the same, so
//! that it heals by itself when the channel is back.
//!
//! A channel that Teams merely does not find is asked for a second time: Teams has been seen to find it again.

use std::time::Duration;

use domain::connection::{Connection, Health};
use domain::ids::ConversationId;
use incidents::place;
use runtime::{App, BotError};
use teams::connector::ConnectorError;

use crate::last_delivery;
use crate::outcome::{Outcome, Scope};

/// When a channel that was not found is asked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What follows from a message that Teams did not take, of whatever kind.
pub(crate) async fn not_taken(app: &App, connection: Option<&Connection>, error: &BotError, attempts: u32) -> Outcome {
    let in_passing = matches!(error, BotError::Teams(ConnectorError::ConversationNotFound(_)))
        && !match connection {
            Some(connection) => last_delivery::confirms(app, connection, error).await,
            None => attempts > 1,
        };
    if let Some(connection) = connection {
        last_delivery::refused(app, connection, error).await;
    }
    if let Some(outcome) = Outcome::of_error(error, attempts) {
        return outcome;
    }
    if in_passing {
        return Outcome::later(Scope::Channel, LOOK_AGAIN);
    }
    if let Some(connection) = connection {
        note(app, connection, error).await;
    }
    Outcome::Done
}

/// Marks the connection broken. Whoever marks it first also tells the team's General channel, whose id is the team's.
async fn note(app: &App, connection: &Connection, error: &BotError) {
    let now = app.clock.now();
    let first = app.store.mark_connection_broken(connection, error.reason(), now).await;
    match first {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "broken connection not marked");
            return;
        }
    }
    tracing::error!(channel.id = %connection.channel, service.id = %connection.service, reason = error.reason(), "channel is gone");
    if connection.team.as_str() == connection.channel.as_str() {
        return;
    }
    if let Err(error) = tell_team(app, connection).await {
        tracing::warn!(error = runtime::chain(&*error), team.id = %connection.team, "team not told about its broken connection");
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

async fn tell_team(app: &App, connection: &Connection) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let team = place::team(app, &connection.account, &connection.team).await?;
    let team = team.ok_or("the team is not connected to the account")?;
    let general = ConversationId::new(connection.team.as_str())?;
    app.bot().send(&team.service_url, &general, &cards::channel_gone(&connection.service_name)).await?;
    Ok(())
}
