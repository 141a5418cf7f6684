//! What people and monitoring tools do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// One thing that somebody does. Numbers name what the [`crate::Town`] has, and incidents by the order in which they were triggered,
/// all modulo how many there are: a script that was shortened still means something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// A monitoring tool triggers an incident.
    Trigger { service: usize },
    /// Somebody resolves it in PagerDuty.
    Resolve { incident: usize },
}

/// An act and its time since the script began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub at: Duration,
    pub act: Act,
}

/// Steps in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Script(pub Vec<Step>);

impl Script {
    /// So many steps within this time.
    #[must_use]
    pub fn draw(dice: &mut Dice, steps: usize, span: Duration) -> Self {
        let mut drawn: Vec<Step> = (0..steps)
            .map(|_| {
                let at = dice.time(Duration::ZERO, span);
                let act = if dice.per_mille(600) {
                    Act::Trigger { service: dice.below(8) }
                } else {
                    Act::Resolve { incident: dice.below(steps) }
                };
                Step { at, act }
            })
            .collect();
        drawn.sort_by_key(|step| step.at);
        Self(drawn)
    }
}
