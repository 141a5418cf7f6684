//! What an incident is, and what PagerBridge decides about it.
//!
//! Everything here is a pure function over plain data: no I/O, no clock, no randomness. Time comes in as a parameter.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod behind;
pub mod budget;
pub mod catch_up;
pub mod cause;
pub mod channel;
pub mod connection;
pub mod context;
pub mod deed;
pub mod details;
pub mod event;
pub mod failure;
pub mod forward;
pub mod healing;
pub mod ids;
pub mod incident;
pub mod ledger;
pub mod linking;
pub mod news;
pub mod permission;
pub mod plan;
pub mod proof;
pub mod round;
pub mod routing;
mod status;
pub mod storm;
pub mod twins;
pub mod wake_up;
pub mod zone;
