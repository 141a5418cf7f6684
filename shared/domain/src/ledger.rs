//! The delivery ledger: what became of each cause in each channel, for people who ask where a card is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::behind::{Behind, Marked};
use crate::cause::{Cause, Occasion};
use crate::channel::Hold;
use crate::forward::{self, Stored};
use crate::ids::{AccountId, CauseId, ChannelId, IncidentId, TeamId};
use crate::incident::{IncidentRecord, ServiceRef};

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
    /// It is not wanted: not connected any more, filtered, or the card is not kept true any more.
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
        let place = (&item.account, &item.channel);
        let line = |cause: &Cause| Self {
            progress: if why.is_some() { Progress::Waiting } else { Progress::Queued },
            why: why.clone(),
            attempts: item.attempts,
            ..Self::marked(place, incident, &item.marked, cause, now)
        };
        item.causes_once().into_iter().map(line).collect()
    }

    /// The line of a cause of which nothing has become yet, as a mark of the incident tells it.
    #[must_use]
    pub fn marked(
        (account, channel): (&AccountId, &ChannelId),
        incident: &IncidentId,
        marked: &Marked,
        cause: &Cause,
        now: Timestamp,
    ) -> Self {
        Self {
            account: account.clone(),
            cause: cause.id.clone(),
            occasion: cause.occasion,
            incident: incident.clone(),
            number: marked.number,
            service: marked.service.clone(),
            channel: Some(channel.clone()),
            team: Some(marked.team.clone()),
            received_at: cause.at,
            happened_at: cause.happened_at,
            at: now,
            progress: Progress::Queued,
            why: None,
            attempts: 0,
        }
    }

    /// A cause that no connected channel wants to hear of.
    #[must_use]
    pub fn unwanted(record: &IncidentRecord, cause: &Cause, now: Timestamp) -> Self {
        Self {
            account: record.account.clone(),
            cause: cause.id.clone(),
            occasion: cause.occasion,
            incident: record.id.clone(),
            number: record.state().map(|state| state.number),
            service: record.state().map(|state| state.service.clone()),
            channel: None,
            team: None,
            received_at: cause.at,
            happened_at: cause.happened_at,
            at: now,
            progress: Progress::NoChannel,
            why: None,
            attempts: 0,
        }
    }
}
