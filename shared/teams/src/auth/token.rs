//! The Bot Connector's token: what it must look like before anybody asks for a key, and its signature.
//!
//! Everything that can be refused without a key is refused first, so that noise from the internet never makes us fetch one.
//! Header fields that name or carry a key (`jku`, `jwk`, `x5u`, `x5c`) are never looked at.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, crypto, dangerous, decode_header};
use serde::Deserialize;

use super::Unauthorized;
use super::keys::ISSUERS;

/// Allowed difference between the clocks (bot connector authentication docs: five minutes).
const MAX_SKEW: SignedDuration = SignedDuration::from_secs(300);

/// Real tokens have one or two kilobytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A token that says the right things, signed by nobody knows whom.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    signed: &'a str,
    signature: &'a str,
    /// Which key it claims to be signed with.
    pub(crate) kid: String,
    claims: Claims,
}

/// What the token says.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    iss: Option<String>,
    aud: Option<String>,
    exp: Option<i64>,
    nbf: Option<i64>,
    /// The only address that the activity may name.
    pub(crate) serviceurl: Option<String>,
}

impl<'a> Unverified<'a> {
    /// Reads the `Authorization` header and checks all that needs no key.
    pub(crate) fn read(authorization: Option<&'a str>, app_id: &str, now: Timestamp) -> Result<Self, Unauthorized> {
        let token = bearer(authorization)?;
        let header = decode_header(token).map_err(|_| Unauthorized::Malformed)?;
        if header.alg != Algorithm::RS256 {
            return Err(Unauthorized::Algorithm);
        }
        // RFC 7515 §4.1.11: an extension marked critical that we do not understand makes the token invalid.
        if header.crit.is_some() {
            return Err(Unauthorized::Malformed);
        }
        let claims: Claims = dangerous::insecure_decode_claims(token).map_err(|_| Unauthorized::Malformed)?;
        claims.check(app_id, now)?;
        let kid = header.kid.filter(|kid| !kid.is_empty()).ok_or(Unauthorized::UnknownKey)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(Unauthorized::Malformed)?;
        Ok(Self { signed, signature, kid, claims })
    }

    /// Checks the signature, and that the key is one of the issuer that the token names.
    pub(crate) fn verify(self, key: &DecodingKey, issuer: &str) -> Result<Claims, Unauthorized> {
        if self.claims.iss.as_deref() != Some(issuer) {
            return Err(Unauthorized::Issuer);
        }
        match crypto::verify(self.signature, self.signed.as_bytes(), key, Algorithm::RS256) {
            Ok(true) => Ok(self.claims),
            Ok(false) | Err(_) => Err(Unauthorized::Signature),
        }
    }
}

impl Claims {
    fn check(&self, app_id: &str, now: Timestamp) -> Result<(), Unauthorized> {
        if !self.iss.as_deref().is_some_and(|iss| ISSUERS.contains(&iss)) {
            return Err(Unauthorized::Issuer);
        }
        if !self.aud.as_deref().is_some_and(|aud| aud.eq_ignore_ascii_case(app_id)) {
            return Err(Unauthorized::Audience);
        }
        let (now, skew) = (now.as_second(), MAX_SKEW.as_secs());
        if self.exp.is_none_or(|exp| now > exp.saturating_add(skew)) {
            return Err(Unauthorized::Expired);
        }
        if self.nbf.is_none_or(|nbf| nbf > now.saturating_add(skew)) {
            return Err(Unauthorized::NotYetValid);
        }
        Ok(())
    }
}

/// Exactly the two words `Bearer <token>` (RFC 6750), the first in any case (RFC 9110).
fn bearer(authorization: Option<&str>) -> Result<&str, Unauthorized> {
    let text = authorization.ok_or(Unauthorized::Missing)?;
    let (scheme, token) = text.split_once(' ').ok_or(Unauthorized::NotBearer)?;
    let fits = scheme.eq_ignore_ascii_case("bearer")
        && (1..=MAX_TOKEN_BYTES).contains(&token.len())
        && !token.contains(char::is_whitespace);
    if fits { Ok(token) } else { Err(Unauthorized::NotBearer) }
}
