//! What PagerDuty knows around an incident: what else came in, what was done and written, who was asked, what resembles it.
//!
//! Nobody keeps it: it is asked for when somebody wants to see it. Each part has an outcome of its own, since accounts and roles
//! differ in what they are given, and one part that is slow must not hide the others.

use jiff::Timestamp;

use crate::details::Details;
use crate::ids::IncidentId;
use crate::incident::Status;

/// What became of asking for one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<T> {
    Known(T),
    /// This account or person is not given it.
    NotGiven,
    /// It did not come in time, or failed in passing: asking again may help.
    Late,
}

impl<T> Part<T> {
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(part) => Some(part),
            Self::NotGiven | Self::Late => None,
        }
    }

    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Late)
    }
}

/// The first few of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several<T> {
    pub items: Vec<T>,
    /// How many more there are.
    pub more: u64,
    /// There are others besides, uncounted.
    pub at_least: bool,
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self { items: Vec::new(), more: 0, at_least: false }
    }
}

/// Everything around an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub alerts: Part<AlertPage>,
    /// The newest first.
    pub activity: Part<Several<Activity>>,
    /// The newest first.
    pub notes: Part<Several<Written>>,
    pub responders: Part<Several<Responder>>,
    pub past: Part<Several<Neighbour>>,
    pub related: Part<Several<Neighbour>>,
    pub changes: Part<Several<Change>>,
    pub outlier: Part<Outlier>,
    /// The names of the business services that it impacts.
    pub impacts: Part<Several<String>>,
}

impl Context {
    /// Nothing was told in time.
    #[must_use]
    pub fn late() -> Self {
        Self {
            alerts: Part::Late,
            activity: Part::Late,
            notes: Part::Late,
            responders: Part::Late,
            past: Part::Late,
            related: Part::Late,
            changes: Part::Late,
            outlier: Part::Late,
            impacts: Part::Late,
        }
    }
}

/// Some of an incident's alerts, the oldest first: so a page stays the same while more come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertPage {
    pub alerts: Vec<Alert>,
    /// How many are before these.
    pub from: u32,
    /// Where the next page begins, if there is one.
    pub next: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alert {
    /// Its own words, as if it were the incident's only one.
    pub said: Details,
    pub is_resolved: bool,
    pub created_at: Option<Timestamp>,
}

/// Something that happened, as PagerDuty's log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub at: Option<Timestamp>,
    pub by: Option<String>,
    pub kind: ActivityKind,
    /// Whom it concerns: to whom it was given, who was told.
    pub to: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivityKind {
    Triggered,
    Acknowledged,
    Unacknowledged,
    Resolved,
    Assigned,
    Delegated,
    Escalated,
    /// Nobody on any level has answered.
    Exhausted,
    /// The escalation policy begins anew.
    Repeated,
    Noted,
    Notified,
    Snoozed,
    /// More people acknowledged it than PagerDuty counts.
    AckLimit,
    /// More came in than PagerDuty counts.
    TriggerLimit,
    UrgencyChanged,
    FieldChanged,
    /// By the name that PagerDuty gives it.
    Other(String),
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub at: Option<Timestamp>,
    pub by: Option<String>,
    /// With its line breaks.
    pub content: String,
}

/// Somebody who was asked to help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    pub name: String,
    pub reply: Reply,
    pub asked_by: Option<String>,
    /// What they were asked with.
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Pending,
    Accepted,
    Declined,
    Cancelled,
    /// By the name that PagerDuty gives it.
    Other(String),
}

/// An incident that resembles this one, or belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub id: IncidentId,
    pub number: Option<u64>,
    pub title: String,
    pub status: Option<Status>,
    pub service: Option<String>,
    pub created_at: Option<Timestamp>,
    /// Its page, where PagerDuty names it.
    pub html_url: Option<String>,
    /// Why PagerDuty names it, if it says so.
    pub why: Vec<Relation>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// Machine learning found them alike.
    Alike,
    /// Their services depend on each other.
    Dependency,
    /// By the name that PagerDuty gives it.
    Other(String),
}

/// Something that was changed before the incident began: a deployment, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub summary: String,
    pub at: Option<Timestamp>,
    pub source: Option<String>,
    /// A page of whoever reported it.
    pub url: Option<String>,
    pub why: Option<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    MostRecent,
    RelatedService,
    Intelligent,
    /// By the name that PagerDuty gives it.
    Other(String),
}

/// How usual such an incident is on its service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlier {
    pub category: Option<Category>,
    /// How often it occurred.
    pub count: Option<u64>,
    /// How much that is of the service's incidents, in thousandths.
    pub per_mille: Option<u64>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Category {
    Rare,
    Frequent,
    /// There was none like it.
    Anomaly,
    /// By the name that PagerDuty gives it.
    Other(String),
}
