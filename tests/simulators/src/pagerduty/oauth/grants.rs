//! Grants: what the token endpoint gives for what.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::id_token::encoded;
use super::{Mistake, OPENID, is_known, single, words};
use crate::pagerduty::PagerDuty;
use crate::pagerduty::model::{Credential, Holder, State};
use crate::pagerduty::server::Reply;

const CODE_LIFETIME: SignedDuration = SignedDuration::from_secs(30);
const ACCESS_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// Counted from the last refresh.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A year after the log-in the person must log in again.
const LONGEST: SignedDuration = SignedDuration::from_hours(365 * 24);

const FORM: &str = "application/x-www-form-urlencoded";
const PARAMETERS: &[&str] =
    &["grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"];

const GONE: Mistake = Mistake::bad("invalid_grant", "The provided grant is invalid, expired or was used before");

impl PagerDuty {
    pub(super) fn grant(&self, content_type: &str, body: &[u8]) -> Result<Reply, Mistake> {
        let malformed = || Mistake::bad("invalid_request", "The request is malformed");
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(FORM) {
            return Err(malformed());
        }
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).map_err(|_| malformed())?;
        for (name, _) in pairs.iter().filter(|(name, _)| !PARAMETERS.contains(&name.as_str())) {
            self.lock().note_unknown(format!("POST /oauth/token: parameter {name}"));
        }
        let form = single(&pairs).map_err(|_| malformed())?;
        let options = &self.inner.options;
        let secret = self.lock().passing.client_secret.clone().unwrap_or_else(|| options.client_secret.clone());
        // Only client_secret_post: a Basic header does not help.
        if form.get("client_id") != Some(&options.client_id.as_str())
            || form.get("client_secret") != Some(&secret.as_str())
        {
            let description = "Client authentication failed";
            return Err(Mistake { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description });
        }
        match form.get("grant_type").copied() {
            Some("authorization_code") => {
                let (user, scopes) = self.lock().redeem(&form)?;
                let since = self.lock().passing.now;
                Ok(self.pair(&user, &scopes, since))
            }
            Some("refresh_token") => {
                let (user, scopes, since) = self.lock().use_up(&form)?;
                Ok(self.pair(&user, &scopes, since))
            }
            Some("client_credentials") => self.for_app(form.get("scope").copied().unwrap_or_default()),
            Some(_) => Err(Mistake::bad("unsupported_grant_type", "The grant type is not supported")),
            None => Err(malformed()),
        }
    }

    /// An access token, a refresh token that works once, and who it is.
    fn pair(&self, user: &str, scopes: &BTreeSet<String>, since: Timestamp) -> Reply {
        let (access, refresh) = {
            let mut state = self.lock();
            let access = state.new_token(Holder::Person(user.to_owned()), scopes.clone(), since);
            let refresh = state.ids.token("pdrf");
            let ends = state.passing.now + REFRESH_LIFETIME;
            let expires_at = ends.min(since + LONGEST);
            let holder = Holder::Person(user.to_owned());
            let credential = Credential { holder, scopes: Some(scopes.clone()), expires_at, since };
            state.refresh_tokens.insert(refresh.clone(), credential);
            (access, refresh)
        };
        Reply::json(
            StatusCode::OK,
            json!({
                "client_info": "prefix_legacy_app",
                "id_token": self.id_token(user, &access),
                "token_type": "bearer",
                "access_token": access,
                "refresh_token": refresh,
                "scope": joined(scopes),
                "expires_in": ACCESS_LIFETIME.as_secs(),
            }),
        )
    }

    /// Unlike in a log-in, an unknown scope makes the whole request fail.
    fn for_app(&self, scope: &str) -> Result<Reply, Mistake> {
        let mut scopes = words(scope);
        let account = format!("as_account-us.{}", self.inner.options.subdomain);
        let for_account = scopes.remove(&account);
        if !for_account || scopes.is_empty() || scopes.iter().any(|scope| scope == OPENID || !is_known(scope)) {
            return Err(Mistake::bad("invalid_request", "Invalid scope"));
        }
        let mut state = self.lock();
        let now = state.passing.now;
        let access = state.new_token(Holder::App, scopes, now);
        drop(state);
        Ok(Reply::json(
            StatusCode::OK,
            json!({ "access_token": access, "scope": scope, "token_type": "bearer", "expires_in": ACCESS_LIFETIME.as_secs() }),
        ))
    }

    /// An access token without a log-in, for a test that is about something else.
    pub fn user_token(&self, user: &str, scopes: &[&str]) -> String {
        self.token_of(Holder::Person(user.to_owned()), scopes)
    }

    /// An access token of the app, without asking the token endpoint.
    pub fn app_token(&self, scopes: &[&str]) -> String {
        self.token_of(Holder::App, scopes)
    }

    fn token_of(&self, holder: Holder, scopes: &[&str]) -> String {
        let mut state = self.lock();
        let now = state.passing.now;
        state.new_token(holder, scopes.iter().map(|scope| (*scope).to_owned()).collect(), now)
    }

    /// Ends every token of a person, as "Revoke all tokens" does.
    pub fn revoke_tokens(&self, user: &str) {
        let mut state = self.lock();
        let is_theirs = |credential: &Credential| credential.holder == Holder::Person(user.to_owned());
        state.tokens.retain(|_, credential| !is_theirs(credential));
        state.refresh_tokens.retain(|_, credential| !is_theirs(credential));
    }

    /// Ends the access tokens of a person; their refresh tokens stay.
    pub fn expire_access_tokens(&self, user: &str) {
        self.lock().tokens.retain(|_, credential| credential.holder != Holder::Person(user.to_owned()));
    }

    /// The app has another secret from now on, and the old one is refused. What was issued stays good.
    pub fn change_client_secret(&self, secret: &str) {
        self.lock().passing.client_secret = Some(secret.to_owned());
    }

    /// Refresh tokens go on working once they were used. Whether they do is not documented; here they do not unless a test wants it.
    pub fn keep_refresh_tokens(&self) {
        self.lock().passing.keeps_refresh_tokens = true;
    }

    /// Ends the tokens of the app itself.
    pub fn expire_app_tokens(&self) {
        self.lock().tokens.retain(|_, credential| credential.holder != Holder::App);
    }
}

impl State {
    /// A code works once, for 30 seconds, for the address and the verifier that it was issued for.
    fn redeem(&mut self, form: &BTreeMap<&str, &str>) -> Result<(String, BTreeSet<String>), Mistake> {
        let value = |name: &str| form.get(name).copied().unwrap_or_default();
        let code = self.codes.remove(value("code")).ok_or(GONE)?;
        let challenge = encoded(digest(&SHA256, value("code_verifier").as_bytes()));
        let fits = self.passing.now < code.issued_at + CODE_LIFETIME
            && code.challenge == challenge
            && code.redirect_uri == value("redirect_uri");
        if fits { Ok((code.user, code.scopes)) } else { Err(GONE) }
    }

    /// A refresh token works once.
    fn use_up(&mut self, form: &BTreeMap<&str, &str>) -> Result<(String, BTreeSet<String>, Timestamp), Mistake> {
        let token = form.get("refresh_token").copied().unwrap_or_default();
        let known = if self.passing.keeps_refresh_tokens {
            self.refresh_tokens.get(token).cloned()
        } else {
            self.refresh_tokens.remove(token)
        };
        let known = known.filter(|known| known.expires_at > self.passing.now);
        match known.ok_or(GONE)? {
            Credential { holder: Holder::Person(user), scopes, since, .. } => {
                Ok((user, scopes.unwrap_or_default(), since))
            }
            Credential { holder: Holder::App | Holder::Account, .. } => Err(GONE),
        }
    }

    fn new_token(&mut self, holder: Holder, scopes: BTreeSet<String>, since: Timestamp) -> String {
        let token = self.ids.token("pdus");
        let expires_at = self.passing.now + ACCESS_LIFETIME;
        self.tokens.insert(token.clone(), Credential { holder, scopes: Some(scopes), expires_at, since });
        token
    }
}

fn joined(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
