//! What can go wrong while setting up. The messages are for the person who tries it: they say what to do.

use domain::failure::Class;
use domain::ids::ServiceId;
use incidents::ObserveError;
use pagerduty::rest::ApiError;
use runtime::{AppTokenError, AsAppError, BotError, OnceError};

/// It could not be done, and nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// PagerDuty has no such service.
    #[error("PagerDuty does not know the service {service}, or it was deleted.")]
    ServiceUnknown { service: ServiceId },
    /// PagerDuty's limit of subscriptions per service.
    #[error(
        "PagerDuty allows ten webhook subscriptions for a service, and this one has ten already. Delete one that is not \
         needed in PagerDuty (the service's Integrations, Webhooks) and try again."
    )]
    TooManySubscriptions,
    /// Somebody else changes the connections of the same service right now.
    #[error("Somebody else is connecting or disconnecting the same service right now. Please try again in a minute.")]
    Busy,
    /// The bot cannot post in the channel.
    #[error(
        "I cannot post in this channel ({code}). It may have been deleted, or be a private or shared channel to which I was \
         not added."
    )]
    ChannelUnreachable {
        /// Teams' own code.
        code: String,
    },
    /// The team is not known, was removed, or is connected to no account.
    #[error("This team is not connected to PagerDuty.")]
    NotConnected,
    /// The team is connected to another account.
    #[error("This team is already connected to another PagerDuty account. Disconnect it there first.")]
    OtherAccount,
    /// The installation that the authorization was meant for is over.
    #[error("This authorization is no longer valid.")]
    Outdated,
    /// PagerDuty did not do it.
    #[error("PagerDuty did not do it: {}", said(.0))]
    PagerDuty(#[source] ApiError),
    /// PagerDuty gives the app no token.
    #[error(
        "PagerDuty does not accept PagerBridge's own log-in. The person who operates PagerBridge has to look into it."
    )]
    AppToken(#[source] AppTokenError),
    /// Teams did not do it.
    #[error("Microsoft Teams does not answer. Please try again in a minute.")]
    Teams(#[source] BotError),
    /// The table did not do it.
    #[error("This did not work. Please try again in a minute.")]
    Table(#[from] store::Error),
    /// The queue did not take it.
    #[error("This did not work. Please try again in a minute.")]
    Queue(#[from] runtime::QueueError),
    /// An incident's cards could not be looked at.
    #[error("This did not work. Please try again in a minute.")]
    Observe(#[from] ObserveError),
    /// The secret cannot be read.
    #[error("This did not work. Please try again in a minute.")]
    Secret(#[from] runtime::SecretError),
    /// The process ended in the middle.
    #[error("This did not work. Please try again in a minute.")]
    BrokenOff(#[from] runtime::BrokenOff),
    /// No randomness.
    #[error("This did not work. Please try again in a minute.")]
    Random(#[from] runtime::RandomError),
    /// A secret cannot be sealed.
    #[error("This did not work. The person who operates PagerBridge has to look into it.")]
    Seal(#[from] store::seal::SealError),
    /// The public address is none.
    #[error("PagerBridge's public address is not usable. The person who operates PagerBridge has to look into it.")]
    PublicUrl(#[from] url::ParseError),
}

fn said(error: &ApiError) -> &str {
    match error.message() {
        "" => "it does not answer as it should. Please try again in a minute.",
        message => message,
    }
}

impl From<AsAppError> for SetupError {
    fn from(error: AsAppError) -> Self {
        match error {
            AsAppError::Token(error) => Self::AppToken(error),
            AsAppError::PagerDuty(error) if error.is_limit() => Self::TooManySubscriptions,
            AsAppError::PagerDuty(error) => Self::PagerDuty(error),
        }
    }
}

impl From<BotError> for SetupError {
    fn from(error: BotError) -> Self {
        match error {
            BotError::Secret(error) => Self::Secret(error),
            error @ (BotError::Teams(_) | BotError::GaveUp) => Self::Teams(error),
        }
    }
}

impl From<OnceError> for SetupError {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::Table(error) => Self::Table(error),
            OnceError::Random(error) => Self::Random(error),
        }
    }
}

impl SetupError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::ServiceUnknown { .. } | Self::ChannelUnreachable { .. } => Class::Gone,
            Self::TooManySubscriptions | Self::NotConnected | Self::OtherAccount | Self::Outdated => Class::Invalid,
            Self::Busy | Self::BrokenOff(_) => Class::Retry { after: None },
            Self::PagerDuty(error) => error.class(),
            Self::AppToken(error) => error.class(),
            Self::Teams(error) => error.class(),
            Self::Table(error) => error.class(),
            Self::Queue(error) => error.class(),
            Self::Observe(error) => error.class(),
            Self::Secret(error) => error.class(),
            Self::Random(_) | Self::Seal(_) | Self::PublicUrl(_) => Class::Bug,
        }
    }
}
