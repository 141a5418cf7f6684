//! The Bot Connector's signing keys, kept between activities.
//!
//! Microsoft asks to refresh them at least once a day (bot connector authentication docs). A token with an unknown key id
//! may mean that they were rotated a minute ago, but anybody can send such a token, so it causes at most one fetch per five
//! minutes. Old keys are better than none: a failed refresh keeps them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::wire::{Wire, WireError};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::DecodingKey;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::wire::{self, ReadError};

/// Keys older than this are fetched again.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Fetches that a stranger can cause are at least this far apart.
const MIN_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// Both documents together; a click has to be answered within 5 s.
const FETCH_TIMEOUT: Duration = Duration::from_secs(4);

/// The real key set has some tens of kilobytes.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// The issuer in the public cloud (bot connector authentication docs).
const PUBLIC_ISSUER: &str = "https://api.botframework.com";

/// The issuers of the public, the US government and the Chinese cloud. No other is ever accepted; in particular not
/// those of the emulator, whose tokens anybody with an Entra application can get.
pub(crate) const ISSUERS: [&str; 3] =
    [PUBLIC_ISSUER, "https://api.botframework.us", "https://api.botframework.azure.cn"];

/// The keys could not be fetched and none are known from before.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// No answer, or it broke off.
    #[error("the key endpoint did not answer")]
    NoAnswer(#[source] WireError),
    /// Nothing within our time limit.
    #[error("the key endpoint was too slow")]
    Slow,
    /// Any status but 200.
    #[error("the key endpoint answered {0}")]
    Status(u16),
    /// Not the documents that `OpenID` Connect Discovery describes.
    #[error("the key endpoint's answer cannot be read")]
    Unreadable,
    /// The metadata points to an address that is not https.
    #[error("the key endpoint's metadata names an unusable address")]
    BadAddress,
    /// The key set has no RSA key with an id.
    #[error("the key endpoint gave no usable key")]
    NoKeys,
}

/// One signing key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) decoding: DecodingKey,
    /// The channels that the key may sign for.
    pub(crate) endorsements: Vec<String>,
    /// The issuer that the key belongs to.
    pub(crate) issuer: &'static str,
}

#[derive(Debug)]
pub(crate) struct KeyCache {
    http: Wire,
    metadata_url: Url,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<String, Arc<Key>>,
    fetched_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

impl KeyCache {
    pub(crate) fn new(http: Wire, metadata_url: Url) -> Self {
        Self { http, metadata_url, state: Mutex::default() }
    }

    /// The key with this id; `None` if there is no such key, as far as we may ask.
    pub(crate) async fn find(&self, kid: &str, now: Timestamp) -> Result<Option<Arc<Key>>, KeysError> {
        let mut state = self.state.lock().await;
        if state.should_ask(kid, now) {
            // Noted before the answer: a caller that gives up in between must not make the next one ask again.
            state.asked_at = Some(now);
            match tokio::time::timeout(FETCH_TIMEOUT, self.fetch()).await.unwrap_or(Err(KeysError::Slow)) {
                Ok(keys) => {
                    state.keys = keys;
                    state.fetched_at = Some(now);
                }
                Err(error) if state.fetched_at.is_none() => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "signing keys not refreshed, using the old"
                    );
                }
            }
        }
        Ok(state.keys.get(kid).cloned())
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<Key>>, KeysError> {
        let metadata = self.document(self.metadata_url.clone()).await?.value;
        let jwks_uri = text(&metadata, "jwks_uri").ok_or(KeysError::Unreadable)?;
        let keys_url = keys_url(&self.metadata_url, jwks_uri).ok_or(KeysError::BadAddress)?;
        let named = text(&metadata, "issuer").unwrap_or_default();
        let issuer = ISSUERS.into_iter().find(|known| *known == named).unwrap_or(PUBLIC_ISSUER);
        let set = self.document(keys_url).await?;
        let keys = set.value.get("keys").and_then(Value::as_array).ok_or(KeysError::Unreadable)?;
        // In a document that had to be mended, a null may stand for a limit that the key had.
        let whole = keys.iter().filter(|key| !set.is_mended || !has_nulls(key));
        let keys: HashMap<_, _> = whole.filter_map(|key| usable(key, issuer)).collect();
        if keys.is_empty() { Err(KeysError::NoKeys) } else { Ok(keys) }
    }

    async fn document(&self, url: Url) -> Result<Document, KeysError> {
        let response = self.http.send(self.http.client().get(url)).await.map_err(KeysError::NoAnswer)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(KeysError::Status(response.status().as_u16()));
        }
        let body = wire::read(response, MAX_DOCUMENT_BYTES).await.map_err(|error| match error {
            ReadError::Broken(error) => KeysError::NoAnswer(error),
            ReadError::TooLarge => KeysError::Unreadable,
        })?;
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(Document { value, is_mended: false }),
            Err(_) => {
                let value = ::wire::read(&body).map_err(|_| KeysError::Unreadable)?;
                Ok(Document { value, is_mended: true })
            }
        }
    }
}

impl State {
    fn should_ask(&self, kid: &str, now: Timestamp) -> bool {
        let Some(fetched_at) = self.fetched_at else { return true };
        let stale = now.duration_since(fetched_at) >= MAX_AGE || !self.keys.contains_key(kid);
        let rested = self.asked_at.is_none_or(|asked_at| now.duration_since(asked_at).abs() >= MIN_PAUSE);
        stale && rested
    }
}

/// The keys come as safely as the metadata did: over http only if an operator configured that for a test.
fn keys_url(metadata_url: &Url, jwks_uri: &str) -> Option<Url> {
    let url = Url::parse(jwks_uri).ok()?;
    let plain_http = url.scheme() == "http" && metadata_url.scheme() == "http";
    (url.scheme() == "https" || plain_http).then_some(url)
}

/// A document, and whether some of it was not legible.
struct Document {
    value: Value,
    is_mended: bool,
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn has_nulls(key: &Value) -> bool {
    key.as_object().is_some_and(|fields| fields.values().any(Value::is_null))
}

/// Keys are read one by one: one of a kind that we do not know must not spoil the others. One whose use or channels are not legible
/// is not used.
fn usable(key: &Value, issuer: &'static str) -> Option<(String, Arc<Key>)> {
    let for_signatures = match key.get("use") {
        None | Some(Value::Null) => true,
        Some(usage) => usage == "sig",
    };
    if !for_signatures || text(key, "kty") != Some("RSA") {
        return None;
    }
    let endorsements = match key.get("endorsements") {
        None | Some(Value::Null) => Vec::new(),
        Some(listed) => {
            listed.as_array()?.iter().map(|channel| channel.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
    };
    let decoding = DecodingKey::from_rsa_components(text(key, "n")?, text(key, "e")?).ok()?;
    Some((text(key, "kid")?.to_owned(), Arc::new(Key { decoding, endorsements, issuer })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_as_safely_as_the_metadata() {
        for (metadata, keys, accepted) in [
            ("https://login.botframework.com/v1/openid", "https://login.botframework.com/v1/keys", true),
            ("https://login.botframework.com/v1/openid", "http://login.botframework.com/v1/keys", false),
            ("https://login.botframework.com/v1/openid", "file:///etc/keys", false),
            ("https://login.botframework.com/v1/openid", "/v1/keys", false),
            ("http://127.0.0.1:1/openid", "http://127.0.0.1:1/keys", true),
            ("http://127.0.0.1:1/openid", "https://127.0.0.1:1/keys", true),
            ("http://127.0.0.1:1/openid", "ftp://127.0.0.1:1/keys", false),
        ] {
            assert_eq!(keys_url(&metadata.parse().unwrap(), keys).is_some(), accepted, "{metadata} {keys}");
        }
    }
}
