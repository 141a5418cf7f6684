//! The browser that began a log-in must be the one that ends it: a host-bound cookie ties the two together.

use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use setup::{SESSION_COOKIE, SESSION_LIFETIME};

const COOKIE_NAME: &str = "__Host-pagerbridge-link";

/// As long as a ticket lives that is prolonged: the page that waits must know its log-in until then.
const MAX_AGE_SECONDS: i64 = 1200;

/// The browser's secret, if it has one.
pub(crate) fn secret(headers: &HeaderMap) -> Option<&str> {
    runtime::cookie(headers, COOKIE_NAME)
}

/// Logs the browser in to the configuration page.
pub(crate) fn with_session(mut response: Response, secret: &str) -> Response {
    let cookie = runtime::set_cookie(SESSION_COOKIE, secret, SESSION_LIFETIME.as_secs());
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Lets the window keep in touch with the one that opened it: Teams, to which the last page of this way speaks. Each answer on
/// the way must say so, else the browser cuts the tie (HTML standard, cross-origin opener policy).
pub(crate) fn beside_its_opener(mut response: Response) -> Response {
    let policy = HeaderName::from_static("cross-origin-opener-policy");
    response.headers_mut().insert(policy, HeaderValue::from_static("unsafe-none"));
    response
}

/// Leads the browser on, giving it `secret` to come back with.
pub(crate) fn redirect(location: &str, secret: Option<&str>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let cookie = secret.map(|secret| runtime::set_cookie(COOKIE_NAME, secret, MAX_AGE_SECONDS));
    for (name, value) in [(LOCATION, Some(location.to_owned())), (SET_COOKIE, cookie)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_bound_to_host_https_and_site() {
        let response = redirect("/oauth/callback", Some("abc"));
        let cookie = response.headers().get(SET_COOKIE).unwrap().to_str().unwrap();
        assert_eq!(cookie, "__Host-pagerbridge-link=abc; Path=/; Max-Age=1200; Secure; HttpOnly; SameSite=Lax");
    }
}
