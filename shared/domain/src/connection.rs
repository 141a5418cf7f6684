//! A connection ties a PagerDuty service to a Teams channel; an installation is our bot in a team.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, ChannelId, ServiceId, TeamId, TenantId};
use crate::incident::{Snapshot, Urgency};

/// One service posts its incidents to one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The account that the service belongs to.
    pub account: AccountId,
    /// Whose incidents are posted.
    pub service: ServiceId,
    /// The service's name when it was connected.
    pub service_name: String,
    /// Where they are posted.
    pub channel: ChannelId,
    /// The team that the channel belongs to.
    pub team: TeamId,
    /// The team's tenant.
    pub tenant: TenantId,
    /// Which incidents are posted.
    pub filter: Filter,
    /// Whether the channel can still be reached.
    pub health: Health,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Which incidents of a service a channel wants to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Every incident.
    #[default]
    All,
    /// Only those of high urgency.
    HighUrgency,
}

impl Filter {
    /// Whether an incident in this state is to be posted. A card that is already posted stays true regardless.
    #[must_use]
    pub fn wants(self, incident: &Snapshot) -> bool {
        match self {
            Self::All => true,
            Self::HighUrgency => incident.urgency == Urgency::High,
        }
    }
}

/// Whether messages to the channel arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// Nothing is known to be wrong.
    Healthy,
    /// Teams said that the channel is gone or that the bot is no longer in it.
    Broken {
        /// Teams' error code.
        reason: String,
        /// When it was first noticed.
        since: Timestamp,
    },
}

/// Our bot in a Teams team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// The team.
    pub team: TeamId,
    /// Its tenant.
    pub tenant: TenantId,
    /// As Teams shows it.
    pub team_name: Option<String>,
    /// Where the team's connector is reached; refreshed from every verified activity, since it can change.
    pub service_url: String,
    /// The PagerDuty account that the team is connected to, once an admin has authorized it.
    pub account: Option<AccountId>,
    /// When the bot was added.
    pub installed_at: Timestamp,
}
