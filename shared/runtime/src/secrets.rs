//! The secret in Secrets Manager, cached for five minutes and re-read at once when something does not fit it.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::failure::Class;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use store::seal::{KeyRing, TokenKey};
use tokio::sync::Mutex;

/// A call per notification would cost more than the rest of it; a rotated secret is noticed after this time at the latest.
const CACHE_FOR: SignedDuration = SignedDuration::from_mins(5);

/// A refresh that failed is not tried again before.
const TRY_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// The values of the secret.
#[derive(Debug)]
pub struct SecretValues {
    /// Client secret of the bot's Entra application.
    pub teams_client_secret: SecretString,
    pub pagerduty_client_secret: SecretString,
    /// Keys that tokens and webhook secrets are sealed with.
    pub token_keys: KeyRing,
    pub session_key: SecretString,
}

/// The secret cannot be used. No variant carries any of its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refused or did not answer.
    #[error("the secret could not be read")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The secret has no text.
    #[error("the secret has no text value")]
    NoText,
    /// The text is not the JSON object that it should be.
    #[error(
        "the secret is not a JSON object with teams_client_secret, pagerduty_client_secret, token_keys and session_key"
    )]
    Shape,
    /// A token key is not base64 of 32 bytes.
    #[error("token key number {position} of the secret is not base64 of 32 bytes")]
    Key {
        /// Counted from 1.
        position: usize,
    },
    /// The key ring cannot be built.
    #[error("the token keys of the secret are not a usable key ring")]
    KeyRing,
}

impl SecretError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call(_) => Class::Retry { after: None },
            Self::NoText | Self::Shape | Self::Key { .. } | Self::KeyRing => Class::Bug,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    teams_client_secret: SecretString,
    pagerduty_client_secret: SecretString,
    token_keys: Vec<DocumentKey>,
    session_key: SecretString,
}

#[derive(Deserialize)]
struct DocumentKey {
    id: String,
    key: SecretString,
}

#[derive(Debug)]
struct Cached {
    values: Arc<SecretValues>,
    read_at: Timestamp,
}

/// Reads the secret and keeps it for a while.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: aws_sdk_secretsmanager::Client,
    id: String,
    cached: Arc<Mutex<Option<Cached>>>,
}

impl Secrets {
    /// A reader of the secret `id`; reads nothing yet.
    #[must_use]
    pub fn new(client: aws_sdk_secretsmanager::Client, id: String) -> Self {
        Self { client, id, cached: Arc::new(Mutex::new(None)) }
    }

    /// The values, at most five minutes old. If a refresh fails, the old values stay in use.
    pub async fn values(&self, now: Timestamp) -> Result<Arc<SecretValues>, SecretError> {
        let mut cached = self.cached.lock().await;
        let known = cached.as_ref().map(|c| (Arc::clone(&c.values), c.read_at));
        if let Some((values, read_at)) = &known
            && now.duration_since(*read_at) < CACHE_FOR
        {
            return Ok(Arc::clone(values));
        }
        match (self.read().await, known) {
            (Ok(values), _) => {
                let values = Arc::new(values);
                *cached = Some(Cached { values: Arc::clone(&values), read_at: now });
                Ok(values)
            }
            (Err(error), Some((values, _))) => {
                tracing::warn!(
                    error = crate::telemetry::chain(&error),
                    "secret not refreshed, the known values stay in use"
                );
                // Not asked again at once: everybody who needs a value would wait for the same failure.
                let read_at = now.checked_sub(CACHE_FOR - TRY_AGAIN_AFTER).unwrap_or(now);
                *cached = Some(Cached { values: Arc::clone(&values), read_at });
                Ok(values)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn read(&self) -> Result<SecretValues, SecretError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.id)
            .send()
            .await
            .map_err(|error| SecretError::Call(Box::new(error)))?;
        parse(answer.secret_string().ok_or(SecretError::NoText)?)
    }
}

fn parse(text: &str) -> Result<SecretValues, SecretError> {
    // The parser's own message could quote a value, so it is dropped.
    let document: Document = serde_json::from_str(text).map_err(|_| SecretError::Shape)?;
    let keys = document
        .token_keys
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let bytes = BASE64_STANDARD.decode(entry.key.expose_secret()).ok();
            let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            key.map(|key| TokenKey { id: entry.id.clone(), key }).ok_or(SecretError::Key { position: index + 1 })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SecretValues {
        teams_client_secret: document.teams_client_secret,
        pagerduty_client_secret: document.pagerduty_client_secret,
        token_keys: KeyRing::new(keys).map_err(|_| SecretError::KeyRing)?,
        session_key: document.session_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn document(key: &str) -> String {
        format!(
            r#"{{"teams_client_secret":"canary-t","pagerduty_client_secret":"canary-p","token_keys":[{{"id":"k1","key":"{key}"}}],"session_key":"canary-s"}}"#
        )
    }

    #[test]
    fn reads_the_documented_shape() {
        let values = parse(&document(KEY)).unwrap();
        assert_eq!(values.teams_client_secret.expose_secret(), "canary-t");
        assert!(!format!("{values:?}").contains("canary"));
    }

    #[test]
    fn names_what_is_wrong_and_never_quotes_it() {
        for (text, expected) in [
            (
                "not json canary".to_owned(),
                "the secret is not a JSON object with teams_client_secret, pagerduty_client_secret, token_keys and session_key",
            ),
            (
                r#"{"teams_client_secret":"canary"}"#.to_owned(),
                "the secret is not a JSON object with teams_client_secret, pagerduty_client_secret, token_keys and session_key",
            ),
            (document("canary"), "token key number 1 of the secret is not base64 of 32 bytes"),
            (document("c2hvcnQ="), "token key number 1 of the secret is not base64 of 32 bytes"),
            (
                document(KEY).replace(r#"{"id":"k1","key":""#, "").replace(&format!("{KEY}\"}}"), ""),
                "the token keys of the secret are not a usable key ring",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}
