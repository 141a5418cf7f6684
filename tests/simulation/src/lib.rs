//! All six functions, Teams, PagerDuty and AWS in one thread, in virtual time, from one seed: whatever fails can be repeated.
//!
//! A [`Plan`] is all that differs between two runs: what people do (a [`Script`]) and what goes wrong ([`Faults`]). Both are drawn from
//! the seed, and both are plain lists, so that a failing plan can be made shorter. The [`oracle`] judges by what Teams and PagerDuty
//! have seen, never by the product's own table.

pub mod chronicle;
pub mod dice;
pub mod faults;
pub mod oracle;
pub mod people;
pub mod script;
pub mod town;
pub mod world;

pub use chronicle::{Chronicle, Event};
pub use dice::Dice;
pub use faults::Faults;
pub use oracle::{Breach, Broken, Judgement, Reason};
pub use script::{Act, Script, Step};
pub use town::Town;
pub use world::World;

/// What differs between two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Of everything that is drawn during the run: latencies, the product's own randomness.
    pub seed: u64,
    pub script: Script,
    pub faults: Faults,
}
