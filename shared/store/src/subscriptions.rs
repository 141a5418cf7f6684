//! PagerDuty webhook subscriptions with their sealed secrets.

use domain::forward;
use domain::ids::{AccountId, ServiceId, SubscriptionId};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::item::{Condition, DATA, Item, or_skip, readable, written};
use crate::seal::Sealed;
use crate::update::Update;
use crate::{Error, Store, keys};

/// Whose id a service's pointer holds, beside its data: conditions read it.
const IN_USE: &str = "subscription_id";

/// A webhook subscription of ours at PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub account: AccountId,
    pub service: ServiceId,
    /// The secrets that a delivery may be signed with, sealed with the subscription's id; several while one is replaced.
    #[serde(deserialize_with = "legible")]
    pub secrets: Vec<Sealed>,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub created_at: Timestamp,
    /// Where its deliveries go; PagerDuty cannot change that later. `None`: not noted.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub url: Option<String>,
}

/// Those of the secrets that can be read. If that is none, the subscription is of no use, and another one has to be made.
fn legible<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Sealed>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Secret(#[serde(deserialize_with = "forward::or_none")] Option<Sealed>);

    let stored = Vec::<Secret>::deserialize(from)?;
    let was_empty = stored.is_empty();
    let secrets: Vec<Sealed> = stored.into_iter().filter_map(|Secret(secret)| secret).collect();
    if secrets.is_empty() && !was_empty { Err(D::Error::custom("no secret is legible")) } else { Ok(secrets) }
}

impl Store {
    /// Stores a subscription.
    pub async fn put_subscription(&self, subscription: &Subscription) -> Result<(), Error> {
        let index = keys::subscription_of_account(&subscription.account, &subscription.id);
        let item = Item::new(keys::subscription(&subscription.id), "subscription", subscription)?;
        self.put(item.indexed(Some(index))).await?;
        self.put(pointer(subscription)?).await
    }

    /// Stores the same webhook secrets, sealed anew. `false`: the subscription is gone, or its secrets have changed meanwhile.
    pub async fn reseal_subscription(&self, known: &Subscription, secrets: &[Sealed]) -> Result<bool, Error> {
        let key = keys::subscription(&known.id);
        let mut update = Update::default();
        let path = format!("{}.{}", update.name(DATA), update.name("secrets"));
        let (old, new) = (written(&key.pk, &known.secrets)?, written(&key.pk, &secrets)?);
        let (old, new) = (update.value("old", old), update.value("new", new));
        let update = update.set_to(format!("{path} = {new}")).if_holds(format!("{path} = {old}"));
        Ok(self.update(&key, update).await?.is_some())
    }

    /// Every subscription of an account, also those that no service uses any more; one made a moment ago may be missing.
    pub async fn subscriptions_of_account(&self, account: &AccountId) -> Result<Vec<Subscription>, Error> {
        Ok(readable(&self.index(&keys::account(account).pk, Some(keys::SUBSCRIPTION)).await?))
    }

    /// Takes a subscription out of use: whoever connects the service from now on makes a new one. `false`: it was not the
    /// one in use.
    pub async fn retire_subscription(&self, subscription: &Subscription) -> Result<bool, Error> {
        let key = keys::subscription_of(&subscription.account, &subscription.service);
        let in_use = Condition::new(format!("{IN_USE} = :id")).text(":id", subscription.id.as_str());
        Ok(self.take_if(&key, in_use).await?.is_some())
    }

    /// Takes a retired subscription into use again. `false`: the service uses another one by now.
    pub async fn reuse_subscription(&self, subscription: &Subscription) -> Result<bool, Error> {
        let free = Condition::new(format!("attribute_not_exists(pk) OR {IN_USE} = :id"));
        self.put_if(pointer(subscription)?, free.text(":id", subscription.id.as_str())).await
    }

    /// The subscription of a service, if it has one that can be read: else the reconciler makes a new one.
    pub async fn subscription_of_service(
        &self,
        account: &AccountId,
        service: &ServiceId,
    ) -> Result<Option<Subscription>, Error> {
        let id = or_skip(self.read_data(&keys::subscription_of(account, service)).await)?.flatten();
        match id {
            Some(id) => Ok(or_skip(self.subscription(&id).await)?.flatten()),
            None => Ok(None),
        }
    }

    /// Forgets a subscription. Its deliveries are answered as a stranger's from now on.
    pub async fn delete_subscription(&self, subscription: &Subscription) -> Result<(), Error> {
        self.retire_subscription(subscription).await?;
        self.take(&keys::subscription(&subscription.id)).await.map(drop)
    }

    /// A subscription, by the id in PagerDuty's header.
    pub async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, Error> {
        self.read_data(&keys::subscription(id)).await
    }
}

/// Points from a service to the subscription that it uses.
fn pointer(subscription: &Subscription) -> Result<Item, Error> {
    let key = keys::subscription_of(&subscription.account, &subscription.service);
    Ok(Item::new(key, "subscription_of_service", &subscription.id)?.text(IN_USE, subscription.id.as_str()))
}
