//! One channel at work: what of its unfinished things comes next, and when to come back.
//!
//! The sender reads the channel's [`Behind`] items, asks [`due`] which of them to look at, reads what is known of those, asks
//! [`plan_channel`] for the wave of moves, notes the wave in the channel's [`State`], does it, and begins anew. A move names an item's
//! first step; the steps that follow from it are planned one by one. So whatever a sender leaves behind when it dies is planned again
//! by the next one.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use std::cmp::Reverse;

use crate::behind::{Behind, MOST_DEATHS, RECORD_OVERDUE, Rank, Subject, pause};
use crate::budget::{Budget, Claim};
use crate::connection::{Connection, Installation};
use crate::forward::{self, Stored};
use crate::ids::{StormId, TeamId};
use crate::incident::{IncidentRecord, RecordVersion, Status};
use crate::plan::{CardRecord, Doubt, Step, Why, going_since, plan};
use crate::storm::{Folded, Kind, Row, Rules, Storm};

/// How many items are looked at at once: what Teams takes from a bot in some seconds, or what shows whether it storms, or what
/// becomes rows in one go.
const FEW: usize = 10;
const MANY: usize = 100;
const ROWS: usize = 500;

/// How many storms are followed at the same time: those before the last one still have open rows.
const STORMS: usize = 5;

/// What cannot be posted within this time becomes a row: Teams' hour is used up.
const WITHIN: SignedDuration = SignedDuration::from_secs(10);

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
    /// What the channel was sent.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub budget: Budget,
    /// Its storms, the newest last: one that takes in what is new at most, and those whose rows are followed.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub storms: Vec<Storm>,
    /// How many calls in a row Teams has not answered in time.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub hangs: u32,
}

/// How long Teams may take for an answer, and how long it may where it has hung before: now and then it gets the whole time, or a
/// slow channel would never be reached.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
const SHORT_PATIENCE: SignedDuration = SignedDuration::from_secs(3);
const PATIENT_EVERY: u32 = 4;

/// How many seconds a channel waits after calls that hang, and after all further ones: each of them holds a sender.
const HANGS_FOR: [i64; 3] = [5, 15, 30];
const MOST_HANG: i64 = 60;

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
        self.budget = self.budget.taken_over(now);
        self.storms = self.storms.into_iter().map(|storm| storm.looked_at(now)).collect();
        self
    }

    /// The storm that takes in something.
    #[must_use]
    pub fn active(&self) -> Option<&Storm> {
        self.storms.last().filter(|storm| storm.ended_at.is_none())
    }

    /// The storm that takes in everything new.
    #[must_use]
    pub fn taking_in(&self) -> Option<&Storm> {
        self.storms.last().filter(|storm| storm.takes_in())
    }

    /// Whether a sender comes without being woken, and by when: the channel storms, and its message waits for the next glance.
    #[must_use]
    pub fn expects(&self) -> Option<Timestamp> {
        self.taking_in()?.expects
    }

    /// Notes by when a sender comes without being woken.
    pub fn expect(&mut self, at: Option<Timestamp>) {
        if let Some(active) = self.storms.last_mut().filter(|storm| storm.takes_in()) {
            active.expects = at;
        }
    }

    /// The storm of this name.
    #[must_use]
    pub fn storm(&self, id: &StormId) -> Option<&Storm> {
        self.storms.iter().find(|storm| &storm.id == id)
    }

    /// The same, to be changed.
    pub fn storm_mut(&mut self, id: &StormId) -> Option<&mut Storm> {
        self.storms.iter_mut().find(|storm| &storm.id == id)
    }

    /// Whether everything new becomes a row.
    #[must_use]
    pub fn takes_in(&self) -> bool {
        self.taking_in().is_some()
    }

    /// Begins a storm, or makes more of the one that there is.
    pub fn begin_storm(&mut self, Epoch(epoch): Epoch, team: &TeamId, kind: Kind, now: Timestamp) {
        let is_full = self.storms.len() >= STORMS;
        match self.storms.last_mut() {
            Some(active) if active.ended_at.is_none() => (active.kind, active.began_at) = (kind, now),
            // Where so many are unfinished, the last one goes on, with a new message.
            Some(last) if is_full => {
                (last.kind, last.began_at) = (kind, now);
                (last.ended_at, last.end_is_told, last.cards_after) = (None, false, 0);
                last.message = crate::storm::Message::default();
            }
            _ => self.storms.push(Storm::begun(StormId::begun_in(epoch), team.clone(), kind, now)),
        }
    }

    /// Which storm wants something done, and from when on. A channel that has to wait makes it wait.
    #[must_use]
    pub fn storm_wants(&self, rules: &Rules, now: Timestamp) -> Option<(Timestamp, StormId, crate::storm::Want)> {
        let hold = self.hold.as_ref().map_or(Timestamp::MIN, |hold| hold.until);
        let wants = self.storms.iter().filter_map(|storm| {
            let (at, want) = storm.wants(rules, now)?;
            Some((at.max(hold), storm.id.clone(), want))
        });
        wants.min_by_key(|(at, ..)| *at)
    }

    /// How long Teams may take for the next call.
    #[must_use]
    pub fn patience(&self) -> SignedDuration {
        if self.hangs.is_multiple_of(PATIENT_EVERY) { PATIENCE } else { SHORT_PATIENCE }
    }

    /// Notes that Teams has not answered a call in time: the whole channel has to wait, longer each time.
    pub fn hung(&mut self, now: Timestamp) {
        let wait = HANGS_FOR.get(self.hangs as usize).copied().unwrap_or(MOST_HANG);
        self.hangs = self.hangs.saturating_add(1);
        let until = now.checked_add(SignedDuration::from_secs(wait)).unwrap_or(Timestamp::MAX);
        self.hold = Some(Hold { until, tries: self.hangs, why: "no answer".to_owned(), kind: HoldKind::Busy });
    }

    /// Notes that Teams has answered.
    pub fn answered(&mut self) {
        self.hangs = 0;
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

    /// Notes that the channel as a whole has to wait: as long as Teams asks for and a little more, so that not all come back at
    /// once, or else longer each time. `jitter`: between 0 and 1.
    pub fn wait(&mut self, kind: HoldKind, why: &str, after: Option<SignedDuration>, jitter: f64, now: Timestamp) {
        let tries = self.hold.as_ref().map_or(0, |hold| hold.tries).saturating_add(1);
        let length = match after {
            Some(after) => {
                let most = (after.as_secs_f64() / 10.0).clamp(0.2, 1.0);
                after.saturating_add(SignedDuration::try_from_secs_f64(most * jitter).unwrap_or_default())
            }
            None => pause(tries),
        };
        let until = now.checked_add(length).unwrap_or(Timestamp::MAX);
        self.hold = Some(Hold { until, tries, why: why.to_owned(), kind });
    }

    fn may_send(&self, item: &Behind, now: Timestamp) -> bool {
        self.hold
            .as_ref()
            .is_none_or(|hold| hold.until <= now || (hold.kind == HoldKind::Lost && item.tried < item.seq))
    }
}

/// What is due in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<'a> {
    /// What to look at now, in this order.
    pub first: Vec<&'a Behind>,
    /// How much is left after it.
    pub rest: usize,
}

/// Which items to look at now. One that may have killed its sender is looked at alone.
///
/// The most urgent ones come first, then what takes away buttons that do nothing any more, and of what is alike the newest.
#[must_use]
pub fn due<'a>(set: &'a [Behind], state: &State, rules: &Rules, now: Timestamp) -> Due<'a> {
    let is_due = |item: &&Behind| item.due_at().is_some_and(|at| at <= now) && state.may_send(item, now);
    let mut due: Vec<&Behind> = set.iter().filter(is_due).collect();
    due.sort_by_cached_key(|item| order(item));
    let is_held_back =
        |item: &&Behind| state.suspect(&item.subject).is_some_and(|suspect| now.duration_since(suspect.at) < HELD_BACK);
    let alone = |item| Due { first: vec![item], rest: 0 };
    let (back, due): (Vec<_>, Vec<_>) = due.into_iter().partition(is_held_back);
    let is_suspect = |item: &&Behind| state.deaths(&item.subject) > 0;
    let Some(first) = due.first() else { return Due { first: back.into_iter().take(1).collect(), rest: 0 } };
    if is_suspect(first) {
        return alone(first);
    }
    let mut first: Vec<&Behind> = due.into_iter().filter(|item| !is_suspect(item)).collect();
    // Whether a channel is back, one message finds out.
    let is_away = state.hold.as_ref().is_some_and(|hold| hold.kind != HoldKind::Busy);
    let look = if is_away {
        1
    } else if state.active().is_some() {
        ROWS
    } else if first.len() > rules.posts.max(FEW) {
        MANY.max(rules.posts + 1)
    } else {
        FEW
    };
    let rest = first.len().saturating_sub(look);
    first.truncate(look);
    Due { first, rest }
}

fn order(item: &Behind) -> (Rank, Reverse<Option<u64>>, Timestamp, Subject) {
    (item.marked.rank, Reverse(item.marked.number), item.since, item.subject.clone())
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
    pub fn of(set: &[Behind], state: &State, rules: &Rules, now: Timestamp) -> Self {
        let is_lost = state.hold.as_ref().is_some_and(|hold| hold.kind == HoldKind::Lost);
        let could_be_done = set.iter().filter(|item| !is_lost && item.due_at().is_some_and(|at| at <= now));
        // What a sender has tried is not on its way any more.
        let is_settled = |item: &&Behind| item.attempts > 0 || now.duration_since(item.marked.at) >= ON_ITS_WAY;
        let settled: Vec<Behind> = set.iter().filter(is_settled).cloned().collect();
        // A storm's card that does not show what there is holds the place of all its rows.
        let untrue = state.storms.iter().filter(|storm| !is_lost && !storm.message.is_true);
        let untrue_for = untrue.clone().filter_map(|storm| {
            let (at, _) = storm.wants(rules, now)?;
            Some(now.duration_since(at)).filter(|late| *late > SignedDuration::ZERO)
        });
        let wants = state.storm_wants(rules, now).filter(|_| !is_lost).map(|(at, ..)| at);
        let storms_due = wants.is_some_and(|at| now.duration_since(at) >= ON_ITS_WAY);
        let waited = could_be_done.map(|item| now.duration_since(item.since));
        Self {
            count: set.len() + untrue.clone().count(),
            parked: set.iter().filter(|item| item.parked.is_some()).count()
                + untrue.clone().filter(|storm| storm.message.refused.is_some()).count(),
            oldest: waited.chain(untrue_for).max().unwrap_or_default(),
            is_due: storms_due || next_due(&settled, state, now).is_some_and(|at| at <= now),
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
    /// Its row, as it is stored, if the card says that it is one.
    pub row: Option<Row>,
    /// What PagerDuty's list of open incidents says, if it was asked.
    pub listed: Listed,
}

/// What PagerDuty's list of open incidents says of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listed {
    /// Nothing that could be had: it may be open.
    #[default]
    Unknown,
    /// Somebody is asking for the list right now.
    Asking,
    Open,
    /// It is not among the open ones.
    Over,
}

/// What to do about an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Something with its card, in the item's team.
    Card(Step),
    /// Post its message.
    Say,
    /// Make it a row of this storm, or of the one that takes in what is new, or show there what has become of it.
    Fold(Option<StormId>),
    /// Its row is not followed any more.
    Leave(Folded),
    /// Its card is true, and nobody is told of the news while it storms.
    Hush,
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
                Step::Post { .. } | Step::Edit(..) | Step::Reply(..) | Step::Call(..) | Step::Freeze(_) => true,
                Step::Wait { .. } | Step::Nothing(_) => false,
            },
            Self::Fold(_)
            | Self::Leave(_)
            | Self::Hush
            | Self::Soon
            | Self::Ask
            | Self::Wait(_)
            | Self::Park(_)
            | Self::Done(_) => false,
        }
    }
}

/// What an item may take of the channel's budget.
#[must_use]
pub fn claim_of(item: &Behind) -> Claim {
    if item.marked.rank.is_urgent() || item.own_card { Claim::Urgent } else { Claim::Ordinary }
}

/// The card as it has to be taken for: tried afresh if somebody asks for it, and in doubt if a sender died over it.
#[must_use]
pub fn card_of(item: &Behind, facts: &Facts, state: &State, now: Timestamp) -> Option<CardRecord> {
    let card = facts.card.clone().map(|card| if item.afresh { card.tried_afresh() } else { card });
    if state.deaths(&item.subject) == 0 || card.as_ref().is_some_and(|card| card.activity.is_some()) {
        return card;
    }
    let card = card.or_else(|| unposted(item, facts))?;
    Some(CardRecord { doubt: Some(Doubt { since: now }), ..card })
}

/// The card before it is posted; `None`: its tenant is not known.
#[must_use]
pub fn unposted(item: &Behind, facts: &Facts) -> Option<CardRecord> {
    let tenant = facts.connection.as_ref().map(|connection| &connection.tenant);
    let tenant = tenant.or(facts.home.as_ref().map(|home| &home.tenant))?;
    Some(CardRecord::unposted(item.channel.clone(), item.marked.team.clone(), tenant.clone()))
}

/// Decides what to do about each item that is [`due`].
#[must_use]
pub fn plan_channel(looked: &[(Behind, Facts)], state: &State, rules: &Rules, now: Timestamp) -> Vec<Move> {
    looked.iter().map(|(item, facts)| plan_item(item, facts, state, rules, now)).collect()
}

/// Which storm has to begin before these moves are made, if any: more is to be posted than the channel takes soon, or something
/// that is over wants a place.
#[must_use]
pub fn storm_begins(
    looked: &[(Behind, Facts)],
    moves: &[Move],
    state: &State,
    rules: &Rules,
    now: Timestamp,
) -> Option<Kind> {
    let is_post = |(item, facts): &(Behind, Facts), planned: &Move| {
        matches!(planned, Move::Card(Step::Post { .. })) && !wants_own_card(item, facts, rules)
    };
    let posts = looked.iter().zip(moves).filter(|(looked, planned)| is_post(looked, planned)).count();
    let is_used_up = || state.budget.next_at(Claim::Ordinary, now).duration_since(now) > WITHIN;
    if !state.takes_in() && (posts > rules.posts || (posts > 0 && is_used_up())) {
        return Some(Kind::Storm);
    }
    let is_homeless = moves.iter().any(|planned| matches!(planned, Move::Fold(None)));
    (is_homeless && state.active().is_none()).then_some(Kind::Late)
}

/// Whether an incident is a card whatever else comes.
fn wants_own_card(item: &Behind, facts: &Facts, rules: &Rules) -> bool {
    let state = facts.record.as_ref().and_then(|(record, _)| record.state());
    state.is_some_and(|state| state.status != Status::Resolved && (item.own_card || rules.is_top(state)))
}

/// Whether an incident is so old that it may be over, whatever is known here, and nothing of it was ever shown.
#[must_use]
pub fn is_late(facts: &Facts, rules: &Rules, now: Timestamp) -> bool {
    let began = facts.record.as_ref().and_then(|(record, _)| record.state()?.created_at);
    let is_old = began.is_some_and(|began| now.duration_since(began) > rules.late_after);
    is_old && facts.card.as_ref().is_none_or(CardRecord::is_new)
}

fn plan_item(item: &Behind, facts: &Facts, state: &State, rules: &Rules, now: Timestamp) -> Move {
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
    let is_behind_its_mark = version < item.wanted;
    if is_behind_its_mark && now.duration_since(item.marked.at) >= RECORD_OVERDUE {
        return Move::Ask;
    }
    if let Some(planned) = plan_row(item, facts, state, rules, now) {
        let is_soon = is_behind_its_mark && matches!(planned, Move::Done(_));
        return if is_soon { Move::Soon } else { planned };
    }
    let step = match &facts.record {
        Some((record, _)) => {
            let card = card_of(item, facts, state, now);
            plan(record, version, card.as_ref(), facts.connection.as_ref(), item.freeze, now)
        }
        None => Step::Nothing(Why::StateUnknown),
    };
    match step {
        Step::Post { .. } if is_late(facts, rules, now) && facts.listed == Listed::Asking => Move::Soon,
        Step::Reply(..) | Step::Call(..) if state.takes_in() => Move::Hush,
        step @ (Step::Post { .. } | Step::Edit(..) | Step::Reply(..) | Step::Call(..) | Step::Freeze(_)) => {
            Move::Card(step)
        }
        Step::Nothing(_) | Step::Wait { .. } if is_behind_its_mark => Move::Soon,
        Step::Nothing(Why::Parked) => Move::Park(Parking::Refused),
        Step::Nothing(why) => Move::Done(why),
        Step::Wait { until } => Move::Wait(until),
    }
}

/// What to do about an incident that is a row, or is to become one; `None`: it is, or becomes, a card.
fn plan_row(item: &Behind, facts: &Facts, state: &State, rules: &Rules, now: Timestamp) -> Option<Move> {
    let (record, version) = facts.record.as_ref()?;
    let snapshot = record.state()?;
    let card = facts.card.as_ref();
    if card.is_some_and(|card| card.activity.is_some()) {
        return None;
    }
    let connection = facts.connection.as_ref();
    let is_going = going_since(item.freeze, connection).is_some();
    let wanted = connection.is_some_and(|connection| connection.filter.wants(snapshot));
    let row = card.and_then(|card| card.row.as_ref()).filter(|row| state.storm(&row.storm).is_some());
    if let Some(row) = row {
        return if is_going && snapshot.status != Status::Resolved {
            Some(Move::Leave(row.clone()))
        } else if wanted
            && wants_own_card(item, facts, rules)
            && (item.afresh || card.is_none_or(|card| card.rests_until(now).is_none()))
        {
            // One that has to wait for its card stays a row that is true.
            None
        } else if !shows_row(facts) || card.is_some_and(|card| card.rendered < *version) || item.afresh {
            Some(Move::Fold(Some(row.storm.clone())))
        } else {
            Some(Move::Done(Why::UpToDate))
        };
    }
    // A row of a storm that is over: it came back, and is as good as new.
    let is_over_again = card.is_some_and(|card| card.row.is_some());
    if is_over_again && snapshot.status == Status::Resolved {
        return Some(Move::Done(Why::UpToDate));
    }
    let may_be_there = card.is_some_and(|card| card.doubt.is_some());
    let is_over = snapshot.status == Status::Resolved || facts.listed == Listed::Over;
    if is_going || !(wanted || may_be_there) || (!is_over && wants_own_card(item, facts, rules)) {
        return None;
    }
    if state.takes_in() || (is_over && is_late(facts, rules, now)) {
        return Some(Move::Fold(None));
    }
    None
}

/// Whether the row is there, and as new as the card says: a sender may have died between the two.
fn shows_row(facts: &Facts) -> bool {
    let rendered = facts.card.as_ref().map(|card| card.rendered);
    facts.row.as_ref().is_some_and(|row| Some(row.version) >= rendered)
}

#[cfg(test)]
mod tests;
