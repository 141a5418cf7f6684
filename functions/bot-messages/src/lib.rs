//! Everything that comes from Teams: `POST /api/messages`.
//!
//! Teams waits 5 s for the answer to a click and about 15 s for anything else, and sends it again when it hears nothing.
//! So every activity is answered in time, acts at most once, and is never answered with a failure that would be resent.

mod click;
mod commands;
mod install;
mod once;
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
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match app.bot_auth.check(authorization, &body, app.clock.now()).await {
        Ok(verified) => answer(&app, verified.activity()).await,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &AuthError) -> Response {
    tracing::warn!(error = runtime::chain(error), "activity refused");
    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED).into_response()
}

async fn answer(app: &App, activity: &Activity) -> Response {
    let inbound = activity.inbound();
    let refreshed = Box::pin(install::refresh_service_url(app, activity));
    let acted = Box::pin(act(app, activity, inbound));
    tokio::join!(refreshed, acted).1
}

async fn act(app: &App, activity: &Activity, inbound: Inbound) -> Response {
    match inbound {
        Inbound::Click(click) => {
            let flow = Box::pin(click::answer(app, activity, &click));
            let value = tokio::time::timeout(CLICK_BUDGET, flow).await;
            axum::Json(value.unwrap_or_else(|_| reply::message(cards::text::slow_pagerduty()))).into_response()
        }
        Inbound::Message { text, .. } => {
            let flow = Box::pin(commands::run(app, activity, &text));
            if tokio::time::timeout(MESSAGE_BUDGET, flow).await.is_err() {
                tracing::warn!("command ran out of time");
            }
            StatusCode::OK.into_response()
        }
        Inbound::Installed | Inbound::MembersAdded { .. } => {
            install::remember(app, activity).await;
            StatusCode::OK.into_response()
        }
        Inbound::TaskFetch { .. } | Inbound::TaskSubmit { .. } | Inbound::OtherInvoke { .. } => {
            axum::Json(reply::error("NotSupported", cards::text::not_supported())).into_response()
        }
        // Teams adds activity types; one that is not answered with 200 would be sent again and again.
        Inbound::Uninstalled | Inbound::ConversationUpdate { .. } | Inbound::Other => StatusCode::OK.into_response(),
    }
}
