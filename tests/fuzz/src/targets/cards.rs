//! Cards and dialogs, with the input in every place that foreign text may come to.

use std::collections::BTreeSet;

use cards::data::{StormFilter, StormStatus};
use cards::{
    Called, DetailsDialog, IncidentView, StormAnswer, StormAnswered, StormList, StormOutcome, StormPlace,
    StormQuestion, StormScope, StormService, StormView,
};
use domain::context::{
    Activity, ActivityKind, Alert, AlertPage, Category, Change, Context, Neighbour, Outlier, Part, Reason, Relation,
    Reply, Responder, Several, Written,
};
use domain::deed::DeedKind;
use domain::details::{Bridge, Details, Fact, LinkTo, Severity};
use domain::ids::{AccountId, ChannelId, EventId, IncidentId, ServiceId, StormId, TeamId};
use domain::incident::{
    Actor, Happening, IncidentRecord, LogEntry, Priority, ServiceRef, Snapshot, Stamped, Status, StatusChange, Urgency,
    Version,
};
use domain::linking::{AccountLink, Wanted, WantedAction};
use domain::storm::{Followed, Kind, Row, Storm};
use domain::zone::Zone;
use jiff::Timestamp;

use super::documents::moment;
use super::{Texts, id};
use crate::engine::outcome;
use crate::harmless;
use crate::stack::START;

const STATUSES: [Status; 3] = [Status::Triggered, Status::Acknowledged, Status::Resolved];

pub(super) fn incident(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let record = record(&mut Texts::of(&text));
    let zone = Zone::named("Europe/Berlin").unwrap_or(Zone::UTC);
    outcome((record.state().map(|state| state.status), record.log.len(), record.details.is_some()));
    for (frozen_since, zone) in [(None, &Zone::UTC), (Some(START), &zone)] {
        harmless::card(&cards::incident(&IncidentView { record: &record, frozen_since, zone }));
    }
    harmless::card(&cards::incident_fallback(&record));
    harmless::card(&cards::incident_left(&record, START));
    let log: Vec<LogEntry> = record.log.iter().cloned().collect();
    harmless::message(&cards::text::thread_reply(&log));
    let unknown = IncidentRecord { snapshot: None, ..record };
    harmless::card(&cards::incident(&IncidentView { record: &unknown, frozen_since: None, zone: &zone }));
}

pub(super) fn details(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let texts = &mut Texts::of(&text);
    let (record, context) = (record(texts), context(texts));
    let from = u32::try_from(texts.number() % u64::from(u32::MAX)).unwrap_or_default();
    let shown = |record: &IncidentRecord| {
        harmless::content(&cards::details_dialog(&DetailsDialog { record, context: &context, from, zone: &Zone::UTC }));
    };
    shown(&record);
    shown(&IncidentRecord { snapshot: None, ..record });
}

pub(super) fn storm(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let texts = &mut Texts::of(&text);
    let rows: Vec<Row> = (0..texts.number() % 13).map(|number| row(texts, number)).collect();
    let top = texts.several(5);
    let kind = texts.choice(&[Kind::Storm, Kind::Late]);
    let mut storm = Storm::begun(id(texts.next(), "7"), id(texts.next(), "T1"), kind, START);
    storm.followed = Followed::counted(rows.iter().cloned());
    storm.ended_at = texts.one_in(2).then_some(START);
    storm.left = texts.number();
    storm.cards_after = texts.number();
    let account: AccountId = id(texts.next(), "PACC");
    let view = StormView { storm: &storm, account: &account, now: START, top: &top };
    harmless::card(&cards::storm(&view));
    harmless::card(&cards::storm_fallback(&view));
    harmless::message(&cards::storm_end_reply(&storm, START));
    outcome((rows.len(), storm.ended_at.is_some()));

    let services: Vec<StormService> = rows
        .iter()
        .map(|row| StormService { id: row.service.id.clone(), name: row.service.name.clone(), open: row.number })
        .collect();
    let statuses = [StormStatus::Open, StormStatus::All];
    let filter =
        StormFilter { service: services.first().map(|service| service.id.clone()), status: texts.choice(&statuses) };
    let storm_id: StormId = id(texts.next(), "7");
    let place = StormPlace { account: &account, storm: &storm_id, filter: &filter };
    let shown = rows.get(..rows.len().min(10)).unwrap_or_default();
    let said = top.first().map(String::as_str);
    // Ours, from the table: an id of at most 300 bytes with a number before it.
    let after = "t0k3n".repeat(60);
    let (after, next) = (Some(after.as_str()), Some(after.as_str()));
    let list = StormList {
        place,
        rows: shown,
        after,
        first: texts.number(),
        total: texts.number(),
        next,
        services: &services,
        said,
    };
    harmless::content(&cards::storm_list(&list));
    let scope = texts.choice(&[StormScope::Mine, StormScope::Shown]);
    harmless::content(&cards::storm_question(&StormQuestion { place, scope, service: said, count: texts.number() }));
    let results: Vec<StormAnswered> = shown
        .iter()
        .map(|row| StormAnswered {
            number: row.number,
            title: row.title.clone(),
            outcome: match row.number % 4 {
                0 => StormOutcome::Failed { reason: row.service.name.clone() },
                1 => StormOutcome::Reopened { by: Some(row.service.name.clone()) },
                2 => StormOutcome::Already,
                _ => StormOutcome::Acknowledged,
            },
        })
        .collect();
    let answer = StormAnswer { place, scope, results: &results };
    harmless::content(&cards::storm_answer(&answer));
    harmless::message(&cards::storm_answer_sentence(&answer));
}

pub(super) fn others(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let texts = &mut Texts::of(&text);
    let [a, b, c, d] = [texts.next(), texts.next(), texts.next(), texts.next()];
    let own = format!("https://{}/oauth/start?ticket=t", harmless::OWN);
    let (channel, living): (ChannelId, _) = (id(a, "19:c"), id(b, "1"));
    let team: TeamId = id(c, "19:t");
    let link = AccountLink {
        tenant: id(a, "T"),
        user: id(b, "U"),
        teams_name: a.to_owned(),
        account: id(c, "PACC"),
        pd_user: id(d, "PUSER"),
        pd_name: b.to_owned(),
        pd_email: c.to_owned(),
        linked_at: START,
    };
    let what = Wanted::Command { text: c.to_owned(), conversation: id(a, "19:c"), team: Some(team.clone()) };
    let wanted = WantedAction { title: d.to_owned(), what };
    let window = cards::PersonalLink { window: &own, browser: Some(&own) };
    let lines = vec![cards::setup::Line { name: a.to_owned(), about: b.to_owned() }; 50];
    let shown = [
        cards::told("Our own words."),
        cards::double_pointer(&channel, &living),
        cards::channel_gone(a),
        cards::service_connected(b),
        cards::team_connected(c),
        cards::personal_link(window, a, Some(&wanted), START),
        cards::linked_by_another(&link, d, Some(a)),
        cards::linked(&link, Some((&wanted, "w4nt3d"))),
        cards::linked_already(&vec![link.clone(); 50]),
        cards::unlinked(&vec![link.clone(); 50]),
        cards::unknown_command(d),
        cards::setup::installed(&team, a, &own, START),
        cards::setup::authorization_link(&team, b, &own, START),
        cards::setup::installed_again(b, 3),
        cards::setup::key_for_admin(c, d, START),
        cards::setup::team_disconnected(a, b),
        cards::setup::test_notification(c, d, START),
        cards::setup::connected(a, false),
        cards::setup::connected(b, true),
        cards::setup::disconnected(b),
        cards::setup::failed(c),
        cards::setup::open_pagerduty(d, a),
        cards::setup::open_configuration(&own),
        cards::setup::list("A list", &lines, ""),
        cards::trigger::trigger_offer(Some(&a.chars().take(cards::trigger::MAX_TITLE_CHARS).collect::<String>())),
    ];
    shown.iter().for_each(harmless::card);
    harmless::content(&cards::trigger::trigger_done(texts.number(), a, b));
    let mentioned =
        [Called { name: a.to_owned(), user: b.parse().ok() }, Called { name: c.to_owned(), user: d.parse().ok() }];
    let call = cards::call(&mentioned, texts.number());
    harmless::message(&call.plain);
    assert_eq!(call.text.matches("<at>").count(), call.mentions.len(), "{}", call.text);
    assert_eq!(call.text.matches('<').count(), 2 * call.mentions.len(), "{}", call.text);
    for mention in &call.mentions {
        assert!(mentioned.iter().any(|one| one.user.as_ref() == Some(&mention.user)), "{mention:?} was not called");
    }
    let (by, kind) = (actor(a), texts.choice(&[DeedKind::Acknowledge, DeedKind::Resolve, DeedKind::AddNote]));
    for said in [
        cards::text::reopened(Some(&by), START),
        cards::text::already_done(kind, Some(&by), Some(START)),
        cards::text::pagerduty_refused(b),
    ] {
        harmless::message(&said);
    }
    outcome(cards::find_command(a).is_some());
    outcome(cards::nearest(a).map(|command| command.word));
}

fn actor(name: &str) -> Actor {
    Actor { user: name.parse().ok(), name: name.to_owned() }
}

fn url(texts: &mut Texts<'_>) -> String {
    let text = texts.next();
    match texts.number() % 4 {
        0 => format!("https://acme.pagerduty.com/incidents/{text}"),
        1 => format!("https://{text}"),
        2 => format!("https://wiki.example/{}", text.repeat(1 + 900 / text.len().max(1))),
        _ => text.to_owned(),
    }
}

fn record(texts: &mut Texts<'_>) -> IncidentRecord {
    let mut record = IncidentRecord::empty(id(texts.next(), "PACC"), id::<IncidentId>(texts.next(), "Q1"));
    let version = Version { at: START, by: "01E".to_owned() };
    let status = texts.choice(&STATUSES);
    let names = texts.several(7);
    let value = Snapshot {
        number: texts.number(),
        title: texts.owned(),
        status,
        urgency: texts.choice(&[Urgency::High, Urgency::Low]),
        priority: texts.maybe().map(|name| Priority { id: None, name }),
        service: ServiceRef { id: id(texts.next(), "PSVC"), name: texts.owned() },
        escalation_policy: texts.maybe(),
        assignees: names.iter().map(|name| actor(name)).collect(),
        html_url: url(texts),
        created_at: texts.one_in(2).then(|| moment(texts.number())),
        merged_into: texts.maybe(),
    };
    record.snapshot = Some(Stamped { version: version.clone(), value });
    let change = StatusChange { status, by: texts.maybe().map(|name| actor(&name)) };
    record.status_change = texts.one_in(2).then(|| Stamped { version: version.clone(), value: change });
    record.log = (0..texts.number() % 9).filter_map(|number| entry(texts, number)).collect::<BTreeSet<_>>();
    record.details = texts.one_in(2).then(|| Stamped { version, value: said(texts) });
    record
}

fn entry(texts: &mut Texts<'_>, number: u64) -> Option<LogEntry> {
    let by = texts.maybe().map(|name| actor(&name));
    Some(LogEntry {
        at: moment(1_795_424_400 + number),
        id: EventId::new(format!("E{number}")).ok()?,
        by,
        what: happening(texts),
    })
}

fn happening(texts: &mut Texts<'_>) -> Happening {
    match texts.number() % 16 {
        0 => Happening::Note { content: texts.owned() },
        1 => Happening::StatusUpdate { message: texts.owned() },
        2 => Happening::Reassigned { to: texts.several(5) },
        3 => Happening::PriorityChanged { to: texts.maybe() },
        4 => Happening::Resolved { merged_into: texts.maybe() },
        5 => Happening::Roles { assignments: texts.several(5) },
        6 => Happening::Task { summary: texts.owned(), change: texts.owned() },
        7 => Happening::Workflow { name: texts.maybe(), change: texts.owned() },
        8 => Happening::ResponderReplied { who: texts.maybe(), reply: texts.owned(), message: texts.maybe() },
        9 => Happening::ConferenceBridge { url: texts.maybe(), numbers: texts.several(3) },
        10 => Happening::ResponderAdded { who: texts.maybe(), message: texts.maybe() },
        11 => Happening::Delegated { to: texts.maybe() },
        12 => Happening::ServiceChanged { to: texts.owned() },
        13 => Happening::CustomFields { names: texts.several(4) },
        14 => Happening::ActionInvocation { action: texts.maybe(), change: texts.owned() },
        _ => Happening::Escalated { to: texts.several(3) },
    }
}

fn said(texts: &mut Texts<'_>) -> Details {
    let links: Vec<LinkTo> = (0..texts.number() % 5).map(|_| LinkTo { text: texts.maybe(), url: url(texts) }).collect();
    Details {
        alerts: texts.number(),
        summary: texts.maybe(),
        severity: texts.one_in(2).then(|| texts.choice(&[Severity::Info, Severity::Error])),
        source: texts.maybe(),
        facts: (0..texts.number() % 9).map(|_| Fact { name: texts.owned(), value: texts.owned() }).collect(),
        more_facts: texts.number(),
        images: links.clone(),
        links,
        body: texts.maybe(),
        bridge: texts.one_in(2).then(|| Bridge { url: Some(url(texts)), number: texts.maybe() }),
        escalates_at: texts.one_in(2).then(|| moment(texts.number())),
    }
}

fn row(texts: &mut Texts<'_>, number: u64) -> Row {
    Row {
        incident: id(texts.next(), "Q1"),
        number: texts.number(),
        title: texts.owned(),
        status: texts.choice(&STATUSES),
        urgency: texts.choice(&[Urgency::High, Urgency::Low]),
        priority: texts.maybe(),
        service: ServiceRef { id: id::<ServiceId>(&format!("{}{number}", texts.next()), "PSVC"), name: texts.owned() },
        url: url(texts),
        since: moment(texts.number()),
        version: domain::incident::RecordVersion::default(),
    }
}

fn several<'i, T: Clone>(texts: &mut Texts<'i>, make: impl Fn(&mut Texts<'i>) -> T) -> Part<Several<T>> {
    match texts.number() % 8 {
        0 => Part::Late,
        1 => Part::NotGiven,
        _ => {
            let items: Vec<T> = (0..texts.number() % 4).map(|_| make(texts)).collect();
            let times = usize::try_from(1 + texts.number() % 6).unwrap_or(1);
            Part::Known(Several { items: vec![items; times].concat(), more: texts.number(), at_least: texts.one_in(2) })
        }
    }
}

fn neighbour(texts: &mut Texts<'_>) -> Neighbour {
    Neighbour {
        id: id(texts.next(), "Q2"),
        number: texts.one_in(2).then(|| texts.number()),
        title: texts.owned(),
        status: texts.one_in(2).then_some(Status::Resolved),
        service: texts.maybe(),
        created_at: some_time(texts),
        html_url: Some(url(texts)),
        why: vec![Relation::Other(texts.owned()); 3],
    }
}

fn some_time(texts: &mut Texts<'_>) -> Option<Timestamp> {
    texts.one_in(2).then(|| moment(texts.number()))
}

fn context(texts: &mut Texts<'_>) -> Context {
    let alert =
        |texts: &mut Texts<'_>| Alert { said: said(texts), is_resolved: texts.one_in(2), created_at: some_time(texts) };
    let alerts: Vec<Alert> = (0..texts.number() % 11).map(|_| alert(texts)).collect();
    let page = AlertPage { alerts, from: 0, next: texts.one_in(2).then_some(u32::MAX) };
    Context {
        alerts: if texts.one_in(8) { Part::Late } else { Part::Known(page) },
        activity: several(texts, |texts| Activity {
            at: some_time(texts),
            by: texts.maybe(),
            kind: ActivityKind::Other(texts.owned()),
            to: texts.several(5),
        }),
        notes: several(texts, |texts| Written { at: some_time(texts), by: texts.maybe(), content: texts.owned() }),
        responders: several(texts, |texts| Responder {
            name: texts.owned(),
            reply: Reply::Other(texts.owned()),
            asked_by: texts.maybe(),
            message: texts.maybe(),
        }),
        past: several(texts, neighbour),
        related: several(texts, neighbour),
        changes: several(texts, |texts| Change {
            summary: texts.owned(),
            at: some_time(texts),
            source: texts.maybe(),
            url: Some(url(texts)),
            why: Some(Reason::Other(texts.owned())),
        }),
        outlier: Part::Known(Outlier {
            category: Some(Category::Other(texts.owned())),
            count: Some(texts.number()),
            per_mille: Some(texts.number()),
            since: some_time(texts),
            until: some_time(texts),
        }),
        impacts: several(texts, Texts::owned),
    }
}
