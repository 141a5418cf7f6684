//! What becomes of a queue message, and who has to wait with it.

use std::time::Duration;

use domain::failure::Class;
use runtime::BotError;

/// The longest pause between two tries for a channel that nobody has asked us to wait longer for.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// The same for one incident. Shorter, since SQS delivers nothing of a group while one of its messages is hidden (SQS
/// docs, "FIFO delivery logic"): one card without a clear answer must not silence its channel for minutes.
const MAX_INCIDENT_BACKOFF: Duration = Duration::from_secs(60);

/// Every receive brings a message nearer to the dead-letter queue, so none is asked for at once.
const MIN_DELAY: Duration = Duration::from_secs(1);

/// Whom a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything in the channel: the rest of the group would fail as well.
    Channel,
    /// This incident's card only.
    Incident,
}

/// What becomes of the queue message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The card is true, or never will be for a reason that waiting does not change.
    Done,
    /// Try again, not before this time has passed.
    Later { scope: Scope, delay: Duration },
}

impl Outcome {
    /// Try again after `delay`, but not within [`MIN_DELAY`]; an incident alone never waits longer than
    /// [`MAX_INCIDENT_BACKOFF`].
    pub(crate) fn later(scope: Scope, delay: Duration) -> Self {
        let delay = delay.max(MIN_DELAY);
        let delay = match scope {
            Scope::Channel => delay,
            Scope::Incident => delay.min(MAX_INCIDENT_BACKOFF),
        };
        Self::Later { scope, delay }
    }

    /// What follows from Teams' refusal of a message that has been tried `attempts` times. `None`: the channel is gone.
    fn of_refusal(class: Class, attempts: u32) -> Option<Self> {
        (class != Class::Gone).then(|| Self::of_failure(class, attempts))
    }

    /// What follows from any failure of a call to Teams. Without a secret, a token or an address the channel's other cards would not
    /// arrive either, whatever the reason, and each try would cost a receive. The same holds while Teams is away.
    pub(crate) fn of_error(error: &BotError, attempts: u32) -> Option<Self> {
        let class = match error.class() {
            class @ Class::Retry { .. } => class,
            _ if error.is_speechless() || error.is_outage() => Class::Retry { after: error.retry_after() },
            class => class,
        };
        Self::of_refusal(class, attempts)
    }

    /// What follows from a failure that leaves something to do. One item of the table that cannot be read concerns one card;
    /// a table that does not answer, all of them.
    pub(crate) fn of_failure(class: Class, attempts: u32) -> Self {
        if let Class::Retry { after } = class {
            // Asked to wait 1 s for the tenth time, a second is not enough.
            Self::later(Scope::Channel, after.unwrap_or_default().max(backoff(attempts)))
        } else {
            Self::later(Scope::Incident, backoff(attempts))
        }
    }
}

/// 1 s, 2 s, 4 s … up to [`MAX_BACKOFF`].
pub(crate) fn backoff(attempts: u32) -> Duration {
    let exponent = attempts.saturating_sub(1).min(16);
    Duration::from_secs(1_u64 << exponent).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use runtime::SecretError;
    use teams::connector::{Answer, ConnectorError, TokenError};

    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_five_minutes() {
        let seconds: Vec<u64> = (0..12).map(|attempts| backoff(attempts).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn only_what_concerns_the_channel_stops_the_channel() {
        let seconds = Duration::from_secs;
        let later = |scope, delay| Some(Outcome::Later { scope, delay: seconds(delay) });
        for (class, attempts, expected) in [
            (Class::Retry { after: Some(seconds(90)) }, 1, later(Scope::Channel, 90)),
            (Class::Retry { after: Some(seconds(1)) }, 6, later(Scope::Channel, 32)),
            (Class::Retry { after: None }, 3, later(Scope::Channel, 4)),
            (Class::Unclear, 2, later(Scope::Incident, 2)),
            (Class::Invalid, 20, later(Scope::Incident, 60)),
            (Class::Bug, 1, later(Scope::Incident, 1)),
            (Class::Forbidden, 1, later(Scope::Incident, 1)),
            (Class::Relink, 1, later(Scope::Incident, 1)),
            (Class::Gone, 1, None),
        ] {
            assert_eq!(Outcome::of_refusal(class, attempts), expected, "{class:?}");
            let failure = expected.or(later(Scope::Incident, 1));
            assert_eq!(Some(Outcome::of_failure(class, attempts)), failure, "{class:?}");
        }
    }

    #[test]
    fn without_a_secret_or_a_token_and_while_teams_is_away_the_whole_channel_waits() {
        let busy = TokenError::Busy { status: 503, after: Some(Duration::from_secs(90)) };
        let no_token = |error| BotError::Teams(ConnectorError::Token(error));
        let answer = |status| Answer { status, code: String::new(), operation: None };
        let not_accepted = BotError::Teams(ConnectorError::Unauthorized(answer(401)));
        let elsewhere = BotError::Teams(ConnectorError::WrongHost(answer(307)));
        let away = |after: Option<u64>| {
            let after = after.map(Duration::from_secs);
            BotError::Teams(ConnectorError::Failed { after, answer: answer(503) })
        };
        for (error, attempts, delay) in [
            (no_token(TokenError::Unreadable), 4, 8),
            (no_token(busy), 1, 90),
            (SecretError::Shape.into(), 4, 8),
            (not_accepted, 4, 8),
            (elsewhere, 4, 8),
            (away(Some(30)), 1, 30),
            (away(None), 9, 256),
        ] {
            let expected = Outcome::Later { scope: Scope::Channel, delay: Duration::from_secs(delay) };
            assert_eq!(Outcome::of_error(&error, attempts), Some(expected));
        }
    }

    #[test]
    fn nothing_comes_again_at_once_and_an_incident_alone_waits_a_minute_at_most() {
        let seconds = |scope, seconds| match Outcome::later(scope, Duration::from_secs(seconds)) {
            Outcome::Later { delay, .. } => delay.as_secs(),
            Outcome::Done => 0,
        };
        for (asked, channel, incident) in [(0, 1, 1), (1, 1, 1), (60, 60, 60), (61, 61, 60), (9000, 9000, 60)] {
            assert_eq!(
                (seconds(Scope::Channel, asked), seconds(Scope::Incident, asked)),
                (channel, incident),
                "{asked}"
            );
        }
    }
}
