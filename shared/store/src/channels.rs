//! What a channel's sender leaves for the next one, and which channels there are.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::channel::{Epoch, State};
use domain::ids::{AccountId, ChannelId};
use jiff::{SignedDuration, Timestamp};

use crate::item::{
    Attributes, DATA, Item, KIND, SCHEMA, SCHEMA_VERSION, data_or_skip, number, readable, text, written,
};
use crate::update::{Update, n};
use crate::{Error, Store, keys};

const EPOCH: &str = "epoch";
const HOLD: &str = "hold";
const EXPECTS: &str = "expects";

/// A sender that was expected so long ago does not come any more.
const OVERDUE: SignedDuration = SignedDuration::from_secs(60);

/// When a channel is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awake {
    /// No sender has been there yet.
    Never,
    /// When somebody wakes it.
    When(Epoch),
    /// Soon, without being woken: whatever was marked before this was read is seen then.
    Soon(Epoch),
}

fn epoch(item: &Attributes) -> Epoch {
    Epoch(number(item, EPOCH).and_then(|epoch| u64::try_from(epoch).ok()).unwrap_or(0))
}

impl Store {
    /// Begins a sender's work in a channel: from now on no other one's word counts. What of the state cannot be read is as if
    /// nothing had been left.
    pub async fn begin_epoch(&self, account: &AccountId, channel: &ChannelId) -> Result<(Epoch, State), Error> {
        let update = Update::default()
            .add_one(EPOCH)
            .set_once(KIND, AttributeValue::S("channel_state".to_owned()))
            .set_once(SCHEMA, AttributeValue::N(SCHEMA_VERSION.to_string()));
        let item = self.update(&keys::channel_state(account, channel), update).await?.unwrap_or_default();
        let state = if item.contains_key(DATA) { data_or_skip(&item).unwrap_or_default() } else { State::default() };
        Ok((epoch(&item), state))
    }

    /// Whether a channel has to be woken, as the last write left it.
    pub async fn awake(&self, account: &AccountId, channel: &ChannelId, now: Timestamp) -> Result<Awake, Error> {
        let Some(item) = self.read(&keys::channel_state(account, channel)).await? else { return Ok(Awake::Never) };
        let expected: Option<Timestamp> = text(&item, EXPECTS).and_then(|at| at.parse().ok());
        let comes = expected.is_some_and(|at| now.duration_since(at) < OVERDUE);
        Ok(if comes { Awake::Soon(epoch(&item)) } else { Awake::When(epoch(&item)) })
    }

    /// Notes the state for whoever comes next. `false`: somebody has begun another epoch, and goes on in place of the caller.
    pub async fn put_state(
        &self,
        account: &AccountId,
        channel: &ChannelId,
        Epoch(mine): Epoch,
        state: &State,
    ) -> Result<bool, Error> {
        let key = keys::channel_state(account, channel);
        let update = Update::default().if_equal(EPOCH, n(mine)).set(DATA, written(&key.pk, state)?);
        let update = match state.expects() {
            Some(at) => update.set(EXPECTS, AttributeValue::S(at.to_string())),
            None => update.remove(&[EXPECTS]),
        };
        Ok(self.update(&key, update).await?.is_some())
    }

    /// What was left in a channel.
    pub async fn channel_state(&self, account: &AccountId, channel: &ChannelId) -> Result<State, Error> {
        let item = self.read(&keys::channel_state(account, channel)).await?;
        Ok(item.as_ref().filter(|item| item.contains_key(DATA)).and_then(data_or_skip).unwrap_or_default())
    }

    /// Lets a channel wait no longer. A sender that is at work there stops.
    pub async fn release_channel(&self, account: &AccountId, channel: &ChannelId) -> Result<(), Error> {
        let update = Update::default().if_exists(&[DATA, HOLD]).remove(&[DATA, HOLD]).add_one(EPOCH);
        self.update(&keys::channel_state(account, channel), update).await.map(drop)
    }

    /// Notes that something is marked in a channel for the first time.
    pub async fn put_channel_of_account(&self, account: &AccountId, channel: &ChannelId) -> Result<(), Error> {
        let key = keys::channel_of_account(account, channel);
        self.put(Item::new(key, "channel_of_account", channel)?).await
    }

    /// The channels of an account in which something was ever marked.
    pub async fn channels_of_account(&self, account: &AccountId) -> Result<Vec<ChannelId>, Error> {
        Ok(readable(&self.partition(&keys::account(account).pk, Some(keys::CHANNEL)).await?))
    }
}
