//! Whatever stands in an incident: its card stays small, stays a card, and nothing foreign in it comes alive.

use domain::context::{
    Activity, ActivityKind, Alert, AlertPage, Category, Change, Context, Neighbour, Outlier, Part, Reason, Relation,
    Reply, Responder, Several, Written,
};
use domain::incident::LOG_LIMIT;
use domain::storm::{Followed, Kind, Row};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};

use super::*;
use crate::data::{StormFilter, StormStatus};
use crate::untrusted::utf16_len;
use crate::{StormAnswer, StormAnswered, StormList, StormOutcome, StormQuestion, StormScope, StormService};

/// Pieces that mean something to some renderer, and pieces that grow when they are escaped.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "[ok](https://evil.example)",
        "![i](https://evil.example/i.png)",
        "**bold**",
        "_em_",
        "`code`",
        "<https://evil.example>",
        "<at>everyone</at>",
        "<AT id=\"0\">",
        "{{DATE(2026-01-01T00:00:00Z, SHORT)}}",
        "{{TIME(2026-01-01T00:00:00Z)}}",
        "{",
        "<",
        "\u{202E}",
        "\u{2066}",
        "\u{200B}",
        "\u{FEFF}",
        "\u{0}",
        "\u{1B}[31m",
        "\r\n\r\n",
        "\n# head\n",
        "\n- item\n",
        "\n---\n",
        "\\",
        "\"",
        "&lt;at&gt;",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "🚒",
        "👩\u{200D}🚒",
        "é",
        "${x}",
        "\n[ref]: https://evil.example\n",
        "[ref]",
        "@everyone",
        "\u{2028}",
        "|a|b|",
        "~~gone~~",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

fn foreign() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat()),
        1 => (piece(), Just(100_000_usize)).prop_map(|(piece, length)| {
            if piece.is_empty() { String::new() } else { piece.repeat(length.div_ceil(piece.len())) }
        }),
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![Just("Q1ABC".to_owned()), Just("\"".repeat(300)), Just("\\".repeat(300)), Just("<at>{{DATE".to_owned())]
}

fn happening() -> impl Strategy<Value = Happening> {
    (0..12_u8, foreign(), prop::collection::vec(foreign(), 0..6)).prop_map(|(kind, text, list)| match kind {
        0 => Happening::Note { content: text },
        1 => Happening::StatusUpdate { message: text },
        2 => Happening::Reassigned { to: list },
        3 => Happening::PriorityChanged { to: Some(text) },
        4 => Happening::Resolved { merged_into: Some(text) },
        5 => Happening::Roles { assignments: list },
        6 => Happening::Task { summary: text.clone(), change: text },
        7 => Happening::Workflow { name: Some(text.clone()), change: text },
        8 => Happening::ResponderReplied { who: Some(text.clone()), reply: text.clone(), message: Some(text) },
        9 => Happening::ConferenceBridge { url: Some(text), numbers: list },
        10 => Happening::ResponderAdded { who: Some(text.clone()), message: Some(text) },
        _ => Happening::Delegated { to: Some(text) },
    })
}

prop_compose! {
    fn record()(
        status in prop::sample::select(vec![Status::Triggered, Status::Acknowledged, Status::Resolved]),
        title in foreign(), service in foreign(), priority in foreign(), policy in foreign(), merged in foreign(),
        names in prop::collection::vec(foreign(), 1..8),
        html_url in prop_oneof![foreign(), Just(format!("https://acme.pagerduty.com/{}", "a".repeat(970)))],
        number in any::<u64>(),
        ids in (id(), id()),
        log in prop::collection::vec((foreign(), happening()), 0..8),
        details in prop::option::of(details()),
    ) -> IncidentRecord {
        let mut record = in_status(status, "09:40:00", names.first().unwrap());
        record.account = AccountId::new(ids.0).unwrap();
        record.id = IncidentId::new(ids.1).unwrap();
        for (index, (by, what)) in log.into_iter().enumerate() {
            record.log.insert(entry(&format!("10:00:0{index}"), Some(&by), what));
        }
        let state = state(&mut record);
        *state = Snapshot {
            number, title, html_url,
            priority: Some(Priority { id: None, name: priority }),
            service: ServiceRef { name: service, ..state.service.clone() },
            escalation_policy: Some(policy),
            assignees: names.iter().map(|name| actor(name)).collect(),
            merged_into: Some(merged),
            ..state.clone()
        };
        match details {
            Some(details) => with_details(record, details),
            None => record,
        }
    }
}

prop_compose! {
    fn details()(
        texts in prop::array::uniform5(foreign()),
        facts in prop::collection::vec((foreign(), foreign()), 0..=8),
        urls in prop::collection::vec(
            prop_oneof![foreign(), Just(format!("https://wiki.example/{}", "a".repeat(970))), Just("https://x.example/<at>\"{{".to_owned())],
            0..=4,
        ),
    ) -> Details {
        let [summary, source, body, number, name] = texts;
        let links: Vec<LinkTo> = urls.into_iter().map(|url| LinkTo { text: Some(name.clone()), url }).collect();
        Details {
            summary: Some(summary),
            source: Some(source),
            body: Some(body),
            facts: facts.into_iter().map(|(name, value)| Fact { name, value }).collect(),
            images: links.clone(),
            bridge: links.first().map(|link| Bridge { url: Some(link.url.clone()), number: Some(number) }),
            links,
            ..super::details()
        }
    }
}

/// Every text of a card with the name of the property that holds it; buttons' data is not shown and left out.
fn texts<'a>(value: &'a Value, kind: &'a str, found: &mut Vec<(&'a str, &'a str, &'a str)>) {
    match value {
        Value::Array(list) => list.iter().for_each(|child| texts(child, kind, found)),
        Value::Object(content) => {
            let kind = content.get("type").and_then(Value::as_str).unwrap_or(kind);
            for (key, child) in content {
                match child {
                    Value::String(text) => found.push((kind, key, text)),
                    _ if key == "data" => {}
                    child => texts(child, kind, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a Markdown renderer would make of the text besides a paragraph.
fn markup(text: &str) -> Vec<String> {
    let parser = Parser::new_ext(text, Options::all());
    let plain = |event: &Event<'_>| match event {
        Event::Text(_) | Event::Start(Tag::Paragraph) => true,
        Event::End(end) => *end == pulldown_cmark::TagEnd::Paragraph,
        _ => false,
    };
    parser.filter(|event| !plain(event)).map(|event| format!("{event:?}")).collect()
}

/// The text as a Markdown renderer shows it.
fn rendered(text: &str) -> String {
    let text_of = |event| if let Event::Text(text) = event { Some(text.into_string()) } else { None };
    Parser::new(text).filter_map(text_of).collect()
}

/// What phones do not take (Teams docs and issues): inputs and cards inside a posted card, buttons anywhere but in the card or a plain
/// row of its body, more than three of them in sight, a button that acts without a verb or without what older clients send instead.
fn on_phones(card: &Value) -> Vec<String> {
    let mut mistakes = Vec::new();
    let body = card["body"].as_array().cloned().unwrap_or_default();
    let rows: Vec<&Value> = body.iter().filter(|element| element["type"] == "ActionSet").chain([card]).collect();
    let in_rows: Vec<&Value> = rows.iter().flat_map(|row| row["actions"].as_array().into_iter().flatten()).collect();
    let in_sight = in_rows.iter().filter(|action| action["mode"] != "secondary").count();
    if in_sight > 3 {
        mistakes.push(format!("{in_sight} buttons in sight"));
    }
    for action in &in_rows {
        let verb = action["verb"].as_str().unwrap_or_default();
        let fallback = &action["fallback"];
        if action["type"] == "Action.Execute"
            && (verb.is_empty() || fallback["type"] != "Action.Submit" || fallback["data"]["verb"] != verb)
        {
            mistakes.push(format!("{action}"));
        }
    }
    let all = card.to_string();
    if all.matches("\"Action.Execute\"").count() + all.matches("task/fetch").count()
        > in_rows.iter().filter(|action| action["type"] != "Action.OpenUrl").count()
    {
        mistakes.push("a button outside of the rows".to_owned());
    }
    mistakes.extend(["\"Input.", "Action.ShowCard"].into_iter().filter(|part| all.contains(part)).map(str::to_owned));
    mistakes
}

fn assert_harmless_on_phones(card: &Card) {
    assert_harmless(card);
    assert_eq!(on_phones(&json(card)), Vec::<String>::new());
}

const KNOWN_TYPES: &[&str] = &[
    "AdaptiveCard",
    "TextBlock",
    "RichTextBlock",
    "TextRun",
    "Container",
    "ColumnSet",
    "Column",
    "ActionSet",
    "Input.Text",
    "Input.ChoiceSet",
    "Action.Execute",
    "Action.Submit",
    "Action.OpenUrl",
    "Action.ShowCard",
];

fn assert_harmless(card: &Card) {
    let text = serde_json::to_string(&card.content).unwrap();
    assert!(2 * utf16_len(&text) <= MAX_CARD_BYTES, "{} bytes", 2 * utf16_len(&text));
    assert_eq!(2 * utf16_len(&text), card.content.json_bytes());
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["version"], "1.5");
    assert_eq!(json["$schema"], "http://adaptivecards.io/schemas/adaptive-card.json");
    assert_eq!(json["msteams"]["width"], "Full");
    assert!(json["fallbackText"].as_str().is_some_and(|text| !text.is_empty()));
    let mut found = Vec::new();
    texts(&json, "", &mut found);
    for (kind, key, text) in found {
        match key {
            "type" => assert!(KNOWN_TYPES.contains(&text), "{text}"),
            "url" => assert!(text.starts_with("https://"), "{text}"),
            "text" if kind == "TextRun" => assert_dead(text),
            // A compact list shows its choices as they are.
            "title" if kind == "Input.ChoiceSet" => assert_dead(text),
            "value" if kind == "Input.ChoiceSet" => {}
            // All of these are interpreted as Markdown by some client.
            "text" | "fallbackText" | "title" | "label" | "placeholder" | "errorMessage" => {
                assert_eq!(markup(text), Vec::<String>::new(), "{text}");
                assert_dead(&rendered(text));
            }
            "$schema" | "version" | "width" | "style" | "color" | "weight" | "size" | "spacing" | "id" | "verb"
            | "mode" => {}
            other => panic!("{kind}.{other} is not known to this test: {text}"),
        }
    }
    assert_dead(&card.summary);
    assert!(utf16_len(&card.summary) <= 250 && !card.summary.is_empty(), "{}", card.summary);
}

/// Where nothing is interpreted anyway: no function, no mention, no character that hides or reorders others.
fn assert_dead(text: &str) {
    let lower = text.to_lowercase();
    for poison in ["{{", "<at", "</at"] {
        assert!(!lower.contains(poison), "{poison} in {text:?}");
    }
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{061C}' | '\u{AD}')
    };
    assert_eq!(text.chars().find(|c| hidden(*c)), None, "{text:?}");
}

prop_compose! {
    fn row()(
        titles in (foreign(), foreign(), foreign()),
        ids in (id(), 0..9_u8),
        status in prop::sample::select(vec![Status::Triggered, Status::Acknowledged, Status::Resolved]),
        url in prop_oneof![foreign(), Just(format!("https://acme.pagerduty.com/{}", "a".repeat(970)))],
        number in any::<u64>(),
    ) -> Row {
        Row {
            number, status, url,
            incident: IncidentId::new(ids.0).unwrap(),
            title: titles.0,
            priority: Some(titles.1),
            service: ServiceRef { id: ServiceId::new(format!("PSVC{}", ids.1)).unwrap(), name: titles.2 },
            ..storms::row(48_000, status, "Payments")
        }
    }
}

fn part<T: Clone + std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Part<T>> {
    prop_oneof![8 => strategy.prop_map(Part::Known), 1 => Just(Part::Late), 1 => Just(Part::NotGiven)]
}

fn several<T: Clone + std::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Part<Several<T>>> {
    let items = prop::collection::vec(one, 0..3);
    // The reader keeps some dozens of them.
    let many = (items, 1..6_usize).prop_map(|(items, times)| vec![items; times].concat());
    part((many, any::<u64>(), any::<bool>()).prop_map(|(items, more, at_least)| Several { items, more, at_least }))
}

prop_compose! {
    fn neighbour()(
        texts in prop::array::uniform3(foreign()),
        id in id(),
        url in prop_oneof![foreign(), Just(format!("https://acme.pagerduty.com/{}", "a".repeat(970)))],
        number in any::<Option<u64>>(),
    ) -> Neighbour {
        let [title, service, why] = texts;
        let created_at = Some(at("09:00:00"));
        let (id, why) = (IncidentId::new(id).unwrap(), vec![Relation::Other(why); 3]);
        Neighbour { id, number, title, status: Some(Status::Resolved), service: Some(service), created_at, html_url: Some(url), why }
    }
}

prop_compose! {
    fn change()(texts in prop::array::uniform4(foreign()), is_page in any::<bool>()) -> Change {
        let [summary, source, why, url] = texts;
        let url = if is_page { format!("https://ci.example/{}", "\"<at>{{".repeat(50)) } else { url };
        Change { summary, at: Some(at("09:00:00")), source: Some(source), url: Some(url), why: Some(Reason::Other(why)) }
    }
}

prop_compose! {
    fn context()(
        alerts in prop::collection::vec((details(), any::<bool>()), 0..=2),
        paging in (any::<u32>(), any::<Option<u32>>()),
        activity in several((foreign(), foreign(), prop::collection::vec(foreign(), 0..6)).prop_map(|(by, kind, to)| {
            Activity { at: Some(at("09:00:00")), by: Some(by), kind: ActivityKind::Other(kind), to }
        })),
        notes in several((foreign(), foreign()).prop_map(|(by, content)| Written { at: None, by: Some(by), content })),
        responders in several(prop::array::uniform4(foreign()).prop_map(|[name, reply, by, message]| {
            Responder { name, reply: Reply::Other(reply), asked_by: Some(by), message: Some(message) }
        })),
        neighbours in (several(neighbour()), several(neighbour())),
        changes in several(change()),
        outlier in part((foreign(), any::<(u64, u64)>()).prop_map(|(category, (count, share))| Outlier {
            category: Some(Category::Other(category)),
            count: Some(count),
            per_mille: Some(share),
            ..Outlier::default()
        })),
        impacts in several(foreign()),
        is_late in any::<bool>(),
    ) -> Context {
        let alerts = alerts.into_iter().map(|(said, is_resolved)| Alert { said, is_resolved, created_at: Some(at("09:00:00")) });
        let alerts: Vec<Alert> = alerts.collect();
        let alerts = vec![alerts; 5].concat();
        let page = AlertPage { alerts, from: paging.0, next: paging.1 };
        let alerts = if is_late { Part::Late } else { Part::Known(page) };
        let (past, related) = neighbours;
        Context { alerts, activity, notes, responders, past, related, changes, outlier, impacts }
    }
}

fn alone(content: crate::AdaptiveCard) -> Card {
    Card { summary: "A dialog".to_owned(), content }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_incident_card_stays_small_and_harmless(record in record()) {
        assert_harmless_on_phones(&incident(&record));
        assert_harmless_on_phones(&crate::incident_fallback(&record));
        assert_harmless_on_phones(&crate::incident_left(&record, at("09:00:00")));
        assert_harmless_on_phones(&incident(&IncidentRecord { snapshot: None, ..record }));
    }

    #[test]
    fn the_dialog_of_details_stays_small_and_harmless(record in record(), context in context(), from in any::<u32>()) {
        let zone = Zone::UTC;
        let shown = |record: &IncidentRecord| {
            alone(crate::details_dialog(&crate::DetailsDialog { record, context: &context, from, zone: &zone }))
        };
        assert_harmless_on_phones(&shown(&record));
        assert_harmless_on_phones(&shown(&IncidentRecord { snapshot: None, ..record }));
    }

    #[test]
    fn every_other_card_stays_small_and_harmless(texts in prop::array::uniform4(foreign())) {
        let [a, b, c, d] = texts;
        let link = AccountLink { teams_name: a.clone(), pd_name: b.clone(), pd_email: c.clone(), ..link() };
        let wanted = WantedAction { title: d.clone(), ..wanted() };
        let (channel, living) = (ChannelId::new("19:\"<at>".repeat(30)).unwrap(), ActivityId::new("[x](y)").unwrap());
        let team = TeamId::new("19:team@thread.tacv2").unwrap();
        let cards = [
            crate::double_pointer(&channel, &living),
            crate::channel_gone(&a),
            crate::service_connected(&b),
            crate::team_connected(&c),
            crate::personal_link(
                crate::PersonalLink { window: "https://bridge.example/?t&w", browser: Some("https://bridge.example/?t") },
                &a,
                Some(&wanted),
                at("09:46:42"),
            ),
            crate::linked_by_another(&link, &d, Some(&a)),
            crate::linked(&link, Some((&wanted, "w4nt3d"))),
            crate::linked_already(&vec![link.clone(); 50]),
            crate::unlinked(&vec![link; 50]),
            crate::nothing_to_unlink(),
            crate::help(crate::Reader { private: false, rank: None }, &a),
            crate::unknown_command(&d),
            crate::setup::installed(&team, &a, "https://bridge.example/?t", at("09:46:42")),
            crate::setup::installed_again(&b, 3),
            crate::setup::key_for_admin(&c, &d, at("09:46:42")),
            crate::setup::team_disconnected(&a, &b),
            crate::setup::test_notification(&c, &d, at("09:46:42")),
            crate::setup::connected(&a, false),
            crate::setup::disconnected(&b),
            crate::setup::failed(&c),
            crate::setup::open_pagerduty(&d, &a),
            crate::setup::list("A list", &vec![crate::setup::Line { name: a, about: b }; 50], ""),
        ];
        cards.iter().for_each(assert_harmless_on_phones);
    }

    #[test]
    fn cards_of_storms_stay_small_and_harmless(
        rows in prop::collection::vec(row(), 0..12),
        top in prop::collection::vec(foreign(), 0..6),
        is_late in any::<bool>(),
        is_over in any::<bool>(),
    ) {
        let mut storm = storms::storm(if is_late { Kind::Late } else { Kind::Storm }, [0, 0, 0]);
        storm.followed = Followed::counted(rows.iter().cloned());
        storm.ended_at = is_over.then(|| at("09:46:40"));
        let view = storms::view(&storm, &top);
        assert_harmless_on_phones(&crate::storm(&view));
        assert_harmless_on_phones(&crate::storm_fallback(&view));
        let services: Vec<StormService> = rows
            .iter()
            .map(|row| StormService { id: row.service.id.clone(), name: row.service.name.clone(), open: row.number })
            .collect();
        let (service, said) = (services.first().map(|service| service.id.clone()), top.first().map(String::as_str));
        let filter = StormFilter { service, status: StormStatus::Open };
        let place = storms::place(&filter);
        let rows = &rows[..rows.len().min(10)];
        let list = StormList {
            place,
            rows,
            after: Some("t0k3n"),
            first: 10,
            total: 312,
            next: Some("t0k3n"),
            services: &services,
            said,
        };
        assert_harmless(&alone(crate::storm_list(&list)));
        let question = StormQuestion { place, scope: StormScope::Mine, service: said, count: 300 };
        assert_harmless(&alone(crate::storm_question(&question)));
        let failed = |row: &Row| StormAnswered {
            number: row.number,
            title: row.title.clone(),
            outcome: if row.number.is_multiple_of(2) {
                StormOutcome::Failed { reason: row.service.name.clone() }
            } else {
                StormOutcome::Reopened { by: Some(row.service.name.clone()) }
            },
        };
        let results: Vec<StormAnswered> = rows.iter().map(failed).collect();
        let answer = StormAnswer { place, scope: StormScope::Shown, results: &results };
        assert_harmless(&alone(crate::storm_answer(&answer)));
        let said = crate::storm_answer_sentence(&answer);
        prop_assert!(utf16_len(&said) <= 400 && !said.contains("]("), "{}", said);
        assert_dead(&said);
    }

    #[test]
    fn texts_stay_short_and_harmless(name in foreign(), what in prop::collection::vec(happening(), 1..LOG_LIMIT)) {
        let entries: Vec<_> = what.into_iter().map(|what| entry("10:00:00", Some(&name), what)).collect();
        let reply = crate::text::thread_reply(&entries);
        prop_assert!(2 * utf16_len(&reply) <= MAX_CARD_BYTES);
        prop_assert!(!reply.contains("]("));
        reply.lines().for_each(assert_dead);
        let by = Some(actor(&name));
        let refused = crate::text::refusal(&domain::deed::Refusal::AlreadyResolved { by: by.clone(), at: None });
        let reopened = crate::text::reopened(by.as_ref(), jiff::Timestamp::UNIX_EPOCH);
        for said in [refused, reopened, crate::text::already_done(domain::deed::DeedKind::Resolve, by.as_ref(), None), crate::text::pagerduty_refused(&name)] {
            prop_assert!(utf16_len(&said) <= 400 && !said.contains("]("), "{}", said);
            assert_dead(&said);
        }
    }
}

/// The worst case that the limits of the single fields allow, and proof that the activity gives way first, then what the alert says.
#[test]
fn the_largest_incident_keeps_its_head_and_its_buttons() {
    let quote = |length| "\"".repeat(length);
    let longest = quote(100_000);
    let mut record = in_status(Status::Triggered, "09:40:00", &longest);
    record.account = AccountId::new("\"".repeat(300)).unwrap();
    record.id = IncidentId::new("\\".repeat(300)).unwrap();
    for second in 0..9 {
        record.log.insert(entry(
            &format!("10:00:0{second}"),
            Some(&longest),
            Happening::Note { content: longest.clone() },
        ));
    }
    *state(&mut record) = Snapshot {
        number: u64::MAX,
        title: longest.clone(),
        priority: Some(Priority { id: None, name: longest.clone() }),
        service: ServiceRef { name: longest.clone(), ..state(&mut triggered()).service.clone() },
        escalation_policy: Some(longest.clone()),
        assignees: vec![actor(&longest); 20],
        html_url: format!("https://acme.pagerduty.com/{}", "a".repeat(970)),
        merged_into: Some(longest),
        ..state(&mut triggered()).clone()
    };
    let card = incident(&record);
    assert_harmless(&card);
    let expected = ["Acknowledge", "Resolve", "Details", "(Add note)", "(Open in PagerDuty)"];
    assert_eq!(buttons(&card), expected);
    let url = format!("https://wiki.example/{}", "\"".repeat(970));
    let links = vec![LinkTo { text: Some(quote(9)), url: url[..990].to_owned() }; 4];
    let facts = vec![Fact { name: quote(9), value: quote(9) }; 8];
    let large = Details { summary: Some(quote(900)), facts, images: links.clone(), links, ..super::details() };
    let card = incident(&with_details(record, large));
    assert_harmless_on_phones(&card);
    assert_eq!(buttons(&card)[..5], expected);
}

#[test]
fn an_ordinary_incident_shows_two_lines_of_activity_and_is_far_from_the_limit() {
    let mut record = with_details(triggered(), super::details());
    for second in 0..9 {
        let what =
            Happening::Note { content: format!("Step {second} of the runbook is done, the replica catches up.") };
        record.log.insert(entry(&format!("10:00:0{second}"), Some("Alice"), what));
    }
    let card = incident(&record);
    assert_eq!(json(&card).to_string().matches("Note by Alice").count(), 2);
    assert!(card.content.json_bytes() < MAX_CARD_BYTES / 2, "{}", card.content.json_bytes());
}

/// Rows as large as they can be: they give way, and the counts and buttons stay.
#[test]
fn the_largest_storm_loses_rows_before_anything_else() {
    let name = |index: usize| format!("{index} {}", "\"<at>".repeat(820));
    let rows = (0..100).map(|index| {
        let row = storms::row(48_000 + index as u64, Status::Triggered, "Payments");
        let service = ServiceRef { id: ServiceId::new(format!("PSVC{index}")).unwrap(), name: name(index) };
        let url = format!("https://acme.pagerduty.com/{}", "a".repeat(970));
        Row { title: name(index), priority: Some(name(index)), service, url, ..row }
    });
    let rows: Vec<Row> = rows.collect();
    let mut storm = storms::storm(Kind::Storm, [0, 0, 0]);
    storm.followed = Followed::counted(rows.iter().cloned());
    let account = AccountId::new("\"".repeat(300)).unwrap();
    let card = crate::storm(&crate::StormView { account: &account, ..storms::view(&storm, &[]) });
    assert_harmless(&card);
    assert_eq!(buttons(&card), ["Show list", "Acknowledge mine", "Acknowledge shown"]);
    let text = json(&card).to_string();
    assert!(text.contains("Incident storm: 100 open") && text.contains("100 triggered"), "{text}");
    assert!(text.contains("and 94 more services"), "{text}");
    let shown = text.matches("selectAction").count();
    assert!((1..=6).contains(&shown), "{shown} rows");
    assert!(text.contains(&format!("and {} more: Show list", 100 - shown)), "{text}");

    let service = |row: &Row| StormService { id: row.service.id.clone(), name: row.service.name.clone(), open: 1 };
    let services: Vec<StormService> = rows.iter().map(service).collect();
    let filter = StormFilter { service: Some(services[99].id.clone()), status: StormStatus::All };
    let incident = |index| IncidentId::new(format!("{index}{}", "\\".repeat(299))).unwrap();
    let rows: Vec<Row> = (0..10).map(|index| Row { incident: incident(index), ..rows[index].clone() }).collect();
    let next = "\"".repeat(500);
    let place = crate::StormPlace { account: &account, ..storms::place(&filter) };
    let (after, next) = (Some(next.as_str()), Some(next.as_str()));
    let list = StormList { place, rows: &rows, after, first: 10, total: 100, next, services: &services, said: None };
    let card = alone(crate::storm_list(&list));
    assert_harmless(&card);
    let text = json(&card).to_string();
    assert_eq!(text.matches("\"#480").count(), 10, "each row of the page is there");
    assert!(text.contains("\"PSVC99\""), "the filter is offered still");
}
