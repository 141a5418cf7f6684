//! `GET /health`: is each thing that PagerBridge depends on reachable? No secrets, no ids, nothing that helps a stranger.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runtime::App;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Health {
    status: Part,
    version: &'static str,
    table: Part,
    queue: Part,
    secret: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Ok,
    Failing,
}

impl Part {
    fn of<T, E: std::error::Error + 'static>(part: &str, result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(error) => {
                tracing::error!(part, error = runtime::chain(error), "health check failed");
                Self::Failing
            }
        }
    }
}

pub(crate) async fn health(State(app): State<App>) -> Response {
    let (table, queue, secret) =
        tokio::join!(app.store.reachable(), app.queue.reachable(), app.secrets.values(app.clock.now()));
    let (table, queue, secret) = (Part::of("table", &table), Part::of("queue", &queue), Part::of("secret", &secret));
    let healthy = [table, queue, secret].iter().all(|part| *part == Part::Ok);
    let (code, status) =
        if healthy { (StatusCode::OK, Part::Ok) } else { (StatusCode::SERVICE_UNAVAILABLE, Part::Failing) };
    (code, Json(Health { status, version: env!("CARGO_PKG_VERSION"), table, queue, secret })).into_response()
}
