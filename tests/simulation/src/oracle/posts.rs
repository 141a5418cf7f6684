//! What was posted twice, and what was posted where nothing was connected.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use simulators::pagerduty::History;

use super::card::Look;
use super::places::Places;
use super::seen::{Post, Seen};
use super::{Breach, Broken, Judgement, Reason};
use crate::chronicle::{Became, Event, Function, Neighbour};

/// How long before it was posted a message may have been rendered, where the sender is not known, and how far PagerDuty's times may be
/// ahead: no two of its events are of the same millisecond.
const JUST_BEFORE: SignedDuration = SignedDuration::from_secs(1);

/// How late Teams may show a post that was given up.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// A sender's run, and what went wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    pub begun: Timestamp,
    /// `None`: it is not known to have ended.
    pub ended: Option<Timestamp>,
    pub mishaps: Vec<(Timestamp, Reason)>,
    /// When a new post of its was given up without an answer: Teams may show it later all the same.
    pub unanswered: Vec<Timestamp>,
}

/// Every run of the sender that the chronicle tells of.
#[must_use]
pub fn sendings(events: &[(Timestamp, Event)]) -> Vec<Sending> {
    let mut known: BTreeMap<u64, Sending> = BTreeMap::new();
    for (at, event) in events {
        match event {
            Event::Invoked(id, Function::NotificationSender) => {
                known.insert(*id, Sending { begun: *at, ended: None, mishaps: Vec::new(), unanswered: Vec::new() });
            }
            Event::Called(id, call, became) => {
                let Some(sending) = known.get_mut(id) else { continue };
                let reason = match (call.to, became) {
                    (_, Became::DiedBefore | Became::DiedAfter) => Reason::SenderDied,
                    (Neighbour::Teams, Became::AnswerLost(_)) => Reason::AnswerLost,
                    (Neighbour::Table, Became::AnswerLost(_) | Became::Refused(_)) => Reason::TableAway,
                    _ => continue,
                };
                sending.mishaps.push((*at, reason));
                if reason == Reason::AnswerLost && call.what.ends_with("/v3/conversations") {
                    sending.unanswered.push(*at);
                }
            }
            Event::Ended(id, well) => {
                let Some(sending) = known.get_mut(id) else { continue };
                sending.ended = Some(*at);
                if !well {
                    sending.mishaps.push((*at, Reason::SenderDied));
                }
            }
            _ => {}
        }
    }
    known.into_values().collect()
}

impl Sending {
    fn was_at_work(&self, at: Timestamp) -> bool {
        self.begun <= at && self.ended.is_none_or(|ended| ended >= at)
    }
}

/// What a message is about: one of each is enough in a channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Incident(u64),
    Storm(String),
}

fn about(post: &Post) -> Option<About> {
    post.incident().map(About::Incident).or_else(|| {
        let look = post.looks.iter().find_map(|(_, look)| match look {
            Look::Storm(storm) => storm.id.clone(),
            _ => None,
        });
        look.map(About::Storm)
    })
}

/// Finds what is there twice, and counts what may be.
#[must_use]
pub fn doubles(seen: &Seen, sendings: &[Sending]) -> Judgement {
    let mut judgement = Judgement::default();
    let mut posts: BTreeMap<(&str, About), Vec<&Post>> = BTreeMap::new();
    for post in seen.0.iter().filter(|post| post.root.is_none()) {
        if let Some(about) = about(post) {
            posts.entry((&post.channel, about)).or_default().push(post);
        }
    }
    for ((channel, about), posts) in posts {
        let mut used: BTreeSet<(Timestamp, Reason)> = BTreeSet::new();
        for two in posts.windows(2) {
            let [before, after] = two else { continue };
            // Somebody has deleted the first one, and the channel gets another.
            if before.is_deleted {
                continue;
            }
            match reason(before, after, sendings, &used) {
                Some((at, reason)) => {
                    used.insert((at, reason));
                    *judgement.doubles.entry(reason).or_default() += 1;
                }
                None => {
                    let (first, second) = (before.at, after.at);
                    let how = format!("{about:?} was posted in channel {channel} at {first} and at {second}");
                    judgement.breaches.push(Breach { what: Broken::Double, how });
                }
            }
        }
    }
    judgement
}

/// Why the sender of a message may not have known of it afterwards. Each mishap is a reason once.
fn reason(
    before: &Post,
    after: &Post,
    sendings: &[Sending],
    used: &BTreeSet<(Timestamp, Reason)>,
) -> Option<(Timestamp, Reason)> {
    let at_work = sendings.iter().filter(|sending| sending.was_at_work(before.at));
    let mishaps = at_work.flat_map(|sending| &sending.mishaps).copied();
    let mishaps = mishaps.filter(|(at, _)| (before.at..=after.at).contains(at));
    // One of the two is a post that was given up before, and comes late.
    let late = sendings.iter().flat_map(|sending| &sending.unanswered).map(|at| (*at, Reason::AnswerLost));
    let late = late.filter(|(at, _)| *at <= before.at && before.at.duration_since(*at) < LATE);
    mishaps.chain(late).filter(|mishap| !used.contains(mishap)).min()
}

/// Posts of which their sender may never have heard, and which were not changed since: nobody can find them again. Whatever they say,
/// the truth must be shown beside them.
#[must_use]
pub fn orphans(seen: &Seen, sendings: &[Sending]) -> BTreeSet<String> {
    let is_unheard = |post: &Post| {
        let at_work = sendings.iter().filter(|sending| sending.was_at_work(post.at));
        let mut mishaps = at_work.flat_map(|sending| &sending.mishaps);
        let mut unanswered = sendings.iter().flat_map(|sending| &sending.unanswered);
        mishaps.any(|(at, _)| *at >= post.at)
            || unanswered.any(|at| *at <= post.at && post.at.duration_since(*at) < LATE)
    };
    let unchanged = seen.0.iter().filter(|post| post.root.is_none() && post.changed_at() == post.at);
    unchanged.filter(|post| is_unheard(post)).map(|post| post.id.clone()).collect()
}

/// What was posted where nothing of it was connected when it was rendered.
#[must_use]
pub fn not_connected(cases: &[History], places: &Places, seen: &Seen, sendings: &[Sending]) -> Vec<Breach> {
    let posts = seen.0.iter().filter(|post| post.root.is_none());
    posts.filter_map(|post| misplaced(cases, places, post, sendings)).collect()
}

fn misplaced(cases: &[History], places: &Places, post: &Post, sendings: &[Sending]) -> Option<Breach> {
    let about = about(post)?;
    // A post that may be there already gets one beside it that is true: that step was begun by whoever did not hear of it.
    let has_begun = |sending: &&Sending| {
        let is_recent = sending.begun <= post.at && post.at.duration_since(sending.begun) < LATE;
        sending.was_at_work(post.at) || (is_recent && !sending.mishaps.is_empty())
    };
    let begun = sendings.iter().filter(has_begun).map(|sending| sending.begun);
    let rendered = begun.min().unwrap_or(post.at.checked_sub(JUST_BEFORE).unwrap_or(post.at));
    let mut here = places.of(&post.channel).filter(|period| period.touches(rendered, post.at));
    let is_connected = match &about {
        About::Storm(_) => here.next().is_some(),
        About::Incident(number) => {
            let case = cases.iter().find(|case| case.number == *number);
            let services = |service: &str| {
                let versions = case.map(|case| case.versions.as_slice()).unwrap_or_default();
                versions.iter().any(|version| version.at <= post.at + JUST_BEFORE && version.service == service)
            };
            here.any(|period| services(&period.service))
        }
    };
    (!is_connected).then(|| {
        let how =
            format!("{about:?} was posted in channel {} at {}, which was not connected then", post.channel, post.at);
        Breach { what: Broken::NotConnected, how }
    })
}

/// The edits that Teams has given up, or of which nobody heard what became of them, by their messages.
#[must_use]
pub fn given_up(events: &[(Timestamp, Event)]) -> Vec<super::order::GivenUp> {
    let edits = events.iter().filter_map(|(at, event)| match event {
        Event::Called(_, call, Became::AnswerLost(_) | Became::Answered(504) | Became::Refused(Some(504) | None)) => {
            let is_edit = call.to == Neighbour::Teams && call.what.starts_with("PUT ");
            let message = call.what.rsplit('/').next().filter(|_| is_edit)?;
            Some((message.to_owned(), *at))
        }
        _ => None,
    });
    edits.collect()
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{at, card, case, post, seen};
    use super::super::places::Period;
    use super::*;
    use crate::chronicle::Call;

    fn call(to: Neighbour, what: &str) -> Call {
        Call { function: Function::NotificationSender, to, what: what.to_owned() }
    }

    /// Two cards of one incident, and what the sender of the first one went through in these seconds.
    fn two_cards(events: &[(i64, Event)]) -> Judgement {
        let posts = [post("1", &[(10, card(1, "triggered"))]), post("2", &[(30, card(1, "triggered"))])];
        let events: Vec<_> = events.iter().map(|(second, event)| (at(*second), event.clone())).collect();
        doubles(&seen(&posts), &sendings(&events))
    }

    #[test]
    fn a_second_card_needs_a_reason() {
        let begun = |second| (second, Event::Invoked(7, Function::NotificationSender));
        let teams = |became| Event::Called(7, call(Neighbour::Teams, "POST /v3/conversations"), became);
        let table = |became| Event::Called(7, call(Neighbour::Table, "PutItem"), became);
        let (well, badly) = (Event::Ended(7, true), Event::Ended(7, false));
        for (what, events, expected) in [
            ("nothing is known", vec![], None),
            ("all went well", vec![begun(9), (11, teams(Became::Answered(201))), (12, well.clone())], None),
            (
                "no answer",
                vec![begun(9), (11, teams(Became::AnswerLost(None))), (12, well.clone())],
                Some(Reason::AnswerLost),
            ),
            ("it was refused", vec![begun(9), (11, teams(Became::Refused(Some(500)))), (12, well.clone())], None),
            (
                "a post before had no answer",
                vec![begun(5), (6, teams(Became::AnswerLost(None))), (7, well.clone())],
                Some(Reason::AnswerLost),
            ),
            ("the sender died", vec![begun(9), (12, badly.clone())], Some(Reason::SenderDied)),
            ("it died in the call", vec![begun(9), (11, teams(Became::DiedAfter))], Some(Reason::SenderDied)),
            (
                "the table was away",
                vec![begun(9), (11, table(Became::Refused(None))), (12, well.clone())],
                Some(Reason::TableAway),
            ),
            ("the table was away before", vec![begun(9), (9, table(Became::Refused(None))), (12, well)], None),
            ("another sender died", vec![begun(11), (12, badly.clone())], None),
            ("it died after the second one", vec![begun(9), (31, badly)], None),
        ] {
            let judgement = two_cards(&events);
            assert_eq!(judgement.doubles, expected.map(|reason| (reason, 1)).into_iter().collect(), "{what}");
            assert_eq!(judgement.breaches.len(), usize::from(expected.is_none()), "{what}");
        }
    }

    #[test]
    fn a_reason_is_good_for_one_card_and_a_deleted_one_for_another() {
        let cards = |ids: &[i64]| ids.iter().map(|id| post(&id.to_string(), &[(*id, card(1, "triggered"))])).collect();
        let died = Sending {
            begun: at(9),
            ended: Some(at(25)),
            mishaps: vec![(at(25), Reason::SenderDied)],
            unanswered: Vec::new(),
        };
        let three: Vec<Post> = cards(&[10, 20, 30]);
        let judgement = doubles(&seen(&three), std::slice::from_ref(&died));
        assert_eq!((judgement.breaches.len(), judgement.doubles.len()), (1, 1));
        let mut two: Vec<Post> = cards(&[10, 20]);
        two[0].is_deleted = true;
        assert_eq!(doubles(&seen(&two), &[]), Judgement::default());
        let mut elsewhere: Vec<Post> = cards(&[10, 20]);
        elsewhere[1].channel = "D".to_owned();
        assert_eq!(doubles(&seen(&elsewhere), &[]), Judgement::default());
    }

    #[test]
    fn nothing_new_where_nothing_is_connected() {
        let period = Period::since("S", "C", at(0));
        let gone = Period { ending: Some(at(5)), until: Some(at(6)), ..period.clone() };
        let sending = |begun, ended| {
            vec![Sending { begun: at(begun), ended: Some(at(ended)), mishaps: Vec::new(), unanswered: Vec::new() }]
        };
        for (what, periods, sendings, expected) in [
            ("connected", vec![period.clone()], vec![], 0),
            ("never connected", vec![], vec![], 1),
            ("another service", vec![Period::since("S2", "C", at(0))], vec![], 1),
            ("another channel", vec![Period::since("S", "D", at(0))], vec![], 1),
            ("connected later", vec![Period::since("S", "C", at(50))], vec![], 1),
            ("disconnected before", vec![gone.clone()], vec![], 1),
            ("disconnected while it was sent", vec![gone.clone()], sending(4, 11), 0),
            ("disconnected before it was begun", vec![gone.clone()], sending(8, 11), 1),
            ("another sender was begun before", vec![gone], sending(4, 7), 1),
        ] {
            let places = Places { periods, ..Places::default() };
            let posts = seen(&[post("1", &[(10, card(1, "triggered"))])]);
            let breaches = not_connected(&[case(1, &[(1, "triggered")])], &places, &posts, &sendings);
            assert_eq!(breaches.len(), expected, "{what}: {breaches:?}");
        }
    }

    #[test]
    fn edits_are_given_up() {
        let edit = |became| {
            (at(1), Event::Called(1, call(Neighbour::Teams, "PUT /v3/conversations/19%3Aa/activities/17"), became))
        };
        let posted =
            (at(1), Event::Called(1, call(Neighbour::Teams, "POST /v3/conversations"), Became::AnswerLost(None)));
        let events = [edit(Became::AnswerLost(Some(504))), edit(Became::Answered(200)), posted];
        assert_eq!(given_up(&events), [("17".to_owned(), at(1))]);
    }
}
