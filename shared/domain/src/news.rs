//! How far PagerDuty's log has been read, and what is read next.
//!
//! The log is listed for a time, page by page, and no list reaches beyond 10,000 entries: where there are more, the time is halved.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Readings overlap: clocks differ, and an entry may be listed a moment after it was made.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);

/// How far back the first reading goes, and any reading at most.
const FIRST: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// PagerDuty has whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A time of which the log is read, and how far. All before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Where its next page starts.
    pub offset: u32,
    /// Whether all of it has been read.
    pub is_done: bool,
}

/// What a page says about what comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Another page, which starts there.
    Page(u32),
    /// Nothing of this time.
    Nothing,
    /// More than PagerDuty lists.
    TooMuch,
}

impl Reading {
    /// What a look reads first: what the last one has left, or what is new.
    #[must_use]
    pub fn begun(last: Option<Self>, now: Timestamp) -> Self {
        let back = |from: Timestamp, by| from.checked_sub(by).unwrap_or(Timestamp::MIN);
        match last {
            None => Self::new(back(now, FIRST), now),
            Some(left) if left.until < back(now, LONGEST) => Self::new(back(now, LONGEST), now),
            Some(left) if left.is_done => Self::new(back(left.until.min(now), OVERLAP), now),
            Some(left) => left,
        }
    }

    fn new(since: Timestamp, now: Timestamp) -> Self {
        let whole = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        let until = whole(now).checked_add(SECOND).unwrap_or(now);
        Self { since: whole(since), until, offset: 0, is_done: false }
    }

    /// The same after a page.
    #[must_use]
    pub fn after(self, page: After) -> Self {
        match page {
            After::Page(offset) => Self { offset, ..self },
            After::Nothing => Self { is_done: true, ..self },
            After::TooMuch => {
                let half = self.until.duration_since(self.since).as_secs() / 2;
                let until = self.since.checked_add(SignedDuration::from_secs(half)).unwrap_or(self.until);
                // What cannot be had of a second is left out: what comes after it can.
                if half == 0 { Self { is_done: true, ..self } } else { Self { until, offset: 0, ..self } }
            }
        }
    }

    /// What comes after it in the same look, which began at `began`; `None`: nothing.
    #[must_use]
    pub fn next(self, began: Timestamp) -> Option<Self> {
        if !self.is_done {
            return Some(self);
        }
        if self.until >= began {
            return None;
        }
        let rest = Self::new(self.until, began);
        // Where so much happens, it goes on in steps.
        let step = self.until.duration_since(self.since).max(SECOND).saturating_mul(2);
        Some(Self { until: rest.since.checked_add(step).unwrap_or(rest.until).min(rest.until), ..rest })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_400 + second).unwrap()
    }

    fn reading(since: i64, until: i64, offset: u32, is_done: bool) -> Reading {
        Reading { since: at(since), until: at(until), offset, is_done }
    }

    const DAY: i64 = 86_400;

    #[test]
    fn a_look_begins_where_the_last_one_stopped() {
        for (name, last, expected) in [
            ("the first one", None, reading(-DAY, 1, 0, false)),
            ("all was read", Some(reading(-900, -300, 200, true)), reading(-600, 1, 0, false)),
            ("all was read a moment ago", Some(reading(-900, 1, 0, true)), reading(-300, 1, 0, false)),
            ("it broke off", Some(reading(-900, -300, 200, false)), reading(-900, -300, 200, false)),
            ("after three days", Some(reading(-4 * DAY, -3 * DAY, 0, true)), reading(-3 * DAY - 300, 1, 0, false)),
            ("after a month", Some(reading(-31 * DAY, -30 * DAY, 0, true)), reading(-7 * DAY, 1, 0, false)),
            (
                "it broke off a month ago",
                Some(reading(-31 * DAY, -30 * DAY, 100, false)),
                reading(-7 * DAY, 1, 0, false),
            ),
        ] {
            assert_eq!(Reading::begun(last, at(0)), expected, "{name}");
        }
    }

    #[test]
    fn a_page_is_followed_by_the_next_and_a_time_by_what_is_left() {
        let begun = reading(-900, 1, 0, false);
        let more = begun.after(After::Page(100));
        assert_eq!(more, reading(-900, 1, 100, false));
        assert_eq!(more.next(at(0)), Some(more));
        let done = more.after(After::Nothing);
        assert_eq!((done.is_done, done.next(at(0))), (true, None));
        let half = begun.after(After::TooMuch);
        assert_eq!(half, reading(-900, -450, 0, false));
        assert_eq!(half.after(After::Nothing).next(at(0)), Some(reading(-450, 1, 0, false)));
        let quarter = half.after(After::TooMuch).after(After::Nothing);
        assert_eq!(quarter.next(at(0)), Some(reading(-675, -225, 0, false)), "in steps");
        let second = reading(-9, -8, 9_900, false).after(After::TooMuch);
        assert_eq!(second.next(at(0)), Some(reading(-8, -6, 0, false)), "it goes on all the same");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Whatever cannot be read, it costs no more than the second before it and the one after it.
        #[test]
        fn a_second_that_cannot_be_read_stops_nothing(poison in prop::collection::btree_set(0_i64..600, 0..6)) {
            let began = at(600);
            let mut reading = Reading::new(at(0), began);
            let mut read = std::collections::BTreeSet::new();
            for calls in 0.. {
                prop_assert!(calls < 1_000);
                let (first, last) = (reading.since.as_second(), reading.until.as_second());
                let inside = (first..=last).map(|second| second - at(0).as_second());
                let after = if poison.iter().any(|bad| inside.clone().any(|second| second == *bad)) {
                    After::TooMuch
                } else {
                    read.extend(inside);
                    After::Nothing
                };
                match reading.after(after).next(began) {
                    Some(next) => reading = next,
                    None => break,
                }
            }
            let is_near = |second: i64| (second - 1..=second + 1).any(|near| poison.contains(&near));
            for second in (0..=600).filter(|second| !is_near(*second)) {
                prop_assert!(read.contains(&second), "{}", second);
            }
        }

        /// Whatever there is when, each second is read to its end, in few times as many calls as there are pages.
        #[test]
        fn no_second_is_left_out(bursts in prop::collection::btree_map(0_i64..3_600, 1_usize..400, 0..300)) {
            let began = at(3_600);
            let mut reading = Reading { since: at(0), ..Reading::new(at(0), began) };
            let (mut read, mut calls) = (std::collections::BTreeSet::new(), 0);
            let pages = bursts.values().sum::<usize>() / 100 + 10;
            loop {
                calls += 1;
                prop_assert!(calls < 20 * pages, "{} pages", pages);
                let inside = |second: i64| reading.since <= at(second) && at(second) <= reading.until;
                let here = bursts.iter().filter(|(second, _)| inside(**second));
                let (mut total, from) = (0, reading.offset as usize);
                for (second, count) in here {
                    if total < from + 100 && total + count > from {
                        read.insert(*second);
                    }
                    total += count;
                }
                let after = match (total > from + 100, from + 200 <= 10_000) {
                    (false, _) => After::Nothing,
                    (true, true) => After::Page(reading.offset + 100),
                    (true, false) => After::TooMuch,
                };
                match reading.after(after).next(began) {
                    Some(next) => reading = next,
                    None => break,
                }
            }
            prop_assert_eq!(read, bursts.keys().copied().collect());
        }
    }
}
