//! What PagerDuty remembers. [`State`] is everything that a restart keeps, except its [`Passing`] part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alerts::Alert;
use super::context::Context;
use super::faults::Faults;
use super::ids::IdSource;
use super::references::Links;
use super::webhooks::{Delivery, Pending};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) role: Role,
}

/// Base roles, by PagerDuty's API names (REST docs, "User").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    Owner,
    Admin,
    User,
    LimitedUser,
    Observer,
    RestrictedAccess,
    ReadOnlyUser,
    ReadOnlyLimitedUser,
}

impl Role {
    pub(super) fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// Responders and up act on every incident (support docs, "User roles").
    pub(super) fn responds(self) -> bool {
        matches!(self, Self::Owner | Self::Admin | Self::User | Self::LimitedUser)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) teams: Vec<String>,
    /// The one integration that monitoring tools send to.
    pub(super) integration: String,
    pub(super) created_at: Timestamp,
    /// Gone for REST; its incidents still name it.
    pub(super) deleted: bool,
    #[serde(default)]
    pub(super) acknowledgement_timeout: Option<SignedDuration>,
    #[serde(default)]
    pub(super) auto_resolve_timeout: Option<SignedDuration>,
}

/// An escalation policy: who is on call at each level.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) levels: Vec<Level>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Level {
    pub(super) id: String,
    pub(super) users: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Triggered,
    Acknowledged,
    Resolved,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) id: String,
    pub(super) agent: Agent,
    pub(super) content: String,
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LogEntry {
    pub(super) id: String,
    /// As in `acknowledge_log_entry`; finer than what REST tells apart.
    pub(super) kind: String,
    pub(super) agent: Agent,
    pub(super) at: Timestamp,
    /// A note's text, or the resolution.
    pub(super) note: Option<String>,
    /// How a trigger came in; all others say no more than who did it.
    #[serde(default)]
    pub(super) channel: Option<Value>,
    /// Who has the incident since then, where that is what the entry tells.
    #[serde(default)]
    pub(super) assignees: Option<Vec<String>>,
    /// Who was notified.
    #[serde(default)]
    pub(super) user: Option<String>,
    /// What a test says of the row besides, or instead.
    #[serde(default)]
    pub(super) more: Option<Value>,
}

/// Somebody was asked to help.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) requester: String,
    pub(super) user: String,
    pub(super) message: String,
    pub(super) at: Timestamp,
    /// `pending`, `joined` or `declined`: webhooks say `accepted` for the second.
    pub(super) state: String,
    pub(super) updated_at: Timestamp,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Agent {
    User(String),
    /// A monitoring tool, through the Events API.
    Integration,
    /// Automation, orchestration or an app: events then have no agent at all.
    Nobody,
}

/// Somebody has had or done something since then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Since {
    pub(super) user: String,
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conference {
    pub(super) number: Option<String>,
    pub(super) url: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) service: String,
    pub(super) policy: String,
    /// The level of the policy that it has reached, from 1.
    pub(super) level: usize,
    pub(super) status: Status,
    pub(super) urgency: String,
    pub(super) priority: Option<String>,
    pub(super) incident_type: String,
    pub(super) assignments: Vec<Since>,
    pub(super) directly_assigned: bool,
    /// `None` if it came through the Events API (real deliveries).
    pub(super) incident_key: Option<String>,
    /// In states that were kept, an older version has a number under the plain name.
    #[serde(default, rename = "alert_list")]
    pub(super) alerts: Vec<Alert>,
    /// Made by hand or over REST, not by a monitoring tool.
    pub(super) manual: bool,
    pub(super) conference: Option<Conference>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) reopened_at: Option<Timestamp>,
    pub(super) status_changed_at: Timestamp,
    pub(super) status_changed_by: Agent,
    pub(super) acknowledgements: Vec<Since>,
    pub(super) merged_into: Option<String>,
    pub(super) notes: Vec<Note>,
    pub(super) log: Vec<LogEntry>,
    /// What REST lists besides: who got it at first, and who was told of it how.
    #[serde(default)]
    pub(super) noise: Vec<LogEntry>,
    /// Set by a test instead of what follows from policy and service.
    #[serde(default)]
    pub(super) pending_actions: Option<Value>,
    #[serde(default)]
    pub(super) requests: Vec<Request>,
    #[serde(default)]
    pub(super) context: BTreeMap<Context, Value>,
}

/// What a subscription listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Scope {
    Account,
    Service(String),
    Team(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) method_id: String,
    pub(super) description: String,
    pub(super) events: BTreeSet<String>,
    pub(super) scope: Scope,
    pub(super) url: String,
    pub(super) custom_headers: Vec<(String, String)>,
    /// All of them sign: more than one while a secret is being replaced.
    pub(super) secrets: Vec<String>,
    pub(super) active: bool,
    pub(super) disabled_until: Option<Timestamp>,
    pub(super) drops_in_a_row: u32,
}

impl Subscription {
    pub(super) fn is_disabled(&self, now: Timestamp) -> bool {
        self.disabled_until.is_some_and(|until| until > now)
    }
}

/// Who calls REST with a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Holder {
    Person(String),
    App,
    /// An account-level API key: every write must say in its `From` header who acts.
    Account,
}

/// What is behind an `Authorization` header.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Credential {
    pub(super) holder: Holder,
    /// `None`: an API key, which may do everything.
    pub(super) scopes: Option<BTreeSet<String>>,
    pub(super) expires_at: Timestamp,
    /// When the person logged in; refreshing ends a year later.
    pub(super) since: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) user: String,
    pub(super) scopes: BTreeSet<String>,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) issued_at: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) ids: IdSource,
    pub(super) last_event_at: Option<Timestamp>,
    pub(super) users: Vec<User>,
    /// People of another account, who can log in but have nothing here.
    #[serde(default)]
    pub(super) foreigners: Vec<User>,
    /// What the account's plan does not have.
    #[serde(default)]
    pub(super) missing_abilities: BTreeSet<String>,
    pub(super) teams: Vec<Named>,
    pub(super) services: Vec<Service>,
    pub(super) policies: Vec<Policy>,
    pub(super) priorities: Vec<Named>,
    pub(super) incidents: Vec<Incident>,
    pub(super) subscriptions: Vec<Subscription>,
    /// By what follows `Bearer ` or `Token token=`.
    pub(super) tokens: BTreeMap<String, Credential>,
    pub(super) api_keys: BTreeMap<String, Credential>,
    pub(super) refresh_tokens: BTreeMap<String, Credential>,
    pub(super) codes: BTreeMap<String, Code>,
    pub(super) pending: VecDeque<Pending>,
    #[serde(skip)]
    pub(super) passing: Passing,
}

/// What a restart may forget.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// The clock, read once for each request or act.
    pub(super) now: Timestamp,
    pub(super) links: Links,
    pub(super) unknown: Vec<String>,
    pub(super) faults: Faults,
    pub(super) duplicates: usize,
    /// Every REST request, and when it came.
    pub(super) asked: Vec<(Timestamp, String)>,
    pub(super) deliveries: Vec<Delivery>,
    /// Subscription and resource of every delivery that is on its way.
    pub(super) on_the_way: BTreeSet<(String, String)>,
    /// Calls per credential and limit: when the minute began, and how many since.
    pub(super) calls: BTreeMap<(String, &'static str), (Timestamp, u32)>,
    pub(super) issuer: Option<String>,
    /// The app's secret, if it is another one by now.
    pub(super) client_secret: Option<String>,
    /// Whether a refresh token that was used goes on working.
    pub(super) keeps_refresh_tokens: bool,
}

impl State {
    /// The time of the next event: in whole milliseconds, strictly later than that of every event before.
    pub(super) fn tick(&mut self) -> Timestamp {
        let now = Timestamp::from_millisecond(self.passing.now.as_millisecond()).unwrap_or(self.passing.now);
        let at = match self.last_event_at {
            Some(last) => now.max(last.checked_add(SignedDuration::from_millis(1)).unwrap_or(last)),
            None => now,
        };
        self.last_event_at = Some(at);
        at
    }

    /// Remembers what PagerDuty's documents do not have.
    pub(super) fn note_unknown(&mut self, what: impl Into<String>) {
        self.passing.unknown.push(what.into());
    }

    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(super) fn foreigner(&self, id: &str) -> Option<&User> {
        self.foreigners.iter().find(|user| user.id == id)
    }

    pub(super) fn user_with_email(&self, email: &str) -> Option<&User> {
        self.users.iter().find(|user| user.email.eq_ignore_ascii_case(email))
    }

    pub(super) fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id && !service.deleted)
    }

    pub(super) fn policy(&self, id: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.id == id)
    }

    pub(super) fn priority(&self, id: &str) -> Option<&Named> {
        self.priorities.iter().find(|priority| priority.id == id)
    }

    /// By id or by number, as REST allows.
    pub(super) fn incident(&self, id: &str) -> Option<&Incident> {
        let number = id.parse().ok();
        self.incidents.iter().rev().find(|incident| incident.id == id || Some(incident.number) == number)
    }

    pub(super) fn incident_mut(&mut self, id: &str) -> Option<&mut Incident> {
        let number = id.parse().ok();
        self.incidents.iter_mut().rev().find(|incident| incident.id == id || Some(incident.number) == number)
    }

    pub(super) fn subscription_mut(&mut self, id: &str) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.id == id)
    }

    /// The teams of an incident are those of its service.
    pub(super) fn teams_of(&self, service: &str) -> &[String] {
        self.services.iter().find(|known| known.id == service).map_or(&[], |known| &known.teams)
    }

    /// Who is on call at a level of a policy.
    pub(super) fn on_call(&self, policy: &str, level: usize) -> Vec<String> {
        let level = self.policy(policy).and_then(|policy| policy.levels.get(level.checked_sub(1)?));
        level.map(|level| level.users.clone()).unwrap_or_default()
    }
}
