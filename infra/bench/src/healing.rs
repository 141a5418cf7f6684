//! How long it takes until the cards are true again after webhooks were lost, and what the reconciler asks of PagerDuty for it: in
//! virtual time, with the schedule as the template has it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use crate::shapes::{Row, Shape, pick, whole};
use crate::stats::{Stats, seconds};
use crate::virtual_stack::{Case, Place, VirtualStack};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How long it is waited for what is not true yet.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// What the reconciler has to reach.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "lost-trigger",
        what: "a trigger whose webhook is lost, at any second of the minute",
        floor: "on its card within 90 s",
        run: |scale| Box::pin(lost_triggers(scale)),
    },
    Shape {
        name: "disabled",
        what: "a subscription that PagerDuty disables, at any second of the minute",
        floor: "enabled within 90 s",
        run: |scale| Box::pin(disabled(scale)),
    },
    Shape {
        name: "idle",
        what: "an hour in which nothing happens, with ten open incidents",
        floor: "at most 2 requests in any minute",
        run: |scale| Box::pin(idle(scale)),
    },
    Shape {
        name: "missed-resolves",
        what: "1,100 resolves that were missed, over 10 channels",
        floor: "true within 15 min, by lists, at most 96 requests a minute",
        run: |scale| Box::pin(missed_resolves(scale, 10)),
    },
    Shape {
        name: "missed-in-one",
        what: "the same in one channel, whose limit Teams sets",
        floor: "true within 15 min",
        run: |scale| Box::pin(missed_resolves(scale, 1)),
    },
    Shape {
        name: "a-day",
        what: "a day of disabled subscriptions with 500 incidents, over 10 channels",
        floor: "every card true within 2 min of the enabling",
        run: |scale| Box::pin(a_day(scale)),
    },
    Shape {
        name: "many-open",
        what: "12,000 open incidents of 2,000 services, all of them acknowledged unheard",
        floor: "all known, at most 96 requests in any minute",
        run: |scale| Box::pin(many_open(scale)),
    },
];

/// The most requests that PagerDuty got in a minute, and how many it got in all, since it was last asked.
fn asked(stack: &VirtualStack) -> (usize, usize) {
    let asked = stack.inside.pagerduty.take_asked();
    let all = asked.len();
    let mut minutes = BTreeMap::<i64, usize>::new();
    for (at, _) in asked {
        *minutes.entry(at.as_second().div_euclid(60)).or_default() += 1;
    }
    (minutes.into_values().max().unwrap_or(0), all)
}

/// The webhooks that are due now are lost.
fn lose_webhooks(stack: &VirtualStack) {
    drop(stack.inside.pagerduty.take_pending());
}

/// What happens after this comes at another second of the minute each time, and at a full round as well as between two.
fn another_second(number: usize) -> Duration {
    Duration::from_secs(60 + (number as u64 * 7) % 60)
}

async fn lost_triggers(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let place = stack.add_place("lost").await?;
    let count = whole(60.0 * scale);
    let mut delays = Vec::new();
    for number in 0..count {
        sleep(another_second(number)).await;
        let case = stack.trigger(&place, &format!("Disk {number} is full"), "high")?;
        lose_webhooks(&stack);
        stack.wait_for(std::slice::from_ref(&case), PATIENCE).await;
        stack.resolve(&case);
        delays.push(stack.delays(&[case]).percentile(100));
    }
    let delays: Stats = delays.into_iter().collect();
    let wrong = delays.missing + usize::from(delays.percentile(100) > Some(Duration::from_secs(90)));
    Ok(Row { measured: format!("{} of {count}", delays.text()), p99: delays.percentile(100), wrong, ..Row::default() })
}

async fn disabled(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let place = stack.add_place("disabled").await?;
    let pagerduty = &stack.inside.pagerduty;
    let subscription = pagerduty.subscriptions_of(&place.service).into_iter().next().context("no subscription")?;
    let count = whole(60.0 * scale);
    let mut delays = Vec::new();
    for number in 0..count {
        sleep(another_second(number)).await;
        pagerduty.disable(&subscription);
        let began = Instant::now();
        while pagerduty.is_disabled(&subscription) && began.elapsed() < PATIENCE {
            sleep(SECOND).await;
        }
        delays.push(Some(began.elapsed()));
    }
    let delays: Stats = delays.into_iter().collect();
    let wrong = usize::from(delays.percentile(100) > Some(Duration::from_secs(90)));
    Ok(Row { measured: format!("{} of {count}", delays.text()), p99: delays.percentile(100), wrong, ..Row::default() })
}

async fn idle(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let place = stack.add_place("idle").await?;
    let cases: Vec<Case> =
        (0..10).map(|number| stack.trigger(&place, &format!("Disk {number}"), "high")).collect::<Result<_, _>>()?;
    stack.wait_for(&cases, PATIENCE).await;
    // What has happened is looked at once more until then.
    sleep(MINUTE * 25).await;
    asked(&stack);
    let minutes = whole(60.0 * scale);
    sleep(MINUTE * u32::try_from(minutes)?).await;
    let (most, all) = asked(&stack);
    let wrong = usize::from(most > 2);
    Ok(Row { measured: format!("{most} in a minute at most, {all} in {minutes} min"), wrong, ..Row::default() })
}

/// Waits until every card of these says so, and gives how long that took.
async fn until_true(stack: &VirtualStack, cases: &[Case], status: &str) -> Option<Duration> {
    let began = Instant::now();
    let mut waiting: Vec<&Case> = cases.iter().collect();
    while began.elapsed() < PATIENCE {
        waiting.retain(|case| !says(stack, case, status));
        if waiting.is_empty() {
            return Some(began.elapsed());
        }
        sleep(SECOND * 5).await;
    }
    None
}

/// Whether an incident's own card says so; what has none is counted in its channel's storm.
fn says(stack: &VirtualStack, case: &Case, status: &str) -> bool {
    let own = stack.shown.own_card(&case.channel, case.number);
    own.is_none_or(|card| card.contains(&format!("({status}, ")))
}

async fn missed_resolves(scale: f64, channels: usize) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let places = stack.add_places("missed", channels).await?;
    let cases = slowly(&stack, &places, whole(1_100.0 * scale)).await?;
    stack.settle(&places, PATIENCE).await?;
    stack.works(false);
    cases.iter().for_each(|case| stack.resolve(case));
    lose_webhooks(&stack);
    asked(&stack);
    stack.works(true);
    let took = until_true(&stack, &cases, "resolved").await;
    let left = stack.settle(&places, PATIENCE).await?;
    let wrong = stack.unaccounted(&places, &cases) + left;
    let asked = stack.inside.pagerduty.take_asked();
    let lists = asked.iter().filter(|(_, line)| line.contains("/incidents?")).count();
    let alone = asked.len() - lists;
    let own = cases.iter().filter(|case| stack.own_card_delays(std::slice::from_ref(*case)).missing == 0).count();
    let measured = format!(
        "true after {} ({own} cards of their own, the others rows); {lists} lists, {alone} other requests until all was quiet; {wrong} wrong",
        took.map_or("never".to_owned(), seconds)
    );
    let is_late = took.is_none_or(|took| took > MINUTE * 15);
    let wrong = wrong + usize::from(is_late);
    Ok(Row { measured, p99: took, wrong, ..Row::default() })
}

/// So many incidents, at a pace at which each gets its own card.
async fn slowly(stack: &VirtualStack, places: &[Place], count: usize) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for number in 0..count {
        let place = pick(places, number)?;
        cases.push(stack.trigger(place, &format!("Disk {number} is full"), "high")?);
        // Below what begins a storm, and what Teams takes in an hour of one channel.
        let pause = Duration::from_millis(if places.len() == 1 { 4_000 } else { 1_500 });
        sleep(pause).await;
    }
    stack.wait_for(&cases, PATIENCE).await;
    Ok(cases)
}

async fn a_day(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let places = stack.add_places("day", 10).await?;
    let (before, meanwhile) = (whole(250.0 * scale), whole(250.0 * scale));
    let known = slowly(&stack, &places, before).await?;
    stack.settle(&places, PATIENCE).await?;
    let pagerduty = &stack.inside.pagerduty;
    let subscriptions: Vec<String> =
        places.iter().flat_map(|place| pagerduty.subscriptions_of(&place.service)).collect();
    // Nothing of ours runs either, or it would be enabled after a minute.
    stack.works(false);
    subscriptions.iter().for_each(|subscription| pagerduty.disable(subscription));
    let mut cases = Vec::new();
    let pause = Duration::from_secs(23 * 60 * 60) / u32::try_from(before + meanwhile)?;
    for number in 0..meanwhile {
        let place = pick(&places, number)?;
        cases.push(stack.trigger(place, &format!("In the night {number}"), "high")?);
        sleep(pause).await;
        if let Some(earlier) = known.get(number) {
            stack.resolve(earlier);
        }
        if number % 2 == 0 {
            let case = cases.last().context("no case")?;
            stack.resolve(case);
        }
        sleep(pause).await;
    }
    lose_webhooks(&stack);
    stack.works(true);
    let began = Instant::now();
    while subscriptions.iter().any(|subscription| pagerduty.is_disabled(subscription)) && began.elapsed() < PATIENCE {
        sleep(SECOND).await;
    }
    let enabled = began.elapsed();
    let resolved = until_true(&stack, &known, "resolved").await;
    let open: Vec<Case> =
        cases.iter().enumerate().filter(|(number, _)| number % 2 == 1).map(|(_, case)| case.clone()).collect();
    let shown = until_shown(&stack, &open).await;
    let took = resolved.and(shown).map(|_| began.elapsed().saturating_sub(enabled));
    let left = stack.settle(&places, PATIENCE).await?;
    let all: Vec<Case> = known.into_iter().chain(cases).collect();
    let wrong = stack.unaccounted(&places, &all) + left;
    let measured = format!(
        "enabled {} after the return, all true {} later; {} requests in a minute at most; {wrong} wrong",
        seconds(enabled),
        took.map_or("never".to_owned(), seconds),
        asked(&stack).0,
    );
    let is_late = took.is_none_or(|took| took > MINUTE * 2);
    Ok(Row { measured, p99: took, wrong: wrong + usize::from(is_late), ..Row::default() })
}

async fn until_shown(stack: &VirtualStack, cases: &[Case]) -> Option<Duration> {
    let began = Instant::now();
    let is_shown = |case: &Case| stack.own_card_delays(std::slice::from_ref(case)).missing == 0 || stack.is_row(case);
    while began.elapsed() < PATIENCE {
        if cases.iter().all(is_shown) {
            return Some(began.elapsed());
        }
        sleep(SECOND).await;
    }
    None
}

async fn many_open(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let services = whole(2_000.0 * scale);
    let places = stack.add_places("service", services).await?;
    stack.works(false);
    let mut cases = Vec::new();
    for number in 0..whole(12_000.0 * scale) {
        let place = pick(&places, number)?;
        cases.push(stack.trigger(place, &format!("Disk {number} is full"), "high")?);
        sleep(Duration::from_millis(100)).await;
    }
    cases.iter().for_each(|case| stack.acknowledge(case));
    lose_webhooks(&stack);
    asked(&stack);
    stack.works(true);
    let began = Instant::now();
    let mut unknown = cases.len();
    while unknown > 0 && began.elapsed() < PATIENCE {
        sleep(MINUTE).await;
        unknown = stack.unknown(&cases).await?;
    }
    let took = began.elapsed();
    let (most, _) = asked(&stack);
    // Senders ask for details besides, which is not the reconciler's.
    let measured = format!("all known after {}, {unknown} not; {most} requests in a minute at most", seconds(took));
    Ok(Row { measured, p99: Some(took), wrong: unknown, ..Row::default() })
}
