//! What travels through the queue: only "look at this channel".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Occasion};
use crate::forward;
use crate::ids::{AccountId, CauseId, ChannelId, IncidentId};

/// Asks the notification sender to look at a channel. It carries no state: what is unfinished there is in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeUp {
    pub account: AccountId,
    pub channel: ChannelId,
    /// What a function of the version before asks for, which marks nothing itself.
    #[serde(flatten)]
    pub card: Option<CardJob>,
}

/// The card that may be out of date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardJob {
    pub incident: IncidentId,
    pub cause: CauseId,
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub occasion: Occasion,
    pub received_at: Timestamp,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub happened_at: Option<Timestamp>,
}

impl From<CardJob> for Cause {
    fn from(CardJob { cause, occasion, received_at, happened_at, .. }: CardJob) -> Self {
        Self { id: cause, occasion, at: received_at, happened_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_the_version_before_are_read() {
        let read = |more: &str| {
            let job = format!(r#"{{"account":"A","channel":"C"{more}}}"#);
            serde_json::from_str::<WakeUp>(&job).unwrap().card.map(|card| card.occasion)
        };
        let card = r#","incident":"I","cause":"E","received_at":"2026-11-23T09:00:00Z""#;
        for (more, expected) in [
            (String::new(), None),
            (card.to_owned(), Some(Occasion::Webhook)),
            (format!(r#"{card},"occasion":"restored""#), Some(Occasion::Restored)),
            (format!(r#"{card},"occasion":{{"storm_ended":{{"members":12}}}}"#), Some(Occasion::Other)),
            (r#","service":"S","test":"t","by":"Ada","received_at":"2026-11-23T09:00:00Z""#.to_owned(), None),
        ] {
            assert_eq!(read(&more), expected, "{more}");
        }
    }

    #[test]
    fn a_wake_up_says_where_and_nothing_else() {
        let (account, channel) = (AccountId::new("A").unwrap(), ChannelId::new("C").unwrap());
        let wake_up = serde_json::to_string(&WakeUp { account, channel, card: None }).unwrap();
        assert_eq!(wake_up, r#"{"account":"A","channel":"C"}"#);
    }
}
