//! What a person does on the page's PagerDuty side, and why a wish on either side is not fulfilled.
//!
//! The simulators ignore wishes that make no sense, so they are checked here: a page that shows nothing after a click must
//! not leave the reader guessing why.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulators::teams::Mistake;

use super::World;

pub(super) fn routes() -> Router<World> {
    Router::new()
        .route("/demo/api/pagerduty/acknowledge", post(acknowledge))
        .route("/demo/api/pagerduty/resolve", post(resolve))
        .route("/demo/api/pagerduty/note", post(note))
        .route("/demo/api/pagerduty/priority", post(priority))
        .route("/demo/api/pagerduty/reassign", post(reassign))
}

/// Why a wish was not fulfilled; becomes `{"error": …}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why: why.into() }
    }

    /// It is the bot's fault.
    pub(super) fn of_bot(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, why: why.into() }
    }

    pub(super) fn unknown(what: &str, id: &str) -> Self {
        Self::bad(format!("there is no {what} {id:?}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.why }))).into_response()
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}

impl From<Mistake> for Refusal {
    fn from(mistake: Mistake) -> Self {
        let status = match mistake {
            Mistake::UnknownUser(_)
            | Mistake::UnknownConversation(_)
            | Mistake::UnknownMessage(_)
            | Mistake::NotDeliverable(_)
            | Mistake::NoSuchButton { .. }
            | Mistake::NotClickable { .. }
            | Mistake::BadInput { .. }
            | Mistake::NothingSent => StatusCode::BAD_REQUEST,
            Mistake::NoAnswer(_) => StatusCode::BAD_GATEWAY,
            Mistake::Unable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, why: mistake.to_string() }
    }
}

/// A JSON body. Its content type is demanded, so a page of another origin cannot send one without being asked first.
pub(super) struct Wish<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<World> for Wish<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, world: &World) -> Result<Self, Refusal> {
        let body: Result<Json<T>, JsonRejection> = Json::from_request(request, world).await;
        body.map(|Json(wish)| Self(wish)).map_err(|rejection| Refusal::bad(rejection.body_text()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByPerson {
    incident: String,
    user: String,
}

async fn acknowledge(State(world): State<World>, Wish(wish): Wish<ByPerson>) -> Result<Json<Value>, Refusal> {
    world.check(&wish.incident, &wish.user)?;
    world.pagerduty.acknowledge(&wish.incident, &wish.user);
    Ok(done())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve {
    incident: String,
    /// Nobody: the monitoring tool.
    user: Option<String>,
}

async fn resolve(State(world): State<World>, Wish(wish): Wish<Resolve>) -> Result<Json<Value>, Refusal> {
    world.check_incident(&wish.incident)?;
    match &wish.user {
        Some(user) => {
            world.check_person(user)?;
            world.pagerduty.resolve(&wish.incident, user);
        }
        None => world.pagerduty.resolve_by_integration(&wish.incident),
    }
    Ok(done())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    incident: String,
    user: String,
    text: String,
}

async fn note(State(world): State<World>, Wish(wish): Wish<Note>) -> Result<Json<Value>, Refusal> {
    let text = filled("text", &wish.text)?;
    world.check(&wish.incident, &wish.user)?;
    world.pagerduty.add_note(&wish.incident, &wish.user, text);
    Ok(done())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Priority {
    incident: String,
    user: String,
    /// Nothing clears it.
    priority: Option<String>,
}

async fn priority(State(world): State<World>, Wish(wish): Wish<Priority>) -> Result<Json<Value>, Refusal> {
    world.check(&wish.incident, &wish.user)?;
    if let Some(wanted) = &wish.priority
        && !world.pagerduty.priorities().iter().any(|(id, _)| id == wanted)
    {
        return Err(Refusal::unknown("priority", wanted));
    }
    world.pagerduty.set_priority(&wish.incident, &wish.user, wish.priority.as_deref());
    Ok(done())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reassign {
    incident: String,
    user: String,
    to: String,
}

async fn reassign(State(world): State<World>, Wish(wish): Wish<Reassign>) -> Result<Json<Value>, Refusal> {
    world.check(&wish.incident, &wish.user)?;
    world.check_person(&wish.to)?;
    world.pagerduty.reassign(&wish.incident, &wish.user, &wish.to);
    Ok(done())
}

pub(super) fn done() -> Json<Value> {
    Json(json!({}))
}

pub(super) fn filled<'a>(what: &str, text: &'a str) -> Result<&'a str, Refusal> {
    match text.trim() {
        "" => Err(Refusal::bad(format!("{what} is empty"))),
        text => Ok(text),
    }
}

fn has_id(value: &Value, id: &str) -> bool {
    value.get("id").and_then(Value::as_str) == Some(id)
}

impl World {
    fn check(&self, incident: &str, person: &str) -> Result<(), Refusal> {
        self.check_incident(incident)?;
        self.check_person(person)
    }

    pub(super) fn check_service(&self, id: &str) -> Result<(), Refusal> {
        let known = self.pagerduty.services().iter().any(|service| has_id(service, id));
        if known { Ok(()) } else { Err(Refusal::unknown("service", id)) }
    }

    fn check_incident(&self, id: &str) -> Result<(), Refusal> {
        self.pagerduty.incident(id).map(drop).ok_or_else(|| Refusal::unknown("incident", id))
    }

    fn check_person(&self, id: &str) -> Result<(), Refusal> {
        let known = self.pagerduty.users().iter().any(|person| has_id(person, id));
        if known { Ok(()) } else { Err(Refusal::unknown("PagerDuty person", id)) }
    }
}
