//! Events API v2: monitoring tools raise, acknowledge and end alerts, and know nothing of incidents. An event is accepted
//! before anybody looks whether something follows from it, so 202 does not mean that there is an incident (developer docs,
//! "Events API v2"; support docs, "Why incidents fail to trigger").

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::PagerDuty;
use super::alerts::{NewAlert, Severity};
use super::changes::Opening;
use super::ids::routing_key;
use super::model::{Agent, State, Status};
use super::rest::text;
use super::server::{Incoming, Reply};

/// How [`PagerDuty::fail_next_at`] knows it.
pub(super) const OPERATION: &str = "POST /v2/enqueue";

const MOST_BYTES: usize = 512 * 1024;
const MOST_KEY_CHARACTERS: usize = 255;
const MOST_SUMMARY_CHARACTERS: usize = 1024;
const ROUTING_KEY_CHARACTERS: usize = 32;
/// Events per routing key and minute.
const LIMIT: u32 = 120;

const KEYS: &[&str] =
    &["routing_key", "event_action", "dedup_key", "payload", "links", "images", "client", "client_url"];
const PAYLOAD_KEYS: &[&str] =
    &["summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"];

/// An event that has passed all checks.
struct Event {
    service: String,
    action: Action,
    key: String,
}

enum Action {
    Trigger { alert: Box<NewAlert>, client: Value },
    Acknowledge,
    Resolve,
}

impl PagerDuty {
    /// What `POST /v2/enqueue` does with an event, without the network: the status and the answer.
    pub fn enqueue(&self, event: &Value) -> (u16, Value) {
        let (status, answer) = enqueue(&mut self.lock(), event);
        (status.as_u16(), answer)
    }

    pub(super) fn enqueue_call(&self, incoming: &Incoming<'_>) -> Reply {
        let mut state = self.lock();
        let fault = state.passing.faults.next_at(OPERATION);
        if let Some(failing) = fault.as_ref().and_then(Reply::failing) {
            return failing;
        }
        let event = serde_json::from_slice(incoming.body).ok().filter(|_| incoming.body.len() <= MOST_BYTES);
        let (status, answer) = match event {
            Some(event) => enqueue(&mut state, &event),
            None => refused(&["the body is not JSON, or larger than 512 KB".to_owned()]),
        };
        Reply::json(status, answer).after(fault.as_ref())
    }
}

fn enqueue(state: &mut State, event: &Value) -> (StatusCode, Value) {
    let routing_key = text(event, "routing_key").unwrap_or_default();
    if state.count_for(routing_key, "events", LIMIT).is_err() {
        let answer = json!({ "status": "throttle exceeded", "message": "Too many events for this routing key" });
        return (StatusCode::TOO_MANY_REQUESTS, answer);
    }
    remember_unknown_keys(state, event);
    match Event::read(state, event) {
        Err(errors) => refused(&errors),
        Ok(event) => {
            let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": event.key });
            state.take_event(event);
            (StatusCode::ACCEPTED, answer)
        }
    }
}

fn refused(errors: &[String]) -> (StatusCode, Value) {
    let answer = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
    (StatusCode::BAD_REQUEST, answer)
}

impl State {
    fn take_event(&mut self, Event { service, action, key }: Event) {
        let open = self.open_alert(&service, &key);
        match (action, open) {
            (Action::Trigger { alert, .. }, Some((incident, known))) => self.repeat_alert(&incident, &known, *alert),
            (Action::Trigger { alert, client }, None) => self.raise(&service, *alert, client),
            (Action::Acknowledge, Some((incident, _))) => {
                self.set_status(&incident, Status::Acknowledged, &Agent::Integration, None);
            }
            (Action::Resolve, Some((incident, known))) => self.resolve_alert(&incident, &known, &Agent::Integration),
            (Action::Acknowledge | Action::Resolve, None) => {}
        }
    }

    /// Nobody hears of an alert whose policy has nobody (support docs, "Why incidents fail to trigger").
    fn raise(&mut self, service: &str, alert: NewAlert, client: Value) {
        let policy = self.service(service).and_then(|known| self.policy(&known.policy));
        if policy.is_none_or(|policy| policy.levels.iter().all(|level| level.users.is_empty())) {
            return;
        }
        let title = alert.summary.clone().unwrap_or_default();
        let urgency = alert.severity.unwrap_or(Severity::Critical).urgency();
        self.open(Opening { alert, client, ..Opening::new(service, &title, urgency, Agent::Integration) });
    }

    /// The incident and the alert that a key stands for now. It follows its alert into another incident.
    fn open_alert(&self, service: &str, key: &str) -> Option<(String, String)> {
        let all = self.incidents.iter().rev();
        all.flat_map(|incident| incident.alerts.iter().map(move |alert| (incident, alert)))
            .find(|(_, alert)| alert.service == service && alert.key == key && alert.resolved_at.is_none())
            .map(|(incident, alert)| (incident.id.clone(), alert.id.clone()))
    }

    /// The same again: an entry in the log, and the alert says what was said last. Its summary stays, as the incident's
    /// title does; the documents say neither.
    fn repeat_alert(&mut self, incident: &str, alert: &str, new: NewAlert) {
        let at = self.tick();
        let mut entry = self.entry("trigger", &Agent::Integration, at, None);
        let Some(known) = self.incident_mut(incident) else { return };
        let Some(open) = known.alerts.iter_mut().find(|known| known.id == alert) else { return };
        open.severity = new.severity.unwrap_or(open.severity);
        (open.contexts, open.details, open.cef_details) = (new.contexts, new.details, new.cef_details);
        let open = open.clone();
        entry.channel = Some(self.api_channel(&open));
        if let Some(known) = self.incident_mut(incident) {
            known.log.push(entry);
            known.updated_at = at;
        }
    }
}

impl Event {
    fn read(state: &mut State, event: &Value) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let key = text(event, "dedup_key").filter(|key| !key.is_empty());
        if key.is_some_and(|key| key.chars().count() > MOST_KEY_CHARACTERS) {
            errors.push(format!("'dedup_key' is too long (maximum is {MOST_KEY_CHARACTERS} characters)"));
        }
        let routing_key = text(event, "routing_key").unwrap_or_default();
        let service = state.routed_to(routing_key);
        if routing_key.chars().count() != ROUTING_KEY_CHARACTERS {
            errors
                .push(format!("Length of 'routing_key' is incorrect (should be {ROUTING_KEY_CHARACTERS} characters)"));
        } else if service.is_none() {
            errors.push("Invalid routing key".to_owned());
        }
        let action = match text(event, "event_action") {
            Some("trigger") => trigger(event, &mut errors),
            Some(action @ ("acknowledge" | "resolve")) => {
                if key.is_none() {
                    errors.push("'dedup_key' is missing or blank".to_owned());
                }
                Some(if action == "resolve" { Action::Resolve } else { Action::Acknowledge })
            }
            _ => {
                errors.push(
                    "'event_action' is invalid (must be one of: 'trigger', 'acknowledge' or 'resolve')".to_owned(),
                );
                None
            }
        };
        let (Some(service), Some(mut action), true) = (service, action, errors.is_empty()) else { return Err(errors) };
        // Without a key each event is something new.
        let key = key.map_or_else(|| state.ids.incident_key(), str::to_owned);
        if let Action::Trigger { alert, .. } = &mut action {
            alert.key = Some(key.clone());
            if let Some(cef_details) = alert.cef_details.as_mut().and_then(Value::as_object_mut) {
                cef_details.insert("dedup_key".to_owned(), json!(key));
            }
        }
        Ok(Self { service, action, key })
    }
}

fn trigger(event: &Value, errors: &mut Vec<String>) -> Option<Action> {
    let Some(payload) = event.get("payload").filter(|payload| payload.is_object()) else {
        errors.push("'payload' is missing or blank".to_owned());
        return None;
    };
    let mut needed = |key: &str| {
        let value = text(payload, key).filter(|value| !value.trim().is_empty());
        if value.is_none() {
            errors.push(format!("'payload.{key}' is missing or blank"));
        }
        value
    };
    let (summary, source, severity) = (needed("summary"), needed("source"), needed("severity"));
    if summary.is_some_and(|summary| summary.chars().count() > MOST_SUMMARY_CHARACTERS) {
        errors.push(format!("'payload.summary' is too long (maximum is {MOST_SUMMARY_CHARACTERS} characters)"));
    }
    let known = severity.and_then(|severity| serde_json::from_value::<Severity>(severity.into()).ok());
    if severity.is_some() && known.is_none() {
        errors.push(
            "'payload.severity' is invalid (must be one of: 'info', 'warning', 'error' or 'critical')".to_owned(),
        );
    }
    let timestamp = payload.get("timestamp").filter(|at| !at.is_null());
    if timestamp.is_some_and(|at| at.as_str().is_none_or(|at| at.parse::<Timestamp>().is_err())) {
        errors.push("'payload.timestamp' is invalid (must be an ISO 8601 time)".to_owned());
    }
    let contexts = contexts(event, errors);
    let details = payload.get("custom_details").filter(|details| !details.is_null()).cloned();
    let details = details.unwrap_or_else(|| json!({}));
    let (client, client_url) = (text(event, "client"), text(event, "client_url"));
    // The fields under the names of the Common Event Format, as clients of the real one find them.
    let cef_details = json!({
        "severity": severity,
        "source_origin": source,
        "source_component": text(payload, "component"),
        "service_group": text(payload, "group"),
        "event_class": text(payload, "class"),
        "message": summary,
        "creation_time": timestamp,
        "contexts": contexts,
        "details": details,
        "client": client,
        "client_url": client_url,
    });
    let alert = NewAlert {
        summary: summary.map(str::to_owned),
        severity: known,
        contexts,
        details,
        cef_details: Some(cef_details),
        ..NewAlert::default()
    };
    let client = object(&[("name", client), ("url", client_url)]);
    let client = if client.is_empty() { Value::Null } else { client.into() };
    Some(Action::Trigger { alert: Box::new(alert), client })
}

/// Links and images, under the names that alerts have for them.
fn contexts(event: &Value, errors: &mut Vec<String>) -> Vec<Value> {
    let mut contexts = Vec::new();
    for (list, kind, needed, label) in [("links", "link", "href", "text"), ("images", "image", "src", "alt")] {
        let given = event.get(list).filter(|given| !given.is_null());
        let entries = given.map_or(Some(&[][..]), |given| given.as_array().map(Vec::as_slice));
        if entries.is_none() {
            errors.push(format!("'{list}' is not a list"));
        }
        for entry in entries.unwrap_or_default() {
            if text(entry, needed).is_none_or(str::is_empty) {
                errors.push(format!("'{list}' has an entry without '{needed}'"));
            }
            contexts.push(Value::Object(object(&[
                ("type", Some(kind)),
                ("src", text(entry, "src")),
                ("href", text(entry, "href")),
                ("text", text(entry, label)),
            ])));
        }
    }
    contexts
}

fn remember_unknown_keys(state: &mut State, event: &Value) {
    let keys = |value: Option<&Value>| -> Vec<String> {
        value.and_then(Value::as_object).into_iter().flat_map(|object| object.keys().cloned()).collect()
    };
    let outer = keys(Some(event)).into_iter().filter(|key| !KEYS.contains(&key.as_str()));
    let inner = keys(event.get("payload")).into_iter().filter(|key| !PAYLOAD_KEYS.contains(&key.as_str()));
    for key in outer.chain(inner.map(|key| format!("payload.{key}"))) {
        state.note_unknown(format!("{OPERATION}: body key {key}"));
    }
}

/// Of what is there.
fn object(parts: &[(&str, Option<&str>)]) -> Map<String, Value> {
    parts.iter().filter_map(|(key, value)| Some(((*key).to_owned(), json!((*value)?)))).collect()
}

impl State {
    fn routed_to(&self, key: &str) -> Option<String> {
        let mut services = self.services.iter().filter(|service| !service.deleted);
        services.find(|service| routing_key(&service.integration) == key).map(|service| service.id.clone())
    }
}
