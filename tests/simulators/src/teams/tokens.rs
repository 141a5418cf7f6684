//! The Entra token endpoint for a single-tenant bot, and the connector's check of what it issued.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Options;
use super::model::State;

pub(super) const SCOPE: &str = "https://api.botframework.com/.default";
const DEFAULT_LIFETIME_SECONDS: i64 = 3599;

#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    /// Second at which each token ends.
    issued: BTreeMap<String, i64>,
    /// Tokens that Entra took back.
    revoked: Vec<String>,
    lifetime: Option<i64>,
    requests: u32,
    /// The bot's secret, if it is another one by now.
    client_secret: Option<String>,
}

/// Why the connector does not accept a bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadBearer {
    /// It was good once. That happens to every bot.
    Ended,
    /// It was never issued, or there is none.
    NeverGood,
}

impl Tokens {
    pub(super) fn revoke_all(&mut self) {
        self.revoked.extend(std::mem::take(&mut self.issued).into_keys());
    }

    pub(super) fn expect_secret(&mut self, secret: &str) {
        self.client_secret = Some(secret.to_owned());
    }

    pub(super) fn live_for(&mut self, seconds: i64) {
        self.lifetime = Some(seconds);
    }

    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    pub(super) fn check(&self, authorization: Option<&str>, now: Timestamp) -> Result<(), BadBearer> {
        let token = authorization.and_then(|header| header.strip_prefix("Bearer ")).ok_or(BadBearer::NeverGood)?;
        match self.issued.get(token) {
            Some(end) if *end > now.as_second() => Ok(()),
            Some(_) => Err(BadBearer::Ended),
            None if self.revoked.iter().any(|revoked| revoked == token) => Err(BadBearer::Ended),
            None => Err(BadBearer::NeverGood),
        }
    }
}

/// Answers a client-credentials request: (status, body).
pub(super) fn issue(
    state: &mut State,
    options: &Options,
    tenant: &str,
    content_type: &str,
    body: &[u8],
    now: Timestamp,
) -> (u16, Value) {
    state.passing.tokens.requests += 1;
    let form: BTreeMap<String, String> = if content_type.starts_with("application/x-www-form-urlencoded") {
        serde_urlencoded::from_bytes::<Vec<(String, String)>>(body).unwrap_or_default().into_iter().collect()
    } else {
        BTreeMap::new()
    };
    let secret = state.passing.tokens.client_secret.clone().unwrap_or_else(|| options.client_secret.clone());
    if let Err(refusal) = check_request(&form, options, &secret, tenant) {
        state.complain(format!("token request refused: {}", refusal.description));
        return refusal.answer(state, now);
    }
    let lifetime = state.passing.tokens.lifetime.unwrap_or(DEFAULT_LIFETIME_SECONDS);
    let token = state.ids.token(now);
    state.passing.tokens.issued.insert(token.clone(), now.as_second() + lifetime);
    (200, json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token }))
}

struct Refusal {
    status: u16,
    error: &'static str,
    code: u32,
    description: String,
}

impl Refusal {
    fn new(status: u16, error: &'static str, code: u32, text: &str) -> Self {
        Self { status, error, code, description: format!("AADSTS{code}: {text}") }
    }

    fn answer(&self, state: &mut State, now: Timestamp) -> (u16, Value) {
        let (trace, correlation) = (state.ids.guid(now), state.ids.guid(now));
        let body = json!({
            "error": self.error,
            "error_description": format!("{} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}", self.description),
            "error_codes": [self.code],
            "timestamp": now.to_string(),
            "trace_id": trace,
            "correlation_id": correlation,
        });
        (self.status, body)
    }
}

/// The order in which Entra looks: request form, tenant, application, secret, resource.
fn check_request(
    form: &BTreeMap<String, String>,
    options: &Options,
    secret: &str,
    tenant: &str,
) -> Result<(), Refusal> {
    for name in ["grant_type", "client_id", "client_secret", "scope"] {
        if form.get(name).is_none_or(String::is_empty) {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            return Err(Refusal::new(400, "invalid_request", 900_144, &text));
        }
    }
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return Err(Refusal::new(
            400,
            "unsupported_grant_type",
            70_003,
            "The app requested an unsupported grant type.",
        ));
    }
    if tenant != options.tenant {
        return Err(Refusal::new(400, "invalid_request", 90_002, "Tenant not found."));
    }
    if field("client_id") != options.app_id {
        return Err(Refusal::new(
            400,
            "unauthorized_client",
            700_016,
            "The application was not found in the directory.",
        ));
    }
    if field("client_secret") != secret {
        return Err(Refusal::new(401, "invalid_client", 7_000_215, "Invalid client secret provided."));
    }
    if field("scope") != SCOPE {
        return Err(Refusal::new(400, "invalid_scope", 1_002_012, "The provided value for scope is not valid."));
    }
    Ok(())
}
