//! Cards: which message shows an incident in a channel, and what it shows.

use domain::ids::{AccountId, ChannelId, IncidentId};
use domain::plan::{CardRecord, PostClaim};
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
    ///
    /// # Errors
    /// As [`Store::record`].
    pub async fn card(
        &self,
        account: &AccountId,
        incident: &IncidentId,
        channel: &ChannelId,
    ) -> Result<Option<CardRecord>, Error> {
        self.read_data(&keys::card(account, incident, channel)).await
    }

    /// Claims the right to post `unposted`'s message for `lease`.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub async fn claim_post(
        &self,
        (account, incident): (&AccountId, &IncidentId),
        unposted: &CardRecord,
        holder: &str,
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Claim, Error> {
        let key = keys::card(account, incident, &unposted.channel);
        let known = self.read(&key).await?;
        if let Some(item) = &known {
            let card: CardRecord = data(item)?;
            if card.activity.is_some() || card.claim.is_some_and(|claim| claim.until > now) {
                return Ok(Claim::Lost);
            }
        }
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let claimed = CardRecord { claim: Some(PostClaim { holder: holder.to_owned(), until }), ..unposted.clone() };
        let won = self.put_card(account, incident, &claimed, known.as_ref()).await?;
        Ok(if won { Claim::Won } else { Claim::Lost })
    }

    /// Gives the claim back: the post was refused, so nothing was posted.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub async fn release_claim(
        &self,
        account: &AccountId,
        incident: &IncidentId,
        channel: &ChannelId,
        holder: &str,
    ) -> Result<(), Error> {
        let Some(item) = self.read(&keys::card(account, incident, channel)).await? else { return Ok(()) };
        let card: CardRecord = data(&item)?;
        if card.claim.as_ref().is_some_and(|claim| claim.holder == holder) {
            self.put_card(account, incident, &CardRecord { claim: None, ..card }, Some(&item)).await?;
        }
        Ok(())
    }

    /// Saves what a card shows now. A state that is older than the stored one is not written.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub async fn save_card(
        &self,
        account: &AccountId,
        incident: &IncidentId,
        card: &CardRecord,
    ) -> Result<Saved, Error> {
        let known = self.read(&keys::card(account, incident, &card.channel)).await?;
        if let Some(item) = &known {
            let stored: CardRecord = data(item)?;
            if stored.activity == card.activity && stored.rendered > card.rendered {
                return Ok(Saved::Overtaken);
            }
        }
        let saved = self.put_card(account, incident, card, known.as_ref()).await?;
        Ok(if saved { Saved::Yes } else { Saved::Overtaken })
    }

    /// Writes if nobody else has written since `known` was read.
    async fn put_card(
        &self,
        account: &AccountId,
        incident: &IncidentId,
        card: &CardRecord,
        known: Option<&Attributes>,
    ) -> Result<bool, Error> {
        let key = keys::card(account, incident, &card.channel);
        let (next, condition) = match known.map(version) {
            Some(known) => (known + 1, Condition::new("version = :known").number(":known", i128::from(known))),
            None => (1, Condition::new("attribute_not_exists(pk)")),
        };
        self.put_if(Item::new(key, "card", card)?.version(next), condition).await
    }
}
