//! Where the reconciler is on its way through an account's services.

use domain::ids::{AccountId, ServiceId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::Item;
use crate::{Error, Store, keys};

/// Rounds overlap: clocks differ, and PagerDuty lists an incident a moment after it began.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// How far back the first round looks for incidents that are closed already, and any round at most.
const FIRST: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The schedule's interval three times: a round that began longer ago has got stuck.
const OVERDUE: SignedDuration = SignedDuration::from_mins(15);

/// One way through all services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// When it began.
    pub began_at: Timestamp,
    /// When the round before it began; `None` for the first one.
    pub before: Option<Timestamp>,
    /// The last service that was done, in the order of ids; `None`: none yet.
    pub after: Option<ServiceId>,
}

impl Round {
    /// The first one ever.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self { began_at: now, before: None, after: None }
    }

    /// Whether a service has yet to be done.
    #[must_use]
    pub fn is_due(&self, service: &ServiceId) -> bool {
        self.after.as_ref().is_none_or(|after| service > after)
    }

    /// Since when incidents may have been missed.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        let back = |from: Timestamp, by| from.checked_sub(by).unwrap_or(Timestamp::MIN);
        let earliest = back(self.began_at, LONGEST);
        self.before.map_or_else(|| back(self.began_at, FIRST), |before| back(before, OVERLAP).max(earliest))
    }

    /// Whether the next one should have begun by now.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now.duration_since(self.began_at) > OVERDUE
    }

    /// The one after this one, which `now` begins.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Self {
        Self { began_at: now, before: Some(self.began_at), after: None }
    }
}

impl Store {
    /// The round that is going on; `None`: there was none yet.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer or the item cannot be read.
    pub async fn round(&self, account: &AccountId) -> Result<Option<Round>, Error> {
        self.read_data(&keys::round(account)).await
    }

    /// Notes how far a round has come.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn put_round(&self, account: &AccountId, round: &Round) -> Result<(), Error> {
        self.put(Item::new(keys::round(account), "round", round)?).await
    }
}
