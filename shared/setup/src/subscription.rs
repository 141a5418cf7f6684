//! A service's webhook subscription: made for its first connection, mended when PagerDuty or the table has lost it, and ended
//! with its last connection.

use std::collections::BTreeSet;

use domain::failure::Class;
use domain::ids::{AccountId, ServiceId, SubscriptionId};
use pagerduty::rest::{CreatedSubscription, ListedSubscription, NewSubscription, SubscriptionState};
use runtime::{App, AsAppError, OpenError, SecretValues};
use secrecy::ExposeSecret;
use store::Subscription;
use store::seal::{SealError, Sealed};
use url::Url;

use crate::error::SetupError;
use crate::lock::{ServiceLock, one_at_a_time};

/// What becomes of a webhook subscription when a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionEnd {
    /// Other channels still need it.
    Kept,
    /// It is gone.
    Deleted,
    /// PagerDuty did not delete it. Its deliveries find no channel, and the next connection of the service uses it again.
    Left,
}

/// The webhook subscriptions of the account that are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnSubscriptions {
    /// They deliver to the public address.
    pub here: Vec<ListedSubscription>,
    /// Made before PagerBridge moved: they deliver to an address that it had before.
    pub elsewhere: Vec<ListedSubscription>,
    /// How many requests the list has taken.
    pub asked: usize,
    /// How many entries of it could not be read.
    pub skipped: usize,
}

/// What PagerDuty's list says is wrong with a service's subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is switched off.
    Disabled,
    /// It delivers to an address that PagerBridge had before.
    Elsewhere(Url),
}

/// PagerDuty's list of our webhook subscriptions. Those that deliver elsewhere are ours if the table knows them.
pub async fn own_subscriptions(app: &App, account: &AccountId) -> Result<OwnSubscriptions, SetupError> {
    let ours = webhook_url(app)?;
    let known = app.store.subscriptions_of_account(account).await?;
    let known: BTreeSet<SubscriptionId> = known.into_iter().map(|subscription| subscription.id).collect();
    let (mut own, mut offset) = (OwnSubscriptions::default(), Some(0));
    while let Some(start) = offset {
        let page = Box::pin(app.as_app().call(async |api, auth| api.subscriptions(auth, start).await)).await?;
        own.asked += 1;
        own.skipped += page.skipped;
        for listed in page.items {
            if listed.url == ours {
                own.here.push(listed);
            } else if known.contains(&listed.id) {
                own.elsewhere.push(listed);
            }
        }
        offset = page.next;
    }
    Ok(own)
}

/// Whether PagerDuty delivers what a subscription is for.
pub async fn subscription_state(app: &App, id: &SubscriptionId) -> Result<SubscriptionState, SetupError> {
    Ok(app.as_app().call(async |api, auth| api.subscription_state(auth, id).await).await?)
}

/// Sees to it that a connected service has a subscription that delivers here: one that is disabled is switched on, one that is
/// gone or delivers elsewhere is made anew. `seen`: what PagerDuty's list says, so that it is not asked once more. `false`: it did already.
///
/// # Errors
/// [`SetupError::Busy`] if somebody else changes the same service.
pub async fn mend_subscription(
    app: &App,
    account: &AccountId,
    service: &ServiceId,
    seen: Option<Seen>,
) -> Result<bool, SetupError> {
    let (worker, account, service) = (app.clone(), account.clone(), service.clone());
    let mend = async move {
        let app = &worker;
        let mend = async |lock: &ServiceLock| {
            let made = subscribe(app, lock, seen.as_ref()).await?;
            let is_made = made.is_some();
            // The last connection may have gone meanwhile.
            if let Some(made) = made
                && !app.store.is_connected(&account, &service).await?
            {
                end_unused(app, lock, &made).await?;
            }
            Ok(is_made || seen == Some(Seen::Disabled))
        };
        one_at_a_time(app, &account, &service, mend).await
    };
    app.finish(mend).await?
}

/// Seals a subscription's webhook secrets with the current key, if an older one has sealed any. `true`: so it was.
pub async fn reseal_subscription(app: &App, known: &Subscription) -> Result<bool, SetupError> {
    let nonces = known.secrets.iter().map(|_| app.random.bytes()).collect::<Result<Vec<_>, _>>()?;
    let reseal = |values: &SecretValues| {
        let ring = values.webhook_keys()?;
        if known.secrets.iter().all(|sealed| ring.is_current(sealed)) {
            return Ok(None);
        }
        let resealed = known.secrets.iter().zip(&nonces).map(|(sealed, nonce)| {
            let resealed = ring.reseal(sealed, known.id.as_str(), *nonce)?;
            Ok(resealed.unwrap_or_else(|| sealed.clone()))
        });
        resealed.collect::<Result<Vec<Sealed>, OpenError>>().map(Some)
    };
    match app.secrets.open(app.clock.now(), reseal).await {
        Ok(Some(secrets)) => Ok(app.store.reseal_subscription(known, &secrets).await?),
        Ok(None) => Ok(false),
        Err(OpenError::Secret(error)) => Err(error.into()),
        Err(OpenError::Seal(error)) => Err(error.into()),
    }
}

/// Deletes a subscription of ours at PagerDuty that no service uses. `false`: it is in use after all.
///
/// # Errors
/// [`SetupError::Busy`] if somebody else changes the same service.
pub async fn remove_orphan(
    app: &App,
    account: &AccountId,
    service: &ServiceId,
    id: &SubscriptionId,
) -> Result<bool, SetupError> {
    // Under the lock: somebody may have made it a moment ago, and be about to store it.
    let remove = async |lock: &ServiceLock| {
        let used = app.store.subscription_of_service(account, service).await?;
        if let Some(used) = used.filter(|used| &used.id == id) {
            if app.store.is_connected(account, service).await? {
                return Ok(false);
            }
            return Ok(end_unused(app, lock, &used).await? == SubscriptionEnd::Deleted);
        }
        match app.store.subscription(id).await? {
            Some(retired) => unsubscribe(app, &retired).await?,
            None => delete_at_pagerduty(app, id).await?,
        }
        Ok(true)
    };
    one_at_a_time(app, account, service, remove).await
}

/// Makes the service's webhook subscription, unless it has one that delivers here. Gives the one that was made. `seen`: as above.
pub(crate) async fn subscribe(
    app: &App,
    lock: &ServiceLock,
    seen: Option<&Seen>,
) -> Result<Option<Subscription>, SetupError> {
    let ServiceLock { account, service, .. } = lock;
    let now = app.clock.now();
    let url = webhook_url(app)?;
    let known = app.store.subscription_of_service(account, service).await?;
    // PagerBridge has moved to another address since, and PagerDuty cannot change a subscription's. The new one is made first: for
    // a moment both deliver, and never none.
    let listed = match seen {
        Some(Seen::Elsewhere(url)) => Some(url.as_str()),
        Some(Seen::Disabled) | None => None,
    };
    let delivers_to = known.as_ref().and_then(|known| known.url.as_deref().or(listed));
    let elsewhere = delivers_to.is_some_and(|address| address != url.as_str());
    if let Some(known) = known.as_ref().filter(|_| !elsewhere)
        && still_delivers(app, known, seen).await?
    {
        return Ok(None);
    }
    let values = app.secrets.values(now).await?;
    let (ring, nonce) = (values.webhook_keys()?, app.random.bytes()?);
    let made = create(app, service, &url).await?;
    // The secret is shown this once: whatever fails from here on, the subscription must go again.
    let sealed = ring.seal(made.secret.expose_secret().as_bytes(), made.id.as_str(), nonce);
    let subscription = Subscription {
        id: made.id,
        account: account.clone(),
        service: service.clone(),
        secrets: sealed.as_ref().ok().into_iter().cloned().collect(),
        created_at: now,
        url: Some(url.to_string()),
    };
    if let Err(error) = keep_and_ping(app, &subscription, sealed.map(drop)).await {
        undo(app, lock, &subscription).await;
        return Err(error);
    }
    if let Some(old) = known.filter(|_| elsewhere)
        && let Err(error) = unsubscribe(app, &old).await
    {
        tracing::warn!(subscription.id = %old.id, error = runtime::chain(&error), "subscription of an old address left");
    }
    Ok(Some(subscription))
}

/// Asks PagerDuty for everything that it may tell us; if it refuses that, for what it tells every app.
async fn create(app: &App, service: &ServiceId, url: &Url) -> Result<CreatedSubscription, AsAppError> {
    let ask = async |events: &[&str]| {
        let wanted = NewSubscription { service, url, description: "PagerBridge", events };
        app.as_app().call(async |api, auth| api.create_subscription(auth, &wanted).await).await
    };
    match ask(&domain::event::subscribed_if_allowed()).await {
        Err(AsAppError::PagerDuty(error))
            if matches!(error.class(), Class::Forbidden | Class::Invalid) && !error.is_limit() =>
        {
            let made = ask(&domain::event::subscribed()).await?;
            tracing::info!(
                service.id = %service,
                subscription.id = %made.id,
                error = runtime::chain(&error),
                "webhook subscription made without workflows"
            );
            Ok(made)
        }
        made => made,
    }
}

/// Whether a known subscription can be used again. One that PagerDuty has disabled is switched on, one that somebody has
/// deleted there is forgotten here.
async fn still_delivers(app: &App, known: &Subscription, seen: Option<&Seen>) -> Result<bool, SetupError> {
    let state = match seen {
        Some(Seen::Disabled) => SubscriptionState::Disabled,
        Some(Seen::Elsewhere(_)) | None => subscription_state(app, &known.id).await?,
    };
    let state = match state {
        SubscriptionState::Disabled => {
            let enabling = app.as_app().call(async |api, auth| api.enable_subscription(auth, &known.id).await);
            match Box::pin(enabling).await {
                Err(error) if error.is_not_found() => SubscriptionState::Gone,
                enabled => enabled.map(|()| SubscriptionState::Active)?,
            }
        }
        state => state,
    };
    match state {
        SubscriptionState::Active | SubscriptionState::Disabled => Ok(true),
        SubscriptionState::Gone => {
            app.store.delete_subscription(known).await?;
            Ok(false)
        }
    }
}

async fn keep_and_ping(
    app: &App,
    subscription: &Subscription,
    sealed: Result<(), SealError>,
) -> Result<(), SetupError> {
    sealed?;
    app.store.put_subscription(subscription).await?;
    Ok(app.as_app().call(async |api, auth| api.ping_subscription(auth, &subscription.id).await).await?)
}

/// Takes back a subscription that was just made, unless somebody else uses it already.
pub(crate) async fn undo(app: &App, lock: &ServiceLock, subscription: &Subscription) {
    let undone = async {
        match app.store.retire_subscription(subscription).await? {
            true => end_retired(app, lock, subscription).await.map(drop),
            // It was never in use.
            false => unsubscribe(app, subscription).await,
        }
    };
    if let Err(error) = undone.await {
        tracing::error!(
            subscription.id = %subscription.id,
            error = runtime::chain(&error),
            "a webhook subscription is left over at PagerDuty"
        );
    }
}

/// Ends the subscription of the locked service, if that has no connection any more.
///
/// The lock does not make this safe, since Lambda can freeze its holder beyond the lock's time. So the subscription is taken
/// out of use first, and the connections are counted again afterwards; who connects adds the connection first, and looks
/// afterwards whether a subscription is in use. Whatever the order, one of the two notices the other.
pub async fn end_unused(
    app: &App,
    lock: &ServiceLock,
    subscription: &Subscription,
) -> Result<SubscriptionEnd, SetupError> {
    if !app.store.retire_subscription(subscription).await? {
        return Ok(SubscriptionEnd::Kept);
    }
    end_retired(app, lock, subscription).await
}

async fn end_retired(
    app: &App,
    lock: &ServiceLock,
    subscription: &Subscription,
) -> Result<SubscriptionEnd, SetupError> {
    let needed = match app.store.is_connected(&lock.account, &lock.service).await {
        Ok(connected) => connected,
        Err(error) => {
            app.store.reuse_subscription(subscription).await?;
            return Err(error.into());
        }
    };
    if needed && app.store.reuse_subscription(subscription).await? {
        return Ok(SubscriptionEnd::Kept);
    }
    match unsubscribe(app, subscription).await {
        Ok(()) => Ok(SubscriptionEnd::Deleted),
        Err(error) => {
            tracing::error!(
                subscription.id = %subscription.id,
                error = runtime::chain(&error),
                "webhook subscription not deleted"
            );
            // The next connection of the service uses it again.
            app.store.reuse_subscription(subscription).await?;
            Ok(SubscriptionEnd::Left)
        }
    }
}

/// Deletes a subscription at PagerDuty and, when that is certain, in the table.
async fn unsubscribe(app: &App, subscription: &Subscription) -> Result<(), SetupError> {
    delete_at_pagerduty(app, &subscription.id).await?;
    Ok(app.store.delete_subscription(subscription).await?)
}

async fn delete_at_pagerduty(app: &App, id: &SubscriptionId) -> Result<(), SetupError> {
    match app.as_app().call(async |api, auth| api.delete_subscription(auth, id).await).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Where PagerDuty delivers to.
fn webhook_url(app: &App) -> Result<Url, SetupError> {
    Ok(Url::parse(&app.config.public("/webhooks/pagerduty"))?)
}
