use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::failure::Class;
use domain::ids::{AccountId, PdUserId};
use jiff::Timestamp;
use pagerduty::Region;
use pagerduty::oauth::{
    ADMIN_SCOPES, APP_SCOPES, Grant, Identity, OAuth, OAuthError, OPTIONAL_APP_SCOPES, Pkce, USER_SCOPES,
    missing_scopes,
};
use pagerduty::rest::SUBSCRIPTION_SCOPES;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use url::Url;

use crate::fixtures::{at, with, without};
use crate::server::{Reply, Server, hangs_up, http, limited, nowhere, reply};

const CLIENT: &str = "0b7d3c52-bridge";
const CALLBACK: &str = "https://bridge.example.com/oauth/callback";
/// With characters that a form has to encode.
const SECRET: &str = "s3cr+t&= é";

fn now() -> Timestamp {
    at("2026-11-23T09:00:00Z")
}

fn oauth(base: Url) -> OAuth {
    OAuth::new(http().into(), base, CLIENT.to_owned(), CALLBACK.parse().unwrap())
        .with_timeout(Duration::from_millis(200))
}

fn identity_service() -> OAuth {
    oauth(Region::Us.identity_url().parse().unwrap())
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn tokens() -> Value {
    json!({
        "client_info": "prefix_legacy", "token_type": "bearer", "access_token": "pdus+_0NEW", "refresh_token": "pdus+_1NEW",
        "scope": "openid incidents.read", "expires_in": 86400, "id_token": "a.b.c",
    })
}

fn exposed(token: Option<&SecretString>) -> Option<&str> {
    token.map(ExposeSecret::expose_secret)
}

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = [("client_id", CLIENT), ("client_secret", SECRET)];
    own.iter().chain(pairs).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn refresh(base: Url) -> Result<Grant, OAuthError> {
    oauth(base).refresh(&secret(SECRET), &secret("pdus+_1OLD"), now()).await
}

async fn refresh_answered(answer: Reply) -> Result<Grant, OAuthError> {
    let server = Server::start([answer]).await;
    let grant = refresh(server.base.clone()).await;
    assert_eq!(server.calls().len(), 1);
    grant
}

#[test]
fn pkce_is_that_of_the_rfc() {
    // RFC 7636, appendix B.
    let random = [
        116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191,
        240, 91, 88, 5, 88, 83, 132, 141, 121,
    ];
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    for pkce in [Pkce::from_random(random), Pkce::from_verifier(secret(verifier))] {
        assert_eq!(pkce.verifier.expose_secret(), verifier);
        assert_eq!(pkce.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(!format!("{pkce:?}").contains(verifier));
    }
}

#[test]
fn the_log_in_address_carries_all_that_pagerduty_demands() {
    let pkce = Pkce::from_verifier(secret("v"));
    for base in ["https://identity.pagerduty.com", "https://identity.pagerduty.com/"] {
        let url = oauth(base.parse().unwrap()).authorize_url("st&te", &pkce, ADMIN_SCOPES);
        assert_eq!(url.as_str().split('?').next(), Some("https://identity.pagerduty.com/oauth/authorize"));
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let expected = [
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid users.read"),
            ("state", "st&te"),
            ("code_challenge", &pkce.challenge),
            ("code_challenge_method", "S256"),
        ];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}

#[tokio::test]
async fn a_code_is_exchanged() {
    let server = Server::start([reply(200, tokens())]).await;
    let oauth = oauth(server.base.clone());
    let grant = oauth.exchange(&secret(SECRET), "c+de", &secret("verifier"), now()).await.unwrap();
    assert_eq!(grant.access_token.expose_secret(), "pdus+_0NEW");
    assert_eq!(exposed(grant.refresh_token.as_ref()), Some("pdus+_1NEW"));
    assert_eq!(exposed(grant.id_token.as_ref()), Some("a.b.c"));
    assert_eq!(grant.expires_at, at("2026-11-24T09:00:00Z"));
    assert_eq!(grant.scopes, BTreeSet::from(["openid".to_owned(), "incidents.read".to_owned()]));
    assert!(!format!("{grant:?}").contains("pdus"));
    let call = server.call();
    assert_eq!(call.line, "POST /oauth/token");
    assert_eq!(call.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(call.header("authorization"), None);
    let expected = form(&[
        ("grant_type", "authorization_code"),
        ("code", "c+de"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", "verifier"),
    ]);
    assert_eq!(call.form(), expected);
}

#[tokio::test]
async fn a_pair_is_refreshed() {
    let server = Server::start([reply(200, tokens())]).await;
    let grant = refresh(server.base.clone()).await.unwrap();
    assert_eq!(exposed(grant.refresh_token.as_ref()), Some("pdus+_1NEW"));
    assert_eq!(server.call().line, "POST /oauth/token");
    assert_eq!(server.call().form(), form(&[("grant_type", "refresh_token"), ("refresh_token", "pdus+_1OLD")]));
}

#[tokio::test]
async fn an_answer_that_can_be_used_is_used() {
    for (changes, expires_at) in [
        (json!({ "expires_in": "600" }), "2026-11-23T09:10:00Z"),
        (json!({ "expires_in": null }), "2026-11-23T10:00:00Z"),
        (json!({ "expires_in": "soon" }), "2026-11-23T10:00:00Z"),
        (json!({ "expires_in": 0 }), "2026-11-23T09:00:00Z"),
        // Nobody's token lives that long: take it as ended, so that it is refreshed.
        (json!({ "expires_in": i64::MAX }), "2026-11-23T09:00:00Z"),
    ] {
        let grant = refresh_answered(reply(200, with(tokens(), &changes))).await.unwrap();
        assert_eq!(grant.expires_at, at(expires_at), "{changes}");
    }
    for answer in [
        b"\xef\xbb\xbf{\"access_token\":\"pdus+_0\",\"expires_in\":600}".to_vec(),
        br#"{"access_token":"pdus+_0","name":"Mira \ud83d","expires_in":600}"#.to_vec(),
        b"{\"access_token\":\"pdus+_0\",\"name\":\"Mira \xff\",\"expires_in\":600}\0".to_vec(),
        br#"{"access_token":"pdus+_0","id_token":"\ud83d","refresh_token":"half \ude00","expires_in":600}"#.to_vec(),
    ] {
        let grant = refresh_answered(Reply::Bytes(answer.clone())).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(
            (exposed(Some(&grant.access_token)), grant.expires_at),
            (Some("pdus+_0"), at("2026-11-23T09:10:00Z")),
            "{text}"
        );
        assert_eq!((exposed(grant.refresh_token.as_ref()), exposed(grant.id_token.as_ref())), (None, None), "{text}");
    }
    let bare = without(without(without(tokens(), "refresh_token"), "id_token"), "scope");
    let grant = refresh_answered(reply(200, bare)).await.unwrap();
    assert_eq!((exposed(grant.refresh_token.as_ref()), exposed(grant.id_token.as_ref())), (None, None));
    assert_eq!(grant.scopes, BTreeSet::new());
    for answer in [
        "",
        "<html>",
        "[]",
        "{}",
        "{\"access_token\":null,\"expires_in\":60}",
        // A token of which a part is lost is none.
        "{\"access_token\":\"pdus+\\ud83d\"}",
        "{\"access_token\":\"pdus+_0\"",
    ] {
        let error = refresh_answered(reply(200, answer)).await.unwrap_err();
        assert!(matches!(error, OAuthError::Unreadable("access_token")), "{answer}: {error:?}");
        assert_eq!(error.class(), Class::Bug);
    }
}

#[tokio::test]
async fn the_app_gets_a_token_for_its_account() {
    for (region, scope) in [
        (Region::Us, "as_account-us.philharmonie incidents.read services.read"),
        (Region::Eu, "as_account-eu.philharmonie incidents.read services.read"),
    ] {
        let answer =
            json!({ "access_token": "pdas+_0APP", "token_type": "bearer", "scope": scope, "expires_in": 86400 });
        let server = Server::start([reply(200, answer)]).await;
        let scopes = ["incidents.read", "services.read"];
        let oauth = oauth(server.base.clone());
        let token = oauth.app_token(&secret(SECRET), region, "philharmonie", &scopes, now()).await.unwrap();
        assert_eq!(token.access_token.expose_secret(), "pdas+_0APP");
        assert_eq!(token.expires_at, at("2026-11-24T09:00:00Z"));
        assert_eq!(server.call().form(), form(&[("grant_type", "client_credentials"), ("scope", scope)]));
    }
}

#[tokio::test]
async fn every_refusal_has_its_class() {
    let error = |word: &str| json!({ "error": word, "error_description": "hunter2" }).to_string();
    let retry = Class::Retry { after: None };
    for (status, body, word, class) in [
        (400, error("invalid_grant"), "invalid_grant", Class::Relink),
        (401, error("invalid_grant"), "invalid_grant", Class::Relink),
        (401, error("invalid_client"), "invalid_client", Class::Bug),
        (400, error("invalid_request"), "invalid_request", Class::Bug),
        (400, error("invalid_scope"), "invalid_scope", Class::Bug),
        (400, error("unauthorized_client"), "unauthorized_client", Class::Bug),
        (400, "<html>Invalid value for redirect_uri</html>".to_owned(), "unknown", Class::Bug),
        (401, String::new(), "unknown", Class::Bug),
        (302, String::new(), "unknown", Class::Bug),
        (500, String::new(), "unknown", retry),
        (503, "{}".to_owned(), "unknown", retry),
        // A text may repeat what was sent.
        (400, error("no such code: hunter2"), "unknown", Class::Bug),
        (400, error(&"x".repeat(41)), "unknown", Class::Bug),
        (400, json!({ "error": { "message": "hunter2" } }).to_string(), "unknown", Class::Bug),
    ] {
        let error = refresh_answered(reply(status, &body)).await.unwrap_err();
        assert_eq!(error.class(), class, "{status} {body}");
        assert_eq!(error.to_string(), format!("PagerDuty's OAuth answered {status} ({word})"));
        assert_eq!(error.refuses_client(), status == 401 && word != "invalid_grant", "{status} {word}");
    }
}

#[tokio::test]
async fn the_rate_limit_says_when_to_come_back() {
    for (headers, after) in [
        (&[][..], None),
        (&[("retry-after", "3")][..], Some(Duration::from_secs(3))),
        (&[("ratelimit-reset", "9")][..], Some(Duration::from_secs(9))),
    ] {
        let error = refresh_answered(limited(headers)).await.unwrap_err();
        assert_eq!(error.class(), Class::Retry { after });
    }
}

#[tokio::test]
async fn no_answer_leaves_it_open_whether_the_token_is_used_up() {
    let mut running = JoinSet::new();
    let silent = Server::start([Reply::Silence]).await;
    for base in [silent.base.clone(), hangs_up(&mut running).await] {
        let error = refresh(base).await.unwrap_err();
        assert!(matches!(error, OAuthError::NoAnswer(_)), "{error:?}");
        assert_eq!(error.class(), Class::Unclear);
    }
    let error = refresh(nowhere().await).await.unwrap_err();
    assert!(matches!(error, OAuthError::Unreachable(_)), "{error:?}");
    assert_eq!(error.class(), Class::Retry { after: None });
}

#[tokio::test]
async fn scopes_that_were_dropped_are_noticed() {
    for (scope, wanted, missing) in [
        ("users.read openid extra.read", ADMIN_SCOPES, &[][..]),
        ("openid", ADMIN_SCOPES, &["users.read"][..]),
        (&USER_SCOPES.join(" "), USER_SCOPES, &[][..]),
        (
            "services.read users.read incidents.write incidents.read openid",
            USER_SCOPES,
            &["oncalls.read", "escalation_policies.read", "priorities.read"][..],
        ),
        ("", USER_SCOPES, USER_SCOPES),
    ] {
        let grant = refresh_answered(reply(200, with(tokens(), &json!({ "scope": scope })))).await.unwrap();
        assert_eq!(missing_scopes(&grant, wanted), missing, "{scope}");
    }
}

#[test]
fn nothing_is_asked_for_twice_and_subscribing_needs_no_more() {
    for scopes in [USER_SCOPES, ADMIN_SCOPES, &[APP_SCOPES, OPTIONAL_APP_SCOPES].concat()] {
        assert_eq!(scopes.iter().collect::<BTreeSet<_>>().len(), scopes.len(), "{scopes:?}");
    }
    let expected: BTreeSet<&str> = SUBSCRIPTION_SCOPES.iter().copied().chain(["services.read", "users.read"]).collect();
    assert_eq!(APP_SCOPES.iter().copied().collect::<BTreeSet<_>>(), expected);
}

fn claims() -> Value {
    json!({
        "iss": "https://identity.pagerduty.com/global/oauth/anonymous",
        "aud": ["https://api.pagerduty.com", CLIENT],
        "sub": "mira@philharmonie.example",
        "exp": now().as_second() + 600,
        "account_id": "PACCOUNT", "user_id": "PMIRA01", "subdomain": "philharmonie", "region": "UnitedStates",
    })
}

fn id_token(claims: &Value) -> SecretString {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    SecretString::from(format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "kid": "k1" })), part(claims)))
}

fn mira() -> Identity {
    Identity {
        account: AccountId::new("PACCOUNT").unwrap(),
        user: PdUserId::new("PMIRA01").unwrap(),
        subdomain: Some("philharmonie".to_owned()),
    }
}

#[test]
fn an_id_token_says_who_logged_in() {
    for (changes, expected) in [
        (json!({}), mira()),
        (json!({ "iss": "https://app.pagerduty.com/global/oauth/anonymous" }), mira()),
        (json!({ "aud": CLIENT }), mira()),
        (json!({ "sub": "PSOMEBODYELSE" }), mira()),
        (json!({ "subdomain": null }), Identity { subdomain: None, ..mira() }),
        // Clocks may differ by a minute.
        (json!({ "exp": now().as_second() - 59 }), mira()),
    ] {
        let identity = identity_service().identity(&id_token(&with(claims(), &changes)), now());
        assert_eq!(identity.unwrap(), expected, "{changes}");
    }
}

#[test]
fn a_stand_in_for_the_identity_service_may_issue_tokens_too() {
    for base in ["http://127.0.0.1:9/", "http://127.0.0.1:9"] {
        let token = id_token(&with(claims(), &json!({ "iss": "http://127.0.0.1:9/global/oauth/anonymous" })));
        assert_eq!(oauth(base.parse().unwrap()).identity(&token, now()).unwrap(), mira());
        assert!(matches!(identity_service().identity(&token, now()), Err(OAuthError::WrongIdentity("issuer"))));
    }
}

#[test]
fn an_id_token_for_others_is_refused() {
    for (changes, wrong) in [
        (json!({ "iss": "https://identity.pagerduty.com" }), "issuer"),
        (json!({ "iss": "https://identity.pagerduty.com/global/oauth/anonymous/" }), "issuer"),
        (json!({ "iss": "https://identity.pagerduty.com.example.net/global/oauth/anonymous" }), "issuer"),
        (json!({ "iss": null }), "issuer"),
        (json!({ "aud": ["https://api.pagerduty.com", "another-client"] }), "audience"),
        (json!({ "aud": "another-client" }), "audience"),
        (json!({ "aud": [] }), "audience"),
        (json!({ "aud": null }), "audience"),
        (json!({ "exp": now().as_second() - 60 }), "expiry"),
        (json!({ "exp": null }), "expiry"),
        (json!({ "exp": "tomorrow" }), "expiry"),
    ] {
        let error = identity_service().identity(&id_token(&with(claims(), &changes)), now()).unwrap_err();
        assert_eq!(error.to_string(), format!("the id token has a wrong {wrong}"), "{changes}");
        assert_eq!(error.class(), Class::Invalid);
    }
}

#[test]
fn a_claim_that_is_not_legible_is_none() {
    let token = |claims: String| SecretString::from(format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims)));
    let with_claim = |claim: &str| {
        let whole = claims().to_string();
        token(format!("{{{claim},{}", &whole[1..]))
    };
    for claim in [r#""name":"Mira \ud83d""#, r#""updated_at":1e999"#, "\"given\":\"a\0b\""] {
        assert_eq!(identity_service().identity(&with_claim(claim), now()).unwrap(), mira(), "{claim}");
    }
    let damaged = |old: &str, new: &str| {
        let whole = claims().to_string();
        assert!(whole.contains(old));
        identity_service().identity(&token(whole.replacen(old, new, 1)), now()).unwrap_err().to_string()
    };
    for (old, new, expected) in [
        ("\"PMIRA01\"", "\"PMIRA\\ud83d\"", "PagerDuty's OAuth answered without a usable user_id"),
        ("\"PACCOUNT\"", "\"\\ude00\"", "PagerDuty's OAuth answered without a usable account_id"),
        (CLIENT, &format!("{CLIENT}\\ud83d"), "the id token has a wrong audience"),
        ("\"exp\":", "\"exp\":1e999,\"was\":", "the id token has a wrong expiry"),
        ("\"iss\":\"", "\"iss\":\"\\ud83d", "the id token has a wrong issuer"),
    ] {
        assert_eq!(damaged(old, new), expected);
    }
}

#[test]
fn an_id_token_that_names_nobody_is_unreadable() {
    let broken = [
        (id_token(&with(claims(), &json!({ "account_id": null }))), "account_id"),
        (id_token(&with(claims(), &json!({ "account_id": "a#b" }))), "account_id"),
        (id_token(&without(claims(), "user_id")), "user_id"),
        (secret(""), "id token"),
        (secret("one"), "id token"),
        (secret("one.***.three"), "id token"),
        (secret("one.bm90IEpTT04.three"), "id token"),
    ];
    for (token, what) in broken {
        let error = identity_service().identity(&token, now()).unwrap_err();
        assert_eq!(error.to_string(), format!("PagerDuty's OAuth answered without a usable {what}"));
        assert_eq!(error.class(), Class::Bug);
    }
}
