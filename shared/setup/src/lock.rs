//! One at a time per service: the first connection makes the subscription and the last one takes it away. What needs that
//! takes the lock, so nobody calls it without.

use std::time::Duration;

use domain::connection::ConnectionKey;
use domain::ids::{AccountId, ChannelId, ServiceId};
use jiff::SignedDuration;
use runtime::{App, Lock};
use store::LockKey;

use crate::error::SetupError;

/// Longer than everything that is done to a service under its lock may take.
const OF_SERVICE: SignedDuration = SignedDuration::from_secs(60);

/// How often, and how long after one another, somebody tries who finds a service's lock taken: 5 s in all.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// The right to change a service's connections and its subscription.
#[derive(Debug)]
pub struct ServiceLock {
    pub(crate) account: AccountId,
    pub(crate) service: ServiceId,
    lock: Lock,
}

impl ServiceLock {
    /// Takes it, and waits if somebody else has it.
    ///
    /// # Errors
    /// [`SetupError::Busy`] if they still have it after 5 s.
    pub async fn take(app: &App, account: &AccountId, service: &ServiceId) -> Result<Self, SetupError> {
        let (account, service) = (account.clone(), service.clone());
        let key = LockKey::Connections(account.clone(), service.clone());
        for _ in 0..TRIES {
            if let Some(lock) = Lock::take(app, key.clone(), OF_SERVICE).await? {
                return Ok(Self { account, service, lock });
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Err(SetupError::Busy)
    }

    /// Gives it back.
    pub async fn release(self, app: &App) {
        self.lock.release(app).await;
    }

    /// The service's connection to a channel.
    pub(crate) fn connection(&self, channel: &ChannelId) -> ConnectionKey {
        let (account, service) = (self.account.clone(), self.service.clone());
        ConnectionKey { account, service, channel: channel.clone() }
    }
}

/// Does `work` when it is its turn.
pub(crate) async fn one_at_a_time<T>(
    app: &App,
    account: &AccountId,
    service: &ServiceId,
    work: impl AsyncFnOnce(&ServiceLock) -> Result<T, SetupError>,
) -> Result<T, SetupError> {
    let lock = ServiceLock::take(app, account, service).await?;
    let done = Box::pin(work(&lock)).await;
    lock.release(app).await;
    done
}
