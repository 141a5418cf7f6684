//! A person's browser, in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Method, Request};
use local::inside::Inside;
use serde_json::Value;
use tower_service::Service as _;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(30);
const MOST_BYTES: usize = 4 * 1024 * 1024;
const MOST_REDIRECTS: usize = 5;

/// One that nobody has used yet. It keeps cookies, and goes to our pages and to PagerDuty's.
#[derive(Debug, Clone)]
pub struct Browser {
    ours: Router,
    pagerduty: Router,
    pagerduty_base: Url,
    public: Url,
    cookies: BTreeMap<String, String>,
}

/// What it shows.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) url: Url,
    pub(super) html: String,
    location: Option<String>,
}

impl Page {
    /// The text between these two, up to the first of the second.
    pub(super) fn between(&self, before: &str, after: char) -> Option<&str> {
        self.html.split_once(before)?.1.split(after).next()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.html).unwrap_or_default()
    }
}

impl Browser {
    /// `ours` serves our own pages. `None`: they have no address.
    #[must_use]
    pub fn new(inside: &Inside, ours: Router) -> Option<Self> {
        let public = Url::parse(&inside.app.config.public("/")).ok()?;
        let pagerduty_base = Url::parse(&inside.pagerduty.base()).ok()?;
        Some(Self { ours, pagerduty: inside.pagerduty.router(), pagerduty_base, public, cookies: BTreeMap::new() })
    }

    /// An address of ours.
    pub(super) fn our(&self, path: &str) -> Option<Url> {
        self.public.join(path).ok()
    }

    pub(super) async fn get(&mut self, url: &Url) -> Option<Page> {
        self.send(Method::GET, url, &[], Body::empty()).await
    }

    /// Follows redirects up to a page.
    pub(super) async fn follow(&mut self, url: &Url) -> Option<Page> {
        let mut page = self.get(url).await?;
        for _ in 0..MOST_REDIRECTS {
            let Some(next) = page.leads_to() else { break };
            page = self.get(&next).await?;
        }
        Some(page)
    }

    pub(super) async fn post(&mut self, url: &Url, form: &[(&str, &str)]) -> Option<Page> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(Method::POST, url, &[("content-type", "application/x-www-form-urlencoded")], body.into()).await
    }

    /// What a script of a page asks for.
    pub(super) async fn write(&mut self, method: Method, url: &Url, csrf: &str, body: Option<&Value>) -> Option<Page> {
        let headers = [("x-pagerbridge-csrf", csrf), (CONTENT_TYPE.as_str(), "application/json")];
        let headers = headers.get(..if body.is_some() { 2 } else { 1 }).unwrap_or_default();
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(method, url, headers, body).await
    }

    /// `None`: the page did not come.
    async fn send(&mut self, method: Method, url: &Url, headers: &[(&str, &str)], body: Body) -> Option<Page> {
        let is_ours = url.origin() == self.public.origin();
        let is_pagerduty = url.origin() == self.pagerduty_base.origin();
        let mut router = match (is_ours, is_pagerduty) {
            (true, _) => self.ours.clone(),
            (false, true) => self.pagerduty.clone(),
            (false, false) => return None,
        };
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if is_ours && !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, cookies.join("; "));
        }
        let request = request.body(body).ok()?;
        let Ok(answer) = tokio::time::timeout(PATIENCE, router.call(request)).await.ok()?;
        let (head, body) = answer.into_parts();
        for cookie in head.headers.get_all(SET_COOKIE).into_iter().filter_map(|cookie| cookie.to_str().ok()) {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            self.cookies.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let location = head.headers.get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned);
        let html = String::from_utf8_lossy(&to_bytes(body, MOST_BYTES).await.ok()?).into_owned();
        Some(Page { status: head.status.as_u16(), url: url.clone(), html, location })
    }
}

impl Page {
    /// Where it sends the browser.
    pub(super) fn leads_to(&self) -> Option<Url> {
        self.url.join(self.location.as_deref()?).ok()
    }
}
