use domain::event::subscribed;
use domain::ids::{AccountId, IncidentId, PdUserId, PriorityId, ServiceId, SubscriptionId};
use domain::incident::{Asked, IncidentRecord, ServiceRef, Snapshot, Status, Urgency};
use pagerduty::rest::{Api, ApiError, Auth, NewIncident, NewSubscription, Note, Page, RestIncident, Role, User};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::fixtures::*;
use crate::server::{Call, Reply, Server, http, reply};

const EMAIL: &str = "mira@philharmonie.example";

pub(crate) fn token() -> SecretString {
    SecretString::from("pdus+_0ABCDEF")
}

pub(crate) fn api(server: &Server) -> Api {
    Api::new(http().into(), server.base.clone())
}

pub(crate) fn mira_acts(token: &SecretString) -> Auth<'_> {
    Auth::User { token, email: EMAIL }
}

pub(crate) fn subscription() -> SubscriptionId {
    SubscriptionId::new("PSUBSC1").unwrap()
}

/// An incident as in a REST answer.
pub(crate) fn rest_incident(status: &str) -> Value {
    json!({ "incident": {
        "id": INCIDENT,
        "type": "incident",
        "summary": "[#4711] Box office cannot print tickets",
        "title": "Box office cannot print tickets",
        "html_url": format!("https://philharmonie.pagerduty.com/incidents/{INCIDENT}"),
        "incident_number": 4711,
        "created_at": "2026-11-20T08:15:29Z",
        "updated_at": "2026-11-20T03:20:05-05:00",
        "status": status,
        "urgency": "high",
        "service": { "id": SERVICE, "type": "service_reference", "summary": "Ticketing" },
        "assignments": [{ "at": "2026-11-20T08:15:29Z", "assignee": mira_reference() }],
        "acknowledgements": [],
        "last_status_change_at": "2026-11-20T08:20:04Z",
        "last_status_change_by": tomas_reference(),
        "escalation_policy": reference("escalation_policy", "PEVENING", "Evening shift"),
        "priority": { "id": "PPRIO2", "type": "priority_reference", "summary": "P2" },
        "resolve_reason": null,
    }})
}

pub(crate) fn expected(status: Status) -> RestIncident {
    RestIncident {
        id: incident_id(),
        updated_at: at("2026-11-20T08:20:05Z"),
        snapshot: Snapshot { status, ..snapshot() },
        status_changed: Some((at("2026-11-20T08:20:04Z"), Some(tomas()))),
    }
}

/// Every request carries these.
pub(crate) fn assert_request(call: &Call, line: &str, from: Option<&str>) {
    assert_eq!(call.line, line);
    assert_eq!(call.header("authorization"), Some("Bearer pdus+_0ABCDEF"), "{line}");
    assert_eq!(call.header("accept"), Some("application/vnd.pagerduty+json;version=2"), "{line}");
    assert_eq!(call.header("from"), from, "{line}");
    let content_type = (!call.body.is_empty()).then_some("application/json");
    assert_eq!(call.header("content-type"), content_type, "{line}");
}

#[tokio::test]
async fn who_the_token_belongs_to() {
    for (role, expected) in [
        ("owner", Role::Owner),
        ("admin", Role::Admin),
        ("user", Role::User),
        ("limited_user", Role::LimitedUser),
        ("read_only_user", Role::Other("read_only_user".to_owned())),
    ] {
        let answer = json!({ "user": {
            "id": "PMIRA01", "type": "user", "summary": "Mira Solberg", "name": "Mira Solberg", "email": EMAIL, "role": role,
            "html_url": "https://philharmonie.pagerduty.com/users/PMIRA01", "time_zone": "Europe/Berlin", "job_title": null,
        }});
        let server = Server::start([reply(200, answer)]).await;
        let user = api(&server).me(&token()).await.unwrap();
        let html_url = Some("https://philharmonie.pagerduty.com/users/PMIRA01".parse().unwrap());
        let (id, name) = (PdUserId::new("PMIRA01").unwrap(), "Mira Solberg".to_owned());
        assert_eq!(user, User { id, name, email: EMAIL.to_owned(), role: expected, html_url });
        assert_request(&server.call(), "GET /users/me", None);
    }
}

#[tokio::test]
async fn an_incident_is_read() {
    let server = Server::start([reply(200, rest_incident("acknowledged"))]).await;
    let token = token();
    let incident = api(&server).incident(mira_acts(&token), &incident_id()).await.unwrap();
    assert_eq!(incident, expected(Status::Acknowledged));
    assert_request(&server.call(), &format!("GET /incidents/{INCIDENT}"), None);
    let account = AccountId::new("PACCOUNT").unwrap();
    let asked = Asked::at(at("2026-11-20T08:20:05Z"));
    let record = IncidentRecord::from_rest(
        account.clone(),
        incident_id(),
        at("2026-11-20T08:20:05Z"),
        Snapshot { status: Status::Acknowledged, ..snapshot() },
        Some((at("2026-11-20T08:20:04Z"), Some(tomas()))),
        asked,
    );
    assert_eq!(incident.into_record(account, asked), record);
}

#[tokio::test]
async fn gaps_in_an_incident() {
    let changed = |changes: Value| json!({ "incident": with(rest_incident("resolved")["incident"].clone(), &changes) });
    let resolved = || expected(Status::Resolved);
    for (answer, expected) in [
        (
            changed(json!({ "last_status_change_by": null })),
            RestIncident { status_changed: Some((at("2026-11-20T08:20:04Z"), None)), ..resolved() },
        ),
        (changed(json!({ "last_status_change_at": null })), RestIncident { status_changed: None, ..resolved() }),
        (changed(json!({ "updated_at": null })), RestIncident { updated_at: at("2026-11-20T08:20:04Z"), ..resolved() }),
        (
            changed(json!({ "assignments": [] })),
            RestIncident { snapshot: Snapshot { assignees: Vec::new(), ..resolved().snapshot }, ..resolved() },
        ),
        (
            changed(json!({ "priority": null })),
            RestIncident { snapshot: Snapshot { priority: None, ..resolved().snapshot }, ..resolved() },
        ),
        // For a triggered incident PagerDuty gives the time of the last change of any kind.
        (rest_incident("triggered"), RestIncident { status_changed: None, ..self::expected(Status::Triggered) }),
    ] {
        let server = Server::start([reply(200, answer)]).await;
        assert_eq!(api(&server).incident(Auth::App(&token()), &incident_id()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn every_status_is_set_as_the_person() {
    for (status, word) in
        [(Status::Acknowledged, "acknowledged"), (Status::Resolved, "resolved"), (Status::Triggered, "triggered")]
    {
        let server = Server::start([reply(200, rest_incident("acknowledged"))]).await;
        let token = token();
        let incident = api(&server).set_status(mira_acts(&token), &incident_id(), status).await.unwrap();
        assert_eq!(incident, expected(Status::Acknowledged));
        let call = server.call();
        assert_request(&call, &format!("PUT /incidents/{INCIDENT}"), Some(EMAIL));
        assert_eq!(call.json(), json!({ "incident": { "type": "incident_reference", "status": word } }));
    }
}

#[tokio::test]
async fn many_statuses_are_set_with_one_call() {
    let other = IncidentId::new("QOTHER1").unwrap();
    let ids = [incident_id(), other.clone()];
    let mut second = rest_incident("acknowledged")["incident"].take();
    second["id"] = json!(other);
    let first = rest_incident("acknowledged")["incident"].take();
    let both = vec![expected(Status::Acknowledged), RestIncident { id: other, ..expected(Status::Acknowledged) }];
    for (answer, told) in [
        (json!({ "incidents": [first, second], "limit": 100, "offset": 0, "more": false }), both),
        // What cannot be read, or is not in the answer, is changed all the same.
        (json!({ "incidents": [first, null] }), vec![expected(Status::Acknowledged)]),
        (json!({ "incidents": [] }), vec![]),
    ] {
        let server = Server::start([reply(200, answer)]).await;
        let token = token();
        let set = api(&server).set_statuses(mira_acts(&token), &ids, Status::Acknowledged).await.unwrap();
        assert_eq!(set, told);
        let call = server.call();
        assert_request(&call, "PUT /incidents?limit=100", Some(EMAIL));
        let change = |id: &str| json!({ "id": id, "type": "incident_reference", "status": "acknowledged" });
        assert_eq!(call.json(), json!({ "incidents": [change(INCIDENT), change("QOTHER1")] }));
    }
    let server = Server::start([reply(200, "")]).await;
    let unreadable = api(&server).set_statuses(Auth::App(&token()), &ids, Status::Resolved).await.unwrap_err();
    assert!(matches!(unreadable, ApiError::Unreadable { what: "incidents" }), "{unreadable:?}");
    let server = Server::start([]).await;
    assert_eq!(api(&server).set_statuses(Auth::App(&token()), &[], Status::Resolved).await.unwrap(), []);
    assert_eq!(server.calls().len(), 0);
}

#[tokio::test]
async fn the_from_header_is_for_writes_of_people_only() {
    let server = Server::start(vec![reply(200, rest_incident("resolved")); 4]).await;
    let (api, token, id) = (api(&server), token(), incident_id());
    api.incident(mira_acts(&token), &id).await.unwrap();
    api.set_status(Auth::App(&token), &id, Status::Resolved).await.unwrap();
    // No header can carry this address; the token says who acts.
    let odd = Auth::User { token: &token, email: "mira@phil\nharmonie.example" };
    api.set_status(odd, &id, Status::Resolved).await.unwrap();
    api.enable_subscription(mira_acts(&token), &subscription()).await.unwrap();
    let from: Vec<Option<String>> = server.calls().iter().map(|call| call.header("from").map(str::to_owned)).collect();
    assert_eq!(from, [None, None, None, Some(EMAIL.to_owned())]);
}

#[tokio::test]
async fn a_note_is_written() {
    let written = json!({ "note": { "id": "PNOTE01", "content": "On it", "created_at": "2026-11-20T09:00:00+01:00", "user": mira_reference() } });
    let full = Note { id: Some("PNOTE01".to_owned()), created_at: Some(at("2026-11-20T08:00:00Z")) };
    let nothing = Note { id: None, created_at: None };
    for (answer, expected) in [
        (reply(200, &written), &full),
        (reply(201, &written), &full),
        // Written all the same: to call this a failure would make the person write it twice.
        (reply(200, ""), &nothing),
        (reply(204, ""), &nothing),
        (reply(200, "<html>"), &nothing),
        (reply(200, json!({ "note": null })), &nothing),
    ] {
        let server = Server::start([answer]).await;
        let token = token();
        let note = api(&server).create_note(mira_acts(&token), &incident_id(), "On \"it\"\n").await.unwrap();
        assert_eq!(&note, expected);
        let call = server.call();
        assert_request(&call, &format!("POST /incidents/{INCIDENT}/notes"), Some(EMAIL));
        assert_eq!(call.json(), json!({ "note": { "content": "On \"it\"\n" } }));
    }
}

#[tokio::test]
async fn an_incident_is_opened() {
    let service = service_id();
    let (mira, priority) = (PdUserId::new("PMIRA01").unwrap(), PriorityId::new("PPRIO2").unwrap());
    let least = NewIncident {
        service: &service,
        title: "Lights",
        urgency: None,
        details: None,
        incident_key: None,
        priority: None,
        assignee: None,
    };
    let most = NewIncident {
        urgency: Some(Urgency::Low),
        details: Some("Row 7"),
        incident_key: Some("k-1"),
        priority: Some(&priority),
        assignee: Some(&mira),
        ..least
    };
    let reference = json!({ "id": SERVICE, "type": "service_reference" });
    for (wanted, body) in [
        (least, json!({ "type": "incident", "title": "Lights", "service": reference })),
        (
            most,
            json!({
                "type": "incident", "title": "Lights", "service": reference, "urgency": "low", "incident_key": "k-1",
                "body": { "type": "incident_body", "details": "Row 7" },
                "priority": { "id": "PPRIO2", "type": "priority_reference" },
                "assignments": [{ "assignee": { "id": "PMIRA01", "type": "user_reference" } }],
            }),
        ),
    ] {
        let server = Server::start([reply(201, rest_incident("acknowledged"))]).await;
        let token = token();
        let incident = api(&server).create_incident(mira_acts(&token), &wanted).await.unwrap();
        assert_eq!(incident, expected(Status::Acknowledged));
        let call = server.call();
        assert_request(&call, "POST /incidents", Some(EMAIL));
        assert_eq!(call.json(), json!({ "incident": body }));
    }
}

#[tokio::test]
async fn an_incident_is_read_with_what_is_legible() {
    let whole = rest_incident("acknowledged").to_string();
    let known = || expected(Status::Acknowledged);
    let titled = |title: &str| {
        let known = known();
        RestIncident { snapshot: Snapshot { title: title.to_owned(), ..known.snapshot.clone() }, ..known }
    };
    let of = |time: &str| RestIncident { updated_at: at(time), ..known() };
    let bare = || RestIncident { status_changed: None, ..of("2026-11-20T08:15:29Z") };
    for (name, changes, answer) in [
        (
            "half an emoji",
            vec![("Box office cannot print tickets\",\"type", "Box \\ud83d\",\"type")],
            titled("Box \u{fffd}"),
        ),
        (
            "no title",
            vec![("\"title\":\"", "\"title\":1e999,\"was\":\"")],
            titled("[#4711] Box office cannot print tickets"),
        ),
        ("no number but in the summary", vec![("\"incident_number\":4711", "\"incident_number\":1e999")], known()),
        ("no time of the change", vec![("\"updated_at\":\"", "\"updated_at\":\"\\ud83d")], of("2026-11-20T08:20:04Z")),
        (
            "nor of the status",
            vec![
                ("\"updated_at\":\"", "\"updated_at\":\"?"),
                ("\"last_status_change_at\":\"", "\"last_status_change_at\":\"?"),
            ],
            bare(),
        ),
        (
            "something deep",
            vec![("{\"incident\":", &format!("{{\"deep\":{}{},\"incident\":", "[".repeat(500), "]".repeat(500)))],
            known(),
        ),
    ] {
        let body = changes.iter().fold(whole.clone(), |body, (old, new)| {
            assert!(body.contains(old), "{name}: {body}");
            body.replacen(old, new, 1)
        });
        let server = Server::start([reply(200, body)]).await;
        let read = api(&server).incident(Auth::App(&token()), &incident_id()).await;
        assert_eq!(read.unwrap(), answer, "{name}");
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_counted_and_no_page_is_lost() {
    let row = |id: &str, service: &Value| {
        with(rest_incident("acknowledged")["incident"].take(), &json!({ "id": id, "service": service }))
    };
    let service = reference("service", SERVICE, "Ticketing");
    for (more, next) in
        [(json!(true), Some(100)), (json!(false), None), (Value::Null, Some(100)), (json!("?"), Some(100))]
    {
        let mut rows: Vec<Value> = (0..97).map(|n| row(&format!("Q{n}"), &service)).collect();
        rows.extend([row("Q97", &Value::Null), row("Q\u{fffd}", &service), json!(7)]);
        let server = Server::start([reply(200, json!({ "incidents": rows, "more": more }))]).await;
        let page = api(&server).open_incidents(Auth::App(&token()), &[], None, 100).await.unwrap();
        assert_eq!((page.items.len(), page.skipped, page.next), (97, 3, next), "{more}");
    }
}

#[tokio::test]
async fn services_come_in_pages() {
    let list = |more: Value| {
        json!({
            "services": [
                { "id": SERVICE, "type": "service", "summary": "Ticketing", "name": "Ticketing" },
                { "id": null, "name": "a service without an id" },
                { "id": "PDOORS1", "name": "Doors" },
            ],
            "limit": 100, "offset": 0, "more": more, "total": null,
        })
    };
    let items = || {
        vec![
            ServiceRef { id: service_id(), name: "Ticketing".to_owned() },
            ServiceRef { id: ServiceId::new("PDOORS1").unwrap(), name: "Doors".to_owned() },
        ]
    };
    for (query, offset, answer, line, next) in [
        ("", 0, list(json!(false)), "GET /services?limit=100&offset=0&sort_by=name", None),
        (" ", 0, list(Value::Null), "GET /services?limit=100&offset=0&sort_by=name", None),
        ("", 0, list(json!(true)), "GET /services?limit=100&offset=0&sort_by=name", Some(100)),
        (
            "A&B é",
            100,
            list(json!(true)),
            "GET /services?limit=100&offset=100&sort_by=name&query=A%26B+%C3%A9",
            Some(200),
        ),
        ("", 9800, list(json!(true)), "GET /services?limit=100&offset=9800&sort_by=name", Some(9900)),
        // PagerDuty refuses what lies beyond 10,000.
        ("", 9900, list(json!(true)), "GET /services?limit=100&offset=9900&sort_by=name", None),
    ] {
        let server = Server::start([reply(200, answer)]).await;
        let page = api(&server).services(Auth::App(&token()), query, offset).await.unwrap();
        assert_eq!(page, Page { items: items(), next, skipped: 1 }, "{line}");
        assert_request(&server.call(), line, None);
    }
}

fn made(secret: &Value) -> Reply {
    reply(
        201,
        json!({ "webhook_subscription": {
            "id": "PSUBSC1", "type": "webhook_subscription", "active": true,
            "delivery_method": { "id": "PDELIV1", "type": "http_delivery_method", "temporarily_disabled": false, "secret": secret },
        }}),
    )
}

#[tokio::test]
async fn a_subscription_is_made_for_one_service() {
    let server = Server::start([made(&json!("c2VjcmV0"))]).await;
    let (token, service) = (token(), service_id());
    let url = "https://bridge.example.com/webhooks/pagerduty".parse().unwrap();
    let wanted = NewSubscription { service: &service, url: &url, description: "PagerBridge", events: &subscribed() };
    let created = api(&server).create_subscription(Auth::App(&token), &wanted).await.unwrap();
    assert_eq!((created.id.clone(), created.secret.expose_secret()), (subscription(), "c2VjcmV0"));
    assert!(!format!("{created:?}").contains("c2VjcmV0"));
    let call = server.call();
    assert_request(&call, "POST /webhook_subscriptions", None);
    let expected = json!({ "webhook_subscription": {
        "type": "webhook_subscription",
        "description": "PagerBridge",
        "events": subscribed(),
        "filter": { "type": "service_reference", "id": SERVICE },
        "delivery_method": { "type": "http_delivery_method", "url": "https://bridge.example.com/webhooks/pagerduty" },
    }});
    assert_eq!(call.json(), expected);
}

#[tokio::test]
async fn a_subscription_whose_deliveries_could_not_be_checked_is_deleted() {
    let server = Server::start([made(&Value::Null), reply(204, "")]).await;
    let (token, service) = (token(), service_id());
    let url = "https://bridge.example.com/webhooks/pagerduty".parse().unwrap();
    let wanted = NewSubscription { service: &service, url: &url, description: "", events: &["incident.triggered"] };
    let error = api(&server).create_subscription(Auth::App(&token), &wanted).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreadable { what: "webhook secret" }), "{error:?}");
    let lines: Vec<String> = server.calls().into_iter().map(|call| call.line).collect();
    assert_eq!(lines, ["POST /webhook_subscriptions", "DELETE /webhook_subscriptions/PSUBSC1"]);
}

#[tokio::test]
async fn a_subscription_is_enabled_tested_and_deleted() {
    let server = Server::start([reply(200, json!({})), reply(202, ""), reply(204, "")]).await;
    let (api, token, id) = (api(&server), token(), subscription());
    api.enable_subscription(Auth::App(&token), &id).await.unwrap();
    api.ping_subscription(Auth::App(&token), &id).await.unwrap();
    api.delete_subscription(Auth::App(&token), &id).await.unwrap();
    let lines = [
        "POST /webhook_subscriptions/PSUBSC1/enable",
        "POST /webhook_subscriptions/PSUBSC1/ping",
        "DELETE /webhook_subscriptions/PSUBSC1",
    ];
    let calls = server.calls();
    assert_eq!(calls.len(), lines.len());
    for (call, line) in calls.iter().zip(lines) {
        assert_request(call, line, None);
        assert_eq!(call.body, "");
        // A POST without a body says so (RFC 9110 8.6): some front doors answer 411 else.
        assert_eq!(call.header("content-length"), line.starts_with("POST").then_some("0"), "{line}");
    }
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let server = Server::start([reply(200, rest_incident("resolved"))]).await;
    let id = domain::ids::IncidentId::new("Q1/../users?x=1").unwrap();
    api(&server).incident(Auth::App(&token()), &id).await.unwrap();
    assert_eq!(server.call().line, "GET /incidents/Q1%2F..%2Fusers%3Fx=1");
}

#[tokio::test]
async fn a_base_may_have_a_path() {
    for base in ["pagerduty", "pagerduty/"] {
        let server = Server::start([reply(200, rest_incident("resolved"))]).await;
        let api = Api::new(http().into(), server.base.join(base).unwrap());
        api.incident(Auth::App(&token()), &incident_id()).await.unwrap();
        assert_eq!(server.call().line, format!("GET /pagerduty/incidents/{INCIDENT}"));
    }
}
