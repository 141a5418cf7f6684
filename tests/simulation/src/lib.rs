//! All six functions, Teams, PagerDuty and AWS in one thread, in virtual time, from one seed: whatever fails can be repeated.
//!
//! A [`Plan`] is all that differs between two runs: what people do (a [`Script`]) and what goes wrong ([`Faults`]). Both are drawn from
//! the seed, and both are plain lists, so that a failing plan can be made shorter. The [`oracle`] judges by what Teams and PagerDuty
//! have seen, never by the product's own table.

pub mod base;
pub mod chronicle;
pub mod dice;
pub mod faults;
pub mod oracle;
pub mod people;
pub mod plan;
mod platform;
pub mod run;
pub mod script;
pub mod shrink;
pub mod systematic;
pub mod town;
mod troubles;
mod ways;
pub mod world;

pub use chronicle::{Chronicle, Event};
pub use dice::Dice;
pub use faults::Faults;
pub use oracle::{Breach, Broken, Judgement, Reason};
pub use plan::Plan;
pub use run::{Outcome, run};
pub use script::{Act, Script, Step};
pub use shrink::shrink;
pub use town::Town;
pub use world::World;
