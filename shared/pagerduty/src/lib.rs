//! PagerDuty's wire, both directions: webhooks in, REST and OAuth out. No policy: what to do is decided elsewhere.

mod events;
pub mod oauth;
mod region;
pub mod rest;
pub mod service_address;
pub mod webhook;
mod wire;

pub use region::{Region, UnknownRegion};
