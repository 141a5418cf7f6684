//! What every page and API for a browser needs: its headers, its cookies, and tags that only we can make.

use std::future::ready;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::map_response;
use axum::response::Response;
use secrecy::ExposeSecret;

use crate::{App, Metric, SecretError, SecretValues};

/// The policy of answers that are no page: a browser that shows one all the same loads and sends nothing.
pub const NO_PAGE: &str = "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Gives every answer of a function the headers of [`page_headers`], also those that no code of ours has written: redirects, unknown
/// routes, wrong methods, refused bodies. What an answer says itself stays, so that a page can have a policy of its own. (What the
/// HTTP API answers before a function is asked, such as 404 and 429, is out of reach.)
pub fn with_headers(router: Router, policy: &'static str) -> Router {
    router.layer(map_response(move |mut answer: Response| async move {
        for (name, value) in page_headers(policy) {
            answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        answer
    }))
}

/// Counts what the function answers 5xx on the routes that `router` has so far. What Lambda or the HTTP API answers in its place is
/// counted there.
pub fn with_failures_counted<S: Clone + Send + Sync + 'static>(router: Router<S>, app: &App) -> Router<S> {
    let (metrics, clock) = (app.metrics.clone(), app.clock.clone());
    router.layer(map_response(move |answer: Response| {
        if answer.status().is_server_error() {
            metrics.count(Metric::RequestsFailed, clock.now());
        }
        ready(answer)
    }))
}

/// The headers of an answer to a browser: nothing is kept, framed, guessed or told to others, and `policy` says what it may
/// load.
#[must_use]
pub fn page_headers<V: From<&'static str>>(policy: V) -> [(HeaderName, V); 7] {
    [
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store".into()),
        (REFERRER_POLICY, "no-referrer".into()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
        (X_FRAME_OPTIONS, "DENY".into()),
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000".into()),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".into()),
    ]
}

/// The value of a cookie; `None`: there is none, or it is empty.
#[must_use]
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(known, value)| (known == name && !value.is_empty()).then_some(value))
}

/// A cookie for this host alone, over TLS, out of reach for scripts, that other sites' forms do not send. `seconds`: how long
/// the browser keeps it.
#[must_use]
pub fn set_cookie(name: &str, value: &str, seconds: i64) -> String {
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
}

impl SecretValues {
    /// A tag for `text` that only somebody with the session key can make, as 64 hexadecimal digits.
    pub fn tag(&self, text: &str) -> Result<String, SecretError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.session_key()?.expose_secret().as_bytes());
        Ok(hmac::sign(&key, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Whether two tags are the same, in a time that does not tell where they differ.
#[must_use]
pub fn same_tag(expected: &str, given: &[u8]) -> bool {
    verify_slices_are_equal(expected.as_bytes(), given).is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn finds_its_own_cookie_among_others() {
        for (line, expected) in [
            ("__Host-pagerbridge-link=abc", Some("abc")),
            ("a=b; __Host-pagerbridge-link=abc; c=d", Some("abc")),
            ("pagerbridge-link=abc", None),
            ("__Host-pagerbridge-link=", None),
            ("x__Host-pagerbridge-link=abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_static(line));
            assert_eq!(cookie(&headers, "__Host-pagerbridge-link"), expected, "{line}");
        }
    }

    #[test]
    fn a_cookie_is_bound_to_host_https_and_site() {
        let cookie = set_cookie("__Host-pagerbridge-session", "abc", 28_800);
        assert_eq!(cookie, "__Host-pagerbridge-session=abc; Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn tags_are_compared_whole() {
        assert!(same_tag("ab", b"ab"));
        assert!(!same_tag("ab", b"abc") && !same_tag("ab", b"") && !same_tag("ab", b"ax"));
    }
}
