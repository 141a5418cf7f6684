use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::behind::{Mark, Marked, Rank, Wish};
use crate::cause::{Cause, Occasion};
use crate::connection::{Filter, Health};
use crate::ids::{
    AccountId, ActivityId, CauseId, ChannelId, EventId, IncidentId, ServiceId, ServiceUrl, TeamId, TenantId, TestId,
};
use crate::incident::{Happening, IncidentEvent, Priority, ServiceRef, Snapshot, Status, Urgency};
use crate::plan::Size;
use crate::storm::{Counts, Followed, Row, Want, most_urgent_first};

const T0: Timestamp = Timestamp::constant(1_795_424_400, 0);

fn at(second: i64) -> Timestamp {
    T0 + SignedDuration::from_secs(second)
}

fn channel() -> ChannelId {
    ChannelId::new("19:c@thread.tacv2").unwrap()
}

fn team() -> TeamId {
    TeamId::new("19:t@thread.tacv2").unwrap()
}

fn incident(number: usize) -> IncidentId {
    IncidentId::new(format!("I{number:02}")).unwrap()
}

fn item(number: usize, since: i64) -> Behind {
    Behind {
        account: AccountId::new("A").unwrap(),
        channel: channel(),
        subject: Subject::Incident(incident(number)),
        seq: 1,
        wanted: RecordVersion(1),
        since: at(since),
        marked: Marked { team: team(), at: at(since), rank: Rank::High, number: None, service: None, by: None },
        causes: Vec::new(),
        afresh: false,
        freeze: None,
        own_card: false,
        attempts: 0,
        tried: 0,
        not_before: None,
        why: None,
        parked: None,
    }
}

fn rules() -> Rules {
    Rules::default()
}

fn subjects(items: &[&Behind]) -> Vec<String> {
    items.iter().map(|item| String::from(item.subject.clone())).collect()
}

fn held(kind: HoldKind, until: i64) -> State {
    let hold = Hold { until: at(until), tries: 1, why: "x".to_owned(), kind };
    State { hold: Some(hold), ..State::default() }
}

fn suspect(number: usize, deaths: u32) -> Suspect {
    Suspect { subject: Subject::Incident(incident(number)), deaths, at: at(0) }
}

#[test]
fn what_is_due_comes_in_order_and_in_waves() {
    let low = Behind { marked: Marked { rank: Rank::Low, ..item(1, 0).marked }, ..item(1, 0) };
    let greeting = Behind {
        subject: Subject::Greeting(ServiceId::new("S").unwrap()),
        marked: Marked { rank: Rank::First, ..item(0, 9).marked },
        ..item(0, 9)
    };
    let later = Behind { not_before: Some(at(11)), ..item(2, 0) };
    let parked = Behind { parked: Some("x".to_owned()), ..item(3, 0) };
    let set = [low, item(4, 5), item(5, 1), later, parked, greeting];
    let state = State::default();
    assert_eq!(subjects(&due(&set, &state, &rules(), at(10)).first), ["GREETING#S", "I05", "I04", "I01"]);
    assert_eq!(subjects(&due(&set, &state, &rules(), at(11)).first), ["GREETING#S", "I02", "I05", "I04", "I01"]);
    let many: Vec<Behind> = (0..25).map(|number| item(number, 0)).collect();
    let looked = |set: &[Behind], state: &State| {
        let due = due(set, state, &rules(), at(1));
        (due.first.len(), due.rest)
    };
    assert_eq!(looked(&many[..10], &state), (FEW, 0));
    assert_eq!(looked(&many, &state), (25, 0), "enough to see whether it storms");
    let most: Vec<Behind> = (0..99).chain(100..801).map(|number| item(number, 0)).collect();
    assert_eq!(looked(&most, &state), (MANY, 700));
    let mut storm = State::default();
    storm.begin_storm(Epoch(7), &team(), Kind::Storm, at(0));
    assert_eq!(looked(&most, &storm), (ROWS, 300));
}

#[test]
fn a_channel_that_waits_is_left_alone_but_a_lost_one_is_asked_for_by_what_is_new() {
    let tried = Behind { tried: 1, attempts: 1, ..item(1, 0) };
    let set = [tried.clone(), item(2, 5), item(3, 6)];
    assert_eq!(subjects(&due(&set, &held(HoldKind::Busy, 20), &rules(), at(10)).first), Vec::<String>::new());
    assert_eq!(next_due(&set, &held(HoldKind::Busy, 20), at(10)), Some(at(20)));
    assert_eq!(subjects(&due(&set, &held(HoldKind::Busy, 20), &rules(), at(20)).first).len(), 3);
    assert_eq!(
        subjects(&due(&set, &held(HoldKind::NotFound, 20), &rules(), at(20)).first),
        ["I01"],
        "one is enough to find out"
    );
    assert_eq!(subjects(&due(&set, &held(HoldKind::Lost, 20), &rules(), at(10)).first), ["I02"]);
    assert_eq!(
        subjects(&due(std::slice::from_ref(&tried), &held(HoldKind::Lost, 20), &rules(), at(10)).first),
        Vec::<String>::new()
    );
    assert_eq!(next_due(std::slice::from_ref(&tried), &held(HoldKind::Lost, 20), at(10)), Some(at(20)));
    let marked_again = Behind { seq: 2, ..tried };
    assert_eq!(subjects(&due(&[marked_again], &held(HoldKind::Lost, 20), &rules(), at(10)).first), ["I01"]);
    assert_eq!(next_due(&[], &State::default(), at(10)), None);
}

#[test]
fn what_may_have_killed_its_sender_is_tried_alone_and_after_the_others() {
    let set = [item(1, 0), item(2, 0), item(3, 0)];
    let state = State { suspects: vec![suspect(1, 1), suspect(3, 2)], ..State::default() };
    assert_eq!(subjects(&due(&set, &state, &rules(), at(59)).first), ["I02"]);
    assert_eq!(subjects(&due(&[set[0].clone(), set[2].clone()], &state, &rules(), at(59)).first), ["I01"]);
    // It does not wait for ever for others that keep coming.
    assert_eq!(subjects(&due(&set, &state, &rules(), at(60)).first), ["I01"]);
    assert_eq!(subjects(&due(&set[1..], &state, &rules(), at(60)).first), ["I02"]);
}

#[test]
fn a_wave_that_was_left_is_a_death_and_one_that_came_to_an_end_is_none() {
    let set = [item(1, 0), item(2, 0), item(3, 0)];
    let wave = State::default().with_wave(&set);
    // The first was done; the second was tried in vain; the third is as it was; a fourth came.
    let tried = Behind { attempts: 1, ..item(2, 0) };
    let marked_anew = Behind { seq: 1, ..item(1, 7) };
    let left = [marked_anew, tried, item(3, 0), item(4, 8)];
    let taken = wave.taken_over(&left, at(0));
    assert_eq!((taken.in_flight.len(), &taken.suspects), (0, &vec![suspect(3, 1)]));
    let mut again = taken.with_wave([&left[2]]).taken_over(&left, at(0));
    assert_eq!(again.suspects, [suspect(3, 2)]);
    // One that dies before it notes a wave has nothing in flight.
    assert_eq!(again.clone().taken_over(&left, at(0)).suspects, [suspect(3, 2)]);
    again.survived(&left[2].subject);
    assert_eq!(again.suspects, []);
    let gone = State { suspects: vec![suspect(9, 2)], ..State::default() };
    assert_eq!(gone.taken_over(&left, at(0)).suspects, [], "what is not there any more is no suspect");
}

#[test]
fn a_channel_waits_as_long_as_it_is_asked_to_or_longer_each_time() {
    let waits = |after: Option<i64>, jitter: f64| {
        let mut state = State::default();
        let wait = |_| {
            state.wait(HoldKind::Busy, "x", after.map(SignedDuration::from_secs), jitter, T0);
            state.hold.as_ref().unwrap().until.duration_since(T0).as_millis()
        };
        (0..11).map(wait).collect::<Vec<_>>()
    };
    let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(|seconds: i128| seconds * 1000);
    assert_eq!(waits(None, 0.5), seconds);
    assert_eq!(waits(Some(3), 0.0), [3000; 11], "said is said, however often");
    assert_eq!(waits(Some(3), 1.0), [3300; 11]);
    assert_eq!(waits(Some(90), 1.0), [91_000; 11], "a second more at most");
    assert_eq!(waits(Some(0), 1.0), [200; 11]);
    let most = SignedDuration::from_mins(5);
    assert_eq!((pause(0), pause(1), pause(u32::MAX)), (pause(1), SignedDuration::from_secs(1), most));
}

#[test]
fn what_is_unfinished_is_counted() {
    let parked = Behind { parked: Some("x".to_owned()), ..item(1, 0) };
    let waiting = Behind { not_before: Some(at(200)), attempts: 3, ..item(2, 0) };
    let fresh = item(3, 95);
    let of = |set: &[Behind], state| {
        let seen = Unfinished::of(set, &state, &rules(), at(100));
        (seen.count, seen.parked, seen.oldest.as_secs(), seen.is_due)
    };
    assert_eq!(of(&[parked.clone(), waiting.clone(), fresh.clone()], State::default()), (3, 1, 5, false));
    assert_eq!(of(&[parked, waiting, item(4, 40)], State::default()), (3, 1, 60, true));
    assert_eq!(of(&[Behind { attempts: 1, ..fresh }], State::default()), (1, 0, 5, true), "it has been tried");
    assert_eq!(of(&[item(4, 40)], held(HoldKind::Busy, 200)), (1, 0, 60, false));
    assert_eq!(
        of(&[item(4, 40)], held(HoldKind::Lost, 200)),
        (1, 0, 0, true),
        "it is new, and may find the channel again"
    );
}

fn snapshot(status: Status) -> Snapshot {
    Snapshot {
        number: 7,
        title: "DB down".to_owned(),
        status,
        urgency: Urgency::High,
        priority: None,
        service: ServiceRef { id: ServiceId::new("S").unwrap(), name: "Payments".to_owned() },
        escalation_policy: None,
        assignees: Vec::new(),
        html_url: String::new(),
        created_at: None,
        merged_into: None,
    }
}

fn event(number: usize, second: i64) -> IncidentRecord {
    let (what, status) = match second % 3 {
        0 => (Happening::Acknowledged, Some(Status::Acknowledged)),
        1 => (Happening::Note { content: second.to_string() }, None),
        _ => (Happening::Reopened, Some(Status::Triggered)),
    };
    let event = IncidentEvent {
        id: EventId::new(format!("E{second}")).unwrap(),
        occurred_at: Some(at(second)),
        incident: incident(number),
        by: None,
        snapshot: status.or(Some(Status::Triggered)).map(snapshot),
        what: Some(what),
    };
    IncidentRecord::from_event(AccountId::new("A").unwrap(), event, at(second))
}

fn connection() -> Connection {
    Connection {
        account: AccountId::new("A").unwrap(),
        service: ServiceId::new("S").unwrap(),
        service_name: "Payments".to_owned(),
        channel: channel(),
        team: team(),
        tenant: TenantId::new("T").unwrap(),
        filter: Filter::All,
        zone: crate::zone::Zone::UTC,
        mentions: crate::connection::Mentions::Nobody,
        health: Health::Healthy,
        created_at: T0,
        created_by: None,
    }
}

fn home() -> Installation {
    Installation {
        team: team(),
        tenant: TenantId::new("T").unwrap(),
        team_name: None,
        service_url: ServiceUrl::new("https://smba.trafficmanager.net/amer/").unwrap(),
        account: AccountId::new("A").ok(),
        installed_at: T0,
        installer: None,
        removed_at: None,
        connected_at: None,
        added_at: None,
        leaving: None,
    }
}

fn facts(record: Option<(IncidentRecord, RecordVersion)>, card: Option<CardRecord>) -> Facts {
    // The row is as its card says.
    let shown = card.as_ref().filter(|card| card.row.is_some()).map(|card| card.rendered);
    let row = shown.zip(record.as_ref()).and_then(|(shown, (record, _))| Row::of(record, shown, false, T0));
    Facts { record, card, connection: Some(connection()), home: Some(home()), row, listed: Listed::Unknown }
}

#[test]
fn every_item_has_its_move() {
    let record = |version| Some((event(1, 0), RecordVersion(version)));
    let post = |doubtful| Move::Card(Step::Post { doubtful, size: Size::Whole });
    let message = |subject| Behind { subject, ..item(1, 0) };
    let service = ServiceId::new("S").unwrap();
    let (greeting, test) = (Subject::Greeting(service.clone()), Subject::Test(service, TestId::new("t").unwrap()));
    let died = |deaths| State { suspects: vec![suspect(1, deaths)], ..State::default() };
    let wants = |wanted| Behind { wanted: RecordVersion(wanted), ..item(1, 0) };
    let mut shown = CardRecord {
        activity: ActivityId::new("1").ok(),
        rendered: RecordVersion(1),
        ..CardRecord::unposted(channel(), team(), home().tenant)
    };
    shown.mark_announced(&event(1, 0).log, &event(1, 0));
    let unconnected = |facts: Facts| Facts { connection: None, ..facts };
    let none = State::default;
    for (name, item, facts, state, second, expected) in [
        ("a new incident", wants(1), facts(record(1), None), none(), 1, post(false)),
        ("its sender has died", wants(1), facts(record(1), None), died(1), 1, post(true)),
        ("and the service has gone", wants(1), unconnected(facts(record(1), None)), died(1), 1, post(true)),
        ("three have died", wants(1), facts(record(1), None), died(3), 1, Move::Park(Parking::Deadly)),
        ("the record is on its way", wants(1), facts(None, None), none(), 9, Move::Soon),
        ("it never came", wants(1), facts(None, None), none(), 10, Move::Ask),
        ("the next version is on its way", wants(2), facts(record(1), Some(shown.clone())), none(), 9, Move::Soon),
        ("what is known is shown meanwhile", wants(2), facts(record(1), None), none(), 9, post(false)),
        ("the next version never came", wants(2), facts(record(1), Some(shown)), none(), 10, Move::Ask),
        ("nothing is known", wants(0), facts(None, None), none(), 99, Move::Done(Why::StateUnknown)),
        ("a greeting", message(greeting.clone()), facts(None, None), none(), 1, Move::Say),
        ("a test", message(test), facts(None, None), none(), 1, Move::Say),
        (
            "a word to the team",
            message(Subject::TeamDisconnected),
            unconnected(facts(None, None)),
            none(),
            1,
            Move::Say,
        ),
        (
            "nobody to greet",
            message(greeting),
            unconnected(facts(None, None)),
            none(),
            1,
            Move::Done(Why::NotConnected),
        ),
    ] {
        let planned = plan_channel(&[(item, facts)], &state, &rules(), at(second));
        assert_eq!(planned, [expected], "{name}");
    }
}

fn of_state(number: usize, state: Snapshot) -> IncidentRecord {
    let event = IncidentEvent {
        id: EventId::new(format!("E{number}")).unwrap(),
        occurred_at: Some(at(0)),
        incident: incident(number),
        by: None,
        snapshot: Some(state),
        what: Some(Happening::Reopened),
    };
    IncidentRecord::from_event(AccountId::new("A").unwrap(), event, at(0))
}

fn top(state: Snapshot) -> Snapshot {
    Snapshot { priority: Some(Priority { id: None, name: "P1".to_owned() }), ..state }
}

fn storming(kind: Kind) -> State {
    let mut state = State::default();
    state.begin_storm(Epoch(7), &team(), kind, at(0));
    state
}

fn ended() -> State {
    let mut state = storming(Kind::Storm);
    state.storms[0].ended_at = Some(at(0));
    state
}

/// A card that is a row of the storm and shows this version.
fn row_of(version: u64) -> CardRecord {
    let mut card = CardRecord::unposted(channel(), team(), home().tenant);
    let folded = Folded {
        storm: StormId::begun_in(7),
        status: Status::Triggered,
        urgency: Urgency::High,
        service: ServiceId::new("S").unwrap(),
    };
    card.folded(folded, RecordVersion(version));
    card
}

#[test]
fn what_is_most_urgent_comes_first() {
    let triggered = || snapshot(Status::Triggered);
    let low = Snapshot { urgency: Urgency::Low, ..triggered() };
    for (name, state, expected) in [
        ("of high urgency", triggered(), Rank::High),
        ("acknowledged", snapshot(Status::Acknowledged), Rank::High),
        ("of low urgency", low.clone(), Rank::Low),
        ("of a top priority", top(triggered()), Rank::Top),
        ("of a top priority and low urgency", top(low), Rank::Top),
        ("over", snapshot(Status::Resolved), Rank::Ended),
        ("of a top priority, and over", top(snapshot(Status::Resolved)), Rank::Ended),
    ] {
        assert_eq!(Rank::of(&of_state(1, state), &rules()), expected, "{name}");
    }
    let mut unknown = event(1, 0);
    unknown = IncidentRecord::from_event(
        unknown.account,
        IncidentEvent {
            id: EventId::new("E").unwrap(),
            occurred_at: None,
            incident: unknown.id,
            by: None,
            snapshot: None,
            what: None,
        },
        at(0),
    );
    assert_eq!(Rank::of(&unknown, &rules()), Rank::High, "it might be urgent");
    let ranked = |name: usize, rank, number, since| {
        let marked = Marked { rank, number, ..item(name, since).marked };
        Behind { marked, ..item(name, since) }
    };
    let expected = [
        ranked(9, Rank::First, None, 9),
        ranked(8, Rank::Top, Some(1), 9),
        ranked(7, Rank::Ended, Some(2), 9),
        ranked(6, Rank::High, Some(12), 9),
        ranked(5, Rank::High, Some(11), 0),
        ranked(4, Rank::High, None, 7),
        ranked(2, Rank::High, None, 8),
        ranked(3, Rank::High, None, 8),
        ranked(1, Rank::Low, Some(99), 0),
    ];
    let mut set = expected.clone();
    set.sort_by_key(|item| item.subject.clone());
    assert_eq!(due(&set, &State::default(), &rules(), at(10)).first, expected.iter().collect::<Vec<_>>());
}

#[test]
fn a_storm_begins_with_more_than_a_channel_takes() {
    let new = |number| (item(number, 0), facts(Some((event(number, 0), RecordVersion(1))), None));
    let news = |count| (0..count).map(new).collect::<Vec<_>>();
    let top_one = |number| {
        let record = of_state(number, top(snapshot(Status::Triggered)));
        (item(number, 0), facts(Some((record, RecordVersion(1))), None))
    };
    let own_card = |number| {
        let (item, facts) = new(number);
        (Behind { own_card: true, ..item }, facts)
    };
    let edit = |number| {
        let card = CardRecord {
            activity: ActivityId::new("1").ok(),
            ..CardRecord::unposted(channel(), team(), home().tenant)
        };
        (item(number, 0), facts(Some((event(number, 0), RecordVersion(1))), Some(card)))
    };
    let with = |mut looked: Vec<(Behind, Facts)>, more: &dyn Fn(usize) -> (Behind, Facts)| {
        looked.extend((10..40).map(more));
        looked
    };
    let late = |status| {
        let state = Snapshot { created_at: Some(at(-700)), ..snapshot(status) };
        (item(1, 0), facts(Some((of_state(1, state), RecordVersion(1))), None))
    };
    let used = |per_minute: u32, minutes: i64| {
        let mut state = State::default();
        for minute in 0..minutes {
            (0..per_minute).for_each(|_| state.budget.sent(at(-3_600 + minute * 60)));
        }
        state
    };
    let half_minute = |age: i64| {
        let mut state = State::default();
        (0..48).for_each(|_| state.budget.sent(at(-age)));
        state
    };
    let none = State::default;
    let storm = Some(Kind::Storm);
    for (name, looked, state, expected) in [
        ("ten", news(10), none(), None),
        ("eleven", news(11), none(), storm),
        ("eleven while it storms", news(11), storming(Kind::Storm), None),
        ("ten beside what is late", news(10), storming(Kind::Late), None),
        ("eleven beside what is late", news(11), storming(Kind::Late), storm),
        ("eleven after a storm", news(11), ended(), storm),
        ("ten, and thirty of a top priority", with(news(10), &top_one), none(), None),
        ("ten, and thirty that get a card of their own", with(news(10), &own_card), none(), None),
        ("ten, and thirty edits", with(news(10), &edit), none(), None),
        ("the hour is used up", news(1), used(30, 50), storm),
        ("it is not", news(1), used(30, 49), None),
        ("the hour is used up, and nothing is new", vec![top_one(1), own_card(2), edit(3)], used(30, 50), None),
        ("thirty seconds are used up, for long", news(1), half_minute(20), storm),
        ("not for long", news(1), half_minute(21), None),
        ("one that is late and over", vec![late(Status::Resolved)], none(), Some(Kind::Late)),
        ("and has a place", vec![late(Status::Resolved)], storming(Kind::Late), None),
        ("the storm takes it in", vec![late(Status::Resolved)], storming(Kind::Storm), None),
        ("what is late and open is posted", vec![late(Status::Triggered)], none(), None),
        ("nothing", vec![], none(), None),
    ] {
        let moves = plan_channel(&looked, &state, &rules(), at(0));
        assert_eq!(storm_begins(&looked, &moves, &state, &rules(), at(0)), expected, "{name}");
    }
}

#[test]
fn what_storms_becomes_rows() {
    struct Case {
        name: &'static str,
        item: Behind,
        state: Snapshot,
        card: Option<CardRecord>,
        connection: Option<Connection>,
        listed: Listed,
        storms: State,
        expected: Move,
    }
    let case = |name, storms: State, card: Option<CardRecord>, expected| Case {
        name,
        item: item(1, 0),
        state: snapshot(Status::Triggered),
        card,
        connection: Some(connection()),
        listed: Listed::Unknown,
        storms,
        expected,
    };
    let storm = || storming(Kind::Storm);
    let (row, stale) = (|| Some(row_of(1)), || Some(row_of(0)));
    let post = || Move::Card(Step::Post { doubtful: false, size: Size::Whole });
    let doubtful = || Move::Card(Step::Post { doubtful: true, size: Size::Whole });
    let mine = || Move::Fold(Some(StormId::begun_in(7)));
    let done = || Move::Done(Why::UpToDate);
    let leave = || Move::Leave(row_of(1).row.unwrap());
    let card = |announced: bool| {
        let mut card = CardRecord {
            activity: ActivityId::new("1").ok(),
            rendered: RecordVersion(1),
            ..CardRecord::unposted(channel(), team(), home().tenant)
        };
        if announced {
            let record = of_state(1, snapshot(Status::Triggered));
            card.mark_announced(&record.log, &record);
        }
        Some(card)
    };
    let unsure = || {
        let card = CardRecord::unposted(channel(), team(), home().tenant);
        Some(CardRecord { doubt: Some(Doubt { since: at(0) }), ..card })
    };
    let own = |case: Case| Case { item: Behind { own_card: true, ..case.item }, ..case };
    let going = |case: Case| Case { item: Behind { freeze: Some(at(0)), ..case.item }, ..case };
    let afresh = |case: Case| Case { item: Behind { afresh: true, ..case.item }, ..case };
    let newer = |case: Case| Case { item: Behind { wanted: RecordVersion(2), ..case.item }, ..case };
    let unconnected = |case: Case| Case { connection: None, ..case };
    let urgent = |case: Case| Case { state: top(case.state), ..case };
    let over = |case: Case| Case { state: Snapshot { status: Status::Resolved, ..case.state }, ..case };
    let late =
        |listed, case: Case| Case { listed, state: Snapshot { created_at: Some(at(-601)), ..case.state }, ..case };
    let refused = |mut card: CardRecord| {
        card.refuse(RecordVersion(1), Size::Smaller, "x", at(0));
        Some(card)
    };
    let resting = |card: CardRecord| Some(CardRecord { reposted_at: Some(at(-60)), ..card });
    for case in [
        case("new", storm(), None, Move::Fold(None)),
        case("new, and no storm", State::default(), None, post()),
        case("new, and what is late has a place", storming(Kind::Late), None, post()),
        case("new after the storm", ended(), None, post()),
        over(case("new and over", storm(), None, Move::Fold(None))),
        urgent(case("of a top priority", storm(), None, post())),
        over(urgent(case("of a top priority, and over", storm(), None, Move::Fold(None)))),
        own(case("somebody wants a card of it", storm(), None, post())),
        unconnected(case("nobody wants it", storm(), None, Move::Done(Why::NotConnected))),
        unconnected(case("nobody wants it, and it may be there", storm(), unsure(), Move::Fold(None))),
        going(case("its connection goes", storm(), None, Move::Done(Why::NotConnected))),
        case("it may be there", storm(), unsure(), Move::Fold(None)),
        case("a card stays one", storm(), card(true), done()),
        case("nobody is told of its news", storm(), card(false), Move::Hush),
        case("what is late is told of", storming(Kind::Late), card(false), reply()),
        case("what comes after the storm is told of", ended(), card(false), reply()),
        case("a row that shows it", storm(), row(), done()),
        newer(case("a row of which more is to come", storm(), row(), Move::Soon)),
        afresh(case("a row that somebody asks for", storm(), row(), mine())),
        case("a row that shows less", storm(), stale(), mine()),
        newer(case("a row that shows less, of which more is to come", storm(), stale(), mine())),
        case("a row that shows less, after the storm", ended(), stale(), mine()),
        over(case("a row that is over", ended(), stale(), mine())),
        unconnected(case("a row that is nobody's any more", storm(), stale(), mine())),
        urgent(case("a row of a top priority", storm(), row(), post())),
        urgent(case("a row of a top priority, after the storm", ended(), stale(), post())),
        over(urgent(case("a row of a top priority that is over", storm(), stale(), mine()))),
        unconnected(urgent(case("a row of a top priority that is nobody's", storm(), row(), done()))),
        own(case("a row of which somebody wants a card", ended(), row(), post())),
        own(over(case("and which is over", ended(), stale(), mine()))),
        own(over(case("and which is over and shown", ended(), row(), done()))),
        going(case("a row whose connection goes", storm(), row(), leave())),
        going(case("a row whose connection goes, after the storm", ended(), row(), leave())),
        going(over(case("a row whose connection goes, and is over", storm(), stale(), mine()))),
        case("a row of a closed storm", State::default(), row(), post()),
        over(case("a row of a closed storm that is over", State::default(), stale(), done())),
        case("a row of a closed storm in the next one", storming_in(8), row(), Move::Fold(None)),
        late(Listed::Unknown, case("late, and nobody knows", State::default(), None, post())),
        late(Listed::Open, case("late and open", State::default(), None, post())),
        late(Listed::Asking, case("late, and somebody asks", State::default(), None, Move::Soon)),
        late(Listed::Asking, case("late in a storm", storm(), None, Move::Fold(None))),
        late(Listed::Over, case("late and over", State::default(), None, Move::Fold(None))),
        late(Listed::Over, case("late and over after a storm", ended(), None, Move::Fold(None))),
        late(Listed::Unknown, over(case("late and known to be over", State::default(), None, Move::Fold(None)))),
        late(Listed::Over, case("late, and may be there", State::default(), unsure(), doubtful())),
        late(Listed::Over, urgent(case("late, over and of a top priority", State::default(), None, Move::Fold(None)))),
        urgent(case(
            "a row that Teams does not take as a card",
            storm(),
            refused(row_of(1)),
            Move::Park(Parking::Refused),
        )),
        urgent(case("a row whose card was deleted twice", storm(), resting(row_of(0)), mine())),
        urgent(case("a row whose card was deleted twice, and shows it", storm(), resting(row_of(1)), done())),
    ] {
        let Case { name, item, state, card, connection, listed, storms, expected } = case;
        let record = Some((of_state(1, state), RecordVersion(1)));
        let facts = Facts { connection, listed, ..facts(record, card) };
        let mut marked = item;
        marked.marked.at = at(0);
        assert_eq!(plan_channel(&[(marked, facts)], &storms, &rules(), at(1)), [expected], "{name}");
    }
}

fn storming_in(epoch: u64) -> State {
    let mut state = State::default();
    state.begin_storm(Epoch(epoch), &team(), Kind::Storm, at(0));
    state
}

fn reply() -> Move {
    Move::Card(Step::Reply(
        ActivityId::new("1").unwrap(),
        of_state(1, snapshot(Status::Triggered)).log.into_iter().collect(),
    ))
}

#[test]
fn one_storm_after_the_other_is_followed() {
    let mut state = State::default();
    let names = |state: &State| state.storms.iter().map(|storm| storm.id.to_string()).collect::<Vec<_>>();
    state.begin_storm(Epoch(1), &team(), Kind::Late, at(0));
    assert!(!state.takes_in() && state.active().is_some());
    state.begin_storm(Epoch(2), &team(), Kind::Storm, at(1));
    assert!(state.takes_in());
    assert_eq!(names(&state), ["1"], "one goes on as more");
    for epoch in 3..=6 {
        state.storms.last_mut().unwrap().ended_at = Some(at(epoch));
        assert!(!state.takes_in() && state.active().is_none());
        state.begin_storm(Epoch(epoch as u64), &team(), Kind::Storm, at(epoch));
    }
    assert_eq!(names(&state), ["1", "3", "4", "5", "6"]);
    let last = state.storms.last_mut().unwrap();
    (last.ended_at, last.end_is_told) = (Some(at(400)), true);
    last.message = crate::storm::Message { activity: ActivityId::new("1").ok(), is_true: true, ..Default::default() };
    state.begin_storm(Epoch(7), &team(), Kind::Storm, at(1_000));
    assert_eq!((names(&state), state.takes_in()), (["1", "3", "4", "5", "6"].map(str::to_owned).to_vec(), true));
    let again = state.active().unwrap();
    assert_eq!((again.message.activity.as_ref(), again.end_is_told), (None, false), "people are told anew");
    assert_eq!(again.wants(&rules(), at(1_000)), Some((at(1_000), Want::Show)));
    let mut shown = again.clone();
    shown.message.is_true = true;
    assert_eq!(shown.wants(&rules(), at(1_000)), Some((at(1_300), Want::End)), "it does not end at once");
}

/// What happens to a channel.
#[derive(Debug, Clone)]
enum Happens {
    /// Somebody learns something of an incident: marked, and stored a moment later, or never.
    Learned {
        number: usize,
        news: News,
        is_stored: bool,
    },
    /// So many incidents from this one on are triggered.
    Burst {
        first: usize,
        count: usize,
    },
    Wished {
        number: usize,
        wish: Wish,
    },
    /// A sender comes, and what Teams says to each thing in turn.
    Drained {
        answers: Vec<Answer>,
        dies_after: Option<usize>,
    },
    Later(i64),
}

#[derive(Debug, Clone, Copy)]
enum News {
    Note,
    Is(Status),
    IsTop(bool),
    Moved(usize),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Taken,
    /// It arrives, and nobody hears of it.
    Unclear,
    /// It does not arrive, and nobody hears of that either.
    Lost,
    Refused,
    Throttled,
    Gone,
}

const INCIDENTS: usize = 14;

fn happens() -> impl Strategy<Value = Happens> {
    let answer = prop_oneof![
        4 => Just(Answer::Taken),
        1 => Just(Answer::Unclear),
        1 => Just(Answer::Lost),
        1 => Just(Answer::Refused),
        1 => Just(Answer::Throttled),
        1 => Just(Answer::Gone),
    ];
    let answers = prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec(answer, 0..8)];
    let news = prop_oneof![
        2 => Just(News::Note),
        2 => Just(News::Is(Status::Triggered)),
        2 => Just(News::Is(Status::Acknowledged)),
        3 => Just(News::Is(Status::Resolved)),
        2 => prop::bool::ANY.prop_map(News::IsTop),
        1 => (0..3_usize).prop_map(News::Moved),
    ];
    let wish = prop_oneof![2 => Just(Wish::OwnCard), 1 => Just(Wish::Frozen), 1 => Just(Wish::Afresh)];
    prop_oneof![
        6 => (0..INCIDENTS, news, prop::bool::weighted(0.9))
            .prop_map(|(number, news, is_stored)| Happens::Learned { number, news, is_stored }),
        2 => (0..INCIDENTS - 8, 5..=8_usize).prop_map(|(first, count)| Happens::Burst { first, count }),
        1 => (0..INCIDENTS, wish).prop_map(|(number, wish)| Happens::Wished { number, wish }),
        6 => (answers, prop::option::weighted(0.3, 0..12_usize))
            .prop_map(|(answers, dies_after)| Happens::Drained { answers, dies_after }),
        2 => prop_oneof![1..90_i64, 290..320_i64, 600..700_i64].prop_map(Happens::Later),
    ]
}

/// Storms begin early here.
fn small_rules() -> Rules {
    Rules { posts: 4, quiet_rate: 3, cards_after: 3, ..Rules::default() }
}

/// A channel, its table, and what people see in it, as the sender and the table are built.
#[derive(Default)]
struct World {
    now: i64,
    events: i64,
    epoch: u64,
    deaths: usize,
    set: BTreeMap<Subject, Behind>,
    state: Option<String>,
    records: BTreeMap<usize, (IncidentRecord, RecordVersion)>,
    cards: BTreeMap<usize, CardRecord>,
    rows: BTreeMap<(String, usize), Row>,
    closed: BTreeMap<String, Storm>,
    /// Incidents whose connection has gone at some time.
    frozen: BTreeSet<usize>,
    /// Which version each living message shows, by incident: the table knows one of them at most.
    messages: BTreeMap<usize, Vec<(String, RecordVersion)>>,
    /// What each storm's card says.
    shown: BTreeMap<String, Counts>,
    unclear: BTreeMap<usize, usize>,
    posted: u64,
}

/// A sender at work on it.
struct Sender<A> {
    state: State,
    /// The state as the table has it.
    noted: State,
    soon: BTreeMap<Subject, u64>,
    answers: A,
    dies_after: Option<usize>,
}

struct Died;

impl<A: Iterator<Item = Answer>> Sender<A> {
    /// It may die between any two things that it does.
    fn lives(&mut self) -> Result<(), Died> {
        self.dies_after = match self.dies_after {
            Some(0) => return Err(Died),
            left => left.map(|left| left - 1),
        };
        Ok(())
    }

    fn may(&mut self, claim: Claim, now: Timestamp) -> bool {
        let may = self.state.budget.allows(claim, now) > 0;
        if may {
            self.state.budget.sent(now);
        }
        may
    }

    fn answer(&mut self) -> Answer {
        self.answers.next().unwrap()
    }

    /// The whole channel has to wait.
    fn waits(&mut self, answer: Answer, now: Timestamp) {
        let kind = if matches!(answer, Answer::Gone) { HoldKind::Lost } else { HoldKind::Busy };
        self.state.wait(kind, "x", None, 0.0, now);
    }
}

/// What came of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    Done,
    /// There is more to do about it.
    More,
    Soon,
    Until(Timestamp),
    Later,
    Parked,
    /// The channel waits.
    Channel,
    Untouched,
}

impl World {
    fn learn(&mut self, number: usize, news: News, is_stored: bool) {
        let second = self.events;
        self.events += 1;
        let known = self.records.get(&number);
        let mut state = known.and_then(|(record, _)| record.state().cloned()).unwrap_or_else(|| Snapshot {
            number: number as u64,
            created_at: Some(at(self.now)),
            ..snapshot(Status::Triggered)
        });
        let what = match news {
            News::Note => Happening::Note { content: second.to_string() },
            News::Is(Status::Triggered) => Happening::Reopened,
            News::Is(Status::Acknowledged) => Happening::Acknowledged,
            News::Is(Status::Resolved) => Happening::Resolved { merged_into: None },
            News::IsTop(_) => Happening::PriorityChanged { to: None },
            News::Moved(_) => Happening::ServiceChanged { to: String::new() },
        };
        match news {
            News::Note => {}
            News::Is(status) => state.status = status,
            News::IsTop(_) => state.priority = None,
            News::Moved(to) => state.service.id = ServiceId::new(format!("S{to}")).unwrap(),
        }
        if matches!(news, News::IsTop(true)) {
            state = top(state);
        }
        let event = IncidentEvent {
            id: EventId::new(format!("E{second}")).unwrap(),
            occurred_at: Some(at(second)),
            incident: incident(number),
            by: None,
            snapshot: Some(state),
            what: Some(what),
        };
        let observed = IncidentRecord::from_event(AccountId::new("A").unwrap(), event, at(second));
        let (merged, version) = match known {
            Some((known, version)) => (known.clone().merge(observed), RecordVersion(version.0 + 1)),
            None => (observed, RecordVersion(1)),
        };
        self.mark(&merged, version, Wish::Shown);
        if is_stored {
            self.records.insert(number, (merged, version));
        }
    }

    fn wish(&mut self, number: usize, wish: Wish) {
        let Some((record, version)) = self.records.get(&number).cloned() else { return };
        if wish == Wish::Frozen {
            self.frozen.insert(number);
        }
        self.mark(&record, version, wish);
    }

    fn mark(&mut self, record: &IncidentRecord, wanted: RecordVersion, wish: Wish) {
        let now = at(self.now);
        let cause = Cause { id: CauseId::new("E").unwrap(), occasion: Occasion::Webhook, at: now, happened_at: None };
        let mark = Mark::card(record, wanted, (channel(), team()), &cause, wish, &small_rules());
        let new = Behind { seq: 0, wanted: RecordVersion(0), subject: mark.subject.clone(), since: now, ..item(0, 0) };
        let known = self.set.entry(mark.subject.clone()).or_insert(new);
        known.seq += 1;
        known.wanted = known.wanted.max(wanted);
        known.marked = Marked::from(&mark);
        known.parked = None;
        match wish {
            Wish::Shown => {}
            Wish::Afresh => (known.afresh, known.not_before) = (true, None),
            Wish::Frozen => known.freeze = Some(now),
            Wish::OwnCard => (known.own_card, known.not_before) = (true, None),
        }
    }

    fn store(&mut self, state: &State) {
        self.state = Some(serde_json::to_string(state).unwrap());
    }

    fn stored(&self) -> State {
        self.state.as_ref().map(|stored| serde_json::from_str(stored).unwrap()).unwrap_or_default()
    }

    fn drain(&mut self, answers: &[Answer], dies_after: Option<usize>) {
        let answers = answers.iter().copied().chain(std::iter::repeat(Answer::Taken));
        self.epoch += 1;
        let set: Vec<Behind> = self.set.values().cloned().collect();
        let state = self.stored().taken_over(&set, at(self.now));
        let mut sender = Sender { noted: state.clone(), state, soon: BTreeMap::new(), answers, dies_after };
        for _ in 0..20 {
            match self.wave(&mut sender) {
                Ok(true) => self.now += 1,
                Ok(false) => break,
                Err(Died) => {
                    self.deaths += 1;
                    return;
                }
            }
        }
        if sender.state.storms != sender.noted.storms {
            self.store(&sender.state);
        }
    }

    /// Whether there may be more to do.
    fn wave<A: Iterator<Item = Answer>>(&mut self, sender: &mut Sender<A>) -> Result<bool, Died> {
        let (rules, now) = (small_rules(), at(self.now));
        let is_soon = |item: &Behind| sender.soon.get(&item.subject) == Some(&item.seq);
        let set: Vec<Behind> = self.set.values().filter(|item| !is_soon(item)).cloned().collect();
        let wave: Vec<Behind> = due(&set, &sender.state, &rules, now).first.into_iter().cloned().collect();
        assert_wave(&wave, &sender.state);
        let storm_is_due = sender.state.storm_wants(&rules, now).is_some_and(|(at, ..)| at <= now);
        if wave.is_empty() && !storm_is_due {
            return Ok(false);
        }
        let looked: Vec<_> = wave.into_iter().map(|item| (item.clone(), self.look(&item))).collect();
        let mut moves = plan_channel(&looked, &sender.state, &rules, now);
        if let Some(kind) = storm_begins(&looked, &moves, &sender.state, &rules, now) {
            sender.state.begin_storm(Epoch(self.epoch), &team(), kind, now);
            moves = plan_channel(&looked, &sender.state, &rules, now);
            assert_eq!(storm_begins(&looked, &moves, &sender.state, &rules, now), None, "it has begun");
        }
        assert_storms(&sender.state);
        self.note_wave(&looked, &moves, storm_is_due, sender);
        sender.lives()?;
        let held = (sender.state.hold.clone(), sender.state.suspects.clone());
        let mut outcomes = Vec::new();
        let (mut urgent, mut others, mut folds, mut leaves) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ((item, facts), planned) in looked.into_iter().zip(moves) {
            if let Move::Fold(storm) = planned {
                folds.push((item, facts, storm));
            } else if matches!(planned, Move::Leave(_)) {
                leaves.push((item, facts, planned));
            } else if planned.sends() && claim_of(&item) == Claim::Urgent {
                urgent.push((item, facts, planned));
            } else {
                others.push((item, facts, planned));
            }
        }
        outcomes.extend(self.fold(folds, sender)?);
        outcomes.extend(self.perform(leaves, sender)?);
        outcomes.extend(self.perform(urgent, sender)?);
        self.show(sender)?;
        outcomes.extend(self.perform(others, sender)?);
        sender.lives()?;
        let is_changed =
            self.settle(&outcomes, sender) || held != (sender.state.hold.clone(), sender.state.suspects.clone());
        sender.lives()?;
        if is_changed {
            self.note(sender);
        }
        Ok(!outcomes.iter().any(|(_, ended)| matches!(ended, Ended::Channel | Ended::Untouched)))
    }

    /// What is counted is open until the sender has come to its end with it.
    fn note_wave<A>(&mut self, looked: &[(Behind, Facts)], moves: &[Move], storm_is_due: bool, sender: &mut Sender<A>) {
        let sending = || looked.iter().zip(moves).filter(|(_, planned)| planned.sends()).map(|((item, _), _)| item);
        let active = sender.state.active().map(|active| active.id.clone());
        let row = |facts: &Facts| Some(facts.card.as_ref()?.row.as_ref()?.storm.clone());
        let touched: Vec<StormId> = looked
            .iter()
            .zip(moves)
            .filter_map(|((_, facts), planned)| {
                if let Move::Fold(storm) = planned {
                    Some(storm.clone().or_else(|| active.clone()).expect("a storm takes it in"))
                } else {
                    matches!(planned, Move::Leave(_) | Move::Card(Step::Post { .. })).then(|| row(facts)).flatten()
                }
            })
            .collect();
        if sending().next().is_none() && touched.is_empty() && !storm_is_due {
            return;
        }
        sender.state = sender.state.clone().with_wave(sending());
        let mut noted = sender.state.clone();
        noted.budget = noted.budget.with_reserved(sending().count() + 1, at(self.now));
        for storm in noted.storms.iter_mut().filter(|storm| touched.contains(&storm.id)) {
            (storm.is_counted, storm.message.is_true) = (false, false);
        }
        self.store(&noted);
        sender.noted = noted;
    }

    fn note<A>(&mut self, sender: &mut Sender<A>) {
        self.store(&sender.state);
        sender.noted = sender.state.clone();
    }

    fn number(item: &Behind) -> usize {
        item.subject.incident().unwrap().as_str()[1..].parse().unwrap()
    }

    fn look(&self, item: &Behind) -> Facts {
        let number = Self::number(item);
        let card = self.cards.get(&number).cloned();
        let row =
            card.as_ref().and_then(|card| self.rows.get(&(card.row.as_ref()?.storm.to_string(), number))).cloned();
        Facts { row, ..facts(self.records.get(&number).cloned(), card) }
    }

    fn fold<A: Iterator<Item = Answer>>(
        &mut self,
        folds: Vec<(Behind, Facts, Option<StormId>)>,
        sender: &mut Sender<A>,
    ) -> Result<Vec<(Behind, Ended)>, Died> {
        let active = sender.state.active().map(|active| active.id.clone());
        let mut by_storm: BTreeMap<String, Vec<(Behind, Facts)>> = BTreeMap::new();
        for (item, facts, storm) in folds {
            let storm = storm.or_else(|| active.clone()).unwrap();
            by_storm.entry(storm.to_string()).or_default().push((item, facts));
        }
        let mut outcomes = Vec::new();
        for (id, folds) in by_storm {
            let storm = StormId::new(id.clone()).unwrap();
            let row = |(item, facts): &(Behind, Facts)| {
                let (record, version) = facts.record.as_ref().unwrap();
                Row::of(record, *version, facts.listed == Listed::Over, item.marked.at).unwrap()
            };
            for fold in &folds {
                let (item, facts) = fold;
                let unposted = || CardRecord::unposted(channel(), team(), home().tenant);
                let mut card = facts.card.clone().unwrap_or_else(unposted);
                let (record, version) = facts.record.as_ref().unwrap();
                card.folded(row(fold).folded(&storm), *version);
                card.mark_announced(&record.log, record);
                self.cards.insert(Self::number(item), card);
            }
            sender.lives()?;
            let mut known: Vec<Option<Folded>> = Vec::new();
            for fold in &folds {
                let before = self.rows.insert((id.clone(), Self::number(&fold.0)), row(fold));
                known.push(before.map(|row| row.folded(&storm)));
            }
            sender.lives()?;
            for (fold, was) in folds.into_iter().zip(known) {
                let row = row(&fold);
                let (item, _) = fold;
                sender.state.storm_mut(&storm).unwrap().fold(was.as_ref(), &row, at(self.now));
                sender.state.survived(&item.subject);
                let ended = if row.version < item.wanted { Ended::Soon } else { Ended::Done };
                outcomes.push((item, ended));
            }
        }
        Ok(outcomes)
    }

    fn perform<A: Iterator<Item = Answer>>(
        &mut self,
        planned: Vec<(Behind, Facts, Move)>,
        sender: &mut Sender<A>,
    ) -> Result<Vec<(Behind, Ended)>, Died> {
        let before = sender.state.hold.clone();
        let mut outcomes = Vec::new();
        for (item, facts, planned) in planned {
            let stopped = sender.state.hold.is_some() && sender.state.hold != before;
            let ended = if planned.sends() && (stopped || !sender.may(claim_of(&item), at(self.now))) {
                Ended::Untouched
            } else {
                self.carry_out(&item, &facts, planned, sender)?
            };
            match ended {
                Ended::Soon => _ = sender.soon.insert(item.subject.clone(), item.seq),
                Ended::Untouched | Ended::Channel => {}
                Ended::Done | Ended::More | Ended::Until(_) | Ended::Later | Ended::Parked => {
                    sender.state.survived(&item.subject);
                }
            }
            outcomes.push((item, ended));
        }
        Ok(outcomes)
    }

    fn carry_out<A: Iterator<Item = Answer>>(
        &mut self,
        item: &Behind,
        facts: &Facts,
        planned: Move,
        sender: &mut Sender<A>,
    ) -> Result<Ended, Died> {
        let (number, now) = (Self::number(item), at(self.now));
        let unposted = || CardRecord::unposted(channel(), team(), home().tenant);
        let step = match planned {
            Move::Soon => return Ok(Ended::Soon),
            Move::Ask => {
                // PagerDuty is asked, and the version is reached.
                let known = self.records.get(&number).map(|(record, _)| record.clone());
                self.records.insert(number, (known.unwrap_or_else(|| event(number, 0)), item.wanted));
                return Ok(Ended::Untouched);
            }
            Move::Done(_) => return Ok(Ended::Done),
            Move::Wait(until) => return Ok(Ended::Until(until)),
            Move::Park(_) => {
                let card = card_of(item, facts, &sender.state, now).filter(|card| card.doubt.is_some());
                card.map(|card| self.cards.insert(number, card));
                return Ok(Ended::Parked);
            }
            Move::Leave(row) => {
                let was = self.rows.remove(&(row.storm.to_string(), number)).map(|known| known.folded(&row.storm));
                sender.lives()?;
                let mut card = facts.card.clone().unwrap();
                card.unfolded(item.freeze.unwrap());
                self.cards.insert(number, card);
                sender.lives()?;
                sender.state.storm_mut(&row.storm).unwrap().leave(was.as_ref(), &incident(number));
                return Ok(Ended::Done);
            }
            Move::Hush => {
                let (record, _) = facts.record.as_ref().unwrap();
                let mut card = card_of(item, facts, &sender.state, now).unwrap();
                card.mark_announced(&record.log, record);
                self.cards.insert(number, card);
                return Ok(Ended::More);
            }
            Move::Fold(_) => unreachable!("they are folded in one go"),
            Move::Say => unreachable!("there are incidents only"),
            Move::Card(step) => step,
        };
        let (record, version) = facts.record.clone().unwrap();
        let mut card = card_of(item, facts, &sender.state, now).unwrap_or_else(unposted);
        sender.lives()?;
        let answer = sender.answer();
        let arrives = matches!(answer, Answer::Taken | Answer::Unclear);
        if let (true, Step::Post { .. }) = (arrives, &step) {
            self.posted += 1;
            self.messages.entry(number).or_default().push((self.posted.to_string(), version));
        }
        if let (true, Step::Edit(activity, _)) = (arrives, &step) {
            let messages = self.messages.get_mut(&number).unwrap();
            messages.iter_mut().find(|(id, _)| id == activity.as_str()).unwrap().1 = version;
        }
        sender.lives()?;
        let ended = match (answer, step) {
            (Answer::Taken, Step::Post { doubtful, .. }) => {
                let activity = ActivityId::new(self.posted.to_string()).unwrap();
                card.possible_doubles += u32::from(doubtful);
                card.posted_as(activity, version, "x".to_owned(), now);
                card.mark_announced(&record.log, &record);
                if let Some(row) = facts.card.as_ref().and_then(|card| card.row.as_ref()) {
                    let was = self.rows.remove(&(row.storm.to_string(), number)).map(|known| known.folded(&row.storm));
                    self.cards.insert(number, card.clone());
                    sender.lives()?;
                    if let Some(storm) = sender.state.storm_mut(&row.storm) {
                        storm.becomes_card(was.as_ref(), &incident(number));
                    }
                }
                Ended::More
            }
            (Answer::Taken, Step::Edit(..)) => {
                card.edited(now);
                card.shows(version, "x".to_owned());
                Ended::More
            }
            (Answer::Taken | Answer::Refused, Step::Freeze(_)) => {
                card.freeze(item.freeze.unwrap());
                Ended::More
            }
            (Answer::Taken | Answer::Unclear | Answer::Lost | Answer::Refused, Step::Call(..)) => {
                card.mark_called(record.state().unwrap());
                Ended::More
            }
            (Answer::Taken | Answer::Unclear | Answer::Lost | Answer::Refused, Step::Reply(_, news)) => {
                card.mark_announced(&news, &record);
                Ended::More
            }
            (Answer::Refused, Step::Post { size, .. } | Step::Edit(_, size)) => {
                card.refuse(version, size, "x", now);
                Ended::More
            }
            (Answer::Unclear | Answer::Lost, Step::Post { .. }) => {
                *self.unclear.entry(number).or_default() += 1;
                card.doubt = Some(Doubt { since: now });
                Ended::Later
            }
            (Answer::Unclear | Answer::Lost, Step::Edit(..) | Step::Freeze(_)) => {
                card.repeat = Some(crate::plan::Repeat::AfterNext);
                Ended::Later
            }
            (Answer::Throttled | Answer::Gone, _) => {
                sender.waits(answer, now);
                return Ok(Ended::Channel);
            }
            (_, Step::Wait { .. } | Step::Nothing(_)) => unreachable!("not planned here"),
        };
        sender.state.hold = None;
        self.cards.insert(number, card);
        Ok(ended)
    }

    /// Writes down what became of each item. Whether the table has to hear what is not in flight any more.
    fn settle<A>(&mut self, outcomes: &[(Behind, Ended)], sender: &mut Sender<A>) -> bool {
        let now = at(self.now);
        for (item, ended) in outcomes {
            let Some(known) = self.set.get_mut(&item.subject) else { continue };
            let is_same = known.seq == item.seq;
            match ended {
                Ended::Done if is_same => _ = self.set.remove(&item.subject),
                Ended::Until(until) if is_same => (known.not_before, known.afresh) = (Some(*until), false),
                Ended::Parked if is_same => {
                    known.parked = Some("x".to_owned());
                    (known.afresh, known.attempts, known.not_before) = (false, 0, None);
                }
                Ended::Later | Ended::Channel => {
                    known.attempts = item.attempts + 1;
                    known.tried = item.seq;
                    let until = *ended == Ended::Later && is_same;
                    known.not_before = until.then(|| now + pause(item.attempts + 1));
                }
                Ended::Done | Ended::More | Ended::Soon | Ended::Until(_) | Ended::Parked | Ended::Untouched => {}
            }
        }
        let flying = std::mem::take(&mut sender.state.in_flight);
        let of = |subject: &Subject| outcomes.iter().find(|(item, _)| &item.subject == subject);
        flying
            .iter()
            .filter_map(|flying| of(&flying.subject))
            .any(|(_, ended)| !matches!(ended, Ended::Done | Ended::Later | Ended::Channel))
    }

    /// The storms' cards.
    fn show<A: Iterator<Item = Answer>>(&mut self, sender: &mut Sender<A>) -> Result<(), Died> {
        let (rules, now) = (small_rules(), at(self.now));
        for _ in 0..8 {
            let wants = sender.state.storm_wants(&rules, now);
            let Some((_, id, want)) = wants.filter(|(at, ..)| *at <= now) else { return Ok(()) };
            let rows: Vec<Row> = self.rows_of(&id).cloned().collect();
            match want {
                Want::Show => {
                    let storm = sender.state.storm_mut(&id).unwrap();
                    if !storm.is_counted || storm.followed.is_short() {
                        storm.followed = Followed::counted(rows.iter().cloned());
                        storm.is_counted = true;
                    }
                    assert_counts(storm, &rows);
                    if !sender.may(Claim::Urgent, now) {
                        return Ok(());
                    }
                    sender.lives()?;
                    let answer = sender.answer();
                    self.show_card(&id, answer, sender);
                    sender.lives()?;
                }
                Want::TellEnd => {
                    if !sender.may(Claim::Ordinary, now) {
                        return Ok(());
                    }
                    match sender.answer() {
                        answer @ (Answer::Throttled | Answer::Gone) => sender.waits(answer, now),
                        Answer::Taken | Answer::Unclear | Answer::Lost | Answer::Refused => {
                            sender.state.storm_mut(&id).unwrap().end_is_told = true;
                        }
                    }
                    sender.lives()?;
                }
                Want::End => {
                    let mut open: Vec<Row> = rows.iter().filter(|row| row.is_open()).cloned().collect();
                    most_urgent_first(&mut open);
                    open.truncate(rules.cards_after);
                    for row in &open {
                        let number: usize = row.incident.as_str()[1..].parse().unwrap();
                        self.wish(number, Wish::OwnCard);
                        sender.lives()?;
                    }
                    let storm = sender.state.storm_mut(&id).unwrap();
                    (storm.followed, storm.is_counted) = (Followed::counted(rows), true);
                    (storm.ended_at, storm.cards_after) = (Some(now), open.len() as u64);
                    storm.message.is_true = false;
                }
                Want::Close => {
                    assert!(rows.iter().all(|row| !row.is_open()), "what is open is followed");
                    let storm = sender.state.storm(&id).unwrap().clone();
                    self.closed.insert(id.to_string(), storm);
                    sender.lives()?;
                    sender.state.storms.retain(|storm| storm.id != id);
                }
            }
        }
        Ok(())
    }

    fn show_card<A: Iterator<Item = Answer>>(&mut self, id: &StormId, answer: Answer, sender: &mut Sender<A>) {
        let now = at(self.now);
        let storm = sender.state.storm_mut(id).unwrap();
        let (counts, message) = (storm.followed.counts, &mut storm.message);
        message.edited_at = Some(now);
        match answer {
            Answer::Taken => {
                self.posted += u64::from(message.activity.is_none());
                let posted = ActivityId::new(self.posted.to_string()).unwrap();
                message.activity.get_or_insert(posted);
                (message.doubt, message.is_true, message.failures, message.refused) = (false, true, 0, None);
                self.shown.insert(id.to_string(), counts);
                sender.state.hold = None;
            }
            Answer::Refused => (message.refused, message.failures) = (Some("x".to_owned()), message.failures + 1),
            Answer::Unclear | Answer::Lost => {
                message.failures += 1;
                message.doubt |= message.activity.is_none();
            }
            Answer::Throttled | Answer::Gone => {
                message.failures += 1;
                sender.waits(answer, now);
            }
        }
    }

    fn rows_of(&self, storm: &StormId) -> impl Iterator<Item = &Row> {
        let storm = storm.to_string();
        self.rows.iter().filter(move |((of, _), _)| *of == storm).map(|(_, row)| row)
    }

    /// Every incident is a card that shows the newest, or a row that does, and what is counted is what is there.
    fn assert_shown(&self) {
        let state = self.stored();
        for storm in &state.storms {
            assert!(storm.ended_at.is_some() && storm.message.is_true && storm.is_counted, "{storm:?}");
            let rows: Vec<Row> = self.rows_of(&storm.id).cloned().collect();
            assert_counts(storm, &rows);
            assert_eq!(self.shown.get(storm.id.as_str()), Some(&storm.followed.counts));
        }
        for (number, (record, version)) in &self.records {
            let card = self.cards.get(number);
            let row = card.and_then(|card| card.row.as_ref());
            let followed = state.storms.iter().filter(|storm| self.rows.contains_key(&(storm.id.to_string(), *number)));
            let expected: Vec<&StormId> =
                row.map(|row| &row.storm).filter(|id| state.storm(id).is_some()).into_iter().collect();
            assert_eq!(followed.map(|storm| &storm.id).collect::<Vec<_>>(), expected, "incident {number}");
            if self.frozen.contains(number) {
                continue;
            }
            let card = card.unwrap();
            if let Some(activity) = &card.activity {
                let living = self.messages[number].iter().find(|(id, _)| id == activity.as_str());
                assert_eq!(living.map(|(_, shown)| shown), Some(version), "incident {number}");
                assert_eq!(row, None, "incident {number}");
                continue;
            }
            let row = row.unwrap_or_else(|| panic!("incident {number} is shown"));
            let status = record.state().unwrap().status;
            assert_eq!(self.rows[&(row.storm.to_string(), *number)].status, status, "incident {number}");
            let is_closed = state.storm(&row.storm).is_none();
            assert!(!is_closed || (status == Status::Resolved && self.closed.contains_key(row.storm.as_str())));
            assert!(is_closed || card.rendered == *version, "incident {number}");
        }
    }
}

fn assert_wave(wave: &[Behind], state: &State) {
    assert!(wave.len() <= if state.active().is_some() { ROWS } else { MANY });
    let suspects = wave.iter().filter(|item| state.deaths(&item.subject) > 0).count();
    assert!(suspects == 0 || wave.len() == 1, "what may kill its sender is tried alone");
}

fn assert_storms(state: &State) {
    assert!(state.storms.len() <= STORMS);
    let before = state.storms.iter().rev().skip(1);
    assert!(before.into_iter().all(|storm| storm.ended_at.is_some()), "one takes in at a time");
    let names: BTreeSet<&str> = state.storms.iter().map(|storm| storm.id.as_str()).collect();
    assert_eq!(names.len(), state.storms.len());
}

fn assert_counts(storm: &Storm, rows: &[Row]) {
    let counted = Followed::counted(rows.iter().cloned());
    assert_eq!(storm.followed.counts, counted.counts, "storm {}", storm.id);
    if !storm.followed.is_short() {
        assert_eq!(storm.followed.shown(), counted.shown());
        assert_eq!(storm.followed.oldest(), counted.oldest());
    }
}

proptest! {
    /// Whatever Teams answers, whenever senders die, however it storms: once Teams answers again, every incident has a card or a row
    /// that shows the newest that is known, nothing is unfinished, and there are no more messages than unclear answers and deaths
    /// account for.
    #[test]
    fn everything_is_finished_in_the_end(happens in prop::collection::vec(happens(), 1..60)) {
        let mut world = World::default();
        for happens in happens {
            match happens {
                Happens::Learned { number, news, is_stored } => world.learn(number, news, is_stored),
                Happens::Burst { first, count } => {
                    (first..first + count).for_each(|number| world.learn(number, News::Is(Status::Triggered), true));
                }
                Happens::Wished { number, wish } => world.wish(number, wish),
                Happens::Drained { answers, dies_after } => world.drain(&answers, dies_after),
                Happens::Later(seconds) => world.now += seconds,
            }
        }
        // What is parked is tried again when somebody asks for it; what had three deaths by then is parked once more.
        for _ in 0..2 {
            for item in world.set.values_mut() {
                item.seq += 1;
                (item.afresh, item.parked, item.not_before) = (true, None, None);
            }
            for _ in 0..40 {
                world.now += 60;
                world.drain(&[], None);
            }
        }
        prop_assert_eq!(world.set.keys().collect::<Vec<_>>(), Vec::<&Subject>::new());
        world.assert_shown();
        for (number, card) in &world.cards {
            let unclear = world.unclear.get(number).copied().unwrap_or_default();
            let messages = world.messages.get(number).map_or(0, Vec::len);
            prop_assert!(messages <= 1 + unclear + world.deaths, "incident {}", number);
            let doubts = usize::try_from(card.possible_doubles).unwrap();
            prop_assert!(doubts <= unclear + world.deaths, "what nobody doubts is no double: incident {}", number);
        }
    }
}
