//! What each of the 30 documented event types says, in the log's words.

use domain::ids::IncidentId;
use domain::incident::Happening;
use serde_json::Value;

use crate::wire::{MAX_TEXT, bounded, items, merged_into, name, text};

/// The event types that we ask PagerDuty for: all that are documented and can be subscribed to (webhook docs, "Overview").
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

/// The incident that an event is about. Only role assignments wrap it in an array.
pub(crate) fn incident_of(data: &Value) -> Option<IncidentId> {
    let id = if text(data, "type") == Some("incident") {
        text(data, "id")
    } else {
        let wrapped = items(data, "incident_role_assignments").first().and_then(|first| first.get("incident"));
        text(data.get("incident").or(wrapped)?, "id")
    };
    IncidentId::new(id?).ok()
}

fn names(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(name).take(10).collect()
}

fn change(event_type: &str) -> String {
    event_type.rsplit('.').next().unwrap_or_default().to_owned()
}

/// `None` for a type that is not documented.
pub(crate) fn happening(event_type: &str, data: &Value) -> Option<Happening> {
    let assignees = || names(items(data, "assignees"));
    let part = |key: &str| data.get(key).and_then(name);
    let free = |key: &str| bounded(text(data, key).unwrap_or_default().trim_end(), MAX_TEXT);
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
        "incident.responder.added" => Happening::ResponderAdded { who: part("user").or_else(|| part("escalation_policy")) },
        "incident.responder.replied" => {
            Happening::ResponderReplied { who: part("user"), reply: bounded(text(data, "state").unwrap_or("replied"), 40) }
        }
        "incident.conference_bridge.updated" => {
            Happening::ConferenceBridge { url: text(data, "conference_url").map(|url| bounded(url, MAX_TEXT)) }
        }
        "incident.custom_field_values.updated" => Happening::CustomFields { names: field_names(data) },
        "incident.role.assigned" => Happening::Roles { assignments: roles(data) },
        "incident.task.created" | "incident.task.updated" | "incident.task.completed" => {
            Happening::Task { summary: name(data).unwrap_or_default(), change: change(event_type) }
        }
        "incident.action_invocation.created" | "incident.action_invocation.updated" | "incident.action_invocation.terminated" => {
            Happening::ActionInvocation { action: part("action"), change: change(event_type) }
        }
        "incident.workflow.started" | "incident.workflow.completed" => {
            Happening::Workflow { name: part("incident_workflow"), change: change(event_type) }
        }
        _ => return None,
    })
}

fn field_names(data: &Value) -> Vec<String> {
    let changed = items(data, "changed_custom_fields");
    let fields = if changed.is_empty() { items(data, "custom_fields") } else { changed };
    fields.iter().filter_map(|field| text(field, "name")).map(|name| bounded(name, 100)).take(10).collect()
}

fn roles(data: &Value) -> Vec<String> {
    let role = |assignment: &Value| {
        let role = assignment.get("role").and_then(name)?;
        let assignee = assignment.get("assignee").and_then(name);
        Some(assignee.map_or_else(|| format!("{role}: nobody"), |person| format!("{role}: {person}")))
    };
    items(data, "incident_role_assignments").iter().filter_map(role).take(10).collect()
}
