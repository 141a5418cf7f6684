//! What a seed stands for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::faults::Faults;
use crate::script::Script;

/// What differs between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Of everything that is drawn during the run: latencies, the product's own randomness.
    pub seed: u64,
    pub script: Script,
    pub faults: Faults,
}

/// With what follows from them, webhooks, invocations and what Teams shows, about 200 events.
const STEPS: (usize, usize) = (14, 32);
const FAULTS: (usize, usize) = (3, 16);

impl Plan {
    /// The plan of a seed. Nine in ten are over within half an hour of their own time, the others take up to two days.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (mut acting, mut failing) = (dice.fork(), dice.fork());
        let (span, longest) = match dice.below(44) {
            0 => (dice.time(Duration::from_hours(12), Duration::from_hours(36)), Duration::from_hours(24)),
            1..4 => (dice.time(Duration::from_mins(30), Duration::from_hours(4)), Duration::from_hours(1)),
            _ => (dice.time(Duration::from_mins(4), Duration::from_mins(20)), Duration::from_mins(4)),
        };
        let between = |dice: &mut Dice, (least, most): (usize, usize)| least + dice.below(most - least);
        let (steps, faults) = (between(&mut dice, STEPS), between(&mut dice, FAULTS));
        Self {
            seed,
            script: Script::draw(&mut acting, steps, span),
            faults: Faults::draw(&mut failing, faults, span, longest),
        }
    }

    /// How many things it is made of.
    #[must_use]
    pub fn size(&self) -> usize {
        self.script.0.len() + self.faults.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_in_ten_are_over_within_half_an_hour() {
        let plans: Vec<Plan> = (0..2000).map(Plan::of_seed).collect();
        let ends = |plan: &Plan| {
            let steps = plan.script.0.iter().map(|step| step.at);
            steps.chain(plan.faults.0.iter().map(|fault| fault.at)).max().unwrap_or_default()
        };
        let long = plans.iter().filter(|plan| ends(plan) > Duration::from_mins(30)).count();
        assert!((100..=200).contains(&long), "{long}");
        assert!(plans.iter().any(|plan| ends(plan) > Duration::from_hours(24)));
    }

    #[test]
    fn a_plan_can_be_written_down() {
        let plan = Plan::of_seed(3);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
