//! The guide, step by step, and its FAQ. `infra/docs/guide.md` says which scenario proves which sentence.

use jiff::SignedDuration;
use serde_json::json;

use crate::platform::{AdminPage, Platform, path};
use crate::world::{Browser, World};

const NOT_NOW: &str = "We can't connect Microsoft Teams to PagerDuty. Authorization cannot be completed at this time. You may \
                       close this window.";
const EXPIRED: &str = "We can't connect Microsoft Teams to PagerDuty. The authorization link has expired or is not valid. \
                       Return to Teams to generate a new one. You may close this window.";

#[tokio::test]
async fn guide_steps_1_to_3_adding_the_app_sends_a_private_message_with_authorize() {
    let world = World::new().await;
    let platform = Platform::new(&world);
    platform.install("Ben Okafor").await;
    let cards = world.private_cards("Ben Okafor");
    assert_eq!(cards.len(), 1, "one message, although Teams tells the installation twice");
    assert!(cards[0].shows("Installation is complete") && cards[0].shows("Platform"), "{}", cards[0].text());
    let ben = world.person("Ben Okafor").teams;
    let buttons = world.teams().buttons(&ben, &cards[0].message.id).unwrap();
    assert_eq!(buttons, ["Authorize", "I’m not a PagerDuty Admin"]);
    let stored = platform.installation().await;
    assert_eq!(stored.team_name.as_deref(), Some("Platform"));
    let channels = world.stack.app.store.channels_of_team(&stored.team).await.unwrap();
    let mut names: Vec<&str> = channels.iter().map(|channel| channel.shown_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["General", "alerts"]);
    world.finish();
}

#[tokio::test]
async fn guide_step_3_somebody_who_is_no_admin_gets_a_key_for_an_admin() {
    let world = World::new().await;
    let platform = Platform::new(&world);
    platform.install("Ben Okafor").await;
    let welcome = world.private_cards("Ben Okafor").remove(0);
    let key = platform.ask_for_key("Ben Okafor", &welcome).await;
    let instructions = world.private_cards("Ben Okafor").pop().unwrap();
    assert!(instructions.shows("Forward this message to an Admin"), "{}", instructions.text());

    // a, b: the admin opens a chat with the bot and uses the key.
    world.say("Ada Wong", &format!("  AUTHORIZE   {} ", key.to_lowercase())).await;
    let link = world.private_cards("Ada Wong").pop().unwrap();
    assert!(link.shows("personal authorization link for the team Platform"), "{}", link.text());
    let browser = Browser::new();
    let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
    let done = world.answer_question(&browser, &question, "link").await;
    assert!(done.text.contains("You've successfully connected the Platform team to PagerDuty"), "{}", done.text);

    world.say("Chloe Martin", &format!("authorize {key}")).await;
    let used = world.private_cards("Chloe Martin").pop().unwrap();
    assert!(used.shows("This key is not valid"), "the team is connected: {}", used.text());
    world.finish();
}

#[tokio::test]
async fn guide_step_4_an_admin_logs_in_and_the_team_is_connected() {
    let world = World::new().await;
    let platform = Platform::new(&world);
    platform.install("Ada Wong").await;
    let browser = Browser::new();
    let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
    assert!(question.text.contains("Platform") && question.text.contains("ada@example.com"), "{}", question.text);
    assert!(!question.url.contains("code=") && !question.url.contains("state="), "{}", question.url);
    assert_eq!(platform.installation().await.account, None, "nothing happens before the question is answered");
    let done = world.answer_question(&browser, &question, "link").await;
    assert!(done.text.contains("You've successfully connected the Platform team to PagerDuty"), "{}", done.text);
    assert!(platform.installation().await.account.is_some());
    let again = world.answer_question(&browser, &question, "link").await;
    assert!(again.text.contains(EXPIRED), "a confirmation works once: {}", again.text);
    world.finish();
}

#[tokio::test]
async fn guide_step_4_errors_who_is_no_admin_cannot_authorize() {
    let world = World::new().await;
    let platform = Platform::new(&world);
    platform.install("Ada Wong").await;
    for (who, hint) in
        [("Ben Okafor", "Account Owner or Global Admin"), ("Chloe Martin", "Account Owner or Global Admin")]
    {
        let refused = platform.log_in(&Browser::new(), "Ada Wong", who).await;
        assert_eq!(refused.status, 403);
        assert!(refused.text.contains(NOT_NOW) && refused.text.contains(hint), "{}", refused.text);
    }
    let foreign = world.pagerduty().add_foreign_user("Mallory", "mallory@example.com", "admin");
    let callback = world.at_pagerduty(&Browser::new(), "Ada Wong", &foreign).await;
    assert!(callback.contains("code="));
    let browser = Browser::new();
    let callback = world.at_pagerduty(&browser, "Ada Wong", &foreign).await;
    let refused = browser.follow(&callback).await;
    assert!(refused.text.contains(NOT_NOW), "an admin of another account: {}", refused.text);
    assert_eq!(platform.installation().await.account, None);
    world.pagerduty().take_unknown_requests();
    world.finish();
}

#[tokio::test]
async fn guide_step_4_errors_an_expired_link_is_renewed_by_a_private_message() {
    let world = World::new().await;
    let platform = Platform::new(&world);
    platform.install("Ada Wong").await;
    let url = world.private_cards("Ada Wong")[0].link();
    world.advance(SignedDuration::from_mins(61)).await;
    for _ in 0..2 {
        let late = Browser::new().get(&url).await;
        assert!(late.text.contains(EXPIRED), "{}", late.text);
    }
    let cards = world.private_cards("Ada Wong");
    assert_eq!(cards.len(), 2, "one renewed link, however often the old one is opened");
    let browser = Browser::new();
    let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
    let done = world.answer_question(&browser, &question, "link").await;
    assert!(done.text.contains("You've successfully connected the Platform team"), "{}", done.text);
    let made_up = Browser::new().get(&world.stack.app.config.public("/oauth/start?ticket=guess")).await;
    assert!(made_up.text.contains(EXPIRED));
    world.finish();
}

#[tokio::test]
async fn guide_step_5_a_service_is_connected_on_the_configuration_page() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    for number in 0..60 {
        world.pagerduty().add_service(&format!("Filler {number:02}"));
    }
    let service = world.pagerduty().add_service("Checkout");
    let page = AdminPage::open(&world, "Ada Wong").await;
    let (_, teams) = page.get("/teams").await;
    let names: Vec<&str> =
        teams["teams"].as_array().unwrap().iter().map(|team| team["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Platform", "Site Reliability"]);
    let (_, found) = page.get("/services?query=check").await;
    assert_eq!(found, json!({ "services": [{ "id": service, "name": "Checkout" }], "next": null }));
    let (_, first) = page.get("/services?query=filler").await;
    assert_eq!(
        (first["services"].as_array().unwrap().len(), &first["next"]),
        (25, &json!(25)),
        "never everything at once"
    );
    let team = path(&platform.team);
    let (_, channels) = page.get(&format!("/teams/{team}/channels?query=ale")).await;
    assert_eq!(channels["channels"][0]["id"], json!(platform.alerts));

    // The audit is in the order of time.
    world.tick(SignedDuration::from_secs(1));
    let wish = json!({ "service": service, "channel": platform.alerts });
    let (status, made) = page.write("POST", &format!("/teams/{team}/connections"), Some(wish.clone())).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["subscription"], &made["health"]["state"]), (&json!("active"), &json!("healthy")));
    let (status, _) = page.write("POST", &format!("/teams/{team}/connections"), Some(wish)).await;
    assert_eq!(status, 200, "the same again changes nothing");
    assert_eq!(world.pagerduty().subscriptions_of(&service).len(), 1);

    world.settle().await;
    world.trigger_in(&service, "Carts are empty").await;
    world.settle().await;
    assert!(platform.posts().iter().any(|card| card.summary().contains("Carts are empty")));
    let (_, listed) = page.get(&format!("/teams/{team}/connections")).await;
    assert_eq!(listed["connections"][0]["last_delivery"]["outcome"], json!("posted"), "{listed}");

    let one = format!("/teams/{team}/connections/{service}/{}", path(&platform.alerts));
    world.tick(SignedDuration::from_secs(1));
    let (status, _) = page.write("POST", &format!("{one}/test"), None).await;
    assert_eq!(status, 202);
    world.settle().await;
    assert!(
        platform.posts().iter().any(|card| card.shows("TEST: this is a test notification") && card.shows("Ada Wong"))
    );
    let (_, listed) = page.get(&format!("/teams/{team}/connections")).await;
    assert_eq!(listed["connections"][0]["last_delivery"]["outcome"], json!("tested"));
    let (_, audit) = page.get("/audit").await;
    let entries = audit["entries"].as_array().unwrap();
    let did: Vec<&str> = entries.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    assert!(
        did[0].starts_with("sent a test notification") && did[1].starts_with("connected the service Checkout"),
        "{did:?}"
    );
    world.finish();
}

#[tokio::test]
async fn guide_step_6_link_accounts_is_offered_in_general_and_in_the_connected_channel() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    platform.connect("Checkout").await;
    for cards in [platform.general(), platform.posts()] {
        let card = cards.first().expect("a message in the channel");
        assert_eq!(card.buttons(), ["Link Accounts"], "{}", card.text());
        let before = world.private_cards("Chloe Martin").len();
        let answer = platform.press("Chloe Martin", card, "Link Accounts").await;
        assert!(answer.message().contains("private message"), "{}", answer.message());
        assert_eq!(world.private_cards("Chloe Martin").len(), before + 1);
    }
    world.complete_link(&Browser::new(), "Chloe Martin", "Chloe Martin").await;
    world.finish();
}

#[tokio::test]
async fn guide_step_7_a_user_of_another_account_is_refused_with_the_guides_hint() {
    let world = World::new().await;
    let foreign = world.pagerduty().add_foreign_user("Mallory", "mallory@example.com", "admin");
    world.say("Chloe Martin", "linkUser").await;
    let browser = Browser::new();
    let callback = world.at_pagerduty(&browser, "Chloe Martin", &foreign).await;
    let refused = browser.follow(&callback).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert!(refused.text.contains("verify that your PagerDuty credentials are correct"), "{}", refused.text);
    assert!(refused.text.contains("open command"), "{}", refused.text);
    assert!(!world.is_linked("Chloe Martin").await);
    world.finish();
}

#[tokio::test]
async fn guide_incident_actions_the_wanted_action_is_one_click_after_linking() {
    let world = World::new().await;
    for (who, button, verb, status) in
        [("Ada Wong", "Acknowledge", "resume", "acknowledged"), ("Ben Okafor", "Resolve", "resume", "resolved")]
    {
        let incident = world.trigger("Payments", &format!("For {who}")).await;
        world.settle().await;
        let cards = world.cards("Payments");
        let card = cards.iter().find(|card| card.json().contains(&incident)).unwrap();
        let answer = world.click(who, card, button).await;
        assert!(answer.message().contains("private message"), "{}", answer.message());
        assert_eq!(world.status_in_pagerduty(&incident), "triggered");
        world.complete_link(&Browser::new(), who, who).await;
        let linked = world.private_cards(who).pop().unwrap();
        assert_eq!(linked.buttons(), [format!("{button} now")], "{}", linked.text());
        let person = world.person(who).teams;
        let answer = world.teams().click(&person, &linked.message.id, verb, json!({})).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(world.status_in_pagerduty(&incident), status, "{answer:?}");
    }
    world.finish();
}

#[tokio::test]
async fn guide_faq_removing_a_connection_deletes_the_subscription_that_nobody_needs() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let other = world.teams().add_channel(&platform.team, "other");
    platform.say_in(&other, "Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    assert_eq!(world.pagerduty().subscriptions_of(&service).len(), 1, "one subscription for two channels");
    let page = AdminPage::open(&world, "Ada Wong").await;
    let team = path(&platform.team);
    for (channel, end) in [(&platform.alerts, "kept"), (&other, "deleted")] {
        let one = format!("/teams/{team}/connections/{service}/{}", path(channel));
        assert_eq!(page.write("DELETE", &one, None).await, (200, json!({ "subscription": end })));
        assert_eq!(page.write("DELETE", &one, None).await.0, 404, "it is gone");
    }
    assert_eq!(world.pagerduty().subscriptions_of(&service), Vec::<String>::new());
    let before = platform.posts().len();
    world.trigger_in(&service, "Nobody listens").await;
    world.settle().await;
    assert_eq!(platform.posts().len(), before);
    world.finish();
}

#[tokio::test]
async fn guide_faq_disconnecting_a_team_takes_everything_away_and_tells_the_team() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    world.link("Chloe Martin").await;
    let service = platform.connect("Checkout").await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let disconnect = format!("/teams/{}/disconnect", path(&platform.team));
    let (status, refused) = page.write("POST", &disconnect, Some(json!({ "confirm": "yes" }))).await;
    assert_eq!(status, 400, "{refused}");
    assert_eq!(platform.connections().await.len(), 1);

    let (status, done) = page.write("POST", &disconnect, Some(json!({ "confirm": "disconnect" }))).await;
    assert_eq!((status, &done["connections_removed"]), (200, &json!(1)), "{done}");
    assert_eq!(done["links_removed"], json!(0), "another team of the tenant still needs them");
    assert!(platform.connections().await.is_empty());
    assert_eq!(world.pagerduty().subscriptions_of(&service), Vec::<String>::new());
    assert_eq!(platform.installation().await.account, None);
    world.settle().await;
    assert!(platform.general().pop().unwrap().shows("was disconnected from PagerDuty by Ada Wong"));
    assert!(world.is_linked("Chloe Martin").await);

    let last = format!("/teams/{}/disconnect", path(&world.demo().team));
    let (_, done) = page.write("POST", &last, Some(json!({ "confirm": "disconnect" }))).await;
    assert_eq!((&done["connections_removed"], &done["links_removed"]), (&json!(2), &json!(2)), "{done}");
    assert!(!world.is_linked("Chloe Martin").await && !world.is_linked("Ada Wong").await);

    // "If you choose to reauthorize an application, users will need to reinstall the application into a team."
    platform.uninstall().await;
    world.tick(SignedDuration::from_mins(2));
    platform.install("Ada Wong").await;
    let browser = Browser::new();
    let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
    let done = world.answer_question(&browser, &question, "link").await;
    assert!(done.text.contains("You've successfully connected the Platform team"), "{}", done.text);
    world.finish();
}
