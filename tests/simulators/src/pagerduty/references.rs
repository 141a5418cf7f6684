//! Addresses and references. Both sides of PagerDuty write them a little differently, and clients must survive that.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{Agent, Incident, State};

/// Where PagerDuty is: its API and its web pages.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    pub(super) api: String,
    pub(super) web: String,
}

/// REST gives most times in whole seconds, UTC.
pub(super) fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// REST gives some times in the account's time zone, for example those of notes and services (REST examples).
pub(super) fn local_seconds(at: Timestamp) -> String {
    const OFFSET_HOURS: i8 = -5;
    let local = jiff::tz::Offset::constant(OFFSET_HOURS).to_datetime(at);
    format!("{}-05:00", local.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Webhooks give milliseconds.
pub(super) fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A JSON `null` or the value.
pub(super) fn or_null(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

/// An object with more or other fields.
pub(super) fn with(mut value: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
    value
}

impl Links {
    pub(super) fn of(api: &str, web: &str) -> Self {
        Self { api: api.to_owned(), web: web.to_owned() }
    }

    fn reference(&self, kind: &str, id: &str, summary: &str, api: &str, web: &str) -> Value {
        json!({
            "id": id,
            "type": format!("{kind}_reference"),
            "summary": summary,
            "self": format!("{}/{api}/{id}", self.api),
            "html_url": format!("{}/{web}/{id}", self.web),
        })
    }
}

impl State {
    pub(super) fn user_reference(&self, id: &str) -> Value {
        let name = self.user(id).map_or(id, |user| user.name.as_str());
        self.passing.links.reference("user", id, name, "users", "users")
    }

    fn service_reference(&self, id: &str, web: &str) -> Value {
        let name = self.services.iter().find(|service| service.id == id).map_or(id, |service| service.name.as_str());
        self.passing.links.reference("service", id, name, "services", web)
    }

    /// REST leads to the service directory, webhooks do not (REST examples; real deliveries).
    pub(super) fn service_reference_in_rest(&self, id: &str) -> Value {
        self.service_reference(id, "service-directory")
    }

    pub(super) fn service_reference_in_webhook(&self, id: &str) -> Value {
        self.service_reference(id, "services")
    }

    pub(super) fn policy_reference(&self, id: &str) -> Value {
        let name = self.policy(id).map_or(id, |policy| policy.name.as_str());
        self.passing.links.reference("escalation_policy", id, name, "escalation_policies", "escalation_policies")
    }

    pub(super) fn team_reference(&self, id: &str) -> Value {
        let name = self.teams.iter().find(|team| team.id == id).map_or(id, |team| team.name.as_str());
        self.passing.links.reference("team", id, name, "teams", "teams")
    }

    pub(super) fn team_references(&self, service: &str) -> Vec<Value> {
        self.teams_of(service).iter().map(|id| self.team_reference(id)).collect()
    }

    pub(super) fn priority_reference_in_rest(&self, id: &str) -> Value {
        let name = self.priority(id).map_or(id, |priority| priority.name.as_str());
        let api = &self.passing.links.api;
        json!({ "id": id, "type": "priority_reference", "summary": name, "self": format!("{api}/priorities/{id}") })
    }

    pub(super) fn priority_reference_in_webhook(&self, id: &str) -> Value {
        let page = format!("{}/account/incident_priorities", self.passing.links.web);
        with(self.priority_reference_in_rest(id), json!({ "html_url": page }))
    }

    /// In webhooks a reference to an incident is labelled with its title.
    pub(super) fn incident_reference_in_webhook(&self, id: &str) -> Value {
        let title = self.incident(id).map_or(id, |incident| incident.title.as_str());
        self.passing.links.reference("incident", id, title, "incidents", "incidents")
    }

    pub(super) fn incident_reference_in_rest(&self, incident: &Incident) -> Value {
        self.passing.links.reference("incident", &incident.id, &label(incident), "incidents", "incidents")
    }

    /// The integration of a service that monitoring tools send to.
    pub(super) fn integration_reference(&self, service: &str) -> Value {
        let id = self.services.iter().find(|known| known.id == service).map_or("PINTEGR", |known| &known.integration);
        let place = format!("services/{service}/integrations");
        self.passing.links.reference("events_api_v2_inbound_integration", id, "Events API V2", &place, &place)
    }

    /// Who did it, as webhooks say it.
    pub(super) fn agent_in_webhook(&self, agent: &Agent, service: &str) -> Value {
        match agent {
            Agent::User(id) => self.user_reference(id),
            Agent::Integration => {
                let known = self.services.iter().find(|known| known.id == service);
                let id = known.map_or("PINTEGR", |known| known.integration.as_str());
                let place = format!("services/{service}/integrations");
                self.passing.links.reference("inbound_integration", id, "Events API V2", &place, &place)
            }
            Agent::Nobody => Value::Null,
        }
    }

    /// Who did it, as REST says it: whoever is no person goes by the service.
    pub(super) fn agent_in_rest(&self, agent: &Agent, service: &str) -> Value {
        match agent {
            Agent::User(id) => self.user_reference(id),
            Agent::Integration | Agent::Nobody => self.service_reference_in_rest(service),
        }
    }
}

/// How REST sums an incident up.
pub(super) fn label(incident: &Incident) -> String {
    format!("[#{}] {}", incident.number, incident.title)
}

/// A conference, as both REST and webhooks tell it.
pub(super) fn conference(incident: &Incident) -> Value {
    or_null(
        incident
            .conference
            .as_ref()
            .map(|conference| json!({ "conference_number": conference.number, "conference_url": conference.url })),
    )
}
