//! Where the reconciler is: when its last full round began, how far it has looked back, and what a run could not finish.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::catch_up::{Hidden, Sweep};
use crate::cause::{Cause, Occasion};
use crate::forward;
use crate::ids::CauseId;
use crate::incident::IncidentRecord;

/// Looks overlap: clocks differ, and PagerDuty lists an incident a moment after it began.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// How far back the first round looks for incidents that are closed already, and any round at most.
const FIRST: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How often a full round is due. Less than five minutes, since a schedule's runs do not begin at the same second.
const FULL_EVERY: SignedDuration = SignedDuration::from_secs(5 * 60 - 15);

/// So often the same part of the log is read at most.
const MOST_IN_VAIN: u32 = 3;

/// What one run leaves for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// When the last full round began.
    pub began_at: Timestamp,
    /// Up to when everything that was opened and is over has been looked for; `None`: nothing yet.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub before: Option<Timestamp>,
    /// How far this look has come, if a run could not finish it.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub looked_to: Option<Timestamp>,
    /// The way through all open incidents, if it takes more than one run.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// Incidents that PagerDuty does not show.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub hidden: Hidden,
    /// Whether PagerDuty's log had nothing to tell the last time.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub is_quiet: bool,
    /// Whether PagerDuty's log has ever told anything: one that never has may not tell what happens.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub log_tells: bool,
    /// Whether there is more in PagerDuty's log than a run could read, or than it could follow.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub reads_on: bool,
    /// How many runs could not follow everything that the same part of the log told.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub in_vain: u32,
    /// Whether there are more kept webhooks than a run could look at.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub looks_on: bool,
    /// Whether all open incidents were on one page the last time.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub is_small: bool,
}

impl Round {
    /// The first one ever.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self {
            began_at: now,
            before: None,
            looked_to: None,
            sweep: None,
            hidden: Hidden::default(),
            is_quiet: false,
            log_tells: false,
            reads_on: false,
            in_vain: 0,
            looks_on: false,
            is_small: false,
        }
    }

    /// Whether the next full round is to begin.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.duration_since(self.began_at) >= FULL_EVERY
    }

    /// Whether the log is read on after a run that could follow all of what it told, or not. What it tells of incidents that are none of
    /// ours may be more than any run can follow, so it does not wait for ever.
    #[must_use]
    pub fn may_go_on(&mut self, is_whole: bool) -> bool {
        self.in_vain = if is_whole || self.in_vain >= MOST_IN_VAIN { 0 } else { self.in_vain + 1 };
        self.in_vain == 0
    }

    /// Since when incidents may have come and gone unseen.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Timestamp {
        let back = |from: Timestamp, by| from.checked_sub(by).unwrap_or(Timestamp::MIN);
        let since = self.before.map_or_else(|| back(now, FIRST), |before| back(before, OVERLAP));
        self.looked_to.unwrap_or(since).max(back(now, LONGEST))
    }
}

/// A younger change is still on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(1);

/// The schedule's interval, in seconds.
const SLOT: i64 = 60;

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

/// How often everything is looked at, in seconds.
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

    #[test]
    fn the_log_does_not_wait_for_ever() {
        let mut round = Round::first(Timestamp::UNIX_EPOCH);
        let turns = [true, false, false, false, false, false, true, false];
        let goes_on = turns.map(|is_whole| round.may_go_on(is_whole));
        assert_eq!(goes_on, [true, false, false, false, true, false, true, false]);
    }

    use super::*;
    use crate::ids::{AccountId, IncidentId, ServiceId};
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
