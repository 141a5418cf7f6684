//! Scoped OAuth: log-in with PKCE, codes that live 30 seconds, refresh tokens that work once, tokens of the app itself
//! (app docs, "Scoped OAuth").

mod grants;
mod id_token;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use url::Url;

pub(super) use id_token::{SigningKey, metadata};

use super::access::text;
use super::model::Code;
use super::server::{Incoming, Reply};
use super::{Options, PagerDuty, pages};

const OPENID: &str = "openid";

/// Everything that can be read and written by scope (REST docs), as `name` with `.read` and `.write`.
const READ_AND_WRITE: &[&str] = &[
    "addons",
    "analytics",
    "change_events",
    "contextual_data",
    "custom_fields",
    "escalation_policies",
    "event_orchestrations",
    "event_rules",
    "extensions",
    "incident_types",
    "incident_workflows",
    "incidents",
    "ip_allow_lists",
    "oauth_delegations",
    "recommendations",
    "schedules",
    "services",
    "session_configurations",
    "standards",
    "status_pages",
    "subscribers",
    "tags",
    "teams",
    "templates",
    "users",
    "users:contact_methods",
    "users:sessions",
    "webhook_subscriptions",
    "workflow_integrations:connections",
];
const ONE_WAY: &[&str] = &[
    "abilities.read",
    "audit_records.read",
    "extension_schemas.read",
    "incident_workflows:instances.write",
    "licenses.read",
    "oncalls.read",
    "priorities.read",
    "sre_agent.write",
    "status_dashboards.read",
    "users:notifications.read",
    "vendors.read",
    "workflow_integrations.read",
];

const AUTHORIZE_PARAMETERS: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    // What the buttons of the log-in page add; no part of OAuth.
    "login",
];

fn is_known(scope: &str) -> bool {
    let resource = scope.strip_suffix(".read").or_else(|| scope.strip_suffix(".write"));
    scope == OPENID || ONE_WAY.contains(&scope) || resource.is_some_and(|resource| READ_AND_WRITE.contains(&resource))
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A checked log-in request.
struct Request {
    redirect: Url,
    redirect_uri: String,
    scopes: BTreeSet<String>,
    challenge: String,
    state: Option<String>,
    login: Option<String>,
}

impl Request {
    /// `Err` says what PagerDuty shows on a page, since it cannot trust the way back.
    fn read(options: &Options, query: &[(String, String)]) -> Result<Self, String> {
        let bad = |name: &str| format!("Invalid or missing value for {name} parameter");
        let parameters = single(query).map_err(|name| bad(&name))?;
        let value = |name: &str| parameters.get(name).copied().filter(|value| !value.is_empty());
        if value("client_id") != Some(options.client_id.as_str()) {
            return Err(bad("client_id"));
        }
        let is_registered = |uri: &&str| options.redirect_uris.iter().any(|known| known == uri);
        let redirect_uri = value("redirect_uri").filter(is_registered).ok_or_else(|| bad("redirect_uri"))?;
        let redirect = Url::parse(redirect_uri).map_err(|_| bad("redirect_uri"))?;
        if value("response_type") != Some("code") {
            return Err(bad("response_type"));
        }
        let asked = words(value("scope").unwrap_or_default());
        if asked.is_empty() {
            return Err(bad("scope"));
        }
        if value("code_challenge_method") != Some("S256") {
            return Err(bad("code_challenge_method"));
        }
        let challenge = value("code_challenge").filter(|challenge| is_challenge(challenge));
        let challenge = challenge.ok_or_else(|| bad("code_challenge"))?;
        // One unknown scope is no error; the token then lacks everything but openid.
        let mut scopes = if asked.iter().all(|scope| is_known(scope)) { asked } else { BTreeSet::new() };
        scopes.insert(OPENID.to_owned());
        Ok(Self {
            redirect,
            redirect_uri: redirect_uri.to_owned(),
            scopes,
            challenge: challenge.to_owned(),
            state: value("state").map(str::to_owned),
            login: value("login").map(str::to_owned),
        })
    }

    fn back(&self, pairs: &[(&str, &str)]) -> Url {
        let mut url = self.redirect.clone();
        url.query_pairs_mut().extend_pairs(pairs).extend_pairs(self.state.iter().map(|state| ("state", state)));
        url
    }
}

/// 43 characters of base64url, the length of a SHA-256.
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Parameters may not repeat (RFC 6749, 3.1); `Err` names one that does.
fn single(pairs: &[(String, String)]) -> Result<BTreeMap<&str, &str>, String> {
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs {
        if parameters.insert(name.as_str(), value.as_str()).is_some() {
            return Err(name.clone());
        }
    }
    Ok(parameters)
}

impl PagerDuty {
    /// The log-in page; with a `login` parameter (a user's id, or `deny`) the way back from it.
    pub(super) fn authorize_page(&self, incoming: &Incoming<'_>) -> Reply {
        for (name, _) in incoming.query.iter().filter(|(name, _)| !AUTHORIZE_PARAMETERS.contains(&name.as_str())) {
            self.lock().note_unknown(format!("GET /oauth/authorize: parameter {name}"));
        }
        let refused = |why: &str| Reply::Page(StatusCode::BAD_REQUEST, pages::refusal(why));
        let request = match Request::read(&self.inner.options, &incoming.query) {
            Ok(request) => request,
            Err(why) => return refused(&why),
        };
        let Some(login) = request.login.clone() else {
            let state = self.lock();
            return Reply::Page(
                StatusCode::OK,
                pages::log_in(incoming.uri, state.users.iter().chain(&state.foreigners)),
            );
        };
        match self.answer_log_in(request, &login) {
            Some(back) => Reply::Redirect(back.into()),
            None => refused("There is no such user"),
        }
    }

    /// Logs a person in without a browser: from the address that a client sends them to, to the address that PagerDuty
    /// sends them back to. `user` may also be `deny`.
    ///
    /// # Errors
    /// What PagerDuty's error page says.
    pub fn log_in(&self, authorize: &Url, user: &str) -> Result<Url, String> {
        let query: Vec<(String, String)> = authorize.query_pairs().into_owned().collect();
        let request = Request::read(&self.inner.options, &query)?;
        self.answer_log_in(request, user).ok_or_else(|| "There is no such user".to_owned())
    }

    fn answer_log_in(&self, request: Request, user: &str) -> Option<Url> {
        if user == "deny" {
            let why = "The resource owner denied the request";
            return Some(request.back(&[("error", "access_denied"), ("error_description", why)]));
        }
        let mut state = self.lock();
        state.user(user).or_else(|| state.foreigner(user))?;
        let (code, issued_at) = (state.ids.token("pdcode"), state.passing.now);
        let back = request.back(&[("code", &code)]);
        let Request { redirect_uri, scopes, challenge, .. } = request;
        let issued = Code { user: user.to_owned(), scopes, redirect_uri, challenge, issued_at };
        state.codes.insert(code, issued);
        Some(back)
    }

    /// The token endpoint.
    pub(super) fn token(&self, incoming: &Incoming<'_>) -> Reply {
        let fault = self.lock().passing.faults.next_token();
        if let Some(failing) = fault.as_ref().and_then(Reply::failing) {
            return failing;
        }
        let reply = self.grant(text(incoming.headers, &header::CONTENT_TYPE), incoming.body).unwrap_or_else(
            |Mistake { status, error, description }| {
                Reply::json(status, json!({ "error": error, "error_description": description }))
            },
        );
        reply.after(fault.as_ref())
    }

    /// The published key of id tokens.
    pub(super) fn jwks(&self) -> Value {
        self.key().jwks()
    }

    fn key(&self) -> &SigningKey {
        self.inner.key.get_or_init(SigningKey::generate)
    }
}

/// An OAuth error (RFC 6749, 5.2).
struct Mistake {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl Mistake {
    const fn bad(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }
}
