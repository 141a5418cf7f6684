//! The bot's voice in Teams: whoever speaks through it needs neither the secret nor the time.

use std::time::Duration;

use domain::connection::{Channel, Installation};
use domain::failure::Class;
use domain::ids::{ActivityId, ChannelId, ConversationId, EntraUserId, ServiceUrl, TenantId};
use teams::connector::{ConnectorAuth, ConnectorError};

use crate::{App, SecretError};

/// Teams did not do what the bot asked.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The bot's secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Teams refused or did not answer, or Entra gave no token.
    #[error(transparent)]
    Teams(#[from] ConnectorError),
    /// Teams has not answered yet, and nobody waits for it any longer. It may have been carried out.
    #[error("nobody waits for Teams' answer any longer")]
    GaveUp,
}

impl BotError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Secret(error) => error.class(),
            Self::Teams(error) => error.class(),
            Self::GaveUp => Class::Unclear,
        }
    }

    /// A short code for people who look for the cause.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Secret(_) => "the secret cannot be read",
            Self::Teams(error) => error.reason(),
            Self::GaveUp => "no answer",
        }
    }

    /// Whether Teams does not let the bot write there.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.class(), Class::Gone | Class::Forbidden)
    }

    /// Whether nothing at all can be said to Teams: the bot has no secret, no token that is accepted, or no right address.
    #[must_use]
    pub fn is_speechless(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::GaveUp => false,
            Self::Teams(error) => matches!(
                error,
                ConnectorError::Token(_)
                    | ConnectorError::Unauthorized(_)
                    | ConnectorError::WrongHost(_)
                    | ConnectorError::UntrustedHost(_)
            ),
        }
    }

    /// Whether Teams will never take this very message, while it may take another one.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::Teams(error) if error.is_for_good())
    }

    /// Whether Teams as a whole seems to be away.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Teams(error) if error.is_outage())
    }

    /// How long Teams asks to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Secret(_) | Self::GaveUp => None,
            Self::Teams(error) => error.retry_after(),
        }
    }
}

/// Speaks to Teams as the bot. After an [`Unclear`](Class::Unclear) error of a post, a reply or a message, it may be there.
#[derive(Debug, Clone, Copy)]
pub struct Bot<'a> {
    app: &'a App,
    /// How long Teams may take for an answer, if not as long as usual.
    patience: Option<Duration>,
}

macro_rules! say {
    ($self:ident.$call:ident($($argument:expr),*)) => {{
        let Bot { app, patience } = $self;
        let connector = match patience {
            Some(patience) => &app.connector.clone().with_timeout(patience),
            None => &app.connector,
        };
        app.with_secret(async |values| {
            let auth = ConnectorAuth { secret: values.teams_client_secret()?, now: app.clock.now() };
            Ok::<_, BotError>(connector.$call(&auth, $($argument),*).await?)
        })
        .await
    }};
}

impl App {
    /// The bot's voice in Teams.
    #[must_use]
    pub fn bot(&self) -> Bot<'_> {
        Bot { app: self, patience: None }
    }
}

impl Bot<'_> {
    /// The same voice for a caller who waits no longer than this for an answer.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Starts a new post in a channel of a team. The answer is the id of its message, which is also the thread's root.
    pub async fn post(
        self,
        team: &Installation,
        channel: &ChannelId,
        card: &cards::Card,
    ) -> Result<ActivityId, BotError> {
        say!(self.post_to_channel(&team.service_url, channel, &team.tenant, card))
    }

    /// Replaces a message of a channel by a card, for everybody; harmless to repeat.
    pub async fn edit(
        self,
        team: &Installation,
        channel: &ChannelId,
        message: &ActivityId,
        card: &cards::Card,
    ) -> Result<(), BotError> {
        say!(self.edit(&team.service_url, channel, message, card))
    }

    /// Writes a text into the thread that begins with `root`. It is shown as it is, without Markdown or mentions.
    pub async fn reply(
        self,
        team: &Installation,
        channel: &ChannelId,
        root: &ActivityId,
        text: &str,
    ) -> Result<ActivityId, BotError> {
        say!(self.reply_in_thread(&team.service_url, channel, root, text))
    }

    /// Writes into the thread that begins with `root`, and mentions people.
    pub async fn mention(
        self,
        team: &Installation,
        channel: &ChannelId,
        root: &ActivityId,
        call: &cards::Call,
    ) -> Result<ActivityId, BotError> {
        say!(self.mention_in_thread(&team.service_url, channel, root, call))
    }

    /// Sends a card to a chat, or into the thread or channel in which somebody wrote.
    pub async fn send(
        self,
        service_url: &ServiceUrl,
        conversation: &ConversationId,
        card: &cards::Card,
    ) -> Result<ActivityId, BotError> {
        say!(self.send_to_chat(service_url, conversation, card))
    }

    /// Opens the chat with a person, or finds the one that there is. Forbidden if the person has not got the app.
    pub async fn open_chat(
        self,
        service_url: &ServiceUrl,
        tenant: &TenantId,
        user: &EntraUserId,
    ) -> Result<ConversationId, BotError> {
        say!(self.open_personal_chat(service_url, tenant, user))
    }

    /// The sign-in name of the person in a chat with the bot; `None`: Teams does not say it.
    pub async fn sign_in_name(
        self,
        service_url: &ServiceUrl,
        chat: &ConversationId,
        user: &EntraUserId,
    ) -> Result<Option<String>, BotError> {
        say!(self.sign_in_name(service_url, chat, user))
    }

    /// The channels of a team in which the bot is: standard ones, and the private and shared ones to which it was added.
    pub async fn channels(self, team: &Installation) -> Result<Vec<Channel>, BotError> {
        say!(self.channels(&team.service_url, &team.team))
    }

    /// Whether Entra gives the bot a token.
    pub async fn check(self) -> Result<(), BotError> {
        say!(self.check_token())
    }
}
