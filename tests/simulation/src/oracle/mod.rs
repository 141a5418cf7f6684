//! Judges a run by what Teams and PagerDuty have seen.
//!
//! What is true is what PagerDuty's simulator says, what is shown is what a person reads in Teams', and what people did is in the
//! chronicle. The product's table is read for one question only: whether what it calls unfinished ends.

pub mod acts;
#[cfg(test)]
mod by_hand;
pub mod card;
pub mod limits;
pub mod lost;
pub mod order;
pub mod people;
pub mod places;
pub mod posts;
pub mod seen;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::world::World;
use limits::Held;
use people::Doings;
use seen::Seen;

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// A connected channel does not show an incident as PagerDuty has it.
    Lost,
    /// A card showed an older state after a newer one, or a state that never was.
    Backward,
    /// A click acted twice.
    DoubleAct,
    /// Somebody acted as somebody else, or who may not.
    WrongPerson,
    /// Somebody was told what is not so.
    Untrue,
    /// Something new for a channel that was not connected at that moment.
    NotConnected,
    /// A known subscription was answered 4xx.
    Refused,
    /// A limit of Teams was broken.
    Limit,
    /// A message was posted twice without a reason.
    Double,
    /// A mark, lock or claim does not end.
    Stuck,
    /// An act that changed something has no line in the audit.
    Unaudited,
}

impl Broken {
    pub const ALL: [Self; 11] = [
        Self::Lost,
        Self::Backward,
        Self::DoubleAct,
        Self::WrongPerson,
        Self::Untrue,
        Self::NotConnected,
        Self::Refused,
        Self::Limit,
        Self::Double,
        Self::Stuck,
        Self::Unaudited,
    ];

    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Backward => "backward",
            Self::DoubleAct => "double acts",
            Self::WrongPerson => "acts as somebody else",
            Self::Untrue => "told what is not so",
            Self::NotConnected => "new where not connected",
            Self::Refused => "known subscription refused",
            Self::Limit => "limits of Teams broken",
            Self::Double => "doubles without a reason",
            Self::Stuck => "marks, locks, claims that stay",
            Self::Unaudited => "acts without an audit line",
        }
    }
}

/// A promise that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    pub what: Broken,
    pub how: String,
}

/// Why a message may be there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Teams' answer was lost.
    AnswerLost,
    /// The sender died between post and save.
    SenderDied,
    /// The table was away between post and save.
    TableAway,
}

impl Reason {
    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AnswerLost => "an answer was lost",
            Self::SenderDied => "the sender died between post and save",
            Self::TableAway => "the table was away between post and save",
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    pub breaches: Vec<Breach>,
    /// Messages that are there twice for a good reason.
    pub doubles: BTreeMap<Reason, u32>,
}

/// Judges a run that has come to rest: after a healing round, and after every lock has had its time.
///
/// # Errors
/// The table's stand-in does not answer.
pub async fn judge(world: &World) -> anyhow::Result<Judgement> {
    let inside = &world.inside;
    let events = world.chronicle.read();
    let cases = inside.pagerduty.histories();
    let seen = Seen::of(&inside.teams.all_from_bot());
    let Doings { places, clicks, changes } = Doings::read(&world.town, &events);
    let places = places.in_teams(&inside.teams);
    let sendings = posts::sendings(&events);
    let said = table::ask(inside).await?;
    let mut judgement = posts::doubles(&seen, &sendings);
    judgement.breaches.extend(lost::lost(&cases, &places, &seen, &posts::orphans(&seen, &sendings)));
    judgement.breaches.extend(order::backward(&cases, &seen, &posts::given_up(&events)));
    judgement.breaches.extend(posts::not_connected(&cases, &places, &seen, &sendings));
    judgement.breaches.extend(acts::acts(&cases, &clicks));
    judgement.breaches.extend(acts::unaudited(&changes, &said.audit));
    judgement.breaches.extend(limits::refused(&events));
    judgement.breaches.extend(limits::limits(&Held::by(&inside.teams, &events)));
    judgement.breaches.extend(table::stuck(&said.unfinished, &places.unreachable, inside.app.clock.now()));
    judgement.breaches.sort();
    Ok(judgement)
}
