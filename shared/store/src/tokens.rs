//! A linked person's PagerDuty tokens.

use domain::linking::AccountLink;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::seal::{KeyRing, SealError, Sealed};

/// A pair of tokens, open. They exist open only in memory and only while they are used.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Acts as the person.
    pub access: SecretString,
    /// Gets the next pair, once.
    pub refresh: Option<SecretString>,
    /// When `access` ends.
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    access: String,
    refresh: Option<String>,
    expires_at: Timestamp,
}

impl Tokens {
    /// Seals the pair for `link`, and for no other.
    ///
    /// # Errors
    /// [`SealError::Refused`] if the cipher refuses.
    pub fn seal(&self, ring: &KeyRing, link: &AccountLink, nonce: [u8; 12]) -> Result<Sealed, SealError> {
        let plain = Plain {
            access: self.access.expose_secret().to_owned(),
            refresh: self.refresh.as_ref().map(|token| token.expose_secret().to_owned()),
            expires_at: self.expires_at,
        };
        let json = serde_json::to_vec(&plain).map_err(|_| SealError::Refused)?;
        ring.seal(&json, &owner(link), nonce)
    }

    /// Opens a pair that was sealed for `link`.
    ///
    /// # Errors
    /// [`SealError`] if it was sealed for another link or by an unknown key.
    pub fn open(ring: &KeyRing, sealed: &Sealed, link: &AccountLink) -> Result<Self, SealError> {
        let json = ring.open(sealed, &owner(link))?;
        let plain: Plain = serde_json::from_str(json.expose_secret()).map_err(|_| SealError::Mismatch)?;
        Ok(Self { access: plain.access.into(), refresh: plain.refresh.map(Into::into), expires_at: plain.expires_at })
    }
}

fn owner(link: &AccountLink) -> String {
    format!("{}#{}#{}", link.tenant, link.user, link.account)
}
