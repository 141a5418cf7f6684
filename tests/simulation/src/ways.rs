//! The ways out of a process: every outside call goes through here, takes its time, and may go wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use jiff::Timestamp;
use runtime::Clock;
use serde_json::json;
use simulators::teams::{self, Teams};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

use crate::chronicle::{Became, Call, Chronicle, Event, Function, Neighbour};
use crate::dice::Dice;
use crate::faults::{How, Point};
use crate::troubles::Troubles;

/// What all ways share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) chronicle: Chronicle,
    pub(crate) teams: Teams,
    /// Something may be due earlier than was known.
    pub(crate) nudge: Notify,
    pub(crate) calls: AtomicU64,
    made: Mutex<BTreeMap<u64, (Function, u32)>>,
    dice: Mutex<Dice>,
    troubles: Mutex<Troubles>,
}

impl Shared {
    pub(crate) fn new(clock: Clock, chronicle: Chronicle, teams: Teams, dice: Dice) -> Self {
        Self {
            clock,
            chronicle,
            teams,
            nudge: Notify::new(),
            calls: AtomicU64::new(0),
            made: Mutex::default(),
            dice: Mutex::new(dice),
            troubles: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn draw(&self, least: Duration, most: Duration) -> Duration {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).time(least, most)
    }

    /// An invocation has made so many calls.
    pub(crate) fn made(&self, invocation: u64, function: Function, calls: u32) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(invocation, (function, calls));
    }

    /// How many calls each invocation has made.
    pub(crate) fn all_made(&self) -> BTreeMap<u64, (Function, u32)> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note(&self, event: Event) {
        self.chronicle.note(self.now(), event);
    }
}

/// What a process does at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It works for an invocation.
    Runs,
    /// It has answered, and nothing of it goes on until its next invocation.
    Frozen,
    Dead,
}

/// The life of a process, as far as its ways out must know.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) function: Function,
    state: watch::Sender<State>,
    /// Told when it dies.
    pub(crate) died: Notify,
    invocation: AtomicU64,
    calls: AtomicU32,
    polls: AtomicU32,
    end: Mutex<Option<Point>>,
}

impl Life {
    pub(crate) fn new(function: Function) -> Self {
        Self {
            function,
            state: watch::Sender::new(State::Frozen),
            died: Notify::new(),
            invocation: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            polls: AtomicU32::new(0),
            end: Mutex::default(),
        }
    }

    /// An invocation begins, and will not outlive this point.
    pub(crate) fn begin(&self, invocation: u64, end: Option<Point>) {
        self.invocation.store(invocation, Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
        self.polls.store(0, Ordering::Relaxed);
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        self.state.send_replace(State::Runs);
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    pub(crate) fn die(&self) {
        self.state.send_replace(State::Dead);
        self.died.notify_one();
    }

    /// Whether the process dies now, since it is polled.
    pub(crate) fn dies_when_polled(&self) -> bool {
        let polls = self.polls.fetch_add(1, Ordering::Relaxed);
        self.is_the_end(Point::Poll(polls))
    }

    fn is_the_end(&self, point: Point) -> bool {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) == Some(point)
    }

    /// Waits while the process is frozen; for ever if it is dead.
    async fn runs(&self) {
        let mut state = self.state.subscribe();
        // It only fails without a sender, which is this one.
        let _runs = state.wait_for(|state| *state == State::Runs).await;
    }

    async fn ends(&self) -> ! {
        self.die();
        std::future::pending().await
    }
}

/// All of `router`, as a process reaches it.
pub(crate) fn way(shared: &Arc<Shared>, life: &Arc<Life>, to: Option<Neighbour>, router: Router) -> Router {
    let (shared, life) = (Arc::clone(shared), Arc::clone(life));
    router.layer(from_fn(move |request: Request, next: Next| {
        let (shared, life) = (Arc::clone(&shared), Arc::clone(&life));
        Box::pin(async move {
            let to = to.unwrap_or_else(|| of_aws(&request));
            Box::pin(call(shared, life, to, request, next)).await
        })
    }))
}

fn of_aws(request: &Request) -> Neighbour {
    let target = target(request);
    match target.split_once('.').map_or(target, |(service, _)| service) {
        "secretsmanager" => Neighbour::Secrets,
        "AmazonSQS" => Neighbour::Queue,
        _ => Neighbour::Table,
    }
}

fn target(request: &Request) -> &str {
    request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default()
}

fn name(request: &Request) -> String {
    match target(request).split_once('.') {
        Some((_, operation)) => operation.to_owned(),
        None => format!("{} {}", request.method(), request.uri().path()),
    }
}

/// How long an answer of a neighbour takes, in milliseconds, as seen from a Lambda function in one region.
fn takes(to: Neighbour) -> (Duration, Duration) {
    let (least, most) = match to {
        Neighbour::Table => (2, 12),
        Neighbour::Queue => (5, 20),
        Neighbour::Secrets => (10, 40),
        Neighbour::PagerDuty => (60, 400),
        Neighbour::Teams => (80, 600),
    };
    (Duration::from_millis(least), Duration::from_millis(most))
}

/// Notes what has become of a call, also of one whose caller does not wait any more.
struct Fate<'a> {
    shared: &'a Shared,
    invocation: u64,
    call: Option<Call>,
    is_done: bool,
}

impl Fate<'_> {
    fn note(&mut self, became: Became) {
        if let Some(call) = self.call.take() {
            self.shared.note(Event::Called(self.invocation, call, became));
        }
    }
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        self.note(if self.is_done { Became::AnswerLost(None) } else { Became::Refused(None) });
    }
}

async fn call(shared: Arc<Shared>, life: Arc<Life>, to: Neighbour, request: Request, next: Next) -> Response {
    life.runs().await;
    shared.calls.fetch_add(1, Ordering::Relaxed);
    let nth = life.calls.fetch_add(1, Ordering::Relaxed);
    let invocation = life.invocation.load(Ordering::Relaxed);
    let what = name(&request);
    let how = shared.troubles().next(to, &what, shared.now());
    let call = Call { function: life.function, to, what };
    let mut fate = Fate { shared: &shared, invocation, call: Some(call), is_done: false };
    if life.is_the_end(Point::Before(nth)) {
        fate.note(Became::DiedBefore);
        life.ends().await;
    }
    let (least, most) = takes(to);
    let takes = shared.draw(least, most);
    sleep(takes / 2).await;
    let response = match how {
        Some(How::Refused(status)) => {
            sleep(takes / 2).await;
            life.runs().await;
            fate.note(Became::Refused(Some(status)));
            return refusal(to, status);
        }
        Some(How::NoConnection) => {
            fate.note(Became::Refused(None));
            return closed();
        }
        Some(How::Silent) => std::future::pending().await,
        Some(How::Late(after)) => {
            fate.is_done = true;
            later(after, request, next).await
        }
        Some(how @ (How::Overtakes | How::WithoutId)) => {
            let fault =
                if how == How::Overtakes { teams::Fault::OvertakesTheNext } else { teams::Fault::AnswerWithoutId };
            shared.teams.fail_next(1, &fault);
            fate.is_done = true;
            next.run(request).await
        }
        Some(How::LostAnswer | How::FalseAlarm(_) | How::SilentAfter) | None => {
            let response = next.run(request).await;
            fate.is_done = true;
            response
        }
    };
    if to == Neighbour::Queue {
        shared.nudge.notify_one();
    }
    if life.is_the_end(Point::After(nth)) {
        fate.note(Became::DiedAfter);
        life.ends().await;
    }
    sleep(takes / 2).await;
    life.runs().await;
    match how {
        Some(How::LostAnswer) => {
            fate.note(Became::AnswerLost(None));
            closed()
        }
        Some(How::FalseAlarm(status)) => {
            fate.note(Became::AnswerLost(Some(status)));
            refusal(to, status)
        }
        Some(How::SilentAfter) => std::future::pending().await,
        Some(How::Overtakes | How::WithoutId) => {
            fate.note(Became::AnswerLost(Some(response.status().as_u16())));
            response
        }
        Some(How::Refused(_) | How::NoConnection | How::Silent | How::Late(_)) | None => {
            fate.note(Became::Answered(response.status().as_u16()));
            response
        }
    }
}

/// Carries the request out after this time, whether the caller still waits or not.
async fn later(after: Duration, request: Request, next: Next) -> Response {
    let (answer, answered) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "what is under way arrives although nobody waits for it any more")]
    tokio::spawn(async move {
        sleep(after).await;
        // Nobody may wait for it any more.
        let _unheard = answer.send(next.run(request).await);
    });
    answered.await.unwrap_or_else(|_| closed())
}

/// The body breaks off before its first byte, as if the connection had been closed.
fn closed() -> Response {
    let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("a fault of the simulation")) });
    Response::new(Body::from_stream(broken))
}

/// What the neighbour says with this status.
fn refusal(to: Neighbour, status: u16) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (code, body) = match (to, status) {
        (Neighbour::Table, 400) => (
            StatusCode::BAD_REQUEST,
            json!({ "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": "The level of configured provisioned throughput for the table was exceeded." }),
        ),
        (Neighbour::Table, 409) => (
            StatusCode::BAD_REQUEST,
            json!({ "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "Transaction is ongoing for the item" }),
        ),
        (Neighbour::Table, _) => (
            code,
            json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "Internal server error" }),
        ),
        (Neighbour::Queue, _) => {
            (code, json!({ "__type": "com.amazonaws.sqs#ServiceUnavailable", "message": "Service is unavailable" }))
        }
        (Neighbour::Secrets, _) => (code, json!({ "__type": "InternalServiceError", "message": "Internal error" })),
        (Neighbour::PagerDuty, 429) => (code, json!({ "error": { "message": "Rate Limit Exceeded", "code": 2020 } })),
        (Neighbour::PagerDuty, _) => (code, json!({ "error": { "message": "Internal Server Error", "code": 2000 } })),
        (Neighbour::Teams, 429) => (code, json!({ "error": { "code": "Throttled", "message": "Too many requests" } })),
        (Neighbour::Teams, 404) => {
            (code, json!({ "error": { "code": "ConversationNotFound", "message": "Conversation not found" } }))
        }
        (Neighbour::Teams, 412) => (
            code,
            json!({ "error": { "code": "PreconditionFailed", "message": "Precondition failed, please try again." } }),
        ),
        (Neighbour::Teams, _) => (code, json!({ "error": { "code": "ServiceError", "message": "Unknown" } })),
    };
    let mut response = (code, axum::Json(body)).into_response();
    if status == 429 {
        let name = if to == Neighbour::Teams { "retry-after" } else { "ratelimit-reset" };
        response.headers_mut().insert(name, axum::http::HeaderValue::from_static("3"));
    }
    response
}
