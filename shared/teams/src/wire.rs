//! Reading answers of others: never without a limit, never with foreign text in a log line.

use std::time::Duration;

use ::wire::WireError;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

/// Longest error code that we repeat, in characters.
const MAX_CODE_CHARS: usize = 64;

/// Why an answer's body could not be had.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The connection broke or the time was up.
    Broken(WireError),
    /// More bytes than the caller wanted to see.
    TooLarge,
}

/// Reads at most `limit` bytes of an answer's body.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ReadError::Broken(error.into()))? {
        if body.len() + chunk.len() > limit {
            return Err(ReadError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an answer says, read leniently; null if it is no JSON.
pub(crate) fn json(body: &[u8]) -> Value {
    ::wire::read(body).unwrap_or_default()
}

/// A text of an answer.
pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

/// A foreign error code, safe to log: letters, digits, `_`, `-` and `.` only, and not long.
pub(crate) fn code(text: &str) -> String {
    let harmless = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.chars().filter(harmless).take(MAX_CODE_CHARS).collect()
}

/// How long `Retry-After` asks us to wait: a number of seconds, or a date (RFC 9110).
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::support::{Server, http, reply};

    #[tokio::test]
    async fn reads_no_more_than_it_is_told() {
        let server = Server::start(|_| reply(200, "x".repeat(1000))).await;
        for (limit, expected) in [(1001, Some(1000)), (1000, Some(1000)), (999, None), (0, None)] {
            let response = http().get(&server.base).send().await.unwrap();
            assert_eq!(read(response, limit).await.ok().map(|body| body.len()), expected, "{limit}");
        }
    }

    #[test]
    fn a_code_cannot_smuggle_text_into_a_log() {
        assert_eq!(code("BotNotInConversationRoster"), "BotNotInConversationRoster");
        assert_eq!(code("a b\n\u{202e}c=\"d\""), "abcd");
        assert_eq!(code(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn waits_as_long_as_asked() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7", Some(Duration::from_secs(7))),
            (" 0 ", Some(Duration::ZERO)),
            ("Mon, 23 Nov 2026 09:01:30 GMT", Some(Duration::from_secs(90))),
            ("Mon, 23 Nov 2026 08:59:00 GMT", Some(Duration::ZERO)),
            ("-1", None),
            ("99999999999", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), expected, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
