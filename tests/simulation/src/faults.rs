//! What goes wrong: drawn from the seed, as a plain list.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chronicle::{Function, Neighbour};
use crate::dice::Dice;

/// Where in an invocation a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// Before its how-manyeth outside call is made, counted from 0.
    Before(u32),
    /// After that call has been carried out, and before the process hears of it.
    After(u32),
    /// When it is polled for the how-manyeth time: at some await.
    Poll(u32),
}

/// What becomes of an outside call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// Not carried out; answered with this status, as the neighbour does.
    Refused(u16),
    /// Not carried out; the connection closes.
    NoConnection,
    /// Not carried out; never answered.
    Silent,
    /// Carried out; the connection closes before the answer.
    LostAnswer,
    /// Carried out; answered with this status all the same.
    FalseAlarm(u16),
    /// Carried out, and never answered.
    SilentAfter,
    /// Carried out after this time, whether the caller still waits or not.
    Late(Duration),
    /// Teams only: an edit that is given up with a 504 and shows after the next thing that is done there.
    Overtakes,
    /// Teams only: done, and answered without an id.
    WithoutId,
}

/// What becomes of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// PagerDuty believes that it was taken, and nobody has.
    Lost,
    /// It comes twice.
    Twice,
    /// It comes so much later, behind others.
    Late(Duration),
}

/// What is changed in Secrets Manager, while everybody works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rotated {
    /// What tokens are sealed with: a new key in front.
    TokenKeys,
    /// What webhooks' secrets are sealed with: a new key in front.
    WebhookKeys,
    TeamsClientSecret,
    PagerDutyClientSecret,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wrong {
    /// The next invocation of the function dies there.
    Crash {
        function: Function,
        at: Point,
    },
    /// This very invocation dies there, counted from 0 over all functions: for whoever tries all of them.
    CrashIn {
        invocation: u64,
        at: Point,
    },
    /// All idle processes of the function end; the next ones start cold, with a clock that is off by so many milliseconds.
    Cold {
        function: Function,
        clock_off: i64,
    },
    /// So many calls go wrong, after so many that do not.
    Calls {
        to: Neighbour,
        skip: u32,
        times: u32,
        how: How,
    },
    /// Every call goes wrong for so long.
    Away {
        who: Neighbour,
        lasts: Duration,
        how: How,
    },
    /// The next webhooks do not come as they should.
    Webhooks {
        times: u32,
        how: Way,
    },
    /// The next messages that were handled are not deleted, and come again.
    NotDeleted {
        times: u32,
    },
    /// The reconciler's next runs are left out.
    NoSchedule {
        times: u32,
    },
    /// PagerDuty disables the subscription of this service.
    Disabled {
        service: usize,
    },
    /// Access tokens of this person are no longer good.
    Expired {
        person: usize,
    },
    /// The app's tokens for PagerDuty are no longer good.
    AppExpired,
    /// The bot's tokens are no longer good.
    BotExpired,
    Rotated(Rotated),
}

impl Wrong {
    /// Its kind, for tables.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Crash { at: Point::Before(_), .. } | Self::CrashIn { at: Point::Before(_), .. } => {
                "crash before a call".to_owned()
            }
            Self::Crash { at: Point::After(_), .. } | Self::CrashIn { at: Point::After(_), .. } => {
                "crash after a call".to_owned()
            }
            Self::Crash { at: Point::Poll(_), .. } | Self::CrashIn { at: Point::Poll(_), .. } => {
                "crash at an await".to_owned()
            }
            Self::Cold { clock_off: 0, .. } => "cold start".to_owned(),
            Self::Cold { .. } => "clock that is off".to_owned(),
            Self::Calls { to, how, .. } => format!("{to:?}: {}", how.kind()),
            Self::Away { who, .. } => format!("{who:?}: away"),
            Self::Webhooks { how: Way::Lost, .. } => "webhook lost".to_owned(),
            Self::Webhooks { how: Way::Twice, .. } => "webhook twice".to_owned(),
            Self::Webhooks { how: Way::Late(_), .. } => "webhook late".to_owned(),
            Self::NotDeleted { .. } => "message not deleted".to_owned(),
            Self::NoSchedule { .. } => "schedule left out".to_owned(),
            Self::Disabled { .. } => "subscription disabled".to_owned(),
            Self::Expired { .. } => "person's tokens expired".to_owned(),
            Self::AppExpired => "app's tokens expired".to_owned(),
            Self::BotExpired => "bot's tokens expired".to_owned(),
            Self::Rotated(what) => format!("rotated: {what:?}"),
        }
    }
}

impl How {
    fn kind(self) -> String {
        match self {
            Self::Refused(status) => format!("{status}"),
            Self::NoConnection => "no connection".to_owned(),
            Self::Silent => "silent, not done".to_owned(),
            Self::LostAnswer => "answer lost".to_owned(),
            Self::FalseAlarm(status) => format!("{status}, and done"),
            Self::SilentAfter => "silent, and done".to_owned(),
            Self::Late(_) => "late".to_owned(),
            Self::Overtakes => "edit after a later one".to_owned(),
            Self::WithoutId => "answer without id".to_owned(),
        }
    }

    /// Whether the caller may believe that something was not done which was.
    #[must_use]
    pub fn hides_an_effect(self) -> bool {
        match self {
            Self::LostAnswer
            | Self::FalseAlarm(_)
            | Self::SilentAfter
            | Self::Late(_)
            | Self::Overtakes
            | Self::WithoutId => true,
            Self::Refused(_) | Self::NoConnection | Self::Silent => false,
        }
    }
}

/// Something that goes wrong, and when: since the script began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub at: Duration,
    pub wrong: Wrong,
}

/// All that goes wrong in a run, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Faults(pub Vec<Fault>);

/// Which neighbour how often.
const NEIGHBOURS: [(u32, Neighbour); 5] = [
    (30, Neighbour::Teams),
    (25, Neighbour::Table),
    (25, Neighbour::PagerDuty),
    (15, Neighbour::Queue),
    (5, Neighbour::Secrets),
];

/// What Teams answers besides, and how often: 404 passes, 412 is for requests that it could not finish.
const TEAMS: [(u32, How); 13] = [
    (4, How::Refused(429)),
    (2, How::Refused(404)),
    (2, How::Refused(412)),
    (2, How::Refused(500)),
    (2, How::Refused(502)),
    (2, How::NoConnection),
    (2, How::Silent),
    (3, How::LostAnswer),
    (3, How::FalseAlarm(504)),
    (2, How::SilentAfter),
    (2, How::Late(Duration::from_secs(8))),
    (2, How::Overtakes),
    (2, How::WithoutId),
];

const TABLE: [(u32, How); 9] = [
    // Throttled, and a conflict with another writer; see `ways`.
    (4, How::Refused(400)),
    (3, How::Refused(409)),
    (3, How::Refused(500)),
    (2, How::NoConnection),
    (2, How::Silent),
    (4, How::LostAnswer),
    (3, How::FalseAlarm(500)),
    (2, How::SilentAfter),
    (2, How::Late(Duration::from_secs(2))),
];

const PAGERDUTY: [(u32, How); 10] = [
    (4, How::Refused(429)),
    (3, How::Refused(500)),
    (2, How::Refused(502)),
    (2, How::Refused(503)),
    (2, How::NoConnection),
    (2, How::Silent),
    (3, How::LostAnswer),
    (3, How::FalseAlarm(504)),
    (2, How::SilentAfter),
    (2, How::Late(Duration::from_secs(4))),
];

const QUEUE: [(u32, How); 6] = [
    (4, How::Refused(503)),
    (2, How::NoConnection),
    (2, How::Silent),
    (3, How::LostAnswer),
    (3, How::FalseAlarm(500)),
    (2, How::SilentAfter),
];

const SECRETS: [(u32, How); 3] = [(4, How::Refused(500)), (2, How::NoConnection), (2, How::Silent)];

const ROTATED: [Rotated; 4] =
    [Rotated::TokenKeys, Rotated::WebhookKeys, Rotated::TeamsClientSecret, Rotated::PagerDutyClientSecret];

/// What may go wrong, and how often.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Crash,
    Cold,
    Calls,
    Away,
    Webhooks,
    NotDeleted,
    NoSchedule,
    Disabled,
    Expired,
    AppExpired,
    BotExpired,
    Rotated,
}

const KINDS: [(u32, Kind); 12] = [
    (26, Kind::Crash),
    (8, Kind::Cold),
    (34, Kind::Calls),
    (5, Kind::Away),
    (12, Kind::Webhooks),
    (4, Kind::NotDeleted),
    (2, Kind::NoSchedule),
    (2, Kind::Disabled),
    (3, Kind::Expired),
    (1, Kind::AppExpired),
    (1, Kind::BotExpired),
    (2, Kind::Rotated),
];

/// The sender has most to lose.
const FUNCTIONS: [(u32, Function); 6] = [
    (40, Function::NotificationSender),
    (20, Function::WebhookIngest),
    (20, Function::BotMessages),
    (12, Function::Reconciler),
    (5, Function::OauthCallback),
    (3, Function::AdminApi),
];

impl Faults {
    /// So many faults within `span`; a neighbour is away for up to `longest`.
    #[must_use]
    pub fn draw(dice: &mut Dice, count: usize, span: Duration, longest: Duration) -> Self {
        let mut drawn: Vec<Fault> = (0..count)
            .filter_map(|_| Some(Fault { at: dice.time(Duration::ZERO, span), wrong: draw_one(dice, longest)? }))
            .collect();
        drawn.sort_by_key(|fault| fault.at);
        Self(drawn)
    }
}

fn draw_one(dice: &mut Dice, longest: Duration) -> Option<Wrong> {
    let small = |dice: &mut Dice, end: usize| u32::try_from(dice.below(end)).unwrap_or_default();
    let ids = |dice: &mut Dice| dice.below(64);
    Some(match dice.weighted(&KINDS)? {
        Kind::Crash => {
            let function = dice.weighted(&FUNCTIONS)?;
            let at = match dice.below(3) {
                0 => Point::Before(small(dice, 24)),
                1 => Point::After(small(dice, 24)),
                _ => Point::Poll(small(dice, 80)),
            };
            Wrong::Crash { function, at }
        }
        Kind::Cold => {
            let function = dice.weighted(&FUNCTIONS)?;
            let off = match dice.below(4) {
                0 | 1 => 0,
                2 => i64::from(small(dice, 10_000)) - 5_000,
                _ => i64::from(small(dice, 120_000)) - 60_000,
            };
            Wrong::Cold { function, clock_off: off }
        }
        Kind::Calls => {
            let to = dice.weighted(&NEIGHBOURS)?;
            Wrong::Calls { to, skip: small(dice, 12), times: 1 + small(dice, 4), how: how(dice, to)? }
        }
        Kind::Away => {
            let who = dice.weighted(&NEIGHBOURS)?;
            let lasts = dice.time(Duration::from_secs(5), longest);
            let away: Vec<How> = (0..8).filter_map(|_| how(dice, who)).filter(|how| is_outage(*how)).collect();
            Wrong::Away { who, lasts, how: away.first().copied().unwrap_or(How::NoConnection) }
        }
        Kind::Webhooks => {
            let how = match dice.below(4) {
                0 => Way::Lost,
                1 => Way::Twice,
                2 => Way::Late(dice.time(Duration::from_secs(1), Duration::from_secs(90))),
                _ => Way::Late(dice.time(Duration::from_mins(2), Duration::from_hours(48).min(longest * 4))),
            };
            Wrong::Webhooks { times: 1 + small(dice, 5), how }
        }
        Kind::NotDeleted => Wrong::NotDeleted { times: 1 + small(dice, 3) },
        Kind::NoSchedule => Wrong::NoSchedule { times: 1 + small(dice, 3) },
        Kind::Disabled => Wrong::Disabled { service: ids(dice) },
        Kind::Expired => Wrong::Expired { person: ids(dice) },
        Kind::AppExpired => Wrong::AppExpired,
        Kind::BotExpired => Wrong::BotExpired,
        Kind::Rotated => Wrong::Rotated(dice.pick(&ROTATED).copied()?),
    })
}

fn how(dice: &mut Dice, to: Neighbour) -> Option<How> {
    match to {
        Neighbour::Teams => dice.weighted(&TEAMS),
        Neighbour::Table => dice.weighted(&TABLE),
        Neighbour::PagerDuty => dice.weighted(&PAGERDUTY),
        Neighbour::Queue => dice.weighted(&QUEUE),
        Neighbour::Secrets => dice.weighted(&SECRETS),
    }
}

/// Whether a neighbour that is away answers like that.
fn is_outage(how: How) -> bool {
    matches!(how, How::Refused(500..) | How::NoConnection | How::Silent | How::LostAnswer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_draws_the_same_faults_again() {
        let draw = |seed| Faults::draw(&mut Dice::new(seed), 20, Duration::from_mins(30), Duration::from_mins(10));
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        assert!(draw(5).0.is_sorted_by_key(|fault| fault.at));
    }

    #[test]
    fn every_kind_is_drawn() {
        let mut dice = Dice::new(1);
        let drawn = Faults::draw(&mut dice, 4000, Duration::from_mins(30), Duration::from_hours(24));
        let kinds: BTreeSet<String> = drawn.0.iter().map(|fault| fault.wrong.kind()).collect();
        let calls = TEAMS.len() + TABLE.len() + PAGERDUTY.len() + QUEUE.len() + SECRETS.len();
        // Crashes, cold starts, neighbours that are away, webhooks, the rest.
        assert_eq!(kinds.len(), calls + 3 + 2 + NEIGHBOURS.len() + 3 + 6 + ROTATED.len(), "{kinds:#?}");
    }
}
