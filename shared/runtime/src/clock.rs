//! The only place that knows what time it is.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A source of the present time: the system's, one that stands still until it is moved, or one that runs with tokio's.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that the local stack's tests move by hand.
    Manual(Arc<Mutex<Timestamp>>),
    /// Runs with tokio's clock, which a test can pause: then all time is virtual, and whoever sleeps moves it.
    Tokio { start: Timestamp, base: Instant },
}

impl Clock {
    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(Mutex::new(start)))
    }

    /// A clock that shows `start` now and runs with tokio's.
    #[must_use]
    pub fn tokio(start: Timestamp) -> Self {
        Self::Tokio { start, base: Instant::now() }
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
            Self::System => Timestamp::now(),
            Self::Manual(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
            Self::Tokio { start, base } => start.checked_add(base.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }

    /// Moves a manual clock forward; the others move by themselves.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Manual(now) = self {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.checked_add(by).unwrap_or(Timestamp::MAX);
        }
    }
}
