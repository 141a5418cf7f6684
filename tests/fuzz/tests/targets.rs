//! Every target, for as long as CI has time: `FUZZ_SECONDS` for each of them, five if it is not set.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it has done")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fuzz::engine::Engine;
use fuzz::targets;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What an input needs can be told only while nobody else needs anything.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The seed of CI; a longer run takes others.
const SEED: u64 = 1;

#[expect(clippy::disallowed_methods, reason = "a test may be told how long it runs")]
fn budget() -> Duration {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

fn holds(name: &str) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let target = targets::named(name).unwrap();
    let engine = Engine { memory: &MEMORY };
    let report = engine.run(target, budget(), SEED);
    println!(
        "{name}: {} inputs, slowest {:?}, peak {} KB, {} outcomes",
        report.inputs,
        report.slowest,
        report.peak >> 10,
        report.outcomes
    );
    for failure in &report.failures {
        println!("{}", failure.broken);
        let shortest = engine.minimized(target, failure);
        println!("  {:?}", String::from_utf8_lossy(&shortest));
    }
    assert!(report.failures.is_empty(), "{name}: {} failures", report.failures.len());
    assert!(report.inputs > 5, "{name} was fed {} times only", report.inputs);
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(#[test] fn $name() { holds(stringify!($name)); })+

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),+];
            let all: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
            assert_eq!(all, run);
        }
    };
}

targets! {
    json webhook_body webhook_signature webhook_door activity activity_token command_line service_url service_address oauth_query
    cookies admin_json queue_message keys stored_values stored_items card_of_incident card_of_storm card_of_details other_cards
    rest_answers log_entries oauth_answers reconciler
}
