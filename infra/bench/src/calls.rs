//! What one incident costs at AWS: how many calls follow each other in each function, and how many units of the table they take.
//!
//! Each answer of the embedded AWS takes as long as one of AWS does, so that calls which are made together overlap. Calls that do not
//! overlap follow each other: the longest chain of them is what a person waits for, beside Teams' own answers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use local::aws::Call;
use local::{LocalConfig, Running};
use runtime::Clock;

use crate::print;

/// Long enough that what is made together overlaps on a busy machine.
const ANSWER: Duration = Duration::from_millis(100);

/// 23 November 2026, 09:00 UTC.
const START: Timestamp = Timestamp::constant(1_795_424_400, 0);

/// What a step of an incident took.
struct Cost {
    what: &'static str,
    channels: usize,
    webhook: usize,
    sender: usize,
    calls: usize,
    writes: f64,
    reads: f64,
    order: String,
}

/// Prints the tables.
///
/// # Errors
/// The stack does not start.
pub async fn measure() -> anyhow::Result<()> {
    let mut costs = Vec::new();
    for channels in [1, 3] {
        costs.extend(Box::pin(incident(channels)).await?);
    }
    print(
        "| step | channels | webhook, in sequence | sender, in sequence | calls | write units | per notification | read units |",
    );
    print("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for Cost { what, channels, webhook, sender, calls, writes, reads, .. } in &costs {
        let each = writes / f64::from(u32::try_from(*channels)?);
        print(&format!("| {what} | {channels} | {webhook} | {sender} | {calls} | {writes} | {each:.1} | {reads} |"));
    }
    print(
        "\nThe order of the calls, each line a function; what stands together in brackets is made at the same time:\n",
    );
    for Cost { what, channels, order, .. } in &costs {
        print(&format!("{what}, {channels} channel(s):\n{order}"));
    }
    for cards in [1, 10] {
        let calls = Box::pin(drain(cards)).await?;
        let (sequence, all) = (sequence(&calls), calls.len());
        print(&format!("a drain of {cards} card(s): {sequence} calls in sequence, {all} in all:\n  {}", order(&calls)));
    }
    print(&format!("a record after trigger, acknowledgement and resolution: {} bytes", Box::pin(record()).await?));
    Ok(())
}

struct Bench {
    stack: Running,
    folder: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _left_over = std::fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    /// A stack that has been delivering for a while: its functions have their tokens and secrets, its channels their first messages.
    async fn new(channels: usize) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("pagerbridge-bench-{}", std::process::id()));
        let config = LocalConfig { calls: Some(folder.clone()), ..LocalConfig::for_tests(Clock::manual(START)) };
        let bench = Self { stack: local::compose(config).await?, folder };
        let demo = bench.stack.demo.as_ref().context("no demo")?;
        let teams = bench.stack.teams.as_ref().context("no Teams")?;
        let first = demo.channels.first().context("no channel")?;
        for number in 1..channels {
            let channel = teams.add_channel(&demo.team, &format!("more-{number}"));
            local::connect(&bench.stack.app, &demo.team, &channel, &first.service, &first.name).await?;
        }
        bench.trigger()?;
        bench.stack.settle_all().await?;
        bench.stack.aws.watch(ANSWER);
        bench.stack.app.clock.advance(SignedDuration::from_secs(10));
        Ok(bench)
    }

    fn trigger(&self) -> anyhow::Result<String> {
        let pagerduty = self.stack.pagerduty.as_ref().context("no PagerDuty")?;
        let first = self.stack.demo.as_ref().and_then(|demo| demo.channels.first()).context("no channel")?;
        self.stack.app.clock.advance(SignedDuration::from_millis(1));
        Ok(pagerduty.trigger(
            &first.service,
            "Checkout answers 502 for every third request since the last release",
            "high",
        ))
    }

    async fn deliver(&self) -> anyhow::Result<()> {
        let pagerduty = self.stack.pagerduty.as_ref().context("no PagerDuty")?;
        while pagerduty.deliver().await > 0 {}
        Ok(())
    }
}

async fn incident(channels: usize) -> anyhow::Result<Vec<Cost>> {
    let bench = Box::pin(Bench::new(channels)).await?;
    let stack = &bench.stack;
    let pagerduty = stack.pagerduty.as_ref().context("no PagerDuty")?;
    let ada = stack.demo.as_ref().and_then(|demo| demo.people.first()).context("nobody")?.pagerduty.clone();
    let incident = bench.trigger()?;
    let mut costs = vec![bench.step("trigger, first post", channels).await?];
    stack.app.clock.advance(SignedDuration::from_secs(60));
    pagerduty.acknowledge(&incident, &ada);
    costs.push(bench.step("acknowledgement, edit and reply", channels).await?);
    stack.app.clock.advance(SignedDuration::from_secs(60));
    pagerduty.add_note(&incident, &ada, "Rolled back the release, watching.");
    costs.push(bench.step("note, edit and reply", channels).await?);
    stack.app.clock.advance(SignedDuration::from_secs(60));
    pagerduty.resolve(&incident, &ada);
    costs.push(bench.step("resolution, edit and reply", channels).await?);
    Ok(costs)
}

impl Bench {
    async fn step(&self, what: &'static str, channels: usize) -> anyhow::Result<Cost> {
        let _before = self.stack.aws.take_calls();
        self.deliver().await?;
        let webhook = of("webhook-ingest", self.stack.aws.take_calls());
        self.stack.settle().await?;
        let sender = of("notification-sender", self.stack.aws.take_calls());
        let all: Vec<&Call> = webhook.iter().chain(&sender).collect();
        // One sender is one channel, and three of them work side by side.
        let longest = turns(&sender).iter().map(|turn| sequence(turn)).max().unwrap_or_default();
        Ok(Cost {
            what,
            channels,
            webhook: sequence(&webhook),
            sender: longest,
            calls: all.len(),
            writes: all.iter().map(|call| call.write_units).sum(),
            reads: all.iter().map(|call| call.read_units).sum(),
            order: format!("  webhook-ingest: {}\n  notification-sender: {}", order(&webhook), order(&sender)),
        })
    }
}

async fn drain(cards: usize) -> anyhow::Result<Vec<Call>> {
    let bench = Box::pin(Bench::new(1)).await?;
    // Here Teams answers at once, and its limit of seven messages a second would end the wave.
    bench.stack.teams.as_ref().context("no Teams")?.set_throttling(false);
    for _ in 0..cards {
        bench.trigger()?;
    }
    bench.deliver().await?;
    let _before = bench.stack.aws.take_calls();
    bench.stack.settle().await?;
    Ok(of("notification-sender", bench.stack.aws.take_calls()))
}

/// The size of a record's item, as `DynamoDB` bills it: what one write of it takes.
async fn record() -> anyhow::Result<usize> {
    let bench = Box::pin(Bench::new(1)).await?;
    let pagerduty = bench.stack.pagerduty.as_ref().context("no PagerDuty")?;
    let ada = bench.stack.demo.as_ref().and_then(|demo| demo.people.first()).context("nobody")?.pagerduty.clone();
    let incident = bench.trigger()?;
    bench.stack.settle_all().await?;
    pagerduty.acknowledge(&incident, &ada);
    bench.stack.settle_all().await?;
    pagerduty.resolve(&incident, &ada);
    bench.stack.settle_all().await?;
    let app = &bench.stack.app;
    let dynamodb = runtime::AwsClients::new(&app.config.aws).dynamodb;
    let text = AttributeValue::S;
    let get = dynamodb.get_item().table_name(&app.config.table).consistent_read(true);
    let get =
        get.key("pk", text(format!("INCIDENT#{}#{incident}", local::ACCOUNT))).key("sk", text("RECORD".to_owned()));
    let item = get.send().await?.item.context("no record")?;
    Ok(item.iter().map(|(name, value)| name.len() + size(value)).sum())
}

/// As `DynamoDB` counts it (Developer Guide, "Item sizes and formats").
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + size(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + size(value)).sum::<usize>(),
        _ => 1,
    }
}

fn of(caller: &str, calls: Vec<Call>) -> Vec<Call> {
    let mut calls: Vec<Call> = calls.into_iter().filter(|call| call.caller == caller).collect();
    calls.sort_by_key(|call| call.began);
    calls
}

/// The calls of each invocation: each hides its message first.
fn turns(calls: &[Call]) -> Vec<Vec<Call>> {
    let hides = |call: &&Call| call.operation == "ChangeMessageVisibility";
    let mut turns: Vec<Vec<Call>> = Vec::new();
    for first in calls.iter().filter(hides) {
        let begins = |call: &&Call| call.ended > first.began;
        let ends = calls.iter().filter(hides).find(|next| next.began >= first.ended);
        let is_within = |call: &&Call| ends.is_none_or(|next| call.ended <= next.began);
        turns.push(calls.iter().filter(begins).filter(is_within).cloned().collect());
    }
    turns
}

/// The longest chain of calls of which each begins when the one before has ended.
fn sequence(calls: &[Call]) -> usize {
    let mut longest: Vec<usize> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let before = calls.iter().zip(&longest).take(index).filter(|(other, _)| other.ended <= call.began);
        longest.push(1 + before.map(|(_, length)| *length).max().unwrap_or_default());
    }
    longest.into_iter().max().unwrap_or_default()
}

fn order(calls: &[Call]) -> String {
    let mut text: Vec<String> = Vec::new();
    let mut together: Vec<&Call> = Vec::new();
    for call in calls {
        if together.iter().any(|other| other.ended <= call.began) {
            text.push(named(&std::mem::take(&mut together)));
        }
        together.push(call);
    }
    text.push(named(&together));
    text.join(", ")
}

fn named(together: &[&Call]) -> String {
    match together {
        [one] => one.operation.clone(),
        several => format!("[{}]", several.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>().join(" ")),
    }
}
