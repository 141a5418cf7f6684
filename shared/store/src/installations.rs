//! The bot's installations in teams, the teams' channels, and the accounts that teams are connected to.

use domain::connection::{Account, Channel, Installation};
use domain::ids::{AccountId, ChannelId, ServiceUrl, TeamId, TenantId};

use crate::item::{Condition, Item, data, data_or_skip, or_skip, readable, version};
use crate::{Error, Store, keys};

/// How often a change is tried when others change the installation at the same time.
const TRIES: usize = 8;

impl Store {
    /// The bot's installation in a team.
    pub async fn installation(&self, team: &TeamId) -> Result<Option<Installation>, Error> {
        self.read_data(&keys::installation(team)).await
    }

    /// The bot's installation in a team, if the team belongs to the account.
    pub async fn team_of_account(&self, account: &AccountId, team: &TeamId) -> Result<Option<Installation>, Error> {
        Ok(self.installation(team).await?.filter(|known| known.belongs_to(account)))
    }

    /// Changes an installation, or makes one: `change` gets what is known and gives what is to be known, or `None` to leave
    /// it as it is. It is asked again when somebody else was faster. Gives what is known before and after.
    ///
    /// # Errors
    /// [`Error::Contended`] if others changed it every time, else as [`Store::installation`].
    pub async fn change_installation(
        &self,
        team: &TeamId,
        change: impl Fn(Option<Installation>) -> Option<Installation> + Send,
    ) -> Result<(Option<Installation>, Option<Installation>), Error> {
        for _ in 0..TRIES {
            let item = self.read(&keys::installation(team)).await?;
            let known: Option<Installation> = item.as_ref().map(data).transpose()?;
            let Some(wanted) = change(known.clone()) else { return Ok((known.clone(), known)) };
            let mut new = Item::new(keys::installation(team), "installation", &wanted)?
                .indexed(Some(keys::installation_in_tenant(&wanted.tenant, team)))
                .version(item.as_ref().map_or(0, version) + 1);
            if let (Some(item), Some(known)) = (&item, &known) {
                new = new.over(item, known)?;
            }
            if self.put_if(new, Condition::unchanged(item.as_ref())).await? {
                return Ok((known, Some(wanted)));
            }
        }
        Err(Error::Contended { what: format!("the installation in team {team}") })
    }

    /// Keeps a known team's address up to date. A team of another tenant, or an unknown one, is left alone.
    pub async fn refresh_service_url(
        &self,
        team: &TeamId,
        tenant: &TenantId,
        service_url: &ServiceUrl,
    ) -> Result<(), Error> {
        self.change_installation(team, |known| {
            let known = known.filter(|known| &known.tenant == tenant && &known.service_url != service_url)?;
            Some(Installation { service_url: service_url.clone(), ..known })
        })
        .await
        .map(drop)
    }

    /// Every installation in a tenant; one made a moment ago may be missing.
    pub async fn installations_of_tenant(&self, tenant: &TenantId) -> Result<Vec<Installation>, Error> {
        Ok(readable(&self.index(&keys::tenant(tenant), Some(keys::TEAM)).await?))
    }

    /// Notes that a team belongs to an account. Call it before the installation says so: a team that does not say so is
    /// not listed.
    pub async fn put_team_of_account(&self, account: &AccountId, team: &TeamId) -> Result<(), Error> {
        self.put(Item::new(keys::team_of_account(account, team), "team_of_account", team)?).await
    }

    /// Notes that a team no longer belongs to an account.
    pub async fn delete_team_of_account(&self, account: &AccountId, team: &TeamId) -> Result<(), Error> {
        self.take(&keys::team_of_account(account, team)).await.map(drop)
    }

    /// Every team that is connected to an account.
    pub async fn teams_of_account(&self, account: &AccountId) -> Result<Vec<Installation>, Error> {
        let mut teams = self.teams_ever_of_account(account).await?;
        teams.retain(|known| known.belongs_to(account));
        Ok(teams)
    }

    /// Every team that is being taken away from an account.
    pub async fn teams_leaving_account(&self, account: &AccountId) -> Result<Vec<Installation>, Error> {
        let mut teams = self.teams_ever_of_account(account).await?;
        teams.retain(|known| known.leaving.as_ref() == Some(account));
        Ok(teams)
    }

    async fn teams_ever_of_account(&self, account: &AccountId) -> Result<Vec<Installation>, Error> {
        let mut found = Vec::new();
        for item in self.partition(&keys::account(account).pk, Some(keys::TEAM)).await? {
            if let Some(team) = data_or_skip(&item) {
                found.extend(or_skip(self.installation(&team).await)?.flatten());
            }
        }
        Ok(found)
    }

    /// Stores what is known of an account.
    pub async fn put_account(&self, account: &Account) -> Result<(), Error> {
        self.put(Item::new(keys::account(&account.id), "account", account)?).await
    }

    /// What is known of an account.
    pub async fn account(&self, account: &AccountId) -> Result<Option<Account>, Error> {
        self.read_data(&keys::account(account)).await
    }

    /// Stores a channel, replacing what was known of it.
    pub async fn put_channel(&self, channel: &Channel) -> Result<(), Error> {
        self.put(Item::new(keys::channel(&channel.team, &channel.id), "channel", channel)?).await
    }

    /// One channel.
    pub async fn channel(&self, team: &TeamId, channel: &ChannelId) -> Result<Option<Channel>, Error> {
        self.read_data(&keys::channel(team, channel)).await
    }

    /// Every channel of a team that Teams has told us of, deleted ones included.
    pub async fn channels_of_team(&self, team: &TeamId) -> Result<Vec<Channel>, Error> {
        Ok(readable(&self.partition(&keys::team(team), Some(keys::CHANNEL)).await?))
    }
}
