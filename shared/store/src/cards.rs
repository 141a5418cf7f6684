//! Cards: which message shows an incident in a channel, and what it shows.

use domain::plan::{CardKey, CardRecord, PostClaim};
use jiff::{SignedDuration, Timestamp};

use crate::item::{Attributes, Condition, Item, data, version};
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
    /// One card.
    pub async fn card(&self, key: &CardKey) -> Result<Option<CardRecord>, Error> {
        self.read_data(&keys::card(key)).await
    }

    /// Claims the right to post `unposted`'s message for `lease`.
    pub async fn claim_post(
        &self,
        key: &CardKey,
        unposted: &CardRecord,
        holder: &str,
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Claim, Error> {
        let known = self.read(&keys::card(key)).await?;
        if let Some(item) = &known {
            let card: CardRecord = data(item)?;
            if card.activity.is_some() || card.claim.is_some_and(|claim| claim.until > now) {
                return Ok(Claim::Lost);
            }
        }
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let claimed = CardRecord { claim: Some(PostClaim { holder: holder.to_owned(), until }), ..unposted.clone() };
        let won = self.put_card(key, &claimed, known.as_ref()).await?;
        Ok(if won { Claim::Won } else { Claim::Lost })
    }

    /// Gives the claim back: the post was refused, so nothing was posted.
    pub async fn release_claim(&self, key: &CardKey, holder: &str) -> Result<(), Error> {
        let Some(item) = self.read(&keys::card(key)).await? else { return Ok(()) };
        let card: CardRecord = data(&item)?;
        if card.claim.as_ref().is_some_and(|claim| claim.holder == holder) {
            self.put_card(key, &CardRecord { claim: None, ..card }, Some(&item)).await?;
        }
        Ok(())
    }

    /// Saves what a card shows now. A state that is older than the stored one is not written.
    pub async fn save_card(&self, key: &CardKey, card: &CardRecord) -> Result<Saved, Error> {
        let known = self.read(&keys::card(key)).await?;
        if let Some(item) = &known {
            let stored: CardRecord = data(item)?;
            if stored.activity == card.activity && stored.rendered > card.rendered {
                return Ok(Saved::Overtaken);
            }
        }
        let saved = self.put_card(key, card, known.as_ref()).await?;
        Ok(if saved { Saved::Yes } else { Saved::Overtaken })
    }

    /// Writes if nobody else has written since `known` was read.
    async fn put_card(&self, key: &CardKey, card: &CardRecord, known: Option<&Attributes>) -> Result<bool, Error> {
        let (next, condition) = match known.map(version) {
            Some(known) => (known + 1, Condition::new("version = :known").number(":known", i128::from(known))),
            None => (1, Condition::new("attribute_not_exists(pk)")),
        };
        self.put_if(Item::new(keys::card(key), "card", card)?.version(next), condition).await
    }
}
