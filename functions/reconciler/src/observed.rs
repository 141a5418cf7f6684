//! What PagerDuty has answered is observed as a webhook would be. One incident that cannot be is gone past.

use domain::healing::Ended;
use domain::round;
use futures_util::{StreamExt as _, stream};
use incidents::{Answer, Connected, What, observe};

use crate::{ReconcileError, Run};

/// How many incidents are observed at the same time.
const AT_ONCE: usize = 12;

/// How it went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    failed: usize,
    /// Whether trying again may help some of those.
    pub(crate) may_pass: bool,
}

impl Tally {
    pub(crate) fn ended(self) -> Ended {
        if self.failed == 0 { Ended::Well } else { Ended::Partly }
    }

    /// With rows of the same list that could not be read.
    pub(crate) fn without(self, rows: usize) -> Self {
        Self { failed: self.failed + rows, ..self }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { failed: self.failed + other.failed, may_pass: self.may_pass || other.may_pass }
    }
}

impl Run<'_> {
    /// Brings the records of these incidents up to date and marks their cards.
    ///
    /// # Errors
    /// The first failure, if not one of them could be observed.
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
        let (mut healed, mut marked, mut tally, mut first) = (0_usize, 0, Tally::default(), None);
        while let Some(one) = observed.next().await {
            match one {
                Ok(one) => {
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
            Some(error) if tally.failed == all => Err(error.into()),
            _ => Ok(tally),
        }
    }
}
