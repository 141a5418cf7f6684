//! The browser that began a log-in must be the one that ends it: a host-bound cookie ties the two together.

use axum::http::header::{CACHE_CONTROL, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

const COOKIE_NAME: &str = "__Host-pagerbridge-link";

/// As long as a ticket lives.
const MAX_AGE_SECONDS: u32 = 600;

/// The browser's secret, if it has one.
pub(crate) fn secret(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME && !value.is_empty()).then_some(value))
}

/// The cookie of the configuration page, which reads it.
const SESSION_COOKIE: &str = "__Host-pagerbridge-session";

/// As long as a session lives.
const SESSION_SECONDS: u32 = 8 * 3600;

/// Logs the browser in to the configuration page.
pub(crate) fn with_session(mut response: Response, secret: &str) -> Response {
    let cookie =
        format!("{SESSION_COOKIE}={secret}; Path=/; Max-Age={SESSION_SECONDS}; Secure; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Leads the browser on, giving it `secret` to come back with.
pub(crate) fn redirect(location: &str, secret: Option<&str>) -> Response {
    let mut headers: Vec<(HeaderName, HeaderValue)> = vec![
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let cookie = secret.map(|secret| {
        format!("{COOKIE_NAME}={secret}; Path=/; Max-Age={MAX_AGE_SECONDS}; Secure; HttpOnly; SameSite=Lax")
    });
    for (name, value) in [(LOCATION, Some(location.to_owned())), (SET_COOKIE, cookie)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.push((name, value));
        }
    }
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().extend(headers);
    response
}

#[cfg(test)]
mod tests {
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
            assert_eq!(secret(&headers), expected, "{line}");
        }
    }

    #[test]
    fn the_cookie_is_bound_to_host_https_and_site() {
        let response = redirect("/oauth/callback", Some("abc"));
        let cookie = response.headers().get(SET_COOKIE).unwrap().to_str().unwrap();
        assert_eq!(cookie, "__Host-pagerbridge-link=abc; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
    }
}
