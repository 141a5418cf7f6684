//! A crash at every outside call, and every order of six webhooks.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use simulation::systematic::{crashes, orders, recovery, run_order};
use simulation::{Plan, base, run};
use tokio::time::Instant;

/// A recovery that takes longer is worth a look.
const PATIENCE: Duration = Duration::from_secs(90);

/// Of all runs, those that failed, and the slowest recovery.
#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    failed: usize,
    slowest: Duration,
}

/// Crashes at every call of every base script; `each`: only at each how-manyeth.
pub(crate) fn crash_everywhere(each: usize, threads: usize) -> anyhow::Result<ExitCode> {
    let (began, mut failed) = (Instant::now(), 0);
    println!("{:<46} {:>8} {:>8} {:>10}", "a crash at every outside call", "runs", "failed", "slowest");
    let mut all = 0;
    for (name, script) in base::scripts() {
        let plans: Vec<Plan> = crashes(1, &script)?.into_iter().step_by(each.max(1)).collect();
        let result = in_parallel(&plans, threads, |plan| {
            let outcome = run(plan)?;
            let failed = outcome.breaches.iter().map(|breach| format!("{:?}: {}", breach.what, breach.how)).collect();
            Ok((failed, recovery(&outcome)))
        })?;
        println!("{name:<46} {:>8} {:>8} {:>8} s", result.runs, result.failed, result.slowest.as_secs());
        failed += result.failed;
        all += result.runs;
    }
    println!("{all} runs, {failed} failed, {} s", began.elapsed().as_secs());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Delivers six webhooks in every order.
pub(crate) fn every_order(threads: usize) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let result = in_parallel(&orders(), threads, |order| {
        let ordered = run_order(1, order)?;
        let failed = ordered.breaches.iter().map(|breach| format!("{:?}: {}", breach.what, breach.how)).collect();
        Ok((failed, ordered.healed))
    })?;
    println!(
        "{} orders of six webhooks, {} failed, slowest {} s, {} s",
        result.runs,
        result.failed,
        result.slowest.as_secs(),
        began.elapsed().as_secs()
    );
    Ok(if result.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_parallel<T: Sync + std::fmt::Debug>(
    all: &[T],
    threads: usize,
    run: impl Fn(&T) -> anyhow::Result<(Vec<String>, Option<Duration>)> + Sync,
) -> anyhow::Result<Tally> {
    let (next, result) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || -> anyhow::Result<()> {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (failed, recovered) = run(one)?;
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            result.runs += 1;
            let recovered = recovered.unwrap_or_default();
            if recovered > PATIENCE {
                println!("SLOW: {} s after {one:?}", recovered.as_secs());
            }
            result.slowest = result.slowest.max(recovered);
            if !failed.is_empty() {
                result.failed += 1;
                println!("FAILS: {one:?}");
                for why in failed {
                    println!("  {why}");
                }
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(result.into_inner().unwrap_or_else(PoisonError::into_inner))
}
