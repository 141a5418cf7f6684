//! Figures for `infra/docs/reliability.md`, measured on the local stack.
//!
//! `calls` counts what one incident costs at AWS. `shapes` are storms and other bad hours, in virtual time: the real functions against
//! simulators that keep Teams' and PagerDuty's limits, with latencies as in the cloud; `healing` are the hours after webhooks were lost. `adversarial` is JSON that nobody sends in good
//! faith: what each document costs in time and memory.

pub mod adversarial;
pub mod calls;
pub mod healing;
pub mod shapes;
pub mod shown;
pub mod stats;
pub mod virtual_stack;

#[expect(clippy::print_stdout, reason = "this is what the command is run for")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}
