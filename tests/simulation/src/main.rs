//! Runs seeds and prints what they survived.
#![expect(clippy::print_stdout, reason = "what it finds is for whoever started it")]

mod arguments;
mod seeds;
mod table;

use clap::Parser as _;

use crate::arguments::Arguments;

fn main() -> anyhow::Result<std::process::ExitCode> {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.replay {
        return seeds::replay(file, arguments.tell);
    }
    seeds::run_all(&arguments)
}
