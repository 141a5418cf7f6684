//! Nobody in: what strangers, forgers and people of other tenants can send, by the ten thousand, and that none of it gets anywhere.
//!
//! The functions' routers are called in this process, in tokio's paused time, so that a corpus of this size takes seconds. Base bodies
//! and addresses are files in `corpora`; what is made of them comes from a seed, so a failure is the same each time.

mod cookies;
mod dice;
mod documents;
mod ground;
mod mutations;
mod rotation;
mod service_urls;
mod strangers;
mod theirs;
mod tokens;
mod webhooks;
mod wishes;
