//! The incident record: the newest known state of one incident plus a bounded activity log.
//!
//! A webhook event, a REST answer and a reconciliation all become a small [`IncidentRecord`] and are merged by
//! [`IncidentRecord::merge`], which is commutative, associative and idempotent. So any order and any number of deliveries
//! give the same record (PagerDuty delivers at least once and orders only per subscription and incident).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::details::Details;
use crate::event::EventType;
use crate::forward::{self, Stored};
use crate::ids::{AccountId, EventId, IncidentId, PdUserId, PriorityId, ServiceId};
pub use crate::status::Status;

/// How many log entries a record keeps: the newest ones.
pub const LOG_LIMIT: usize = 30;

/// How many it keeps of PagerDuty's own log: the table refuses an item above 400 KB.
pub const FOUND_LIMIT: usize = 20;

/// Orders two observations of the same fact: the later one wins, the event id breaks ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    pub at: Timestamp,
    /// The event's id; for a REST answer see [`Asked`].
    pub by: String,
}

/// Begins the name of an answer that was asked for when everything of its moment was known: sorts after every event id.
const ASKED: &str = "~";

/// Clocks differ, but not by so much: what is said to happen later than this is no time.
pub const FUTURE: SignedDuration = SignedDuration::from_mins(5);

/// An answer this much older than the change that it tells has all of that change's second in it.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);

/// When PagerDuty was asked for what a REST answer tells.
///
/// Answers have whole seconds and events have milliseconds, so an answer alone does not say whether it is older or newer than
/// an event of its second: it counts as older, unless PagerDuty was asked at least 2 s after that change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// When the question was sent.
    pub at: Timestamp,
    /// The newest change that was known then. PagerDuty tells of a change after it has made it, so the answer has it in it.
    pub knowing: Option<Timestamp>,
    /// The newest change of the status among them.
    pub knowing_status: Option<Timestamp>,
}

impl Asked {
    /// A question by somebody who knew nothing.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { at, knowing: None, knowing_status: None }
    }

    /// `known`: the newest change of the same field that was known.
    fn version(self, changed_at: Timestamp, known: Option<Timestamp>) -> Version {
        let at = if is_future(changed_at, self.at) { self.at } else { changed_at };
        let settled = self.at.duration_since(at) >= SETTLED;
        let end = SignedDuration::from_nanos(999_999_999 - i64::from(at.subsec_nanosecond()));
        let at = if settled { at.checked_add(end).unwrap_or(at) } else { at };
        match known {
            Some(known) if known >= at => Version { at: known, by: format!("{ASKED}{:.9}", self.at) },
            _ => Version { at, by: String::new() },
        }
    }
}

/// Whether a time is later than any clock's error explains.
#[must_use]
pub fn is_future(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > FUTURE
}

/// A value together with the [`Version`] that set it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// When and by which event the value was set.
    pub version: Version,
    pub value: T,
}

/// How urgent PagerDuty considers an incident. A stored one that this version does not know is high: people hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Notifies at once.
    High,
    /// Can wait.
    Low,
}

impl Stored for Urgency {
    const UNKNOWN: Self = Self::High;
}

/// A person, integration or service that did something, or whom something was given to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// Set for people only.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub user: Option<PdUserId>,
    /// As PagerDuty shows it; may be an e-mail address.
    pub name: String,
}

/// The service that an incident belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceRef {
    pub id: ServiceId,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub name: String,
}

/// One of the account's priorities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority {
    /// `None` in records of the versions that kept the name only.
    pub id: Option<PriorityId>,
    /// As PagerDuty shows it, as in "P1"; an account can rename it.
    pub name: String,
}

/// A priority is stored as its name, as all versions read it, and its id beside it, which earlier ones ignore.
mod stored_priority {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Priority, PriorityId, forward};

    #[derive(Serialize, Deserialize)]
    struct Stored {
        #[serde(default, deserialize_with = "forward::or_none")]
        priority: Option<String>,
        #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
        priority_id: Option<PriorityId>,
    }

    pub(super) fn serialize<S: Serializer>(priority: &Option<Priority>, serializer: S) -> Result<S::Ok, S::Error> {
        let (priority, priority_id) = priority.clone().map(|Priority { id, name }| (name, id)).unzip();
        Stored { priority, priority_id: priority_id.flatten() }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Priority>, D::Error> {
        let Stored { priority, priority_id } = Stored::deserialize(deserializer)?;
        Ok(priority.map(|name| Priority { id: priority_id, name }))
    }
}

/// Everything that an `incident` object says, as one value: events carry it whole, so it is replaced whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Snapshot {
    /// The number that people use, as in "#1234"; 0 if it was not legible.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub number: u64,
    /// Free text by whoever or whatever opened the incident: untrusted.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub title: String,
    pub status: Status,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub urgency: Urgency,
    /// How severe it is, if the account has priorities and somebody set one.
    #[serde(flatten, with = "stored_priority")]
    pub priority: Option<Priority>,
    pub service: ServiceRef,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub escalation_policy: Option<String>,
    /// Who has it now; empty once it is resolved.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub assignees: Vec<Actor>,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub html_url: String,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub created_at: Option<Timestamp>,
    /// The incident that this one was merged into; a merge resolves its sources.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub merged_into: Option<String>,
}

/// Who brought the incident into its present status, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StatusChange {
    pub status: Status,
    /// Who or what did it, where PagerDuty says so.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub by: Option<Actor>,
}

/// One line of the activity log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogEntry {
    /// When PagerDuty says that it happened. First, so that entries sort by time.
    pub at: Timestamp,
    pub id: EventId,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub by: Option<Actor>,
    pub what: Happening,
}

/// What an event reports, in the log's words. A stored one that this version does not know costs its entry in the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// The incident was opened.
    Triggered,
    /// Somebody took it.
    Acknowledged,
    /// The acknowledgement timed out or was withdrawn.
    Unacknowledged,
    /// It came back after it had been resolved.
    Reopened,
    /// It is over.
    Resolved {
        /// The incident that it was merged into.
        merged_into: Option<String>,
    },
    /// It went to the next people of its escalation policy.
    Escalated { to: Vec<String> },
    /// It went to another escalation policy.
    Delegated { to: Option<String> },
    /// It went to other people.
    Reassigned { to: Vec<String> },
    /// Its priority changed.
    PriorityChanged {
        /// The new priority; `None` if it was cleared.
        to: Option<String>,
    },
    /// It moved to another service.
    ServiceChanged { to: String },
    /// Its incident type changed.
    TypeChanged { to: Option<String> },
    /// Somebody wrote a note.
    Note {
        /// Untrusted text.
        content: String,
    },
    /// A status update was sent to stakeholders.
    StatusUpdate {
        /// Untrusted text.
        message: String,
    },
    /// Somebody was asked to help.
    ResponderAdded {
        who: Option<String>,
        /// What they were told. Untrusted text.
        #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Somebody answered a request for help.
    ResponderReplied {
        who: Option<String>,
        /// PagerDuty's word, as in "accepted".
        reply: String,
        /// Their own words. Untrusted text.
        #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The conference bridge changed.
    ConferenceBridge {
        /// Its address, or a number if it has none; `None` if it was removed.
        url: Option<String>,
        /// The numbers to call as well. Beside `url`, since earlier versions take a bridge without one as removed.
        #[serde(default, deserialize_with = "forward::known_ones", skip_serializing_if = "Vec::is_empty")]
        numbers: Vec<String>,
    },
    /// Custom fields changed.
    CustomFields { names: Vec<String> },
    /// Incident roles were given or taken away.
    Roles {
        /// One "role: person" each.
        assignments: Vec<String>,
    },
    /// A task was created, changed or completed.
    Task {
        summary: String,
        /// PagerDuty's word, as in "completed".
        change: String,
    },
    /// An automation action ran.
    ActionInvocation {
        action: Option<String>,
        /// PagerDuty's word, as in "created".
        change: String,
    },
    /// An incident workflow ran.
    Workflow {
        name: Option<String>,
        /// PagerDuty's word, as in "started".
        change: String,
    },
}

impl Happening {
    /// The event type that reports it.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        let named = |what: &str, change: &str| EventType::from_name(&format!("incident.{what}.{change}"));
        match self {
            Self::Triggered => EventType::Triggered,
            Self::Acknowledged => EventType::Acknowledged,
            Self::Unacknowledged => EventType::Unacknowledged,
            Self::Reopened => EventType::Reopened,
            Self::Resolved { .. } => EventType::Resolved,
            Self::Escalated { .. } => EventType::Escalated,
            Self::Delegated { .. } => EventType::Delegated,
            Self::Reassigned { .. } => EventType::Reassigned,
            Self::PriorityChanged { .. } => EventType::PriorityChanged,
            Self::ServiceChanged { .. } => EventType::ServiceChanged,
            Self::TypeChanged { .. } => EventType::TypeChanged,
            Self::Note { .. } => EventType::Note,
            Self::StatusUpdate { .. } => EventType::StatusUpdate,
            Self::ResponderAdded { .. } => EventType::ResponderAdded,
            Self::ResponderReplied { .. } => EventType::ResponderReplied,
            Self::ConferenceBridge { .. } => EventType::ConferenceBridge,
            Self::CustomFields { .. } => EventType::CustomFields,
            Self::Roles { .. } => EventType::Roles,
            Self::Task { change, .. } => named("task", change).unwrap_or(EventType::TaskUpdated),
            Self::ActionInvocation { change, .. } => {
                named("action_invocation", change).unwrap_or(EventType::ActionUpdated)
            }
            Self::Workflow { change, .. } => named("workflow", change).unwrap_or(EventType::WorkflowStarted),
        }
    }

    /// Whether people in the channel must notice it.
    #[must_use]
    pub fn is_noticeable(&self) -> bool {
        self.event_type().row().noticeable
    }

    /// Whether PagerDuty sends the whole incident along. Such an event without it was not legible, and what it changed has to be
    /// asked for.
    #[must_use]
    pub fn brings_state(&self) -> bool {
        match self {
            Self::Triggered
            | Self::Acknowledged
            | Self::Unacknowledged
            | Self::Reopened
            | Self::Resolved { .. }
            | Self::Escalated { .. }
            | Self::Delegated { .. }
            | Self::Reassigned { .. }
            | Self::PriorityChanged { .. }
            | Self::ServiceChanged { .. }
            | Self::TypeChanged { .. } => true,
            Self::Note { .. }
            | Self::StatusUpdate { .. }
            | Self::ResponderAdded { .. }
            | Self::ResponderReplied { .. }
            | Self::ConferenceBridge { .. }
            | Self::CustomFields { .. }
            | Self::Roles { .. }
            | Self::Task { .. }
            | Self::ActionInvocation { .. }
            | Self::Workflow { .. } => false,
        }
    }

    /// The status that this brings the incident into, if it is a status change at all.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.event_type().row().status
    }
}

/// The newest known state of one incident, and what happened to it lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRecord {
    /// The account that the incident belongs to.
    pub account: AccountId,
    pub id: IncidentId,
    /// `None` until an event with a whole incident object, or a REST answer, has arrived; also if a newer version has stored
    /// one that this version cannot read.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub snapshot: Option<Stamped<Snapshot>>,
    /// Who brought it into its status; from the event that did, not from later snapshots.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub status_change: Option<Stamped<StatusChange>>,
    /// What is known beyond its state, as of when PagerDuty was asked for it.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub details: Option<Stamped<Details>>,
    /// The newest [`LOG_LIMIT`] entries, oldest first; what a newer version has logged that this one does not know is left out.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub log: BTreeSet<LogEntry>,
    /// The newest [`FOUND_LIMIT`] of what was found in PagerDuty's own log. What is in both is in [`Self::happenings`] once. Apart from the others,
    /// so that an earlier version does not take the two for two.
    #[serde(default, deserialize_with = "forward::known_ones", skip_serializing_if = "BTreeSet::is_empty")]
    pub found: BTreeSet<LogEntry>,
}

/// Counts how often a stored record has really changed; the card remembers which one it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordVersion(pub u64);

/// What one webhook event, or an entry of PagerDuty's log, tells about one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentEvent {
    pub id: EventId,
    /// `None` if PagerDuty did not say it legibly: that costs the time and nothing else.
    pub occurred_at: Option<Timestamp>,
    pub incident: IncidentId,
    pub by: Option<Actor>,
    /// The whole incident, where the event carries it.
    pub snapshot: Option<Snapshot>,
    /// `None` for an event type that we do not know (yet).
    pub what: Option<Happening>,
}

impl IncidentRecord {
    /// A record that knows nothing yet: the neutral element of [`Self::merge`].
    #[must_use]
    pub fn empty(account: AccountId, id: IncidentId) -> Self {
        Self {
            account,
            id,
            snapshot: None,
            status_change: None,
            details: None,
            log: BTreeSet::new(),
            found: BTreeSet::new(),
        }
    }

    /// What one event alone tells. An entry of PagerDuty's log tells no more than that it happened; who brought the incident into
    /// its status is looked up there only if nobody else has said it ([`Self::in_status_since`]). Without a time of its own it is logged as of `received_at`; its state then counts as
    /// the incident's first, so that an old event that is delivered late hides nothing.
    #[must_use]
    pub fn from_event(account: AccountId, event: IncidentEvent, received_at: Timestamp) -> Self {
        let at = event.occurred_at.unwrap_or(received_at);
        if event.id.is_of_log() {
            let entry = event.what.map(|what| LogEntry { at, id: event.id, by: event.by, what });
            return Self { found: entry.into_iter().collect(), ..Self::empty(account, event.incident) };
        }
        let began_at = event.snapshot.as_ref().and_then(|snapshot| snapshot.created_at);
        let stamp = event.occurred_at.or(began_at).unwrap_or(Timestamp::UNIX_EPOCH);
        let version = Version { at: stamp, by: event.id.as_str().to_owned() };
        let status = event.what.as_ref().and_then(Happening::status).filter(|_| event.occurred_at.is_some());
        let status_change = status
            .map(|status| Stamped { version: version.clone(), value: StatusChange { status, by: event.by.clone() } });
        let entry = event.what.map(|what| LogEntry { at, id: event.id, by: event.by, what });
        Self {
            account,
            id: event.incident,
            snapshot: event.snapshot.map(|value| Stamped { version, value }),
            status_change,
            details: None,
            log: entry.into_iter().collect(),
            found: BTreeSet::new(),
        }
    }

    /// What a REST answer tells: no log entry, since the webhook of the same change brings one under its own id.
    ///
    /// `asked` decides against which events it wins; see [`Asked`].
    #[must_use]
    pub fn from_rest(
        account: AccountId,
        id: IncidentId,
        updated_at: Timestamp,
        snapshot: Snapshot,
        status_changed: Option<(Timestamp, Option<Actor>)>,
        asked: Asked,
    ) -> Self {
        let status = snapshot.status;
        let changed = status_changed.map(|(at, by)| {
            // An answer that does not say who did it hides nobody.
            let version =
                if by.is_some() { asked.version(at, asked.knowing_status) } else { Version { at, by: String::new() } };
            Stamped { version, value: StatusChange { status, by } }
        });
        Self {
            account,
            id,
            snapshot: Some(Stamped { version: asked.version(updated_at, asked.knowing), value: snapshot }),
            status_change: changed,
            details: None,
            log: BTreeSet::new(),
            found: BTreeSet::new(),
        }
    }

    /// What is known beyond its state, of which PagerDuty was asked then.
    #[must_use]
    pub fn from_details(account: AccountId, id: IncidentId, details: Details, asked_at: Timestamp) -> Self {
        let version = Version { at: asked_at, by: String::new() };
        Self { details: Some(Stamped { version, value: details }), ..Self::empty(account, id) }
    }

    /// Whether both tell the same, whenever and by whomever they were told: an entry of PagerDuty's log whose webhook is known adds
    /// nothing.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let state = |record: &Self| record.state().cloned();
        let change = |record: &Self| record.status_change.as_ref().map(|change| change.value.clone());
        let details = |record: &Self| record.details().cloned().unwrap_or_default();
        let happened =
            |record: &Self| record.happenings().into_iter().map(|told| told.entry.clone()).collect::<Vec<_>>();
        happened(self) == happened(other)
            && state(self) == state(other)
            && change(self) == change(other)
            && details(self) == details(other)
            && self.escalates_at() == other.escalates_at()
    }

    /// Whether events of the same moment disagree about the newest status, so that only PagerDuty can tell.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        let changes = || self.log.iter().filter_map(|entry| Some((entry.at, entry.what.status()?)));
        let Some((newest, status)) = changes().next_back() else { return false };
        let decided =
            |version: &Version| version.at > newest || (version.at == newest && version.by.starts_with(ASKED));
        changes().any(|(at, other)| at == newest && other != status)
            && !self.snapshot.as_ref().is_some_and(|snapshot| decided(&snapshot.version))
    }

    /// Whether nothing in it is newer than this.
    #[must_use]
    pub fn is_as_of(&self, time: Timestamp) -> bool {
        self.snapshot.as_ref().is_none_or(|state| state.version.at <= time)
            && self.entries().all(|entry| entry.at <= time)
    }

    /// Merges what two observations of the same incident know. The later value of each field wins; the logs are united
    /// and cut to the newest [`LOG_LIMIT`] entries.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        debug_assert_eq!((&self.account, &self.id), (&other.account, &other.id), "records of two incidents");
        // An incident keeps its number for ever; 0 is one that was not legible.
        let number = [&self, &other].into_iter().filter_map(|record| Some(record.state()?.number)).max();
        self.snapshot = self.snapshot.max(other.snapshot);
        if let (Some(state), Some(number)) = (self.snapshot.as_mut().filter(|state| state.value.number == 0), number) {
            state.value.number = number;
        }
        self.status_change = self.status_change.max(other.status_change);
        self.details = self.details.max(other.details);
        for (known, others, limit) in
            [(&mut self.log, other.log, LOG_LIMIT), (&mut self.found, other.found, FOUND_LIMIT)]
        {
            known.extend(others);
            while known.len() > limit {
                known.pop_first();
            }
        }
        self
    }

    /// The newest whole state, if one is known.
    #[must_use]
    pub fn state(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().map(|stamped| &stamped.value)
    }

    /// Who brought the incident into the status that it has now, and when; `None` if that is not known.
    #[must_use]
    pub fn in_status_since(&self) -> Option<(Timestamp, Option<&Actor>)> {
        let status = self.state()?.status;
        let change = self.status_change.as_ref().filter(|change| change.value.status == status);
        match change.map(|change| (change.version.at, change.value.by.as_ref())) {
            Some((at, None)) => Some((at, self.found_to_be(status, Some(at)).and_then(|entry| entry.by.as_ref()))),
            None => self.found_to_be(status, None).map(|entry| (entry.at, entry.by.as_ref())),
            known => known,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account() -> AccountId {
        AccountId::new("PACCT").unwrap()
    }

    fn incident() -> IncidentId {
        IncidentId::new("PINC").unwrap()
    }

    fn snapshot(status: Status, title: &str) -> Snapshot {
        Snapshot {
            number: 1,
            title: title.to_owned(),
            status,
            urgency: Urgency::High,
            priority: None,
            service: ServiceRef { id: ServiceId::new("PSVC").unwrap(), name: "Payments".to_owned() },
            escalation_policy: None,
            assignees: Vec::new(),
            html_url: "https://acme.pagerduty.com/incidents/PINC".to_owned(),
            created_at: None,
            merged_into: None,
        }
    }

    fn event(second: i64, id: u16, kind: u8) -> IncidentEvent {
        let (what, status) = match kind % 5 {
            0 => (Happening::Triggered, Some(Status::Triggered)),
            1 => (Happening::Acknowledged, Some(Status::Acknowledged)),
            2 => (Happening::Resolved { merged_into: None }, Some(Status::Resolved)),
            3 => (Happening::Note { content: format!("note {id}") }, None),
            _ => (Happening::PriorityChanged { to: Some(format!("P{id}")) }, Some(Status::Acknowledged)),
        };
        IncidentEvent {
            id: EventId::new(format!("E{id}")).unwrap(),
            occurred_at: Some(Timestamp::from_second(second).unwrap()),
            incident: incident(),
            by: Some(Actor { user: None, name: format!("user {}", id % 3) }),
            snapshot: status.map(|status| {
                // The version before kept the name only.
                let known = id.is_multiple_of(2).then(|| PriorityId::new(format!("PPRIO{id}")).unwrap());
                let priority = (!kind.is_multiple_of(3)).then(|| Priority { id: known, name: format!("P{id}") });
                Snapshot { priority, ..snapshot(status, &format!("title {id}")) }
            }),
            what: Some(what),
        }
    }

    #[test]
    fn a_number_that_was_not_legible_hides_none_that_was() {
        let numbered = |second: i64, number: u64| {
            let mut event = event(second, 1, 0);
            event.snapshot.as_mut().unwrap().number = number;
            IncidentRecord::from_event(account(), event, Timestamp::from_second(second).unwrap())
        };
        let number = |record: &IncidentRecord| record.state().unwrap().number;
        for (older, newer, expected) in [(7, 0, 7), (0, 7, 7), (7, 7, 7), (0, 0, 0)] {
            let (older, newer) = (numbered(1, older), numbered(2, newer));
            let merged = older.clone().merge(newer.clone());
            assert_eq!((number(&merged), &merged), (expected, &newer.merge(older)));
        }
    }

    /// What PagerDuty's log says of the event.
    fn of_log(second: i64, id: u16, kind: u8) -> IncidentRecord {
        let id_of_entry = EventId::of_log(&format!("Q{id}")).unwrap();
        let entry = IncidentEvent { id: id_of_entry, snapshot: None, ..event(second, id, kind) };
        IncidentRecord::from_event(account(), entry, Timestamp::UNIX_EPOCH)
    }

    /// Events and, of some of them, twins in PagerDuty's log: ids may repeat (redelivery), seconds collide, and there are more than
    /// the logs hold.
    fn records() -> impl Strategy<Value = Vec<IncidentRecord>> {
        prop::collection::vec((0_i64..50, 0_u16..60, any::<u8>(), 0_i64..5), 0..80).prop_map(|events| {
            let record = |(second, id, kind, late): (i64, u16, u8, i64)| {
                if kind > 240 {
                    let details = Details { alerts: late.unsigned_abs(), ..Details::default() };
                    let at = Timestamp::from_second(second).unwrap();
                    return IncidentRecord::from_details(account(), incident(), details, at);
                }
                if kind < 100 {
                    return IncidentRecord::from_event(account(), event(second, id, kind), Timestamp::UNIX_EPOCH);
                }
                if kind < 200 {
                    return of_log(second + late - 2, id, kind);
                }
                let at = Timestamp::from_second(second).unwrap();
                let asked =
                    Asked { knowing: (kind % 2 == 0).then_some(at), ..Asked::at(at + SignedDuration::from_secs(late)) };
                let told = snapshot(Status::Acknowledged, &format!("answer {id}"));
                IncidentRecord::from_rest(account(), incident(), at, told, Some((at, None)), asked)
            };
            events.into_iter().map(record).collect()
        })
    }

    fn merge_all<'a>(records: impl IntoIterator<Item = &'a IncidentRecord>) -> IncidentRecord {
        records.into_iter().cloned().fold(IncidentRecord::empty(account(), incident()), IncidentRecord::merge)
    }

    proptest! {
        #[test]
        fn any_order_and_any_duplicates_give_the_same_record(records in records(), seed in any::<u64>()) {
            let expected = merge_all(&records);
            let mut shuffled: Vec<_> = records.iter().chain(records.iter().step_by(3)).collect();
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let j = usize::try_from(state >> 33).unwrap() % (i + 1);
                shuffled.swap(i, j);
            }
            prop_assert_eq!(merge_all(shuffled), expected);
        }

        #[test]
        fn merge_is_commutative_associative_and_idempotent(a in records(), b in records(), c in records()) {
            let (a, b, c) = (merge_all(&a), merge_all(&b), merge_all(&c));
            prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
            prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.clone().merge(b.clone().merge(c)));
            prop_assert_eq!(a.clone().merge(a.clone()), a.clone());
            prop_assert_eq!(a.clone().merge(b.clone()).merge(b.clone()), a.merge(b));
        }

        #[test]
        fn a_record_never_goes_back_in_time(records in records()) {
            let mut known = IncidentRecord::empty(account(), incident());
            for record in records {
                let before = known.snapshot.as_ref().map(|s| s.version.clone());
                known = known.merge(record);
                prop_assert!(known.snapshot.as_ref().map(|s| s.version.clone()) >= before);
                prop_assert!(known.log.len() <= LOG_LIMIT && known.found.len() <= FOUND_LIMIT);
                prop_assert!(known.happenings().len() <= LOG_LIMIT);
            }
        }

        #[test]
        fn gaps_do_not_change_what_the_newest_event_says(records in records(), gap in any::<prop::sample::Index>()) {
            prop_assume!(!records.is_empty());
            let newest = records.iter().filter_map(|r| r.snapshot.clone()).max();
            let missing = gap.index(records.len());
            let rest: Vec<_> = records.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, r)| r).collect();
            if rest.iter().any(|r| r.snapshot == newest) {
                prop_assert_eq!(merge_all(rest).snapshot, newest);
            }
        }
    }

    #[test]
    fn a_late_event_does_not_hide_the_newer_state_but_is_logged() {
        let newer = IncidentRecord::from_event(account(), event(20, 2, 2), Timestamp::UNIX_EPOCH);
        let older = IncidentRecord::from_event(account(), event(10, 1, 1), Timestamp::UNIX_EPOCH);
        let merged = newer.merge(older);
        assert_eq!(merged.state().map(|s| s.status), Some(Status::Resolved));
        assert_eq!(merged.log.len(), 2);
    }

    #[test]
    fn says_who_brought_it_into_its_status() {
        let record = merge_all(&[
            IncidentRecord::from_event(account(), event(10, 1, 1), Timestamp::UNIX_EPOCH),
            IncidentRecord::from_event(account(), event(30, 4, 4), Timestamp::UNIX_EPOCH),
        ]);
        let (at, by) = record.in_status_since().unwrap();
        assert_eq!(at, Timestamp::from_second(10).unwrap());
        assert_eq!(by.map(|a| a.name.as_str()), Some("user 1"));
    }

    #[test]
    fn does_not_name_the_author_of_another_status() {
        let acknowledged = IncidentRecord::from_event(account(), event(10, 1, 1), Timestamp::UNIX_EPOCH);
        let resolved = IncidentRecord::from_rest(
            account(),
            incident(),
            Timestamp::from_second(20).unwrap(),
            snapshot(Status::Resolved, "t"),
            None,
            Asked::at(Timestamp::from_second(20).unwrap()),
        );
        assert_eq!(acknowledged.merge(resolved).in_status_since(), None);
    }

    #[test]
    fn a_rest_answer_loses_against_an_event_of_the_same_instant() {
        let at = Timestamp::from_second(10).unwrap();
        let rest = IncidentRecord::from_rest(
            account(),
            incident(),
            at,
            snapshot(Status::Triggered, "rest"),
            None,
            Asked::at(at),
        );
        let merged = rest.merge(IncidentRecord::from_event(account(), event(10, 2, 2), Timestamp::UNIX_EPOCH));
        assert_eq!(merged.state().map(|s| s.status), Some(Status::Resolved));
    }

    /// An event 0.4 s into second 10, and an answer about that second that PagerDuty was asked for at `asked`.
    #[test]
    fn an_answer_wins_within_its_second_once_that_second_is_over_for_sure() {
        let second = |millis: i64| Timestamp::from_millisecond(millis).unwrap();
        let event = IncidentEvent { occurred_at: Some(second(10_400)), ..event(10, 2, 2) };
        let event = IncidentRecord::from_event(account(), event, Timestamp::UNIX_EPOCH);
        let knowing = |known: i64| Asked { knowing: Some(second(known)), ..Asked::at(second(10_500)) };
        for (asked, expected) in [
            (Asked::at(second(10_500)), Status::Resolved),
            (Asked::at(second(11_999)), Status::Resolved),
            (Asked::at(second(12_000)), Status::Triggered),
            (knowing(10_400), Status::Triggered),
            (knowing(10_399), Status::Resolved),
        ] {
            let told = snapshot(Status::Triggered, "rest");
            let answer = IncidentRecord::from_rest(account(), incident(), second(10_000), told, None, asked);
            let merged = answer.clone().merge(event.clone());
            assert_eq!(merged.state().map(|s| s.status), Some(expected), "{asked:?}");
            assert_eq!(merged, event.clone().merge(answer), "{asked:?}");
        }
    }

    #[test]
    fn an_answer_hides_nobody_who_did_it() {
        let event = IncidentRecord::from_event(account(), event(10, 1, 1), Timestamp::UNIX_EPOCH);
        let (at, asked) = (Timestamp::from_second(10).unwrap(), Asked::at(Timestamp::from_second(60).unwrap()));
        let told = |by| {
            let told = snapshot(Status::Acknowledged, "rest");
            IncidentRecord::from_rest(account(), incident(), at, told, Some((at, by)), asked).merge(event.clone())
        };
        let name = |record: &IncidentRecord| record.in_status_since().unwrap().1.map(|by| by.name.clone());
        assert_eq!(name(&told(None)).as_deref(), Some("user 1"));
        assert_eq!(name(&told(Some(Actor { user: None, name: "rest".to_owned() }))).as_deref(), Some("rest"));
    }

    #[test]
    fn what_is_said_to_happen_in_the_future_is_no_time() {
        let now = Timestamp::from_second(1000).unwrap();
        let after = |seconds| now + SignedDuration::from_secs(seconds);
        assert!(!is_future(after(300), now) && is_future(after(301), now) && !is_future(after(-5), now));
        let told = snapshot(Status::Triggered, "rest");
        let answer = IncidentRecord::from_rest(account(), incident(), after(86_400), told, None, Asked::at(now));
        assert_eq!(answer.snapshot.unwrap().version.at, now, "it was true when it was asked for");
    }

    #[test]
    fn an_event_without_a_time_is_logged_and_hides_nothing() {
        let received = Timestamp::from_second(500).unwrap();
        let nameless = || IncidentEvent { occurred_at: None, ..event(0, 7, 1) };
        let alone = IncidentRecord::from_event(account(), nameless(), received);
        assert_eq!(alone.state().map(|s| s.status), Some(Status::Acknowledged), "better than nothing");
        assert_eq!(alone.log.first().map(|entry| entry.at), Some(received));
        let known = IncidentRecord::from_event(account(), event(10, 2, 2), received);
        let merged = known.merge(IncidentRecord::from_event(account(), nameless(), received));
        assert_eq!(merged.state().map(|s| s.status), Some(Status::Resolved));
        assert_eq!(merged.in_status_since().map(|(at, _)| at), Some(Timestamp::from_second(10).unwrap()));
        assert_eq!(merged.log.len(), 2);
    }

    #[test]
    fn of_two_statuses_at_the_same_time_only_pagerduty_knows_the_last() {
        let record = |events: &[(i64, u16, u8)]| {
            let records = events.iter().map(|(second, id, kind)| {
                IncidentRecord::from_event(account(), event(*second, *id, *kind), Timestamp::UNIX_EPOCH)
            });
            merge_all(&records.collect::<Vec<_>>())
        };
        for (events, ambiguous) in [
            (&[(10, 1, 1), (10, 2, 2)][..], true),
            (&[(10, 1, 1), (10, 2, 1)], false),
            (&[(10, 1, 1), (10, 3, 3)], false),
            (&[(10, 1, 1), (11, 2, 2)], false),
            (&[(10, 1, 1), (10, 2, 2), (11, 3, 0)], false),
            (&[], false),
        ] {
            assert_eq!(record(events).is_ambiguous(), ambiguous, "{events:?}");
        }
        let known = record(&[(10, 1, 1), (10, 2, 2)]);
        let (at, later) = (Timestamp::from_second(10).unwrap(), Timestamp::from_second(11).unwrap());
        let asked = Asked { knowing: Some(at), knowing_status: Some(at), ..Asked::at(later) };
        let told = snapshot(Status::Acknowledged, "rest");
        let decided = known.merge(IncidentRecord::from_rest(account(), incident(), at, told, None, asked));
        assert_eq!(decided.state().map(|s| s.status), Some(Status::Acknowledged));
        assert!(!decided.is_ambiguous(), "asked once");
    }

    #[test]
    fn a_priority_of_which_only_the_name_was_kept_is_read_and_gets_its_id_with_the_next_observation() {
        let named = |id: Option<&str>| Snapshot {
            priority: Some(Priority { id: id.map(|id| PriorityId::new(id).unwrap()), name: "P1".to_owned() }),
            ..snapshot(Status::Triggered, "t")
        };
        let rest = |state| {
            IncidentRecord::from_rest(
                account(),
                incident(),
                Timestamp::UNIX_EPOCH,
                state,
                None,
                Asked::at(Timestamp::UNIX_EPOCH),
            )
        };
        let written = serde_json::to_value(rest(named(Some("PPRIO1")))).unwrap();
        let state = &written["snapshot"]["value"];
        assert_eq!((&state["priority"], &state["priority_id"]), (&"P1".into(), &"PPRIO1".into()), "as others read it");
        let mut before = written.clone();
        before["snapshot"]["value"].as_object_mut().unwrap().remove("priority_id");
        let read: IncidentRecord = serde_json::from_value(before).unwrap();
        assert_eq!(read, rest(named(None)));
        assert_eq!(serde_json::from_value::<IncidentRecord>(written).unwrap(), rest(named(Some("PPRIO1"))));
        assert_eq!(read.merge(rest(named(Some("PPRIO1")))), rest(named(Some("PPRIO1"))));
    }

    #[test]
    fn who_did_it_is_looked_up_in_pagerdutys_log_if_nobody_else_has_said_it() {
        let rest = |second, status, by: Option<&str>| {
            let at = Timestamp::from_second(second).unwrap();
            let by = by.map(|name| Actor { user: None, name: name.to_owned() });
            let changed = (status != Status::Triggered).then_some((at, by));
            let asked = Asked::at(Timestamp::from_second(second + 60).unwrap());
            IncidentRecord::from_rest(account(), incident(), at, snapshot(status, "t"), changed, asked)
        };
        let webhook =
            |second, id, kind| IncidentRecord::from_event(account(), event(second, id, kind), Timestamp::UNIX_EPOCH);
        use Status::{Acknowledged, Resolved, Triggered};
        for (name, known, expected) in [
            ("a webhook says it", vec![webhook(10, 1, 1), of_log(11, 2, 1)], Some((10, Some("user 1")))),
            ("an answer says it", vec![rest(10, Acknowledged, Some("Eve")), of_log(10, 2, 1)], Some((10, Some("Eve")))),
            (
                "an answer without a name",
                vec![rest(10, Acknowledged, None), of_log(11, 2, 1)],
                Some((10, Some("user 2"))),
            ),
            ("another acknowledgement", vec![rest(10, Acknowledged, None), of_log(20, 2, 1)], Some((10, None))),
            (
                "nothing but the log",
                vec![webhook(10, 1, 1), rest(20, Triggered, None), of_log(19, 2, 0)],
                Some((19, Some("user 2"))),
            ),
            ("the log is behind", vec![rest(20, Triggered, None), of_log(10, 2, 0), of_log(15, 1, 1)], None),
            ("the log is ahead", vec![webhook(10, 1, 1), of_log(20, 2, 2)], Some((10, Some("user 1")))),
            ("it was another status", vec![rest(10, Resolved, None), of_log(10, 2, 1)], Some((10, None))),
        ] {
            let record = merge_all(&known);
            let said = record.in_status_since().map(|(at, by)| (at.as_second(), by.map(|by| by.name.as_str())));
            assert_eq!(said, expected, "{name}");
        }
    }

    #[test]
    fn what_other_versions_have_logged_is_read() {
        let who = || Some("Eve".to_owned());
        let asked =
            |message: Option<&str>| Happening::ResponderAdded { who: who(), message: message.map(str::to_owned) };
        let bridge = |numbers: &[&str]| Happening::ConferenceBridge {
            url: Some("https://m/1".to_owned()),
            numbers: numbers.iter().map(|&number| number.to_owned()).collect(),
        };
        for (stored, expected) in [
            (r#"{"type":"responder_added","who":"Eve"}"#, asked(None)),
            (r#"{"type":"responder_added","who":"Eve","message":{"html":"x"}}"#, asked(None)),
            (r#"{"type":"responder_added","who":"Eve","message":"Please come"}"#, asked(Some("Please come"))),
            (
                r#"{"type":"responder_replied","who":"Eve","reply":"accepted"}"#,
                Happening::ResponderReplied { who: who(), reply: "accepted".to_owned(), message: None },
            ),
            (r#"{"type":"conference_bridge","url":"https://m/1"}"#, bridge(&[])),
            (r#"{"type":"conference_bridge","url":"https://m/1","numbers":["+1",{"of":1}]}"#, bridge(&["+1"])),
        ] {
            assert_eq!(serde_json::from_str::<Happening>(stored).unwrap(), expected, "{stored}");
        }
        for known in [asked(None), bridge(&[])] {
            let written = serde_json::to_string(&known).unwrap();
            assert!(!written.contains("message") && !written.contains("numbers"), "{written}");
        }
    }

    #[test]
    fn survives_storage() {
        let record = merge_all(
            &(0..40)
                .map(|i| IncidentRecord::from_event(account(), event(i64::from(i), i, i as u8), Timestamp::UNIX_EPOCH))
                .collect::<Vec<_>>(),
        );
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<IncidentRecord>(&json).unwrap(), record);
    }
}
