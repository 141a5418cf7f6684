//! Which of PagerDuty's incidents are ours.

use std::collections::{BTreeSet, HashSet};

use domain::ids::{IncidentId, ServiceId};
use incidents::Connected;
use pagerduty::rest::RestIncident;
use store::OpenIncident;

/// What is connected, and what is open here.
#[derive(Debug)]
pub(crate) struct Ours<'a> {
    pub(crate) connected: &'a Connected,
    /// As it was before PagerDuty was asked.
    pub(crate) open: &'a [OpenIncident],
    ids: HashSet<&'a IncidentId>,
}

impl<'a> Ours<'a> {
    pub(crate) fn new(connected: &'a Connected, open: &'a [OpenIncident]) -> Self {
        Self { connected, open, ids: open.iter().map(|open| &open.id).collect() }
    }

    /// Whether it is open here.
    pub(crate) fn has_open(&self, id: &IncidentId) -> bool {
        self.ids.contains(id)
    }

    /// Whether somebody wants to see an incident. Of a service that nobody has connected, only what is known already.
    pub(crate) fn matters(&self, incident: &RestIncident) -> bool {
        self.connected.services.contains_key(&incident.snapshot.service.id) || self.has_open(&incident.id)
    }

    /// The services whose incidents matter: those that are connected, and those to which incidents have moved that are open here.
    pub(crate) fn services(&self) -> BTreeSet<&ServiceId> {
        self.connected.services.keys().chain(self.open.iter().map(|open| &open.service)).collect()
    }
}
