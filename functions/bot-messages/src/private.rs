//! Private messages: the personal link for somebody whose accounts are not linked.

use domain::failure::Class;
use domain::ids::{AccountId, ConversationId, EntraUserId};
use domain::linking::{Purpose, Ticket, WantedAction};
use runtime::App;
use teams::connector::ConnectorAuth;

use crate::place::Place;

/// Something could not be answered.
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
    #[error(transparent)]
    Token(#[from] crate::tokens::TokenError),
    #[error(transparent)]
    Setup(#[from] setup::SetupError),
    #[error("the activity does not say which Entra user sent it")]
    NoUser,
}

impl PrivateError {
    /// Whether the same may work a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        let class = match self {
            Self::Table(error) => error.class(),
            Self::Teams(error) => error.class(),
            Self::Secret(error) => error.class(),
            Self::Setup(error) => error.class(),
            Self::Random(_) | Self::Token(_) => return true,
            Self::NoUser => return false,
        };
        matches!(class, Class::Retry { .. } | Class::Unclear)
    }

    /// Whether Teams does not let the bot write to the person: they have not got the app, or have blocked it.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Teams(error) if matches!(error.class(), Class::Gone | Class::Forbidden))
    }
}

/// Answers where the person wrote.
pub(crate) async fn reply(app: &App, place: &Place, card: &cards::Card) -> Result<(), PrivateError> {
    send_to(app, place, &place.conversation, card).await
}

/// Sends the person a private card.
pub(crate) async fn send(app: &App, place: &Place, card: &cards::Card) -> Result<(), PrivateError> {
    let conversation = chat(app, place).await?;
    let sent = send_to(app, place, &conversation, card).await;
    if place.private || !sent.as_ref().is_err_and(PrivateError::is_closed) {
        return sent;
    }
    // The chat that is remembered may be gone, while another can be opened.
    let user = place.user()?;
    app.store.delete_personal_chat(&place.tenant, user).await?;
    let conversation = open_chat(app, place, user).await?;
    send_to(app, place, &conversation, card).await
}

/// Sends the person a private card with a personal link to link their accounts.
pub(crate) async fn send_link(
    app: &App,
    place: &Place,
    account: Option<AccountId>,
    wanted: Option<WantedAction>,
) -> Result<(), PrivateError> {
    let conversation = chat(app, place).await?;
    let ticket = Ticket {
        tenant: place.tenant.clone(),
        user: place.user()?.clone(),
        teams_name: place.name.clone(),
        purpose: Purpose::Link { account, wanted: wanted.clone() },
        conversation,
        service_url: place.service_url.clone(),
        created_at: app.clock.now(),
    };
    let secret = app.random.token()?;
    app.store.put_ticket(&secret, &ticket).await?;
    let url = app.config.public(&format!("/oauth/start?ticket={secret}"));
    send(app, place, &cards::personal_link(&url, &ticket.teams_name, wanted.as_ref(), ticket.expires_at())).await
}

async fn send_to(
    app: &App,
    place: &Place,
    conversation: &ConversationId,
    card: &cards::Card,
) -> Result<(), PrivateError> {
    let now = app.clock.now();
    let secrets = app.secrets.values(now).await?;
    let auth = ConnectorAuth { secret: &secrets.teams_client_secret, now };
    app.connector.send_to_chat(&auth, &place.service_url, conversation, card).await?;
    Ok(())
}

/// The chat between the bot and the person; a new one is opened once and remembered.
pub(crate) async fn chat(app: &App, place: &Place) -> Result<ConversationId, PrivateError> {
    let user = place.user()?;
    if place.private {
        return Ok(place.conversation.clone());
    }
    if let Some(known) = app.store.personal_chat(&place.tenant, user).await? {
        return Ok(known.conversation);
    }
    open_chat(app, place, user).await
}

async fn open_chat(app: &App, place: &Place, user: &EntraUserId) -> Result<ConversationId, PrivateError> {
    let now = app.clock.now();
    let secrets = app.secrets.values(now).await?;
    let auth = ConnectorAuth { secret: &secrets.teams_client_secret, now };
    let conversation = app.connector.open_personal_chat(&auth, &place.service_url, &place.tenant, user).await?;
    let chat = store::PersonalChat {
        conversation: conversation.clone(),
        service_url: place.service_url.clone(),
        teams_user: None,
    };
    app.store.put_personal_chat(&place.tenant, user, &chat).await?;
    Ok(conversation)
}
