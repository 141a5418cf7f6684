//! One happening, told twice: by a webhook, and by PagerDuty's own log, which is read for what webhooks have not told.
//!
//! Nothing in the two says that they are one: their ids differ, webhooks have milliseconds where the log has whole seconds, and not
//! all that the one says is in the other. So both are kept, and what is shown and told is the webhook's entries and those of the log
//! that have no twin among them. Two notes with the same words stay two, since an entry has one twin at most.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::ids::EventId;
use crate::incident::{Actor, FOUND_LIMIT, Happening, IncidentRecord, LOG_LIMIT, LogEntry, Status};

/// How far apart the two times of one happening may be.
const APART: SignedDuration = SignedDuration::from_secs(5);

/// What a note that PagerDuty has shortened ends with.
const CUT: [&str; 2] = ["…", "..."];

/// Something that happened, however it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'a> {
    /// As it is shown: as the webhook tells it, if there was one.
    pub entry: &'a LogEntry,
    /// The entry of PagerDuty's log that tells the same.
    pub twin: Option<&'a LogEntry>,
}

impl<'a> Told<'a> {
    /// The entries that tell of it.
    pub fn ids(self) -> impl Iterator<Item = &'a EventId> {
        [Some(self.entry), self.twin].into_iter().flatten().map(|entry| &entry.id)
    }

    /// As PagerDuty's log tells it; `None`: it does not, as far as is known.
    #[must_use]
    pub fn by_log(self) -> Option<&'a LogEntry> {
        self.twin.or_else(|| Some(self.entry).filter(|entry| entry.id.is_of_log()))
    }
}

impl IncidentRecord {
    /// All entries, of webhooks and of PagerDuty's log, twins included.
    pub fn entries(&self) -> impl Iterator<Item = &LogEntry> {
        self.log.iter().chain(&self.found)
    }

    /// The newest [`LOG_LIMIT`] things that happened, the oldest first, each once.
    #[must_use]
    pub fn happenings(&self) -> Vec<Told<'_>> {
        let log: Vec<&LogEntry> = self.log.iter().collect();
        let found = self.found_once();
        let pairs = pairs(&log, &found);
        let twin = |index: usize| pairs.iter().find(|(ours, _)| *ours == index).and_then(|(_, its)| found.get(*its));
        let has_twin: BTreeSet<usize> = pairs.iter().map(|(_, its)| *its).collect();
        let alone = found.iter().enumerate().filter(|(index, _)| !has_twin.contains(index)).map(|(_, entry)| *entry);
        let alone = alone.filter(|entry| self.happened_by_itself(entry)).map(|entry| Told { entry, twin: None });
        let told = log.iter().enumerate().map(|(index, entry)| Told { entry, twin: twin(index).copied() });
        // Of a time that the other side does not remember any more nobody knows whether it was told there.
        let told = told.filter(|told| told.twin.is_some() || !is_forgotten(told.entry.at, &self.found, FOUND_LIMIT));
        let alone = alone.filter(|told| !is_forgotten(told.entry.at, &self.log, LOG_LIMIT));
        let mut all: Vec<Told<'_>> = told.chain(alone).collect();
        // Within a second the log has no order that is documented, and an end comes last.
        all.sort_by_key(|told| (told.entry.at, told.entry.what.status() == Some(Status::Resolved), told.entry));
        all.split_off(all.len().saturating_sub(LOG_LIMIT))
    }

    /// What PagerDuty's log says of the change into this status: of the one at `changed_at`, or else of the newest of all, if webhooks
    /// have not told of it.
    pub(crate) fn found_to_be(&self, status: Status, changed_at: Option<Timestamp>) -> Option<&LogEntry> {
        let is_it = |entry: &&LogEntry| entry.what.status() == Some(status);
        match changed_at {
            Some(at) => self.found.iter().filter(is_it).rfind(|entry| are_close(entry.at, at)),
            None => {
                let changes = self.happenings().into_iter().map(|told| told.entry);
                let newest = changes.rev().find(|entry| entry.what.status().is_some());
                newest.filter(is_it).filter(|entry| entry.id.is_of_log())
            }
        }
    }

    /// Read again, an entry may have other words, since notes can be edited.
    fn found_once(&self) -> Vec<&LogEntry> {
        let mut ids = BTreeSet::new();
        let mut once: Vec<&LogEntry> = self.found.iter().rev().filter(|entry| ids.insert(&entry.id)).collect();
        once.reverse();
        once
    }

    /// Whether it is more than a part of something else: the log also says to whom an incident went that was opened, opened again
    /// or given on, of which webhooks tell once.
    fn happened_by_itself(&self, entry: &LogEntry) -> bool {
        let gives = |what: &Happening| {
            matches!(what, Happening::Reopened | Happening::Escalated { .. } | Happening::Delegated { .. })
        };
        let began_at = self.state().and_then(|state| state.created_at);
        let is_part = || {
            began_at.is_some_and(|at| are_close(at, entry.at))
                || self.entries().any(|other| gives(&other.what) && are_close(other.at, entry.at))
        };
        !matches!(entry.what, Happening::Reassigned { .. }) || !is_part()
    }
}

/// Which of the one list tells the same as which of the other, the closest in time first.
fn pairs(log: &[&LogEntry], found: &[&LogEntry]) -> Vec<(usize, usize)> {
    let of = |ours: usize, one: &LogEntry| {
        let twins = found.iter().enumerate().filter(|(_, other)| tell_the_same(one, other));
        twins.map(|(its, other)| (distance(one.at, other.at), ours, its)).collect::<Vec<_>>()
    };
    let mut candidates: Vec<_> = log.iter().enumerate().flat_map(|(ours, one)| of(ours, one)).collect();
    candidates.sort_unstable();
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (_, ours, its) in candidates {
        if pairs.iter().all(|(one, other)| *one != ours && *other != its) {
            pairs.push((ours, its));
        }
    }
    pairs
}

/// Whether a list that is full may have had entries of this time.
fn is_forgotten(at: Timestamp, list: &BTreeSet<LogEntry>, limit: usize) -> bool {
    let oldest = list.first().filter(|_| list.len() >= limit);
    oldest.is_some_and(|oldest| at < oldest.at.checked_add(APART).unwrap_or(Timestamp::MAX))
}

fn tell_the_same(one: &LogEntry, found: &LogEntry) -> bool {
    are_close(one.at, found.at)
        && may_be_one(one.by.as_ref(), found.by.as_ref())
        && say_the_same(&one.what, &found.what)
}

fn are_close(one: Timestamp, other: Timestamp) -> bool {
    distance(one, other) <= APART
}

fn distance(one: Timestamp, other: Timestamp) -> SignedDuration {
    one.duration_since(other).abs()
}

/// Only people have the same id everywhere.
fn may_be_one(one: Option<&Actor>, other: Option<&Actor>) -> bool {
    let user = |actor: Option<&Actor>| actor.and_then(|actor| actor.user.clone());
    user(one).zip(user(other)).is_none_or(|(one, other)| one == other)
}

/// `found`: as PagerDuty's log says it, which may leave out anything.
fn say_the_same(one: &Happening, found: &Happening) -> bool {
    use Happening as H;
    match (one, found) {
        (H::Note { content: one }, H::Note { content: other })
        | (H::StatusUpdate { message: one }, H::StatusUpdate { message: other }) => are_same_words(one, other),
        (H::Escalated { to: one }, H::Escalated { to: other })
        | (H::Reassigned { to: one }, H::Reassigned { to: other }) => are_same_people(one, other),
        (H::PriorityChanged { to: one }, H::PriorityChanged { to: other }) => one == other,
        (H::ServiceChanged { to: one }, H::ServiceChanged { to: other }) => {
            one == other || one.is_empty() || other.is_empty()
        }
        (H::ResponderAdded { who: one, .. }, H::ResponderAdded { who: other, .. }) => are_same(one, other),
        (
            H::ResponderReplied { who: one, reply: said, .. },
            H::ResponderReplied { who: other, reply: also_said, .. },
        ) => are_same(one, other) && are_same_replies(said, also_said),
        _ => one.event_type() == found.event_type(),
    }
}

fn are_same<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    one.as_ref().zip(other.as_ref()).is_none_or(|(one, other)| one == other)
}

/// The log's words may be cut, or missing.
fn are_same_words(one: &str, found: &str) -> bool {
    let (one, found) = (one.trim(), found.trim());
    let beginning = CUT.iter().find_map(|cut| found.strip_suffix(cut));
    found.is_empty() || one == found || beginning.is_some_and(|beginning| one.starts_with(beginning.trim_end()))
}

/// The one may list all who have the incident, the other those who were added.
fn are_same_people(one: &[String], other: &[String]) -> bool {
    let has_all = |all: &[String], some: &[String]| some.iter().all(|person| all.contains(person));
    has_all(one, other) || has_all(other, one)
}

/// REST's words and those of webhooks differ.
fn are_same_replies(one: &str, other: &str) -> bool {
    let word = |reply: &str| if reply == "joined" { "accepted".to_owned() } else { reply.to_owned() };
    one == "replied" || other == "replied" || word(one) == word(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{AccountId, IncidentId, PdUserId};
    use crate::incident::IncidentEvent;

    fn record(id: &str, millis: i64, by: Option<&str>, what: Happening) -> IncidentRecord {
        let event = IncidentEvent {
            id: EventId::new(id).unwrap(),
            occurred_at: Timestamp::from_millisecond(millis).ok(),
            incident: IncidentId::new("I").unwrap(),
            by: by.map(|id| Actor { user: PdUserId::new(id).ok(), name: id.to_owned() }),
            snapshot: None,
            what: Some(what),
        };
        IncidentRecord::from_event(AccountId::new("A").unwrap(), event, Timestamp::UNIX_EPOCH)
    }

    fn merged(records: impl IntoIterator<Item = IncidentRecord>) -> IncidentRecord {
        records.into_iter().reduce(IncidentRecord::merge).unwrap()
    }

    fn shown(record: &IncidentRecord) -> Vec<&str> {
        record.happenings().into_iter().map(|told| told.entry.id.as_str()).collect()
    }

    fn note(content: &str) -> Happening {
        Happening::Note { content: content.to_owned() }
    }

    #[test]
    fn what_may_be_the_same_is_one_and_what_cannot_be_is_two() {
        use Happening as H;
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let replied =
            |reply: &str| H::ResponderReplied { who: Some("Eve".to_owned()), reply: reply.to_owned(), message: None };
        let added = |who: Option<&str>| H::ResponderAdded { who: who.map(str::to_owned), message: None };
        let priority = |to: Option<&str>| H::PriorityChanged { to: to.map(str::to_owned) };
        let update = |message: &str| H::StatusUpdate { message: message.to_owned() };
        for (webhook, found, is_one) in [
            (note("on it"), note(" on it\n"), true),
            (note("on it"), note("on it too"), false),
            (note("on it, and more"), note("on it…"), true),
            (note("on it, and more"), note("on it, ..."), true),
            (note("on it, and more"), note("on it"), false),
            (note("on it"), note(""), true),
            (note("on it"), update("on it"), false),
            (update("soon"), update("soon"), true),
            (update("soon"), update("later"), false),
            (H::Acknowledged, H::Acknowledged, true),
            (H::Acknowledged, H::Resolved { merged_into: None }, false),
            (H::Resolved { merged_into: Some("7".to_owned()) }, H::Resolved { merged_into: None }, true),
            (H::Escalated { to: names(&["A", "B"]) }, H::Escalated { to: names(&["B", "A"]) }, true),
            (H::Escalated { to: names(&["A", "B"]) }, H::Escalated { to: names(&["B"]) }, true),
            (H::Escalated { to: names(&["A"]) }, H::Escalated { to: names(&["B"]) }, false),
            (H::Reassigned { to: names(&["A"]) }, H::Escalated { to: names(&["A"]) }, false),
            (H::Delegated { to: Some("Night".to_owned()) }, H::Delegated { to: None }, true),
            (priority(Some("P1")), priority(Some("P1")), true),
            (priority(Some("P1")), priority(Some("P2")), false),
            (priority(Some("P1")), priority(None), false),
            (H::ServiceChanged { to: "Shop".to_owned() }, H::ServiceChanged { to: String::new() }, true),
            (added(Some("Eve")), added(Some("Eve")), true),
            (added(Some("Eve")), added(None), true),
            (added(Some("Eve")), added(Some("Ada")), false),
            (replied("accepted"), replied("joined"), true),
            (replied("accepted"), replied("replied"), true),
            (replied("accepted"), replied("declined"), false),
        ] {
            let both = [
                record("E1", 10_400, Some("P1"), webhook.clone()),
                record("log:Q1", 10_000, Some("P1"), found.clone()),
            ];
            assert_eq!(shown(&merged(both)).len() == 1, is_one, "{webhook:?} {found:?}");
        }
    }

    #[test]
    fn twins_are_close_and_by_the_same_person() {
        let webhook = |by| record("E1", 10_400, by, Happening::Acknowledged);
        for (by, also_by, seconds, is_one) in [
            (Some("P1"), Some("P1"), 10, true),
            (Some("P1"), Some("P1"), 6, true),
            (Some("P1"), Some("P1"), 5, false),
            (Some("P1"), Some("P1"), 15, true),
            (Some("P1"), Some("P1"), 16, false),
            (Some("P1"), Some("P2"), 10, false),
            (Some("P1"), None, 10, true),
            (None, Some("P1"), 10, true),
        ] {
            let found = record("log:Q1", seconds * 1000, also_by, Happening::Acknowledged);
            let both = merged([webhook(by), found]);
            assert_eq!(shown(&both).len() == 1, is_one, "{by:?} {also_by:?} {seconds}");
            assert_eq!(both.happenings().into_iter().any(|told| told.twin.is_some()), is_one);
        }
    }

    #[test]
    fn an_assignment_that_is_part_of_something_else_is_not_shown() {
        let given =
            |id: &str, second: i64| record(id, second * 1000, None, Happening::Reassigned { to: vec!["A".to_owned()] });
        let known = |what: Happening| merged([given("log:Q1", 100), record("log:Q2", 101_000, None, what)]);
        assert_eq!(shown(&known(Happening::Reopened)), ["log:Q2"]);
        assert_eq!(shown(&known(Happening::Escalated { to: Vec::new() })), ["log:Q2"]);
        assert_eq!(shown(&known(Happening::Delegated { to: None })), ["log:Q2"]);
        assert_eq!(shown(&known(Happening::Acknowledged)), ["log:Q1", "log:Q2"]);
        assert_eq!(shown(&known(note("x"))), ["log:Q1", "log:Q2"]);
        let webhook = merged([given("E1", 100), record("log:Q2", 101_000, None, Happening::Reopened)]);
        assert_eq!(shown(&webhook), ["E1", "log:Q2"], "webhooks tell of what people must hear");
    }

    #[test]
    fn within_a_second_of_the_log_the_end_comes_last() {
        let one = |id: &str, what| record(id, 10_000, None, what);
        let both = merged([
            one("log:Q1", Happening::Resolved { merged_into: None }),
            one("log:Q2", Happening::Acknowledged),
            one("log:Q3", note("fixed")),
        ]);
        assert_eq!(shown(&both), ["log:Q2", "log:Q3", "log:Q1"]);
        assert_eq!(both.found_to_be(Status::Resolved, None).unwrap().id.as_str(), "log:Q1");
    }

    #[test]
    fn what_was_edited_since_it_was_found_is_shown_once() {
        let both = [record("log:Q1", 10_000, None, note("on it")), record("log:Q1", 10_000, None, note("on it!"))];
        assert_eq!(shown(&merged(both)), ["log:Q1"]);
    }

    #[test]
    fn an_entry_whose_webhook_is_forgotten_does_not_come_back() {
        let webhooks = |from: i64| {
            (from..)
                .take(LOG_LIMIT)
                .map(|n| record(&format!("E{n}"), n * 10_000 + 400, None, note(&format!("note {n}"))))
        };
        let known = merged(webhooks(1));
        for second in [0, 12] {
            let of_the_forgotten = record("log:Q0", second * 1000, None, note("note 0"));
            assert_eq!(known.clone().merge(of_the_forgotten).happenings(), known.happenings(), "{second}");
        }
        let found = (1_i64..).take(FOUND_LIMIT).map(|n| record(&format!("log:Q{n}"), n * 10_000, None, note("same")));
        let found = merged(found);
        let late = record("E0", 400, None, note("note 0"));
        assert_eq!(found.clone().merge(late).happenings(), found.happenings(), "it was found, and told, before those");
        let (alone, lost) = (merged(webhooks(1).skip(1)), record("log:Q0", 5_000, None, note("lost")));
        assert!(shown(&alone.merge(lost)).contains(&"log:Q0"), "where there is room it was never told");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// Whatever comes of the two, and in whatever order, each happening is shown once, and as the webhook tells it.
        #[test]
        fn each_happening_is_shown_once(
            happened in prop::collection::vec((0_i64..20, 0_i64..999, any::<bool>(), any::<bool>()), 1..FOUND_LIMIT),
            seed in any::<prop::sample::Index>(),
        ) {
            let mut second = 1_000;
            let (mut all, mut expected) = (Vec::new(), Vec::new());
            for (number, (later, millis, webhook, log)) in happened.into_iter().enumerate() {
                second += later;
                let (webhook, words) = (webhook || !log, note(&format!("note {number}")));
                expected.push(if webhook { format!("E{number}") } else { format!("log:Q{number}") });
                all.extend(webhook.then(|| record(&format!("E{number}"), second * 1000 + millis, None, words.clone())));
                all.extend(log.then(|| record(&format!("log:Q{number}"), second * 1000, None, words)));
            }
            let from = seed.index(all.len());
            all.rotate_left(from);
            let record = merged(all.iter().chain(all.iter().step_by(2)).cloned());
            let mut shown = shown(&record);
            shown.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(shown, expected);
        }
    }
}
