//! What will happen to an incident if nobody does anything. Time alone changes nothing here: a test makes it happen.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::PagerDuty;
use super::model::{Incident, State, Status};
use super::references::seconds;

/// How long each level of every policy has.
pub(super) const ESCALATION_MINUTES: u32 = 30;

impl PagerDuty {
    /// Sets what REST tells as `pending_actions`, a list of `{"type", "at", "to"?}`; `None` goes back to what follows from
    /// policy and service.
    pub fn set_pending_actions(&self, incident: &str, actions: Option<Value>) {
        self.act("set_pending_actions", |state| {
            let known = state.incident_mut(incident).ok_or_else(|| incident.to_owned())?;
            known.pending_actions = actions;
            Ok(String::new())
        });
    }

    /// After which time an acknowledgement runs out on a service, and an incident resolves itself; `None`: never.
    pub fn set_timeouts(
        &self,
        service: &str,
        acknowledgement: Option<SignedDuration>,
        auto_resolve: Option<SignedDuration>,
    ) {
        self.act("set_timeouts", |state| {
            let known = state.services.iter_mut().find(|known| known.id == service && !known.deleted);
            let known = known.ok_or_else(|| service.to_owned())?;
            (known.acknowledgement_timeout, known.auto_resolve_timeout) = (acknowledgement, auto_resolve);
            Ok(String::new())
        });
    }
}

impl State {
    pub(super) fn pending_actions(&self, incident: &Incident) -> Value {
        if let Some(set) = &incident.pending_actions {
            return set.clone();
        }
        let service = self.service(&incident.service);
        let mut pending: Vec<(&str, Timestamp)> = Vec::new();
        if self.escalates(incident) {
            let since = incident.assignments.iter().map(|one| one.at).max().unwrap_or(incident.created_at);
            pending.push(("escalate", since + SignedDuration::from_mins(i64::from(ESCALATION_MINUTES))));
        }
        if incident.status == Status::Acknowledged
            && let Some(timeout) = service.and_then(|service| service.acknowledgement_timeout)
        {
            let since = incident.acknowledgements.iter().map(|one| one.at).max().unwrap_or(incident.status_changed_at);
            pending.push(("unacknowledge", since + timeout));
        }
        if incident.status != Status::Resolved
            && let Some(timeout) = service.and_then(|service| service.auto_resolve_timeout)
        {
            pending.push(("resolve", incident.created_at + timeout));
        }
        let ahead = pending.into_iter().filter(|(_, at)| *at > self.passing.now);
        ahead.map(|(kind, at)| json!({ "type": kind, "at": seconds(at) })).collect()
    }

    /// Low urgency and what is assigned by name stay where they are (support docs, "Reassign incidents").
    fn escalates(&self, incident: &Incident) -> bool {
        let levels = self.policy(&incident.policy).map_or(0, |policy| policy.levels.len());
        incident.status == Status::Triggered
            && !incident.directly_assigned
            && incident.urgency == "high"
            && incident.level < levels
    }
}
