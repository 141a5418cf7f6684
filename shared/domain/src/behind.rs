//! What is unfinished in a channel: an item for each incident whose card there may not show what it should, and for each other
//! message that is to be posted. Until the item is gone the work is not done, whatever became of queue messages.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Occasion};
use crate::connection::Connection;
use crate::forward::{self, Stored};
use crate::ids::{AccountId, ChannelId, IncidentId, ServiceId, TeamId, TestId};
use crate::incident::{IncidentRecord, RecordVersion, ServiceRef, Status, Urgency};
use crate::plan::CardKey;
use crate::storm::Rules;

/// How many causes an item remembers: each has its own line in the ledger when the item is done. What does not fit is told at once
/// to be one with the others.
pub const MOST_CAUSES: usize = 10;

/// An item whose sender has died so often while it was at work on it is not touched again.
pub const MOST_DEATHS: u32 = 3;

/// How long a record may stay older than a mark wants it before PagerDuty is asked: whoever marks stores the record next.
pub const RECORD_OVERDUE: SignedDuration = SignedDuration::from_secs(10);

/// The longest pause between two tries of an item or a channel that nobody has asked us to wait longer for.
const MOST_PAUSE: SignedDuration = SignedDuration::from_secs(300);

/// 1 s, 2 s, 4 s … up to five minutes, after so many tries in vain.
#[must_use]
pub fn pause(tries: u32) -> SignedDuration {
    SignedDuration::from_secs(1_i64 << tries.saturating_sub(1).min(16)).min(MOST_PAUSE)
}

/// What an item is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// An incident's card.
    Incident(IncidentId),
    /// The message that tells a channel that a service was connected to it.
    Greeting(ServiceId),
    /// A test notification for a connection.
    Test(ServiceId, TestId),
    /// Tells a team that one of its channels cannot be reached any more, by a service that is connected to it.
    ChannelLost(ServiceId, ChannelId),
    /// Tells a team that it was connected to its account.
    TeamConnected,
    /// Tells a team that it was disconnected.
    TeamDisconnected,
}

const GREETING: &str = "GREETING";
const TEST: &str = "TEST";
const LOST: &str = "LOST";
const TEAM: &str = "TEAM";
const CONNECTED: &str = "connected";
const DISCONNECTED: &str = "disconnected";

/// A text that names no subject that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a subject of this version")]
pub struct UnknownSubject;

impl Subject {
    /// The incident, if it is about one.
    #[must_use]
    pub fn incident(&self) -> Option<&IncidentId> {
        match self {
            Self::Incident(id) => Some(id),
            Self::Greeting(_)
            | Self::Test(..)
            | Self::ChannelLost(..)
            | Self::TeamConnected
            | Self::TeamDisconnected => None,
        }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Incident(id) => id.into(),
            // No id has this separator in it.
            Subject::Greeting(service) => format!("{GREETING}#{service}"),
            Subject::Test(service, id) => format!("{TEST}#{service}#{id}"),
            Subject::ChannelLost(service, channel) => format!("{LOST}#{service}#{channel}"),
            Subject::TeamConnected => format!("{TEAM}#{CONNECTED}"),
            Subject::TeamDisconnected => format!("{TEAM}#{DISCONNECTED}"),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = UnknownSubject;

    fn try_from(text: String) -> Result<Self, UnknownSubject> {
        let service = |id: &str| ServiceId::new(id).map_err(|_| UnknownSubject);
        match text.split('#').collect::<Vec<_>>()[..] {
            [id] => IncidentId::new(id).map(Self::Incident).map_err(|_| UnknownSubject),
            [GREETING, id] => Ok(Self::Greeting(service(id)?)),
            [TEST, id, test] => Ok(Self::Test(service(id)?, TestId::new(test).map_err(|_| UnknownSubject)?)),
            [LOST, id, channel] => ChannelId::new(channel)
                .map_err(|_| UnknownSubject)
                .and_then(|lost| Ok(Self::ChannelLost(service(id)?, lost))),
            [TEAM, CONNECTED] => Ok(Self::TeamConnected),
            [TEAM, DISCONNECTED] => Ok(Self::TeamDisconnected),
            _ => Err(UnknownSubject),
        }
    }
}

/// What comes first in a channel. The order of the variants is the order of the work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// What introduces all others, or was asked for by somebody who waits for it.
    First,
    /// An open incident of one of the top priorities.
    Top,
    /// An incident that is over: its card still has buttons that do nothing any more.
    Ended,
    /// An incident of high urgency.
    #[default]
    High,
    Low,
}

impl Stored for Rank {
    const UNKNOWN: Self = Self::High;
}

impl Rank {
    /// Where an incident in this state stands; one of which no state is known might be urgent.
    #[must_use]
    pub fn of(record: &IncidentRecord, rules: &Rules) -> Self {
        match record.state() {
            Some(state) if state.status == Status::Resolved => Self::Ended,
            Some(state) if rules.is_top(state) => Self::Top,
            Some(state) if state.urgency == Urgency::Low => Self::Low,
            Some(_) | None => Self::High,
        }
    }

    /// Whether it may take what is kept free for what cannot wait.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::First | Self::Top)
    }
}

/// What a mark asks for, besides that the newest is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Shown,
    /// What was refused, given up or deleted is tried again.
    Afresh,
    /// The card's connection is about to go: it is edited one last time.
    Frozen,
    /// What is a row of a storm becomes a card of its own.
    OwnCard,
}

/// Notes that something in a channel may not show what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub account: AccountId,
    pub channel: ChannelId,
    pub team: TeamId,
    pub subject: Subject,
    /// The version of the record that has to be shown at least; 0: whatever is known.
    pub wanted: RecordVersion,
    pub at: Timestamp,
    pub rank: Rank,
    pub number: Option<u64>,
    pub service: Option<ServiceRef>,
    /// Who asked for it, where that is shown.
    pub by: Option<String>,
    /// What is to have a line in the ledger.
    pub cause: Option<Cause>,
    pub wish: Wish,
    /// Whether what it is about is over, so that the mark need not be kept for ever.
    pub is_over: bool,
}

impl Mark {
    /// Marks an incident's card. `wanted`: the version that it has to show at least.
    #[must_use]
    pub fn card(
        record: &IncidentRecord,
        wanted: RecordVersion,
        (channel, team): (ChannelId, TeamId),
        cause: &Cause,
        wish: Wish,
        rules: &Rules,
    ) -> Self {
        let state = record.state();
        let is_awaited = cause.occasion == Occasion::Action;
        Self {
            account: record.account.clone(),
            channel,
            team,
            subject: Subject::Incident(record.id.clone()),
            wanted,
            at: cause.at,
            rank: if is_awaited { Rank::First } else { Rank::of(record, rules) },
            number: state.map(|state| state.number),
            service: state.map(|state| state.service.clone()),
            by: None,
            cause: Some(cause.clone()),
            wish,
            is_over: wish == Wish::Frozen || state.is_some_and(|state| state.status == Status::Resolved),
        }
    }

    /// Marks a message to a connection's channel that is no incident's card.
    #[must_use]
    pub fn message(connection: &Connection, subject: Subject, by: Option<String>, at: Timestamp) -> Self {
        let service = ServiceRef { id: connection.service.clone(), name: connection.service_name.clone() };
        let notice = Self::notice(&connection.account, &connection.team, subject, by, at);
        Self { channel: connection.channel.clone(), service: Some(service), ..notice }
    }

    /// Marks a message to a team as a whole, which its General channel gets.
    #[must_use]
    pub fn notice(account: &AccountId, team: &TeamId, subject: Subject, by: Option<String>, at: Timestamp) -> Self {
        Self {
            account: account.clone(),
            channel: ChannelId::general(team),
            team: team.clone(),
            subject,
            wanted: RecordVersion(0),
            at,
            rank: Rank::First,
            number: None,
            service: None,
            by,
            cause: None,
            wish: Wish::Shown,
            is_over: true,
        }
    }
}

/// Something unfinished in a channel, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    pub account: AccountId,
    pub channel: ChannelId,
    pub subject: Subject,
    /// Grows with each mark: what is done about it counts only if nobody has marked it meanwhile.
    pub seq: u64,
    pub wanted: RecordVersion,
    /// Since when it has been unfinished.
    pub since: Timestamp,
    /// What the newest mark says.
    pub marked: Marked,
    /// In the order in which they came.
    pub causes: Vec<Cause>,
    pub afresh: bool,
    /// Since when its connection is going.
    pub freeze: Option<Timestamp>,
    /// Whether it is to be a card even in a storm.
    pub own_card: bool,
    /// How often it has been tried in vain, and with which `seq` last.
    pub attempts: u32,
    pub tried: u64,
    pub not_before: Option<Timestamp>,
    /// Why the last try failed.
    pub why: Option<String>,
    /// Why nothing more is tried until somebody marks it again.
    pub parked: Option<String>,
}

/// What the newest mark says of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    pub team: TeamId,
    pub at: Timestamp,
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub rank: Rank,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub number: Option<u64>,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub service: Option<ServiceRef>,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub by: Option<String>,
}

impl From<&Mark> for Marked {
    fn from(mark: &Mark) -> Self {
        let Mark { team, at, rank, number, service, by, .. } = mark.clone();
        Self { team, at, rank, number, service, by }
    }
}

impl Behind {
    /// Each cause once: a webhook that is delivered twice marks twice.
    #[must_use]
    pub fn causes_once(&self) -> Vec<&Cause> {
        let mut known = BTreeSet::new();
        self.causes.iter().filter(|cause| known.insert(&cause.id)).collect()
    }

    /// Which card it is about, if it is about one.
    #[must_use]
    pub fn card_key(&self) -> Option<CardKey> {
        let incident = self.subject.incident()?.clone();
        Some(CardKey { account: self.account.clone(), incident, channel: self.channel.clone() })
    }

    /// When it is tried again after one more try in vain.
    #[must_use]
    pub fn next_try(&self, now: Timestamp) -> Timestamp {
        now.checked_add(pause(self.attempts.saturating_add(1))).unwrap_or(Timestamp::MAX)
    }

    /// From when on it may be tried; `None`: not before somebody marks it again.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.parked.is_some() {
            return None;
        }
        Some(self.not_before.map_or(self.since, |not_before| not_before.max(self.since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_known_by_its_name_alone() {
        let service = ServiceId::new("PSVC").unwrap();
        for (subject, name) in [
            (Subject::Incident(IncidentId::new("PINC").unwrap()), "PINC"),
            (Subject::Greeting(service.clone()), "GREETING#PSVC"),
            (Subject::Test(service.clone(), TestId::new("t-1").unwrap()), "TEST#PSVC#t-1"),
            (Subject::ChannelLost(service, ChannelId::new("19:c").unwrap()), "LOST#PSVC#19:c"),
            (Subject::TeamConnected, "TEAM#connected"),
            (Subject::TeamDisconnected, "TEAM#disconnected"),
        ] {
            assert_eq!(String::from(subject.clone()), name);
            assert_eq!(Subject::try_from(name.to_owned()), Ok(subject));
        }
        for unknown in ["", "DIGEST#PSVC", "TEST#PSVC", "GREETING#", "TEAM#moved", "LOST#PSVC#", "A B"] {
            assert_eq!(Subject::try_from(unknown.to_owned()), Err(UnknownSubject), "{unknown}");
        }
    }
}
