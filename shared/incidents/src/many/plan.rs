//! Which of many incidents a deed fits, which are asked for together, and what became of each. Nobody is asked here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::deed::DeedKind;
use domain::failure::Class;
use domain::ids::IncidentId;
use domain::incident::{Actor, Status};
use jiff::Timestamp;
use pagerduty::rest::{ApiError, RestIncident};

/// For how many incidents PagerDuty is asked at once, of 250 that it takes: its answer has no more of them, and no more become
/// unclear if it does not answer.
const CHUNK: usize = 100;

/// What became of one of many incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOutcome {
    /// It is done.
    Done,
    /// It is done, and thereby open again: somebody had resolved it a moment before.
    Reopened {
        /// Who had resolved it, as far as that is known.
        by: Option<Actor>,
        at: Timestamp,
    },
    /// It is resolved: nothing was done.
    ResolvedMeanwhile,
    /// It is acknowledged: nothing was done.
    AlreadyAcknowledged {
        /// By whom, as far as that is known.
        by: Option<Actor>,
    },
    /// It is not one of those that wait for the person: nothing was done. Only in [`crate::Scope::Mine`].
    NotMine,
    /// The person does not see it, or it is gone.
    NotVisible,
    /// Nothing was done.
    Failed(Trouble),
    /// PagerDuty may or may not have done it.
    Unclear,
    /// There was no time for it: nothing was done.
    NotInTime,
}

impl OneOutcome {
    /// Whether it is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Reopened { .. })
    }
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub class: Class,
    /// PagerDuty's own sentence for the person, if it gave one.
    pub message: String,
}

impl Trouble {
    pub(super) fn of(error: &ApiError) -> Self {
        Self { class: error.class(), message: error.message().to_owned() }
    }
}

impl From<Class> for Trouble {
    fn from(class: Class) -> Self {
        Self { class, message: String::new() }
    }
}

/// What PagerDuty has said of the incidents so far.
#[derive(Debug)]
pub(super) struct Reading {
    kind: DeedKind,
    order: Vec<IncidentId>,
    /// `None`: the deed fits.
    seen: BTreeMap<IncidentId, Option<OneOutcome>>,
    /// As of when, by PagerDuty's clock.
    read: BTreeMap<IncidentId, Timestamp>,
    has_begun: bool,
}

impl Reading {
    pub(super) fn of(kind: DeedKind, incidents: &[IncidentId]) -> Self {
        let mut known = BTreeSet::new();
        let order = incidents.iter().filter(|id| known.insert(*id)).cloned().collect();
        Self { kind, order, seen: BTreeMap::new(), read: BTreeMap::new(), has_begun: false }
    }

    /// Whether PagerDuty has answered at all.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// PagerDuty answered with these; what it says last is true.
    pub(super) fn saw(&mut self, found: &[RestIncident]) {
        self.has_begun = true;
        let ours: BTreeSet<&IncidentId> = self.order.iter().collect();
        for incident in found.iter().filter(|incident| ours.contains(&incident.id)) {
            let by = || incident.status_changed.as_ref().and_then(|(_, by)| by.clone());
            let told = match incident.snapshot.status {
                Status::Resolved => Some(OneOutcome::ResolvedMeanwhile),
                Status::Acknowledged if !self.kind.is_offered(Status::Acknowledged) => {
                    Some(OneOutcome::AlreadyAcknowledged { by: by() })
                }
                Status::Triggered | Status::Acknowledged => None,
            };
            self.seen.insert(incident.id.clone(), told);
            self.read.insert(incident.id.clone(), incident.updated_at);
        }
    }

    /// PagerDuty does not show this one.
    pub(super) fn could_not_see(&mut self, id: &IncidentId, why: Trouble) {
        let told = match why.class {
            Class::Gone | Class::Forbidden => OneOutcome::NotVisible,
            Class::Retry { .. } | Class::Unclear | Class::Relink | Class::Invalid | Class::Bug => {
                OneOutcome::Failed(why)
            }
        };
        self.seen.insert(id.clone(), Some(told));
    }

    /// Those of which nothing is known yet, in their order.
    pub(super) fn missing(&self) -> Vec<IncidentId> {
        self.order.iter().filter(|id| !self.seen.contains_key(*id)).cloned().collect()
    }

    /// What is to be asked for. `rest`: what becomes of those of which nothing is known.
    pub(super) fn ended(mut self, rest: &OneOutcome) -> Writing {
        let (mut fitting, mut told) = (Vec::new(), BTreeMap::new());
        for id in &self.order {
            match self.seen.remove(id).unwrap_or_else(|| Some(rest.clone())) {
                None => fitting.push(id.clone()),
                Some(outcome) => drop(told.insert(id.clone(), outcome)),
            }
        }
        let left = fitting.chunks(CHUNK).map(|ids| Part { ids: ids.to_vec(), forbidden: None }).collect();
        Writing { order: self.order, told, left, read: self.read }
    }
}

/// Incidents that PagerDuty is asked for with one call.
#[derive(Debug)]
pub(super) struct Part {
    ids: Vec<IncidentId>,
    /// What they become if there is no time to find out which of them it was that PagerDuty forbade: most likely it was all.
    forbidden: Option<OneOutcome>,
}

impl Part {
    pub(super) fn ids(&self) -> &[IncidentId] {
        &self.ids
    }
}

/// What an answer means for the incidents that it is about.
#[derive(Debug)]
pub(super) enum Reply {
    Done,
    /// Done to none, because of at least one of them, of which this is true.
    Refused(OneOutcome),
    /// Done to none, for a reason that holds for all that are left: this becomes of them.
    Undone(OneOutcome),
    /// It may be done to all, or to none. Whoever does not answer is not asked again.
    Unclear,
}

/// What became of the incidents so far, and what is left to be asked for.
#[derive(Debug)]
pub(super) struct Writing {
    order: Vec<IncidentId>,
    told: BTreeMap<IncidentId, OneOutcome>,
    left: VecDeque<Part>,
    read: BTreeMap<IncidentId, Timestamp>,
}

impl Writing {
    /// What to ask for next. Halves come after everything that was not asked for yet, so that the many come first.
    pub(super) fn next(&mut self) -> Option<Part> {
        self.left.pop_front()
    }

    /// Takes the answer for what [`Writing::next`] gave.
    pub(super) fn answered(&mut self, mut part: Part, reply: Reply) {
        match reply {
            Reply::Done => self.tell(part.ids, &OneOutcome::Done),
            Reply::Refused(why) if part.ids.len() < 2 => self.tell(part.ids, &why),
            Reply::Refused(why) => {
                let is_forbidden = matches!(&why, OneOutcome::Failed(Trouble { class: Class::Forbidden, .. }));
                let forbidden = Some(why).filter(|_| is_forbidden);
                let second = part.ids.split_off(part.ids.len() / 2);
                for ids in [part.ids, second] {
                    self.left.push_back(Part { ids, forbidden: forbidden.clone() });
                }
            }
            Reply::Undone(why) => {
                self.left.push_front(part);
                self.stop(&why);
            }
            Reply::Unclear => {
                self.tell(part.ids, &OneOutcome::Unclear);
                self.stop(&OneOutcome::Failed(Class::Retry { after: None }.into()));
            }
        }
    }

    /// Those that are done, and as of when each was read, in their order.
    pub(super) fn done(&self) -> impl Iterator<Item = (IncidentId, Timestamp)> {
        let done = self.order.iter().filter(|id| self.told.get(*id) == Some(&OneOutcome::Done));
        done.filter_map(|id| Some((id.clone(), *self.read.get(id)?)))
    }

    /// One that is done had been resolved a moment before.
    pub(super) fn reopened(&mut self, id: &IncidentId, by: Option<Actor>, at: Timestamp) {
        self.told.insert(id.clone(), OneOutcome::Reopened { by, at });
    }

    fn stop(&mut self, why: &OneOutcome) {
        for Part { ids, forbidden } in std::mem::take(&mut self.left) {
            self.tell(ids, forbidden.as_ref().unwrap_or(why));
        }
    }

    fn tell(&mut self, ids: Vec<IncidentId>, outcome: &OneOutcome) {
        self.told.extend(ids.into_iter().map(|id| (id, outcome.clone())));
    }

    /// What became of each, in their order; of those that are still left, that there was no time.
    pub(super) fn outcomes(mut self) -> Vec<(IncidentId, OneOutcome)> {
        self.stop(&OneOutcome::NotInTime);
        let Self { order, mut told, .. } = self;
        order
            .into_iter()
            .map(|id| {
                let outcome = told.remove(&id).unwrap_or(OneOutcome::NotInTime);
                (id, outcome)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
