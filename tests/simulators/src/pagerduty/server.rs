//! The HTTP surface: which request is for REST, for OAuth or for a page. Everything else is unknown and remembered.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};

use super::access::{RateLimit, text};
use super::context::EVENT_INTELLIGENCE;
use super::faults::Fault;
use super::{PagerDuty, oauth, pages, rest};

/// Far above anything that a client of PagerDuty sends.
const MOST_BODY_BYTES: usize = 4 * 1024 * 1024;

/// One request, read whole.
pub(super) struct Incoming<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) segments: Vec<&'a str>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What is answered.
pub(super) enum Reply {
    Json { status: StatusCode, body: Value, rate: Option<RateLimit> },
    Verbatim(StatusCode, String),
    Empty(StatusCode, Option<RateLimit>),
    Page(StatusCode, String),
    Redirect(String),
    Slow(Duration, Box<Reply>),
    Garbled(Vec<(String, Vec<u8>)>, Box<Reply>),
    Close,
    Hang,
}

impl Reply {
    pub(super) fn json(status: StatusCode, body: Value) -> Self {
        Self::Json { status, body, rate: None }
    }

    /// The answer of an operation that fails as ordered; `None` for a fault that strikes only afterwards.
    pub(super) fn failing(fault: &Fault) -> Option<Self> {
        Some(match fault {
            Fault::DropAnswerAfterApplying | Fault::Slow(_) | Fault::Garbled(_) => return None,
            Fault::NoAnswer => Self::Close,
            Fault::Hang => Self::Hang,
            Fault::Answer(status, body) => Self::Verbatim(status_of(*status), body.clone()),
            Fault::RateLimited(reset) => {
                let rate = reset.map(|reset_seconds| RateLimit { limit: 960, remaining: 0, reset_seconds });
                Self::Json { status: StatusCode::TOO_MANY_REQUESTS, body: rest::too_many(), rate }
            }
            Fault::Status(status) => {
                let body = match status {
                    402 => rest::missing_ability(EVENT_INTELLIGENCE),
                    403 => json!({ "error": { "message": "Access Denied", "code": 2010 } }),
                    404 => json!({ "error": { "message": "Not Found", "code": 2100 } }),
                    _ => json!({ "error": { "message": "Internal Error", "code": 2000 } }),
                };
                Self::json(status_of(*status), body)
            }
        })
    }

    /// What becomes of an answer that was ordered to fail only then.
    pub(super) fn after(self, fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::DropAnswerAfterApplying) => Self::Close,
            Some(Fault::Slow(time)) => Self::Slow(*time, Box::new(self)),
            Some(Fault::Garbled(changes)) => Self::Garbled(changes.clone(), Box::new(self)),
            _ => self,
        }
    }
}

pub(super) fn router(pagerduty: PagerDuty) -> Router {
    Router::new().fallback(serve).with_state(pagerduty)
}

async fn serve(Shared(pagerduty): Shared<PagerDuty>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MOST_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    respond(pagerduty.reply(&parts.method, &parts.uri, &parts.headers, &body)).await
}

async fn respond(reply: Reply) -> Response {
    let (status, mut response, rate) = match reply {
        Reply::Json { status, body, rate } => (status, axum::Json(body).into_response(), rate),
        Reply::Verbatim(status, body) => (status, body.into_response(), None),
        Reply::Empty(status, rate) => (status, ().into_response(), rate),
        Reply::Page(status, html) => (status, Html(html).into_response(), None),
        Reply::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)].into_response(), None),
        Reply::Slow(time, reply) => {
            tokio::time::sleep(time).await;
            return Box::pin(respond(*reply)).await;
        }
        Reply::Garbled(changes, reply) => return garbled(Box::pin(respond(*reply)).await, &changes).await,
        Reply::Close => return closed(),
        Reply::Hang => std::future::pending().await,
    };
    *response.status_mut() = status;
    if let Some(rate) = rate {
        let headers = response.headers_mut();
        headers.insert("ratelimit-limit", HeaderValue::from(rate.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(rate.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(rate.reset_seconds));
    }
    response
}

async fn garbled(response: Response, changes: &[(String, Vec<u8>)]) -> Response {
    let (mut parts, body) = response.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap_or_default().to_vec();
    for (text, bytes) in changes {
        let found = (0..body.len()).find(|at| body.get(*at..).is_some_and(|rest| rest.starts_with(text.as_bytes())));
        if let Some(at) = found {
            body.splice(at..at + text.len(), bytes.iter().copied());
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// The body fails before the first byte is flushed, so the server closes the connection without an answer.
fn closed() -> Response {
    let broken = stream::once(async { Err::<Bytes, _>(io::Error::other("a fault that was asked for")) });
    Response::new(Body::from_stream(broken))
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl PagerDuty {
    fn reply(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Reply {
        let query = serde_urlencoded::from_str(uri.query().unwrap_or_default()).unwrap_or_default();
        let segments: Vec<&str> = uri.path().split('/').skip(1).collect();
        let incoming = Incoming { method, uri, segments, query, headers, body };
        let known = match (method.as_str(), incoming.segments.as_slice()) {
            ("GET", ["oauth", "authorize"]) => Some(self.authorize_page(&incoming)),
            ("POST", ["v2", "enqueue"]) => Some(self.enqueue_call(&incoming)),
            ("POST", ["oauth", "token"]) => Some(self.token(&incoming)),
            ("GET", ["global", "oauth", "anonymous", "jwks"]) => Some(Reply::json(StatusCode::OK, self.jwks())),
            ("GET", ["global", "oauth", "anonymous", ".well-known", "openid-configuration"]) => {
                Some(Reply::json(StatusCode::OK, oauth::metadata(&self.base())))
            }
            ("GET", ["favicon.ico"]) => Some(Reply::Empty(StatusCode::NOT_FOUND, None)),
            // The API and the web pages share one address here; browsers say that they want a page.
            ("GET", [kind, id]) if text(headers, &header::ACCEPT).contains("text/html") => {
                pages::thing(&self.lock(), kind, id).map(|html| Reply::Page(StatusCode::OK, html))
            }
            _ => self.rest(&incoming),
        };
        known.unwrap_or_else(|| {
            self.lock().note_unknown(format!("{method} {}", uri.path()));
            let body = json!({ "error": { "message": "Not Found", "code": 2100 } });
            Reply::json(StatusCode::NOT_FOUND, body)
        })
    }
}
