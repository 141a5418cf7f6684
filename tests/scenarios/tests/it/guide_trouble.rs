//! Setting up when something is in the way: teams and channels that change, limits, two admins at once, PagerDuty failing.

use domain::connection::Health;
use jiff::SignedDuration;
use serde_json::json;
use simulators::pagerduty::Fault;

use crate::platform::{AdminPage, Platform, path};
use crate::world::{Browser, World};

#[tokio::test]
async fn a_reinstalled_app_binds_its_old_connections_again_by_itself() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    world.settle().await;
    platform.uninstall().await;
    assert!(platform.installation().await.removed_at.is_some());
    assert!(matches!(platform.connections().await[0].health, Health::Broken { .. }));
    world.trigger_in(&service, "While it was away").await;
    world.advance(SignedDuration::from_mins(5)).await;
    platform.install("Ben Okafor").await;
    world.settle_all().await;
    assert_eq!(platform.connections().await[0].health, Health::Healthy);
    let back = world.private_cards("Ben Okafor").pop().unwrap();
    assert!(back.shows("still connected to PagerDuty") && back.shows("again: 1"), "{}", back.text());
    let missed = platform.posts().iter().filter(|card| card.summary().contains("While it was away")).count();
    assert_eq!(missed, 1, "what was missed is posted");
    world.finish();
}

#[tokio::test]
async fn the_table_follows_teams_and_channels() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    platform.connect("Checkout").await;
    let (teams, team) = (world.teams(), platform.team.as_str());
    let state = async || {
        let channel = domain::ids::ChannelId::new(platform.alerts.as_str()).unwrap();
        let installation = platform.installation().await;
        let channel = world.stack.app.store.channel(&installation.team, &channel).await.unwrap().unwrap();
        let healthy = platform.connections().await[0].health == Health::Healthy;
        (installation.shown_name().to_owned(), channel.shown_name().to_owned(), channel.deleted, healthy)
    };
    let is = |team: &str, channel: &str, deleted, healthy| (team.to_owned(), channel.to_owned(), deleted, healthy);
    teams.rename_channel(&platform.alerts, "sirens").await.unwrap();
    assert_eq!(state().await, is("Platform", "sirens", false, true));
    teams.rename_team(team, "Foundation").await.unwrap();
    assert_eq!(state().await, is("Foundation", "sirens", false, true));
    teams.delete_channel(&platform.alerts).await.unwrap();
    assert_eq!(state().await, is("Foundation", "sirens", true, false));
    teams.restore_channel(&platform.alerts).await.unwrap();
    assert_eq!(state().await, is("Foundation", "sirens", false, true));
    teams.archive_team(team).await.unwrap();
    assert_eq!(state().await, is("Foundation", "sirens", false, false));
    teams.unarchive_team(team).await.unwrap();
    assert_eq!(state().await, is("Foundation", "sirens", false, true));
    teams.delete_team(team).await.unwrap();
    assert_eq!(state().await, is("Foundation", "sirens", false, false));
    teams.restore_team(team).await.unwrap();
    assert_eq!(state().await, is("Foundation", "sirens", false, true));
    let before = world.private_cards("Ada Wong").len();
    teams.upgrade(team).await.unwrap();
    assert_eq!(world.private_cards("Ada Wong").len(), before, "an upgrade is no installation");
    assert_eq!(state().await, is("Foundation", "sirens", false, true));
    let late = teams.create_channel(team, "late").await.unwrap();
    let page = AdminPage::open(&world, "Ada Wong").await;
    let (_, found) = page.get(&format!("/teams/{}/channels?query=late", path(team))).await;
    assert_eq!(found["channels"][0]["id"], json!(late));
    world.finish();
}

#[tokio::test]
async fn a_private_channel_is_connected_after_the_app_was_added_to_it() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let secret = world.teams().add_channel_of_kind(&platform.team, "secret", simulators::teams::ChannelKind::Private);
    let ada = world.person("Ada Wong").teams;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let list = format!("/teams/{}/channels", path(&platform.team));
    let kinds = |found: &serde_json::Value| {
        let channels = found["channels"].as_array().unwrap().iter();
        channels.map(|channel| channel["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&page.get(&list).await.1), ["standard", "standard"]);
    world.teams().install_in_channel(&secret, &ada).await.unwrap();
    assert_eq!(kinds(&page.get(&list).await.1), ["standard", "standard", "private"]);
    let service = world.pagerduty().add_service("Payroll");
    let wish = json!({ "service": service, "channel": secret, "filter": "high_urgency" });
    let (status, made) = page.write("POST", &format!("/teams/{}/connections", path(&platform.team)), Some(wish)).await;
    assert_eq!((status, &made["filter"]), (201, &json!("high_urgency")), "{made}");
    world.finish();
}

#[tokio::test]
async fn a_service_with_ten_subscriptions_is_refused_clearly_and_nothing_is_left() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = world.pagerduty().add_service("Popular");
    let said = json!({ "error": { "code": 2019, "message": "Product Limit Reached", "errors": ["Too many"] } });
    let limit = Fault::Answer(400, said.to_string());
    world.pagerduty().fail_next_at("POST /webhook_subscriptions", 1, &limit);
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    assert!(platform.last_reply().shows("ten webhook subscriptions"), "{}", platform.last_reply().text());
    assert!(platform.connections().await.is_empty());
    assert_eq!(platform.stored_subscription(&service).await, None);
    world.finish();
}

#[tokio::test]
async fn a_connection_that_fails_half_way_is_undone() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = world.pagerduty().add_service("Checkout");
    let connect = format!("connect {}", platform.service_url(&service));
    world.pagerduty().fail_next_at("POST /webhook_subscriptions/{id}/ping", 1, &Fault::Status(500));
    platform.say("Ada Wong", &connect).await;
    assert!(platform.last_reply().shows("That did not work"), "{}", platform.last_reply().text());
    assert_eq!(world.pagerduty().subscriptions_of(&service), Vec::<String>::new());
    assert_eq!(platform.stored_subscription(&service).await, None);
    assert!(platform.connections().await.is_empty());

    // The bot is not in the channel.
    let secret = world.teams().add_channel_of_kind(&platform.team, "secret", simulators::teams::ChannelKind::Private);
    let page = AdminPage::open(&world, "Ada Wong").await;
    let ada = world.person("Ada Wong").teams;
    world.teams().install_in_channel(&secret, &ada).await.unwrap();
    world.teams().uninstall_from_channel(&secret).await.unwrap();
    let wish = json!({ "service": service, "channel": secret });
    let (status, refused) =
        page.write("POST", &format!("/teams/{}/connections", path(&platform.team)), Some(wish)).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("channel_unreachable")), "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("I cannot post in this channel"), "{refused}");
    assert_eq!(world.pagerduty().subscriptions_of(&service), Vec::<String>::new());
    assert!(platform.connections().await.is_empty());

    platform.say("Ada Wong", &connect).await;
    assert!(platform.last_reply().shows("is now connected"), "{}", platform.last_reply().text());
    world.finish();
}

#[tokio::test]
async fn two_admins_at_once_make_one_subscription() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.add_person("Eve Adams", "admin").await;
    let service = world.pagerduty().add_service("Checkout");
    let (ada, eve) = (AdminPage::open(&world, "Ada Wong").await, AdminPage::open(&world, "Eve Adams").await);
    let connections = format!("/teams/{}/connections", path(&platform.team));
    let wish = |channel: &str| Some(json!({ "service": service, "channel": channel }));
    let (same, other) = (platform.alerts.as_str(), platform.team.as_str());
    let (one, two, three) = tokio::join!(
        ada.write("POST", &connections, wish(same)),
        eve.write("POST", &connections, wish(same)),
        eve.write("POST", &connections, wish(other)),
    );
    let mut statuses = [one.0, two.0, three.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201, 201], "{one:?} {two:?} {three:?}");
    assert_eq!(world.pagerduty().subscriptions_of(&service).len(), 1);
    assert_eq!(platform.connections().await.len(), 2);
    world.finish();
}

#[tokio::test]
async fn a_deleted_or_renamed_service_is_seen_on_its_connections() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    world.settle().await;
    world.pagerduty().rename_service(&service, "Checkout 2");
    world.settle().await;
    assert_eq!(platform.connections().await[0].service_name, "Checkout 2");
    world.pagerduty().delete_service(&service);
    world.settle().await;
    assert!(matches!(platform.connections().await[0].health, Health::ServiceGone { .. }));
    platform.say("Ada Wong", "connections").await;
    assert!(platform.last_reply().shows("service deleted in PagerDuty"), "{}", platform.last_reply().text());
    world.finish();
}

#[tokio::test]
async fn a_key_is_useless_after_three_days_after_another_installation_and_to_who_is_no_admin() {
    let world = World::new().await;
    let platform = Platform::new(&world);
    platform.install("Ben Okafor").await;
    let welcome = world.private_cards("Ben Okafor").remove(0);
    let first = platform.ask_for_key("Ben Okafor", &welcome).await;
    world.say("Chloe Martin", &format!("authorize {first}")).await;
    let refused = platform.log_in(&Browser::new(), "Chloe Martin", "Chloe Martin").await;
    assert_eq!(refused.status, 403, "who is no admin gets nowhere: {}", refused.text);
    assert_eq!(platform.installation().await.account, None);
    world.advance(SignedDuration::from_hours(73)).await;
    world.say("Ada Wong", &format!("authorize {first}")).await;
    assert!(world.private_cards("Ada Wong").pop().unwrap().shows("This key is not valid"));
    let second = platform.ask_for_key("Ben Okafor", &welcome).await;
    platform.uninstall().await;
    world.tick(SignedDuration::from_mins(2));
    platform.install("Ben Okafor").await;
    world.say("Ada Wong", &format!("authorize {second}")).await;
    assert!(
        world.private_cards("Ada Wong").pop().unwrap().shows("This key is not valid"),
        "a key of an earlier installation"
    );
    world.finish();
}

#[tokio::test]
async fn connecting_again_mends_a_subscription_that_somebody_deleted_in_pagerduty() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let old = world.pagerduty().subscriptions_of(&service).remove(0);
    let app = &world.stack.app;
    let token = app.as_app().new_token().await.unwrap().access_token;
    let id = domain::ids::SubscriptionId::new(old.as_str()).unwrap();
    app.pagerduty.delete_subscription(pagerduty::rest::Auth::App(&token), &id).await.unwrap();
    let page = AdminPage::open(&world, "Ada Wong").await;
    let (_, listed) = page.get(&format!("/teams/{}/connections", path(&platform.team))).await;
    assert_eq!(listed["connections"][0]["subscription"], json!("missing"));
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    assert!(platform.last_reply().shows("already connected"), "{}", platform.last_reply().text());
    let new = world.pagerduty().subscriptions_of(&service);
    assert!(new.len() == 1 && new[0] != old, "{new:?}");
    world.settle().await;
    world.trigger_in(&service, "Heard again").await;
    world.settle().await;
    assert!(platform.posts().iter().any(|card| card.summary().contains("Heard again")));
    world.finish();
}

/// Two organizations share one deployment; nothing of one is of use in the other.
#[tokio::test]
async fn tenants_are_strictly_apart() {
    const OTHER: &str = "00000000-1111-4222-8333-444444444444";
    let own = World::new().await.teams().users()[0].tenant.clone();
    let world = World::with("TEAMS_ALLOWED_TENANTS", &format!("{own},{OTHER}")).await;
    let platform = Platform::new(&world);
    platform.install("Ben Okafor").await;
    let welcome = world.private_cards("Ben Okafor").remove(0);
    let key = platform.ask_for_key("Ben Okafor", &welcome).await;

    let zoe = world.teams().add_user_in(OTHER, "Zoe");
    let elsewhere = world.teams().add_team_in(OTHER, "Elsewhere");
    world.teams().install_in(&elsewhere, &elsewhere, &zoe).await.unwrap();
    let said = |needle: &str| {
        let messages = world.teams().personal_messages(&zoe);
        messages.last().and_then(|message| message.card.clone()).unwrap().to_string().contains(needle)
    };
    assert!(said("Elsewhere"), "her own team's welcome");
    world.teams().say_privately(&zoe, &format!("authorize {key}")).await.unwrap();
    assert!(said("This key is not valid"));
    world.teams().say_privately(&zoe, "open").await.unwrap();
    assert!(said("not connected to PagerDuty yet"), "the other tenant's account is not hers");
    world.teams().say_privately(&zoe, "authorize").await.unwrap();
    assert!(said("Elsewhere"), "her own team, and no other");
    assert_eq!(platform.installation().await.account, None);
    let page = AdminPage::open(&world, "Ada Wong").await;
    let (_, teams) = page.get("/teams").await;
    assert!(!teams.to_string().contains("Elsewhere"), "{teams}");
    world.finish();
}

#[tokio::test]
async fn a_disabled_subscription_shows_on_the_page_and_connecting_again_switches_it_on() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    world.settle().await;
    let subscription = world.pagerduty().subscriptions_of(&service).remove(0);
    world.pagerduty().disable(&subscription);
    let page = AdminPage::open(&world, "Ada Wong").await;
    let list = format!("/teams/{}/connections", path(&platform.team));
    assert_eq!(page.get(&list).await.1["connections"][0]["subscription"], json!("disabled"));
    let wish = json!({ "service": service, "channel": platform.alerts });
    assert_eq!(page.write("POST", &list, Some(wish)).await.0, 200);
    assert_eq!(page.get(&list).await.1["connections"][0]["subscription"], json!("active"));
    world.finish();
}
