//! PagerDuty's scoped OAuth: log-in of a person with PKCE, refresh, and tokens of the app itself.
//!
//! Codes live 30 s and refresh tokens work once, so nothing is repeated here, and an answer that can be used at all is
//! used. What was granted is only what the answer says (PagerDuty drops scopes without an error).

use std::collections::BTreeSet;
use std::time::Duration;

use ::wire::{Wire, WireError};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::failure::Class;
use domain::ids::{AccountId, PdUserId};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::Region;
use crate::rest::retry_after;
use crate::wire::{items, text};

/// What acting on incidents as a person needs.
pub const USER_SCOPES: &[&str] = &[
    "openid",
    "incidents.read",
    "incidents.write",
    "users.read",
    "services.read",
    "oncalls.read",
    "escalation_policies.read",
    "priorities.read",
];

/// What it takes to see who an admin is, and no more.
pub const ADMIN_SCOPES: &[&str] = &["openid", "users.read"];

/// What the app itself needs: [`SUBSCRIPTION_SCOPES`](crate::rest::SUBSCRIPTION_SCOPES), and to look up services and the
/// roles of people.
pub const APP_SCOPES: &[&str] =
    &["webhook_subscriptions.read", "webhook_subscriptions.write", "incidents.read", "services.read", "users.read"];

/// What the app asks for as well and does without: to be told of workflows, see
/// [`domain::event::subscribed_if_allowed`].
pub const OPTIONAL_APP_SCOPES: &[&str] = &["incident_workflows.read"];

/// The issuers that PagerDuty's documents and its live metadata name; both occur.
const ISSUERS: [&str; 2] =
    ["https://identity.pagerduty.com/global/oauth/anonymous", "https://app.pagerduty.com/global/oauth/anonymous"];

/// Clocks may differ by this much.
const SKEW_SECONDS: i64 = 60;

/// Below the 5 s that Teams gives an answer to a click, which may need a refresh.
const TIMEOUT: Duration = Duration::from_secs(4);

/// How long an access token is taken to live if the answer does not say it (RFC 6749 5.1 only recommends that).
const ASSUMED_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

const MAX_ERROR_WORD: usize = 40;

/// A client of PagerDuty's OAuth. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct OAuth {
    http: Wire,
    base: Url,
    client_id: String,
    redirect_uri: Url,
    timeout: Duration,
}

/// A PKCE pair (RFC 7636, S256). PagerDuty requires it for scoped apps.
#[derive(Debug, Clone)]
pub struct Pkce {
    /// Kept until the exchange.
    pub verifier: SecretString,
    pub challenge: String,
}

impl Pkce {
    /// A pair from 256 fresh random bits.
    #[must_use]
    pub fn from_random(random: [u8; 32]) -> Self {
        Self::from_verifier(BASE64_URL_SAFE_NO_PAD.encode(random).into())
    }

    /// The pair of a verifier that was kept.
    #[must_use]
    pub fn from_verifier(verifier: SecretString) -> Self {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose_secret().as_bytes()));
        Self { verifier, challenge }
    }
}

/// What a person granted.
#[derive(Debug)]
pub struct Grant {
    /// Acts as the person.
    pub access_token: SecretString,
    /// Gets the next pair, once. A refresh may answer without one: the old one then stays.
    pub refresh_token: Option<SecretString>,
    pub expires_at: Timestamp,
    /// What was really granted; PagerDuty drops scopes without an error.
    pub scopes: BTreeSet<String>,
    /// Says who the person is. A refresh may answer without one.
    pub id_token: Option<SecretString>,
}

/// A token of the app itself.
#[derive(Debug)]
pub struct AppToken {
    /// Acts as the app.
    pub access_token: SecretString,
    pub expires_at: Timestamp,
    /// What was asked for and not granted.
    pub missing: Vec<String>,
}

/// Who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
    pub user: PdUserId,
    /// The account's subdomain, where the token says it; it can change.
    pub subdomain: Option<String>,
}

/// A step of OAuth that did not work. No variant carries a token or a code.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// PagerDuty answered no.
    #[error("PagerDuty's OAuth answered {status} ({error})")]
    Refused { status: u16, error: String },
    /// More calls than PagerDuty allows.
    #[error("PagerDuty's OAuth limits the rate of calls")]
    RateLimited {
        /// When to try again, if PagerDuty says so.
        after: Option<Duration>,
    },
    /// PagerDuty could not be reached: nothing was asked, so no token was used up.
    #[error("PagerDuty's OAuth cannot be reached")]
    Unreachable(#[source] WireError),
    /// No answer: a refresh token may have been used up.
    #[error("PagerDuty's OAuth did not answer")]
    NoAnswer(#[source] WireError),
    /// An answer that we cannot read.
    #[error("PagerDuty's OAuth answered without a usable {0}")]
    Unreadable(&'static str),
    /// The id token is not for us, or too old.
    #[error("the id token has a wrong {0}")]
    WrongIdentity(&'static str),
}

impl OAuthError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { error, .. } if error == "invalid_grant" => Class::Relink,
            Self::Refused { status: 500..=599, .. } | Self::Unreachable(_) => Class::Retry { after: None },
            Self::Refused { .. } | Self::Unreadable(_) => Class::Bug,
            Self::RateLimited { after } => Class::Retry { after: *after },
            Self::NoAnswer(_) => Class::Unclear,
            Self::WrongIdentity(_) => Class::Invalid,
        }
    }

    /// Whether the client's id or secret is what is not accepted (RFC 6749, 5.2); PagerDuty documents 401 for it.
    #[must_use]
    pub fn refuses_client(&self) -> bool {
        matches!(self, Self::Refused { status, error } if error == "invalid_client" || (*status == 401 && error != "invalid_grant"))
    }

    fn no_answer(error: WireError) -> Self {
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }
}

/// Which of the wanted scopes were not granted.
#[must_use]
pub fn missing_scopes<'s>(grant: &Grant, wanted: &[&'s str]) -> Vec<&'s str> {
    wanted.iter().copied().filter(|scope| !grant.scopes.contains(*scope)).collect()
}

impl OAuth {
    /// A client of the identity service at `base`. `redirect_uri` must be registered with the app. `http` must not follow
    /// redirects: they would carry the secret to another host.
    #[must_use]
    pub fn new(http: Wire, base: Url, client_id: String, redirect_uri: Url) -> Self {
        Self { http, base, client_id, redirect_uri, timeout: TIMEOUT }
    }

    /// The same client with another time limit per call; 4 s by default.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Where the person logs in.
    #[must_use]
    pub fn authorize_url(&self, state: &str, pkce: &Pkce, scopes: &[&str]) -> Url {
        let mut url = self.endpoint("authorize");
        url.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", self.redirect_uri.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", state)
            .append_pair("code_challenge", &pkce.challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Exchanges a code, which lives 30 s (PagerDuty OAuth docs).
    pub async fn exchange(
        &self,
        client_secret: &SecretString,
        code: &str,
        verifier: &SecretString,
        now: Timestamp,
    ) -> Result<Grant, OAuthError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", verifier.expose_secret()),
        ];
        grant(&self.token(client_secret, &fields).await?, now)
    }

    /// Gets the next pair. The old refresh token must be taken as used up, whatever happens.
    ///
    /// # Errors
    /// [`OAuthError`]; class [`Class::Relink`] if the person has to log in again.
    pub async fn refresh(
        &self,
        client_secret: &SecretString,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<Grant, OAuthError> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        grant(&self.token(client_secret, &fields).await?, now)
    }

    /// Gets a token of the app itself, so that what an admin set up survives that admin.
    ///
    /// # Errors
    /// [`OAuthError`]; one unknown scope fails the whole request.
    pub async fn app_token(
        &self,
        client_secret: &SecretString,
        region: Region,
        subdomain: &str,
        scopes: &[&str],
        now: Timestamp,
    ) -> Result<AppToken, OAuthError> {
        let scope = format!("as_account-{}.{subdomain} {}", region.scope_name(), scopes.join(" "));
        let answer = self.token(client_secret, &[("grant_type", "client_credentials"), ("scope", &scope)]).await?;
        let grant = grant(&answer, now)?;
        let missing = missing_scopes(&grant, scopes).into_iter().map(str::to_owned).collect();
        Ok(AppToken { access_token: grant.access_token, expires_at: grant.expires_at, missing })
    }

    /// Who an id token is about. Its signature is not checked: it came straight from the token endpoint over TLS, which
    /// `OpenID` Connect Core 3.1.3.7 accepts instead. Issuer, audience and expiry are. A claim that is not legible is none: what
    /// is compared is compared whole, and no id has U+FFFD in it.
    ///
    /// # Errors
    /// [`OAuthError::WrongIdentity`] or [`OAuthError::Unreadable`].
    pub fn identity(&self, id_token: &SecretString, now: Timestamp) -> Result<Identity, OAuthError> {
        let claims =
            id_token.expose_secret().split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Value =
            claims.and_then(|bytes| ::wire::read(&bytes).ok()).ok_or(OAuthError::Unreadable("id token"))?;
        let own_issuer = format!("{}/global/oauth/anonymous", self.base.as_str().trim_end_matches('/'));
        let issuer = text(&claims, "iss").ok_or(OAuthError::WrongIdentity("issuer"))?;
        if !ISSUERS.contains(&issuer) && issuer != own_issuer {
            return Err(OAuthError::WrongIdentity("issuer"));
        }
        let for_us = text(&claims, "aud") == Some(&self.client_id)
            || items(&claims, "aud").iter().any(|audience| audience.as_str() == Some(&self.client_id));
        if !for_us {
            return Err(OAuthError::WrongIdentity("audience"));
        }
        let expires = claims.get("exp").and_then(Value::as_i64).ok_or(OAuthError::WrongIdentity("expiry"))?;
        if expires.saturating_add(SKEW_SECONDS) <= now.as_second() {
            return Err(OAuthError::WrongIdentity("expiry"));
        }
        let account = text(&claims, "account_id").and_then(|id| AccountId::new(id).ok());
        let user = text(&claims, "user_id").and_then(|id| PdUserId::new(id).ok());
        Ok(Identity {
            account: account.ok_or(OAuthError::Unreadable("account_id"))?,
            user: user.ok_or(OAuthError::Unreadable("user_id"))?,
            subdomain: text(&claims, "subdomain").map(str::to_owned),
        })
    }

    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["oauth", name]);
        }
        url
    }

    /// Client id and secret go into the body (`client_secret_post`).
    async fn token(&self, client_secret: &SecretString, fields: &[(&str, &str)]) -> Result<Value, OAuthError> {
        let mut form = vec![("client_id", self.client_id.as_str()), ("client_secret", client_secret.expose_secret())];
        form.extend_from_slice(fields);
        let request = self.http.client().post(self.endpoint("token")).timeout(self.timeout).form(&form);
        let answer = self.http.send(request).await.map_err(OAuthError::no_answer)?;
        let status = answer.status();
        if status.as_u16() == 429 {
            return Err(OAuthError::RateLimited { after: retry_after(answer.headers()) });
        }
        if status.is_success() {
            let bytes = answer.bytes().await.map_err(|error| OAuthError::no_answer(error.into()))?;
            return Ok(::wire::read(&bytes).unwrap_or(Value::Null));
        }
        let bytes = answer.bytes().await.unwrap_or_default();
        let body = ::wire::read(&bytes).unwrap_or(Value::Null);
        let error = text(&body, "error").filter(|word| is_error_word(word)).unwrap_or("unknown").to_owned();
        Err(OAuthError::Refused { status: status.as_u16(), error })
    }
}

/// One of RFC 6749's words, and not a text that may repeat what was sent.
fn is_error_word(word: &str) -> bool {
    word.len() <= MAX_ERROR_WORD && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

fn grant(answer: &Value, now: Timestamp) -> Result<Grant, OAuthError> {
    // Tokens are visible ASCII (RFC 6749, A). What is not was damaged on its way, and would be refused wherever it is sent.
    let is_token = |token: &&str| token.bytes().all(|byte| byte.is_ascii_graphic());
    let secret = |key: &str| text(answer, key).filter(is_token).map(SecretString::from);
    let seconds =
        answer.get("expires_in").and_then(|seconds| seconds.as_i64().or_else(|| seconds.as_str()?.parse().ok()));
    let lifetime = seconds.map_or(ASSUMED_LIFETIME, SignedDuration::from_secs);
    Ok(Grant {
        access_token: secret("access_token").ok_or(OAuthError::Unreadable("access_token"))?,
        refresh_token: secret("refresh_token"),
        expires_at: now.checked_add(lifetime).unwrap_or(now),
        scopes: text(answer, "scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        id_token: secret("id_token"),
    })
}
