//! What made us look at an incident's cards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::forward::{self, Stored};
use crate::ids::CauseId;

/// What made us look at an incident's cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub id: CauseId,
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub occasion: Occasion,
    pub at: Timestamp,
    /// When PagerDuty says that it happened: the same however often a webhook is delivered. `None`: at once.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub happened_at: Option<Timestamp>,
}

/// Why a card may be out of date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// PagerDuty told of a change.
    #[default]
    Webhook,
    /// Somebody acted from Teams.
    Action,
    /// The channel or the bot is back.
    Restored,
    /// The reconciler found a card that is missing or out of date.
    Reconciled,
    /// Somebody asked for it on the configuration page.
    Replayed,
    /// The card's connection goes.
    Disconnected,
    /// Something that a newer version knows.
    Other,
}

impl Stored for Occasion {
    const UNKNOWN: Self = Self::Other;
}
