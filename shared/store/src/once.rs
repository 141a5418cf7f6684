//! Doing something once, however often it is asked for.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{Condition, Item, data_or_skip, is_alive};
use crate::keys::{Key, LockKey, OnceKey};
use crate::table::EXPIRES_AT;
use crate::{Error, Store};

/// Whose call wrote a claim.
const HOLDER: &str = "holder";

/// What is known of something that is to be done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// The caller is the first and is to do it.
    First,
    /// Somebody does it right now.
    InProgress,
    /// It was done, with this outcome.
    Done(String),
}

#[derive(Serialize, Deserialize)]
struct OnceData {
    outcome: Option<String>,
}

impl Store {
    /// Claims `key` for `hold`; after that time a claim without an outcome may be claimed again. `call` is a name that no
    /// other call has: the SDK repeats a request whose answer was lost, and finds its own claim by it.
    pub async fn begin_once(
        &self,
        key: OnceKey<'_>,
        call: &str,
        now: Timestamp,
        hold: SignedDuration,
    ) -> Result<Once, Error> {
        let key = key.key();
        if self.claim(&key, call, now, hold).await? {
            return Ok(Once::First);
        }
        let known = self.read(&key).await?.filter(|item| is_alive(item, now));
        // What cannot be read may have been done, so it is not done again.
        let outcome = known.and_then(|item| data_or_skip::<OnceData>(&item)).and_then(|known| known.outcome);
        Ok(outcome.map_or(Once::InProgress, Once::Done))
    }

    /// Notes the outcome and keeps it for `keep`.
    pub async fn finish_once(
        &self,
        key: OnceKey<'_>,
        outcome: &str,
        now: Timestamp,
        keep: SignedDuration,
    ) -> Result<(), Error> {
        let done = OnceData { outcome: Some(outcome.to_owned()) };
        self.put(Item::new(key.key(), "once", &done)?.expires(after(now, keep))).await
    }

    /// Gives the claim back: nothing was done.
    pub async fn abandon_once(&self, key: OnceKey<'_>) -> Result<(), Error> {
        self.take(&key.key()).await.map(drop)
    }

    /// Takes a lock for `hold`. `false`: somebody else has it. `holder` names the caller, who alone can give it back.
    pub async fn lock(&self, key: &LockKey, holder: &str, now: Timestamp, hold: SignedDuration) -> Result<bool, Error> {
        self.claim(&key.key(), holder, now, hold).await
    }

    /// Gives a lock back, unless its time was over and somebody else has it now.
    pub async fn unlock(&self, key: &LockKey, holder: &str) -> Result<(), Error> {
        let mine = Condition::new(format!("{HOLDER} = :me")).text(":me", holder);
        self.take_if(&key.key(), mine).await.map(drop)
    }

    async fn claim(&self, key: &Key, holder: &str, now: Timestamp, hold: SignedDuration) -> Result<bool, Error> {
        let item = Item::new(key.clone(), "once", &OnceData { outcome: None })?;
        let free = Condition::new(format!("attribute_not_exists(pk) OR {EXPIRES_AT} <= :now OR {HOLDER} = :me"))
            .number(":now", i128::from(now.as_second()))
            .text(":me", holder);
        self.put_if(item.expires(after(now, hold)).text(HOLDER, holder), free).await
    }
}

fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}
