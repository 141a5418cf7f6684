//! The alerts of an incident (REST docs, "List alerts for an incident").

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::listing::sort_by;
use super::{Answer, Call, INCLUDE, not_found};
use crate::pagerduty::alerts::Alert;
use crate::pagerduty::model::{Incident, LogEntry, State};
use crate::pagerduty::references::{seconds, with};

pub(super) const PARAMETERS: &[&str] = &["alert_key", "statuses[]", "sort_by", INCLUDE];

const INCLUDES: &[&str] = &["services", "first_trigger_log_entries", "incidents"];

/// Oldest first, if nothing else is asked.
pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let includes = call.many_of(INCLUDE, INCLUDES)?;
    let statuses = call.many_of("statuses[]", &["triggered", "resolved"])?;
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    let matches = |alert: &&Alert| {
        (statuses.is_empty() || statuses.contains(&alert.status()))
            && call.one("alert_key").is_none_or(|key| alert.key == key)
    };
    let mut found: Vec<&Alert> = incident.alerts.iter().filter(matches).collect();
    sort_by(call, &mut found, |name| {
        let compare: fn(&Alert, &Alert) -> Ordering = match name {
            "created_at" => |a, b| a.created_at.cmp(&b.created_at),
            "resolved_at" => |a, b| a.resolved_at.cmp(&b.resolved_at),
            _ => return None,
        };
        Some(compare)
    })?;
    let found: Vec<Value> = found.into_iter().map(|alert| state.rest_alert_with(incident, alert, &includes)).collect();
    call.page("alerts", &found)
}

impl State {
    pub(in crate::pagerduty) fn rest_alert(&self, incident: &Incident, alert: &Alert) -> Value {
        let links = &self.passing.links;
        let body = json!({ "type": "alert_body", "contexts": alert.contexts, "details": alert.details });
        let body = match &alert.cef_details {
            Some(cef_details) => with(body, json!({ "cef_details": cef_details })),
            None => body,
        };
        json!({
            "id": alert.id,
            "type": "alert",
            "summary": alert.summary,
            "self": format!("{}/incidents/{}/alerts/{}", links.api, incident.id, alert.id),
            "html_url": format!("{}/alerts/{}", links.web, alert.id),
            "created_at": seconds(alert.created_at),
            "status": alert.status(),
            "alert_key": alert.key,
            "service": self.service_reference_in_rest(&alert.service),
            "body": body,
            "incident": { "id": incident.id, "type": "incident_reference" },
            "suppressed": alert.suppressed,
            "severity": alert.severity,
            "integration": self.integration_reference(&alert.service),
            "first_trigger_log_entry":
                self.first_entry(incident, alert).map(|(incident, entry)| self.entry_reference(incident, entry)),
        })
    }

    /// It stays behind when the alert moves to another incident.
    fn first_entry<'a>(&'a self, incident: &'a Incident, alert: &Alert) -> Option<(&'a Incident, &'a LogEntry)> {
        let all = std::iter::once(incident).chain(&self.incidents);
        all.flat_map(|incident| incident.log.iter().map(move |entry| (incident, entry)))
            .find(|(_, entry)| entry.id == alert.entry)
    }

    /// With whole objects in the place of the references that were asked for.
    fn rest_alert_with(&self, incident: &Incident, alert: &Alert, includes: &[&str]) -> Value {
        let entry = self.first_entry(incident, alert);
        let whole = [
            ("services", "service", self.service(&alert.service).map(|service| self.rest_service(service))),
            ("incidents", "incident", Some(self.rest_incident(incident))),
            (
                "first_trigger_log_entries",
                "first_trigger_log_entry",
                entry.map(|(incident, entry)| self.whole_log_entry(incident, entry)),
            ),
        ];
        let asked = whole.into_iter().filter(|(include, ..)| includes.contains(include));
        let asked = asked.filter_map(|(_, key, whole)| Some((key.to_owned(), whole?))).collect();
        with(self.rest_alert(incident, alert), asked)
    }
}
