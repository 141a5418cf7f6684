//! What every function needs to start: configuration, secrets, the clock, randomness, the queue, HTTP and AWS clients.
//!
//! Only this crate reads the environment, the clock and randomness, so that everything else is a function of its inputs.

mod app;
mod as_app;
mod aws;
mod bookkeeping;
mod bot;
mod clock;
mod config;
mod finish;
mod http;
mod lambda;
mod lock;
mod metrics;
mod mistake;
pub mod once;
mod person;
mod queue;
mod random;
mod reads;
mod secrets;
mod source;
mod telemetry;
mod web;
mod with_secret;

pub use app::{App, StartError};
pub use as_app::{AppTokenError, AsApp, AsAppError};
pub use aws::{AwsClients, AwsSettings};
pub use bookkeeping::{all_bookkeeping, bookkeep, spare};
pub use bot::{Bot, BotError};
pub use clock::Clock;
pub use config::{Config, ConfigError, VARIABLES, Variable, is_loopback};
pub use finish::BrokenOff;
pub use http::{HttpClientError, http_client};
pub use lambda::{LambdaError, serve_http, serve_schedule, serve_sqs};
pub use lock::Lock;
pub use metrics::{Metric, Metrics};
pub use mistake::Mistake;
pub use once::OnceError;
pub use person::{Person, PersonError};
pub use queue::{MAX_RECEIVES, Queue, QueueError, WakeUpCall, digest};
pub use random::{Random, RandomError};
pub use reads::Reads;
pub use secrets::{OpenError, SecretError, SecretValues, Secrets};
pub use source::{Source, Sources};
pub use telemetry::{chain, log_to_stderr};
pub use web::{NO_PAGE, cookie, page_headers, same_tag, set_cookie, with_failures_counted, with_headers};
pub use with_secret::RefusesSecret;
