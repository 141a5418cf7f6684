//! Which incidents a list has, and in which order (REST docs, "List incidents").

use std::cmp::Ordering;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::incidents::INCLUDES;
use super::listing::sort_by;
use super::{Answer, Call, INCLUDE, Refusal, invalid, refusal};
use crate::pagerduty::model::{Incident, State, Status};

pub(super) const PARAMETERS: &[&str] = &[
    "date_range",
    "incident_key",
    "service_ids[]",
    "team_ids[]",
    "user_ids[]",
    "urgencies[]",
    "time_zone",
    "statuses[]",
    "sort_by",
    INCLUDE,
    "since",
    "until",
];

const USUAL_RANGE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// "6 months", read generously.
const LONGEST_RANGE: SignedDuration = SignedDuration::from_hours(184 * 24);

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let includes = call.many_of(INCLUDE, INCLUDES)?;
    let statuses = call.many_of("statuses[]", &["triggered", "acknowledged", "resolved"])?;
    let urgencies = call.many_of("urgencies[]", &["high", "low"])?;
    let (services, teams, users) = (call.many("service_ids[]"), call.many("team_ids[]"), call.many("user_ids[]"));
    let range = range(call, state.passing.now)?;
    let any = |wanted: &[&str], has: &str| wanted.is_empty() || wanted.contains(&has);
    let matches = |incident: &&Incident| {
        any(&statuses, name_of(incident.status))
            && any(&urgencies, &incident.urgency)
            && any(&services, &incident.service)
            && (teams.is_empty() || state.teams_of(&incident.service).iter().any(|id| teams.contains(&id.as_str())))
            && (users.is_empty() || incident.assignments.iter().any(|one| users.contains(&one.user.as_str())))
            && call.one("incident_key").is_none_or(|key| incident.incident_key.as_deref() == Some(key))
            && range.is_none_or(|(since, until)| since <= incident.created_at && incident.created_at <= until)
    };
    let mut found: Vec<&Incident> = state.incidents.iter().filter(matches).collect();
    // By number if nothing is said.
    sort_by(call, &mut found, order)?;
    call.page_of("incidents", &found, |incident| state.rest_incident_with(incident, &includes))
}

/// `None`: all incidents there ever were.
fn range(call: &Call<'_>, now: Timestamp) -> Result<Option<(Timestamp, Timestamp)>, Refusal> {
    match call.one("date_range") {
        Some("all") => return Ok(None),
        Some(_) => return Err(invalid("date_range can only be all")),
        None => {}
    }
    // Events may be a few milliseconds ahead of the clock.
    let until = call.time("until")?.unwrap_or_else(|| now + SignedDuration::from_secs(60));
    let since = call.time("since")?.unwrap_or_else(|| until - USUAL_RANGE);
    if since > until || until.duration_since(since) > LONGEST_RANGE {
        return Err(refusal(StatusCode::BAD_REQUEST, 2005, "Invalid Query Date Range", &[]));
    }
    Ok(Some((since, until)))
}

fn order(field: &str) -> Option<fn(&Incident, &Incident) -> Ordering> {
    Some(match field {
        "incident_number" => |a, b| a.number.cmp(&b.number),
        "created_at" => |a, b| a.created_at.cmp(&b.created_at),
        "resolved_at" => |a, b| resolved_at(a).cmp(&resolved_at(b)),
        "urgency" => |a, b| a.urgency.cmp(&b.urgency),
        _ => return None,
    })
}

fn resolved_at(incident: &Incident) -> Option<Timestamp> {
    (incident.status == Status::Resolved).then_some(incident.status_changed_at)
}

fn name_of(status: Status) -> &'static str {
    match status {
        Status::Triggered => "triggered",
        Status::Acknowledged => "acknowledged",
        Status::Resolved => "resolved",
    }
}
