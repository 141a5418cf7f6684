//! Connections of services to channels, and installations of the bot in teams.

use domain::connection::{Connection, Health, Installation};
use domain::ids::{AccountId, ChannelId, ServiceId, TeamId, TenantId};
use jiff::Timestamp;

use crate::item::{Condition, Item, data, version};
use crate::{Error, Store, keys};

impl Store {
    /// Stores a connection, replacing one between the same service and channel.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn put_connection(&self, connection: &Connection) -> Result<(), Error> {
        let Connection { account, service, channel, team, .. } = connection;
        let item = Item::new(keys::connection(account, service, channel), "connection", connection)?
            .indexed(Some(keys::connection_in_team(team, channel, service)))
            .version(1);
        self.put(item).await
    }

    /// The connection between a service and a channel.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer or the item cannot be read.
    pub async fn connection(
        &self,
        account: &AccountId,
        service: &ServiceId,
        channel: &ChannelId,
    ) -> Result<Option<Connection>, Error> {
        self.read_data(&keys::connection(account, service, channel)).await
    }

    /// Every connection of a service.
    ///
    /// # Errors
    /// As [`Store::connection`].
    pub async fn connections_of_service(
        &self,
        account: &AccountId,
        service: &ServiceId,
    ) -> Result<Vec<Connection>, Error> {
        self.partition(&keys::service(account, service), Some(keys::CONNECTION)).await?.iter().map(data).collect()
    }

    /// Notes that Teams no longer reaches the channel. `true`: it was not known before.
    ///
    /// # Errors
    /// As [`Store::connection`].
    pub async fn mark_connection_broken(
        &self,
        connection: &Connection,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.change_health(connection, Health::Broken { reason: reason.to_owned(), since: now }).await
    }

    /// Notes that a message has arrived in the channel. `true`: the connection was broken before.
    ///
    /// # Errors
    /// As [`Store::connection`].
    pub async fn mark_connection_healthy(&self, connection: &Connection) -> Result<bool, Error> {
        self.change_health(connection, Health::Healthy).await
    }

    /// `false`: it was broken, or healthy, already; or somebody else has just changed the connection.
    async fn change_health(&self, connection: &Connection, health: Health) -> Result<bool, Error> {
        let Connection { account, service, channel, team, .. } = connection;
        let key = keys::connection(account, service, channel);
        let Some(item) = self.read(&key).await? else { return Ok(false) };
        let known: Connection = data(&item)?;
        if matches!(known.health, Health::Broken { .. }) == matches!(health, Health::Broken { .. }) {
            return Ok(false);
        }
        let seen = version(&item);
        let item = Item::new(key, "connection", &Connection { health, ..known })?
            .indexed(Some(keys::connection_in_team(team, channel, service)))
            .version(seen + 1);
        self.put_if(item, Condition::new("version = :known").number(":known", i128::from(seen))).await
    }

    /// Stores the bot's installation in a team.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn put_installation(&self, installation: &Installation) -> Result<(), Error> {
        let Installation { team, tenant, .. } = installation;
        let item = Item::new(keys::installation(team), "installation", installation)?
            .indexed(Some(keys::installation_in_tenant(tenant, team)));
        self.put(item).await
    }

    /// The bot's installation in a team.
    ///
    /// # Errors
    /// As [`Store::connection`].
    pub async fn installation(&self, team: &TeamId) -> Result<Option<Installation>, Error> {
        self.read_data(&keys::installation(team)).await
    }

    /// Keeps a known team's address up to date. A team of another tenant, or an unknown one, is left alone.
    ///
    /// # Errors
    /// As [`Store::connection`].
    pub async fn refresh_service_url(&self, team: &TeamId, tenant: &TenantId, service_url: &str) -> Result<(), Error> {
        match self.installation(team).await? {
            Some(known) if &known.tenant == tenant && known.service_url != service_url => {
                self.put_installation(&Installation { service_url: service_url.to_owned(), ..known }).await
            }
            Some(_) | None => Ok(()),
        }
    }
}
