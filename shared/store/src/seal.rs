//! Secrets at rest: AES-256-GCM, with the item that they belong to as associated data, so that rows cannot be swapped.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// A key of the ring.
pub struct TokenKey {
    /// Stored beside whatever it seals, so that keys can be replaced.
    pub id: String,
    /// 256 bits.
    pub key: [u8; 32],
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A ring needs at least one key.
    #[error("the key ring is empty")]
    NoKey,
    /// Two keys of the ring have the same id.
    #[error("the key id {0} is used twice")]
    SameId(String),
    /// The ring does not have the key any more.
    #[error("the key {0} is not in the key ring")]
    UnknownKey(String),
    /// The content was changed, belongs to another item, or was sealed by another key.
    #[error("the sealed content does not belong here")]
    Mismatch,
    /// The cipher refused.
    #[error("the content cannot be sealed")]
    Refused,
}

/// Sealed content, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    key_id: String,
    /// Base64 of 96 bits.
    nonce: String,
    /// Base64 of the ciphertext and its tag.
    bytes: String,
}

impl Sealed {
    /// The id of the key that it needs.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

/// The keys: the first seals, all of them open.
pub struct KeyRing(Vec<(String, LessSafeKey)>);

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl KeyRing {
    /// A ring whose first key is the current one.
    ///
    /// # Errors
    /// [`SealError::NoKey`] or [`SealError::SameId`].
    pub fn new(keys: Vec<TokenKey>) -> Result<Self, SealError> {
        let mut ring: Vec<(String, LessSafeKey)> = Vec::new();
        for TokenKey { id, key } in keys {
            if ring.iter().any(|(known, _)| known == &id) {
                return Err(SealError::SameId(id));
            }
            let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| SealError::Refused)?;
            ring.push((id, LessSafeKey::new(key)));
        }
        if ring.is_empty() { Err(SealError::NoKey) } else { Ok(Self(ring)) }
    }

    /// Whether the current key has sealed it.
    #[must_use]
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        self.0.first().is_some_and(|(id, _)| id == &sealed.key_id)
    }

    /// Seals again, with the current key, what an older one has sealed for the item named by `aad`. `None`: the current one has.
    /// A `nonce` must never be used twice.
    ///
    /// # Errors
    /// [`SealError`], as opening and sealing.
    pub fn reseal(&self, sealed: &Sealed, aad: &str, nonce: [u8; 12]) -> Result<Option<Sealed>, SealError> {
        if self.is_current(sealed) {
            return Ok(None);
        }
        let plain = self.open(sealed, aad)?;
        self.seal(plain.expose_secret().as_bytes(), aad, nonce).map(Some)
    }

    /// Seals `plain` for the item named by `aad`. A `nonce` must never be used twice: pass fresh random bytes.
    ///
    /// # Errors
    /// [`SealError::Refused`] if the cipher refuses.
    pub fn seal(&self, plain: &[u8], aad: &str, nonce: [u8; 12]) -> Result<Sealed, SealError> {
        let (id, key) = self.0.first().ok_or(SealError::NoKey)?;
        let mut bytes = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Refused)?;
        Ok(Sealed { key_id: id.clone(), nonce: BASE64_STANDARD.encode(nonce), bytes: BASE64_STANDARD.encode(bytes) })
    }

    /// Opens what was sealed for the item named by `aad`.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] or [`SealError::Mismatch`].
    pub fn open(&self, sealed: &Sealed, aad: &str) -> Result<SecretString, SealError> {
        let (_, key) = self
            .0
            .iter()
            .find(|(id, _)| id == &sealed.key_id)
            .ok_or_else(|| SealError::UnknownKey(sealed.key_id.clone()))?;
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| SealError::Mismatch);
        let nonce: [u8; 12] = decode(&sealed.nonce)?.try_into().map_err(|_| SealError::Mismatch)?;
        let mut bytes = decode(&sealed.bytes)?;
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Mismatch)?;
        let text = std::str::from_utf8(plain).map_err(|_| SealError::Mismatch)?;
        Ok(SecretString::from(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[(&str, u8)]) -> KeyRing {
        KeyRing::new(keys.iter().map(|(id, byte)| TokenKey { id: (*id).to_owned(), key: [*byte; 32] }).collect())
            .unwrap()
    }

    #[test]
    fn opens_only_where_it_belongs() {
        let sealed = ring(&[("a", 1)]).seal(b"secret", "user-1", [7; 12]).unwrap();
        let cases = [
            ("same ring, same item", ring(&[("a", 1)]), "user-1", Ok("secret".to_owned())),
            ("after a rotation", ring(&[("b", 2), ("a", 1)]), "user-1", Ok("secret".to_owned())),
            ("another item", ring(&[("a", 1)]), "user-2", Err(SealError::Mismatch)),
            ("another key of the same name", ring(&[("a", 3)]), "user-1", Err(SealError::Mismatch)),
            ("a retired key", ring(&[("b", 2)]), "user-1", Err(SealError::UnknownKey("a".to_owned()))),
        ];
        for (name, ring, aad, expected) in cases {
            assert_eq!(ring.open(&sealed, aad).map(|s| s.expose_secret().to_owned()), expected, "{name}");
        }
    }

    #[test]
    fn what_an_older_key_has_sealed_is_sealed_anew_and_once() {
        let old = ring(&[("a", 1)]).seal(b"secret", "x", [7; 12]).unwrap();
        let (both, new) = (ring(&[("b", 2), ("a", 1)]), ring(&[("b", 2)]));
        assert!(!both.is_current(&old));
        let resealed = both.reseal(&old, "x", [8; 12]).unwrap().unwrap();
        assert_eq!((resealed.key_id(), both.is_current(&resealed)), ("b", true));
        assert_eq!(new.open(&resealed, "x").unwrap().expose_secret(), "secret");
        assert_eq!(both.reseal(&resealed, "x", [9; 12]), Ok(None));
        assert_eq!(both.reseal(&old, "y", [9; 12]), Err(SealError::Mismatch), "only where it belongs");
        assert_eq!(new.reseal(&old, "x", [9; 12]), Err(SealError::UnknownKey("a".to_owned())));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let ring = ring(&[("a", 1)]);
        let sealed = ring.seal(b"secret", "x", [7; 12]).unwrap();
        let bytes = BASE64_STANDARD.decode(&sealed.bytes).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let forged = Sealed { bytes: BASE64_STANDARD.encode(changed), ..sealed.clone() };
            assert_eq!(ring.open(&forged, "x").err(), Some(SealError::Mismatch), "byte {index}");
        }
    }

    #[test]
    fn a_ring_needs_distinct_keys() {
        assert_eq!(KeyRing::new(Vec::new()).err(), Some(SealError::NoKey));
        let twice = vec![TokenKey { id: "a".to_owned(), key: [1; 32] }, TokenKey { id: "a".to_owned(), key: [2; 32] }];
        assert_eq!(KeyRing::new(twice).err(), Some(SealError::SameId("a".to_owned())));
    }

    #[test]
    fn nothing_shows_a_key() {
        let key = TokenKey { id: "a".to_owned(), key: [77; 32] };
        assert!(!format!("{key:?}").contains("77"));
        assert_eq!(format!("{:?}", ring(&[("a", 77)])), "[\"a\"]");
    }
}
