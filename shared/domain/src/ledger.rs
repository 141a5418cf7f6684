//! The delivery ledger: what became of each cause in each channel, for people who ask where a card is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::behind::Behind;
use crate::channel::Hold;
use crate::forward::{self, Stored};
use crate::ids::{AccountId, CauseId, ChannelId, IncidentId, TeamId};
use crate::incident::{IncidentRecord, ServiceRef};
use crate::job::{Cause, Occasion};

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Waits for the notification sender.
    Queued,
    /// No connected channel wants it.
    NoChannel,
    /// A new card.
    Posted,
    /// The card was brought up to date.
    Edited,
    /// Told in the card's thread.
    Replied,
    /// The card showed it already.
    Coalesced,
    /// Did not work for now, and is tried again.
    Waiting,
    /// Teams will not take it.
    Refused,
    /// The channel is gone, not connected any more, or does not want it.
    Dropped,
    /// Something that a newer version has done.
    Other,
}

impl Stored for Progress {
    const UNKNOWN: Self = Self::Other;
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub account: AccountId,
    /// The webhook's event id, or the id of what else caused it.
    pub cause: CauseId,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub occasion: Occasion,
    pub incident: IncidentId,
    /// Its number, if it is known.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub number: Option<u64>,
    /// Its service, if it is known.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub service: Option<ServiceRef>,
    /// The channel and its team; `None` if no channel wants it.
    pub channel: Option<ChannelId>,
    /// The channel's team, if it is known.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub team: Option<TeamId>,
    pub received_at: Timestamp,
    /// See [`Cause`].
    #[serde(default, deserialize_with = "forward::or_none")]
    pub happened_at: Option<Timestamp>,
    pub at: Timestamp,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub progress: Progress,
    /// Why, if there is something to say about it.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub why: Option<String>,
    /// How often the sender has had it.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub attempts: u32,
}

impl LedgerEntry {
    /// Where it stands among the others. Of what is delivered twice there is one line.
    #[must_use]
    pub fn filed_at(&self) -> Timestamp {
        self.happened_at.unwrap_or(self.received_at)
    }

    /// Whether it says that people were shown or told something.
    #[must_use]
    pub fn tells_of_delivery(&self) -> bool {
        matches!(self.progress, Progress::Posted | Progress::Edited | Progress::Replied)
    }

    /// The lines of what is unfinished, one for each cause: what waits says why. `hold`: why the whole channel waits, if it does.
    #[must_use]
    pub fn unfinished(item: &Behind, hold: Option<&Hold>, now: Timestamp) -> Vec<Self> {
        let Some(incident) = item.subject.incident() else { return Vec::new() };
        let why = item.why.clone().or_else(|| hold.map(|hold| hold.why.clone())).filter(|why| !why.is_empty());
        let line = |cause: &Cause| Self {
            account: item.account.clone(),
            cause: cause.id.clone(),
            occasion: cause.occasion,
            incident: incident.clone(),
            number: item.marked.number,
            service: item.marked.service.clone(),
            channel: Some(item.channel.clone()),
            team: Some(item.marked.team.clone()),
            received_at: cause.at,
            happened_at: cause.happened_at,
            at: now,
            progress: if why.is_some() { Progress::Waiting } else { Progress::Queued },
            why: why.clone(),
            attempts: item.attempts,
        };
        item.causes.iter().map(line).collect()
    }

    /// What is known of a cause before the sender has had it: it waits for the channel's card, or no channel wants it.
    #[must_use]
    pub fn opened(
        record: &IncidentRecord,
        cause: &Cause,
        channel: Option<(ChannelId, TeamId)>,
        now: Timestamp,
    ) -> Self {
        let (channel, team) = channel.unzip();
        Self {
            account: record.account.clone(),
            cause: cause.id.clone(),
            occasion: cause.occasion,
            incident: record.id.clone(),
            number: record.state().map(|state| state.number),
            service: record.state().map(|state| state.service.clone()),
            progress: if channel.is_some() { Progress::Queued } else { Progress::NoChannel },
            channel,
            team,
            received_at: cause.at,
            happened_at: cause.happened_at,
            at: now,
            why: None,
            attempts: 0,
        }
    }
}
