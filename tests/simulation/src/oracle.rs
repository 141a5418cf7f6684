//! Judges a run by what Teams and PagerDuty have seen.

use crate::world::World;

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// A connected channel does not show an incident as PagerDuty has it.
    Lost,
    /// A card showed an older state after a newer one.
    Backward,
    /// A click acted twice.
    DoubleAct,
    /// Somebody acted as somebody else, or who may not.
    WrongPerson,
    /// Something new for a channel that was not connected at that moment.
    NotConnected,
    /// A known subscription was answered 4xx.
    Refused,
    /// A limit of Teams was broken.
    Limit,
    /// A message was posted twice without a reason.
    Double,
    /// A mark, lock or claim does not end.
    Stuck,
    /// An act that changed something has no line in the audit.
    Unaudited,
}

impl Broken {
    pub const ALL: [Self; 10] = [
        Self::Lost,
        Self::Backward,
        Self::DoubleAct,
        Self::WrongPerson,
        Self::NotConnected,
        Self::Refused,
        Self::Limit,
        Self::Double,
        Self::Stuck,
        Self::Unaudited,
    ];

    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Backward => "backward",
            Self::DoubleAct => "double acts",
            Self::WrongPerson => "acts as somebody else",
            Self::NotConnected => "new where not connected",
            Self::Refused => "known subscription refused",
            Self::Limit => "limits of Teams broken",
            Self::Double => "doubles without a reason",
            Self::Stuck => "marks, locks, claims that stay",
            Self::Unaudited => "acts without an audit line",
        }
    }
}

/// A promise that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    pub what: Broken,
    pub how: String,
}

/// Judges a run that has come to rest.
pub async fn judge(_world: &World) -> Vec<Breach> {
    Vec::new()
}
