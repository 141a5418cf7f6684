//! Runs seeds and prints what they survived.
#![expect(clippy::print_stdout, reason = "what it finds is for whoever started it")]

mod arguments;
mod every;
mod seeds;
mod table;

use clap::Parser as _;

use crate::arguments::Arguments;

fn main() -> anyhow::Result<std::process::ExitCode> {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.replay {
        return seeds::replay(file, &arguments);
    }
    if arguments.orders {
        return every::every_order(arguments.threads);
    }
    if let Some(each) = arguments.crash_at_each {
        return every::crash_everywhere(each, arguments.threads);
    }
    seeds::run_all(&arguments)
}
