//! People and tools at work. Each change queues the webhooks that the real PagerDuty sends for it.
//!
//! A mistake in a test's script, such as an id that does not exist, changes nothing and is listed by
//! [`PagerDuty::unknown_requests`].

use serde_json::{Value, json};

use super::PagerDuty;
use super::changes::Opening;
use super::model::{Agent, Conference, LogEntry, State, Status};
use super::webhooks::Happening;

impl PagerDuty {
    /// A monitoring tool opens an incident.
    pub fn trigger(&self, service: &str, title: &str, urgency: &str) -> String {
        self.act("trigger", |state| {
            check(state.service(service).is_some(), service)?;
            Ok(state.open(Opening::new(service, title, urgency, Agent::Integration)))
        })
    }

    /// The same by a tool that says what it is called and where its own page is.
    pub fn trigger_with_client(&self, service: &str, title: &str, urgency: &str, client: &str, url: &str) -> String {
        self.act("trigger_with_client", |state| {
            check(state.service(service).is_some(), service)?;
            let client = json!({ "name": client, "url": url });
            Ok(state.open(Opening { client, ..Opening::new(service, title, urgency, Agent::Integration) }))
        })
    }

    /// The same where an event rule gives the incident a priority before anybody hears of it.
    pub fn trigger_with_priority(&self, service: &str, title: &str, urgency: &str, priority: &str) -> String {
        self.act("trigger_with_priority", |state| {
            check(state.service(service).is_some(), service)?;
            check(state.priority(priority).is_some(), priority)?;
            let priority = Some(priority.to_owned());
            Ok(state.open(Opening { priority, ..Opening::new(service, title, urgency, Agent::Integration) }))
        })
    }

    /// An orchestration opens an incident: its event has no agent.
    pub fn trigger_by_orchestration(&self, service: &str, title: &str, urgency: &str) -> String {
        self.act("trigger_by_orchestration", |state| {
            check(state.service(service).is_some(), service)?;
            Ok(state.open(Opening::new(service, title, urgency, Agent::Nobody)))
        })
    }

    /// Somebody opens an incident on PagerDuty's pages.
    pub fn trigger_by_user(&self, service: &str, title: &str, urgency: &str, user: &str) -> String {
        self.act("trigger_by_user", |state| {
            check(state.service(service).is_some(), service)?;
            let agent = person(state, user)?;
            Ok(state.open(Opening { monitored: false, ..Opening::new(service, title, urgency, agent) }))
        })
    }

    /// Somebody acknowledges. Acknowledging a resolved incident reopens it, as in the real one.
    pub fn acknowledge(&self, incident: &str, user: &str) {
        self.by_person("acknowledge", incident, user, |state, agent| {
            state.set_status(incident, Status::Acknowledged, agent, None);
        });
    }

    /// Somebody resolves.
    pub fn resolve(&self, incident: &str, user: &str) {
        self.by_person("resolve", incident, user, |state, agent| {
            state.set_status(incident, Status::Resolved, agent, None);
        });
    }

    /// Somebody resolves and says why: PagerDuty sends that as a note of its own.
    pub fn resolve_with_note(&self, incident: &str, user: &str, note: &str) {
        self.by_person("resolve_with_note", incident, user, |state, agent| {
            state.set_status(incident, Status::Resolved, agent, None);
            state.annotate(incident, agent, &format!("Resolution Note: {note}"));
        });
    }

    /// The monitoring tool resolves by itself.
    pub fn resolve_by_integration(&self, incident: &str) {
        self.by_itself("resolve_by_integration", incident, |state| {
            state.set_status(incident, Status::Resolved, &Agent::Integration, None);
        });
    }

    /// Somebody reopens a resolved incident; otherwise nothing happens.
    pub fn reopen(&self, incident: &str, user: &str) {
        self.by_person("reopen", incident, user, |state, agent| {
            if state.incident(incident).is_some_and(|known| known.status == Status::Resolved) {
                state.set_status(incident, Status::Triggered, agent, None);
            }
        });
    }

    /// The acknowledgement times out; nothing happens if there is none.
    pub fn unacknowledge(&self, incident: &str) {
        self.by_itself("unacknowledge", incident, |state| {
            if state.incident(incident).is_some_and(|known| known.status == Status::Acknowledged) {
                state.unacknowledge(incident, &Agent::Nobody);
            }
        });
    }

    /// Somebody writes a note.
    pub fn add_note(&self, incident: &str, user: &str, text: &str) {
        self.by_person("add_note", incident, user, |state, agent| {
            state.annotate(incident, agent, text);
        });
    }

    /// Somebody sets the priority, by its id; `None` clears it.
    pub fn set_priority(&self, incident: &str, user: &str, priority: Option<&str>) {
        self.by_person("set_priority", incident, user, |state, agent| {
            state.set_priority(incident, agent, priority.map(str::to_owned));
        });
    }

    /// Somebody gives it to somebody else.
    pub fn reassign(&self, incident: &str, user: &str, to: &str) {
        self.by_person("reassign", incident, user, |state, agent| state.assign(incident, agent, vec![to.to_owned()]));
    }

    /// Nobody reacted: it goes to the next person of its policy.
    pub fn escalate(&self, incident: &str, to: &str) {
        self.by_itself("escalate", incident, |state| {
            let level = state.incident(incident).map_or(1, |known| known.level) + 1;
            state.escalate(incident, &Agent::Nobody, level, vec![to.to_owned()]);
        });
    }

    /// Somebody gives it to another escalation policy.
    pub fn delegate(&self, incident: &str, user: &str, policy: &str) {
        self.by_person("delegate", incident, user, |state, agent| state.delegate(incident, agent, policy));
    }

    /// It moves to another service.
    pub fn move_to_service(&self, incident: &str, user: &str, service: &str) {
        self.by_person("move_to_service", incident, user, |state, agent| {
            state.move_to_service(incident, agent, service);
        });
    }

    /// Somebody changes the incident's type, for example to `major_incident`.
    pub fn change_type(&self, incident: &str, user: &str, incident_type: &str) {
        self.by_person("change_type", incident, user, |state, agent| {
            state.change_type(incident, agent, incident_type);
        });
    }

    /// Somebody renames it. PagerDuty sends no webhook for that.
    pub fn set_title(&self, incident: &str, user: &str, title: &str) {
        self.by_person("set_title", incident, user, |state, agent| state.set_title(incident, agent, title));
    }

    /// Somebody sets the urgency to `high` or `low`. PagerDuty sends no webhook for that.
    pub fn set_urgency(&self, incident: &str, user: &str, urgency: &str) {
        self.by_person("set_urgency", incident, user, |state, agent| state.set_urgency(incident, agent, urgency));
    }

    /// Somebody opens a conference for it.
    pub fn set_conference(&self, incident: &str, user: &str, number: Option<&str>, url: Option<&str>) {
        let conference = Conference { number: number.map(str::to_owned), url: url.map(str::to_owned) };
        self.by_person("set_conference", incident, user, |state, agent| {
            state.set_conference(incident, agent, conference);
        });
    }

    /// Somebody merges `source` into `target`; PagerDuty resolves the source.
    pub fn merge(&self, source: &str, target: &str, user: &str) {
        self.by_person("merge", source, user, |state, agent| {
            if state.incident(target).is_some_and(|known| known.status != Status::Resolved) {
                state.merge_into(source, target, agent);
            } else {
                state.note_unknown(format!("merge: {target} is no open incident"));
            }
        });
    }

    /// Somebody tells the stakeholders how it goes.
    pub fn publish_status_update(&self, incident: &str, user: &str, message: &str) {
        self.by_person("publish_status_update", incident, user, |state, agent| {
            let Some(known) = state.incident(incident).cloned() else { return };
            let data = state.status_update_data(&known, message);
            tell(state, incident, "incident.status_update_published", agent, data);
        });
    }

    /// Somebody asks somebody else for help.
    pub fn ask_responder(&self, incident: &str, user: &str, whom: &str, message: &str) {
        self.by_person("ask_responder", incident, user, |state, agent| {
            let Some(known) = state.incident(incident) else { return };
            let data = state.responder_data(known, whom, message, "pending");
            state.ask(incident, user, whom, message);
            tell(state, incident, "incident.responder.added", agent, data);
        });
    }

    /// Somebody who was asked accepts or declines.
    pub fn answer_request(&self, incident: &str, user: &str, accepts: bool, message: &str) {
        self.by_person("answer_request", incident, user, |state, agent| {
            let Some(known) = state.incident(incident) else { return };
            let answer = if accepts { "accepted" } else { "declined" };
            let data = state.responder_data(known, user, message, answer);
            state.note_answer(incident, user, if accepts { "joined" } else { "declined" });
            tell(state, incident, "incident.responder.replied", agent, data);
        });
    }

    /// Sends an event of any documented type about an incident, by nobody, with `data` of that type. Nothing changes.
    pub fn emit(&self, event_type: &str, incident: &str) {
        self.act("emit", |state| {
            let data = state.sample_data(event_type, incident);
            let data = data.ok_or_else(|| format!("{event_type} about {incident}"))?;
            tell(state, incident, event_type, &Agent::Nobody, data);
            Ok(String::new())
        });
    }

    /// Sends an event of any type, documented or not, with any `data`. A type that is not documented goes to every
    /// subscription for the incident's service.
    pub fn emit_with(&self, event_type: &str, incident: &str, user: Option<&str>, data: Value) {
        self.act("emit_with", |state| {
            check(state.incident(incident).is_some(), incident)?;
            let agent = user.map_or(Ok(Agent::Nobody), |user| person(state, user))?;
            tell(state, incident, event_type, &agent, data);
            Ok(String::new())
        });
    }

    /// PagerDuty's log gets a row. That it has rows of types that are not documented, and what they say, a test decides: `kind` as
    /// in `annotate`; `more` stands in the row besides, or instead.
    pub fn write_log(&self, incident: &str, user: &str, kind: &str, more: Value) {
        self.by_person("write_log", incident, user, |state, agent| {
            let at = state.tick();
            let entry = state.entry(kind, agent, at, None);
            if let Some(known) = state.incident_mut(incident) {
                known.log.push(LogEntry { more: Some(more), ..entry });
            }
        });
    }

    fn by_person(&self, what: &str, incident: &str, user: &str, change: impl FnOnce(&mut State, &Agent)) {
        self.act(what, |state| {
            check(state.incident(incident).is_some(), incident)?;
            let agent = person(state, user)?;
            change(state, &agent);
            Ok(String::new())
        });
    }

    fn by_itself(&self, what: &str, incident: &str, change: impl FnOnce(&mut State)) {
        self.act(what, |state| {
            check(state.incident(incident).is_some(), incident)?;
            change(state);
            Ok(String::new())
        });
    }

    pub(super) fn act(&self, what: &str, act: impl FnOnce(&mut State) -> Result<String, String>) -> String {
        let mut state = self.lock();
        act(&mut state).unwrap_or_else(|missing| {
            state.note_unknown(format!("{what}: there is no {missing}"));
            String::new()
        })
    }
}

pub(super) fn check(is_there: bool, id: &str) -> Result<(), String> {
    if is_there { Ok(()) } else { Err(id.to_owned()) }
}

fn person(state: &State, id: &str) -> Result<Agent, String> {
    check(state.user(id).is_some(), id).map(|()| Agent::User(id.to_owned()))
}

fn tell(state: &mut State, incident: &str, event_type: &str, agent: &Agent, data: Value) {
    let at = state.tick();
    state.announce_with(incident, &Happening { event_type, agent, at, client: Value::Null, data });
}
