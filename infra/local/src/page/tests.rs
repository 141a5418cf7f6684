//! The page's HTTP surface against real simulators; the bot is a stand-in that answers clicks.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::post;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use simulators::pagerduty::{self, PagerDuty};
use simulators::teams::{self, Message, Teams};

use super::assets::Assets;
use super::router;
use crate::serve::{Servers, listen, url_of};

const AT: &str = "2026-11-23T09:36:42Z";

struct Page {
    pagerduty: PagerDuty,
    teams: Teams,
    base: String,
    ada: String,
    ben: String,
    channel: String,
    _servers: Servers,
}

/// The bot answers every activity with `bot_answer`.
async fn page(bot_answer: Value) -> Page {
    page_with(move |_| bot_answer.clone()).await
}

/// Ada and Ben on both sides, one service, one channel, and a bot.
async fn page_with(bot_answers: impl Fn(&Value) -> Value + Clone + Send + Sync + 'static) -> Page {
    let mut servers = Servers::default();
    let local = "127.0.0.1".parse().unwrap();
    let bot = listen("bot", "", local, 0).await.unwrap();
    let bot_endpoint = url_of(&bot).unwrap();
    servers.serve(
        bot,
        Router::new()
            .route("/", post(async move |axum::Json(activity): axum::Json<Value>| axum::Json(bot_answers(&activity)))),
    );
    let now: simulators::Now = Arc::new(|| AT.parse().unwrap());
    let text = |text: &str| text.to_owned();
    let options = pagerduty::Options {
        account_id: text("PACC"),
        subdomain: text("acme"),
        client_id: text("client"),
        client_secret: text("secret"),
        redirect_uris: Vec::new(),
    };
    let pagerduty = PagerDuty::new(Arc::clone(&now), options);
    pagerduty.set_base("http://pagerduty.test");
    pagerduty.add_user("Ada Wong", "ada@example.com", "admin");
    pagerduty.add_user("Ben Okafor", "ben@example.com", "user");
    pagerduty.add_service("Payments");
    pagerduty.add_priority("P1");
    let options =
        teams::Options { app_id: text("app"), client_secret: text("secret"), tenant: text("tenant"), bot_endpoint };
    let teams = Teams::new(now, options);
    let (ada, ben) = (teams.add_user("Ada Wong"), teams.add_user("Ben Okafor"));
    let team = teams.add_team("Site Reliability");
    let channel = teams.add_channel(&team, "payments-incidents");
    teams.admit_bot(&team);
    let listener = listen("page", "", local, 0).await.unwrap();
    let base = url_of(&listener).unwrap().to_string();
    servers.serve(listener, router(pagerduty.clone(), teams.clone(), Assets::plain("this is a test")));
    Page { pagerduty, teams, base, ada, ben, channel, _servers: servers }
}

impl Page {
    async fn send(&self, request: axum::http::request::Builder, body: String) -> (StatusCode, HeaderMap, String) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let answer = client.request(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(Body::new(body), usize::MAX).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        self.send(Request::get(format!("{}{path}", self.base)), String::new()).await
    }

    async fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, path: &str, wish: Value) -> (u16, Value) {
        let request =
            Request::post(format!("{}demo/api/{path}", self.base)).header(header::CONTENT_TYPE, "application/json");
        let (status, _, body) = self.send(request, wish.to_string()).await;
        (status.as_u16(), serde_json::from_str(&body).unwrap())
    }

    /// As if the bot had posted this card in the channel.
    fn put_card(&self, id: &str, root: Option<&str>, card: Value) {
        let message = Message {
            id: id.to_owned(),
            conversation: self.channel.clone(),
            root: root.map(str::to_owned),
            from_bot: true,
            from: "28:app".to_owned(),
            at: AT.parse().unwrap(),
            text: None,
            summary: Some("a card".to_owned()),
            card: Some(card),
            mentions: Vec::new(),
            edits: Vec::new(),
            changed_at: AT.parse().unwrap(),
            deleted: false,
            views: [].into(),
            notices: Vec::new(),
        };
        let mut state = self.teams.snapshot();
        state["messages"][id] = serde_json::to_value(message).unwrap();
        self.teams.restore(state).unwrap();
    }

    async fn channel_as(&self, user: &str) -> Value {
        self.json(&format!("demo/api/state?user={user}")).await["teams"][0]["channels"][1].clone()
    }

    fn service(&self) -> String {
        self.pagerduty.service_named("Payments").unwrap()
    }

    fn pd(&self, email: &str) -> String {
        self.pagerduty.user_with_email(email).unwrap()
    }
}

fn card(text: &str) -> Value {
    json!({
        "type": "AdaptiveCard", "version": "1.5",
        "body": [{ "type": "TextBlock", "text": text }],
        "actions": [{ "type": "Action.Execute", "title": "Go", "verb": "go" }],
    })
}

fn post_of(id: &str, card: &Value, own_view: bool) -> Value {
    json!({ "id": id, "from": "PagerBridge", "fromBot": true, "at": AT, "edited": false, "text": null,
            "summary": "a card", "card": card, "ownView": own_view })
}

#[tokio::test]
async fn everything_that_the_page_loads_is_there_and_guarded() {
    let page = page(json!({})).await;
    let (status, headers, html) = page.get("").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, "text/html; charset=utf-8"));
    let named = |text: &str, before: &str| -> Vec<String> {
        text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let mut wanted = named(&html, "\"/demo/assets/");
    assert!(wanted.contains(&"adaptivecards.min.js".to_owned()), "{wanted:?}");
    let mut at = 0;
    while let Some(file) = wanted.get(at).cloned() {
        let (status, headers, content) = page.get(&format!("demo/assets/{file}")).await;
        assert_eq!(status, StatusCode::OK, "{file}");
        for name in ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"] {
            assert!(headers.contains_key(name), "{file}: {name}");
        }
        wanted.extend(
            named(&content, "from \"./").into_iter().filter(|import| !wanted.contains(import)).collect::<Vec<_>>(),
        );
        at += 1;
    }
    assert_eq!(wanted.len(), super::FILES.len() + 1, "a file is not used: {wanted:?}");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(page.get("demo/assets/lib.rs").await.0, StatusCode::NOT_FOUND);
    assert!(html.contains(r#"href="/admin""#), "the way to the configuration is missing");
}

#[tokio::test]
async fn an_incident_goes_through_its_life() {
    let page = page(json!({})).await;
    let (ada, ben) = (page.pd("ada@example.com"), page.pd("ben@example.com"));
    let priority = page.pagerduty.priorities()[0].0.clone();
    let wish = json!({ "service": page.service(), "summary": " DB down ", "severity": "warning", "source": "db-03" });
    assert_eq!(page.post("pagerduty/alert", wish).await.0, 200);
    let id = page.json("demo/api/state").await["incidents"][0]["id"].clone();
    let steps = [
        ("acknowledge", json!({ "incident": id, "user": ada })),
        ("note", json!({ "incident": id, "user": ben, "text": "looking" })),
        ("priority", json!({ "incident": id, "user": ada, "priority": priority })),
        ("reassign", json!({ "incident": id, "user": ada, "to": ben })),
    ];
    for (step, wish) in steps {
        assert_eq!(page.post(&format!("pagerduty/{step}"), wish).await, (200, json!({})), "{step}");
    }
    let entry = |kind: &str, by: &str, note: Value| json!({ "kind": format!("{kind}_log_entry"), "by": by, "at": AT, "note": note });
    let mut log = vec![
        entry("trigger", "Events API V2", Value::Null),
        entry("acknowledge", "Ada Wong", Value::Null),
        entry("annotate", "Ben Okafor", json!("looking")),
        entry("priority_change", "Ada Wong", Value::Null),
        entry("assign", "Ada Wong", Value::Null),
    ];
    let mut expected = json!({
        "id": id, "number": 1, "title": "DB down", "status": "acknowledged", "urgency": "low", "service": "Payments",
        "priority": priority, "assignees": [{ "id": ben, "name": "Ben Okafor" }],
        "url": format!("http://pagerduty.test/incidents/{}", id.as_str().unwrap()), "createdAt": AT, "log": log,
    });
    assert_eq!(page.json("demo/api/state").await["incidents"], json!([expected]));

    page.post("pagerduty/priority", json!({ "incident": id, "user": ada, "priority": null })).await;
    page.post("pagerduty/resolve", json!({ "incident": id, "user": null })).await;
    log.push(entry("priority_change", "Ada Wong", Value::Null));
    log.push(entry("resolve", "Events API V2", Value::Null));
    expected["log"] = json!(log);
    expected["status"] = json!("resolved");
    expected["priority"] = Value::Null;
    expected["assignees"] = json!([]);
    assert_eq!(page.json("demo/api/state").await["incidents"], json!([expected]));
}

#[tokio::test]
async fn an_alert_says_all_that_was_typed() {
    let page = page(json!({})).await;
    let details = json!({ "free": "2 %", "volumes": [{ "name": "/var", "full": true }] });
    let link = |text: &str| json!({ "text": text, "href": "https://runbooks.example/disk" });
    let href = "https://runbooks.example/disk";
    let image = "http://localhost:3000/demo/assets/graph.svg";
    let wish = json!({ "service": page.service(), "summary": "Disk full", "severity": "error", "source": "db-03" });
    for (other, contexts, told) in [
        (
            json!({ "link": link("Runbook"), "image": image, "details": format!(" {details} ") }),
            json!([
                { "type": "link", "href": href, "text": "Runbook" },
                { "type": "image", "href": image, "src": image },
            ]),
            details.clone(),
        ),
        (
            json!({ "link": link(" "), "details": "[1]" }),
            json!([{ "type": "link", "href": href, "text": href }]),
            json!([1]),
        ),
        (json!({ "link": { "text": "nowhere", "href": " " }, "image": "", "details": "\n" }), json!([]), json!({})),
    ] {
        let mut wish = wish.clone();
        wish.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let (status, answer) = page.post("pagerduty/alert", wish).await;
        assert_eq!((status, &answer["status"]), (200, &json!("success")), "{answer}");
        let incident = page.pagerduty.incidents().remove(0);
        assert_eq!((&incident["title"], &incident["urgency"]), (&json!("Disk full"), &json!("high")));
        let alert = page.pagerduty.alerts(incident["id"].as_str().unwrap()).remove(0);
        for (pointer, expected) in [
            ("/severity", json!("error")),
            ("/alert_key", answer["dedup_key"].clone()),
            ("/body/contexts", contexts),
            ("/body/details", told),
            ("/body/cef_details/source_origin", json!("db-03")),
        ] {
            assert_eq!(alert.pointer(pointer), Some(&expected), "{pointer}");
        }
    }
}

/// A newcomer's first click must work, so what the form has at first is an alert without a mistake.
#[tokio::test]
async fn what_the_form_has_at_first_is_a_good_alert() {
    let page = page(json!({})).await;
    let html = page.get("").await.2;
    let between = |start: &str, end: &str| html.split(start).nth(1).unwrap().split(end).next().unwrap().to_owned();
    let value = |id: &str| {
        let input = between(&format!("<input id=\"{id}\""), ">");
        input.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let wish = json!({
        "service": page.service(), "severity": "critical", "summary": value("summary"), "source": value("source"),
        "link": { "text": value("link-text"), "href": value("link") },
        "image": format!("{}{}", page.base.trim_end_matches('/'), value("image")),
        "details": between("<textarea id=\"details\" rows=\"12\" spellcheck=\"false\">", "</textarea>"),
    });
    assert_eq!(page.post("pagerduty/alert", wish).await.0, 200);
    let incident = page.pagerduty.incidents().remove(0);
    let alert = page.pagerduty.alerts(incident["id"].as_str().unwrap()).remove(0);
    assert!(alert["body"]["details"].as_object().unwrap().values().any(Value::is_object), "details are nested");
    assert_eq!(page.get(value("image").trim_start_matches('/')).await.0, StatusCode::OK);
}

#[tokio::test]
async fn sixty_incidents_are_open_at_once() {
    let page = page(json!({})).await;
    let p1 = page.pagerduty.priorities()[0].0.clone();
    let answer = page.post("pagerduty/storm", json!({ "service": page.service() })).await;
    assert_eq!(answer, (200, json!({ "triggered": 60 })));
    let state = page.json("demo/api/state").await;
    assert_eq!(state["totals"], json!({ "open": 60, "resolved": 0 }));
    let incidents = &state["incidents"];
    let with = |field: &str, value: &Value| {
        incidents.as_array().unwrap().iter().filter(|incident| incident[field] == *value).count()
    };
    let counts = [
        ("status", json!("triggered"), 60),
        ("service", json!("Payments"), 60),
        ("urgency", json!("high"), 40),
        ("urgency", json!("low"), 20),
        ("priority", json!(p1), 2),
        ("priority", Value::Null, 58),
        ("title", json!("Checkout answers 5xx in us-east-1"), 1),
    ];
    for (field, value, count) in counts {
        assert_eq!(with(field, &value), count, "{field} {value}");
    }
    page.post("pagerduty/storm", json!({ "service": page.service() })).await;
    page.post("pagerduty/resolve", json!({ "incident": incidents[0]["id"], "user": null })).await;
    let state = page.json("demo/api/state").await;
    assert_eq!(state["totals"], json!({ "open": 119, "resolved": 1 }), "those that are not shown count, too");
    assert_eq!(state["incidents"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn the_limits_of_teams_are_shown_and_moved() {
    let page = page(json!({})).await;
    let published = "Per channel or chat: 7 in 1 s, 8 in 2 s, 60 in 30 s, 1,800 in an hour";
    let tenth = "Per channel or chat: 1 in 1 s, 1 in 2 s, 6 in 30 s, 180 in an hour";
    let shown = |percent: Value, words: &str| json!({ "percent": percent, "words": words, "refused": 0 });
    assert_eq!(page.json("demo/api/state").await["limits"], shown(json!(100), published));
    for (percent, words) in [(json!(10), tenth), (Value::Null, "No limit"), (json!(100), published)] {
        let revision = page.json("demo/api/state").await["revision"].take();
        assert_eq!(page.post("teams/limits", json!({ "percent": percent })).await, (200, json!({})));
        let state = page.json("demo/api/state").await;
        assert_eq!(state["limits"], shown(percent.clone(), words));
        assert_ne!(state["revision"], revision, "the page is told of {percent}");
    }
}

#[tokio::test]
async fn wishes_that_make_no_sense_are_refused_with_a_reason() {
    let page = page(json!({})).await;
    let incident = page.pagerduty.trigger(&page.service(), "DB down", "high");
    let ada = page.pd("ada@example.com");
    let (service, user) = (page.service(), page.ada.clone());
    let alert = |other: Value| {
        let mut wish = json!({ "service": service, "summary": "x", "severity": "error", "source": "y" });
        wish.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        wish
    };
    page.put_card("1", None, card("first"));
    let table = [
        ("pagerduty/alert", alert(json!({ "service": "X" })), "there is no service \"X\""),
        ("pagerduty/alert", alert(json!({ "summary": " " })), "summary is empty"),
        ("pagerduty/alert", alert(json!({ "summary": "x".repeat(1025) })), "'payload.summary' is too long"),
        ("pagerduty/alert", alert(json!({ "source": "" })), "source is empty"),
        ("pagerduty/alert", alert(json!({ "severity": "huge" })), "unknown variant `huge`"),
        ("pagerduty/alert", json!({ "service": service, "summary": "x", "source": "y" }), "missing field `severity`"),
        (
            "pagerduty/alert",
            alert(json!({ "link": { "text": "Runbook", "href": "javascript:alert(1)" } })),
            "link is no web address: \"javascript:alert(1)\"",
        ),
        ("pagerduty/alert", alert(json!({ "image": "graph.png" })), "image is no web address: \"graph.png\""),
        (
            "pagerduty/alert",
            alert(json!({ "details": "{\n  \"a\": 1,\n}" })),
            "details are not JSON: trailing comma at line 3 column 1",
        ),
        ("pagerduty/alert", alert(json!({ "details": "disk full" })), "details are not JSON: expected value at line 1"),
        ("pagerduty/storm", json!({ "service": "X" }), "there is no service \"X\""),
        ("pagerduty/acknowledge", json!({ "incident": "X", "user": ada }), "there is no incident \"X\""),
        ("pagerduty/acknowledge", json!({ "incident": incident, "user": "X" }), "there is no PagerDuty person \"X\""),
        ("pagerduty/resolve", json!({ "incident": incident, "user": "X" }), "there is no PagerDuty person \"X\""),
        ("pagerduty/note", json!({ "incident": incident, "user": ada, "text": "" }), "text is empty"),
        (
            "pagerduty/priority",
            json!({ "incident": incident, "user": ada, "priority": "X" }),
            "there is no priority \"X\"",
        ),
        (
            "pagerduty/reassign",
            json!({ "incident": incident, "user": ada, "to": "X" }),
            "there is no PagerDuty person \"X\"",
        ),
        ("pagerduty/resolve", json!({ "incident": incident, "by": ada }), "unknown field `by`"),
        ("teams/limits", json!({ "percent": 9 }), "percent is not between 10 and 100"),
        ("teams/limits", json!({ "percent": 101 }), "percent is not between 10 and 100"),
        ("teams/limits", json!({ "percent": "all" }), "invalid type"),
        ("teams/say", json!({ "user": user, "text": "  " }), "text is empty"),
        ("teams/say", json!({ "user": "X", "text": "help" }), "there is no user \"X\""),
        ("teams/say", json!({ "user": user, "text": "help", "conversation": "X" }), "there is no conversation \"X\""),
        (
            "teams/click",
            json!({ "user": user, "activity": "X", "action": { "name": "go" } }),
            "there is no card message \"X\"",
        ),
        (
            "teams/click",
            json!({ "user": user, "activity": "1", "action": { "name": "X" } }),
            "the card has no button \"X\", only [\"Go\"]",
        ),
        (
            "teams/click",
            json!({ "user": user, "activity": "1", "action": { "name": "go" }, "inputs": { "x": "y" } }),
            "the input \"x\" is not accepted",
        ),
    ];
    let before = page.json("demo/api/state").await;
    for (path, wish, why) in table {
        let (status, answer) = page.post(path, wish).await;
        let said = answer["error"].as_str().unwrap();
        assert!(status == 400 && said.contains(why), "{path}: {status} {said}");
    }
    let plain = Request::post(format!("{}demo/api/teams/say", page.base)).header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(page.send(plain, "{}".to_owned()).await.0, StatusCode::BAD_REQUEST);
    for path in ["demo/api/state?user=X", "demo/api/events?user=X"] {
        let (status, _, body) = page.get(path).await;
        assert_eq!((status, body.as_str()), (StatusCode::BAD_REQUEST, r#"{"error":"there is no person \"X\""}"#));
    }
    assert_eq!(page.json("demo/api/state").await, before);
}

#[tokio::test]
async fn a_click_shows_what_teams_shows() {
    let answer = |kind: &str, value: Value| json!({ "statusCode": 200, "type": format!("application/vnd.microsoft.{kind}"), "value": value });
    let error = json!({ "statusCode": 400, "type": "application/vnd.microsoft.error", "value": { "code": "c", "message": "no" } });
    let table = [
        (answer("card.adaptive", card("mine")), json!({ "kind": "card" })),
        (answer("activity.message", json!("done")), json!({ "kind": "toast", "text": "done" })),
        (error, json!({ "kind": "error", "text": "no" })),
        (
            json!({}),
            json!({ "kind": "error", "text": "Unable to reach app. Please try again. (the body lacks statusCode, type or value)" }),
        ),
    ];
    for (bot_answer, expected) in table {
        let page = page(bot_answer).await;
        page.put_card("1", None, card("all"));
        let wish = json!({ "user": page.ada, "activity": "1", "action": { "name": "go" } });
        assert_eq!(page.post("teams/click", wish).await, (200, expected));
    }
}

const FORM_KIND: &str = "application/vnd.microsoft.card.adaptive";

/// A first page that asks for a service, a second one that asks whether, and a message; the data says which.
fn wizard(activity: &Value) -> Value {
    let button = |to: &str| json!({ "type": "Action.Submit", "title": "Next", "data": { "to": to } });
    let page = |title: &str, input: Value, to: &str| {
        let card = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [input], "actions": [button(to)] });
        json!({ "task": { "type": "continue", "value": { "title": title, "card": { "contentType": FORM_KIND, "content": card } } } })
    };
    let service = json!({ "type": "Input.ChoiceSet", "id": "service", "choices": [], "isRequired": true,
        "choices.data": { "type": "Data.Query", "dataset": "services" } });
    let data = &activity["value"]["data"];
    match (activity["name"].as_str(), data["to"].as_str()) {
        (Some("task/fetch"), _) if data["empty"] == true => json!({}),
        (Some("task/fetch"), _) => page("New", service, "second"),
        (Some("task/submit"), Some("second")) => page(
            "Sure?",
            json!({ "type": "Input.Toggle", "id": "sure", "title": "Sure" }),
            &format!("{} it is", data["service"].as_str().unwrap()),
        ),
        (Some("task/submit"), Some(text)) => json!({ "task": { "type": "message", "value": text } }),
        (Some("application/search"), _) => {
            let results = json!([{ "title": activity["value"]["queryText"], "value": "P1" }]);
            json!({ "statusCode": 200, "type": "application/vnd.microsoft.search.searchResponse", "value": { "results": results } })
        }
        _ => json!({}),
    }
}

fn opener(data: Value) -> Value {
    let mut data = data;
    data["msteams"] = json!({ "type": "task/fetch" });
    json!({ "type": "AdaptiveCard", "version": "1.5", "actions": [
        { "type": "Action.Submit", "title": "New incident", "data": data },
        { "type": "Action.Submit", "title": "Plain", "data": { "a": 1 } },
    ] })
}

#[tokio::test]
async fn a_dialog_opens_searches_goes_on_and_ends() {
    let page = page_with(wizard).await;
    page.put_card("1", None, opener(json!({})));
    let user = page.ada.clone();
    let opened =
        page.post("teams/click", json!({ "user": user, "activity": "1", "action": { "name": "New incident" } })).await;
    assert_eq!((opened.0, &opened.1["kind"], &opened.1["title"]), (200, &json!("dialog"), &json!("New")));
    assert_eq!(opened.1["card"]["body"][0]["id"], "service");

    let search = |dataset: &str| json!({ "user": user, "dataset": dataset, "text": "Pay" });
    let found = page.post("teams/search", search("services")).await;
    assert_eq!(found, (200, json!({ "choices": [{ "title": "Pay", "value": "P1" }] })));
    let (status, refused) = page.post("teams/search", search("teams")).await;
    assert!(status == 400 && refused["error"].as_str().unwrap().contains("no such data set"), "{refused}");

    let submit = |inputs: Value| json!({ "user": user, "action": { "name": "Next" }, "inputs": inputs });
    let (status, missing) = page.post("teams/submit", submit(json!({}))).await;
    assert!(status == 400 && missing["error"].as_str().unwrap().contains("required"), "{missing}");
    let second = page.post("teams/submit", submit(json!({ "service": "P1" }))).await;
    assert_eq!((&second.1["kind"], &second.1["title"]), (&json!("dialog"), &json!("Sure?")));
    let last = page.post("teams/submit", submit(json!({ "sure": "true" }))).await;
    assert_eq!(last, (200, json!({ "kind": "message", "text": "P1 it is" })));
    let (status, gone) = page.post("teams/submit", submit(json!({}))).await;
    assert_eq!((status, &gone["error"]), (400, &json!("there is no card message \"dialog\"")));
}

#[tokio::test]
async fn what_goes_wrong_with_a_dialog_is_said() {
    let page = page_with(wizard).await;
    page.put_card("1", None, opener(json!({ "empty": true })));
    page.put_card("2", None, opener(json!({})));
    let user = page.ada.clone();
    let click = |activity: &str, name: &str| json!({ "user": user, "activity": activity, "action": { "name": name } });
    let lost = |why: &str| {
        (200, json!({ "kind": "error", "text": format!("Unable to reach app. Please try again. ({why})") }))
    };
    assert_eq!(page.post("teams/click", click("1", "New incident")).await, lost("there is no dialog in the answer"));
    let sent = json!({ "kind": "toast", "text": "Your response was sent to the app." });
    assert_eq!(page.post("teams/click", click("1", "Plain")).await, (200, sent));
    page.post("teams/click", click("2", "New incident")).await;
    assert_eq!(page.post("teams/close", json!({ "user": user })).await, (200, json!({})));
    assert_eq!(page.teams.dialog(&user), None);
    assert_eq!(page.post("teams/close", json!({ "user": "X" })).await.0, 400);
}

#[tokio::test]
async fn each_person_sees_their_own_view_in_threads() {
    let answer = json!({ "statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": card("mine") });
    let page = page(answer).await;
    page.put_card("1", None, card("all"));
    page.put_card("2", Some("1"), card("reply"));
    page.put_card("4", Some("3"), card("orphan"));
    page.post("teams/click", json!({ "user": page.ada, "activity": "1", "action": { "name": "Go" } })).await;
    let seen = |root: Value| {
        json!({ "id": page.channel, "name": "payments-incidents", "threads": [
            { "id": "1", "root": root, "replies": [post_of("2", &card("reply"), false)] },
            { "id": "3", "root": null, "replies": [post_of("4", &card("orphan"), false)] },
        ] })
    };
    assert_eq!(page.channel_as(&page.ada).await, seen(post_of("1", &card("mine"), true)));
    assert_eq!(page.channel_as(&page.ben).await, seen(post_of("1", &card("all"), false)));
}

#[tokio::test]
async fn what_people_write_is_shown_where_they_wrote_it() {
    let page = page(json!({})).await;
    let wishes = [
        json!({ "user": page.ada, "conversation": page.channel, "text": "help" }),
        json!({ "user": page.ada, "text": "linkUser" }),
    ];
    for wish in wishes {
        assert_eq!(page.post("teams/say", wish).await, (200, json!({})));
    }
    let texts = |posts: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        posts.as_array().unwrap().iter().map(|post| (text(&post["from"]), text(&post["text"]))).collect()
    };
    let state = page.json(&format!("demo/api/state?user={}", page.ada)).await;
    assert_eq!(texts(&state["chat"]), [("Ada Wong".to_owned(), "linkUser".to_owned())]);
    let threads = &page.channel_as(&page.ben).await["threads"];
    assert_eq!(texts(&json!([threads[0]["root"]])), [("Ada Wong".to_owned(), "help".to_owned())]);
    assert_eq!(page.json(&format!("demo/api/state?user={}", page.ben)).await["chat"], json!([]), "the chat is Ada's");
}

#[tokio::test]
async fn the_page_is_told_when_something_changes() {
    let page = page(json!({})).await;
    let first = page.json("demo/api/state").await["revision"].as_str().unwrap().to_owned();
    assert_eq!(page.json("demo/api/events?known=other").await, json!({ "revision": first }));
    let path = format!("demo/api/events?known={first}");
    let (told, ()) = tokio::join!(page.json(&path), async {
        page.pagerduty.trigger(&page.service(), "DB down", "high");
    });
    assert_ne!(told["revision"], json!(first));
    assert_eq!(page.json("demo/api/state").await["revision"], told["revision"]);
}

#[tokio::test]
async fn what_is_connected_and_what_went_wrong_is_said() {
    let page = page(json!({})).await;
    let state = page.json("demo/api/state").await;
    let expected = [
        "PagerBridge is installed in the team Site Reliability.",
        "PagerDuty service Payments: nobody is subscribed to its webhooks.",
        "No webhook waits to be delivered.",
    ];
    assert_eq!(state["connections"], json!(expected));
    assert_eq!(state["problems"], json!([]));
    assert_eq!(
        state["renderer"],
        json!({ "kind": "plain", "why": "this is a test", "fix": "Restart the local stack to try again." })
    );
    page.put_card("1", None, card("all"));
    page.post("teams/click", json!({ "user": page.ada, "activity": "1", "action": { "name": "go" } })).await;
    let expected = ["Teams complains: answer to a click cannot be read: the body lacks statusCode, type or value."];
    assert_eq!(page.json("demo/api/state").await["problems"], json!(expected));
}
