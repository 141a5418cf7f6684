//! `cargo run --release -p simulation -- --seeds 1000`

use std::time::{Duration, Instant};

use clap::Parser;
use simulation::{Dice, Faults, Plan, Script, run};

#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 1)]
    first: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    for seed in arguments.first..arguments.first + arguments.seeds {
        let mut dice = Dice::new(seed);
        let span = Duration::from_mins(20);
        let plan = Plan {
            seed,
            script: Script::draw(&mut dice.fork(), 60, span),
            faults: Faults::draw(&mut dice.fork(), 12, span, Duration::from_mins(5)),
        };
        let began = Instant::now();
        let outcome = run(&plan)?;
        println!(
            "{seed}: {:?}, {} events, {} calls, virtual {:?}, wall {:?}, digest {:x}",
            outcome.breaches,
            outcome.events,
            outcome.calls,
            outcome.virtual_time,
            began.elapsed(),
            outcome.digest
        );
    }
    Ok(())
}
