//! What people do on the page.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Page;

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn refused(why: impl std::fmt::Display) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why.to_string() })))
}

#[derive(Deserialize)]
pub(super) struct Click {
    user: String,
    message: String,
    /// Title or verb.
    button: String,
    inputs: Value,
}

pub(super) async fn click(State(page): State<Page>, Json(click): Json<Click>) -> Answer {
    let answer = page.teams.click(&click.user, &click.message, &click.button, click.inputs).await.map_err(refused)?;
    Ok(Json(json!({ "effect": answer.effect() })))
}

#[derive(Deserialize)]
pub(super) struct Say {
    user: String,
    /// `null`: the private chat.
    conversation: Option<String>,
    text: String,
}

pub(super) async fn say(State(page): State<Page>, Json(say): Json<Say>) -> Answer {
    if say.text.trim().is_empty() {
        return Err(refused("nothing was written"));
    }
    let answer = match say.conversation {
        Some(conversation) => page.teams.say(&say.user, &conversation, &say.text).await,
        None => {
            if page.teams.personal_chat(&say.user).is_none() {
                page.teams.install_personal(&say.user).await.map_err(refused)?;
            }
            page.teams.say_privately(&say.user, &say.text).await
        }
    };
    answer.map(|answer| Json(json!({ "status": answer.status }))).map_err(refused)
}

#[derive(Deserialize)]
pub(super) struct Work {
    user: String,
    incident: Option<String>,
    service: Option<String>,
    title: Option<String>,
    urgency: Option<String>,
    text: Option<String>,
    priority: Option<String>,
}

pub(super) async fn pagerduty(State(page): State<Page>, Path(action): Path<String>, Json(work): Json<Work>) -> Answer {
    let given = |value: &Option<String>, what: &str| {
        value.clone().filter(|text| !text.trim().is_empty()).ok_or_else(|| refused(format!("{what} is missing")))
    };
    let pagerduty = &page.pagerduty;
    if action == "trigger" {
        let (service, title) = (given(&work.service, "the service")?, given(&work.title, "the title")?);
        let urgency = work.urgency.as_deref().filter(|urgency| ["high", "low"].contains(urgency)).unwrap_or("high");
        if !pagerduty.services().iter().any(|known| known.get("id").and_then(Value::as_str) == Some(&service)) {
            return Err(refused("there is no such service"));
        }
        return Ok(Json(json!({ "incident": pagerduty.trigger(&service, &title, urgency) })));
    }
    let incident = given(&work.incident, "the incident")?;
    if pagerduty.incident(&incident).is_none() {
        return Err(refused("there is no such incident"));
    }
    match action.as_str() {
        "acknowledge" => pagerduty.acknowledge(&incident, &work.user),
        "resolve" => pagerduty.resolve(&incident, &work.user),
        "reopen" => pagerduty.reopen(&incident, &work.user),
        "note" => pagerduty.add_note(&incident, &work.user, &given(&work.text, "the note")?),
        "priority" => {
            pagerduty.set_priority(&incident, &work.user, work.priority.as_deref().filter(|id| !id.is_empty()))
        }
        "reassign" => pagerduty.reassign(&incident, &work.user, &work.user),
        other => return Err(refused(format!("{other} is not something that one can do here"))),
    }
    Ok(Json(json!({ "incident": incident })))
}
