//! What every answer carries, whatever was asked and whoever answers: a page, a redirect, a refusal, a framework's own word.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use serde_json::Value;

use crate::platform::AdminPage;
use crate::world::{Browser, Signed, World};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const API: &str = "/admin/api/v1";

/// A request and the status of its answer.
struct Row {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    /// A part of the page's own policy.
    allows: &'static str,
}

fn row(method: &'static str, path: impl Into<String>, status: u16) -> Row {
    Row { method, path: path.into(), headers: Vec::new(), body: Vec::new(), status, allows: "" }
}

impl Row {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with(CONTENT_TYPE.as_str(), kind)
    }

    fn allows(self, allows: &'static str) -> Self {
        Self { allows, ..self }
    }

    async fn send(&self, world: &World) -> Response {
        let url = world.stack.app.config.public(&self.path);
        let mut request = runtime::http_client().unwrap().request(self.method.parse().unwrap(), url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(self.body.clone()).send().await.unwrap()
    }
}

/// Every route, with each kind of answer that it gives.
fn rows(world: &World, admin: &AdminPage<'_>, asked: &Browser) -> Vec<Row> {
    let subscription = world.subscription("Payments");
    let ping = br#"{"event":{"id":"E1","event_type":"pagey.ping","resource_type":"pagey","occurred_at":"2026-11-23T09:00:00.000Z","agent":null,"client":null,"data":{"type":"ping"}}}"#;
    let hook = |status, body: &[u8]| row("POST", "/webhooks/pagerduty", status).body(JSON, body);
    let signed = |status, body: &[u8], id: &str| {
        let signature = Signed::by(&subscription).signature(body);
        hook(status, body).with("x-webhook-subscription", id).with("x-pagerduty-signature", signature)
    };
    let as_admin = |row: Row| row.with(COOKIE.as_str(), admin.browser.cookies());
    let writes = |row: Row| as_admin(row).with("x-pagerbridge-csrf", admin.csrf.clone());
    let api = |method, path: &str, status| row(method, format!("{API}{path}"), status);
    let connections = format!("/teams/{}/connections", crate::platform::path(&world.demo().team));
    let huge = vec![b'a'; 3 * 1024 * 1024];
    let mut rows = vec![
        row("GET", "/nothing", 404),
        row("GET", "/health", 200),
        row("HEAD", "/health", 200),
        row("POST", "/health", 405),
        row("GET", "/health/more", 404),
        row("GET", "/admin", 200).allows("; script-src 'self';"),
        row("POST", "/admin", 405),
        row("GET", "/admin/", 308),
        row("GET", "/admin/assets/page.js", 200),
        row("GET", "/admin/assets/icon.svg", 200),
        row("GET", "/admin/assets/nothing.js", 404),
        row("GET", "/admin/assets/%2e%2e%2findex.html", 404),
        row("GET", "/admin/assets/%FF", 400),
        row("PUT", "/admin/assets/page.js", 405),
        api("GET", "/openapi.json", 200),
        api("GET", "/nothing", 404),
        api("PUT", "/session", 405),
        as_admin(api("GET", "/session", 200)),
        as_admin(api("GET", "/health", 200)),
        as_admin(api("GET", "/services?offset=many", 400)),
        as_admin(api("GET", "/teams/nothing/channels", 404)),
        as_admin(api("POST", &connections, 403)).body(JSON, "{}"),
        writes(api("POST", &connections, 400)).body(JSON, "{"),
        writes(api("POST", &connections, 400)).body("text/plain", "{}"),
        writes(api("POST", &connections, 400)).body(JSON, huge.clone()),
        row("GET", "/oauth/start", 400),
        row("GET", "/oauth/start?ticket=none", 400),
        row("GET", "/oauth/start?for=nobody", 400),
        row("GET", "/oauth/start?for=admin", 303),
        row("POST", "/oauth/start", 405),
        row("GET", "/oauth/callback", 400),
        row("GET", "/oauth/callback?error=access_denied", 403),
        row("GET", "/oauth/callback?state=unknown&code=unknown", 400),
        row("GET", "/oauth/callback?code=%FF&code=2", 400),
        row("GET", "/oauth/callback", 200).with(COOKIE.as_str(), asked.cookies()).allows("; style-src 'sha256-"),
        row("PUT", "/oauth/callback", 405),
        row("POST", "/oauth/confirm", 400).body(FORM, "csrf=x&choice=link"),
        row("POST", "/oauth/confirm", 400).body(FORM, "csrf=x&choice=link").with(COOKIE.as_str(), asked.cookies()),
        row("POST", "/oauth/confirm", 415).body(JSON, "{}"),
        row("POST", "/oauth/confirm", 422).body(FORM, "choice=perhaps"),
        row("POST", "/oauth/confirm", 413).body(FORM, huge.clone()),
        row("GET", "/oauth/confirm", 405),
        row("POST", "/api/messages", 401).body(JSON, "{}"),
        row("POST", "/api/messages", 401).body(JSON, "{}").with("authorization", "Bearer x.y.z"),
        row("POST", "/api/messages", 413).body(JSON, huge.clone()),
        row("GET", "/api/messages", 405),
        signed(202, ping, &subscription.id),
        hook(400, b""),
        hook(401, b"{}").with("x-webhook-subscription", "PUNKNOWN"),
        hook(503, b"{}").with("x-webhook-subscription", subscription.id.clone()),
        row("GET", "/webhooks/pagerduty", 405),
        signed(503, &huge, "PUNKNOWN"),
        signed(503, ping, "PUNKNOWN"),
    ];
    let document = serde_json::to_value(admin_api::open_api()).unwrap();
    for (template, methods) in document["paths"].as_object().unwrap() {
        let path = template.replace(['{', '}'], "");
        for method in ["get", "post", "patch", "delete"] {
            if methods.get(method).is_some_and(Value::is_object) {
                // Whoever has no session is logged out already.
                let status = if (method, path.as_str()) == ("delete", "/session") { 204 } else { 401 };
                rows.push(api(method.to_uppercase().leak(), &path, status));
            }
        }
    }
    // The last one, since it ends the session.
    rows.push(writes(api("DELETE", "/session", 204)));
    rows
}

fn assert_headers(name: &str, answer: &Response) {
    let of = |header: &str| {
        let values: Vec<_> = answer.headers().get_all(header).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {header} {values:?}");
        values[0].to_str().unwrap().to_owned()
    };
    for (header, expected) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(of(header), expected, "{name}: {header}");
    }
    let year = of("strict-transport-security").strip_prefix("max-age=").map(|age| age.parse::<u32>().unwrap());
    assert!(year >= Some(365 * 24 * 60 * 60), "{name}: {year:?}");
    let policy = of("content-security-policy");
    let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
    for directive in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(directives.contains(&directive), "{name}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{name}: {policy}");
    for cookie in answer.headers().get_all(SET_COOKIE) {
        let parts: Vec<&str> = cookie.to_str().unwrap().split(';').map(str::trim).collect();
        assert!(parts[0].starts_with("__Host-"), "{name}: {parts:?}");
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(parts.contains(&attribute), "{name}: {attribute} {parts:?}");
        }
        assert!(!parts.iter().any(|part| part.starts_with("Domain")), "{name}: {parts:?}");
    }
}

/// The routes that the HTTP API leads to functions.
fn routes_of_the_template() -> Vec<(String, String)> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let template = std::fs::read_to_string(template).unwrap();
    let keys = template.lines().filter_map(|line| line.trim().strip_prefix("RouteKey: "));
    let route = |key: &str| key.split_once(' ').map(|(method, path)| (method.to_owned(), path.to_owned())).unwrap();
    keys.map(route).collect()
}

#[tokio::test]
async fn every_answer_of_every_route_has_the_headers() {
    let world = World::new().await;
    let admin = AdminPage::open(&world, "Ada Wong").await;
    let asked = Browser::new();
    world.say("Ben Okafor", "linkUser").await;
    let question = world.log_in(&asked, "Ben Okafor", "Ben Okafor").await;
    assert_eq!(question.status, 200, "{}", question.text);

    let rows = rows(&world, &admin, &asked);
    let (mut cookies, mut statuses) = (0, BTreeSet::new());
    for row in &rows {
        let name = format!("{} {} {}", row.method, row.path, row.status);
        let answer = row.send(&world).await;
        assert_eq!(answer.status().as_u16(), row.status, "{name}");
        assert_headers(&name, &answer);
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains(row.allows), "{name}: {policy}");
        cookies += answer.headers().get_all(SET_COOKIE).iter().count();
        statuses.insert(row.status);
    }
    let expected = [200, 202, 204, 303, 308, 400, 401, 403, 404, 405, 413, 415, 422, 503];
    assert_eq!(statuses, BTreeSet::from(expected), "each kind of answer");
    assert!(cookies >= 2, "the cookie of a log-in and the end of a session");
    for (method, path) in routes_of_the_template() {
        let exactly = |row: &&Row| row.method == method && row.path.split('?').next() == Some(path.as_str());
        let below = |row: &&Row| path.strip_suffix("{proxy+}").is_some_and(|folder| row.path.starts_with(folder));
        assert!(rows.iter().any(|row| exactly(&row) || below(&row)), "{method} {path} has no row");
    }
    world.finish();
}

#[tokio::test]
async fn the_session_cookie_is_bound_to_host_tls_and_site() {
    let world = World::new().await;
    let browser = Browser::new();
    let start = browser.get(&world.stack.app.config.public("/oauth/start?for=admin")).await;
    let mut authorize = url::Url::parse(&start.location.unwrap()).unwrap();
    authorize.query_pairs_mut().append_pair("login", &world.person("Ada Wong").pagerduty);
    let back = browser.get(authorize.as_str()).await.location.unwrap();
    let path = back.strip_prefix(world.stack.app.config.public_url.as_str().trim_end_matches('/')).unwrap();
    let answer = row("GET", path, 303).with(COOKIE.as_str(), browser.cookies()).send(&world).await;
    assert_eq!(answer.status().as_u16(), 303);
    assert_headers("logged in", &answer);
    let cookies: Vec<&str> = answer.headers().get_all(SET_COOKIE).iter().map(|one| one.to_str().unwrap()).collect();
    assert!(cookies.iter().any(|one| one.starts_with("__Host-pagerbridge-session=")), "{} cookies", cookies.len());
    world.finish();
}
