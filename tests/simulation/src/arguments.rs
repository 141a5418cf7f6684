//! What can be asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Runs the whole product on stand-ins in virtual time: people act, everything fails, and nothing may be lost.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    pub(crate) seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    pub(crate) first: u64,
    /// Begin with a seed that is another one each day, instead.
    #[arg(long)]
    pub(crate) by_date: bool,
    /// Begin no seed after so many seconds.
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// How many to run at once.
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
    /// Run every seed twice, and see that the same happens.
    #[arg(long)]
    pub(crate) twice: bool,
    /// How many attempts to make to shorten a failing plan.
    #[arg(long, default_value_t = 400)]
    pub(crate) shrink: usize,
    /// Where to put failing plans.
    #[arg(long, default_value = "target/simulation")]
    pub(crate) out: PathBuf,
    /// Instead of seeds: a crash at every outside call of a dozen scripts, or at each how-manyeth.
    #[arg(long, value_name = "HOW_MANYETH", num_args = 0..=1, default_missing_value = "1")]
    pub(crate) crash_at_each: Option<usize>,
    /// Instead of seeds: every order of six webhooks.
    #[arg(long)]
    pub(crate) orders: bool,
    /// Run the plan in this file instead of seeds.
    #[arg(long)]
    pub(crate) replay: Option<PathBuf>,
    /// With --replay: find a shorter plan that fails in the same way, and put it into the folder of --out.
    #[arg(long)]
    pub(crate) shorten: bool,
    /// With --replay: print all that happened.
    #[arg(long)]
    pub(crate) tell: bool,
}

impl Arguments {
    /// Until when seeds are begun.
    pub(crate) fn time(&self) -> Duration {
        self.seconds.map_or(Duration::MAX, Duration::from_secs)
    }
}
