//! The configuration page's API: every route of its own document refuses whoever may not use it.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::platform::{AdminPage, Platform, path};
use crate::world::{Browser, World};

/// Method and path of every route, with real ids in it.
fn routes(platform: &Platform<'_>, service: &str) -> Vec<(String, String)> {
    let document = serde_json::to_value(admin_api::open_api()).unwrap();
    let mut found = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        let filled = template
            .replace("{team}", &path(&platform.team))
            .replace("{service}", service)
            .replace("{channel}", &path(&platform.alerts));
        assert!(!filled.contains('{'), "{template}");
        let methods = methods.as_object().unwrap().keys();
        found.extend(methods.filter(|name| *name != "parameters").map(|name| (name.to_uppercase(), filled.clone())));
    }
    found
}

/// Whoever logs out needs no session and no role: see `sessions`.
fn is_log_out(method: &str, path: &str) -> bool {
    (method, path) == ("DELETE", "/session")
}

fn body(path: &str) -> Option<Value> {
    path.ends_with("/disconnect").then(|| json!({ "confirm": "disconnect" }))
}

#[tokio::test]
async fn every_route_refuses_strangers_wrong_roles_other_accounts_and_foreign_pages() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    world.add_person("Eve Adams", "admin").await;
    let (ada, eve) = (AdminPage::open(&world, "Ada Wong").await, AdminPage::open(&world, "Eve Adams").await);
    let routes = routes(&platform, &service);
    assert_eq!(routes.len(), 15, "{routes:?}");
    let url = |path: &str| world.stack.app.config.public(&format!("/admin/api/v1{path}"));

    for (method, path) in routes.iter().filter(|(method, path)| !is_log_out(method, path)) {
        let (status, refused) = Browser::new().api(method, &url(path), Some(&ada.csrf), body(path).as_ref()).await;
        assert_eq!((status, &refused["error"]["code"]), (401, &json!("not_logged_in")), "{method} {path}");
    }
    for (method, path) in &routes {
        if method != "GET" {
            for csrf in [None, Some("guess"), Some(eve.csrf.as_str())] {
                let (status, refused) = ada.browser.api(method, &url(path), csrf, body(path).as_ref()).await;
                assert_eq!((status, &refused["error"]["code"]), (403, &json!("csrf")), "{method} {path} {csrf:?}");
            }
        }
    }

    // Eve is an admin no more. The first refusal ends her session, so each route gets a new one.
    let eves_id = world.pagerduty_user("Eve Adams");
    for (method, path) in routes.iter().filter(|(method, path)| !is_log_out(method, path)) {
        world.pagerduty().set_role(&eves_id, "admin");
        let eve = AdminPage::open(&world, "Eve Adams").await;
        world.pagerduty().set_role(&eves_id, "user");
        world.tick(SignedDuration::from_mins(2));
        let (status, refused) =
            if method == "GET" { eve.get(path).await } else { eve.write(method, path, body(path)).await };
        assert_eq!((status, &refused["error"]["code"]), (403, &json!("not_admin")), "{method} {path}");
    }

    // The team is connected to another account.
    let team = platform.installation().await.team;
    let other = domain::ids::AccountId::new("POTHER").unwrap();
    let change = |known: Option<domain::connection::Installation>| {
        Some(domain::connection::Installation { account: Some(other.clone()), ..known? })
    };
    world.stack.app.store.change_installation(&team, change).await.unwrap();
    for (method, path) in routes.iter().filter(|(_, path)| path.starts_with("/teams/")) {
        let (status, refused) =
            if method == "GET" { ada.get(path).await } else { ada.write(method, path, body(path)).await };
        assert_eq!((status, &refused["error"]["code"]), (404, &json!("not_found")), "{method} {path}");
    }
    let (_, teams) = ada.get("/teams").await;
    assert_eq!(teams["teams"].as_array().unwrap().len(), 1, "{teams}");
    assert_eq!(platform.connections().await.len(), 1, "nothing was changed");
    world.finish();
}

#[tokio::test]
async fn bad_input_gets_a_sentence_and_changes_nothing() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let connections = format!("/teams/{}/connections", path(&platform.team));
    let service = world.pagerduty().add_service("Checkout");
    for (wish, status, code) in [
        (json!({}), 400, "invalid"),
        (json!({ "service": service, "channel": platform.alerts, "filter": "low" }), 400, "invalid"),
        (json!({ "service": "", "channel": platform.alerts }), 400, "invalid"),
        (json!({ "service": service, "channel": "19:elsewhere@thread.tacv2" }), 400, "invalid"),
        (json!({ "service": service, "channel": world.demo().channels[0].channel }), 400, "invalid"),
        (json!({ "service": "PNOSUCH", "channel": platform.alerts }), 409, "service_unknown"),
    ] {
        let (given, refused) = page.write("POST", &connections, Some(wish.clone())).await;
        assert_eq!((given, &refused["error"]["code"]), (status, &json!(code)), "{wish} {refused}");
        assert!(refused["error"]["message"].as_str().unwrap().ends_with('.'), "{refused}");
    }
    assert!(platform.connections().await.is_empty());
    assert_eq!(page.get("/nothing").await.0, 404);
    world.finish();
}

#[tokio::test]
async fn the_document_is_served_and_describes_every_route() {
    let world = World::new().await;
    let url = world.stack.app.config.public("/admin/api/v1/openapi.json");
    let (status, served) = Browser::new().api("GET", &url, None, None).await;
    assert_eq!(status, 200);
    assert_eq!(served, serde_json::to_value(admin_api::open_api()).unwrap());
    assert!(served["openapi"].as_str().unwrap().starts_with("3."), "{}", served["openapi"]);
    world.finish();
}
