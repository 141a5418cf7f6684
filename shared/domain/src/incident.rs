//! The incident record: the newest known state of one incident plus a bounded activity log.
//!
//! A webhook event, a REST answer and a reconciliation all become a small [`IncidentRecord`] and are merged by
//! [`IncidentRecord::merge`], which is commutative, associative and idempotent. So any order and any number of deliveries
//! give the same record (PagerDuty delivers at least once and orders only per subscription and incident).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::EventType;
use crate::forward::{self, Stored};
use crate::ids::{AccountId, EventId, IncidentId, PdUserId, PriorityId, ServiceId};
pub use crate::status::Status;

/// How many log entries a record keeps: the newest ones.
pub const LOG_LIMIT: usize = 30;

/// Orders two observations of the same fact: the later one wins, the event id breaks ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    pub at: Timestamp,
    /// The event's id; empty for a REST answer, which therefore loses a tie against an event.
    pub by: String,
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
    pub name: String,
}

/// One of the account's priorities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "StoredPriority")]
pub struct Priority {
    /// `None` in records of the versions that kept the name only.
    pub id: Option<PriorityId>,
    /// As PagerDuty shows it, as in "P1"; an account can rename it.
    pub name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StoredPriority {
    Name(String),
    Whole { id: Option<PriorityId>, name: String },
}

impl From<StoredPriority> for Priority {
    fn from(stored: StoredPriority) -> Self {
        match stored {
            StoredPriority::Name(name) => Self { id: None, name },
            StoredPriority::Whole { id, name } => Self { id, name },
        }
    }
}

/// Everything that an `incident` object says, as one value: events carry it whole, so it is replaced whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Snapshot {
    /// The number that people use, as in "#1234".
    pub number: u64,
    /// Free text by whoever or whatever opened the incident: untrusted.
    pub title: String,
    pub status: Status,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub urgency: Urgency,
    /// How severe it is, if the account has priorities and somebody set one.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub priority: Option<Priority>,
    pub service: ServiceRef,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub escalation_policy: Option<String>,
    /// Who has it now; empty once it is resolved.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub assignees: Vec<Actor>,
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
    ResponderAdded { who: Option<String> },
    /// Somebody answered a request for help.
    ResponderReplied {
        who: Option<String>,
        /// PagerDuty's word, as in "accepted".
        reply: String,
    },
    /// The conference bridge changed.
    ConferenceBridge {
        /// Its address; `None` if it was removed.
        url: Option<String>,
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
    /// The newest [`LOG_LIMIT`] entries, oldest first; what a newer version has logged that this one does not know is left out.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub log: BTreeSet<LogEntry>,
}

/// Counts how often a stored record has really changed; the card remembers which one it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordVersion(pub u64);

/// What one webhook event tells about one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentEvent {
    pub id: EventId,
    pub occurred_at: Timestamp,
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
        Self { account, id, snapshot: None, status_change: None, log: BTreeSet::new() }
    }

    /// What one webhook event alone tells.
    #[must_use]
    pub fn from_event(account: AccountId, event: IncidentEvent) -> Self {
        let version = Version { at: event.occurred_at, by: event.id.as_str().to_owned() };
        let status = event.what.as_ref().and_then(Happening::status);
        let status_change = status
            .map(|status| Stamped { version: version.clone(), value: StatusChange { status, by: event.by.clone() } });
        let entry = event.what.map(|what| LogEntry { at: event.occurred_at, id: event.id, by: event.by, what });
        Self {
            account,
            id: event.incident,
            snapshot: event.snapshot.map(|value| Stamped { version, value }),
            status_change,
            log: entry.into_iter().collect(),
        }
    }

    /// What a REST answer tells: no log entry, since the webhook of the same change brings one under its own id.
    ///
    /// `at` is the answer's `updated_at`. It has whole seconds, so it can lose against an event of the same second, but it
    /// never overrides a newer one.
    #[must_use]
    pub fn from_rest(
        account: AccountId,
        id: IncidentId,
        at: Timestamp,
        snapshot: Snapshot,
        status_changed: Option<(Timestamp, Option<Actor>)>,
    ) -> Self {
        let status = snapshot.status;
        Self {
            account,
            id,
            snapshot: Some(Stamped { version: Version { at, by: String::new() }, value: snapshot }),
            status_change: status_changed.map(|(at, by)| Stamped {
                version: Version { at, by: String::new() },
                value: StatusChange { status, by },
            }),
            log: BTreeSet::new(),
        }
    }

    /// Merges what two observations of the same incident know. The later value of each field wins; the logs are united
    /// and cut to the newest [`LOG_LIMIT`] entries.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        debug_assert_eq!((&self.account, &self.id), (&other.account, &other.id), "records of two incidents");
        self.snapshot = self.snapshot.max(other.snapshot);
        self.status_change = self.status_change.max(other.status_change);
        self.log.extend(other.log);
        while self.log.len() > LOG_LIMIT {
            self.log.pop_first();
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
        let state = self.state()?;
        let change = self.status_change.as_ref()?;
        (change.value.status == state.status).then_some((change.version.at, change.value.by.as_ref()))
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
            occurred_at: Timestamp::from_second(second).unwrap(),
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

    /// Events whose ids may repeat (redelivery), whose seconds collide, and whose number exceeds the log's limit.
    fn records() -> impl Strategy<Value = Vec<IncidentRecord>> {
        prop::collection::vec((0_i64..50, 0_u16..60, any::<u8>()), 0..80).prop_map(|events| {
            events
                .into_iter()
                .map(|(second, id, kind)| IncidentRecord::from_event(account(), event(second, id, kind)))
                .collect()
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
                prop_assert!(known.log.len() <= LOG_LIMIT);
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
        let newer = IncidentRecord::from_event(account(), event(20, 2, 2));
        let older = IncidentRecord::from_event(account(), event(10, 1, 1));
        let merged = newer.merge(older);
        assert_eq!(merged.state().map(|s| s.status), Some(Status::Resolved));
        assert_eq!(merged.log.len(), 2);
    }

    #[test]
    fn says_who_brought_it_into_its_status() {
        let record = merge_all(&[
            IncidentRecord::from_event(account(), event(10, 1, 1)),
            IncidentRecord::from_event(account(), event(30, 4, 4)),
        ]);
        let (at, by) = record.in_status_since().unwrap();
        assert_eq!(at, Timestamp::from_second(10).unwrap());
        assert_eq!(by.map(|a| a.name.as_str()), Some("user 1"));
    }

    #[test]
    fn does_not_name_the_author_of_another_status() {
        let acknowledged = IncidentRecord::from_event(account(), event(10, 1, 1));
        let resolved = IncidentRecord::from_rest(
            account(),
            incident(),
            Timestamp::from_second(20).unwrap(),
            snapshot(Status::Resolved, "t"),
            None,
        );
        assert_eq!(acknowledged.merge(resolved).in_status_since(), None);
    }

    #[test]
    fn a_rest_answer_loses_against_an_event_of_the_same_instant() {
        let at = Timestamp::from_second(10).unwrap();
        let rest = IncidentRecord::from_rest(account(), incident(), at, snapshot(Status::Triggered, "rest"), None);
        let merged = rest.merge(IncidentRecord::from_event(account(), event(10, 2, 2)));
        assert_eq!(merged.state().map(|s| s.status), Some(Status::Resolved));
    }

    #[test]
    fn a_priority_of_which_only_the_name_was_kept_is_read_and_gets_its_id_with_the_next_observation() {
        let named = |id: Option<&str>| Snapshot {
            priority: Some(Priority { id: id.map(|id| PriorityId::new(id).unwrap()), name: "P1".to_owned() }),
            ..snapshot(Status::Triggered, "t")
        };
        let rest = |state| IncidentRecord::from_rest(account(), incident(), Timestamp::UNIX_EPOCH, state, None);
        let mut stored = serde_json::to_value(rest(named(None))).unwrap();
        stored["snapshot"]["value"]["priority"] = serde_json::json!("P1");
        let read: IncidentRecord = serde_json::from_value(stored).unwrap();
        assert_eq!(read, rest(named(None)));
        assert_eq!(read.merge(rest(named(Some("PPRIO1")))), rest(named(Some("PPRIO1"))));
    }

    #[test]
    fn survives_storage() {
        let record = merge_all(
            &(0..40)
                .map(|i| IncidentRecord::from_event(account(), event(i64::from(i), i, i as u8)))
                .collect::<Vec<_>>(),
        );
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<IncidentRecord>(&json).unwrap(), record);
    }
}
