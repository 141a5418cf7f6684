//! What a wave may send: as much as the channel's budget and the tenant's have room for, one call after the other.

use std::time::Duration;

use domain::budget::{Budget, Claim};
use jiff::Timestamp;
use runtime::{App, Bot, BotError};
use tokio::time::Instant;

/// What is left of a wave's budget.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) budget: Budget,
    /// How many requests were reserved of the tenant's.
    granted: usize,
    /// How long Teams may take for an answer.
    patience: Duration,
    /// What the last call met with.
    heard: Heard,
}

/// Whether Teams answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing was asked.
    NotAsked,
    Answered,
    /// There was no answer in time.
    Hung,
}

impl Sending {
    pub(crate) fn new(budget: Budget, granted: usize, patience: Duration) -> Self {
        Self { budget, granted, patience, heard: Heard::NotAsked }
    }

    /// Whether one more message may be sent now; it counts as sent.
    pub(crate) fn may(&mut self, claim: Claim, now: Timestamp) -> bool {
        let may = self.granted > 0 && self.budget.allows(claim, now) > 0;
        if may {
            self.granted -= 1;
            self.budget.sent(now);
        }
        may
    }

    /// The same for what follows from a message that was just sent: what was begun is brought to its end, whatever was reserved.
    pub(crate) fn may_go_on(&mut self, now: Timestamp) -> bool {
        let may = self.budget.allows(Claim::Urgent, now) > 0;
        if may {
            self.granted = self.granted.saturating_sub(1);
            self.budget.sent(now);
        }
        may
    }

    /// Speaks to Teams, and notes whether it answers.
    pub(crate) async fn call<'a, T, F: Future<Output = Result<T, BotError>>>(
        &mut self,
        app: &'a App,
        say: impl FnOnce(Bot<'a>) -> F,
    ) -> Result<T, BotError> {
        let began = Instant::now();
        let said = say(app.bot().within(self.patience)).await;
        self.heard = if said.is_err() && began.elapsed() >= self.patience { Heard::Hung } else { Heard::Answered };
        said
    }

    /// What the calls since the last time met with.
    pub(crate) fn take_heard(&mut self) -> Heard {
        std::mem::replace(&mut self.heard, Heard::NotAsked)
    }
}
