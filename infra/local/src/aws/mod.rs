//! AWS on one machine: one endpoint for SQS, Secrets Manager and `DynamoDB`, so that a single `AWS_ENDPOINT_URL` serves the
//! unchanged SDKs.
//!
//! It offers exactly the operations that the product and its tests call and refuses all others by name. Signatures and
//! credentials are not checked. `tests/aws_contract.rs` runs the same checks against it and against a stand-in that others
//! maintain.

mod answer;
mod calls;
mod dynamodb;
mod inside;
mod saved;
mod secrets;
pub mod sqs;
mod sqs_http;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use calls::Calls;
use dynamodb::DynamoDb;
pub use inside::http_client;
use secrets::SecretsManager;
use sqs::Depth;
use sqs_http::Sqs;
pub use watch::Call;
use watch::Watch;

/// Tells the time; a test moves it.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Above every message, batch and secret that AWS would take.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The running endpoint. What listens ends when its last clone is dropped.
#[derive(Clone)]
pub struct Endpoint {
    /// What `AWS_ENDPOINT_URL` has to be.
    pub url: Url,
    services: Arc<Services>,
    _tasks: Arc<JoinSet<()>>,
}

struct Services {
    sqs: Sqs,
    secrets: SecretsManager,
    dynamodb: DynamoDb,
    sqs_is_down: AtomicBool,
    dynamodb_is_down: AtomicBool,
    refused_puts: Mutex<RefusedPuts>,
    slow: Mutex<(Vec<String>, Duration)>,
    calls: Option<Calls>,
    watch: Watch,
}

#[derive(Default)]
struct RefusedPuts {
    times: usize,
    text: String,
}

impl Services {
    fn open(now: Now, data_dir: Option<&Path>, url: &Url, calls: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self {
            sqs: Sqs::open(data_dir, Arc::clone(&now), url.to_string())?,
            secrets: SecretsManager::open(data_dir, now)?,
            dynamodb: DynamoDb::open(data_dir)?,
            sqs_is_down: AtomicBool::new(false),
            dynamodb_is_down: AtomicBool::new(false),
            refused_puts: Mutex::default(),
            slow: Mutex::default(),
            calls: calls.map(|folder| Calls::new(folder.to_owned())),
            watch: Watch::default(),
        })
    }

    fn refused_puts(&self) -> MutexGuard<'_, RefusedPuts> {
        self.refused_puts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a call with this body takes, beyond what all of them take.
    fn slowness(&self, body: &[u8]) -> Duration {
        let (texts, time) = &*self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let is_slow = std::str::from_utf8(body).is_ok_and(|body| texts.iter().any(|text| body.contains(text)));
        if is_slow { *time } else { Duration::ZERO }
    }

    fn refuses(&self, operation: &str, body: &[u8]) -> bool {
        let mut refused = self.refused_puts();
        let refuses = operation == "PutItem"
            && refused.times > 0
            && std::str::from_utf8(body).is_ok_and(|body| body.contains(&refused.text));
        refused.times -= usize::from(refuses);
        refuses
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Serves on `listener`. State is in memory, or in files in `data_dir`, from which a later start goes on. Who makes
    /// which calls is noted in the folder `calls`, if one is given.
    ///
    /// # Errors
    /// A file in `data_dir` cannot be used (the message names it).
    pub async fn start(
        now: Now,
        data_dir: Option<&Path>,
        listener: TcpListener,
        calls: Option<&Path>,
    ) -> anyhow::Result<Self> {
        if let Some(folder) = data_dir {
            std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        }
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        let mut tasks = JoinSet::new();
        let services = Arc::new(Services::open(now, data_dir, &url, calls)?);
        let router = router(Arc::clone(&services));
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(error = runtime::chain(&error), "AWS stand-in ended");
            }
        });
        Ok(Self { url, services, _tasks: Arc::new(tasks) })
    }

    /// The same in memory and without a listener: [`http_client`] over [`Endpoint::router`] is the way to it, `url` its name only.
    ///
    /// # Errors
    /// The embedded database does not start.
    pub fn inside(now: Now, url: Url) -> anyhow::Result<Self> {
        let services = Arc::new(Services::open(now, None, &url, None)?);
        Ok(Self { url, services, _tasks: Arc::default() })
    }

    /// The same services for another listener.
    pub fn router(&self) -> Router {
        router(Arc::clone(&self.services))
    }

    /// Lets every call of SQS fail with a 503, or no longer: what no emulator does by itself.
    pub fn refuse_sqs(&self, down: bool) {
        self.services.sqs_is_down.store(down, Ordering::Relaxed);
    }

    /// Lets every call of `DynamoDB` fail with a 503, or no longer.
    pub fn refuse_dynamodb(&self, down: bool) {
        self.services.dynamodb_is_down.store(down, Ordering::Relaxed);
    }

    /// Lets the next `times` `PutItem` calls fail with a 503 whose request has this text in it.
    pub fn refuse_puts(&self, times: usize, text: &str) {
        *self.services.refused_puts() = RefusedPuts { times, text: text.to_owned() };
    }

    /// How many more calls [`Self::refuse_puts`] will refuse.
    #[must_use]
    pub fn puts_to_refuse(&self) -> usize {
        self.services.refused_puts().times
    }

    /// Lets every call take so long whose request has one of these texts in it, and no other one any longer.
    pub fn slow(&self, texts: &[&str], time: Duration) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        *self.services.slow.lock().unwrap_or_else(PoisonError::into_inner) = (texts, time);
    }

    /// From now on notes what each call costs, and lets each answer take so long: as long as it does in AWS, calls that are made
    /// together overlap.
    pub fn watch(&self, pause: Duration) {
        self.services.watch.begin(pause);
    }

    /// The calls since they were last taken.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        self.services.watch.take()
    }

    /// When some queue has a message for a receiver; in the past if there is one already. `None` if all queues but the
    /// dead-letter queues are empty.
    #[must_use]
    pub fn next_visible_at(&self) -> Option<Timestamp> {
        self.services.sqs.next_visible_at()
    }

    /// How many messages the queue of that name holds now.
    #[must_use]
    pub fn depth(&self, queue: &str) -> Option<Depth> {
        self.services.sqs.depth(queue)
    }
}

fn router(services: Arc<Services>) -> Router {
    Router::new().fallback(dispatch).with_state(services)
}

fn down_answer() -> Response {
    answer::error(answer::JSON_1_0, 503, "ServiceUnavailable", "This stand-in was told to be down.")
}

/// By the header alone: SDKs differ in the path they use.
async fn dispatch(State(services): State<Arc<Services>>, request: Request) -> Response {
    let target =
        request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (service, operation) = target.split_once('.').unwrap_or_default();
    let down = match service {
        "DynamoDB_20120810" => &services.dynamodb_is_down,
        _ => &services.sqs_is_down,
    };
    if service != "secretsmanager" && down.load(Ordering::Relaxed) {
        return down_answer();
    }
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return answer::error(answer::JSON_1_0, 413, "RequestEntityTooLarge", "The request is too large.");
    };
    if let Some(calls) = &services.calls {
        calls.note(&head.headers, service, operation, &body);
    }
    let slowness = services.slowness(&body);
    if !slowness.is_zero() {
        tokio::time::sleep(slowness).await;
    }
    if service == "DynamoDB_20120810" && services.refuses(operation, &body) {
        return down_answer();
    }
    let Some(pause) = services.watch.wanted() else { return answer(&services, (service, operation), &body).await };
    let (began, caller) = (Instant::now(), calls::caller(&head.headers).unwrap_or_default().to_owned());
    let asking = watch::asking(service, body);
    let named = watch::named(service, &asking);
    let answered = answer(&services, (service, operation), &asking).await;
    let (answered, watch::Said { read_units, write_units, touched }) =
        watch::consumed(operation, &named, answered).await;
    tokio::time::sleep(pause.saturating_sub(began.elapsed())).await;
    let operation = operation.to_owned();
    let ended = Instant::now();
    services.watch.note(Call { caller, operation, began, ended, read_units, write_units, named, touched });
    answered
}

async fn answer(services: &Services, (service, operation): (&str, &str), body: &Bytes) -> Response {
    match service {
        "DynamoDB_20120810" => services.dynamodb.answer(operation, body),
        "AmazonSQS" => services.sqs.answer(operation, body).await,
        "secretsmanager" => services.secrets.answer(operation, body),
        _ => {
            let shape = "com.amazon.coral.service#UnknownOperationException";
            answer::error(answer::JSON_1_0, 400, shape, "This stand-in speaks SQS, Secrets Manager and DynamoDB.")
        }
    }
}
