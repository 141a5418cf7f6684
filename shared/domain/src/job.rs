//! What travels through the queue: only "the card of this incident in this channel may be out of date".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::forward::{self, Stored};
use crate::ids::{AccountId, CauseId, ChannelId, IncidentId, ServiceId};
use crate::plan::CardKey;

/// Asks the notification sender to look at one card. It carries no state: the sender reads the newest itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardJob {
    pub account: AccountId,
    pub incident: IncidentId,
    /// The channel whose card may be out of date. Also the message group: one writer per channel, in order.
    pub channel: ChannelId,
    /// What made us look, for logs and de-duplication.
    pub cause: CauseId,
    /// What sort of cause it was.
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub occasion: Occasion,
    pub received_at: Timestamp,
    /// See [`Cause`].
    #[serde(default, deserialize_with = "forward::or_none")]
    pub happened_at: Option<Timestamp>,
}

/// What made us look at an incident's cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub id: CauseId,
    pub occasion: Occasion,
    pub at: Timestamp,
    /// When PagerDuty says that it happened: the same however often a webhook is delivered. `None`: at once.
    pub happened_at: Option<Timestamp>,
}

impl CardJob {
    /// Asks for a look at a card.
    #[must_use]
    pub fn new(CardKey { account, incident, channel }: CardKey, cause: &Cause) -> Self {
        let Cause { id, occasion, at, happened_at } = cause.clone();
        Self { account, incident, channel, cause: id, occasion, received_at: at, happened_at }
    }

    /// Which card.
    #[must_use]
    pub fn card(&self) -> CardKey {
        let Self { account, incident, channel, .. } = self.clone();
        CardKey { account, incident, channel }
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
    /// Something that a newer version knows.
    Other,
}

impl Stored for Occasion {
    const UNKNOWN: Self = Self::Other;
}

/// Asks the notification sender to post a marked test card, so that an admin sees that the whole way works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestJob {
    pub account: AccountId,
    pub service: ServiceId,
    pub channel: ChannelId,
    pub test: String,
    pub by: String,
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
            cause: CauseId::new("E").unwrap(),
            occasion: Occasion::Webhook,
            received_at: at,
            happened_at: Some(at),
        };
        let service = ServiceId::new("S").unwrap();
        let test = TestJob { account, service, channel, test: "t".to_owned(), by: "Ada".to_owned(), received_at: at };
        let read = |text: String| serde_json::from_str::<Job>(&text).unwrap();
        assert_eq!(read(serde_json::to_string(&card).unwrap()), Job::Card(card));
        assert_eq!(read(serde_json::to_string(&test).unwrap()), Job::Test(test));
    }

    #[test]
    fn jobs_of_other_versions_are_read() {
        let occasion = |more: &str| {
            let job = format!(
                r#"{{"account":"A","incident":"I","channel":"C","cause":"E","received_at":"2026-11-23T09:00:00Z"{more}}}"#
            );
            match serde_json::from_str::<Job>(&job) {
                Ok(Job::Card(job)) => Some(job.occasion),
                Ok(Job::Test(_)) | Err(_) => None,
            }
        };
        for (more, expected) in [
            ("", Occasion::Webhook),
            (r#","occasion":"restored""#, Occasion::Restored),
            (r#","occasion":"storm_ended","wave":7"#, Occasion::Other),
            (r#","occasion":{"storm_ended":{"members":12}}"#, Occasion::Other),
        ] {
            assert_eq!(occasion(more), Some(expected), "{more}");
        }
    }
}
