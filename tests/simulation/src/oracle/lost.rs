//! Whether each channel shows what PagerDuty has, now that all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use simulators::pagerduty::{History, Version};

use super::card::{Counted, Shown, Storm, says};
use super::places::Places;
use super::seen::{Post, Seen};
use super::{Breach, Broken};

/// How many incidents a breach names.
const NAMED: usize = 10;

/// What is not shown as it is.
#[must_use]
pub fn lost(cases: &[History], places: &Places, seen: &Seen, orphans: &BTreeSet<String>) -> Vec<Breach> {
    let channels = places.channels().into_iter().filter(|channel| !places.unreachable.contains(*channel));
    let judged = |channel| Channel { orphans, ..Channel::new(channel, cases, places, seen) }.judged();
    channels.flat_map(judged).collect()
}

/// Nobody's.
static NONE: BTreeSet<String> = BTreeSet::new();

/// How an incident stands in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its card is true.
    Card,
    /// It must be shown, and has no card that is true.
    Missing,
    /// It may be shown, and has no card that is true.
    Possible,
    /// It is none of the channel's.
    Foreign,
}

struct Channel<'a> {
    id: &'a str,
    cases: &'a [History],
    places: &'a Places,
    posts: Vec<&'a Post>,
    /// Which posts nobody can find again.
    orphans: &'a BTreeSet<String>,
}

impl<'a> Channel<'a> {
    fn new(id: &'a str, cases: &'a [History], places: &'a Places, seen: &'a Seen) -> Self {
        Self { id, cases, places, posts: seen.posts(id).collect(), orphans: &NONE }
    }

    fn judged(&self) -> Vec<Breach> {
        let standings: Vec<(&History, Standing)> = self.cases.iter().map(|case| (case, self.standing(case))).collect();
        let mut breaches: Vec<Breach> = self.cases.iter().filter_map(|case| self.untrue_card(case)).collect();
        let of = |wanted: Standing| standings.iter().filter(move |(_, known)| *known == wanted).map(|(case, _)| *case);
        let missing: Vec<&History> = of(Standing::Missing).filter(|case| !self.is_untrue(case)).collect();
        let storms = self.storms();
        for storm in &storms {
            let rows = storm.rows.iter().filter_map(|row| self.untrue_row(row));
            breaches.extend(rows);
        }
        let possible: Vec<&History> = missing.iter().copied().chain(of(Standing::Possible)).collect();
        let counted = storms.iter().fold(Counted::default(), |all, storm| sum(all, storm.counted));
        let (least, most) = (tally(&missing), Counted { resolved: u64::MAX, ..tally(&possible) });
        if !covers(counted, least) || !covers(most, counted) {
            let rows: Vec<u64> = storms.iter().flat_map(|storm| &storm.rows).map(|row| row.number).collect();
            let nowhere = missing.iter().filter(|case| !rows.contains(&case.number)).map(|case| named(case));
            let nowhere: Vec<String> = nowhere.take(NAMED).collect();
            let how = format!(
                "shows {} incidents nowhere, as [{}], which are {least:?} to {most:?}, and its storms count {counted:?}",
                missing.len(),
                nowhere.join("; ")
            );
            breaches.push(self.lost(&how));
        }
        breaches
    }

    fn standing(&self, case: &History) -> Standing {
        if self.cards(case).any(|card| !card.is_frozen && is_true(card, case)) {
            return Standing::Card;
        }
        let Some(now) = case.versions.last() else { return Standing::Foreign };
        let mut here = self.places.of(self.id).filter(|period| period.service == now.service);
        let is_missing = here.any(|period| {
            let wants = !period.only_high || now.urgency == "high";
            period.lasts_since().is_some_and(|since| wants && last_change(case).is_some_and(|at| at.at > since))
        });
        let was_ever_here =
            case.versions.iter().any(|version| self.places.of(self.id).any(|period| period.service == version.service));
        match (is_missing, was_ever_here) {
            (true, _) => Standing::Missing,
            (false, true) => Standing::Possible,
            (false, false) => Standing::Foreign,
        }
    }

    fn cards(&self, case: &History) -> impl Iterator<Item = &'a Shown> {
        let number = case.number;
        self.posts.iter().filter_map(|post| post.card()).filter(move |card| card.number == number)
    }

    fn findable_cards(&self, case: &History) -> impl Iterator<Item = &'a Shown> {
        let (number, orphans) = (case.number, self.orphans);
        let findable = self.posts.iter().filter(move |post| !orphans.contains(&post.id));
        findable.filter_map(|post| post.card()).filter(move |card| card.number == number)
    }

    /// A card that looks alive and is not true, where no other one is.
    fn untrue_card(&self, case: &History) -> Option<Breach> {
        let card = self.findable_cards(case).filter(|card| !card.is_frozen).last().filter(|_| self.is_untrue(case))?;
        let now = case.versions.last().map(told).unwrap_or_default();
        Some(self.lost(&format!("shows {} as {card:?}, and PagerDuty has it as {now}", named(case))))
    }

    fn is_untrue(&self, case: &History) -> bool {
        let mut alive = self.findable_cards(case).filter(|card| !card.is_frozen).peekable();
        if alive.peek().is_none() || self.cards(case).any(|card| !card.is_frozen && is_true(card, case)) {
            return false;
        }
        // What was over when its service was disconnected is not followed any more, and does not say so.
        let is_followed = case.versions.last().is_some_and(|now| {
            self.places.of(self.id).any(|period| period.service == now.service && period.lasts_since().is_some())
        });
        is_followed || alive.all(|card| card.status != "resolved")
    }

    /// The storms' cards; of one that was posted twice, the card that was changed last.
    fn storms(&self) -> Vec<&'a Storm> {
        let mut known: BTreeMap<&str, &'a Post> = BTreeMap::new();
        for post in &self.posts {
            let Some(storm) = post.storm() else { continue };
            let id = storm.id.as_deref().unwrap_or(&post.id);
            let newer = known.get(id).is_none_or(|other| other.changed_at() <= post.changed_at());
            if newer {
                known.insert(id, post);
            }
        }
        known.into_values().filter_map(Post::storm).collect()
    }

    fn untrue_row(&self, row: &Shown) -> Option<Breach> {
        let case = self.cases.iter().find(|case| case.number == row.number);
        if case.is_some_and(|case| finals(case).iter().any(|version| row_is(row, version))) {
            return None;
        }
        let now = case.and_then(|case| case.versions.last()).map(told).unwrap_or_default();
        Some(self.lost(&format!("has the row {row:?}, and PagerDuty has it as {now}")))
    }

    fn lost(&self, how: &str) -> Breach {
        Breach { what: Broken::Lost, how: format!("channel {} {how}", self.id) }
    }
}

/// The last change that concerns a channel: PagerDuty tells nobody of a new title or urgency, and what is over is not asked for.
fn last_change(case: &History) -> Option<&Version> {
    match case.versions.last() {
        Some(now) if now.status == "resolved" => finals(case).first(),
        now => now,
    }
}

/// The states that a channel may show.
fn finals(case: &History) -> &[Version] {
    let Some(last) = case.versions.len().checked_sub(1) else { return &[] };
    let is_over = case.versions.get(last).is_some_and(|now| now.status == "resolved");
    let quiet = |index: &usize| match (
        index.checked_sub(1).and_then(|before| case.versions.get(before)),
        case.versions.get(*index),
    ) {
        (Some(before), Some(version)) => is_quiet(before, version),
        _ => false,
    };
    let first = if is_over { (0..=last).rev().find(|index| !quiet(index)).unwrap_or(last) } else { last };
    case.versions.get(first..).unwrap_or_default()
}

/// Whether nothing has changed but title or urgency.
fn is_quiet(before: &Version, version: &Version) -> bool {
    let Version { at, title, urgency, .. } = version.clone();
    Version { at, title, urgency, ..before.clone() } == *version
}

fn is_true(card: &Shown, case: &History) -> bool {
    finals(case).iter().any(|version| card_is(card, version))
}

/// Whether a card shows this state.
pub(super) fn card_is(card: &Shown, version: &Version) -> bool {
    let are_theirs = || {
        let names = &version.assignees;
        if card.assignees.len() + card.more_assignees == names.len() {
            return card.assignees.iter().zip(names).all(|(shown, meant)| says(shown, meant));
        }
        // A name that has a comma.
        says(&card.assignees.concat(), &names.concat())
    };
    row_is(card, version)
        && card.is_merged == version.merged_into.is_some()
        && (version.status == "resolved" || are_theirs())
}

/// Whether a row shows this state.
pub(super) fn row_is(row: &Shown, version: &Version) -> bool {
    let priority = match (&row.priority, &version.priority) {
        (Some(shown), Some(meant)) => says(shown, meant),
        (shown, meant) => shown.is_some() == meant.is_some(),
    };
    row.status == version.status
        && row.is_high == (version.urgency == "high")
        && priority
        && says(&row.service, &version.service_name)
        && says(&row.title, &version.title)
}

fn tally(cases: &[&History]) -> Counted {
    let one = |case: &&History| match case.versions.last().map(|now| (now.status, now.urgency.as_str())) {
        Some(("triggered", "high")) => Counted { triggered_high: 1, ..Counted::default() },
        Some(("triggered", _)) => Counted { triggered_low: 1, ..Counted::default() },
        Some(("acknowledged", _)) => Counted { acknowledged: 1, ..Counted::default() },
        Some(_) => Counted { resolved: 1, ..Counted::default() },
        None => Counted::default(),
    };
    cases.iter().map(one).fold(Counted::default(), sum)
}

fn sum(a: Counted, b: Counted) -> Counted {
    Counted {
        triggered_high: a.triggered_high + b.triggered_high,
        triggered_low: a.triggered_low + b.triggered_low,
        acknowledged: a.acknowledged + b.acknowledged,
        resolved: a.resolved + b.resolved,
    }
}

fn covers(a: Counted, b: Counted) -> bool {
    a.triggered_high >= b.triggered_high
        && a.triggered_low >= b.triggered_low
        && a.acknowledged >= b.acknowledged
        && a.resolved >= b.resolved
}

fn named(case: &History) -> String {
    format!("#{} ({})", case.number, case.versions.last().map(told).unwrap_or_default())
}

fn told(version: &Version) -> String {
    let Version { title, status, urgency, priority, service_name, assignees, .. } = version;
    let priority = priority.as_deref().unwrap_or("no priority");
    format!("{status}, {urgency}, {priority}, {service_name}, {}: {title}", assignees.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{at, card, case, post, seen, shown};
    use super::super::card::Look;
    use super::super::places::Period;
    use super::*;

    fn places() -> Places {
        Places { periods: vec![Period::since("S", "C", at(0))], ..Places::default() }
    }

    fn storm(triggered_high: u64, rows: &[Shown]) -> Look {
        let counted = Counted { triggered_high, ..Counted::default() };
        Look::Storm(Box::new(Storm { id: Some("s".to_owned()), counted, rows: rows.to_vec() }))
    }

    fn frozen(number: u64, status: &str) -> Look {
        Look::Incident(Box::new(Shown { is_frozen: true, ..shown(number, status) }))
    }

    #[test]
    fn a_connected_channel_shows_what_is_true() {
        let open = || case(1, &[(5, "triggered")]);
        let taken = || case(1, &[(5, "triggered"), (9, "acknowledged")]);
        let other_title = || {
            let mut renamed = open();
            renamed.versions[0].title = "Disk is empty".to_owned();
            renamed
        };
        let cut = Look::Incident(Box::new(Shown { title: "Disk is…".to_owned(), ..shown(1, "triggered") }));
        let (on, taken_now) = (card(1, "triggered"), card(1, "acknowledged"));
        for (what, case, looks, expected) in [
            ("no card", open(), vec![], 1),
            ("its card", open(), vec![on.clone()], 0),
            ("its title is cut", open(), vec![cut], 0),
            ("another title", other_title(), vec![on.clone()], 1),
            ("an old state", taken(), vec![on.clone()], 1),
            ("an old card and a true one", taken(), vec![on.clone(), taken_now.clone()], 0),
            ("frozen although it is connected", taken(), vec![frozen(1, "acknowledged")], 1),
            ("counted by a storm", open(), vec![storm(1, &[])], 0),
            ("a row", open(), vec![storm(1, &[shown(1, "triggered")])], 0),
            ("a row in an old state", taken(), vec![taken_now.clone(), storm(0, &[shown(1, "triggered")])], 1),
            ("the storm counts too few", open(), vec![storm(0, &[])], 1),
            ("the storm counts too many", open(), vec![storm(2, &[])], 1),
            ("two cards of a storm, the last one is true", open(), vec![storm(7, &[]), storm(1, &[])], 0),
        ] {
            let posts = looks.into_iter().zip(10..).map(|(look, id)| post(&id.to_string(), &[(id, look)]));
            let posts: Vec<Post> = posts.collect();
            let breaches = lost(&[case], &places(), &seen(&posts), &NONE);
            assert_eq!(breaches.len(), expected, "{what}: {breaches:?}");
        }
    }

    #[test]
    fn beside_a_card_that_nobody_can_find_again_the_truth_is_shown() {
        let taken = case(1, &[(5, "triggered"), (9, "acknowledged")]);
        let old = post("10", &[(10, card(1, "triggered"))]);
        let orphans = BTreeSet::from(["10".to_owned()]);
        let counted = Counted { acknowledged: 1, ..Counted::default() };
        let row = Storm { id: Some("s".to_owned()), counted, rows: vec![shown(1, "acknowledged")] };
        let storm = post("11", &[(11, Look::Storm(Box::new(row)))]);
        for (what, posts, orphans, expected) in [
            ("it is alone", vec![old.clone()], &orphans, 1),
            ("there is a row", vec![old.clone(), storm.clone()], &orphans, 0),
            (
                "it could be found, so it is wrong, and its row is one too many",
                vec![old.clone(), storm.clone()],
                &NONE,
                2,
            ),
        ] {
            let breaches = lost(std::slice::from_ref(&taken), &places(), &seen(&posts), orphans);
            assert_eq!(breaches.len(), expected, "{what}: {breaches:?}");
        }
    }

    #[test]
    fn what_a_channel_need_not_show() {
        let low = || {
            let mut low = case(1, &[(5, "triggered")]);
            low.versions[0].urgency = "low".to_owned();
            low
        };
        let moved = || {
            let mut moved = case(1, &[(5, "triggered"), (9, "triggered")]);
            moved.versions[1].service = "S2".to_owned();
            moved
        };
        let open = || case(1, &[(5, "triggered")]);
        let reopened = || case(1, &[(5, "triggered"), (8, "resolved"), (9, "triggered")]);
        let period = Period::since("S", "C", at(0));
        let gone = Period { ending: Some(at(7)), until: Some(at(8)), ..period.clone() };
        let (on, over) = (card(1, "triggered"), card(1, "resolved"));
        for (what, case, period, looks, expected) in [
            ("connected since its last change", open(), Period::since("S", "C", at(6)), vec![], 0),
            ("connected before it", open(), Period::since("S", "C", at(4)), vec![], 1),
            ("not urgent enough", low(), Period { only_high: true, ..period.clone() }, vec![], 0),
            ("of another service", open(), Period::since("S2", "C", at(0)), vec![], 0),
            ("nobody saw that it was connected", open(), Period { from: None, ..period.clone() }, vec![], 0),
            ("disconnected, and the card says so", reopened(), gone.clone(), vec![frozen(1, "triggered")], 0),
            ("disconnected, and it was over then", reopened(), gone.clone(), vec![over.clone()], 0),
            (
                "disconnected, and the card looks alive",
                case(1, &[(5, "triggered"), (9, "resolved")]),
                gone,
                vec![on.clone()],
                1,
            ),
            ("moved away, and the card is not true", moved(), period.clone(), vec![card(1, "acknowledged")], 1),
            ("moved away without a card", moved(), period, vec![], 0),
        ] {
            let posts: Vec<Post> = looks.into_iter().map(|look| post("1", &[(5, look)])).collect();
            let places = Places { periods: vec![period], ..Places::default() };
            let breaches = lost(&[case], &places, &seen(&posts), &NONE);
            assert_eq!(breaches.len(), expected, "{what}: {breaches:?}");
        }
        let places = Places { unreachable: ["C".to_owned()].into(), ..places() };
        assert_eq!(lost(&[open()], &places, &seen(&[]), &NONE), [], "nobody can write there");
    }

    #[test]
    fn what_nobody_is_told_of_need_not_be_shown_when_it_is_over() {
        let mut renamed = case(1, &[(5, "triggered"), (6, "resolved"), (7, "resolved")]);
        renamed.versions[2].title = "Disk was full".to_owned();
        let posts = seen(&[post("1", &[(6, card(1, "resolved"))])]);
        assert_eq!(lost(&[renamed.clone()], &places(), &posts, &NONE), []);
        renamed.versions[2].merged_into = Some("Q2".to_owned());
        assert_eq!(lost(&[renamed], &places(), &posts, &NONE).len(), 1, "that it was merged is told");
    }
}
