//! Cards: which message shows an incident in a channel, and what it shows.

use std::collections::{BTreeMap, HashMap};

use domain::ids::{AccountId, ChannelId, IncidentId};
use domain::plan::{CardKey, CardRecord};
use jiff::Timestamp;

use crate::item::{Attributes, Condition, Item, data_or_skip, version};
use crate::keys::Key;
use crate::{Error, Store, keys};

/// Whether a card was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It was.
    Yes,
    /// The table knows a newer state of the card, which stays.
    Overtaken,
}

impl Store {
    /// One card. An [`Error::Unreadable`] one may have been posted.
    pub async fn card(&self, key: &CardKey) -> Result<Option<CardRecord>, Error> {
        self.read_data(&keys::card(key)).await
    }

    /// Those of some cards that are there and can be read, by their incidents' ids; all of them in one channel.
    pub async fn cards_in(
        &self,
        account: &AccountId,
        channel: &ChannelId,
        incidents: &[IncidentId],
    ) -> Result<BTreeMap<IncidentId, CardRecord>, Error> {
        let of = |incident: &IncidentId| {
            let key = CardKey { account: account.clone(), incident: incident.clone(), channel: channel.clone() };
            (keys::card(&key), incident.clone())
        };
        let wanted: HashMap<Key, IncidentId> = incidents.iter().map(of).collect();
        let mut found = self.read_all(wanted.keys().cloned().collect()).await?.items;
        let card = |(key, incident)| Some((incident, data_or_skip(&found.remove(&key)?)?));
        Ok(wanted.into_iter().filter_map(card).collect())
    }

    /// Saves what a card shows now over what was seen of it, in one call unless somebody else has saved it meanwhile.
    pub async fn save_card_over(
        &self,
        key: &CardKey,
        card: &CardRecord,
        seen: &SeenCard,
        expires: Option<Timestamp>,
    ) -> Result<Saved, Error> {
        if self.put_card(key, card, seen, expires).await? {
            return Ok(Saved::Yes);
        }
        self.save_card(key, card, expires).await
    }

    /// Saves what a card shows now. A state that is older than the stored one is not written. `expires`: when the card may be
    /// forgotten; `None` while its incident is open.
    pub async fn save_card(
        &self,
        key: &CardKey,
        card: &CardRecord,
        expires: Option<Timestamp>,
    ) -> Result<Saved, Error> {
        let known = self.known_card(key).await?;
        let is_newer = |known: &CardRecord| known.activity == card.activity && known.rendered > card.rendered;
        if known.card.as_ref().is_some_and(is_newer) {
            return Ok(Saved::Overtaken);
        }
        let saved = self.put_card(key, card, &known, expires).await?;
        Ok(if saved { Saved::Yes } else { Saved::Overtaken })
    }

    async fn known_card(&self, key: &CardKey) -> Result<SeenCard, Error> {
        Ok(SeenCard::of(self.read(&keys::card(key)).await?))
    }

    /// The item of a card that is saved over what was seen of it.
    pub(crate) fn card_item(
        key: &CardKey,
        card: &CardRecord,
        known: &SeenCard,
        expires: Option<Timestamp>,
    ) -> Result<Item, Error> {
        let next = known.item.as_ref().map_or(0, version).saturating_add(1);
        let new = Item::new(keys::card(key), "card", card)?.version(next).may_expire(expires);
        match known {
            SeenCard { item: Some(item), card: Some(card) } => new.over(item, card),
            _ => Ok(new),
        }
    }

    /// Writes if nobody else has written since `known` was read.
    async fn put_card(
        &self,
        key: &CardKey,
        card: &CardRecord,
        known: &SeenCard,
        expires: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let new = Self::card_item(key, card, known, expires)?;
        self.put_if(new, Condition::unchanged(known.item.as_ref())).await
    }
}

/// A card as it was read: the stored item, if there is one, and the card in it, if it can be read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeenCard {
    pub(crate) item: Option<Attributes>,
    card: Option<CardRecord>,
}

impl SeenCard {
    pub(crate) fn of(item: Option<Attributes>) -> Self {
        Self { card: item.as_ref().and_then(data_or_skip), item }
    }

    pub(crate) fn card(&self) -> Option<&CardRecord> {
        self.card.as_ref()
    }

    pub(crate) fn is_unreadable(&self) -> bool {
        self.item.is_some() && self.card.is_none()
    }
}
