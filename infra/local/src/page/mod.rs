//! The demo's web page: Teams as one person sees it on the left, PagerDuty on the right, so that the round trip is seen in
//! both directions.
//!
//! It looks at the simulators and acts in them, as a person would; PagerBridge itself does not know that it exists. A page
//! that shows foreign text and has buttons must not let that text become code: scripts come from this origin only, and
//! `require-trusted-types-for` makes the browser refuse to turn a string into markup. Styles need no `'unsafe-inline'`:
//! the card renderer sets them through the object model, which the policy does not restrict.

mod acting;
mod alerting;
pub mod assets;
mod clicking;
mod limits;
mod storm;
#[cfg(test)]
mod tests;
mod view;

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;
use tokio::time::Instant;

use acting::Refusal;
use assets::Assets;
use view::View;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// How long a browser's question for changes stays open.
const PATIENCE: Duration = Duration::from_secs(20);
/// The simulators do not tell when they change, so they are looked at this often while a browser asks.
const PAUSE: Duration = Duration::from_millis(200);

const FILES: &[(&str, &str, &str)] = &[
    ("page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("cards.css", "text/css; charset=utf-8", include_str!("cards.css")),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("graph.svg", "image/svg+xml", include_str!("graph.svg")),
    ("page.js", JAVASCRIPT, include_str!("page.js")),
    ("dom.js", JAVASCRIPT, include_str!("dom.js")),
    ("cards.js", JAVASCRIPT, include_str!("cards.js")),
    ("plain.js", JAVASCRIPT, include_str!("plain.js")),
    ("dialog.js", JAVASCRIPT, include_str!("dialog.js")),
    ("typeahead.js", JAVASCRIPT, include_str!("typeahead.js")),
    ("signin.js", JAVASCRIPT, include_str!("signin.js")),
    ("teams.js", JAVASCRIPT, include_str!("teams.js")),
    ("limits.js", JAVASCRIPT, include_str!("limits.js")),
    ("pagerduty.js", JAVASCRIPT, include_str!("pagerduty.js")),
];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page looks at and acts in.
#[derive(Debug, Clone)]
struct World {
    pagerduty: PagerDuty,
    teams: Teams,
    assets: Assets,
}

/// The page at `/`, its files under `/demo/assets` and its JSON under `/demo/api`.
pub fn router(pagerduty: PagerDuty, teams: Teams, assets: Assets) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("index.html"))))
        .route("/demo/assets/{file}", get(asset))
        .route("/demo/api/state", get(state))
        .route("/demo/api/events", get(events))
        .merge(acting::routes())
        .merge(alerting::routes())
        .merge(clicking::routes())
        .merge(storm::routes())
        .merge(limits::routes())
        .layer(map_response(guarded))
        .with_state(World { pagerduty, teams, assets })
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn asset(State(world): State<World>, Path(file): Path<String>) -> Response {
    if file == assets::BUNDLE {
        let script = world.assets.script().unwrap_or_else(|| "// Not there: see the notice on the page.\n".into());
        return ([(header::CONTENT_TYPE, JAVASCRIPT)], script).into_response();
    }
    match FILES.iter().find(|(name, ..)| *name == file) {
        Some((_, kind, content)) => ([(header::CONTENT_TYPE, *kind)], *content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct Viewer {
    /// Somebody's Teams id; nobody in particular: the first person.
    user: Option<String>,
    /// The revision that the page shows.
    #[serde(default)]
    known: String,
}

#[derive(Debug, Serialize)]
struct Seen {
    revision: String,
    #[serde(flatten)]
    view: View,
}

async fn state(
    State(world): State<World>,
    viewer: Result<Query<Viewer>, QueryRejection>,
) -> Result<Json<Seen>, Refusal> {
    let Query(viewer) = viewer?;
    let view = View::of(&world, viewer.user.as_deref())?;
    Ok(Json(Seen { revision: view.revision(), view }))
}

#[derive(Debug, Serialize)]
struct Revision {
    revision: String,
}

/// Answers as soon as the person sees something else than the revision that the page knows, or after [`PATIENCE`].
async fn events(
    State(world): State<World>,
    viewer: Result<Query<Viewer>, QueryRejection>,
) -> Result<Json<Revision>, Refusal> {
    let Query(viewer) = viewer?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let revision = View::of(&world, viewer.user.as_deref())?.revision();
        if revision != viewer.known || Instant::now() >= deadline {
            return Ok(Json(Revision { revision }));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
