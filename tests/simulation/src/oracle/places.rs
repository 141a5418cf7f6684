//! Which services were connected to which channels, as those saw it who connected and disconnected them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use simulators::teams::{TeamInfo, Teams};

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
    /// With what Teams says of it: where nothing can be written now.
    #[must_use]
    pub fn in_teams(self, teams: &Teams) -> Self {
        let writable = |team: &TeamInfo| !teams.is_archived(&team.id);
        let teams: Vec<TeamInfo> = teams.teams().into_iter().filter(writable).collect();
        let living = teams.iter().flat_map(|team| team.channels.iter().filter(|channel| channel.has_bot));
        let living: BTreeSet<&str> = living.map(|channel| channel.id.as_str()).collect();
        let gone = self.channels().into_iter().filter(|channel| !living.contains(channel));
        let unreachable = gone.map(str::to_owned).collect();
        Self { unreachable, ..self }
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
