//! What several functions do with an incident: learn of it ([`observe`]), act on it ([`act`]), ask PagerDuty for it ([`read`]).
//!
//! Outcomes are data. Cards, sentences and the JSON of replies are made at the edges, by whoever asked.

mod act;
mod observe;
pub mod place;
pub mod read;

pub use act::{ActError, At, Outcome, act};
pub use observe::{Connected, ObserveError, Observed, What, observe};
