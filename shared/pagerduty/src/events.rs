//! What each of the 30 documented event types says, in the log's words.

use domain::ids::IncidentId;
use domain::incident::Happening;
use serde_json::Value;

use crate::wire::{MAX_TEXT, bounded, items, label, merged_into, name, text, text_or_number};

/// How many names a log entry lists, and how long each may be in characters: a list stays below a note's length.
const MAX_LISTED: usize = 10;
const MAX_LISTED_NAME: usize = 100;
const MAX_WORD: usize = 40;

/// The event types that we ask PagerDuty for (webhook docs, "Overview"). Of those that are documented, these are left out:
/// `incident.workflow.*`, because without the scope `incident_workflows.read` they would make PagerDuty refuse the whole
/// subscription, and `service.created`, which no subscription for one service can see.
pub const SUBSCRIBED_EVENTS: &[&str] = &[
    "incident.acknowledged",
    "incident.action_invocation.created",
    "incident.action_invocation.terminated",
    "incident.action_invocation.updated",
    "incident.annotated",
    "incident.conference_bridge.updated",
    "incident.custom_field_values.updated",
    "incident.delegated",
    "incident.escalated",
    "incident.incident_type.changed",
    "incident.priority_updated",
    "incident.reassigned",
    "incident.reopened",
    "incident.resolved",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.role.assigned",
    "incident.service_updated",
    "incident.status_update_published",
    "incident.task.completed",
    "incident.task.created",
    "incident.task.updated",
    "incident.triggered",
    "incident.unacknowledged",
    "service.custom_field_values.updated",
    "service.deleted",
    "service.updated",
];

/// The scopes that a token needs to keep a subscription for [`SUBSCRIBED_EVENTS`]: PagerDuty asks for the right to read
/// what the events tell as well (webhook docs, "Overview").
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

/// What an event type means; `None` for a type that is not documented.
pub(crate) fn happening(event_type: &str, data: &Value) -> Option<Happening> {
    let assignees = || listed(items(data, "assignees").iter().filter_map(name));
    let part = |key: &str| data.get(key).and_then(name);
    let free = |key: &str| bounded(text(data, key).unwrap_or_default().trim_end(), MAX_TEXT);
    let change = || event_type.rsplit('.').next().unwrap_or_default().to_owned();
    Some(match event_type {
        "incident.triggered" => Happening::Triggered,
        "incident.acknowledged" => Happening::Acknowledged,
        "incident.unacknowledged" => Happening::Unacknowledged,
        "incident.reopened" => Happening::Reopened,
        "incident.resolved" => Happening::Resolved { merged_into: merged_into(data) },
        "incident.escalated" => Happening::Escalated { to: assignees() },
        "incident.delegated" => Happening::Delegated { to: part("escalation_policy") },
        "incident.reassigned" => Happening::Reassigned { to: assignees() },
        "incident.priority_updated" => Happening::PriorityChanged { to: part("priority") },
        "incident.service_updated" => Happening::ServiceChanged { to: part("service").unwrap_or_default() },
        "incident.incident_type.changed" => Happening::TypeChanged { to: part("incident_type") },
        "incident.annotated" => Happening::Note { content: free("content") },
        "incident.status_update_published" => Happening::StatusUpdate { message: free("message") },
        "incident.responder.added" => {
            Happening::ResponderAdded { who: part("user").or_else(|| part("escalation_policy")) }
        }
        "incident.responder.replied" => Happening::ResponderReplied {
            who: part("user"),
            reply: bounded(text(data, "state").unwrap_or("replied"), MAX_WORD),
        },
        "incident.conference_bridge.updated" => Happening::ConferenceBridge { url: bridge(data) },
        "incident.custom_field_values.updated" => Happening::CustomFields { names: field_names(data) },
        "incident.role.assigned" => {
            Happening::Roles { assignments: listed(items(data, "incident_role_assignments").iter().filter_map(role)) }
        }
        "incident.task.created" | "incident.task.updated" | "incident.task.completed" => {
            Happening::Task { summary: label(data).unwrap_or_default(), change: change() }
        }
        "incident.action_invocation.created"
        | "incident.action_invocation.updated"
        | "incident.action_invocation.terminated" => {
            Happening::ActionInvocation { action: part("action"), change: change() }
        }
        "incident.workflow.started" | "incident.workflow.completed" => {
            Happening::Workflow { name: part("incident_workflow"), change: change() }
        }
        _ => return None,
    })
}

fn listed(names: impl Iterator<Item = String>) -> Vec<String> {
    names.take(MAX_LISTED).map(|name| bounded(&name, MAX_LISTED_NAME)).collect()
}

/// Where to talk: the address, else the first number. A number may come as a JSON number.
fn bridge(data: &Value) -> Option<String> {
    let number = || items(data, "conference_numbers").iter().find_map(|number| text_or_number(number, "number"));
    text(data, "conference_url").map(str::to_owned).or_else(number).map(|way| bounded(&way, MAX_TEXT))
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
