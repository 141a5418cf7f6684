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
    /// Whether Entra gives the bot a token.
    teams: Part,
    /// Whether PagerDuty gives the app one.
    pagerduty: Part,
    /// Whether the reconciler has come round lately; a stack that nobody has set up yet is in order.
    reconciler: Part,
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
    // Tokens are kept while they last, so a stranger who asks often costs Entra and PagerDuty nothing.
    let (table, queue, secret, teams, pagerduty, reconciler) = tokio::join!(
        app.store.reachable(),
        app.queue.reachable(),
        app.secrets.values(app.clock.now()),
        app.bot().check(),
        app.as_app().check(),
        reconciled(&app),
    );
    let (table, queue, secret) = (Part::of("table", &table), Part::of("queue", &queue), Part::of("secret", &secret));
    let (teams, pagerduty) = (Part::of("teams", &teams), Part::of("pagerduty", &pagerduty));
    let parts = [table, queue, secret, teams, pagerduty, reconciler];
    let healthy = parts.iter().all(|part| *part == Part::Ok);
    let (code, status) =
        if healthy { (StatusCode::OK, Part::Ok) } else { (StatusCode::SERVICE_UNAVAILABLE, Part::Failing) };
    let version = env!("CARGO_PKG_VERSION");
    (code, Json(Health { status, version, table, queue, secret, teams, pagerduty, reconciler })).into_response()
}

async fn reconciled(app: &App) -> Part {
    let round = async {
        match app.store.known_account_of_app(&app.config.pagerduty_client_id).await? {
            Some(account) => app.store.round(&account).await,
            None => Ok(None),
        }
    };
    match round.await {
        Ok(Some(round)) if round.is_overdue(app.clock.now()) => Part::Failing,
        Ok(_) => Part::Ok,
        Err(error) => Part::of("reconciler", &Err::<(), _>(error)),
    }
}
