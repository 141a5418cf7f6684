//! What several functions do with an incident: learn of it ([`observe`]), act on it ([`act`]) or on many ([`act_many`]), ask
//! PagerDuty for it ([`read`], [`context`] as a person, and [`refresh`] to observe the answer).
//!
//! Outcomes are data. Cards, sentences and the JSON of replies are made at the edges, by whoever asked.

mod act;
mod context;
pub mod details;
mod many;
mod mark;
mod observe;
pub mod place;
pub mod read;
mod refresh;
mod unfinished;

pub use act::{ActError, At, Outcome, act};
pub use context::{ALERTS_PAGE, context};
pub use many::{Many, ManyOutcome, OneOutcome, Scope, Trouble, act_many};
pub use mark::{wake_anew, want};
pub use observe::{Connected, ObserveError, Observed, What, observe};
pub use read::Answer;
pub use refresh::{RefreshError, refresh};
pub use unfinished::unfinished_in;
