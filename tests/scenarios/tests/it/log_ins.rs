//! People's log-ins at PagerDuty: refreshes whose answer is late or lost, and tokens that stay refused.

use std::time::Duration;

use jiff::SignedDuration;
use runtime::Metric;
use serde_json::json;
use simulators::pagerduty::Fault;

use crate::click_races::tokens_version;
use crate::world::World;

const ADA: &str = "Ada Wong";
const SHOW_INCIDENT: &str = "GET /incidents/{id}";

/// An incident on the card of Payments, Ada linked, and her token at its end.
async fn world_with_old_token() -> (World, String) {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    world.tick(SignedDuration::from_hours(25));
    (world, incident)
}

/// Lambda freezes a function once it has answered.
#[tokio::test]
async fn a_refresh_that_outlives_the_click_is_stored_before_the_answer() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let card = world.only_card("Payments");
    // PagerDuty takes its time to refuse the token, and to give a new one: both together are longer than the click has.
    world.pagerduty().expire_access_tokens(&world.pagerduty_user(ADA));
    world.pagerduty().fail_next_at(SHOW_INCIDENT, 1, &Fault::Slow(Duration::from_millis(1700)));
    world.pagerduty().fail_next_token(1, &Fault::Slow(Duration::from_millis(1700)));
    let answer = world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(tokens_version(&world).await, 2, "the new pair is stored when the answer comes");
    assert_eq!(answer.message(), cards::text::BUSY_PAGERDUTY);
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.finish();
}

#[tokio::test]
async fn a_table_that_does_not_take_the_new_pair_at_once_is_asked_again() {
    let (world, incident) = world_with_old_token().await;
    let card = world.only_card("Payments");
    // More often than the SDK itself repeats it.
    world.stack.aws.refuse_puts(4, r#""version":{"N":"2"}"#);
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!((world.stack.aws.puts_to_refuse(), tokens_version(&world).await), (0, 2));
    world.click(ADA, &card, "Resolve").await;
    assert_eq!(world.status_in_pagerduty(&incident), "resolved");
    world.finish();
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_repeated_where_pagerduty_lets_one() {
    let (world, incident) = world_with_old_token().await;
    let card = world.only_card("Payments");
    world.pagerduty().keep_refresh_tokens();
    world.pagerduty().fail_next_token(1, &Fault::DropAnswerAfterApplying);
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    assert_eq!(world.counted(Metric::LogInsLost), 0.0);
    world.finish();
}

#[tokio::test]
async fn a_log_in_that_was_lost_with_an_answer_is_told_as_such_and_linked_again_with_one_click() {
    let (world, incident) = world_with_old_token().await;
    let card = world.only_card("Payments");
    let before = world.private_cards(ADA).len();
    world.pagerduty().fail_next_token(1, &Fault::DropAnswerAfterApplying);
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.private_cards(ADA).len(), before, "nothing is known yet");
    for _ in 0..2 {
        let answer = world.click(ADA, &card, "Acknowledge").await;
        assert_eq!(answer.message(), cards::text::RELINK_SENT, "as often as it is asked");
    }
    assert_eq!(world.counted(Metric::LogInsLost), 2.0);
    assert_eq!(world.private_cards(ADA).len(), before + 2);

    world.say(ADA, "incidents mine").await;
    let told = world.private_cards(ADA);
    assert!(told.iter().any(|card| card.shows(cards::text::LOG_IN_LOST)));
    world.complete_link(&crate::world::Browser::new(), ADA, ADA).await;
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");

    // A link that was made anew knows nothing of what its predecessor lost.
    world.pagerduty().revoke_tokens(&world.pagerduty_user(ADA));
    assert_eq!(world.click(ADA, &card, "Resolve").await.message(), cards::text::LINK_SENT);
    world.finish();
}

#[tokio::test]
async fn a_refresh_that_pagerduty_has_not_done_is_no_lost_answer() {
    let (world, incident) = world_with_old_token().await;
    let card = world.only_card("Payments");
    world.pagerduty().fail_next_token(1, &Fault::RateLimited(Some(1)));
    world.click(ADA, &card, "Acknowledge").await;
    world.pagerduty().revoke_tokens(&world.pagerduty_user(ADA));
    let answer = world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(answer.message(), cards::text::LINK_SENT, "the person has withdrawn their consent");
    assert_eq!(world.counted(Metric::LogInsLost), 0.0);
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.finish();
}

#[tokio::test]
async fn while_the_old_token_is_good_a_lost_answer_costs_nothing() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let card = world.only_card("Payments");
    world.tick(SignedDuration::from_hours(24) - SignedDuration::from_mins(1));
    world.pagerduty().fail_next_token(1, &Fault::DropAnswerAfterApplying);
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.click(ADA, &card, "Resolve").await;
    assert_eq!(world.status_in_pagerduty(&incident), "resolved", "nor does the refusal that follows");
    world.finish();
}

#[tokio::test]
async fn a_token_that_stays_refused_is_not_told_as_a_missing_link() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let card = world.only_card("Payments");
    let before = world.private_cards(ADA).len();
    let refuse = || world.pagerduty().fail_next(40, &Fault::Status(401));
    refuse();
    let answer = world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(answer.error().as_deref(), Some(cards::text::LOG_IN_REFUSED));
    let answer = world.click_with(ADA, &card, "Add note", json!({ "note": "on it" })).await;
    assert!(answer.message().contains(cards::text::LOG_IN_REFUSED), "{}", answer.message());
    assert_eq!(world.private_cards(ADA).len(), before, "no personal link");
    world.say(ADA, "incidents mine").await;
    assert!(world.private_cards(ADA).pop().unwrap().shows(cards::text::LOG_IN_REFUSED));
    world.pagerduty().clear_faults();
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.click(ADA, &card, "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged", "the link is as good as before");
    world.finish();
}

#[tokio::test]
async fn a_log_in_page_says_so_when_pagerduty_refuses_its_own_token() {
    let world = World::new().await;
    world.say(ADA, "linkUser").await;
    world.pagerduty().fail_next_at("GET /users/me", 1, &Fault::Status(401));
    let page = world.log_in(&crate::world::Browser::new(), ADA, ADA).await;
    assert_eq!(page.status, 502);
    assert!(page.text.contains("PagerDuty does not accept the log-in that it has just given."), "{}", page.text);
    world.finish();
}
