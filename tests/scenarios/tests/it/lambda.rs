//! AWS Lambda and API Gateway as the release binaries see them: the Runtime API's four calls, and HTTP as v2 events.

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// One function: a bootstrap process and its private Runtime API.
pub(crate) struct Function {
    name: &'static str,
    events: mpsc::Sender<Invocation>,
    process: Mutex<Child>,
    printed: Arc<Mutex<Vec<Value>>>,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

/// Whoever waits for the function's answer, or for its error.
type Waiting = oneshot::Sender<Result<Value, Value>>;

struct Invocation {
    event: Value,
    answer: Waiting,
}

#[derive(Clone)]
struct RuntimeApi {
    events: Arc<tokio::sync::Mutex<mpsc::Receiver<Invocation>>>,
    running: Arc<Mutex<HashMap<String, Waiting>>>,
}

impl Function {
    /// Starts the release `bootstrap` of `name` with nothing but environment variables.
    pub(crate) async fn start(name: &'static str, environment: &BTreeMap<String, String>) -> Self {
        let (events, receiver) = mpsc::channel(1);
        let api = RuntimeApi { events: Arc::new(tokio::sync::Mutex::new(receiver)), running: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(api);
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        let binary = release_binary(name);
        let mut process = Command::new(&binary)
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "test")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{} cannot be started ({error}): run tests/run, which builds it", binary.display())
            });
        let printed: Arc<Mutex<Vec<Value>>> = Arc::default();
        // As CloudWatch does: both streams, line by line.
        let readers = Mutex::new(vec![
            keep_lines(process.stdout.take().unwrap(), &printed),
            keep_lines(process.stderr.take().unwrap(), &printed),
        ]);
        Self { name, events, process: Mutex::new(process), printed, readers }
    }

    /// The most memory that the process has ever had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let id = self.process.lock().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends the process, so that everything that it has printed is there to be read.
    pub(crate) fn end(&self) {
        self.process.lock().unwrap().kill().unwrap();
        for reader in self.readers.lock().unwrap().drain(..) {
            reader.join().unwrap();
        }
    }

    /// The lines of JSON that `fit`; all of them only after [`Function::end`].
    pub(crate) fn printed(&self, fit: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.printed.lock().unwrap().iter().filter(|line| fit(line)).cloned().collect()
    }

    /// Its log lines with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        self.printed(|line| line["message"] == message)
    }

    /// Invokes the function and waits for its answer.
    pub(crate) async fn invoke(&self, event: Value) -> Value {
        let (answer, outcome) = oneshot::channel();
        self.events.send(Invocation { event, answer }).await.expect("the Runtime API runs");
        match outcome.await.expect("the function answers") {
            Ok(value) => value,
            Err(error) => panic!("{} failed: {error}", self.name),
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap();
        let _already_ended = process.kill();
        let _already_ended = process.wait();
    }
}

fn keep_lines(stream: impl std::io::Read + Send + 'static, printed: &Arc<Mutex<Vec<Value>>>) -> JoinHandle<()> {
    let printed = Arc::clone(printed);
    std::thread::spawn(move || {
        for line in std::io::BufReader::new(stream).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(value) => printed.lock().unwrap().push(value),
                Err(_) => eprintln!("{line}"),
            }
        }
    })
}

fn release_binary(name: &str) -> PathBuf {
    // This test is target/debug/deps/it-…; the binaries are in target/release.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).expect("a target folder");
    target.join("release").join(name)
}

async fn next(State(api): State<RuntimeApi>) -> Response {
    let Some(invocation) = api.events.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let id = format!("00000000-0000-4000-8000-{:012}", api.running.lock().unwrap().len() + 1);
    api.running.lock().unwrap().insert(id.clone(), invocation.answer);
    let mut headers = HeaderMap::new();
    #[expect(clippy::disallowed_methods, reason = "Lambda gives its deadline in wall-clock time")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", (now.as_millis() + 60_000).to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:test".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000".to_owned()),
    ] {
        headers.insert(name, HeaderValue::try_from(value).unwrap());
    }
    (headers, Json(invocation.event)).into_response()
}

/// A function that cannot start says why; whoever invokes it then waits in vain, so this must be seen.
async fn init_error(body: String) -> StatusCode {
    eprintln!("a function cannot start: {body}");
    StatusCode::ACCEPTED
}

async fn response(State(api): State<RuntimeApi>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    settle(&api, &id, Ok(serde_json::from_slice(&body).expect("an answer is JSON")))
}

async fn error(State(api): State<RuntimeApi>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    settle(&api, &id, Err(Value::String(String::from_utf8_lossy(&body).into_owned())))
}

fn settle(api: &RuntimeApi, id: &str, outcome: Result<Value, Value>) -> StatusCode {
    match api.running.lock().unwrap().remove(id) {
        Some(waiting) => {
            let _nobody_waits = waiting.send(outcome);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}

/// API Gateway: routes HTTP requests to functions as the template does.
pub(crate) struct Gateway {
    pub(crate) webhook_ingest: Function,
    pub(crate) bot_messages: Function,
    pub(crate) oauth_callback: Function,
    pub(crate) admin_api: Function,
}

impl Gateway {
    pub(crate) async fn start(environment: &BTreeMap<String, String>) -> Self {
        Self {
            webhook_ingest: Function::start("webhook-ingest", environment).await,
            bot_messages: Function::start("bot-messages", environment).await,
            oauth_callback: Function::start("oauth-callback", environment).await,
            admin_api: Function::start("admin-api", environment).await,
        }
    }

    async fn route(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let function = match path.as_str() {
            "/webhooks/pagerduty" => &self.webhook_ingest,
            "/api/messages" => &self.bot_messages,
            "/health" => &self.admin_api,
            path if path.starts_with("/oauth/") => &self.oauth_callback,
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        from_answer(&function.invoke(to_event(request).await).await)
    }
}

/// Serves a gateway that may come later: simulators must know its address before the functions can start.
pub(crate) fn serve_gateway(listener: tokio::net::TcpListener) -> Arc<tokio::sync::OnceCell<Gateway>> {
    let gateway: Arc<tokio::sync::OnceCell<Gateway>> = Arc::default();
    let shared = Arc::clone(&gateway);
    let router = Router::new().fallback(move |request: Request| {
        let shared = Arc::clone(&shared);
        async move {
            match shared.get() {
                Some(gateway) => gateway.route(request).await,
                None => StatusCode::BAD_GATEWAY.into_response(),
            }
        }
    });
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    gateway
}

/// An API Gateway HTTP API event, payload format 2.0, with the body in base64 as for binary media types.
async fn to_event(request: Request) -> Value {
    use base64::Engine as _;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 6 * 1024 * 1024).await.unwrap();
    let headers: BTreeMap<String, String> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let cookies: Vec<&str> = headers.get("cookie").map(|line| line.split("; ").collect()).unwrap_or_default();
    let path = parts.uri.path();
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "cookies": cookies,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "local",
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test",
            },
            "requestId": "1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1_795_424_400_000_i64,
        },
        "body": base64::prelude::BASE64_STANDARD.encode(&body),
        "isBase64Encoded": true,
    })
}

fn from_answer(answer: &Value) -> Response {
    use base64::Engine as _;
    let status = answer["statusCode"].as_u64().and_then(|code| u16::try_from(code).ok()).expect("a status");
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"].as_bool().unwrap_or(false) {
        base64::prelude::BASE64_STANDARD.decode(text).unwrap()
    } else {
        text.as_bytes().to_vec()
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    let headers = ["headers", "multiValueHeaders"].iter().filter_map(|kind| answer[*kind].as_object()).flatten();
    for (name, value) in headers {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values.iter().filter_map(Value::as_str) {
            let name = axum::http::HeaderName::try_from(name.as_str()).unwrap();
            response.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        response.headers_mut().append("set-cookie", HeaderValue::try_from(cookie).unwrap());
    }
    response
}
