//! The status table: which answer PagerDuty gets for which outcome.
//!
//! PagerDuty drops a delivery for good after any 4xx but 429, and three drops disable the subscription for a day (PagerDuty webhook
//! docs, "Behavior"). So what a subscription of ours brings ends as an [`Ended`], and no [`Ended`] has a 4xx.

use axum::http::StatusCode;
use incidents::ObserveError;
use runtime::{QueueError, RandomError};

/// What a request is answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It names no subscription that the table knows, and is clearly not PagerDuty's.
    Refused(Stranger),
    /// It names one that is known, or that may be.
    Taken(Ended),
}

/// Why a stranger is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// No usable `X-Webhook-Subscription`.
    NoSubscription,
    /// No usable `X-PagerDuty-Signature`.
    NoSignature,
    /// From an address that is not on the operator's list, and without what PagerDuty always sends.
    Outsider,
}

/// How a delivery ended that may be PagerDuty's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Merged, and every channel is marked.
    Accepted,
    /// PagerDuty's test message.
    Ping,
    /// Signed, but of a type that we do not know.
    UnknownType,
    /// Signed, but not an event as documented; kept for inspection, and its incident asked for.
    Unreadable,
    /// The subscription is ours, and there is no signature that we know: perhaps PagerDuty signs in another way now.
    Unsigned,
    /// The subscription is ours, the signature does not match.
    WrongSignature,
    /// It names several subscriptions, one of ours among them.
    Several,
    /// We have no secret for the subscription (yet).
    UnknownSubscription,
    /// It names more subscriptions than we look up, or so many strangers name some that this one was not looked up.
    NotLookedUp,
    /// The subscription is or may be ours, and its body is longer than anything that we read.
    TooLong,
    /// The subscription is or may be ours, and its body broke off.
    BrokenOff,
    /// Signed by PagerDuty, from an address that is not on the operator's list.
    FromElsewhere,
    /// The secret that opens the webhook secrets cannot be read.
    SecretsDown,
    /// The table refused or did not answer.
    TableDown,
    /// The queue refused or did not answer.
    QueueDown,
    /// We ran out of PagerDuty's patience.
    TooSlow,
}

impl Stranger {
    fn status(self) -> StatusCode {
        match self {
            Self::NoSubscription => StatusCode::BAD_REQUEST,
            Self::NoSignature => StatusCode::UNAUTHORIZED,
            Self::Outsider => StatusCode::FORBIDDEN,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::NoSubscription => "no_subscription",
            Self::NoSignature => "no_signature",
            Self::Outsider => "outsider",
        }
    }
}

impl Ended {
    /// 503: possibly our own fault, or a change of PagerDuty's; PagerDuty repeats it for 48 h.
    fn status(self) -> StatusCode {
        match self {
            Self::Accepted | Self::Ping | Self::UnknownType | Self::Unreadable => StatusCode::ACCEPTED,
            Self::Unsigned
            | Self::WrongSignature
            | Self::Several
            | Self::UnknownSubscription
            | Self::NotLookedUp
            | Self::TooLong
            | Self::BrokenOff
            | Self::FromElsewhere
            | Self::SecretsDown
            | Self::TableDown
            | Self::QueueDown
            | Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ping => "ping",
            Self::UnknownType => "unknown_type",
            Self::Unreadable => "unreadable",
            Self::Unsigned => "unsigned",
            Self::WrongSignature => "wrong_signature",
            Self::Several => "several_subscriptions",
            Self::UnknownSubscription => "unknown_subscription",
            Self::NotLookedUp => "not_looked_up",
            Self::TooLong => "too_long",
            Self::BrokenOff => "broken_off",
            Self::FromElsewhere => "from_elsewhere",
            Self::SecretsDown => "secrets_down",
            Self::TableDown => "table_down",
            Self::QueueDown => "queue_down",
            Self::TooSlow => "too_slow",
        }
    }
}

impl Outcome {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Refused(stranger) => stranger.status(),
            Self::Taken(ended) => ended.status(),
        }
    }

    /// For logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused(stranger) => stranger.name(),
            Self::Taken(ended) => ended.name(),
        }
    }
}

impl From<Stranger> for Outcome {
    fn from(stranger: Stranger) -> Self {
        Self::Refused(stranger)
    }
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        Self::Taken(ended)
    }
}

pub(crate) fn table_failed(error: &store::Error) -> Ended {
    tracing::error!(error = runtime::chain(error), "table failed");
    Ended::TableDown
}

pub(crate) fn not_observed(error: ObserveError) -> Ended {
    match error {
        ObserveError::Table(error) => table_failed(&error),
        ObserveError::Queue(error) => queue_failed(&error),
        ObserveError::Random(error) => no_randomness(error),
    }
}

fn queue_failed(error: &QueueError) -> Ended {
    tracing::error!(error = runtime::chain(error), "queue failed");
    Ended::QueueDown
}

/// A wake-up has no name; PagerDuty sends the event again.
fn no_randomness(error: RandomError) -> Ended {
    tracing::error!(error = runtime::chain(&error), "no message can be named");
    Ended::QueueDown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strangers_get_a_4xx() {
        let stranger = |stranger: Stranger| Outcome::Refused(stranger);
        for (outcome, status) in [
            (Ended::Accepted.into(), 202),
            (Ended::Ping.into(), 202),
            (Ended::UnknownType.into(), 202),
            (Ended::Unreadable.into(), 202),
            (stranger(Stranger::NoSubscription), 400),
            (stranger(Stranger::NoSignature), 401),
            (stranger(Stranger::Outsider), 403),
            (Ended::Unsigned.into(), 503),
            (Ended::WrongSignature.into(), 503),
            (Ended::Several.into(), 503),
            (Ended::UnknownSubscription.into(), 503),
            (Ended::NotLookedUp.into(), 503),
            (Ended::TooLong.into(), 503),
            (Ended::BrokenOff.into(), 503),
            (Ended::FromElsewhere.into(), 503),
            (Ended::SecretsDown.into(), 503),
            (Ended::TableDown.into(), 503),
            (Ended::QueueDown.into(), 503),
            (Ended::TooSlow.into(), 503),
        ] {
            assert_eq!(outcome.status().as_u16(), status, "{outcome:?}");
            assert_eq!(outcome.status().is_client_error(), matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        }
    }
}
