//! What goes to the REST API and what comes back, in our words.

use domain::ids::{AccountId, IncidentId, PdUserId, PriorityId, ServiceId, SubscriptionId};
use domain::incident::{Actor, Asked, IncidentRecord, Snapshot, Status, Urgency};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use url::Url;

use super::ApiError;
use crate::wire::{self, text};

/// PagerDuty's largest page.
pub(super) const PAGE: u32 = 100;

/// Offset and page together may not exceed this (REST docs, "Pagination").
const LAST: u32 = 10_000;

const MAX_ROLE: usize = 40;

/// A PagerDuty user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: PdUserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    /// Their page in PagerDuty; its host has the account's present subdomain.
    pub html_url: Option<Url>,
}

/// Base roles, by PagerDuty's API names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Account owner.
    Owner,
    /// Global admin.
    Admin,
    /// Manager.
    User,
    /// Responder.
    LimitedUser,
    /// Observer, stakeholder, restricted access, or a role that is new.
    Other(String),
}

/// An incident as REST gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestIncident {
    pub id: IncidentId,
    /// When it last changed, or the newest time before that if PagerDuty did not say it legibly; whole seconds.
    pub updated_at: Timestamp,
    pub snapshot: Snapshot,
    /// When it came into its status, and who brought it there. `None` for a triggered incident: there PagerDuty repeats
    /// the time of the last change of any kind (REST docs, "Incident").
    pub status_changed: Option<(Timestamp, Option<Actor>)>,
}

impl RestIncident {
    /// What the answer adds to the record.
    #[must_use]
    pub fn into_record(self, account: AccountId, asked: Asked) -> IncidentRecord {
        IncidentRecord::from_rest(account, self.id, self.updated_at, self.snapshot, self.status_changed, asked)
    }
}

/// A note that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// PagerDuty's id, by which the note's own webhook can be recognised. `None` if the answer did not say it: the note
    /// was written all the same.
    pub id: Option<String>,
    pub created_at: Option<Timestamp>,
}

/// An incident to be opened.
#[derive(Debug, Clone, Copy)]
pub struct NewIncident<'a> {
    pub service: &'a ServiceId,
    pub title: &'a str,
    /// The service decides if it is not given.
    pub urgency: Option<Urgency>,
    pub details: Option<&'a str>,
    /// Makes a repetition harmless: PagerDuty refuses a second open incident with the same key.
    pub incident_key: Option<&'a str>,
    pub priority: Option<&'a PriorityId>,
    /// Who gets it, instead of those whom the service's escalation policy would tell. If this is the acting person, the
    /// incident starts acknowledged (REST docs, "Create an incident").
    pub assignee: Option<&'a PdUserId>,
}

impl NewIncident<'_> {
    pub(super) fn body(&self) -> Value {
        let reference = |id: &str, kind: &str| json!({ "id": id, "type": kind });
        let assignment = |user: &PdUserId| json!([{ "assignee": reference(user.as_str(), "user_reference") }]);
        let fields = [
            ("type", Some(json!("incident"))),
            ("title", Some(json!(self.title))),
            ("service", Some(reference(self.service.as_str(), "service_reference"))),
            ("urgency", self.urgency.map(|urgency| json!(urgency))),
            ("body", self.details.map(|details| json!({ "type": "incident_body", "details": details }))),
            ("incident_key", self.incident_key.map(|key| json!(key))),
            ("priority", self.priority.map(|id| reference(id.as_str(), "priority_reference"))),
            ("assignments", self.assignee.map(assignment)),
        ];
        let fields: Map<String, Value> =
            fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        json!({ "incident": fields })
    }
}

/// A webhook subscription to be made for one service.
#[derive(Debug, Clone, Copy)]
pub struct NewSubscription<'a> {
    pub service: &'a ServiceId,
    /// Where deliveries go. Cannot be changed later.
    pub url: &'a Url,
    /// For people who look at PagerDuty's list.
    pub description: &'a str,
    pub events: &'a [&'a str],
}

impl NewSubscription<'_> {
    pub(super) fn body(&self) -> Value {
        json!({ "webhook_subscription": {
            "type": "webhook_subscription",
            "description": self.description,
            "events": self.events,
            "filter": { "type": "service_reference", "id": self.service },
            "delivery_method": { "type": "http_delivery_method", "url": self.url.as_str() },
        }})
    }
}

/// A subscription that was made. PagerDuty shows the secret this once.
#[derive(Debug)]
pub struct CreatedSubscription {
    pub id: SubscriptionId,
    pub secret: SecretString,
}

/// A part of a long list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end, and where PagerDuty gives no more (10,000 entries).
    pub next: Option<u32>,
    /// How many entries could not be read. That one is not among `items` does not mean that PagerDuty does not know it.
    pub skipped: usize,
}

pub(super) fn user(answer: &Value) -> Result<User, ApiError> {
    let read = |value: &Value| {
        Some(User {
            id: PdUserId::new(text(value, "id")?).ok()?,
            name: wire::name(value)?,
            // People are told apart by it, so that half of one is none.
            email: text(value, "email").filter(|email| !email.contains(char::REPLACEMENT_CHARACTER))?.to_owned(),
            role: match text(value, "role").unwrap_or_default() {
                "owner" => Role::Owner,
                "admin" => Role::Admin,
                "user" => Role::User,
                "limited_user" => Role::LimitedUser,
                other => Role::Other(wire::bounded(other, MAX_ROLE)),
            },
            html_url: page_url(value),
        })
    };
    answer.get("user").and_then(read).ok_or(ApiError::Unreadable { what: "user" })
}

pub(super) fn page_url(value: &Value) -> Option<Url> {
    text(value, "html_url").and_then(|url| url.parse().ok())
}

pub(super) fn incident(answer: &Value) -> Result<RestIncident, ApiError> {
    answer.get("incident").and_then(rest_incident).ok_or(ApiError::Unreadable { what: "incident" })
}

pub(super) fn rest_incident(value: &Value) -> Option<RestIncident> {
    let snapshot = wire::snapshot(value, None)?;
    let changed_at = wire::time(value, "last_status_change_at");
    // Too early a time is harmless: an answer is newer than all that was known when it was asked for.
    let updated_at = wire::time(value, "updated_at").or(changed_at).or(snapshot.created_at);
    Some(RestIncident {
        id: IncidentId::new(text(value, "id")?).ok()?,
        updated_at: updated_at.unwrap_or(Timestamp::UNIX_EPOCH),
        status_changed: changed_at
            .filter(|_| snapshot.status != Status::Triggered)
            // Where an integration did it, PagerDuty names the service here, which did nothing; its event names the integration.
            .map(|at| (at, value.get("last_status_change_by").and_then(wire::actor).filter(|by| by.user.is_some()))),
        snapshot,
    })
}

pub(super) fn note(answer: &Value) -> Note {
    let note = answer.get("note").unwrap_or(&Value::Null);
    Note { id: text(note, "id").map(str::to_owned), created_at: wire::time(note, "created_at") }
}

/// Where the page after this one starts. Whether there is one is said by `more`; where that is not legible, a full page has another.
pub(super) fn next(answer: &Value, offset: u32, limit: u32) -> Option<u32> {
    let next = offset.saturating_add(limit);
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_full = || {
        answer
            .as_object()
            .is_some_and(|parts| parts.values().filter_map(Value::as_array).any(|list| list.len() >= size))
    };
    let more = answer.get("more").and_then(Value::as_bool).unwrap_or_else(is_full);
    (more && next.saturating_add(limit) <= LAST).then_some(next)
}
