//! Faults and quiet weeks: what the functions print then is put through the template's own alarms.
//!
//! A [`stack::Stack`] is all six functions with what AWS does by itself, in virtual time: it starts them as the template says, and counts
//! what Lambda, SQS and API Gateway would.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "a test prints what it has measured")]

mod faults;
mod people;
mod platform;
mod stack;
mod week;
