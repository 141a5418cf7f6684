//! The status of an incident.

use serde::{Deserialize, Serialize};

/// Where an incident stands. Stored with a status of a newer version, a state is not known: whoever reads it must not guess
/// whether the incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has taken it yet.
    Triggered,
    /// Somebody works on it.
    Acknowledged,
    /// It is over.
    Resolved,
}
