//! The status table: which answer PagerDuty gets for which outcome.

use axum::http::StatusCode;
use runtime::{QueueError, RandomError};

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Merged, and every channel is marked.
    Accepted,
    /// PagerDuty's test message.
    Ping,
    /// Signed, but of a type that we do not know.
    UnknownType,
    /// Signed, but not an event as documented; kept for inspection.
    Unreadable,
    /// No body.
    Empty,
    /// Longer than PagerDuty ever sends.
    TooLarge,
    /// No usable `X-Webhook-Subscription`.
    NoSubscription,
    /// No usable `X-PagerDuty-Signature`.
    NoSignature,
    /// Neither signed by PagerDuty nor JSON.
    NotJson,
    /// We have no secret for the subscription (yet).
    UnknownSubscription,
    /// The subscription is ours, the signature does not match.
    WrongSignature,
    /// From an address that is not on the operator's list, and without what PagerDuty always sends.
    Outsider,
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

impl Outcome {
    /// 2xx: done. 4xx: a stranger, never to be repeated. 503: possibly our own fault, PagerDuty repeats it for 48 h.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Accepted | Self::Ping | Self::UnknownType | Self::Unreadable => StatusCode::ACCEPTED,
            Self::Empty | Self::NoSubscription | Self::NotJson => StatusCode::BAD_REQUEST,
            Self::NoSignature => StatusCode::UNAUTHORIZED,
            Self::Outsider => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownSubscription
            | Self::WrongSignature
            | Self::FromElsewhere
            | Self::SecretsDown
            | Self::TableDown
            | Self::QueueDown
            | Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ping => "ping",
            Self::UnknownType => "unknown_type",
            Self::Unreadable => "unreadable",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NoSubscription => "no_subscription",
            Self::NoSignature => "no_signature",
            Self::NotJson => "not_json",
            Self::UnknownSubscription => "unknown_subscription",
            Self::WrongSignature => "wrong_signature",
            Self::Outsider => "outsider",
            Self::FromElsewhere => "from_elsewhere",
            Self::SecretsDown => "secrets_down",
            Self::TableDown => "table_down",
            Self::QueueDown => "queue_down",
            Self::TooSlow => "too_slow",
        }
    }
}

pub(crate) fn table_failed(error: &store::Error) -> Outcome {
    tracing::error!(error = runtime::chain(error), "table failed");
    Outcome::TableDown
}

pub(crate) fn queue_failed(error: &QueueError) -> Outcome {
    tracing::error!(error = runtime::chain(error), "queue failed");
    Outcome::QueueDown
}

/// A wake-up has no name; PagerDuty sends the event again.
pub(crate) fn no_randomness(error: RandomError) -> Outcome {
    tracing::error!(error = runtime::chain(&error), "no message can be named");
    Outcome::QueueDown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strangers_get_a_4xx() {
        for (outcome, status) in [
            (Outcome::Accepted, 202),
            (Outcome::Ping, 202),
            (Outcome::UnknownType, 202),
            (Outcome::Unreadable, 202),
            (Outcome::Empty, 400),
            (Outcome::NoSubscription, 400),
            (Outcome::NotJson, 400),
            (Outcome::NoSignature, 401),
            (Outcome::Outsider, 403),
            (Outcome::TooLarge, 413),
            (Outcome::UnknownSubscription, 503),
            (Outcome::WrongSignature, 503),
            (Outcome::FromElsewhere, 503),
            (Outcome::SecretsDown, 503),
            (Outcome::TableDown, 503),
            (Outcome::QueueDown, 503),
            (Outcome::TooSlow, 503),
        ] {
            assert_eq!(outcome.status().as_u16(), status, "{outcome:?}");
        }
    }
}
