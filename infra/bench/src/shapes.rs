//! Storms and other bad hours. Each shape is a function of `scale`: the part of its incidents, at the same pace.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use simulators::teams::Fault;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, sleep_until};

use crate::print;
use crate::stats::{Stats, seconds};
use crate::virtual_stack::{Case, Place, VirtualStack};

/// How long after the last incident it is waited for what is not shown yet.
const PATIENCE: Duration = Duration::from_secs(900);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What came of a shape.
#[derive(Debug, Clone)]
pub struct Row {
    /// What would be ideal.
    pub floor: String,
    pub measured: String,
}

type Outcome = Pin<Box<dyn Future<Output = anyhow::Result<Row>>>>;

/// Something that happens to the stack.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub what: &'static str,
    run: fn(f64) -> Outcome,
}

impl Shape {
    /// The shape with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SHAPES.iter().copied().find(|shape| shape.name == name)
    }

    /// Lets it happen, in a runtime with a paused clock that nothing else uses.
    ///
    /// # Errors
    /// A stand-in refuses.
    pub async fn run(self, scale: f64) -> anyhow::Result<Row> {
        (self.run)(scale).await
    }
}

pub const SHAPES: &[Shape] = &[
    Shape {
        name: "a-1000",
        what: "1,000 incidents in 60 s, one channel",
        run: |scale| Box::pin(one_channel(1_000.0 * scale, MINUTE.mul_f64(scale))),
    },
    Shape {
        name: "b-10000",
        what: "10,000 incidents in 60 s, one channel",
        run: |scale| Box::pin(one_channel(10_000.0 * scale, MINUTE.mul_f64(scale))),
    },
    Shape {
        name: "c-50-channels",
        what: "10,000 incidents in 60 s over 50 channels",
        run: |scale| Box::pin(many_channels(scale)),
    },
    Shape {
        name: "d-hour",
        what: "20 a second for an hour in one channel, acknowledged and resolved",
        run: |scale| Box::pin(long_storm(scale)),
    },
    Shape {
        name: "e-quiet",
        what: "a quiet channel's first incident beside 50 storms",
        run: |scale| Box::pin(quiet_beside_storms(scale)),
    },
    Shape {
        name: "f-hanging",
        what: "a quiet channel's first incident beside 20 channels that hang",
        run: |scale| Box::pin(quiet_beside_hanging(scale)),
    },
    Shape {
        name: "g-p1",
        what: "a P1 in the middle of a storm of 10,000 in its channel",
        run: |scale| Box::pin(top_priority(scale)),
    },
    Shape {
        name: "h-outage",
        what: "20,000 late events of incidents that are over, after six hours",
        run: |scale| Box::pin(after_outage(scale)),
    },
    Shape {
        name: "i-refused",
        what: "a card that Teams never takes, beside one incident every 5 s",
        run: |scale| Box::pin(refused(scale)),
    },
];

/// Runs the shapes whose names begin like `name`, each in a runtime of its own, and prints a table.
///
/// # Errors
/// There is no such shape, or a stand-in refuses.
pub fn print_all(scale: f64, name: Option<&str>, runtime: impl Fn() -> io::Result<Runtime>) -> anyhow::Result<()> {
    let wanted: Vec<_> = SHAPES.iter().filter(|shape| shape.name.starts_with(name.unwrap_or_default())).collect();
    anyhow::ensure!(!wanted.is_empty(), "there is no such shape");
    print(&format!("scale {scale}\n\n| shape | what happens | floor | measured |\n| --- | --- | --- | --- |"));
    for shape in wanted {
        let Row { floor, measured } = runtime()?.block_on(shape.run(scale))?;
        print(&format!("| {} | {} | {floor} | {measured} |", shape.name, shape.what));
    }
    Ok(())
}

/// Something that happens `count` times, evenly within `time`; what it is given is its number.
async fn evenly(
    count: f64,
    time: Duration,
    mut happens: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    for number in 0..whole(count) {
        sleep_until(begun + time.mul_f64(number as f64 / count)).await;
        happens(number)?;
    }
    sleep_until(begun + time).await;
    Ok(())
}

fn whole(count: f64) -> usize {
    count.round().max(1.0) as usize
}

fn pick<T>(of: &[T], number: usize) -> anyhow::Result<&T> {
    of.get(number % of.len().max(1)).context("nothing to pick from")
}

/// What one incident takes when nothing else happens.
async fn alone(stack: &VirtualStack) -> anyhow::Result<String> {
    let place = stack.add_place("alone").await?;
    let case = stack.trigger(&place, "Alone", "high")?;
    let cases = [case];
    stack.wait_for(&cases, MINUTE).await;
    Ok(format!("alone {}", stack.delays(&cases).percentile(100).map_or_else(|| "never".to_owned(), seconds)))
}

async fn storm(stack: &VirtualStack, places: &[Place], count: f64, time: Duration) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    evenly(count, time, |number| {
        cases.push(stack.trigger(pick(places, number)?, &format!("Disk {number} is full"), "high")?);
        Ok(())
    })
    .await?;
    Ok(cases)
}

async fn one_channel(count: f64, time: Duration) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let floor = alone(&stack).await?;
    let place = [stack.add_place("storm").await?];
    let (begun, before) = (Instant::now(), stack.calls_to_teams());
    let cases = storm(&stack, &place, count, time).await?;
    stack.wait_for(&cases, PATIENCE).await;
    Ok(Row { floor, measured: after_storm(&stack, &cases, begun, before) })
}

/// Delays, how long until all were shown, and what Teams was asked.
fn after_storm(stack: &VirtualStack, cases: &[Case], begun: Instant, before: (u32, u32)) -> String {
    let ((calls, throttled), took) = (stack.calls_to_teams(), begun.elapsed());
    let delays = stack.delays(cases).text();
    let (calls, throttled) = (calls - before.0, throttled - before.1);
    format!("{delays}; {} in all; {calls} calls to Teams, {throttled} throttled", seconds(took))
}

async fn many_channels(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let floor = alone(&stack).await?;
    let places = stack.add_places("storm", 50).await?;
    let (begun, before) = (Instant::now(), stack.calls_to_teams());
    let cases = storm(&stack, &places, 10_000.0 * scale, MINUTE.mul_f64(scale)).await?;
    stack.wait_for(&cases, PATIENCE).await;
    Ok(Row { floor, measured: after_storm(&stack, &cases, begun, before) })
}

const A_SECOND: f64 = 20.0;

async fn long_storm(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let places = [stack.add_place("storm").await?];
    let (begun, before, time) = (Instant::now(), stack.calls_to_teams(), HOUR.mul_f64(scale));
    let (acknowledged_after, resolved_after) = (whole(A_SECOND * 60.0), whole(A_SECOND * 300.0));
    let mut cases: Vec<Case> = Vec::new();
    let count = A_SECOND * time.as_secs_f64();
    let all = whole(count);
    let with_ends = count + A_SECOND * 300.0;
    evenly(with_ends, time.mul_f64(with_ends / count), |number| {
        if number < all {
            cases.push(stack.trigger(pick(&places, 0)?, &format!("Disk {number} is full"), "high")?);
        }
        if let Some(case) = number.checked_sub(acknowledged_after).and_then(|earlier| cases.get(earlier)) {
            stack.acknowledge(case);
        }
        if let Some(case) = number.checked_sub(resolved_after).and_then(|earlier| cases.get(earlier)) {
            stack.resolve(case);
        }
        Ok(())
    })
    .await?;
    let left = stack.settle(&places, PATIENCE).await?;
    let storm = after_storm(&stack, &cases, begun, before);
    let hours = begun.elapsed().as_secs_f64() / 3600.0;
    Ok(Row {
        floor: format!("{} calls to Teams, queue 1, nothing left", whole(1800.0 * hours)),
        measured: format!("{storm}; most in the queue {}; {left} left", stack.deepest()),
    })
}

/// The first incidents of fresh channels, one every two seconds.
async fn samples(stack: &VirtualStack, quiet: &[Place]) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for place in quiet {
        sleep(Duration::from_secs(2)).await;
        cases.push(stack.trigger(place, "First here", "high")?);
    }
    Ok(cases)
}

fn sample_count(scale: f64) -> usize {
    whole(30.0 * scale).max(10)
}

async fn quiet_beside_storms(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let floor = alone(&stack).await?;
    let busy = stack.add_places("busy", 50).await?;
    let quiet = stack.add_places("quiet", sample_count(scale)).await?;
    let storms = storm(&stack, &busy, 10_000.0 * scale, MINUTE.mul_f64(scale));
    let (storms, samples) = tokio::join!(storms, samples(&stack, &quiet));
    let (storms, samples) = (storms?, samples?);
    stack.wait_for(&samples, PATIENCE).await;
    let shown = storms.len() - stack.delays(&storms).missing;
    let measured = format!(
        "{} of {} samples; meanwhile {shown} of {} shown in the storms",
        stack.delays(&samples).text(),
        samples.len(),
        storms.len()
    );
    Ok(Row { floor, measured })
}

async fn quiet_beside_hanging(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let floor = alone(&stack).await?;
    let hanging = stack.add_places("hanging", 20).await?;
    let quiet = stack.add_places("quiet", sample_count(scale)).await?;
    for place in &hanging {
        stack.inside.teams.hang_in(&place.channel, true);
    }
    let _never_shown = storm(&stack, &hanging, 20.0, Duration::from_secs(1)).await?;
    let more = storm(&stack, &hanging, 60.0, MINUTE);
    let (more, samples) = tokio::join!(more, samples(&stack, &quiet));
    let (_never_shown, samples) = (more?, samples?);
    stack.wait_for(&samples, PATIENCE).await;
    let measured = format!("{} of {} samples", stack.delays(&samples).text(), samples.len());
    Ok(Row { floor, measured })
}

async fn top_priority(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let top = stack.inside.pagerduty.add_priority("P1");
    let floor = alone(&stack).await?;
    let places = [stack.add_place("storm").await?];
    let (count, time) = (10_000.0 * scale, MINUTE.mul_f64(scale));
    let tops = async {
        let mut tops = Vec::new();
        for _ in 0..3 {
            sleep(time / 4).await;
            let case = stack.trigger(pick(&places, 0)?, "Everything is down", "high")?;
            stack.set_priority(&case, &top);
            tops.push(case);
        }
        anyhow::Ok(tops)
    };
    let (storm, tops) = tokio::join!(storm(&stack, &places, count, time), tops);
    let (_storm, tops) = (storm?, tops?);
    let end = Instant::now() + PATIENCE;
    while stack.own_card_delays(&tops).missing > 0 && Instant::now() < end {
        sleep(Duration::from_secs(1)).await;
    }
    Ok(Row { floor, measured: format!("own card of {} P1: {}", tops.len(), stack.own_card_delays(&tops).text()) })
}

/// Each incident of the outage is over after a minute.
async fn after_outage(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let floor = alone(&stack).await?;
    let places = [stack.add_place("storm").await?];
    let (count, time) = (10_000.0 * scale, 6 * HOUR);
    let over_after = whole(count * 60.0 / time.as_secs_f64());
    stack.works(false);
    let mut old: Vec<Case> = Vec::new();
    evenly(count, time, |number| {
        old.push(stack.trigger(pick(&places, 0)?, &format!("Disk {number} is full"), "high")?);
        if let Some(case) = number.checked_sub(over_after).and_then(|earlier| old.get(earlier)) {
            stack.resolve(case);
        }
        Ok(())
    })
    .await?;
    for case in old.iter().skip(old.len().saturating_sub(over_after)) {
        stack.resolve(case);
    }
    let events = stack.inside.pagerduty.undelivered();
    stack.inside.pagerduty.duplicate_next_delivery(events / 10);
    stack.works(true);
    sleep(Duration::from_secs(5)).await;
    let fresh = [stack.trigger(pick(&places, 0)?, "Happens now", "high")?];
    stack.wait_for(&fresh, PATIENCE).await;
    let delay = stack.delays(&fresh).percentile(100).map_or_else(|| "never".to_owned(), seconds);
    let left = stack.settle(&places, PATIENCE).await?;
    let posted = old.len() - stack.own_card_delays(&old).missing;
    Ok(Row {
        floor: format!("0 cards for what is over; fresh one {floor}"),
        measured: format!("{events} events; {posted} cards for what is over; fresh one {delay}; {left} left"),
    })
}

async fn refused(scale: f64) -> anyhow::Result<Row> {
    let without = Box::pin(every_five_seconds(scale, false)).await?;
    let with = Box::pin(every_five_seconds(scale, true)).await?;
    let mean_and_99 = |stats: &Stats| {
        let p99 = stats.percentile(99).map_or_else(|| "never".to_owned(), seconds);
        format!("mean {:.3} s, p99 {p99}, {} not shown", stats.mean().as_secs_f64(), stats.missing)
    };
    Ok(Row { floor: format!("without it: {}", mean_and_99(&without)), measured: mean_and_99(&with) })
}

async fn every_five_seconds(scale: f64, with_refused: bool) -> anyhow::Result<Stats> {
    const TITLE: &str = "Never taken";
    let stack = VirtualStack::new().await?;
    let places = [stack.add_place("channel").await?];
    if with_refused {
        stack.inside.teams.never_take(TITLE, &Fault::status(413, "MessageSizeTooBig"));
        stack.trigger(pick(&places, 0)?, TITLE, "high")?;
    }
    let time = HOUR.mul_f64(scale);
    let cases = storm(&stack, &places, time.as_secs_f64() / 5.0, time).await?;
    stack.wait_for(&cases, PATIENCE).await;
    Ok(stack.delays(&cases))
}
