use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::{AccountId, EventId};
use crate::incident::{Happening, IncidentEvent, Priority};

const T0: Timestamp = Timestamp::constant(1_795_424_400, 0);

fn at(second: i64) -> Timestamp {
    T0 + SignedDuration::from_secs(second)
}

fn service(number: u64) -> ServiceRef {
    ServiceRef { id: ServiceId::new(format!("S{number}")).unwrap(), name: format!("Service {number}") }
}

fn incident(number: u64) -> IncidentId {
    IncidentId::new(format!("I{number}")).unwrap()
}

fn storm_id() -> StormId {
    StormId::begun_in(7)
}

fn row(number: u64) -> Row {
    Row {
        incident: incident(number),
        number,
        title: "DB down".to_owned(),
        status: Status::Triggered,
        urgency: Urgency::High,
        priority: None,
        service: service(1),
        url: String::new(),
        since: at(0),
        version: RecordVersion(1),
    }
}

fn begun() -> Storm {
    Storm::begun(storm_id(), TeamId::new("19:t").unwrap(), Kind::Storm, at(0))
}

fn snapshot(priority: Option<&str>) -> Snapshot {
    Snapshot {
        number: 7,
        title: "DB down".to_owned(),
        status: Status::Acknowledged,
        urgency: Urgency::Low,
        priority: priority.map(|name| Priority { id: None, name: name.to_owned() }),
        service: service(1),
        escalation_policy: None,
        assignees: Vec::new(),
        html_url: "https://x.pagerduty.com/incidents/I7".to_owned(),
        created_at: Some(at(-60)),
        merged_into: None,
    }
}

fn record(snapshot: Option<Snapshot>) -> IncidentRecord {
    let event = IncidentEvent {
        id: EventId::new("E").unwrap(),
        occurred_at: Some(at(0)),
        incident: incident(7),
        by: None,
        snapshot,
        what: Some(Happening::Acknowledged),
    };
    IncidentRecord::from_event(AccountId::new("A").unwrap(), event, at(0))
}

#[test]
fn a_row_says_what_is_known_of_its_incident() {
    let of = |state: Snapshot, is_over| Row::of(&record(Some(state)), RecordVersion(3), is_over, at(9)).unwrap();
    let known = Row {
        status: Status::Acknowledged,
        urgency: Urgency::Low,
        priority: Some("P2".to_owned()),
        url: "https://x.pagerduty.com/incidents/I7".to_owned(),
        since: at(-60),
        version: RecordVersion(3),
        ..row(7)
    };
    assert_eq!(of(snapshot(Some("P2")), false), known);
    assert_eq!(of(snapshot(Some("P2")), true), Row { status: Status::Resolved, ..known.clone() });
    let timeless = Snapshot { created_at: None, ..snapshot(Some("P2")) };
    assert_eq!(of(timeless, false), Row { since: at(9), ..known.clone() });
    let long = Snapshot { title: "ä".repeat(TITLE + 1), ..snapshot(Some("P2")) };
    assert_eq!(of(long, false), Row { title: "ä".repeat(TITLE), ..known.clone() });
    assert_eq!(Row::of(&record(None), RecordVersion(3), true, at(9)), None);
    let folded =
        Folded { storm: storm_id(), status: Status::Acknowledged, urgency: Urgency::Low, service: service(1).id };
    assert_eq!(known.folded(&storm_id()), folded);
}

#[test]
fn a_top_priority_is_known_by_its_name() {
    let rules = Rules::default();
    for (name, expected) in [
        (Some("P1"), true),
        (Some("p1"), true),
        (Some(" SEV-1\t"), true),
        (Some("Sev1"), true),
        (Some("P2"), false),
        (Some("P10"), false),
        (Some("SEV 1"), false),
        (Some(""), false),
        (None, false),
    ] {
        assert_eq!(rules.is_top(&snapshot(name)), expected, "{name:?}");
    }
    assert!(!Rules { top: Vec::new(), ..rules }.is_top(&snapshot(Some("P1"))));
}

#[test]
fn the_most_urgent_rows_come_first() {
    let taken = |number| Row { status: Status::Acknowledged, ..row(number) };
    let low = |row: Row| Row { urgency: Urgency::Low, ..row };
    let over = |number| Row { status: Status::Resolved, ..row(number) };
    let twin = Row { incident: IncidentId::new("I1b").unwrap(), ..row(1) };
    let expected =
        [row(2), row(1), twin, taken(9), taken(8), low(row(7)), low(taken(6)), over(5), over(4), low(over(3))];
    let mut rows: Vec<Row> = expected.iter().rev().cloned().collect();
    most_urgent_first(&mut rows);
    assert_eq!(rows, expected);
}

#[test]
fn the_card_is_edited_as_often_as_it_may_be() {
    struct Case {
        name: &'static str,
        edited: Option<i64>,
        slower: u32,
        failures: u32,
        now: i64,
        /// In milliseconds.
        expected: i128,
    }
    let case = |name, edited, slower, failures, now, expected| Case { name, edited, slower, failures, now, expected };
    for Case { name, edited, slower, failures, now, expected } in [
        case("the first post", None, 0, 0, 0, 0),
        case("which is not put off", None, SLOWEST, 0, 5, 0),
        case("in the first minute", Some(20), 0, 0, 21, 23_000),
        case("until its end", Some(59), 0, 0, 59, 62_000),
        case("what came in it is shown at its pace", Some(59), 0, 0, 60, 62_000),
        case("later", Some(60), 0, 0, 60, 70_000),
        case("slower by half", Some(20), 50, 0, 21, 24_500),
        case("slower by half, later", Some(100), 50, 0, 101, 112_000),
        case("as slow as it gets", Some(100), SLOWEST, 0, 101, 112_000),
        case("the first failure", Some(20), 0, 1, 21, 23_000),
        case("the second", Some(20), 0, 2, 21, 24_000),
        case("the third", Some(20), 0, 3, 21, 28_000),
        case("the third, later", Some(100), 0, 3, 101, 110_000),
        case("the fifth", Some(100), 0, 5, 101, 132_000),
        case("many", Some(100), 0, 6, 101, 160_000),
        case("very many", Some(100), 0, u32::MAX, 101, 160_000),
        case("the slower of both", Some(100), SLOWEST, 1, 101, 112_000),
    ] {
        let message = Message { edited_at: edited.map(at), failures, ..Message::default() };
        let storm = Storm { message, slower, ..begun() };
        let (from, want) = storm.wants(&Rules::default(), at(now)).unwrap();
        assert_eq!((want, from.duration_since(at(0)).as_millis()), (Want::Show, expected), "{name}");
    }
}

#[test]
fn where_senders_come_late_it_is_edited_more_slowly() {
    let mut storm = begun();
    let mut come = |expected: Option<i64>, late: i64| {
        storm.expects = expected.map(at);
        let now = at(expected.unwrap_or(0)) + SignedDuration::from_millis(late);
        storm = storm.clone().looked_at(now);
        assert_eq!(storm.expects, None);
        (storm.slower, storm.glance().as_millis())
    };
    assert_eq!(come(Some(10), 400), (0, 2_000), "in time");
    assert_eq!(come(Some(10), 401), (60, 3_200), "a little late");
    assert_eq!(come(None, 90_000), (60, 3_200), "nobody was expected");
    assert_eq!(come(Some(10), -5_000), (54, 3_080), "early");
    for slower in [114, 174, 234, 294, 300, 300] {
        assert_eq!(come(Some(10), 700).0, slower);
    }
    for slower in [294, 288, 282] {
        assert_eq!(come(Some(10), 0).0, slower);
    }
    for _ in 0..20 {
        come(Some(10), 0);
    }
    assert_eq!((come(Some(10), 0).0, come(Some(10), 1_200).0), (156, 300), "three times as late, three steps");
}

#[test]
fn a_storm_ends_when_little_new_has_come_for_five_minutes() {
    let ends = |arrivals: &[(i64, usize)]| {
        let mut storm = begun();
        for (number, second) in arrivals.iter().flat_map(|(second, count)| (0..*count).map(|_| *second)).enumerate() {
            storm.fold(None, &row(number as u64), at(second));
        }
        storm.message.is_true = true;
        let (from, want) = storm.wants(&Rules::default(), at(0)).unwrap();
        assert_eq!(want, Want::End);
        from.duration_since(at(0)).as_secs()
    };
    assert_eq!(T0.as_second() % 60, 0, "minutes begin with it");
    for (name, arrivals, expected) in [
        ("nothing at all", &[][..], 300),
        ("four in the first minute", &[(0, 4)], 300),
        ("five in it", &[(0, 5)], 360),
        ("five at its end", &[(1, 4), (59, 1)], 360),
        ("four in each minute", &[(0, 4), (60, 4), (120, 4), (180, 4)], 300),
        ("five in one of them", &[(0, 4), (60, 5), (120, 4), (180, 4)], 420),
        ("two in each of two minutes", &[(58, 3), (61, 3)], 300),
        ("the last busy minute counts", &[(0, 90), (600, 5), (660, 4)], 960),
        ("more minutes than are kept", &[(0, 9), (60, 9), (3_600, 4), (7_200, 9)], 7_560),
    ] {
        assert_eq!(ends(arrivals), expected, "{name}");
    }
    let many: Vec<(i64, usize)> = (0..100).map(|minute| (minute * 60, 4)).collect();
    assert_eq!(ends(&many), 300);
}

#[test]
fn a_busy_minute_counts_however_long_it_has_to_be_quiet_afterwards() {
    let mut storm = begun();
    for (minute, count) in (0..110).map(|minute| (minute, if minute == 20 { 5 } else { 4 })) {
        for number in 0..count {
            storm.fold(None, &row(minute * 10 + number), at(minute as i64 * 60));
        }
    }
    storm.message.is_true = true;
    for (minutes, quiet_rate, expected) in [(5, 5, 26), (30, 5, 51), (120, 5, 141), (120, 4, 230), (120, 6, 120)] {
        let rules = Rules { quiet_for: SignedDuration::from_mins(minutes), quiet_rate, ..Rules::default() };
        assert_eq!(storm.wants(&rules, at(0)), Some((at(expected * 60), Want::End)), "{minutes} {quiet_rate}");
    }
    assert_eq!(storm.arrivals.len(), 2, "no more is kept than is needed");
}

#[test]
fn a_row_that_changes_is_nothing_new() {
    let mut storm = begun();
    storm.fold(None, &row(1), at(0));
    for version in 2..9 {
        let was = row(1).folded(&storm.id);
        storm.message.is_true = true;
        storm.fold(Some(&was), &Row { version: RecordVersion(version), ..row(1) }, at(0));
        assert!(!storm.message.is_true);
    }
    assert_eq!((storm.arrivals.clone(), storm.followed.counts.all()), (vec![(T0.as_second() / 60, 1)], 1));
    storm.fold(None, &row(2), at(-600));
    assert_eq!(storm.arrivals, [(T0.as_second() / 60, 2)], "a clock that goes back");
}

#[test]
fn a_storm_wants_one_thing_after_the_other() {
    let folded = || {
        let mut storm = begun();
        storm.fold(None, &row(1), at(0));
        storm.message = Message { is_true: true, edited_at: Some(at(400)), ..Message::default() };
        storm
    };
    let ended = || Storm { ended_at: Some(at(300)), ..folded() };
    let told = || Storm { end_is_told: true, ..ended() };
    let over = |mut storm: Storm| {
        storm.followed = Followed::counted([Row { status: Status::Resolved, ..row(1) }]);
        storm
    };
    let late = |storm: Storm| Storm { kind: Kind::Late, ..storm };
    let untrue = |mut storm: Storm| {
        storm.message.is_true = false;
        storm
    };
    for (name, storm, expected) in [
        ("what is not shown comes first", untrue(over(told())), Some((at(410), Want::Show))),
        ("it ends", folded(), Some((at(300), Want::End))),
        ("also if nothing is open", over(folded()), Some((at(300), Want::End))),
        ("one of what is over ends as well", late(folded()), Some((at(300), Want::End))),
        ("its end is told", over(ended()), Some((at(300), Want::TellEnd))),
        ("of what is over nobody is told", late(over(ended())), Some((at(300), Want::Close))),
        ("what is open is followed", told(), None),
        ("what is open is followed, late", late(ended()), None),
        ("nothing is left", over(told()), Some((at(300), Want::Close))),
    ] {
        assert_eq!(storm.wants(&Rules::default(), at(400)), expected, "{name}");
        assert_eq!(storm.takes_in(), storm.kind == Kind::Storm && storm.ended_at.is_none(), "{name}");
    }
}

#[test]
fn what_has_left_is_counted_apart() {
    let mut storm = begun();
    (1..=3).for_each(|number| storm.fold(None, &row(number), at(0)));
    storm.message.is_true = true;
    storm.leave(Some(&row(1).folded(&storm.id)), &incident(1));
    assert_eq!((storm.left, storm.followed.counts.open(), storm.message.is_true), (1, 2, false));
    storm.message.is_true = true;
    storm.becomes_card(Some(&row(3).folded(&storm.id)), &incident(3));
    assert_eq!((storm.left, storm.followed.shown(), storm.message.is_true), (1, &[row(2)][..], false));
}

#[test]
fn a_storm_is_read_whatever_a_newer_version_has_stored() {
    let mut storm = begun();
    (1..=3).for_each(|number| storm.fold(None, &Row { priority: Some("P2".to_owned()), ..row(number) }, at(0)));
    storm.message = Message {
        activity: Some(ActivityId::new("1").unwrap()),
        doubt: true,
        edited_at: Some(at(3)),
        is_true: true,
        refused: Some("x".to_owned()),
        failures: 2,
    };
    let storm = Storm {
        ended_at: Some(at(300)),
        cards_after: 2,
        end_is_told: true,
        left: 1,
        slower: 50,
        expects: Some(at(9)),
        ..storm
    };
    let known = serde_json::to_value(&storm).unwrap();
    assert_eq!(serde_json::from_value::<Storm>(known.clone()).unwrap(), storm);
    let with = |path: &str, value: serde_json::Value| {
        let mut changed = known.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(name.to_owned(), value);
        serde_json::from_value::<Storm>(changed).unwrap()
    };
    let unknown = || serde_json::json!({"of": "a newer version"});
    for path in ["/news", "/message/news", "/followed/news", "/followed/counts/news"] {
        assert_eq!(with(path, unknown()), storm, "{path}");
    }
    assert_eq!(with("/kind", unknown()), storm, "everything new is taken in");
    assert_eq!(with("/is_counted", unknown()), Storm { is_counted: false, ..storm.clone() }, "it is counted again");
    assert_eq!(with("/slower", unknown()), Storm { slower: 0, ..storm.clone() });
    assert_eq!(with("/message", unknown()), Storm { message: Message::default(), ..storm.clone() });
    assert_eq!(with("/followed/urgent", serde_json::json!([unknown()])).followed.shown(), []);
    assert!(with("/followed/urgent", unknown()).followed.is_short(), "what is not at hand is read again");
}

/// What happens to the rows of a storm.
#[derive(Debug, Clone)]
enum Happens {
    Is { number: u64, status: Status, urgency: Urgency, service: u64, since: i64 },
    Leaves(u64),
    MostUrgentIsOver,
    OldestIsOver,
    Recounted,
    Stored,
}

fn happens(numbers: u64) -> impl Strategy<Value = Happens> {
    let status =
        prop_oneof![4 => Just(Status::Triggered), 2 => Just(Status::Acknowledged), 4 => Just(Status::Resolved)];
    let urgency = prop_oneof![Just(Urgency::High), Just(Urgency::Low)];
    prop_oneof![
        16 => (0..numbers, status, urgency, 1..4_u64, 0..50_i64).prop_map(
            |(number, status, urgency, service, since)| Happens::Is { number, status, urgency, service, since }
        ),
        6 => (0..numbers).prop_map(Happens::Leaves),
        1 => Just(Happens::Recounted),
        1 => Just(Happens::Stored),
    ]
}

fn of_services(followed: &Followed) -> Vec<OfService> {
    followed.services.iter().filter(|of| of.counts.all() > 0).cloned().collect()
}

/// Rows, and what follows them.
#[derive(Default)]
struct Table {
    rows: BTreeMap<u64, Row>,
    followed: Followed,
}

impl Table {
    fn is(&mut self, row: &Row) {
        let was = self.rows.insert(row.number, row.clone()).map(|was| was.folded(&storm_id()));
        self.followed.change(was.as_ref(), Some(row));
    }

    fn is_over(&mut self, row: Option<Row>) {
        row.into_iter().for_each(|row| self.is(&Row { status: Status::Resolved, ..row }));
    }

    fn leaves(&mut self, number: u64) {
        if let Some(was) = self.rows.remove(&number) {
            self.followed.forget(Some(&was.folded(&storm_id())), &was.incident);
        }
    }

    fn most_urgent(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.values().cloned().collect();
        most_urgent_first(&mut rows);
        rows
    }

    fn oldest(&self) -> Option<Row> {
        self.rows.values().filter(|row| row.is_open()).min_by_key(|row| row.since).cloned()
    }

    fn assert_followed(&self) {
        let counted = Followed::counted(self.rows.values().cloned());
        assert_eq!(self.followed.counts, counted.counts);
        assert_eq!(of_services(&self.followed), of_services(&counted));
        assert!(!counted.is_short(), "what is counted is at hand");
        let (mut shown, oldest) = (self.most_urgent(), self.oldest().map(|row| row.since));
        shown.truncate(SHOWN);
        assert_eq!((counted.shown(), counted.oldest()), (&shown[..], oldest));
        if !self.followed.is_short() {
            assert_eq!((self.followed.shown(), self.followed.oldest()), (&shown[..], oldest));
        }
    }
}

#[test]
fn what_is_not_at_hand_is_not_guessed() {
    let mut table = Table::default();
    (0..60).for_each(|number| table.is(&Row { since: at(i64::try_from(number).unwrap()), ..row(number) }));
    // The oldest ones are the least urgent ones.
    for over in 0..20 {
        assert!(!table.followed.is_short(), "{over}");
        assert_eq!(table.followed.oldest(), Some(at(over)));
        table.is_over(table.oldest());
        table.assert_followed();
    }
    assert!(table.followed.is_short());
    table.is(&Row { since: at(99), ..row(60) });
    assert!(table.followed.is_short(), "there are older ones");
}

proptest! {
    /// What follows each change says what all rows say.
    #[test]
    fn what_is_followed_is_what_is_counted(
        happens in prop_oneof![Just(6), Just(25), Just(60)].prop_flat_map(|numbers| {
            let fade = |over| prop_oneof![20 => Just(over), 1 => happens(numbers)];
            let fades = |over| prop::collection::vec(fade(over), 0..60);
            let fades = prop_oneof![fades(Happens::MostUrgentIsOver), fades(Happens::OldestIsOver)];
            (prop::collection::vec(happens(numbers), 1..200), fades)
        }).prop_map(|(rages, fades)| [rages, fades].concat()),
    ) {
        let mut table = Table::default();
        for happens in happens {
            match happens {
                Happens::Is { number, status, urgency, service: of, since } => {
                    table.is(&Row { status, urgency, service: service(of), since: at(since), ..row(number) });
                }
                Happens::Leaves(number) => table.leaves(number),
                Happens::MostUrgentIsOver => table.is_over(table.most_urgent().first().cloned()),
                Happens::OldestIsOver => table.is_over(table.oldest()),
                Happens::Recounted => table.followed = Followed::counted(table.rows.values().cloned()),
                Happens::Stored => {
                    let stored = serde_json::to_string(&table.followed).unwrap();
                    assert_eq!(serde_json::from_str::<Followed>(&stored).unwrap(), table.followed);
                }
            }
            table.assert_followed();
        }
    }
}
