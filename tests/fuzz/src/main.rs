//! Fuzzes for as long as one likes: `cargo run --profile fuzz -p fuzz -- --seconds 600`.
#![expect(clippy::print_stdout, reason = "this is what the command is run for")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use fuzz::engine::{Engine, Failure, Report};
use fuzz::targets::{self, Target};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[derive(Debug, Parser)]
#[command(about = "Random input for everything that reads what others have written.")]
struct Arguments {
    /// How long each target is fed.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target; may be given several times.
    #[arg(long)]
    target: Vec<String>,
    /// The same seed makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Feeds the target with this file alone.
    #[arg(long, requires = "target")]
    replay: Option<PathBuf>,
    /// Where inputs are written that break something.
    #[arg(long, default_value = "target/fuzz")]
    failures: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let engine = Engine { memory: &MEMORY };
    let chosen =
        |target: &&Target| arguments.target.is_empty() || arguments.target.iter().any(|name| name == target.name);
    for name in &arguments.target {
        targets::named(name).with_context(|| format!("there is no target {name}"))?;
    }
    let chosen: Vec<&Target> = targets::ALL.iter().filter(chosen).collect();
    if let Some(file) = &arguments.replay {
        return replay(&engine, &chosen, file);
    }
    println!(
        "{:<18} {:>10} {:>9} {:>11} {:>9} {:>9} {:>9}",
        "target", "inputs", "inputs/s", "slowest ms", "peak MB", "outcomes", "failures"
    );
    let mut failed = 0;
    for target in chosen {
        let report = engine.run(target, Duration::from_secs(arguments.seconds), arguments.seed);
        println!("{}", row(target, &report));
        for failure in &report.failures {
            let file = written(&engine, target, failure, &arguments.failures)?;
            println!("  {}\n  {}", failure.broken, file.display());
        }
        failed += report.failures.len();
    }
    anyhow::ensure!(failed == 0, "{failed} failures");
    Ok(())
}

fn row(target: &Target, report: &Report) -> String {
    let speed = report.inputs as f64 / report.time.as_secs_f64().max(0.001);
    let (slowest, peak) = (report.slowest.as_secs_f64() * 1000.0, report.peak as f64 / f64::from(1 << 20));
    format!(
        "{:<18} {:>10} {:>9.0} {:>11.1} {:>9.1} {:>9} {:>9}",
        target.name,
        report.inputs,
        speed,
        slowest,
        peak,
        report.outcomes,
        report.failures.len()
    )
}

/// Writes the shortest input that fails in the same way.
fn written(engine: &Engine, target: &Target, failure: &Failure, folder: &Path) -> anyhow::Result<PathBuf> {
    let input = engine.minimized(target, failure);
    std::fs::create_dir_all(folder)?;
    let name = input.iter().fold(5381_u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(*byte));
    let file = folder.join(format!("{}-{name:08x}", target.name));
    std::fs::write(&file, input)?;
    Ok(file)
}

fn replay(engine: &Engine, chosen: &[&Target], file: &Path) -> anyhow::Result<()> {
    let input = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    for target in chosen {
        (target.renew)();
        let cost = engine.measured(target, &input);
        let ended = cost.broken.as_ref().map_or_else(|| "nothing is broken".to_owned(), ToString::to_string);
        println!(
            "{}: {} bytes, {} ms, {} KB: {ended}",
            target.name,
            input.len(),
            cost.time.as_millis(),
            cost.memory >> 10
        );
        anyhow::ensure!(cost.broken.is_none(), "it fails");
    }
    Ok(())
}
