//! PagerDuty and Microsoft Teams as seen from outside: two HTTP services with a memory, written from the public
//! documentation alone. They know nothing of this repository's other crates, so that each side checks the other.
//!
//! [`hostile`] is what anybody else may send.
//!
//! Time comes from the [`Now`] that a simulator is given; a test can therefore let a day pass without waiting.

pub mod hostile;
mod http;
pub mod pagerduty;
pub mod teams;

use std::sync::Arc;

/// The clock of a simulator.
pub type Now = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
