//! Notes and the log of an incident.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Call, INCLUDE, invalid, not_found, ok, refusal, text};
use crate::pagerduty::model::{Agent, Incident, LogEntry, Note, State};
use crate::pagerduty::references::{local_seconds, seconds, with};

pub(super) const LOG_PARAMETERS: &[&str] = &["since", "until", "is_overview", "time_zone", INCLUDE];
pub(super) const ACCOUNTS_LOG_PARAMETERS: &[&str] =
    &["since", "until", "is_overview", "time_zone", "team_ids[]", INCLUDE];

const MOST_NOTES: usize = 2000;
const LOG_INCLUDES: &[&str] = &["incidents", "services", "channels", "teams"];
/// What an overview shows. The documents only say "the most important changes".
const OVERVIEW: &[&str] = &["trigger", "acknowledge", "unacknowledge", "resolve", "assign", "escalate", "delegate"];

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    let notes: Vec<Value> = incident.notes.iter().map(|note| state.rest_note(incident, note)).collect();
    ok(json!({ "notes": notes }))
}

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = state.actor(&call.caller)?;
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    state.may_act(&agent, Some(incident))?;
    let content = text(&call.wanted, "content").filter(|content| !content.trim().is_empty());
    let content = content.ok_or_else(|| invalid("Content cannot be empty"))?;
    if incident.notes.len() >= MOST_NOTES {
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            2019,
            "Product Limit Reached",
            &["an incident has 2000 notes at most"],
        ));
    }
    let note = state.annotate(call.id, &agent, content).ok_or_else(not_found)?;
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    ok(json!({ "note": state.rest_note(incident, &note) }))
}

/// Newest first.
pub(super) fn log(state: &mut State, call: &Call<'_>) -> Answer {
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    state.log_of(call, &[incident])
}

/// The same of all incidents there ever were. No webhook has to do with it.
pub(super) fn accounts_log(state: &mut State, call: &Call<'_>) -> Answer {
    let teams = call.many("team_ids[]");
    let is_theirs = |incident: &&Incident| {
        teams.is_empty() || state.teams_of(&incident.service).iter().any(|id| teams.contains(&id.as_str()))
    };
    state.log_of(call, &state.incidents.iter().filter(is_theirs).collect::<Vec<_>>())
}

impl State {
    fn log_of(&self, call: &Call<'_>, incidents: &[&Incident]) -> Answer {
        let with_channels = call.many_of(INCLUDE, LOG_INCLUDES)?.contains(&"channels");
        let overview = call.flag("is_overview")?;
        let (since, until) = (call.time("since")?, call.time("until")?);
        let is_important =
            |entry: &LogEntry| entry.kind.strip_suffix("_log_entry").is_some_and(|kind| OVERVIEW.contains(&kind));
        let matches = |entry: &LogEntry| {
            since.is_none_or(|since| entry.at >= since)
                && until.is_none_or(|until| entry.at <= until)
                && (!overview || is_important(entry))
        };
        let rows = incidents.iter().flat_map(|incident| {
            let rows = incident.noise.iter().rev().chain(incident.log.iter().rev());
            rows.map(move |entry| (*incident, entry))
        });
        let mut found: Vec<(&Incident, &LogEntry)> = rows.filter(|(_, entry)| matches(entry)).collect();
        found.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.at));
        let told = |(incident, entry): (&Incident, &LogEntry)| {
            let row = if with_channels {
                self.whole_log_entry(incident, entry)
            } else {
                self.rest_log_entry(incident, entry)
            };
            entry.more.iter().fold(row, |row, more| with(row, more.clone()))
        };
        let entries: Vec<Value> = found.into_iter().map(told).collect();
        call.page("log_entries", &entries)
    }

    pub(in crate::pagerduty) fn rest_note(&self, incident: &Incident, note: &Note) -> Value {
        let agent = self.agent_in_rest(&note.agent, &incident.service);
        let is_person = matches!(note.agent, Agent::User(_));
        let user = if is_person { agent } else { with(agent, json!({ "type": "bot_user_reference" })) };
        json!({
            "id": note.id,
            "user": user,
            "channel": { "summary": "The PagerDuty website or APIs" },
            "content": note.content,
            "created_at": local_seconds(note.at),
            "updated_at": local_seconds(note.at),
        })
    }

    pub(super) fn rest_log_entry(&self, incident: &Incident, entry: &LogEntry) -> Value {
        let links = &self.passing.links;
        let agent = self.agent_in_rest(&entry.agent, &incident.service);
        let usual = if matches!(entry.agent, Agent::User(_)) { "website" } else { "api" };
        let channel = entry.channel.as_ref().and_then(|channel| text(channel, "type")).unwrap_or(usual);
        let did = entry.kind.trim_end_matches("_log_entry").replace('_', " ");
        let mut value = json!({
            "id": entry.id,
            "type": rest_kind(&entry.kind),
            "summary": format!("{did} by {}", text(&agent, "summary").unwrap_or_default()),
            "self": format!("{}/log_entries/{}?incident_id={}", links.api, entry.id, incident.id),
            "html_url": format!("{}/incidents/{}/log_entries/{}", links.web, incident.id, entry.id),
            "created_at": seconds(entry.at),
            "agent": agent,
            "channel": { "type": channel },
            "service": self.service_reference_in_rest(&incident.service),
            "incident": self.incident_reference_in_rest(incident),
            "teams": self.team_references(&incident.service),
            "contexts": [],
        });
        if let Some(note) = &entry.note {
            value = with(value, json!({ "note": note }));
        }
        if let Some(assignees) = &entry.assignees {
            let assignees: Vec<Value> = assignees.iter().map(|user| self.user_reference(user)).collect();
            value = with(value, json!({ "assignees": assignees }));
        }
        if let Some(user) = &entry.user {
            value = with(value, json!({ "user": self.user_reference(user) }));
        }
        if entry.kind == "trigger_log_entry" {
            let said = entry.channel.as_ref().and_then(|channel| text(channel, "summary"));
            let event_details = json!({ "description": said.unwrap_or(&incident.title) });
            value = with(value, json!({ "event_details": event_details }));
        }
        value
    }

    /// With all that is known of its channel: the details that came with a trigger are there and nowhere else.
    pub(super) fn whole_log_entry(&self, incident: &Incident, entry: &LogEntry) -> Value {
        let value = self.rest_log_entry(incident, entry);
        match &entry.channel {
            Some(channel) => with(value, json!({ "channel": channel })),
            None => value,
        }
    }

    pub(super) fn entry_reference(&self, incident: &Incident, entry: &LogEntry) -> Value {
        let mut value = self.rest_log_entry(incident, entry);
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|key, _| ["id", "summary", "self", "html_url"].contains(&key.as_str()));
        }
        with(value, json!({ "type": "trigger_log_entry_reference" }))
    }
}

/// REST knows 17 kinds of entries (REST docs, "Log entries"); none of them is a reopening or a change of a certain field.
fn rest_kind(kind: &str) -> &str {
    match kind {
        "reopen_log_entry" => "assign_log_entry",
        "urgency_change_log_entry" => kind,
        _ if kind.ends_with("_change_log_entry") => "field_value_change_log_entry",
        _ => kind,
    }
}
