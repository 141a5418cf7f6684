//! What a button carries, and how it comes back with the click.
//!
//! The values travel through the person's client, so anybody can forge them: they say what is meant, never what is allowed.

use std::str::FromStr;

use domain::deed::{DeedKind, Inputs};
use domain::ids::{AccountId, IncidentId, TeamId};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

/// The version of [`ButtonData`] that this program writes and reads. Cards live for years in a channel, so a button of
/// another version must be recognised rather than misread.
pub const VERSION: u8 = 1;

/// What the buttons of an incident card carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ButtonData {
    /// Always [`VERSION`]; any other is refused.
    #[serde(deserialize_with = "known_version")]
    pub v: u8,
    pub account: AccountId,
    pub incident: IncidentId,
    /// What the button asks for. A dialog comes back without the button's own verb.
    pub verb: Verb,
    /// What was typed; Teams merges a form's inputs into the button's data.
    #[serde(flatten, deserialize_with = "texts")]
    pub inputs: Inputs,
}

impl ButtonData {
    /// What a button on the card of this incident carries.
    #[must_use]
    pub fn new(account: AccountId, incident: IncidentId, verb: Verb) -> Self {
        Self { v: VERSION, account, incident, verb, inputs: Inputs::new() }
    }

    /// Reads what came back from a button with this verb. Cards of earlier versions say it beside their data only; data that
    /// says something else is none of ours.
    #[must_use]
    pub fn of_click(verb: Verb, mut data: Value) -> Option<Self> {
        data.as_object_mut()?.entry("verb").or_insert_with(|| verb.as_str().into());
        serde_json::from_value(data).ok().filter(|data: &Self| data.verb == verb)
    }
}

/// Clients may add values of other kinds.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Inputs, D::Error> {
    let all = std::collections::BTreeMap::<String, Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|(id, value)| Some((id, value.as_str()?.to_owned()))).collect())
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
    /// Do something to the incident.
    Deed(DeedKind),
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
    pub fn all() -> impl Iterator<Item = Self> {
        let others = [Self::Refresh, Self::LinkAccounts, Self::NotAdmin, Self::Resume];
        DeedKind::ALL.into_iter().map(Self::Deed).chain(others)
    }

    /// As it is written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deed(kind) => kind.name(),
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
        Self::all().find(|verb| verb.as_str() == text).ok_or(UnknownVerb)
    }
}

impl Serialize for Verb {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Verb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOTE: Verb = Verb::Deed(DeedKind::AddNote);

    fn data(note: Option<&str>) -> ButtonData {
        let (account, incident) = (AccountId::new("PACC1").unwrap(), IncidentId::new("Q1").unwrap());
        let inputs = note.map(|note| ("note".to_owned(), note.to_owned())).into_iter().collect();
        ButtonData { inputs, ..ButtonData::new(account, incident, NOTE) }
    }

    #[test]
    fn button_data_survives_the_journey_and_takes_the_note_on() {
        let sent = serde_json::to_value(data(None)).unwrap();
        assert_eq!(sent, json!({ "v": 1, "account": "PACC1", "incident": "Q1", "verb": "addNote" }));
        let mut clicked = sent.clone();
        clicked["note"] = json!("two\nlines");
        clicked["someClientAdds"] = json!(true);
        assert_eq!(ButtonData::of_click(NOTE, sent.clone()), Some(data(None)));
        assert_eq!(ButtonData::of_click(NOTE, clicked), Some(data(Some("two\nlines"))));
        assert_eq!(ButtonData::of_click(Verb::Deed(DeedKind::Resolve), sent), None, "the button says something else");
        let before = json!({ "v": 1, "account": "PACC1", "incident": "Q1", "note": "x" });
        assert_eq!(ButtonData::of_click(NOTE, before), Some(data(Some("x"))), "a card of an earlier version");
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
            assert_eq!(ButtonData::of_click(NOTE, forged.clone()), None, "{forged}");
        }
    }

    #[test]
    fn verbs_are_read_as_they_are_written() {
        for verb in Verb::all() {
            assert_eq!(verb.as_str().parse(), Ok(verb));
        }
        for unknown in ["", "ACKNOWLEDGE", "ack", "reopen"] {
            assert_eq!(unknown.parse::<Verb>(), Err(UnknownVerb));
        }
    }
}
