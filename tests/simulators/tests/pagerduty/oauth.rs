//! Scoped OAuth from the log-in page to the refresh, and the app's own tokens.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use simulators::pagerduty::{FOREIGN_ACCOUNT, Fault};
use url::Url;

use crate::shapes;
use crate::world::{ACCOUNT, ALL_SCOPES, CALLBACK, CLIENT_ID, CLIENT_SECRET, Got, World, read};

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-long";
const SCOPES: &str = "incidents.read openid users.read";

fn challenge() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// A log-in address with some parameters replaced; `None` leaves one out.
fn authorize(base: &str, changes: &[(&str, Option<&str>)]) -> Url {
    let challenge = challenge();
    let mut parameters = vec![
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", SCOPES),
        ("state", "st&te"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.extend(value.map(|value| (*name, value)));
    }
    Url::parse_with_params(&format!("{base}/oauth/authorize"), parameters).unwrap()
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

impl World {
    fn code(&self, scopes: &str) -> String {
        let back = self.pagerduty.log_in(&authorize(&self.base, &[("scope", Some(scopes))]), &self.ada).unwrap();
        query(&back, "code").unwrap()
    }

    async fn token(&self, form: &[(&str, &str)]) -> Got {
        read(self.http.post(format!("{}/oauth/token", self.base)).form(form)).await.unwrap()
    }

    async fn exchange(&self, code: &str) -> Got {
        self.token(&exchange(code)).await
    }

    async fn refresh(&self, token: &str) -> Got {
        self.token(&credentials("refresh_token", &[("refresh_token", token)])).await
    }

    async fn me(&self, token: &str) -> Got {
        self.call_with("GET", "/users/me", Value::Null, &[("authorization", &format!("Bearer {token}"))]).await
    }
}

fn credentials<'a>(grant: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![("grant_type", grant), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    form.extend(more);
    form
}

fn exchange(code: &str) -> Vec<(&str, &str)> {
    credentials("authorization_code", &[("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)])
}

fn error(got: &Got) -> (u16, String) {
    assert_eq!(shapes::check("token_error", &got.body), Vec::<String>::new());
    (got.status, got.text("/error"))
}

#[tokio::test]
async fn a_log_in_that_is_not_right_ends_on_a_page() {
    let world = World::new().await;
    let other = "https://bridge.example/oauth/callback/";
    for (what, changes, parameter) in [
        ("an unknown app", vec![("client_id", Some("other"))], "client_id"),
        ("no app", vec![("client_id", None)], "client_id"),
        ("no way back", vec![("redirect_uri", None)], "redirect_uri"),
        ("nearly the registered way back", vec![("redirect_uri", Some(other))], "redirect_uri"),
        ("another flow", vec![("response_type", Some("token"))], "response_type"),
        ("no scope", vec![("scope", None)], "scope"),
        ("a blank scope", vec![("scope", Some(" "))], "scope"),
        ("no challenge", vec![("code_challenge", None)], "code_challenge"),
        ("a short challenge", vec![("code_challenge", Some("short"))], "code_challenge"),
        ("the verifier itself", vec![("code_challenge_method", Some("plain"))], "code_challenge_method"),
        ("no method", vec![("code_challenge_method", None)], "code_challenge_method"),
    ] {
        let why = format!("Invalid or missing value for {parameter} parameter");
        let url = authorize(&world.base, &changes);
        let got = read(world.http.get(url.as_str())).await.unwrap();
        assert_eq!(got.status, 400, "{what}");
        assert!(got.body.as_str().unwrap().contains(&why), "{what}: {}", got.body);
        assert_eq!(world.pagerduty.log_in(&url, &world.ada), Err(why), "{what}");
    }
    let mut twice = authorize(&world.base, &[]);
    twice.query_pairs_mut().append_pair("scope", "users.read");
    assert_eq!(read(world.http.get(twice)).await.unwrap().status, 400, "a parameter twice");
    world.finish();
}

#[tokio::test]
async fn the_log_in_page_has_a_button_for_each_person() {
    let world = World::new().await;
    world.pagerduty.add_user("Eve <script>", "eve@example.com", "user");
    let page = read(world.http.get(authorize(&world.base, &[]))).await.unwrap();
    assert_eq!((page.status, page.header("content-type").unwrap()), (200, "text/html; charset=utf-8"));
    let html = page.body.as_str().unwrap();
    for part in ["<html lang=\"en\">", "<title>Log in to PagerDuty", "<h1>", "<main>", "name=\"viewport\""] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("Ada Wong &lt;ada@example.com&gt;</a>") && !html.contains("<script>"), "{html}");
    // What a browser makes of a press of the button.
    let button = html.split("<a ").find(|part| part.contains("Ada Wong")).unwrap();
    let address = button.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let pressed = format!("{}{address}", world.base);
    let back = read(world.http.get(pressed)).await.unwrap();
    let location = Url::parse(back.header("location").unwrap()).unwrap();
    assert_eq!((back.status, query(&location, "state").unwrap()), (302, "st&te".to_owned()));
    assert!(location.as_str().starts_with(CALLBACK));
    assert_eq!(world.exchange(&query(&location, "code").unwrap()).await.status, 200);
    world.finish();
}

#[tokio::test]
async fn saying_no_leads_back_without_a_code() {
    let world = World::new().await;
    let back = world.pagerduty.log_in(&authorize(&world.base, &[]), "deny").unwrap();
    let parts = ["error", "state", "code"].map(|name| query(&back, name));
    assert_eq!(parts, [Some("access_denied".to_owned()), Some("st&te".to_owned()), None]);
    assert!(query(&back, "error_description").is_some());
    assert!(world.pagerduty.log_in(&authorize(&world.base, &[]), "PX").is_err(), "there is no such user");
    let without_state = world.pagerduty.log_in(&authorize(&world.base, &[("state", None)]), &world.ada).unwrap();
    assert_eq!(query(&without_state, "state"), None);
    world.finish();
}

#[tokio::test]
async fn a_code_becomes_tokens_and_an_identity() {
    let world = World::new().await;
    let got = world.exchange(&world.code(SCOPES)).await;
    assert_eq!(got.status, 200);
    assert_eq!(shapes::check("token_of_person", &got.body), Vec::<String>::new());
    assert_eq!((got.text("/scope"), got.at("/expires_in")), (SCOPES.to_owned(), &json!(86_400)));
    let access = got.text("/access_token");
    assert!(access.starts_with("pdus+"), "the plus must survive forms: {access}");
    assert_eq!(world.me(&access).await.text("/user/email"), "ada@example.com");

    let id_token = got.text("/id_token");
    let keys: JwkSet = serde_json::from_value(world.get("/global/oauth/anonymous/jwks").await.body).unwrap();
    let kid = decode_header(&id_token).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[CLIENT_ID]);
    validation.set_issuer(&["https://app.pagerduty.com/global/oauth/anonymous"]);
    validation.validate_exp = false;
    let claims = decode::<Value>(&id_token, &key, &validation).unwrap().claims;
    assert_eq!(shapes::check("id_token", &claims), Vec::<String>::new());
    let hash = BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, access.as_bytes()).as_ref()[..16]);
    for (name, expected) in [
        ("account_id", json!(ACCOUNT)),
        ("user_id", json!(world.ada)),
        ("subdomain", json!("acme")),
        ("aud", json!(["https://api.pagerduty.com", CLIENT_ID])),
        ("azp", json!(CLIENT_ID)),
        ("at_hash", json!(hash)),
        ("iat", json!(world.now().as_second())),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert!(claims["exp"].as_i64() > claims["iat"].as_i64());
    let mut forged = id_token.into_bytes();
    let last = forged.len() - 2;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    assert!(decode::<Value>(&forged, &key, &validation).is_err());
    world.finish();
}

#[tokio::test]
async fn somebody_of_another_account_logs_in_and_finds_nothing_here() {
    let world = World::new().await;
    let eve = world.pagerduty.add_foreign_user("Eve Elsewhere", "eve@elsewhere.example", "admin");
    let page = read(world.http.get(authorize(&world.base, &[]))).await.unwrap();
    assert!(page.body.as_str().unwrap().contains("Eve Elsewhere"));
    let back = world.pagerduty.log_in(&authorize(&world.base, &[]), &eve).unwrap();
    let got = world.exchange(&query(&back, "code").unwrap()).await;
    let claims = got.text("/id_token").split('.').nth(1).map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap());
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    let named = ["account_id", "subdomain", "user_id"].map(|name| claims[name].clone());
    assert_eq!(named, [json!(FOREIGN_ACCOUNT), json!("elsewhere"), json!(eve)]);
    let access = got.text("/access_token");
    assert_eq!(world.me(&access).await.text("/user/email"), "eve@elsewhere.example");
    let incident = world.pagerduty.trigger(&world.service, "DB down", "high");
    let bearer = format!("Bearer {}", world.pagerduty.user_token(&eve, &ALL_SCOPES));
    for path in ["/incidents".to_owned(), format!("/incidents/{incident}"), format!("/users/{}", world.ada)] {
        let got = world.call_with("GET", &path, Value::Null, &[("authorization", &bearer)]).await;
        assert_eq!(got.error(), (404, 2100), "{path}");
    }
    assert_eq!(world.pagerduty.users().len(), 2);
    world.finish();
}

#[tokio::test]
async fn a_code_works_once_for_thirty_seconds_and_for_its_own_request() {
    let world = World::new().await;
    let replaced = |code: &str, name: &'static str, value: &str| -> Vec<(String, String)> {
        let form = exchange(code).into_iter();
        form.map(|(known, old)| (known.to_owned(), if known == name { value.to_owned() } else { old.to_owned() }))
            .collect()
    };
    for (what, name, value) in [
        ("another verifier", "code_verifier", "another-verifier-of-at-least-forty-three-chars"),
        ("another way back", "redirect_uri", "https://bridge.example/other"),
    ] {
        let code = world.code(SCOPES);
        let form = replaced(&code, name, value);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(error(&world.token(&form).await), (400, "invalid_grant".to_owned()), "{what}");
        assert_eq!(error(&world.exchange(&code).await), (400, "invalid_grant".to_owned()), "and it is used up");
    }
    let code = world.code(SCOPES);
    assert_eq!(world.exchange(&code).await.status, 200);
    assert_eq!(error(&world.exchange(&code).await), (400, "invalid_grant".to_owned()), "twice");
    for (milliseconds, expected) in [(29_999, 200), (30_000, 400)] {
        let code = world.code(SCOPES);
        world.advance(SignedDuration::from_millis(milliseconds));
        assert_eq!(world.exchange(&code).await.status, expected, "{milliseconds}");
    }
    assert_eq!(error(&world.exchange("nonsense").await), (400, "invalid_grant".to_owned()));
    world.finish();
}

#[tokio::test]
async fn the_token_endpoint_wants_a_form_and_the_secret_in_it() {
    let world = World::new().await;
    let url = format!("{}/oauth/token", world.base);
    let good = credentials("client_credentials", &[("scope", "as_account-us.acme incidents.read")]);
    assert_eq!(world.token(&good).await.status, 200);
    let without = |name: &str| good.iter().copied().filter(|(known, _)| *known != name).collect::<Vec<_>>();
    let wrong = |name: &'static str| {
        good.iter().map(|(known, value)| (*known, if *known == name { "wrong" } else { value })).collect::<Vec<_>>()
    };
    for (what, form, expected) in [
        ("no secret", without("client_secret"), (401, "invalid_client")),
        ("a wrong secret", wrong("client_secret"), (401, "invalid_client")),
        ("an unknown app", wrong("client_id"), (401, "invalid_client")),
        ("no grant", without("grant_type"), (400, "invalid_request")),
        ("an unknown grant", wrong("grant_type"), (400, "unsupported_grant_type")),
        ("a parameter twice", [good.clone(), vec![("scope", "x")]].concat(), (400, "invalid_request")),
    ] {
        let (status, word) = error(&world.token(&form).await);
        assert_eq!((status, word.as_str()), expected, "{what}");
    }
    let as_json = read(world.http.post(&url).json(&json!({ "grant_type": "client_credentials" }))).await.unwrap();
    assert_eq!(error(&as_json), (400, "invalid_request".to_owned()));
    let basic = world.http.post(&url).basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&without("client_secret"));
    assert_eq!(error(&read(basic).await.unwrap()), (401, "invalid_client".to_owned()), "only client_secret_post");
    let more = [good.clone(), vec![("audience", "x")]].concat();
    assert_eq!(world.token(&more).await.status, 200);
    assert_eq!(world.pagerduty.take_unknown_requests(), ["POST /oauth/token: parameter audience"]);
    world.finish();
}

#[tokio::test]
async fn one_unknown_scope_leaves_only_openid() {
    let world = World::new().await;
    for (asked, granted) in [
        ("users.read incidents.read", "incidents.read openid users.read"),
        (
            "incident_workflows:instances.write users:contact_methods.read",
            "incident_workflows:instances.write openid users:contact_methods.read",
        ),
        ("users.read incidents.reed", "openid"),
        ("users.read priorities.write", "openid"),
        ("as_account-us.acme users.read", "openid"),
    ] {
        let got = world.exchange(&world.code(asked)).await;
        assert_eq!((got.status, got.text("/scope").as_str()), (200, granted), "{asked}");
    }
    let got = world.exchange(&world.code("users.read nonsense.read")).await;
    assert_eq!(world.me(&got.text("/access_token")).await.error(), (403, 0));
    world.finish();
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let world = World::new().await;
    let first = world.exchange(&world.code(SCOPES)).await;
    let old = first.text("/refresh_token");
    let second = world.refresh(&old).await;
    assert_eq!((second.status, second.text("/scope")), (200, SCOPES.to_owned()));
    assert_eq!(shapes::check("token_of_person", &second.body), Vec::<String>::new());
    assert_ne!(second.text("/refresh_token"), old);
    assert_ne!(second.text("/access_token"), first.text("/access_token"));
    assert_eq!(error(&world.refresh(&old).await), (400, "invalid_grant".to_owned()));
    assert_eq!(world.me(&second.text("/access_token")).await.status, 200);
    assert_eq!(world.refresh(&second.text("/refresh_token")).await.status, 200, "the new one still works");
    assert_eq!(error(&world.refresh(&second.text("/access_token")).await), (400, "invalid_grant".to_owned()));
    world.finish();
}

#[tokio::test]
async fn a_refresh_token_goes_on_working_where_a_test_wants_it() {
    let world = World::new().await;
    world.pagerduty.keep_refresh_tokens();
    let first = world.exchange(&world.code(SCOPES)).await.text("/refresh_token");
    for _ in 0..2 {
        assert_eq!(world.refresh(&first).await.status, 200);
    }
    world.finish();
}

#[tokio::test]
async fn a_secret_that_was_changed_ends_the_old_one_and_no_token() {
    let world = World::new().await;
    let person = world.exchange(&world.code(SCOPES)).await;
    world.pagerduty.change_client_secret("another");
    let refresh = person.text("/refresh_token");
    assert_eq!(error(&world.refresh(&refresh).await), (401, "invalid_client".to_owned()));
    assert_eq!(world.me(&person.text("/access_token")).await.status, 200);
    let mut form = credentials("refresh_token", &[("refresh_token", &refresh)]);
    form.iter_mut().filter(|(name, _)| *name == "client_secret").for_each(|(_, secret)| *secret = "another");
    assert_eq!(world.token(&form).await.status, 200, "the refusal has used nothing up");
    world.finish();
}

#[tokio::test]
async fn refreshing_ends_after_30_idle_days_and_a_year_after_the_log_in() {
    let world = World::new().await;
    let mut token = world.exchange(&world.code(SCOPES)).await.text("/refresh_token");
    let day = SignedDuration::from_hours(24);
    for days in [29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 16] {
        world.advance(day * days);
        token = world.refresh(&token).await.text("/refresh_token");
    }
    world.advance(day);
    assert_eq!(error(&world.refresh(&token).await), (400, "invalid_grant".to_owned()), "day 365");
    let token = world.exchange(&world.code(SCOPES)).await.text("/refresh_token");
    world.advance(day * 30);
    assert_eq!(error(&world.refresh(&token).await), (400, "invalid_grant".to_owned()), "idle");
    world.finish();
}

#[tokio::test]
async fn tokens_can_be_ended() {
    let world = World::new().await;
    let got = world.exchange(&world.code(SCOPES)).await;
    world.pagerduty.expire_access_tokens(&world.ada);
    assert_eq!(world.me(&got.text("/access_token")).await.error(), (401, 2006));
    let got = world.refresh(&got.text("/refresh_token")).await;
    assert_eq!(world.me(&got.text("/access_token")).await.status, 200);
    world.pagerduty.revoke_tokens(&world.ben);
    assert_eq!(world.me(&got.text("/access_token")).await.status, 200, "that was somebody else");
    world.pagerduty.revoke_tokens(&world.ada);
    assert_eq!(world.me(&got.text("/access_token")).await.error(), (401, 2006));
    assert_eq!(error(&world.refresh(&got.text("/refresh_token")).await), (400, "invalid_grant".to_owned()));
    world.finish();
}

#[tokio::test]
async fn the_app_gets_exactly_what_it_asks_for_or_nothing() {
    let world = World::new().await;
    let ask = async |scope: &str| world.token(&credentials("client_credentials", &[("scope", scope)])).await;
    let scope = "as_account-us.acme services.read users.read";
    let got = ask(scope).await;
    assert_eq!(shapes::check("token_of_app", &got.body), Vec::<String>::new());
    assert_eq!((got.text("/scope").as_str(), got.at("/expires_in")), (scope, &json!(86_400)));
    let bearer = format!("Bearer {}", got.text("/access_token"));
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(world.call_with("GET", "/services", Value::Null, &headers).await.status, 200);
    assert_eq!(world.call_with("GET", "/priorities", Value::Null, &headers).await.error(), (403, 0));
    assert_eq!(world.me(&got.text("/access_token")).await.error(), (400, 2001), "the app is nobody");
    for scope in [
        "",
        "services.read",
        "as_account-us.acme",
        "as_account-us.other services.read",
        "as_account-eu.acme services.read",
        "as_account-us.acme services.reed",
        "as_account-us.acme openid",
    ] {
        let got = ask(scope).await;
        assert_eq!(error(&got), (400, "invalid_request".to_owned()), "{scope}");
        assert_eq!(got.text("/error_description"), "Invalid scope");
    }
    world.pagerduty.expire_app_tokens();
    assert_eq!(world.call_with("GET", "/services", Value::Null, &headers).await.error(), (401, 2006));
    world.finish();
}

#[tokio::test]
async fn the_token_endpoint_fails_on_order() {
    let world = World::new().await;
    let token = world.exchange(&world.code(SCOPES)).await.text("/refresh_token");
    world.pagerduty.fail_next_token(1, &Fault::Status(503));
    assert_eq!(world.refresh(&token).await.status, 503);
    world.pagerduty.fail_next_token(1, &Fault::RateLimited(Some(7)));
    let limited = world.refresh(&token).await;
    assert_eq!((limited.status, limited.header("ratelimit-reset")), (429, Some("7")));
    world.pagerduty.fail_next_token(1, &Fault::DropAnswerAfterApplying);
    let form = credentials("refresh_token", &[("refresh_token", &token)]);
    let lost = read(world.http.post(format!("{}/oauth/token", world.base)).form(&form)).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(error(&world.refresh(&token).await), (400, "invalid_grant".to_owned()), "it was used up all the same");
    world.pagerduty.issue_as("https://evil.example");
    let got = world.exchange(&world.code(SCOPES)).await.text("/id_token");
    let claims = BASE64_URL_SAFE_NO_PAD.decode(got.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&claims).unwrap()["iss"], "https://evil.example");
    world.finish();
}
