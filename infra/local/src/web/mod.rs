//! The local stack's web page: Teams as a person sees it, PagerDuty beside it, and both at work.
//!
//! The page is plain HTML, CSS and one module; its data is JSON over the simulators' own functions.

mod act;
pub mod assets;
mod state;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;

use assets::Assets;

/// No third party. Styles may be inline because the card renderer sets them on elements one by one.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Debug, Clone)]
struct Page {
    pagerduty: PagerDuty,
    teams: Teams,
    assets: Assets,
}

/// Serves the page at `/` and everything that it needs below `/demo`.
pub fn router(pagerduty: PagerDuty, teams: Teams, assets: Assets) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/demo/page.css", get(|| async { file("text/css; charset=utf-8", include_str!("page.css")) }))
        .route("/demo/page.js", get(|| async { script(include_str!("page.js")) }))
        .route("/demo/plain.js", get(|| async { script(include_str!("plain.js")) }))
        .route("/demo/adaptivecards.js", get(renderer))
        .route("/demo/api/state", get(state::show))
        .route("/demo/api/teams/click", post(act::click))
        .route("/demo/api/teams/say", post(act::say))
        .route("/demo/api/pagerduty/{action}", post(act::pagerduty))
        .with_state(Page { pagerduty, teams, assets })
}

async fn index() -> Response {
    let headers: [(HeaderName, &str); 3] =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")];
    (headers, include_str!("index.html")).into_response()
}

async fn renderer(State(page): State<Page>) -> Response {
    match page.assets.renderer() {
        Some(bundle) => script(bundle),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn script(text: &str) -> Response {
    file("text/javascript; charset=utf-8", text)
}

fn file(kind: &str, text: &str) -> Response {
    ([(CONTENT_TYPE, kind.to_owned()), (CACHE_CONTROL, "no-store".to_owned())], text.to_owned()).into_response()
}
