//! Cards: which message shows an incident in a channel, and what it shows.

use domain::plan::{CardKey, CardRecord, PostClaim};
use jiff::{SignedDuration, Timestamp};

use crate::item::{Attributes, Condition, Item, data_or_skip, number, version};
use crate::table::EXPIRES_AT;
use crate::{Error, Store, keys};

/// Whether a sender may post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nobody else may, until the lease ends.
    Won,
    /// Somebody else posts, or has posted.
    Lost,
}

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

    /// Claims the right to post `unposted`'s message for `lease`. A card that cannot be read is replaced. `expires`: when the card
    /// may be forgotten, if its incident is resolved.
    pub async fn claim_post(
        &self,
        key: &CardKey,
        unposted: &CardRecord,
        holder: &str,
        now: Timestamp,
        lease: SignedDuration,
        expires: Option<Timestamp>,
    ) -> Result<Claim, Error> {
        let known = self.known_card(key).await?;
        let is_taken =
            |card: &CardRecord| card.activity.is_some() || card.claim.as_ref().is_some_and(|claim| claim.until > now);
        if known.card.as_ref().is_some_and(is_taken) {
            return Ok(Claim::Lost);
        }
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let claimed = CardRecord { claim: Some(PostClaim { holder: holder.to_owned(), until }), ..unposted.clone() };
        let won = self.put_card(key, &claimed, &known, expires).await?;
        Ok(if won { Claim::Won } else { Claim::Lost })
    }

    /// Gives the claim back: the post was refused, so nothing was posted.
    pub async fn release_claim(&self, key: &CardKey, holder: &str) -> Result<(), Error> {
        let known = self.known_card(key).await?;
        let claimed =
            known.card.as_ref().filter(|card| card.claim.as_ref().is_some_and(|claim| claim.holder == holder));
        if let Some(card) = claimed {
            let expires = known.item.as_ref().and_then(|item| number(item, EXPIRES_AT));
            let expires = expires.and_then(|second| Timestamp::from_second(second).ok());
            self.put_card(key, &CardRecord { claim: None, ..card.clone() }, &known, expires).await?;
        }
        Ok(())
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

    async fn known_card(&self, key: &CardKey) -> Result<Known, Error> {
        let item = self.read(&keys::card(key)).await?;
        Ok(Known { card: item.as_ref().and_then(data_or_skip), item })
    }

    /// Writes if nobody else has written since `known` was read.
    async fn put_card(
        &self,
        key: &CardKey,
        card: &CardRecord,
        known: &Known,
        expires: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let next = known.item.as_ref().map_or(0, version).saturating_add(1);
        let mut new = Item::new(keys::card(key), "card", card)?.version(next).may_expire(expires);
        if let Known { item: Some(item), card: Some(card) } = known {
            new = new.over(item, card)?;
        }
        self.put_if(new, Condition::unchanged(known.item.as_ref())).await
    }
}

/// The stored item, if there is one, and the card in it, if it can be read.
struct Known {
    item: Option<Attributes>,
    card: Option<CardRecord>,
}
