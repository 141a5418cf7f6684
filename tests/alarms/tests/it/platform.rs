//! What AWS does: it starts functions, ends them, hands requests to them, and counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use alarms::{Metric, Samples, Template};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use local::aws;
use local::inside::Inside;
use runtime::{App, AwsClients, Metrics, http_client};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service as _;

/// A function, by its name in the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    Webhook,
    Bot,
    Oauth,
    Sender,
    Admin,
    Reconciler,
}

impl Function {
    pub(crate) const ALL: [Self; 6] =
        [Self::Webhook, Self::Bot, Self::Oauth, Self::Sender, Self::Admin, Self::Reconciler];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Webhook => "WebhookIngestFunction",
            Self::Bot => "BotMessagesFunction",
            Self::Oauth => "OauthCallbackFunction",
            Self::Sender => "NotificationSenderFunction",
            Self::Admin => "AdminApiFunction",
            Self::Reconciler => "ReconcilerFunction",
        }
    }

    /// Whom the HTTP API hands a request to.
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/webhooks/pagerduty" => Self::Webhook,
            "/api/messages" => Self::Bot,
            "/health" | "/admin" => Self::Admin,
            path if path.starts_with("/admin/") => Self::Admin,
            path if path.starts_with("/oauth/") => Self::Oauth,
            _ => return None,
        })
    }
}

/// What a function uses of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Used {
    Table,
    Queue,
    Secret,
}

/// What is wrong at present.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    /// Lambda does not start them.
    pub(crate) throttled: BTreeSet<Function>,
    /// They end as soon as they begin.
    pub(crate) crashing: BTreeSet<Function>,
    /// They begin, and never end: Lambda ends them.
    pub(crate) hanging: BTreeSet<Function>,
    /// What does not answer them.
    pub(crate) refused: BTreeSet<(Function, Used)>,
    /// Their schedules do not start them.
    pub(crate) is_unscheduled: bool,
    /// Where webhooks come from, if not from where they should.
    pub(crate) webhooks_from: Option<[u8; 4]>,
}

/// After which time an alarm sees what was told: CloudWatch promises none.
pub(crate) const DELIVERY: Duration = Duration::from_secs(30);

/// What CloudWatch was told.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) told: Samples,
    /// The oldest first, with the time at which the alarms see it.
    underway: VecDeque<(Timestamp, Figure)>,
    /// What the alarms see.
    seen: Samples,
}

#[derive(Debug)]
enum Figure {
    Line(Value),
    Sample(Metric, Timestamp, f64),
}

impl Figure {
    fn add_to(&self, samples: &mut Samples) {
        match self {
            Self::Line(line) => samples.add_line(line).unwrap(),
            Self::Sample(metric, at, value) => samples.add(metric.clone(), *at, *value),
        }
    }
}

impl Figures {
    fn tell(&mut self, figure: Figure, now: Timestamp) {
        figure.add_to(&mut self.told);
        self.underway.push_back((now.checked_add(DELIVERY).unwrap(), figure));
    }

    /// What the alarms see now.
    pub(crate) fn seen(&mut self, now: Timestamp) -> &Samples {
        while let Some((_, figure)) = self.underway.pop_front_if(|(at, _)| *at <= now) {
            figure.add_to(&mut self.seen);
        }
        &self.seen
    }
}

/// Where PagerDuty delivers from.
pub(crate) const SOURCE: [u8; 4] = [192, 0, 2, 1];

/// A function's process.
#[derive(Debug, Clone)]
struct Process {
    app: App,
    router: Router,
}

/// Lambda and the HTTP API.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) inside: Inside,
    pub(crate) clients: AwsClients,
    limits: BTreeMap<Function, Duration>,
    processes: Mutex<BTreeMap<Function, Process>>,
    figures: Arc<Mutex<Figures>>,
    wrong: Arc<Mutex<Wrong>>,
}

impl Platform {
    pub(crate) fn new(inside: Inside, template: &Template) -> Self {
        let limits = Function::ALL.map(|function| (function, template.timeout(function.name()).unwrap()));
        let clients = AwsClients::over(&inside.app.config.aws, aws::http_client(inside.aws.router()));
        Self {
            inside,
            clients,
            limits: limits.into(),
            processes: Mutex::default(),
            figures: Arc::default(),
            wrong: Arc::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inside.app.clock.now()
    }

    pub(crate) fn wrong(&self) -> MutexGuard<'_, Wrong> {
        self.wrong.lock().unwrap()
    }

    pub(crate) fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap()
    }

    /// Notes what one of AWS's services tells CloudWatch of the time `at`.
    pub(crate) fn tell(&self, metric: Metric, at: Timestamp, value: f64) {
        self.figures().tell(Figure::Sample(metric, at, value), self.now());
    }

    /// A deployment, or Lambda's own wish: all processes end, and the next ones know nothing.
    pub(crate) fn end_processes(&self) {
        self.processes.lock().unwrap().clear();
    }

    /// After which time Lambda ends a function.
    pub(crate) fn limit(&self, function: Function) -> Duration {
        self.limits[&function]
    }

    fn process(&self, function: Function) -> Process {
        self.processes.lock().unwrap().entry(function).or_insert_with(|| self.start(function)).clone()
    }

    /// A process of its own: it shares the clock and the ways out with the others, and nothing else.
    fn start(&self, function: Function) -> Process {
        let Inside { app, aws, pagerduty, teams, .. } = &self.inside;
        let mut config = app.config.as_ref().clone();
        config.function_name = Some(function.name().to_owned());
        let wrong = Arc::clone(&self.wrong);
        let ways = aws.router().layer(from_fn(move |request: Request, next: Next| {
            let refused = refusal(&wrong.lock().unwrap(), function, &request);
            async move {
                match refused {
                    Some(refused) => refused,
                    None => next.run(request).await,
                }
            }
        }));
        let clients = AwsClients::over(&config.aws, aws::http_client(ways));
        let wire = wire::Inside::new(http_client().unwrap())
            .with(&pagerduty.base().parse().unwrap(), pagerduty.router())
            .with(&teams.base().parse().unwrap(), teams.router());
        let mut app = App::inside(config, app.clock.clone(), wire.into(), clients).unwrap();
        let (figures, clock) = (Arc::clone(&self.figures), app.clock.clone());
        app.metrics = Metrics::read_by(function.name().to_owned(), move |line| {
            figures.lock().unwrap().tell(Figure::Line(line.clone()), clock.now());
        });
        let router = match function {
            Function::Webhook => webhook_ingest::router(app.clone()),
            Function::Bot => bot_messages::router(app.clone()),
            Function::Oauth => oauth_callback::router(app.clone()),
            Function::Admin => admin_api::router(app.clone()),
            Function::Sender | Function::Reconciler => Router::new(),
        };
        Process { app, router }
    }

    fn lambda(&self, metric: &str, function: Function, at: Timestamp) {
        self.tell(Metric::of("AWS/Lambda", metric, "FunctionName", function.name()), at, 1.0);
    }

    /// One invocation. `None`: Lambda has not started it, or the function ended before it had answered. Lambda counts an error for the
    /// time at which the invocation began, and not before it ends.
    pub(crate) async fn invoke<T, F>(&self, function: Function, work: impl FnOnce(App, Duration) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (began, limit) = (self.now(), self.limit(function));
        if self.wrong().throttled.contains(&function) {
            self.lambda("Throttles", function, began);
            return None;
        }
        let (crashes, hangs) = {
            let wrong = self.wrong();
            (wrong.crashing.contains(&function), wrong.hanging.contains(&function))
        };
        let mut running = JoinSet::new();
        if hangs {
            let work = work(self.process(function).app, limit);
            running.spawn(async move {
                let _begun = timeout(Duration::ZERO, work).await;
                std::future::pending().await
            });
        } else if !crashes {
            running.spawn(work(self.process(function).app, limit));
        }
        let answer = timeout(limit, running.join_next()).await.ok().flatten().and_then(Result::ok);
        if answer.is_none() {
            self.processes.lock().unwrap().remove(&function);
            self.lambda("Errors", function, began);
        }
        answer
    }

    /// What the HTTP API does with a request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let Some(function) = Function::at(request.uri().path()) else { return StatusCode::NOT_FOUND.into_response() };
        let mut router = self.process(function).router;
        let answered = Box::pin(self.invoke(function, move |_, _| async move {
            match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }));
        let response = answered.await.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response());
        if response.status().is_server_error() {
            self.tell(Metric::of("AWS/ApiGateway", "5xx", "ApiId", "HttpApi"), self.now(), 1.0);
        }
        response
    }

    /// The HTTP API as others see it. Whoever hangs up does not end the function.
    #[expect(clippy::disallowed_methods, reason = "Lambda goes on when the caller hangs up")]
    pub(crate) fn door(self: &Arc<Self>) -> Router {
        let platform = Arc::clone(self);
        Router::new().fallback(move |mut request: Request| {
            let platform = Arc::clone(&platform);
            async move {
                let source = platform.wrong().webhooks_from.unwrap_or(SOURCE);
                request.extensions_mut().insert(ConnectInfo(SocketAddr::from((source, 443))));
                tokio::spawn(async move { Box::pin(platform.answer(request)).await }).await.unwrap()
            }
        })
    }
}

/// What AWS answers a function from which something was taken.
fn refusal(wrong: &Wrong, function: Function, request: &Request) -> Option<Response> {
    let target = request.headers().get("x-amz-target")?.to_str().ok()?;
    let (service, _) = target.split_once('.')?;
    let (used, status, kind) = match service {
        "secretsmanager" => (Used::Secret, StatusCode::BAD_REQUEST, "AccessDeniedException"),
        "AmazonSQS" => (Used::Queue, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        _ => (Used::Table, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    };
    let refused = wrong.refused.contains(&(function, used));
    refused.then(|| (status, Body::from(format!(r#"{{"__type":"{kind}"}}"#))).into_response())
}
