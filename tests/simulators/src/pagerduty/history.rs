//! What has become of each incident, for whoever judges a run: every state that it was in, and who did what to it.

use jiff::Timestamp;

use super::PagerDuty;
use super::model::{Agent, Incident, State, Status};

/// An incident's state from a moment on, until the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub at: Timestamp,
    pub title: String,
    /// `triggered`, `acknowledged` or `resolved`.
    pub status: &'static str,
    pub urgency: String,
    /// The name of its priority.
    pub priority: Option<String>,
    /// The service's id.
    pub service: String,
    pub service_name: String,
    /// The names of those who have it.
    pub assignees: Vec<String>,
    /// The id of the incident that it was merged into.
    pub merged_into: Option<String>,
}

/// Something that was done to an incident: a row of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    pub at: Timestamp,
    /// As in `acknowledge_log_entry`.
    pub kind: String,
    /// The person who did it; `None`: it was none.
    pub user: Option<String>,
    /// A note's text, or the resolution.
    pub text: Option<String>,
    /// Whether it came over REST and not from PagerDuty's own pages or apps.
    pub over_rest: bool,
}

/// All that has become of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    pub id: String,
    pub number: u64,
    /// Oldest first; there is always one. What was before a restart is not known.
    pub versions: Vec<Version>,
    pub log: Vec<LogRow>,
}

impl PagerDuty {
    /// What has become of each incident, in the order of their numbers.
    #[must_use]
    pub fn histories(&self) -> Vec<History> {
        let state = self.lock();
        let history = |incident: &Incident| {
            let known = state.passing.versions.get(&incident.id).cloned();
            let versions = known.unwrap_or_else(|| vec![state.version(incident)]);
            let log = incident.log.iter().map(|entry| LogRow {
                at: entry.at,
                kind: entry.kind.clone(),
                user: match &entry.agent {
                    Agent::User(id) => Some(id.clone()),
                    Agent::Integration | Agent::Nobody => None,
                },
                text: entry.note.clone(),
                over_rest: entry.over_rest,
            });
            History { id: incident.id.clone(), number: incident.number, versions, log: log.collect() }
        };
        state.incidents.iter().map(history).collect()
    }
}

impl State {
    /// Remembers an incident's state if it is another one than before.
    pub(super) fn note_version(&mut self, id: &str) {
        let Some((id, version)) = self.incident(id).map(|incident| (incident.id.clone(), self.version(incident)))
        else {
            return;
        };
        let known = self.passing.versions.entry(id).or_default();
        if known.last().is_none_or(|last| Version { at: version.at, ..last.clone() } != version) {
            known.push(version);
        }
    }

    fn version(&self, incident: &Incident) -> Version {
        let name = |id: &String| self.user(id).map_or_else(|| id.clone(), |user| user.name.clone());
        let priority = incident.priority.as_ref();
        let service = self.services.iter().find(|known| known.id == incident.service);
        Version {
            at: incident.updated_at,
            title: incident.title.clone(),
            status: match incident.status {
                Status::Triggered => "triggered",
                Status::Acknowledged => "acknowledged",
                Status::Resolved => "resolved",
            },
            urgency: incident.urgency.clone(),
            priority: priority.map(|id| self.priority(id).map_or_else(|| id.clone(), |known| known.name.clone())),
            service: incident.service.clone(),
            service_name: service.map_or_else(|| incident.service.clone(), |known| known.name.clone()),
            assignees: incident.assignments.iter().map(|one| name(&one.user)).collect(),
            merged_into: incident.merged_into.clone(),
        }
    }
}
