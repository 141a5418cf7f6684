//! Catching up with PagerDuty by lists: which one is asked for next, and what a list has told.
//!
//! PagerDuty's paging ends at 10,000 entries, and what leaves a list meanwhile draws others over the edge between two pages. So a
//! list is narrowed by when its incidents were opened, and goes on from the last one that was seen. Lists say whole seconds, and it
//! is not documented whether their edges are in: they overlap by a second.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::forward;
use crate::ids::IncidentId;

/// PagerDuty takes at most six months at once (REST docs, "List incidents").
const SPAN: SignedDuration = SignedDuration::from_hours(150 * 24);

const SECOND: SignedDuration = SignedDuration::from_secs(1);

const LONGEST_SWEEP: SignedDuration = SignedDuration::from_hours(2);

/// A part of a list: what was opened in this time, from this entry on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub since: Timestamp,
    pub until: Timestamp,
    pub offset: u32,
}

/// The way through all open incidents, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    pub began_at: Timestamp,
    /// What was opened later is done.
    pub until: Timestamp,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub offset: u32,
    /// When the oldest open incident was opened; `None`: PagerDuty has to be asked.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub oldest: Option<Timestamp>,
    /// How many pages are done.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub pages: u32,
}

impl Sweep {
    /// After a first page that has not shown all of them. `opened`: when those on it were opened, the newest first.
    #[must_use]
    pub fn begin(now: Timestamp, opened: &[Timestamp]) -> Self {
        let last = opened.last().filter(|_| are_newest_first(opened));
        let until = later(*last.unwrap_or(&now), SECOND);
        Self { began_at: now, until, offset: 0, oldest: None, pages: 1 }
    }

    /// Whether it has taken too long to be worth going on: much has happened behind it, and what its pages have shown is forgotten.
    #[must_use]
    pub fn is_too_old(&self, now: Timestamp) -> bool {
        now.duration_since(self.began_at) > LONGEST_SWEEP
    }

    /// What is asked for next.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { since: earlier(self.until, SPAN), until: self.until, offset: self.offset }
    }

    /// What comes after a page, the newest first. `opened`: when those were opened of which that could be read, of so many `rows`;
    /// `more`: whether the span has others; `oldest`: when the oldest open incident of all was opened. `None`: that was all.
    #[must_use]
    pub fn after(self, opened: &[Timestamp], rows: usize, more: bool, oldest: Timestamp) -> Option<Self> {
        let since = self.span().since;
        let pages = self.pages.saturating_add(1);
        let next = Self { oldest: Some(oldest), pages, ..self };
        if !more {
            return (since > oldest).then_some(Self { until: since, offset: 0, ..next });
        }
        let last = opened.last().filter(|_| are_newest_first(opened));
        match last.map(|last| later(*last, SECOND)) {
            Some(last) if last < next.until => Some(Self { until: last, offset: 0, ..next }),
            // So many in one second, none of them can be read, or they are in no order.
            _ => Some(Self { offset: next.offset.saturating_add(count(rows).max(1)), ..next }),
        }
    }
}

/// Incidents that a list must have shown if it has them: looked for by when they were opened, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    left: BTreeSet<(Timestamp, IncidentId)>,
    from: Option<(Timestamp, u32)>,
    unlisted: Vec<IncidentId>,
}

impl Missing {
    /// With when each was opened; of whom that is not known can only be asked for by itself.
    #[must_use]
    pub fn new(wanted: impl IntoIterator<Item = (IncidentId, Option<Timestamp>)>) -> Self {
        let mut missing = Self::default();
        for (id, opened) in wanted {
            match opened {
                Some(opened) => _ = missing.left.insert((opened, id)),
                None => missing.unlisted.push(id),
            }
        }
        missing
    }

    /// What is asked for next; `None`: there is nothing to be found in lists any more.
    #[must_use]
    pub fn span(&self, now: Timestamp) -> Option<Span> {
        let first = earlier(self.left.first()?.0, SECOND);
        let (since, offset) = self.from.filter(|(from, _)| *from >= first).unwrap_or((first, 0));
        Some(Span { since, until: later(since, SPAN).min(later(now, SECOND)).max(since), offset })
    }

    /// Notes what a list has shown for the span: who was in it, and whether there is `more`.
    pub fn shown(&mut self, span: Span, page: &[(IncidentId, Option<Timestamp>)], more: bool) {
        let found: BTreeSet<&IncidentId> = page.iter().map(|(id, _)| id).collect();
        self.left.retain(|(_, id)| !found.contains(id));
        self.unlisted.retain(|id| !found.contains(id));
        let opened: Vec<Timestamp> = page.iter().filter_map(|(_, opened)| *opened).collect();
        let last = opened.last().copied().filter(|_| are_oldest_first(&opened));
        let passed = match (more, last) {
            (true, Some(last)) if last > span.since => {
                self.from = Some((last, 0));
                earlier(last, SECOND)
            }
            // So many in one second, or they are in no order.
            (true, _) if !page.is_empty() => {
                self.from = Some((span.since, span.offset.saturating_add(count(page.len()))));
                return;
            }
            _ => {
                self.from = None;
                span.until
            }
        };
        let (over, left) = std::mem::take(&mut self.left).into_iter().partition(|(opened, _)| *opened < passed);
        self.left = left;
        let over: BTreeSet<(Timestamp, IncidentId)> = over;
        self.unlisted.extend(over.into_iter().map(|(_, id)| id));
        if !more && self.span(span.until).is_some_and(|next| next == span) {
            // Opened later than the list says what now is: only PagerDuty's clock knows.
            self.unlisted.extend(std::mem::take(&mut self.left).into_iter().map(|(_, id)| id));
        }
    }

    /// Those that no list has shown. Each has to be asked for by itself.
    #[must_use]
    pub fn unlisted(&self) -> &[IncidentId] {
        &self.unlisted
    }

    /// Those that were not looked for yet, or in vain.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left.is_empty() && self.unlisted.is_empty()
    }
}

/// When incidents are asked for again that PagerDuty does not show to the app (any more): it deleted them, or hides them. They stay
/// open here, so each is asked for less and less often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    #[serde(default, deserialize_with = "forward::or_default")]
    ids: BTreeMap<IncidentId, Again>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Again {
    at: Timestamp,
    minutes: u32,
}

/// More than so many are forgotten, the ones first that are asked for last.
const MOST_HIDDEN: usize = 2_000;
const FIRST_PAUSE: u32 = 30;
const LONGEST_PAUSE: u32 = 24 * 60;

impl Hidden {
    /// Whether an incident is to be left alone now.
    #[must_use]
    pub fn waits(&self, id: &IncidentId, now: Timestamp) -> bool {
        self.ids.get(id).is_some_and(|again| now < again.at)
    }

    /// Notes that PagerDuty does not show it.
    pub fn note(&mut self, id: &IncidentId, now: Timestamp) {
        let minutes = self.ids.get(id).map_or(FIRST_PAUSE, |again| again.minutes.saturating_mul(2).min(LONGEST_PAUSE));
        self.ids.insert(id.clone(), Again { at: later(now, SignedDuration::from_mins(minutes.into())), minutes });
        if self.ids.len() > MOST_HIDDEN
            && let Some(last) = self.ids.iter().max_by_key(|(_, again)| again.at).map(|(id, _)| id.clone())
        {
            self.ids.remove(&last);
        }
    }

    /// Forgets those that are not open here any more.
    pub fn keep(&mut self, open: impl Fn(&IncidentId) -> bool) {
        self.ids.retain(|id, _| open(id));
    }
}

/// Whether a list has the order that was asked for. If it has not, only its pages one after another show all of it.
#[must_use]
pub fn are_oldest_first(opened: &[Timestamp]) -> bool {
    opened.is_sorted()
}

fn are_newest_first(opened: &[Timestamp]) -> bool {
    opened.iter().rev().is_sorted()
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_795_424_400;
    const DAY: i64 = 24 * 60 * 60;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(number: usize) -> IncidentId {
        IncidentId::new(format!("P{number}")).unwrap()
    }

    /// What a list of PagerDuty shows of incidents that were opened then.
    fn list(
        all: &[(IncidentId, Timestamp)],
        span: Span,
        size: usize,
        newest: bool,
    ) -> (Vec<(IncidentId, Timestamp)>, bool) {
        let mut found: Vec<_> =
            all.iter().filter(|(_, opened)| span.since <= *opened && *opened <= span.until).cloned().collect();
        found.sort_by_key(|(_, opened)| *opened);
        if newest {
            found.reverse();
        }
        let offset = span.offset as usize;
        let more = found.len() > offset + size;
        (found.into_iter().skip(offset).take(size).collect(), more)
    }

    fn incidents() -> impl Strategy<Value = Vec<(IncidentId, Timestamp)>> {
        // Some in the same seconds, some years apart.
        let ages = prop_oneof![0_i64..20, 0_i64..5_000, (0_i64..8).prop_map(|age| age * 120 * DAY)];
        prop::collection::vec(ages, 0..60)
            .prop_map(|ages| ages.into_iter().enumerate().map(|(number, age)| (id(number), at(NOW - age))).collect())
    }

    proptest! {
        #[test]
        fn a_sweep_comes_by_every_open_incident(all in incidents(), size in 1_usize..9) {
            let mut newest = all.clone();
            newest.sort_by_key(|(_, opened)| std::cmp::Reverse(*opened));
            let oldest = newest.last().map_or(at(NOW), |(_, opened)| *opened);
            let first: Vec<_> = newest.iter().take(size).cloned().collect();
            let mut seen: BTreeSet<IncidentId> = first.iter().map(|(id, _)| id.clone()).collect();
            let opened: Vec<_> = first.iter().map(|(_, opened)| *opened).collect();
            let mut sweep = (all.len() > size).then(|| Sweep::begin(at(NOW), &opened));
            let mut asked = 0;
            while let Some(going) = sweep {
                let (page, more) = list(&all, going.span(), size, true);
                seen.extend(page.iter().map(|(id, _)| id.clone()));
                // Of some the time cannot be read.
                let legible = page.iter().enumerate().filter(|(row, _)| !(row + asked).is_multiple_of(3));
                let opened: Vec<_> = legible.map(|(_, (_, opened))| *opened).collect();
                sweep = going.after(&opened, page.len(), more, oldest);
                asked += 1;
                prop_assert!(asked <= 4 * all.len() + 10);
            }
            prop_assert_eq!(seen.len(), all.len());
        }

        #[test]
        fn what_is_missing_is_found_where_it_is_listed_and_never_asked_for_more_often_than_one_by_one(
            all in incidents(), missing in prop::collection::vec(0_usize..80, 0..40), size in 1_usize..9,
        ) {
            let wanted: BTreeSet<usize> = missing.into_iter().collect();
            let opened = |number: usize| all.get(number).map_or(Some(at(NOW - 77)), |(_, opened)| Some(*opened));
            let mut missing = Missing::new(wanted.iter().map(|number| (id(*number), opened(*number))));
            let (mut found, mut asked) = (BTreeSet::new(), 0);
            while let Some(span) = missing.span(at(NOW)) {
                let (page, more) = list(&all, span, size, false);
                found.extend(page.iter().map(|(id, _)| id.clone()));
                let page: Vec<_> = page.into_iter().map(|(id, opened)| (id, Some(opened))).collect();
                missing.shown(span, &page, more);
                asked += 1;
                prop_assert!(asked <= 2 * all.len() + 10);
            }
            for number in wanted {
                let (is_listed, is_left) = (number < all.len(), missing.unlisted().contains(&id(number)));
                prop_assert_eq!(is_listed, !is_left, "{}", number);
                prop_assert_eq!(is_listed, found.contains(&id(number)), "{}", number);
            }
        }
    }

    fn a_second_apart(count: usize) -> Vec<(IncidentId, Timestamp)> {
        (0..count).map(|number| (id(number), at(NOW - 2_000 + i64::try_from(number).unwrap()))).collect()
    }

    #[test]
    fn a_thousand_missing_ones_take_as_many_lists_as_they_have_pages_in_whatever_order() {
        let all = a_second_apart(1_100);
        for in_order in [true, false] {
            let mut missing = Missing::new(all.iter().map(|(id, opened)| (id.clone(), Some(*opened))));
            let mut asked = 0;
            while let Some(span) = missing.span(at(NOW)) {
                let (page, more) = list(&all, span, 100, !in_order);
                let page: Vec<_> = page.into_iter().map(|(id, opened)| (id, Some(opened))).collect();
                missing.shown(span, &page, more);
                asked += 1;
            }
            assert!(missing.is_empty() && asked <= 12, "{asked}");
        }
    }

    #[test]
    fn a_sweep_comes_by_every_open_incident_also_if_they_are_in_no_order() {
        let all = a_second_apart(1_100);
        let opened: Vec<_> = all.iter().take(100).map(|(_, opened)| *opened).collect();
        let (mut sweep, mut seen) = (Some(Sweep::begin(at(NOW), &opened)), BTreeSet::new());
        while let Some(going) = sweep {
            let (page, more) = list(&all, going.span(), 100, false);
            let opened: Vec<_> = page.iter().map(|(_, opened)| *opened).collect();
            seen.extend(page.into_iter().map(|(id, _)| id));
            sweep = going.after(&opened, opened.len(), more, at(NOW - 2_000));
        }
        assert_eq!(seen.len(), 1_100);
    }

    #[test]
    fn what_is_hidden_is_asked_for_less_and_less_often() {
        let mut hidden = Hidden::default();
        let mut now = at(NOW);
        for minutes in [30, 60, 120, 240, 480, 960, 1440, 1440] {
            assert!(!hidden.waits(&id(1), now), "{minutes}");
            hidden.note(&id(1), now);
            let then = later(now, SignedDuration::from_mins(minutes));
            assert!(hidden.waits(&id(1), earlier(then, SECOND)) && !hidden.waits(&id(1), then), "{minutes}");
            now = then;
        }
        assert!(!hidden.waits(&id(2), now));
        for number in 0..2 * MOST_HIDDEN {
            hidden.note(&id(number), now);
        }
        assert!(hidden.ids.len() <= MOST_HIDDEN);
        hidden.keep(|known| known == &id(100));
        assert_eq!(hidden.ids.keys().collect::<Vec<_>>(), [&id(100)]);
    }
}
