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

/// An error with everything that caused it, in one line. Errors name their source and never repeat it, so each appears once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn names_every_cause_once() {
        assert_eq!(chain(&Outer(Inner)), "outer: inner");
    }
}
