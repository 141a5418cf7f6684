//! An attacker and a victim do everything that they can, in every order, up to a depth: nobody ever acts as somebody else, and
//! nothing that the attacker does keeps the victim from linking.
//!
//! The states and steps come from a model; each step is done with the real functions, and both must agree.

mod model;
mod people;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use local::inside::{Delays, Inside};

use crate::world;
use model::{Act, Page, Side, State};
use people::People;

/// How many steps the two take together.
const DEPTH: usize = 8;

/// So many walks go through the same stack.
const WALKS_EACH: usize = 50;

/// The shortest way to each state.
type Ways = BTreeMap<State, Vec<Act>>;

/// Every state that can be reached, with the shortest way to it, and every step from there.
fn reachable(number: bool) -> (Ways, Vec<(State, Act)>) {
    let start = State::new(number);
    let mut ways = BTreeMap::from([(start.clone(), Vec::new())]);
    let mut steps = Vec::new();
    let mut queue = VecDeque::from([start]);
    while let Some(state) = queue.pop_front() {
        let way = ways[&state].clone();
        if way.len() == DEPTH {
            continue;
        }
        for act in state.acts() {
            let next = state.after(act);
            steps.push((state.clone(), act));
            if !ways.contains_key(&next) {
                ways.insert(next.clone(), [way.clone(), vec![act]].concat());
                queue.push_back(next);
            }
        }
    }
    (ways, steps)
}

/// Nobody acts in PagerDuty as somebody else.
#[track_caller]
fn nobody_is_somebody_else(links: [Option<Side>; 2], how: &[Act]) {
    for side in Side::BOTH {
        let acts_as = links[side.index()];
        assert!(acts_as.is_none_or(|whom| whom == side), "{side:?} acts as {acts_as:?} after {how:?}");
    }
}

/// Does every step of every state once. As few walks as possible: a step that changes nothing is done in passing, and a walk goes
/// on where there is something left to do.
async fn explore(region: &str, number: bool) {
    let (ways, steps) = reachable(number);
    let mut left: BTreeMap<State, BTreeSet<Act>> = BTreeMap::new();
    for (state, act) in steps {
        left.entry(state).or_default().insert(act);
    }
    // From the deepest on, so that what is above has been done on the way.
    let mut order: Vec<State> = left.keys().cloned().collect();
    order.sort_by_key(|state| std::cmp::Reverse(ways[state].len()));
    let mut inside = stack(region, number).await;
    let mut walks = 0;
    for target in order {
        while left.get(&target).is_some_and(|acts| !acts.is_empty()) {
            walks += 1;
            // The simulators look through all that they know.
            if walks % WALKS_EACH == 0 {
                inside = stack(region, number).await;
            }
            let mut people = People::new(&inside, number).await;
            let mut state = State::new(number);
            let mut way: VecDeque<Act> = ways[&target].iter().copied().collect();
            let mut done = Vec::new();
            loop {
                let open = left.entry(state.clone()).or_default();
                let idle = open.iter().copied().find(|act| state.after(*act) == state);
                let Some(act) = idle.or_else(|| way.pop_front()).or_else(|| open.first().copied()) else { break };
                open.remove(&act);
                done.push(act);
                state = state.after(act);
                people.act(act, &state).await;
                let links = people.links().await;
                nobody_is_somebody_else(links, &done);
                assert_eq!(links, state.links, "the program and the model disagree after {done:?}");
            }
        }
    }
}

async fn stack(region: &str, number: bool) -> Inside {
    let environment =
        [("PAGERDUTY_REGION", region), ("PAGERBRIDGE_LINK_NUMBER", if number { "true" } else { "false" })];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let inside = Inside::compose_with(world::START, Delays::default(), environment, None).await.unwrap();
    inside.teams.set_throttling(false);
    inside.add_team("Everybody").await.unwrap();
    inside
}

/// What is said of the program below holds for the model too, however long the way.
#[test]
fn the_model_lets_nobody_in_and_keeps_nobody_out() {
    for number in [true, false] {
        let (ways, _) = reachable(number);
        for (state, way) in &ways {
            nobody_is_somebody_else(state.links, way);
            assert_eq!(honest_end(state).links[0], Some(Side::Victim), "after {way:?}");
        }
        assert!(ways.values().any(|way| way.len() == DEPTH) && ways.len() > 800, "{} states", ways.len());
    }
}

/// The victim links, whatever has happened: goes on where they stand with their own link, or asks for a new one.
fn honest_end(from: &State) -> State {
    let mut state = State { attempts: Vec::new(), ..from.clone() };
    let own = |page| matches!(page, Page::Question { ticket, login } | Page::Waits { ticket, login } if (ticket.owner, login) == (Side::Victim, Side::Victim));
    if !own(state.pages[0]) {
        for act in [
            Act::Ask(Side::Victim),
            Act::Open(Side::Victim, Side::Victim),
            Act::LogIn(Side::Victim, 0),
            Act::Return(Side::Victim, 0),
        ] {
            state = state.after(act);
        }
    }
    if matches!(state.pages[0], Page::Question { .. }) {
        state = state.after(Act::Confirm(Side::Victim));
    }
    state.after(Act::HandOver(Side::Victim))
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_in_us_with_the_number() {
    explore("us", true).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_in_eu_without_the_number() {
    explore("eu", false).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "two minutes of a processor; the command is in infra/docs/security.md"]
async fn nobody_gets_in_us_without_the_number() {
    explore("us", false).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "two minutes of a processor; the command is in infra/docs/security.md"]
async fn nobody_gets_in_eu_with_the_number() {
    explore("eu", true).await;
}
