//! Private messages: the personal link for somebody whose accounts are not linked.

use domain::ids::{AccountId, ConversationId, EntraUserId};
use domain::linking::{Ticket, WantedAction};
use runtime::App;
use teams::activity::{Activity, ConversationKind};
use teams::connector::ConnectorAuth;

/// A private message could not be sent. The person is told in the channel how to get one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateError {
    #[error(transparent)]
    Table(#[from] store::Error),
    #[error(transparent)]
    Teams(#[from] teams::connector::ConnectorError),
    #[error(transparent)]
    Secret(#[from] runtime::SecretError),
    #[error(transparent)]
    Random(#[from] runtime::RandomError),
    #[error("the activity does not say which Entra user sent it")]
    NoUser,
}

/// Sends the sender of `activity` a private card.
pub(crate) async fn send(app: &App, activity: &Activity, card: &cards::Card) -> Result<(), PrivateError> {
    let user = user(activity)?;
    let conversation = chat(app, activity, user).await?;
    send_to(app, activity, &conversation, card).await
}

/// Sends the sender of `activity` a private card with a personal link to link their accounts.
pub(crate) async fn send_link(
    app: &App,
    activity: &Activity,
    account: Option<AccountId>,
    wanted: Option<WantedAction>,
) -> Result<(), PrivateError> {
    let user = user(activity)?;
    let conversation = chat(app, activity, user).await?;
    let ticket = Ticket {
        tenant: activity.tenant.clone(),
        user: user.clone(),
        teams_name: name(activity),
        account,
        conversation: conversation.clone(),
        service_url: activity.service_url.clone(),
        wanted,
        created_at: app.clock.now(),
    };
    let secret = app.random.token()?;
    app.store.put_ticket(&secret, &ticket).await?;
    let url = app.config.public(&format!("/oauth/start?ticket={secret}"));
    let card = cards::personal_link(&url, &ticket.teams_name, ticket.wanted.as_ref(), ticket.expires_at());
    send_to(app, activity, &conversation, &card).await
}

/// The sender's name as Teams gives it.
pub(crate) fn name(activity: &Activity) -> String {
    activity.from.as_ref().and_then(|from| from.name.clone()).unwrap_or_default()
}

/// The sender's Entra object id.
pub(crate) fn user(activity: &Activity) -> Result<&EntraUserId, PrivateError> {
    activity.from.as_ref().and_then(|from| from.entra.as_ref()).ok_or(PrivateError::NoUser)
}

async fn send_to(
    app: &App,
    activity: &Activity,
    conversation: &ConversationId,
    card: &cards::Card,
) -> Result<(), PrivateError> {
    let now = app.clock.now();
    let secrets = app.secrets.values(now).await?;
    let auth = ConnectorAuth { secret: &secrets.teams_client_secret, now };
    app.connector.send_to_chat(&auth, &activity.service_url, conversation, card).await?;
    Ok(())
}

/// The chat between the bot and the person; a new one is opened once and remembered.
async fn chat(app: &App, activity: &Activity, user: &EntraUserId) -> Result<ConversationId, PrivateError> {
    if activity.conversation.kind == ConversationKind::Personal {
        return Ok(activity.conversation.id.clone());
    }
    if let Some(known) = app.store.personal_chat(&activity.tenant, user).await? {
        return Ok(known.conversation);
    }
    let now = app.clock.now();
    let secrets = app.secrets.values(now).await?;
    let auth = ConnectorAuth { secret: &secrets.teams_client_secret, now };
    let conversation = app.connector.open_personal_chat(&auth, &activity.service_url, &activity.tenant, user).await?;
    let chat = store::PersonalChat {
        conversation: conversation.clone(),
        service_url: activity.service_url.clone(),
        teams_user: activity.from.as_ref().map(|from| from.id.clone()),
    };
    app.store.put_personal_chat(&activity.tenant, user, &chat).await?;
    Ok(conversation)
}
