//! The only place that makes randomness: for tickets, states, nonces and lease holders.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The operating system gave no randomness; nothing that needs a secret can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError;

/// A source of random bytes.
#[derive(Debug, Clone)]
pub enum Random {
    /// The operating system's, for everything that runs for somebody.
    Os,
    /// The same bytes from the same seed, so that a test can be repeated. Nothing that it makes is secret. Clones go on where the
    /// others are.
    Seeded(Arc<Mutex<fastrand::Rng>>),
}

impl Random {
    /// Repeats itself from the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that makes randomness")]
            Self::Os => aws_lc_rs::rand::fill(&mut bytes).map_err(|_| RandomError)?,
            Self::Seeded(source) => source.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes),
        }
        Ok(bytes)
    }

    /// Hands the seed on to libraries that draw by lot for themselves, from the generator that `fastrand` has for this thread: the
    /// AWS SDK lets nobody give it another one. The operating system's source has nothing to hand on, and is not asked: its first
    /// bytes take tens of milliseconds.
    pub(crate) fn seed_thread(&self) {
        if let Self::Seeded(source) = self {
            fastrand::seed(source.lock().unwrap_or_else(PoisonError::into_inner).u64(..));
        }
    }

    /// Between 0 and 1, so that not all come back at the same moment; 1 without randomness.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.bytes::<4>().map_or(1.0, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
    }

    /// 256 random bits as text that is safe in addresses: a ticket, a state, a session.
    pub fn token(&self) -> Result<String, RandomError> {
        Ok(BASE64_URL_SAFE_NO_PAD.encode(self.bytes::<32>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_clones_go_on() {
        let (first, second) = (Random::seeded(7), Random::seeded(7));
        let token = first.token().unwrap();
        assert_eq!(token, second.token().unwrap());
        assert_ne!(token, second.clone().token().unwrap());
        assert_eq!(first.token().unwrap(), {
            let other = Random::seeded(7);
            other.token().unwrap();
            other.token().unwrap()
        });
        assert_ne!(token, Random::seeded(8).token().unwrap());
    }

    #[test]
    fn the_systems_does_not_repeat_itself() {
        assert_ne!(Random::Os.token(), Random::Os.token());
    }
}
