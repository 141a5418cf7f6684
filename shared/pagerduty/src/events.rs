//! What the data of each event type says, in the log's words.

use domain::event::EventType;
use domain::ids::IncidentId;
use domain::incident::Happening;
use serde_json::Value;

use crate::wire::{MAX_TEXT, bounded, items, label, merged_into, name, text, text_or_number};

/// How many names a log entry lists, and how long each may be in characters: a list stays below a note's length.
const MAX_LISTED: usize = 10;
const MAX_LISTED_NAME: usize = 100;
const MAX_NUMBERS: usize = 4;
const MAX_WORD: usize = 40;

/// The scopes that a token needs to keep a subscription for [`domain::event::subscribed`]: PagerDuty asks for the right to
/// read what the events tell as well (webhook docs, "Overview").
pub const SUBSCRIPTION_SCOPES: &[&str] =
    &["webhook_subscriptions.read", "webhook_subscriptions.write", "incidents.read", "services.read"];

/// The incident that an event is about. Only role assignments wrap it in a list.
pub(crate) fn incident_of(data: &Value) -> Option<IncidentId> {
    if text(data, "type") == Some("incident") {
        return IncidentId::new(text(data, "id")?).ok();
    }
    let wrapped = items(data, "incident_role_assignments").iter().filter_map(|assignment| assignment.get("incident"));
    let id = data.get("incident").into_iter().chain(wrapped).find_map(|incident| text(incident, "id"))?;
    IncidentId::new(id).ok()
}

/// What an event says about its incident; `None` if it is about a service.
pub(crate) fn happening(event_type: EventType, data: &Value) -> Option<Happening> {
    let assignees = || listed(items(data, "assignees").iter().filter_map(name));
    let part = |key: &str| data.get(key).and_then(name);
    let free = |key: &str| bounded(text(data, key).unwrap_or_default().trim_end(), MAX_TEXT);
    let words = |key: &str| Some(free(key)).filter(|words| !words.is_empty());
    let change = || event_type.name().rsplit('.').next().unwrap_or_default().to_owned();
    Some(match event_type {
        EventType::Triggered => Happening::Triggered,
        EventType::Acknowledged => Happening::Acknowledged,
        EventType::Unacknowledged => Happening::Unacknowledged,
        EventType::Reopened => Happening::Reopened,
        EventType::Resolved => Happening::Resolved { merged_into: merged_into(data) },
        EventType::Escalated => Happening::Escalated { to: assignees() },
        EventType::Delegated => Happening::Delegated { to: part("escalation_policy") },
        EventType::Reassigned => Happening::Reassigned { to: assignees() },
        EventType::PriorityChanged => Happening::PriorityChanged { to: part("priority") },
        EventType::ServiceChanged => Happening::ServiceChanged { to: part("service").unwrap_or_default() },
        EventType::TypeChanged => Happening::TypeChanged { to: part("incident_type") },
        EventType::Note => Happening::Note { content: free("content") },
        EventType::StatusUpdate => Happening::StatusUpdate { message: free("message") },
        EventType::ResponderAdded => Happening::ResponderAdded {
            who: part("user").or_else(|| part("escalation_policy")),
            message: words("message"),
        },
        EventType::ResponderReplied => Happening::ResponderReplied {
            who: part("user"),
            reply: bounded(text(data, "state").unwrap_or("replied"), MAX_WORD),
            message: words("message"),
        },
        EventType::ConferenceBridge => bridge(data),
        EventType::CustomFields => Happening::CustomFields { names: field_names(data) },
        EventType::Roles => {
            Happening::Roles { assignments: listed(items(data, "incident_role_assignments").iter().filter_map(role)) }
        }
        EventType::TaskCreated | EventType::TaskUpdated | EventType::TaskCompleted => {
            Happening::Task { summary: label(data).unwrap_or_default(), change: change() }
        }
        EventType::ActionCreated | EventType::ActionUpdated | EventType::ActionTerminated => {
            Happening::ActionInvocation { action: part("action"), change: change() }
        }
        EventType::WorkflowStarted | EventType::WorkflowCompleted => {
            Happening::Workflow { name: part("incident_workflow"), change: change() }
        }
        EventType::ServiceCreated
        | EventType::ServiceUpdated
        | EventType::ServiceDeleted
        | EventType::ServiceFields => return None,
    })
}

/// As many names as an entry of the log keeps.
pub(crate) fn listed(names: impl Iterator<Item = String>) -> Vec<String> {
    names.take(MAX_LISTED).map(|name| bounded(&name, MAX_LISTED_NAME)).collect()
}

/// Where to talk. A number may come as a JSON number.
fn bridge(data: &Value) -> Happening {
    let numbers = items(data, "conference_numbers").iter().filter_map(|entry| {
        let number = text_or_number(entry, "number")?;
        let label = text(entry, "label").map(str::trim);
        Some(label.map_or_else(|| number.clone(), |label| format!("{label} {number}")))
    });
    let mut numbers = listed(numbers.take(MAX_NUMBERS));
    let url = text(data, "conference_url").map(|url| bounded(url, MAX_TEXT));
    let url = url.or_else(|| (!numbers.is_empty()).then(|| numbers.remove(0)));
    Happening::ConferenceBridge { url, numbers }
}

/// The fields that changed. Their values are not used: whether PagerDuty sends the old or the new ones is not documented.
fn field_names(data: &Value) -> Vec<String> {
    let changed = items(data, "changed_custom_fields");
    let fields = if changed.is_empty() { items(data, "custom_fields") } else { changed };
    listed(fields.iter().filter_map(label))
}

fn role(assignment: &Value) -> Option<String> {
    let role = name(assignment.get("role")?)?;
    let assignee = assignment.get("assignee").and_then(name);
    Some(assignee.map_or_else(|| format!("{role}: nobody"), |person| format!("{role}: {person}")))
}
