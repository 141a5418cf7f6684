//! What a run has done, part by part: noted for health and doctor, counted for the alarms, told in the log.

use domain::healing::{Ended, Healing, Part};
use jiff::Timestamp;
use runtime::{App, Metric};

use crate::ReconcileError;

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Each part that had its turn.
    pub parts: Vec<(Part, Ended)>,
    /// Single incidents, services and the like that were gone past.
    pub skipped: usize,
}

impl Report {
    /// How the run ended as a whole: as its worst part.
    #[must_use]
    pub fn ended(&self) -> Ended {
        self.parts.iter().map(|(_, ended)| *ended).max().unwrap_or(Ended::Well)
    }

    /// Which parts could not be done, for whoever runs it by hand; `None`: all could.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        let failed = self.parts.iter().filter(|(_, ended)| *ended == Ended::Failed);
        let failed: Vec<&str> = failed.map(|(part, _)| part.name()).collect();
        (!failed.is_empty()).then(|| format!("not done: {}", failed.join(", ")))
    }

    /// Notes how a part ended, and keeps what it has brought.
    pub(crate) fn note<T>(&mut self, part: Part, result: Result<(Ended, T), ReconcileError>) -> Option<T> {
        let (ended, brought) = match result {
            Ok((ended, brought)) => (ended, Some(brought)),
            Err(error) => {
                tracing::error!(
                    part = part.name(),
                    ended = name(Ended::Failed),
                    error = runtime::chain(&error),
                    "part"
                );
                (Ended::Failed, None)
            }
        };
        if matches!(ended, Ended::Partly | Ended::Skipped) {
            tracing::warn!(part = part.name(), ended = name(ended), "part");
        }
        self.parts.push((part, ended));
        brought
    }

    /// Writes it all down. What cannot be noted is counted and logged all the same.
    pub(crate) async fn keep(&self, app: &App, mut healing: Healing) {
        let now = app.clock.now();
        for (part, ended) in &self.parts {
            healing.note(*part, *ended, now);
        }
        self.count(app, &healing, now);
        if let Err(error) = app.store.put_healing(&app.config.pagerduty_client_id, &healing).await {
            tracing::error!(error = runtime::chain(&error), "what this run has done is not noted");
        }
    }

    fn count(&self, app: &App, healing: &Healing, now: Timestamp) {
        let ended = self.ended();
        let figures = [
            Metric::ReconcilerRuns.times((ended == Ended::Well).into()),
            Metric::ReconcilerPartial.times((ended == Ended::Partly).into()),
            Metric::ReconcilerSkipped.times((ended == Ended::Skipped).into()),
            Metric::ReconcilerFailures.times((ended == Ended::Failed).into()),
            Metric::ElementsSkipped.times(self.skipped),
            (Metric::NotHealing, healing.longest(now).as_secs_f64()),
        ];
        app.metrics.emit(&figures, now);
        for (part, since) in healing.broken(now) {
            tracing::error!(part = part.name(), since = %since, "part does not heal");
        }
    }
}

fn name(ended: Ended) -> &'static str {
    match ended {
        Ended::Well => "well",
        Ended::Partly => "partly",
        Ended::Skipped => "skipped",
        Ended::Failed => "failed",
    }
}
