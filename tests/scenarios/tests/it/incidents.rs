//! An incident reaches its channel, and its card stays true.

use jiff::SignedDuration;

use crate::world::World;

#[tokio::test]
async fn a_triggered_incident_arrives_as_a_card() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    let card = world.only_card("Payments");
    assert_eq!(card.summary(), "#1 DB down (triggered, high) on Payments");
    assert!(card.shows("DB down") && card.shows("Triggered") && card.shows("Payments"), "{}", card.text());
    assert_eq!(card.buttons(), ["Acknowledge", "Resolve", "Details", "Add note"]);
    assert_eq!(world.cards("Search").len(), 0, "another service's channel stays quiet");
    world.finish();
}

#[tokio::test]
async fn what_happens_in_pagerduty_shows_on_the_card_and_in_its_thread() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let ada = world.pagerduty_user("Ada Wong");

    world.pagerduty().acknowledge(&incident, &ada);
    world.settle().await;
    let card = world.only_card("Payments");
    assert_eq!(card.buttons(), ["Resolve", "Add note", "Details"]);
    assert_eq!(card.replies(), ["Acknowledged by Ada Wong"]);

    world.advance(SignedDuration::from_mins(5)).await;
    world.pagerduty().add_note(&incident, &ada, "restarting the primary");
    world.settle().await;
    assert_eq!(world.only_card("Payments").replies().last().unwrap(), "Note by Ada Wong: restarting the primary");

    world.pagerduty().resolve(&incident, &ada);
    world.settle().await;
    let card = world.only_card("Payments");
    assert_eq!(card.buttons(), ["Add note", "Details"]);
    assert_eq!(card.replies().last().unwrap(), "Resolved by Ada Wong");
    assert_eq!(card.summary(), "#1 DB down (resolved, high) on Payments");
    assert_eq!(card.posts(), 1, "one message per incident");
    world.finish();
}

#[tokio::test]
async fn a_burst_of_events_is_one_edit_and_one_reply() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let ada = world.pagerduty_user("Ada Wong");
    world.pagerduty().acknowledge(&incident, &ada);
    world.pagerduty().add_note(&incident, &ada, "one");
    world.pagerduty().add_note(&incident, &ada, "two");
    world.pagerduty().resolve(&incident, &ada);
    world.deliver_webhooks().await;
    world.settle().await;
    let card = world.only_card("Payments");
    assert_eq!(card.edits(), 1);
    assert_eq!(card.replies().len(), 1);
    assert!(
        card.replies()[0].contains("Acknowledged by Ada Wong") && card.replies()[0].contains("Resolved by Ada Wong")
    );
    world.finish();
}

#[tokio::test]
async fn a_redelivered_webhook_changes_nothing() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    world.pagerduty().duplicate_next_delivery(3);
    world.settle().await;
    world.advance(SignedDuration::from_mins(10)).await;
    let card = world.only_card("Payments");
    assert_eq!((card.posts(), card.edits(), card.replies().len()), (1, 0, 0));
    world.finish();
}

#[tokio::test]
async fn foreign_text_is_shown_and_never_executed() {
    let world = World::new().await;
    let hostile = "[click](https://evil.example) <at>Ada Wong</at> **bold** {{DATE(2020-01-01T00:00:00Z)}} \u{202e}gpj";
    world.trigger("Payments", hostile).await;
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(card.shows("click") && card.shows("evil.example"), "the text is there to be read");
    let json = card.json();
    assert!(!json.contains("{{DATE(2020") && !json.contains('\u{202e}') && !json.contains("<at>"), "{json}");
    world.finish();
}

#[tokio::test]
async fn an_incident_with_the_longest_texts_still_fits() {
    let world = World::new().await;
    let incident = world.trigger("Payments", &"Ä very long title 🚨 ".repeat(600)).await;
    let ada = world.pagerduty_user("Ada Wong");
    for _ in 0..10 {
        world.pagerduty().add_note(&incident, &ada, &"note ".repeat(4000));
    }
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(card.json().encode_utf16().count() * 2 <= 80 * 1024);
    assert!(card.shows("…"), "what was cut is visibly cut");
    world.finish();
}
