//! Random input for everything that reads what others have written, and for everything that is made of it.
//!
//! A target is a plain function that takes bytes and panics when a promise is broken. The engine feeds it with its corpus and with
//! mutations of it, and holds every input to the same promises: no panic, no input above 100 ms, none above 256 MB.
//!
//! The engine is our own: `cargo-fuzz` needs a nightly toolchain. On a stable one `bolero` replays its corpus and then draws bytes at
//! random, so that next to nothing of them is JSON, a token or markup, and it measures neither the time nor the memory of an input;
//! `proptest`, which the crates use beside their code, makes values and no broken documents. What is here is a loop, a list of
//! mutations that know texts and JSON, and a memory of inputs whose outcome was new ([`engine::outcome`]). A machine with a nightly
//! toolchain can run the same functions with coverage as a guide: each is one line of `fuzz_target!`.

#![expect(clippy::panic, reason = "a target says by panicking that a promise is broken")]

pub mod canary;
pub mod corpus;
pub mod engine;
pub mod harmless;
pub mod mutate;
pub mod stack;
pub mod targets;
