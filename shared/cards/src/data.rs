//! What a button carries, and how it comes back with the click.
//!
//! The values travel through the person's client, so anybody can forge them: they say what is meant, never what is allowed.

use std::str::FromStr;

use domain::ids::{AccountId, IncidentId, TeamId};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The version of [`ButtonData`] that this program writes and reads. Cards live for years in a channel, so a button of
/// another version must be recognised rather than misread.
pub const VERSION: u8 = 1;

/// The id of the input that a note is typed into; Teams merges inputs into the button's data under their id.
pub const NOTE_INPUT: &str = "note";

/// What the buttons of an incident card carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ButtonData {
    /// Always [`VERSION`]; any other is refused.
    #[serde(deserialize_with = "known_version")]
    pub v: u8,
    /// The incident's account.
    pub account: AccountId,
    /// The incident.
    pub incident: IncidentId,
    /// The text of the input [`NOTE_INPUT`]; only with [`Verb::AddNote`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ButtonData {
    /// What the buttons on the card of this incident carry.
    #[must_use]
    pub fn new(account: AccountId, incident: IncidentId) -> Self {
        Self { v: VERSION, account, incident, note: None }
    }
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        other => Err(de::Error::invalid_value(de::Unexpected::Unsigned(other.into()), &"version 1")),
    }
}

/// What a button that belongs to no incident carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NoData {
    v: u8,
}

impl NoData {
    pub(crate) const CURRENT: Self = Self { v: VERSION };
}

/// What the buttons of the card carry that asks for a team's authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamData {
    /// Always [`VERSION`]; any other is refused.
    #[serde(deserialize_with = "known_version")]
    pub v: u8,
    /// The team.
    pub team: TeamId,
}

/// What the button carries that does what the person wanted to do before they were linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedData {
    /// Always [`VERSION`]; any other is refused.
    #[serde(deserialize_with = "known_version")]
    pub v: u8,
    /// Under which it is kept; of use to this very person only.
    pub wanted: String,
}

/// What the form for a new incident carries, and the button that opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogData {
    /// Always [`VERSION`]; any other is refused.
    #[serde(deserialize_with = "known_version")]
    pub v: u8,
    /// Which dialog.
    pub dialog: Dialog,
    /// Tells one opened form from another, so that each makes one incident; absent on the button that opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// Makes Teams open a dialog; absent inside of one.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub(crate) msteams: Option<OpensDialog>,
}

/// The dialogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dialog {
    /// The form for a new incident.
    Trigger,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct OpensDialog {
    #[serde(rename = "type")]
    kind: &'static str,
}

impl OpensDialog {
    pub(crate) const FETCH: Self = Self { kind: "task/fetch" };
}

/// What a button asks for (`verb` of `Action.Execute`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Take the incident.
    Acknowledge,
    /// End the incident.
    Resolve,
    /// Write a note on it.
    AddNote,
    /// Show its newest state.
    Refresh,
    /// Send me a personal link. Its button carries no [`ButtonData`].
    LinkAccounts,
    /// Send me a key that I can pass on to a PagerDuty admin. Its button carries [`TeamData`].
    NotAdmin,
    /// Do what I wanted to do. Its button carries [`WantedData`].
    Resume,
}

/// A verb that none of our buttons has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no button of ours has this verb")]
pub struct UnknownVerb;

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 7] = [
        Self::Acknowledge,
        Self::Resolve,
        Self::AddNote,
        Self::Refresh,
        Self::LinkAccounts,
        Self::NotAdmin,
        Self::Resume,
    ];

    /// As it is written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::AddNote => "addNote",
            Self::Refresh => "refresh",
            Self::LinkAccounts => "linkAccounts",
            Self::NotAdmin => "notAdmin",
            Self::Resume => "resume",
        }
    }
}

impl FromStr for Verb {
    type Err = UnknownVerb;

    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text).ok_or(UnknownVerb)
    }
}

impl Serialize for Verb {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn data(note: Option<&str>) -> ButtonData {
        let (account, incident) = (AccountId::new("PACC1").unwrap(), IncidentId::new("Q1").unwrap());
        ButtonData { note: note.map(str::to_owned), ..ButtonData::new(account, incident) }
    }

    #[test]
    fn button_data_survives_the_journey_and_takes_the_note_on() {
        let sent = serde_json::to_value(data(None)).unwrap();
        assert_eq!(sent, json!({ "v": 1, "account": "PACC1", "incident": "Q1" }));
        let mut clicked = sent.clone();
        clicked["note"] = json!("two\nlines");
        clicked["someClientAdds"] = json!(true);
        assert_eq!(serde_json::from_value::<ButtonData>(sent).unwrap(), data(None));
        assert_eq!(serde_json::from_value::<ButtonData>(clicked).unwrap(), data(Some("two\nlines")));
    }

    #[test]
    fn data_that_we_never_wrote_is_refused() {
        let table: [Value; 6] = [
            json!({ "account": "PACC1", "incident": "Q1" }),
            json!({ "v": 2, "account": "PACC1", "incident": "Q1" }),
            json!({ "v": "1", "account": "PACC1", "incident": "Q1" }),
            json!({ "v": 1, "account": "PACC1", "incident": "a#b" }),
            json!({ "v": 1, "account": "PACC1" }),
            json!("Q1"),
        ];
        for forged in table {
            assert!(serde_json::from_value::<ButtonData>(forged.clone()).is_err(), "{forged}");
        }
    }

    #[test]
    fn verbs_are_read_as_they_are_written() {
        for verb in Verb::ALL {
            assert_eq!(verb.as_str().parse(), Ok(verb));
        }
        for unknown in ["", "ACKNOWLEDGE", "ack", "reopen"] {
            assert_eq!(unknown.parse::<Verb>(), Err(UnknownVerb));
        }
    }
}
