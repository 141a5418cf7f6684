//! What to do about one card, given the newest state of everything.
//!
//! The sender asks [`plan`], does that one step, records it and asks again until there is nothing left. So a step that
//! failed is simply planned again, and a thousand events for one incident become one edit.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, Health};
use crate::ids::{ActivityId, ChannelId, EventId, TeamId, TenantId};
use crate::incident::{IncidentRecord, LogEntry, RecordVersion};

/// One incident's card in one channel, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRecord {
    /// Where it is.
    pub channel: ChannelId,
    /// The channel's team.
    pub team: TeamId,
    /// The team's tenant.
    pub tenant: TenantId,
    /// The living message; `None` until a post has been confirmed.
    pub activity: Option<ActivityId>,
    /// Which version of the record it shows.
    pub rendered: RecordVersion,
    /// Digest of the card's content as shown, so that a change that nobody would see costs no edit.
    pub shown: Option<String>,
    /// Log entries that need no reply any more.
    pub announced: BTreeSet<EventId>,
    /// When the newest announced status change happened; an older one that arrives late is not announced.
    pub announced_status_at: Option<Timestamp>,
    /// Somebody is posting it, or tried to and got no clear answer.
    pub claim: Option<PostClaim>,
    /// How many posts without a clear answer were repeated: each may have left a second message.
    pub possible_doubles: u32,
}

/// The right to create the card's message, held by one sender for a short while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostClaim {
    /// Which sender holds it.
    pub holder: String,
    /// When anybody else may try.
    pub until: Timestamp,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Create the card's message.
    Post {
        /// An earlier try got no clear answer, so this may make a second message.
        doubtful: bool,
    },
    /// Replace the message's content by the newest state.
    Edit(ActivityId),
    /// Tell the thread about these log entries, in one message.
    Reply(ActivityId, Vec<LogEntry>),
    /// Somebody else is posting the card: look again then.
    Wait {
        /// When their claim ends.
        until: Timestamp,
    },
    /// Nothing to do.
    Nothing(Why),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The card shows the newest state.
    UpToDate,
    /// No whole state of the incident is known yet; the event that brings it marks the card again.
    StateUnknown,
    /// The service is not connected to this channel.
    NotConnected,
    /// The connection does not want such incidents.
    Filtered,
    /// Teams has said that the channel is gone.
    ChannelGone,
}

impl CardRecord {
    /// A card that has not been posted.
    #[must_use]
    pub fn unposted(channel: ChannelId, team: TeamId, tenant: TenantId) -> Self {
        Self {
            channel,
            team,
            tenant,
            activity: None,
            rendered: RecordVersion(0),
            shown: None,
            announced: BTreeSet::new(),
            announced_status_at: None,
            claim: None,
            possible_doubles: 0,
        }
    }

    /// Notes that these entries need no reply any more, and forgets those that the record no longer keeps.
    pub fn mark_announced<'a>(&mut self, entries: impl IntoIterator<Item = &'a LogEntry>, record: &IncidentRecord) {
        for entry in entries {
            self.announced.insert(entry.id.clone());
            if entry.what.status().is_some() {
                self.announced_status_at = self.announced_status_at.max(Some(entry.at));
            }
        }
        self.announced.retain(|id| record.log.iter().any(|entry| &entry.id == id));
    }
}

/// Decides the next step for one card. `connection` is the one between the incident's present service and this channel.
#[must_use]
pub fn plan(
    record: &IncidentRecord,
    version: RecordVersion,
    card: Option<&CardRecord>,
    connection: Option<&Connection>,
    now: Timestamp,
) -> Step {
    let Some(state) = record.state() else { return Step::Nothing(Why::StateUnknown) };
    if connection.is_some_and(|c| matches!(c.health, Health::Broken { .. })) {
        return Step::Nothing(Why::ChannelGone);
    }
    let posted = card.and_then(|card| card.activity.as_ref().map(|activity| (card, activity)));
    let Some((card, activity)) = posted else {
        let Some(connection) = connection else { return Step::Nothing(Why::NotConnected) };
        if !connection.filter.wants(state) {
            return Step::Nothing(Why::Filtered);
        }
        let claim = card.and_then(|card| card.claim.as_ref());
        return match claim {
            Some(claim) if claim.until > now => Step::Wait { until: claim.until },
            claim => Step::Post { doubtful: claim.is_some() },
        };
    };
    if card.rendered < version {
        return Step::Edit(activity.clone());
    }
    let news: Vec<LogEntry> = record.log.iter().filter(|entry| is_news(entry, card)).cloned().collect();
    if news.is_empty() { Step::Nothing(Why::UpToDate) } else { Step::Reply(activity.clone(), news) }
}

fn is_news(entry: &LogEntry, card: &CardRecord) -> bool {
    let overtaken = entry.what.status().is_some() && card.announced_status_at.is_some_and(|newest| entry.at < newest);
    entry.what.is_noticeable() && !card.announced.contains(&entry.id) && !overtaken
}
