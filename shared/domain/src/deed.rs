//! What a person may do to an incident: all that is to be known of each deed, in one place.
//!
//! A new one is a variant of [`Deed`] and [`DeedKind`] with its rows below, words for its form and outcome in `cards`, and the
//! call in `incidents::act`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::PdUserId;
use crate::incident::{Actor, IncidentRecord, Status};

/// Longest note that we send, in characters; PagerDuty's own limit is 25,000.
pub const MAX_NOTE_CHARS: usize = 20_000;

/// The same note by the same person within this time is a double click.
const SAME_NOTE_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// The input that a note is typed into.
const NOTE: &str = "note";

/// What a person asks for, with what they typed. Kept for people who have to link first, so its JSON stays readable; one that
/// this version does not know is forgotten with what it was wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Deed {
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

/// What a button asks for, before anything is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeedKind {
    /// See [`Deed::Acknowledge`].
    Acknowledge,
    /// See [`Deed::Resolve`].
    Resolve,
    /// See [`Deed::AddNote`].
    AddNote,
}

/// What was typed, by the ids of the inputs.
pub type Inputs = BTreeMap<String, String>;

/// Something that a deed's form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Teams sends what was typed under it.
    pub id: &'static str,
    pub max_chars: usize,
}

/// What a second, equal deed would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing: PagerDuty is in the wanted state already.
    Harmless,
    /// The same again, so an equal one by the same person within this time is taken for a double click.
    Again { within: SignedDuration },
}

impl DeedKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Acknowledge, Self::Resolve, Self::AddNote];

    /// As buttons name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::AddNote => "addNote",
        }
    }

    /// What has to be typed; nothing: the button acts at once.
    #[must_use]
    pub fn form(self) -> &'static [Input] {
        match self {
            Self::Acknowledge | Self::Resolve => &[],
            Self::AddNote => &[Input { id: NOTE, max_chars: MAX_NOTE_CHARS }],
        }
    }

    /// Whether it makes sense for an incident in this status: acknowledging a resolved one would reopen it.
    #[must_use]
    pub fn is_offered(self, status: Status) -> bool {
        match self {
            Self::Acknowledge => status == Status::Triggered,
            Self::Resolve => status != Status::Resolved,
            // What was found out is often written down afterwards.
            Self::AddNote => true,
        }
    }

    /// Whether PagerDuty must be asked for the incident's present state before [`Deed::decide`].
    #[must_use]
    pub fn needs_newest(self) -> bool {
        match self {
            // Acknowledging a resolved incident would reopen it.
            Self::Acknowledge => true,
            Self::Resolve | Self::AddNote => false,
        }
    }

    /// What a second, equal deed would do.
    #[must_use]
    pub fn repetition(self) -> Repetition {
        match self {
            Self::Acknowledge | Self::Resolve => Repetition::Harmless,
            Self::AddNote => Repetition::Again { within: SAME_NOTE_WITHIN },
        }
    }

    /// The status that it brings an incident into, and so any number of incidents; `None`: it is more than that.
    #[must_use]
    pub fn sets(self) -> Option<Status> {
        match self {
            Self::Acknowledge => Some(Status::Acknowledged),
            Self::Resolve => Some(Status::Resolved),
            Self::AddNote => None,
        }
    }

    /// The deed with what was typed; what is missing is empty, and [`Deed::decide`] says so.
    #[must_use]
    pub fn with(self, inputs: &Inputs) -> Deed {
        let typed = |id: &str| inputs.get(id).cloned().unwrap_or_default();
        match self {
            Self::Acknowledge => Deed::Acknowledge,
            Self::Resolve => Deed::Resolve,
            Self::AddNote => Deed::AddNote { text: typed(NOTE) },
        }
    }
}

/// What to do about a [`Deed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Ask PagerDuty for it, as the person.
    Call(Request),
    /// It is so already: say who did it.
    AlreadyDone { by: Option<Actor>, at: Option<Timestamp> },
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

/// Why a deed is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// PagerDuty would reopen a resolved incident on acknowledge, which nobody expects of that button.
    AlreadyResolved { by: Option<Actor>, at: Option<Timestamp> },
    /// The note has no text.
    EmptyNote,
    /// The note exceeds [`MAX_NOTE_CHARS`].
    NoteTooLong { chars: usize },
}

impl Deed {
    /// What it is, without what was typed.
    #[must_use]
    pub fn kind(&self) -> DeedKind {
        match self {
            Self::Acknowledge => DeedKind::Acknowledge,
            Self::Resolve => DeedKind::Resolve,
            Self::AddNote { .. } => DeedKind::AddNote,
        }
    }

    /// Decides on it, as `user`'s, given the newest state of the incident.
    #[must_use]
    pub fn decide(&self, record: &IncidentRecord, user: &PdUserId) -> Decision {
        let status = record.state().map(|state| state.status);
        let since = record.in_status_since();
        let by = since.and_then(|(_, by)| by.cloned());
        let at = since.map(|(at, _)| at);
        let mine = by.as_ref().is_some_and(|actor| actor.user.as_ref() == Some(user));
        match self {
            Self::Acknowledge => match status {
                Some(Status::Resolved) => Decision::Refuse(Refusal::AlreadyResolved { by, at }),
                Some(Status::Acknowledged) if mine => Decision::AlreadyDone { by, at },
                Some(Status::Triggered | Status::Acknowledged) | None => {
                    Decision::Call(Request::SetStatus(Status::Acknowledged))
                }
            },
            Self::Resolve => match status {
                Some(Status::Resolved) => Decision::AlreadyDone { by, at },
                Some(Status::Triggered | Status::Acknowledged) | None => {
                    Decision::Call(Request::SetStatus(Status::Resolved))
                }
            },
            Self::AddNote { text } => {
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
                occurred_at: Some(Timestamp::UNIX_EPOCH),
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
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn every_cell_of_deed_and_status() {
        let by = Some(person("PBOB"));
        let at = Some(Timestamp::UNIX_EPOCH);
        let ack = Decision::Call(Request::SetStatus(Status::Acknowledged));
        let resolve = Decision::Call(Request::SetStatus(Status::Resolved));
        let done = Decision::AlreadyDone { by: by.clone(), at };
        let refused = Decision::Refuse(Refusal::AlreadyResolved { by, at });
        let note = Decision::Call(Request::CreateNote("hi".to_owned()));
        let (alice, bob) = ("PALICE", "PBOB");
        for (deed, status, user, expected) in [
            (Deed::Acknowledge, None, alice, &ack),
            (Deed::Acknowledge, Some(Status::Triggered), alice, &ack),
            (Deed::Acknowledge, Some(Status::Acknowledged), alice, &ack),
            (Deed::Acknowledge, Some(Status::Acknowledged), bob, &done),
            (Deed::Acknowledge, Some(Status::Resolved), alice, &refused),
            (Deed::Acknowledge, Some(Status::Resolved), bob, &refused),
            (Deed::Resolve, None, alice, &resolve),
            (Deed::Resolve, Some(Status::Triggered), alice, &resolve),
            (Deed::Resolve, Some(Status::Acknowledged), alice, &resolve),
            (Deed::Resolve, Some(Status::Resolved), alice, &done),
            (Deed::AddNote { text: " hi\n".to_owned() }, None, alice, &note),
            (Deed::AddNote { text: "hi".to_owned() }, Some(Status::Triggered), alice, &note),
            (Deed::AddNote { text: "hi".to_owned() }, Some(Status::Resolved), alice, &note),
            (
                Deed::AddNote { text: " \n".to_owned() },
                Some(Status::Triggered),
                alice,
                &Decision::Refuse(Refusal::EmptyNote),
            ),
            (
                Deed::AddNote { text: "é".repeat(20_001) },
                Some(Status::Triggered),
                alice,
                &Decision::Refuse(Refusal::NoteTooLong { chars: 20_001 }),
            ),
        ] {
            assert_eq!(
                &deed.decide(&record(status), &PdUserId::new(user).unwrap()),
                expected,
                "{deed:?} on {status:?} by {user}"
            );
        }
    }

    #[test]
    fn a_button_and_what_is_typed_make_a_deed_that_knows_its_button() {
        let inputs = Inputs::from([("note".to_owned(), "on it".to_owned()), ("other".to_owned(), "x".to_owned())]);
        for kind in DeedKind::ALL {
            assert_eq!(kind.with(&inputs).kind(), kind);
            // One that is left out of the list would be an unknown button.
            let place = match kind {
                DeedKind::Acknowledge => 0,
                DeedKind::Resolve => 1,
                DeedKind::AddNote => 2,
            };
            assert_eq!(DeedKind::ALL.get(place), Some(&kind));
        }
        assert_eq!(DeedKind::AddNote.with(&inputs), Deed::AddNote { text: "on it".to_owned() });
        assert_eq!(DeedKind::AddNote.with(&Inputs::new()), Deed::AddNote { text: String::new() });
    }

    #[test]
    fn what_sets_a_status_sets_it_where_it_is_offered() {
        let alice = PdUserId::new("PALICE").unwrap();
        for kind in DeedKind::ALL {
            let Some(sets) = kind.sets() else { continue };
            assert_eq!(kind.form(), [], "{kind:?} is done to many at once, for which nothing can be typed");
            assert_eq!(kind.repetition(), Repetition::Harmless);
            for status in [Status::Triggered, Status::Acknowledged] {
                if kind.is_offered(status) {
                    let decision = kind.with(&Inputs::new()).decide(&record(Some(status)), &alice);
                    assert_eq!(decision, Decision::Call(Request::SetStatus(sets)), "{kind:?} on {status:?}");
                }
            }
            assert!(!kind.is_offered(Status::Resolved), "it would be reopened");
        }
    }

    #[test]
    fn what_waits_for_a_link_is_read_as_it_was_written_before() {
        for (json, deed) in [
            (r#"{"action":"acknowledge"}"#, Deed::Acknowledge),
            (r#"{"action":"resolve"}"#, Deed::Resolve),
            (r#"{"action":"add_note","text":"hi"}"#, Deed::AddNote { text: "hi".to_owned() }),
        ] {
            assert_eq!(serde_json::from_str::<Deed>(json).unwrap(), deed);
            assert_eq!(serde_json::to_string(&deed).unwrap(), json);
        }
    }

    #[test]
    fn what_is_offered_can_be_done() {
        use Status::{Acknowledged, Resolved, Triggered};
        let offered = |status| DeedKind::ALL.into_iter().filter(|kind| kind.is_offered(status)).collect::<Vec<_>>();
        assert_eq!(offered(Triggered), DeedKind::ALL);
        assert_eq!(offered(Acknowledged), [DeedKind::Resolve, DeedKind::AddNote]);
        assert_eq!(offered(Resolved), [DeedKind::AddNote]);
    }
}
