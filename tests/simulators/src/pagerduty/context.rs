//! What PagerDuty knows around an incident. Its own reasoning is not simulated: a test says what it has found.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PagerDuty;
use super::model::{Incident, State};
use super::references::seconds;

/// The ability behind [`Context::PastIncidents`], [`Context::RelatedIncidents`] and [`Context::OutlierIncident`].
pub const EVENT_INTELLIGENCE: &str = "event_intelligence";

/// What REST can be asked about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Context {
    /// A list of `{"incident": {"id", "created_at", "self", "title"}, "score"}`.
    PastIncidents,
    /// A list of `{"incident", "relationships": [{"type", "metadata"}]}`.
    RelatedIncidents,
    /// A list of change events with `"correlation_reason": {"reason"}`.
    RelatedChangeEvents,
    /// `{"incident": {…, "occurrence": {"count", "frequency", "category", "since", "until"}}, "incident_template"}`.
    OutlierIncident,
    /// A list of `{"id", "name", "type": "business_service", "status": "impacted" | "not_impacted"}`.
    BusinessServiceImpacts,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl PagerDuty {
    /// Sets what REST tells of an incident's context, as it stands in the answer. Until then lists are empty, and the
    /// outlier is told without an occurrence.
    pub fn set_context(&self, incident: &str, context: Context, found: Value) {
        self.act("set_context", |state| {
            if found.is_array() == (context == Context::OutlierIncident) {
                return Err(format!("such {context}: {found}"));
            }
            let known = state.incident_mut(incident).ok_or_else(|| incident.to_owned())?;
            known.context.insert(context, found);
            Ok(String::new())
        });
    }

    /// How another incident of this account stands in [`Context::PastIncidents`], [`Context::RelatedIncidents`] and
    /// [`Context::OutlierIncident`], under `incident`.
    #[must_use]
    pub fn short_incident(&self, incident: &str) -> Option<Value> {
        let state = self.lock();
        state.incident(incident).map(|known| state.short_incident(known))
    }

    /// Gives the account an ability or takes it, for example [`EVENT_INTELLIGENCE`]. At first it has all of them.
    pub fn set_ability(&self, ability: &str, has: bool) {
        self.act("set_ability", |state| {
            if ability != EVENT_INTELLIGENCE {
                return Err(format!("ability {ability}"));
            }
            if has {
                state.missing_abilities.remove(ability);
            } else {
                state.missing_abilities.insert(ability.to_owned());
            }
            Ok(String::new())
        });
    }
}

impl State {
    pub(super) fn short_incident(&self, incident: &Incident) -> Value {
        json!({
            "id": incident.id,
            "created_at": seconds(incident.created_at),
            "self": format!("{}/incidents/{}", self.passing.links.api, incident.id),
            "title": incident.title,
        })
    }
}
