//! `cargo run --release -p bench -- …`

use bench::{adversarial, calls, healing, shapes};
use clap::Parser;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Measures PagerBridge on embedded stand-ins.
#[derive(Debug, Parser)]
enum Command {
    /// The calls of AWS that an incident makes, in order and in units of the table.
    Calls,
    /// JSON as deep, as wide and as long as it may be: the time and the memory that each document takes where it is read.
    Adversarial,
    /// Storms and other bad hours, in virtual time: a table of what they should cost and what they do.
    Storm {
        /// The part of a shape's incidents, at the same pace: 0.1 is a tenth of them in a tenth of the time.
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
        /// Only the shapes whose names begin like this.
        #[arg(long)]
        shape: Option<String>,
    },
    /// What the reconciler takes to make cards true again, in virtual time: a table as for storms.
    Healing {
        /// The part of a shape's incidents.
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
        /// Only the shapes whose names begin like this.
        #[arg(long)]
        shape: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let runtime = |paused| tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build();
    match Command::parse() {
        Command::Calls => runtime(false)?.block_on(calls::measure()),
        Command::Adversarial => runtime(true)?.block_on(adversarial::measure(&MEMORY)),
        Command::Storm { scale, shape } => shapes::print_all(shapes::SHAPES, scale, shape.as_deref(), || runtime(true)),
        Command::Healing { scale, shape } => {
            shapes::print_all(healing::SHAPES, scale, shape.as_deref(), || runtime(true))
        }
    }
}
