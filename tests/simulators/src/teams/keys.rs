//! The Bot Connector's signing keys, and the tokens that go with activities (Bot Framework docs, "Authenticate requests from the
//! Bot Connector service to your bot").
//!
//! Tokens are put together by hand, so that they do not share a mistake with the library that checks them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Mistake;
use super::values::set;

pub(super) const ISSUER: &str = "https://api.botframework.com";
/// Tokens of the real service live about an hour.
const LIFETIME_SECONDS: i64 = 3600;

/// How a token differs from a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It does not.
    None,
    /// No Authorization header at all.
    NoHeader,
    /// The right token behind another scheme than Bearer.
    NotBearer,
    /// Text that is no token.
    Garbage,
    /// Signed by a key that was never published, under the id of one that was.
    WrongSignature,
    /// Signed by a key that was never published, under its own id.
    UnknownKey,
    /// Signed by a published key that is not endorsed for Teams.
    NotEndorsed,
    /// `exp` is ten minutes ago.
    Expired,
    /// `nbf` is in ten minutes.
    NotYetValid,
    /// No `exp`.
    NoExpiry,
    /// Meant for another bot.
    WrongAudience,
    /// From an issuer that is not the Bot Connector.
    WrongIssuer,
    /// From one of the issuers that the retired emulator used.
    EmulatorIssuer,
    /// Its `serviceurl` is not the activity's.
    WrongServiceUrl,
    /// No `serviceurl`.
    NoServiceUrl,
    /// `alg` is none and there is no signature.
    AlgorithmNone,
    /// HMAC with the public modulus as the secret.
    AlgorithmConfusion,
    /// Unpublished key that the header itself brings along (`jwk`, `jku`).
    KeyInHeader,
}

impl Flaw {
    /// Every way to be wrong.
    pub const ALL: [Self; 17] = [
        Self::NoHeader,
        Self::NotBearer,
        Self::Garbage,
        Self::WrongSignature,
        Self::UnknownKey,
        Self::NotEndorsed,
        Self::Expired,
        Self::NotYetValid,
        Self::NoExpiry,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::EmulatorIssuer,
        Self::WrongServiceUrl,
        Self::NoServiceUrl,
        Self::AlgorithmNone,
        Self::AlgorithmConfusion,
        Self::KeyInHeader,
    ];
}

/// Who signs a forged token, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The key that signs activities now.
    Connector,
    /// The same key with SHA-384.
    ConnectorSha384,
    /// The same key with another padding.
    ConnectorPss,
    /// A published key that is endorsed for another channel.
    NotEndorsed,
    /// A key that was never published.
    Stranger,
    /// HMAC with the public modulus as the secret.
    PublicModulus,
    /// HMAC with no secret.
    EmptySecret,
    /// Nobody: the signature is empty.
    Nobody,
}

/// An RSA key pair with its id.
#[derive(Debug)]
pub(super) struct SigningKey {
    kid: String,
    pair: RsaKeyPair,
    n: Vec<u8>,
    e: Vec<u8>,
}

impl SigningKey {
    fn generate() -> Option<Arc<Self>> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
        let (n, e) = modulus_and_exponent(pair.public_key().as_ref())?;
        let kid =
            BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &n).as_ref()).chars().take(27).collect();
        Some(Arc::new(Self { kid, pair, n, e }))
    }

    fn jwk(&self, endorsements: &[&str]) -> Value {
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid,
            "n": BASE64_URL_SAFE_NO_PAD.encode(&self.n), "e": BASE64_URL_SAFE_NO_PAD.encode(&self.e),
            "endorsements": endorsements,
        })
    }

    fn sign(&self, message: &str) -> Option<Vec<u8>> {
        self.sign_by(&RSA_PKCS1_SHA256, message)
    }

    fn sign_by(&self, padding: &'static dyn RsaEncoding, message: &str) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).ok()?;
        Some(signature)
    }
}

/// From an RFC 8017 `RSAPublicKey`: a sequence of two integers.
fn modulus_and_exponent(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (sequence, _) = der_value(der, 0x30)?;
    let (n, rest) = der_value(sequence, 0x02)?;
    let (e, _) = der_value(rest, 0x02)?;
    let positive = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    Some((positive(n), positive(e)))
}

/// The content of the first DER value if it has this tag, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if first & 0x80 == 0 {
        (usize::from(*first), rest)
    } else {
        let (long, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (long.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
    };
    (*found == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// Making an RSA key takes a while, so the first ones are shared by all simulators of a process.
static FIRST: LazyLock<Option<Arc<SigningKey>>> = LazyLock::new(SigningKey::generate);
static UNENDORSED: LazyLock<Option<Arc<SigningKey>>> = LazyLock::new(SigningKey::generate);
static STRANGER: LazyLock<Option<Arc<SigningKey>>> = LazyLock::new(SigningKey::generate);

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Published, oldest first; the last one signs. Empty means only the shared first one.
    published: Mutex<Vec<Arc<SigningKey>>>,
    /// How often they were asked for.
    asked: AtomicU32,
}

impl Keys {
    fn published(&self) -> Vec<Arc<SigningKey>> {
        let own = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_empty() { FIRST.iter().cloned().collect() } else { own.clone() }
    }

    /// A new key signs from now on. The old one stays published if `keep_old`.
    pub(super) fn rotate(&self, keep_old: bool) {
        let mut published = if keep_old { self.published() } else { Vec::new() };
        published.extend(SigningKey::generate());
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = published;
    }

    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn signing(&self) -> Option<String> {
        self.published().last().map(|key| key.kid.clone())
    }

    pub(super) fn forge(&self, header: &str, claims: &str, signer: Signer) -> Result<String, Mistake> {
        let missing = || Mistake::Unable("no RSA key".to_owned());
        let good = self.published().last().cloned().ok_or_else(missing)?;
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let unsigned = format!("{}.{}", encode(header), encode(claims));
        let hmac_of = |secret: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), unsigned.as_bytes()).as_ref().to_vec()
        };
        let signature = match signer {
            Signer::Connector => good.sign(&unsigned),
            Signer::ConnectorSha384 => good.sign_by(&RSA_PKCS1_SHA384, &unsigned),
            Signer::ConnectorPss => good.sign_by(&RSA_PSS_SHA256, &unsigned),
            Signer::NotEndorsed => UNENDORSED.as_ref().and_then(|key| key.sign(&unsigned)),
            Signer::Stranger => STRANGER.as_ref().and_then(|key| key.sign(&unsigned)),
            Signer::PublicModulus => Some(hmac_of(&good.n)),
            Signer::EmptySecret => Some(hmac_of(b"")),
            Signer::Nobody => Some(Vec::new()),
        };
        Ok(format!("{unsigned}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.ok_or_else(missing)?)))
    }

    /// The JWKS document.
    pub(super) fn document(&self) -> Value {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut keys: Vec<Value> = self.published().iter().map(|key| key.jwk(&["msteams"])).collect();
        keys.extend(UNENDORSED.iter().map(|key| key.jwk(&["webchat"])));
        json!({ "keys": keys })
    }

    /// The `Authorization` header for an activity, right or wrong as asked.
    pub(super) fn authorization(
        &self,
        app_id: &str,
        service_url: &str,
        now: Timestamp,
        flaw: Flaw,
    ) -> Result<Option<String>, Mistake> {
        let missing = || Mistake::Unable("no RSA key".to_owned());
        let good = self.published().last().cloned().ok_or_else(missing)?;
        let stranger = || STRANGER.clone().ok_or_else(missing);
        let (key, kid) = match flaw {
            Flaw::WrongSignature => (stranger()?, good.kid.clone()),
            Flaw::UnknownKey | Flaw::KeyInHeader => (stranger()?, stranger()?.kid.clone()),
            Flaw::NotEndorsed => {
                let key = UNENDORSED.clone().ok_or_else(missing)?;
                (Arc::clone(&key), key.kid.clone())
            }
            _ => (Arc::clone(&good), good.kid.clone()),
        };
        let mut header = json!({ "typ": "JWT", "alg": "RS256", "kid": kid, "x5t": kid });
        match flaw {
            Flaw::AlgorithmNone => set(&mut header, "alg", "none"),
            Flaw::AlgorithmConfusion => set(&mut header, "alg", "HS256"),
            Flaw::KeyInHeader => {
                set(&mut header, "jwk", key.jwk(&["msteams"]));
                set(&mut header, "jku", "https://keys.example.com/keys");
            }
            _ => {}
        }
        let unsigned = format!("{}.{}", part(&header), part(&claims(app_id, service_url, now, flaw)));
        let signature = match flaw {
            Flaw::AlgorithmNone => Vec::new(),
            Flaw::AlgorithmConfusion => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.n), unsigned.as_bytes()).as_ref().to_vec()
            }
            _ => key.sign(&unsigned).ok_or_else(|| Mistake::Unable("no RSA signature".to_owned()))?,
        };
        let token = format!("{unsigned}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        Ok(match flaw {
            Flaw::NoHeader => None,
            Flaw::NotBearer => Some(format!("Basic {token}")),
            Flaw::Garbage => Some("Bearer not.a.token".to_owned()),
            _ => Some(format!("Bearer {token}")),
        })
    }
}

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn claims(app_id: &str, service_url: &str, now: Timestamp, flaw: Flaw) -> Value {
    let now = now.as_second();
    let mut claims = json!({
        "iss": ISSUER, "aud": app_id, "serviceurl": service_url, "nbf": now, "exp": now + LIFETIME_SECONDS,
    });
    match flaw {
        Flaw::Expired => {
            set(&mut claims, "nbf", now - LIFETIME_SECONDS - 600);
            set(&mut claims, "exp", now - 600);
        }
        Flaw::NotYetValid => set(&mut claims, "nbf", now + 600),
        Flaw::NoExpiry => without(&mut claims, "exp"),
        Flaw::WrongAudience => set(&mut claims, "aud", "00000000-0000-4000-8000-00000000dead"),
        Flaw::WrongIssuer => set(&mut claims, "iss", "https://api.botframework.com.example.com"),
        Flaw::EmulatorIssuer => {
            set(&mut claims, "iss", "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/")
        }
        Flaw::WrongServiceUrl => set(&mut claims, "serviceurl", "https://connector.example.com/amer/"),
        Flaw::NoServiceUrl => without(&mut claims, "serviceurl"),
        _ => {}
    }
    claims
}

fn without(claims: &mut Value, name: &str) {
    if let Some(claims) = claims.as_object_mut() {
        claims.remove(name);
    }
}
