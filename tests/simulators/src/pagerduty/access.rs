//! Who may call what: credentials, scopes, the rate limit, the `From` header and roles (REST docs, "Authentication" and
//! "Rate limits"; support docs, "User roles").

use axum::http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};

use super::PagerDuty;
use super::model::{Agent, Credential, Holder, Incident, Role, State};
use super::rest::{Refusal, invalid, refusal};

/// Calls per credential and minute.
const LIMIT: u32 = 960;
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
const ACCEPT: &str = "application/vnd.pagerduty+json;version=2";
const NEVER: Timestamp = Timestamp::MAX;

/// What the `ratelimit-*` headers of an answer say.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateLimit {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset_seconds: u64,
}

/// Who calls, as far as all calls check it.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) credential: Credential,
    pub(super) from: Option<String>,
    key: String,
}

impl State {
    /// Checks the `Authorization` header, whose form must be exact.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let authorization = text(headers, &header::AUTHORIZATION);
        let known = if let Some(token) = authorization.strip_prefix("Bearer ") {
            self.tokens.get(token)
        } else if let Some(key) = authorization.strip_prefix("Token token=") {
            self.api_keys.get(key)
        } else {
            None
        };
        let credential = known.filter(|credential| credential.expires_at > self.passing.now).cloned();
        let credential =
            credential.ok_or_else(|| refusal(StatusCode::UNAUTHORIZED, 2006, "Authentication Failed", &[]))?;
        let from = headers.get(header::FROM).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Caller { credential, from, key: authorization.to_owned() })
    }

    /// Counts the call, also against its operation's own limit, if it has one; `Err` if it is one too many.
    pub(super) fn count(&mut self, caller: &Caller, own: Option<(&'static str, u32)>) -> Result<RateLimit, RateLimit> {
        let all = self.count_for(&caller.key, "all", LIMIT)?;
        if let Some((window, limit)) = own {
            self.count_for(&caller.key, window, limit)?;
        }
        Ok(all)
    }

    pub(super) fn count_for(&mut self, key: &str, window: &'static str, limit: u32) -> Result<RateLimit, RateLimit> {
        let now = self.passing.now;
        let (since, calls) = self.passing.calls.entry((key.to_owned(), window)).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *calls) = (now, 0);
        }
        *calls += 1;
        let left = (WINDOW - now.duration_since(*since)).as_millis().max(0);
        let report = RateLimit {
            limit,
            remaining: limit.saturating_sub(*calls),
            reset_seconds: u64::try_from(left).unwrap_or_default().div_ceil(1000),
        };
        if *calls <= limit { Ok(report) } else { Err(report) }
    }

    /// Whom a change is attributed to, with the checks of the `From` header: an account key needs it, a person's token may
    /// only name that person, an app's token ignores it.
    pub(super) fn actor(&self, caller: &Caller) -> Result<Agent, Refusal> {
        let bad = |code, message: &str| refusal(StatusCode::BAD_REQUEST, code, message, &[]);
        let unknown = || bad(1008, "Requester User Not Found");
        if caller.credential.holder == Holder::App {
            return Ok(Agent::Nobody);
        }
        let named = match caller.from.as_deref() {
            None => None,
            Some(from) if !is_address(from) => return Err(bad(1028, "Malformed \"From\" header")),
            Some(from) => Some(self.user_with_email(from).ok_or_else(unknown)?.id.clone()),
        };
        match (&caller.credential.holder, named) {
            (Holder::Person(id), None) => Ok(Agent::User(id.clone())),
            (Holder::Person(id), Some(named)) if *id == named => Ok(Agent::User(named)),
            (Holder::Person(_), Some(_)) => Err(unknown()),
            (_, Some(named)) => Ok(Agent::User(named)),
            (_, None) => {
                Err(bad(2016, "You must specify a user's email address in the \"From\" header to perform this action"))
            }
        }
    }

    /// Responders and up act everywhere, observers and the restricted on what is assigned to them, stakeholders nowhere.
    pub(super) fn may_act(&self, agent: &Agent, incident: Option<&Incident>) -> Result<(), Refusal> {
        let Agent::User(id) = agent else { return Ok(()) };
        let role = self.user(id).map(|user| user.role);
        let is_theirs = incident.is_some_and(|incident| incident.assignments.iter().any(|one| one.user == *id));
        match role {
            Some(role) if role.responds() => Ok(()),
            Some(Role::Observer | Role::RestrictedAccess) if is_theirs => Ok(()),
            _ => Err(access_denied()),
        }
    }

    /// Managers have the subscriptions of services and teams, admins and the owner those of the account as well.
    pub(super) fn may_subscribe(&self, caller: &Caller, for_account: bool) -> Result<(), Refusal> {
        let Holder::Person(id) = &caller.credential.holder else { return Ok(()) };
        match self.user(id).map(|user| user.role) {
            Some(Role::Owner | Role::Admin) => Ok(()),
            Some(Role::User) if !for_account => Ok(()),
            _ => Err(access_denied()),
        }
    }
}

impl Caller {
    /// Whether it is somebody of another account.
    pub(super) fn is_foreign(&self, state: &State) -> bool {
        matches!(&self.credential.holder, Holder::Person(id) if state.foreigner(id).is_some())
    }

    pub(super) fn has(&self, scope: &str) -> bool {
        self.credential.scopes.as_ref().is_none_or(|scopes| scopes.contains(scope))
    }

    pub(super) fn needs(&self, scope: &str) -> Result<(), Refusal> {
        if self.has(scope) { Ok(()) } else { Err(missing_scope()) }
    }
}

/// PagerDuty does not say which scope is missing.
pub(super) fn missing_scope() -> Refusal {
    refusal(StatusCode::FORBIDDEN, 0, "Token missing required scopes", &[])
}

fn access_denied() -> Refusal {
    refusal(StatusCode::FORBIDDEN, 2010, "Access Denied", &[])
}

/// The headers that every call needs; a body needs its type.
pub(super) fn check_headers(headers: &HeaderMap, has_body: bool) -> Result<(), Refusal> {
    if text(headers, &header::ACCEPT) != ACCEPT {
        return Err(invalid(&format!("Accept must be {ACCEPT}")));
    }
    let content_type = text(headers, &header::CONTENT_TYPE);
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if has_body && !essence.eq_ignore_ascii_case("application/json") {
        return Err(invalid("Content-Type must be application/json"));
    }
    Ok(())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(who, place)| !who.is_empty() && !place.is_empty() && !text.contains(' '))
}

impl PagerDuty {
    /// A REST API key of the whole account; every write with it must name a user in its `From` header.
    pub fn account_key(&self) -> String {
        self.new_key(Holder::Account)
    }

    /// A REST API key of one person.
    pub fn user_key(&self, user: &str) -> String {
        self.new_key(Holder::Person(user.to_owned()))
    }

    fn new_key(&self, holder: Holder) -> String {
        let mut state = self.lock();
        let (key, since) = (state.ids.api_key(), state.passing.now);
        state.api_keys.insert(key.clone(), Credential { holder, scopes: None, expires_at: NEVER, since });
        key
    }
}
