//! The registry of ids. Every id is a distinct type, so that a service id can never be passed as an incident id.
//!
//! PagerDuty's and Teams' ids are opaque strings (event ids may be ULIDs, UUIDs or 38-digit numbers). They become parts of
//! `DynamoDB` keys, so an empty, over-long or unprintable one is refused at the door, and so is one that could not be read whole:
//! two that differ in what was unreadable must not become the same.

use serde::{Deserialize, Serialize};

/// Longest id that any of our keys has to carry, in bytes.
pub const MAX_ID_BYTES: usize = 300;

/// A string that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing was given.
    #[error("{kind} is empty")]
    Empty { kind: &'static str },
    /// Longer than [`MAX_ID_BYTES`].
    #[error("{kind} is longer than {MAX_ID_BYTES} bytes")]
    TooLong { kind: &'static str },
    /// Contains white space, a control character, the key separator `#`, or U+FFFD, which stands for what could not be read.
    #[error("{kind} contains {found:?}, which no id may contain")]
    BadCharacter { kind: &'static str, found: char },
}

fn check(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty { kind });
    }
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong { kind });
    }
    match text.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(*c, '#' | char::REPLACEMENT_CHARACTER))
    {
        Some(found) => Err(InvalidId::BadCharacter { kind, found }),
        None => Ok(()),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts any non-empty printable text without white space or `#`, up to [`MAX_ID_BYTES`].
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(stringify!($name), &text)?;
                Ok(Self(text))
            }

            /// The id as it is written on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// A PagerDuty account (`account_id` of the id token). Subdomains change, account ids do not.
    AccountId,
    /// The id of one activity (message) in a Teams conversation.
    ActivityId,
    /// What made us look at an incident's cards: an event's id, an activity's, or another one that tells causes apart.
    CauseId,
    /// A Teams channel: the conversation id without `;messageid=…`. The General channel's id is the team's id.
    ChannelId,
    /// Any Teams conversation: a channel, a thread in it, or a personal chat.
    ConversationId,
    /// A person's Entra object id (`aadObjectId`), stable across bots.
    EntraUserId,
    /// One PagerDuty webhook event (`event.id`), or an entry of its log ([`EventId::of_log`]).
    EventId,
    /// A PagerDuty incident.
    IncidentId,
    /// A PagerDuty user.
    PdUserId,
    /// A PagerDuty escalation policy.
    PolicyId,
    /// One of a PagerDuty account's priorities.
    PriorityId,
    /// A PagerDuty service.
    ServiceId,
    /// Where Teams' connector is reached for a team or a chat. Activities have it after `teams::auth` has checked its host; the
    /// connector checks it again before the bot's token goes there.
    ServiceUrl,
    /// One of the storms of a channel.
    StormId,
    /// A PagerDuty webhook subscription (`X-Webhook-Subscription`).
    SubscriptionId,
    /// A Teams team, by its conversation id (`19:…@thread.tacv2`).
    TeamId,
    /// A Teams user as our bot knows it (`29:…`); not stable across bots.
    TeamsUserId,
    /// A Microsoft 365 tenant.
    TenantId,
    /// One test notification.
    TestId,
}

impl CauseId {
    /// A round of the reconciler.
    pub(crate) fn of_round(number: i64) -> Self {
        Self(format!("reconciled-{number}"))
    }

    /// One of several of the same origin.
    #[must_use]
    pub fn numbered(&self, number: u64) -> Self {
        Self(format!("{self}-{number}"))
    }
}

impl StormId {
    /// The one that the sender of this number begins: a channel's senders are counted.
    #[must_use]
    pub fn begun_in(epoch: u64) -> Self {
        Self(epoch.to_string())
    }
}

impl ChannelId {
    /// The team's General channel.
    #[must_use]
    pub fn general(team: &TeamId) -> Self {
        Self(team.0.clone())
    }

    /// Whether this is the team's General channel.
    #[must_use]
    pub fn is_general(&self, team: &TeamId) -> bool {
        self.0 == team.0
    }
}

/// No webhook's id begins like this.
const OF_LOG: &str = "log:";

impl EventId {
    /// Of an entry of PagerDuty's log, which has another id than the webhook that tells the same.
    pub fn of_log(entry: &str) -> Result<Self, InvalidId> {
        Self::new(format!("{OF_LOG}{entry}"))
    }

    /// Whether PagerDuty's log told of it.
    #[must_use]
    pub fn is_of_log(&self) -> bool {
        self.0.starts_with(OF_LOG)
    }
}

impl From<EventId> for CauseId {
    fn from(EventId(id): EventId) -> Self {
        Self(id)
    }
}

impl From<ActivityId> for CauseId {
    fn from(ActivityId(id): ActivityId) -> Self {
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_break_a_key() {
        for (text, expected) in [
            ("", InvalidId::Empty { kind: "IncidentId" }),
            ("P1#P2", InvalidId::BadCharacter { kind: "IncidentId", found: '#' }),
            ("P1 P2", InvalidId::BadCharacter { kind: "IncidentId", found: ' ' }),
            ("P1\n", InvalidId::BadCharacter { kind: "IncidentId", found: '\n' }),
            ("P\u{fffd}", InvalidId::BadCharacter { kind: "IncidentId", found: '\u{fffd}' }),
        ] {
            assert_eq!(IncidentId::new(text), Err(expected), "{text:?}");
        }
        assert_eq!(IncidentId::new("x".repeat(301)), Err(InvalidId::TooLong { kind: "IncidentId" }));
    }

    #[test]
    fn reads_the_ids_that_both_sides_really_send() {
        for text in [
            "PT4KHLK",
            "32743191412443541367815146404898342710",
            "19:6d97@thread.tacv2;messageid=1481567603816",
            "a:1qhNLq-_x",
        ] {
            let id: ConversationId = serde_json::from_value(serde_json::json!(text)).unwrap();
            assert_eq!(id.as_str(), text);
            assert_eq!(serde_json::to_value(&id).unwrap(), serde_json::json!(text));
        }
        assert!(serde_json::from_value::<IncidentId>(serde_json::json!("a#b")).is_err());
    }

    #[test]
    fn a_teams_general_channel_has_its_id() {
        let [team, other] = ["19:team@thread.tacv2", "19:other@thread.tacv2"].map(|id| TeamId::new(id).unwrap());
        let general = ChannelId::general(&team);
        assert_eq!(general.as_str(), team.as_str());
        assert!(general.is_general(&team) && !general.is_general(&other));
    }
}
