//! Which of the planned moves one wave makes: all that need no message, and as many messages as the budget has room for.

use std::collections::BTreeSet;

use domain::behind::Behind;
use domain::budget::Claim;
use domain::channel::{Move, State, claim_of};
use domain::ids::StormId;
use domain::plan::Step;
use domain::storm::{Folded, Rules};
use jiff::Timestamp;
use store::Look;

/// How many messages a wave sends at most, and reserves of the tenant's budget: as many as a channel takes in a second.
const SENDS: usize = 7;

/// A wave's moves, by how they are made.
#[derive(Default)]
pub(crate) struct Wave {
    pub(crate) folds: Vec<(Behind, Look, Option<StormId>)>,
    pub(crate) leaves: Vec<(Behind, Look, Folded)>,
    /// In the order of the work; what cannot wait is before `urgent`.
    pub(crate) others: Vec<((Behind, Look), Move)>,
    pub(crate) urgent: usize,
    /// What is left for a later wave: whether it may take what is kept free for what cannot wait.
    pub(crate) left_over: Option<Claim>,
    /// How many messages it wants to send.
    pub(crate) sends: usize,
}

impl Wave {
    /// What is done in this wave: everything that needs no message, and as many messages as the budget has room for.
    pub(crate) fn of(planned: Vec<((Behind, Look), Move)>, state: &State, rules: &Rules, now: Timestamp) -> Self {
        let budget = &state.budget;
        let mut wave = Self::default();
        let mut room = budget.allows(Claim::Urgent, now).min(SENDS);
        let mut ordinary = budget.allows(Claim::Ordinary, now);
        let folds = planned.iter().any(|(_, planned)| matches!(planned, Move::Fold(_) | Move::Leave(_)));
        let wants = state.storm_wants(rules, now).is_some_and(|(at, ..)| at <= now);
        // The storm's card.
        if (folds || wants) && room > 0 {
            (wave.sends, room) = (1, room - 1);
            ordinary = ordinary.saturating_sub(1);
        } else if wants {
            wave.left_over = Some(Claim::Urgent);
        }
        for ((item, look), planned) in planned {
            match planned {
                Move::Fold(storm) => wave.folds.push((item, look, storm)),
                Move::Leave(row) => wave.leaves.push((item, look, row)),
                planned if planned.sends() => {
                    let claim = claim_of(&item);
                    let has_room = room > 0 && (claim == Claim::Urgent || ordinary > 0);
                    if !has_room || wave.left_over.is_some() {
                        wave.left_over = wave.left_over.or(Some(claim));
                        continue;
                    }
                    // An edit is told in the thread.
                    let needs = if matches!(planned, Move::Card(Step::Edit(..))) { 2 } else { 1 };
                    wave.sends += needs.min(room);
                    (room, ordinary) = (room.saturating_sub(needs), ordinary.saturating_sub(needs));
                    wave.urgent += usize::from(claim == Claim::Urgent);
                    wave.others.push(((item, look), planned));
                }
                planned => wave.others.push(((item, look), planned)),
            }
        }
        // Stable: what cannot wait first, in its order.
        wave.others.sort_by_key(|((item, _), planned)| !(planned.sends() && claim_of(item) == Claim::Urgent));
        wave
    }

    /// The storms whose rows it changes.
    pub(crate) fn storms(&self, state: &State) -> BTreeSet<StormId> {
        let active = || state.active().map(|active| active.id.clone());
        let folded = self.folds.iter().filter_map(|(_, _, storm)| storm.clone().or_else(active));
        let left = self.leaves.iter().map(|(_, _, row)| row.storm.clone());
        let posts = self.others.iter().filter(|(_, planned)| matches!(planned, Move::Card(Step::Post { .. })));
        let become_cards =
            posts.filter_map(|((_, look), _)| Some(look.facts.card.as_ref()?.row.as_ref()?.storm.clone()));
        folded.chain(left).chain(become_cards).collect()
    }
}
