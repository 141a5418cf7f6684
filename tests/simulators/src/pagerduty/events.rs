//! The 30 documented event types (webhook docs, "Overview") and the `data` that each carries.

use serde_json::{Value, json};

use super::model::{Agent, Incident, Note, State};
use super::references::{conference, or_null, seconds, with};

/// PagerDuty trims long notes and status updates and says so in `trimmed`; from which length is not documented.
const TRIMMED_FROM: usize = 4096;

/// What kind of object an event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Incident,
    Note,
    StatusUpdate,
    Responder,
    ConferenceBridge,
    FieldValues,
    RoleAssignment,
    Task,
    ActionInvocation,
    WorkflowInstance,
    Service,
    ServiceFieldValues,
}

/// Every type that can be subscribed to; `pagey.ping` cannot.
const EVENTS: &[(&str, Data)] = &[
    ("incident.acknowledged", Data::Incident),
    ("incident.action_invocation.created", Data::ActionInvocation),
    ("incident.action_invocation.terminated", Data::ActionInvocation),
    ("incident.action_invocation.updated", Data::ActionInvocation),
    ("incident.annotated", Data::Note),
    ("incident.conference_bridge.updated", Data::ConferenceBridge),
    ("incident.custom_field_values.updated", Data::FieldValues),
    ("incident.delegated", Data::Incident),
    ("incident.escalated", Data::Incident),
    ("incident.incident_type.changed", Data::Incident),
    ("incident.priority_updated", Data::Incident),
    ("incident.reassigned", Data::Incident),
    ("incident.reopened", Data::Incident),
    ("incident.resolved", Data::Incident),
    ("incident.responder.added", Data::Responder),
    ("incident.responder.replied", Data::Responder),
    ("incident.role.assigned", Data::RoleAssignment),
    ("incident.service_updated", Data::Incident),
    ("incident.status_update_published", Data::StatusUpdate),
    ("incident.task.completed", Data::Task),
    ("incident.task.created", Data::Task),
    ("incident.task.updated", Data::Task),
    ("incident.triggered", Data::Incident),
    ("incident.unacknowledged", Data::Incident),
    ("incident.workflow.completed", Data::WorkflowInstance),
    ("incident.workflow.started", Data::WorkflowInstance),
    ("service.created", Data::Service),
    ("service.custom_field_values.updated", Data::ServiceFieldValues),
    ("service.deleted", Data::Service),
    ("service.updated", Data::Service),
];

/// The names of the event types, so that a test can compare them with the product's.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().map(|(name, _)| *name)
}

pub(super) fn data_of(event_type: &str) -> Option<Data> {
    EVENTS.iter().find(|(name, _)| *name == event_type).map(|(_, data)| *data)
}

/// Subscribing to an event needs the scope to read what it tells (webhook docs, "Overview").
pub(super) fn scope_for(event_type: &str) -> &'static str {
    match data_of(event_type) {
        Some(Data::WorkflowInstance) => "incident_workflows.read",
        Some(Data::Service | Data::ServiceFieldValues) => "services.read",
        _ => "incidents.read",
    }
}

/// The text as webhooks carry it, and whether it was cut.
fn trimmed(text: &str) -> (String, bool) {
    (text.chars().take(TRIMMED_FROM).collect(), text.chars().nth(TRIMMED_FROM).is_some())
}

impl State {
    /// `data` of the eleven types that carry the whole incident.
    pub(super) fn incident_data(&self, incident: &Incident) -> Value {
        let links = &self.passing.links;
        json!({
            "id": incident.id,
            "type": "incident",
            "self": format!("{}/incidents/{}", links.api, incident.id),
            "html_url": format!("{}/incidents/{}", links.web, incident.id),
            "number": incident.number,
            "status": incident.status,
            "incident_key": incident.incident_key,
            "created_at": seconds(incident.created_at),
            "reopened_at": incident.reopened_at.map(seconds),
            "title": incident.title,
            "service": self.service_reference_in_webhook(&incident.service),
            "assignees": incident.assignments.iter().map(|one| self.user_reference(&one.user)).collect::<Vec<_>>(),
            "escalation_policy": self.policy_reference(&incident.policy),
            "teams": self.team_references(&incident.service),
            "priority": or_null(incident.priority.as_ref().map(|id| self.priority_reference_in_webhook(id))),
            "urgency": incident.urgency,
            "conference_bridge": conference(incident),
            "resolve_reason": or_null(incident.merged_into.as_ref().map(|target| {
                json!({ "type": "merge_resolve_reason", "incident": self.incident_reference_in_webhook(target) })
            })),
            "incident_type": { "name": incident.incident_type },
        })
    }

    pub(super) fn note_data(&self, incident: &Incident, note: &Note) -> Value {
        let (content, cut) = trimmed(&note.content);
        json!({
            "incident": self.incident_reference_in_webhook(&incident.id),
            "id": note.id, "content": content, "trimmed": cut, "type": "incident_note",
        })
    }

    pub(super) fn status_update_data(&mut self, incident: &Incident, message: &str) -> Value {
        let (message, cut) = trimmed(message);
        json!({
            "incident": self.incident_reference_in_webhook(&incident.id),
            "id": self.ids.thing(), "message": message, "trimmed": cut, "type": "incident_status_update",
        })
    }

    /// `state` is `pending` for a request; replies name no escalation policy (real deliveries).
    pub(super) fn responder_data(&self, incident: &Incident, user: &str, message: &str, state: &str) -> Value {
        let policy = (state == "pending").then(|| self.policy_reference(&incident.policy));
        json!({
            "incident": self.incident_reference_in_webhook(&incident.id),
            "user": self.user_reference(user),
            "escalation_policy": policy,
            "message": message, "state": state, "type": "incident_responder",
        })
    }

    pub(super) fn conference_data(&self, incident: &Incident) -> Value {
        let known = incident.conference.as_ref();
        let numbers = known.and_then(|known| known.number.as_ref());
        json!({
            "incident": self.incident_reference_in_webhook(&incident.id),
            "conference_numbers": numbers.map(|number| json!([{ "label": "", "number": number }])),
            "conference_url": known.and_then(|known| known.url.as_ref()),
            "type": "incident_conference_bridge",
        })
    }

    pub(super) fn service_data(&self, id: &str) -> Value {
        with(
            self.service_reference_in_webhook(id),
            json!({ "type": "service", "alert_creation": "create_alerts_and_incidents", "teams": self.team_references(id) }),
        )
    }

    /// `data` of any type, made up where the incident itself does not give it; `None` for an unknown type or incident.
    pub(super) fn sample_data(&mut self, event_type: &str, incident: &str) -> Option<Value> {
        let incident = self.incident(incident)?.clone();
        let somebody = incident.assignments.first().map(|one| one.user.clone());
        let somebody = somebody.or_else(|| self.users.first().map(|user| user.id.clone())).unwrap_or_default();
        Some(match data_of(event_type)? {
            Data::Incident => self.incident_data(&incident),
            Data::Note => {
                let sample = || Note {
                    id: "PNOTE01".to_owned(),
                    agent: Agent::Nobody,
                    content: "Looking into it".to_owned(),
                    at: incident.created_at,
                };
                self.note_data(&incident, &incident.notes.last().cloned().unwrap_or_else(sample))
            }
            Data::StatusUpdate => self.status_update_data(&incident, "We are working on it"),
            Data::Responder if event_type == "incident.responder.added" => {
                self.responder_data(&incident, &somebody, "Please help", "pending")
            }
            Data::Responder => self.responder_data(&incident, &somebody, "On my way\n", "accepted"),
            Data::ConferenceBridge => self.conference_data(&incident),
            Data::FieldValues => Self::field_values_data("incident", &self.nameless(&incident.id)),
            Data::RoleAssignment => self.role_data(&incident, &somebody),
            Data::Task => self.task_data(event_type, &incident, &somebody),
            Data::ActionInvocation => self.invocation_data(event_type, &incident),
            Data::WorkflowInstance => self.workflow_data(&incident),
            Data::Service => self.service_data(&incident.service),
            Data::ServiceFieldValues => {
                let service = self.service_reference_in_webhook(&incident.service);
                Self::field_values_data("service", &with(service, json!({ "summary": null })))
            }
        })
    }

    /// Some types refer to the incident without its title (webhook docs).
    fn nameless(&self, incident: &str) -> Value {
        with(self.incident_reference_in_webhook(incident), json!({ "summary": null }))
    }

    /// The namespace of a field is told for incidents only (webhook docs).
    fn field_values_data(of: &str, reference: &Value) -> Value {
        let field = |value: &str| {
            let field = json!({ "data_type": "string", "field_type": "single_value", "id": "PFIELD1",
                                "name": "environment", "type": "field_value", "value": value });
            if of == "incident" { with(field, json!({ "namespace": "incidents" })) } else { field }
        };
        json!({
            of: reference,
            "custom_fields": [field("production")],
            "changed_custom_fields": [field("staging")],
            "type": format!("{of}_field_values"),
        })
    }

    fn role_data(&mut self, incident: &Incident, user: &str) -> Value {
        json!({ "type": "incident_role_assignment", "incident_role_assignments": [{
            "assignee": self.user_reference(user),
            "id": self.ids.uuid(),
            "incident": self.nameless(&incident.id),
            "old_assignee": null,
            "role": { "id": "PROLE01", "summary": "Incident Commander", "type": "role_reference" },
            "status": "active",
            "type": "role_assignment_reference",
        }]})
    }

    fn task_data(&self, event_type: &str, incident: &Incident, user: &str) -> Value {
        let status = if event_type.ends_with(".completed") { "completed" } else { "todo" };
        json!({
            "name": "Tell the customers", "description": "By the status page", "id": "PTASK01",
            "summary": "Tell the customers", "type": "incident_task", "status": status,
            "assignees": [self.user_reference(user)], "incident": self.nameless(&incident.id),
        })
    }

    fn invocation_data(&mut self, event_type: &str, incident: &Incident) -> Value {
        let (action, id) = ("01ACTION00000000000000000A", self.ids.ulid(incident.created_at));
        let (api, web) = (self.passing.links.api.clone(), self.passing.links.web.clone());
        let state = match event_type.rsplit('.').next() {
            Some("updated") => "running",
            Some("terminated") => "completed",
            _ => "created",
        };
        json!({
            "id": id,
            "self": format!("{api}/automation/invocations/{id}"),
            "html_url": format!("{web}/rundeck-actions/actions/{action}/invocations/{id}/report"),
            "incident": self.incident_reference_in_webhook(&incident.id),
            "action": {
                "id": action, "type": "action_reference", "summary": "Restart the primary",
                "self": format!("{api}/automation/actions/{action}"),
                "html_url": format!("{web}/rundeck-actions/actions/{action}"),
            },
            "state": state,
            "type": "incident_action_invocation",
        })
    }

    fn workflow_data(&mut self, incident: &Incident) -> Value {
        let (workflow, trigger) = ("PWORKFL", self.ids.uuid());
        let (api, web) = (&self.passing.links.api, &self.passing.links.web);
        json!({
            "id": "PWFINST",
            "type": "incident_workflow_instance",
            "summary": "",
            "incident_workflow": {
                "id": workflow, "type": "incident_workflow_reference", "summary": "Major incident",
                "self": format!("{api}/incident_workflows/{workflow}"),
                "html_url": format!("{web}/incident-workflows/workflows/{workflow}"),
            },
            "workflow_trigger": {
                "id": trigger, "type": "workflow_trigger_reference", "summary": "By hand",
                "self": format!("{api}/incident_workflows/triggers/{trigger}"), "html_url": null,
            },
            "incident": self.incident_reference_in_webhook(&incident.id),
            "service": self.service_reference_in_webhook(&incident.service),
        })
    }
}
