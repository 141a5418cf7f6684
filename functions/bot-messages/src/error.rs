//! Why a flow could not go on. What people are told about it is made in `answer` and `commands`, each in one place.

use incidents::{ActError, ObserveError};
use runtime::{BotError, BrokenOff, OnceError, PersonError, RandomError, SecretError};
use setup::SetupError;

/// Why somebody has to link their accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlinked {
    /// They are not linked, or not any more.
    NotLinked,
    /// Their log-in at PagerDuty was lost.
    LogInLost,
}

/// What is said of a person's call that failed for a reason of its own.
pub(crate) fn sentence(error: &PersonError) -> &'static str {
    if matches!(error, PersonError::TokenRefused(_)) { cards::text::LOG_IN_REFUSED } else { cards::text::TRY_AGAIN }
}

/// Something could not be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowError {
    #[error(transparent)]
    Table(#[from] store::Error),
    #[error(transparent)]
    Teams(#[from] BotError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Among others: the person is not linked, or PagerDuty said no.
    #[error(transparent)]
    Person(#[from] PersonError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// What was to be marked in a channel may not be.
    #[error(transparent)]
    Marked(#[from] ObserveError),
    #[error(transparent)]
    Act(#[from] ActError),
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The process ends.
    #[error(transparent)]
    BrokenOff(#[from] BrokenOff),
    /// The team, or the only one that could be meant, belongs to no PagerDuty account.
    #[error("nothing here is connected to a PagerDuty account")]
    NotConnected,
    #[error("the activity does not say which Entra user sent it")]
    NoUser,
}

impl FlowError {
    /// Whether the same may work a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Table(error) => error.class().may_pass(),
            Self::Teams(error) => error.class().may_pass(),
            Self::Setup(error) => error.class().may_pass(),
            Self::Marked(error) => error.class().may_pass(),
            Self::Random(_) | Self::Once(_) | Self::Person(_) | Self::Act(_) | Self::Secret(_) | Self::BrokenOff(_) => {
                true
            }
            Self::NotConnected | Self::NoUser => false,
        }
    }

    /// Whether Teams does not let the bot write to the person: they have not got the app, or have blocked it.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Teams(error) if error.is_closed())
    }

    /// Why the person has to link their accounts first; `None`: they have not.
    pub(crate) fn unlinked(&self) -> Option<Unlinked> {
        match self {
            Self::Person(PersonError::NeedsLink) => Some(Unlinked::NotLinked),
            Self::Person(PersonError::LogInLost) => Some(Unlinked::LogInLost),
            _ => None,
        }
    }

    /// What is said to a person who can do nothing about it.
    pub(crate) fn sentence(&self) -> &'static str {
        match self {
            Self::Person(error) | Self::Act(ActError::Person(error)) => sentence(error),
            _ => cards::text::TRY_AGAIN,
        }
    }
}
