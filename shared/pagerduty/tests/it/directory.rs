//! What is looked up: the requests as they go out, and answers with the gaps of real ones.

use domain::ids::{InvalidId, PdUserId, PolicyId, PriorityId, ServiceId};
use domain::incident::{ServiceRef, Status};
use pagerduty::rest::{
    ApiError, Auth, OnCall, Page, PolicyRef, Priority, RestIncident, Role, Service, SubscriptionState, User, UserRef,
};
use serde_json::{Value, json};

use crate::fixtures::*;
use crate::rest::{api, assert_request, expected, mira_acts, rest_incident, subscription, token};
use crate::server::{Server, reply};

fn policy(id: &str) -> PolicyId {
    PolicyId::new(id).unwrap()
}

fn mira_id() -> PdUserId {
    PdUserId::new("PMIRA01").unwrap()
}

#[test]
fn a_policy_id_has_the_rules_of_every_id() {
    assert_eq!((policy("PEVENING").as_str(), policy("PEVENING").to_string()), ("PEVENING", "PEVENING".to_owned()));
    let kind = "PolicyId";
    for (text, expected) in [
        (String::new(), InvalidId::Empty { kind }),
        ("P1#2".to_owned(), InvalidId::BadCharacter { kind, found: '#' }),
        ("x".repeat(301), InvalidId::TooLong { kind }),
    ] {
        assert_eq!(PolicyId::new(text), Err(expected));
    }
}

#[tokio::test]
async fn a_service_is_read() {
    let evening = reference("escalation_policy", "PEVENING", "Evening shift");
    let whole = json!({
        "id": SERVICE, "type": "service", "summary": "Ticketing", "name": "Ticketing", "status": "active",
        "html_url": "https://philharmonie.pagerduty.com/service-directory/PTICKET", "escalation_policy": evening,
    });
    let full = Service {
        id: service_id(),
        name: "Ticketing".to_owned(),
        html_url: Some("https://philharmonie.pagerduty.com/service-directory/PTICKET".parse().unwrap()),
        escalation_policy: Some(PolicyRef { id: policy("PEVENING"), name: "Evening shift".to_owned() }),
    };
    let bare = Service { html_url: None, escalation_policy: None, ..full.clone() };
    for (answer, expected) in [
        (whole.clone(), &full),
        (with(whole.clone(), &json!({ "html_url": null, "escalation_policy": null })), &bare),
        (with(whole.clone(), &json!({ "html_url": "no address", "escalation_policy": {} })), &bare),
        (json!({ "id": SERVICE, "name": "Ticketing" }), &bare),
    ] {
        let server = Server::start([reply(200, json!({ "service": answer }))]).await;
        let token = token();
        assert_eq!(&api(&server).service(mira_acts(&token), &service_id()).await.unwrap(), expected);
        assert_request(&server.call(), "GET /services/PTICKET", None);
    }
}

#[tokio::test]
async fn services_are_found_in_pages_of_any_size() {
    let list = json!({ "services": [{ "id": SERVICE, "name": "Ticketing" }, null], "more": true });
    for (query, offset, limit, line, next) in [
        (" tick ", 50, 25, "GET /services?limit=25&offset=50&sort_by=name&query=tick", Some(75)),
        ("", 0, 0, "GET /services?limit=1&offset=0&sort_by=name", Some(1)),
        ("", 0, 4000, "GET /services?limit=100&offset=0&sort_by=name", Some(100)),
        ("", 9950, 25, "GET /services?limit=25&offset=9950&sort_by=name", Some(9975)),
        // PagerDuty refuses what lies beyond 10,000.
        ("", 9975, 25, "GET /services?limit=25&offset=9975&sort_by=name", None),
    ] {
        let server = Server::start([reply(200, &list)]).await;
        let page = api(&server).find_services(Auth::App(&token()), query, offset, limit).await.unwrap();
        let items = vec![ServiceRef { id: service_id(), name: "Ticketing".to_owned() }];
        assert_eq!(page, Page { items, next, skipped: 1 }, "{line}");
        assert_request(&server.call(), line, None);
    }
}

#[tokio::test]
async fn a_person_is_read() {
    let answer = json!({ "user": {
        "id": "PMIRA01", "type": "user", "name": "Mira Solberg", "email": "mira@philharmonie.example", "role": "admin",
        "html_url": "https://philharmonie.pagerduty.com/users/PMIRA01",
    }});
    let server = Server::start([reply(200, answer)]).await;
    let expected = User {
        id: mira_id(),
        name: "Mira Solberg".to_owned(),
        email: "mira@philharmonie.example".to_owned(),
        role: Role::Admin,
        html_url: Some("https://philharmonie.pagerduty.com/users/PMIRA01".parse().unwrap()),
    };
    assert_eq!(api(&server).user(Auth::App(&token()), &mira_id()).await.unwrap(), expected);
    assert_request(&server.call(), "GET /users/PMIRA01", None);
}

#[tokio::test]
async fn people_are_found() {
    let answer = json!({ "users": [
        { "id": "PTOMAS2", "type": "user", "summary": "Tomás Quispe", "name": "Tomás Quispe", "email": null },
        { "id": "", "name": "nobody" },
        { "id": "PMIRA01", "name": "Mira Solberg", "email": "mira@philharmonie.example", "role": "owner" },
    ], "more": true });
    let expected = [
        UserRef { id: PdUserId::new("PTOMAS2").unwrap(), name: "Tomás Quispe".to_owned(), email: None },
        UserRef { id: mira_id(), name: "Mira Solberg".to_owned(), email: Some("mira@philharmonie.example".to_owned()) },
    ];
    for (query, limit, line) in [
        ("", 15, "GET /users?limit=15"),
        (" mira & tomás ", 0, "GET /users?limit=1&query=mira+%26+tom%C3%A1s"),
        ("m", 101, "GET /users?limit=100&query=m"),
    ] {
        let server = Server::start([reply(200, &answer)]).await;
        let token = token();
        assert_eq!(api(&server).users(mira_acts(&token), query, limit).await.unwrap(), expected);
        assert_request(&server.call(), line, None);
    }
}

#[tokio::test]
async fn priorities_keep_their_order() {
    let answer = json!({ "priorities": [
        { "id": "PPRIO9", "type": "priority", "summary": "Sev 1", "name": "Sev 1", "description": "All dark" },
        { "id": null, "name": "Sev 2" },
        { "id": "PPRIO1", "name": "Sev 3" },
    ]});
    let server = Server::start([reply(200, answer)]).await;
    let token = token();
    let priority = |id: &str, name: &str| Priority { id: PriorityId::new(id).unwrap(), name: name.to_owned() };
    let expected = [priority("PPRIO9", "Sev 1"), priority("PPRIO1", "Sev 3")];
    assert_eq!(api(&server).priorities(mira_acts(&token)).await.unwrap(), expected);
    assert_request(&server.call(), "GET /priorities?limit=100", None);
}

#[tokio::test]
async fn many_accounts_have_no_priorities() {
    for (answer, none) in [
        (reply(200, json!({ "priorities": [] })), true),
        (reply(402, json!({ "error": { "message": "Account does not have the abilities", "code": 2014 } })), true),
        (reply(403, ""), true),
        (reply(404, ""), true),
        (reply(401, ""), false),
        (reply(500, ""), false),
        (reply(429, ""), false),
        (reply(200, "{}"), false),
    ] {
        let server = Server::start([answer.clone()]).await;
        let found = api(&server).priorities(Auth::App(&token())).await;
        assert_eq!(found.as_ref().ok(), none.then(Vec::new).as_ref(), "{answer:?}: {found:?}");
    }
}

fn shift(policy: &str, level: u32, user: &Value) -> Value {
    json!({
        "user": user, "schedule": null, "escalation_policy": reference("escalation_policy", policy, "Some shift"),
        "escalation_level": level, "start": null, "end": null,
    })
}

fn forever(policy_id: &str, level: u32, user: &str) -> OnCall {
    OnCall { policy: policy(policy_id), level, user: user.to_owned(), schedule: None, until: None }
}

#[tokio::test]
async fn who_is_on_call_is_sorted_by_policy_and_level() {
    let rotating = json!({
        "schedule": reference("schedule", "PNIGHTS", "Nights"),
        "start": "2026-11-20T18:00:00+01:00", "end": "2026-11-21T06:00:00+01:00",
    });
    let answer = json!({ "oncalls": [
        shift("PMORNING", 1, &tomas_reference()),
        shift("PEVENING", 10, &tomas_reference()),
        with(shift("PEVENING", 2, &mira_reference()), &rotating),
        // A whole user, as `include[]=users` gives it.
        shift("PEVENING", 1, &with(tomas_reference(), &json!({ "type": "user", "name": "Tomás Quispe", "role": "user" }))),
        shift("PEVENING", 1, &mira_reference()),
        shift("PEVENING", 1, &Value::Null),
        without(shift("PEVENING", 1, &mira_reference()), "escalation_level"),
        without(shift("PEVENING", 1, &mira_reference()), "escalation_policy"),
    ], "limit": 100, "offset": 0, "more": false });
    let server = Server::start([reply(200, answer)]).await;
    let token = token();
    let found = api(&server).oncalls(mira_acts(&token), &[policy("PMORNING"), policy("PEVENING")]).await.unwrap();
    let night = OnCall {
        schedule: Some("Nights".to_owned()),
        until: Some(at("2026-11-21T05:00:00Z")),
        ..forever("PEVENING", 2, "Mira Solberg")
    };
    let expected = [
        forever("PEVENING", 1, "Tomás Quispe"),
        forever("PEVENING", 1, "Mira Solberg"),
        night,
        forever("PEVENING", 10, "Tomás Quispe"),
        forever("PMORNING", 1, "Tomás Quispe"),
    ];
    assert_eq!(found, expected);
    let line = "GET /oncalls?limit=100&offset=0&earliest=true&include%5B%5D=users\
                &escalation_policy_ids%5B%5D=PMORNING&escalation_policy_ids%5B%5D=PEVENING";
    assert_request(&server.call(), line, None);
}

#[tokio::test]
async fn nobody_on_call_is_left_out_and_no_list_is_endless() {
    let page = |level: u32, more: bool| {
        reply(200, json!({ "oncalls": [shift("PEVENING", level, &mira_reference())], "more": more }))
    };
    for (pages, levels) in [
        (vec![page(2, true), page(1, false)], vec![1, 2]),
        ((1..=5).map(|level| page(level, true)).collect(), vec![1, 2, 3, 4, 5]),
    ] {
        let server = Server::start(pages).await;
        let found = api(&server).oncalls(Auth::App(&token()), &[policy("PEVENING")]).await.unwrap();
        assert_eq!(found.iter().map(|shift| shift.level).collect::<Vec<u32>>(), levels);
        let calls = server.calls();
        assert_eq!(calls.len(), levels.len());
        for (call, offset) in calls.iter().zip((0..).step_by(100)) {
            assert!(call.line.contains(&format!("&offset={offset}&")), "{}", call.line);
        }
    }
}

#[tokio::test]
async fn no_policy_does_not_mean_everybody() {
    let server = Server::start([]).await;
    assert_eq!(api(&server).oncalls(Auth::App(&token()), &[]).await.unwrap(), []);
    assert_eq!(server.calls().len(), 0);
}

#[tokio::test]
async fn open_incidents_are_listed() {
    let (one, other) = (service_id(), ServiceId::new("PDOORS1").unwrap());
    let mira = mira_id();
    let list = |more: bool| {
        let found = rest_incident("acknowledged")["incident"].take();
        json!({ "incidents": [found, { "id": "Q2", "status": "snoozed" }], "more": more })
    };
    let always = "statuses%5B%5D=triggered&statuses%5B%5D=acknowledged&date_range=all&sort_by=created_at%3Adesc";
    let these = [one, other];
    for (services, assigned_to, limit, more, line, next) in [
        (&[][..], None, 10, false, format!("GET /incidents?limit=10&{always}"), None),
        (
            &these[..],
            None,
            500,
            true,
            format!("GET /incidents?limit=100&{always}&service_ids%5B%5D=PTICKET&service_ids%5B%5D=PDOORS1"),
            Some(100),
        ),
        (
            &these[..1],
            Some(&mira),
            0,
            true,
            format!("GET /incidents?limit=1&{always}&service_ids%5B%5D=PTICKET&user_ids%5B%5D=PMIRA01"),
            Some(1),
        ),
    ] {
        let server = Server::start([reply(200, list(more))]).await;
        let token = token();
        let page = api(&server).open_incidents(mira_acts(&token), services, assigned_to, limit).await.unwrap();
        assert_eq!(page, Page { items: vec![expected(Status::Acknowledged)], next, skipped: 1 }, "{line}");
        assert_request(&server.call(), &line, None);
    }
}

#[tokio::test]
async fn the_newest_incidents_are_listed_page_by_page() {
    let (ours, mira) = ([service_id()], mira_id());
    let found = rest_incident("acknowledged")["incident"].take();
    let list = json!({ "incidents": [found], "more": true });
    let range = "date_range=all&sort_by=created_at%3Adesc";
    let triggered = "statuses%5B%5D=triggered";
    let over = "statuses%5B%5D=acknowledged&statuses%5B%5D=resolved";
    for (statuses, services, assigned_to, offset, line, next) in [
        (&[Status::Triggered][..], &[][..], None, 0, format!("limit=100&{triggered}&{range}"), Some(100)),
        (
            &[Status::Triggered],
            &ours,
            Some(&mira),
            100,
            format!("limit=100&offset=100&{triggered}&{range}&service_ids%5B%5D=PTICKET&user_ids%5B%5D=PMIRA01"),
            Some(200),
        ),
        // PagerDuty refuses what lies beyond 10,000.
        (
            &[Status::Acknowledged, Status::Resolved],
            &[],
            None,
            9900,
            format!("limit=100&offset=9900&{over}&{range}"),
            None,
        ),
    ] {
        let server = Server::start([reply(200, &list)]).await;
        let token = token();
        let page = api(&server).newest_incidents(mira_acts(&token), statuses, services, assigned_to, offset).await;
        assert_eq!(page.unwrap(), Page { items: vec![expected(Status::Acknowledged)], next, skipped: 0 }, "{line}");
        assert_request(&server.call(), &format!("GET /incidents?{line}"), None);
    }
}

#[tokio::test]
async fn a_subscription_delivers_is_off_or_gone() {
    let known = |active: Value, dropped: Value| {
        reply(
            200,
            json!({ "webhook_subscription": {
                "id": "PSUBSC1", "type": "webhook_subscription", "active": active,
                "delivery_method": { "type": "http_delivery_method", "secret": null, "temporarily_disabled": dropped },
            }}),
        )
    };
    for (answer, state) in [
        (known(json!(true), json!(false)), Some(SubscriptionState::Active)),
        (known(json!(true), json!(true)), Some(SubscriptionState::Disabled)),
        (known(json!(false), json!(false)), Some(SubscriptionState::Disabled)),
        // What is not said must not raise an alarm.
        (known(Value::Null, Value::Null), Some(SubscriptionState::Active)),
        (reply(200, json!({ "webhook_subscription": {} })), Some(SubscriptionState::Active)),
        (reply(404, ""), Some(SubscriptionState::Gone)),
        (reply(410, ""), Some(SubscriptionState::Gone)),
        (reply(403, ""), None),
        (reply(500, ""), None),
        (reply(200, ""), None),
    ] {
        let server = Server::start([answer.clone()]).await;
        let found = api(&server).subscription_state(Auth::App(&token()), &subscription()).await;
        assert_eq!(found.as_ref().ok(), state.as_ref(), "{answer:?}: {found:?}");
        assert_request(&server.call(), "GET /webhook_subscriptions/PSUBSC1", None);
    }
}

#[tokio::test]
async fn an_answer_without_the_list_is_not_an_empty_list() {
    let server = Server::start(vec![reply(200, "{}"); 5]).await;
    let (api, token) = (api(&server), token());
    let app = Auth::App(&token);
    let missing = [
        api.service(app, &service_id()).await.map(drop),
        api.user(app, &mira_id()).await.map(drop),
        api.users(app, "", 10).await.map(drop),
        api.oncalls(app, &[policy("PEVENING")]).await.map(drop),
        api.open_incidents(app, &[], None, 10).await.map(|_: Page<RestIncident>| ()),
    ];
    let what = missing.map(|missing| match missing {
        Err(ApiError::Unreadable { what }) => what,
        other => panic!("{other:?}"),
    });
    assert_eq!(what, ["service", "user", "users", "oncalls", "incidents"]);
}
