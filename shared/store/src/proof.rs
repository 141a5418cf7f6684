//! What a page proves who opened it with: the code that Teams hands over, and the number that the person writes.

use domain::linking::AccountLink;
use domain::proof::Number;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::Provisional;
use crate::seal::{KeyRing, SealError, Sealed};

/// Code and number of one confirmed log-in, open.
#[derive(Debug, Clone)]
pub struct Proof {
    /// As long as a ticket's secret: nobody guesses it.
    pub code: SecretString,
    /// Short enough to be written by hand, so it may be tried three times only.
    pub number: Number,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    code: String,
    number: Number,
}

impl Proof {
    /// Seals it for the log-in `id` that would become `link`, and for no other.
    ///
    /// # Errors
    /// [`SealError::Refused`] if the cipher refuses.
    pub fn seal(&self, ring: &KeyRing, link: &AccountLink, id: &str, nonce: [u8; 12]) -> Result<Sealed, SealError> {
        let plain = Plain { code: self.code.expose_secret().to_owned(), number: self.number.clone() };
        let json = serde_json::to_vec(&plain).map_err(|_| SealError::Refused)?;
        ring.seal(&json, &owner(link, id), nonce)
    }

    /// Opens the proof of a log-in.
    ///
    /// # Errors
    /// [`SealError`] if it was sealed for another one or by an unknown key.
    pub fn open(ring: &KeyRing, of: &Provisional) -> Result<Self, SealError> {
        let json = ring.open(&of.proof, &owner(&of.link, &of.id))?;
        let Plain { code, number } = serde_json::from_str(json.expose_secret()).map_err(|_| SealError::Mismatch)?;
        Ok(Self { code: code.into(), number })
    }
}

fn owner(link: &AccountLink, id: &str) -> String {
    format!("link-proof#{}#{}#{}#{id}", link.tenant, link.user, link.account)
}
