//! PagerDuty's refusals, whose bodies come in many shapes.

use std::time::Duration;

use ::wire::WireError;
use domain::failure::Class;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::wire::bounded;

/// "Already resolved" and "already acknowledged" (REST docs, "Errors").
const ALREADY_DONE: [u32; 2] = [1001, 1002];

/// "Product limit reached" (REST docs, "Errors").
const LIMIT_REACHED: u32 = 2019;

/// What PagerDuty calls an `incident_key` in its sentences.
const KEY_NAMES: [&str; 2] = ["dedup key", "incident key"];

const MAX_MESSAGE: usize = 300;

/// A call that did not work.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// PagerDuty answered no.
    #[error("PagerDuty answered {status} (code {code:?})")]
    Refused {
        status: u16,
        code: Option<u32>,
        /// PagerDuty's sentence, at most 300 characters. It may quote what a person typed: for that person, not for logs.
        message: String,
    },
    /// More calls than PagerDuty allows.
    #[error("PagerDuty's rate limit is reached")]
    RateLimited {
        /// When to try again, if PagerDuty says so.
        after: Option<Duration>,
    },
    /// PagerDuty could not be reached: nothing was asked, so nothing was done.
    #[error("PagerDuty cannot be reached")]
    Unreachable(#[source] WireError),
    /// No answer: it may or may not have been done.
    #[error("PagerDuty did not answer")]
    NoAnswer(#[source] WireError),
    /// An answer that we cannot read: it has been done.
    #[error("PagerDuty's answer has no readable {what}")]
    Unreadable { what: &'static str },
    /// The token or the base address cannot be put into a request.
    #[error("the request to PagerDuty cannot be written")]
    Unwritable,
}

impl ApiError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { status, .. } => match status {
                // A redirect is never followed; a wrong region's host may answer with one.
                300..=399 => Class::Bug,
                401 => Class::Relink,
                402 | 403 => Class::Forbidden,
                404 | 410 => Class::Gone,
                408 | 500..=599 => Class::Unclear,
                _ => Class::Invalid,
            },
            Self::RateLimited { after } => Class::Retry { after: *after },
            Self::Unreachable(_) => Class::Retry { after: None },
            Self::NoAnswer(_) => Class::Unclear,
            Self::Unreadable { .. } | Self::Unwritable => Class::Bug,
        }
    }

    /// Whether PagerDuty does not accept the token: another one may do.
    #[must_use]
    pub fn refuses_token(&self) -> bool {
        self.class() == Class::Relink
    }

    /// Whether the incident already was in the wanted state, which is as good as success.
    #[must_use]
    pub fn already_done(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if ALREADY_DONE.contains(code))
    }

    /// Whether the account has as much of this as PagerDuty allows: ten webhook subscriptions for one service, say.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Refused { code: Some(LIMIT_REACHED), .. })
    }

    /// Whether there is an open incident with the same `incident_key` already, so that an earlier call has worked.
    /// PagerDuty says so in words only: the code is that of any bad argument.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        let Self::Refused { status: 400, message, .. } = self else { return false };
        let message = message.to_lowercase().replace('_', " ");
        message.contains("already exists") && KEY_NAMES.iter().any(|key| message.contains(key))
    }

    /// Whether what the call was about is not there, or is hidden from the caller.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }

    /// PagerDuty's own sentence for the person, if it gave one.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Refused { message, .. } => message,
            Self::RateLimited { .. }
            | Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::Unreadable { .. }
            | Self::Unwritable => "",
        }
    }

    pub(super) fn no_answer(error: WireError) -> Self {
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }
}

/// How long PagerDuty wants to be left alone: `Retry-After`, else its own `ratelimit-reset`, both in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    seconds(RETRY_AFTER.as_str()).or_else(|| seconds("ratelimit-reset")).map(Duration::from_secs)
}

/// Reads a refusal leniently: `errors` may be a list, a text or an object; `error` may be a list or missing; there may be
/// no body at all, or one that is no JSON.
pub(super) fn refusal(status: u16, after: Option<Duration>, body: &[u8]) -> ApiError {
    if status == 429 {
        return ApiError::RateLimited { after };
    }
    let body = ::wire::read(body).unwrap_or(Value::Null);
    let error = body.get("error").unwrap_or(&body);
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u32::try_from(code).ok());
    let sentences = match error {
        Value::Object(fields) => {
            ["message", "errors"].iter().filter_map(|key| fields.get(*key)).flat_map(texts).collect()
        }
        bare => texts(bare),
    };
    // PagerDuty says 0 where it has no code of its own.
    ApiError::Refused {
        status,
        code: code.filter(|code| *code != 0),
        message: bounded(&sentences.join(": "), MAX_MESSAGE),
    }
}

/// Every text in it, at any depth (which the JSON reader bounds).
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
