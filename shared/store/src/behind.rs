//! What is unfinished in a channel. Whoever marks writes without reading; only the sender takes anything away.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::behind::{Behind, MOST_CAUSES, Mark, Marked, Subject, Wish};
use domain::ids::{AccountId, ChannelId};
use domain::incident::RecordVersion;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::item::{Attributes, Condition, DATA, KIND, SCHEMA, SCHEMA_VERSION, data, number, or_skip, text, written};
use crate::table::{EXPIRES_AT, SK};
use crate::update::{Update, n};
use crate::{Error, Store, keys};

/// How often a mark is tried when others mark the same item at the same time.
const TRIES: usize = 12;

const SEQ: &str = "seq";
const WANTED: &str = "wanted";
const SINCE: &str = "since";
const CAUSES: &str = "causes";
const AFRESH: &str = "afresh";
const FREEZE: &str = "freeze";
const OWN_CARD: &str = "own_card";
const ATTEMPTS: &str = "attempts";
const TRIED: &str = "tried";
const NOT_BEFORE: &str = "not_before";
const WHY: &str = "why";
const PARKED: &str = "parked";

/// When the newest mark was made, within its data.
const AT: &str = "at";

/// How a try ended that did not make the card true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It comes again, at once or not before then.
    Until(Option<Timestamp>),
    /// Nothing more is tried before somebody marks it. Its causes are told.
    Parked,
}

impl Store {
    /// Marks something as unfinished. `expires`: when the mark may be forgotten. `false`: the mark has no room for its cause.
    ///
    /// # Errors
    /// [`Error::Contended`] if others marked it every time.
    pub async fn mark(&self, mark: &Mark, expires: Timestamp) -> Result<bool, Error> {
        let key = keys::behind(&mark.account, &mark.channel, &mark.subject);
        let in_order = |update: Update| if_in_order(update, n(mark.wanted.0));
        for _ in 0..TRIES {
            let blind = in_order(mark_of(&key, mark, expires, true, true)?);
            if self.update(&key, blind).await?.is_some() {
                return Ok(true);
            }
            let Some(item) = self.read(&key).await? else { continue };
            let newest = number(&item, WANTED).and_then(|wanted| u64::try_from(wanted).ok()).unwrap_or(0);
            let room = item.get(CAUSES).and_then(|causes| causes.as_l().ok()).is_none_or(|it| it.len() < MOST_CAUSES);
            let seen = item.get(SEQ).cloned().unwrap_or_else(|| n(0));
            let update = mark_of(&key, mark, expires, mark.wanted.0 > newest, room)?.if_equal(SEQ, seen);
            if self.update(&key, update).await?.is_some() {
                return Ok(room || mark.cause.is_none());
            }
        }
        Err(Error::Contended { what: format!("what is unfinished in channel {}", mark.channel) })
    }

    /// Marks something unless it is marked already. `true`: it was not.
    pub async fn mark_if_absent(&self, mark: &Mark, expires: Timestamp) -> Result<bool, Error> {
        let key = keys::behind(&mark.account, &mark.channel, &mark.subject);
        let mut update = mark_of(&key, mark, expires, true, true)?;
        let seq = update.name(SEQ);
        Ok(self.update(&key, update.if_holds(format!("attribute_not_exists({seq})"))).await?.is_some())
    }

    /// Everything that is unfinished in a channel, as the last write left it; without what cannot be read.
    pub async fn behind_set(&self, account: &AccountId, channel: &ChannelId) -> Result<Vec<Behind>, Error> {
        let read = |item| or_skip(behind(account, channel, &item)).ok().flatten();
        self.partition_read(&keys::behind_set(account, channel), None, read).await
    }

    /// Notes that something is done, unless it was marked again. `false`: it was, and those of its causes that are in `item` are
    /// forgotten.
    pub async fn finish_behind(&self, item: &Behind) -> Result<bool, Error> {
        let key = keys::behind(&item.account, &item.channel, &item.subject);
        // Not by `seq` alone: it begins anew with an item that is made anew, and the SDK repeats a call whose answer was lost.
        let condition = Condition::new(format!("{SEQ} = :seq AND {SINCE} = :since"))
            .number(":seq", i128::from(item.seq))
            .text(":since", &item.since.to_string());
        if self.take_if(&key, condition).await?.is_some() {
            return Ok(true);
        }
        // What is left began with the newest mark.
        let told = of(item).copy(SINCE, &[DATA, AT]);
        let told = told.remove(&[WHY]).remove(&[ATTEMPTS]).remove(&[NOT_BEFORE]);
        self.update(&key, told.remove_first(CAUSES, item.causes.len())).await.map(|_| false)
    }

    /// Notes that something was tried in vain, and why. Whatever it was marked with meanwhile stays.
    pub async fn hold_behind(&self, item: &Behind, held: &Held, why: &str) -> Result<(), Error> {
        let key = keys::behind(&item.account, &item.channel, &item.subject);
        let tried = || {
            of(item)
                .set(ATTEMPTS, n(u64::from(item.attempts) + 1))
                .set(TRIED, n(item.seq))
                .set(WHY, AttributeValue::S(why.to_owned()))
        };
        // A newer mark is another reason to try.
        let update = match held {
            Held::Until(Some(at)) => {
                let waits = tried().if_equal(SEQ, n(item.seq)).set(NOT_BEFORE, AttributeValue::S(at.to_string()));
                if self.update(&key, waits).await?.is_some() {
                    return Ok(());
                }
                tried()
            }
            Held::Until(None) => tried().remove(&[NOT_BEFORE]),
            Held::Parked => of(item)
                .if_equal(SEQ, n(item.seq))
                .set(PARKED, AttributeValue::S(why.to_owned()))
                .remove(&[CAUSES])
                .remove(&[AFRESH])
                .remove(&[NOT_BEFORE])
                .remove(&[ATTEMPTS]),
        };
        self.update(&key, update).await.map(drop)
    }

    /// Lets something wait without its having been tried, unless it was marked meanwhile.
    pub async fn postpone_behind(&self, item: &Behind, until: Timestamp) -> Result<(), Error> {
        let key = keys::behind(&item.account, &item.channel, &item.subject);
        let update = of(item).if_equal(SEQ, n(item.seq)).set(NOT_BEFORE, AttributeValue::S(until.to_string()));
        // What it was marked for is done but for what it waits for.
        self.update(&key, update.remove(&[CAUSES]).remove(&[AFRESH])).await.map(drop)
    }
}

/// There is none, or its causes have room and it wants nothing newer.
fn if_in_order(mut update: Update, wanted: AttributeValue) -> Update {
    let (seq, newest, causes) = (update.name(SEQ), update.name(WANTED), update.name(CAUSES));
    let (wanted, most) = (update.value(WANTED, wanted), update.value("most", n(MOST_CAUSES as u64)));
    let room = format!("attribute_not_exists({causes}) OR size({causes}) < {most}");
    update.if_holds(format!("(attribute_not_exists({seq}) OR ({newest} <= {wanted} AND ({room})))"))
}

/// An update of the very item that was read, however often it was marked since.
fn of(item: &Behind) -> Update {
    Update::default().if_equal(SINCE, AttributeValue::S(item.since.to_string()))
}

/// The update that marks an item. `raises`: whether it wants more than the item does; `has_room`: for the cause.
fn mark_of(key: &keys::Key, mark: &Mark, expires: Timestamp, raises: bool, has_room: bool) -> Result<Update, Error> {
    let mut update = Update::default()
        .set_once(KIND, AttributeValue::S("behind".to_owned()))
        .set_once(SCHEMA, AttributeValue::N(SCHEMA_VERSION.to_string()))
        .set_once(SINCE, AttributeValue::S(mark.at.to_string()))
        .set(DATA, written(&key.pk, &Marked::from(mark))?)
        .remove(&[PARKED])
        .add_one(SEQ);
    if raises {
        update = update.set(WANTED, n(mark.wanted.0));
    }
    if let Some(cause) = mark.cause.as_ref().filter(|_| has_room) {
        update = update.append(CAUSES, written(&key.pk, cause)?);
    }
    update = match mark.wish {
        Wish::Shown => update,
        Wish::Afresh => update.set(AFRESH, AttributeValue::Bool(true)).remove(&[NOT_BEFORE]),
        Wish::Frozen => update.set(FREEZE, AttributeValue::S(mark.at.to_string())),
        Wish::OwnCard => update.set(OWN_CARD, AttributeValue::Bool(true)).remove(&[NOT_BEFORE]),
    };
    Ok(if mark.is_over { update.set(EXPIRES_AT, n(expires.as_second())) } else { update.remove(&[EXPIRES_AT]) })
}

/// What cannot be read of an item costs that part, except for what it is about.
fn behind(account: &AccountId, channel: &ChannelId, item: &Attributes) -> Result<Behind, Error> {
    let marked: Marked = data(item)?;
    let known = |name: &str| text(item, name).map(str::to_owned);
    let subject = known(SK).and_then(|name| Subject::try_from(name).ok()).ok_or_else(|| crate::item::misfit(item))?;
    let is_set = |name: &str| item.get(name).and_then(|set| set.as_bool().ok()).copied().unwrap_or(false);
    let count = |name: &str| number(item, name).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    Ok(Behind {
        account: account.clone(),
        channel: channel.clone(),
        subject,
        seq: count(SEQ),
        wanted: RecordVersion(count(WANTED)),
        since: time(item, SINCE).unwrap_or(marked.at),
        marked,
        causes: list(item, CAUSES),
        afresh: is_set(AFRESH),
        freeze: time(item, FREEZE),
        own_card: is_set(OWN_CARD),
        attempts: u32::try_from(count(ATTEMPTS)).unwrap_or(u32::MAX),
        tried: count(TRIED),
        not_before: time(item, NOT_BEFORE),
        why: known(WHY),
        parked: known(PARKED),
    })
}

fn time(item: &Attributes, name: &str) -> Option<Timestamp> {
    text(item, name)?.parse().ok()
}

fn list<T: DeserializeOwned>(item: &Attributes, name: &str) -> Vec<T> {
    let items = item.get(name).and_then(|list| list.as_l().ok()).cloned().unwrap_or_default();
    items.into_iter().filter_map(|value| serde_dynamo::from_attribute_value(value).ok()).collect()
}
