//! The HTTP surface: which request is for the token endpoint, the key documents or the connector; everything else is unknown and
//! remembered.

use std::collections::BTreeMap;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::Teams;
use super::connector::{self, Call, Reply, Request};
use super::faults::Fault;
use super::keys::ISSUER;
use super::tokens;

/// Far above the size limit that Teams itself tells.
const MOST_BODY_BYTES: usize = 4 * 1024 * 1024;
const CORRELATION: HeaderName = HeaderName::from_static("x-correlating-operationid");

pub(super) fn router(teams: Teams) -> Router {
    Router::new().fallback(serve).with_state(teams)
}

async fn serve(Shared(teams): Shared<Teams>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MOST_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let reply = teams.reply(&parts.method, &parts.uri, &parts.headers, &body);
    let mut response = match reply {
        Reply::Json { status, body, retry_after } => {
            let content_type = (header::CONTENT_TYPE, "application/json; charset=utf-8");
            let mut response = (status_of(status), [content_type], body.to_string()).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Reply::Empty { status } => status_of(status).into_response(),
        Reply::Close => return closed(),
        Reply::Hang => std::future::pending().await,
    };
    if let Ok(correlation) = HeaderValue::from_str(&teams.new_guid()) {
        response.headers_mut().insert(CORRELATION, correlation);
    }
    response
}

/// The body fails before the first byte is flushed, so the server closes the connection without an answer.
pub(super) fn closed() -> Response {
    let broken = stream::once(async { Err::<Bytes, _>(io::Error::other("a fault that was asked for")) });
    Response::new(Body::from_stream(broken))
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Teams {
    fn reply(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Reply {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let segments: Option<Vec<String>> = uri
            .path()
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned))
            .collect();
        let segments = segments.unwrap_or_default();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
        match segments.as_slice() {
            [tenant, "oauth2", "v2.0", "token"] if method == Method::POST => self.token(tenant, content_type, body),
            ["v1", ".well-known", "openidconfiguration"] if method == Method::GET => Reply::json(200, self.metadata()),
            ["v1", ".well-known", "keys"] if method == Method::GET => Reply::json(200, self.keys().document()),
            ["connector", region, "v3", rest @ ..] => {
                let query = query_of(uri);
                let known = Call::of(method, rest)
                    .filter(|_| *region == self.lock().region && !query.contains_key("isTargetedActivity"));
                let Some(call) = known else { return self.unknown(method, uri) };
                let request = Request { query: &query, authorization: text(header::AUTHORIZATION), content_type, body };
                connector::answer(&mut self.lock(), self.options(), call, &request, self.now())
            }
            _ => self.unknown(method, uri),
        }
    }

    pub(super) fn unknown(&self, method: &Method, uri: &Uri) -> Reply {
        self.lock().passing.unknown_requests.push(format!("{method} {uri}"));
        Reply::json(
            404,
            json!({ "error": { "code": "NotFound", "message": "The simulator does not know this request." } }),
        )
    }

    fn metadata(&self) -> serde_json::Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://invalid.botframework.com",
            "jwks_uri": format!("{}/v1/.well-known/keys", self.base()),
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        })
    }

    fn token(&self, tenant: &str, content_type: &str, body: &[u8]) -> Reply {
        let mut state = self.lock();
        let fault = state.passing.faults.next_token();
        match fault {
            Some(Fault::Status { status, code, retry_after }) => {
                let body = json!({ "error": code, "error_description": "A fault that was asked for.", "error_codes": [90_033] });
                return Reply::Json { status, body, retry_after };
            }
            Some(Fault::NoAnswer) => return Reply::Close,
            Some(Fault::Hang) => return Reply::Hang,
            Some(Fault::DropAnswerAfterApplying | Fault::AnswerWithoutId | Fault::OvertakesTheNext) | None => {}
        }
        let (status, body) = tokens::issue(&mut state, self.options(), tenant, content_type, body, self.now());
        if fault.is_some() { Reply::Close } else { Reply::json(status, body) }
    }
}

fn query_of(uri: &Uri) -> BTreeMap<String, String> {
    serde_urlencoded::from_str::<Vec<(String, String)>>(uri.query().unwrap_or_default())
        .unwrap_or_default()
        .into_iter()
        .collect()
}
