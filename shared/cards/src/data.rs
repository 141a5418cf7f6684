//! What a button carries, and how it comes back with the click.
//!
//! The values travel through the person's client, so anybody can forge them: they say what is meant, never what is allowed.

use std::str::FromStr;

use domain::deed::{DeedKind, Inputs};
use domain::forward;
use domain::ids::{AccountId, IncidentId, ServiceId, StormId, TeamId};
use domain::incident::Status;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::trigger::MAX_TITLE_CHARS;

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
    /// How many alerts are before the page that is wanted of [`Verb::Details`].
    #[serde(default, deserialize_with = "forward::or_default", skip_serializing_if = "is_zero")]
    pub from: u32,
    /// Makes Teams open a dialog; absent inside of one.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub(crate) msteams: Option<OpensDialog>,
    /// What was typed; Teams merges a form's inputs into the button's data.
    #[serde(flatten, deserialize_with = "texts")]
    pub inputs: Inputs,
}

impl ButtonData {
    /// What a button on the card of this incident carries.
    #[must_use]
    pub fn new(account: AccountId, incident: IncidentId, verb: Verb) -> Self {
        Self { v: VERSION, account, incident, verb, from: 0, msteams: None, inputs: Inputs::new() }
    }

    /// What a button carries that opens a dialog about this incident.
    pub(crate) fn opening(account: AccountId, incident: IncidentId, verb: Verb) -> Self {
        Self { msteams: Some(OpensDialog::FETCH), ..Self::new(account, incident, verb) }
    }

    /// Reads what came back from a dialog, or is to open one. `None`: none of ours.
    #[must_use]
    pub fn read(data: &Value) -> Option<Self> {
        serde_json::from_value(data.clone()).ok()
    }

    /// Reads what came back from a button with this verb. Cards of earlier versions say it beside their data only; data that
    /// says something else is none of ours.
    #[must_use]
    pub fn of_click(verb: Verb, mut data: Value) -> Option<Self> {
        data.as_object_mut()?.entry("verb").or_insert_with(|| verb.as_str().into());
        serde_json::from_value(data).ok().filter(|data: &Self| data.verb == verb)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
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
    /// The title that somebody has given already, for the form to begin with. Inside of the form its input of this name takes
    /// its place.
    #[serde(default, deserialize_with = "possible_title", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Makes Teams open a dialog; absent inside of one.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub(crate) msteams: Option<OpensDialog>,
}

/// A title that is longer than PagerDuty takes is none that we ever wrote.
fn possible_title<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let title: Option<String> = forward::or_none(deserializer)?;
    Ok(title.filter(|title| !title.trim().is_empty() && title.chars().count() <= MAX_TITLE_CHARS))
}

/// The dialogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dialog {
    /// The form for a new incident.
    Trigger,
}

/// What the buttons of a storm's card and of its dialogs carry. All but the first four is read leniently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StormData {
    /// Always [`VERSION`]; any other is refused.
    #[serde(deserialize_with = "known_version")]
    pub v: u8,
    pub account: AccountId,
    pub storm: StormId,
    pub dialog: StormDialog,
    /// Which button of the dialog was pressed; absent on the button that opens it.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub verb: Option<StormVerb>,
    /// Where the page begins that is wanted, as [`crate::StormList::next`] said it: with [`StormVerb::Next`] the next one, with
    /// [`StormVerb::Card`] the same one again.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many rows are before that page.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub from: u64,
    /// The filter of the page that the button is on.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub filter: StormFilter,
    /// What stands in the page's inputs; Teams merges them into the button's data.
    #[serde(default, rename = "stormService", deserialize_with = "forward::or_none", skip_serializing)]
    pub(crate) service: Option<String>,
    #[serde(default, rename = "stormStatus", deserialize_with = "forward::or_none", skip_serializing)]
    pub(crate) status: Option<StormStatus>,
    #[serde(default, rename = "stormPick", deserialize_with = "forward::or_none", skip_serializing)]
    pub(crate) pick: Option<IncidentId>,
    /// Makes Teams open a dialog; absent inside of one.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub(crate) msteams: Option<OpensDialog>,
}

/// Ids of the inputs of a storm's list.
pub(crate) mod storm_input {
    pub(crate) const SERVICE: &str = "stormService";
    pub(crate) const STATUS: &str = "stormStatus";
    pub(crate) const PICK: &str = "stormPick";
}

/// The choice of all services: no service has this id.
pub(crate) const ALL_SERVICES: &str = "*";

impl StormData {
    /// What the button carries that opens the dialog.
    #[must_use]
    pub fn new(account: AccountId, storm: StormId, dialog: StormDialog) -> Self {
        let filter = StormFilter::default();
        let (verb, after, service, status, pick, msteams) = (None, None, None, None, None, None);
        Self { v: VERSION, account, storm, dialog, verb, after, from: 0, filter, service, status, pick, msteams }
    }

    /// Reads what came back. `None`: none of ours.
    #[must_use]
    pub fn read(data: &Value) -> Option<Self> {
        serde_json::from_value(data.clone()).ok()
    }

    /// Which rows are meant: those that the person has chosen if they asked to see them, and otherwise those of the page they
    /// look at, whatever they have chosen without applying it.
    #[must_use]
    pub fn wanted(&self) -> StormFilter {
        if self.verb != Some(StormVerb::Show) {
            return self.filter.clone();
        }
        let service = match self.service.as_deref() {
            None => self.filter.service.clone(),
            Some(ALL_SERVICES) => None,
            Some(id) => ServiceId::new(id).ok(),
        };
        StormFilter { service, status: self.status.unwrap_or(self.filter.status) }
    }

    /// The incident that the person has picked from the page.
    #[must_use]
    pub fn picked(&self) -> Option<&IncidentId> {
        self.pick.as_ref()
    }
}

/// The dialogs of a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StormDialog {
    /// All rows, in pages.
    List,
    /// Asks before acknowledging what is assigned to me.
    AcknowledgeMine,
    /// Asks before acknowledging what the list shows.
    AcknowledgeShown,
}

/// What a button inside a dialog of a storm asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StormVerb {
    /// Show the first page of what was chosen.
    Show,
    /// Show the next page.
    Next,
    /// Show the first page again.
    First,
    /// Show the picked incident as its own card.
    Card,
    /// Ask before acknowledging.
    Ask,
    /// Acknowledge.
    Acknowledge,
}

/// Which rows of a storm are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StormFilter {
    /// `None`: all.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub status: StormStatus,
}

/// In which status rows are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StormStatus {
    #[default]
    Open,
    Triggered,
    Acknowledged,
    Resolved,
    All,
}

impl StormStatus {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::Open, Self::Triggered, Self::Acknowledged, Self::Resolved, Self::All];

    /// Whether rows of this status are meant.
    #[must_use]
    pub fn has(self, status: Status) -> bool {
        match self {
            Self::Open => status != Status::Resolved,
            Self::Triggered => status == Status::Triggered,
            Self::Acknowledged => status == Status::Acknowledged,
            Self::Resolved => status == Status::Resolved,
            Self::All => true,
        }
    }

    /// As it is written on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::All => "all",
        }
    }
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
    /// Show everything that is known of it, in a dialog.
    Details,
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
        let others = [Self::Refresh, Self::Details, Self::LinkAccounts, Self::NotAdmin, Self::Resume];
        DeedKind::ALL.into_iter().map(Self::Deed).chain(others)
    }

    /// As it is written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deed(kind) => kind.name(),
            Self::Refresh => "refresh",
            Self::Details => "details",
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
    fn a_page_of_details_is_kept_and_a_forged_one_is_the_first() {
        let page = ButtonData { from: 20, ..ButtonData { verb: Verb::Details, ..data(None) } };
        let sent = serde_json::to_value(&page).unwrap();
        assert_eq!(sent, json!({ "v": 1, "account": "PACC1", "incident": "Q1", "verb": "details", "from": 20 }));
        assert_eq!(ButtonData::read(&sent), Some(page));
        for forged in [json!(-1), json!("20"), json!([20]), json!(1e30), Value::Null] {
            let data = json!({ "v": 1, "account": "PACC1", "incident": "Q1", "verb": "details", "from": forged });
            assert_eq!(ButtonData::read(&data).map(|data| data.from), Some(0), "{data}");
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

    fn storm_data() -> StormData {
        StormData::new(AccountId::new("PACC1").unwrap(), StormId::new("7").unwrap(), StormDialog::List)
    }

    #[test]
    fn storm_data_survives_the_journey_and_takes_the_inputs_on() {
        let opens = StormData { msteams: Some(OpensDialog::FETCH), ..storm_data() };
        let sent = serde_json::to_value(&opens).unwrap();
        let expected = json!({ "v": 1, "account": "PACC1", "storm": "7", "dialog": "list", "from": 0,
            "filter": { "status": "open" }, "msteams": { "type": "task/fetch" } });
        assert_eq!(sent, expected);
        assert_eq!(StormData::read(&sent), Some(storm_data()));
        let service = ServiceId::new("PSVC1").unwrap();
        let filter = StormFilter { service: Some(service.clone()), status: StormStatus::All };
        let page = |verb| StormData {
            verb: Some(verb),
            after: Some("t0k3n".to_owned()),
            from: 10,
            filter: filter.clone(),
            ..storm_data()
        };
        let chosen = |verb, service: &str, status: &str| {
            let mut sent = serde_json::to_value(page(verb)).unwrap();
            sent["stormService"] = json!(service);
            sent["stormStatus"] = json!(status);
            sent["stormPick"] = json!("Q1");
            StormData::read(&sent).unwrap()
        };
        let next = chosen(StormVerb::Next, "*", "triggered");
        assert_eq!((next.after.as_deref(), next.from), (Some("t0k3n"), 10));
        assert_eq!(next.wanted(), filter, "a page follows the one that is looked at");
        assert_eq!(next.picked(), Some(&IncidentId::new("Q1").unwrap()));
        let filters = [
            ("PSVC2", "triggered", Some("PSVC2"), StormStatus::Triggered),
            ("*", "resolved", None, StormStatus::Resolved),
            ("no id", "nonsense", None, StormStatus::All),
        ];
        for (id, word, service, status) in filters {
            let service = service.map(|id| ServiceId::new(id).unwrap());
            assert_eq!(chosen(StormVerb::Show, id, word).wanted(), StormFilter { service, status }, "{id} {word}");
        }
        assert_eq!(page(StormVerb::Show).wanted(), filter, "nothing was chosen");
    }

    #[test]
    fn forged_storm_data_is_refused_or_read_as_nothing() {
        let forged = [
            json!({ "v": 2, "account": "PACC1", "storm": "7", "dialog": "list" }),
            json!({ "v": 1, "account": "PACC1", "storm": "7", "dialog": "trigger" }),
            json!({ "v": 1, "account": "PACC1", "storm": "7#8", "dialog": "list" }),
            json!({ "v": 1, "storm": "7", "dialog": "list" }),
            json!("list"),
        ];
        for data in forged {
            assert_eq!(StormData::read(&data), None, "{data}");
        }
        let odd = json!({ "v": 1, "account": "PACC1", "storm": "7", "dialog": "list", "verb": "dance", "after": 3, "from": -1,
            "filter": "all", "stormService": ["x"], "stormStatus": 1, "stormPick": "a#b", "msteams": "x", "more": {} });
        assert_eq!(StormData::read(&odd), Some(storm_data()));
        assert_eq!(StormData::read(&json!({ "v": 1, "dialog": "trigger" })), None, "the form for an incident");
        let own = serde_json::to_value(storm_data()).unwrap();
        assert!(serde_json::from_value::<DialogData>(own).is_err(), "the form reads no data of a storm");
    }

    #[test]
    fn a_forged_title_costs_the_title_only() {
        let longest = "ä".repeat(1024);
        for (title, expected) in [
            (json!("DB is on fire"), Some("DB is on fire")),
            (json!(longest), Some(longest.as_str())),
            (json!(format!("{longest}!")), None),
            (json!(" \n"), None),
            (json!(["x"]), None),
            (Value::Null, None),
        ] {
            let data = json!({ "v": 1, "dialog": "trigger", "title": title });
            let read: DialogData = serde_json::from_value(data).unwrap();
            assert_eq!((read.title.as_deref(), read.form), (expected, None), "{title}");
        }
        let before: DialogData = serde_json::from_value(json!({ "v": 1, "dialog": "trigger" })).unwrap();
        assert_eq!(before.title, None, "a button of an earlier version");
        assert!(!serde_json::to_string(&before).unwrap().contains("title"));
    }

    #[test]
    fn statuses_are_read_as_they_are_written() {
        for status in StormStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
