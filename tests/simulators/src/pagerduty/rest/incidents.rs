//! One incident, as REST gives it.

use serde_json::{Value, json};

use super::{Answer, Call, INCLUDE, not_found, ok, text};
use crate::pagerduty::alerts::counts;
use crate::pagerduty::model::{Incident, State, Status};
use crate::pagerduty::references::{conference, label, or_null, seconds, with};

/// What a list of incidents can include; a single one also has `custom_fields`.
pub(super) const INCLUDES: &[&str] = &[
    "acknowledgers",
    "agents",
    "assignees",
    "conference_bridge",
    "escalation_policies",
    "first_trigger_log_entries",
    "priorities",
    "services",
    "teams",
    "users",
];

pub(super) fn incident(state: &mut State, call: &Call<'_>) -> Answer {
    let mut includes = call.many(INCLUDE);
    let with_fields = includes.contains(&"custom_fields");
    if !with_fields {
        includes = call.many_of(INCLUDE, INCLUDES)?;
    }
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    let value = state.rest_incident_with(incident, &includes);
    let value = if with_fields { with(value, json!({ "custom_fields": [] })) } else { value };
    ok(json!({ "incident": value }))
}

impl State {
    pub(in crate::pagerduty) fn rest_incident(&self, incident: &Incident) -> Value {
        let links = &self.passing.links;
        let assignments: Vec<Value> = incident
            .assignments
            .iter()
            .map(|one| json!({ "at": seconds(one.at), "assignee": self.user_reference(&one.user) }))
            .collect();
        let acknowledgements: Vec<Value> = incident
            .acknowledgements
            .iter()
            .map(|one| json!({ "at": seconds(one.at), "acknowledger": self.user_reference(&one.user) }))
            .collect();
        let is_resolved = incident.status == Status::Resolved;
        // A triggered incident repeats the time of its last change of any kind (REST docs, "Incident").
        let is_triggered = incident.status == Status::Triggered;
        let changed_at = if is_triggered { incident.updated_at } else { incident.status_changed_at };
        let first = incident.log.first();
        let (triggered, resolved) = counts(incident);
        json!({
            "id": incident.id,
            "type": "incident",
            "summary": label(incident),
            "self": format!("{}/incidents/{}", links.api, incident.id),
            "html_url": format!("{}/incidents/{}", links.web, incident.id),
            "incident_number": incident.number,
            "title": incident.title,
            "created_at": seconds(incident.created_at),
            "updated_at": seconds(incident.updated_at),
            "status": incident.status,
            "incident_key": incident.incident_key,
            "service": self.service_reference_in_rest(&incident.service),
            "assignments": assignments,
            "assigned_via": if incident.directly_assigned { "direct_assignment" } else { "escalation_policy" },
            "last_status_change_at": seconds(changed_at),
            "last_status_change_by": self.agent_in_rest(&incident.status_changed_by, &incident.service),
            "resolved_at": is_resolved.then(|| seconds(incident.status_changed_at)),
            "first_trigger_log_entry": first.map(|entry| self.entry_reference(incident, entry)),
            "alert_counts": { "all": triggered + resolved, "triggered": triggered, "resolved": resolved },
            "is_mergeable": incident.manual || triggered + resolved > 0,
            "incident_type": { "name": incident.incident_type },
            "escalation_policy": self.policy_reference(&incident.policy),
            "teams": self.team_references(&incident.service),
            "pending_actions": self.pending_actions(incident),
            "acknowledgements": acknowledgements,
            "alert_grouping": null,
            "priority": or_null(incident.priority.as_ref().map(|id| self.priority_reference_in_rest(id))),
            "resolve_reason": or_null(incident.merged_into.as_ref().and_then(|id| self.incident(id)).map(|target| {
                json!({ "type": "merge_resolve_reason", "incident": self.incident_reference_in_rest(target) })
            })),
            "incidents_responders": self.incidents_responders(incident),
            "responder_requests": self.responder_requests(incident),
            "urgency": incident.urgency,
        })
    }

    /// With whole objects in the place of the references that were asked for.
    pub(super) fn rest_incident_with(&self, incident: &Incident, includes: &[&str]) -> Value {
        let mut value = self.rest_incident(incident);
        let has = |name: &str| includes.contains(&name);
        let whole_user = |reference: &mut Value| {
            if let Some(user) = text(reference, "id").and_then(|id| self.user(id)) {
                *reference = self.rest_user(user);
            }
        };
        for (list, part, include) in
            [("assignments", "assignee", "assignees"), ("acknowledgements", "acknowledger", "acknowledgers")]
        {
            if has(include) || has("users") {
                let entries = value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
                entries.filter_map(|entry| entry.get_mut(part)).for_each(whole_user);
            }
        }
        if has("agents") || has("users") {
            value.get_mut("last_status_change_by").into_iter().for_each(whole_user);
        }
        let policy = self.policy(&incident.policy).map(|policy| self.rest_policy(policy));
        let priority = incident.priority.as_ref().map(|id| {
            let name = self.priority(id).map(|known| known.name.as_str());
            with(self.priority_reference_in_rest(id), json!({ "type": "priority", "name": name }))
        });
        let whole = [
            ("escalation_policies", "escalation_policy", policy),
            ("teams", "teams", Some(self.whole_teams(&incident.service))),
            ("services", "service", self.service(&incident.service).map(|service| self.rest_service(service))),
            ("priorities", "priority", priority),
            ("conference_bridge", "conference_bridge", Some(conference(incident))),
            (
                "first_trigger_log_entries",
                "first_trigger_log_entry",
                incident.log.first().map(|entry| self.whole_log_entry(incident, entry)),
            ),
        ];
        let asked = whole.into_iter().filter(|(include, ..)| has(include));
        with(value, asked.filter_map(|(_, key, whole)| Some((key.to_owned(), whole?))).collect())
    }
}
