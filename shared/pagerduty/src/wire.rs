//! Reading PagerDuty's JSON leniently: real deliveries have nulls, missing keys and odd types where the documents do not.
//!
//! Free text is bounded as it comes in. A record keeps 30 log entries, and the table refuses an item above 400 KB.

use domain::ids::{PdUserId, PriorityId, ServiceId};
use domain::incident::{Actor, Priority, ServiceRef, Snapshot, Status, Urgency};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

const MAX_TITLE: usize = 1024;
const MAX_NAME: usize = 200;
const MAX_ASSIGNEES: usize = 20;
const MAX_LINK_BYTES: usize = 500;
const MAX_WORDS: usize = 100;

/// Longest free text of a log entry, in characters.
pub(crate) const MAX_TEXT: usize = 1000;

/// At most `limit` characters, the last of them a visible sign if something was cut. Control characters other than
/// line breaks and tabs are left out: nobody can read them.
pub(crate) fn bounded(text: &str, limit: usize) -> String {
    let mut readable = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    let mut kept: String = readable.by_ref().take(limit).collect();
    if readable.next().is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

/// A text that is there and not blank.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str().filter(|text| !text.trim().is_empty())
}

/// A text that may also come as a number, as conference numbers do.
pub(crate) fn text_or_number(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::Number(number) => Some(number.to_string()),
        _ => text(value, key).map(str::to_owned),
    }
}

/// What people call the thing that a reference points at; its id if nothing better is there.
pub(crate) fn name(value: &Value) -> Option<String> {
    label(value).or_else(|| text(value, "id").map(|id| bounded(id, MAX_NAME)))
}

/// As [`name`], but never the id.
pub(crate) fn label(value: &Value) -> Option<String> {
    ["summary", "name"].iter().find_map(|key| text(value, key)).map(|label| bounded(label, MAX_NAME))
}

/// A time without a zone is UTC, as all of PagerDuty's are.
pub(crate) fn time(value: &Value, key: &str) -> Option<Timestamp> {
    let text = text(value, key)?.trim();
    let without_zone = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(without_zone)
}

pub(crate) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A reference to whoever did something. Only a user's id means a person.
pub(crate) fn actor(value: &Value) -> Option<Actor> {
    let is_user = matches!(text(value, "type"), Some("user" | "user_reference"));
    let user = text(value, "id").filter(|_| is_user).and_then(|id| PdUserId::new(id).ok());
    Some(Actor { user, name: name(value)? })
}

/// A service, or a reference to one.
pub(crate) fn service(value: &Value) -> Option<ServiceRef> {
    Some(ServiceRef { id: ServiceId::new(text(value, "id")?).ok()?, name: name(value)? })
}

fn priority(value: &Value) -> Option<Priority> {
    Some(Priority { id: text(value, "id").and_then(|id| PriorityId::new(id).ok()), name: name(value)? })
}

pub(crate) fn status(value: &Value) -> Option<Status> {
    match text(value, "status")? {
        "triggered" => Some(Status::Triggered),
        "acknowledged" => Some(Status::Acknowledged),
        "resolved" => Some(Status::Resolved),
        _ => None,
    }
}

/// High unless it says low: what is not understood must not be played down.
fn urgency(value: &Value) -> Urgency {
    if text(value, "urgency") == Some("low") { Urgency::Low } else { Urgency::High }
}

/// The incident's number: `number` in webhooks, `incident_number` in REST answers.
pub(crate) fn number(value: &Value) -> Option<u64> {
    ["number", "incident_number"].iter().find_map(|key| text_or_number(value, key)?.parse().ok())
}

/// REST's summaries begin with the number, as in `[#1234] Disk full`.
fn number_in_summary(value: &Value) -> Option<u64> {
    text(value, "summary")?.strip_prefix("[#")?.split_once(']')?.0.parse().ok()
}

/// Whether an address is kept: half of an over-long one leads nowhere.
pub(crate) fn is_whole(url: &&str) -> bool {
    url.len() <= MAX_LINK_BYTES
}

/// The name that PagerDuty gives something of which we know no more, as words.
pub(crate) fn as_words(name: &str) -> String {
    bounded(&name.replace('_', " "), MAX_WORDS)
}

/// A page's address; an over-long one is left out, since half of it leads nowhere.
pub(crate) fn link(value: &Value) -> Option<&str> {
    text(value, "html_url").filter(is_whole)
}

/// A whole incident object, from a webhook or from REST. `None` if what a card cannot do without is missing: its service, and its
/// status, unless it is known from elsewhere (`brought`).
pub(crate) fn snapshot(value: &Value, brought: Option<Status>) -> Option<Snapshot> {
    // Webhooks have `assignees`, REST wraps each in an assignment.
    let assigned = items(value, "assignments").iter().filter_map(|assignment| assignment.get("assignee"));
    let title = text(value, "title").or_else(|| text(value, "summary")).unwrap_or("(no title)");
    Some(Snapshot {
        number: number(value).or_else(|| number_in_summary(value)).unwrap_or_default(),
        title: bounded(title, MAX_TITLE),
        status: status(value).or(brought)?,
        urgency: urgency(value),
        priority: value.get("priority").and_then(priority),
        service: service(value.get("service")?)?,
        escalation_policy: value.get("escalation_policy").and_then(name),
        assignees: items(value, "assignees").iter().chain(assigned).filter_map(actor).take(MAX_ASSIGNEES).collect(),
        html_url: link(value).unwrap_or_default().to_owned(),
        created_at: time(value, "created_at"),
        merged_into: merged_into(value),
    })
}

/// A merge resolves its sources and names the target as the reason (webhook docs, "incident").
pub(crate) fn merged_into(value: &Value) -> Option<String> {
    value.get("resolve_reason")?.get("incident").and_then(name)
}
