//! How the work on an item ended, and what a refusal of Teams means for it and for its channel.

use std::time::Duration;

use domain::channel::{Hold, HoldKind};
use domain::failure::Class;
use jiff::Timestamp;
use runtime::BotError;
use teams::connector::ConnectorError;

/// When a channel that was not found is asked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How the work on an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It shows what it should, or never will for a reason that waiting does not change.
    Done,
    /// The same, and it is to be looked at again then.
    DoneUntil(Timestamp),
    /// What is known is shown, and more is on its way.
    Soon,
    /// Tried in vain: again, not before then.
    Later(Timestamp),
    /// Nothing more is tried until somebody marks it.
    Parked,
    /// Tried in vain, for a reason that concerns the whole channel.
    Channel(Trouble),
    /// It did not come to its end in this wave: to be looked at again at once.
    Untouched,
    /// Teams has taken something, and it is not written down what: whoever comes next takes the card for doubtful.
    Unsaved,
}

/// Why a channel has to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: HoldKind,
    /// A short code.
    pub(crate) why: String,
    /// As long as Teams asks for; `None`: longer each time.
    pub(crate) after: Option<Duration>,
}

impl Trouble {
    /// The trouble of the whole channel that a refusal tells of; `None`: it is the message's own. `before`: why the channel had to
    /// wait last, if nothing has arrived since.
    pub(crate) fn of(error: &BotError, before: Option<&Hold>) -> Option<Self> {
        let trouble = |kind, after: Option<Duration>| Some(Self { kind, why: error.reason().to_owned(), after });
        if matches!(error, BotError::Teams(ConnectorError::ConversationNotFound(_))) {
            // Teams has been seen to find it again.
            return match before.map(|hold| hold.kind) {
                Some(HoldKind::NotFound | HoldKind::Lost) => trouble(HoldKind::Lost, None),
                Some(HoldKind::Busy) | None => trouble(HoldKind::NotFound, Some(LOOK_AGAIN)),
            };
        }
        match error.class() {
            Class::Gone => trouble(HoldKind::Lost, None),
            Class::Retry { after } => trouble(HoldKind::Busy, after),
            // Without a secret, a token or an address the channel's other cards would not arrive either. The same holds while Teams
            // is away.
            _ if error.is_speechless() || error.is_outage() => trouble(HoldKind::Busy, error.retry_after()),
            Class::Unclear | Class::Relink | Class::Forbidden | Class::Invalid | Class::Bug => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use runtime::SecretError;
    use teams::connector::{Answer, TokenError};

    use super::*;

    fn answer(status: u16) -> Answer {
        Answer { status, code: String::new(), operation: None }
    }

    fn hold(kind: HoldKind) -> Hold {
        Hold { until: Timestamp::UNIX_EPOCH, tries: 1, why: String::new(), kind }
    }

    #[test]
    fn only_what_concerns_the_channel_stops_the_channel() {
        let seconds = Duration::from_secs;
        let teams = BotError::Teams;
        let busy = |after: Option<u64>| Some((HoldKind::Busy, after.map(seconds)));
        let lost = Some((HoldKind::Lost, None));
        let not_found = Some((HoldKind::NotFound, Some(seconds(2))));
        for (error, before, expected) in [
            (teams(ConnectorError::Throttled { after: Some(seconds(90)), answer: answer(429) }), None, busy(Some(90))),
            (teams(ConnectorError::Busy { after: None, answer: answer(412) }), None, busy(None)),
            (teams(ConnectorError::Failed { after: Some(seconds(30)), answer: answer(503) }), None, busy(Some(30))),
            (teams(ConnectorError::Failed { after: None, answer: answer(500) }), None, None),
            (teams(ConnectorError::TooBig(answer(413))), None, None),
            (teams(ConnectorError::Forbidden(answer(403))), None, None),
            (teams(ConnectorError::Refused(answer(400))), None, None),
            (teams(ConnectorError::Token(TokenError::Unreadable)), None, busy(None)),
            (
                teams(ConnectorError::Token(TokenError::Busy { status: 503, after: Some(seconds(9)) })),
                None,
                busy(Some(9)),
            ),
            (teams(ConnectorError::Unauthorized(answer(401))), None, busy(None)),
            (teams(ConnectorError::WrongHost(answer(307))), None, busy(None)),
            (SecretError::Shape.into(), None, busy(None)),
            (teams(ConnectorError::ConversationGone(answer(403))), None, lost),
            (teams(ConnectorError::ConversationNotFound(answer(404))), None, not_found),
            (teams(ConnectorError::ConversationNotFound(answer(404))), Some(HoldKind::Busy), not_found),
            (teams(ConnectorError::ConversationNotFound(answer(404))), Some(HoldKind::NotFound), lost),
            (teams(ConnectorError::ConversationNotFound(answer(404))), Some(HoldKind::Lost), lost),
        ] {
            let before = before.map(hold);
            let found = Trouble::of(&error, before.as_ref()).map(|trouble| (trouble.kind, trouble.after));
            assert_eq!(found, expected, "{error:?}, {before:?}");
        }
    }
}
