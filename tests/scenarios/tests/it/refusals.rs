//! What Teams refuses, and what it leaves unclear: who sees what, and that nobody else has to wait for it.

use jiff::SignedDuration;
use runtime::Metric;
use serde_json::{Value, json};

use crate::platform::AdminPage;
use crate::sender_retries::world_with_a_reply_to_send;
use crate::world::{Fault, World};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn too_big() -> Fault {
    Fault::status(413, "MessageSizeTooBig")
}

/// How many messages wait, and how many are in the dead-letter queue.
fn messages(world: &World) -> (usize, usize) {
    let count = |queue| {
        let depth = world.stack.aws.depth(queue).unwrap();
        depth.visible + depth.in_flight
    };
    (count("pagerbridge.fifo"), count("pagerbridge-dead.fifo"))
}

async fn newest_line(page: &AdminPage<'_>, incident: &str) -> Value {
    let (status, found) = page.get(&format!("/deliveries?incident={incident}")).await;
    assert_eq!(status, 200, "{found}");
    found["deliveries"][0].clone()
}

/// Somebody acknowledges, a minute later.
async fn acknowledge(world: &World, incident: &str) {
    world.tick(MINUTE);
    world.pagerduty().acknowledge(incident, &world.pagerduty_user("Ada Wong"));
    world.settle().await;
}

/// An incident whose card is there.
async fn shown(world: &World) -> String {
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    incident
}

#[tokio::test]
async fn a_card_that_teams_refuses_is_shown_smaller() {
    for refusal in [too_big(), Fault::status(400, "BadSyntax"), Fault::status(403, "NotEnoughPermissions")] {
        let world = World::new().await;
        let page = AdminPage::open(&world, "Ada Wong").await;
        world.fail_posts("Payments", 1, &refusal);
        let incident = shown(&world).await;
        let card = world.only_card("Payments");
        assert!(card.shows("DB down") && card.shows("Triggered") && card.link().contains(&incident), "{}", card.text());
        assert_eq!(card.buttons(), Vec::<String>::new(), "nothing that Teams could dislike again");
        let line = newest_line(&page, &incident).await;
        assert_eq!(line["outcome"], "posted");
        assert!(line["why"].as_str().unwrap().contains("smaller"), "{line}");
        assert_eq!((world.counted(Metric::CardsRefused), world.counted(Metric::CardsParked)), (1.0, 0.0));

        acknowledge(&world, &incident).await;
        let card = world.only_card("Payments");
        assert!(card.shows_status("acknowledged"));
        assert_eq!(card.buttons(), ["Resolve", "Add note", "Details"], "the next state is tried as a whole");
        assert_eq!(messages(&world), (0, 0));
        world.finish();
    }
}

#[tokio::test]
async fn a_change_that_teams_refuses_is_shown_smaller() {
    let world = World::new().await;
    let incident = shown(&world).await;
    world.fail_posts("Payments", 1, &too_big());
    acknowledge(&world, &incident).await;
    let card = world.only_card("Payments");
    assert!(card.shows_status("acknowledged"));
    assert_eq!((card.buttons().len(), card.edits(), card.replies().len()), (0, 1, 1));
    world.finish();
}

#[tokio::test]
async fn a_smaller_card_that_teams_cannot_take_now_is_tried_again_without_the_whole_one() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &too_big());
    world.fail_posts("Payments", 1, &Fault::throttled(30));
    shown(&world).await;
    assert_eq!(world.cards("Payments").len(), 0);
    world.advance(MINUTE).await;
    assert_eq!(world.only_card("Payments").buttons(), Vec::<String>::new());
    assert_eq!(world.counted(Metric::CardsRefused), 1.0, "the whole card had one try");
    world.finish();
}

#[tokio::test]
async fn a_card_that_is_refused_twice_is_parked_and_delays_nobody() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.fail_posts("Payments", 2, &too_big());
    world.trigger("Payments", "Disk full").await;
    let parked = world.trigger("Payments", "DB down").await;
    world.settle().await;
    assert!(world.only_card("Payments").shows("Disk full"), "the incident behind the refused one is on time");
    assert_eq!(messages(&world), (0, 0), "the refused one is done with");
    assert_eq!((world.counted(Metric::CardsRefused), world.counted(Metric::CardsParked)), (2.0, 1.0));
    let line = newest_line(&page, &parked).await;
    assert_eq!((&line["outcome"], &line["why"]), (&json!("refused"), &json!("MessageSizeTooBig")));

    world.advance(SignedDuration::from_mins(10)).await;
    world.reconcile().await;
    assert_eq!(world.cards("Payments").len(), 1, "the reconciler does not try what is refused for good");
    assert_eq!(messages(&world), (0, 0));
    world.finish();
}

#[tokio::test]
async fn a_parked_card_is_posted_when_its_incident_changes() {
    let world = World::new().await;
    world.fail_posts("Payments", 2, &too_big());
    let incident = shown(&world).await;
    assert_eq!(world.cards("Payments").len(), 0);
    acknowledge(&world, &incident).await;
    assert!(world.only_card("Payments").shows_status("acknowledged"));
    let card = world.card_record("Payments", &incident).await;
    assert_eq!((card.parked, card.possible_doubles), (None, 0));
    world.finish();
}

#[tokio::test]
async fn a_parked_card_is_posted_by_a_replay() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.fail_posts("Payments", 2, &too_big());
    let incident = shown(&world).await;
    let channel = newest_line(&page, &incident).await["channel"]["id"].clone();
    let wish = json!({ "incident": incident, "channel": channel });
    world.fail_posts("Payments", 2, &Fault::status(400, "BadSyntax"));
    world.tick(SECOND);
    assert_eq!(page.write("POST", "/deliveries/replay", Some(wish.clone())).await.0, 202);
    world.settle_all().await;
    let line = newest_line(&page, &incident).await;
    assert_eq!(
        (&line["occasion"], &line["outcome"], &line["why"]),
        (&json!("replayed"), &json!("refused"), &json!("BadSyntax")),
        "one try, one smaller one, and parked again"
    );
    world.tick(SECOND);
    assert_eq!(page.write("POST", "/deliveries/replay", Some(wish)).await.0, 202);
    world.settle_all().await;
    let line = newest_line(&page, &incident).await;
    assert_eq!((&line["occasion"], &line["outcome"]), (&json!("replayed"), &json!("posted")));
    assert_eq!(world.only_card("Payments").buttons().first().map(String::as_str), Some("Acknowledge"), "as a whole");
    world.finish();
}

#[tokio::test]
async fn what_teams_refuses_on_the_card_is_still_told_in_its_thread() {
    let world = World::new().await;
    let incident = shown(&world).await;
    world.fail_posts("Payments", 2, &too_big());
    acknowledge(&world, &incident).await;
    let card = world.only_card("Payments");
    assert!(card.shows_status("triggered"), "the card is parked");
    assert_eq!(card.replies().len(), 1, "{:?}", card.replies());
    assert_eq!((messages(&world), world.counted(Metric::CardsParked)), ((0, 0), 1.0));
    world.finish();
}

#[tokio::test]
async fn a_test_notification_that_teams_refuses_delays_no_incident() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    shown(&world).await;
    let line = page.get("/deliveries").await.1["deliveries"][0].clone();
    let part = |value: &Value| crate::platform::path(value.as_str().unwrap());
    let (service, channel) = (part(&line["service"]["id"]), part(&line["channel"]["id"]));
    let team = crate::platform::path(&world.demo().team);
    world.fail_posts("Payments", 1, &too_big());
    let (status, asked) =
        page.write("POST", &format!("/teams/{team}/connections/{service}/{channel}/test"), None).await;
    assert_eq!(status, 202, "{asked}");
    world.trigger("Payments", "Disk full").await;
    world.settle().await;
    assert_eq!((world.cards("Payments").len(), messages(&world)), (2, (0, 0)));
    world.finish();
}

#[tokio::test]
async fn a_deleted_card_is_recognised_however_teams_says_it() {
    for refusal in [
        Fault::status(404, "ActivityNotFoundInConversation"),
        Fault::status(400, "ActivityNotFoundInConversation"),
        Fault::status(405, "ActivityNotFoundInConversation"),
        Fault::status(403, "ServiceError"),
    ] {
        let world = World::new().await;
        let incident = shown(&world).await;
        world.delete_message(&world.only_card("Payments"));
        world.fail_posts("Payments", 1, &refusal);
        acknowledge(&world, &incident).await;
        assert!(world.only_card("Payments").shows_status("acknowledged"), "{refusal:?}");
        assert!(!world.connection_is_broken("Payments").await, "{refusal:?}");
        world.finish();
    }
}

#[tokio::test]
async fn a_deleted_card_is_posted_again_once_an_hour_at_most() {
    let world = World::new().await;
    let incident = shown(&world).await;
    world.delete_message(&world.only_card("Payments"));
    acknowledge(&world, &incident).await;
    assert!(world.only_card("Payments").shows_status("acknowledged"), "the first time it is posted at once");

    world.delete_message(&world.only_card("Payments"));
    world.tick(SignedDuration::from_mins(30));
    world.pagerduty().set_priority(&incident, &world.pagerduty_user("Ben Okafor"), Some("P1"));
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 0, "somebody does not want it");
    let page = AdminPage::open(&world, "Ada Wong").await;
    let line = newest_line(&page, &incident).await;
    assert_eq!(line["outcome"], "waiting");
    assert!(line["why"].as_str().unwrap().contains("deleted"), "{line}");
    assert_eq!(messages(&world), (0, 0));

    for _ in 0..13 {
        world.advance(SignedDuration::from_mins(5)).await;
        world.reconcile().await;
    }
    let card = world.only_card("Payments");
    assert!(card.shows_status("acknowledged") && card.shows("P1"), "the newest state is not lost: {}", card.text());
    world.finish();
}

#[tokio::test]
async fn a_deleted_card_that_somebody_asks_for_is_posted_at_once() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let incident = shown(&world).await;
    for change in ["P1", "P2"] {
        world.delete_message(&world.only_card("Payments"));
        world.tick(MINUTE);
        world.pagerduty().set_priority(&incident, &world.pagerduty_user("Ben Okafor"), Some(change));
        world.settle().await;
        if change == "P2" {
            break;
        }
    }
    assert_eq!(world.cards("Payments").len(), 0);
    let channel = newest_line(&page, &incident).await["channel"]["id"].clone();
    world.tick(SECOND);
    let wish = json!({ "incident": incident, "channel": channel });
    assert_eq!(page.write("POST", "/deliveries/replay", Some(wish)).await.0, 202);
    world.settle().await;
    assert!(world.only_card("Payments").shows("P2"));
    world.finish();
}

#[tokio::test]
async fn one_conversation_not_found_is_no_lost_channel() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::status(404, "ConversationNotFound"));
    world.trigger("Payments", "DB down").await;
    world.trigger("Payments", "Disk full").await;
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 0, "not asked for again within the same second");
    world.advance(SECOND * 3).await;
    assert_eq!(world.cards("Payments").len(), 2);
    assert!(!world.connection_is_broken("Payments").await);
    assert_eq!(world.general_messages(), Vec::<String>::new(), "nobody is told");
    assert_eq!(world.counted(Metric::ChannelsLost), 0.0);
    world.finish();
}

#[tokio::test]
async fn a_channel_that_is_not_found_twice_is_lost_until_something_new_finds_it_again() {
    let world = World::new().await;
    world.fail_posts("Payments", 3, &Fault::status(404, "ConversationNotFound"));
    world.trigger("Payments", "DB down").await;
    world.advance(SECOND * 10).await;
    assert!(world.connection_is_broken("Payments").await);
    assert_eq!((world.general_messages().len(), world.teams().pending_faults()), (1, 1));
    world.trigger("Payments", "Disk full").await;
    world.settle().await;
    assert_eq!((world.cards("Payments").len(), world.teams().pending_faults()), (0, 0), "asked once for each change");
    world.advance(SECOND * 10).await;
    assert_eq!(world.cards("Payments").len(), 0);
    world.trigger("Payments", "CPU hot").await;
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 3, "it is back, and nothing was lost");
    assert!(!world.connection_is_broken("Payments").await);
    assert_eq!(world.counted(Metric::ChannelsLost), 1.0);
    world.finish();
}

#[tokio::test]
async fn a_reply_without_a_clear_answer_is_not_told_twice() {
    let arrived = [Fault::DropAnswerAfterApplying, Fault::AnswerWithoutId];
    let lost = [Fault::NoAnswer, Fault::status(500, "ServiceError"), Fault::status(503, "")];
    for (fault, told) in arrived.iter().map(|fault| (fault, 1)).chain(lost.iter().map(|fault| (fault, 0))) {
        let (world, incident) = world_with_a_reply_to_send().await;
        world.fail_posts("Payments", 1, fault);
        world.look_at_card(&incident, "again").await;
        world.settle_all().await;
        assert_eq!(world.teams().pending_faults(), 0);
        let replies = world.only_card("Payments").replies().len() - 1;
        assert_eq!(replies, told, "{fault:?}");
        assert_eq!(messages(&world), (0, 0));
        world.finish();
    }
}

#[tokio::test]
async fn a_post_without_a_clear_answer_is_repeated_with_growing_pauses_until_teams_answers() {
    for fault in [
        Fault::status(500, "ServiceError"),
        Fault::status(502, "ServiceError"),
        Fault::status(503, ""),
        Fault::status(504, ""),
        Fault::NoAnswer,
    ] {
        let world = World::new().await;
        let page = AdminPage::open(&world, "Ada Wong").await;
        world.fail_posts("Payments", 4, &fault);
        let incident = shown(&world).await;
        let line = newest_line(&page, &incident).await;
        assert_eq!(line["outcome"], "waiting", "{line}");
        assert!(line["why"].as_str().is_some_and(|why| !why.is_empty()), "{line}");
        for (pause, tries) in [(1, 2), (2, 3), (4, 4), (8, 5)] {
            world.advance(SECOND * (pause - 1)).await;
            assert_eq!(world.teams().pending_faults(), 5 - tries, "{fault:?}, {pause} s");
            world.advance(SECOND).await;
        }
        assert_eq!(world.cards("Payments").len(), 1);
        let card = world.card_record("Payments", &incident).await;
        assert_eq!(card.possible_doubles, 4, "each may have left a message");
        let line = newest_line(&page, &incident).await;
        assert_eq!((&line["outcome"], &line["attempts"]), (&json!("posted"), &json!(5)));
        assert!(line["why"].as_str().unwrap().contains("second message"), "{line}");
        world.finish();
    }
}

#[tokio::test]
async fn that_a_post_may_have_arrived_is_not_forgotten_over_a_clear_refusal() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::DropAnswerAfterApplying);
    world.fail_posts("Payments", 1, &Fault::throttled(5));
    let incident = shown(&world).await;
    world.advance(MINUTE).await;
    assert_eq!(world.cards("Payments").len(), 2);
    assert_eq!(world.card_record("Payments", &incident).await.possible_doubles, 1);
    world.finish();
}

#[tokio::test]
async fn an_edit_without_a_clear_answer_is_repeated() {
    for fault in [Fault::DropAnswerAfterApplying, Fault::NoAnswer, Fault::status(503, "")] {
        let world = World::new().await;
        let incident = shown(&world).await;
        world.fail_posts("Payments", 1, &fault);
        acknowledge(&world, &incident).await;
        world.advance(MINUTE).await;
        let card = world.only_card("Payments");
        assert!(card.shows_status("acknowledged"), "{fault:?}");
        assert_eq!(card.replies().len(), 1);
        world.finish();
    }
}

#[tokio::test]
async fn a_channel_waits_as_long_as_teams_asks_even_if_the_answer_is_unclear() {
    let world = World::new().await;
    let away = Fault::Status { status: 503, code: String::new(), retry_after: Some(30) };
    world.fail_posts("Payments", 1, &away);
    world.trigger("Payments", "DB down").await;
    world.trigger("Payments", "Disk full").await;
    world.advance(SECOND * 29).await;
    assert_eq!(world.cards("Payments").len(), 0);
    world.advance(SECOND * 3).await;
    assert_eq!(world.cards("Payments").len(), 2);
    world.finish();
}

#[tokio::test]
async fn a_post_that_gets_no_id_is_repeated_once_and_never_again() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.fail_posts("Payments", 3, &Fault::AnswerWithoutId);
    let incident = shown(&world).await;
    world.settle_all().await;
    assert_eq!((world.cards("Payments").len(), messages(&world)), (2, (0, 0)));
    let line = newest_line(&page, &incident).await;
    assert_eq!(line["outcome"], "posted");
    assert!(line["why"].as_str().unwrap().contains("no id"), "{line}");
    assert_eq!(world.counted(Metric::CardsParked), 1.0);
    world.advance(SignedDuration::from_mins(10)).await;
    world.reconcile().await;
    assert_eq!(world.cards("Payments").len(), 2);

    acknowledge(&world, &incident).await;
    let cards = world.cards("Payments");
    assert_eq!(cards.len(), 3, "what is new is shown, once");
    assert!(cards[2].shows_status("acknowledged"));
    world.tick(MINUTE);
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ada Wong"));
    world.settle().await;
    let cards = world.cards("Payments");
    assert!(cards.len() == 4 && cards[3].shows_status("resolved"));
    assert_eq!(world.card_record("Payments", &incident).await.without_id, 0, "this one can be edited");
    world.finish();
}

#[tokio::test]
async fn a_replay_of_a_post_that_gets_no_id_is_repeated_once_as_well() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.fail_posts("Payments", 1000, &Fault::AnswerWithoutId);
    let incident = shown(&world).await;
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 2);
    let channel = newest_line(&page, &incident).await["channel"]["id"].clone();
    let wish = json!({ "incident": incident, "channel": channel });
    world.tick(SECOND);
    assert_eq!(page.write("POST", "/deliveries/replay", Some(wish.clone())).await.0, 202);
    world.settle_all().await;
    assert_eq!((world.cards("Payments").len(), messages(&world)), (4, (0, 0)));
    world.teams().clear_faults();
    world.tick(SECOND);
    assert_eq!(page.write("POST", "/deliveries/replay", Some(wish.clone())).await.0, 202);
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 5);
    assert!(world.card_record("Payments", &incident).await.activity.is_some());
    world.finish();
}

#[tokio::test]
async fn one_post_that_gets_no_id_leaves_a_duplicate_that_points_to_the_living_card() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::AnswerWithoutId);
    let incident = shown(&world).await;
    world.advance(MINUTE).await;
    let cards = world.cards("Payments");
    assert_eq!((cards.len(), world.card_record("Payments", &incident).await.possible_doubles), (2, 1));
    world.link("Ada Wong").await;
    let answer = world.click("Ada Wong", &cards[0], "Acknowledge").await;
    assert!(answer.card_text().to_lowercase().contains("duplicate"), "{}", answer.card_text());
    world.finish();
}

#[tokio::test]
async fn a_bot_that_teams_does_not_accept_waits_with_its_whole_channel() {
    let world = World::new().await;
    // One for the token that it had, and one for the fresh one.
    world.fail_posts("Payments", 2, &Fault::status(401, "Unauthorized"));
    world.trigger("Payments", "DB down").await;
    world.trigger("Payments", "Disk full").await;
    world.settle().await;
    assert_eq!((world.cards("Payments").len(), world.teams().pending_faults()), (0, 0));
    assert_eq!(world.counted(Metric::AppTokenFailures), 1.0, "somebody has to look at it");
    world.advance(SECOND).await;
    assert_eq!(world.cards("Payments").len(), 2);
    assert_eq!(world.counted(Metric::CardsParked), 0.0);
    world.finish();
}
