//! What is asked of PagerDuty in which minute, so that two requests are enough while nothing happens.

use domain::round::Round;
use jiff::{SignedDuration, Timestamp};

use crate::Extent;

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
    pub(crate) fn of(round: &Round, extent: Extent, is_due: bool, now: Timestamp) -> Self {
        let is_long_ago = round.before.is_none_or(|before| now.duration_since(before) >= OVER_EVERY);
        match extent {
            _ if !is_due => Self::Newest,
            Extent::Due if round.is_quiet && round.is_small && is_long_ago => Self::WhatIsOver,
            Extent::Due | Extent::Short | Extent::Full => Self::Everything,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_nothing_happens_what_is_over_takes_the_logs_place_once_an_hour() {
        let now = Timestamp::from_second(1_795_424_400).unwrap();
        let before = |minutes| Some(now - SignedDuration::from_mins(minutes));
        for (name, extent, is_due, is_quiet, is_small, before, expected) in [
            ("between", Extent::Due, false, true, true, before(61), Plan::Newest),
            ("due", Extent::Due, true, false, true, before(61), Plan::Everything),
            ("due, and quiet", Extent::Due, true, true, true, before(59), Plan::Everything),
            ("quiet for an hour", Extent::Due, true, true, true, before(60), Plan::WhatIsOver),
            ("never looked", Extent::Due, true, true, true, None, Plan::WhatIsOver),
            ("quiet, and many are open", Extent::Due, true, true, false, before(60), Plan::Everything),
            ("asked for", Extent::Full, true, true, true, before(60), Plan::Everything),
            ("failed before", Extent::Short, true, true, true, before(60), Plan::Everything),
        ] {
            let round = Round { is_quiet, is_small, before, ..Round::first(now) };
            assert_eq!(Plan::of(&round, extent, is_due, now), expected, "{name}");
        }
    }
}
