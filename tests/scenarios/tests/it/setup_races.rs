//! Setting up when processes freeze, tables fail, and Teams or PagerDuty tell things late.

use domain::connection::Health;
use domain::ids::{ChannelId, ServiceId};
use domain::incident::ServiceRef;
use jiff::SignedDuration;
use simulators::teams::ChannelKind;

use crate::platform::{AdminPage, Platform, path};
use crate::world::{Browser, Fault, World};

#[tokio::test]
async fn a_removal_that_comes_back_to_life_does_not_end_a_subscription_in_use() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let old = platform.stored_subscription(&service).await.unwrap();
    // The removal saw no connection, was frozen until its lock was over, and goes on now that there is one.
    let id = domain::ids::ServiceId::new(service.as_str()).unwrap();
    let over = setup::ServiceLock::take(&world.stack.app, &crate::world::account(), &id).await.unwrap();
    world.tick(SignedDuration::from_secs(61));
    let ended = setup::end_unused(&world.stack.app, &over, &old).await.unwrap();
    assert_eq!(ended, setup::SubscriptionEnd::Kept);
    assert_eq!(platform.stored_subscription(&service).await, Some(old.clone()));
    assert_eq!(world.pagerduty().subscriptions_of(&service), [old.id.as_str()]);
    world.trigger_in(&service, "Still delivered").await;
    world.settle_all().await;
    assert!(platform.posts().last().unwrap().summary().contains("Still delivered"));

    // It has taken the subscription out of use: who connects now gets one of their own, and the old one can go.
    assert!(world.stack.app.store.retire_subscription(&old).await.unwrap());
    let other = world.teams().create_channel(&platform.team, "other").await.unwrap();
    platform.say_in(&other, "Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    let new = platform.stored_subscription(&service).await.unwrap();
    assert_ne!(new.id, old.id);
    assert_eq!(setup::end_unused(&world.stack.app, &over, &old).await.unwrap(), setup::SubscriptionEnd::Kept);
    assert_eq!(platform.stored_subscription(&service).await, Some(new));
    world.finish();
}

#[tokio::test]
async fn nothing_is_posted_in_a_team_that_has_left_the_account() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let left_over = platform.connections().await.remove(0);
    let before = platform.posts().len();
    let page = AdminPage::open(&world, "Ada Wong").await;
    let disconnect = format!("/teams/{}/disconnect", path(&platform.team));
    let (status, done) = page.write("POST", &disconnect, Some(serde_json::json!({ "confirm": "disconnect" }))).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(platform.installation().await.account, None);
    assert_eq!(platform.connections().await, []);
    // The index that lists connections was behind, and one was overlooked.
    let store = &world.stack.app.store;
    store.add_connection(&left_over).await.unwrap();
    // Another channel of the service keeps its webhooks coming.
    let demo = &world.demo().team;
    let elsewhere = world.teams().add_channel(demo, "elsewhere");
    local::connect(&world.stack.app, demo, &elsewhere, &service, "Checkout").await.unwrap();
    world.trigger_in(&service, "Not for you").await;
    world.settle_all().await;
    assert_eq!(world.cards_in_channel(&elsewhere).len(), 1);
    assert_eq!(platform.posts().len(), before, "the old account is not shown");

    // Authorizing the team again does not bring it back to life.
    platform.uninstall().await;
    world.tick(SignedDuration::from_secs(61));
    platform.install("Ada Wong").await;
    let browser = Browser::new();
    let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
    assert_eq!(world.answer_question(&browser, &question, "link").await.status, 200);
    assert_eq!(platform.connections().await, []);
    world.finish();
}

#[tokio::test]
async fn a_connection_that_is_made_while_the_team_leaves_is_taken_back() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    let service = world.pagerduty().add_service("Checkout");
    let before = platform.installation().await;
    platform
        .world
        .stack
        .app
        .store
        .change_installation(&before.team, |known| Some(domain::connection::Installation { account: None, ..known? }))
        .await
        .unwrap();
    let wish = setup::Wish {
        installation: &before,
        service: &ServiceRef { id: ServiceId::new(service.as_str()).unwrap(), name: "Checkout".to_owned() },
        channel: &ChannelId::new(platform.alerts.as_str()).unwrap(),
        filter: domain::connection::Filter::default(),
        zone: &domain::zone::Zone::UTC,
        mentions: domain::connection::Mentions::Nobody,
        actor: &setup::Actor { name: "Ada".to_owned(), via: store::Via::Teams },
    };
    let refused = setup::connect(&world.stack.app, &wish).await.unwrap_err();
    assert!(matches!(refused, setup::SetupError::NotConnected), "{refused:?}");
    assert_eq!(platform.connections().await, []);
    assert_eq!(world.pagerduty().subscriptions_of(&service), Vec::<String>::new());
    world.finish();
}

#[tokio::test]
async fn a_change_in_teams_that_could_not_be_noted_is_asked_for_again() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    platform.uninstall().await;
    world.trigger_in(&service, "While it was away").await;
    world.advance(SignedDuration::from_mins(5)).await;
    let ada = world.person("Ada Wong").teams;
    let install = async || {
        let answers = world.teams().install_in(&platform.team, &platform.team, &ada).await.unwrap();
        answers.into_iter().map(|answer| answer.status).collect::<Vec<_>>()
    };
    world.stack.aws.refuse_sqs(true);
    assert_eq!(install().await, [503, 503]);
    assert!(matches!(platform.connections().await[0].health, Health::Broken { .. }), "not healthy before all is done");
    world.stack.aws.refuse_sqs(false);
    world.stack.aws.refuse_dynamodb(true);
    assert_eq!(install().await, [503, 503]);
    world.stack.aws.refuse_dynamodb(false);
    assert_eq!(install().await, [200, 200]);
    world.settle_all().await;
    assert_eq!(platform.connections().await[0].health, Health::Healthy);
    assert!(platform.posts().last().unwrap().summary().contains("While it was away"));
    world.finish();
}

#[tokio::test]
async fn an_old_removal_that_is_told_late_and_a_removal_from_an_unknown_channel_leave_the_team_alone() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    let removed_at = world.stack.app.clock.now().to_string();
    world.tick(SignedDuration::from_mins(2));
    platform.install("Ada Wong").await;
    assert_eq!(world.teams().tell_of_old_removal(&platform.team, &removed_at).await.unwrap().status, 200);
    assert_eq!(platform.installation().await.removed_at, None);
    let secret = world.teams().add_channel_of_kind(&platform.team, "secret", ChannelKind::Private);
    world.teams().uninstall_from_channel(&secret).await.unwrap();
    assert_eq!(platform.installation().await.removed_at, None);
    world.tick(SignedDuration::from_mins(2));
    platform.uninstall().await;
    assert!(platform.installation().await.removed_at.is_some(), "a real one counts");
    world.finish();
}

#[tokio::test]
async fn a_role_that_is_taken_away_before_the_confirmation_counts() {
    let world = World::new().await;
    let platform = Platform::new(&world);
    platform.install("Ada Wong").await;
    let browser = Browser::new();
    let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
    for shown in [
        "Platform",
        "Asked for by",
        "The person who added the app",
        "Ada Wong",
        platform.installation().await.tenant.as_str(),
    ] {
        assert!(question.text.contains(shown), "{shown} is not in {}", question.text);
    }
    world.pagerduty().set_role(&world.pagerduty_user("Ada Wong"), "limited_user");
    let refused = world.answer_question(&browser, &question, "link").await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(platform.installation().await.account, None);
    world.pagerduty().set_role(&world.pagerduty_user("Ada Wong"), "admin");
    world.tick(SignedDuration::from_mins(11));
    let late = world.answer_question(&browser, &question, "link").await;
    assert_ne!(late.status, 200, "a log-in waits ten minutes");
    assert_eq!(platform.installation().await.account, None);
    world.finish();
}

#[tokio::test]
async fn a_channel_that_refuses_the_greeting_says_so_where_people_look() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = world.pagerduty().add_service("Checkout");
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    world.teams().fail_next_in(&platform.alerts, 1, &Fault::status(403, "BotDisabledByAdmin"));
    world.settle().await;
    let health = platform.connections().await.remove(0).health;
    assert!(matches!(&health, Health::Broken { reason, .. } if reason == "BotDisabledByAdmin"), "{health:?}");
    assert!(platform.general().iter().any(|card| card.shows("no longer reach")), "the team is told");
    world.advance(SignedDuration::from_mins(2)).await;
    assert_eq!(platform.connections().await.remove(0).health, Health::Healthy, "it is tried again by itself");
    assert!(platform.posts().iter().any(|card| card.shows("will be posted in this channel")));
    world.finish();
}
