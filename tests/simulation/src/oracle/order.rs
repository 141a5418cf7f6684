//! Whether a card ever went back in time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use simulators::pagerduty::{History, Version};

use super::card::{Look, Shown};
use super::lost::{card_is, row_is};
use super::seen::{Post, Seen};
use super::{Breach, Broken};

/// An edit that Teams has given up: it may take effect later, even after a newer one. (message, when)
pub type GivenUp = (String, Timestamp);

/// What went back, or showed what never was.
#[must_use]
pub fn backward(cases: &[History], seen: &Seen, given_up: &[GivenUp]) -> Vec<Breach> {
    let cases: BTreeMap<u64, &History> = cases.iter().map(|case| (case.number, case)).collect();
    seen.0.iter().flat_map(|post| of_post(&cases, post, given_up)).collect()
}

fn of_post(cases: &BTreeMap<u64, &History>, post: &Post, given_up: &[GivenUp]) -> Vec<Breach> {
    // The newest state that each incident surely was shown in.
    let mut reached: BTreeMap<u64, usize> = BTreeMap::new();
    let mut excuses: Vec<Timestamp> =
        given_up.iter().filter(|(message, _)| *message == post.id).map(|(_, at)| *at).collect();
    let mut breaches = Vec::new();
    for (at, look) in &post.looks {
        let shown: Vec<(&Shown, Fits)> = match look {
            Look::Incident(card) => vec![(card, card_is)],
            Look::Storm(storm) => storm.rows.iter().map(|row| (row, row_is as Fits)).collect(),
            Look::Left(_) | Look::Other => Vec::new(),
        };
        let mut wrong = Vec::new();
        for (shown, fits) in shown {
            let versions = cases.get(&shown.number).map(|case| case.versions.as_slice()).unwrap_or_default();
            let from = reached.get(&shown.number).copied().unwrap_or(0);
            match next(versions, from, shown, fits) {
                Ok(index) => {
                    reached.insert(shown.number, index);
                }
                Err(why) => wrong.push(format!("message {} in {} at {at} {why}: {shown:?}", post.id, post.channel)),
            }
        }
        // All of a message goes back at once.
        let excuse = excuses.iter().position(|given_up| given_up <= at);
        match excuse {
            Some(excuse) if !wrong.is_empty() => {
                excuses.remove(excuse);
            }
            _ => breaches.extend(wrong.into_iter().map(|how| Breach { what: Broken::Backward, how })),
        }
    }
    breaches
}

type Fits = fn(&Shown, &Version) -> bool;

/// PagerDuty's REST gives times in seconds: nobody can tell which of two answers of the same second is the newer one.
const SAME: SignedDuration = SignedDuration::from_secs(1);

/// The first state from there on that is shown: an incident may come back to a state, so the earliest leaves the most open.
fn next(versions: &[Version], from: usize, shown: &Shown, fits: Fits) -> Result<usize, &'static str> {
    let reached = versions.get(from).map(|version| version.at);
    let is_as_new = |version: &Version| reached.is_some_and(|at| at.duration_since(version.at) < SAME);
    let from = versions.iter().position(is_as_new).unwrap_or(from);
    let later = versions.iter().enumerate().skip(from).find(|(_, version)| fits(shown, version));
    match later {
        Some((index, _)) => Ok(index),
        None if versions.iter().take(from).any(|version| fits(shown, version)) => Err("went back"),
        None => Err("shows what never was"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{at, card, case, post, seen, shown};
    use super::super::card::{Counted, Storm};
    use super::*;

    #[test]
    fn a_card_never_goes_back() {
        let (on, taken, over) = ("triggered", "acknowledged", "resolved");
        let once = [(0, on), (5, taken), (10, over)];
        let again = [(0, on), (5, taken), (10, on), (15, taken)];
        for (what, states, looks, given_up, expected) in [
            ("each state", &once[..], &[on, taken, over][..], &[][..], 0),
            ("one left out", &once, &[on, over], &[], 0),
            ("the same twice", &once, &[taken, taken], &[], 0),
            ("back", &once, &[on, taken, on], &[], 1),
            ("back and on", &once, &[taken, on, over], &[], 1),
            ("taken twice", &again, &[on, taken, on, taken], &[], 0),
            ("taken once more than it was", &again, &[on, taken, on, taken, on], &[], 1),
            ("what never was", &once[..2], &[on, over], &[], 1),
            ("an edit that was given up took effect late", &once, &[taken, on, over], &[1], 0),
            ("two did", &once, &[taken, on, on, over], &[1, 1], 0),
            ("one was given up and two went back", &once, &[taken, on, on, over], &[1], 1),
            ("one was given up afterwards", &once, &[taken, on, over], &[90], 1),
        ] {
            let looks: Vec<(i64, Look)> = looks.iter().zip(20..).map(|(status, at)| (at, card(1, status))).collect();
            let given_up: Vec<GivenUp> = given_up.iter().map(|second| ("m".to_owned(), at(*second))).collect();
            let breaches = backward(&[case(1, states)], &seen(&[post("m", &looks)]), &given_up);
            assert_eq!(breaches.len(), expected, "{what}: {breaches:?}");
        }
    }

    #[test]
    fn nor_does_a_row() {
        let storm = |status: &str| {
            let rows = vec![shown(1, status)];
            Look::Storm(Box::new(Storm { id: None, counted: Counted::default(), rows }))
        };
        let case = case(1, &[(0, "triggered"), (5, "acknowledged")]);
        for (looks, expected) in [(["triggered", "acknowledged"], 0), (["acknowledged", "triggered"], 1)] {
            let looks: Vec<(i64, Look)> = looks.iter().zip(20..).map(|(status, at)| (at, storm(status))).collect();
            let breaches = backward(std::slice::from_ref(&case), &seen(&[post("m", &looks)]), &[]);
            assert_eq!(breaches.len(), expected, "{breaches:?}");
        }
    }
}
