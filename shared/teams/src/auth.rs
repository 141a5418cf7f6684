//! Who may talk to the bot.
//!
//! The Bot Connector signs a token with each activity. It proves that Microsoft delivers it to our bot; it proves nothing
//! about the body, except for the address to answer to. The checks follow the bot connector authentication docs, with
//! three of our own: the channel must be Teams, the address must be on our list, and the tenant must be one that we serve.

mod hosts;
mod keys;
mod token;

use ::wire::Wire;
use domain::failure::Class;
use domain::ids::TenantId;
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

pub use self::hosts::{BadHost, TrustedHosts, UntrustedServiceUrl};
pub use self::keys::KeysError;
use self::keys::{Key, KeyCache};
use self::token::{Claims, Unverified};
use crate::activity::Activity;

/// Largest activity that is looked at, in bytes. Teams' own limit for a message is about 100 KB.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The only Bot Framework channel that we serve. SDKs accept any key for a blank one.
const CHANNEL: &str = "msteams";

/// Checks the token and the origin of what comes from Teams.
#[derive(Debug)]
pub struct BotAuth {
    keys: KeyCache,
    app_id: String,
    tenants: Vec<TenantId>,
    hosts: TrustedHosts,
}

/// An activity that passed every check. Only [`BotAuth::check`] makes one.
#[derive(Debug, PartialEq)]
pub struct Verified(Activity);

/// The activity is refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No token, or one that is not the Bot Connector's for this bot.
    #[error("the token is refused")]
    Unauthorized(#[source] Unauthorized),
    /// A good token, but not for this activity, or an activity from where we serve nobody.
    #[error("the activity is refused")]
    Forbidden(#[source] Forbidden),
    /// Without the Connector's keys nothing can be checked.
    #[error("the signing keys are not available")]
    KeysUnavailable(#[source] KeysError),
    /// A good token with something that is no activity.
    #[error("the body is refused")]
    BadBody(#[source] BadBody),
}

/// What is wrong with the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// There is none.
    #[error("no Authorization header")]
    Missing,
    /// The header is something else than `Bearer <token>`.
    #[error("the Authorization header is no bearer token")]
    NotBearer,
    /// Not a signed token, or its parts cannot be read.
    #[error("the token cannot be read")]
    Malformed,
    /// Not RS256, the one algorithm that the Connector's metadata announces.
    #[error("the token's algorithm is not RS256")]
    Algorithm,
    /// Not issued by the Bot Connector.
    #[error("the token's issuer is not the Bot Connector")]
    Issuer,
    /// Meant for another bot.
    #[error("the token's audience is another")]
    Audience,
    /// Its end has passed, or it names none.
    #[error("the token is expired")]
    Expired,
    /// Its begin has not come, or it names none.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Signed with a key that the Connector does not publish.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// Not signed with the key that it names.
    #[error("the token's signature is wrong")]
    Signature,
}

/// Why a good token does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// `channelId` is not Teams.
    #[error("the activity is not from the Teams channel")]
    OtherChannel,
    /// The key may not sign for Teams.
    #[error("the signing key is not endorsed for Teams")]
    NotEndorsed,
    /// The address in the activity is not the one in the token.
    #[error("the activity's service URL is not the token's")]
    ServiceUrlMismatch,
    /// The bot's token must not be sent to that address.
    #[error("the service URL is not trusted")]
    UntrustedServiceUrl(#[source] UntrustedServiceUrl),
    /// The activity names no tenant.
    #[error("the activity names no tenant")]
    NoTenant,
    /// The activity names two tenants.
    #[error("the activity names two different tenants")]
    ConflictingTenants,
    /// A tenant that is not on our list.
    #[error("the activity's tenant is not served")]
    OtherTenant,
}

/// What is wrong with the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Larger than [`MAX_BODY_BYTES`].
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// More lists, objects and values than any activity has.
    #[error("the body has too many parts")]
    TooManyParts,
    /// JSON without the few fields that every activity has.
    #[error("the body is not an activity")]
    NotAnActivity,
}

impl BotAuth {
    /// `openid_metadata_url` is the Connector's `OpenID` metadata; `app_id` the bot's application id. Nothing is fetched
    /// before the first token has to be checked.
    #[must_use]
    pub fn new(
        http: Wire,
        openid_metadata_url: Url,
        app_id: String,
        allowed_tenants: Vec<TenantId>,
        hosts: TrustedHosts,
    ) -> Self {
        Self { keys: KeyCache::new(http, openid_metadata_url), app_id, tenants: allowed_tenants, hosts }
    }

    /// Checks `authorization` (the header's value) and `body` (the raw bytes).
    ///
    /// # Errors
    /// [`AuthError`]; its [`status`](AuthError::status) is the answer to the sender.
    pub async fn check(&self, authorization: Option<&str>, body: &[u8], now: Timestamp) -> Result<Verified, AuthError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(BadBody::TooLarge.into());
        }
        let token = Unverified::read(authorization, &self.app_id, now)?;
        let key = self.keys.find(&token.kid, now).await.map_err(AuthError::KeysUnavailable)?;
        let key = key.ok_or(Unauthorized::UnknownKey)?;
        let claims = token.verify(&key.decoding, key.issuer)?;
        let document = ::wire::read_bearable(body).map_err(|error| match error {
            ::wire::Unreadable::NotJson(_) => BadBody::NotJson,
            ::wire::Unreadable::TooManyParts => BadBody::TooManyParts,
        })?;
        self.admit(&document, &claims, &key)
    }

    fn admit(&self, document: &Value, claims: &Claims, key: &Key) -> Result<Verified, AuthError> {
        if document.get("type").and_then(Value::as_str).is_none() {
            return Err(BadBody::NotAnActivity.into());
        }
        if document.get("channelId").and_then(Value::as_str) != Some(CHANNEL) {
            return Err(Forbidden::OtherChannel.into());
        }
        // As Microsoft's SDKs: a key that names the channels it speaks for must name ours; a key that names none is for all.
        if !key.endorsements.is_empty() && !key.endorsements.iter().any(|channel| channel == CHANNEL) {
            return Err(Forbidden::NotEndorsed.into());
        }
        let service_url = document.get("serviceUrl").and_then(Value::as_str).unwrap_or_default();
        if !claims.serviceurl.as_deref().is_some_and(|claimed| same_address(claimed, service_url)) {
            return Err(Forbidden::ServiceUrlMismatch.into());
        }
        self.hosts.check(service_url).map_err(Forbidden::UntrustedServiceUrl)?;
        let tenant = self.tenant(document)?;
        Ok(Verified(Activity::read(document, tenant).ok_or(BadBody::NotAnActivity)?))
    }

    /// The activity's tenant in the spelling of our list, so that it always leads to the same items in the table.
    fn tenant(&self, document: &Value) -> Result<TenantId, Forbidden> {
        let named = |pointer| document.pointer(pointer).and_then(Value::as_str).filter(|tenant| !tenant.is_empty());
        let tenant = match (named("/conversation/tenantId"), named("/channelData/tenant/id")) {
            (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => return Err(Forbidden::ConflictingTenants),
            (Some(tenant), _) | (None, Some(tenant)) => tenant,
            (None, None) => return Err(Forbidden::NoTenant),
        };
        let known = self.tenants.iter().find(|known| known.as_str().eq_ignore_ascii_case(tenant));
        known.cloned().ok_or(Forbidden::OtherTenant)
    }
}

impl Verified {
    /// The activity.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.0
    }

    /// The activity.
    #[must_use]
    pub fn into_activity(self) -> Activity {
        self.0
    }
}

impl AuthError {
    /// The HTTP status of the answer. Teams sends an activity again after a 5xx, so only what may pass by itself is one.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BadBody(_) => 400,
            Self::Unauthorized(_) => 401,
            Self::Forbidden(_) => 403,
            Self::KeysUnavailable(_) => 503,
        }
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::BadBody(_) => Class::Invalid,
            Self::Unauthorized(_) | Self::Forbidden(_) => Class::Forbidden,
            Self::KeysUnavailable(_) => Class::Retry { after: None },
        }
    }
}

impl From<Unauthorized> for AuthError {
    fn from(reason: Unauthorized) -> Self {
        Self::Unauthorized(reason)
    }
}

impl From<Forbidden> for AuthError {
    fn from(reason: Forbidden) -> Self {
        Self::Forbidden(reason)
    }
}

impl From<BadBody> for AuthError {
    fn from(reason: BadBody) -> Self {
        Self::BadBody(reason)
    }
}

/// Teams' SDK compares without case and without one trailing slash, so the Connector may differ in these.
fn same_address(claimed: &str, sent: &str) -> bool {
    let trim = |address| str::strip_suffix(address, '/').unwrap_or(address);
    !sent.is_empty() && trim(claimed).eq_ignore_ascii_case(trim(sent))
}

#[cfg(test)]
mod tests;
