//! PagerDuty webhook subscriptions with their sealed secrets, and signed events that nobody could read.

use domain::ids::{AccountId, ServiceId, SubscriptionId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::Item;
use crate::seal::Sealed;
use crate::{Error, Store, keys};

/// How long an unreadable event waits for somebody to look at it.
const KEEP_UNREADABLE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A webhook subscription of ours at PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// PagerDuty's id.
    pub id: SubscriptionId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The service whose events it delivers.
    pub service: ServiceId,
    /// The secrets that a delivery may be signed with, sealed with the subscription's id; several while one is replaced.
    pub secrets: Vec<Sealed>,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(Serialize)]
struct Unreadable<'a> {
    body: &'a serde_dynamo::AttributeValue,
    reason: &'a str,
    at: Timestamp,
}

impl Store {
    /// Stores a subscription.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn put_subscription(&self, subscription: &Subscription) -> Result<(), Error> {
        self.put(Item::new(keys::subscription(&subscription.id), "subscription", subscription)?).await?;
        let pointer = keys::subscription_of(&subscription.account, &subscription.service);
        self.put(Item::new(pointer, "subscription_of_service", &subscription.id)?).await
    }

    /// The subscription of a service, if it has one.
    ///
    /// # Errors
    /// As [`Store::subscription`].
    pub async fn subscription_of_service(
        &self,
        account: &AccountId,
        service: &ServiceId,
    ) -> Result<Option<Subscription>, Error> {
        let id: Option<SubscriptionId> = self.read_data(&keys::subscription_of(account, service)).await?;
        match id {
            Some(id) => self.subscription(&id).await,
            None => Ok(None),
        }
    }

    /// Forgets a subscription. Its deliveries are answered as a stranger's from now on.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn delete_subscription(&self, subscription: &Subscription) -> Result<(), Error> {
        self.take(&keys::subscription_of(&subscription.account, &subscription.service)).await?;
        self.take(&keys::subscription(&subscription.id)).await.map(drop)
    }

    /// A subscription, by the id in PagerDuty's header.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer or the item cannot be read.
    pub async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, Error> {
        self.read_data(&keys::subscription(id)).await
    }

    /// Keeps a signed event that could not be read, for two weeks.
    ///
    /// # Errors
    /// [`Error`] if the table does not answer.
    pub async fn put_unreadable(
        &self,
        subscription: &SubscriptionId,
        webhook_id: &str,
        body: &[u8],
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let body = serde_dynamo::AttributeValue::B(body.to_vec());
        let item = Item::new(
            keys::unreadable(subscription, webhook_id),
            "unreadable",
            &Unreadable { body: &body, reason, at: now },
        )?
        .expires(now.checked_add(KEEP_UNREADABLE).unwrap_or(Timestamp::MAX));
        self.put(item).await
    }
}
