//! Is each thing that PagerBridge depends on reachable? `GET /health` tells everybody whether all of them are, and nothing else.
//! Which one is not is for admins, and in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::healing::{self, Healing};
use jiff::{SignedDuration, Timestamp};
use runtime::{App, Metric};
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
#[derive(Debug, Clone, Serialize, ToSchema)]
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
    /// Whether the reconciler runs and every part of it heals; one that has never run is in order, as nobody has set up anything yet.
    reconciler: Part,
    /// Since when the reconciler has not run, if it does not.
    #[schema(value_type = Option<String>)]
    silent_since: Option<Timestamp>,
    /// The parts of the reconciler that have ever been tried.
    healing: Vec<HealingPart>,
}

/// How a part of the reconciler is.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct HealingPart {
    name: &'static str,
    status: Part,
    /// When it was last done, be it in part.
    #[schema(value_type = Option<String>)]
    done_at: Option<Timestamp>,
    /// Since when it has failed each time. One failure may be the moment's: `status` is `failing` if it lasts.
    #[schema(value_type = Option<String>)]
    failing_since: Option<Timestamp>,
    /// What has not been done, if it is failing, and since when.
    undone: Option<&'static str>,
    #[schema(value_type = Option<String>)]
    undone_since: Option<Timestamp>,
}

fn parts_of(healing: &Healing, now: Timestamp) -> Vec<HealingPart> {
    let broken: BTreeMap<healing::Part, Timestamp> = healing.broken(now).collect();
    let all = healing::Part::ALL.into_iter().map(|part| {
        let (lately, since) = (healing.of(part), broken.get(&part).copied());
        HealingPart {
            name: part.name(),
            status: if since.is_some() { Part::Failing } else { Part::Ok },
            done_at: lately.done_at,
            failing_since: lately.failing_since,
            undone: since.map(|_| part.undone()),
            undone_since: since,
        }
    });
    all.filter(|part| part.done_at.is_some() || part.failing_since.is_some()).collect()
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
        if let Some((at, health)) = &*last
            && app.clock.now().duration_since(*at) < KEPT
        {
            return health.clone();
        }
        let health = Box::pin(check(app)).await;
        *last = Some((app.clock.now(), health.clone()));
        health
    }
}

pub(crate) async fn health(State(app): State<App>, Extension(checks): Extension<Checks>) -> Response {
    let status = checks.now(&app).await.status;
    let code = if status == Part::Ok {
        StatusCode::OK
    } else {
        app.metrics.count(Metric::HealthChecksFailed, app.clock.now());
        StatusCode::SERVICE_UNAVAILABLE
    };
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
    let (table, queue, secret, teams, pagerduty, healing) = tokio::join!(
        app.store.reachable(),
        app.queue.reachable(),
        app.secrets.values(app.clock.now()),
        app.bot().check(),
        app.as_app().check(),
        app.store.healing(&app.config.pagerduty_client_id),
    );
    let (table, queue, secret) = (Part::of("table", &table), Part::of("queue", &queue), Part::of("secret", &secret));
    let (teams, pagerduty) = (Part::of("teams", &teams), Part::of("pagerduty", &pagerduty));
    let mut reconciler = Part::of("reconciler", &healing);
    let (now, noted) = (app.clock.now(), healing.unwrap_or_default());
    let (silent_since, healing) = (noted.silent_since(now), parts_of(&noted, now));
    for part in healing.iter().filter(|part| part.status == Part::Failing) {
        tracing::error!(part = part.name, since = part.undone_since.map(tracing::field::display), "does not heal");
        reconciler = Part::Failing;
    }
    if let Some(since) = silent_since {
        tracing::error!(part = "reconciler", %since, "health check failed");
        reconciler = Part::Failing;
    }
    let parts = [table, queue, secret, teams, pagerduty, reconciler];
    let status = if parts.iter().all(|part| *part == Part::Ok) { Part::Ok } else { Part::Failing };
    let version = env!("CARGO_PKG_VERSION");
    Health { status, version, table, queue, secret, teams, pagerduty, reconciler, silent_since, healing }
}
