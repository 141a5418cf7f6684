//! What is known of an incident beyond its state: what its alerts say, what its maker wrote, what PagerDuty will do next.
//!
//! All of it comes from outside, of any depth and size, so each part is bounded as it is read. It is asked for besides everything
//! else, may come late or never, and no card waits for it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::forward;
use crate::incident::{IncidentRecord, Stamped, Status, Version};

/// How many facts of an alert are kept.
pub const MAX_FACTS: usize = 8;

/// How many links, and how many pictures.
pub const MAX_LINKS: usize = 4;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Details {
    /// How many alerts the incident has.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub alerts: u64,
    /// What its first alert is about; often the incident's title.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Where it comes from, as a host.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The first [`MAX_FACTS`] of the alert's custom details, nested ones flattened.
    #[serde(default, deserialize_with = "forward::known_ones", skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// How many there are besides.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub more_facts: u64,
    /// Runbooks, graphs and the like.
    #[serde(default, deserialize_with = "forward::known_ones", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkTo>,
    /// Pictures. They lie anywhere, so they are linked and never shown.
    #[serde(default, deserialize_with = "forward::known_ones", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<LinkTo>,
    /// What somebody wrote who opened the incident by hand.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
    /// When PagerDuty tells the next people of the escalation policy, unless somebody acts.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub escalates_at: Option<Timestamp>,
}

/// How bad an alert is, by whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
    Critical,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// With dots, where it was nested.
    pub name: String,
    pub value: String,
}

/// A link that somebody outside has given: whether it leads anywhere good is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkTo {
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub url: String,
}

/// Where people talk about the incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bridge {
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// As dialled.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

impl IncidentRecord {
    /// What is known of it beyond its state.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        self.details.as_ref().map(|stamped| &stamped.value)
    }

    /// Whether PagerDuty is to be asked for what is beyond its state: it is open, and nothing is known yet, or it may escalate at
    /// another time than is known.
    #[must_use]
    pub fn wants_details(&self) -> bool {
        let Some(state) = &self.snapshot else { return false };
        let is_fresh = |known: &Stamped<Details>| !is_older(&known.version, &state.version);
        match (&self.details, state.value.status) {
            (_, Status::Resolved) => false,
            (None, _) => true,
            (Some(known), Status::Triggered) => !is_fresh(known),
            (Some(_), Status::Acknowledged) => false,
        }
    }

    /// When PagerDuty escalates it; `None` if that is not known, or what is known is older than the last change.
    #[must_use]
    pub fn escalates_at(&self) -> Option<Timestamp> {
        let (state, details) = (self.snapshot.as_ref()?, self.details.as_ref()?);
        let is_true = state.value.status == Status::Triggered && !is_older(&details.version, &state.version);
        details.value.escalates_at.filter(|_| is_true)
    }
}

/// Answers have whole seconds, so within one they are of the same time.
fn is_older(details: &Version, state: &Version) -> bool {
    details.at.as_second() < state.at.as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_version_has_stored_costs_that_part_only() {
        let stored = serde_json::json!({ "alerts": "many", "severity": "apocalyptic", "source": "db-1", "links": [{ "url": "u" }, 3],
            "facts": [{ "name": "a", "value": "b" }, { "name": 1 }], "bridge": 3, "later": true });
        let read: Details = serde_json::from_value(stored).unwrap();
        let expected = Details {
            source: Some("db-1".to_owned()),
            links: vec![LinkTo { text: None, url: "u".to_owned() }],
            facts: vec![Fact { name: "a".to_owned(), value: "b".to_owned() }],
            ..Details::default()
        };
        assert_eq!(read, expected);
        assert_eq!(serde_json::from_value::<Details>(serde_json::to_value(&expected).unwrap()).unwrap(), expected);
    }
}
