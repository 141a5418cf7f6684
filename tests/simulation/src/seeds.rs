//! Runs seeds on several threads, each with a time of its own, and shortens what fails.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use jiff::Timestamp;
use simulation::{Outcome, Plan, run, shrink};
use tokio::time::Instant;

use crate::arguments::Arguments;
use crate::table::Table;

/// A day's seeds begin so far apart.
const A_DAY: i64 = 1_000_000;

/// Runs them all.
pub(crate) fn run_all(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    name_the_seed_of_a_panic();
    let first = if arguments.by_date { first_of_today()? } else { arguments.first };
    println!("Seeds {first} and on, {} at most, {} at once.", arguments.seeds, arguments.threads);
    let (began, next, table) = (Instant::now(), AtomicU64::new(first), Mutex::new(Table::default()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.threads.max(1))
            .map(|_| scope.spawn(|| work(arguments, began, (first, &next), &table)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    table.print(began.elapsed());
    Ok(if table.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn work(
    arguments: &Arguments,
    began: Instant,
    (first, next): (u64, &AtomicU64),
    table: &Mutex<Table>,
) -> anyhow::Result<()> {
    while began.elapsed() < arguments.time() {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed - first >= arguments.seeds {
            break;
        }
        SEED.set(seed);
        let plan = Plan::of_seed(seed);
        let outcome = run(&plan).with_context(|| format!("seed {seed}"))?;
        let repeats = !arguments.twice || run(&plan)?.digest == outcome.digest;
        let fails = !outcome.breaches.is_empty();
        table.lock().unwrap_or_else(PoisonError::into_inner).add(&outcome, repeats);
        if !repeats {
            println!("seed {seed} did not repeat itself");
        }
        if fails {
            explain(&plan, &outcome, arguments)?;
        }
    }
    Ok(())
}

/// Prints why a seed fails, and the shortest plan that was found to fail in the same way.
fn explain(plan: &Plan, outcome: &Outcome, arguments: &Arguments) -> anyhow::Result<()> {
    let kinds: Vec<_> = outcome.breaches.iter().map(|breach| breach.what).collect();
    let short = shrink(plan, arguments.shrink, |plan| {
        run(plan).is_ok_and(|outcome| outcome.breaches.iter().any(|breach| kinds.contains(&breach.what)))
    });
    std::fs::create_dir_all(&arguments.out)?;
    let file = arguments.out.join(format!("{}.json", plan.seed));
    std::fs::write(&file, serde_json::to_string_pretty(&short)?)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    println!("\nseed {} FAILS:", plan.seed);
    for breach in &outcome.breaches {
        println!("  {:?}: {}", breach.what, breach.how);
    }
    println!("  in short, {} of {} steps and faults ({}):", short.size(), plan.size(), file.display());
    for step in &short.script.0 {
        println!("    {:>10.3?} {:?}", step.at, step.act);
    }
    for fault in &short.faults.0 {
        println!("    {:>10.3?} WRONG {:?}", fault.at, fault.wrong);
    }
    Ok(())
}

/// Runs a plan from a file.
pub(crate) fn replay(file: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let plan: Plan = serde_json::from_str(&text).with_context(|| format!("{} is no plan", file.display()))?;
    let outcome = run(&plan)?;
    if arguments.tell {
        for (at, event) in &outcome.chronicle {
            println!("{at} {event:?}");
        }
    }
    if arguments.shorten && !outcome.breaches.is_empty() {
        explain(&plan, &outcome, arguments)?;
    }
    for breach in &outcome.breaches {
        println!("{:?}: {}", breach.what, breach.how);
    }
    for breach in outcome.at_last.iter().filter(|_| outcome.healed.is_some()) {
        println!("until then {:?}: {}", breach.what, breach.how);
    }
    println!("healed after {:?}, digest {:016x}", outcome.healed, outcome.digest);
    Ok(if outcome.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn first_of_today() -> anyhow::Result<u64> {
    #[expect(clippy::disallowed_methods, reason = "which seeds are today's is nothing that a run depends on")]
    let days = Timestamp::now().as_second().div_euclid(24 * 60 * 60);
    Ok(u64::try_from(days * A_DAY)?)
}

thread_local! {
    static SEED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A panic ends the process, and must not take the seed with it.
fn name_the_seed_of_a_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        println!("seed {} PANICKED", SEED.get());
        usual(panic);
    }));
}
