//! What people did through Teams, and what has come of it in PagerDuty.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use simulators::pagerduty::{History, LogRow};

use super::{Breach, Broken};

/// A line has the time of the process that wrote it; `faults` lets no clock be off by more.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(60);
/// What PagerDuty was asked to do in time may be done a little later than the answer was given up.
const LATER: SignedDuration = SignedDuration::from_secs(60);

/// What PagerDuty does of itself after a deed, it does at once: whoever acknowledges what is over opens it again, and whoever opens an
/// incident for themselves has it.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);

/// What somebody can do to an incident through Teams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Acknowledge,
    Resolve,
    Note,
    /// Opening one.
    Open,
}

/// What somebody has typed: a note, or a new incident's title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    Nothing,
    This(String),
    /// It is not known what.
    Anything,
}

/// What somebody was told of their click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// That it is done.
    Done,
    /// That nothing was done.
    Nothing,
    /// Neither, or nothing at all.
    Unclear,
}

/// Somebody has asked for something once, however often they or Teams have sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    pub begun: Timestamp,
    pub ended: Timestamp,
    /// Their name, for whoever reads of a breach.
    pub who: String,
    /// Who they are in PagerDuty, if they may have been linked at some time during it, and the place may have been connected.
    pub user: Option<String>,
    /// What it can have asked for.
    pub deeds: Vec<Deed>,
    /// The incident that it names; `None`: those that its card or dialog shows, or a new one.
    pub incident: Option<String>,
    pub says: Says,
    pub told: Told,
}

/// Something that was done in PagerDuty for the product.
struct Effect<'a> {
    case: &'a History,
    row: &'a LogRow,
    deed: Option<Deed>,
}

/// What was done twice, by the wrong person or by nobody, and what somebody was told that is not so.
#[must_use]
pub fn acts(cases: &[History], clicks: &[Click]) -> Vec<Breach> {
    let effects = effects(cases);
    let mut used: BTreeSet<(usize, &str)> = BTreeSet::new();
    let mut breaches = Vec::new();
    for effect in &effects {
        let id = effect.case.id.as_str();
        let mut asked = clicks.iter().enumerate().filter(|(_, click)| click.explains(effect)).map(|(index, _)| index);
        let is_free = |index: &usize| match clicks.get(*index) {
            // Many incidents, but each of them once.
            Some(Click { incident: None, says: Says::Nothing, .. }) => !used.contains(&(*index, id)),
            _ => used.iter().all(|(known, _)| known != index),
        };
        let all: Vec<usize> = asked.by_ref().collect();
        // Whoever was told that nothing was done asks again, and then it is.
        let likely = |index: &usize| clicks.get(*index).map(|click| (click.told == Told::Nothing, click.ended));
        match all.iter().copied().filter(is_free).min_by_key(likely) {
            Some(index) => {
                used.insert((index, id));
            }
            None => {
                let what = if all.is_empty() { Broken::WrongPerson } else { Broken::DoubleAct };
                breaches.push(Breach { what, how: effect.told() });
            }
        }
    }
    for (index, click) in clicks.iter().enumerate() {
        let acted = used.iter().any(|(known, _)| *known == index);
        breaches.extend(click.untrue(acted, &effects, cases).map(|how| Breach { what: Broken::Untrue, how }));
    }
    breaches
}

fn effects(cases: &[History]) -> Vec<Effect<'_>> {
    let rows = cases.iter().flat_map(|case| case.log.iter().map(move |row| (case, row)));
    let mut effects: Vec<Effect<'_>> = rows.filter(|(_, row)| row.over_rest).filter_map(of_row).collect();
    effects.sort_by_key(|effect| effect.row.at);
    effects
}

/// `None`: it has come with another row.
fn of_row<'a>((case, row): (&'a History, &'a LogRow)) -> Option<Effect<'a>> {
    let deed = match row.kind.as_str() {
        "acknowledge_log_entry" => Some(Deed::Acknowledge),
        "resolve_log_entry" => Some(Deed::Resolve),
        "annotate_log_entry" => Some(Deed::Note),
        "trigger_log_entry" => Some(Deed::Open),
        _ => None,
    };
    let beside = |kind: &str, from: Timestamp, to: Timestamp| {
        let is_it = |other: &&LogRow| other.over_rest && other.user == row.user && other.kind == kind;
        case.log.iter().filter(is_it).any(|other| (from..=to).contains(&other.at))
    };
    let comes_along = match row.kind.as_str() {
        "reopen_log_entry" => beside("acknowledge_log_entry", row.at, row.at + AT_ONCE),
        "acknowledge_log_entry" => beside("trigger_log_entry", row.at - AT_ONCE, row.at),
        _ => false,
    };
    (!comes_along).then_some(Effect { case, row, deed })
}

impl Effect<'_> {
    fn told(&self) -> String {
        let LogRow { at, kind, user, text, .. } = self.row;
        let user = user.as_deref().unwrap_or("nobody");
        format!("{kind} of #{} by {user} at {at} was asked for by no click of theirs: {text:?}", self.case.number)
    }

    /// A note's text, or a new incident's title.
    fn text(&self) -> Option<&str> {
        match self.deed {
            Some(Deed::Open) => self.case.versions.first().map(|first| first.title.as_str()),
            _ => self.row.text.as_deref(),
        }
    }
}

impl Click {
    fn explains(&self, effect: &Effect<'_>) -> bool {
        let is_in_time = (self.begun..=self.ended + LATER).contains(&effect.row.at);
        is_in_time && self.asks_for(effect)
    }

    fn asks_for(&self, effect: &Effect<'_>) -> bool {
        let says_it = match effect.deed {
            Some(Deed::Note | Deed::Open) => match &self.says {
                Says::This(text) => effect.text().is_some_and(|said| said.trim() == text.trim()),
                Says::Anything => true,
                Says::Nothing => false,
            },
            _ => true,
        };
        self.user.is_some()
            && self.user == effect.row.user
            && effect.deed.is_some_and(|deed| self.deeds.contains(&deed))
            && self.incident.as_ref().is_none_or(|id| *id == effect.case.id)
            && says_it
    }

    /// Whether the incident was like that already, whoever did it, and however: what is merged into another one is resolved.
    fn is_so(&self, cases: &[History]) -> bool {
        let case = self.incident.as_ref().and_then(|id| cases.iter().find(|case| case.id == *id));
        let versions = || case.into_iter().flat_map(|case| &case.versions).filter(|version| version.at <= self.ended);
        self.deeds.iter().any(|deed| match deed {
            Deed::Resolve => versions().any(|version| version.status == "resolved"),
            Deed::Acknowledge => versions().any(|version| version.status == "acknowledged"),
            Deed::Note | Deed::Open => false,
        })
    }

    /// What they were told that is not so. `acted`: whether something has come of it.
    fn untrue(&self, acted: bool, effects: &[Effect<'_>], cases: &[History]) -> Option<String> {
        let Self { who, deeds, incident, ended, .. } = self;
        match self.told {
            // It may have been done by an earlier click of theirs.
            Told::Done if !acted => {
                let done = effects.iter().any(|effect| effect.row.at <= *ended && self.asks_for(effect));
                (!done && !self.is_so(cases))
                    .then(|| format!("{who} was told at {ended} that {deeds:?} of {incident:?} is done, and it is not"))
            }
            Told::Nothing if acted => {
                Some(format!("{who} was told at {ended} that {deeds:?} of {incident:?} is not done, and it is"))
            }
            Told::Done | Told::Nothing | Told::Unclear => None,
        }
    }
}

/// Something that somebody did through Teams or on the configuration page, and that the audit is to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub begun: Timestamp,
    pub ended: Timestamp,
    /// How the line begins.
    pub words: &'static str,
    /// What it was.
    pub what: String,
}

/// Which of them have no line in the audit. A line is one change's.
#[must_use]
pub fn unaudited(changes: &[Change], audit: &[(Timestamp, String, String)]) -> Vec<Breach> {
    let mut left: Vec<&(Timestamp, String, String)> = audit.iter().collect();
    let mut breaches = Vec::new();
    for change in changes {
        let is_it = |(at, _, text): &&(Timestamp, String, String)| {
            (change.begun - CLOCKS_DIFFER..=change.ended + LATER + CLOCKS_DIFFER).contains(at)
                && text.starts_with(change.words)
        };
        match left.iter().position(is_it) {
            Some(line) => {
                left.remove(line);
            }
            None => {
                let how =
                    format!("{} at {} has no line that begins with {:?}", change.what, change.begun, change.words);
                breaches.push(Breach { what: Broken::Unaudited, how });
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{at, case, did};
    use super::*;

    fn click(begun: i64, user: Option<&str>, deed: Deed, text: Option<&str>, told: Told) -> Click {
        Click {
            begun: at(begun),
            ended: at(begun + 3),
            who: "Ada".to_owned(),
            user: user.map(str::to_owned),
            deeds: vec![deed],
            incident: (deed != Deed::Open).then(|| "Q1".to_owned()),
            says: text.map_or(Says::Nothing, |text| Says::This(text.to_owned())),
            told,
        }
    }

    fn broken(log: &[LogRow], clicks: &[Click]) -> Vec<Broken> {
        let history = History { log: log.to_vec(), ..case(1, &[(0, "triggered")]) };
        acts(&[history], clicks).into_iter().map(|breach| breach.what).collect()
    }

    #[test]
    fn a_click_acts_once_and_as_the_one_who_clicked() {
        use Broken::{DoubleAct, WrongPerson};
        use Deed::{Acknowledge, Note, Open, Resolve};
        let taken = |second, user| did(second, "acknowledge", user, None);
        let note = |second, text| did(second, "annotate", Some("ADA"), Some(text));
        let ack = |user| click(10, user, Acknowledge, None, Told::Unclear);
        let says = |text| click(10, Some("ADA"), Note, Some(text), Told::Unclear);
        let opens = click(10, Some("ADA"), Open, Some("Disk is full"), Told::Unclear);
        let own = [did(11, "trigger", Some("ADA"), None), did(11, "acknowledge", Some("ADA"), None)];
        let on_its_page = LogRow { over_rest: false, ..taken(11, Some("BEN")) };
        for (what, log, clicks, expected) in [
            ("a click", vec![taken(11, Some("ADA"))], vec![ack(Some("ADA"))], vec![]),
            ("nobody has clicked", vec![taken(11, Some("ADA"))], vec![], vec![WrongPerson]),
            ("somebody else has", vec![taken(11, Some("BEN"))], vec![ack(Some("ADA"))], vec![WrongPerson]),
            ("as the app", vec![taken(11, None)], vec![ack(Some("ADA"))], vec![WrongPerson]),
            ("not linked", vec![taken(11, Some("ADA"))], vec![ack(None)], vec![WrongPerson]),
            ("another deed", vec![did(11, "resolve", Some("ADA"), None)], vec![ack(Some("ADA"))], vec![WrongPerson]),
            ("before the click", vec![taken(9, Some("ADA"))], vec![ack(Some("ADA"))], vec![WrongPerson]),
            ("in PagerDuty", vec![on_its_page], vec![], vec![]),
            (
                "two people",
                vec![taken(11, Some("ADA")), taken(11, Some("BEN"))],
                vec![ack(Some("ADA")), ack(Some("BEN"))],
                vec![],
            ),
            ("a note", vec![note(11, "It burns")], vec![says(" It burns")], vec![]),
            ("twice", vec![note(11, "It burns"), note(12, "It burns")], vec![says("It burns")], vec![DoubleAct]),
            ("two clicks", vec![note(11, "a"), note(12, "a")], vec![says("a"), says("a")], vec![]),
            ("another text", vec![note(11, "a")], vec![says("b")], vec![WrongPerson]),
            (
                "it was over",
                vec![did(11, "reopen", Some("ADA"), None), taken(11, Some("ADA"))],
                vec![ack(Some("ADA"))],
                vec![],
            ),
            ("reopened alone", vec![did(11, "reopen", Some("ADA"), None)], vec![ack(Some("ADA"))], vec![WrongPerson]),
            ("opened for oneself", own.to_vec(), vec![opens.clone()], vec![]),
            (
                "opened under another title",
                own.to_vec(),
                vec![Click { says: Says::This("x".to_owned()), ..opens }],
                vec![WrongPerson],
            ),
            (
                "resolved",
                vec![did(11, "resolve", Some("ADA"), None)],
                vec![click(10, Some("ADA"), Resolve, None, Told::Done)],
                vec![],
            ),
        ] {
            assert_eq!(broken(&log, &clicks), expected, "{what}");
        }
    }

    #[test]
    fn a_storms_button_takes_each_incident_once() {
        let all = Click { incident: None, ..click(10, Some("ADA"), Deed::Acknowledge, None, Told::Unclear) };
        let row = |second| did(second, "acknowledge", Some("ADA"), None);
        let of = |number, log: Vec<LogRow>| History { log, ..case(number, &[(0, "triggered")]) };
        let once = [of(1, vec![row(11)]), of(2, vec![row(12)])];
        assert_eq!(acts(&once, std::slice::from_ref(&all)), []);
        let twice = [of(1, vec![row(11), row(12)])];
        assert_eq!(acts(&twice, &[all]).len(), 1);
    }

    #[test]
    fn what_somebody_is_told_is_so() {
        let taken = did(11, "acknowledge", Some("ADA"), None);
        let earlier = did(5, "acknowledge", Some("ADA"), None);
        let before = click(4, Some("ADA"), Deed::Acknowledge, None, Told::Unclear);
        let told = |told| click(10, Some("ADA"), Deed::Acknowledge, None, told);
        for (what, log, clicks, expected) in [
            ("done, and it is", vec![taken.clone()], vec![told(Told::Done)], 0),
            ("done, and it is not", vec![], vec![told(Told::Done)], 1),
            ("done by a click before", vec![earlier], vec![before, told(Told::Done)], 0),
            ("not done, and it is not", vec![], vec![told(Told::Nothing)], 0),
            ("not done, and it is", vec![taken.clone()], vec![told(Told::Nothing)], 1),
            (
                "not done, and by the next click it is",
                vec![taken.clone()],
                vec![told(Told::Nothing), told(Told::Done)],
                0,
            ),
            ("nothing certain", vec![taken], vec![told(Told::Unclear)], 0),
        ] {
            let broken = broken(&log, &clicks);
            assert_eq!(broken, vec![Broken::Untrue; expected], "{what}");
        }
    }

    #[test]
    fn each_change_has_its_line() {
        let line = |second, text: &str| (at(second), "Ada".to_owned(), text.to_owned());
        let change = |begun| Change {
            begun: at(begun),
            ended: at(begun + 3),
            words: "connected the service",
            what: "a connection".to_owned(),
        };
        let known = line(12, "connected the service Payments to a channel");
        for (what, changes, audit, expected) in [
            ("its line", vec![change(10)], vec![known.clone()], 0),
            ("none", vec![change(10)], vec![], 1),
            ("another one", vec![change(10)], vec![line(12, "disconnected the service Payments")], 1),
            ("by a clock that is behind", vec![change(60)], vec![known.clone()], 0),
            ("an older one", vec![change(80)], vec![known.clone()], 1),
            ("one for two", vec![change(10), change(11)], vec![known], 1),
        ] {
            assert_eq!(unaudited(&changes, &audit).len(), expected, "{what}");
        }
    }
}
