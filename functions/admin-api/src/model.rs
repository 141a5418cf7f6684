//! What goes over the wire. Times are RFC 3339 in UTC.

use domain::connection::{ChannelKind, Connection, DeliveryOutcome, Filter, Health, LastDelivery, Mentions};
use pagerduty::rest::SubscriptionState;
use serde::{Deserialize, Serialize};
use setup::SubscriptionEnd;
use store::{AuditEntry, Via};
use utoipa::ToSchema;

/// Instead of the name of a channel that Teams has not told us.
pub(crate) const UNKNOWN_CHANNEL: &str = "(unknown channel)";

/// Who is logged in, and to what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    pub(crate) user: UserView,
    pub(crate) account: AccountView,
    /// To be sent with every write as `X-PagerBridge-CSRF`.
    pub(crate) csrf: String,
    pub(crate) expires_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    pub(crate) name: String,
    pub(crate) email: String,
    /// `owner` or `admin`.
    pub(crate) role: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountView {
    pub(crate) id: String,
    pub(crate) subdomain: String,
    pub(crate) url: String,
}

/// The teams of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Teams {
    pub(crate) teams: Vec<TeamView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) tenant: String,
    /// `false`: the app was removed from the team; adding it again brings the connections back.
    pub(crate) installed: bool,
    pub(crate) connected_at: Option<String>,
    pub(crate) connections: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Channels {
    pub(crate) channels: Vec<ChannelView>,
    /// Whether there are others; search to find them.
    pub(crate) more: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `standard`, `private` or `shared`.
    #[schema(value_type = String)]
    pub(crate) kind: ChannelKind,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Services {
    pub(crate) services: Vec<NamedView>,
    /// The offset of the next page.
    pub(crate) next: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamedView {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connections {
    pub(crate) connections: Vec<ConnectionView>,
}

/// A connection and how it is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    pub(crate) service: ServiceView,
    pub(crate) channel: NamedView,
    /// `all` or `high_urgency`.
    #[schema(value_type = String)]
    pub(crate) filter: Filter,
    /// The IANA name of the zone in which its cards write times.
    pub(crate) zone: String,
    /// `nobody` or `assignees`.
    #[schema(value_type = String)]
    pub(crate) mentions: Mentions,
    pub(crate) created_at: String,
    pub(crate) created_by: Option<String>,
    pub(crate) health: HealthView,
    /// `active`, `disabled`, `missing` or `unknown`.
    pub(crate) subscription: &'static str,
    pub(crate) last_delivery: Option<DeliveryView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its page in PagerDuty.
    pub(crate) url: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `healthy`, `channel_gone` or `service_gone`.
    state: &'static str,
    reason: Option<String>,
    since: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    at: String,
    /// `posted`, `edited`, `replied`, `tested` or `refused`.
    #[schema(value_type = String)]
    outcome: DeliveryOutcome,
    reason: Option<String>,
}

impl ConnectionView {
    pub(crate) fn new(
        connection: Connection,
        channel: String,
        web: &str,
        subscription: Option<SubscriptionState>,
        delivery: Option<LastDelivery>,
    ) -> Self {
        Self {
            service: ServiceView {
                url: format!("{web}/services/{}", connection.service),
                id: connection.service.into(),
                name: connection.service_name,
            },
            channel: NamedView { id: connection.channel.into(), name: channel },
            filter: connection.filter,
            zone: connection.zone.name().to_owned(),
            mentions: connection.mentions,
            created_at: connection.created_at.to_string(),
            created_by: connection.created_by,
            health: HealthView::new(connection.health),
            subscription: match subscription {
                Some(SubscriptionState::Active) => "active",
                Some(SubscriptionState::Disabled) => "disabled",
                Some(SubscriptionState::Gone) => "missing",
                None => "unknown",
            },
            last_delivery: delivery.map(|LastDelivery { at, outcome, reason }| DeliveryView {
                at: at.to_string(),
                outcome,
                reason,
            }),
        }
    }
}

impl HealthView {
    fn new(health: Health) -> Self {
        let (state, reason, since) = match health {
            Health::Healthy => ("healthy", None, None),
            Health::Broken { reason, since } => ("channel_gone", Some(reason), Some(since)),
            Health::ServiceGone { since } => ("service_gone", None, Some(since)),
        };
        Self { state, reason, since: since.map(|at| at.to_string()) }
    }
}

/// What is to be connected to what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConnection {
    pub(crate) service: String,
    pub(crate) channel: String,
    /// `all` (which is also the default) or `high_urgency`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(crate) filter: Filter,
    /// The IANA name of the zone in which its cards write times; `UTC` is also the default.
    pub(crate) zone: Option<String>,
    /// `nobody` (which is also the default) or `assignees`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(crate) mentions: Mentions,
}

/// How a channel is to be told from now on; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedConnection {
    /// The IANA name of a time zone.
    pub(crate) zone: Option<String>,
    /// `nobody` or `assignees`.
    #[schema(value_type = Option<String>)]
    pub(crate) mentions: Option<Mentions>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedView {
    /// What became of the service's webhook subscription: `kept` for other channels, `deleted`, or `left` where PagerDuty did not delete it.
    pub(crate) subscription: &'static str,
}

pub(crate) fn end(end: SubscriptionEnd) -> &'static str {
    match end {
        SubscriptionEnd::Kept => "kept",
        SubscriptionEnd::Deleted => "deleted",
        SubscriptionEnd::Left => "left",
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestView {
    pub(crate) id: String,
}

/// Shows that disconnecting is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disconnect {
    /// The word `disconnect`.
    pub(crate) confirm: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisconnectedView {
    pub(crate) connections_removed: usize,
    pub(crate) links_removed: usize,
    /// Webhook subscriptions that PagerDuty did not delete; they can be deleted there.
    pub(crate) subscriptions_left: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Audit {
    pub(crate) entries: Vec<AuditView>,
    /// To be sent as `cursor` for the next page.
    pub(crate) next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    at: String,
    who: String,
    /// `page`, `teams` or `system`.
    #[schema(value_type = String)]
    via: Via,
    text: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        Self { at: entry.at.to_string(), who: entry.who, via: entry.via, text: entry.text }
    }
}
