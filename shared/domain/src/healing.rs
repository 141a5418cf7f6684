//! What the reconciler knows about itself: which parts of its work it has done lately, and which ones fail since when.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::forward;

/// A part of the reconciler's work. One that fails keeps no other one from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Knowing for which account all this is.
    Account,
    /// Waking the channels in which something is unfinished.
    Channels,
    /// Webhook subscriptions that deliver.
    Subscriptions,
    /// Open incidents, the newest first.
    Incidents,
    /// What is open here and not in PagerDuty.
    Missed,
    /// What happened, by PagerDuty's log.
    News,
    /// Webhooks that an older version could not read.
    Kept,
    /// Teams that have left, and services that are gone.
    Teams,
    /// Whether Entra gives the bot a token.
    BotToken,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Account,
        Self::Channels,
        Self::Subscriptions,
        Self::Incidents,
        Self::Missed,
        Self::News,
        Self::Kept,
        Self::Teams,
        Self::BotToken,
    ];

    /// For logs and for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Channels => "channels",
            Self::Subscriptions => "subscriptions",
            Self::Incidents => "incidents",
            Self::Missed => "missed",
            Self::News => "news",
            Self::Kept => "kept",
            Self::Teams => "teams",
            Self::BotToken => "bot_token",
        }
    }

    /// For people: what has not been done, without the dot. They go on with since when.
    #[must_use]
    pub fn undone(self) -> &'static str {
        match self {
            Self::Account => "It has not been found out to which PagerDuty account this belongs",
            Self::Channels => "Channels in which something is unfinished have not been looked at",
            Self::Subscriptions => "It has not been checked that PagerDuty delivers webhooks",
            Self::Incidents => "Open incidents have not been compared with PagerDuty",
            Self::Missed => "Incidents that are open here have not been looked for in PagerDuty",
            Self::News => "PagerDuty's log has not been read for what webhooks have not told",
            Self::Kept => "Webhooks that could not be read have not been read again",
            Self::Teams => "Teams that have left, and services that are gone, have not been looked for",
            Self::BotToken => "Entra has not given the bot a token",
        }
    }
}

/// How a run, or a part of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ended {
    /// All of it is done.
    Well,
    /// Something is left for the next run, or single elements were skipped.
    Partly,
    /// It was not its turn: another run is at work.
    Skipped,
    /// It could not be done.
    Failed,
}

/// One part's last runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lately {
    /// When it was last done, be it in part.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// Since when it has failed each time; `None`: the last time it was done.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
}

/// All parts' last runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healing {
    /// When anything was noted last: a run has been alive then.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// By [`Part::name`]: a newer version may know others.
    #[serde(default, deserialize_with = "forward::or_default")]
    parts: BTreeMap<String, Lately>,
}

/// One failure may be the moment's: a part that fails in the next run as well does not heal.
const PATIENCE: SignedDuration = SignedDuration::from_secs(45);

/// Every part is tried every five minutes at least: one of which nothing was heard for so long has got stuck.
const SILENCE: SignedDuration = SignedDuration::from_mins(15);

/// A run begins every minute, and may take one and a half.
const QUIET: SignedDuration = SignedDuration::from_mins(5);

impl Healing {
    /// Since when no run has been alive. `None`: there was one lately, or none ever.
    #[must_use]
    pub fn silent_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.seen_at.filter(|at| now.duration_since(*at) > QUIET)
    }

    /// Notes how a part's turn has ended.
    pub fn note(&mut self, part: Part, ended: Ended, now: Timestamp) {
        self.seen_at = self.seen_at.max(Some(now));
        let lately = self.parts.entry(part.name().to_owned()).or_default();
        match ended {
            Ended::Well | Ended::Partly => *lately = Lately { done_at: Some(now), failing_since: None },
            Ended::Failed => lately.failing_since = lately.failing_since.or(Some(now)),
            Ended::Skipped => {}
        }
    }

    /// What is known of a part.
    #[must_use]
    pub fn of(&self, part: Part) -> Lately {
        self.parts.get(part.name()).copied().unwrap_or_default()
    }

    /// The parts that do not heal, and since when. A part that was never tried is none of them.
    pub fn broken(&self, now: Timestamp) -> impl Iterator<Item = (Part, Timestamp)> {
        Part::ALL.into_iter().filter_map(move |part| Some((part, self.of(part).broken_since(now)?)))
    }

    /// For how long the part that has not healed for the longest time has not; zero if all do.
    #[must_use]
    pub fn longest(&self, now: Timestamp) -> SignedDuration {
        self.broken(now).map(|(_, since)| now.duration_since(since)).max().unwrap_or_default()
    }
}

impl Lately {
    fn broken_since(self, now: Timestamp) -> Option<Timestamp> {
        let beyond = |limit: SignedDuration| move |since: &Timestamp| now.duration_since(*since) > limit;
        self.failing_since.filter(beyond(PATIENCE)).or(self.done_at.filter(beyond(SILENCE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_400 + second).unwrap()
    }

    #[test]
    fn a_part_does_not_heal_when_it_fails_again_or_is_not_heard_of() {
        use Ended::{Failed, Partly, Skipped, Well};
        for (name, turns, asked_at, expected) in [
            ("never tried", vec![], 100_000, None),
            ("done", vec![(0, Well)], 900, None),
            ("done in part", vec![(0, Partly)], 900, None),
            ("silent", vec![(0, Well)], 901, Some(0)),
            ("one failure", vec![(0, Well), (60, Failed)], 105, None),
            ("fails again", vec![(0, Well), (60, Failed), (120, Failed)], 120, Some(60)),
            ("fails from the beginning", vec![(0, Failed), (60, Failed), (120, Failed)], 120, Some(0)),
            ("healed", vec![(60, Failed), (120, Failed), (180, Well)], 300, None),
            ("skipped says nothing", vec![(60, Failed), (120, Skipped)], 151, Some(60)),
        ] {
            let mut healing = Healing::default();
            for (second, ended) in turns {
                healing.note(Part::News, ended, at(second));
            }
            let expected: Vec<_> = expected.into_iter().map(|since| (Part::News, at(since))).collect();
            assert_eq!(healing.broken(at(asked_at)).collect::<Vec<_>>(), expected, "{name}");
            let longest = expected.first().map(|(_, since)| at(asked_at).duration_since(*since)).unwrap_or_default();
            assert_eq!(healing.longest(at(asked_at)), longest, "{name}");
        }
    }

    #[test]
    fn without_a_run_for_five_minutes_it_is_silent() {
        let mut healing = Healing::default();
        assert_eq!(healing.silent_since(at(1_000)), None, "it has never run");
        healing.note(Part::News, Ended::Failed, at(60));
        healing.note(Part::Teams, Ended::Skipped, at(0));
        assert_eq!((healing.silent_since(at(360)), healing.silent_since(at(361))), (None, Some(at(60))));
    }

    #[test]
    fn what_a_newer_version_has_noted_is_kept() {
        let json = r#"{"seen_at":"2026-11-23T09:00:00Z","parts":{"moons":{"done_at":"2026-11-23T09:00:00Z"}}}"#;
        let mut healing: Healing = serde_json::from_str(json).unwrap();
        healing.note(Part::News, Ended::Well, at(0));
        let stored = serde_json::to_value(&healing).unwrap();
        assert_eq!(stored["parts"]["moons"]["done_at"], "2026-11-23T09:00:00Z");
        assert!(stored["parts"]["news"]["done_at"].is_string());
    }
}
