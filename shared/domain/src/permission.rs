//! Who may set things up. What people may do to incidents is PagerDuty's decision alone, by their own token.

use serde::{Deserialize, Serialize};

use crate::forward::Stored;

/// How far a PagerDuty user's base role reaches, as far as setting things up is concerned. A stored rank that this version does
/// not know is the lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// Responders, observers, stakeholders, and people whose role is not known.
    #[default]
    Member,
    /// PagerDuty's Managers: may connect services to channels.
    Manager,
    /// Global Admins and the Account Owner: may do everything.
    Admin,
}

impl Stored for Rank {
    const UNKNOWN: Self = Self::Member;
}
