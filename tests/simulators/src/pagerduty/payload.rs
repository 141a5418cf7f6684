//! The JSON of things: webhooks and REST differ in small ways that clients must survive.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{Agent, Incident, Named, Note, State, Subscription, User, or_null};

pub(super) const POLICY: (&str, &str) = ("PESC001", "Default escalation policy");

/// REST gives whole seconds.
pub(super) fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// Webhooks give milliseconds.
pub(super) fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A reference; `path` is its place below both the API and the web address.
fn reference(base: &str, kind: &str, id: &str, summary: &str, api_path: &str, web_path: &str) -> Value {
    json!({
        "id": id,
        "type": format!("{kind}_reference"),
        "summary": summary,
        "self": format!("{base}/{api_path}/{id}"),
        "html_url": format!("{base}/{web_path}/{id}"),
    })
}

impl State {
    pub(super) fn user_reference(&self, base: &str, id: &str) -> Value {
        let name = self.user(id).map_or(id, |user| user.name.as_str());
        reference(base, "user", id, name, "users", "users")
    }

    fn service_reference(&self, base: &str, id: &str, web_path: &str) -> Value {
        let name = self.service(id).map_or(id, |service| service.name.as_str());
        reference(base, "service", id, name, "services", web_path)
    }

    fn priority_reference(&self, base: &str, id: &str) -> Value {
        let name =
            self.priorities.iter().find(|priority| priority.id == id).map_or(id, |priority| priority.name.as_str());
        json!({ "id": id, "type": "priority_reference", "summary": name, "self": format!("{base}/priorities/{id}") })
    }

    /// Only webhooks give priorities a web page.
    fn webhook_priority(&self, base: &str, id: &str) -> Value {
        let mut reference = self.priority_reference(base, id);
        if let Some(fields) = reference.as_object_mut() {
            fields.insert("html_url".to_owned(), json!(format!("{base}/account/incident_priorities")));
        }
        reference
    }

    pub(super) fn agent(&self, base: &str, agent: &Agent, service: &str) -> Value {
        match agent {
            Agent::User(id) => self.user_reference(base, id),
            Agent::Integration => json!({
                "id": "PINTEGR", "type": "inbound_integration_reference", "summary": "Events API V2",
                "self": format!("{base}/services/{service}/integrations/PINTEGR"),
                "html_url": format!("{base}/services/{service}/integrations/PINTEGR"),
            }),
            Agent::Nobody => Value::Null,
        }
    }

    /// `data` of an incident event.
    pub(super) fn webhook_incident(&self, base: &str, incident: &Incident) -> Value {
        json!({
            "id": incident.id,
            "type": "incident",
            "self": format!("{base}/incidents/{}", incident.id),
            "html_url": format!("{base}/incidents/{}", incident.id),
            "number": incident.number,
            "status": incident.status,
            "incident_key": incident.incident_key,
            "created_at": seconds(incident.created_at),
            "reopened_at": incident.reopened_at.map(seconds),
            "title": incident.title,
            "service": self.service_reference(base, &incident.service, "services"),
            "assignees": incident.assignees.iter().map(|id| self.user_reference(base, id)).collect::<Vec<_>>(),
            "escalation_policy": reference(base, "escalation_policy", POLICY.0, POLICY.1, "escalation_policies", "escalation_policies"),
            "teams": [],
            "priority": or_null(incident.priority.as_ref().map(|id| self.webhook_priority(base, id))),
            "urgency": incident.urgency,
            "conference_bridge": null,
            "resolve_reason": or_null(incident.merged_into.as_ref().map(|id| self.resolve_reason(base, id))),
            "incident_type": { "name": "incident_default" },
        })
    }

    fn resolve_reason(&self, base: &str, target: &str) -> Value {
        json!({ "type": "merge_resolve_reason", "incident": self.incident_reference(base, target) })
    }

    pub(super) fn incident_reference(&self, base: &str, id: &str) -> Value {
        let title = self.incident(id).map_or(id, |incident| incident.title.as_str());
        reference(base, "incident", id, title, "incidents", "incidents")
    }

    /// An incident as REST gives it.
    pub(super) fn rest_incident(&self, base: &str, incident: &Incident) -> Value {
        let assignments: Vec<Value> = incident
            .assignees
            .iter()
            .map(|id| json!({ "at": seconds(incident.updated_at), "assignee": self.user_reference(base, id) }))
            .collect();
        let acknowledgements: Vec<Value> = incident
            .acknowledgers
            .iter()
            .map(|(id, at)| json!({ "at": seconds(*at), "acknowledger": self.user_reference(base, id) }))
            .collect();
        let changed_by = match &incident.status_changed_by {
            Agent::Nobody => self.service_reference(base, &incident.service, "service-directory"),
            agent @ (Agent::User(_) | Agent::Integration) => self.agent(base, agent, &incident.service),
        };
        json!({
            "id": incident.id,
            "type": "incident",
            "summary": format!("[#{}] {}", incident.number, incident.title),
            "self": format!("{base}/incidents/{}", incident.id),
            "html_url": format!("{base}/incidents/{}", incident.id),
            "incident_number": incident.number,
            "title": incident.title,
            "created_at": seconds(incident.created_at),
            "updated_at": seconds(incident.updated_at),
            "status": incident.status,
            "incident_key": incident.incident_key,
            "service": self.service_reference(base, &incident.service, "service-directory"),
            "assignments": assignments,
            "assigned_via": "escalation_policy",
            "last_status_change_at": seconds(incident.status_changed_at),
            "last_status_change_by": changed_by,
            "resolved_at": (incident.status == super::model::Status::Resolved).then(|| seconds(incident.status_changed_at)),
            "first_trigger_log_entry": incident.log.first().map(|entry| {
                json!({
                    "id": entry.id, "type": "trigger_log_entry_reference", "summary": "Triggered",
                    "self": format!("{base}/log_entries/{}?incident_id={}", entry.id, incident.id),
                    "html_url": format!("{base}/incidents/{}/log_entries/{}", incident.id, entry.id),
                })
            }),
            "alert_counts": { "all": 0, "triggered": 0, "resolved": 0 },
            "is_mergeable": true,
            "incident_type": { "name": "incident_default" },
            "escalation_policy": reference(base, "escalation_policy", POLICY.0, POLICY.1, "escalation_policies", "escalation_policies"),
            "teams": [],
            "pending_actions": [],
            "acknowledgements": acknowledgements,
            "priority": or_null(incident.priority.as_ref().map(|id| self.priority_reference(base, id))),
            "resolve_reason": or_null(incident.merged_into.as_ref().map(|id| self.resolve_reason(base, id))),
            "urgency": incident.urgency,
        })
    }

    pub(super) fn rest_note(&self, base: &str, note: &Note) -> Value {
        json!({
            "id": note.id,
            "user": or_null(note.user.as_ref().map(|id| self.user_reference(base, id))),
            "content": note.content,
            "created_at": seconds(note.at),
            "updated_at": seconds(note.at),
            "channel": { "summary": "The PagerDuty API" },
        })
    }
}

pub(super) fn user(base: &str, user: &User) -> Value {
    json!({
        "id": user.id,
        "type": "user",
        "summary": user.name,
        "self": format!("{base}/users/{}", user.id),
        "html_url": format!("{base}/users/{}", user.id),
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "time_zone": "Etc/UTC",
        "color": "green",
        "description": null,
        "invitation_sent": false,
        "job_title": null,
    })
}

pub(super) fn service(base: &str, service: &Named) -> Value {
    json!({
        "id": service.id,
        "type": "service",
        "summary": service.name,
        "self": format!("{base}/services/{}", service.id),
        "html_url": format!("{base}/service-directory/{}", service.id),
        "name": service.name,
        "status": "active",
        "escalation_policy": reference(base, "escalation_policy", POLICY.0, POLICY.1, "escalation_policies", "escalation_policies"),
    })
}

/// `secret` is shown only when the subscription is made.
pub(super) fn subscription(subscription: &Subscription, secret: Option<&str>) -> Value {
    let filter = match &subscription.filter_id {
        Some(id) => json!({ "type": subscription.filter_type, "id": id }),
        None => json!({ "type": subscription.filter_type }),
    };
    let headers: Vec<Value> = subscription
        .custom_headers
        .iter()
        .map(|(name, _)| json!({ "name": name, "value": "-- redacted --" }))
        .collect();
    json!({
        "id": subscription.id,
        "type": "webhook_subscription",
        "active": subscription.active,
        "description": subscription.description,
        "events": subscription.events,
        "filter": filter,
        "delivery_method": {
            "id": format!("D{}", subscription.id),
            "type": "http_delivery_method",
            "url": subscription.url,
            "secret": secret,
            "custom_headers": headers,
            "temporarily_disabled": subscription.disabled_until.is_some(),
        },
    })
}
