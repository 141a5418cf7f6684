//! Teams throttles, fails, forgets: cards end up true all the same.

use jiff::SignedDuration;

use crate::world::{Fault, World};

#[tokio::test]
async fn a_throttled_channel_waits_and_others_do_not() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::throttled(30));
    world.trigger("Payments", "DB down").await;
    world.trigger("Search", "Index stale").await;
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 0);
    assert_eq!(world.cards("Search").len(), 1, "the other channel is on time");
    world.advance(SignedDuration::from_secs(29)).await;
    assert_eq!(world.cards("Payments").len(), 0, "not before Retry-After has passed");
    world.advance(SignedDuration::from_secs(3)).await;
    assert_eq!(world.only_card("Payments").posts(), 1);
    world.finish();
}

#[tokio::test]
async fn while_a_channel_waits_its_incidents_go_on_and_the_card_shows_the_newest() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let ada = world.pagerduty_user("Ada Wong");
    world.fail_posts("Payments", 1, &Fault::throttled(60));
    world.pagerduty().acknowledge(&incident, &ada);
    world.settle().await;
    world.pagerduty().resolve(&incident, &ada);
    world.advance(SignedDuration::from_mins(2)).await;
    let card = world.only_card("Payments");
    assert_eq!(card.edits(), 1, "one edit, straight to the newest state");
    assert!(card.summary().contains("resolved"));
    world.finish();
}

#[tokio::test]
async fn an_explicit_refusal_is_tried_again() {
    let world = World::new().await;
    world.fail_posts("Payments", 2, &Fault::status(412, "PreconditionFailed"));
    let incident = world.trigger("Payments", "DB down").await;
    world.advance(SignedDuration::from_mins(1)).await;
    assert_eq!(world.only_card("Payments").posts(), 1);
    assert_eq!(world.card_record("Payments", &incident).await.possible_doubles, 0, "nothing can be there twice");
    world.finish();
}

#[tokio::test]
async fn an_unanswered_post_is_repeated_and_the_double_points_to_the_living_card() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::DropAnswerAfterApplying);
    let incident = world.trigger("Payments", "DB down").await;
    world.advance(SignedDuration::from_mins(5)).await;
    let cards = world.cards("Payments");
    assert_eq!(cards.len(), 2, "lost would be worse than double");
    assert_eq!(world.card_record("Payments", &incident).await.possible_doubles, 1, "and it is counted");
    world.link("Ada Wong").await;
    let (double, living) = (&cards[0], &cards[1]);
    let answer = world.click("Ada Wong", double, "Acknowledge").await;
    assert!(answer.card_text().to_lowercase().contains("duplicate"), "{}", answer.card_text());
    assert_eq!(world.status_in_pagerduty(&incident), "triggered", "the duplicate does not act");
    world.click("Ada Wong", living, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.finish();
}

#[tokio::test]
async fn a_deleted_message_is_posted_again() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.delete_message(&world.only_card("Payments"));
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
    world.advance(SignedDuration::from_mins(1)).await;
    let card = world.only_card("Payments");
    assert!(card.summary().contains("acknowledged"));
    world.finish();
}

#[tokio::test]
async fn a_channel_that_is_gone_breaks_the_connection_and_the_team_is_told_once() {
    let world = World::new().await;
    world.delete_channel("Payments");
    world.trigger("Payments", "DB down").await;
    world.trigger("Payments", "DB down again").await;
    world.trigger("Search", "Index stale").await;
    world.advance(SignedDuration::from_mins(10)).await;
    assert!(world.connection_is_broken("Payments").await);
    let general = world.general_messages();
    assert_eq!(general.len(), 1, "{general:?}");
    assert!(general[0].contains("Payments"), "{general:?}");
    assert_eq!(world.cards("Search").len(), 1);

    world.restore_channel("Payments").await;
    world.trigger("Payments", "DB down once more").await;
    world.settle().await;
    let cards = world.cards("Payments");
    let mut titles = ["DB down", "DB down again", "DB down once more"];
    titles.sort_by_key(|title| cards.iter().position(|card| card.summary().contains(&format!(" {title} (triggered"))));
    assert_eq!(cards.len(), titles.len(), "what was missed is posted, too");
    assert!(!world.connection_is_broken("Payments").await);
    world.finish();
}

#[tokio::test]
async fn a_stopped_stack_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path(), 0).await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    world.keep_state();
    let port = world.stack.base().port().unwrap();
    world.stop().await;
    let world = World::in_folder(folder.path(), port).await;
    world.advance(SignedDuration::from_mins(1)).await;
    assert_eq!(world.cards("Payments").len(), 1);
    let answer = world.click("Ada Wong", &world.only_card("Payments"), "Acknowledge").await;
    assert_eq!(answer.card_buttons(), ["Resolve", "Add note", "Details"], "the link is still there");
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("acknowledged"), "the old card goes on");
    world.finish();
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut config = local::LocalConfig::for_tests(runtime::Clock::System);
    config.ports.app = port;
    let error = local::compose(config).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(&port.to_string()) && text.contains("--port"), "{text}");
}
