//! The secret in Secrets Manager, cached for five minutes and re-read at once when something does not fit it.

use std::sync::Arc;

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::failure::Class;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use store::seal::{KeyRing, SealError, TokenKey};
use tokio::sync::Mutex;

/// A call per notification would cost more than the rest of it; a rotated secret is noticed after this time at the latest.
const CACHE_FOR: SignedDuration = SignedDuration::from_mins(5);

/// A refresh that failed is not tried again before.
const TRY_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// Values that are refused are read again at most once in this time: a refusal that lasts must not cost a call for each click.
const FORCED_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// Asked for a second time within this, the known values are given: whoever meets one thing that does not fit meets many.
const RENEW_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// The values of the secret. A function's secret has the fields that it needs, and no others; one with all of them serves every
/// function.
#[derive(Debug)]
pub struct SecretValues {
    teams_client_secret: Option<SecretString>,
    pagerduty_client_secret: Option<SecretString>,
    token_keys: Option<KeyRing>,
    webhook_keys: Option<KeyRing>,
    session_key: Option<SecretString>,
}

impl SecretValues {
    /// Client secret of the bot's Entra application.
    pub fn teams_client_secret(&self) -> Result<&SecretString, SecretError> {
        given(self.teams_client_secret.as_ref(), "teams_client_secret")
    }

    /// Client secret of the OAuth app in PagerDuty.
    pub fn pagerduty_client_secret(&self) -> Result<&SecretString, SecretError> {
        given(self.pagerduty_client_secret.as_ref(), "pagerduty_client_secret")
    }

    /// Keys that people's tokens are sealed with.
    pub fn token_keys(&self) -> Result<&KeyRing, SecretError> {
        given(self.token_keys.as_ref(), "token_keys")
    }

    /// Keys that webhook secrets are sealed with. Before they had keys of their own, those of the tokens served, and those still open:
    /// after a roll back the older version has sealed with them again.
    pub fn webhook_keys(&self) -> Result<&KeyRing, SecretError> {
        given(self.webhook_keys.as_ref().or(self.token_keys.as_ref()), "webhook_keys")
    }

    /// What makes tags that only we can make.
    pub fn session_key(&self) -> Result<&SecretString, SecretError> {
        given(self.session_key.as_ref(), "session_key")
    }
}

fn given<'v, T>(value: Option<&'v T>, field: &'static str) -> Result<&'v T, SecretError> {
    value.ok_or(SecretError::Missing { field })
}

impl SecretValues {
    /// Whether a secret of a client, Entra's or PagerDuty's, is another one.
    fn has_other_clients(&self, other: &Self) -> bool {
        let clients = |of: &Self| {
            [&of.teams_client_secret, &of.pagerduty_client_secret]
                .map(|secret| secret.as_ref().map(|secret| secret.expose_secret().to_owned()))
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
    /// Nobody has filled it yet, or it is not there.
    #[error("the secret is not there or has no value yet; `infra/secrets fill` gives it one")]
    Empty,
    /// The secret has no text.
    #[error("the secret has no text value")]
    NoText,
    /// The text is not the JSON object that it should be.
    #[error("the secret is not a JSON object with texts and lists of keys; see `infra/secrets check`")]
    Shape,
    /// What is asked for is not there, or is empty.
    #[error("the secret of this function has no {field}")]
    Missing {
        /// The name in the JSON object.
        field: &'static str,
    },
    /// A key is not base64 of 32 bytes.
    #[error("key number {position} in {field} of the secret is not base64 of 32 bytes")]
    Key {
        /// The name in the JSON object.
        field: &'static str,
        /// Counted from 1.
        position: usize,
    },
    /// The key ring cannot be built.
    #[error("{field} of the secret is not a usable key ring")]
    KeyRing {
        /// The name in the JSON object.
        field: &'static str,
    },
}

impl SecretError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call(_) => Class::Retry { after: None },
            Self::Empty
            | Self::NoText
            | Self::Shape
            | Self::Missing { .. }
            | Self::Key { .. }
            | Self::KeyRing { .. } => Class::Bug,
        }
    }
}

/// Something sealed cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Without the secret nothing is opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It does not fit any key.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Every field is optional, and one that is not known here is of another version.
#[derive(Deserialize)]
struct Document {
    teams_client_secret: Option<SecretString>,
    pagerduty_client_secret: Option<SecretString>,
    token_keys: Option<Vec<DocumentKey>>,
    webhook_keys: Option<Vec<DocumentKey>>,
    session_key: Option<SecretString>,
}

#[derive(Clone, Deserialize)]
struct DocumentKey {
    id: String,
    key: SecretString,
}

#[derive(Debug)]
struct Cached {
    values: Arc<SecretValues>,
    read_at: Timestamp,
    /// When a refresh failed last, if none has succeeded since.
    failed_at: Option<Timestamp>,
    /// When the values were read because they had been refused.
    forced_at: Option<Timestamp>,
}

impl Cached {
    fn serves(&self, at_most: SignedDuration, now: Timestamp) -> bool {
        // After a failure it is not asked again at once: everybody who needs a value would wait for the same failure.
        now.duration_since(self.read_at) < at_most
            || self.failed_at.is_some_and(|failed| now.duration_since(failed) < TRY_AGAIN_AFTER)
    }
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
        self.not_older(CACHE_FOR, now).await
    }

    /// The values as they are now, for whoever has met something that those known do not fit.
    pub async fn renewed(&self, now: Timestamp) -> Result<Arc<SecretValues>, SecretError> {
        self.not_older(RENEW_AFTER, now).await
    }

    /// Opens something sealed. What no known key opens may be sealed by one that was added a moment ago, so the secret is read
    /// again for it.
    pub async fn open<T>(
        &self,
        now: Timestamp,
        open: impl Fn(&SecretValues) -> Result<T, OpenError>,
    ) -> Result<T, OpenError> {
        let known = self.values(now).await?;
        match open(&known) {
            Err(OpenError::Seal(_)) => open(&*self.renewed(now).await?),
            opened => opened,
        }
    }

    async fn not_older(&self, at_most: SignedDuration, now: Timestamp) -> Result<Arc<SecretValues>, SecretError> {
        let mut cached = self.cached.lock().await;
        if let Some(known) = cached.as_ref().filter(|known| known.serves(at_most, now)) {
            return Ok(Arc::clone(&known.values));
        }
        let forced_at = cached.as_ref().and_then(|known| known.forced_at);
        match (self.read().await, cached.as_mut()) {
            (Ok(values), _) => {
                let values = Arc::new(values);
                *cached = Some(Cached { values: Arc::clone(&values), read_at: now, failed_at: None, forced_at });
                Ok(values)
            }
            (Err(error), Some(known)) => {
                tracing::warn!(
                    error = crate::telemetry::chain(&error),
                    "secret not refreshed, the known values stay in use"
                );
                known.failed_at = Some(now);
                Ok(Arc::clone(&known.values))
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
        let sent = self.client.get_secret_value().secret_id(&self.id).send().await;
        let answer = sent.map_err(|error| match error.as_service_error() {
            Some(GetSecretValueError::ResourceNotFoundException(_)) => SecretError::Empty,
            _ => SecretError::Call(Box::new(error)),
        })?;
        parse(answer.secret_string().ok_or(SecretError::NoText)?)
    }
}

fn parse(text: &str) -> Result<SecretValues, SecretError> {
    // The parser's own message could quote a value, so it is dropped.
    // Written by the operator, some of whose editors begin a file with a byte order mark; anything else has to be put right.
    let text = text.trim_start_matches('\u{feff}');
    let document: Document = serde_json::from_str(text).map_err(|_| SecretError::Shape)?;
    let ring = |keys: Option<Vec<DocumentKey>>, field| keys.map(|keys| ring(&keys, field)).transpose();
    // What the template makes empty is not there yet.
    let filled = |value: Option<SecretString>| value.filter(|value| !value.expose_secret().is_empty());
    let webhook_keys = document.webhook_keys.map(|mut own| {
        // The first one seals, so one of these never does.
        if !own.is_empty() {
            for key in document.token_keys.iter().flatten() {
                if own.iter().all(|known| known.id != key.id) {
                    own.push(key.clone());
                }
            }
        }
        own
    });
    let values = SecretValues {
        teams_client_secret: filled(document.teams_client_secret),
        pagerduty_client_secret: filled(document.pagerduty_client_secret),
        token_keys: ring(document.token_keys, "token_keys")?,
        webhook_keys: ring(webhook_keys, "webhook_keys")?,
        session_key: filled(document.session_key),
    };
    match values {
        SecretValues {
            teams_client_secret: None,
            pagerduty_client_secret: None,
            token_keys: None,
            webhook_keys: None,
            session_key: None,
        } => Err(SecretError::Empty),
        values => Ok(values),
    }
}

fn ring(keys: &[DocumentKey], field: &'static str) -> Result<KeyRing, SecretError> {
    let keys = keys.iter().enumerate().map(|(index, entry)| {
        let bytes = BASE64_STANDARD.decode(entry.key.expose_secret()).ok();
        let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        key.map(|key| TokenKey { id: entry.id.clone(), key }).ok_or(SecretError::Key { field, position: index + 1 })
    });
    KeyRing::new(keys.collect::<Result<_, _>>()?).map_err(|_| SecretError::KeyRing { field })
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
        assert_eq!(newer.pagerduty_client_secret().unwrap().expose_secret(), "canary-new");
        assert_eq!(manager.reads(), 3);
        // Whoever was refused with the older ones, and whoever asks now, needs no call.
        assert!(manager.secrets.newer_than(&first, at(32)).await.is_some());
        let now = manager.secrets.values(at(300)).await.unwrap();
        assert_eq!(now.pagerduty_client_secret().unwrap().expose_secret(), "canary-new");
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
        assert_eq!(known.pagerduty_client_secret().unwrap().expose_secret(), "canary-p");
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

    fn keys(field: &str, id: &str) -> String {
        format!(r#"{{"{field}":[{{"id":"{id}","key":"{KEY}"}}]}}"#)
    }

    #[test]
    fn one_secret_with_all_fields_serves_every_function() {
        let values = parse(&document(KEY)).unwrap();
        assert_eq!(values.teams_client_secret().unwrap().expose_secret(), "canary-t");
        assert_eq!(values.pagerduty_client_secret().unwrap().expose_secret(), "canary-p");
        assert_eq!(values.session_key().unwrap().expose_secret(), "canary-s");
        assert_eq!(format!("{:?}", values.token_keys().unwrap()), r#"["k1"]"#);
        assert!(!format!("{values:?}").contains("canary"));
    }

    #[test]
    fn an_editors_byte_order_mark_is_no_mistake_and_anything_else_is() {
        let marked = parse(&format!("\u{feff}{}", document(KEY))).unwrap();
        assert_eq!(marked.session_key().unwrap().expose_secret(), "canary-s");
        for text in [
            document(&format!("{KEY}\\ud83d")),
            format!("{},", document(KEY)),
            document(KEY).replace("\"k1\"", "1e999"),
        ] {
            assert!(parse(&text).is_err(), "the operator is told: {text}");
        }
    }

    #[test]
    fn webhook_secrets_have_keys_of_their_own_and_before_that_the_token_keys() {
        let ring = |text: &str| parse(text).unwrap().webhook_keys().map(|ring| format!("{ring:?}"));
        assert_eq!(ring(&document(KEY)).unwrap(), r#"["k1"]"#);
        assert_eq!(ring(&keys("webhook_keys", "w1")).unwrap(), r#"["w1"]"#);
        let both = document(KEY).replacen('{', &keys("webhook_keys", "w1").replace("]}", "],"), 1);
        assert_eq!(ring(&both).unwrap(), r#"["w1", "k1"]"#, "the token keys only open");
        let none = document(KEY).replacen('{', r#"{"webhook_keys":[],"#, 1);
        assert!(matches!(parse(&none), Err(SecretError::KeyRing { field: "webhook_keys" })), "they never seal instead");
    }

    #[test]
    fn what_a_function_was_not_given_is_named() {
        let values = parse(&keys("webhook_keys", "w1")).unwrap();
        let refused = [
            (values.teams_client_secret().err(), "the secret of this function has no teams_client_secret"),
            (values.pagerduty_client_secret().err(), "the secret of this function has no pagerduty_client_secret"),
            (values.token_keys().err(), "the secret of this function has no token_keys"),
            (values.session_key().err(), "the secret of this function has no session_key"),
            (
                parse(r#"{"session_key":"s"}"#).unwrap().webhook_keys().err(),
                "the secret of this function has no webhook_keys",
            ),
        ];
        for (error, expected) in refused {
            let error = error.unwrap();
            assert_eq!((error.to_string().as_str(), error.class()), (expected, Class::Bug));
        }
    }

    #[test]
    fn names_what_is_wrong_and_never_quotes_it() {
        let shape = "the secret is not a JSON object with texts and lists of keys; see `infra/secrets check`";
        let empty = "the secret is not there or has no value yet; `infra/secrets fill` gives it one";
        for (text, expected) in [
            ("not json canary".to_owned(), shape),
            (r#"["canary"]"#.to_owned(), shape),
            (r#"{"session_key":["canary"]}"#.to_owned(), shape),
            ("{}".to_owned(), empty),
            (r#"{"teams_client_secret":"","session_key":"","note":"canary"}"#.to_owned(), empty),
            (document("canary"), "key number 1 in token_keys of the secret is not base64 of 32 bytes"),
            (document("c2hvcnQ="), "key number 1 in token_keys of the secret is not base64 of 32 bytes"),
            (
                document(KEY).replace("token_keys", "webhook_keys").replace(KEY, "canary"),
                "key number 1 in webhook_keys of the secret is not base64 of 32 bytes",
            ),
            // As the template makes it.
            (
                document(KEY).replace(&format!(r#"{{"id":"k1","key":"{KEY}"}}"#), ""),
                "token_keys of the secret is not a usable key ring",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    #[test]
    fn known_values_serve_until_they_are_too_old_and_for_a_moment_after_a_failure() {
        let values = Arc::new(parse(&document(KEY)).unwrap());
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        for (name, failed, age, at_most, serves) in [
            ("fresh", None, 299, CACHE_FOR, true),
            ("too old", None, 300, CACHE_FOR, false),
            ("a moment after a failure", Some(310), 339, CACHE_FOR, true),
            ("tried again", Some(310), 340, CACHE_FOR, false),
            ("something does not fit it", None, 10, RENEW_AFTER, false),
            ("the second thing that does not", None, 9, RENEW_AFTER, true),
            ("nor does Secrets Manager answer", Some(20), 21, RENEW_AFTER, true),
        ] {
            let cached =
                Cached { values: Arc::clone(&values), read_at: at(0), failed_at: failed.map(at), forced_at: None };
            assert_eq!(cached.serves(at_most, at(age)), serves, "{name}");
        }
    }
}
