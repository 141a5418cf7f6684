//! Structured logs: one JSON object per line, fields instead of sentences. Never tokens, secrets, bodies or card text.

use tracing_subscriber::EnvFilter;

/// Logs as JSON to standard error, at the level of `RUST_LOG` or else `info`. A second call does nothing.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _already_set = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
