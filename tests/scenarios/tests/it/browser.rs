//! A person's browser, step by step.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::http::StatusCode;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::Value;
use url::Url;

/// Somebody's browser: it keeps cookies and follows redirects itself, so that every step can be looked at.
pub(crate) struct Browser {
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
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
        Self { http: runtime::http_client().unwrap(), cookies: Mutex::default() }
    }

    pub(crate) async fn get(&self, url: &str) -> Page {
        self.send(self.http.get(url)).await
    }

    pub(crate) async fn post(&self, url: &str, form: &[(&str, &str)]) -> Page {
        self.send(self.http.post(url).form(form)).await
    }

    pub(crate) fn cookies(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// What a script of a page asks for; `csrf` goes into the header of writes.
    pub(crate) async fn api(&self, method: &str, url: &str, csrf: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.http.request(method.parse().unwrap(), url).header(COOKIE, self.cookies());
        if let Some(csrf) = csrf {
            request = request.header("X-PagerBridge-CSRF", csrf);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
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
        request = request.header(COOKIE, self.cookies());
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
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
