//! Every cookie that is ever set is bound to this host and to TLS, out of reach for scripts, and not sent by other sites' forms.

use axum::body::Body;
use axum::http::header::SET_COOKIE;
use axum::http::{Method, Request};
use reqwest::header::COOKIE;
use url::Url;

use crate::platform::{AdminPage, Platform};
use crate::world::{Browser, World};

/// A whole flow in one browser: every answer of it that sets a cookie.
struct Flow<'w> {
    world: &'w World,
    http: reqwest::Client,
    cookies: std::collections::BTreeMap<String, String>,
    set: Vec<String>,
}

impl<'w> Flow<'w> {
    fn new(world: &'w World) -> Self {
        let cookies = std::collections::BTreeMap::new();
        Self { world, http: runtime::http_client().unwrap(), cookies, set: Vec::new() }
    }

    /// Follows redirects to their end; gives the last page.
    async fn go(&mut self, method: Method, url: &str, form: &[(&str, &str)], login: &str) -> String {
        let (mut method, mut url) = (method, Url::parse(url).unwrap());
        for _ in 0..8 {
            if url.path().contains("authorize") {
                url.query_pairs_mut().append_pair("login", login);
            }
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut request = self.http.request(method.clone(), url.clone()).header(COOKIE, cookies.join("; "));
            if method == Method::POST {
                request = request.form(form);
            }
            let answer = request.send().await.unwrap();
            let ours = url.as_str().starts_with(self.world.stack.base().as_str());
            for line in answer.headers().get_all(SET_COOKIE).iter().filter(|_| ours) {
                let line = line.to_str().unwrap().to_owned();
                let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
                self.set.push(line);
            }
            let Some(next) = answer.headers().get("location") else { return answer.text().await.unwrap() };
            url = url.join(next.to_str().unwrap()).unwrap();
            method = Method::GET;
        }
        panic!("redirects without an end");
    }
}

fn check(line: &str) {
    let mut parts = line.split("; ");
    let (name, _) = parts.next().unwrap().split_once('=').unwrap();
    assert!(name.starts_with("__Host-"), "{name}");
    let mut attributes: Vec<&str> = parts.collect();
    attributes.retain(|attribute| !attribute.starts_with("Max-Age="));
    attributes.sort_unstable();
    // No Domain: a cookie with one is sent to hosts below it, and browsers refuse it together with `__Host-`.
    let allowed =
        [["HttpOnly", "Path=/", "SameSite=Lax", "Secure"], ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]];
    assert!(allowed.iter().any(|allowed| attributes == *allowed), "{name}: {attributes:?}");
}

#[tokio::test]
async fn every_cookie_is_bound_to_host_and_tls_and_out_of_reach_for_scripts() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let public = |path: &str| world.stack.app.config.public(path);

    // An admin logs in, and out.
    let mut admin = Flow::new(&world);
    admin.go(Method::GET, &public("/oauth/start?for=admin"), &[], &ada).await;
    let mut names: std::collections::BTreeSet<String> = admin.cookies.keys().cloned().collect();
    let page = AdminPage::open(&world, "Ada Wong").await;
    let request = Request::delete("/admin/api/v1/session")
        .header("cookie", page.browser.cookies())
        .header("x-pagerbridge-csrf", &page.csrf);
    let mut router = admin_api::router(world.stack.app.clone());
    let out = tower_service::Service::call(&mut router, request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(out.status(), 204);
    let forgotten: Vec<String> =
        out.headers().get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap().to_owned()).collect();
    assert!(!forgotten.is_empty() && forgotten.iter().all(|line| line.contains("=; ") && line.contains("Max-Age=0")));

    // A team is authorized: a personal link, a confirmation, a session.
    let platform = Platform::new(&world);
    platform.install("Ada Wong").await;
    let link = world.private_cards("Ada Wong").iter().rev().find_map(crate::world::Card::any_link).unwrap();
    let mut team = Flow::new(&world);
    let question = team.go(Method::GET, &link, &[], &ada).await;
    let csrf = question.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    team.go(Method::POST, &public("/oauth/confirm"), &[("csrf", &csrf), ("choice", "link")], &ada).await;
    names.extend(team.cookies.keys().cloned());

    // Somebody links their accounts.
    world.say("Ada Wong", "linkUser").await;
    let link = world.private_cards("Ada Wong").iter().rev().find_map(crate::world::Card::any_link).unwrap();
    let mut person = Flow::new(&world);
    person.go(Method::GET, &link, &[], &ada).await;
    names.extend(person.cookies.keys().cloned());

    let all: Vec<&String> = admin.set.iter().chain(&team.set).chain(&person.set).chain(&forgotten).collect();
    assert!(all.len() >= 6, "{all:?}");
    all.into_iter().for_each(|line| check(line));
    assert!(names.contains("__Host-pagerbridge-link") && names.contains("__Host-pagerbridge-session"), "{names:?}");

    // Whoever asks for a page, or is refused, is given none.
    for path in ["/admin", "/health", "/oauth/callback", "/oauth/start?ticket=x", "/admin/api/v1/session"] {
        let stranger = Browser::new();
        stranger.get(&public(path)).await;
        assert_eq!(stranger.cookies(), "", "{path}");
    }
}
