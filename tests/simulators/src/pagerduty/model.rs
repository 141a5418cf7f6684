//! What PagerDuty remembers. [`State`] is everything that a restart keeps; [`Passing`] is what it may forget.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::webhooks::{Delivery, Pending};

/// The account and its one scoped OAuth app.
#[derive(Clone)]
pub struct Options {
    /// The account's id.
    pub account_id: String,
    /// The account's subdomain.
    pub subdomain: String,
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: String,
    /// The app's registered callback addresses.
    pub redirect_uris: Vec<String>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("account_id", &self.account_id)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// How the next REST call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Refused before anything was done.
    Status(u16),
    /// 429, with `ratelimit-reset` if seconds are given.
    RateLimited(Option<u64>),
    /// Done as asked, but the answer never arrives whole.
    DropAnswerAfterApplying,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    /// PagerDuty's API name of the base role.
    pub(super) role: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
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
    pub(super) user: Option<String>,
    pub(super) content: String,
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LogEntry {
    pub(super) id: String,
    /// As in `acknowledge_log_entry`.
    pub(super) kind: String,
    pub(super) agent: Agent,
    pub(super) at: Timestamp,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Agent {
    User(String),
    /// A monitoring tool, through the Events API.
    Integration,
    /// Automation: events then have no agent at all.
    Nobody,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) service: String,
    pub(super) status: Status,
    pub(super) urgency: String,
    pub(super) priority: Option<String>,
    pub(super) assignees: Vec<String>,
    pub(super) incident_key: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) reopened_at: Option<Timestamp>,
    pub(super) status_changed_at: Timestamp,
    pub(super) status_changed_by: Agent,
    pub(super) acknowledgers: Vec<(String, Timestamp)>,
    pub(super) merged_into: Option<String>,
    pub(super) notes: Vec<Note>,
    pub(super) log: Vec<LogEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) events: BTreeSet<String>,
    /// `account_reference` or `service_reference`.
    pub(super) filter_type: String,
    pub(super) filter_id: Option<String>,
    pub(super) url: String,
    pub(super) custom_headers: Vec<(String, String)>,
    /// The first signs; all of them while one is replaced.
    pub(super) secrets: Vec<String>,
    pub(super) active: bool,
    pub(super) disabled_until: Option<Timestamp>,
    pub(super) drops_in_a_row: u32,
}

/// Whom an access token acts as.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    /// `None`: the app itself.
    pub(super) user: Option<String>,
    pub(super) scopes: BTreeSet<String>,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) user: String,
    pub(super) scopes: BTreeSet<String>,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) next_id: u64,
    pub(super) last_event_at: Option<Timestamp>,
    pub(super) users: Vec<User>,
    pub(super) services: Vec<Named>,
    pub(super) priorities: Vec<Named>,
    pub(super) incidents: Vec<Incident>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) refresh_tokens: BTreeMap<String, Token>,
    pub(super) codes: BTreeMap<String, Code>,
    pub(super) pending: VecDeque<Pending>,
}

#[derive(Debug, Default)]
pub(super) struct Passing {
    pub(super) base: String,
    pub(super) unknown: Vec<String>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) duplicates: usize,
    pub(super) deliveries: Vec<Delivery>,
    /// REST calls per token: when the minute began, and how many since.
    pub(super) calls: BTreeMap<String, (Timestamp, u32)>,
}

impl State {
    /// An id of PagerDuty's form.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        format!("{prefix}{:06}", self.next_id)
    }

    /// An unguessable-looking text; the simulator guards nothing worth guessing.
    pub(super) fn secret(&mut self, kind: &str) -> String {
        self.next_id += 1;
        let bytes = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{kind}{}", self.next_id).as_bytes());
        let hex: String = bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{kind}+_0X{hex}")
    }

    /// The time of the next event: strictly later than that of every event before, in milliseconds.
    pub(super) fn tick(&mut self, now: Timestamp) -> Timestamp {
        let earliest = self.last_event_at.map_or(now, |last| last + jiff::SignedDuration::from_millis(1));
        let at = now.max(earliest);
        self.last_event_at = Some(at);
        at
    }

    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(super) fn service(&self, id: &str) -> Option<&Named> {
        self.services.iter().find(|service| service.id == id)
    }

    /// By id or by number, as REST allows.
    pub(super) fn incident(&self, id: &str) -> Option<&Incident> {
        self.incidents.iter().find(|incident| incident.id == id || incident.number.to_string() == id)
    }

    pub(super) fn incident_mut(&mut self, id: &str) -> Option<&mut Incident> {
        self.incidents.iter_mut().find(|incident| incident.id == id || incident.number.to_string() == id)
    }
}

/// A JSON `null` or the value.
pub(super) fn or_null(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}
