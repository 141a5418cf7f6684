//! Where the reconciler is on its way, and what it knows about itself.

use std::collections::BTreeSet;

use domain::catch_up::Sweep;
use domain::healing::Healing;
use domain::ids::{AccountId, IncidentId};
use domain::news::Reading;
use domain::round::Round;
use jiff::{SignedDuration, Timestamp};

use crate::item::{Item, or_skip, readable};
use crate::{Error, Store, keys};

/// A way through the open incidents that takes longer begins anew.
const KEEP_SWEPT: SignedDuration = SignedDuration::from_hours(6);

impl Store {
    /// The round that is going on; `None`: there was none yet, or it cannot be read and begins anew.
    pub async fn round(&self, account: &AccountId) -> Result<Option<Round>, Error> {
        Ok(or_skip(self.read_data(&keys::round(account)).await)?.flatten())
    }

    /// Notes how far a round has come.
    pub async fn put_round(&self, account: &AccountId, round: &Round) -> Result<(), Error> {
        self.put(Item::new(keys::round(account), "round", round)?).await
    }

    /// Keeps which incidents a page of a way through the open ones has shown, for as long as the way may take.
    pub async fn put_swept(&self, account: &AccountId, sweep: &Sweep, shown: &[IncidentId]) -> Result<(), Error> {
        let key = keys::swept(account, sweep.began_at, sweep.pages);
        let expires = sweep.began_at.checked_add(KEEP_SWEPT).unwrap_or(Timestamp::MAX);
        self.put(Item::new(key, "swept", &shown)?.expires(expires)).await
    }

    /// Which incidents a way through the open ones has come by.
    pub async fn swept(&self, account: &AccountId, sweep: &Sweep) -> Result<BTreeSet<IncidentId>, Error> {
        let pages = self.partition(&keys::account(account).pk, Some(&keys::swept_by(sweep.began_at))).await?;
        Ok(readable::<Vec<IncidentId>>(&pages).into_iter().flatten().collect())
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
