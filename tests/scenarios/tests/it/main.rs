//! Black-box scenarios in the product's words: only HTTP in, HTTP out, against the composed stack.
//!
//! A [`world::World`] is PagerBridge with both simulators and a clock that stands still. Nothing sleeps: `settle` moves
//! what is due, `advance` lets time pass. When a world ends, a request that a simulator did not know fails the test.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod actions;
mod admin_api;
mod belonging;
mod browser;
mod card;
mod click_races;
mod client_secrets;
mod details_dialog;
mod door;
mod endpoints;
mod guide;
mod guide_commands;
mod guide_trouble;
mod headers;
mod healing;
mod hostile;
mod impostor;
mod incidents;
mod lambda;
mod ledger;
mod lenient;
mod linking;
mod log_ins;
mod many;
mod metrics;
mod news;
mod news_from_the_log;
mod platform;
mod proof;
mod reconciling;
mod refusals;
mod release;
mod secrets;
mod sender_retries;
mod sessions;
mod setup_races;
mod signed;
mod stored;
mod storm;
mod storm_dialogs;
mod storms;
mod story;
mod times;
mod trouble;
mod unfinished;
mod unread;
mod webhooks;
mod world;
