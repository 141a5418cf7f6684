//! A person's browser, step by step.

use std::sync::Mutex;

use axum::http::StatusCode;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use url::Url;

/// Somebody's browser: it keeps cookies and follows redirects itself, so that every step can be looked at.
pub(crate) struct Browser {
    http: reqwest::Client,
    cookie: Mutex<Option<String>>,
}

/// A page in a browser.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) url: String,
    pub(crate) text: String,
    pub(crate) csrf: String,
    pub(crate) location: Option<String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { http: runtime::http_client().unwrap(), cookie: Mutex::new(None) }
    }

    pub(crate) async fn get(&self, url: &str) -> Page {
        self.send(self.http.get(url)).await
    }

    pub(crate) async fn post(&self, url: &str, form: &[(&str, &str)]) -> Page {
        self.send(self.http.post(url).form(form)).await
    }

    /// Follows redirects up to a page.
    pub(crate) async fn follow(&self, url: &str) -> Page {
        let mut page = self.get(url).await;
        while let Some(location) = page.location.clone() {
            let next = Url::parse(&page.url).unwrap().join(&location).unwrap();
            page = self.get(next.as_str()).await;
        }
        page
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Page {
        if let Some(cookie) = self.cookie.lock().unwrap().clone() {
            request = request.header(COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        if let Some(cookie) = answer.headers().get(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            *self.cookie.lock().unwrap() = Some(pair);
        }
        let location = answer.headers().get(LOCATION).map(|location| location.to_str().unwrap().to_owned());
        if answer.status() == StatusCode::OK.as_u16() {
            let headers = answer.headers();
            if headers.contains_key("content-security-policy") {
                assert_eq!(headers["referrer-policy"], "no-referrer");
                assert_eq!(headers["cache-control"], "no-store");
            }
        }
        let (status, url) = (answer.status().as_u16(), answer.url().to_string());
        let html = answer.text().await.unwrap();
        let csrf =
            html.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let text = html.replace("&#39;", "'").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
        Page { status, url, csrf: csrf.to_owned(), text, location }
    }
}
