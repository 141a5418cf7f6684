//! A channel that Teams says is gone: mark the connection broken and tell the team, once. It stays in use all the same, so
//! that it heals by itself when the channel is back.

use domain::connection::{Connection, Health};
use domain::ids::ConversationId;
use runtime::App;
use teams::connector::{ConnectorAuth, ConnectorError};

/// Marks the connection broken. Whoever marks it first also tells the team's General channel, whose id is the team's.
pub(crate) async fn note(app: &App, connection: &Connection, error: &ConnectorError) {
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
        tracing::warn!(error, team.id = %connection.team, "team not told about its broken connection");
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

async fn tell_team(app: &App, connection: &Connection) -> Result<(), String> {
    let describe = |error: &dyn std::error::Error| error.to_string();
    let installation = app.store.installation(&connection.team).await.map_err(|e| describe(&e))?;
    let installation = installation.ok_or("the bot is not installed in the team")?;
    let secrets = app.secrets.values(app.clock.now()).await.map_err(|e| describe(&e))?;
    let auth = ConnectorAuth { secret: &secrets.teams_client_secret, now: app.clock.now() };
    let general = ConversationId::new(connection.team.as_str()).map_err(|e| describe(&e))?;
    let card = cards::channel_gone(&connection.service_name);
    app.connector.send_to_chat(&auth, &installation.service_url, &general, &card).await.map_err(|e| describe(&e))?;
    Ok(())
}
