//! The reconciler's way through an account's services: where it is, and how far back it looks.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Occasion};
use crate::ids::{CauseId, ServiceId};
use crate::incident::IncidentRecord;

/// Rounds overlap: clocks differ, and PagerDuty lists an incident a moment after it began.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// How far back the first round looks for incidents that are closed already, and any round at most.
const FIRST: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The schedule's interval three times: a round that began longer ago has got stuck.
const OVERDUE: SignedDuration = SignedDuration::from_mins(15);

/// One way through all services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub began_at: Timestamp,
    /// When the round before it began; `None` for the first one.
    pub before: Option<Timestamp>,
    /// The last service that was done, in the order of ids; `None`: none yet.
    pub after: Option<ServiceId>,
}

impl Round {
    /// The first one ever.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self { began_at: now, before: None, after: None }
    }

    /// Whether a service has yet to be done.
    #[must_use]
    pub fn is_due(&self, service: &ServiceId) -> bool {
        self.after.as_ref().is_none_or(|after| service > after)
    }

    /// Since when incidents may have been missed.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        let back = |from: Timestamp, by| from.checked_sub(by).unwrap_or(Timestamp::MIN);
        let earliest = back(self.began_at, LONGEST);
        self.before.map_or_else(|| back(self.began_at, FIRST), |before| back(before, OVERLAP).max(earliest))
    }

    /// Whether the next one should have begun by now.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now.duration_since(self.began_at) > OVERDUE
    }

    /// The one after this one, which `now` begins.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Self {
        Self { began_at: now, before: Some(self.began_at), after: None }
    }
}

/// A younger change is still on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(1);

/// The schedule's interval, in seconds.
const SLOT: i64 = 300;

/// The cause of what a run brings about: the same for two runs at the same time, and another one in the next.
#[must_use]
pub fn cause(now: Timestamp) -> Cause {
    Cause { id: CauseId::of_round(now.as_second() / SLOT), occasion: Occasion::Reconciled, at: now, happened_at: None }
}

/// Whether a card that is out of date, although nothing new was learned of its incident, is so because its mark was lost.
#[must_use]
pub fn looks_again(record: &IncidentRecord, now: Timestamp) -> bool {
    record.snapshot.as_ref().is_some_and(|known| now.duration_since(known.version.at) >= ON_ITS_WAY)
}

/// The schedule's interval.
const EVERY: i64 = 5 * 60;

/// So many of all, other ones each time: over some rounds everything gets its turn, whatever came of it before.
#[must_use]
pub fn share<T: Clone>(all: &[T], most: usize, now: Timestamp) -> Vec<T> {
    if all.is_empty() {
        return Vec::new();
    }
    let turn = usize::try_from(now.as_second().div_euclid(EVERY)).unwrap_or_default();
    let start = turn.wrapping_mul(most) % all.len();
    all.iter().cycle().skip(start).take(most.min(all.len())).cloned().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn over_some_rounds_everything_gets_its_turn() {
        let at = |round: i64| Timestamp::from_second(round * EVERY).unwrap();
        let all: Vec<u32> = (0..7).collect();
        assert_eq!(share(&all, 3, at(0)), [0, 1, 2]);
        assert_eq!(share(&all, 3, at(1)), [3, 4, 5]);
        assert_eq!(share(&all, 3, at(2)), [6, 0, 1]);
        assert_eq!(share(&all, 9, at(1)), [2, 3, 4, 5, 6, 0, 1], "each once");
        assert!(share::<u32>(&[], 3, at(1)).is_empty());
    }

    use super::*;
    use crate::ids::{AccountId, IncidentId};
    use crate::incident::{Asked, ServiceRef, Snapshot, Status, Urgency};

    #[test]
    fn what_changed_a_moment_ago_is_on_its_way() {
        let changed_at = Timestamp::from_second(1_795_424_400).unwrap();
        let snapshot = Snapshot {
            number: 1,
            title: String::new(),
            status: Status::Triggered,
            urgency: Urgency::High,
            priority: None,
            service: ServiceRef { id: ServiceId::new("S").unwrap(), name: String::new() },
            escalation_policy: None,
            assignees: Vec::new(),
            html_url: String::new(),
            created_at: None,
            merged_into: None,
        };
        let (account, incident) = (AccountId::new("A").unwrap(), IncidentId::new("I").unwrap());
        let record = IncidentRecord::from_rest(account, incident, changed_at, snapshot, None, Asked::at(changed_at));
        for (seconds, expected) in [(0, false), (59, false), (61, true), (86_400, true)] {
            assert_eq!(looks_again(&record, changed_at + SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
