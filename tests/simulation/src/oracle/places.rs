//! Which services were connected to which channels, as those saw it who connected and disconnected them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::chronicle::Event;
use crate::world::World;

/// A service's time in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    pub service: String,
    pub channel: String,
    /// Whether only incidents of high urgency are wanted.
    pub only_high: bool,
    /// When somebody began to connect it.
    pub begun: Timestamp,
    /// When they saw that it was; `None`: they never did, so it may not be.
    pub from: Option<Timestamp>,
    /// When somebody or something began to end it.
    pub ending: Option<Timestamp>,
    /// When they saw that it had ended.
    pub until: Option<Timestamp>,
}

impl Period {
    /// One that lasts.
    #[must_use]
    pub fn since(service: &str, channel: &str, at: Timestamp) -> Self {
        Self {
            service: service.to_owned(),
            channel: channel.to_owned(),
            only_high: false,
            begun: at,
            from: Some(at),
            ending: None,
            until: None,
        }
    }

    /// Since when it surely lasts, if it does.
    #[must_use]
    pub fn lasts_since(&self) -> Option<Timestamp> {
        self.from.filter(|_| self.ending.is_none())
    }

    /// Whether it may have lasted at some time from `start` to `end`.
    #[must_use]
    pub fn touches(&self, start: Timestamp, end: Timestamp) -> bool {
        self.begun <= end && self.until.is_none_or(|until| until >= start)
    }
}

/// All such times, and where nothing can be written now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    pub periods: Vec<Period>,
    /// Channels that are deleted, or in which the bot is not.
    pub unreachable: BTreeSet<String>,
}

impl Places {
    /// As the chronicle tells it, and as Teams is now.
    #[must_use]
    pub fn of_world(world: &World, _events: &[(Timestamp, Event)]) -> Self {
        let town = &world.town;
        let periods = town.connected.iter().filter_map(|(service, channel)| {
            let (service, channel) = (town.services.get(*service)?, town.channels.get(*channel)?);
            Some(Period::since(service, &channel.id, Timestamp::UNIX_EPOCH))
        });
        let teams = world.inside.teams.teams();
        let living = teams.iter().flat_map(|team| team.channels.iter().filter(|channel| channel.has_bot));
        let living: BTreeSet<&str> = living.map(|channel| channel.id.as_str()).collect();
        let unreachable = town.channels.iter().filter(|channel| !living.contains(channel.id.as_str()));
        Self { periods: periods.collect(), unreachable: unreachable.map(|channel| channel.id.clone()).collect() }
    }

    /// Every channel that ever was connected.
    #[must_use]
    pub fn channels(&self) -> BTreeSet<&str> {
        self.periods.iter().map(|period| period.channel.as_str()).collect()
    }

    pub(super) fn of(&self, channel: &str) -> impl Iterator<Item = &Period> {
        self.periods.iter().filter(move |period| period.channel == channel)
    }
}
