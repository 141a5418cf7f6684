//! What a wave may send: as much as the channel's budget and the tenant's have room for, one call after the other.

use std::pin::pin;
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
    /// Whether the last call into the channel had no answer.
    has_hung: bool,
    /// What the last call met with.
    heard: Heard,
}

/// Teams answers within half a second. After so long it is looked whether other channels wait for a sender: then the answer is given
/// up, since senders are few and a channel that hangs would hold one. It is looked again each second.
const CROWDED: Duration = Duration::from_millis(2500);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The same where the last call was not answered either.
const CROWDED_AGAIN: Duration = Duration::from_millis(1500);

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
    pub(crate) fn new(budget: Budget, granted: usize, patience: Duration, has_hung: bool) -> Self {
        Self { budget, granted, patience, has_hung, heard: Heard::NotAsked }
    }

    /// Whether one more message may be sent now; it counts as sent.
    pub(crate) fn may(&mut self, claim: Claim, now: Timestamp) -> bool {
        self.granted > 0 && self.may_in_channel(claim, now)
    }

    /// The same for what follows from a message that was just sent: what was begun is brought to its end, whatever was reserved.
    pub(crate) fn may_go_on(&mut self, now: Timestamp) -> bool {
        self.may_in_channel(Claim::Urgent, now)
    }

    fn may_in_channel(&mut self, claim: Claim, now: Timestamp) -> bool {
        let may = self.budget.allows(claim, now) > 0;
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
        let mut saying = pin!(say(app.bot().within(self.patience)));
        let mut look = began + if self.has_hung { CROWDED_AGAIN } else { CROWDED };
        loop {
            tokio::select! {
                said = &mut saying => {
                    let hung = said.is_err() && began.elapsed() >= self.patience;
                    self.heard = if hung { Heard::Hung } else { Heard::Answered };
                    return said;
                }
                () = tokio::time::sleep_until(look) => {
                    // An unclear answer may become a second message, so it is worth it only where somebody has to wait for a sender.
                    if app.queue.waiting().await.is_ok_and(|waiting| waiting > 0) {
                        self.heard = Heard::Hung;
                        return Err(BotError::GaveUp);
                    }
                    look += LOOK_AGAIN;
                }
            }
        }
    }

    /// What the calls since the last time met with.
    pub(crate) fn take_heard(&mut self) -> Heard {
        std::mem::replace(&mut self.heard, Heard::NotAsked)
    }
}
