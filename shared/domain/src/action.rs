//! What a click may do to an incident.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::PdUserId;
use crate::incident::{Actor, IncidentRecord, Status};

/// Longest note that we send, in characters; PagerDuty's own limit is 25,000.
pub const MAX_NOTE_CHARS: usize = 20_000;

/// What a person asked for on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Take the incident.
    Acknowledge,
    /// End the incident.
    Resolve,
    /// Write a note on it.
    AddNote {
        /// As typed.
        text: String,
    },
}

/// What to do about an [`Action`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Ask PagerDuty for it, as the person.
    Call(Request),
    /// It is so already: show the present card and say so.
    AlreadyDone {
        /// Who did it.
        by: Option<Actor>,
        /// When.
        at: Option<Timestamp>,
    },
    /// Do nothing and say why.
    Refuse(Refusal),
}

/// A request to PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Set the status.
    SetStatus(Status),
    /// Create a note.
    CreateNote(String),
}

/// Why an action is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// PagerDuty would reopen a resolved incident on acknowledge, which nobody expects of that button.
    AlreadyResolved {
        /// Who resolved it.
        by: Option<Actor>,
        /// When.
        at: Option<Timestamp>,
    },
    /// The note has no text.
    EmptyNote,
    /// The note exceeds [`MAX_NOTE_CHARS`].
    NoteTooLong {
        /// Its length in characters.
        chars: usize,
    },
}

/// Decides on `action` by `user`, given the newest state of the incident.
#[must_use]
pub fn decide(action: &Action, record: &IncidentRecord, user: &PdUserId) -> Decision {
    let status = record.state().map(|state| state.status);
    let since = record.in_status_since();
    let by = since.and_then(|(_, by)| by.cloned());
    let at = since.map(|(at, _)| at);
    let mine = by.as_ref().is_some_and(|actor| actor.user.as_ref() == Some(user));
    match action {
        Action::Acknowledge => match status {
            Some(Status::Resolved) => Decision::Refuse(Refusal::AlreadyResolved { by, at }),
            Some(Status::Acknowledged) if mine => Decision::AlreadyDone { by, at },
            Some(Status::Triggered | Status::Acknowledged) | None => {
                Decision::Call(Request::SetStatus(Status::Acknowledged))
            }
        },
        Action::Resolve => match status {
            Some(Status::Resolved) => Decision::AlreadyDone { by, at },
            Some(Status::Triggered | Status::Acknowledged) | None => {
                Decision::Call(Request::SetStatus(Status::Resolved))
            }
        },
        Action::AddNote { text } => {
            let chars = text.chars().count();
            if text.trim().is_empty() {
                Decision::Refuse(Refusal::EmptyNote)
            } else if chars > MAX_NOTE_CHARS {
                Decision::Refuse(Refusal::NoteTooLong { chars })
            } else {
                Decision::Call(Request::CreateNote(text.trim().to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, EventId, IncidentId, ServiceId};
    use crate::incident::{Happening, IncidentEvent, ServiceRef, Snapshot, Urgency};

    fn person(id: &str) -> Actor {
        Actor { user: Some(PdUserId::new(id).unwrap()), name: format!("name of {id}") }
    }

    fn record(status: Option<Status>) -> IncidentRecord {
        let account = AccountId::new("A").unwrap();
        let incident = IncidentId::new("I").unwrap();
        let Some(status) = status else { return IncidentRecord::empty(account, incident) };
        IncidentRecord::from_event(
            account,
            IncidentEvent {
                id: EventId::new("E").unwrap(),
                occurred_at: Timestamp::UNIX_EPOCH,
                incident,
                by: Some(person("PBOB")),
                snapshot: Some(Snapshot {
                    number: 1,
                    title: String::new(),
                    status,
                    urgency: Urgency::High,
                    priority: None,
                    service: ServiceRef { id: ServiceId::new("S").unwrap(), name: String::new() },
                    escalation_policy: None,
                    assignees: Vec::new(),
                    html_url: String::new(),
                    created_at: None,
                    merged_into: None,
                }),
                what: Some(match status {
                    Status::Triggered => Happening::Triggered,
                    Status::Acknowledged => Happening::Acknowledged,
                    Status::Resolved => Happening::Resolved { merged_into: None },
                }),
            },
        )
    }

    #[test]
    fn every_cell_of_action_and_status() {
        let by = Some(person("PBOB"));
        let at = Some(Timestamp::UNIX_EPOCH);
        let ack = Decision::Call(Request::SetStatus(Status::Acknowledged));
        let resolve = Decision::Call(Request::SetStatus(Status::Resolved));
        let done = Decision::AlreadyDone { by: by.clone(), at };
        let refused = Decision::Refuse(Refusal::AlreadyResolved { by, at });
        let note = Decision::Call(Request::CreateNote("hi".to_owned()));
        let (alice, bob) = ("PALICE", "PBOB");
        for (action, status, user, expected) in [
            (Action::Acknowledge, None, alice, &ack),
            (Action::Acknowledge, Some(Status::Triggered), alice, &ack),
            (Action::Acknowledge, Some(Status::Acknowledged), alice, &ack),
            (Action::Acknowledge, Some(Status::Acknowledged), bob, &done),
            (Action::Acknowledge, Some(Status::Resolved), alice, &refused),
            (Action::Acknowledge, Some(Status::Resolved), bob, &refused),
            (Action::Resolve, None, alice, &resolve),
            (Action::Resolve, Some(Status::Triggered), alice, &resolve),
            (Action::Resolve, Some(Status::Acknowledged), alice, &resolve),
            (Action::Resolve, Some(Status::Resolved), alice, &done),
            (Action::AddNote { text: " hi\n".to_owned() }, None, alice, &note),
            (Action::AddNote { text: "hi".to_owned() }, Some(Status::Triggered), alice, &note),
            (Action::AddNote { text: "hi".to_owned() }, Some(Status::Resolved), alice, &note),
            (
                Action::AddNote { text: " \n".to_owned() },
                Some(Status::Triggered),
                alice,
                &Decision::Refuse(Refusal::EmptyNote),
            ),
            (
                Action::AddNote { text: "é".repeat(20_001) },
                Some(Status::Triggered),
                alice,
                &Decision::Refuse(Refusal::NoteTooLong { chars: 20_001 }),
            ),
        ] {
            assert_eq!(
                &decide(&action, &record(status), &PdUserId::new(user).unwrap()),
                expected,
                "{action:?} on {status:?} by {user}"
            );
        }
    }
}
