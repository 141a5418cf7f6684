//! People and tools at work: each change queues the webhooks that the real PagerDuty sends for it.

use serde_json::{Value, json};

use super::PagerDuty;
use super::model::{Agent, Incident, LogEntry, Named, Note, State, Status, User};

impl PagerDuty {
    /// Adds a person. `role` is PagerDuty's API name, for example `admin`, `user`, `limited_user`, `observer`.
    pub fn add_user(&self, name: &str, email: &str, role: &str) -> String {
        let mut state = self.state();
        let id = state.id("PU");
        let user = User { id: id.clone(), name: name.to_owned(), email: email.to_owned(), role: role.to_owned() };
        state.users.push(user);
        id
    }

    /// Adds a service.
    pub fn add_service(&self, name: &str) -> String {
        let mut state = self.state();
        let id = state.id("PS");
        state.services.push(Named { id: id.clone(), name: name.to_owned() });
        id
    }

    /// Adds a priority, for example "P1".
    pub fn add_priority(&self, name: &str) -> String {
        let mut state = self.state();
        let id = state.id("PP");
        state.priorities.push(Named { id: id.clone(), name: name.to_owned() });
        id
    }

    /// A monitoring tool opens an incident.
    pub fn trigger(&self, service: &str, title: &str, urgency: &str) -> String {
        self.open(service, title, urgency, &Agent::Integration, None)
    }

    /// Somebody acknowledges. Acknowledging a resolved incident reopens it, as in the real one.
    pub fn acknowledge(&self, incident: &str, user: &str) {
        self.change_status(incident, Status::Acknowledged, &Agent::User(user.to_owned()));
    }

    /// Somebody resolves.
    pub fn resolve(&self, incident: &str, user: &str) {
        self.change_status(incident, Status::Resolved, &Agent::User(user.to_owned()));
    }

    /// The monitoring tool resolves by itself.
    pub fn resolve_by_integration(&self, incident: &str) {
        self.change_status(incident, Status::Resolved, &Agent::Integration);
    }

    /// Somebody reopens a resolved incident; otherwise nothing happens.
    pub fn reopen(&self, incident: &str, user: &str) {
        if self.state().incident(incident).is_some_and(|incident| incident.status == Status::Resolved) {
            self.change_status(incident, Status::Triggered, &Agent::User(user.to_owned()));
        }
    }

    /// The acknowledgement times out.
    pub fn unacknowledge(&self, incident: &str) {
        self.edit(incident, &Agent::Nobody, "unacknowledge", "incident.unacknowledged", |incident| {
            incident.status = Status::Triggered;
            incident.acknowledgers.clear();
        });
    }

    /// Somebody writes a note.
    pub fn add_note(&self, incident: &str, user: &str, text: &str) {
        self.annotate(incident, &Agent::User(user.to_owned()), text);
    }

    /// Somebody sets the priority, by its id; `None` clears it.
    pub fn set_priority(&self, incident: &str, user: &str, priority: Option<&str>) {
        let agent = Agent::User(user.to_owned());
        self.edit(incident, &agent, "priority_change", "incident.priority_updated", |incident| {
            incident.priority = priority.map(str::to_owned);
        });
    }

    /// Somebody gives it to somebody else.
    pub fn reassign(&self, incident: &str, user: &str, to: &str) {
        let agent = Agent::User(user.to_owned());
        self.edit(incident, &agent, "assign", "incident.reassigned", |incident| {
            incident.assignees = vec![to.to_owned()]
        });
    }

    /// Nobody reacted: it goes to the next person.
    pub fn escalate(&self, incident: &str, to: &str) {
        self.edit(incident, &Agent::Nobody, "escalate", "incident.escalated", |incident| {
            incident.assignees = vec![to.to_owned()];
        });
    }

    /// It moves to another service.
    pub fn move_to_service(&self, incident: &str, user: &str, service: &str) {
        let agent = Agent::User(user.to_owned());
        self.edit(incident, &agent, "service_change", "incident.service_updated", |incident| {
            service.clone_into(&mut incident.service)
        });
    }

    /// Somebody merges `source` into `target`; PagerDuty resolves the source.
    pub fn merge(&self, source: &str, target: &str, user: &str) {
        let agent = Agent::User(user.to_owned());
        let at = self.tick();
        let mut state = self.state();
        let Some(incident) = state.incident_mut(source) else { return };
        incident.merged_into = Some(target.to_owned());
        set_status(incident, Status::Resolved, &agent, at);
        drop(state);
        self.announce(source, "incident.resolved", &agent, at, None);
    }

    /// Sends any event type about an incident, with `data` of its own.
    pub fn emit(&self, event_type: &str, incident: &str, user: &str, data: Value) {
        let at = self.tick();
        self.announce(incident, event_type, &Agent::User(user.to_owned()), at, Some(data));
    }

    /// Ends every token of a person, as "Revoke all tokens" does.
    pub fn revoke_tokens(&self, user: &str) {
        let mut state = self.state();
        state.tokens.retain(|_, token| token.user.as_deref() != Some(user));
        state.refresh_tokens.retain(|_, token| token.user.as_deref() != Some(user));
    }

    pub(super) fn open(&self, service: &str, title: &str, urgency: &str, agent: &Agent, key: Option<String>) -> String {
        let at = self.tick();
        let mut state = self.state();
        let id = state.id("PI");
        let number = u64::try_from(state.incidents.len()).unwrap_or(0) + 1;
        let assignees = state.users.first().map(|user| user.id.clone()).into_iter().collect();
        let entry = log_entry(&mut state, "trigger", agent, at);
        state.incidents.push(Incident {
            id: id.clone(),
            number,
            title: title.to_owned(),
            service: service.to_owned(),
            status: Status::Triggered,
            urgency: urgency.to_owned(),
            priority: None,
            assignees,
            incident_key: key,
            created_at: at,
            updated_at: at,
            reopened_at: None,
            status_changed_at: at,
            status_changed_by: agent.clone(),
            acknowledgers: Vec::new(),
            merged_into: None,
            notes: Vec::new(),
            log: vec![entry],
        });
        drop(state);
        self.announce(&id, "incident.triggered", agent, at, None);
        id
    }

    /// Sets a status that differs from the present one and sends its event.
    pub(super) fn change_status(&self, incident: &str, wanted: Status, agent: &Agent) {
        let at = self.tick();
        let mut state = self.state();
        let Some(before) = state.incident(incident).map(|incident| incident.status) else { return };
        let again = matches!((agent, wanted), (Agent::User(user), Status::Acknowledged)
            if state.incident(incident).is_some_and(|i| !i.acknowledgers.iter().any(|(known, _)| known == user)));
        if before == wanted && !again {
            return;
        }
        let (kind, event_type) = match (before, wanted) {
            (Status::Resolved, Status::Triggered | Status::Acknowledged) => ("reopen", "incident.reopened"),
            (_, Status::Acknowledged) => ("acknowledge", "incident.acknowledged"),
            (_, Status::Resolved) => ("resolve", "incident.resolved"),
            (_, Status::Triggered) => ("unacknowledge", "incident.unacknowledged"),
        };
        let entry = log_entry(&mut state, kind, agent, at);
        let id = if let Some(incident) = state.incident_mut(incident) {
            if before == Status::Resolved {
                incident.reopened_at = Some(at);
                incident.merged_into = None;
            }
            set_status(incident, if kind == "reopen" { Status::Triggered } else { wanted }, agent, at);
            incident.log.push(entry);
            incident.id.clone()
        } else {
            return;
        };
        drop(state);
        self.announce(&id, event_type, agent, at, None);
    }

    pub(super) fn annotate(&self, incident: &str, agent: &Agent, text: &str) -> Option<Note> {
        let at = self.tick();
        let mut state = self.state();
        let user = match agent {
            Agent::User(id) => Some(id.clone()),
            Agent::Integration | Agent::Nobody => None,
        };
        let note = Note { id: state.id("PN"), user, content: text.to_owned(), at };
        let entry = log_entry(&mut state, "annotate", agent, at);
        let base = self.base_of();
        let incident = state.incident_mut(incident)?;
        incident.notes.push(note.clone());
        incident.log.push(entry);
        incident.updated_at = at;
        let id = incident.id.clone();
        let data = json!({
            "incident": state.incident_reference(&base, &id),
            "id": note.id, "content": note.content, "trimmed": false, "type": "incident_note",
        });
        drop(state);
        self.announce(&id, "incident.annotated", agent, at, Some(data));
        Some(note)
    }

    fn edit(&self, incident: &str, agent: &Agent, kind: &str, event_type: &str, change: impl FnOnce(&mut Incident)) {
        let at = self.tick();
        let mut state = self.state();
        let entry = log_entry(&mut state, kind, agent, at);
        let Some(incident) = state.incident_mut(incident) else { return };
        let before = incident.status;
        change(incident);
        incident.log.push(entry);
        incident.updated_at = at;
        if incident.status != before {
            incident.status_changed_at = at;
            incident.status_changed_by = agent.clone();
        }
        let id = incident.id.clone();
        drop(state);
        self.announce(&id, event_type, agent, at, None);
    }

    fn tick(&self) -> jiff::Timestamp {
        let now = self.now();
        self.state().tick(now)
    }

    pub(super) fn base_of(&self) -> String {
        self.base()
    }
}

fn set_status(incident: &mut Incident, status: Status, agent: &Agent, at: jiff::Timestamp) {
    incident.status = status;
    incident.updated_at = at;
    incident.status_changed_at = at;
    incident.status_changed_by = agent.clone();
    match (status, agent) {
        (Status::Acknowledged, Agent::User(user)) => incident.acknowledgers.push((user.clone(), at)),
        (Status::Acknowledged, Agent::Integration | Agent::Nobody) => {}
        (Status::Resolved, _) => {
            incident.assignees.clear();
            incident.acknowledgers.clear();
        }
        (Status::Triggered, _) => incident.acknowledgers.clear(),
    }
}

fn log_entry(state: &mut State, kind: &str, agent: &Agent, at: jiff::Timestamp) -> LogEntry {
    LogEntry { id: state.id("R"), kind: format!("{kind}_log_entry"), agent: agent.clone(), at }
}
