//! What the sender does when one incident's card fails and when the whole channel does: who waits, for how long, and
//! what ends in the dead-letter queue. What Teams refuses for good is in `refusals`.

use std::time::Duration;

use domain::behind::{Mark, Wish};
use domain::cause::{Cause, Occasion};
use domain::ids::CauseId;
use domain::incident::RecordVersion;
use jiff::SignedDuration;

use crate::world::{Fault, START, World};

const QUEUE: &str = "pagerbridge.fifo";
const DEAD_LETTERS: &str = "pagerbridge-dead.fifo";

fn refused() -> Fault {
    Fault::status(400, "BadSyntax")
}

fn not_in_the_channel() -> Fault {
    Fault::status(403, "BotNotInConversationRoster")
}

/// How many messages a queue holds, received or not.
fn messages(world: &World, queue: &str) -> usize {
    let depth = world.stack.aws.depth(queue).unwrap();
    depth.visible + depth.in_flight
}

#[tokio::test]
async fn a_throttled_channel_is_left_alone_as_a_whole() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::throttled(30));
    world.trigger("Payments", "DB down").await;
    world.trigger("Payments", "Disk full").await;
    world.advance(SignedDuration::from_secs(29)).await;
    assert_eq!(world.cards("Payments").len(), 0, "the second incident would only have been throttled, too");
    world.advance(SignedDuration::from_secs(3)).await;
    assert_eq!(world.cards("Payments").len(), 2);
    assert_eq!(world.counted(runtime::Metric::DoubtfulPosts), 0.0, "nothing of it was ever in doubt");
    world.finish();
}

#[tokio::test]
async fn throttling_by_a_second_at_a_time_does_not_use_up_the_receives() {
    let world = World::new().await;
    world.fail_posts("Payments", 10, &Fault::throttled(1));
    world.trigger("Payments", "DB down").await;
    world.advance(SignedDuration::from_secs(9)).await;
    assert_eq!(world.cards("Payments").len(), 0, "never sooner than it was said");
    // A second each time, a little more so that not all come back at once, and queues count whole seconds.
    world.advance(SignedDuration::from_secs(12)).await;
    assert_eq!(
        (world.cards("Payments").len(), world.teams().pending_faults()),
        (1, 0),
        "and never longer for being said again"
    );
    assert_eq!(messages(&world, DEAD_LETTERS), 0);
    world.finish();
}

#[tokio::test]
async fn an_hour_without_a_clear_answer_ends_in_a_true_card() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let known = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.fail_posts("Payments", 1000, &Fault::status(500, "ServiceError"));
    let unseen = world.trigger("Payments", "Disk full").await;
    world.settle().await;
    for incident in [&known, &unseen] {
        world.tick(SignedDuration::from_mins(1));
        world.pagerduty().resolve(incident, &ada);
    }
    world.advance(SignedDuration::from_hours(1)).await;
    assert!(!world.only_card("Payments").shows_status("resolved"));
    world.teams().clear_faults();
    world.advance(SignedDuration::from_mins(2)).await;
    let cards = world.cards("Payments");
    assert_eq!(cards.iter().map(|card| card.shows_status("resolved")).collect::<Vec<_>>(), [true, true]);
    world.settle_all().await;
    assert_eq!((messages(&world, QUEUE), messages(&world, DEAD_LETTERS)), (0, 0));
    world.finish();
}

#[tokio::test]
async fn a_table_that_is_away_after_a_post_makes_no_second_card() {
    let world = World::new().await;
    // More than the tries of one call, with the text that only a posted card has.
    world.stack.aws.refuse_puts(6, r#""activity":{"S":"#);
    let incident = world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    assert_eq!(world.stack.aws.puts_to_refuse(), 0);
    assert_eq!(world.cards("Payments").len(), 1);
    assert_eq!(world.card_record("Payments", &incident).await.possible_doubles, 0);
    assert_eq!((messages(&world, QUEUE), messages(&world, DEAD_LETTERS)), (0, 0));
    world.finish();
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_put_aside_and_stops_nobody() {
    let world = World::new().await;
    let app = &world.stack.app;
    let sqs = runtime::AwsClients::new(&app.config.aws).sqs;
    let group = runtime::digest(world.payments().as_str().as_bytes());
    let send = sqs.send_message().queue_url(&app.config.queue_url).message_body("not a job");
    send.message_group_id(group).message_deduplication_id("1").send().await.unwrap();
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 1, "same channel");
    assert_eq!((messages(&world, QUEUE), messages(&world, DEAD_LETTERS)), (0, 1));
    world.finish();
}

#[tokio::test]
async fn an_edit_that_arrives_mends_a_broken_connection() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.fail_posts("Payments", 1, &not_in_the_channel());
    // The thread is not told about either, so nothing but the edit can have mended it.
    world.pagerduty().emit("incident.task.created", &incident);
    world.settle().await;
    assert!(world.connection_is_broken("Payments").await);
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().emit("incident.task.completed", &incident);
    world.settle().await;
    let card = world.only_card("Payments");
    assert_eq!((card.edits(), card.replies().len()), (1, 0));
    assert!(!world.connection_is_broken("Payments").await);
    world.finish();
}

#[tokio::test]
async fn a_reply_that_arrives_mends_a_broken_connection() {
    let (world, incident) = world_with_a_reply_to_send().await;
    world.fail_posts("Payments", 1, &not_in_the_channel());
    world.look_at_card(&incident, "first").await;
    assert!(world.connection_is_broken("Payments").await);
    world.look_at_card(&incident, "second").await;
    assert_eq!((world.only_card("Payments").edits(), world.only_card("Payments").replies().len()), (1, 2));
    assert!(!world.connection_is_broken("Payments").await);
    world.finish();
}

#[tokio::test]
async fn a_reply_that_is_never_taken_does_not_hold_up_its_card() {
    let (world, incident) = world_with_a_reply_to_send().await;
    world.fail_posts("Payments", 1, &refused());
    world.look_at_card(&incident, "first").await;
    assert_eq!((world.teams().pending_faults(), messages(&world, QUEUE)), (0, 0), "refused, and done with");
    world.settle_all().await;
    assert_eq!(world.only_card("Payments").replies().len(), 1, "not tried again");
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ada Wong"));
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(card.shows_status("resolved"));
    assert_eq!(card.replies().len(), 2, "the next reply is sent, without what was refused: {:?}", card.replies());
    assert!(!card.replies()[1].contains("cknowledged"), "{:?}", card.replies());
    world.finish();
}

#[tokio::test]
async fn a_sender_that_dies_silences_its_channel_for_75_seconds_at_most() {
    let world = World::new().await;
    let app = &world.stack.app;
    world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    let sqs = runtime::AwsClients::new(&app.config.aws).sqs;
    let batch = local::receive_batch(&sqs, &app.config.queue_url, 0).await.unwrap();
    assert_eq!(batch.records.len(), 1);
    world.fail_posts("Payments", 1, &Fault::Hang);
    let asked = async {
        while world.teams().pending_faults() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = notification_sender::handle(app, batch, Duration::from_secs(60)) => panic!("it was to die in the middle"),
        () = asked => {}
    }
    world.trigger("Payments", "Disk full").await;
    world.advance(SignedDuration::from_secs(74)).await;
    assert_eq!(world.cards("Payments").len(), 0, "nobody posts beside a sender that may still be alive");
    world.advance(SignedDuration::from_secs(1)).await;
    assert_eq!(world.cards("Payments").len(), 2);
    world.finish();
}

/// An acknowledged incident whose card is true, as if only the reply in its thread had not been sent yet.
pub(crate) async fn world_with_a_reply_to_send() -> (World, String) {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
    world.settle().await;
    let mut card = world.card_record("Payments", &incident).await;
    card.announced.clear();
    card.announced_status_at = None;
    world.stack.app.store.save_card(&world.card_key("Payments", &incident), &card, None).await.unwrap();
    (world, incident)
}

impl World {
    /// Somebody has marked the card as perhaps out of date.
    pub(crate) async fn look_at_card(&self, incident: &str, cause: &str) {
        let cause =
            Cause { id: CauseId::new(cause).unwrap(), occasion: Occasion::Webhook, at: START, happened_at: None };
        let app = &self.stack.app;
        let key = self.card_key("Payments", incident);
        let record = app.store.record(&key.account, &key.incident).await.unwrap().unwrap().record;
        let team = domain::ids::TeamId::new(self.demo().team.as_str()).unwrap();
        let mark = Mark::card(&record, RecordVersion(0), (key.channel, team), &cause, Wish::Shown, &Default::default());
        incidents::want(app, &[mark]).await.unwrap();
        self.settle().await;
    }
}
