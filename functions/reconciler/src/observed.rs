//! What PagerDuty has answered is observed as a webhook would be. One incident that cannot be is gone past.

use domain::healing::Ended;
use domain::round;
use futures_util::{StreamExt as _, stream};
use incidents::{Answer, Connected, What, observe};

use crate::{ReconcileError, Run};

/// How many incidents are observed at the same time.
const AT_ONCE: usize = 12;

/// So many at once that fail are no accident of one of them.
const ALL_AT_ONCE: usize = 3;

/// How it went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    done: usize,
    failed: usize,
    /// Whether trying again may help some of those that failed.
    pub(crate) may_pass: bool,
}

impl Tally {
    /// How a part ended of which this is all.
    ///
    /// # Errors
    /// [`ReconcileError::NothingObserved`] if several were to be observed, not one could be, and that may pass.
    pub(crate) fn ended(self) -> Result<Ended, ReconcileError> {
        match self {
            Self { failed: 0, .. } => Ok(Ended::Well),
            Self { done: 0, failed, may_pass: true, .. } if failed >= ALL_AT_ONCE => {
                Err(ReconcileError::NothingObserved)
            }
            _ => Ok(Ended::Partly),
        }
    }

    /// With rows of the same list that could not be read.
    pub(crate) fn without(self, rows: usize) -> Self {
        Self { failed: self.failed + rows, ..self }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            done: self.done + other.done,
            failed: self.failed + other.failed,
            may_pass: self.may_pass || other.may_pass,
        }
    }
}

impl Run<'_> {
    /// Brings the records of these incidents up to date and marks their cards. One that cannot be is counted.
    ///
    /// # Errors
    /// The first failure, if several were to be observed, not one could be, and that may pass.
    pub(crate) async fn observe(&mut self, found: Vec<Answer>, connected: &Connected) -> Result<Tally, ReconcileError> {
        let (app, account) = (self.app, self.account);
        let cause = &round::cause(app.clock.now());
        let all = found.len();
        let observing = found.into_iter().map(|answer| async move {
            let id = answer.incident.id.clone();
            let observed = Box::pin(observe(app, account, What::Found(answer, connected), cause)).await;
            observed.map_err(|error| (id, error))
        });
        let mut observed = stream::iter(observing).buffer_unordered(AT_ONCE);
        let (mut healed, mut marked, mut tally, mut first) = (0_usize, 0_usize, Tally::default(), None);
        while let Some(one) = observed.next().await {
            match one {
                Ok(one) => {
                    tally.done += 1;
                    healed += usize::from(one.healed);
                    marked += one.marked;
                }
                Err((id, error)) => {
                    tracing::error!(incident.id = %id, error = runtime::chain(&error), "incident not brought up to date");
                    tally.failed += 1;
                    tally.may_pass |= error.class().may_pass();
                    first = first.or(Some(error));
                }
            }
        }
        if healed > 0 || marked > 0 {
            tracing::info!(incidents = healed, cards = marked, "healed");
        }
        self.report.skipped += tally.failed;
        match first {
            Some(error) if tally.failed == all && all >= ALL_AT_ONCE && tally.may_pass => Err(error.into()),
            _ => Ok(tally),
        }
    }
}
