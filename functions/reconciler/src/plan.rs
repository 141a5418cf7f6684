//! What is asked of PagerDuty in which minute, so that two requests are enough while nothing happens.

use domain::round::Round;
use jiff::{SignedDuration, Timestamp};

use crate::Full;
use crate::news::Log;

/// While the log says that nothing happens, what is over is looked at this often all the same: the log may not tell everything.
const OVER_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The newest open incidents.
    Newest,
    /// The log first, then all open incidents and those that were missed; if the log says that nothing has happened, nothing more.
    Everything,
    /// What is over, in the place of the log.
    WhatIsOver,
}

impl Plan {
    /// `is_due`: it is time for the log.
    pub(crate) fn of(round: &Round, full: Full, is_due: bool, now: Timestamp) -> Self {
        match full {
            Full { asked: true, .. } => Self::Everything,
            _ if !is_due => Self::Newest,
            _ if round.is_quiet && round.is_small && is_long_ago(round, now) => Self::WhatIsOver,
            _ => Self::Everything,
        }
    }

    /// Whether those are looked for that came and went unseen: the log tells of them, if it is there.
    pub(crate) fn looks_at_what_is_over(self, round: &Round, log: Log, full: Full, now: Timestamp) -> bool {
        let instead = full.is_due && (log == Log::Unknown || is_long_ago(round, now));
        self == Self::WhatIsOver || instead || round.looked_to.is_some()
    }
}

fn is_long_ago(round: &Round, now: Timestamp) -> bool {
    round.before.is_none_or(|before| now.duration_since(before) >= OVER_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_nothing_happens_what_is_over_takes_the_logs_place_once_an_hour() {
        let now = Timestamp::from_second(1_795_424_400).unwrap();
        let before = |minutes| Some(now - SignedDuration::from_mins(minutes));
        for (name, asked, is_due, is_quiet, is_small, before, expected) in [
            ("between", false, false, true, true, before(61), Plan::Newest),
            ("due", false, true, false, true, before(61), Plan::Everything),
            ("due, and quiet", false, true, true, true, before(59), Plan::Everything),
            ("quiet for an hour", false, true, true, true, before(60), Plan::WhatIsOver),
            ("never looked", false, true, true, true, None, Plan::WhatIsOver),
            ("quiet, and many are open", false, true, true, false, before(60), Plan::Everything),
            ("asked for", true, false, true, true, before(60), Plan::Everything),
        ] {
            let round = Round { is_quiet, is_small, before, ..Round::first(now) };
            assert_eq!(Plan::of(&round, Full { asked, is_due }, is_due, now), expected, "{name}");
        }
    }

    #[test]
    fn what_is_over_is_looked_at_where_the_log_does_not_tell_and_once_an_hour() {
        let now = Timestamp::from_second(1_795_424_400).unwrap();
        let before = |minutes| Some(now - SignedDuration::from_mins(minutes));
        for (name, plan, log, is_due, before, looked_to, expected) in [
            ("the log tells", Plan::Everything, Log::Told, true, before(5), None, false),
            ("it does, for an hour", Plan::Everything, Log::Told, true, before(60), None, true),
            ("it does not", Plan::Everything, Log::Unknown, true, before(5), None, true),
            ("between", Plan::Newest, Log::Unknown, false, before(90), None, false),
            ("cut off", Plan::Newest, Log::Unknown, false, before(5), before(7), true),
            ("in its place", Plan::WhatIsOver, Log::Unknown, true, before(5), None, true),
        ] {
            let round = Round { before, looked_to, ..Round::first(now) };
            let looks = plan.looks_at_what_is_over(&round, log, Full { asked: false, is_due }, now);
            assert_eq!(looks, expected, "{name}");
        }
    }
}
