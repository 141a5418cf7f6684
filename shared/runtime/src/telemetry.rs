//! Structured logs: one JSON object per line, fields instead of sentences. Never tokens, secrets, bodies or card text.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Our own crates, by which their lines are known.
const OWN: [&str; 15] = [
    "admin_api",
    "bot_messages",
    "cards",
    "domain",
    "incidents",
    "notification_sender",
    "oauth_callback",
    "pagerduty",
    "reconciler",
    "runtime",
    "setup",
    "store",
    "teams",
    "webhook_ingest",
    "wire",
];

/// Logs as JSON to standard error, at the level of `RUST_LOG` or else `info`. A second call does nothing.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _already_set = log_to(std::io::stderr, filter).try_init();
}

/// The log as it is in production, for whoever reads it.
pub fn log_to<W>(writer: W, filter: EnvFilter) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).with_target(true);
    tracing_subscriber::registry().with(filter).with(filter_fn(has_no_secret)).with(lines.with_writer(writer))
}

/// Libraries write whole requests and answers into their lines below `info`, the AWS SDK that of Secrets Manager as well. So these are
/// left out, whatever `RUST_LOG` says.
fn has_no_secret(line: &Metadata<'_>) -> bool {
    let name = line.target().split("::").next().unwrap_or_default();
    *line.level() <= Level::INFO || OWN.contains(&name)
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

    #[derive(Clone, Default)]
    struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_libraries_say_below_info_is_in_no_log() {
        let written = Written::default();
        let writer = written.clone();
        let log = log_to(move || writer.clone(), EnvFilter::new("trace,aws_smithy_runtime::client=trace"));
        tracing::subscriber::with_default(log, || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "theirs, below");
            tracing::debug!(target: "hyper", "theirs, below");
            tracing::debug!(target: "cards_of_somebody", "theirs, below");
            tracing::warn!(target: "aws_smithy_runtime", "theirs, above");
            tracing::trace!(target: "store::item", "ours, below");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(written.contains("theirs, above") && written.contains("ours, below"), "{written}");
        assert!(!written.contains("theirs, below"), "{written}");
    }

    #[test]
    fn names_every_cause_once() {
        assert_eq!(chain(&Outer(Inner)), "outer: inner");
    }
}
