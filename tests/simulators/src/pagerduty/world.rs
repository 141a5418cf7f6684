//! The account: its people, services and policies, and what a test or the local page wants to see of it.

use serde_json::{Value, json};

use super::PagerDuty;
use super::ids::routing_key;
use super::model::{Agent, Level, LogEntry, Named, Policy, Role, Service, State, User};
use super::references::{seconds, with};

impl PagerDuty {
    /// Adds a person. `role` is PagerDuty's API name, for example `admin`, `user`, `limited_user`, `observer`. The first two
    /// who may respond are on call for the default escalation policy.
    pub fn add_user(&self, name: &str, email: &str, role: &str) -> String {
        self.act("add_user", |state| {
            let role = Role::named(role).ok_or_else(|| format!("role {role}"))?;
            let id = state.ids.thing();
            state.users.push(User { id: id.clone(), name: name.to_owned(), email: email.to_owned(), role });
            let policy = state.default_policy();
            if let Some(policy) = state.policies.iter_mut().find(|known| known.id == policy)
                && role.responds()
                && policy.levels.len() < 2
            {
                let level = Level { id: state.ids.thing(), users: vec![id.clone()] };
                policy.levels.push(level);
            }
            Ok(id)
        })
    }

    /// Adds a person of another account ([`super::FOREIGN_ACCOUNT`]): they can log in, but with their tokens nothing of this
    /// account is found.
    pub fn add_foreign_user(&self, name: &str, email: &str, role: &str) -> String {
        self.act("add_foreign_user", |state| {
            let role = Role::named(role).ok_or_else(|| format!("role {role}"))?;
            let id = state.ids.thing();
            state.foreigners.push(User { id: id.clone(), name: name.to_owned(), email: email.to_owned(), role });
            Ok(id)
        })
    }

    /// Gives a person another base role.
    pub fn set_role(&self, user: &str, role: &str) {
        self.act("set_role", |state| {
            let role = Role::named(role).ok_or_else(|| format!("role {role}"))?;
            let known = state.users.iter_mut().find(|known| known.id == user);
            known.ok_or_else(|| format!("user {user}"))?.role = role;
            Ok(user.to_owned())
        });
    }

    /// Adds a team.
    pub fn add_team(&self, name: &str) -> String {
        let mut state = self.lock();
        let id = state.ids.thing();
        state.teams.push(Named { id: id.clone(), name: name.to_owned() });
        id
    }

    /// Adds a service, with the default escalation policy and without a team.
    pub fn add_service(&self, name: &str) -> String {
        let mut state = self.lock();
        let (id, integration) = (state.ids.thing(), state.ids.thing());
        let policy = state.default_policy();
        let created_at = state.passing.now;
        let name = name.to_owned();
        let service = Service {
            id: id.clone(),
            name,
            policy,
            teams: vec![],
            integration,
            created_at,
            deleted: false,
            acknowledgement_timeout: None,
            auto_resolve_timeout: None,
        };
        state.services.push(service);
        state.announce_service(&id, "service.created", &Agent::Nobody);
        id
    }

    /// Gives a service to a team.
    pub fn put_in_team(&self, service: &str, team: &str) {
        self.with_service("put_in_team", service, "service.updated", |known| known.teams.push(team.to_owned()));
    }

    /// Gives a service another escalation policy, for incidents from now on.
    pub fn use_policy(&self, service: &str, policy: &str) {
        self.with_service("use_policy", service, "service.updated", |known| policy.clone_into(&mut known.policy));
    }

    /// Renames a service.
    pub fn rename_service(&self, service: &str, name: &str) {
        self.with_service("rename_service", service, "service.updated", |known| name.clone_into(&mut known.name));
    }

    /// Deletes a service. Its incidents stay.
    pub fn delete_service(&self, service: &str) {
        self.with_service("delete_service", service, "service.deleted", |known| known.deleted = true);
    }

    /// Adds an escalation policy: who is on call at each level.
    pub fn add_policy(&self, name: &str, levels: &[&[&str]]) -> String {
        let mut state = self.lock();
        // The account's own policy comes first.
        state.default_policy();
        let id = state.ids.thing();
        let levels = levels
            .iter()
            .map(|users| Level { id: state.ids.thing(), users: users.iter().map(|user| (*user).to_owned()).collect() })
            .collect();
        state.policies.push(Policy { id: id.clone(), name: name.to_owned(), levels });
        id
    }

    /// Adds a priority, for example "P1". The first one added is the most severe.
    pub fn add_priority(&self, name: &str) -> String {
        let mut state = self.lock();
        let id = state.ids.thing();
        state.priorities.push(Named { id: id.clone(), name: name.to_owned() });
        id
    }

    /// Every incident, newest first, as REST gives it, with its notes and log.
    #[must_use]
    pub fn incidents(&self) -> Vec<Value> {
        let state = self.lock();
        state.incidents.iter().rev().filter_map(|incident| whole(&state, &incident.id)).collect()
    }

    /// One incident, as [`PagerDuty::incidents`] gives it.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<Value> {
        whole(&self.lock(), id)
    }

    /// Every person, as REST gives them.
    #[must_use]
    pub fn users(&self) -> Vec<Value> {
        let state = self.lock();
        state.users.iter().map(|user| state.rest_user(user)).collect()
    }

    /// Every service, as REST gives it.
    #[must_use]
    pub fn services(&self) -> Vec<Value> {
        let state = self.lock();
        state.services.iter().filter(|service| !service.deleted).map(|service| state.rest_service(service)).collect()
    }

    /// Every priority: id and name.
    #[must_use]
    pub fn priorities(&self) -> Vec<(String, String)> {
        self.lock().priorities.iter().map(|priority| (priority.id.clone(), priority.name.clone())).collect()
    }

    /// The person with this address.
    #[must_use]
    pub fn user_with_email(&self, email: &str) -> Option<String> {
        self.lock().user_with_email(email).map(|user| user.id.clone())
    }

    /// The service with this name.
    #[must_use]
    pub fn service_named(&self, name: &str) -> Option<String> {
        let state = self.lock();
        state.services.iter().find(|known| known.name == name && !known.deleted).map(|known| known.id.clone())
    }

    /// The key that monitoring tools send events to this service with.
    #[must_use]
    pub fn routing_key(&self, service: &str) -> Option<String> {
        let state = self.lock();
        state.service(service).map(|known| routing_key(&known.integration))
    }

    fn with_service(&self, what: &str, service: &str, event_type: &str, change: impl FnOnce(&mut Service)) {
        self.act(what, |state| {
            let known = state.services.iter_mut().find(|known| known.id == service && !known.deleted);
            change(known.ok_or_else(|| service.to_owned())?);
            state.announce_service(service, event_type, &Agent::Nobody);
            Ok(String::new())
        });
    }
}

impl State {
    pub(super) fn routing_key(&self, service: &str) -> Option<String> {
        let known = self.services.iter().find(|known| known.id == service);
        known.map(|known| routing_key(&known.integration))
    }

    /// Every account has one policy from the start; here it is made when it is first needed.
    pub(super) fn default_policy(&mut self) -> String {
        if let Some(policy) = self.policies.first() {
            return policy.id.clone();
        }
        let id = self.ids.thing();
        self.policies.push(Policy { id: id.clone(), name: "Default".to_owned(), levels: vec![] });
        id
    }
}

fn whole(state: &State, id: &str) -> Option<Value> {
    let incident = state.incident(id)?;
    let notes: Vec<Value> = incident.notes.iter().map(|note| state.rest_note(incident, note)).collect();
    let entry = |entry: &LogEntry| {
        json!({ "id": entry.id, "type": entry.kind, "created_at": seconds(entry.at),
                "agent": state.agent_in_webhook(&entry.agent, &incident.service) })
    };
    let log: Vec<Value> = incident.log.iter().map(entry).collect();
    Some(with(state.rest_incident(incident), json!({ "notes": notes, "log": log })))
}
