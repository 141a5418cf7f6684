//! What travels through the queue: only "the card of this incident in this channel may be out of date".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, ChannelId, IncidentId, ServiceId};

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
    /// What sort of cause it was.
    #[serde(default)]
    pub occasion: Occasion,
    /// When the cause reached us.
    pub received_at: Timestamp,
}

/// What made us look at an incident's cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// An event id, an activity id, or another id that tells causes apart.
    pub id: String,
    /// What sort of cause it was.
    pub occasion: Occasion,
    /// When it reached us.
    pub at: Timestamp,
}

impl Cause {
    /// Asks for a look at the incident's card in each of these channels.
    #[must_use]
    pub fn jobs(
        &self,
        account: &AccountId,
        incident: &IncidentId,
        channels: impl IntoIterator<Item = ChannelId>,
    ) -> Vec<CardJob> {
        let job = |channel| CardJob {
            account: account.clone(),
            incident: incident.clone(),
            channel,
            cause: self.id.clone(),
            occasion: self.occasion,
            received_at: self.at,
        };
        channels.into_iter().map(job).collect()
    }
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
}

/// Asks the notification sender to post a marked test card, so that an admin sees that the whole way works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestJob {
    /// The connection's account.
    pub account: AccountId,
    /// The connection's service.
    pub service: ServiceId,
    /// The connection's channel.
    pub channel: ChannelId,
    /// Tells tests apart.
    pub test: String,
    /// Who asked for it.
    pub by: String,
    /// When it was asked for.
    pub received_at: Timestamp,
}

/// One queue message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Job {
    /// A card may be out of date.
    Card(CardJob),
    /// A test card is wanted.
    Test(TestJob),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_kinds_of_jobs_are_told_apart() {
        let (account, channel) = (AccountId::new("A").unwrap(), ChannelId::new("C").unwrap());
        let at = Timestamp::UNIX_EPOCH;
        let card = CardJob {
            account: account.clone(),
            incident: IncidentId::new("I").unwrap(),
            channel: channel.clone(),
            cause: "E".to_owned(),
            occasion: Occasion::Webhook,
            received_at: at,
        };
        let service = ServiceId::new("S").unwrap();
        let test = TestJob { account, service, channel, test: "t".to_owned(), by: "Ada".to_owned(), received_at: at };
        let read = |text: String| serde_json::from_str::<Job>(&text).unwrap();
        assert_eq!(read(serde_json::to_string(&card).unwrap()), Job::Card(card));
        assert_eq!(read(serde_json::to_string(&test).unwrap()), Job::Test(test));
    }
}
