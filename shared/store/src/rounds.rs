//! Where the reconciler is on its way, and what it knows about itself.

use domain::healing::Healing;
use domain::ids::AccountId;
use domain::news::Reading;
use domain::round::Round;

use crate::item::{Item, or_skip};
use crate::{Error, Store, keys};

impl Store {
    /// The round that is going on; `None`: there was none yet, or it cannot be read and begins anew.
    pub async fn round(&self, account: &AccountId) -> Result<Option<Round>, Error> {
        Ok(or_skip(self.read_data(&keys::round(account)).await)?.flatten())
    }

    /// Notes how far a round has come.
    pub async fn put_round(&self, account: &AccountId, round: &Round) -> Result<(), Error> {
        self.put(Item::new(keys::round(account), "round", round)?).await
    }

    /// How far PagerDuty's log has been read; `None`: it never was, or that cannot be read and it is read anew.
    pub async fn reading(&self, account: &AccountId) -> Result<Option<Reading>, Error> {
        Ok(or_skip(self.read_data(&keys::reading(account)).await)?.flatten())
    }

    /// Notes how far PagerDuty's log has been read.
    pub async fn put_reading(&self, account: &AccountId, reading: &Reading) -> Result<(), Error> {
        self.put(Item::new(keys::reading(account), "reading", reading)?).await
    }

    /// What the reconciler has noted about itself; nothing, if that cannot be read.
    pub async fn healing(&self, client_id: &str) -> Result<Healing, Error> {
        Ok(or_skip(self.read_data(&keys::healing(client_id)).await)?.flatten().unwrap_or_default())
    }

    /// Notes what the reconciler knows about itself.
    pub async fn put_healing(&self, client_id: &str, healing: &Healing) -> Result<(), Error> {
        self.put(Item::new(keys::healing(client_id), "healing", healing)?).await
    }
}
