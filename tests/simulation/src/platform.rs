//! What AWS does: it starts processes, freezes and ends them, hands them requests, messages and the schedule.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use local::inside::Inside;
use reconciler::Input;
use runtime::{App, AwsClients, Clock, Metrics, http_client};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_service::Service as _;
use wire::Wire;

use crate::chronicle::{Event, Function, Neighbour};
use crate::faults::Way;
use crate::ways::{Life, Shared, way};

/// As the template gives them, in the order of [`Function::ALL`].
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    limits: BTreeMap<Function, Duration>,
    senders: usize,
    schedules: Vec<alarms::Schedule>,
}

impl Settings {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let template = alarms::Template::read(include_str!("../../../template.yaml"))?;
        let named = |function: Function| {
            let words = function.name().split('-');
            let capital =
                words.map(|word| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default());
            capital.collect::<String>() + "Function"
        };
        let limits = Function::ALL.map(|function| Ok((function, template.timeout(&named(function))?)));
        let senders = template.default_of("SenderMaximumConcurrency")?.as_u64().context("no number")?;
        Ok(Self {
            limits: limits.into_iter().collect::<anyhow::Result<_>>()?,
            senders: usize::try_from(senders)?,
            schedules: template.schedules(&named(Function::Reconciler))?,
        })
    }
}

/// A process of a function.
#[derive(Debug)]
pub(crate) struct Process {
    life: Arc<Life>,
    app: App,
    router: Router,
}

/// Lambda, the HTTP API, the event source and the schedule.
#[derive(Debug)]
pub struct Platform {
    pub(crate) shared: Arc<Shared>,
    inside: Inside,
    settings: Settings,
    /// The ways out, with nobody there yet.
    nobody: wire::Inside,
    idle: Mutex<BTreeMap<Function, Vec<Process>>>,
    /// By how much the clocks of new processes are off.
    off: Mutex<BTreeMap<Function, SignedDuration>>,
    invocations: AtomicU64,
    /// Webhooks that come later.
    late: Mutex<Vec<LateWebhook>>,
}

/// When it comes, its body and its headers.
type LateWebhook = (Timestamp, Bytes, HeaderMap);

/// How many idle processes of a function are kept.
const MOST_IDLE: usize = 8;

/// Above every body.
const MOST_BYTES: usize = 16 * 1024 * 1024;

impl Platform {
    pub(crate) fn new(inside: Inside, shared: Shared, settings: Settings) -> anyhow::Result<Self> {
        Ok(Self {
            shared: Arc::new(shared),
            inside,
            settings,
            nobody: wire::Inside::new(http_client()?),
            idle: Mutex::default(),
            off: Mutex::default(),
            invocations: AtomicU64::new(0),
            late: Mutex::default(),
        })
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<Function, Vec<Process>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn late(&self) -> MutexGuard<'_, Vec<LateWebhook>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All idle processes of the function end, and the next ones have a clock that is off by so much.
    pub(crate) fn cold(&self, function: Function, off: SignedDuration) {
        self.off.lock().unwrap_or_else(PoisonError::into_inner).insert(function, off);
        let ended = self.idle().remove(&function).unwrap_or_default();
        for process in ended {
            process.life.die();
        }
    }

    /// Whether something is still to be delivered later.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.late().is_empty()
    }

    /// A process of its own: it shares the ways out with the others, and nothing else.
    fn start(&self, function: Function) -> anyhow::Result<Process> {
        let Inside { app, aws, pagerduty, teams, .. } = &self.inside;
        let mut config = app.config.as_ref().clone();
        config.function_name = Some(function.name().to_owned());
        let life = Arc::new(Life::new(function));
        let way = |to, router| way(&self.shared, &life, to, router);
        let wire = self
            .nobody
            .clone()
            .with(&aws.url, way(None, aws.router()))
            .with(&pagerduty.base().parse()?, way(Some(Neighbour::PagerDuty), pagerduty.router()))
            .with(&teams.base().parse()?, way(Some(Neighbour::Teams), teams.router()));
        let off = self.off.lock().unwrap_or_else(PoisonError::into_inner).get(&function).copied().unwrap_or_default();
        let clock = match &app.clock {
            Clock::Tokio { start, base } => Clock::Tokio { start: start.checked_add(off)?, base: *base },
            other => other.clone(),
        };
        let (wire, random) = (Wire::from(wire), app.random.clone());
        let clients = AwsClients::over(&config.aws, &wire, &clock, &random);
        let mut app = App::inside(config, clock, random, wire, clients)?;
        app.metrics = Metrics::read_by(function.name().to_owned(), |_| {});
        let router = match function {
            Function::WebhookIngest => webhook_ingest::router(app.clone()),
            Function::BotMessages => bot_messages::router(app.clone()),
            Function::OauthCallback => oauth_callback::router(app.clone()),
            Function::AdminApi => admin_api::router(app.clone()),
            Function::NotificationSender | Function::Reconciler => Router::new(),
        };
        Ok(Process { life, app, router })
    }

    /// One invocation, in a process that works for nothing else meanwhile. `None`: it has died, or its time was up.
    pub(crate) async fn invoke<T, F>(
        &self,
        function: Function,
        work: impl FnOnce(App, Router, Duration) -> F,
    ) -> Option<T>
    where
        F: Future<Output = T>,
    {
        let number = self.invocations.fetch_add(1, Ordering::Relaxed);
        self.shared.note(Event::Invoked(number, function));
        let warm = self.idle().get_mut(&function).and_then(Vec::pop);
        let process = match warm {
            Some(process) => process,
            None => {
                sleep(self.shared.draw(Duration::from_millis(80), Duration::from_millis(250))).await;
                self.start(function).ok()?
            }
        };
        let limit = self.settings.limits.get(&function).copied().unwrap_or_default();
        process.life.begin(number, self.shared.troubles().next_crash(function, number));
        let (app, router) = (process.app.clone(), process.router.clone());
        let answer = {
            let mut work = pin!(work(app, router, limit));
            let life = &process.life;
            let polled = std::future::poll_fn(|context| {
                if life.dies_when_polled() {
                    life.die();
                    return Poll::Pending;
                }
                work.as_mut().poll(context)
            });
            tokio::select! {
                biased;
                () = life.died.notified() => None,
                answer = timeout(limit, polled) => answer.ok(),
            }
        };
        self.shared.note(Event::Ended(number, answer.is_some()));
        self.shared.made(number, function, process.life.calls());
        self.shared.nudge.notify_one();
        if answer.is_some() {
            process.life.freeze();
            let mut idle = self.idle();
            let idle = idle.entry(function).or_default();
            if idle.len() < MOST_IDLE {
                idle.push(process);
            } else {
                process.life.die();
            }
        } else {
            process.life.die();
        }
        answer
    }

    /// What the HTTP API does with a request.
    async fn answer(&self, function: Function, request: Request) -> Response {
        let answered = self.invoke(function, |_, mut router, _| async move {
            let (head, body) = match router.call(request).await {
                Ok(response) => response.into_parts(),
                Err(never) => match never {},
            };
            // Lambda gives whole answers.
            let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
            Response::from_parts(head, Body::from(body))
        });
        Box::pin(answered).await.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    }

    /// The HTTP API as others see it. Whoever hangs up does not end the function.
    pub(crate) fn door(self: &Arc<Self>) -> Router {
        let platform = Arc::clone(self);
        Router::new().fallback(move |request: Request| {
            let platform = Arc::clone(&platform);
            async move {
                let Some(function) = at(request.uri().path()) else { return StatusCode::NOT_FOUND.into_response() };
                #[expect(clippy::disallowed_methods, reason = "Lambda goes on when the caller hangs up")]
                let answered = tokio::spawn(async move {
                    match function {
                        Function::WebhookIngest => Box::pin(platform.webhook(request)).await,
                        _ => Box::pin(platform.answer(function, request)).await,
                    }
                });
                answered.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
        })
    }

    /// A webhook, which may go astray on the way.
    async fn webhook(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let Ok(body) = to_bytes(body, MOST_BYTES).await else { return StatusCode::BAD_REQUEST.into_response() };
        let way = self.shared.troubles().next_webhook();
        match way {
            Some(Way::Lost) => return StatusCode::ACCEPTED.into_response(),
            Some(Way::Late(by)) => {
                let due = self.shared.now().checked_add(by).unwrap_or(Timestamp::MAX);
                self.late().push((due, body, head.headers));
                self.shared.nudge.notify_one();
                return StatusCode::ACCEPTED.into_response();
            }
            Some(Way::Twice) => {
                let _first = self.hand_over(body.clone(), head.headers.clone()).await;
            }
            None => {}
        }
        self.hand_over(body, head.headers).await
    }

    async fn hand_over(&self, body: Bytes, headers: HeaderMap) -> Response {
        let event = event_of(&body);
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = axum::http::Method::POST;
        *request.uri_mut() = axum::http::Uri::from_static("/webhooks/pagerduty");
        *request.headers_mut() = headers;
        let response = Box::pin(self.answer(Function::WebhookIngest, request)).await;
        self.shared.note(Event::Webhook { event, status: Some(response.status().as_u16()) });
        response
    }

    /// What happens by itself, until it is dropped.
    pub(crate) async fn work(self: Arc<Self>) {
        let begun = self.shared.now();
        let mut turns: Vec<u32> = self.settings.schedules.iter().map(|_| 1).collect();
        let mut running = JoinSet::new();
        let mut sending = JoinSet::new();
        loop {
            while running.try_join_next().is_some() {}
            while sending.try_join_next().is_some() {}
            let now = self.shared.now();
            while let Some(attempt) = self.inside.pagerduty.deliver_one() {
                running.spawn(async move {
                    // Whatever the answer: PagerDuty knows it.
                    let _answered = Box::pin(attempt).await;
                });
            }
            for (_, body, headers) in self.due(now) {
                let platform = Arc::clone(&self);
                running.spawn(async move { drop(Box::pin(platform.hand_over(body, headers)).await) });
            }
            let mut next = now.checked_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX);
            for (schedule, turn) in self.settings.schedules.iter().zip(&mut turns) {
                let at = |turn: u32| begun.checked_add(schedule.every * turn).unwrap_or(Timestamp::MAX);
                if at(*turn) <= now {
                    *turn += 1;
                    if !self.shared.troubles().next_is_left_out() {
                        let (platform, input) = (Arc::clone(&self), schedule.input.clone());
                        running.spawn(async move { Box::pin(platform.reconcile(&input)).await });
                    }
                }
                next = next.min(at(*turn));
            }
            let visible = self.inside.aws.next_visible_at();
            if visible.is_some_and(|at| at <= now) && sending.len() < self.settings.senders {
                let platform = Arc::clone(&self);
                sending.spawn(async move { Box::pin(platform.send()).await });
                // Lambda polls the queue without a pause; another poller may get what the first one left.
                next = next.min(now.checked_add(SignedDuration::from_millis(25)).unwrap_or(Timestamp::MAX));
            } else if let Some(at) = visible.filter(|at| *at > now) {
                next = next.min(at);
            }
            let webhook = self.inside.pagerduty.next_due().filter(|due| *due > now);
            let late = self.late().iter().map(|(due, _, _)| *due).min();
            next = [webhook, late].into_iter().flatten().fold(next, Timestamp::min);
            let pause = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            // Below a millisecond tokio's clock does not move.
            let pause = pause.max(Duration::from_millis(1));
            tokio::select! {
                biased;
                () = self.shared.nudge.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    fn due(&self, now: Timestamp) -> Vec<LateWebhook> {
        let mut late = self.late();
        let (due, waiting) = late.drain(..).partition(|(due, _, _)| *due <= now);
        *late = waiting;
        due
    }

    async fn reconcile(&self, input: &str) {
        let Ok(extent) = serde_json::from_str::<Input>(input).map(Input::extent) else { return };
        let run = self.invoke(Function::Reconciler, |app, _, left| async move {
            // As in Lambda: that it has failed is told in figures.
            let _told = Box::pin(reconciler::run(&app, extent, left)).await;
        });
        Box::pin(run).await;
    }

    /// As Lambda's event source: a message, which is deleted if the sender does not name it.
    async fn send(&self) {
        let Ok(batch) = self.inside.receive(0).await else { return };
        let received = batch.records.clone();
        if received.is_empty() {
            return;
        }
        let handled = self.invoke(Function::NotificationSender, |app, _, left| async move {
            Box::pin(notification_sender::handle(&app, batch, left)).await
        });
        let Some(answer) = Box::pin(handled).await else { return };
        for message in received {
            let failed = answer
                .batch_item_failures
                .iter()
                .any(|failure| Some(&failure.item_identifier) == message.message_id.as_ref());
            let forgets = !failed && self.shared.troubles().next_is_not_deleted();
            if let (false, false, Some(receipt)) = (failed, forgets, message.receipt_handle) {
                let _comes_again = self.inside.delete(&receipt).await;
            }
        }
    }
}

/// Whom the HTTP API hands a request to.
fn at(path: &str) -> Option<Function> {
    Some(match path {
        "/webhooks/pagerduty" => Function::WebhookIngest,
        "/api/messages" => Function::BotMessages,
        "/health" | "/admin" => Function::AdminApi,
        path if path.starts_with("/admin/") => Function::AdminApi,
        path if path.starts_with("/oauth/") => Function::OauthCallback,
        _ => return None,
    })
}

fn event_of(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    value.pointer("/event/event_type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}
