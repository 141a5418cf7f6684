//! The only place that makes randomness: the operating system's, for tickets, states, nonces and lease holders.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The operating system gave no randomness; nothing that needs a secret can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError;

/// A source of random bytes.
#[derive(Debug, Clone, Copy)]
pub struct Random;

impl Random {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        #[expect(clippy::disallowed_methods, reason = "this is the one place that makes randomness")]
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| RandomError)?;
        Ok(bytes)
    }

    /// Between 0 and 1, so that not all come back at the same moment; 1 without randomness.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.bytes::<4>().map_or(1.0, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
    }

    /// 256 random bits as text that is safe in addresses: a ticket, a state, a session.
    pub fn token(self) -> Result<String, RandomError> {
        Ok(BASE64_URL_SAFE_NO_PAD.encode(self.bytes::<32>()?))
    }
}
