//! What belongs together, and what does not any more: old cards of a team that was disconnected, and whoever was faster.

use jiff::SignedDuration;
use serde_json::json;
use simulators::pagerduty::Fault;

use crate::card::{Answer, Card};
use crate::platform::{AdminPage, Platform, path};
use crate::world::{Browser, World};

const ADA: &str = "Ada Wong";
const CHLOE: &str = "Chloe Martin";

/// A card in the Platform team's channel, whose team an admin then disconnects. Another team of the tenant stays connected, so
/// account links stay as well. Gives the incident.
async fn card_of_a_disconnected_team(platform: &Platform<'_>, wait: impl AsyncFnOnce(&Card)) -> (String, Card) {
    let world = platform.world;
    let service = platform.connect("Checkout").await;
    let incident = world.trigger_in(&service, "Till is stuck").await;
    world.settle().await;
    let card = platform.posts().pop().unwrap();
    wait(&card).await;
    let page = AdminPage::open(world, ADA).await;
    let disconnect = format!("/teams/{}/disconnect", path(&platform.team));
    let (status, done) = page.write("POST", &disconnect, Some(json!({ "confirm": "disconnect" }))).await;
    assert_eq!((status, &done["links_removed"]), (200, &json!(0)), "{done}");
    world.pagerduty().add_note(&incident, &world.pagerduty_user("Ben Okafor"), "written after the disconnection");
    world.settle().await;
    (incident, card)
}

#[tokio::test]
async fn an_old_card_of_a_disconnected_team_neither_acts_nor_tells_what_came_later() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link(ADA).await;
    let ada = world.person(ADA).teams;
    // A client that has not heard of the last edit still shows the buttons.
    let mut clicks = Vec::new();
    let shown = async |card: &Card| {
        for button in ["acknowledge", "resolve"] {
            clicks.push(world.teams().click_activity(&ada, &card.message.id, button, &json!({})).unwrap());
        }
        // Cards of earlier versions had the form for a note on them.
        let mut note = clicks[0].clone();
        note["value"]["action"]["verb"] = json!("addNote");
        note["value"]["action"]["data"]["verb"] = json!("addNote");
        note["value"]["action"]["data"]["note"] = json!("here");
        clicks.push(note);
        // Clients that refresh a card send a button's data with another verb.
        let mut refresh = clicks[0].clone();
        refresh["value"]["action"]["verb"] = json!("refresh");
        refresh["value"]["action"]["data"]["verb"] = json!("refresh");
        clicks.push(refresh);
    };
    let (incident, card) = card_of_a_disconnected_team(&platform, shown).await;
    for click in clicks {
        let answer = Answer(world.teams().send(click.clone()).await.unwrap());
        assert_eq!(answer.error().as_deref(), Some(cards::text::CARD_LEFT), "{click}");
    }
    let left = platform.posts().into_iter().find(|post| post.message.id == card.message.id).unwrap();
    assert!(left.buttons().is_empty() && left.shows("No longer updated"), "{}", left.text());
    assert!(!left.shows("written after the disconnection"), "{}", left.text());
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    assert_eq!(world.notes_in_pagerduty(&incident), ["written after the disconnection"]);
    world.finish();
}

#[tokio::test]
async fn what_was_wanted_on_a_card_is_not_done_once_its_team_is_disconnected() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link(ADA).await;
    let click = async |card: &Card| {
        let answer = platform.press(CHLOE, card, "acknowledge").await;
        assert!(answer.message().contains("private message"), "{}", answer.message());
    };
    let (incident, _) = card_of_a_disconnected_team(&platform, click).await;
    world.complete_link(&Browser::new(), CHLOE, CHLOE).await;
    let linked = world.private_cards(CHLOE).pop().unwrap();
    let answer = platform.press(CHLOE, &linked, "resume").await;
    assert_eq!(answer.error().as_deref(), Some(cards::text::CARD_LEFT));
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.finish();
}

#[tokio::test]
async fn a_disconnected_teams_card_is_not_replayed() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link(ADA).await;
    let (incident, card) = card_of_a_disconnected_team(&platform, async |_| {}).await;
    let shown = || platform.posts().into_iter().find(|post| post.message.id == card.message.id).unwrap().json();
    let left = shown();
    let page = AdminPage::open(&world, ADA).await;
    let wanted = json!({ "incident": incident, "channel": platform.alerts });
    let (status, refused) = page.write("POST", "/deliveries/replay", Some(wanted)).await;
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("unknown_connection")), "{refused}");
    world.settle().await;
    assert_eq!(shown(), left);
    world.finish();
}

#[tokio::test]
async fn who_was_faster_is_named() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let stale = world.only_card("Payments");
    world.advance(SignedDuration::from_mins(1)).await;
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ben Okafor"));
    world.take_undelivered();
    let answer = world.click(ADA, &stale, "Resolve").await;
    assert_eq!(answer.message(), "Already resolved by Ben Okafor on 23 Nov 2026, 09:01 UTC.");
    assert_eq!(world.log_in_pagerduty(&incident, "resolve"), 1);
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("resolved"), "what PagerDuty said on the way is shown");
    world.finish();
}

#[tokio::test]
async fn ones_own_acknowledgement_is_named_when_it_is_asked_for_again() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let stale = world.only_card("Payments");
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user(ADA));
    let answer = world.click(ADA, &stale, "Acknowledge").await;
    assert_eq!(answer.message(), "Already acknowledged by Ada Wong on 23 Nov 2026, 09:00 UTC.");
    assert_eq!(world.log_in_pagerduty(&incident, "acknowledge"), 1);
    world.settle().await;
    world.finish();
}

#[tokio::test]
async fn nothing_is_acknowledged_without_the_newest_state() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let card = world.only_card("Payments");
    world.pagerduty().fail_next_at("GET /incidents/{id}", 1, &Fault::Status(500));
    let busy = world.click(ADA, &card, "Acknowledge").await;
    assert!(busy.message().contains("did not take this"), "{}", busy.message());
    assert_eq!(world.status_in_pagerduty(&incident), "triggered", "nothing is done without the newest state");
    assert_eq!(world.click(ADA, &card, "Acknowledge").await.card_buttons(), ["Resolve", "Add note", "Details"]);
    world.settle().await;
    world.finish();
}

#[tokio::test]
async fn whoever_asks_for_what_is_done_already_gets_a_true_card_although_its_mark_was_lost() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let stale = world.only_card("Payments");
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ben Okafor"));
    world.deliver_webhooks().await;
    let app = &world.stack.app;
    let sqs = runtime::AwsClients::new(&app.config.aws).sqs;
    let lost = sqs.receive_message().queue_url(&app.config.queue_url).max_number_of_messages(10).send().await.unwrap();
    assert_eq!(lost.messages().len(), 1);
    for message in lost.messages() {
        let receipt = message.receipt_handle.clone().unwrap();
        sqs.delete_message().queue_url(&app.config.queue_url).receipt_handle(receipt).send().await.unwrap();
    }
    let answer = world.click(ADA, &stale, "Resolve").await;
    assert_eq!(answer.message(), "Already resolved by Ben Okafor on 23 Nov 2026, 09:01 UTC.");
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("resolved"));
    world.finish();
}
