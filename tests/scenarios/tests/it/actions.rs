//! Buttons on the card act in PagerDuty as the person who clicks.

use jiff::SignedDuration;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_linked_member_acknowledges_and_resolves_on_the_card() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;

    let answer = world.click("Ada Wong", &world.only_card("Payments"), "Acknowledge").await;
    assert_eq!(answer.card_buttons(), ["Resolve", "Add note", "Details"], "the clicker sees it at once");
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.settle().await;
    let card = world.only_card("Payments");
    assert_eq!(card.buttons(), ["Resolve", "Add note", "Details"], "and so does everybody else");
    assert_eq!(card.replies(), ["Acknowledged by Ada Wong"]);

    world.advance(SignedDuration::from_mins(3)).await;
    let answer = world.click("Ada Wong", &card, "Resolve").await;
    assert_eq!(answer.card_buttons(), ["Add note", "Details"]);
    assert_eq!(world.status_in_pagerduty(&incident), "resolved");
    world.settle().await;
    assert_eq!(world.only_card("Payments").replies(), ["Acknowledged by Ada Wong", "Resolved by Ada Wong"]);
    world.finish();
}

#[tokio::test]
async fn a_linked_member_adds_a_note() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let card = world.only_card("Payments");
    world.click_with("Ada Wong", &card, "Add note", json!({ "note": "rolling back" })).await;
    assert_eq!(world.notes_in_pagerduty(&incident), ["rolling back"]);
    world.settle().await;
    assert_eq!(world.only_card("Payments").replies(), ["Note by Ada Wong: rolling back"]);
    world.finish();
}

#[tokio::test]
async fn an_empty_note_is_refused_with_a_sentence() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let answer = world.click_with("Ada Wong", &world.only_card("Payments"), "Add note", json!({ "note": "  " })).await;
    assert!(answer.message().to_lowercase().contains("note"), "{}", answer.message());
    assert!(world.notes_in_pagerduty(&incident).is_empty());
    world.finish();
}

#[tokio::test]
async fn acknowledging_a_resolved_incident_is_refused_and_says_who_resolved_it_and_when() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let stale = world.only_card("Payments");
    world.advance(SignedDuration::from_mins(1)).await;
    // The card still has its button: PagerDuty's webhook has not been delivered yet.
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ben Okafor"));
    let answer = world.click("Ada Wong", &stale, "Acknowledge").await;
    let text = answer.message();
    assert!(text.contains("Ben Okafor") && text.contains("23 Nov 2026, 09:01 UTC"), "{text}");
    assert_eq!(world.status_in_pagerduty(&incident), "resolved", "it is not reopened");
    world.settle().await;
    world.finish();
}

#[tokio::test]
async fn somebody_who_is_not_linked_gets_a_private_link_and_changes_nothing() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let answer = world.click("Ben Okafor", &world.only_card("Payments"), "Acknowledge").await;
    assert!(answer.message().contains("private message"), "{}", answer.message());
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    let private = world.private_cards("Ben Okafor");
    assert_eq!(private.len(), 1);
    assert!(private[0].link().contains("/oauth/start?ticket="), "{}", private[0].link());
    assert!(private[0].shows("DB down"), "it reminds of what was wanted");
    assert!(world.private_cards("Ada Wong").is_empty(), "nobody else sees the link");
    world.finish();
}

#[tokio::test]
async fn a_double_click_acts_once() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let card = world.only_card("Payments");
    let (first, second) = tokio::join!(
        world.click_with("Ada Wong", &card, "Add note", json!({ "note": "on it" })),
        world.click_with("Ada Wong", &card, "Add note", json!({ "note": "on it" })),
    );
    assert_eq!((first.status(), second.status()), (200, 200));
    assert_eq!(world.notes_in_pagerduty(&incident), ["on it"]);
    let (first, second) =
        tokio::join!(world.click("Ada Wong", &card, "Acknowledge"), world.click("Ada Wong", &card, "Acknowledge"));
    assert_eq!((first.status(), second.status()), (200, 200));
    world.settle().await;
    assert_eq!(world.log_in_pagerduty(&incident, "acknowledge"), 1);
    world.finish();
}

#[tokio::test]
async fn a_redelivered_click_acts_once() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let card = world.only_card("Payments");
    world.click_with("Ada Wong", &card, "Add note", json!({ "note": "on it" })).await;
    world.advance(SignedDuration::from_mins(2)).await;
    let again = world.redeliver().await;
    assert_eq!(again.status(), 200);
    assert_eq!(world.notes_in_pagerduty(&incident), ["on it"]);
    world.finish();
}

#[tokio::test]
async fn pagerduty_decides_who_may_act() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.add_person("Olga Observer", "observer").await;
    world.link("Olga Observer").await;
    let answer = world.click("Olga Observer", &world.only_card("Payments"), "Resolve").await;
    assert!(answer.error().is_some(), "a clear refusal");
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.finish();
}

#[tokio::test]
async fn a_forged_button_reaches_no_other_incident() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    let elsewhere = world.trigger("Search", "Index stale").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let card = world.only_card("Payments");
    let forged = world.forge_click("Ada Wong", &card, "Resolve", &json!({ "incident": elsewhere })).await;
    assert!(forged.error().is_some());
    assert_eq!(world.status_in_pagerduty(&elsewhere), "triggered");
    world.finish();
}

#[tokio::test]
async fn a_token_that_has_ended_is_refreshed_once_for_two_clicks() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    world.advance(SignedDuration::from_hours(25)).await;
    let card = world.only_card("Payments");
    world.click("Ada Wong", &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.advance(SignedDuration::from_hours(25)).await;
    let (first, second) = tokio::join!(
        world.click_with("Ada Wong", &card, "Add note", json!({ "note": "one" })),
        world.click_with("Ada Wong", &card, "Add note", json!({ "note": "two" })),
    );
    assert_eq!((first.status(), second.status()), (200, 200));
    // The refresh token works once: a second refresh with it would have cut the person off for good.
    world.advance(SignedDuration::from_hours(1)).await;
    world.click("Ada Wong", &card, "Resolve").await;
    assert_eq!(world.status_in_pagerduty(&incident), "resolved");
    world.finish();
}

#[tokio::test]
async fn a_revoked_authorization_leads_to_a_new_link() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    world.pagerduty().revoke_tokens(&world.pagerduty_user("Ada Wong"));
    let before = world.private_cards("Ada Wong").len();
    let answer = world.click("Ada Wong", &world.only_card("Payments"), "Acknowledge").await;
    assert!(answer.message().contains("private message"), "{}", answer.message());
    assert_eq!(world.private_cards("Ada Wong").len(), before + 1);
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.finish();
}

#[tokio::test]
async fn when_pagerduty_does_not_answer_the_click_is_answered_and_the_webhook_brings_the_truth() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let card = world.only_card("Payments");
    world.pagerduty().fail_next(1, &simulators::pagerduty::Fault::DropAnswerAfterApplying);
    let answer = world.click("Ada Wong", &card, "Resolve").await;
    assert!(answer.message().contains("PagerDuty"), "{}", answer.message());
    assert_eq!(world.status_in_pagerduty(&incident), "resolved", "it was done all the same");
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("resolved"));
    world.finish();
}

#[tokio::test]
async fn when_pagerduty_is_busy_or_broken_the_person_is_told_and_can_try_again() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    let card = world.only_card("Payments");
    for fault in [
        simulators::pagerduty::Fault::RateLimited(Some(10)),
        simulators::pagerduty::Fault::RateLimited(None),
        simulators::pagerduty::Fault::Status(500),
    ] {
        world.pagerduty().fail_next(1, &fault);
        let answer = world.click("Ada Wong", &card, "Resolve").await;
        assert!(answer.message().contains("PagerDuty"), "{fault:?}: {}", answer.message());
        assert_eq!(world.status_in_pagerduty(&incident), "triggered", "{fault:?}");
    }
    world.click("Ada Wong", &card, "Resolve").await;
    assert_eq!(world.status_in_pagerduty(&incident), "resolved");
    world.finish();
}

#[tokio::test]
async fn somebody_of_another_tenant_is_refused() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    let answer = world.click_from_another_tenant(&world.only_card("Payments")).await;
    assert_eq!(answer.status(), 403);
    assert!(world.private_cards("Ada Wong").is_empty());
    assert_eq!(world.teams().take_complaints(), ["answer to a click cannot be read: HTTP 403"], "as it should be");
    world.finish();
}
