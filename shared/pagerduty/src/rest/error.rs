//! PagerDuty's refusals, whose bodies come in many shapes.

use std::time::Duration;

use domain::failure::Class;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::wire::bounded;

/// "Already resolved" and "already acknowledged" (PagerDuty's error codes).
const ALREADY_DONE: [u64; 2] = [1001, 1002];

/// A call that did not work.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// PagerDuty answered no.
    #[error("PagerDuty answered {status} (code {code:?})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// PagerDuty's own code.
        code: Option<u64>,
        /// PagerDuty's sentence, at most 300 characters. It may quote what a person typed: for that person, not for logs.
        message: String,
    },
    /// More calls than PagerDuty allows.
    #[error("PagerDuty's rate limit is reached")]
    RateLimited {
        /// When to try again, if PagerDuty says so.
        after: Option<Duration>,
    },
    /// No answer: it may or may not have been done.
    #[error("PagerDuty did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// An answer that we cannot read: it has been done.
    #[error("PagerDuty's answer has no readable {what}")]
    Unreadable {
        /// What is missing.
        what: &'static str,
    },
    /// The request could not even be written.
    #[error("a request to PagerDuty cannot be written")]
    Request,
}

impl ApiError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { status: 401, .. } => Class::Relink,
            Self::Refused { status: 402 | 403, .. } => Class::Forbidden,
            Self::Refused { status: 404, .. } => Class::Gone,
            Self::Refused { status: 408 | 500..=599, .. } => Class::Unclear,
            Self::Refused { .. } => Class::Invalid,
            Self::RateLimited { after } => Class::Retry { after: *after },
            Self::NoAnswer(_) => Class::Unclear,
            Self::Unreadable { .. } | Self::Request => Class::Bug,
        }
    }

    /// Whether the incident already was in the wanted state, which is as good as success.
    #[must_use]
    pub fn already_done(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if ALREADY_DONE.contains(code))
    }

    /// PagerDuty's own sentence for the person, if it gave one.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Refused { message, .. } => message,
            Self::RateLimited { .. } | Self::NoAnswer(_) | Self::Unreadable { .. } | Self::Request => "",
        }
    }
}

/// `Retry-After` or `ratelimit-reset`, both in seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    seconds("retry-after").or_else(|| seconds("ratelimit-reset")).map(Duration::from_secs)
}

/// Reads a refusal leniently: `errors` may be a list, a text or an object; `error` may be missing or a list; there may be
/// no body at all.
pub(super) fn refusal(status: u16, after: Option<Duration>, body: &[u8]) -> ApiError {
    if status == 429 {
        return ApiError::RateLimited { after };
    }
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let error = body.get("error").unwrap_or(&body);
    let code = error.get("code").and_then(Value::as_u64).filter(|code| *code != 0);
    let sentences: Vec<&str> =
        [error.get("message"), error.get("errors"), Some(error)].into_iter().flatten().flat_map(texts).collect();
    ApiError::Refused { status, code, message: bounded(&sentences.join(": "), 300) }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
