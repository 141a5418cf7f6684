//! Webhooks that PagerDuty has signed and nobody could read: kept for people, and for the next version that can.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::forward;
use domain::ids::{AccountId, SubscriptionId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hash::short_digest;
use crate::item::{Attributes, DATA, Item, data, is_alive, key_of, or_skip};
use crate::keys::{IndexKey, Key, in_order};
use crate::subscriptions::Subscription;
use crate::table::{INDEX, INDEX_PK, INDEX_SK, PK};
use crate::update::Update;
use crate::{Error, Store, keys};

/// How long a body waits for somebody who can read it.
const KEEP: SignedDuration = SignedDuration::from_hours(14 * 24);

/// An item holds 400 KB, its names and keys among them.
const MOST_BYTES: usize = 300 * 1024;

/// Longest name of a delivery that becomes part of a key.
const MOST_NAME_BYTES: usize = 200;

/// How many are looked at at once. `DynamoDB` ends a page at 1 MB in any case.
const PAGE: i32 = 25;

/// The body, beside the facts: in the facts of earlier versions, and as text.
const BODY: &str = "body";

/// Which version has looked at it last.
const READER: &str = "reader";

/// A webhook that could not be read, or not yet.
#[derive(Clone, Copy)]
pub struct NotRead<'a> {
    pub subscription: &'a Subscription,
    /// PagerDuty's name of the delivery, if it has a usable one.
    pub webhook: Option<&'a str>,
    /// Only its beginning is kept of a very long one.
    pub body: &'a [u8],
    pub reason: &'a str,
    /// Which version could not read it; see `pagerduty::webhook::reader`.
    pub reader: &'a str,
    /// When it is worth another look in any case.
    pub again_at: Option<Timestamp>,
    /// Whether PagerDuty has been asked for its incident meanwhile.
    pub asked: bool,
}

/// What is known of a kept body.
#[derive(Serialize, Deserialize)]
struct Facts {
    reason: String,
    at: Timestamp,
    /// How long it was; there may be less of it.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(default, deserialize_with = "forward::or_default")]
    asked: bool,
}

/// Where a kept body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPlace(Key);

/// A kept body.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    pub place: KeptPlace,
    pub body: Vec<u8>,
    /// When it came.
    pub at: Timestamp,
    /// Whether PagerDuty was asked for its incident when it came.
    pub asked: bool,
    /// Whether its time is over.
    pub is_over: bool,
}

/// The first of those that are worth another look.
#[derive(Debug, Default)]
pub struct KeptPage {
    pub found: Vec<Kept>,
    /// Items of another shape.
    pub odd: Vec<KeptPlace>,
    /// Whether there are more.
    pub more: bool,
}

/// A body holds an incident's title, and perhaps names.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("place", &self.place).field("at", &self.at).finish_non_exhaustive()
    }
}

impl fmt::Debug for NotRead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotRead").field("webhook", &self.webhook).field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl fmt::Display for KeptPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.pk, self.0.sk)
    }
}

impl Store {
    /// Keeps a body for two weeks. One that is delivered again is the same one.
    pub async fn keep_unread(&self, unread: &NotRead<'_>, now: Timestamp) -> Result<(), Error> {
        let NotRead { subscription, body, reason, reader, .. } = *unread;
        let facts = Facts { reason: reason.to_owned(), at: now, length: Some(body.len()), asked: unread.asked };
        let usable = |name: &&str| name.len() <= MOST_NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic());
        let webhook = unread.webhook.filter(usable).unwrap_or("none");
        let key = keys::unreadable(&subscription.id, &format!("{webhook}#{}", short_digest(body)));
        let index = match unread.again_at {
            Some(at) => keys::kept_until(&subscription.account, at),
            None => keys::kept(&subscription.account, reader, now),
        };
        let item = Item::new(key, "unreadable", &facts)?
            .bytes(BODY, body.get(..body.len().min(MOST_BYTES)).unwrap_or_default())
            .text(READER, reader)
            .indexed(Some(index))
            .expires(now.checked_add(KEEP).unwrap_or(Timestamp::MAX));
        self.put(item).await
    }

    /// The bodies that another version than `reader` has looked at last, an earlier one, and those whose time has come.
    pub async fn kept_to_look_at(&self, account: &AccountId, reader: &str, now: Timestamp) -> Result<KeptPage, Error> {
        let mut page = KeptPage::default();
        for (from, to) in [
            (keys::KEPT.to_owned(), format!("{}{reader}", keys::KEPT)),
            (keys::KEPT_UNTIL.to_owned(), format!("{}{}", keys::KEPT_UNTIL, in_order(now))),
        ] {
            let (items, more) = self.kept_between(account, from, to).await?;
            page.more |= more;
            for item in items {
                let Some(place) = key_of(&item).map(KeptPlace) else { continue };
                match or_skip(kept(&item, place.clone(), now))? {
                    Some(kept) => page.found.push(kept),
                    None => page.odd.push(place),
                }
            }
        }
        Ok(page)
    }

    async fn kept_between(
        &self,
        account: &AccountId,
        from: String,
        to: String,
    ) -> Result<(Vec<Attributes>, bool), Error> {
        let account = AttributeValue::S(keys::account(account).pk);
        let values = [(":pk", account), (":from", AttributeValue::S(from)), (":to", AttributeValue::S(to))];
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression(format!("{INDEX_PK} = :pk AND {INDEX_SK} BETWEEN :from AND :to"))
            .set_expression_attribute_values(Some(values.map(|(name, value)| (name.to_owned(), value)).into()))
            .limit(PAGE)
            .send()
            .await
            .map_err(|error| Error::call("Query", error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.is_some_and(|key| !key.is_empty())))
    }

    /// Notes that a version has looked at a body: it need not do so again.
    pub async fn note_look(
        &self,
        account: &AccountId,
        place: &KeptPlace,
        reader: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let update = Update::default().set(READER, AttributeValue::S(reader.to_owned()));
        self.list_kept(place, keys::kept(account, reader, now), update).await
    }

    /// Has a body looked at at that time, and not before.
    pub async fn put_off_look(&self, account: &AccountId, place: &KeptPlace, until: Timestamp) -> Result<(), Error> {
        self.list_kept(place, keys::kept_until(account, until), Update::default()).await
    }

    async fn list_kept(&self, place: &KeptPlace, index: IndexKey, update: Update) -> Result<(), Error> {
        let update = update.set(INDEX_PK, AttributeValue::S(index.pk)).set(INDEX_SK, AttributeValue::S(index.sk));
        // One that was forgotten meanwhile stays so.
        self.update(&place.0, update.if_exists(&[PK])).await.map(drop)
    }

    /// Nobody need look at it any more.
    pub async fn forget_kept(&self, place: &KeptPlace) -> Result<(), Error> {
        self.take(&place.0).await.map(drop)
    }

    /// Whether [`Store::list_kept_of`] was done for all subscriptions of the account.
    pub async fn kept_are_listed(&self, account: &AccountId) -> Result<bool, Error> {
        Ok(self.read(&keys::kept_are_listed(account)).await?.is_some())
    }

    /// Notes that it was.
    pub async fn note_kept_are_listed(&self, account: &AccountId, now: Timestamp) -> Result<(), Error> {
        self.put(Item::new(keys::kept_are_listed(account), "kept_are_listed", &now)?).await
    }

    /// Lists the bodies of a subscription that an earlier version has kept without a list.
    pub async fn list_kept_of(&self, account: &AccountId, subscription: &SubscriptionId) -> Result<usize, Error> {
        let mut listed = 0;
        for item in self.names(&keys::subscription(subscription).pk, keys::UNREADABLE).await? {
            let Some(place) = key_of(&item).map(KeptPlace).filter(|_| !item.contains_key(INDEX_SK)) else { continue };
            self.list_kept(&place, keys::kept(account, "", Timestamp::UNIX_EPOCH), Update::default()).await?;
            listed += 1;
        }
        Ok(listed)
    }
}

fn kept(item: &Attributes, place: KeptPlace, now: Timestamp) -> Result<Kept, Error> {
    let Facts { at, asked, .. } = data(item)?;
    let body = body(item).ok_or_else(|| crate::item::misfit(item))?;
    Ok(Kept { place, body, at, asked, is_over: !is_alive(item, now) })
}

fn body(item: &Attributes) -> Option<Vec<u8>> {
    let bytes = |value: &AttributeValue| value.as_b().ok().cloned().map(Blob::into_inner);
    if let Some(body) = item.get(BODY) {
        return bytes(body);
    }
    let facts: &HashMap<String, AttributeValue> = item.get(DATA)?.as_m().ok()?;
    BASE64_STANDARD.decode(facts.get(BODY)?.as_m().ok()?.get("B")?.as_s().ok()?).ok()
}
