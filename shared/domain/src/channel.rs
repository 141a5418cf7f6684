//! One channel at work: what of its unfinished things comes next, and when to come back.
//!
//! The sender reads the channel's [`Behind`] items, asks [`due`] which of them to look at, reads what is known of those, asks
//! [`plan_channel`] for the wave of moves, notes the wave in the channel's [`State`], does it, and begins anew. A move names an item's
//! first step; the steps that follow from it are planned one by one. So whatever a sender leaves behind when it dies is planned again
//! by the next one.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::behind::{Behind, MOST_DEATHS, RECORD_OVERDUE, Subject, pause};
use crate::connection::{Connection, Installation};
use crate::forward::{self, Stored};
use crate::incident::{IncidentRecord, RecordVersion};
use crate::plan::{CardRecord, Doubt, Step, Why, plan};

/// How many items a wave has at most: what is read at once, and what Teams takes from a bot in some seconds.
pub const WAVE: usize = 10;

/// Counts the senders that have come to a channel. A wake-up that was sent in one reaches only the sender that begins the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// What a sender leaves for the next one. Only the sender writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Why nothing is sent for now.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub hold: Option<Hold>,
    /// The last wave's items. One that is there unchanged when the next sender comes was left by one that died.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub in_flight: Vec<InFlight>,
    /// Items that were in flight when a sender died, and have not been done since.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub suspects: Vec<Suspect>,
}

/// The channel as a whole waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub until: Timestamp,
    /// How many tries in a row have failed.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub tries: u32,
    /// A short code.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub why: String,
    #[serde(default, deserialize_with = "forward::or_unknown")]
    pub kind: HoldKind,
}

/// Why a channel waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// Teams asks to be left alone, cannot be reached, is away (502 to 504), or does not accept the bot at all.
    #[default]
    Busy,
    /// Teams does not find the channel, which may be in passing.
    NotFound,
    /// Teams does not let the bot write there. What is new tries once all the same.
    Lost,
}

impl Stored for HoldKind {
    const UNKNOWN: Self = Self::Busy;
}

/// An item of a wave, as it was when the wave began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    pub subject: Subject,
    pub since: Timestamp,
    pub attempts: u32,
}

/// An item that may have killed its sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    pub subject: Subject,
    pub deaths: u32,
    /// When the last death was found.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub at: Timestamp,
}

/// After a death all others go first for so long: a killer takes nobody along, and an innocent one does not wait for ever.
const HELD_BACK: SignedDuration = SignedDuration::from_secs(60);

impl State {
    /// What a sender that comes now makes of what its predecessor left: `set` is what is unfinished.
    #[must_use]
    pub fn taken_over(mut self, set: &[Behind], now: Timestamp) -> Self {
        let unchanged = |flying: &InFlight| {
            set.iter().any(|item| {
                item.subject == flying.subject && item.since == flying.since && item.attempts == flying.attempts
            })
        };
        for left in std::mem::take(&mut self.in_flight).into_iter().filter(unchanged) {
            match self.suspects.iter_mut().find(|known| known.subject == left.subject) {
                Some(known) => (known.deaths, known.at) = (known.deaths.saturating_add(1), now),
                None => self.suspects.push(Suspect { subject: left.subject, deaths: 1, at: now }),
            }
        }
        let known: BTreeSet<&Subject> = set.iter().map(|item| &item.subject).collect();
        self.suspects.retain(|suspect| known.contains(&suspect.subject));
        self
    }

    /// The same with these items in flight.
    #[must_use]
    pub fn with_wave<'a>(mut self, items: impl IntoIterator<Item = &'a Behind>) -> Self {
        let flying =
            |item: &Behind| InFlight { subject: item.subject.clone(), since: item.since, attempts: item.attempts };
        self.in_flight = items.into_iter().map(flying).collect();
        self
    }

    /// Notes that an item's sender came to an end with it.
    pub fn survived(&mut self, subject: &Subject) {
        self.suspects.retain(|suspect| &suspect.subject != subject);
    }

    /// How many senders have died over an item.
    #[must_use]
    pub fn deaths(&self, subject: &Subject) -> u32 {
        self.suspect(subject).map_or(0, |suspect| suspect.deaths)
    }

    fn suspect(&self, subject: &Subject) -> Option<&Suspect> {
        self.suspects.iter().find(|suspect| &suspect.subject == subject)
    }

    /// Notes that the channel as a whole has to wait: `after` as Teams asks, and longer each time.
    pub fn wait(&mut self, kind: HoldKind, why: &str, after: SignedDuration, now: Timestamp) {
        let tries = self.hold.as_ref().map_or(0, |hold| hold.tries).saturating_add(1);
        let until = now.checked_add(after.max(pause(tries))).unwrap_or(Timestamp::MAX);
        self.hold = Some(Hold { until, tries, why: why.to_owned(), kind });
    }

    fn may_send(&self, item: &Behind, now: Timestamp) -> bool {
        self.hold
            .as_ref()
            .is_none_or(|hold| hold.until <= now || (hold.kind == HoldKind::Lost && item.tried < item.seq))
    }
}

/// Which items to look at now, in this order. One that may have killed its sender is looked at alone.
#[must_use]
pub fn due<'a>(set: &'a [Behind], state: &State, now: Timestamp) -> Vec<&'a Behind> {
    let is_due = |item: &&Behind| item.due_at().is_some_and(|at| at <= now) && state.may_send(item, now);
    let mut due: Vec<&Behind> = set.iter().filter(is_due).collect();
    due.sort_by_key(|item| (item.marked.rank, item.since, item.marked.number, item.subject.clone()));
    let is_held_back =
        |item: &&Behind| state.suspect(&item.subject).is_some_and(|suspect| now.duration_since(suspect.at) < HELD_BACK);
    let (back, due): (Vec<_>, Vec<_>) = due.into_iter().partition(is_held_back);
    let is_suspect = |item: &&Behind| state.deaths(&item.subject) > 0;
    let Some(first) = due.first() else { return back.into_iter().take(1).collect() };
    if is_suspect(first) {
        return vec![first];
    }
    let mut due: Vec<&Behind> = due.into_iter().filter(|item| !is_suspect(item)).collect();
    // Whether a channel is back, one message finds out.
    let is_away = state.hold.as_ref().is_some_and(|hold| hold.kind != HoldKind::Busy);
    due.truncate(if is_away { 1 } else { WAVE });
    due
}

/// When something will be due; in the past if something is. `None`: not before somebody marks it.
#[must_use]
pub fn next_due(set: &[Behind], state: &State, now: Timestamp) -> Option<Timestamp> {
    let due = set.iter().filter_map(|item| {
        let at = item.due_at()?;
        Some(match &state.hold {
            Some(hold) if !state.may_send(item, now) => at.max(hold.until),
            _ => at,
        })
    });
    due.min()
}

/// What was marked a moment ago is on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(10);

/// How much is unfinished, for whoever watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfinished {
    pub count: usize,
    /// Of which nothing more is tried until somebody marks it again.
    pub parked: usize,
    /// For how long the oldest thing that does not wait for its own next try has been unfinished. A lost channel's do not count.
    pub oldest: SignedDuration,
    /// Whether somebody should have been at work on it by now.
    pub is_due: bool,
}

impl Unfinished {
    /// What is unfinished in a channel.
    #[must_use]
    pub fn of(set: &[Behind], state: &State, now: Timestamp) -> Self {
        let is_lost = state.hold.as_ref().is_some_and(|hold| hold.kind == HoldKind::Lost);
        let could_be_done = set.iter().filter(|item| !is_lost && item.due_at().is_some_and(|at| at <= now));
        // What a sender has tried is not on its way any more.
        let is_settled = |item: &&Behind| item.attempts > 0 || now.duration_since(item.marked.at) >= ON_ITS_WAY;
        let settled: Vec<Behind> = set.iter().filter(is_settled).cloned().collect();
        Self {
            count: set.len(),
            parked: set.iter().filter(|item| item.parked.is_some()).count(),
            oldest: could_be_done.map(|item| now.duration_since(item.since)).max().unwrap_or_default(),
            is_due: next_due(&settled, state, now).is_some_and(|at| at <= now),
        }
    }

    /// The same of two channels together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            parked: self.parked + other.parked,
            oldest: self.oldest.max(other.oldest),
            is_due: self.is_due || other.is_due,
        }
    }
}

/// What is known of what an item is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub record: Option<(IncidentRecord, RecordVersion)>,
    pub card: Option<CardRecord>,
    /// The one between the incident's present service, or the message's, and the channel.
    pub connection: Option<Connection>,
    /// Where the channel is.
    pub home: Option<Installation>,
}

/// What to do about an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Something with its card, in the item's team.
    Card(Step),
    /// Post its message.
    Say,
    /// What is wanted is being stored right now.
    Soon,
    /// What is wanted was to be stored a while ago, and is not there: ask PagerDuty.
    Ask,
    /// Look again then.
    Wait(Timestamp),
    /// Leave it until somebody marks it.
    Park(Parking),
    /// It is done.
    Done(Why),
}

/// Why an item is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parking {
    /// Teams takes it in no size, or gives it no id; the card says why.
    Refused,
    /// Its sender has died too often.
    Deadly,
}

impl Move {
    /// Whether something goes to Teams.
    #[must_use]
    pub fn sends(&self) -> bool {
        match self {
            Self::Say => true,
            Self::Card(step) => match step {
                Step::Post { .. } | Step::Edit(..) | Step::Reply(..) | Step::Freeze(_) => true,
                Step::Wait { .. } | Step::Nothing(_) => false,
            },
            Self::Soon | Self::Ask | Self::Wait(_) | Self::Park(_) | Self::Done(_) => false,
        }
    }
}

/// The card as it has to be taken for: tried afresh if somebody asks for it, and in doubt if a sender died over it.
#[must_use]
pub fn card_of(item: &Behind, facts: &Facts, state: &State, now: Timestamp) -> Option<CardRecord> {
    let card = facts.card.clone().map(|card| if item.afresh { card.tried_afresh() } else { card });
    if state.deaths(&item.subject) == 0 || card.as_ref().is_some_and(|card| card.activity.is_some()) {
        return card;
    }
    let unposted = || {
        let tenant = facts.connection.as_ref().map(|connection| &connection.tenant);
        let tenant = tenant.or(facts.home.as_ref().map(|home| &home.tenant))?;
        Some(CardRecord::unposted(item.channel.clone(), item.marked.team.clone(), tenant.clone()))
    };
    let card = card.or_else(unposted)?;
    Some(CardRecord { doubt: Some(Doubt { since: now }), ..card })
}

/// Decides what to do about each item that is [`due`].
#[must_use]
pub fn plan_channel(looked: &[(Behind, Facts)], state: &State, now: Timestamp) -> Vec<Move> {
    looked.iter().map(|(item, facts)| plan_item(item, facts, state, now)).collect()
}

fn plan_item(item: &Behind, facts: &Facts, state: &State, now: Timestamp) -> Move {
    if state.deaths(&item.subject) >= MOST_DEATHS {
        return Move::Park(Parking::Deadly);
    }
    match &item.subject {
        Subject::Incident(_) => {}
        Subject::Greeting(_) | Subject::Test(..) => {
            return if facts.connection.is_some() { Move::Say } else { Move::Done(Why::NotConnected) };
        }
        Subject::ChannelLost(..) | Subject::TeamConnected | Subject::TeamDisconnected => return Move::Say,
    }
    let version = facts.record.as_ref().map_or(RecordVersion(0), |(_, version)| *version);
    let is_late = version < item.wanted;
    if is_late && now.duration_since(item.marked.at) >= RECORD_OVERDUE {
        return Move::Ask;
    }
    let step = match &facts.record {
        Some((record, _)) => {
            let card = card_of(item, facts, state, now);
            plan(record, version, card.as_ref(), facts.connection.as_ref(), item.freeze, now)
        }
        None => Step::Nothing(Why::StateUnknown),
    };
    match step {
        step @ (Step::Post { .. } | Step::Edit(..) | Step::Reply(..) | Step::Freeze(_)) => Move::Card(step),
        Step::Nothing(_) | Step::Wait { .. } if is_late => Move::Soon,
        Step::Nothing(Why::Parked) => Move::Park(Parking::Refused),
        Step::Nothing(why) => Move::Done(why),
        Step::Wait { until } => Move::Wait(until),
    }
}

#[cfg(test)]
mod tests;
