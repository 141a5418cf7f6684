//! Who wrote or clicked, where, and until when an answer is of use; and how they are written to.

use std::time::Duration;

use cards::PersonalLink;
use domain::connection::{Connection, Installation};
use domain::ids::{AccountId, ChannelId, ConversationId, EntraUserId, ServiceUrl, TeamId, TenantId};
use domain::linking::{Purpose, Ticket, Wanted, WantedAction};
use domain::zone::Zone;
use incidents::place;
use runtime::{App, Person, PersonError};
use store::PersonalChat;
use teams::activity::ConversationKind;
use teams::auth::Verified;
use tokio::time::Instant;

use crate::error::FlowError;

/// How long Teams may take to say a person's sign-in name.
const NAME_PATIENCE: Duration = Duration::from_secs(1);

/// Who, and where. Everything in it comes from a verified activity, or was kept from one.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) tenant: TenantId,
    pub(crate) user: Option<EntraUserId>,
    pub(crate) name: String,
    pub(crate) service_url: ServiceUrl,
    /// Where an answer for everybody goes: the thread, or the private chat.
    pub(crate) conversation: ConversationId,
    pub(crate) private: bool,
    pub(crate) team: Option<TeamId>,
    pub(crate) channel: Option<ChannelId>,
    /// Theirs, as their client says.
    pub(crate) zone: Zone,
    pub(crate) deadline: Instant,
}

impl Who {
    pub(crate) fn of(verified: &Verified, deadline: Instant) -> Self {
        let activity = verified.activity();
        Self {
            tenant: activity.tenant.clone(),
            user: activity.from.as_ref().and_then(|from| from.entra.clone()),
            name: activity.from.as_ref().and_then(|from| from.name.clone()).unwrap_or_default(),
            service_url: activity.service_url.clone(),
            conversation: activity.conversation.id.clone(),
            private: activity.conversation.kind == ConversationKind::Personal,
            team: activity.team.as_ref().map(|team| team.id.clone()),
            channel: activity.channel_of(),
            zone: activity.zone.as_deref().and_then(|zone| Zone::named(zone).ok()).unwrap_or_default(),
            deadline,
        }
    }

    /// The same person in another place.
    pub(crate) fn elsewhere(&self, conversation: ConversationId, team: Option<TeamId>) -> Self {
        let channel = conversation.as_str().split(';').next().and_then(|id| ChannelId::new(id).ok());
        let channel = channel.filter(|_| team.is_some());
        Self { channel, private: team.is_none(), conversation, team, ..self.clone() }
    }

    pub(crate) fn user(&self) -> Result<&EntraUserId, FlowError> {
        self.user.as_ref().ok_or(FlowError::NoUser)
    }

    /// The installation in this team, if it belongs to the person's own tenant.
    pub(crate) async fn installation(&self, app: &App) -> Result<Option<Installation>, store::Error> {
        match &self.team {
            Some(team) => place::installation(app, team, &self.tenant).await,
            None => Ok(None),
        }
    }

    /// The connections to this channel; none outside of channels.
    pub(crate) async fn connections(&self, app: &App) -> Result<Vec<Connection>, store::Error> {
        let (Some(installation), Some(channel)) = (self.installation(app).await?, &self.channel) else {
            return Ok(Vec::new());
        };
        let mut connections = app.store.connections_of_team(&installation.team).await?;
        // Of an account that the team has left, some may be left over.
        connections.retain(|connection| &connection.channel == channel && installation.belongs_to(&connection.account));
        Ok(connections)
    }

    /// The account that this place is about: the team's, else the one that the person is linked to, else the only one
    /// that the tenant has.
    pub(crate) async fn account(&self, app: &App) -> Result<Option<AccountId>, FlowError> {
        if self.team.is_some() {
            return Ok(self.installation(app).await?.and_then(|known| known.account));
        }
        let links = app.store.links_of(&self.tenant, self.user()?).await?;
        if let Some(link) = links.first() {
            return Ok(Some(link.link.account.clone()));
        }
        let teams = app.store.installations_of_tenant(&self.tenant).await?;
        let mut accounts: Vec<AccountId> = teams.into_iter().filter_map(|team| team.account).collect();
        accounts.sort();
        accounts.dedup();
        Ok(if accounts.len() == 1 { accounts.pop() } else { None })
    }

    /// The person's voice in the account that this place is about.
    ///
    /// # Errors
    /// [`FlowError::NotConnected`] without an account; [`PersonError::NeedsLink`] if they are not linked to it, or not any
    /// more.
    pub(crate) async fn linked<'a>(&self, app: &'a App) -> Result<Person<'a>, FlowError> {
        let account = self.account(app).await?.ok_or(FlowError::NotConnected)?;
        let link = app.store.link(&self.tenant, self.user()?, &account).await?.ok_or(PersonError::NeedsLink)?;
        let mut person = app.person(&link, self.deadline);
        person.ready().await?;
        Ok(person)
    }

    /// Answers where the person wrote.
    pub(crate) async fn reply(&self, app: &App, card: &cards::Card) -> Result<(), FlowError> {
        self.send(app, &self.conversation, card).await
    }

    /// Sends the person a private card.
    pub(crate) async fn tell(&self, app: &App, card: &cards::Card) -> Result<(), FlowError> {
        let conversation = self.chat(app).await?;
        let sent = self.send(app, &conversation, card).await;
        if self.private || !sent.as_ref().is_err_and(FlowError::is_closed) {
            return sent;
        }
        // The chat that is remembered may be gone, while another can be opened.
        app.store.delete_personal_chat(&self.tenant, self.user()?).await?;
        let conversation = self.open_chat(app).await?;
        self.send(app, &conversation, card).await
    }

    /// Sends the person a private card with a personal link to link their accounts.
    pub(crate) async fn send_link(
        &self,
        app: &App,
        account: Option<AccountId>,
        wanted: Option<WantedAction>,
    ) -> Result<(), FlowError> {
        let conversation = self.chat(app).await?;
        let ticket = Ticket {
            tenant: self.tenant.clone(),
            user: self.user()?.clone(),
            teams_name: self.name.clone(),
            upn: self.sign_in_name(app, &conversation).await?,
            purpose: Purpose::Link { account, wanted: wanted.clone() },
            conversation,
            service_url: self.service_url.clone(),
            created_at: app.clock.now(),
        };
        let secret = app.random.token()?;
        app.store.put_ticket(&secret, &ticket).await?;
        let browser = app.config.public(&format!("/oauth/start?ticket={secret}"));
        let window = format!("{browser}&in=teams");
        let link = PersonalLink { window: &window, browser: app.config.link_number.then_some(&browser) };
        let card = cards::personal_link(link, &ticket.teams_name, wanted.as_ref(), ticket.expires_at());
        self.tell(app, &card).await
    }

    /// The page that asks whether to link shows it, since anybody can take a display name. Where Teams does not say it in time,
    /// that page says so: a link that comes late helps nobody.
    async fn sign_in_name(&self, app: &App, chat: &ConversationId) -> Result<Option<String>, FlowError> {
        let bot = app.bot().within(NAME_PATIENCE);
        let said = bot.sign_in_name(&self.service_url, chat, self.user()?).await;
        Ok(said.unwrap_or_else(|error| {
            tracing::warn!(error = runtime::chain(&error), "Teams does not say a person's sign-in name");
            None
        }))
    }

    /// The same, and what they wanted will be one click away. `title` names it.
    pub(crate) async fn ask_to_link(&self, app: &App, title: &str, what: Wanted) -> Result<(), FlowError> {
        let account = match &what {
            Wanted::Click { account, .. } => Some(account.clone()),
            Wanted::Command { .. } | Wanted::Trigger { .. } => self.account(app).await?,
        };
        self.send_link(app, account, Some(WantedAction { title: title.to_owned(), what })).await
    }

    /// The chat between the bot and the person; a new one is opened once and remembered.
    pub(crate) async fn chat(&self, app: &App) -> Result<ConversationId, FlowError> {
        if self.private {
            return Ok(self.conversation.clone());
        }
        match app.store.personal_chat(&self.tenant, self.user()?).await? {
            Some(known) => Ok(known.conversation),
            None => self.open_chat(app).await,
        }
    }

    async fn open_chat(&self, app: &App) -> Result<ConversationId, FlowError> {
        let user = self.user()?;
        let conversation = app.bot().open_chat(&self.service_url, &self.tenant, user).await?;
        let service_url = self.service_url.clone();
        let chat = PersonalChat { conversation: conversation.clone(), service_url, teams_user: None };
        app.store.put_personal_chat(&self.tenant, user, &chat).await?;
        Ok(conversation)
    }

    async fn send(&self, app: &App, conversation: &ConversationId, card: &cards::Card) -> Result<(), FlowError> {
        app.bot().send(&self.service_url, conversation, card).await?;
        Ok(())
    }
}

/// Whether a private message was sent. The answer to the person's click says so, so a failure is logged and no more.
pub(crate) fn was_sent(sent: Result<(), FlowError>) -> bool {
    sent.inspect_err(|error| tracing::warn!(error = runtime::chain(error), "private message not sent")).is_ok()
}
