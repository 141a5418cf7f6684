//! Locks that save work and quarrels. Whoever is frozen beyond a lock's time goes on without it, so nothing relies on one.

use jiff::SignedDuration;
use store::LockKey;

use crate::{App, OnceError};

/// A lock that is held, as long as its time lasts.
#[derive(Debug)]
pub struct Lock {
    key: LockKey,
    holder: String,
}

impl Lock {
    /// Takes a lock for `hold`; `None`: somebody else has it.
    pub async fn take(app: &App, key: LockKey, hold: SignedDuration) -> Result<Option<Self>, OnceError> {
        let holder = app.random.token()?;
        let taken = app.store.lock(&key, &holder, app.clock.now(), hold).await?;
        Ok(taken.then_some(Self { key, holder }))
    }

    /// What it protects.
    #[must_use]
    pub fn key(&self) -> &LockKey {
        &self.key
    }

    /// Gives it back.
    pub async fn release(self, app: &App) {
        if let Err(error) = app.store.unlock(&self.key, &self.holder).await {
            tracing::warn!(error = crate::chain(&error), lock = ?self.key, "the lock ends by itself");
        }
    }
}
