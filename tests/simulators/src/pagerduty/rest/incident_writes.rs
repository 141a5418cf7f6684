//! Opening an incident, and changing one. A change is checked whole before any part of it is made.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Call, Refusal, invalid, not_found, ok, referenced, refusal, text};
use crate::pagerduty::changes::{Opening, has_acknowledged};
use crate::pagerduty::model::{Agent, Conference, Incident, State, Status};

pub(super) const OPENING: &[&str] = &[
    "type",
    "title",
    "service",
    "priority",
    "urgency",
    "body",
    "incident_key",
    "assignments",
    "incident_type",
    "escalation_policy",
    "conference_bridge",
];
pub(super) const UPDATE: &[&str] = &[
    "type",
    "status",
    "priority",
    "resolution",
    "title",
    "escalation_level",
    "assignments",
    "incident_type",
    "escalation_policy",
    "urgency",
    "conference_bridge",
    "service",
];

/// [`UPDATE`] where the path names no incident.
pub(super) const ONE_OF_MANY: &[&str] = &[
    "id",
    "type",
    "status",
    "priority",
    "resolution",
    "title",
    "escalation_level",
    "assignments",
    "incident_type",
    "escalation_policy",
    "urgency",
    "conference_bridge",
];

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = state.actor(&call.caller)?;
    state.may_act(&agent, None)?;
    let wanted = &call.wanted;
    if text(wanted, "type") != Some("incident") {
        return Err(invalid("incident.type must be incident"));
    }
    let title = text(wanted, "title").filter(|title| !title.trim().is_empty());
    let title = title.ok_or_else(|| invalid("Title cannot be empty"))?;
    let service = referenced(wanted, "service", &["service_reference"])?.filter(|id| state.service(id).is_some());
    let service = service.ok_or_else(|| invalid("Service is not found"))?;
    let body = wanted.get("body");
    if body.is_some_and(|body| text(body, "type") != Some("incident_body")) {
        return Err(invalid("body.type must be incident_body"));
    }
    let key = text(wanted, "incident_key").map(str::to_owned);
    let is_taken =
        |known: &Incident| known.service == service && known.status != Status::Resolved && known.incident_key == key;
    if key.is_some() && state.incidents.iter().any(is_taken) {
        let why = "Open incident with matching dedup key already exists on this service";
        return Err(refusal(StatusCode::BAD_REQUEST, 2002, "Arguments Caused Error", &[why]));
    }
    let parts = Parts::read(state, wanted)?;
    if parts.assignees.is_some() && parts.policy.is_some() {
        return Err(invalid("assignments and escalation_policy exclude each other"));
    }
    let mut assignees = parts.assignees.unwrap_or_default().into_iter();
    let assignee = assignees.next();
    if assignees.next().is_some() {
        return Err(invalid("a new incident has one assignee at most"));
    }
    let priority = parts.priority.flatten();
    let urgency = parts.urgency.unwrap_or("high");
    let id = state.open(Opening {
        priority,
        incident_type: parts.incident_type.unwrap_or("incident_default"),
        policy: parts.policy.map(str::to_owned),
        assignee,
        key,
        conference: parts.conference,
        monitored: false,
        body: body.and_then(|body| text(body, "details")),
        ..Opening::new(service, title, urgency, agent)
    });
    let incident = state.incident(&id).ok_or_else(not_found)?;
    Ok((StatusCode::CREATED, Some(json!({ "incident": state.rest_incident(incident) }))))
}

pub(super) fn update(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = state.actor(&call.caller)?;
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    let update = checked(state, &agent, incident, &call.wanted)?;
    let id = incident.id.clone();
    apply(state, &id, &agent, &update);
    let incident = state.incident(&id).ok_or_else(not_found)?;
    ok(json!({ "incident": state.rest_incident(incident) }))
}

/// A change that can be made.
pub(super) fn checked<'a>(
    state: &State,
    agent: &Agent,
    incident: &Incident,
    wanted: &'a Value,
) -> Result<Update<'a>, Refusal> {
    state.may_act(agent, Some(incident))?;
    if !matches!(text(wanted, "type"), Some("incident" | "incident_reference")) {
        return Err(invalid("incident.type must be incident_reference"));
    }
    let status = status(wanted, incident, agent)?;
    let parts = Parts::read(state, wanted)?;
    let title = match wanted.get("title").map(|title| title.as_str().filter(|title| !title.trim().is_empty())) {
        None => None,
        Some(Some(title)) => Some(title),
        Some(None) => return Err(invalid("Title cannot be empty")),
    };
    let level = level(state, wanted, incident)?;
    let stays_resolved = incident.status == Status::Resolved && status.is_none();
    let moves = parts.assignees.is_some() || parts.policy.is_some();
    if stays_resolved && (moves || level.is_some()) {
        let (code, message) =
            if moves { (1011, "Incident Cannot Be Reassigned") } else { (1006, "Incident Cannot Be Escalated") };
        return Err(refusal(StatusCode::BAD_REQUEST, code, message, &["the incident is resolved"]));
    }
    let service = referenced(wanted, "service", &["service_reference"])?;
    if service.is_some_and(|id| state.service(id).is_none()) {
        return Err(invalid("Service is not found"));
    }
    Ok(Update { status, title, level, service, parts, wanted })
}

pub(super) struct Update<'a> {
    status: Option<Status>,
    title: Option<&'a str>,
    level: Option<usize>,
    service: Option<&'a str>,
    parts: Parts<'a>,
    wanted: &'a Value,
}

pub(super) fn apply(state: &mut State, id: &str, agent: &Agent, update: &Update<'_>) {
    let parts = &update.parts;
    if let Some(status) = update.status {
        state.set_status(id, status, agent, text(update.wanted, "resolution").map(str::to_owned));
    }
    if let Some(title) = update.title {
        state.set_title(id, agent, title);
    }
    if let Some(urgency) = parts.urgency {
        state.set_urgency(id, agent, urgency);
    }
    if let Some(priority) = &parts.priority {
        state.set_priority(id, agent, priority.clone());
    }
    if let Some(service) = update.service {
        state.move_to_service(id, agent, service);
    }
    if let Some(incident_type) = parts.incident_type {
        state.change_type(id, agent, incident_type);
    }
    if let Some(conference) = &parts.conference {
        state.set_conference(id, agent, conference.clone());
    }
    if let Some(policy) = parts.policy {
        state.delegate(id, agent, policy);
    }
    if let Some(level) = update.level {
        let users = state.incident(id).map(|incident| state.on_call(&incident.policy, level)).unwrap_or_default();
        state.escalate(id, agent, level, users);
    }
    if let Some(assignees) = &parts.assignees {
        state.assign(id, agent, assignees.clone());
    }
}

/// What is new: PagerDuty refuses what is so already.
fn status(wanted: &Value, incident: &Incident, agent: &Agent) -> Result<Option<Status>, Refusal> {
    let bad = |code, message| refusal(StatusCode::BAD_REQUEST, code, message, &[]);
    let Some(status) = wanted.get("status") else { return Ok(None) };
    let status = serde_json::from_value(status.clone()).map_err(|_| bad(1003, "Invalid Status Provided"))?;
    match status {
        Status::Resolved if incident.status == Status::Resolved => Err(bad(1001, "Incident Already Resolved")),
        Status::Acknowledged if has_acknowledged(incident, agent) => Err(bad(1002, "Incident Already Acknowledged")),
        _ => Ok(Some(status)),
    }
}

fn level(state: &State, wanted: &Value, incident: &Incident) -> Result<Option<usize>, Refusal> {
    let Some(level) = wanted.get("escalation_level") else { return Ok(None) };
    let levels = state.policy(&incident.policy).map_or(0, |policy| policy.levels.len());
    let level = level.as_u64().and_then(|level| usize::try_from(level).ok());
    match level.filter(|level| (1..=levels).contains(level)) {
        Some(level) => Ok(Some(level)),
        None => {
            Err(refusal(StatusCode::BAD_REQUEST, 1006, "Incident Cannot Be Escalated", &["there is no such level"]))
        }
    }
}

/// What opening and changing have in common.
struct Parts<'a> {
    urgency: Option<&'a str>,
    /// `Some(None)` clears it.
    priority: Option<Option<String>>,
    incident_type: Option<&'a str>,
    policy: Option<&'a str>,
    assignees: Option<Vec<String>>,
    conference: Option<Conference>,
}

impl<'a> Parts<'a> {
    fn read(state: &State, wanted: &'a Value) -> Result<Self, Refusal> {
        let urgency = text(wanted, "urgency");
        if wanted.get("urgency").is_some() && !matches!(urgency, Some("high" | "low")) {
            return Err(invalid("urgency must be high or low"));
        }
        let policy = referenced(wanted, "escalation_policy", &["escalation_policy_reference"])?;
        if policy.is_some_and(|id| state.policy(id).is_none()) {
            return Err(refusal(StatusCode::BAD_REQUEST, 1014, "Escalation Policy Not Found", &[]));
        }
        let incident_type = wanted.get("incident_type").map(|kind| text(kind, "name"));
        if incident_type == Some(None) {
            return Err(invalid("incident_type must have a name"));
        }
        let conference = wanted.get("conference_bridge").map(|bridge| Conference {
            number: text(bridge, "conference_number").map(str::to_owned),
            url: text(bridge, "conference_url").map(str::to_owned),
        });
        Ok(Self {
            urgency,
            priority: priority(state, wanted)?,
            incident_type: incident_type.flatten(),
            policy,
            assignees: assignees(state, wanted)?,
            conference,
        })
    }
}

/// A reference, or the name of the most severe priority that is called so.
fn priority(state: &State, wanted: &Value) -> Result<Option<Option<String>>, Refusal> {
    let Some(priority) = wanted.get("priority") else { return Ok(None) };
    let known = match priority {
        Value::Null => return Ok(Some(None)),
        Value::String(name) => state.priorities.iter().find(|known| known.name == *name),
        _ => referenced(wanted, "priority", &["priority_reference", "priority"])?.and_then(|id| state.priority(id)),
    };
    let known = known.map(|known| known.id.clone());
    known.map(|id| Some(Some(id))).ok_or_else(|| refusal(StatusCode::BAD_REQUEST, 1020, "Invalid Priority", &[]))
}

fn assignees(state: &State, wanted: &Value) -> Result<Option<Vec<String>>, Refusal> {
    let Some(assignments) = wanted.get("assignments") else { return Ok(None) };
    let assignments = assignments.as_array().filter(|assignments| !assignments.is_empty());
    let assignments = assignments.ok_or_else(|| invalid("assignments must be a list with an entry"))?;
    let users: Result<Vec<String>, Refusal> = assignments
        .iter()
        .map(|assignment| {
            let id = referenced(assignment, "assignee", &["user_reference"])?.filter(|id| state.user(id).is_some());
            let unknown = || refusal(StatusCode::BAD_REQUEST, 1007, "Assignee User Not Found", &[]);
            id.map(str::to_owned).ok_or_else(unknown)
        })
        .collect();
    users.map(Some)
}
