//! Scripts in a town in which nothing goes wrong.

use jiff::Timestamp;
use local::inside::{Delays, Inside};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::*;
use crate::dice::Dice;
use crate::script::Script;

/// 23 November 2026, 09:00 UTC.
const START: Timestamp = Timestamp::constant(1_795_424_400, 0);
const SPAN: Duration = Duration::from_secs(15 * 60);
const DELAYS: Delays = Delays {
    dynamodb: Duration::from_millis(5),
    sqs: Duration::from_millis(10),
    pagerduty: Duration::from_millis(120),
    teams: Duration::from_millis(150),
};
const LOOK: Duration = Duration::from_millis(250);
const SENDER_TIMEOUT: Duration = Duration::from_secs(60);

async fn found(seed: u64) -> World {
    let inside = Box::pin(Inside::compose(START, DELAYS)).await.unwrap();
    let town = Box::pin(Town::found(&inside, &mut Dice::new(seed))).await.unwrap();
    let web = oauth_callback::router(inside.app.clone()).merge(admin_api::router(inside.app.clone()));
    World { web, ..World::by_hand(inside, town) }
}

/// Brings webhooks, wake-ups and the schedule along.
fn platform(inside: &Inside) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (webhooks, schedule) = (inside.clone(), inside.clone());
    tasks.spawn(async move {
        let mut on_the_way = JoinSet::new();
        loop {
            while let Some(attempt) = webhooks.pagerduty.deliver_one() {
                on_the_way.spawn(attempt);
            }
            while on_the_way.try_join_next().is_some() {}
            sleep(LOOK).await;
        }
    });
    for _ in 0..3 {
        let inside = inside.clone();
        tasks.spawn(async move {
            loop {
                if inside.queued() == 0 || !Box::pin(send_one(&inside)).await {
                    sleep(LOOK).await;
                }
            }
        });
    }
    tasks.spawn(async move {
        loop {
            sleep(Duration::from_secs(60)).await;
            Box::pin(reconciler::run(&schedule.app, reconciler::Extent::Due, Duration::from_secs(110))).await;
        }
    });
    tasks
}

async fn send_one(inside: &Inside) -> bool {
    let batch = inside.receive(0).await.unwrap();
    let receipts: Vec<String> = batch.records.iter().filter_map(|record| record.receipt_handle.clone()).collect();
    if receipts.is_empty() {
        return false;
    }
    let handling = Box::pin(notification_sender::handle(&inside.app, batch, SENDER_TIMEOUT));
    if timeout(SENDER_TIMEOUT, handling).await.is_ok_and(|answer| answer.batch_item_failures.is_empty()) {
        for receipt in receipts {
            inside.delete(&receipt).await.unwrap();
        }
    }
    true
}

/// What has become of each step.
async fn play(world: &World, script: &Script) -> Vec<(Act, Did)> {
    let _platform = platform(&world.inside);
    let (begun, mut steps) = (Instant::now(), JoinSet::new());
    for (number, step) in script.0.iter().cloned().enumerate() {
        let world = world.clone();
        steps.spawn(async move {
            sleep_until(begun + step.at).await;
            let did = Box::pin(act(&world, &step.act)).await;
            (number, step.act, did)
        });
    }
    let mut done = Vec::new();
    while let Some(step) = steps.join_next().await {
        done.push(step.unwrap());
    }
    done.sort_by_key(|(number, ..)| *number);
    done.into_iter().map(|(_, act, did)| (act, did)).collect()
}

#[tokio::test(start_paused = true)]
async fn most_steps_can_be_done_in_a_town_without_faults() {
    let world = found(1).await;
    let done = play(&world, &Script::draw(&mut Dice::new(1), 60, SPAN)).await;
    let nothing: Vec<&(Act, Did)> = done.iter().filter(|(_, did)| matches!(did, Did::Nothing(_))).collect();
    assert!(nothing.len() * 3 < done.len(), "{nothing:#?}");
    assert_eq!(world.inside.pagerduty.unknown_requests(), [""; 0]);
    assert_eq!(world.inside.teams.unknown_requests(), [""; 0]);
    assert_eq!(world.inside.teams.complaints(), [""; 0]);
}
