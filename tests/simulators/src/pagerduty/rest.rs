//! REST: the calls that PagerBridge makes, with the checks, limits and error bodies of the real one.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::PagerDuty;
use super::login_page;
use super::model::{Agent, Fault, Status, Token};
use super::payload;

/// Calls per token and minute (REST docs, "Rate limits").
const LIMIT: u32 = 960;

/// Roles that may look but not act on incidents of others.
const SPECTATORS: [&str; 4] = ["observer", "restricted_access", "read_only_user", "read_only_limited_user"];

pub(super) fn router(_: PagerDuty) -> Router<PagerDuty> {
    Router::new()
        .route("/users/me", get(me))
        .route("/users/{id}", get(user))
        .route("/services", get(services))
        .route("/services/{id}", get(service))
        .route("/priorities", get(priorities))
        .route("/incidents", get(incidents).post(create_incident))
        .route("/incidents/{id}", get(incident).put(update_incident))
        .route("/incidents/{id}/notes", get(notes).post(create_note))
        .route("/webhook_subscriptions", get(super::subscriptions::list).post(super::subscriptions::create))
        .route("/webhook_subscriptions/{id}", get(super::subscriptions::show).delete(super::subscriptions::delete))
        .route("/webhook_subscriptions/{id}/enable", post(super::subscriptions::enable))
        .route("/webhook_subscriptions/{id}/ping", post(super::subscriptions::ping))
        .method_not_allowed_fallback(unknown)
}

/// Whatever is not listed above is a mistake of the client or a gap here: both must be seen.
pub(super) async fn unknown(Shared(pagerduty): Shared<PagerDuty>, request: Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    if what != "GET /favicon.ico" {
        pagerduty.passing().unknown.push(what);
    }
    refusal(StatusCode::NOT_FOUND, 2100, "Not Found", &[]).into_response()
}

/// An answer that is not 2xx.
pub(super) struct Refusal(StatusCode, Value, Option<u64>);

pub(super) fn refusal(status: StatusCode, code: u32, message: &str, errors: &[&str]) -> Refusal {
    Refusal(status, json!({ "error": { "message": message, "code": code, "errors": errors } }), None)
}

pub(super) fn not_found() -> Refusal {
    refusal(StatusCode::NOT_FOUND, 2100, "Not Found", &[])
}

pub(super) fn invalid(why: &str) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, 2001, "Invalid Input Provided", &[why])
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, axum::Json(self.1)).into_response();
        if let Some(reset) = self.2 {
            for (name, value) in
                [("ratelimit-limit", u64::from(LIMIT)), ("ratelimit-remaining", 0), ("ratelimit-reset", reset)]
            {
                response.headers_mut().insert(name, value.into());
            }
        }
        response
    }
}

pub(super) type Answer = Result<(StatusCode, axum::Json<Value>), Refusal>;

pub(super) fn ok(value: Value) -> Answer {
    Ok((StatusCode::OK, axum::Json(value)))
}

/// Who calls, after all checks that every call has in common.
pub(super) struct Caller {
    pub(super) token: Token,
}

impl PagerDuty {
    pub(super) fn caller(&self, headers: &HeaderMap, scope: &str, write: bool) -> Result<Caller, Refusal> {
        if let Some(fault) = self.passing().faults.pop_front_if_immediate() {
            return Err(fault);
        }
        let text =
            |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if text(header::ACCEPT) != "application/vnd.pagerduty+json;version=2" {
            return Err(invalid("Accept must be application/vnd.pagerduty+json;version=2"));
        }
        if write && !text(header::CONTENT_TYPE).starts_with("application/json") {
            return Err(invalid("Content-Type must be application/json"));
        }
        let unauthorized = || refusal(StatusCode::UNAUTHORIZED, 2006, "Unauthorized", &[]);
        let bearer = text(header::AUTHORIZATION).strip_prefix("Bearer ").ok_or_else(unauthorized)?;
        let now = self.now();
        let token =
            self.state().tokens.get(bearer).cloned().filter(|token| token.expires_at > now).ok_or_else(unauthorized)?;
        self.count(bearer)?;
        if !token.scopes.contains(scope) {
            return Err(refusal(StatusCode::FORBIDDEN, 0, "Token missing required scopes", &[]));
        }
        Ok(Caller { token })
    }

    fn count(&self, token: &str) -> Result<(), Refusal> {
        let now = self.now();
        let mut passing = self.passing();
        let (since, calls) = passing.calls.entry(token.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= SignedDuration::from_mins(1) {
            (*since, *calls) = (now, 0);
        }
        *calls += 1;
        if *calls <= LIMIT {
            return Ok(());
        }
        let left = SignedDuration::from_mins(1) - now.duration_since(*since);
        let reset = u64::try_from(left.as_secs()).unwrap_or(0) + 1;
        Err(Refusal(StatusCode::TOO_MANY_REQUESTS, too_many(), Some(reset)))
    }

    /// The person behind a call that changes an incident, with the checks of the `From` header and of the role.
    fn actor(&self, caller: &Caller, headers: &HeaderMap) -> Result<Agent, Refusal> {
        let from = headers.get("From").and_then(|value| value.to_str().ok());
        if let Some(from) = from
            && !from.contains('@')
        {
            return Err(refusal(StatusCode::BAD_REQUEST, 1028, "Malformed \"From\" header", &[]));
        }
        let state = self.state();
        let Some(id) = &caller.token.user else { return Ok(Agent::Nobody) };
        let user = state.user(id).ok_or_else(not_found)?;
        if from.is_some_and(|from| from != user.email) {
            return Err(refusal(StatusCode::BAD_REQUEST, 1008, "Requester User Not Found", &[]));
        }
        if SPECTATORS.contains(&user.role.as_str()) {
            return Err(refusal(StatusCode::FORBIDDEN, 2010, "Access Denied", &[]));
        }
        Ok(Agent::User(id.clone()))
    }

    /// Whether the answer to a call that was carried out gets lost.
    fn loses_answer(&self) -> bool {
        let mut passing = self.passing();
        let lost = passing.faults.front() == Some(&Fault::DropAnswerAfterApplying);
        if lost {
            passing.faults.pop_front();
        }
        lost
    }

    fn done(&self, answer: Answer) -> Answer {
        if self.loses_answer() {
            // What a proxy in between says when the connection breaks.
            return Err(Refusal(StatusCode::GATEWAY_TIMEOUT, Value::Null, None));
        }
        answer
    }
}

trait Immediate {
    fn pop_front_if_immediate(&mut self) -> Option<Refusal>;
}

impl Immediate for std::collections::VecDeque<Fault> {
    fn pop_front_if_immediate(&mut self) -> Option<Refusal> {
        let refused = match self.front()? {
            Fault::DropAnswerAfterApplying => return None,
            Fault::RateLimited(reset) => Refusal(StatusCode::TOO_MANY_REQUESTS, too_many(), *reset),
            Fault::Status(status) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                refusal(status, 2000, "Internal Error", &[])
            }
        };
        self.pop_front();
        Some(refused)
    }
}

fn too_many() -> Value {
    json!({ "error": { "message": "Rate Limit Exceeded", "code": 2020 } })
}

pub(super) fn parsed(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| invalid("the body is not JSON"))
}

async fn me(Shared(pagerduty): Shared<PagerDuty>, headers: HeaderMap) -> Answer {
    let caller = pagerduty.caller(&headers, "users.read", false)?;
    let base = pagerduty.base();
    let state = pagerduty.state();
    let Some(user) = caller.token.user.as_ref().and_then(|id| state.user(id)) else {
        return Err(invalid("an app token belongs to no user"));
    };
    ok(json!({ "user": payload::user(&base, user) }))
}

async fn user(Shared(pagerduty): Shared<PagerDuty>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "users.read", false)?;
    let base = pagerduty.base();
    let state = pagerduty.state();
    ok(json!({ "user": payload::user(&base, state.user(&id).ok_or_else(not_found)?) }))
}

#[derive(Deserialize)]
struct Listing {
    query: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

async fn services(Shared(pagerduty): Shared<PagerDuty>, Query(listing): Query<Listing>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "services.read", false)?;
    let (limit, offset) = (listing.limit.unwrap_or(25).min(100), listing.offset.unwrap_or(0));
    if limit + offset > 10_000 {
        return Err(invalid("offset and limit may not exceed 10000 together"));
    }
    let query = listing.query.unwrap_or_default().to_lowercase();
    let base = pagerduty.base();
    let state = pagerduty.state();
    let found: Vec<Value> = state
        .services
        .iter()
        .filter(|service| service.name.to_lowercase().contains(&query))
        .map(|service| payload::service(&base, service))
        .collect();
    let more = found.len() > offset + limit;
    let page: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
    ok(json!({ "services": page, "limit": limit, "offset": offset, "more": more, "total": null }))
}

async fn service(Shared(pagerduty): Shared<PagerDuty>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "services.read", false)?;
    let base = pagerduty.base();
    let state = pagerduty.state();
    ok(json!({ "service": payload::service(&base, state.service(&id).ok_or_else(not_found)?) }))
}

async fn priorities(Shared(pagerduty): Shared<PagerDuty>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "priorities.read", false)?;
    let known: Vec<Value> = pagerduty
        .priorities()
        .into_iter()
        .map(|(id, name)| json!({ "id": id, "type": "priority", "summary": name, "name": name }))
        .collect();
    ok(json!({ "priorities": known }))
}

async fn incidents(Shared(pagerduty): Shared<PagerDuty>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "incidents.read", false)?;
    let base = pagerduty.base();
    let state = pagerduty.state();
    let all: Vec<Value> =
        state.incidents.iter().rev().take(100).map(|incident| state.rest_incident(&base, incident)).collect();
    ok(json!({ "incidents": all, "limit": 100, "offset": 0, "more": state.incidents.len() > 100, "total": null }))
}

async fn incident(Shared(pagerduty): Shared<PagerDuty>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") {
        // A person followed a card's link: the real one has its web pages on another host.
        return match pagerduty.incident(&id) {
            Some(incident) => Html(login_page::incident(&incident)).into_response(),
            None => not_found().into_response(),
        };
    }
    let answer = pagerduty.caller(&headers, "incidents.read", false).and_then(|_| pagerduty.rest_answer(&id));
    pagerduty.done(answer).into_response()
}

async fn create_incident(Shared(pagerduty): Shared<PagerDuty>, headers: HeaderMap, body: Bytes) -> Answer {
    let caller = pagerduty.caller(&headers, "incidents.write", true)?;
    let agent = pagerduty.actor(&caller, &headers)?;
    let body = parsed(&body)?;
    let wanted = body.get("incident").ok_or_else(|| invalid("incident is missing"))?;
    if wanted.get("type").and_then(Value::as_str) != Some("incident") {
        return Err(invalid("incident.type must be incident"));
    }
    let text = |key: &str| wanted.get(key).and_then(Value::as_str);
    let title = text("title").filter(|title| !title.is_empty()).ok_or_else(|| invalid("Title cannot be empty"))?;
    let service = wanted.get("service").and_then(|service| service.get("id")).and_then(Value::as_str);
    let service =
        service.filter(|id| pagerduty.state().service(id).is_some()).ok_or_else(|| invalid("Service is not found"))?;
    let key = text("incident_key").map(str::to_owned);
    let taken = pagerduty.state().incidents.iter().any(|known| {
        known.incident_key.is_some()
            && known.incident_key == key
            && known.service == service
            && known.status != Status::Resolved
    });
    if taken {
        return Err(invalid("Open incident with matching dedup key already exists on this service"));
    }
    let id = pagerduty.open(service, title, text("urgency").unwrap_or("high"), &agent, key);
    let (_, incident) = pagerduty.rest_answer(&id)?;
    pagerduty.done(Ok((StatusCode::CREATED, incident)))
}

async fn update_incident(
    Shared(pagerduty): Shared<PagerDuty>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let caller = pagerduty.caller(&headers, "incidents.write", true)?;
    let agent = pagerduty.actor(&caller, &headers)?;
    let body = parsed(&body)?;
    let wanted = body.get("incident").ok_or_else(|| invalid("incident is missing"))?;
    if !matches!(wanted.get("type").and_then(Value::as_str), Some("incident" | "incident_reference")) {
        return Err(invalid("incident.type must be incident_reference"));
    }
    let status: Status = wanted
        .get("status")
        .cloned()
        .and_then(|status| serde_json::from_value(status).ok())
        .ok_or_else(|| refusal(StatusCode::BAD_REQUEST, 1003, "Invalid Status Provided", &[]))?;
    let present = pagerduty.state().incident(&id).map(|incident| incident.status).ok_or_else(not_found)?;
    if present == Status::Resolved && status == Status::Resolved {
        return Err(refusal(StatusCode::BAD_REQUEST, 1001, "Incident Already Resolved", &[]));
    }
    pagerduty.change_status(&id, status, &agent);
    pagerduty.done(pagerduty.rest_answer(&id))
}

async fn notes(Shared(pagerduty): Shared<PagerDuty>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "incidents.read", false)?;
    let base = pagerduty.base();
    let state = pagerduty.state();
    let incident = state.incident(&id).ok_or_else(not_found)?;
    let notes: Vec<Value> = incident.notes.iter().map(|note| state.rest_note(&base, note)).collect();
    ok(json!({ "notes": notes }))
}

async fn create_note(
    Shared(pagerduty): Shared<PagerDuty>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let caller = pagerduty.caller(&headers, "incidents.write", true)?;
    let agent = pagerduty.actor(&caller, &headers)?;
    let body = parsed(&body)?;
    let content = body.get("note").and_then(|note| note.get("content")).and_then(Value::as_str);
    let content = content.filter(|text| !text.is_empty()).ok_or_else(|| invalid("Content cannot be empty"))?;
    let note = pagerduty.annotate(&id, &agent, content).ok_or_else(not_found)?;
    let base = pagerduty.base();
    let value = pagerduty.state().rest_note(&base, &note);
    pagerduty.done(ok(json!({ "note": value })))
}

impl PagerDuty {
    fn rest_answer(&self, id: &str) -> Answer {
        let base = self.base();
        let state = self.state();
        ok(json!({ "incident": state.rest_incident(&base, state.incident(id).ok_or_else(not_found)?) }))
    }
}
