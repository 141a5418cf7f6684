//! Whether team, channel, card and account still belong together. Every way in asks here: a click, a dialog, a command, what
//! was wanted before a link, a replay, a test, and the sender itself. A team may have left its account, or be another's now;
//! nothing of the old one may be shown there or acted on from there.
//!
//! People are asked for their tenant as well, and a card that they act on for the bot's presence in its team. What the bot
//! posts is not: whether it is still in a channel is Teams' to say, and is told where the connection stands.

use domain::connection::{Connection, ConnectionKey, Installation};
use domain::ids::{AccountId, TeamId, TenantId};
use domain::plan::{CardKey, CardRecord};
use runtime::App;

/// A card that we posted in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its team belongs to the card's account.
    Here(Box<CardRecord>),
    /// There is none, or not for this tenant.
    Unknown,
    /// Its team has left the card's account, or the bot the team.
    Left,
}

/// The bot's installation in a team, for somebody of `tenant`; which account it belongs to is in it.
pub async fn installation(app: &App, team: &TeamId, tenant: &TenantId) -> Result<Option<Installation>, store::Error> {
    Ok(app.store.installation(team).await?.filter(|known| &known.tenant == tenant))
}

/// The team, if it belongs to the account.
pub async fn team(app: &App, account: &AccountId, team: &TeamId) -> Result<Option<Installation>, store::Error> {
    app.store.team_of_account(account, team).await
}

/// The card, for somebody of `tenant`.
pub async fn card(app: &App, key: &CardKey, tenant: &TenantId) -> Result<Found, store::Error> {
    let Some(card) = app.store.card(key).await?.filter(|card| &card.tenant == tenant) else {
        return Ok(Found::Unknown);
    };
    let home = team(app, &key.account, &card.team).await?;
    let here = home.is_some_and(|home| home.removed_at.is_none() && home.tenant == card.tenant);
    Ok(if here { Found::Here(Box::new(card)) } else { Found::Left })
}

/// The connection with its team, if the team belongs to the connection's account.
pub async fn connection(app: &App, key: &ConnectionKey) -> Result<Option<(Connection, Installation)>, store::Error> {
    let Some(connection) = app.store.connection(key).await? else { return Ok(None) };
    let home = team(app, &key.account, &connection.team).await?;
    Ok(home.map(|home| (connection, home)))
}
