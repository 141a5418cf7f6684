//! REST: the documented operations that clients of this kind need, with the checks, limits and error bodies of the real one.
//! Query parameters and body keys that the documents do not have are ignored, as there, and remembered.

mod alerts;
mod bulk;
mod context;
mod escalation;
mod incident_list;
mod incident_writes;
mod incidents;
mod listing;
mod notes;
mod people;
mod responders;
mod services;
mod subscriptions;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::PagerDuty;
use super::access::{Caller, check_headers};
use super::model::State;
use super::server::{Incoming, Reply};
use listing::PAGING;

/// A documented call.
pub(super) struct Operation {
    method: &'static str,
    path: &'static str,
    /// What a scoped token needs (`x-pd-requires-scope`).
    scope: &'static str,
    parameters: &'static [&'static str],
    paged: bool,
    /// The body's only key, and the keys of the object behind it, or of each in the list behind it.
    body: Option<(&'static str, &'static [&'static str])>,
    /// Whether a list is behind it.
    many: bool,
    answer: fn(&mut State, &Call<'_>) -> Answer,
}

/// A call that has passed all checks that every call has.
pub(super) struct Call<'a> {
    caller: Caller,
    /// What stands in the path for `{id}`.
    id: &'a str,
    query: &'a [(String, String)],
    /// The object or the list in the body.
    wanted: Value,
}

/// An answer that is not 2xx.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
}

type Answer = Result<(StatusCode, Option<Value>), Refusal>;

const INCLUDE: &str = "include[]";

/// Incidents that may be opened per credential and minute (developer docs, "Rate limits").
const OPENING_LIMIT: u32 = 300;
/// Changes of many incidents per credential and minute (changelog of 2022).
const BULK_LIMIT: u32 = 500;

pub(super) const OPERATIONS: &[Operation] = &[
    get("/users/me", "users.read", &[INCLUDE], people::me),
    list("/users", "users.read", people::PARAMETERS, people::list),
    get("/users/{id}", "users.read", &[INCLUDE], people::user),
    list("/services", "services.read", services::PARAMETERS, services::list),
    get("/services/{id}", "services.read", &[INCLUDE], services::service),
    list("/incidents", "incidents.read", incident_list::PARAMETERS, incident_list::list),
    write("POST", "/incidents", "incidents.write", ("incident", incident_writes::OPENING), incident_writes::create),
    write_many("PUT", "/incidents", "incidents.write", ("incidents", incident_writes::ONE_OF_MANY), bulk::update),
    get("/incidents/{id}", "incidents.read", &[INCLUDE], incidents::incident),
    write("PUT", "/incidents/{id}", "incidents.write", ("incident", incident_writes::UPDATE), incident_writes::update),
    list("/incidents/{id}/alerts", "incidents.read", alerts::PARAMETERS, alerts::list),
    get("/incidents/{id}/notes", "incidents.read", &[], notes::list),
    write("POST", "/incidents/{id}/notes", "incidents.write", ("note", &["content"]), notes::create),
    list("/incidents/{id}/log_entries", "incidents.read", notes::LOG_PARAMETERS, notes::log),
    get("/incidents/{id}/past_incidents", "incidents.read", context::PAST, context::past),
    get("/incidents/{id}/related_incidents", "incidents.read", context::RELATED, context::related),
    get("/incidents/{id}/related_change_events", "incidents.read", context::CHANGES, context::changes),
    get("/incidents/{id}/outlier_incident", "incidents.read", context::OUTLIER, context::outlier),
    get("/incidents/{id}/business_services/impacts", "incidents.read", context::IMPACTS, context::impacts),
    list("/log_entries", "incidents.read", notes::ACCOUNTS_LOG_PARAMETERS, notes::accounts_log),
    list("/priorities", "priorities.read", &[], services::priorities),
    list("/escalation_policies", "escalation_policies.read", escalation::PARAMETERS, escalation::list),
    list("/oncalls", "oncalls.read", escalation::ONCALL_PARAMETERS, escalation::oncalls),
    list("/webhook_subscriptions", "webhook_subscriptions.read", &["filter_type", "filter_id"], subscriptions::list),
    write(
        "POST",
        "/webhook_subscriptions",
        "webhook_subscriptions.write",
        ("webhook_subscription", subscriptions::NEW),
        subscriptions::create,
    ),
    get("/webhook_subscriptions/{id}", "webhook_subscriptions.read", &[], subscriptions::show),
    write(
        "PUT",
        "/webhook_subscriptions/{id}",
        "webhook_subscriptions.write",
        ("webhook_subscription", subscriptions::UPDATE),
        subscriptions::update,
    ),
    bare("DELETE", "/webhook_subscriptions/{id}", "webhook_subscriptions.write", subscriptions::delete),
    bare("POST", "/webhook_subscriptions/{id}/enable", "webhook_subscriptions.write", subscriptions::enable),
    bare("POST", "/webhook_subscriptions/{id}/ping", "webhook_subscriptions.write", subscriptions::ping),
];

type Handling = fn(&mut State, &Call<'_>) -> Answer;

const fn get(
    path: &'static str,
    scope: &'static str,
    parameters: &'static [&'static str],
    answer: Handling,
) -> Operation {
    Operation { method: "GET", path, scope, parameters, paged: false, body: None, many: false, answer }
}

const fn list(
    path: &'static str,
    scope: &'static str,
    parameters: &'static [&'static str],
    answer: Handling,
) -> Operation {
    Operation { paged: true, ..get(path, scope, parameters, answer) }
}

const fn bare(method: &'static str, path: &'static str, scope: &'static str, answer: Handling) -> Operation {
    Operation { method, ..get(path, scope, &[], answer) }
}

const fn write(
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    body: (&'static str, &'static [&'static str]),
    answer: Handling,
) -> Operation {
    Operation { body: Some(body), ..bare(method, path, scope, answer) }
}

/// A change of many things at once, which are listed in the answer page by page.
const fn write_many(
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    body: (&'static str, &'static [&'static str]),
    answer: Handling,
) -> Operation {
    Operation { many: true, paged: true, ..write(method, path, scope, body, answer) }
}

impl Operation {
    /// As in the documents: `GET /incidents/{id}`.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// How often a minute it may be called, where that is less than for all calls.
    fn own_limit(&self) -> Option<(&'static str, u32)> {
        match (self.method, self.path) {
            ("POST", "/incidents") => Some(("opening", OPENING_LIMIT)),
            ("PUT", "/incidents") => Some(("many at once", BULK_LIMIT)),
            _ => None,
        }
    }

    /// The id in the path of a request for this operation; empty if it has none.
    fn id_in<'a>(&self, incoming: &Incoming<'a>) -> Option<&'a str> {
        let pattern: Vec<&str> = self.path.split('/').skip(1).collect();
        if incoming.method.as_str() != self.method || pattern.len() != incoming.segments.len() {
            return None;
        }
        let mut id = "";
        for (expected, segment) in pattern.iter().zip(&incoming.segments) {
            match *expected {
                "{id}" if !segment.is_empty() => id = segment,
                expected if expected == *segment => {}
                _ => return None,
            }
        }
        Some(id)
    }
}

impl PagerDuty {
    /// `None`: there is no such operation.
    pub(super) fn rest(&self, incoming: &Incoming<'_>) -> Option<Reply> {
        let (operation, id) = OPERATIONS.iter().find_map(|known| known.id_in(incoming).map(|id| (known, id)))?;
        let mut state = self.lock();
        let (at, line) = (state.passing.now, format!("{} {}", incoming.method, incoming.uri));
        state.passing.asked.push((at, line));
        let fault = state.passing.faults.next(&operation.name());
        if let Some(failing) = fault.as_ref().and_then(Reply::failing) {
            return Some(failing);
        }
        let reply = answer(&mut state, operation, id, incoming);
        Some(reply.after(fault.as_ref()))
    }
}

fn answer(state: &mut State, operation: &Operation, id: &str, incoming: &Incoming<'_>) -> Reply {
    let caller = match state.caller(incoming.headers) {
        Ok(caller) => caller,
        Err(Refusal { status, body }) => return Reply::json(status, body),
    };
    let rate = match state.count(&caller, operation.own_limit()) {
        Ok(rate) => rate,
        Err(rate) => {
            return Reply::Json { status: StatusCode::TOO_MANY_REQUESTS, body: too_many(), rate: Some(rate) };
        }
    };
    let checked = check_headers(incoming.headers, operation.body.is_some())
        .and_then(|()| caller.needs(operation.scope))
        .and_then(|()| wanted(state, operation, incoming.body));
    remember_unknown_parameters(state, operation, &incoming.query);
    let answer = checked.and_then(|wanted| {
        if operation.path != "/users/me" && caller.is_foreign(state) {
            return Err(not_found());
        }
        let call = Call { caller, id, query: &incoming.query, wanted };
        (operation.answer)(state, &call)
    });
    match answer {
        Ok((status, Some(body))) => Reply::Json { status, body, rate: Some(rate) },
        Ok((status, None)) => Reply::Empty(status, Some(rate)),
        Err(Refusal { status, body }) => Reply::Json { status, body, rate: Some(rate) },
    }
}

/// The object or the list in the body.
fn wanted(state: &mut State, operation: &Operation, body: &[u8]) -> Result<Value, Refusal> {
    let Some((wrapper, keys)) = operation.body else { return Ok(Value::Null) };
    let body: Value = serde_json::from_slice(body).map_err(|_| invalid("the body is not JSON"))?;
    let is_right = |wanted: &&Value| match wanted {
        Value::Array(all) => operation.many && !all.is_empty() && all.iter().all(Value::is_object),
        one => !operation.many && one.is_object(),
    };
    let wanted = body.get(wrapper).filter(is_right).cloned();
    let wanted = wanted.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, 2003, "Missing Arguments", &[wrapper]))?;
    let unknown = body.as_object().into_iter().flatten().map(|(key, _)| key.clone()).filter(|key| key != wrapper);
    let objects = wanted.as_array().map_or(std::slice::from_ref(&wanted), Vec::as_slice);
    let inner = objects.iter().filter_map(Value::as_object).flat_map(|object| object.keys());
    let unknown_inside = inner.filter(|key| !keys.contains(&key.as_str())).map(|key| format!("{wrapper}.{key}"));
    for key in unknown.chain(unknown_inside).collect::<Vec<_>>() {
        state.note_unknown(format!("{}: body key {key}", operation.name()));
    }
    Ok(wanted)
}

fn remember_unknown_parameters(state: &mut State, operation: &Operation, query: &[(String, String)]) {
    for (name, _) in query {
        let name = name.as_str();
        let known = operation.parameters.contains(&name) || (operation.paged && PAGING.contains(&name));
        if !known {
            state.note_unknown(format!("{}: parameter {name}", operation.name()));
        }
    }
}

/// PagerDuty's error body (REST docs, "Errors").
pub(super) fn refusal(status: StatusCode, code: u32, message: &str, errors: &[&str]) -> Refusal {
    let error = if errors.is_empty() {
        json!({ "message": message, "code": code })
    } else {
        json!({ "message": message, "code": code, "errors": errors })
    };
    Refusal { status, body: json!({ "error": error }) }
}

pub(super) fn invalid(why: &str) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, 2001, "Invalid Input Provided", &[why])
}

fn not_found() -> Refusal {
    refusal(StatusCode::NOT_FOUND, 2100, "Not Found", &[])
}

/// The plan does not have it; the answer names what is missing.
pub(super) fn missing_ability(ability: &str) -> Value {
    json!({ "error": { "message": "Required Abilities Missing", "code": 2014, "errors": [ability] } })
}

pub(super) fn too_many() -> Value {
    json!({ "error": { "message": "Rate Limit Exceeded", "code": 2020 } })
}

fn ok(value: Value) -> Answer {
    Ok((StatusCode::OK, Some(value)))
}

/// A text in the body's object.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// The id of a reference in the body's object, whose type must be one of these.
fn referenced<'a>(value: &'a Value, key: &str, kinds: &[&str]) -> Result<Option<&'a str>, Refusal> {
    let Some(reference) = value.get(key).filter(|reference| !reference.is_null()) else { return Ok(None) };
    let kind = text(reference, "type").unwrap_or_default();
    let id = text(reference, "id").filter(|_| kinds.contains(&kind));
    id.map(Some).ok_or_else(|| invalid(&format!("{key} must be a {} with an id", kinds.join(" or "))))
}
