//! What a person would see in PagerDuty.

use serde_json::{Value, json};

use super::PagerDuty;
use super::payload;

impl PagerDuty {
    /// Every incident, newest first, as REST gives it, with its notes and log.
    #[must_use]
    pub fn incidents(&self) -> Vec<Value> {
        let base = self.base();
        let state = self.state();
        state.incidents.iter().rev().filter_map(|incident| self.whole(&state, &base, &incident.id)).collect()
    }

    /// One incident, as [`PagerDuty::incidents`] gives it.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<Value> {
        let base = self.base();
        let state = self.state();
        self.whole(&state, &base, id)
    }

    fn whole(&self, state: &super::model::State, base: &str, id: &str) -> Option<Value> {
        let incident = state.incident(id)?;
        let notes: Value = incident.notes.iter().map(|note| state.rest_note(base, note)).collect();
        let log: Value = incident
            .log
            .iter()
            .map(|entry| {
                json!({ "id": entry.id, "type": entry.kind, "created_at": payload::seconds(entry.at),
                        "agent": state.agent(base, &entry.agent, &incident.service) })
            })
            .collect();
        let mut value = state.rest_incident(base, incident);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("notes".to_owned(), notes);
            fields.insert("log".to_owned(), log);
        }
        Some(value)
    }

    /// Every person, as REST gives them.
    #[must_use]
    pub fn users(&self) -> Vec<Value> {
        let base = self.base();
        self.state().users.iter().map(|user| payload::user(&base, user)).collect()
    }

    /// Every service, as REST gives it.
    #[must_use]
    pub fn services(&self) -> Vec<Value> {
        let base = self.base();
        self.state().services.iter().map(|service| payload::service(&base, service)).collect()
    }

    /// Every priority: id and name.
    #[must_use]
    pub fn priorities(&self) -> Vec<(String, String)> {
        self.state().priorities.iter().map(|priority| (priority.id.clone(), priority.name.clone())).collect()
    }

    /// The person with this address.
    #[must_use]
    pub fn user_with_email(&self, email: &str) -> Option<String> {
        self.state().users.iter().find(|user| user.email == email).map(|user| user.id.clone())
    }

    /// The service with this name.
    #[must_use]
    pub fn service_named(&self, name: &str) -> Option<String> {
        self.state().services.iter().find(|service| service.name == name).map(|service| service.id.clone())
    }
}
