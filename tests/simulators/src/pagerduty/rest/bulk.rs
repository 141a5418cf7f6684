//! Changing many incidents at once: all of them, or none (REST docs, "Manage incidents").

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::incident_writes::{apply, checked};
use super::{Answer, Call, Refusal, invalid, not_found, refusal, text};
use crate::pagerduty::model::State;

const MOST: usize = 250;

pub(super) fn update(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = state.actor(&call.caller)?;
    let all = call.wanted.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.len() > MOST {
        let why = format!("{MOST} incidents may be updated at a time");
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, 2001, "Request Entity Too Large", &[&why]));
    }
    let mut seen = BTreeSet::new();
    let mut updates = Vec::new();
    for wanted in all {
        let id = text(wanted, "id").ok_or_else(|| invalid("each incident must have an id"))?;
        // The documents have no 404 here.
        let incident = state.incident(id).ok_or_else(|| invalid(&format!("Incident {id} Not Found")))?;
        if !seen.insert(incident.id.clone()) {
            return Err(invalid(&format!("{id} is there twice")));
        }
        let update = checked(state, &agent, incident, wanted).map_err(|refusal| named(refusal, id))?;
        updates.push((incident.id.clone(), update));
    }
    for (id, update) in &updates {
        apply(state, id, &agent, update);
    }
    let changed: Result<Vec<Value>, Refusal> = updates
        .iter()
        .map(|(id, _)| state.incident(id).map(|incident| state.rest_incident(incident)).ok_or_else(not_found))
        .collect();
    call.page("incidents", &changed?)
}

/// Says of which incident it is.
fn named(Refusal { status, mut body }: Refusal, id: &str) -> Refusal {
    if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
        let errors = error.entry("errors").or_insert_with(|| json!([]));
        errors.as_array_mut().into_iter().for_each(|errors| errors.insert(0, json!(id)));
    }
    Refusal { status, body }
}
