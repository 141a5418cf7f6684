//! Client secrets that were replaced and whose old ones are refused at once.

use jiff::SignedDuration;
use serde_json::json;

use crate::platform::{AdminPage, Platform};
use crate::world::World;

const ADA: &str = "Ada Wong";

/// The operator stores another client secret.
async fn store(world: &World, name: &str, secret: &str) {
    world.change_secret(|values| values[name] = json!(secret)).await;
}

async fn replace_pagerduty_secret(world: &World) {
    store(world, "pagerduty_client_secret", "canary-new").await;
    world.pagerduty().change_client_secret("canary-new");
}

#[tokio::test]
async fn a_new_pagerduty_secret_gets_the_app_its_token_at_once() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    replace_pagerduty_secret(&world).await;
    world.pagerduty().expire_app_tokens();
    world.tick(SignedDuration::from_mins(2));
    let (status, answer) = page.get("/services").await;
    assert_eq!(status, 200, "{answer}");
    world.finish();
}

#[tokio::test]
async fn a_new_pagerduty_secret_lets_people_log_in_at_once() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ben Okafor").await;
    replace_pagerduty_secret(&world).await;
    world.link(ADA).await;
    world.click(ADA, &world.only_card("Payments"), "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.finish();
}

#[tokio::test]
async fn a_new_pagerduty_secret_renews_a_persons_token_at_once() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    world.tick(SignedDuration::from_hours(25));
    let card = world.only_card("Payments");
    // Whoever is sent a link makes the function read the old one.
    assert_eq!(world.click("Ben Okafor", &card, "Acknowledge").await.message(), cards::text::LINK_SENT);
    replace_pagerduty_secret(&world).await;
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.finish();
}

#[tokio::test]
async fn a_new_secret_of_the_bot_posts_at_once() {
    let world = World::new().await;
    world.trigger("Search", "Index stale").await;
    world.settle().await;
    store(&world, "teams_client_secret", "canary-new").await;
    world.teams().change_client_secret("canary-new");
    world.teams().revoke_tokens();
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.only_card("Payments");
    let complaints = world.teams().take_complaints();
    assert_eq!(
        complaints,
        ["token request refused: AADSTS7000215: Invalid client secret provided."],
        "once, with the old one"
    );
    world.finish();
}

#[tokio::test]
async fn a_secret_that_stays_wrong_is_told_and_works_once_it_is_right() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    world.pagerduty().change_client_secret("canary-new");
    world.pagerduty().expire_app_tokens();
    world.tick(SignedDuration::from_mins(2));
    for _ in 0..2 {
        let (status, refused) = page.get("/services").await;
        assert_eq!((status, &refused["error"]["code"]), (500, &json!("pagerduty")), "{refused}");
    }
    store(&world, "pagerduty_client_secret", "canary-new").await;
    assert_eq!(page.get("/services").await.0, 500, "the secret was read a moment ago");
    world.tick(SignedDuration::from_secs(30));
    assert_eq!(page.get("/services").await.0, 200);
    world.finish();
}
