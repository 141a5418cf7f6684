//! What a caller can do about a failure at one of our borders (PagerDuty, Teams, the table, the queue).

use std::time::Duration;

/// The one question that a caller asks of an error: what now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It was refused before anything happened; the same call may work later, not before `after`.
    Retry {
        /// As the other side asked for; `None` if it did not say.
        after: Option<Duration>,
    },
    /// No answer, or one that does not say whether it was carried out.
    Unclear,
    /// The person's authorization is gone: they have to link again.
    Relink,
    /// The caller may not do this.
    Forbidden,
    /// The thing is not there (any more).
    Gone,
    /// The request itself is wrong and will never work.
    Invalid,
    /// Our own fault: a wrong configuration, or an answer that we cannot read.
    Bug,
}

impl Class {
    /// Whether the same may work a moment later.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Unclear)
    }
}
