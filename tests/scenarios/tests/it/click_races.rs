//! Clicks that meet lost webhooks, lost answers, time limits and each other.

use std::time::Duration;

use domain::ids::{AccountId, EntraUserId, TenantId};
use jiff::SignedDuration;
use serde_json::json;
use simulators::pagerduty::Fault;

use crate::card::Answer;
use crate::world::World;

const ADA: &str = "Ada Wong";
const SHOW_INCIDENT: &str = "GET /incidents/{id}";
const CREATE_NOTE: &str = "POST /incidents/{id}/notes";

/// An incident on the card of Payments, and Ada linked.
async fn world_with_incident() -> (World, String) {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    (world, incident)
}

#[tokio::test]
async fn what_a_refused_acknowledge_has_learned_reaches_the_card_although_the_webhook_is_lost() {
    let (world, incident) = world_with_incident().await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ben Okafor"));
    world.take_undelivered();
    let stale = world.only_card("Payments");
    assert!(stale.buttons().contains(&"Acknowledge".to_owned()));
    let answer = world.click(ADA, &stale, "Acknowledge").await;
    assert!(answer.message().contains("Ben Okafor"), "{}", answer.message());
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(card.summary().contains("resolved") && card.buttons() == ["Add note", "Details"], "{}", card.summary());
    world.finish();
}

/// Somebody resolves an incident after the click has read it, and before it acknowledges it.
async fn resolved_meanwhile(world: &World, incident: &str) -> Answer {
    let card = world.only_card("Payments");
    world.tick(SignedDuration::from_mins(1));
    let others = world.pagerduty().pending_faults();
    world.pagerduty().fail_next_at(SHOW_INCIDENT, 1, &Fault::Slow(Duration::from_millis(300)));
    let resolve = async {
        while world.pagerduty().pending_faults() > others {
            tokio::task::yield_now().await;
        }
        world.tick(SignedDuration::from_secs(1));
        world.pagerduty().resolve(incident, &world.pagerduty_user("Ben Okafor"));
    };
    tokio::join!(world.click(ADA, &card, "Acknowledge"), resolve).0
}

#[tokio::test]
async fn who_opens_an_incident_again_by_acknowledging_it_is_told_so() {
    let (world, incident) = world_with_incident().await;
    let answer = resolved_meanwhile(&world, &incident).await;
    let expected = "Ben Okafor resolved this on 23 Nov 2026, 09:01 UTC, just before your click; your acknowledgement has \
                    reopened it. Resolve it again if that was not meant.";
    assert_eq!(answer.message(), expected);
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("acknowledged"));

    // What is in the log since then is no news for the next one who acknowledges it.
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().unacknowledge(&incident);
    world.settle().await;
    world.link("Ben Okafor").await;
    let answer = world.click("Ben Okafor", &world.only_card("Payments"), "Acknowledge").await;
    assert_eq!(answer.card_buttons(), ["Resolve", "Add note", "Details"]);
    world.finish();
}

#[tokio::test]
async fn nothing_is_claimed_that_pagerduty_does_not_tell_in_time() {
    for fault in [Fault::Status(500), Fault::Status(403), Fault::Hang] {
        let (world, incident) = world_with_incident().await;
        world.pagerduty().fail_next_at("GET /incidents/{id}/log_entries", 1, &fault);
        let answer = resolved_meanwhile(&world, &incident).await;
        assert_eq!(answer.card_buttons(), ["Resolve", "Add note", "Details"], "{fault:?}");
        world.finish();
    }
}

#[tokio::test]
async fn a_note_whose_answer_was_lost_is_not_written_twice_by_the_next_click() {
    let (world, incident) = world_with_incident().await;
    let card = world.only_card("Payments");
    let note = || world.click_with(ADA, &card, "Add note", json!({ "note": "rolling back" }));
    world.pagerduty().fail_next_at(CREATE_NOTE, 1, &Fault::DropAnswerAfterApplying);
    for _ in 0..2 {
        assert_eq!(note().await.message(), cards::text::NOTE_UNCLEAR);
        assert_eq!(world.notes_in_pagerduty(&incident), ["rolling back"]);
    }
    world.redeliver().await;
    world.advance(SignedDuration::from_secs(31)).await;
    assert_eq!(note().await.message(), cards::text::done(domain::deed::DeedKind::AddNote, Some(1)));
    assert_eq!(world.notes_in_pagerduty(&incident).len(), 2, "after a while it is meant");
    world.finish();
}

#[tokio::test]
async fn while_pagerduty_hangs_a_note_is_neither_called_added_nor_sent_again() {
    let (world, incident) = world_with_incident().await;
    let card = world.only_card("Payments");
    let note = || world.click_with(ADA, &card, "Add note", json!({ "note": "on it" }));
    world.pagerduty().fail_next_at(CREATE_NOTE, 1, &Fault::Hang);
    let meanwhile = async {
        while world.pagerduty().pending_faults() > 0 {
            tokio::task::yield_now().await;
        }
        note().await
    };
    let (first, second) = tokio::join!(note(), meanwhile);
    assert_eq!(second.message(), cards::text::NOTE_IN_PROGRESS);
    assert_eq!(first.message(), cards::text::NOTE_UNCLEAR, "the inner limit comes before the outer one");
    assert_eq!(note().await.message(), cards::text::NOTE_UNCLEAR);
    assert!(world.notes_in_pagerduty(&incident).is_empty());
    world.finish();
}

#[tokio::test]
async fn a_refresh_ends_although_the_click_that_began_it_was_cut_off() {
    let (world, incident) = world_with_incident().await;
    let card = world.only_card("Payments");
    world.advance(SignedDuration::from_hours(25)).await;
    let refresh_tokens = || world.pagerduty().snapshot()["refresh_tokens"].clone();
    let before = refresh_tokens();
    let rotated = async {
        while refresh_tokens() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = rotated => {}
        _ = world.click(ADA, &card, "Acknowledge") => panic!("the click was to be cut off"),
    }
    let saved = async {
        while tokens_version(&world).await == 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), saved).await.expect("the new pair is stored");
    world.advance(SignedDuration::from_hours(25)).await;
    world.click(ADA, &card, "Resolve").await;
    assert_eq!(world.status_in_pagerduty(&incident), "resolved", "the person is still linked");
    world.finish();
}

/// Grows with every pair of tokens that is stored for Ada.
pub(crate) async fn tokens_version(world: &World) -> u64 {
    let ada = world.teams().user(&world.teams().user_named(ADA).unwrap()).unwrap();
    let (tenant, user) = (TenantId::new(ada.tenant).unwrap(), EntraUserId::new(ada.entra).unwrap());
    let account = AccountId::new(local::ACCOUNT).unwrap();
    world.stack.app.store.link(&tenant, &user, &account).await.unwrap().unwrap().tokens_version
}

#[tokio::test]
async fn a_repeated_activity_with_forged_data_shows_no_card_of_another_channel() {
    let (world, _) = world_with_incident().await;
    let elsewhere = world.trigger("Search", "Index secrets stale").await;
    world.settle().await;
    let ada = world.teams().user_named(ADA).unwrap();
    let card = world.only_card("Payments").message.id;
    let mut activity = world.teams().click_activity(&ada, &card, "Acknowledge", &json!({})).unwrap();
    world.teams().send(activity.clone()).await.unwrap();
    let again = Answer(world.teams().send(activity.clone()).await.unwrap());
    assert!(again.card_text().contains("DB down"), "Teams repeats itself: the same card");
    activity["value"]["action"]["data"]["incident"] = json!(elsewhere);
    let forged = Answer(world.teams().send(activity).await.unwrap());
    assert_eq!(forged.error().as_deref(), Some(cards::text::UNKNOWN_CARD));
    world.finish();
}
