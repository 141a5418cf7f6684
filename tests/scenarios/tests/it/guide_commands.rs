//! The guide's app commands, one after the other, and those that it does not have.

use serde_json::{Value, json};
use simulators::teams::{HttpAnswer, Task};

use crate::platform::{AdminPage, Platform};
use crate::world::{Browser, World};

#[tokio::test]
async fn guide_command_help_shows_what_place_and_role_allow() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    for who in ["Ada Wong", "Ben Okafor", "Chloe Martin"] {
        world.link(who).await;
    }
    for (who, sees, hides) in [
        ("Chloe Martin", "trigger", "connect [SERVICE-URL]"),
        ("Ben Okafor", "connect [SERVICE-URL]", "configure"),
        ("Ada Wong", "configure", "authorize [KEY]"),
    ] {
        platform.say(who, "  HeLP ").await;
        let help = platform.last_reply();
        assert!(help.shows(sees) && !help.shows(hides), "{who}: {}", help.text());
    }
    world.say("Ada Wong", "@PagerBridge help").await;
    let help = world.private_cards("Ada Wong").pop().unwrap();
    assert!(help.shows("authorize [KEY]") && !help.shows("connections"), "{}", help.text());
    platform.say("Chloe Martin", "trigegr something").await;
    assert!(platform.last_reply().shows("Did you mean trigger?"), "{}", platform.last_reply().text());
    platform.say("Chloe Martin", "authorize KEY").await;
    assert!(platform.last_reply().shows("private chat"), "{}", platform.last_reply().text());
    world.say("Ada Wong", "connect x").await;
    assert!(world.private_cards("Ada Wong").pop().unwrap().shows("in the channel"));
    world.finish();
}

#[tokio::test]
async fn guide_command_open_leads_to_the_organizations_account() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    platform.say("Chloe Martin", "open").await;
    let open = platform.last_reply();
    assert!(world.pagerduty().base().starts_with(open.link().trim_end_matches('/')), "{}", open.link());
    let fresh = Platform::new(&world);
    fresh.install("Ben Okafor").await;
    fresh.say("Chloe Martin", "open").await;
    assert!(fresh.last_reply().shows("not connected to PagerDuty yet"));
    world.finish();
}

#[tokio::test]
async fn guide_command_connect_is_for_admins_and_managers_and_checks_the_address() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    let service = world.pagerduty().add_service("Checkout");
    let url = platform.service_url(&service);

    platform.say("Chloe Martin", &format!("connect {url}")).await;
    assert!(world.private_cards("Chloe Martin").pop().unwrap().shows("connect"), "not linked: a personal link");
    world.complete_link(&Browser::new(), "Chloe Martin", "Chloe Martin").await;
    platform.say("Chloe Martin", &format!("connect {url}")).await;
    assert!(platform.last_reply().shows("Manager"), "a responder may not: {}", platform.last_reply().text());
    assert!(platform.connections().await.is_empty());

    platform.say("Ben Okafor", &format!("connect {url}")).await;
    world.complete_link(&Browser::new(), "Ben Okafor", "Ben Okafor").await;
    let linked = world.private_cards("Ben Okafor").pop().unwrap();
    assert_eq!(linked.buttons(), ["Do it now"], "the command is one click away: {}", linked.text());
    platform.press("Ben Okafor", &linked, "Do it now").await;
    assert!(platform.last_reply().shows("Checkout is now connected"), "{}", platform.last_reply().text());
    assert_eq!(platform.connections().await[0].created_by.as_deref(), Some("Ben Okafor"));

    for (address, why) in [
        ("", "Write connect and the address"),
        ("https://other.pagerduty.com/services/P123456", "other.pagerduty.com is not the PagerDuty account"),
        ("https://pagerduty.com.evil.example/services/P123456", "pagerduty.com.evil.example is not PagerDuty"),
        ("nonsense", "not a web address"),
    ] {
        platform.say("Ben Okafor", &format!("connect {address}")).await;
        assert!(platform.last_reply().shows(why), "{address}: {}", platform.last_reply().text());
    }
    platform.say("Ben Okafor", &format!("Connect   {}", url.replace("service-directory", "services"))).await;
    assert!(platform.last_reply().shows("already connected"), "{}", platform.last_reply().text());
    platform.say("Ben Okafor", &format!("connect {}", platform.service_url("PNOSUCH"))).await;
    assert!(platform.last_reply().shows("That did not work"), "{}", platform.last_reply().text());

    platform.say("Chloe Martin", "connections").await;
    assert!(platform.last_reply().shows("Checkout: healthy"), "{}", platform.last_reply().text());
    platform.say("Ben Okafor", &format!("disconnect {url}")).await;
    assert!(platform.last_reply().shows("no longer connected"), "{}", platform.last_reply().text());
    assert!(platform.connections().await.is_empty());
    assert_eq!(world.pagerduty().subscriptions_of(&service), Vec::<String>::new());
    world.finish();
}

#[tokio::test]
async fn guide_command_configure_leads_admins_to_the_page_and_nobody_else() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    world.link("Ben Okafor").await;
    platform.say("Ada Wong", "configure").await;
    assert_eq!(platform.last_reply().link(), world.stack.app.config.public("/admin"));
    platform.say("Ben Okafor", "configure").await;
    assert!(platform.last_reply().shows("Global Admin"), "{}", platform.last_reply().text());
    let (_, page) = AdminPage::try_open(&world, "Ben Okafor").await;
    assert_eq!(page.status, 403, "{}", page.text);
    world.finish();
}

#[tokio::test]
async fn guide_command_trigger_makes_one_incident_as_the_person_and_its_card_appears() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    world.settle().await;
    platform.say("Chloe Martin", "trigger").await;
    assert!(
        world.private_cards("Chloe Martin").pop().unwrap().shows("create an incident"),
        "not linked: a personal link"
    );
    world.complete_link(&Browser::new(), "Chloe Martin", "Chloe Martin").await;
    let linked = world.private_cards("Chloe Martin").pop().unwrap();
    let chloe = world.person("Chloe Martin").teams;
    let opened = world.teams().click(&chloe, &linked.message.id, "Create incident", json!({})).await.unwrap();
    assert!(matches!(opened.task(), Task::Dialog { .. }), "one click opens the form: {opened:?}");

    platform.say("Chloe Martin", "trigger").await;
    let offer = platform.last_reply();
    let opened = world.teams().click(&chloe, &offer.message.id, "Create incident", json!({})).await.unwrap();
    let Task::Dialog { card, .. } = opened.task() else { panic!("{opened:?}") };
    assert!(card.to_string().contains("Checkout"), "the channel's service is offered: {card}");
    let found = world.teams().search(&chloe, None, "services", "Pay").await.unwrap().choices().unwrap();
    assert_eq!(found.iter().map(|choice| choice.title.as_str()).collect::<Vec<_>>(), ["Payments"]);
    let people = world.teams().search(&chloe, None, "users", "ben").await.unwrap().choices().unwrap();
    assert_eq!(people[0].title, "Ben Okafor");

    // PagerDuty says no: the form comes back with what was typed.
    world.pagerduty().fail_next_at("POST /incidents", 1, &simulators::pagerduty::Fault::Status(400));
    let priority = world.pagerduty().priorities().remove(0);
    let ben = world.pagerduty_user("Ben Okafor");
    let typed = json!({
        "service": service, "title": "Carts are empty", "details": "since 9", "urgency": "low",
        "priority": priority.0, "assignee": ben,
    });
    let back = world.teams().submit_dialog(&chloe, "Create incident", typed.clone()).await.unwrap();
    let Task::Dialog { card, .. } = back.task() else { panic!("{back:?}") };
    assert!(card.to_string().contains("Not created") && card.to_string().contains("Carts are empty"), "{card}");

    let done = world.teams().submit_dialog(&chloe, "Create incident", typed).await.unwrap();
    let Task::Dialog { card, .. } = done.task() else { panic!("{done:?}") };
    assert!(card.to_string().contains("was created"), "{card}");
    for _ in 0..3 {
        let again = world.teams().redeliver().await.unwrap();
        assert!(again.body.to_string().contains("was created"), "{again:?}");
    }
    let made: Vec<Value> =
        world.pagerduty().incidents().into_iter().filter(|incident| incident["title"] == "Carts are empty").collect();
    assert_eq!(made.len(), 1, "once, however often Teams resends it");
    assert_eq!(made[0]["urgency"], "low");
    let text = made[0].to_string();
    assert!(text.contains(&priority.0) && text.contains(&ben), "{text}");
    assert!(made[0].to_string().contains(&world.pagerduty_user("Chloe Martin")), "as the person: {}", made[0]);
    world.settle().await;
    let cards = platform.posts();
    assert_eq!(cards.iter().filter(|card| card.summary().contains("Carts are empty")).count(), 1);
    world.finish();
}

/// The form that the button of `offer` opens, or that comes back.
#[track_caller]
fn form_in(answer: &HttpAnswer) -> Value {
    let Task::Dialog { card, .. } = answer.task() else { panic!("{answer:?}") };
    card
}

fn input<'f>(form: &'f Value, id: &str) -> &'f Value {
    form["body"].as_array().unwrap().iter().find(|input| input["id"] == id).unwrap()
}

#[tokio::test]
async fn what_follows_trigger_is_the_title_and_the_channels_only_service_is_chosen() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let ada = world.person("Ada Wong").teams;
    let service = platform.connect("Checkout").await;

    platform.say("Ada Wong", "trigger   DB &amp; queue are on <b>fire</b>").await;
    let offer = platform.last_reply();
    assert!(offer.shows("DB & queue are on <b>fire</b>"), "{}", offer.text());
    let opened = world.teams().click(&ada, &offer.message.id, "Create incident", json!({})).await.unwrap();
    let form = form_in(&opened);
    assert_eq!(input(&form, "title")["value"], "DB & queue are on <b>fire</b>");
    assert_eq!(input(&form, "service")["value"], service.as_str());
    // Nothing has to be typed any more.
    let (title, service) = (&input(&form, "title")["value"], &input(&form, "service")["value"]);
    let typed = json!({ "title": title, "service": service });
    let done = world.teams().submit_dialog(&ada, "Create incident", typed).await.unwrap();
    assert!(form_in(&done).to_string().contains("was created"), "{done:?}");
    let made = world.pagerduty().incidents();
    assert_eq!(made.iter().filter(|incident| incident["title"] == "DB & queue are on <b>fire</b>").count(), 1);
    world.settle().await;

    // Of several services none is likelier than another.
    platform.connect("Billing").await;
    platform.say("Ada Wong", "trigger").await;
    let offer = platform.last_reply();
    let opened = world.teams().click(&ada, &offer.message.id, "Create incident", json!({})).await.unwrap();
    let form = form_in(&opened);
    let choices = input(&form, "service")["choices"].as_array().unwrap();
    let mut names: Vec<&str> = choices.iter().map(|choice| choice["title"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Billing", "Checkout"], "those of the channel");
    assert!(input(&form, "service")["value"].is_null() && input(&form, "title")["value"].is_null(), "{form}");

    // Elsewhere no service is the channel's.
    world.say("Ada Wong", "trigger Till is stuck").await;
    let offer = world.private_cards("Ada Wong").pop().unwrap();
    let opened = world.teams().click(&ada, &offer.message.id, "Create incident", json!({})).await.unwrap();
    let form = form_in(&opened);
    assert_eq!(input(&form, "title")["value"], "Till is stuck");
    assert!(input(&form, "service")["value"].is_null(), "{form}");
    world.finish();
}

#[tokio::test]
async fn a_title_is_kept_whole_up_to_pagerdutys_limit_and_refused_beyond_it() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let ada = world.person("Ada Wong").teams;
    platform.connect("Checkout").await;
    let longest = "ä".repeat(1024);
    platform.say("Ada Wong", &format!("trigger {longest}")).await;
    let offer = platform.last_reply();
    let opened = world.teams().click(&ada, &offer.message.id, "Create incident", json!({})).await.unwrap();
    assert_eq!(input(&form_in(&opened), "title")["value"], longest.as_str());
    platform.say("Ada Wong", &format!("trigger {longest}!")).await;
    let refused = platform.last_reply();
    assert!(refused.shows("The title has 1025 characters, and PagerDuty takes at most 1024"), "{}", refused.text());
    assert!(refused.buttons().is_empty());
    world.finish();
}

#[tokio::test]
async fn a_title_is_not_lost_while_somebody_links() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    platform.say("Chloe Martin", "trigger Till is stuck").await;
    assert!(world.private_cards("Chloe Martin").pop().unwrap().shows("Till is stuck"), "it reminds of what was wanted");
    world.complete_link(&Browser::new(), "Chloe Martin", "Chloe Martin").await;
    let linked = world.private_cards("Chloe Martin").pop().unwrap();
    let chloe = world.person("Chloe Martin").teams;
    let opened = world.teams().click(&chloe, &linked.message.id, "Create incident", json!({})).await.unwrap();
    assert_eq!(input(&form_in(&opened), "title")["value"], "Till is stuck");
    world.finish();
}

#[tokio::test]
async fn an_incident_whose_answer_was_lost_is_not_created_twice() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let ada = world.person("Ada Wong").teams;
    platform.say("Ada Wong", "trigger").await;
    let offer = platform.last_reply();
    world.teams().click(&ada, &offer.message.id, "Create incident", json!({})).await.unwrap();
    let lost = simulators::pagerduty::Fault::DropAnswerAfterApplying;
    world.pagerduty().fail_next_at("POST /incidents", 1, &lost);
    let typed = json!({ "service": service, "title": "Lost answer" });
    let back = world.teams().submit_dialog(&ada, "Create incident", typed.clone()).await.unwrap();
    assert!(back.body.to_string().contains("will not be created twice"), "{back:?}");
    let again = world.teams().submit_dialog(&ada, "Create incident", typed).await.unwrap();
    assert!(again.body.to_string().contains("was created already"), "{again:?}");
    let made = world.pagerduty().incidents().into_iter().filter(|incident| incident["title"] == "Lost answer").count();
    assert_eq!(made, 1);
    world.settle().await;
    assert!(platform.posts().iter().any(|card| card.summary().contains("Lost answer")));
    world.finish();
}

#[tokio::test]
async fn a_form_that_pagerduty_is_slow_to_take_keeps_what_was_typed_and_makes_one_incident() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let ada = world.person("Ada Wong").teams;
    platform.say("Ada Wong", "trigger").await;
    let offer = platform.last_reply();
    world.teams().click(&ada, &offer.message.id, "Create incident", json!({})).await.unwrap();
    world.pagerduty().fail_next_at("POST /incidents", 1, &simulators::pagerduty::Fault::Hang);
    let typed = json!({ "service": service, "title": "Slow answer" });
    let back = world.teams().submit_dialog(&ada, "Create incident", typed.clone()).await.unwrap();
    let Task::Dialog { card, .. } = back.task() else { panic!("the form comes back: {back:?}") };
    let text = card.to_string();
    assert!(text.contains("will not be created twice") && text.contains("Slow answer"), "{text}");
    let done = world.teams().submit_dialog(&ada, "Create incident", typed).await.unwrap();
    assert!(done.body.to_string().contains("was created"), "{done:?}");
    let made = world.pagerduty().incidents().into_iter().filter(|incident| incident["title"] == "Slow answer").count();
    assert_eq!(made, 1);
    world.finish();
}

#[tokio::test]
async fn commands_incidents_and_oncall_list_what_the_person_may_see() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    platform.say("Ada Wong", "incidents").await;
    assert!(platform.last_reply().shows("There is no open incident."), "{}", platform.last_reply().text());
    world.trigger_in(&service, "Carts are empty").await;
    world.trigger("Search", "Somewhere else").await;
    platform.say("Ada Wong", "incidents").await;
    let list = platform.last_reply();
    assert!(list.shows("Carts are empty") && !list.shows("Somewhere else"), "{}", list.text());
    platform.say("Ada Wong", "incidents MINE").await;
    assert!(platform.last_reply().shows("assigned to you"), "{}", platform.last_reply().text());
    platform.say("Ada Wong", "incidents yours").await;
    assert!(platform.last_reply().shows("Write incidents"), "{}", platform.last_reply().text());
    for command in ["oncall", "oncall checkout"] {
        platform.say("Ada Wong", command).await;
        assert!(platform.last_reply().shows("Checkout: level 1: Ada Wong"), "{}", platform.last_reply().text());
    }
    platform.say("Ada Wong", "oncall nothing like this").await;
    assert!(platform.last_reply().shows("no service of this name"), "{}", platform.last_reply().text());
    world.finish();
}

#[tokio::test]
async fn somebody_who_cannot_be_written_to_is_told_in_the_channel() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    let chloe = world.person("Chloe Martin").teams;
    world.teams().block_bot(&chloe, true);
    platform.say("Chloe Martin", "linkUser").await;
    assert!(platform.last_reply().shows("could not send you a private message"), "{}", platform.last_reply().text());
    world.finish();
}
