//! A thousand events at once.

use jiff::SignedDuration;

use crate::world::World;

const CHANNELS: usize = 10;
const INCIDENTS: usize = 100;
const EVENTS: usize = 1000;

/// 1,000 webhook events for 100 incidents in 10 channels, in random order, a fifth of them twice.
#[tokio::test]
async fn every_card_ends_in_the_true_state_and_none_goes_back_in_time() {
    // Its cards are cards, however late they come.
    let world = World::with("PAGERBRIDGE_LATE_MINUTES", "1440").await;
    let services = world.add_services(CHANNELS).await;
    let mut random = Random(0x5eed);
    let mut incidents = Vec::new();
    for number in 0..INCIDENTS {
        let incident = world.trigger_in(&services[number % CHANNELS], &format!("Incident {number}")).await;
        incidents.push(incident);
    }
    let ada = world.pagerduty_user("Ada Wong");
    let mut step = 0;
    while world.pagerduty().undelivered() < EVENTS {
        step += 1;
        // Cards show minutes: one apart, so that each state of a card can be told from the next.
        world.tick(SignedDuration::from_mins(1));
        let incident = &incidents[random.below(INCIDENTS)];
        match random.below(4) {
            0 => world.pagerduty().acknowledge(incident, &ada),
            1 => world.pagerduty().resolve(incident, &ada),
            2 => world.pagerduty().reopen(incident, &ada),
            _ => world.pagerduty().add_note(incident, &ada, &format!("note {step}")),
        };
    }
    let mut deliveries = world.take_undelivered();
    let unique = deliveries.len();
    assert_eq!(unique, EVENTS);
    for index in 0..unique / 5 {
        deliveries.push(deliveries[index * 5].clone());
    }
    random.shuffle(&mut deliveries);
    world.deliver_in_this_order(deliveries).await;
    world.settle_all().await;

    let (mut posts, mut edits, mut replies) = (0, 0, 0);
    for (number, incident) in incidents.iter().enumerate() {
        let card = world.card_of(&services[number % CHANNELS], incident);
        assert!(card.shows_status(&world.status_in_pagerduty(incident)), "{incident}: {}", card.summary());
        assert!(card.never_went_back(), "{incident}");
        posts += card.posts();
        edits += card.edits();
        replies += card.replies().len();
    }
    let messages: usize = services.iter().map(|service| world.cards_in(service).len()).sum();
    assert_eq!((posts, messages), (INCIDENTS, INCIDENTS), "one post per incident and connected channel");
    println!("storm: {unique} events (+20 % duplicates): {posts} posts, {edits} edits, {replies} replies");
    assert!(edits < unique, "edits are fewer than events");
    world.finish();
}

/// A small generator with a fixed seed: a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
