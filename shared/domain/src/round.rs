//! The reconciler's way through an account's services: where it is, and how far back it looks.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::{CauseId, ServiceId};
use crate::incident::IncidentRecord;
use crate::job::{Cause, Occasion};

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

/// A younger change is still on its way through the queue.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(1);

/// A card that has been out of date for longer is marked in one of [`SLOTS`] runs only: its channel has trouble, and every
/// mark costs a try.
const OFTEN: SignedDuration = SignedDuration::from_mins(20);
const SLOTS: i64 = 6;
const SLOT: i64 = 300;

/// The cause of what a run brings about: the same for two runs at the same time, and another one in the next.
#[must_use]
pub fn cause(now: Timestamp) -> Cause {
    Cause { id: CauseId::of_round(now.as_second() / SLOT), occasion: Occasion::Reconciled, at: now, happened_at: None }
}

/// Whether it is time to look at cards that are out of date although nothing new was learned of their incident.
#[must_use]
pub fn looks_again(record: &IncidentRecord, now: Timestamp) -> bool {
    let Some(snapshot) = &record.snapshot else { return false };
    let age = now.duration_since(snapshot.version.at);
    let turn: i64 = record.id.as_str().bytes().map(i64::from).sum::<i64>() % SLOTS;
    age >= ON_ITS_WAY && (age < OFTEN || now.as_second() / SLOT % SLOTS == turn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, IncidentId};
    use crate::incident::{Asked, ServiceRef, Snapshot, Status, Urgency};

    #[test]
    fn a_card_that_stays_behind_is_marked_in_every_run_at_first_and_then_twice_an_hour() {
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
        let marked = |from_minute: i64, to_minute: i64| {
            let runs = (from_minute..to_minute).filter(|minute| minute % 5 == 0);
            runs.filter(|minute| looks_again(&record, changed_at + SignedDuration::from_mins(*minute))).count()
        };
        assert_eq!(marked(0, 1), 0, "still on its way");
        assert_eq!(marked(5, 20), 3);
        assert_eq!(marked(30, 90), 2);
        assert_eq!(marked(60 * 24, 60 * 25), 2, "for as long as it is wrong");
    }
}
