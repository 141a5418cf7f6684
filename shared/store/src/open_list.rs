//! The open incidents of an account as PagerDuty listed them last: one list for all senders.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::forward;
use domain::ids::{AccountId, IncidentId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{DATA, data_or_skip, text, written};
use crate::update::Update;
use crate::{Error, Store, keys};

/// How long a list is good, and how often PagerDuty is asked for one at most.
const GOOD: SignedDuration = SignedDuration::from_secs(30);

/// Who asks for longer than this has given up.
const ASKING: SignedDuration = SignedDuration::from_secs(3);

const ASKED_AT: &str = "asked_at";

/// A list of the open incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenList {
    pub asked_at: Timestamp,
    pub incidents: BTreeSet<IncidentId>,
    /// Whether no open one was missing then.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub is_whole: bool,
}

/// Who asks for the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is good still.
    Known(OpenList),
    /// The caller, who then stores it.
    Mine,
    /// Somebody else, right now.
    Asking,
    /// Somebody else has asked in vain.
    Unknown,
}

impl Store {
    /// The list, or whose turn it is to ask PagerDuty for it.
    pub async fn open_list(&self, account: &AccountId, now: Timestamp) -> Result<Turn, Error> {
        let key = keys::open_list(account);
        let item = self.read(&key).await?;
        let asked_at: Option<Timestamp> = item.as_ref().and_then(|item| text(item, ASKED_AT)?.parse().ok());
        let age = |at: Timestamp| now.duration_since(at);
        let list: Option<OpenList> = item.as_ref().filter(|item| item.contains_key(DATA)).and_then(data_or_skip);
        match (list, asked_at) {
            (Some(list), Some(asked)) if list.asked_at >= asked && age(asked) < GOOD => return Ok(Turn::Known(list)),
            (_, Some(asked)) if age(asked) < ASKING => return Ok(Turn::Asking),
            (_, Some(asked)) if age(asked) < GOOD => return Ok(Turn::Unknown),
            _ => {}
        }
        let update = Update::default().set(ASKED_AT, AttributeValue::S(now.to_string()));
        let update = match asked_at {
            Some(asked) => update.if_equal(ASKED_AT, AttributeValue::S(asked.to_string())),
            None => update.if_absent(ASKED_AT),
        };
        Ok(if self.update(&key, update).await?.is_some() { Turn::Mine } else { Turn::Asking })
    }

    /// Stores the list that was asked for.
    pub async fn put_open_list(&self, account: &AccountId, list: &OpenList) -> Result<(), Error> {
        let key = keys::open_list(account);
        let update = Update::default().set(DATA, written(&key.pk, list)?);
        self.update(&key, update).await.map(drop)
    }
}
