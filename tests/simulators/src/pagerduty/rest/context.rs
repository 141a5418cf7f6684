//! The context of an incident. Each of these calls has a form of its own (REST docs, "Incidents").

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Call, Refusal, invalid, missing_ability, not_found, ok};
use crate::pagerduty::context::{Context, EVENT_INTELLIGENCE};
use crate::pagerduty::model::{Incident, State};
use crate::pagerduty::references::with;

pub(super) const PAST: &[&str] = &["limit", "total"];
pub(super) const RELATED: &[&str] = &[ADDITIONAL];
pub(super) const CHANGES: &[&str] = &["limit"];
pub(super) const OUTLIER: &[&str] = &["since", ADDITIONAL];
pub(super) const IMPACTS: &[&str] = &["limit", "cursor"];

const ADDITIONAL: &str = "additional_details[]";
const USUAL_PAST: usize = 5;
const MOST_PAST: usize = 999;
const MOST_RELATED: usize = 20;
const IMPACTS_PAGE: usize = 100;

pub(super) fn past(state: &mut State, call: &Call<'_>) -> Answer {
    let incident = planned(state, call)?;
    let limit = call.number("limit")?.unwrap_or(USUAL_PAST);
    if !(1..=MOST_PAST).contains(&limit) {
        return Err(invalid("limit must be between 1 and 999"));
    }
    let found = list(incident, Context::PastIncidents);
    let total = call.flag("total")?.then_some(found.len());
    let first: Vec<&Value> = found.iter().take(limit).collect();
    ok(json!({ "past_incidents": first, "total": total, "limit": limit }))
}

pub(super) fn related(state: &mut State, call: &Call<'_>) -> Answer {
    let incident = planned(state, call)?;
    let whole = !call.many_of(ADDITIONAL, &["incident"])?.is_empty();
    let found = list(incident, Context::RelatedIncidents).iter().take(MOST_RELATED);
    let found: Vec<Value> = found.map(|one| if whole { state.with_whole_incident(one) } else { one.clone() }).collect();
    ok(json!({ "related_incidents": found }))
}

/// It has no pages, though it has their keys.
pub(super) fn changes(state: &mut State, call: &Call<'_>) -> Answer {
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    let limit = call.number("limit")?.unwrap_or(usize::MAX);
    let found: Vec<&Value> = list(incident, Context::RelatedChangeEvents).iter().take(limit).collect();
    ok(json!({ "change_events": found, "limit": null, "offset": null, "total": null, "more": false }))
}

pub(super) fn outlier(state: &mut State, call: &Call<'_>) -> Answer {
    let incident = planned(state, call)?;
    call.time("since")?;
    let whole = !call.many_of(ADDITIONAL, &["incident"])?.is_empty();
    let found = incident.context.get(&Context::OutlierIncident).cloned();
    let found = found.unwrap_or_else(|| json!({ "incident": state.short_incident(incident) }));
    ok(json!({ "outlier_incident": if whole { state.with_whole_incident(&found) } else { found } }))
}

/// Its pages have a cursor, whose form is not documented.
pub(super) fn impacts(state: &mut State, call: &Call<'_>) -> Answer {
    let incident = state.incident(call.id).ok_or_else(not_found)?;
    let limit = call.number("limit")?.unwrap_or(IMPACTS_PAGE).clamp(1, IMPACTS_PAGE);
    let from = match call.one("cursor") {
        None => 0,
        Some(cursor) => {
            let from = cursor.strip_prefix("after-").and_then(|from| from.parse().ok());
            from.ok_or_else(|| invalid("there is no such cursor"))?
        }
    };
    let found = list(incident, Context::BusinessServiceImpacts);
    let page: Vec<&Value> = found.iter().skip(from).take(limit).collect();
    let next = (found.len() > from + limit).then(|| format!("after-{}", from + limit));
    ok(json!({ "services": page, "limit": limit, "next_cursor": next }))
}

/// What only some plans have.
fn planned<'a>(state: &'a State, call: &Call<'_>) -> Result<&'a Incident, Refusal> {
    if state.missing_abilities.contains(EVENT_INTELLIGENCE) {
        return Err(Refusal { status: StatusCode::PAYMENT_REQUIRED, body: missing_ability(EVENT_INTELLIGENCE) });
    }
    state.incident(call.id).ok_or_else(not_found)
}

fn list(incident: &Incident, context: Context) -> &[Value] {
    incident.context.get(&context).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl State {
    /// Its incident with all that REST knows of it, if it is one of this account.
    fn with_whole_incident(&self, one: &Value) -> Value {
        let known = one.pointer("/incident/id").and_then(Value::as_str).and_then(|id| self.incident(id));
        let given = one.get("incident").cloned().unwrap_or_default();
        match known {
            Some(known) => with(one.clone(), json!({ "incident": with(self.rest_incident(known), given) })),
            None => one.clone(),
        }
    }
}
