//! Scoped OAuth: log-in with PKCE, codes that live 30 seconds, refresh tokens that work once, tokens of the app itself.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents};
use axum::extract::{Form, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::PagerDuty;
use super::login_page;
use super::model::{Code, Token};

const CODE_LIFETIME: SignedDuration = SignedDuration::from_secs(30);
const ACCESS_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
const ISSUER: &str = "https://app.pagerduty.com/global/oauth/anonymous";
const KEY_ID: &str = "simulator-1";

/// Scopes that the app may ask for.
const KNOWN_SCOPES: &[&str] = &[
    "openid",
    "incidents.read",
    "incidents.write",
    "users.read",
    "services.read",
    "priorities.read",
    "escalation_policies.read",
    "oncalls.read",
    "schedules.read",
    "teams.read",
    "incident_workflows.read",
    "webhook_subscriptions.read",
    "webhook_subscriptions.write",
];

/// Signs id tokens.
pub(super) struct SigningKey(RsaKeyPair);

impl SigningKey {
    #[expect(clippy::expect_used, reason = "a simulator that cannot sign is of no use")]
    pub(super) fn generate() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"))
    }

    fn sign(&self, claims: &Value) -> String {
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID });
        let text = format!("{}.{}", encode(head.to_string()), encode(claims.to_string()));
        let mut bytes = vec![0; self.0.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signed = self.0.sign(&signature::RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut bytes);
        if signed.is_err() {
            bytes.clear();
        }
        format!("{text}.{}", encode(bytes))
    }

    fn jwks(&self) -> Value {
        let parts: RsaPublicKeyComponents<Vec<u8>> = self.0.public_key().into();
        json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": encode(parts.n), "e": encode(parts.e) }] })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn router(_: PagerDuty) -> Router<PagerDuty> {
    Router::new()
        .route("/oauth/authorize", get(authorize))
        .route("/oauth/token", post(token))
        .route("/global/oauth/anonymous/jwks", get(jwks))
}

#[derive(Deserialize)]
pub(super) struct Authorize {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    pub(super) state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    /// Whom the login page's button logs in, by PagerDuty id; `deny` for its Cancel button. Not part of OAuth.
    login: Option<String>,
}

async fn authorize(
    Shared(pagerduty): Shared<PagerDuty>,
    uri: axum::http::Uri,
    Query(asked): Query<Authorize>,
) -> Response {
    let options = &pagerduty.inner.options;
    let refused = |why: &str| (StatusCode::BAD_REQUEST, Html(login_page::error(why))).into_response();
    if asked.client_id.as_deref() != Some(&options.client_id) {
        return refused("Invalid or missing value for client_id parameter");
    }
    let redirect = asked.redirect_uri.clone().filter(|uri| options.redirect_uris.contains(uri));
    let Some(redirect) = redirect.and_then(|uri| Url::parse(&uri).ok()) else {
        return refused("Invalid or missing value for redirect_uri parameter");
    };
    if asked.response_type.as_deref() != Some("code") {
        return refused("Invalid or missing value for response_type parameter");
    }
    let Some(scope) = asked.scope.as_deref().filter(|scope| !scope.trim().is_empty()) else {
        return refused("Invalid or missing value for scope parameter");
    };
    let challenge = asked.code_challenge.clone().filter(|challenge| challenge.len() == 43);
    let (Some(challenge), Some("S256")) = (challenge, asked.code_challenge_method.as_deref()) else {
        return refused("PKCE with S256 is required");
    };
    let Some(login) = &asked.login else {
        return Html(login_page::page(&uri.to_string(), &pagerduty.users())).into_response();
    };
    let back = |pairs: &[(&str, &str)]| {
        let mut url = redirect.clone();
        url.query_pairs_mut().extend_pairs(pairs).extend_pairs(asked.state.iter().map(|state| ("state", state)));
        (StatusCode::FOUND, [(header::LOCATION, url.to_string())]).into_response()
    };
    if login == "deny" {
        return back(&[("error", "access_denied"), ("error_description", "The resource owner denied the request")]);
    }
    if pagerduty.state().user(login).is_none() {
        return refused("there is no such user");
    }
    // An unknown scope is no error here; the token just lacks everything but openid.
    let asked_for: BTreeSet<String> = scope.split_whitespace().map(str::to_owned).collect();
    let all_known = asked_for.iter().all(|scope| KNOWN_SCOPES.contains(&scope.as_str()));
    let scopes = if all_known { asked_for } else { BTreeSet::from(["openid".to_owned()]) };
    let expires_at = pagerduty.now() + CODE_LIFETIME;
    let mut state = pagerduty.state();
    let code = state.secret("code");
    let issued = Code { user: login.clone(), scopes, redirect_uri: redirect.to_string(), challenge, expires_at };
    state.codes.insert(code.clone(), issued);
    drop(state);
    back(&[("code", &code)])
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    scope: Option<String>,
}

async fn token(Shared(pagerduty): Shared<PagerDuty>, Form(asked): Form<TokenRequest>) -> Response {
    let options = &pagerduty.inner.options;
    let refused = |status: StatusCode, error: &str| (status, Json(json!({ "error": error }))).into_response();
    if asked.client_id.as_deref() != Some(&options.client_id)
        || asked.client_secret.as_deref() != Some(&options.client_secret)
    {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let now = pagerduty.now();
    match asked.grant_type.as_str() {
        "authorization_code" => match pagerduty.redeem(&asked, now) {
            Some(code) => pagerduty.pair(&code.user, &code.scopes, now),
            None => refused(StatusCode::BAD_REQUEST, "invalid_grant"),
        },
        "refresh_token" => {
            let known = asked.refresh_token.and_then(|token| pagerduty.state().refresh_tokens.remove(&token));
            match known.filter(|token| token.expires_at > now).and_then(|token| Some((token.user?, token.scopes))) {
                Some((user, scopes)) => pagerduty.pair(&user, &scopes, now),
                None => refused(StatusCode::BAD_REQUEST, "invalid_grant"),
            }
        }
        "client_credentials" => {
            let account = format!("as_account-us.{}", options.subdomain);
            let scope = asked.scope.unwrap_or_default();
            let mut scopes: BTreeSet<String> = scope.split_whitespace().map(str::to_owned).collect();
            if !scopes.remove(&account) || scopes.iter().any(|scope| !KNOWN_SCOPES.contains(&scope.as_str())) {
                return refused(StatusCode::BAD_REQUEST, "invalid_request");
            }
            let mut state = pagerduty.state();
            let access = state.secret("pdus");
            state.tokens.insert(access.clone(), Token { user: None, scopes, expires_at: now + ACCESS_LIFETIME });
            Json(json!({ "access_token": access, "token_type": "bearer", "scope": scope, "expires_in": ACCESS_LIFETIME.as_secs() }))
                .into_response()
        }
        _ => refused(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    }
}

async fn jwks(Shared(pagerduty): Shared<PagerDuty>) -> Json<Value> {
    Json(pagerduty.inner.key.jwks())
}

impl PagerDuty {
    /// A code works once, for 30 seconds, for the address and the verifier that it was issued for.
    fn redeem(&self, asked: &TokenRequest, now: Timestamp) -> Option<Code> {
        let code = self.state().codes.remove(asked.code.as_deref()?)?;
        let challenge = encode(digest(&SHA256, asked.code_verifier.as_deref()?.as_bytes()));
        let fits = code.expires_at > now
            && code.challenge == challenge
            && asked.redirect_uri.as_deref() == Some(code.redirect_uri.as_str());
        fits.then_some(code)
    }

    fn pair(&self, user: &str, scopes: &BTreeSet<String>, now: Timestamp) -> Response {
        let options = &self.inner.options;
        let claims = json!({
            "iss": ISSUER,
            "aud": ["https://api.pagerduty.com", options.client_id],
            "sub": user,
            "user_id": user,
            "account_id": options.account_id,
            "subdomain": options.subdomain,
            "region": "UnitedStates",
            "purpose": "id",
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": (now + SignedDuration::from_mins(10)).as_second(),
        });
        let scope = scopes.iter().cloned().collect::<Vec<_>>().join(" ");
        let mut state = self.state();
        let (access, refresh) = (state.secret("pdus"), state.secret("pdrf"));
        let token =
            |lifetime| Token { user: Some(user.to_owned()), scopes: scopes.clone(), expires_at: now + lifetime };
        state.tokens.insert(access.clone(), token(ACCESS_LIFETIME));
        state.refresh_tokens.insert(refresh.clone(), token(REFRESH_LIFETIME));
        drop(state);
        Json(json!({
            "client_info": "prefix_legacy_app",
            "id_token": self.inner.key.sign(&claims),
            "token_type": "bearer",
            "access_token": access,
            "refresh_token": refresh,
            "scope": scope,
            "expires_in": ACCESS_LIFETIME.as_secs(),
        }))
        .into_response()
    }
}
