//! Connections of services to channels, and what became of their newest message.

use domain::connection::{Connection, ConnectionKey, Health, LastDelivery, Manner};
use domain::ids::{AccountId, ServiceId, TeamId};
use jiff::Timestamp;

use crate::item::{Condition, Item, data, data_or_skip, or_skip, readable, version};
use crate::{Error, Store, keys};

impl Store {
    /// Stores a new connection. `false`: service and channel are connected already, and that connection stays as it is.
    pub async fn add_connection(&self, connection: &Connection) -> Result<bool, Error> {
        self.put_if(connection_item(connection, 1)?, Condition::new("attribute_not_exists(pk)")).await
    }

    /// Deletes a connection and returns it; `None`: there was none that can be read.
    pub async fn remove_connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, Error> {
        let taken = self.take(&keys::connection(key)).await?;
        self.take(&keys::last_delivery(key)).await?;
        Ok(taken.as_ref().and_then(data_or_skip))
    }

    /// The connection between a service and a channel.
    pub async fn connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, Error> {
        self.read_data(&keys::connection(key)).await
    }

    /// Every connection of a service.
    pub async fn connections_of_service(
        &self,
        account: &AccountId,
        service: &ServiceId,
    ) -> Result<Vec<Connection>, Error> {
        Ok(readable(&self.partition(&keys::service(account, service), Some(keys::CONNECTION)).await?))
    }

    /// Whether anything is connected to a service, also by a connection that cannot be read.
    pub async fn is_connected(&self, account: &AccountId, service: &ServiceId) -> Result<bool, Error> {
        Ok(!self.partition(&keys::service(account, service), Some(keys::CONNECTION)).await?.is_empty())
    }

    /// Every connection to a channel of a team; one made a moment ago may be missing.
    pub async fn connections_of_team(&self, team: &TeamId) -> Result<Vec<Connection>, Error> {
        Ok(readable(&self.index(&keys::team(team), Some(keys::CONNECTION)).await?))
    }

    /// Notes that Teams no longer reaches the channel. `true`: it was not known before.
    pub async fn mark_connection_broken(
        &self,
        connection: &Connection,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let health = Health::Broken { reason: reason.to_owned(), since: now };
        self.change_connection(connection, |known| match known.health {
            Health::Healthy => Some(Connection { health, ..known }),
            Health::Broken { .. } | Health::ServiceGone { .. } => None,
        })
        .await
    }

    /// Notes that a message has arrived in the channel. `true`: the connection was broken before.
    pub async fn mark_connection_healthy(&self, connection: &Connection) -> Result<bool, Error> {
        self.change_connection(connection, |known| match known.health {
            Health::Broken { .. } => Some(Connection { health: Health::Healthy, ..known }),
            Health::Healthy | Health::ServiceGone { .. } => None,
        })
        .await
    }

    /// Notes that PagerDuty deleted the service. `true`: it was not known before.
    pub async fn mark_service_gone(&self, connection: &Connection, now: Timestamp) -> Result<bool, Error> {
        self.change_connection(connection, |known| match known.health {
            Health::ServiceGone { .. } => None,
            Health::Healthy | Health::Broken { .. } => {
                Some(Connection { health: Health::ServiceGone { since: now }, ..known })
            }
        })
        .await
    }

    /// Notes the service's new name. `true`: it was not known before.
    pub async fn rename_service(&self, connection: &Connection, name: &str) -> Result<bool, Error> {
        self.change_connection(connection, |known| {
            (known.service_name != name).then(|| Connection { service_name: name.to_owned(), ..known })
        })
        .await
    }

    /// Changes how the channel is told. `true`: it was another way before.
    pub async fn change_manner(&self, connection: &Connection, manner: &Manner) -> Result<bool, Error> {
        self.change_connection(connection, |known| {
            let changed = manner.applied_to(known.clone());
            (changed != known).then_some(changed)
        })
        .await
    }

    /// `false`: there was nothing to change, or somebody else has just changed the connection.
    async fn change_connection(
        &self,
        connection: &Connection,
        change: impl FnOnce(Connection) -> Option<Connection>,
    ) -> Result<bool, Error> {
        let Some(item) = self.read(&keys::connection(&connection.key())).await? else { return Ok(false) };
        let known: Connection = data(&item)?;
        let Some(changed) = change(known.clone()) else { return Ok(false) };
        let new = connection_item(&changed, version(&item) + 1)?.over(&item, &known)?;
        self.put_if(new, Condition::unchanged(Some(&item))).await
    }

    /// Notes what became of a connection's newest message.
    pub async fn put_last_delivery(&self, key: &ConnectionKey, delivery: &LastDelivery) -> Result<(), Error> {
        self.put(Item::new(keys::last_delivery(key), "last_delivery", delivery)?).await
    }

    /// What became of a connection's newest message; `None`: it has had none.
    pub async fn last_delivery(&self, key: &ConnectionKey) -> Result<Option<LastDelivery>, Error> {
        Ok(or_skip(self.read_data(&keys::last_delivery(key)).await)?.flatten())
    }
}

fn connection_item(connection: &Connection, version: u64) -> Result<Item, Error> {
    let Connection { service, channel, team, .. } = connection;
    Ok(Item::new(keys::connection(&connection.key()), "connection", connection)?
        .indexed(Some(keys::connection_in_team(team, channel, service)))
        .version(version))
}
