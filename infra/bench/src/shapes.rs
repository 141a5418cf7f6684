//! Storms and other bad hours. Each shape is a function of `scale`: the part of its incidents, at the same pace.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use simulators::teams::Fault;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, sleep_until};

use crate::stats::{Stats, seconds};
use crate::virtual_stack::{Case, Place, VirtualStack};
use crate::{healing, print};

/// How long after the last incident it is waited for what is not shown yet.
const PATIENCE: Duration = Duration::from_secs(900);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What came of a shape.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub measured: String,
    /// The delay that one of a hundred exceeds; `None`: something was never shown.
    pub p99: Option<Duration>,
    /// Requests to Teams, and how many of them its limits refused.
    pub calls: u32,
    pub refused: u32,
    /// What was not accounted for in the end, or got a card that it should not get.
    pub wrong: usize,
}

pub(crate) type Outcome = Pin<Box<dyn Future<Output = anyhow::Result<Row>>>>;

/// Something that happens to the stack.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub what: &'static str,
    /// What has to be reached.
    pub floor: &'static str,
    pub(crate) run: fn(f64) -> Outcome,
}

impl Shape {
    /// The shape with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SHAPES.iter().chain(healing::SHAPES).copied().find(|shape| shape.name == name)
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
        floor: "p99 <= 10 s, none refused",
        run: |scale| Box::pin(minute_of(1_000.0, 1, scale)),
    },
    Shape {
        name: "b-10000",
        what: "10,000 incidents in 60 s, one channel",
        floor: "p99 <= 60 s, <= 300 calls",
        run: |scale| Box::pin(minute_of(10_000.0, 1, scale)),
    },
    Shape {
        name: "c-50-channels",
        what: "10,000 incidents in 60 s over 50 channels",
        floor: "p99 <= 15 s",
        run: |scale| Box::pin(minute_of(10_000.0, 50, scale)),
    },
    Shape {
        name: "d-hour",
        what: "20 a second for an hour in one channel, acknowledged and resolved",
        floor: "all accounted, <= 1,800 calls an hour, never more than 100 in the queue",
        run: |scale| Box::pin(long_storm(scale)),
    },
    Shape {
        name: "e-quiet",
        what: "a quiet channel's first incident beside 50 storms",
        floor: "p99 <= 3 s",
        run: |scale| Box::pin(quiet_beside_storms(scale)),
    },
    Shape {
        name: "f-hanging",
        what: "a quiet channel's first incident beside 20 channels that hang",
        floor: "p99 <= 3 s",
        run: |scale| Box::pin(quiet_beside_hanging(scale)),
    },
    Shape {
        name: "g-p1",
        what: "a P1 in the middle of a storm of 10,000 in its channel",
        floor: "own card, p99 <= 5 s",
        run: |scale| Box::pin(top_priority(scale)),
    },
    Shape {
        name: "h-outage",
        what: "20,000 late events of incidents that are over, after six hours",
        floor: "no cards for what is over, a fresh one <= 10 s",
        run: |scale| Box::pin(after_outage(scale)),
    },
    Shape {
        name: "i-refused",
        what: "a card that Teams never takes, beside one incident every 5 s",
        floor: "the others' delay within 5 %",
        run: |scale| Box::pin(refused(scale)),
    },
];

/// Runs the shapes whose names begin like `name`, each in a runtime of its own, and prints a table.
///
/// # Errors
/// There is no such shape, or a stand-in refuses.
pub fn print_all(
    shapes: &[Shape],
    scale: f64,
    name: Option<&str>,
    runtime: impl Fn() -> io::Result<Runtime>,
) -> anyhow::Result<()> {
    let wanted: Vec<_> = shapes.iter().filter(|shape| shape.name.starts_with(name.unwrap_or_default())).collect();
    anyhow::ensure!(!wanted.is_empty(), "there is no such shape");
    print(&format!("scale {scale}\n\n| shape | what happens | floor | measured |\n| --- | --- | --- | --- |"));
    for shape in wanted {
        let Row { measured, .. } = runtime()?.block_on(shape.run(scale))?;
        print(&format!("| {} | {} | {} | {measured} |", shape.name, shape.what, shape.floor));
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

pub(crate) fn whole(count: f64) -> usize {
    count.round().max(1.0) as usize
}

pub(crate) fn pick<T>(of: &[T], number: usize) -> anyhow::Result<&T> {
    of.get(number % of.len().max(1)).context("nothing to pick from")
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

/// So many incidents within a minute, over so many channels.
async fn minute_of(count: f64, channels: usize, scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let places = stack.add_places("storm", channels).await?;
    let (begun, before) = (Instant::now(), stack.calls_to_teams());
    let cases = storm(&stack, &places, count * scale, MINUTE.mul_f64(scale)).await?;
    stack.wait_for(&cases, PATIENCE).await;
    Ok(after_storm(&stack, &places, &cases, begun, before))
}

/// Delays, how long until all were shown, what Teams was asked, and whether the cards and counts add up to what PagerDuty has.
fn after_storm(stack: &VirtualStack, places: &[Place], cases: &[Case], begun: Instant, before: (u32, u32)) -> Row {
    let ((calls, refused), took) = (stack.calls_to_teams(), begun.elapsed());
    let delays = stack.delays(cases);
    let (calls, refused) = (calls - before.0, refused - before.1);
    let wrong = stack.unaccounted(places, cases);
    let measured = format!(
        "{}; {} in all; {calls} calls to Teams, {refused} refused; {wrong} not accounted for",
        delays.text(),
        seconds(took)
    );
    Row { measured, p99: p99(&delays), calls, refused, wrong: wrong + delays.missing }
}

fn p99(delays: &Stats) -> Option<Duration> {
    delays.percentile(99).filter(|_| delays.missing == 0)
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
    let storm = after_storm(&stack, &places, &cases, begun, before);
    let measured = format!("{}; most in the queue {}; {left} left", storm.measured, stack.deepest());
    let too_many = stack.deepest().saturating_sub(100);
    Ok(Row { measured, wrong: storm.wrong + left + too_many, ..storm })
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
    whole(30.0 * scale).max(5)
}

async fn quiet_beside_storms(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let busy = stack.add_places("busy", 50).await?;
    // It takes them some twenty seconds to find their pace.
    let first = sample_count(scale).max(10);
    let quiet = stack.add_places("quiet", first + sample_count(scale) * 2).await?;
    let (first, later) = quiet.split_at(first);
    // All of them begin within the same seconds, and go on for as long as samples are taken.
    let time = Duration::from_secs(2) * u32::try_from(quiet.len())?;
    let storms = storm(&stack, &busy, 10_000.0 / 60.0 * time.as_secs_f64(), time);
    let samples = async { anyhow::Ok((samples(&stack, first).await?, samples(&stack, later).await?)) };
    let (storms, samples) = tokio::join!(storms, samples);
    let (storms, (first, later)) = (storms?, samples?);
    stack.wait_for(&storms, PATIENCE).await;
    stack.wait_for(&later, PATIENCE).await;
    let wrong = stack.delays(&storms).missing;
    let delays = stack.delays(&later);
    let measured = format!(
        "{} of {} samples; {} of {} samples while all the storms begin; {wrong} of {} never shown in them",
        delays.text(),
        later.len(),
        stack.delays(&first).text(),
        first.len(),
        storms.len()
    );
    Ok(Row { measured, p99: p99(&delays), refused: stack.calls_to_teams().1, wrong, ..Row::default() })
}

async fn quiet_beside_hanging(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let hanging = stack.add_places("hanging", 20).await?;
    let quiet = stack.add_places("quiet", sample_count(scale) * 4).await?;
    for place in &hanging {
        stack.inside.teams.hang_in(&place.channel, true);
    }
    let (first, later) = quiet.split_at(sample_count(scale));
    // All of them hang at the same moment, and go on getting incidents.
    let _never_shown = storm(&stack, &hanging, 20.0, Duration::from_secs(1)).await?;
    let samples = async {
        let first = samples(&stack, first).await?;
        sleep(MINUTE).await;
        anyhow::Ok((first, samples(&stack, later).await?))
    };
    let time = MINUTE + Duration::from_secs(2) * u32::try_from(quiet.len())?;
    let more = storm(&stack, &hanging, time.as_secs_f64(), time);
    let (more, samples) = tokio::join!(more, samples);
    let (_never_shown, (first, later)) = (more?, samples?);
    stack.wait_for(&later, PATIENCE).await;
    let delays = stack.delays(&later);
    let measured = format!(
        "{} of {} samples; {} of {} samples in the first moments of the trouble",
        delays.text(),
        later.len(),
        stack.delays(&first).text(),
        first.len()
    );
    Ok(Row { measured, p99: p99(&delays), ..Row::default() })
}

async fn top_priority(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
    let top = stack.inside.pagerduty.add_priority("P1");
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
    stack.wait_for_own_cards(&tops, PATIENCE).await;
    let delays = stack.own_card_delays(&tops);
    let measured = format!("own card of {} P1: {}", tops.len(), delays.text());
    Ok(Row { measured, p99: p99(&delays), refused: stack.calls_to_teams().1, ..Row::default() })
}

/// Each incident of the outage is over after a minute.
async fn after_outage(scale: f64) -> anyhow::Result<Row> {
    let stack = VirtualStack::new().await?;
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
    let delays = stack.delays(&fresh);
    let left = stack.settle(&places, PATIENCE).await?;
    let posted = old.len() - stack.own_card_delays(&old).missing;
    let measured =
        format!("{events} events; {posted} cards for what is over; fresh one {}; {left} left", delays.text());
    Ok(Row { measured, p99: p99(&delays), wrong: posted + left, ..Row::default() })
}

async fn refused(scale: f64) -> anyhow::Result<Row> {
    let without = Box::pin(every_five_seconds(scale, false)).await?;
    let with = Box::pin(every_five_seconds(scale, true)).await?;
    let mean_and_99 = |stats: &Stats| {
        let p99 = stats.percentile(99).map_or_else(|| "never".to_owned(), seconds);
        format!("mean {:.3} s, p99 {p99}, {} not shown", stats.mean().as_secs_f64(), stats.missing)
    };
    let more = with.mean().as_secs_f64() / without.mean().as_secs_f64() - 1.0;
    let measured = format!("{}; without it {}: {:+.1} % more", mean_and_99(&with), mean_and_99(&without), more * 100.0);
    Ok(Row { measured, p99: p99(&with), wrong: usize::from(more > 0.05), ..Row::default() })
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
