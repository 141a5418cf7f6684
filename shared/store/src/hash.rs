//! Names for what no key may hold as it is.

use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 as 64 hexadecimal digits.
pub(crate) fn sha256(text: impl AsRef<[u8]>) -> String {
    digest(&SHA256, text.as_ref()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tells texts apart where a key needs few characters: the first 16 of those digits.
pub(crate) fn short_digest(text: impl AsRef<[u8]>) -> String {
    sha256(text).chars().take(16).collect()
}
