//! Who wrote or clicked, and where: what a command needs to know, whether it comes with an activity or is resumed later.

use domain::connection::{Connection, Installation};
use domain::ids::{AccountId, ChannelId, ConversationId, EntraUserId, PdUserId, TeamId, TenantId};
use domain::linking::{Wanted, WantedAction};
use pagerduty::rest::Auth;
use runtime::App;
use secrecy::SecretString;
use store::StoredLink;
use teams::activity::{Activity, ConversationKind};

use crate::private::{self, PrivateError};
use crate::tokens::{self, TokenError};

/// Who, and where. Everything in it comes from a verified activity.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) tenant: TenantId,
    pub(crate) user: Option<EntraUserId>,
    pub(crate) name: String,
    pub(crate) service_url: String,
    /// Where an answer for everybody goes: the thread, or the private chat.
    pub(crate) conversation: ConversationId,
    pub(crate) private: bool,
    pub(crate) team: Option<TeamId>,
    pub(crate) channel: Option<ChannelId>,
}

impl Place {
    pub(crate) fn of(activity: &Activity) -> Self {
        Self {
            tenant: activity.tenant.clone(),
            user: activity.from.as_ref().and_then(|from| from.entra.clone()),
            name: activity.from.as_ref().and_then(|from| from.name.clone()).unwrap_or_default(),
            service_url: activity.service_url.clone(),
            conversation: activity.conversation.id.clone(),
            private: activity.conversation.kind == ConversationKind::Personal,
            team: activity.team.as_ref().map(|team| team.id.clone()),
            channel: activity.channel_of(),
        }
    }

    /// The same person in another place.
    pub(crate) fn elsewhere(self, conversation: ConversationId, team: Option<TeamId>) -> Self {
        let channel = conversation.as_str().split(';').next().and_then(|id| ChannelId::new(id).ok());
        Self { channel: channel.filter(|_| team.is_some()), private: team.is_none(), conversation, team, ..self }
    }

    pub(crate) fn user(&self) -> Result<&EntraUserId, PrivateError> {
        self.user.as_ref().ok_or(PrivateError::NoUser)
    }

    /// The installation in this team, if it belongs to the person's own tenant.
    pub(crate) async fn installation(&self, app: &App) -> Result<Option<Installation>, store::Error> {
        let Some(team) = &self.team else { return Ok(None) };
        Ok(app.store.installation(team).await?.filter(|known| known.tenant == self.tenant))
    }

    /// The connections to this channel; none outside of channels.
    pub(crate) async fn connections(&self, app: &App) -> Result<Vec<Connection>, store::Error> {
        let (Some(installation), Some(channel)) = (self.installation(app).await?, &self.channel) else {
            return Ok(Vec::new());
        };
        let mut connections = app.store.connections_of_team(&installation.team).await?;
        connections.retain(|connection| &connection.channel == channel);
        Ok(connections)
    }

    /// The account that this place is about: the team's, else the one that the person is linked to, else the only one
    /// that the tenant has.
    pub(crate) async fn account(&self, app: &App) -> Result<Option<AccountId>, PrivateError> {
        if self.team.is_some() {
            return Ok(self.installation(app).await?.and_then(|known| known.account));
        }
        let links = app.store.links_of(&self.tenant, self.user()?).await?;
        if let Some(link) = links.first() {
            return Ok(Some(link.link.account.clone()));
        }
        let mut accounts: Vec<AccountId> = app
            .store
            .installations_of_tenant(&self.tenant)
            .await?
            .into_iter()
            .filter_map(|team| team.account)
            .collect();
        accounts.sort();
        accounts.dedup();
        Ok(if accounts.len() == 1 { accounts.pop() } else { None })
    }

    /// The person as PagerDuty knows them; `None`: they are not linked, or not any more.
    pub(crate) async fn person(&self, app: &App, account: &AccountId) -> Result<Option<Person>, PrivateError> {
        let Some(stored) = app.store.link(&self.tenant, self.user()?, account).await? else { return Ok(None) };
        match tokens::usable(app, &stored, false).await {
            Ok(token) => Ok(Some(Person { stored, token })),
            Err(TokenError::Relink) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the person a personal link that remembers what they wanted.
    pub(crate) async fn ask_to_link(
        &self,
        app: &App,
        account: &AccountId,
        title: &str,
        what: Wanted,
    ) -> Result<(), PrivateError> {
        let wanted = WantedAction { title: title.to_owned(), what };
        private::send_link(app, self, Some(account.clone()), Some(wanted)).await
    }
}

/// A linked person with a token that is good for the next minutes.
pub(crate) struct Person {
    pub(crate) stored: StoredLink,
    token: SecretString,
}

impl Person {
    pub(crate) fn auth(&self) -> Auth<'_> {
        Auth::User { token: &self.token, email: &self.stored.link.pd_email }
    }

    pub(crate) fn pagerduty_user(&self) -> &PdUserId {
        &self.stored.link.pd_user
    }

    /// Gets another token when PagerDuty has refused this one. `false`: the person has to link again.
    pub(crate) async fn renew(&mut self, app: &App) -> Result<bool, PrivateError> {
        match tokens::usable(app, &self.stored, true).await {
            Ok(token) => {
                self.token = token;
                Ok(true)
            }
            Err(TokenError::Relink) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
