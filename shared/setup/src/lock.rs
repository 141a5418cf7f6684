//! Locks that save work and quarrels. Whoever is frozen beyond a lock's time goes on without it, so nothing relies on one.

use std::time::Duration;

use domain::ids::{AccountId, ServiceId};
use jiff::SignedDuration;
use runtime::App;

use crate::SetupError;

/// Longer than everything that is done to a service under its lock may take.
const OF_SERVICE: SignedDuration = SignedDuration::from_secs(60);

/// How often, and how long after one another, somebody tries who finds a service's lock taken: 5 s in all.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// A lock that is held.
#[derive(Debug)]
pub struct Lock {
    name: String,
    holder: String,
}

impl Lock {
    /// Takes a lock for `hold`; `None`: somebody else has it.
    ///
    /// # Errors
    /// [`SetupError`] if the table does not answer.
    pub async fn take(app: &App, name: String, hold: SignedDuration) -> Result<Option<Self>, SetupError> {
        let holder = app.random.token()?;
        let taken = app.store.lock(&name, &holder, app.clock.now(), hold).await?;
        Ok(taken.then_some(Self { name, holder }))
    }

    /// Gives it back.
    pub async fn release(self, app: &App) {
        if let Err(error) = app.store.unlock(&self.name, &self.holder).await {
            tracing::warn!(error = runtime::chain(&error), lock = self.name, "the lock ends by itself");
        }
    }
}

/// One at a time per service: the first connection makes the subscription and the last one takes it away. Does `work` when
/// it is its turn.
pub(crate) async fn one_at_a_time<T>(
    app: &App,
    account: &AccountId,
    service: &ServiceId,
    work: impl Future<Output = Result<T, SetupError>>,
) -> Result<T, SetupError> {
    for _ in 0..TRIES {
        if let Some(lock) = Lock::take(app, format!("connections/{account}/{service}"), OF_SERVICE).await? {
            let done = work.await;
            lock.release(app).await;
            return done;
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(SetupError::Busy)
}
