//! What happens to incidents, whoever makes it happen: the change itself, its log entry and its webhooks.
//!
//! Every function here expects ids that exist; the callers check.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::alerts::NewAlert;
use super::model::{Agent, Conference, Incident, LogEntry, Note, Request, Since, State, Status};
use super::webhooks::Happening;

/// An incident that is about to be opened.
pub(super) struct Opening<'a> {
    pub(super) service: &'a str,
    pub(super) title: &'a str,
    pub(super) urgency: &'a str,
    pub(super) priority: Option<String>,
    pub(super) incident_type: &'a str,
    pub(super) policy: Option<String>,
    /// Assigned by name instead of by policy.
    pub(super) assignee: Option<String>,
    pub(super) key: Option<String>,
    pub(super) conference: Option<Conference>,
    pub(super) agent: Agent,
    /// Comes from a monitoring tool and not from a person or REST.
    pub(super) monitored: bool,
    pub(super) client: Value,
    /// What the tool says.
    pub(super) alert: NewAlert,
    /// What a person says besides the title.
    pub(super) body: Option<&'a str>,
}

impl<'a> Opening<'a> {
    pub(super) fn new(service: &'a str, title: &'a str, urgency: &'a str, agent: Agent) -> Self {
        Self {
            service,
            title,
            urgency,
            priority: None,
            incident_type: "incident_default",
            policy: None,
            assignee: None,
            key: None,
            conference: None,
            agent,
            monitored: true,
            client: Value::Null,
            alert: NewAlert::default(),
            body: None,
        }
    }
}

impl State {
    pub(super) fn open(&mut self, opening: Opening<'_>) -> String {
        let at = self.tick();
        let id = self.ids.long();
        let policy = opening.policy.or_else(|| self.service(opening.service).map(|service| service.policy.clone()));
        let policy = policy.unwrap_or_default();
        let users = opening.assignee.clone().map_or_else(|| self.on_call(&policy, 1), |user| vec![user]);
        // Incidents of the Events API have no key of their own; all others get one.
        let key = if opening.monitored { None } else { opening.key.or_else(|| Some(self.ids.incident_key())) };
        let mut entry = self.entry("trigger", &opening.agent, at, None);
        let alert = opening.monitored.then(|| {
            let about = (opening.service, opening.title, opening.urgency);
            self.first_alert(opening.alert, about, &entry)
        });
        entry.channel = Some(alert.as_ref().map_or_else(
            || web_trigger(opening.title, opening.body.unwrap_or_default()),
            |alert| self.api_channel(alert),
        ));
        let number = u64::try_from(self.incidents.len()).unwrap_or_default() + 1;
        self.incidents.push(Incident {
            id: id.clone(),
            number,
            title: opening.title.to_owned(),
            service: opening.service.to_owned(),
            policy,
            level: 1,
            status: Status::Triggered,
            urgency: opening.urgency.to_owned(),
            priority: opening.priority,
            incident_type: opening.incident_type.to_owned(),
            assignments: since(users, at),
            directly_assigned: opening.assignee.is_some(),
            incident_key: key,
            alerts: alert.into_iter().collect(),
            manual: !opening.monitored,
            conference: opening.conference,
            created_at: at,
            updated_at: at,
            reopened_at: None,
            status_changed_at: at,
            status_changed_by: opening.agent.clone(),
            acknowledgements: Vec::new(),
            merged_into: None,
            notes: Vec::new(),
            log: vec![entry],
            noise: Vec::new(),
            pending_actions: None,
            requests: Vec::new(),
            context: BTreeMap::new(),
        });
        self.note_first_assignment(&id, at);
        let data = self.incident(&id).map(|incident| self.incident_data(incident)).unwrap_or_default();
        let (agent, client) = (&opening.agent, opening.client);
        self.announce_with(&id, &Happening { event_type: "incident.triggered", agent, at, client, data });
        // Whoever opens an incident for themselves has it already (REST docs; real deliveries 130 ms apart).
        if let (Agent::User(user), Some(assignee)) = (agent, &opening.assignee)
            && user == assignee
        {
            self.set_status(&id, Status::Acknowledged, agent, None);
        }
        id
    }

    /// Brings an incident into a status; nothing happens if that changes nothing. The status `Acknowledged` reopens a
    /// resolved incident just as `Triggered` does (REST docs, "Update an incident").
    pub(super) fn set_status(&mut self, id: &str, wanted: Status, agent: &Agent, resolution: Option<String>) {
        let Some(incident) = self.incident(id) else { return };
        match (incident.status, wanted) {
            (Status::Triggered, Status::Triggered) | (Status::Resolved, Status::Resolved) => {}
            (_, Status::Resolved) => self.resolve(id, agent, resolution),
            (Status::Resolved, Status::Triggered) => self.reopen(id, agent),
            (Status::Resolved, Status::Acknowledged) => {
                self.reopen(id, agent);
                self.acknowledge(id, agent);
            }
            (Status::Acknowledged, Status::Acknowledged) if has_acknowledged(incident, agent) => {}
            (_, Status::Acknowledged) => self.acknowledge(id, agent),
            (Status::Acknowledged, Status::Triggered) => self.unacknowledge(id, agent),
        }
    }

    fn resolve(&mut self, id: &str, agent: &Agent, resolution: Option<String>) {
        self.change(id, agent, "resolve", "incident.resolved", resolution, |incident, at| {
            incident.status = Status::Resolved;
            incident.assignments.clear();
            incident.acknowledgements.clear();
            for alert in incident.alerts.iter_mut().filter(|alert| alert.resolved_at.is_none()) {
                alert.resolved_at = Some(at);
            }
        });
    }

    /// Triggered again, and assigned by its escalation policy. What becomes of its alerts is not documented; an open
    /// incident that only has resolved ones would be the odder reading.
    fn reopen(&mut self, id: &str, agent: &Agent) {
        let policy = self.incident(id).map(|incident| incident.policy.clone()).unwrap_or_default();
        let users = self.on_call(&policy, 1);
        self.change(id, agent, "reopen", "incident.reopened", None, |incident, at| {
            incident.status = Status::Triggered;
            incident.reopened_at = Some(at);
            incident.merged_into = None;
            incident.level = 1;
            incident.directly_assigned = false;
            incident.assignments = since(users, at);
            incident.alerts.iter_mut().for_each(|alert| alert.resolved_at = None);
        });
    }

    /// The incident then belongs to those who have acknowledged it.
    fn acknowledge(&mut self, id: &str, agent: &Agent) {
        self.change(id, agent, "acknowledge", "incident.acknowledged", None, |incident, at| {
            incident.status = Status::Acknowledged;
            if let Agent::User(user) = agent {
                incident.acknowledgements.push(Since { user: user.clone(), at });
                incident.assignments = incident.acknowledgements.clone();
            }
        });
    }

    pub(super) fn unacknowledge(&mut self, id: &str, agent: &Agent) {
        self.change(id, agent, "unacknowledge", "incident.unacknowledged", None, |incident, _| {
            incident.status = Status::Triggered;
            incident.acknowledgements.clear();
        });
    }

    /// The source is resolved by whoever merged, and its alerts move (real deliveries).
    pub(super) fn merge_into(&mut self, source: &str, target: &str, agent: &Agent) {
        let Some(target) = self.incident(target).map(|target| target.id.clone()) else { return };
        let Some(alerts) = self.incident_mut(source).map(|source| std::mem::take(&mut source.alerts)) else { return };
        if let Some(target) = self.incident_mut(&target) {
            target.alerts.extend(alerts);
            target.alerts.sort_by_key(|alert| alert.created_at);
        }
        self.change(source, agent, "resolve", "incident.resolved", None, |incident, _| {
            incident.status = Status::Resolved;
            incident.assignments.clear();
            incident.acknowledgements.clear();
            incident.merged_into = Some(target);
        });
    }

    pub(super) fn annotate(&mut self, id: &str, agent: &Agent, content: &str) -> Option<Note> {
        let at = self.tick();
        let note = Note { id: self.ids.thing(), agent: agent.clone(), content: content.to_owned(), at };
        let entry = self.entry("annotate", agent, at, Some(content.to_owned()));
        let incident = self.incident_mut(id)?;
        incident.notes.push(note.clone());
        incident.log.push(entry);
        incident.updated_at = at;
        let incident = incident.clone();
        let data = self.note_data(&incident, &note);
        let event_type = "incident.annotated";
        self.announce_with(id, &Happening { event_type, agent, at, client: Value::Null, data });
        Some(note)
    }

    pub(super) fn set_priority(&mut self, id: &str, agent: &Agent, priority: Option<String>) {
        if self.incident(id).is_none_or(|incident| incident.priority == priority) {
            return;
        }
        let old = self.incident(id).and_then(|incident| incident.priority.clone());
        let changed = field("priority", priority.as_deref(), old.as_deref());
        self.change(id, agent, "priority_change", "incident.priority_updated", None, |incident, _| {
            incident.priority = priority;
        });
        self.say_of_the_last(id, "priority_change", &changed);
    }

    pub(super) fn assign(&mut self, id: &str, agent: &Agent, users: Vec<String>) {
        self.change(id, agent, "assign", "incident.reassigned", None, |incident, at| {
            incident.assignments = since(users, at);
            incident.directly_assigned = true;
        });
    }

    /// To others of the same policy.
    pub(super) fn escalate(&mut self, id: &str, agent: &Agent, level: usize, users: Vec<String>) {
        self.change(id, agent, "escalate", "incident.escalated", None, |incident, at| {
            incident.level = level;
            incident.assignments = since(users, at);
            incident.directly_assigned = false;
        });
    }

    /// To another policy.
    pub(super) fn delegate(&mut self, id: &str, agent: &Agent, policy: &str) {
        let users = self.on_call(policy, 1);
        self.change(id, agent, "delegate", "incident.delegated", None, |incident, at| {
            policy.clone_into(&mut incident.policy);
            incident.level = 1;
            incident.assignments = since(users, at);
            incident.directly_assigned = false;
        });
    }

    pub(super) fn move_to_service(&mut self, id: &str, agent: &Agent, service: &str) {
        let old = self.incident(id).map(|incident| incident.service.clone());
        let changed = field("service", Some(service), old.as_deref());
        self.change(id, agent, "service_change", "incident.service_updated", None, |incident, _| {
            service.clone_into(&mut incident.service);
        });
        self.say_of_the_last(id, "service_change", &changed);
    }

    pub(super) fn change_type(&mut self, id: &str, agent: &Agent, incident_type: &str) {
        let old = self.incident(id).map(|incident| incident.incident_type.clone());
        let changed = field("incident_type", Some(incident_type), old.as_deref());
        self.change(id, agent, "type_change", "incident.incident_type.changed", None, |incident, _| {
            incident_type.clone_into(&mut incident.incident_type);
        });
        self.say_of_the_last(id, "type_change", &changed);
    }

    pub(super) fn set_conference(&mut self, id: &str, agent: &Agent, conference: Conference) {
        let Some(at) = self.change_quietly(id, agent, "conference_change", None, |incident, _| {
            incident.conference = Some(conference);
        }) else {
            return;
        };
        let Some(data) = self.incident(id).map(|incident| self.conference_data(incident)) else { return };
        let event_type = "incident.conference_bridge.updated";
        self.announce_with(id, &Happening { event_type, agent, at, client: Value::Null, data });
    }

    pub(super) fn ask(&mut self, id: &str, requester: &str, user: &str, message: &str) {
        let (at, request) = (self.passing.now, self.ids.thing());
        let Some(incident) = self.incident_mut(id) else { return };
        incident.requests.push(Request {
            id: request,
            requester: requester.to_owned(),
            user: user.to_owned(),
            message: message.to_owned(),
            at,
            state: "pending".to_owned(),
            updated_at: at,
        });
    }

    /// Nothing is noted of somebody who was never asked.
    pub(super) fn note_answer(&mut self, id: &str, user: &str, answer: &str) {
        let at = self.passing.now;
        let requests = self.incident_mut(id).map(|incident| incident.requests.as_mut_slice()).unwrap_or_default();
        for request in requests.iter_mut().filter(|request| request.user == user) {
            answer.clone_into(&mut request.state);
            request.updated_at = at;
        }
    }

    /// A new title or urgency is in the log, but no webhook tells of it (webhook docs list none).
    pub(super) fn set_title(&mut self, id: &str, agent: &Agent, title: &str) {
        self.change_quietly(id, agent, "title_change", None, |incident, _| title.clone_into(&mut incident.title));
    }

    pub(super) fn set_urgency(&mut self, id: &str, agent: &Agent, urgency: &str) {
        self.change_quietly(id, agent, "urgency_change", None, |incident, _| {
            urgency.clone_into(&mut incident.urgency);
        });
    }

    fn change(
        &mut self,
        id: &str,
        agent: &Agent,
        kind: &str,
        event_type: &str,
        note: Option<String>,
        change: impl FnOnce(&mut Incident, Timestamp),
    ) {
        if let Some(at) = self.change_quietly(id, agent, kind, note, change) {
            self.announce(id, event_type, agent, at);
        }
    }

    fn change_quietly(
        &mut self,
        id: &str,
        agent: &Agent,
        kind: &str,
        note: Option<String>,
        change: impl FnOnce(&mut Incident, Timestamp),
    ) -> Option<Timestamp> {
        self.incident(id)?;
        let at = self.tick();
        let mut entry = self.entry(kind, agent, at, note);
        let incident = self.incident_mut(id)?;
        let before = incident.status;
        change(incident, at);
        let assigns = ["assign", "escalate", "delegate", "reopen"].contains(&kind);
        if assigns {
            entry.assignees = Some(incident.assignments.iter().map(|one| one.user.clone()).collect());
        }
        incident.log.push(entry);
        incident.updated_at = at;
        if incident.status != before || kind == "acknowledge" {
            incident.status_changed_at = at;
            incident.status_changed_by = agent.clone();
        }
        if assigns {
            self.notify_assignees(id, at);
        }
        Some(at)
    }

    /// Its escalation policy gives a new incident to somebody, of which the log has a row of its own.
    fn note_first_assignment(&mut self, id: &str, at: Timestamp) {
        let entry = self.entry("assign", &Agent::Integration, at, None);
        let Some(incident) = self.incident_mut(id).filter(|known| !known.assignments.is_empty()) else { return };
        let assignees = Some(incident.assignments.iter().map(|one| one.user.clone()).collect());
        incident.noise.push(LogEntry { assignees, channel: Some(json!({ "type": "auto" })), ..entry });
        self.notify_assignees(id, at);
    }

    fn say_of_the_last(&mut self, id: &str, kind: &str, channel: &Value) {
        let log = self.incident_mut(id).map(|incident| incident.log.as_mut_slice()).unwrap_or_default();
        let last = log.iter_mut().rev().find(|entry| entry.kind.strip_suffix("_log_entry") == Some(kind));
        last.into_iter().for_each(|entry| entry.channel = Some(channel.clone()));
    }

    /// Whoever gets an incident is notified, which the log tells and no webhook.
    fn notify_assignees(&mut self, id: &str, at: Timestamp) {
        let users =
            self.incident(id).map(|known| known.assignments.iter().map(|one| one.user.clone()).collect::<Vec<_>>());
        for user in users.unwrap_or_default() {
            let entry = self.entry("notify", &Agent::Integration, at, None);
            let Some(incident) = self.incident_mut(id) else { return };
            incident.noise.push(LogEntry { user: Some(user), channel: Some(json!({ "type": "auto" })), ..entry });
        }
    }

    pub(super) fn entry(&mut self, kind: &str, agent: &Agent, at: Timestamp, note: Option<String>) -> LogEntry {
        let (id, kind, agent) = (self.ids.long(), format!("{kind}_log_entry"), agent.clone());
        LogEntry { id, kind, agent, at, note, channel: None, assignees: None, user: None, more: None }
    }
}

/// Whoever is no person acknowledges for everybody.
pub(super) fn has_acknowledged(incident: &Incident, agent: &Agent) -> bool {
    incident.status == Status::Acknowledged
        && match agent {
            Agent::User(user) => incident.acknowledgements.iter().any(|known| known.user == *user),
            Agent::Integration | Agent::Nobody => true,
        }
}

/// openapi: `Channel`, its `changeset`: services and the like go by their ids.
fn field(name: &str, value: Option<&str>, old: Option<&str>) -> Value {
    let change = json!({ "id": "PFIELD2", "name": name, "value": value, "namespace": "incidents", "old_value": old });
    json!({ "type": "website", "changeset": { "application_fields": [change] } })
}

/// openapi: `WebTriggerChannel`.
fn web_trigger(title: &str, details: &str) -> Value {
    json!({ "type": "web_trigger", "summary": title, "subject": title, "details": details })
}

fn since(users: Vec<String>, at: Timestamp) -> Vec<Since> {
    users.into_iter().map(|user| Since { user, at }).collect()
}
