//! What travels through the queue: only "the card of this incident in this channel may be out of date".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, ChannelId, IncidentId};

/// Asks the notification sender to look at one card. It carries no state: the sender reads the newest itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardJob {
    /// The incident's account.
    pub account: AccountId,
    /// The incident.
    pub incident: IncidentId,
    /// The channel whose card may be out of date. Also the message group: one writer per channel, in order.
    pub channel: ChannelId,
    /// What made us look, for logs and de-duplication: an event id or an activity id.
    pub cause: String,
    /// When the cause reached us.
    pub received_at: Timestamp,
}
