//! Is each thing that PagerBridge depends on reachable? `GET /health` tells everybody whether all of them are, and nothing else.
//! Which one is not is for admins, and in the log.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use runtime::App;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::error::{Problem, Refusal};
use crate::reply::ok;
use crate::session::Caller;

/// How old an answer may be. However often strangers ask, nothing is asked of others more often than this; monitors come every 10 s or
/// less often.
const KEPT: SignedDuration = SignedDuration::from_secs(5);

/// What strangers are told.
#[derive(Debug, Serialize)]
struct Told {
    status: Part,
}

/// How each part is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Health {
    status: Part,
    /// Of PagerBridge.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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

/// The last check of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks(Arc<Mutex<Option<(Timestamp, Health)>>>);

impl Checks {
    /// How everything is, as of [`KEPT`] ago at most. Whoever asks while a check goes on waits for its result.
    async fn now(&self, app: &App) -> Health {
        let mut last = self.0.lock().await;
        if let Some((at, health)) = *last
            && app.clock.now().duration_since(at) < KEPT
        {
            return health;
        }
        let health = Box::pin(check(app)).await;
        *last = Some((app.clock.now(), health));
        health
    }
}

pub(crate) async fn health(State(app): State<App>, Extension(checks): Extension<Checks>) -> Response {
    let status = checks.now(&app).await.status;
    let code = if status == Part::Ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Told { status })).into_response()
}

/// Which version runs, and how each thing is that it depends on.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health, description = "Also if something is failing."), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn parts(
    State(app): State<App>,
    Extension(checks): Extension<Checks>,
    _caller: Caller,
) -> Result<Response, Refusal> {
    Ok(ok(checks.now(&app).await))
}

async fn check(app: &App) -> Health {
    let (table, queue, secret, teams, pagerduty, reconciler) = tokio::join!(
        app.store.reachable(),
        app.queue.reachable(),
        app.secrets.values(app.clock.now()),
        app.bot().check(),
        app.as_app().check(),
        reconciled(app),
    );
    let (table, queue, secret) = (Part::of("table", &table), Part::of("queue", &queue), Part::of("secret", &secret));
    let (teams, pagerduty) = (Part::of("teams", &teams), Part::of("pagerduty", &pagerduty));
    let parts = [table, queue, secret, teams, pagerduty, reconciler];
    let status = if parts.iter().all(|part| *part == Part::Ok) { Part::Ok } else { Part::Failing };
    Health { status, version: env!("CARGO_PKG_VERSION"), table, queue, secret, teams, pagerduty, reconciler }
}

async fn reconciled(app: &App) -> Part {
    let round = async {
        match app.store.known_account_of_app(&app.config.pagerduty_client_id).await? {
            Some(account) => app.store.round(&account).await,
            None => Ok(None),
        }
    };
    match round.await {
        Ok(Some(round)) if round.is_overdue(app.clock.now()) => {
            tracing::error!(part = "reconciler", "health check failed");
            Part::Failing
        }
        Ok(_) => Part::Ok,
        Err(error) => Part::of("reconciler", &Err::<(), _>(error)),
    }
}
