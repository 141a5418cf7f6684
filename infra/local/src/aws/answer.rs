//! How both JSON protocols of AWS write answers and errors.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// Content type of SQS and `DynamoDB`.
pub(super) const JSON_1_0: &str = "application/x-amz-json-1.0";

/// Content type of Secrets Manager.
pub(super) const JSON_1_1: &str = "application/x-amz-json-1.1";

/// The body of an error.
#[derive(Serialize)]
struct ErrorBody<'a> {
    #[serde(rename = "__type")]
    shape: &'a str,
    message: &'a str,
}

/// A successful answer.
pub(super) fn success(content_type: &'static str, body: &impl Serialize) -> Response {
    write(content_type, StatusCode::OK, body)
}

/// An error; `shape` is its `__type`.
pub(super) fn error(content_type: &'static str, status: u16, shape: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    write(content_type, status, &ErrorBody { shape, message })
}

fn write(content_type: &'static str, status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = match serde_json::to_vec(body) {
        Ok(bytes) => Response::new(Body::from(bytes)),
        Err(_) => Response::new(Body::from(r#"{"__type":"InternalFailure"}"#)),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(&request_id()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// Counts, because randomness is banned and nobody needs it here.
fn request_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("00000000-0000-4000-8000-{:012x}", LAST.fetch_add(1, Ordering::Relaxed) + 1)
}
