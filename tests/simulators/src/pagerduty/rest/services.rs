//! Services and priorities.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::listing::sort_by_name;
use super::{Answer, Call, INCLUDE, not_found, ok};
use crate::pagerduty::model::{Service, State};
use crate::pagerduty::references::{local_seconds, with};

pub(super) const PARAMETERS: &[&str] = &["query", "name", "sort_by", "team_ids[]", "time_zone", INCLUDE];

const INCLUDES: &[&str] = &["escalation_policies", "teams", "integrations", "auto_pause_notifications_parameters"];

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let includes = call.many_of(INCLUDE, INCLUDES)?;
    let query = call.one("query").unwrap_or_default().to_lowercase();
    let teams = call.many("team_ids[]");
    let matches = |service: &&Service| {
        !service.deleted
            && service.name.to_lowercase().contains(&query)
            && call.one("name").is_none_or(|name| name == service.name)
            && (teams.is_empty() || service.teams.iter().any(|team| teams.contains(&team.as_str())))
    };
    let mut found: Vec<&Service> = state.services.iter().filter(matches).collect();
    sort_by_name(call, &mut found, |service| service.name.clone())?;
    let found: Vec<Value> = found.into_iter().map(|service| state.rest_service_with(service, &includes)).collect();
    call.page("services", &found)
}

pub(super) fn service(state: &mut State, call: &Call<'_>) -> Answer {
    let includes = call.many_of(INCLUDE, INCLUDES)?;
    let service = state.service(call.id).ok_or_else(not_found)?;
    ok(json!({ "service": state.rest_service_with(service, &includes) }))
}

/// Most severe first.
pub(super) fn priorities(state: &mut State, call: &Call<'_>) -> Answer {
    let known: Vec<Value> = state
        .priorities
        .iter()
        .map(|priority| {
            let facts = json!({ "type": "priority", "name": priority.name, "description": "" });
            with(state.priority_reference_in_rest(&priority.id), facts)
        })
        .collect();
    call.page("priorities", &known)
}

impl State {
    /// With whole objects in the place of the references that were asked for.
    fn rest_service_with(&self, service: &Service, includes: &[&str]) -> Value {
        let policy = self.policy(&service.policy).map(|policy| self.rest_policy(policy));
        let whole = [
            ("escalation_policies", "escalation_policy", policy),
            ("teams", "teams", Some(self.whole_teams(&service.id))),
        ];
        let asked = whole.into_iter().filter(|(include, ..)| includes.contains(include));
        with(self.rest_service(service), asked.filter_map(|(_, key, whole)| Some((key.to_owned(), whole?))).collect())
    }

    /// The teams of a service.
    pub(super) fn whole_teams(&self, service: &str) -> Value {
        let whole = |team: Value| {
            let facts = json!({ "type": "team", "name": team.get("summary"), "description": null });
            with(team, facts)
        };
        self.team_references(service).into_iter().map(whole).collect()
    }

    pub(in crate::pagerduty) fn rest_service(&self, service: &Service) -> Value {
        let whole_seconds = |timeout: Option<SignedDuration>| timeout.map(|timeout| timeout.as_secs());
        let facts = json!({
            "type": "service",
            "name": service.name,
            "auto_resolve_timeout": whole_seconds(service.auto_resolve_timeout),
            "acknowledgement_timeout": whole_seconds(service.acknowledgement_timeout),
            "created_at": local_seconds(service.created_at),
            "status": "active",
            "alert_creation": "create_alerts_and_incidents",
            "integrations": [self.integration_reference(&service.id)],
            "escalation_policy": self.policy_reference(&service.policy),
            "teams": self.team_references(&service.id),
            "incident_urgency_rule": { "type": "constant", "urgency": "severity_based" },
            "support_hours": null,
            "scheduled_actions": [],
            "auto_pause_notifications_parameters": { "enabled": false, "timeout": null },
        });
        with(self.service_reference_in_rest(&service.id), facts)
    }
}
