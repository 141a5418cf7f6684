//! Figures for `infra/docs/reliability.md`, measured on the local stack: nothing here is a test, and no test depends on it.

mod calls;

use clap::Parser;

/// Measures PagerBridge on embedded stand-ins.
#[derive(Debug, Parser)]
enum Command {
    /// The calls of AWS that an incident makes, in order and in units of the table.
    Calls,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Calls => calls::measure().await,
    }
}
