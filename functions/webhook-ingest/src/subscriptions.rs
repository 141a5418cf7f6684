//! Subscriptions and their opened secrets, kept in the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::SubscriptionId;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, OpenError, SecretValues};
use secrecy::SecretString;
use store::Subscription;
use tokio::sync::Mutex;

use crate::answer::{self, Ended};

/// One that was read longer ago is read anew beside what is done with its event.
const FRESH_FOR: SignedDuration = SignedDuration::from_mins(1);

/// One that was read longer ago is read anew first, if the table does not take its time and gives one that is usable.
const CACHE_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How long that may take.
const RENEWING: Duration = Duration::from_millis(50);

/// How often in a minute a request without a signature has the table read. Whoever sends one pays nothing for it.
const READS_WITHOUT_SIGNATURE: u32 = 120;

/// A subscription whose webhook secrets are open.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) subscription: Subscription,
    pub(crate) secrets: Vec<SecretString>,
    read_at: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Subscriptions {
    app: App,
    cached: Arc<Mutex<HashMap<SubscriptionId, Arc<Known>>>>,
    without_signature: Arc<Mutex<Reads>>,
}

/// How often the table was read in a minute.
#[derive(Debug, Default)]
struct Reads {
    minute: i64,
    taken: u32,
}

impl Reads {
    fn take(&mut self, now: Timestamp) -> bool {
        let minute = now.as_second().div_euclid(60);
        if self.minute != minute {
            *self = Self { minute, taken: 0 };
        }
        self.taken = self.taken.saturating_add(1);
        self.taken <= READS_WITHOUT_SIGNATURE
    }
}

impl Subscriptions {
    pub(crate) fn new(app: App) -> Self {
        Self { app, cached: Arc::default(), without_signature: Arc::default() }
    }

    /// The subscription, from the cache unless `fresh` is asked for. `None`: the table does not know it.
    pub(crate) async fn find(&self, id: &SubscriptionId, fresh: bool) -> Result<Option<Arc<Known>>, Ended> {
        let now = self.app.clock.now();
        // Nobody waits for what somebody else reads.
        let known = self.cached.lock().await.get(id).filter(|_| !fresh).cloned();
        let read = match known {
            Some(known) if now.duration_since(known.read_at) < CACHE_FOR => return Ok(Some(known)),
            // What is known serves unless the table says that it is gone.
            Some(known) => match runtime::spare(RENEWING, self.read(id, now)).await {
                Some(Ok(read)) => read,
                failed => {
                    let in_time = failed.is_some();
                    tracing::warn!(subscription.id = %id, in_time, "subscription not read anew");
                    return Ok(Some(known));
                }
            },
            None => self.read(id, now).await?,
        };
        let read = read.map(Arc::new);
        let mut cached = self.cached.lock().await;
        match &read {
            Some(known) => cached.insert(id.clone(), Arc::clone(known)),
            None => cached.remove(id),
        };
        Ok(read)
    }

    async fn read(&self, id: &SubscriptionId, now: Timestamp) -> Result<Option<Known>, Ended> {
        let found = self.app.store.subscription(id).await.map_err(|error| answer::table_failed(&error))?;
        let Some(subscription) = found else { return Ok(None) };
        Ok(Some(Known { secrets: self.open(&subscription, now).await?, subscription, read_at: now }))
    }

    /// Whether the table knows it, for whoever brings no signature. What it does not know is not remembered: it may be made a moment
    /// later. So that a flood of made-up ids costs little, it is only asked so often.
    pub(crate) async fn knows(&self, id: &SubscriptionId) -> Result<bool, Ended> {
        if self.cached.lock().await.contains_key(id) {
            return Ok(true);
        }
        if !self.without_signature.lock().await.take(self.app.clock.now()) {
            return Err(Ended::NotLookedUp);
        }
        let found = self.app.store.subscription(id).await.map_err(|error| answer::table_failed(&error))?;
        Ok(found.is_some())
    }

    /// Reads a subscription anew if it is not fresh any more. What cannot be read now stays as it is known.
    pub(crate) async fn renew(&self, id: &SubscriptionId) {
        let now = self.app.clock.now();
        let is_fresh = |known: &Arc<Known>| now.duration_since(known.read_at) < FRESH_FOR;
        if !self.cached.lock().await.get(id).is_none_or(is_fresh) {
            // It has been logged what is wrong; the event is taken by what was known.
            let _reported = self.find(id, true).await;
        }
    }

    async fn open(&self, subscription: &Subscription, now: Timestamp) -> Result<Vec<SecretString>, Ended> {
        let id = subscription.id.as_str();
        let each = |values: &SecretValues| {
            let ring = values.webhook_keys()?;
            let opened: Vec<_> = subscription.secrets.iter().map(|sealed| ring.open(sealed, id)).collect();
            Ok::<_, OpenError>(opened)
        };
        // All of them are tried: the one that is in use may be any.
        let every = |values: &SecretValues| Ok(each(values)?.into_iter().collect::<Result<Vec<_>, _>>()?);
        let opened = match self.app.secrets.open(now, every).await {
            Err(OpenError::Seal(error)) => {
                tracing::error!(
                    error = runtime::chain(&error),
                    subscription.id = id,
                    "a webhook secret cannot be opened"
                );
                self.app.secrets.open(now, each).await.map(|opened| opened.into_iter().flatten().collect())
            }
            opened => opened,
        };
        let opened: Vec<SecretString> = opened.map_err(|error| {
            tracing::error!(error = runtime::chain(&error), "secret cannot be read");
            Ended::SecretsDown
        })?;
        if opened.is_empty() {
            tracing::error!(subscription.id = id, "no webhook secret of the subscription can be opened");
            return Err(Ended::SecretsDown);
        }
        Ok(opened)
    }
}
