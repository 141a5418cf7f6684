//! Webhook subscriptions over REST: who may make which, how many, and what each of them hears.

use serde_json::{Value, json};

use crate::world::{ALL_SCOPES, World, subscription};

fn with(mut wanted: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    wanted.pointer_mut(&format!("/webhook_subscription{parent}")).unwrap()[key] = value;
    wanted
}

#[tokio::test]
async fn a_subscription_must_be_whole_and_right() {
    let world = World::new().await;
    let service = json!({ "type": "service_reference", "id": world.service });
    let good = || subscription(&service, &world.hook("a"));
    let header = |name: &str| json!({ "name": name, "value": "x" });
    for (what, wanted, expected) in [
        ("as it should be", good(), (200, 0)),
        ("another type", with(good(), "/type", json!("webhook")), (400, 2001)),
        ("no events", with(good(), "/events", json!([])), (400, 2001)),
        ("an event twice", with(good(), "/events", json!(["incident.triggered", "incident.triggered"])), (400, 2001)),
        ("an event that is no text", with(good(), "/events", json!(["incident.triggered", 7])), (400, 2001)),
        ("an unknown event", with(good(), "/events", json!(["incident.sang"])), (400, 2001)),
        ("a ping", with(good(), "/events", json!(["pagey.ping"])), (400, 2001)),
        ("no filter", with(good(), "/filter", Value::Null), (400, 2001)),
        ("a service without id", with(good(), "/filter", json!({ "type": "service_reference" })), (400, 2001)),
        (
            "an unknown service",
            with(good(), "/filter", json!({ "type": "service_reference", "id": "PX" })),
            (400, 2001),
        ),
        ("an unknown team", with(good(), "/filter", json!({ "type": "team_reference", "id": "PX" })), (400, 2001)),
        (
            "an account with id",
            with(good(), "/filter", json!({ "type": "account_reference", "id": "PX" })),
            (400, 2001),
        ),
        ("another method", with(good(), "/delivery_method/type", json!("mail")), (400, 2001)),
        ("no address", with(good(), "/delivery_method/url", json!("")), (400, 2001)),
        (
            "an address of another kind",
            with(good(), "/delivery_method/url", json!("ftp://bridge.example/")),
            (400, 2001),
        ),
        (
            "a header twice",
            with(good(), "/delivery_method/custom_headers", json!([header("x-a"), header("X-A")])),
            (400, 2001),
        ),
        (
            "a header without value",
            with(good(), "/delivery_method/custom_headers", json!([{ "name": "x-a" }])),
            (400, 2001),
        ),
        ("active or so", with(good(), "/active", json!("yes")), (400, 2001)),
        ("an unknown OAuth client", with(good(), "/oauth_client_id", json!("A1")), (400, 2001)),
        ("no OAuth client", with(good(), "/oauth_client_id", Value::Null), (200, 0)),
    ] {
        assert_eq!(world.call("POST", "/webhook_subscriptions", wanted).await.error(), expected, "{what}");
    }
    world.finish();
}

#[tokio::test]
async fn the_secret_is_shown_once_and_header_values_never() {
    let world = World::new().await;
    let wanted =
        subscription(&json!({ "type": "service_reference", "id": world.service }), "https://bridge.example/hook");
    let wanted = with(wanted, "/delivery_method/custom_headers", json!([{ "name": "x-key", "value": "top-secret" }]));
    let made = world.call("POST", "/webhook_subscriptions", wanted).await;
    let id = made.text("/webhook_subscription/id");
    let method = "/webhook_subscription/delivery_method";
    assert_eq!(made.text(&format!("{method}/secret")).len(), 64);
    assert_eq!(made.text(&format!("{method}/url")), "https://bridge.example/hook");
    let path = format!("/webhook_subscriptions/{id}");
    let changed = json!({ "webhook_subscription": { "description": "other" } });
    for (verb, path, body) in [
        ("GET", path.clone(), Value::Null),
        ("PUT", path.clone(), changed),
        ("POST", format!("{path}/enable"), Value::Null),
    ] {
        let got = world.call(verb, &path, body).await;
        assert_eq!(got.at(&format!("{method}/secret")), &Value::Null, "{verb}");
        assert!(!got.body.to_string().contains("top-secret"));
    }
    assert_eq!(
        world.get("/webhook_subscriptions").await.at("/webhook_subscriptions/0/delivery_method/secret"),
        &Value::Null
    );
    world.finish();
}

#[tokio::test]
async fn ten_subscriptions_per_service_per_team_and_for_the_account() {
    let world = World::new().await;
    let team = world.pagerduty.add_team("SRE");
    for filter in [
        json!({ "type": "service_reference", "id": world.service }),
        json!({ "type": "team_reference", "id": team }),
        json!({ "type": "account_reference" }),
    ] {
        let wanted = subscription(&filter, &world.hook("a"));
        let mut last = String::new();
        for _ in 0..10 {
            let made = world.call("POST", "/webhook_subscriptions", wanted.clone()).await;
            last = made.text("/webhook_subscription/id");
        }
        let refused = world.call("POST", "/webhook_subscriptions", wanted.clone()).await;
        let error = json!({ "error": { "message": "Product Limit Reached", "code": 2019,
            "errors": ["Webhook subscription limit exceeded for the selected scope"] } });
        assert_eq!((refused.status, refused.body), (400, error), "{filter}");
        assert_eq!(world.call("DELETE", &format!("/webhook_subscriptions/{last}"), Value::Null).await.status, 204);
        assert_eq!(world.call("POST", "/webhook_subscriptions", wanted).await.status, 200, "{filter}");
    }
    for (query, expected) in [
        ("total=true", 30),
        ("filter_type=account&total=true", 10),
        (&format!("filter_type=service&filter_id={}&total=true", world.service), 10),
        (&format!("filter_type=team&filter_id={team}&total=true"), 10),
        ("filter_type=service&filter_id=PX&total=true", 0),
    ] {
        assert_eq!(
            world.get(&format!("/webhook_subscriptions?{query}")).await.at("/total"),
            &json!(expected),
            "{query}"
        );
    }
    for query in ["filter_type=service", "filter_type=user&filter_id=PX"] {
        assert_eq!(world.get(&format!("/webhook_subscriptions?{query}")).await.error(), (400, 2001), "{query}");
    }
    world.finish();
}

#[tokio::test]
async fn subscribing_needs_the_scope_to_read_what_is_told() {
    let world = World::new().await;
    for (event, scope) in [
        ("incident.triggered", "incidents.read"),
        ("incident.annotated", "incidents.read"),
        ("incident.workflow.started", "incident_workflows.read"),
        ("service.updated", "services.read"),
    ] {
        let wanted = subscription(&json!({ "type": "account_reference" }), &world.hook("a"));
        let wanted = with(wanted, "/events", json!([event]));
        let others: Vec<&str> = ALL_SCOPES.into_iter().filter(|known| *known != scope).collect();
        for (scopes, expected) in [(&ALL_SCOPES[..], 200), (&others[..], 403)] {
            let bearer = format!("Bearer {}", world.pagerduty.app_token(scopes));
            let got =
                world.call_with("POST", "/webhook_subscriptions", wanted.clone(), &[("authorization", &bearer)]).await;
            assert_eq!(got.status, expected, "{event}");
        }
    }
    world.finish();
}

#[tokio::test]
async fn managers_have_those_of_services_and_admins_all() {
    let world = World::new().await;
    for (role, of_service, of_account) in [
        ("owner", 200, 200),
        ("admin", 200, 200),
        ("user", 200, 403),
        ("limited_user", 403, 403),
        ("observer", 403, 403),
    ] {
        let user = world.pagerduty.add_user(role, &format!("{role}@example.com"), role);
        let service = json!({ "type": "service_reference", "id": world.service });
        for (filter, expected) in [(service, of_service), (json!({ "type": "account_reference" }), of_account)] {
            let wanted = subscription(&filter, &world.hook("a"));
            let got = world.call_as(&user, "POST", "/webhook_subscriptions", wanted.clone()).await;
            assert_eq!(got.status, expected, "{role} {filter}");
            let id = world.call("POST", "/webhook_subscriptions", wanted).await.text("/webhook_subscription/id");
            let path = format!("/webhook_subscriptions/{id}");
            let deleted = if expected == 200 { 204 } else { 403 };
            assert_eq!(world.call_as(&user, "DELETE", &path, Value::Null).await.status, deleted, "{role} {filter}");
            if deleted == 403 {
                world.call("DELETE", &path, Value::Null).await;
            }
            if expected == 200 {
                let path = format!("/webhook_subscriptions/{}", got.text("/webhook_subscription/id"));
                world.call("DELETE", &path, Value::Null).await;
            }
        }
    }
    world.finish();
}

#[tokio::test]
async fn everything_but_the_delivery_method_can_be_changed() {
    let world = World::new().await;
    let id = world.subscribe_service("a").await;
    let path = format!("/webhook_subscriptions/{id}");
    let search = world.pagerduty.add_service("Search");
    let update = async |fields: Value| world.call("PUT", &path, json!({ "webhook_subscription": fields })).await;
    assert_eq!(update(json!({ "delivery_method": { "url": world.hook("b") } })).await.error(), (400, 2001));
    assert_eq!(update(json!({ "events": [] })).await.error(), (400, 2001));
    let filter = json!({ "type": "service_reference", "id": search });
    let got = update(json!({ "events": ["incident.resolved"], "filter": filter, "description": "new" })).await;
    let told = got.at("/webhook_subscription");
    assert_eq!(
        (&told["events"], &told["filter"], &told["description"]),
        (&json!(["incident.resolved"]), &filter, &json!("new"))
    );
    for service in [&world.service, &search] {
        let incident = world.pagerduty.trigger(service, "DB down", "high");
        world.pagerduty.resolve(&incident, &world.ada);
    }
    world.deliver().await;
    assert_eq!(world.take("a").len(), 1);
    assert_eq!(update(json!({ "active": false })).await.at("/webhook_subscription/active"), &json!(false));
    let incident = world.pagerduty.trigger(&search, "DB down", "high");
    world.pagerduty.resolve(&incident, &world.ada);
    assert_eq!(world.pagerduty.undelivered(), 0, "an inactive one hears nothing");
    world.finish_with(&["PUT /webhook_subscriptions/{id}: body key webhook_subscription.delivery_method"]);
}

#[tokio::test]
async fn each_subscription_hears_what_it_asked_for() {
    let world = World::new().await;
    let (search, team) = (world.pagerduty.add_service("Search"), world.pagerduty.add_team("SRE"));
    world.pagerduty.put_in_team(&search, &team);
    world.subscribe(json!({ "type": "account_reference" }), "account").await;
    world.subscribe_service("service").await;
    world.subscribe(json!({ "type": "team_reference", "id": team }), "team").await;
    let one = subscription(&json!({ "type": "account_reference" }), &world.hook("triggered"));
    world.call("POST", "/webhook_subscriptions", one).await;
    let here = world.pagerduty.trigger(&world.service, "here", "high");
    let there = world.pagerduty.trigger(&search, "there", "high");
    world.pagerduty.resolve(&here, &world.ada);
    world.pagerduty.resolve(&there, &world.ada);
    world.pagerduty.add_service("Third");
    world.deliver().await;
    let told = |hook: &str| -> Vec<String> {
        let name =
            |event: &Value| event["data"]["title"].as_str().or(event["data"]["summary"].as_str()).unwrap().to_owned();
        world.received(hook).iter().map(|received| format!("{} {}", received.kind(), name(&received.event))).collect()
    };
    assert_eq!(
        told("account"),
        [
            "incident.triggered here",
            "incident.triggered there",
            "incident.resolved here",
            "incident.resolved there",
            "service.created Third"
        ]
    );
    assert_eq!(told("service"), ["incident.triggered here", "incident.resolved here"]);
    assert_eq!(told("team"), ["incident.triggered there", "incident.resolved there"]);
    assert_eq!(told("triggered"), ["incident.triggered here", "incident.triggered there"]);
    let (a, b) = (&world.received("account")[0], &world.received("service")[0]);
    assert_eq!(a.event, b.event, "one event");
    assert_ne!(a.header("x-webhook-id"), b.header("x-webhook-id"), "but a webhook for each");
    world.finish();
}

#[tokio::test]
async fn a_ping_is_delivered_on_request() {
    let world = World::new().await;
    let id = world.subscribe_service("a").await;
    let path = format!("/webhook_subscriptions/{id}/ping");
    assert_eq!(world.call_as(&world.ada, "POST", &path, Value::Null).await.status, 202);
    assert_eq!(world.call("POST", &path, Value::Null).await.status, 202);
    world.deliver().await;
    let pings = world.take("a");
    assert_eq!(pings[0].event["agent"], json!({ "id": world.ada, "type": "user_reference" }));
    assert_eq!(pings[1].event["agent"], Value::Null);
    assert_eq!(pings[0].event["data"], json!({ "message": "Hello from your friend Pagey!", "type": "ping" }));
    world.finish();
}

#[tokio::test]
async fn a_deleted_subscription_takes_its_queue_with_it() {
    let world = World::new().await;
    let id = world.subscribe_service("a").await;
    world.pagerduty.trigger(&world.service, "DB down", "high");
    assert_eq!(world.call("DELETE", &format!("/webhook_subscriptions/{id}"), Value::Null).await.status, 204);
    world.deliver().await;
    assert_eq!((world.received("a").len(), world.pagerduty.undelivered()), (0, 0));
    assert_eq!(world.pagerduty.subscriptions_of(&world.service), Vec::<String>::new());
    assert_eq!(world.get(&format!("/webhook_subscriptions/{id}")).await.status, 404);
    world.finish();
}
