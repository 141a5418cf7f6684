//! Everything that comes from Teams: `POST /api/messages`.
//!
//! Teams waits 5 s for the answer to a click and about 15 s for anything else, and sends it again when it hears nothing.
//! So every activity is answered in time and acts at most once. Only what changes in teams and channels is answered with a
//! failure when it could not be noted, so that it is resent: those steps can be repeated, and a lost one would leave a team
//! without its incidents.

mod answer;
mod click;
mod commands;
mod dialog;
mod error;
mod forms;
mod link;
mod storm;
mod team;
mod who;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use cards::data::{ButtonData, StormData};
use runtime::App;
use teams::activity::{Click, Inbound};
use teams::auth::{AuthError, Verified};
use tokio::time::Instant;

use crate::who::Who;

/// Far above any activity that Teams sends.
const MAX_BODY_BYTES: usize = 512 * 1024;

/// Teams gives an invoke 5 s; what takes longer is finished by PagerDuty's webhook.
const CLICK_BUDGET: Duration = Duration::from_millis(4000);

/// Teams resends a message that is not answered within 15 s.
const MESSAGE_BUDGET: Duration = Duration::from_secs(12);

/// Lambda ends the function after 20 s, its answer with it. What was begun is waited for until then, even where Teams does not wait.
const LATEST_ANSWER: Duration = Duration::from_secs(18);

/// Kept of that for what is noted and told after PagerDuty's last answer: the limits above drop the flow.
const AFTER_PAGERDUTY: Duration = Duration::from_secs(1);

/// The function's HTTP surface: `POST /api/messages`.
pub fn router(app: App) -> Router {
    let router = Router::new().route("/api/messages", post(receive));
    runtime::with_headers(runtime::with_failures_counted(router, &app).with_state(app), runtime::NO_PAGE)
}

async fn receive(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    // Whatever follows counts: keys that have to be fetched, addresses that have to be stored.
    let started = Instant::now();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match app.bot_auth.check(authorization, &body, app.clock.now()).await {
        Ok(verified) => answer(&app, &verified, started).await,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &AuthError) -> Response {
    tracing::warn!(error = runtime::chain(error), "activity refused");
    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED).into_response()
}

async fn answer(app: &App, verified: &Verified, started: Instant) -> Response {
    let inbound = verified.activity().inbound();
    let budget = match &inbound {
        Inbound::Click(_)
        | Inbound::TaskFetch { .. }
        | Inbound::TaskSubmit { .. }
        | Inbound::Search { .. }
        | Inbound::SignIn { .. }
        | Inbound::OtherInvoke { .. } => CLICK_BUDGET,
        Inbound::Message { .. }
        | Inbound::Installed
        | Inbound::Uninstalled
        | Inbound::MembersAdded { .. }
        | Inbound::ConversationUpdate { .. }
        | Inbound::Other => MESSAGE_BUDGET,
    };
    let late = answer::late(&inbound);
    let who = Who::of(verified, started + budget - AFTER_PAGERDUTY);
    let flow = async {
        let refreshed = Box::pin(team::refresh_service_url(app, &who, verified));
        let acted = Box::pin(act(app, &who, verified, inbound));
        tokio::join!(refreshed, acted).1
    };
    let answer = tokio::time::timeout_at(started + budget, flow).await.unwrap_or_else(|_| {
        tracing::warn!("activity ran out of time");
        late
    });
    // A Lambda that has answered is frozen, and a person's new tokens would be lost with what is not stored by then.
    if tokio::time::timeout_at(started + LATEST_ANSWER, app.finished()).await.is_err() {
        tracing::error!("answered although something is not finished");
    }
    answer
}

async fn act(app: &App, who: &Who, verified: &Verified, inbound: Inbound) -> Response {
    match inbound {
        Inbound::Click(click) => {
            let clicked = click::click(app, who, verified, &click).await;
            let zone = click::zone_of(app, who, &clicked).await;
            answer::click(clicked, &zone)
        }
        Inbound::TaskFetch { data } => match (StormData::read(&data), ButtonData::read(&data)) {
            (Some(data), _) => answer::storm(storm::open(app, who, verified, data).await),
            (None, Some(data)) => answer::dialog(dialog::open(app, who, data).await),
            (None, None) => answer::page(forms::open(app, who, &data).await),
        },
        Inbound::TaskSubmit { data } => match (StormData::read(&data), ButtonData::read(&data)) {
            (Some(data), _) => answer::storm(storm::submit(app, who, verified, data).await),
            (None, Some(data)) => answer::dialog(dialog::submit(app, who, verified, data).await),
            (None, None) => answer::page(forms::submit(app, who, &data).await),
        },
        Inbound::Search { dataset, text } => answer::choices(forms::search(app, who, &dataset, &text).await),
        Inbound::SignIn { state } => {
            link::signed_in(app, who, &state).await;
            StatusCode::OK.into_response()
        }
        Inbound::OtherInvoke { .. } => answer::not_supported(),
        Inbound::Message { text, value: Some(data) } if text.is_empty() => {
            Box::pin(click_as_message(app, who, verified, data)).await;
            StatusCode::OK.into_response()
        }
        Inbound::Message { text, .. } => {
            Box::pin(commands::run(app, who, verified, &text)).await;
            StatusCode::OK.into_response()
        }
        Inbound::Installed | Inbound::MembersAdded { bot: true, .. } => {
            answer::noted("added", Box::pin(team::added(app, who, verified)).await)
        }
        Inbound::Uninstalled => answer::noted("removed", Box::pin(team::removed(app, who, verified)).await),
        Inbound::ConversationUpdate { event_type } => {
            answer::noted("changed", Box::pin(team::changed(app, who, verified, &event_type)).await)
        }
        // Teams adds activity types; one that is not answered with 200 would be sent again and again.
        Inbound::MembersAdded { bot: false, .. } | Inbound::Other => StatusCode::OK.into_response(),
    }
}

/// An older client sends a button's click as a message, which has no answer of its own: what came of it is told privately.
async fn click_as_message(app: &App, who: &Who, verified: &Verified, data: serde_json::Value) {
    let verb = data.get("verb").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let card = verified.activity().reply_to.clone();
    let click = Click { action: data, verb, trigger_automatic: false, card };
    let clicked = click::click(app, who, verified, &click).await;
    let Some(card) = answer::as_card(&clicked) else { return };
    if let Err(error) = who.tell(app, &card).await {
        tracing::warn!(error = runtime::chain(&error), "click was not answered privately");
    }
}
