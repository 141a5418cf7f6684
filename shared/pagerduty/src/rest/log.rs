//! PagerDuty's log: what happened, to all incidents of the account or to one of them.
//!
//! 17 types of entries are documented, hardly any of them with more than its type: where the words of a note stand, or the name of
//! what a field was changed to, is read wherever it may be. Status updates and requests for help have no documented type; names
//! that say what they are are taken for them. A row that cannot be read costs itself.

use domain::ids::{EventId, IncidentId, ServiceId};
use domain::incident::{Actor, Happening, IncidentEvent};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use super::model::{self, PAGE};
use super::{Api, ApiError, Auth};
use crate::events::listed;
use crate::wire::{self, MAX_TEXT, bounded, items, label, name, text, time};

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// In the order in which PagerDuty lists them, which is not documented.
    pub lines: Vec<LogLine>,
    /// How many rows could not be read.
    pub unreadable: usize,
    /// Where the next page starts.
    pub next: Option<u32>,
    /// Whether PagerDuty has more, but gives no more of this time: 10,000 entries at most. A shorter time has them.
    pub is_cut_off: bool,
}

/// Something that happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub incident: IncidentId,
    /// Whole seconds.
    pub at: Timestamp,
    /// The incident's service, if the row tells.
    pub service: Option<ServiceId>,
    pub change: Change,
    /// What webhooks tell as well; `None`: of such a thing they do not.
    pub event: Option<IncidentEvent>,
}

/// What became of the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was opened, or an open one was raised again.
    Triggered,
    Resolved,
    /// It is another one now: whose it is, how urgent, or the like.
    Other,
    /// It is as it was.
    Nothing,
}

impl Api {
    /// A page of 100 entries of the account's log.
    pub async fn log_entries(
        &self,
        auth: Auth<'_>,
        since: Timestamp,
        until: Timestamp,
        offset: u32,
    ) -> Result<LogPage, ApiError> {
        self.log(
            auth,
            &["log_entries"],
            &[("since", whole_second(since)), ("until", whole_second(until))],
            offset,
            None,
        )
        .await
    }

    /// A page of 100 entries of one incident's log.
    pub async fn log_entries_of(
        &self,
        auth: Auth<'_>,
        id: &IncidentId,
        since: Timestamp,
        offset: u32,
    ) -> Result<LogPage, ApiError> {
        let path = ["incidents", id.as_str(), "log_entries"];
        self.log(auth, &path, &[("since", whole_second(since))], offset, Some(id)).await
    }

    async fn log(
        &self,
        auth: Auth<'_>,
        path: &[&str],
        range: &[(&str, String)],
        offset: u32,
        of: Option<&IncidentId>,
    ) -> Result<LogPage, ApiError> {
        let (size, start) = (PAGE.to_string(), offset.to_string());
        let mut pairs = vec![("limit", size.as_str()), ("offset", start.as_str()), ("include[]", "channels")];
        pairs.extend(range.iter().map(|(name, value)| (*name, value.as_str())));
        page(&self.call(Method::GET, path, &pairs, auth, None).await?, offset, of)
    }
}

/// In UTC, with a `Z`.
fn whole_second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn page(answer: &Value, offset: u32, of: Option<&IncidentId>) -> Result<LogPage, ApiError> {
    let unreadable = ApiError::Unreadable { what: "log_entries" };
    let rows = answer.get("log_entries").and_then(Value::as_array).ok_or(unreadable)?;
    let lines: Vec<LogLine> = rows.iter().filter_map(|row| line(row, of)).collect();
    let next = model::next(answer, offset, PAGE);
    let has_more = answer.get("more").and_then(Value::as_bool) == Some(true);
    Ok(LogPage { unreadable: rows.len() - lines.len(), lines, next, is_cut_off: has_more && next.is_none() })
}

/// `of`: the incident whose log it is, if it is only one's.
fn line(row: &Value, of: Option<&IncidentId>) -> Option<LogLine> {
    let kind = text(row, "type")?.trim_end_matches("_reference");
    let kind = kind.strip_suffix("_log_entry").unwrap_or(kind);
    let named = row.get("incident").and_then(|incident| text(incident, "id")).and_then(|id| IncidentId::new(id).ok());
    let incident = of.cloned().or(named)?;
    let (id, at) = (EventId::of_log(text(row, "id")?).ok()?, time(row, "created_at")?);
    let by = row.get("agent").and_then(agent);
    let (change, what) = read(kind, row, by.as_ref());
    Some(LogLine {
        service: row.get("service").and_then(|service| text(service, "id")).and_then(|id| ServiceId::new(id).ok()),
        event: what.map(|what| IncidentEvent {
            id,
            occurred_at: Some(at),
            incident: incident.clone(),
            by,
            snapshot: None,
            what: Some(what),
        }),
        incident,
        at,
        change,
    })
}

/// Whatever is no person goes by the incident's own service, which says nothing.
fn agent(value: &Value) -> Option<Actor> {
    let is_service = text(value, "type").is_some_and(|kind| kind.starts_with("service"));
    wire::actor(value).filter(|_| !is_service)
}

fn read(kind: &str, row: &Value, by: Option<&Actor>) -> (Change, Option<Happening>) {
    let channel = row.get("channel").unwrap_or(&Value::Null);
    match kind {
        // Each alert writes one; that the incident was opened, the incident says.
        "trigger" => (Change::Triggered, None),
        // PagerDuty's own documents spell it in both ways.
        "acknowledge" | "acknowledgement" => (Change::Other, Some(Happening::Acknowledged)),
        "unacknowledge" | "unacknowledgement" => (Change::Other, Some(Happening::Unacknowledged)),
        "resolve" => (Change::Resolved, Some(Happening::Resolved { merged_into: None })),
        // Not documented.
        "reopen" => (Change::Other, Some(Happening::Reopened)),
        // What PagerDuty itself assigns is a part of something else.
        "assign" | "reassign" => {
            let is_by_hand = by.is_some_and(|by| by.user.is_some());
            let to = people(row);
            (Change::Other, (is_by_hand && !to.is_empty()).then_some(Happening::Reassigned { to }))
        }
        "escalate" => (Change::Other, Some(Happening::Escalated { to: people(row) })),
        "delegate" => {
            let to = [row, channel].iter().find_map(|part| part.get("escalation_policy").and_then(name));
            (Change::Other, Some(Happening::Delegated { to }))
        }
        "annotate" => (Change::Nothing, Some(Happening::Note { content: words(row) })),
        "urgency_change" => (Change::Other, None),
        "field_value_change" | "custom_field_value_change" | "priority_change" => {
            (Change::Other, changed(row, channel))
        }
        // Neither of these has a documented type.
        kind if kind.contains("status_update") => {
            (Change::Nothing, Some(Happening::StatusUpdate { message: words(row) }))
        }
        kind if kind.contains("responder") => (Change::Nothing, Some(of_responder(kind, row, channel))),
        _ => (Change::Nothing, None),
    }
}

fn people(row: &Value) -> Vec<String> {
    let people = ["assignees", "assigned_users"].iter().flat_map(|key| items(row, key));
    listed(people.filter_map(name))
}

/// What somebody wrote. Only `note` is documented, and the channels of other types have their words in `summary`.
fn words(row: &Value) -> String {
    let parts = ["channel", "note", "status_update"].map(|key| row.get(key).unwrap_or(&Value::Null));
    let inner =
        parts.iter().flat_map(|part| ["content", "message", "body", "details", "summary"].map(|key| text(part, key)));
    let outer = ["note", "content", "message"].map(|key| text(row, key));
    let described = row.get("event_details").and_then(|details| text(details, "description"));
    let found = outer.into_iter().chain(inner).flatten().next().or(described);
    bounded(found.unwrap_or_default().trim_end(), MAX_TEXT)
}

/// The first field of which webhooks tell as well.
fn changed(row: &Value, channel: &Value) -> Option<Happening> {
    let changes = channel.get("changeset").unwrap_or(&Value::Null);
    let field = |key: &str| items(changes, "application_fields").iter().find(|field| text(field, "name") == Some(key));
    let value = |field: &Value| field.get("value").and_then(named);
    if let Some(field) = field("priority") {
        return Some(Happening::PriorityChanged { to: value(field) });
    }
    if let Some(to) = field("service").and_then(value) {
        // The row names the service where the incident is now.
        let service = row.get("service").filter(|service| text(service, "id") == Some(to.as_str()));
        return Some(Happening::ServiceChanged { to: service.and_then(label).unwrap_or(to) });
    }
    if let Some(field) = field("incident_type") {
        return Some(Happening::TypeChanged { to: value(field) });
    }
    let names = listed(items(changes, "customer_fields").iter().filter_map(label));
    (!names.is_empty()).then_some(Happening::CustomFields { names })
}

fn named(value: &Value) -> Option<String> {
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(|text| bounded(text, MAX_VALUE));
    text.or_else(|| name(value))
}

const MAX_VALUE: usize = 200;

fn of_responder(kind: &str, row: &Value, channel: &Value) -> Happening {
    let persons =
        [row, channel].into_iter().flat_map(|part| ["responder", "user", "escalation_policy"].map(|key| part.get(key)));
    let who = persons.flatten().find_map(label).or_else(|| people(row).into_iter().next());
    let message = Some(words(row)).filter(|words| !words.is_empty());
    let state = [row, channel].iter().find_map(|part| text(part, "state"));
    let reply = ["accept", "join", "decline", "cancel", "reply", "replied", "response"]
        .iter()
        .find(|word| kind.contains(*word))
        .map(|word| match *word {
            "accept" | "join" => "accepted",
            "decline" => "declined",
            "cancel" => "cancelled",
            _ => state.unwrap_or("replied"),
        });
    match reply {
        Some(reply) => Happening::ResponderReplied { who, reply: bounded(reply, MAX_REPLY), message },
        None => Happening::ResponderAdded { who, message },
    }
}

const MAX_REPLY: usize = 40;

#[cfg(test)]
mod tests {
    use domain::ids::PdUserId;
    use serde_json::json;

    use super::*;

    const AT: &str = "2026-11-23T09:00:00Z";

    fn row(kind: &str, more: &Value) -> Value {
        let mut row = json!({
            "id": "QLOG1", "type": format!("{kind}_log_entry"), "created_at": AT,
            "agent": { "id": "PMIRA", "type": "user_reference", "summary": "Mira" },
            "incident": { "id": "QINC", "type": "incident_reference" },
            "service": { "id": "PSVC", "type": "service_reference", "summary": "Stage" },
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    fn happened(kind: &str, more: &Value) -> (Change, Option<Happening>) {
        let line = line(&row(kind, more), None).unwrap();
        (line.change, line.event.and_then(|event| event.what))
    }

    #[test]
    fn a_row_says_what_happened_to_which_incident_when_and_by_whom() {
        let read = line(&row("acknowledge", &json!({})), None).unwrap();
        let event = read.event.unwrap();
        assert_eq!((read.incident.as_str(), read.at.to_string().as_str()), ("QINC", AT));
        assert_eq!(read.service, ServiceId::new("PSVC").ok());
        assert_eq!((event.id.as_str(), event.occurred_at, event.snapshot), ("log:QLOG1", Some(read.at), None));
        assert_eq!(event.by, Some(Actor { user: PdUserId::new("PMIRA").ok(), name: "Mira".to_owned() }));
        assert!(event.id.is_of_log());
    }

    #[test]
    fn every_type_has_its_meaning() {
        use Change::{Nothing, Other, Resolved, Triggered};
        let to = json!({ "assignees": [{ "id": "P1", "summary": "Ada" }, 7] });
        let names = || vec!["Ada".to_owned()];
        let note = |content: &str| Some(Happening::Note { content: content.to_owned() });
        let update = |message: &str| Some(Happening::StatusUpdate { message: message.to_owned() });
        let who = || Some("Ada".to_owned());
        let replied =
            |reply: &str| Some(Happening::ResponderReplied { who: who(), reply: reply.to_owned(), message: None });
        let ada = json!({ "user": { "id": "P1", "summary": "Ada" } });
        let itself = json!({ "assignees": [{ "id": "P1" }], "agent": { "id": "PSVC", "type": "service_reference", "summary": "Stage" } });
        let fields = |name: &str, value: Value| json!({ "channel": { "type": "x", "changeset": { "application_fields": [{ "name": "title" }, { "name": name, "value": value }] } } });
        let custom = json!({ "channel": { "changeset": { "customer_fields": [{ "name": "room" }, { "id": "P1" }] } }, "changeset": ["Updated room to 1"] });
        for (kind, more, expected) in [
            ("trigger", json!({}), (Triggered, None)),
            ("acknowledge", json!({}), (Other, Some(Happening::Acknowledged))),
            ("acknowledgement", json!({}), (Other, Some(Happening::Acknowledged))),
            ("unacknowledge", json!({}), (Other, Some(Happening::Unacknowledged))),
            ("resolve", json!({}), (Resolved, Some(Happening::Resolved { merged_into: None }))),
            ("reopen", json!({}), (Other, Some(Happening::Reopened))),
            ("assign", to.clone(), (Other, Some(Happening::Reassigned { to: names() }))),
            ("assign", json!({ "assignees": [] }), (Other, None)),
            ("assign", itself, (Other, None)),
            ("escalate", to.clone(), (Other, Some(Happening::Escalated { to: names() }))),
            ("delegate", to, (Other, Some(Happening::Delegated { to: None }))),
            (
                "delegate",
                json!({ "escalation_policy": { "summary": "Night" } }),
                (Other, Some(Happening::Delegated { to: Some("Night".to_owned()) })),
            ),
            ("annotate", json!({ "note": "on it\n" }), (Nothing, note("on it"))),
            (
                "annotate",
                json!({ "note": null, "channel": { "type": "note", "summary": "on it" } }),
                (Nothing, note("on it")),
            ),
            (
                "annotate",
                json!({ "channel": { "type": "api", "summary": "on…", "content": "on it" } }),
                (Nothing, note("on it")),
            ),
            ("annotate", json!({ "note": { "content": "on it" } }), (Nothing, note("on it"))),
            ("annotate", json!({ "channel": "odd" }), (Nothing, note(""))),
            ("urgency_change", json!({}), (Other, None)),
            (
                "field_value_change",
                fields("priority", json!("P1")),
                (Other, Some(Happening::PriorityChanged { to: Some("P1".to_owned()) })),
            ),
            (
                "field_value_change",
                fields("priority", Value::Null),
                (Other, Some(Happening::PriorityChanged { to: None })),
            ),
            (
                "field_value_change",
                fields("service", json!("PSVC")),
                (Other, Some(Happening::ServiceChanged { to: "Stage".to_owned() })),
            ),
            (
                "field_value_change",
                fields("incident_type", json!("major")),
                (Other, Some(Happening::TypeChanged { to: Some("major".to_owned()) })),
            ),
            ("field_value_change", fields("status", json!(130)), (Other, None)),
            (
                "custom_field_value_change",
                custom,
                (Other, Some(Happening::CustomFields { names: vec!["room".to_owned()] })),
            ),
            ("status_update", json!({ "message": "soon" }), (Nothing, update("soon"))),
            ("publish_status_update", json!({ "status_update": { "message": "soon" } }), (Nothing, update("soon"))),
            (
                "responder_request",
                ada.clone(),
                (Nothing, Some(Happening::ResponderAdded { who: who(), message: None })),
            ),
            ("responder_accept", ada.clone(), (Nothing, replied("accepted"))),
            ("responder_decline", ada.clone(), (Nothing, replied("declined"))),
            ("responder_reply", ada, (Nothing, replied("replied"))),
            ("notify", json!({}), (Nothing, None)),
            ("reach_ack_limit", json!({}), (Nothing, None)),
            ("exhaust_escalation_path", json!({}), (Nothing, None)),
            ("snooze", json!({}), (Nothing, None)),
            ("teleport", json!({}), (Nothing, None)),
        ] {
            assert_eq!(happened(kind, &more), expected, "{kind} {more}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_costs_itself() {
        let good = row("annotate", &json!({ "note": "on it" }));
        let without = |key: &str| {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(key);
            bad
        };
        let bad = [
            json!(7),
            Value::Null,
            without("id"),
            without("type"),
            without("created_at"),
            without("incident"),
            row("resolve", &json!({ "created_at": "yesterday" })),
            row("resolve", &json!({ "id": "a#b" })),
        ];
        let rows: Vec<Value> =
            bad.iter().cloned().chain([good.clone(), without("agent"), without("service")]).collect();
        let read = page(&json!({ "log_entries": rows, "more": true }), 0, None).unwrap();
        assert_eq!((read.lines.len(), read.unreadable, read.next, read.is_cut_off), (3, 8, Some(100), false));
        let own = IncidentId::new("QOWN").unwrap();
        let read = page(&json!({ "log_entries": [without("incident"), good] }), 0, Some(&own)).unwrap();
        assert_eq!(read.lines.iter().map(|line| line.incident.as_str()).collect::<Vec<_>>(), ["QOWN", "QOWN"]);
        for odd in [json!([]), json!({ "log_entries": {} })] {
            assert!(page(&odd, 0, None).is_err(), "an answer without its list is no empty list");
        }
    }

    #[test]
    fn where_paging_ends_there_may_be_more() {
        let at = |offset: u32, more: bool| page(&json!({ "log_entries": [], "more": more }), offset, None).unwrap();
        for (offset, more, next, is_cut_off) in [
            (0, true, Some(100), false),
            (9_800, true, Some(9_900), false),
            (9_900, true, None, true),
            (9_900, false, None, false),
        ] {
            let read = at(offset, more);
            assert_eq!((read.next, read.is_cut_off), (next, is_cut_off), "{offset} {more}");
        }
    }

    #[test]
    fn texts_and_lists_are_bounded() {
        let long = "y".repeat(100_000);
        let crowd = vec![json!({ "id": "P1", "summary": long }); 50];
        let read = |kind: &str, more: Value| happened(kind, &more).1.unwrap();
        for what in [
            read("annotate", json!({ "note": long })),
            read("status_update", json!({ "message": long })),
            read("assign", json!({ "assignees": crowd })),
            read("responder_reply", json!({ "user": { "summary": long }, "state": long, "message": long })),
            read("delegate", json!({ "escalation_policy": { "summary": long } })),
        ] {
            assert!(serde_json::to_vec(&what).unwrap().len() < 2_000, "{what:?}");
        }
    }
}
