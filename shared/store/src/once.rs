//! Doing something once, however often it is asked for.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{Condition, Item, data, is_alive};
use crate::keys::Key;
use crate::table::EXPIRES_AT;
use crate::{Error, Store, keys};

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

fn key_of(name: &str) -> Key {
    keys::once(&hex(digest(&SHA256, name.as_bytes()).as_ref()))
}

/// Tells texts apart where a key needs few characters: the first 16 hexadecimal digits of their SHA-256.
pub(crate) fn short_digest(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref()).chars().take(16).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names one call. The SDK sends a request again whose answer was lost, and a condition that the first sending has made
/// false would look like somebody else's claim; under this name the call finds its own.
pub(crate) fn call_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    #[expect(clippy::disallowed_methods, reason = "no outcome depends on it: it only tells calls apart")]
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(hex(&bytes))
}

impl Store {
    /// Claims `key` for `hold`; after that time a claim without an outcome may be claimed again.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer or the item cannot be read.
    pub async fn begin_once(&self, key: &str, now: Timestamp, hold: SignedDuration) -> Result<Once, Error> {
        if self.lock(key, &call_name()?, now, hold).await? {
            return Ok(Once::First);
        }
        let known = self.read(&key_of(key)).await?.filter(|item| is_alive(item, now));
        let outcome = known.map(|item| data::<OnceData>(&item)).transpose()?.and_then(|known| known.outcome);
        Ok(outcome.map_or(Once::InProgress, Once::Done))
    }

    /// Notes the outcome and keeps it for `keep`.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn finish_once(
        &self,
        key: &str,
        outcome: &str,
        now: Timestamp,
        keep: SignedDuration,
    ) -> Result<(), Error> {
        let done = OnceData { outcome: Some(outcome.to_owned()) };
        self.put(Item::new(key_of(key), "once", &done)?.expires(after(now, keep))).await
    }

    /// Takes a lock for `hold`. `false`: somebody else has it. `holder` names the caller, who alone can give it back.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn lock(&self, name: &str, holder: &str, now: Timestamp, hold: SignedDuration) -> Result<bool, Error> {
        let item = Item::new(key_of(name), "once", &OnceData { outcome: None })?;
        let free = Condition::new(format!("attribute_not_exists(pk) OR {EXPIRES_AT} <= :now OR {HOLDER} = :me"))
            .number(":now", i128::from(now.as_second()))
            .text(":me", holder);
        self.put_if(item.expires(after(now, hold)).text(HOLDER, holder), free).await
    }

    /// Gives a lock back, unless its time was over and somebody else has it now.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn unlock(&self, name: &str, holder: &str) -> Result<(), Error> {
        let mine = Condition::new(format!("{HOLDER} = :me")).text(":me", holder);
        self.take_if(&key_of(name), mine).await.map(drop)
    }

    /// Gives the claim back: nothing was done.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn abandon_once(&self, key: &str) -> Result<(), Error> {
        self.take(&key_of(key)).await.map(drop)
    }
}

fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}
