//! More incidents than a channel takes: how its storm begins, what its card says, and how it ends.

use jiff::SignedDuration;
use runtime::Metric;
use simulators::teams::Fault;

use crate::world::{Card, World, account};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn is_storm(card: &Card) -> bool {
    ["Incident storm", "Storm over", "before this channel could be told"]
        .iter()
        .any(|words| card.text().contains(words))
}

/// The storms' cards, and the incidents' own.
fn storms_and_cards(world: &World, service: &str) -> (Vec<Card>, Vec<Card>) {
    world.cards(service).into_iter().partition(is_storm)
}

fn the_storm(world: &World) -> Card {
    let (mut storms, _) = storms_and_cards(world, "Payments");
    assert_eq!(storms.len(), 1, "one card for the storm");
    storms.remove(0)
}

/// How many the storm's card counts: triggered, acknowledged, resolved.
fn counts(card: &Card) -> [usize; 3] {
    let text = card.text();
    let digits = |before: &str| {
        let digits: Vec<char> = before.chars().rev().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
        digits.into_iter().rev().filter(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    [" triggered", " acknowledged", " resolved"].map(|word| {
        let found = text.match_indices(word).find_map(|(place, _)| digits(&text[..place]));
        found.unwrap_or_else(|| panic!("no{word}: {text}"))
    })
}

async fn many(world: &World, count: usize) -> Vec<String> {
    let mut incidents = Vec::new();
    for number in 0..count {
        incidents.push(world.trigger("Payments", &format!("Incident {number}")).await);
    }
    incidents
}

/// Every open incident of Payments is shown: by its own card, or in the count of the storm's.
fn assert_all_shown(world: &World, incidents: &[String]) {
    let (storms, cards) = storms_and_cards(world, "Payments");
    let open = |id: &&String| world.status_in_pagerduty(id) != "resolved";
    let own = |id: &str| cards.iter().any(|card| card.json().contains(id));
    let rows: usize = storms.iter().map(|storm| counts(storm)[0] + counts(storm)[1]).sum();
    let without_card = incidents.iter().filter(open).filter(|id| !own(id)).count();
    assert_eq!(rows, without_card, "counted rows, and open incidents without a card");
}

#[tokio::test]
async fn ten_are_cards_and_more_are_rows_of_one_card() {
    let world = World::new().await;
    let few = many(&world, 10).await;
    world.settle().await;
    world.advance(SECOND * 10).await;
    assert_eq!((storms_and_cards(&world, "Payments").0.len(), world.cards("Payments").len()), (0, 10));
    let more = many(&world, 11).await;
    world.settle().await;
    world.advance(SECOND * 4).await;
    let (storms, cards) = storms_and_cards(&world, "Payments");
    assert_eq!((storms.len(), cards.len()), (1, 10), "{:?}", cards.iter().map(Card::summary).collect::<Vec<_>>());
    assert_eq!(counts(&storms[0]), [11, 0, 0]);
    assert_all_shown(&world, &[few, more].concat());
    assert_eq!(world.counted(Metric::StormsBegun), 1.0);
    assert_eq!(world.teams().refused_by_limits(), 0);
    world.finish();
}

#[tokio::test]
async fn a_storm_is_true_from_its_beginning_to_its_end() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let before = world.trigger("Payments", "Was there before").await;
    world.settle().await;
    world.advance(MINUTE).await;
    let mut incidents = many(&world, 60).await;
    incidents.push(before.clone());
    world.settle().await;
    world.advance(SECOND * 4).await;
    assert_eq!(counts(&the_storm(&world)), [60, 0, 0]);
    assert_all_shown(&world, &incidents);

    // What has a card keeps it, and its thread is quiet; rows change with their incidents.
    world.pagerduty().acknowledge(&before, &ada);
    world.pagerduty().acknowledge(&incidents[0], &ada);
    incidents[1..4].iter().for_each(|id| world.pagerduty().resolve(id, &ada));
    world.settle().await;
    world.advance(SECOND * 12).await;
    assert_eq!(counts(&the_storm(&world)), [56, 1, 3]);
    let (_, cards) = storms_and_cards(&world, "Payments");
    let card = cards.iter().find(|card| card.shows("Was there before")).unwrap();
    assert!(card.shows_status("acknowledged"));
    assert_eq!((card.replies().len(), the_storm(&world).replies().len()), (0, 0), "no replies in a storm");

    // Five quiet minutes end it: the twenty most urgent get their cards, the others stay rows.
    world.advance(MINUTE * 7).await;
    let storm = the_storm(&world);
    assert!(storm.text().contains("Storm over: 37 still open"), "{}", storm.text());
    assert_eq!(counts(&storm)[0] + counts(&storm)[1], 37);
    let (_, cards) = storms_and_cards(&world, "Payments");
    assert_eq!(cards.len(), 21, "the one before, and twenty more");
    assert_eq!(storm.replies().len(), 1, "the thread is told that it is over");
    assert_all_shown(&world, &incidents);

    // The rows are followed to the end, and a new incident is a card again.
    let fresh = world.trigger("Payments", "After the storm").await;
    incidents.push(fresh);
    world.settle().await;
    world.advance(SECOND * 2).await;
    assert!(world.cards("Payments").iter().any(|card| !is_storm(card) && card.shows("After the storm")));
    for (number, id) in incidents.iter().enumerate() {
        // A minute apart: a card shows minutes.
        if number % 10 == 0 {
            world.advance(MINUTE).await;
        }
        world.pagerduty().resolve(id, &ada);
    }
    world.settle().await;
    world.settle_all().await;
    let storm = the_storm(&world);
    assert!(storm.text().contains("Storm over: all"), "{}", storm.text());
    assert_eq!(counts(&storm)[..2], [0, 0]);
    assert_all_shown(&world, &incidents);
    assert_eq!((world.unfinished().await, world.queued()), (0, 0));
    assert_eq!(world.teams().refused_by_limits(), 0);
    world.finish();
}

#[tokio::test]
async fn a_top_priority_has_its_card_whenever_it_becomes_one() {
    let world = World::new().await;
    let top = world.pagerduty().add_priority("P1");
    let ada = world.pagerduty_user("Ada Wong");
    let incidents = many(&world, 40).await;
    world.settle().await;
    world.advance(SECOND * 4).await;
    assert_eq!(counts(&the_storm(&world)), [40, 0, 0]);
    let row = &incidents[7];
    world.pagerduty().set_priority(row, &ada, Some(&top));
    world.tick(SignedDuration::from_millis(1));
    let service = world.service("Payments");
    world.pagerduty().trigger_with_priority(&service, "Everything is down", "high", &top);
    world.settle().await;
    world.advance(SECOND * 3).await;
    let (_, cards) = storms_and_cards(&world, "Payments");
    assert!(cards.iter().any(|card| card.shows("Everything is down")));
    assert!(cards.iter().any(|card| card.json().contains(row.as_str())), "the row that became one");
    world.advance(SECOND * 12).await;
    assert_eq!(counts(&the_storm(&world)), [39, 0, 0], "it is a row no more");
    assert_all_shown(&world, &incidents);
    world.finish();
}

#[tokio::test]
async fn the_same_incident_is_a_row_here_and_a_card_there() {
    let world = World::new().await;
    let team = world.demo().team.clone();
    let (busy, quiet) = (world.payments().to_string(), world.teams().add_channel(&team, "quiet"));
    let service = world.pagerduty().add_service("Shared");
    for channel in [&busy, &quiet] {
        local::connect(&world.stack.app, &team, channel, &service, "Shared").await.unwrap();
    }
    many(&world, 30).await;
    let shared = world.trigger_in(&service, "Both show it").await;
    world.settle().await;
    world.advance(SECOND * 4).await;
    assert_eq!(counts(&the_storm(&world)), [31, 0, 0]);
    let there = world.cards_in_channel(&quiet);
    assert!(there.len() == 1 && there[0].shows("Both show it") && there[0].shows_status("triggered"));
    world.pagerduty().resolve(&shared, &world.pagerduty_user("Ada Wong"));
    world.settle().await;
    world.advance(SECOND * 12).await;
    assert_eq!(counts(&the_storm(&world)), [30, 0, 1]);
    assert!(world.cards_in_channel(&quiet)[0].shows_status("resolved"));
    world.finish();
}

#[tokio::test]
async fn rows_of_a_service_that_is_disconnected_leave_and_the_card_says_so() {
    let world = World::new().await;
    many(&world, 20).await;
    world.settle().await;
    world.advance(SECOND * 4).await;
    let service = domain::ids::ServiceId::new(world.service("Payments")).unwrap();
    let key = domain::connection::ConnectionKey { account: account(), service, channel: world.payments() };
    setup::remove(&world.stack.app, &key, None).await.unwrap();
    world.settle().await;
    world.advance(SECOND * 12).await;
    let storm = the_storm(&world);
    assert_eq!(counts(&storm), [0, 0, 0]);
    assert!(storm.text().contains("20 more are not followed"), "{}", storm.text());
    world.finish();
}

/// Whatever is refused, lost or deleted, every incident is counted in the end, and no message is doubled but for a lost answer.
#[tokio::test]
async fn a_storms_card_survives_what_teams_does_to_it() {
    for fault in [
        Fault::throttled(5),
        Fault::status(503, ""),
        Fault::DropAnswerAfterApplying,
        Fault::status(413, "MessageSizeTooBig"),
    ] {
        let world = World::new().await;
        world.fail_posts("Payments", 1, &fault);
        let incidents = many(&world, 25).await;
        world.settle().await;
        world.advance(MINUTE).await;
        let (storms, _) = storms_and_cards(&world, "Payments");
        let most = if fault == Fault::DropAnswerAfterApplying { 2 } else { 1 };
        assert!((1..=most).contains(&storms.len()), "{fault:?}: {}", storms.len());
        assert_eq!(counts(storms.last().unwrap()), [25, 0, 0], "{fault:?}");
        world.pagerduty().resolve(&incidents[0], &world.pagerduty_user("Ada Wong"));
        world.settle().await;
        world.advance(MINUTE).await;
        let (storms, _) = storms_and_cards(&world, "Payments");
        assert_eq!(counts(storms.last().unwrap()), [24, 0, 1], "{fault:?}");
        world.finish();
    }
}

/// Senders that end at any moment of a storm's beginning: nothing is lost or counted twice.
#[tokio::test]
async fn a_sender_may_die_at_any_moment_of_a_storm() {
    for calls in 1..14 {
        let world = World::new().await;
        let incidents = many(&world, 24).await;
        world.deliver_webhooks().await;
        // Each call of the table takes so long, and the sender has time for some of them.
        let each = std::time::Duration::from_millis(40);
        world.stack.aws.watch(each);
        let batch = world.next_batch().await;
        let work = notification_sender::handle(&world.stack.app, batch, std::time::Duration::from_secs(60));
        let ended = tokio::time::timeout(each * calls, Box::pin(work)).await;
        world.stack.aws.watch(std::time::Duration::ZERO);
        let died = ended.is_err();
        world.advance(MINUTE * 3).await;
        let (storms, _) = storms_and_cards(&world, "Payments");
        assert!((1..=2).contains(&storms.len()), "after {calls} calls");
        assert_eq!(counts(storms.last().unwrap()), [24, 0, 0], "after {calls} calls, died: {died}");
        world.pagerduty().resolve(&incidents[3], &world.pagerduty_user("Ada Wong"));
        world.settle().await;
        world.advance(SECOND * 15).await;
        let (storms, _) = storms_and_cards(&world, "Payments");
        assert_eq!(counts(storms.last().unwrap()), [23, 0, 1], "after {calls} calls");
        world.finish();
    }
}
