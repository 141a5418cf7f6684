//! A PagerDuty that answers as it is told and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The fields of a form, decoded.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// A success that need not be text.
    Bytes(Vec<u8>),
    Silence,
}

#[expect(clippy::needless_pass_by_value, reason = "a test reads better without references")]
pub(crate) fn reply(status: u16, body: impl ToString) -> Reply {
    Reply::Answer { status, headers: Vec::new(), body: body.to_string() }
}

pub(crate) fn limited(headers: &[(&'static str, &str)]) -> Reply {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Reply::Answer { status: 429, headers, body: String::new() }
}

#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    calls: Vec<Call>,
}

/// Stops when it is dropped.
pub(crate) struct Server {
    pub(crate) base: Url,
    script: Arc<Mutex<Script>>,
    _running: JoinSet<()>,
}

impl Server {
    /// Gives these answers one by one.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let script = Arc::new(Mutex::new(Script { replies: replies.into_iter().collect(), calls: Vec::new() }));
        let shared = Arc::clone(&script);
        let router = Router::new().fallback(move |request: Request| answer(request, Arc::clone(&shared)));
        let mut running = JoinSet::new();
        running.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, script, _running: running }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.script.lock().unwrap().calls.clone()
    }

    /// The only request that there was.
    pub(crate) fn call(&self) -> Call {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls[0].clone()
    }
}

async fn answer(request: Request, script: Arc<Mutex<Script>>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let reply = {
        let mut script = script.lock().unwrap();
        script.calls.push(Call { line: format!("{} {}", parts.method, parts.uri), headers: parts.headers, body });
        script.replies.pop_front().expect("an answer for every request")
    };
    let (status, headers, body) = match reply {
        Reply::Answer { status, headers, body } => (status, headers, Body::from(body)),
        Reply::Bytes(body) => (200, Vec::new(), Body::from(body)),
        Reply::Silence => return std::future::pending().await,
    };
    let response = headers
        .into_iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(name, value));
    response.body(body).unwrap()
}

/// An address where nobody listens.
pub(crate) async fn nowhere() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}

/// An address where every connection is closed without an answer.
pub(crate) async fn hangs_up(running: &mut JoinSet<()>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    running.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
            drop(stream);
        }
    });
    base
}

/// As `runtime` builds it: no redirects, no proxies.
pub(crate) fn http() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}
