//! The table of what was survived.

use std::collections::BTreeMap;
use std::time::Duration;

use simulation::{Broken, Outcome, Reason};

#[derive(Debug, Default)]
pub(crate) struct Table {
    seeds: u64,
    failed: u64,
    unrepeated: u64,
    events: usize,
    steps: usize,
    calls: u64,
    faults: BTreeMap<String, u32>,
    breaches: BTreeMap<Broken, u64>,
    doubles: BTreeMap<Reason, u32>,
    virtual_time: Duration,
    healed: Vec<Duration>,
}

impl Table {
    pub(crate) fn add(&mut self, outcome: &Outcome, repeats: bool) {
        self.seeds += 1;
        self.failed += u64::from(!outcome.breaches.is_empty());
        self.unrepeated += u64::from(!repeats);
        self.events += outcome.events;
        self.steps += outcome.steps;
        self.calls += outcome.calls;
        self.virtual_time += outcome.virtual_time;
        self.healed.extend(outcome.healed);
        for (kind, count) in &outcome.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        for (reason, count) in &outcome.doubles {
            *self.doubles.entry(*reason).or_default() += count;
        }
        for breach in &outcome.breaches {
            *self.breaches.entry(breach.what).or_default() += 1;
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.failed == 0 && self.unrepeated == 0
    }

    pub(crate) fn print(&self, wall: Duration) {
        println!();
        let row = |name: &str, value: String| println!("{name:<34} {value:>12}");
        row("seeds", self.seeds.to_string());
        row("seeds that failed", self.failed.to_string());
        row("seeds that did not repeat", self.unrepeated.to_string());
        row("steps of people and tools", self.steps.to_string());
        row("events", self.events.to_string());
        row("outside calls", self.calls.to_string());
        for what in Broken::ALL {
            row(what.name(), self.breaches.get(&what).copied().unwrap_or_default().to_string());
        }
        row("virtual hours", (self.virtual_time.as_secs() / 3600).to_string());
        row("wall seconds", wall.as_secs().to_string());
        let slowest = self.healed.iter().max().map_or("none".to_owned(), |time| format!("{} s", time.as_secs()));
        row("slowest heal after the last fault", slowest);
        println!("\ndoubles, each with its reason");
        for (reason, count) in &self.doubles {
            row(&format!("  {}", reason.name()), count.to_string());
        }
        println!("\nfaults");
        for (kind, count) in &self.faults {
            row(&format!("  {kind}"), count.to_string());
        }
    }
}
