//! All alarms together, looked at every minute.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{Alarm, Samples, State};

/// An alarm that began to ring, or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub at: Timestamp,
    pub alarm: String,
    pub to: State,
}

/// The alarms and what has become of them.
#[derive(Debug)]
pub struct Watch {
    alarms: Vec<Alarm>,
    states: BTreeMap<String, State>,
    changes: Vec<Change>,
}

impl Watch {
    /// None of them rings.
    #[must_use]
    pub fn new(alarms: Vec<Alarm>) -> Self {
        let states = alarms.iter().map(|alarm| (alarm.name.clone(), State::Ok)).collect();
        Self { alarms, states, changes: Vec::new() }
    }

    /// Looks at all of them, at a full minute.
    ///
    /// # Errors
    /// One uses something that is not known here.
    pub fn look(&mut self, samples: &Samples, now: Timestamp) -> anyhow::Result<()> {
        for alarm in &self.alarms {
            let Some(state) = self.states.get_mut(&alarm.name) else { continue };
            let to = alarm.state(*state, samples, now)?;
            if to != *state {
                *state = to;
                self.changes.push(Change { at: now, alarm: alarm.name.clone(), to });
            }
        }
        Ok(())
    }

    /// Those that ring.
    pub fn ringing(&self) -> impl Iterator<Item = &str> {
        self.states.iter().filter(|(_, state)| **state == State::Alarm).map(|(name, _)| name.as_str())
    }

    /// What has happened, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.alarms.iter().map(|alarm| alarm.name.as_str())
    }
}
