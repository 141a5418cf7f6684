//! The dialog behind *Details*.

use domain::context::{
    Activity, ActivityKind, Alert, AlertPage, Category, Change, Context, Neighbour, Outlier, Part, Reason, Relation,
    Reply, Responder, Several, Written,
};

use super::*;
use crate::{AdaptiveCard, DetailsDialog};

pub(super) fn several<T>(items: Vec<T>) -> Several<T> {
    Several { items, more: 0, at_least: false }
}

pub(super) fn dialog(record: &IncidentRecord, context: &Context, from: u32) -> AdaptiveCard {
    let zone = Zone::named("Europe/Berlin").unwrap();
    crate::details_dialog(&DetailsDialog { record, context, from, zone: &zone })
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn alert(summary: &str, time: &str, is_resolved: bool) -> Alert {
    let said = Details { summary: text(summary), alerts: 1, body: None, ..super::details() };
    Alert { said, is_resolved, created_at: Some(at(time)) }
}

fn entry(time: &str, by: Option<&str>, kind: ActivityKind, to: &[&str]) -> Activity {
    let to = to.iter().map(|name| (*name).to_owned()).collect();
    Activity { at: Some(at(time)), by: by.map(str::to_owned), kind, to }
}

fn responder(name: &str, reply: Reply, message: Option<&str>) -> Responder {
    Responder { name: name.to_owned(), reply, asked_by: text("Alice Example"), message: message.map(str::to_owned) }
}

pub(super) fn neighbour(id: &str, title: &str) -> Neighbour {
    Neighbour {
        id: IncidentId::new(id).unwrap(),
        number: None,
        title: title.to_owned(),
        status: None,
        service: None,
        created_at: Some("2026-10-04T16:08:15Z".parse().unwrap()),
        html_url: None,
        why: Vec::new(),
    }
}

/// Everything that PagerDuty can tell.
pub(super) fn context() -> Context {
    let related = Neighbour {
        number: Some(1229),
        status: Some(Status::Acknowledged),
        service: text("Checkout"),
        html_url: text("https://acme.pagerduty.com/incidents/Q7"),
        why: vec![Relation::Alike, Relation::Dependency],
        ..neighbour("Q7", "Checkout errors above 2 %")
    };
    let change = Change {
        summary: "Deploy payments 4.12.0".to_owned(),
        at: Some(at("09:31:00")),
        source: text("build-17"),
        url: text("https://ci.example/builds/17"),
        why: Some(Reason::MostRecent),
    };
    let note = |time, by, content: &str| Written { at: Some(at(time)), by: text(by), content: content.to_owned() };
    let outlier = Outlier {
        category: Some(Category::Rare),
        count: Some(10),
        per_mille: Some(41),
        since: Some("2026-09-23T13:08:14Z".parse().unwrap()),
        until: Some(at("09:36:00")),
    };
    Context {
        alerts: Part::Known(AlertPage {
            alerts: vec![
                alert("Replication lag above 30 s on the payments cluster", "09:36:42", false),
                alert("Replica db-9 does not answer", "09:37:10", false),
                alert("Disk 81 % full on db-7", "09:38:00", true),
            ],
            from: 0,
            next: None,
        }),
        activity: Part::Known(Several {
            at_least: true,
            ..several(vec![
                entry("09:48:00", Some("Bob Example"), ActivityKind::Acknowledged, &[]),
                entry("09:41:00", Some("Payments on-call"), ActivityKind::Escalated, &["Bob Example"]),
                entry("09:40:00", None, ActivityKind::Other("teleport all".to_owned()), &[]),
                entry("09:36:42", Some("Payments"), ActivityKind::Triggered, &[]),
            ])
        }),
        notes: Part::Known(several(vec![
            note("09:50:00", "Bob Example", "Failing over:\n1. stop writes\n2. promote **db-9**\n\nETA 10 min"),
            note("09:39:00", "Alice Example", "Looking"),
        ])),
        responders: Part::Known(several(vec![
            responder("Carol Example", Reply::Accepted, Some("Please look at the replica")),
            responder("Dan Example", Reply::Pending, None),
            responder("Database crew", Reply::Declined, Some("Anybody awake?")),
        ])),
        past: Part::Known(Several {
            more: 4,
            ..several(vec![neighbour("Q3", "Replication lag"), neighbour("Q2", "Replication lag on db-7")])
        }),
        related: Part::Known(several(vec![related])),
        changes: Part::Known(several(vec![change])),
        outlier: Part::Known(outlier),
        impacts: Part::Known(several(vec!["Web shop".to_owned(), "Payouts".to_owned()])),
    }
}

pub(super) fn nothing() -> Context {
    Context {
        alerts: Part::Known(AlertPage::default()),
        activity: Part::Known(several(Vec::new())),
        notes: Part::Known(several(Vec::new())),
        responders: Part::Known(several(Vec::new())),
        past: Part::NotGiven,
        related: Part::NotGiven,
        changes: Part::Known(several(Vec::new())),
        outlier: Part::Known(Outlier::default()),
        impacts: Part::NotGiven,
    }
}

pub(super) fn told() -> IncidentRecord {
    let mut record = with_details(in_status(Status::Acknowledged, "09:48:00", "Bob Example"), super::details());
    let details = &mut record.details.as_mut().unwrap().value;
    details.body = Some("Customers cannot pay.\n\nSee the runbook first.".to_owned());
    record
}

fn shown(card: &AdaptiveCard) -> String {
    serde_json::to_string(card).unwrap()
}

#[test]
fn an_incident_without_its_state_has_a_dialog_still() {
    let mut record = triggered();
    record.snapshot = None;
    let card = shown(&dialog(&record, &Context::late(), 0));
    assert!(card.contains("PagerDuty incident") && card.contains("Retry"), "{card}");
}

#[test]
fn a_resolved_incident_says_when_it_began() {
    let card = shown(&dialog(&in_status(Status::Resolved, "11:06:00", "Bob Example"), &nothing(), 0));
    assert!(card.contains("23 Nov 2026, 10:36 CET (Europe/Berlin)"), "{card}");
}

#[test]
fn pages_of_alerts_say_where_they_are_and_lead_on() {
    let mut record = told();
    record.details.as_mut().unwrap().value.alerts = 60;
    let page = |from, next| Context {
        alerts: Part::Known(AlertPage { alerts: vec![alert("a", "09:36:42", false); 10], from, next }),
        ..nothing()
    };
    let cases = [
        (0, Some(10), "Alerts 1-10 of 60", vec![("Next alerts", 10)]),
        (10, Some(20), "Alerts 11-20 of 60", vec![("Next alerts", 20), ("First alerts", 0)]),
        (50, None, "Alerts 51-60 of 60", vec![("First alerts", 0)]),
        // What is known of their number is older than the page.
        (60, Some(70), "Alerts 61-70 of more than 70", vec![("Next alerts", 70), ("First alerts", 0)]),
    ];
    for (from, next, title, expected) in cases {
        let card = serde_json::to_value(dialog(&record, &page(from, next), from)).unwrap();
        assert!(card.to_string().contains(title), "{title}: {card}");
        let rows = card["body"].as_array().unwrap().iter().filter(|element| element["type"] == "ActionSet");
        let buttons: Vec<(String, u64)> = rows
            .flat_map(|row| row["actions"].as_array().unwrap().clone())
            .map(|action| {
                assert_eq!(action["data"]["verb"], "details");
                let from = action["data"]["from"].as_u64().unwrap_or_default();
                (action["title"].as_str().unwrap().to_owned(), from)
            })
            .collect();
        let expected: Vec<(String, u64)> = expected.into_iter().map(|(title, from)| (title.to_owned(), from)).collect();
        assert_eq!(buttons, expected);
    }
    let end = AlertPage { alerts: Vec::new(), from: 90, next: None };
    let card = shown(&dialog(&record, &Context { alerts: Part::Known(end), ..nothing() }, 90));
    assert!(card.contains("There are no more alerts") && card.contains("First alerts"), "{card}");
}

#[test]
fn the_only_alert_is_not_told_twice() {
    let only = alert("Replication lag above 30 s on the payments cluster", "09:36:42", false);
    let alerts = |alerts| Part::Known(AlertPage { alerts, from: 0, next: None });
    let card = shown(&dialog(&told(), &Context { alerts: alerts(vec![only.clone()]), ..nothing() }, 0));
    assert!(!card.contains("Alerts (") && card.contains("Replication lag above"), "{card}");
    let other = alert("Another one", "09:36:42", false);
    let card = shown(&dialog(&told(), &Context { alerts: alerts(vec![other]), ..nothing() }, 0));
    assert!(card.contains("Alerts (1)"), "{card}");
}

#[test]
fn what_is_usual_is_said_in_words() {
    let said =
        |outlier: Outlier| shown(&dialog(&triggered(), &Context { outlier: Part::Known(outlier), ..nothing() }, 0));
    let of = |category| Outlier { category: Some(category), ..Outlier::default() };
    assert!(said(of(Category::Rare)).contains("seldom happen on this service."));
    assert!(said(of(Category::Frequent)).contains("often happen on this service."));
    assert!(said(of(Category::Anomaly)).contains("no earlier incident of this service"));
    assert!(said(of(Category::Other("odd".to_owned()))).contains("PagerDuty calls it: odd."));
    let counted = Outlier { count: Some(1), per_mille: Some(0), ..Outlier::default() };
    assert!(said(counted).contains("1 was counted, less than 0.1 % of its incidents."));
    assert!(!said(Outlier::default()).contains("usual"));
}

/// The worst case that the limits of the single fields allow: the end gives way, and the head and the way on stay.
#[test]
fn the_largest_dialog_loses_its_end_first() {
    let quote = |length| "\"".repeat(length);
    let mut record = told();
    record.account = AccountId::new(quote(300)).unwrap();
    record.id = IncidentId::new("\\".repeat(300)).unwrap();
    let long = quote(2000);
    *state(&mut record) = Snapshot {
        title: long.clone(),
        priority: Some(Priority { id: None, name: long.clone() }),
        service: ServiceRef { name: long.clone(), ..state(&mut triggered()).service.clone() },
        escalation_policy: Some(long.clone()),
        assignees: vec![actor(&long); 20],
        html_url: format!("https://acme.pagerduty.com/{}", "a".repeat(970)),
        ..state(&mut triggered()).clone()
    };
    let details = &mut record.details.as_mut().unwrap().value;
    details.facts = vec![Fact { name: long.clone(), value: long.clone() }; 8];
    (details.summary, details.body, details.source) =
        (Some(long.clone()), Some(format!("{long}\n").repeat(3)), Some(long.clone()));
    let said = Details { summary: Some(format!("{long}!")), ..details.clone() };
    let many = context();
    let one = Alert { said, is_resolved: false, created_at: None };
    let full = Context {
        alerts: Part::Known(AlertPage { alerts: vec![one; 10], from: 10, next: Some(20) }),
        impacts: Part::Known(several(vec![long.clone(); 30])),
        notes: Part::Known(several(vec![
            Written {
                at: None,
                by: Some(long.clone()),
                content: format!("{}\n", quote(50)).repeat(20)
            };
            20
        ])),
        past: Part::Known(several(vec![neighbour("Q2", &long); 20])),
        related: Part::Late,
        ..many
    };
    let card = dialog(&record, &full, 10);
    assert!(card.json_bytes() <= MAX_CARD_BYTES, "{} bytes", card.json_bytes());
    let text = shown(&card);
    for kept in ["Next alerts", "First alerts", "Retry", "related incidents", "Impacted business services"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
}

#[test]
fn what_gives_way_is_counted() {
    let long = " that is rather long and says little".repeat(3);
    let mut full = context();
    full.past = Part::Known(several(vec![neighbour("Q2", &format!("An incident{long}")); 20]));
    full.notes = Part::Known(several(vec![Written { at: None, by: None, content: "word ".repeat(90) }; 20]));
    let alerts = vec![alert(&format!("An alert{long}"), "09:36:42", false); 10];
    full.alerts = Part::Known(AlertPage { alerts, from: 0, next: None });
    let card = dialog(&told(), &full, 0);
    assert!(card.json_bytes() <= MAX_CARD_BYTES, "{} bytes", card.json_bytes());
    let text = shown(&card);
    let [alerts, notes, past] =
        ["An alert that", "\"word word", "An incident that"].map(|part| text.matches(part).count());
    assert!(alerts >= 5 && notes >= 3 && past < 8, "{alerts} {notes} {past}");
    assert!(
        text.contains(&format!("and {} more", 20 - past)) && text.contains(&format!("and {} more", 20 - notes)),
        "{text}"
    );
}

/// What a page has no room for is where the next one begins.
#[test]
fn an_alert_that_gives_way_is_on_the_next_page() {
    let long = "\"".repeat(2000);
    let fact = Fact { name: long.clone(), value: long.clone() };
    let said =
        Details { summary: Some(long.clone()), body: Some(long.clone()), facts: vec![fact; 8], ..super::details() };
    let alerts = vec![Alert { said, is_resolved: false, created_at: None }; 10];
    let full = Context { alerts: Part::Known(AlertPage { alerts, from: 20, next: None }), ..context() };
    let card = serde_json::to_value(dialog(&told(), &full, 20)).unwrap();
    let rows = card["body"].as_array().unwrap();
    let mut next = rows.iter().flat_map(|row| row["actions"].as_array().cloned().unwrap_or_default());
    let next = next.find(|action| action["title"] == "Next alerts").unwrap();
    let next = next["data"]["from"].as_u64().unwrap();
    assert!((21..30).contains(&next), "{next}");
    assert!(card.to_string().contains(&format!("Alerts 21-{next} of 30")), "{card}");
}
