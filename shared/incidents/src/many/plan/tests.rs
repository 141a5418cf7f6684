use domain::ids::{PdUserId, ServiceId};
use domain::incident::{ServiceRef, Snapshot, Urgency};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn id(number: usize) -> IncidentId {
    IncidentId::new(format!("Q{number}")).unwrap()
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<IncidentId> {
    numbers.into_iter().map(id).collect()
}

fn bob() -> Actor {
    Actor { user: Some(PdUserId::new("PBOB").unwrap()), name: "Bob".to_owned() }
}

fn incident(number: usize, status: Status) -> RestIncident {
    RestIncident {
        id: id(number),
        updated_at: Timestamp::UNIX_EPOCH,
        snapshot: Snapshot {
            number: 1,
            title: String::new(),
            status,
            urgency: Urgency::High,
            priority: None,
            service: ServiceRef { id: ServiceId::new("S").unwrap(), name: String::new() },
            escalation_policy: None,
            assignees: Vec::new(),
            html_url: String::new(),
            created_at: None,
            merged_into: None,
        },
        status_changed: (status != Status::Triggered).then(|| (Timestamp::UNIX_EPOCH, Some(bob()))),
    }
}

fn trouble(class: Class) -> OneOutcome {
    OneOutcome::Failed(Trouble { class, message: "no".to_owned() })
}

/// What is asked for, if everything is done.
fn asked(mut writing: Writing) -> Vec<Vec<IncidentId>> {
    std::iter::from_fn(|| writing.next()).map(|part| part.ids().to_vec()).collect()
}

#[test]
fn what_is_seen_decides_what_is_asked_for() {
    use Status::{Acknowledged, Resolved, Triggered};
    let already = || Some(OneOutcome::AlreadyAcknowledged { by: Some(bob()) });
    let resolved = || Some(OneOutcome::ResolvedMeanwhile);
    let asks = None;
    for (kind, seen, expected) in [
        (DeedKind::Acknowledge, &[Triggered][..], asks.clone()),
        (DeedKind::Acknowledge, &[Acknowledged], already()),
        (DeedKind::Acknowledge, &[Resolved], resolved()),
        (DeedKind::Resolve, &[Triggered], asks.clone()),
        (DeedKind::Resolve, &[Acknowledged], asks.clone()),
        (DeedKind::Resolve, &[Resolved], resolved()),
        // The later word is the newer one.
        (DeedKind::Acknowledge, &[Triggered, Acknowledged], already()),
        (DeedKind::Acknowledge, &[Acknowledged, Triggered], asks),
        (DeedKind::Acknowledge, &[], Some(OneOutcome::NotMine)),
    ] {
        let mut reading = Reading::of(kind, &ids([7]));
        for status in seen {
            // Others are in the list as well.
            reading.saw(&[incident(8, Triggered), incident(7, *status)]);
        }
        assert_eq!(reading.has_begun(), !seen.is_empty());
        assert_eq!(reading.missing(), ids(seen.is_empty().then_some(7)));
        let writing = reading.ended(&OneOutcome::NotMine);
        let fits = expected.is_none();
        assert_eq!(
            writing.left.iter().map(|part| part.ids.clone()).collect::<Vec<_>>().concat(),
            ids(fits.then_some(7))
        );
        let outcome = expected.unwrap_or(OneOutcome::NotInTime);
        assert_eq!(writing.outcomes(), [(id(7), outcome)], "{kind:?} {seen:?}");
    }
}

#[test]
fn one_that_is_not_shown_is_not_visible_or_not_read() {
    for (class, expected) in [
        (Class::Gone, OneOutcome::NotVisible),
        (Class::Forbidden, OneOutcome::NotVisible),
        (Class::Invalid, trouble(Class::Invalid)),
        (Class::Retry { after: None }, trouble(Class::Retry { after: None })),
    ] {
        let mut reading = Reading::of(DeedKind::Acknowledge, &ids([7]));
        reading.could_not_see(&id(7), Trouble { class, message: "no".to_owned() });
        assert_eq!(reading.missing(), []);
        assert_eq!(reading.ended(&OneOutcome::NotInTime).outcomes(), [(id(7), expected)]);
    }
}

#[test]
fn they_are_asked_for_by_the_hundred_in_their_order_and_each_once() {
    let order: Vec<usize> = (0..230).rev().chain([7, 229]).collect();
    let mut reading = Reading::of(DeedKind::Acknowledge, &ids(order));
    reading.saw(&(0..230).map(|number| incident(number, Status::Triggered)).collect::<Vec<_>>());
    let asked = asked(reading.ended(&OneOutcome::NotInTime));
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 30]);
    assert_eq!(asked.concat(), ids((0..230).rev()));
}

fn writing(count: usize) -> Writing {
    let mut reading = Reading::of(DeedKind::Acknowledge, &ids(0..count));
    reading.saw(&(0..count).map(|number| incident(number, Status::Triggered)).collect::<Vec<_>>());
    reading.ended(&OneOutcome::NotInTime)
}

fn outcomes(writing: Writing) -> Vec<OneOutcome> {
    writing.outcomes().into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn what_stops_the_first_call_is_told_of_all() {
    let (unclear, failed) = (OneOutcome::Unclear, OneOutcome::Failed(Class::Retry { after: None }.into()));
    let limited = trouble(Class::Retry { after: Some(std::time::Duration::from_secs(7)) });
    for (reply, first, others) in [
        (Reply::Undone(OneOutcome::NotInTime), OneOutcome::NotInTime, OneOutcome::NotInTime),
        (Reply::Undone(limited.clone()), limited.clone(), limited),
        (Reply::Unclear, unclear, failed),
    ] {
        let mut writing = writing(150);
        let part = writing.next().unwrap();
        writing.answered(part, reply);
        assert!(writing.next().is_none(), "nothing more is asked for");
        let outcomes = outcomes(writing);
        assert!(outcomes[..100].iter().all(|outcome| *outcome == first), "{outcomes:?}");
        assert!(outcomes[100..].iter().all(|outcome| *outcome == others), "{outcomes:?}");
    }
}

#[test]
fn halves_wait_for_the_rest_and_what_was_forbidden_to_many_is_told_so() {
    for (why, left) in [
        (trouble(Class::Forbidden), trouble(Class::Forbidden)),
        (trouble(Class::Invalid), OneOutcome::NotInTime),
        (OneOutcome::NotVisible, OneOutcome::NotInTime),
    ] {
        let mut writing = writing(103);
        let part = writing.next().unwrap();
        writing.answered(part, Reply::Refused(why));
        let part = writing.next().unwrap();
        assert_eq!(part.ids(), ids(100..103));
        writing.answered(part, Reply::Done);
        let part = writing.next().unwrap();
        assert_eq!(part.ids(), ids(0..50));
        writing.answered(part, Reply::Undone(OneOutcome::NotInTime));
        let outcomes = outcomes(writing);
        assert!(outcomes[..100].iter().all(|outcome| *outcome == left), "{outcomes:?}");
        assert!(outcomes[100..].iter().all(|outcome| *outcome == OneOutcome::Done), "{outcomes:?}");
    }
}

fn any_reply() -> impl Strategy<Value = Reply> {
    (0..9).prop_map(|choice| match choice {
        0..3 => Reply::Done,
        3 => Reply::Refused(OneOutcome::NotVisible),
        4 => Reply::Refused(trouble(Class::Invalid)),
        5 => Reply::Refused(trouble(Class::Forbidden)),
        6 => Reply::Refused(OneOutcome::AlreadyAcknowledged { by: None }),
        7 => Reply::Undone(OneOutcome::NotInTime),
        _ => Reply::Unclear,
    })
}

fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Triggered), Just(Status::Acknowledged), Just(Status::Resolved)]
}

proptest! {
    #[test]
    fn each_has_one_outcome_whatever_pagerduty_says(
        candidates in proptest::collection::vec(0_usize..300, 0..260),
        seen in proptest::collection::vec((0_usize..300, any_status()), 0..300),
        replies in proptest::collection::vec(any_reply(), 0..40),
    ) {
        let mut once = BTreeSet::new();
        let expected = ids(candidates.iter().copied().filter(|number| once.insert(*number)));
        let mut reading = Reading::of(DeedKind::Acknowledge, &ids(candidates.iter().copied()));
        let found: Vec<RestIncident> = seen.into_iter().map(|(number, status)| incident(number, status)).collect();
        for page in found.chunks(100) {
            reading.saw(page);
        }
        let mut writing = reading.ended(&OneOutcome::NotInTime);
        for reply in replies {
            let Some(part) = writing.next() else { break };
            prop_assert!(!part.ids().is_empty() && part.ids().len() <= CHUNK);
            writing.answered(part, reply);
        }
        let (told, outcomes): (Vec<IncidentId>, Vec<OneOutcome>) = writing.outcomes().into_iter().unzip();
        prop_assert_eq!(told, expected);
        prop_assert!(!outcomes.contains(&OneOutcome::NotMine));
    }

    #[test]
    fn whatever_spoils_a_call_spoils_nothing_else(
        count in 1_usize..260,
        bad in proptest::collection::btree_set(0_usize..260, 0..12),
    ) {
        let bad: BTreeSet<IncidentId> = bad.into_iter().filter(|number| *number < count).map(id).collect();
        let mut writing = writing(count);
        let mut calls = 0;
        while let Some(part) = writing.next() {
            calls += 1;
            let spoilt = part.ids().iter().any(|id| bad.contains(id));
            writing.answered(part, if spoilt { Reply::Refused(OneOutcome::NotVisible) } else { Reply::Done });
        }
        for (id, outcome) in writing.outcomes() {
            let expected = if bad.contains(&id) { OneOutcome::NotVisible } else { OneOutcome::Done };
            prop_assert_eq!(outcome, expected, "{}", id);
        }
        // A hundred is halved seven times.
        prop_assert!(calls <= count.div_ceil(CHUNK) + bad.len() * 14, "{} calls", calls);
    }
}
