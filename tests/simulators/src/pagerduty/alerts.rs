//! Alerts: what monitoring tools say is wrong, grouped into an incident. Webhooks know nothing of them; only REST does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PagerDuty;
use super::acting::check;
use super::changes::Opening;
use super::model::{Agent, Incident, LogEntry, State, Status};

/// How bad it is, in the words of monitoring tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    /// What an urgency stands for where nobody said how bad it is.
    fn for_urgency(urgency: &str) -> Self {
        if urgency == "high" { Self::Critical } else { Self::Warning }
    }

    /// Services that go by severity page for the upper two (support docs, "Service settings").
    pub(super) fn urgency(self) -> &'static str {
        match self {
            Self::Critical | Self::Error => "high",
            Self::Warning | Self::Info => "low",
        }
    }
}

/// An alert that is about to be raised.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// `None`: the incident's title.
    pub summary: Option<String>,
    /// `None`: critical for high urgency, otherwise warning.
    pub severity: Option<Severity>,
    /// `None`: one of its own.
    pub key: Option<String>,
    pub suppressed: bool,
    /// `{"type": "link", "href", "text"}` and `{"type": "image", "src", "href", "text"}`.
    pub contexts: Vec<Value>,
    /// Whatever the tool says besides, of any JSON type.
    pub details: Value,
    /// What the Events API adds; `None` leaves it out, as other integrations do.
    pub cef_details: Option<Value>,
}

impl Default for NewAlert {
    fn default() -> Self {
        Self {
            summary: None,
            severity: None,
            key: None,
            suppressed: false,
            contexts: Vec::new(),
            details: json!({}),
            cef_details: None,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Alert {
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) severity: Severity,
    pub(super) suppressed: bool,
    pub(super) key: String,
    /// Where it came in; it stays that if the alert moves to an incident of another service.
    pub(super) service: String,
    pub(super) created_at: Timestamp,
    pub(super) resolved_at: Option<Timestamp>,
    /// The log entry that tells of it first.
    pub(super) entry: String,
    pub(super) contexts: Vec<Value>,
    pub(super) details: Value,
    pub(super) cef_details: Option<Value>,
}

impl Alert {
    pub(super) fn status(&self) -> &'static str {
        if self.resolved_at.is_some() { "resolved" } else { "triggered" }
    }
}

impl PagerDuty {
    /// A monitoring tool opens an incident and says more than its title.
    pub fn trigger_with_alert(&self, service: &str, title: &str, urgency: &str, alert: NewAlert) -> String {
        self.act("trigger_with_alert", |state| {
            check(state.service(service).is_some(), service)?;
            Ok(state.open(Opening { alert, ..Opening::new(service, title, urgency, Agent::Integration) }))
        })
    }

    /// One more alert joins an open incident; returns its id. No webhook tells of it.
    pub fn add_alert(&self, incident: &str, alert: NewAlert) -> String {
        self.act("add_alert", |state| {
            let known = state.incident(incident).filter(|known| known.status != Status::Resolved);
            let id = known.map(|known| known.id.clone()).ok_or_else(|| format!("open incident {incident}"))?;
            state.group(&id, alert).ok_or(id)
        })
    }

    /// The tool says that one alert is over. With its last alert the incident is resolved.
    pub fn resolve_alert(&self, incident: &str, alert: &str) {
        self.act("resolve_alert", |state| {
            let known = state.incident(incident).ok_or_else(|| incident.to_owned())?;
            check(known.alerts.iter().any(|known| known.id == alert), alert)?;
            state.resolve_alert(incident, alert, &Agent::Integration);
            Ok(String::new())
        });
    }

    /// The alerts of an incident as REST gives them, oldest first.
    #[must_use]
    pub fn alerts(&self, incident: &str) -> Vec<Value> {
        let state = self.lock();
        let known = state.incident(incident);
        known.into_iter().flat_map(|known| known.alerts.iter().map(|alert| state.rest_alert(known, alert))).collect()
    }
}

impl State {
    /// The alert of an incident that is just being opened, by the entry that its log begins with.
    pub(super) fn first_alert(&mut self, new: NewAlert, opening: (&str, &str, &str), entry: &LogEntry) -> Alert {
        let (service, title, urgency) = opening;
        let (id, key) = (self.ids.thing(), new.key.unwrap_or_else(|| self.ids.incident_key()));
        Alert {
            id,
            key,
            summary: new.summary.unwrap_or_else(|| title.to_owned()),
            severity: new.severity.unwrap_or_else(|| Severity::for_urgency(urgency)),
            suppressed: new.suppressed,
            service: service.to_owned(),
            created_at: entry.at,
            resolved_at: None,
            entry: entry.id.clone(),
            contexts: new.contexts,
            details: new.details,
            cef_details: new.cef_details,
        }
    }

    pub(super) fn group(&mut self, incident: &str, new: NewAlert) -> Option<String> {
        let at = self.tick();
        let mut entry = self.entry("trigger", &Agent::Integration, at, None);
        let known = self.incident(incident)?;
        let (service, title, urgency) = (known.service.clone(), known.title.clone(), known.urgency.clone());
        let alert = self.first_alert(new, (&service, &title, &urgency), &entry);
        entry.channel = Some(self.api_channel(&alert));
        let id = alert.id.clone();
        let known = self.incident_mut(incident)?;
        known.alerts.push(alert);
        known.log.push(entry);
        known.updated_at = at;
        Some(id)
    }

    pub(super) fn resolve_alert(&mut self, incident: &str, alert: &str, agent: &Agent) {
        let at = self.tick();
        let Some(known) = self.incident_mut(incident) else { return };
        let open = known.alerts.iter_mut().find(|known| known.id == alert && known.resolved_at.is_none());
        if let Some(open) = open {
            open.resolved_at = Some(at);
            known.updated_at = at;
        }
        if known.alerts.iter().all(|alert| alert.resolved_at.is_some()) {
            self.set_status(incident, Status::Resolved, agent, None);
        }
    }

    /// How an alert came in, as log entries tell it (openapi: `APIChannel`).
    pub(super) fn api_channel(&self, alert: &Alert) -> Value {
        json!({
            "type": "api",
            "summary": alert.summary,
            "service_key": self.routing_key(&alert.service),
            "description": alert.summary,
            "incident_key": alert.key,
            "details": alert.details,
        })
    }
}

/// (triggered, resolved)
pub(super) fn counts(incident: &Incident) -> (usize, usize) {
    let resolved = incident.alerts.iter().filter(|alert| alert.resolved_at.is_some()).count();
    (incident.alerts.len() - resolved, resolved)
}
