//! How a session of the configuration page ends.

use jiff::SignedDuration;
use serde_json::json;
use simulators::pagerduty::Fault;

use crate::platform::{AdminPage, Platform};
use crate::world::{Browser, World};

const ADA: &str = "Ada Wong";

async fn is_logged_in(page: &AdminPage<'_>) -> bool {
    page.get("/session").await.0 == 200
}

async fn log_out(page: &AdminPage<'_>) -> u16 {
    page.write("DELETE", "/session", None).await.0
}

#[tokio::test]
async fn a_session_ends_with_the_log_out_and_after_eight_hours_of_use() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    let (_, session) = page.get("/session").await;
    assert_eq!((&session["user"]["role"], &session["user"]["email"]), (&json!("admin"), &json!("ada@example.com")));
    assert_eq!(log_out(&page).await, 204);
    assert!(page.browser.was_told_to_forget());
    assert!(!is_logged_in(&page).await, "and whoever has kept the cookie has nothing");

    let page = AdminPage::open(&world, ADA).await;
    for _ in 0..23 {
        world.tick(SignedDuration::from_mins(20));
        assert!(is_logged_in(&page).await);
    }
    world.tick(SignedDuration::from_mins(20));
    assert!(!is_logged_in(&page).await);
    world.finish();
}

#[tokio::test]
async fn a_log_out_needs_nothing_of_pagerduty_and_works_without_a_role() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let ada = world.pagerduty_user(ADA);

    let page = AdminPage::open(&world, ADA).await;
    world.tick(SignedDuration::from_mins(2));
    world.pagerduty().expire_app_tokens();
    world.pagerduty().fail_next(50, &Fault::Status(500));
    world.pagerduty().fail_next_token(50, &Fault::Status(500));
    assert_eq!(page.get("/session").await.0, 503, "PagerDuty is down");
    assert_eq!(log_out(&page).await, 204);
    world.pagerduty().clear_faults();
    assert!(!is_logged_in(&page).await);

    let page = AdminPage::open(&world, ADA).await;
    world.pagerduty().set_role(&ada, "user");
    assert_eq!(log_out(&page).await, 204);
    assert!(page.browser.was_told_to_forget());
    world.pagerduty().set_role(&ada, "admin");
    assert!(!is_logged_in(&page).await);
    world.finish();
}

#[tokio::test]
async fn whoever_logs_out_twice_is_logged_out_and_a_foreign_page_logs_nobody_out() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    let url = world.stack.app.config.public("/admin/api/v1/session");
    for csrf in [None, Some("guess")] {
        let (status, refused) = page.browser.api("DELETE", &url, csrf, None).await;
        assert_eq!((status, &refused["error"]["code"]), (403, &json!("csrf")));
    }
    assert!(is_logged_in(&page).await);
    for _ in 0..2 {
        assert_eq!(log_out(&page).await, 204);
        assert!(page.browser.was_told_to_forget());
    }
    assert_eq!(Browser::new().api("DELETE", &url, None, None).await.0, 204, "nobody is logged in there");
    world.finish();
}

#[tokio::test]
async fn a_log_out_that_cannot_be_done_takes_the_cookie_away_all_the_same() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    world.stack.aws.refuse_dynamodb(true);
    assert_eq!(log_out(&page).await, 503);
    world.stack.aws.refuse_dynamodb(false);
    assert!(page.browser.was_told_to_forget());

    let page = AdminPage::open(&world, ADA).await;
    world.change_secret(|document| document["session_key"] = json!("another-session-key")).await;
    world.tick(SignedDuration::from_mins(6));
    assert_eq!(log_out(&page).await, 403, "it may be a foreign page");
    assert!(!page.browser.was_told_to_forget());
    world.change_secret(|document| document["session_key"] = json!("")).await;
    world.tick(SignedDuration::from_mins(6));
    assert_eq!(log_out(&page).await, 503, "the cookie cannot be checked");
    assert!(page.browser.was_told_to_forget());
    world.finish();
}

#[tokio::test]
async fn half_an_hour_without_a_request_ends_a_session() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    world.tick(SignedDuration::from_mins(29));
    assert!(is_logged_in(&page).await);
    world.tick(SignedDuration::from_mins(29));
    assert!(is_logged_in(&page).await, "use prolongs it");
    world.tick(SignedDuration::from_mins(30));
    let (status, refused) = page.get("/teams").await;
    assert_eq!((status, &refused["error"]["code"]), (401, &json!("not_logged_in")));
    assert!(!is_logged_in(&page).await);
    world.finish();
}

#[tokio::test]
async fn use_is_noted_once_a_minute_and_a_session_of_an_older_version_ends_when_idle_too() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    let cookie = page.browser.cookie(setup::SESSION_COOKIE).unwrap();
    let store = &world.stack.app.store;
    let now = || world.stack.app.clock.now();
    let stored = async || store.session(&cookie, now()).await.unwrap();
    let opened = now();
    for (wait, seen) in [(30, opened), (29, opened), (1, opened + SignedDuration::from_mins(1))] {
        world.tick(SignedDuration::from_secs(wait));
        assert!(is_logged_in(&page).await);
        assert_eq!(stored().await.unwrap().seen_at, Some(seen));
    }
    for (idle, lives) in [(29, true), (30, false)] {
        let checked_at = now() - SignedDuration::from_mins(idle);
        let old = store::Session { seen_at: None, checked_at, ..stored().await.unwrap() };
        store.put_session(&cookie, &old).await.unwrap();
        assert_eq!(is_logged_in(&page).await, lives, "unused for {idle} minutes");
        assert_eq!(stored().await.map(|session| session.seen_at), lives.then(|| Some(now())));
    }
    world.finish();
}

#[tokio::test]
async fn what_is_in_use_stays_so_while_pagerduty_is_down() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let page = AdminPage::open(&world, ADA).await;
    for _ in 0..3 {
        world.tick(SignedDuration::from_mins(20));
        world.pagerduty().fail_next(50, &Fault::Status(500));
        let (status, refused) = page.get("/teams").await;
        assert_eq!(status, 503, "{refused}");
        assert!(!page.browser.was_told_to_forget());
        world.pagerduty().clear_faults();
    }
    assert!(is_logged_in(&page).await);
    world.finish();
}

#[tokio::test]
async fn a_role_that_was_taken_away_ends_the_session_for_good() {
    let world = World::new().await;
    let _platform = Platform::authorized(&world).await;
    let ada = world.pagerduty_user(ADA);
    for method in ["GET", "POST"] {
        let page = AdminPage::open(&world, ADA).await;
        world.tick(SignedDuration::from_mins(2));
        world.pagerduty().set_role(&ada, "user");
        let (status, refused) = match method {
            "GET" => page.get("/teams").await,
            _ => page.write(method, "/teams/x/disconnect", Some(json!({ "confirm": "disconnect" }))).await,
        };
        assert_eq!((status, &refused["error"]["code"]), (403, &json!("not_admin")), "{method}");
        let why = "Only an Account Owner or Global Admin of the PagerDuty account may do this.";
        assert_eq!(refused["error"]["message"], why);
        assert!(page.browser.was_told_to_forget());
        world.pagerduty().set_role(&ada, "admin");
        let (status, refused) = page.get("/teams").await;
        assert_eq!((status, &refused["error"]["code"]), (401, &json!("not_logged_in")), "{method}: the role is back");
    }
    assert!(is_logged_in(&AdminPage::open(&world, ADA).await).await);
    world.finish();
}
