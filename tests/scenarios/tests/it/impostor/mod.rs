//! An attacker and a victim do everything that they can, in every order, up to a depth: nobody ever acts as somebody else, and
//! nothing that the attacker does keeps the victim from linking.
//!
//! The states and steps come from a model; each step is done with the real functions, and both must agree.

mod model;
mod people;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use local::inside::{Delays, Inside};

use crate::world;
use model::{Act, Side, State};
use people::People;

/// How many steps the two take together.
const DEPTH: usize = 8;

/// So many walks go through the same stack.
const WALKS_EACH: usize = 50;

#[derive(Debug, Default, PartialEq, Eq)]
struct Explored {
    states: usize,
    steps: usize,
}

/// Every state that can be reached, with the shortest way to it, and every step from there.
fn reachable(number: bool) -> (BTreeMap<State, Vec<Act>>, Vec<(State, Act)>) {
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
async fn explore(region: &str, number: bool) -> Explored {
    let (ways, steps) = reachable(number);
    let explored = Explored { states: ways.len(), steps: steps.len() };
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
    println!("{walks} walks");
    explored
}

async fn stack(region: &str, number: bool) -> Inside {
    let environment = [("PAGERDUTY_REGION", region), ("PAGERBRIDGE_LINK_NUMBER", if number { "true" } else { "false" })];
    let inside = Inside::compose_with(world::START, Delays::default(), &environment).await.unwrap();
    inside.teams.set_throttling(false);
    inside.add_team("Everybody").await.unwrap();
    inside
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_in_and_nobody_is_kept_out_us_with_the_number() {
    for number in [true, false] { let (a, b) = reachable(number); println!("{number} {} {}", a.len(), b.len()); }
    let explored = explore("us", true).await;
    println!("{explored:?}");
}
