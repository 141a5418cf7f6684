//! Everything that comes from Teams: `POST /api/messages`.
//!
//! Teams waits 5 s for the answer to a click and about 15 s for anything else, and sends it again when it hears nothing.
//! So every activity is answered in time and acts at most once. Only what changes in teams and channels is answered with a
//! failure when it could not be noted, so that it is resent: those steps can be repeated, and a lost one would leave a team
//! without its incidents.

mod click;
mod commands;
mod dialog;
mod install;
mod once;
mod personal;
mod place;
mod private;
mod tokens;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use runtime::App;
use teams::activity::{Activity, Inbound};
use teams::auth::AuthError;
use teams::reply;
use tokio::time::Instant;

use crate::private::PrivateError;

/// Far above any activity that Teams sends.
const MAX_BODY_BYTES: usize = 512 * 1024;

/// Teams gives an invoke 5 s; what takes longer is finished by PagerDuty's webhook.
const CLICK_BUDGET: Duration = Duration::from_millis(4000);

/// Teams resends a message that is not answered within 15 s.
const MESSAGE_BUDGET: Duration = Duration::from_secs(12);

/// The function's HTTP surface: `POST /api/messages`.
pub fn router(app: App) -> Router {
    Router::new().route("/api/messages", post(receive)).with_state(app)
}

async fn receive(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    // Whatever follows counts: keys that have to be fetched, addresses that have to be stored.
    let started = Instant::now();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match app.bot_auth.check(authorization, &body, app.clock.now()).await {
        Ok(verified) => answer(&app, verified.activity(), started).await,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &AuthError) -> Response {
    tracing::warn!(error = runtime::chain(error), "activity refused");
    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED).into_response()
}

async fn answer(app: &App, activity: &Activity, started: Instant) -> Response {
    let inbound = activity.inbound();
    let budget = match &inbound {
        Inbound::Click(_)
        | Inbound::TaskFetch { .. }
        | Inbound::TaskSubmit { .. }
        | Inbound::Search { .. }
        | Inbound::OtherInvoke { .. } => CLICK_BUDGET,
        Inbound::Message { .. }
        | Inbound::Installed
        | Inbound::Uninstalled
        | Inbound::MembersAdded { .. }
        | Inbound::ConversationUpdate { .. }
        | Inbound::Other => MESSAGE_BUDGET,
    };
    let late = late(&inbound);
    let flow = async {
        let refreshed = Box::pin(install::refresh_service_url(app, activity));
        let acted = Box::pin(act(app, activity, inbound));
        tokio::join!(refreshed, acted).1
    };
    tokio::time::timeout_at(started + budget, flow).await.unwrap_or_else(|_| {
        tracing::warn!("activity ran out of time");
        late
    })
}

/// What is answered when there is no time left.
fn late(inbound: &Inbound) -> Response {
    match inbound {
        Inbound::Click(_) => axum::Json(reply::message(cards::text::slow_pagerduty())).into_response(),
        Inbound::TaskFetch { .. } => axum::Json(reply::task_message(cards::text::busy_pagerduty())).into_response(),
        Inbound::TaskSubmit { .. } => axum::Json(reply::task_message(cards::text::slow_pagerduty())).into_response(),
        Inbound::Search { .. } => axum::Json(reply::choices([])).into_response(),
        Inbound::Installed
        | Inbound::Uninstalled
        | Inbound::MembersAdded { bot: true, .. }
        | Inbound::ConversationUpdate { .. } => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Inbound::MembersAdded { bot: false, .. }
        | Inbound::OtherInvoke { .. }
        | Inbound::Message { .. }
        | Inbound::Other => StatusCode::OK.into_response(),
    }
}

/// The answer to a change in Teams.
fn noted(what: &str, done: Result<(), PrivateError>) -> Response {
    let Err(error) = done else { return StatusCode::OK.into_response() };
    tracing::error!(what, error = runtime::chain(&error), "change in Teams not noted");
    if error.may_pass() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }.into_response()
}

async fn act(app: &App, activity: &Activity, inbound: Inbound) -> Response {
    match inbound {
        Inbound::Click(click) => axum::Json(Box::pin(click::answer(app, activity, &click)).await).into_response(),
        Inbound::TaskFetch { data } => axum::Json(dialog::open(app, activity, &data).await).into_response(),
        Inbound::TaskSubmit { data } => axum::Json(dialog::submit(app, activity, &data).await).into_response(),
        Inbound::Search { dataset, text } => {
            axum::Json(dialog::search(app, activity, &dataset, &text).await).into_response()
        }
        Inbound::OtherInvoke { .. } => {
            axum::Json(reply::error("NotSupported", cards::text::not_supported())).into_response()
        }
        Inbound::Message { text, .. } => {
            Box::pin(commands::run(app, activity, &text)).await;
            StatusCode::OK.into_response()
        }
        Inbound::Installed | Inbound::MembersAdded { bot: true, .. } => {
            noted("added", Box::pin(install::added(app, activity)).await)
        }
        Inbound::Uninstalled => noted("removed", Box::pin(install::removed(app, activity)).await),
        Inbound::ConversationUpdate { event_type } => {
            noted("changed", Box::pin(install::changed(app, activity, &event_type)).await)
        }
        // Teams adds activity types; one that is not answered with 200 would be sent again and again.
        Inbound::MembersAdded { bot: false, .. } | Inbound::Other => StatusCode::OK.into_response(),
    }
}
