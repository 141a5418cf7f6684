//! A connection ties a PagerDuty service to a Teams channel; an installation is our bot in a team.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::forward::{self, Stored};
use crate::ids::{AccountId, ChannelId, EntraUserId, ServiceId, ServiceUrl, TeamId, TenantId};
use crate::incident::{Snapshot, Urgency};
use crate::zone::Zone;

/// One service posts its incidents to one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The account that the service belongs to.
    pub account: AccountId,
    pub service: ServiceId,
    /// The service's name when it was connected.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub service_name: String,
    pub channel: ChannelId,
    /// The team that the channel belongs to.
    pub team: TeamId,
    pub tenant: TenantId,
    #[serde(default = "forward::unknown", deserialize_with = "forward::or_unknown")]
    pub filter: Filter,
    /// In which zone its cards write times.
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub zone: Zone,
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub mentions: Mentions,
    /// Whether the channel can still be reached.
    #[serde(default = "forward::unknown", deserialize_with = "forward::or_unknown")]
    pub health: Health,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub created_at: Timestamp,
    /// The name of the person who made it, where that is known.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub created_by: Option<String>,
}

/// Which connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    /// The account that the service belongs to.
    pub account: AccountId,
    pub service: ServiceId,
    pub channel: ChannelId,
}

impl Connection {
    /// Which connection it is.
    #[must_use]
    pub fn key(&self) -> ConnectionKey {
        let Self { account, service, channel, .. } = self.clone();
        ConnectionKey { account, service, channel }
    }

    /// Whether an incident in this state is of the service, and of those that are to be posted.
    #[must_use]
    pub fn wants(&self, incident: &Snapshot) -> bool {
        self.service == incident.service.id && self.filter.wants(incident)
    }
}

/// Which incidents of a service a channel wants to see. A stored filter that this version does not know lets everything pass:
/// a card too many is better than a lost incident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Every incident.
    #[default]
    All,
    /// Only those of high urgency.
    HighUrgency,
}

impl Stored for Filter {
    const UNKNOWN: Self = Self::All;
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

/// Whom a channel's cards call by name, so that Teams tells them. A stored wish that this version does not know is nobody: a
/// mention too many wakes somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mentions {
    #[default]
    Nobody,
    /// Whoever gets an incident.
    Assignees,
}

impl Stored for Mentions {
    const UNKNOWN: Self = Self::Nobody;
}

/// How a channel is told of incidents, as far as somebody says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manner {
    pub zone: Option<Zone>,
    pub mentions: Option<Mentions>,
}

impl Manner {
    /// The connection with what is said changed.
    #[must_use]
    pub fn applied_to(&self, connection: Connection) -> Connection {
        let zone = self.zone.clone().unwrap_or_else(|| connection.zone.clone());
        let mentions = self.mentions.unwrap_or(connection.mentions);
        Connection { zone, mentions, ..connection }
    }
}

/// Whether messages to the channel arrive. What is stored and not known to this version is healthy: the next message finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// Nothing is known to be wrong.
    Healthy,
    /// Teams said that the channel is gone or that the bot is no longer in it.
    Broken {
        /// Teams' error code.
        reason: String,
        since: Timestamp,
    },
    /// PagerDuty said that the service was deleted: nothing will ever be posted again.
    ServiceGone { since: Timestamp },
}

impl Stored for Health {
    const UNKNOWN: Self = Self::Healthy;
}

/// What became of the newest message of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDelivery {
    pub at: Timestamp,
    #[serde(default = "forward::unknown", deserialize_with = "forward::or_unknown")]
    pub outcome: DeliveryOutcome,
    /// Why Teams refused it; a short code.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub reason: Option<String>,
}

impl LastDelivery {
    /// Whether a refusal for this reason is the second one in a row, and not of the same second: what Teams says in passing, it
    /// says for a moment.
    #[must_use]
    pub fn confirms(&self, reason: &str, now: Timestamp) -> bool {
        self.outcome == DeliveryOutcome::Refused
            && self.reason.as_deref() == Some(reason)
            && now.duration_since(self.at) >= SignedDuration::from_secs(1)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// A card was posted.
    Posted,
    /// A card was edited.
    Edited,
    /// A thread was told the news.
    Replied,
    /// A test notification was posted.
    Tested,
    /// Teams did not take it.
    Refused,
    /// Something that a newer version does.
    Other,
}

impl Stored for DeliveryOutcome {
    const UNKNOWN: Self = Self::Other;
}

/// A channel of a team, as far as Teams has told us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The channel; the General channel has the team's id.
    pub id: ChannelId,
    pub team: TeamId,
    /// As Teams shows it; Teams gives no name for the General channel.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub name: Option<String>,
    #[serde(default = "forward::unknown", deserialize_with = "forward::or_unknown")]
    pub kind: ChannelKind,
    /// Whether it was deleted; a deleted channel can be restored for 30 days.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub deleted: bool,
}

impl Channel {
    /// The name to show.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        match self.name.as_deref() {
            Some(name) => name,
            None if self.id.is_general(&self.team) => "General",
            None => "(unnamed channel)",
        }
    }
}

/// Kinds of channels (Teams docs, "Get teams context"). A stored kind that this version does not know is private: only a
/// standard channel is taken for deleted when Teams does not list it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Everybody in the team sees it.
    #[default]
    Standard,
    /// Some of the team see it.
    Private,
    /// People of other teams may see it, too.
    Shared,
}

impl Stored for ChannelKind {
    const UNKNOWN: Self = Self::Private;
}

/// Our bot in a Teams team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    pub team: TeamId,
    pub tenant: TenantId,
    /// As Teams shows it.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub team_name: Option<String>,
    /// Where the team's connector is reached; refreshed from every verified activity, since it can change.
    pub service_url: ServiceUrl,
    /// The PagerDuty account that the team is connected to, once an admin has authorized it.
    pub account: Option<AccountId>,
    /// When the bot was added, most recently.
    pub installed_at: Timestamp,
    /// Who added it.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub installer: Option<EntraUserId>,
    /// When the bot was removed, if it is not in the team any more.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub removed_at: Option<Timestamp>,
    /// When an admin authorized the team.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub connected_at: Option<Timestamp>,
    /// When Teams says that the bot was added, most recently: Teams may tell of an earlier removal later than that.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub added_at: Option<Timestamp>,
    /// The account that the team is being taken away from: something of it may be left.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub leaving: Option<AccountId>,
}

impl Installation {
    /// The team's name, or a stand-in for it.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        self.team_name.as_deref().unwrap_or("(unnamed team)")
    }

    /// Whether the team is connected to this account.
    #[must_use]
    pub fn belongs_to(&self, account: &AccountId) -> bool {
        self.account.as_ref() == Some(account)
    }

    /// Whether the bot is in the team and no admin has connected it to an account.
    #[must_use]
    pub fn waits_for_authorization(&self) -> bool {
        self.account.is_none() && self.removed_at.is_none()
    }
}

/// The PagerDuty account that teams are connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// PagerDuty's id; the subdomain can change, this does not.
    pub id: AccountId,
    /// The subdomain when it was last seen.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub subdomain: String,
    /// Where people open the account in a browser, without a path.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub web: String,
}
