//! The card of a storm in each of its stages, and its dialogs.

use std::sync::LazyLock;

use domain::ids::StormId;
use domain::storm::{Folded, Followed, Kind, Row, Storm};
use jiff::SignedDuration;

use super::*;
use crate::data::{StormData, StormDialog, StormFilter, StormStatus, StormVerb};
use crate::{
    StormAnswer, StormAnswered, StormList, StormOutcome, StormPlace, StormQuestion, StormScope, StormService,
    StormView, storm_answer_sentence, storm_end_reply, storm_fallback, storm_list, storm_question,
};

static ACCOUNT: LazyLock<AccountId> = LazyLock::new(|| AccountId::new("PACC1").unwrap());
static STORM: LazyLock<StormId> = LazyLock::new(|| StormId::new("7").unwrap());

pub(super) fn place(filter: &StormFilter) -> StormPlace<'_> {
    StormPlace { account: &ACCOUNT, storm: &STORM, filter }
}

/// Rows of a list, the newest first.
pub(super) fn listed(count: u64) -> Vec<Row> {
    let status = |number| if number % 4 == 1 { Status::Acknowledged } else { Status::Triggered };
    (48_000..48_000 + count).rev().map(|number| row(number, status(number), "Payments")).collect()
}

pub(super) fn services() -> Vec<StormService> {
    let service = |name: &str, open| StormService { id: ServiceId::new(name).unwrap(), name: name.to_owned(), open };
    vec![service("Payments", 1204), service("Search", 1)]
}

/// So many acknowledged, failed, not in time, resolved meanwhile and acknowledged by others.
pub(super) fn answered(counts: [usize; 5]) -> Vec<StormAnswered> {
    let failed = StormOutcome::Failed { reason: "Your role may not do this.".to_owned() };
    let outcomes =
        [StormOutcome::Acknowledged, failed, StormOutcome::NotInTime, StormOutcome::Resolved, StormOutcome::Already];
    let all = outcomes.into_iter().zip(counts).flat_map(|(outcome, count)| vec![outcome; count]);
    let answered = |(number, outcome)| StormAnswered { number, title: "Replica lag".to_owned(), outcome };
    (48_000..).zip(all).map(answered).collect()
}

pub(super) fn row(number: u64, status: Status, service: &str) -> Row {
    let titles = [
        "Checkout latency above 2 s",
        "Disk 93 % full on db-07",
        "5xx rate of /v2/orders is 12 % for more than five minutes in eu-west-1",
        "Replica lag",
        "Pod crash-looping: search-indexer",
    ];
    let index = usize::try_from(number).unwrap();
    Row {
        incident: IncidentId::new(format!("Q{number}")).unwrap(),
        number,
        title: titles[index % titles.len()].to_owned(),
        status,
        urgency: if number % 7 == 3 { Urgency::Low } else { Urgency::High },
        priority: number.is_multiple_of(3).then(|| "P2".to_owned()),
        service: ServiceRef { id: ServiceId::new(service.replace(" ", "-")).unwrap(), name: service.to_owned() },
        url: format!("https://acme.pagerduty.com/incidents/Q{number}"),
        since: at("09:12:00") + SignedDuration::from_secs(i64::try_from(number % 600).unwrap()),
        version: domain::incident::RecordVersion::default(),
    }
}

/// So many triggered, acknowledged and resolved ones, on some services.
pub(super) fn storm(kind: Kind, counts: [u64; 3]) -> Storm {
    const SERVICES: [&str; 9] =
        ["Payments", "Checkout", "Search", "Identity and access gateway", "Mail", "Ledger", "Web", "Jobs", "CDN"];
    let statuses = [Status::Triggered, Status::Acknowledged, Status::Resolved];
    let rows =
        statuses.into_iter().zip(counts).flat_map(|(status, count)| vec![status; usize::try_from(count).unwrap()]);
    let rows = rows.enumerate().map(|(index, status)| {
        let service = SERVICES[(index * index / 7 + index % 3) % SERVICES.len()];
        row(48_000 + u64::try_from(index).unwrap(), status, service)
    });
    let team = TeamId::new("19:team@thread.tacv2").unwrap();
    let mut storm = Storm::begun(StormId::new("7").unwrap(), team, kind, at("09:12:03"));
    storm.followed = Followed::counted(rows);
    storm
}

pub(super) fn ended(mut storm: Storm, cards_after: u64) -> Storm {
    storm.ended_at = Some(at("09:46:40"));
    storm.cards_after = cards_after;
    storm
}

pub(super) fn left(mut storm: Storm, left: u64) -> Storm {
    storm.left = left;
    storm
}

pub(super) fn card(storm: &Storm) -> Card {
    crate::storm(&view(storm, &top()))
}

pub(super) fn top() -> Vec<String> {
    vec!["p1".to_owned()]
}

pub(super) fn view<'a>(storm: &'a Storm, top: &'a [String]) -> StormView<'a> {
    StormView { storm, account: &ACCOUNT, now: at("09:24:10"), top }
}

/// The number before a word, as whoever checks the card reads it.
fn said(text: &str, word: &str) -> Option<u64> {
    text.match_indices(&format!(" {word}")).find_map(|(end, _)| {
        let start = text[..end].rfind(|c: char| !c.is_ascii_digit() && c != ',').map_or(0, |before| before + 1);
        text[start..end].replace(',', "").parse().ok()
    })
}

#[test]
fn every_card_says_how_many_there_are_in_each_status() {
    for counts in [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1290, 22, 40], [0, 0, 1412], [2, 1100, 3000]] {
        for kind in [Kind::Storm, Kind::Late] {
            let young = storm(kind, counts);
            for storm in [young.clone(), ended(young.clone(), 0), left(ended(young, 20), 3)] {
                let view = view(&storm, &[]);
                for card in [crate::storm(&view), storm_fallback(&view)] {
                    let text = json(&card).to_string();
                    let expected = storm.followed.counts;
                    assert_eq!(said(&text, "open"), Some(expected.open()), "{text}");
                    for (status, word) in [
                        (Status::Triggered, "triggered"),
                        (Status::Acknowledged, "acknowledged"),
                        (Status::Resolved, "resolved"),
                    ] {
                        let expected = expected.of(status).all();
                        assert_eq!(said(&text, word), Some(expected), "{word} {text}");
                        assert_eq!(said(&card.summary, word), Some(expected), "{word} {}", card.summary);
                    }
                }
            }
        }
    }
}

#[test]
fn heads_are_right_in_number() {
    let table = [
        (storm(Kind::Storm, [1000, 1, 0]), "Incident storm: 1,001 open"),
        (ended(storm(Kind::Storm, [10, 2, 50]), 12), "Storm over: 12 still open"),
        (ended(storm(Kind::Storm, [0, 0, 1412]), 0), "Storm over: all 1,412 incidents are resolved"),
        (ended(storm(Kind::Storm, [0, 0, 1400]), 12), "Storm over: all 1,400 incidents here are resolved"),
        (ended(storm(Kind::Storm, [0, 0, 1]), 0), "Storm over: the 1 incident here is resolved"),
        (ended(storm(Kind::Storm, [0, 0, 0]), 5), "Storm over: no incident is left here"),
        (storm(Kind::Late, [0, 0, 3]), "3 incidents were over before this channel could be told"),
        (storm(Kind::Late, [0, 0, 1]), "1 incident was over before this channel could be told"),
    ];
    for (storm, head) in table {
        let card = card(&storm);
        assert_eq!(json(&card)["fallbackText"], head);
        assert_eq!(json(&card)["body"][0]["items"][0]["text"], head);
        assert!(card.summary.starts_with(head), "{}", card.summary);
    }
}

#[test]
fn the_thread_hears_of_the_end() {
    let table = [
        (
            ended(storm(Kind::Storm, [10, 2, 1388]), 12),
            "The storm is over after 34 min: 1,400 incidents here, 12 are still open; 12 more have their own cards now.",
        ),
        (
            left(ended(storm(Kind::Storm, [1, 0, 3]), 1), 1),
            "The storm is over after 34 min: 4 incidents here, 1 is still open; 1 more has its own card now; 1 is not \
             followed any more.",
        ),
        (
            ended(storm(Kind::Storm, [0, 0, 12]), 0),
            "The storm is over after 34 min: 12 incidents here, all are resolved.",
        ),
        (
            ended(storm(Kind::Storm, [2, 1, 0]), 0),
            "The storm is over after 34 min: 3 incidents here, all are still open.",
        ),
        (ended(storm(Kind::Storm, [0, 0, 1]), 0), "The storm is over after 34 min: 1 incident here, it is resolved."),
        (ended(storm(Kind::Storm, [1, 0, 0]), 0), "The storm is over after 34 min: 1 incident here, it is still open."),
        (
            ended(storm(Kind::Storm, [0, 0, 0]), 20),
            "The storm is over after 34 min: no incident is left here; 20 more have their own cards now.",
        ),
    ];
    for (storm, said) in table {
        assert_eq!(storm_end_reply(&storm, storm.ended_at.unwrap()), said);
    }
}

#[test]
fn each_stage_has_the_buttons_that_fit() {
    let all: &[&str] = &["Show list", "Acknowledge mine", "Acknowledge shown"];
    let list: &[&str] = &["Show list"];
    let table = [
        (storm(Kind::Storm, [1, 2, 3]), all),
        (storm(Kind::Storm, [0, 2, 3]), list),
        (ended(storm(Kind::Storm, [1, 2, 3]), 0), all),
        (ended(storm(Kind::Storm, [0, 0, 3]), 0), list),
        (storm(Kind::Late, [0, 0, 3]), list),
        (storm(Kind::Late, [1, 0, 3]), all),
    ];
    for (storm, expected) in table {
        assert_eq!(buttons(&card(&storm)), expected);
        assert!(buttons(&storm_fallback(&view(&storm, &[]))).is_empty());
    }
}

#[test]
fn other_days_are_named() {
    let mut storm = storm(Kind::Storm, [1, 0, 0]);
    let mut row = row(48_000, Status::Triggered, "Payments");
    let was = row.folded(&storm.id);
    row.since = at("09:12:00") - SignedDuration::from_hours(24);
    storm.fold(Some(&was), &row, at("09:24:10"));
    let text = json(&card(&storm)).to_string();
    assert!(
        text.contains("Oldest open for 24 h 12 min, since 22 Nov 2026, 09:12 UTC · as of 09:24:10 UTC, 23 Nov 2026"),
        "{text}"
    );
}

#[test]
fn priorities_with_their_own_cards_are_named() {
    let table = [
        (&[][..], "so they are rows here.\""),
        (&["p1"][..], "so they are rows here. P1 still gets its own card.\""),
        (&["p1", "sev1", "sev-1"][..], "so they are rows here. P1, SEV1, SEV-1 still get their own cards.\""),
    ];
    for (top, said) in table {
        let top: Vec<String> = top.iter().map(|&name| name.to_owned()).collect();
        let storm = storm(Kind::Storm, [12, 0, 0]);
        let text = json(&crate::storm(&view(&storm, &top))).to_string();
        assert!(text.contains(said), "{text}");
    }
}

/// Rows leave the storm; what is left is said.
#[test]
fn what_has_left_is_said() {
    let mut storm = storm(Kind::Storm, [3, 0, 0]);
    for number in [48_000, 48_001] {
        let row = row(number, Status::Triggered, "Payments");
        let was = Folded { service: storm.followed.services[0].service.id.clone(), ..row.folded(&storm.id) };
        storm.leave(Some(&was), &row.incident);
        let said =
            ["1 more is not followed any more, since its service", "2 more are not followed any more, since their"];
        let text = json(&card(&storm)).to_string();
        assert!(text.contains(said[usize::try_from(storm.left).unwrap() - 1]), "{text}");
    }
}

/// What the buttons of a dialog carry, by their titles.
fn carried(card: &crate::AdaptiveCard) -> Vec<(String, StormData)> {
    let json = serde_json::to_value(card).unwrap();
    let actions = json["actions"].as_array().cloned().unwrap_or_default();
    actions
        .iter()
        .map(|action| {
            assert_eq!(action["data"].get("msteams"), None, "inside a dialog nothing opens another");
            (action["title"].as_str().unwrap().to_owned(), StormData::read(&action["data"]).unwrap())
        })
        .collect()
}

fn page<'a>(filter: &'a StormFilter, rows: &'a [Row]) -> StormList<'a> {
    let place = place(filter);
    StormList { place, rows, after: None, first: 0, total: 312, next: Some("t0k3n"), services: &[], said: None }
}

#[test]
fn a_page_says_where_it_is() {
    let rows = listed(10);
    let status = |status| StormFilter { service: None, status };
    let (open, all) = (status(StormStatus::Open), status(StormStatus::All));
    let table = [
        (page(&open, &rows), "1-10 of 312 open"),
        (StormList { first: 1000, total: 1312, ..page(&open, &rows) }, "1,001-1,010 of 1,312 open"),
        (StormList { first: 310, total: 312, ..page(&all, &rows[..2]) }, "311-312 of 312"),
        (StormList { first: 310, total: 300, ..page(&all, &rows[..2]) }, "311-312 of 312"),
        (StormList { total: 0, ..page(&open, &[]) }, "There is no open incident here"),
        (StormList { total: 0, ..page(&all, &[]) }, "There is no incident here"),
        (StormList { first: 10, total: 10, ..page(&open, &[]) }, "Nothing more of 10 open"),
    ];
    for (list, said) in table {
        let json = serde_json::to_value(storm_list(&list)).unwrap();
        assert_eq!(json["body"][0]["text"], said);
    }
}

#[test]
fn the_list_has_the_buttons_that_fit() {
    let rows = listed(10);
    let filter = |status| StormFilter { service: Some(ServiceId::new("PSVC1").unwrap()), status };
    let (open, resolved) = (filter(StormStatus::Open), filter(StormStatus::Resolved));
    let first = &["Next page", "Apply filter", "Show as card", "Acknowledge these"][..];
    let table = [
        (page(&open, &rows), first),
        (
            StormList { first: 10, after: Some("h3r3"), ..page(&open, &rows) },
            &["Next page", "First page", "Apply filter", "Show as card", "Acknowledge these"],
        ),
        (
            StormList { first: 20, next: None, ..page(&resolved, &rows) },
            &["First page", "Apply filter", "Show as card"],
        ),
        (StormList { total: 0, next: None, ..page(&open, &[]) }, &["Apply filter"]),
    ];
    for (list, expected) in table {
        let carried = carried(&storm_list(&list));
        let titles: Vec<&str> = carried.iter().map(|(title, _)| title.as_str()).collect();
        assert_eq!(titles, expected);
        for (title, data) in &carried {
            let (dialog, verb, from) = match title.as_str() {
                "Next page" => (StormDialog::List, StormVerb::Next, list.first + 10),
                "First page" => (StormDialog::List, StormVerb::First, 0),
                "Apply filter" => (StormDialog::List, StormVerb::Show, 0),
                "Show as card" => {
                    (StormDialog::List, StormVerb::Card, if list.after.is_some() { list.first } else { 0 })
                }
                _ => (StormDialog::AcknowledgeShown, StormVerb::Ask, 0),
            };
            assert_eq!((data.dialog, data.verb, data.from), (dialog, Some(verb), from), "{title}");
            let after = match verb {
                StormVerb::Next => list.next,
                StormVerb::Card => list.after,
                _ => None,
            };
            assert_eq!(data.after.as_deref(), after, "{title}");
            assert_eq!(&data.filter, list.place.filter, "{title}");
        }
    }
}

#[test]
fn a_question_says_how_many_it_is_about() {
    let filter = StormFilter { service: Some(ServiceId::new("PSVC1").unwrap()), status: StormStatus::Triggered };
    let (mine, shown) = (StormScope::Mine, StormScope::Shown);
    let table = [
        (shown, None, 1204, "The 250 newest of 1,204 triggered incidents will be acknowledged in your name.", "250"),
        (shown, Some("Pay"), 250, "250 triggered incidents of Pay will be acknowledged in your name.", "250"),
        (shown, None, 1, "1 triggered incident will be acknowledged in your name.", "1"),
        (mine, None, 1, "1 triggered incident, assigned to you, will be acknowledged in your name.", "1"),
        (
            mine,
            Some("Pay"),
            251,
            "The 250 newest of 251 triggered incidents of Pay, all assigned to you, will be acknowledged in your name.",
            "250",
        ),
        (mine, None, 0, "No incident that is triggered here is assigned to you.", ""),
        (shown, Some("Pay"), 0, "No incident of Pay is triggered here.", ""),
    ];
    for (scope, service, count, said, number) in table {
        let card = storm_question(&StormQuestion { place: place(&filter), scope, service, count });
        let json = serde_json::to_value(&card).unwrap();
        assert_eq!(json["body"][1]["inlines"][0]["text"], said);
        let carried = carried(&card);
        let [(title, data)] = carried.as_slice() else { panic!("{carried:?}") };
        assert_eq!(data.filter, filter);
        if count == 0 {
            assert_eq!(
                (title.as_str(), data.dialog, data.verb),
                ("Show list", StormDialog::List, Some(StormVerb::First))
            );
        } else {
            assert_eq!((title.as_str(), data.verb), (&*format!("Acknowledge {number}"), Some(StormVerb::Acknowledge)));
            assert_eq!(StormScope::of(data.dialog), Some(scope));
        }
    }
}

#[test]
fn an_answer_counts_what_has_become_of_each() {
    let filter = StormFilter::default();
    let all = "18 acknowledged; 2 were resolved meanwhile; 1 was acknowledged by somebody else already; 3 failed: Your role \
               may not do this; 40 not done in time, press Acknowledge shown again.";
    let table = [
        ([18, 3, 40, 2, 1], all),
        ([1, 0, 0, 0, 0], "1 acknowledged."),
        ([0, 0, 0, 0, 0], "0 acknowledged."),
        ([0, 0, 0, 1, 0], "1 was resolved meanwhile."),
        ([0, 0, 0, 0, 5], "5 were acknowledged by somebody else already."),
        ([1200, 0, 1000, 0, 0], "1,200 acknowledged; 1,000 not done in time, press Acknowledge shown again."),
    ];
    for (counts, said) in table {
        let results = answered(counts);
        let answer = StormAnswer { place: place(&filter), scope: StormScope::Shown, results: &results };
        assert_eq!(storm_answer_sentence(&answer), said);
    }
    let mut results = answered([0, 2, 0, 0, 0]);
    results[1].outcome = StormOutcome::Failed { reason: String::new() };
    let answer = StormAnswer { place: place(&filter), scope: StormScope::Mine, results: &results };
    assert_eq!(storm_answer_sentence(&answer), "2 failed for several reasons.");
    let answer = StormAnswer { results: &results[1..], ..answer };
    assert_eq!(storm_answer_sentence(&answer), "1 failed: PagerDuty gave no reason.");
    let mut reopened = answered([3, 0, 0, 0, 0]);
    reopened[1].outcome = StormOutcome::Reopened { by: Some("Ben".to_owned()) };
    let shown = StormAnswer { results: &reopened, ..answer };
    assert_eq!(storm_answer_sentence(&shown), "3 acknowledged; 1 of them had just been resolved and is open again.");
    let card = serde_json::to_string(&crate::storm_answer(&shown)).unwrap();
    assert!(card.contains("Ben had just resolved it; your acknowledgement has reopened it"), "{card}");
    assert!(!card.contains("Not all were acknowledged"), "{card}");
    let late = answered([0, 0, 1, 0, 0]);
    let answer = StormAnswer { results: &late, ..answer };
    assert_eq!(storm_answer_sentence(&answer), "1 not done in time, press Acknowledge mine again.");
}
