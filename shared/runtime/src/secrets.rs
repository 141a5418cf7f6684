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

/// Values that are refused are read again at most once in this time: a refusal that lasts must not cost a call for each click.
const FORCED_EVERY: SignedDuration = SignedDuration::from_secs(30);

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

impl SecretValues {
    /// Whether a secret of a client, Entra's or PagerDuty's, is another one.
    fn has_other_clients(&self, other: &Self) -> bool {
        let clients = |of: &Self| {
            [&of.teams_client_secret, &of.pagerduty_client_secret].map(|secret| secret.expose_secret().to_owned())
        };
        clients(self) != clients(other)
    }
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
    /// When the values were read because they had been refused.
    forced_at: Option<Timestamp>,
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
        let forced_at = cached.as_ref().and_then(|c| c.forced_at);
        if let Some((values, read_at)) = &known
            && now.duration_since(*read_at) < CACHE_FOR
        {
            return Ok(Arc::clone(values));
        }
        match (self.read().await, known) {
            (Ok(values), _) => {
                let values = Arc::new(values);
                *cached = Some(Cached { values: Arc::clone(&values), read_at: now, forced_at });
                Ok(values)
            }
            (Err(error), Some((values, _))) => {
                tracing::warn!(
                    error = crate::telemetry::chain(&error),
                    "secret not refreshed, the known values stay in use"
                );
                // Not asked again at once: everybody who needs a value would wait for the same failure.
                let read_at = now.checked_sub(CACHE_FOR - TRY_AGAIN_AFTER).unwrap_or(now);
                *cached = Some(Cached { values: Arc::clone(&values), read_at, forced_at });
                Ok(values)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The values after somebody refused a client secret of `refused`, if they have another one by now: it was changed a moment ago.
    pub(crate) async fn newer_than(&self, refused: &SecretValues, now: Timestamp) -> Option<Arc<SecretValues>> {
        let mut cached = self.cached.lock().await;
        let known = cached.as_mut()?;
        let forced_lately = known.forced_at.is_some_and(|at| now.duration_since(at) < FORCED_EVERY);
        if !known.values.has_other_clients(refused) && !forced_lately {
            known.forced_at = Some(now);
            match self.read().await {
                Ok(values) => (known.values, known.read_at) = (Arc::new(values), now),
                Err(error) => {
                    tracing::warn!(error = crate::telemetry::chain(&error), "secret not read again after a refusal");
                }
            }
        }
        known.values.has_other_clients(refused).then(|| Arc::clone(&known.values))
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::routing::post;

    use super::*;
    use crate::aws::{AwsClients, AwsSettings};

    /// A Secrets Manager with one secret, which counts how often it is read.
    struct Manager {
        secrets: Secrets,
        text: Arc<std::sync::Mutex<Option<String>>>,
        reads: Arc<AtomicUsize>,
    }

    impl Manager {
        async fn with(text: String) -> Self {
            let (text, reads) = (Arc::new(std::sync::Mutex::new(Some(text))), Arc::new(AtomicUsize::new(0)));
            let (known, counter) = (Arc::clone(&text), Arc::clone(&reads));
            let answer = move || {
                counter.fetch_add(1, Ordering::SeqCst);
                let text = known.lock().unwrap().clone();
                let body = serde_json::json!({ "Name": "s", "SecretString": text.clone().unwrap_or_default() });
                let status = if text.is_some() { 200 } else { 400 };
                async move { (axum::http::StatusCode::from_u16(status).unwrap(), body.to_string()) }
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            #[expect(clippy::disallowed_methods, reason = "a test's own server")]
            tokio::spawn(axum::serve(listener, Router::new().route("/", post(answer))).into_future());
            let mut settings = AwsSettings::from_env(&|_| Some("us-east-1".to_owned())).unwrap();
            settings.secrets_manager_url = Some(url.parse().unwrap());
            let http = aws_smithy_http_client::Builder::new().build_http();
            let secrets = Secrets::new(AwsClients::over(&settings, http).secrets_manager, "s".to_owned());
            Self { secrets, text, reads }
        }

        fn set(&self, text: Option<String>) {
            *self.text.lock().unwrap() = text;
        }

        fn reads(&self) -> usize {
            self.reads.load(Ordering::SeqCst)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_400 + second).unwrap()
    }

    #[tokio::test]
    async fn values_that_were_refused_are_read_again_at_once_but_not_for_each_refusal() {
        let manager = Manager::with(document(KEY)).await;
        let first = manager.secrets.values(at(0)).await.unwrap();
        assert!(manager.secrets.newer_than(&first, at(1)).await.is_none(), "still the same");
        manager.set(Some(document(KEY).replace("canary-p", "canary-new")));
        assert!(manager.secrets.newer_than(&first, at(30)).await.is_none(), "read a moment ago");
        assert_eq!(manager.reads(), 2);
        let newer = manager.secrets.newer_than(&first, at(31)).await.unwrap();
        assert_eq!(newer.pagerduty_client_secret.expose_secret(), "canary-new");
        assert_eq!(manager.reads(), 3);
        // Whoever was refused with the older ones, and whoever asks now, needs no call.
        assert!(manager.secrets.newer_than(&first, at(32)).await.is_some());
        let now = manager.secrets.values(at(300)).await.unwrap();
        assert_eq!(now.pagerduty_client_secret.expose_secret(), "canary-new");
        assert_eq!(manager.reads(), 3);
    }

    #[tokio::test]
    async fn values_that_cannot_be_read_again_stay_in_use() {
        let manager = Manager::with(document(KEY)).await;
        let first = manager.secrets.values(at(0)).await.unwrap();
        manager.set(None);
        assert!(manager.secrets.newer_than(&first, at(1)).await.is_none());
        assert!(manager.secrets.newer_than(&first, at(2)).await.is_none());
        assert_eq!(manager.reads(), 2);
        let known = manager.secrets.values(at(3)).await.unwrap();
        assert_eq!(known.pagerduty_client_secret.expose_secret(), "canary-p");
    }

    #[tokio::test]
    async fn another_key_alone_is_no_reason_to_ask_again() {
        let manager = Manager::with(document(KEY)).await;
        let first = manager.secrets.values(at(0)).await.unwrap();
        manager.set(Some(document(KEY).replace("canary-s", "canary-new")));
        assert!(manager.secrets.newer_than(&first, at(1)).await.is_none());
    }

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
