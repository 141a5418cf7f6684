//! A storm: more incidents come than a channel takes as cards, or than people can read. They become rows of one card, which is
//! edited in place and counts them all.
//!
//! The rows are items of the table. What the card shows of them (counts, services, the most urgent ones) is kept beside them and
//! follows each change, so that a change costs the same in a storm of ten and of ten thousand; [`Followed::counted`] makes the same
//! of all rows when a sender has died between the two.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::forward::{self, Stored};
use crate::ids::{ActivityId, IncidentId, ServiceId, StormId, TeamId};
use crate::incident::{IncidentRecord, RecordVersion, ServiceRef, Snapshot, Status, Urgency};

/// When a storm begins and ends, and which incidents it does not take in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// More posts than this due at once begin a storm.
    pub posts: usize,
    /// Fewer new incidents a minute than this …
    pub quiet_rate: u32,
    /// … for so long end it.
    pub quiet_for: SignedDuration,
    /// So many of those that are open then get their own card.
    pub cards_after: usize,
    /// What is over, and older than this at its first post, gets no card.
    pub late_after: SignedDuration,
    /// The names of the priorities whose incidents get their own card whatever else comes, in small letters.
    pub top: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            posts: 10,
            quiet_rate: 5,
            quiet_for: SignedDuration::from_mins(5),
            cards_after: 20,
            late_after: SignedDuration::from_mins(10),
            top: ["p1", "sev1", "sev-1"].map(str::to_owned).to_vec(),
        }
    }
}

impl Rules {
    /// Whether an incident gets its own card whatever else comes.
    #[must_use]
    pub fn is_top(&self, state: &Snapshot) -> bool {
        state.priority.as_ref().is_some_and(|priority| self.top.contains(&priority.name.trim().to_lowercase()))
    }
}

/// An incident as a storm shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub incident: IncidentId,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub number: u64,
    /// At most [`TITLE`] characters of it.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub title: String,
    pub status: Status,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub urgency: Urgency,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub priority: Option<String>,
    pub service: ServiceRef,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub url: String,
    /// Since when there has been the incident.
    pub since: Timestamp,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub version: RecordVersion,
}

/// How many characters of its title a row keeps.
pub const TITLE: usize = 100;

impl Row {
    /// What a storm shows of an incident; `None`: its state is not known. `is_over`: PagerDuty does not list it as open, whatever
    /// is known here; `at`: when it was marked, for one without a time of its own.
    #[must_use]
    pub fn of(record: &IncidentRecord, version: RecordVersion, is_over: bool, at: Timestamp) -> Option<Self> {
        let state = record.state()?;
        Some(Self {
            incident: record.id.clone(),
            number: state.number,
            title: state.title.chars().take(TITLE).collect(),
            status: if is_over { Status::Resolved } else { state.status },
            urgency: state.urgency,
            priority: state.priority.as_ref().map(|priority| priority.name.clone()),
            service: state.service.clone(),
            url: state.html_url.clone(),
            since: state.created_at.unwrap_or(at),
            version,
        })
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status != Status::Resolved
    }

    /// What the storm's counts know of it.
    #[must_use]
    pub fn folded(&self, storm: &StormId) -> Folded {
        Folded { storm: storm.clone(), status: self.status, urgency: self.urgency, service: self.service.id.clone() }
    }

    /// The most urgent ones first: the open ones, of high urgency, that nobody has taken, the newest of them.
    fn order(&self) -> (bool, bool, Status, Reverse<u64>, &IncidentId) {
        (!self.is_open(), self.urgency != Urgency::High, self.status, Reverse(self.number), &self.incident)
    }
}

/// Sorts rows, the most urgent ones first.
pub fn most_urgent_first(rows: &mut [Row]) {
    rows.sort_by(|a, b| a.order().cmp(&b.order()));
}

/// In which storm's counts an incident is, and as what. Kept with the incident's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    pub storm: StormId,
    pub status: Status,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub urgency: Urgency,
    pub service: ServiceId,
}

/// A number by urgency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub high: u64,
    pub low: u64,
}

impl Tally {
    /// Both.
    #[must_use]
    pub fn all(self) -> u64 {
        self.high.saturating_add(self.low)
    }

    fn change(&mut self, urgency: Urgency, by: i64) {
        let number = match urgency {
            Urgency::High => &mut self.high,
            Urgency::Low => &mut self.low,
        };
        *number = number.saturating_add_signed(by);
    }
}

/// How many incidents there are in each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    #[serde(default, deserialize_with = "forward::or_default")]
    pub triggered: Tally,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub acknowledged: Tally,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub resolved: Tally,
}

impl Counts {
    /// In this status.
    #[must_use]
    pub fn of(&self, status: Status) -> Tally {
        match status {
            Status::Triggered => self.triggered,
            Status::Acknowledged => self.acknowledged,
            Status::Resolved => self.resolved,
        }
    }

    /// Those that are not resolved.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.triggered.all().saturating_add(self.acknowledged.all())
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.open().saturating_add(self.resolved.all())
    }

    fn change(&mut self, status: Status, urgency: Urgency, by: i64) {
        match status {
            Status::Triggered => self.triggered.change(urgency, by),
            Status::Acknowledged => self.acknowledged.change(urgency, by),
            Status::Resolved => self.resolved.change(urgency, by),
        }
    }
}

/// The incidents of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfService {
    pub service: ServiceRef,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub counts: Counts,
}

/// How many of the most urgent rows, and of the oldest open ones, are at hand. More than the card shows, so that all rows are
/// read again only now and then.
const AT_HAND: usize = 20;

/// How many of the most urgent rows the card shows.
pub const SHOWN: usize = 8;

/// What a storm's card shows of its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    #[serde(default, deserialize_with = "forward::or_default")]
    pub counts: Counts,
    /// By service, in the order of ids.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub services: Vec<OfService>,
    /// The most urgent ones, in that order.
    #[serde(default, deserialize_with = "forward::known_ones")]
    urgent: Vec<Row>,
    /// Those that have been open longest, the oldest first.
    #[serde(default, deserialize_with = "forward::known_ones")]
    oldest: Vec<(Timestamp, IncidentId)>,
}

impl Followed {
    /// Of all rows.
    pub fn counted(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut followed = Self::default();
        for row in rows {
            followed.change(None, Some(&row));
        }
        followed
    }

    /// A row came, changed or left. `was`: as what it was counted.
    pub fn change(&mut self, was: Option<&Folded>, is: Option<&Row>) {
        let (whole, all_open) = (self.urgent_is_whole(), self.oldest_is_whole());
        let id = is.map(|row| &row.incident);
        if let Some(was) = was {
            self.counts.change(was.status, was.urgency, -1);
            if let Some(known) = self.services.iter_mut().find(|known| known.service.id == was.service) {
                known.counts.change(was.status, was.urgency, -1);
            }
        }
        self.urgent.retain(|row| Some(&row.incident) != id);
        self.oldest.retain(|(_, known)| Some(known) != id);
        let Some(row) = is else { return };
        self.counts.change(row.status, row.urgency, 1);
        match self.services.binary_search_by(|known| known.service.id.cmp(&row.service.id)) {
            Ok(place) => {
                if let Some(known) = self.services.get_mut(place) {
                    known.service = row.service.clone();
                    known.counts.change(row.status, row.urgency, 1);
                }
            }
            Err(place) => {
                let mut counts = Counts::default();
                counts.change(row.status, row.urgency, 1);
                self.services.insert(place, OfService { service: row.service.clone(), counts });
            }
        }
        // What is less urgent than all that are at hand is not the next one, unless all others are at hand.
        let place = self.urgent.partition_point(|known| known.order() < row.order());
        if place < self.urgent.len() || whole {
            self.urgent.insert(place, row.clone());
            self.urgent.truncate(AT_HAND);
        }
        let mine = (row.since, row.incident.clone());
        let place = self.oldest.partition_point(|known| *known < mine);
        if row.is_open() && (place < self.oldest.len() || all_open) {
            self.oldest.insert(place, mine);
            self.oldest.truncate(AT_HAND);
        }
    }

    /// Forgets a row that has left. `was`: as what it was counted, if it was.
    pub fn forget(&mut self, was: Option<&Folded>, incident: &IncidentId) {
        self.change(was, None);
        self.urgent.retain(|row| &row.incident != incident);
        self.oldest.retain(|(_, known)| known != incident);
    }

    /// The most urgent rows, as many as the card shows.
    #[must_use]
    pub fn shown(&self) -> &[Row] {
        self.urgent.get(..SHOWN).unwrap_or(&self.urgent)
    }

    /// Since when the oldest open one has been so.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.oldest.first().map(|(since, _)| *since)
    }

    /// Whether what is at hand is too little for the card: all rows have to be read again.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let wanted = usize::try_from(self.counts.all()).unwrap_or(usize::MAX).min(SHOWN);
        self.urgent.len() < wanted || (self.oldest.is_empty() && self.counts.open() > 0)
    }

    fn urgent_is_whole(&self) -> bool {
        self.urgent.len() as u64 >= self.counts.all()
    }

    fn oldest_is_whole(&self) -> bool {
        self.oldest.len() as u64 >= self.counts.open()
    }
}

/// What a storm takes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Everything new but the top priorities.
    #[default]
    Storm,
    /// Only what was over already when it could be posted at last.
    Late,
}

impl Stored for Kind {
    const UNKNOWN: Self = Self::Storm;
}

/// The card of a storm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The living message; `None` until a post has been confirmed.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub activity: Option<ActivityId>,
    /// Whether a post may have arrived although there is no message that is known.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub doubt: bool,
    /// When it was last posted or edited.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub edited_at: Option<Timestamp>,
    /// Whether it shows what there is.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub is_true: bool,
    /// Why Teams took it neither whole nor smaller, and how often.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub refused: Option<String>,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub failures: u32,
}

/// A storm of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    pub id: StormId,
    pub team: TeamId,
    pub began_at: Timestamp,
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub kind: Kind,
    /// From then on nothing new is taken in; the rows that are open still are followed.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub ended_at: Option<Timestamp>,
    /// How many got their own card when it ended.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub cards_after: u64,
    /// Whether the thread was told of the end.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub end_is_told: bool,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub followed: Followed,
    /// Whether `followed` says what the rows say: a sender that died while it wrote rows leaves it open.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub is_counted: bool,
    /// How many rows are not kept true any more: their connection went.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub left: u64,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub message: Message,
    /// How many new incidents came in a minute, by the minute's number since 1970. A minute after which another had as many is left
    /// out: whatever number is quiet, that one says more.
    #[serde(default, deserialize_with = "forward::known_ones")]
    arrivals: Vec<(i64, u32)>,
    /// How much more slowly than it might the card is edited, in per cent: senders are few, and other channels wait.
    #[serde(default, deserialize_with = "forward::or_default")]
    slower: u32,
    /// When the next sender was to come.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub expects: Option<Timestamp>,
}

/// How often the card is edited at most: in a storm's first minute, and later.
const FIRST_EVERY: SignedDuration = SignedDuration::from_secs(3);
const LATER_EVERY: SignedDuration = SignedDuration::from_secs(10);
const FIRST: SignedDuration = SignedDuration::from_secs(60);

/// Nobody waits longer for a card that is slower because senders are few.
const LONGEST_EVERY: SignedDuration = SignedDuration::from_secs(12);

/// While it storms the channel is looked at so often, for what is urgent.
const GLANCE: SignedDuration = SignedDuration::from_secs(2);
const LONGEST_GLANCE: SignedDuration = SignedDuration::from_secs(4);

/// A sender that comes so late had to wait for others.
const LAGS: SignedDuration = SignedDuration::from_millis(400);

/// At most four times as slow.
const SLOWEST: u32 = 300;

/// After a failure the card is tried again later and later.
const RETRY_MOST: i64 = 60;

/// What a storm wants done about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Show what there is.
    Show,
    /// End it: hardly anything new comes.
    End,
    /// Tell the thread that it is over.
    TellEnd,
    /// Nothing is left to follow.
    Close,
}

impl Storm {
    /// A storm that begins now.
    #[must_use]
    pub fn begun(id: StormId, team: TeamId, kind: Kind, now: Timestamp) -> Self {
        Self {
            id,
            team,
            began_at: now,
            kind,
            ended_at: None,
            cards_after: 0,
            end_is_told: false,
            followed: Followed::default(),
            is_counted: true,
            left: 0,
            message: Message::default(),
            arrivals: Vec::new(),
            slower: 0,
            expects: None,
        }
    }

    /// Whether it takes in everything new.
    #[must_use]
    pub fn takes_in(&self) -> bool {
        self.kind == Kind::Storm && self.ended_at.is_none()
    }

    /// A row came or changed. `was`: what was stored of it, which is what was counted.
    pub fn fold(&mut self, was: Option<&Folded>, row: &Row, now: Timestamp) {
        if was.is_none() {
            self.arrived(now);
        }
        self.followed.change(was, Some(row));
        self.message.is_true = false;
    }

    fn arrived(&mut self, now: Timestamp) {
        let minute = now.as_second().div_euclid(60);
        let newest = self.arrivals.pop_if(|(last, _)| *last >= minute);
        let (minute, count) = newest.map_or((minute, 1), |(last, count)| (last, count.saturating_add(1)));
        self.arrivals.retain(|(_, earlier)| *earlier > count);
        self.arrivals.push((minute, count));
    }

    /// A row has got its own card.
    pub fn becomes_card(&mut self, was: Option<&Folded>, incident: &IncidentId) {
        self.followed.forget(was, incident);
        self.message.is_true = false;
    }

    /// A row is not followed any more.
    pub fn leave(&mut self, was: Option<&Folded>, incident: &IncidentId) {
        self.becomes_card(was, incident);
        self.left = self.left.saturating_add(1);
    }

    /// Notes whether the sender came in time. Where senders are scarce, each storm takes fewer of their turns.
    #[must_use]
    pub fn looked_at(mut self, now: Timestamp) -> Self {
        if let Some(expected) = self.expects.take() {
            let late = now.duration_since(expected);
            // Up at once and down slowly, or all storms would be in time one after the other.
            self.slower = if late > LAGS {
                let by = late.as_millis() / LAGS.as_millis() * 60;
                self.slower.saturating_add(u32::try_from(by).unwrap_or(SLOWEST)).min(SLOWEST)
            } else {
                self.slower.saturating_sub(6)
            };
        }
        self
    }

    fn slowed(&self, every: SignedDuration) -> SignedDuration {
        every.saturating_add(every.saturating_mul(i32::try_from(self.slower).unwrap_or(0)) / 100)
    }

    /// How long the channel may be left alone although something new may have come.
    #[must_use]
    pub fn glance(&self) -> SignedDuration {
        self.slowed(GLANCE).min(LONGEST_GLANCE)
    }

    /// What it wants done, and from when on. `now`: whether it is young still.
    #[must_use]
    pub fn wants(&self, rules: &Rules, now: Timestamp) -> Option<(Timestamp, Want)> {
        let message = &self.message;
        // Also if Teams takes its card in no size: its rows would never be seen.
        let end = self.ended_at.is_none().then(|| (self.ends_at(rules), Want::End));
        if !message.is_true {
            // What came in the first minute is shown at the first minute's pace.
            let shown_at = message.edited_at.unwrap_or(now).min(now);
            let is_young = shown_at.duration_since(self.began_at) < FIRST;
            let every = self.slowed(if is_young { FIRST_EVERY } else { LATER_EVERY }).min(LONGEST_EVERY);
            let retry = SignedDuration::from_secs((1_i64 << message.failures.min(6)).min(RETRY_MOST));
            let every = if message.failures > 0 { every.max(retry) } else { every };
            let at = message.edited_at.map_or(self.began_at, |edited| after(edited, every));
            let show = Some((at, Want::Show));
            return end.into_iter().chain(show).min_by_key(|(at, _)| *at);
        }
        match self.ended_at {
            None => end,
            Some(ended) if !self.end_is_told && self.kind == Kind::Storm => Some((ended, Want::TellEnd)),
            Some(ended) if self.followed.counts.open() == 0 => Some((ended, Want::Close)),
            Some(_) => None,
        }
    }

    /// When so little new has come for so long that it is over, if no more comes.
    fn ends_at(&self, rules: &Rules) -> Timestamp {
        let busy = self.arrivals.iter().rev().find(|(_, count)| *count >= rules.quiet_rate);
        let quiet_since = busy.and_then(|(minute, _)| Timestamp::from_second((minute + 1) * 60).ok());
        after(quiet_since.unwrap_or(self.began_at).max(self.began_at), rules.quiet_for)
    }
}

fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
