//! The oracle on the whole stack.

use std::time::Duration;

use jiff::Timestamp;
use local::inside::{Delays, Inside};
use reconciler::Extent;
use serde_json::Value;
use tokio::time::sleep;

use super::card::Counted;
use super::*;
use crate::town::{Channel, Team, Town};

/// A team with channels, each with a service of its own.
async fn world(channels: usize) -> World {
    let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    let inside = Box::pin(Inside::compose(start, Delays::default())).await.unwrap();
    inside.pagerduty.add_user("Ada Wong", "ada@example.com", "admin");
    let team = inside.add_team("Site Reliability").await.unwrap();
    let mut town = Town { teams: vec![Team { id: team.clone() }], ..Town::default() };
    for number in 0..channels {
        let (channel, service) = inside.add_channel(&team, &format!("payments-{number}")).await.unwrap();
        town.channels.push(Channel { id: channel, team: 0 });
        town.services.push(service);
        town.connected.push((number, number));
    }
    World::by_hand(inside, town)
}

/// Everything works, one thing at a time, for so long.
async fn run(world: &World, time: Duration) {
    let inside = &world.inside;
    for second in 1..=time.as_secs() {
        inside.pagerduty.deliver().await;
        loop {
            let batch = inside.receive(0).await.unwrap();
            let Some(receipt) = batch.records.first().and_then(|record| record.receipt_handle.clone()) else { break };
            let answer = Box::pin(notification_sender::handle(&inside.app, batch, Duration::from_secs(30))).await;
            if answer.batch_item_failures.is_empty() {
                inside.delete(&receipt).await.unwrap();
            }
        }
        if second % 60 == 0 {
            Box::pin(reconciler::run(&inside.app, Extent::Due, Duration::from_secs(55))).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

fn ada(world: &World) -> String {
    world.inside.pagerduty.user_with_email("ada@example.com").unwrap()
}

async fn found(world: &World) -> Vec<Broken> {
    let judgement = judge(world).await.unwrap();
    println!("{judgement:#?}");
    judgement.breaches.into_iter().map(|breach| breach.what).collect()
}

/// Changes the texts of a message behind the bot's back.
fn alter(world: &World, message: &str, from: &str, to: &str) {
    let teams = &world.inside.teams;
    let mut all = teams.snapshot();
    let known = &mut all["messages"][message];
    let text = known.to_string();
    assert!(text.contains(from), "{text}");
    *known = serde_json::from_str::<Value>(&text.replace(from, to)).unwrap();
    teams.restore(all).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_quiet_life_breaks_nothing_and_a_wrong_card_is_found() {
    let world = world(1).await;
    let (pagerduty, ada) = (&world.inside.pagerduty, ada(&world));
    let first = pagerduty.trigger(&world.town.services[0], "Disk is *full*", "high");
    let second = pagerduty.trigger(&world.town.services[0], "Disk is slow", "low");
    run(&world, Duration::from_secs(5)).await;
    pagerduty.acknowledge(&first, &ada);
    run(&world, Duration::from_secs(5)).await;
    pagerduty.resolve(&first, &ada);
    pagerduty.set_priority(&second, &ada, Some(&pagerduty.add_priority("P3")));
    run(&world, Duration::from_secs(120)).await;
    assert_eq!(found(&world).await, []);

    let mut cards = Seen::of(&world.inside.teams.all_from_bot()).0;
    cards.retain(|post| post.incident().is_some());
    assert_eq!(cards.iter().map(|post| post.looks.len()).collect::<Vec<_>>(), [3, 2]);
    alter(&world, &cards[1].id, "Triggered · P3", "Acknowledged · P3");
    assert_eq!(found(&world).await, [Broken::Lost, Broken::Backward]);
    alter(&world, &cards[1].id, "Acknowledged · P3", "Triggered · P3");
    assert_eq!(found(&world).await, []);
    world.inside.teams.delete_message(&cards[0].id);
    assert_eq!(found(&world).await, [Broken::Lost]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_that_counts_right_breaks_nothing() {
    let world = world(1).await;
    let (pagerduty, ada) = (&world.inside.pagerduty, ada(&world));
    let all: Vec<String> = (0..60)
        .map(|number| {
            pagerduty.trigger(&world.town.services[0], &format!("Host {number}"), ["high", "low"][number % 2])
        })
        .collect();
    run(&world, Duration::from_secs(20)).await;
    for id in &all[..10] {
        pagerduty.acknowledge(id, &ada);
        pagerduty.resolve(&all[59], &ada);
    }
    run(&world, Duration::from_secs(100)).await;
    assert_eq!(found(&world).await, []);
    let posts = Seen::of(&world.inside.teams.all_from_bot()).0;
    let storm = posts.iter().find(|post| post.storm().is_some()).expect("a storm");
    let counted = storm.storm().unwrap().counted;
    assert!(counted.triggered_high > 0 && counted.resolved > 0, "{counted:?}");
    run(&world, Duration::from_secs(900)).await;
    assert_eq!(found(&world).await, []);
    let posts = Seen::of(&world.inside.teams.all_from_bot()).0;
    let storm = posts.iter().find(|post| post.storm().is_some()).expect("a storm");
    let Counted { triggered_high: high, triggered_low: low, .. } = storm.storm().unwrap().counted;
    let line = |high, low| format!("({high} high, {low} low)");
    alter(&world, &storm.id, &line(high, low), &line(high - 1, low + 1));
    assert_eq!(found(&world).await, [Broken::Lost]);
}
