//! Every way in which a call to the REST API can fail.

use std::time::Duration;

use domain::failure::Class;
use domain::incident::Status;
use pagerduty::rest::{Api, ApiError, Auth};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use url::Url;

use crate::fixtures::*;
use crate::rest::rest_incident;
use crate::server::{Reply, Server, hangs_up, http, limited, nowhere, reply};

const TOKEN: &str = "pdus+_0ABCDEF";

async fn fail_at(base: Url) -> ApiError {
    let api = Api::new(http().into(), base).with_timeout(Duration::from_millis(200));
    api.set_status(Auth::App(&SecretString::from(TOKEN)), &incident_id(), Status::Resolved).await.unwrap_err()
}

async fn fail(answer: Reply) -> ApiError {
    let server = Server::start([answer]).await;
    let error = fail_at(server.base.clone()).await;
    // Whether it may be repeated is the caller's decision.
    assert_eq!(server.calls().len(), 1);
    error
}

fn body(message: &str, code: u32, errors: &Value) -> Value {
    json!({ "error": { "message": message, "code": code, "errors": errors } })
}

#[tokio::test]
async fn every_status_has_its_class() {
    for (status, class) in [
        (302, Class::Bug),
        (400, Class::Invalid),
        (401, Class::Relink),
        (402, Class::Forbidden),
        (403, Class::Forbidden),
        (404, Class::Gone),
        (408, Class::Unclear),
        (409, Class::Invalid),
        (410, Class::Gone),
        (413, Class::Invalid),
        (429, Class::Retry { after: None }),
        (500, Class::Unclear),
        (502, Class::Unclear),
        (503, Class::Unclear),
        (599, Class::Unclear),
    ] {
        assert_eq!(fail(reply(status, "")).await.class(), class, "{status}");
    }
}

#[tokio::test]
async fn every_shape_of_a_body() {
    let long = "x".repeat(1000);
    for (name, body, code, message) in [
        (
            "as documented",
            body("Invalid Input", 2001, &json!(["Title is too long"])).to_string(),
            Some(2001),
            "Invalid Input: Title is too long",
        ),
        (
            "several errors",
            body("Invalid Input", 2001, &json!(["A", "B"])).to_string(),
            Some(2001),
            "Invalid Input: A: B",
        ),
        (
            "no errors",
            json!({ "error": { "message": "Not Found", "code": 2100 } }).to_string(),
            Some(2100),
            "Not Found",
        ),
        (
            "errors are a text",
            body("Bad", 2001, &json!("Start must come first")).to_string(),
            Some(2001),
            "Bad: Start must come first",
        ),
        (
            "errors are an object",
            body("Bad", 2001, &json!({ "title": ["is too long"] })).to_string(),
            Some(2001),
            "Bad: is too long",
        ),
        (
            "errors are objects",
            body("Bad", 2001, &json!([{ "message": "is too long", "code": 7 }])).to_string(),
            Some(2001),
            "Bad: is too long",
        ),
        ("errors are null", body("Bad", 2001, &Value::Null).to_string(), Some(2001), "Bad"),
        (
            "code nought",
            body("Token missing required scopes", 0, &json!([])).to_string(),
            None,
            "Token missing required scopes",
        ),
        ("code is a text", json!({ "error": { "message": "Bad", "code": "2001" } }).to_string(), None, "Bad"),
        ("code is too large", json!({ "error": { "message": "Bad", "code": u64::MAX } }).to_string(), None, "Bad"),
        ("error is a list", json!({ "error": ["First", "Second"] }).to_string(), None, "First: Second"),
        ("error is a text", json!({ "error": "Nope" }).to_string(), None, "Nope"),
        ("error is null", json!({ "error": null }).to_string(), None, ""),
        (
            "no error around it",
            json!({ "message": "No From header", "code": 2016 }).to_string(),
            Some(2016),
            "No From header",
        ),
        ("only errors", json!({ "errors": ["Nope"] }).to_string(), None, "Nope"),
        ("a list", json!(["Nope"]).to_string(), None, "Nope"),
        ("no JSON", "<html>Bad Gateway</html>".to_owned(), None, ""),
        ("no body", String::new(), None, ""),
        ("a long text", json!({ "error": { "message": long } }).to_string(), None, &format!("{}…", "x".repeat(299))),
    ] {
        let error = fail(reply(400, body)).await;
        assert_eq!(error.message(), message, "{name}");
        let ApiError::Refused { status, code: found, .. } = &error else { panic!("{name}: {error:?}") };
        assert_eq!((*status, *found), (400, code), "{name}");
        assert_eq!(error.class(), Class::Invalid, "{name}");
    }
}

#[tokio::test]
async fn what_is_so_already_is_no_failure() {
    for (code, expected) in [(1001, true), (1002, true), (1003, false), (1005, false), (2016, false), (0, false)] {
        let error = fail(reply(400, body("Incident Already Resolved", code, &json!([])))).await;
        assert_eq!(error.already_done(), expected, "{code}");
    }
    assert!(!fail(limited(&[])).await.already_done());
}

#[tokio::test]
async fn refusals_that_the_caller_can_do_something_about_are_told_apart() {
    let taken = "Open incident with matching dedup key already exists on this service";
    for (status, code, errors, expected) in [
        (400, 2002, json!([taken]), (false, true, false)),
        (400, 0, json!([taken.to_uppercase()]), (false, true, false)),
        (400, 2001, json!("incident_key already exists"), (false, true, false)),
        // Something else may have the same name.
        (400, 2001, json!(["Name already exists"]), (false, false, false)),
        (400, 2001, json!(["incident_key is too long"]), (false, false, false)),
        (409, 2002, json!([taken]), (false, false, false)),
        (400, 2019, json!(["Webhook subscription limit exceeded for the selected scope"]), (true, false, false)),
        (402, 2019, json!([]), (true, false, false)),
        (404, 2100, json!([]), (false, false, true)),
        (410, 0, json!([]), (false, false, true)),
        (403, 2010, json!([]), (false, false, false)),
    ] {
        let error = fail(reply(status, body("Arguments Caused Error", code, &errors))).await;
        assert_eq!((error.is_limit(), error.is_duplicate(), error.is_not_found()), expected, "{status} {errors}");
    }
    let error = fail(limited(&[])).await;
    assert_eq!((error.is_limit(), error.is_duplicate(), error.is_not_found()), (false, false, false));
}

#[tokio::test]
async fn the_rate_limit_says_when_to_come_back() {
    for (headers, seconds) in [
        (&[][..], None),
        (&[("retry-after", "7")][..], Some(7)),
        (&[("ratelimit-limit", "960"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "31")][..], Some(31)),
        (&[("retry-after", "7"), ("ratelimit-reset", "31")][..], Some(7)),
        (&[("retry-after", "Fri, 20 Nov 2026 08:15:30 GMT"), ("ratelimit-reset", " 31 ")][..], Some(31)),
        (&[("retry-after", "soon")][..], None),
        (&[("retry-after", "-1")][..], None),
        (&[("ratelimit-reset", "0")][..], Some(0)),
    ] {
        let after = seconds.map(Duration::from_secs);
        let error = fail(limited(headers)).await;
        assert!(matches!(&error, ApiError::RateLimited { after: found } if *found == after), "{headers:?}: {error:?}");
        assert_eq!(error.class(), Class::Retry { after }, "{headers:?}");
        assert_eq!(error.message(), "");
    }
}

#[tokio::test]
async fn no_answer_leaves_it_open() {
    let mut running = JoinSet::new();
    let silent = Server::start([Reply::Silence]).await;
    for base in [silent.base.clone(), hangs_up(&mut running).await] {
        let error = fail_at(base).await;
        assert!(matches!(error, ApiError::NoAnswer(_)), "{error:?}");
        assert_eq!(error.class(), Class::Unclear);
    }
    assert_eq!(silent.calls().len(), 1);
}

#[tokio::test]
async fn what_was_never_asked_may_be_asked_again() {
    let error = fail_at(nowhere().await).await;
    assert!(matches!(error, ApiError::Unreachable(_)), "{error:?}");
    assert_eq!(error.class(), Class::Retry { after: None });
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_ours_to_repair() {
    let whole = rest_incident("resolved").to_string();
    let cut = &whole[..whole.len() - 1];
    for answer in
        ["", "<html>", "{}", "[]", "{\"incident\":null}", "{\"incident\":{\"id\":\"Q1\",\"status\":\"resolved\"}}", cut]
    {
        let error = fail(reply(200, answer)).await;
        assert!(matches!(error, ApiError::Unreadable { what: "incident" }), "{answer}: {error:?}");
        assert_eq!(error.class(), Class::Bug);
    }
    let server = Server::start([reply(200, "{\"user\":{\"id\":\"P1\"}}"), reply(200, "{}"), reply(200, "{}")]).await;
    let (api, token) = (Api::new(http().into(), server.base.clone()), SecretString::from(TOKEN));
    assert!(matches!(api.me(&token).await, Err(ApiError::Unreadable { what: "user" })));
    let illegible = reply(
        200,
        "{\"user\":{\"id\":\"P1\",\"name\":\"Mira\",\"email\":\"mira\\ud83d@x.example\",\"role\":\"user\"}}",
    );
    let server = Server::start([illegible]).await;
    let of_nobody = Api::new(http().into(), server.base.clone()).me(&token).await;
    assert!(matches!(of_nobody, Err(ApiError::Unreadable { what: "user" })), "people are told apart by their address");
    assert!(matches!(api.services(Auth::App(&token), "", 0).await, Err(ApiError::Unreadable { what: "services" })));
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_sent() {
    let server = Server::start([]).await;
    let api = Api::new(http().into(), server.base.clone());
    let error = api.me(&SecretString::from("two\nlines")).await.unwrap_err();
    assert!(matches!(error, ApiError::Unwritable), "{error:?}");
    assert_eq!(error.class(), Class::Bug);
    assert_eq!(server.calls().len(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start([]).await;
    let answer =
        Reply::Answer { status: 307, headers: vec![("location", elsewhere.base.to_string())], body: String::new() };
    assert_eq!(fail(answer).await.class(), Class::Bug);
    assert_eq!(elsewhere.calls().len(), 0);
}

#[tokio::test]
async fn what_is_logged_keeps_secrets_and_texts_to_itself() {
    let errors = [
        fail(reply(400, body("hunter2", 2001, &json!(["hunter2"])))).await,
        fail(reply(200, "hunter2")).await,
        fail(Reply::Silence).await,
        fail_at(nowhere().await).await,
    ];
    for error in errors {
        let mut said = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            said.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        for secret in ["hunter2", TOKEN, INCIDENT] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
