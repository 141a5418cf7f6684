//! Why a flow could not go on. What people are told about it is made in `answer` and `commands`, each in one place.

use incidents::{ActError, ObserveError};
use runtime::{BotError, OnceError, PersonError, RandomError, SecretError};
use setup::SetupError;

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
            Self::Random(_) | Self::Once(_) | Self::Person(_) | Self::Act(_) | Self::Secret(_) => true,
            Self::NotConnected | Self::NoUser => false,
        }
    }

    /// Whether Teams does not let the bot write to the person: they have not got the app, or have blocked it.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Teams(error) if error.is_closed())
    }

    /// Whether the person has to link their accounts first.
    pub(crate) fn needs_link(&self) -> bool {
        matches!(self, Self::Person(PersonError::NeedsLink))
    }
}
