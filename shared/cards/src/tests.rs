//! Whole cards: as snapshots, as a table of buttons, and with hostile text in every field.

mod details;
mod hostile;
mod storms;

use domain::details::{Bridge, Details, Fact, LinkTo, Severity};
use domain::ids::{
    AccountId, ActivityId, ChannelId, EntraUserId, EventId, IncidentId, PdUserId, PriorityId, ServiceId, TeamId,
    TenantId,
};
use domain::incident::{
    Actor, Happening, IncidentRecord, LogEntry, Priority, ServiceRef, Snapshot, Stamped, Status, StatusChange, Urgency,
    Version,
};
use domain::linking::{AccountLink, Wanted, WantedAction};
use domain::permission::Rank;
use domain::zone::Zone;
use insta::assert_json_snapshot;
use jiff::Timestamp;
use serde_json::Value;

use crate::{Card, IncidentView, MAX_CARD_BYTES};

fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}Z").parse().unwrap()
}

fn actor(name: &str) -> Actor {
    Actor { user: Some(PdUserId::new("PUSER1").unwrap()), name: name.to_owned() }
}

fn entry(time: &str, by: Option<&str>, what: Happening) -> LogEntry {
    LogEntry { at: at(time), id: EventId::new(time).unwrap(), by: by.map(actor), what }
}

fn triggered() -> IncidentRecord {
    let (account, incident) = (AccountId::new("PACC1").unwrap(), IncidentId::new("Q1ABC").unwrap());
    let mut record = IncidentRecord::empty(account, incident);
    let version = Version { at: at("09:36:42"), by: "01E".to_owned() };
    let value = Snapshot {
        number: 1234,
        title: "DB down".to_owned(),
        status: Status::Triggered,
        urgency: Urgency::High,
        priority: Some(Priority { id: PriorityId::new("PPRIO2").ok(), name: "P2".to_owned() }),
        service: ServiceRef { id: ServiceId::new("PSVC1").unwrap(), name: "Payments".to_owned() },
        escalation_policy: Some("Payments on-call".to_owned()),
        assignees: vec![actor("Alice Example"), actor("Bob Example")],
        html_url: "https://acme.pagerduty.com/incidents/Q1ABC".to_owned(),
        created_at: Some(at("09:36:42")),
        merged_into: None,
    };
    record.snapshot = Some(Stamped { version, value });
    record.log.insert(entry("09:36:42", None, Happening::Triggered));
    record
}

fn in_status(status: Status, time: &str, by: &str) -> IncidentRecord {
    let mut record = triggered();
    let version = Version { at: at(time), by: "02E".to_owned() };
    let happening = match status {
        Status::Triggered => Happening::Reopened,
        Status::Acknowledged => Happening::Acknowledged,
        Status::Resolved => Happening::Resolved { merged_into: None },
    };
    record.log.insert(entry(time, Some(by), happening));
    record.status_change = Some(Stamped { version, value: StatusChange { status, by: Some(actor(by)) } });
    state(&mut record).status = status;
    record
}

fn state(record: &mut IncidentRecord) -> &mut Snapshot {
    &mut record.snapshot.as_mut().unwrap().value
}

fn incident(record: &IncidentRecord) -> Card {
    crate::incident(&IncidentView { record, frozen_since: None, zone: &Zone::UTC })
}

fn link() -> AccountLink {
    AccountLink {
        tenant: TenantId::new("tenant").unwrap(),
        user: EntraUserId::new("user").unwrap(),
        teams_name: "Alice (Teams)".to_owned(),
        account: AccountId::new("PACC1").unwrap(),
        pd_user: PdUserId::new("PUSER1").unwrap(),
        pd_name: "Alice Example".to_owned(),
        pd_email: "alice@example.com".to_owned(),
        linked_at: at("09:40:00"),
    }
}

fn wanted() -> WantedAction {
    let what = Wanted::Click {
        account: AccountId::new("PACC1").unwrap(),
        incident: IncidentId::new("Q1ABC").unwrap(),
        channel: ChannelId::new("19:abc@thread.tacv2").unwrap(),
        deed: domain::deed::Deed::Acknowledge,
    };
    WantedAction { title: "#1234 DB down".to_owned(), what }
}

fn json(card: &Card) -> Value {
    serde_json::to_value(&card.content).unwrap()
}

/// Titles of the buttons, those behind the three dots in brackets.
fn buttons(card: &Card) -> Vec<String> {
    let card = json(card);
    let rows = card["body"].as_array().into_iter().flatten().filter(|element| element["type"] == "ActionSet");
    let shown = rows.chain([&card]).flat_map(|row| row["actions"].as_array().cloned().unwrap_or_default());
    let title = |action: Value| {
        let title = action["title"].as_str().unwrap().to_owned();
        if action["mode"] == "secondary" { format!("({title})") } else { title }
    };
    shown.map(title).collect()
}

#[test]
fn a_triggered_incident() {
    assert_json_snapshot!(incident(&triggered()));
}

#[test]
fn an_acknowledged_incident_with_a_busy_log() {
    let mut record = in_status(Status::Acknowledged, "09:39:50", "Alice Example");
    record.log.extend([
        entry("09:37:00", None, Happening::Escalated { to: vec!["Bob Example".to_owned()] }),
        entry("09:38:00", Some("Carol"), Happening::PriorityChanged { to: Some("P2".to_owned()) }),
        entry(
            "09:41:00",
            Some("Alice Example"),
            Happening::Note { content: "Failing over\nto **replica**".to_owned() },
        ),
        entry("09:42:00", Some("Alice Example"), Happening::Reassigned { to: vec!["Dan".to_owned()] }),
    ]);
    assert_json_snapshot!(incident(&record));
}

#[test]
fn a_resolved_incident() {
    let mut record = in_status(Status::Resolved, "11:06:00", "Bob Example");
    state(&mut record).assignees.clear();
    assert_json_snapshot!(incident(&record));
}

#[test]
fn a_card_that_is_left_as_it_is() {
    let view = IncidentView { record: &triggered(), frozen_since: Some(at("10:00:00")), zone: &Zone::UTC };
    assert_json_snapshot!(crate::incident(&view));
}

#[test]
fn a_card_that_is_left_in_a_team_of_somebody_else() {
    let record = in_status(Status::Acknowledged, "09:39:50", "Alice Example");
    assert_json_snapshot!(crate::incident_left(&record, at("09:00:00")));
}

#[test]
fn a_merged_incident_with_hardly_anything_known() {
    let mut record = triggered();
    record.log.clear();
    let state = state(&mut record);
    state.status = Status::Resolved;
    state.urgency = Urgency::Low;
    state.title = String::new();
    state.priority = None;
    state.escalation_policy = None;
    state.assignees.clear();
    state.created_at = None;
    state.html_url = "https://acme.pagerduty.com.evil.example/".to_owned();
    state.merged_into = Some("1235".to_owned());
    assert_json_snapshot!(incident(&record));
}

#[test]
fn an_incident_whose_whole_card_is_refused() {
    let mut record = in_status(Status::Acknowledged, "09:39:50", "Alice Example");
    state(&mut record).title = format!("**DB** <at>all</at> {}", "down ".repeat(100));
    assert_json_snapshot!("incident_fallback", crate::incident_fallback(&record));
    record.snapshot = None;
    assert_eq!(crate::incident_fallback(&record).summary, "PagerDuty incident");
}

#[test]
fn an_incident_without_its_state() {
    let mut record = triggered();
    record.snapshot = None;
    assert_json_snapshot!(incident(&record));
}

#[test]
fn the_dialog_with_all_that_is_known() {
    use domain::context::{Context, Part};
    let whole = details::context();
    assert_json_snapshot!("details_whole", details::dialog(&details::told(), &whole, 0));
    let late = Context { alerts: Part::Late, activity: Part::Late, past: Part::Late, related: Part::NotGiven, ..whole };
    assert_json_snapshot!("details_late", details::dialog(&details::told(), &late, 10));
    let mut record = triggered();
    state(&mut record).assignees.clear();
    state(&mut record).escalation_policy = None;
    assert_json_snapshot!("details_bare", details::dialog(&record, &details::nothing(), 0));
}

#[test]
fn notices_in_channels() {
    let (channel, living) = (ChannelId::new("19:abc@thread.tacv2").unwrap(), ActivityId::new("1795426602991").unwrap());
    assert_json_snapshot!("double_pointer", crate::double_pointer(&channel, &living));
    assert_json_snapshot!("channel_gone", crate::channel_gone("Payments"));
    assert_json_snapshot!("service_connected", crate::service_connected("Payments"));
    assert_json_snapshot!("team_connected", crate::team_connected("SRE"));
}

#[test]
fn private_cards() {
    let browser = "https://bridge.example/oauth/start?ticket=t0k3n";
    let url = crate::PersonalLink { window: &format!("{browser}&in=teams"), browser: Some(browser) };
    assert_json_snapshot!("personal_link", crate::personal_link(url, "Alice (Teams)", Some(&wanted()), at("09:46:42")));
    let url = crate::PersonalLink { browser: None, ..url };
    assert_json_snapshot!("personal_link_without_reason", crate::personal_link(url, "Alice", None, at("09:46:42")));
    assert_json_snapshot!("wrong_number", crate::wrong_number(1));
    assert_json_snapshot!("numbers_used_up", crate::numbers_used_up());
    assert_json_snapshot!("no_number_wanted", crate::no_number_wanted());
    assert_json_snapshot!("number_belongs_here", crate::number_belongs_here());
    assert_json_snapshot!("sign_in_over", crate::sign_in_over());
    assert_json_snapshot!(
        "linked_by_another",
        crate::linked_by_another(&link(), "Mallory", Some("mallory@example.com"))
    );
    assert_json_snapshot!("linked", crate::linked(&link(), Some((&wanted(), "w4nt3d"))));
    assert_json_snapshot!("linked_already", crate::linked_already(&[link()]));
    assert_json_snapshot!("unlinked", crate::unlinked(&[link()]));
    assert_json_snapshot!("nothing_to_unlink", crate::nothing_to_unlink());
    let trigger = |title| WantedAction { what: Wanted::Trigger { title }, title: "a new incident".to_owned() };
    assert_json_snapshot!("linked_for_trigger", crate::linked(&link(), Some((&trigger(None), "w4nt3d"))));
    let titled = trigger(Some("DB is on fire".to_owned()));
    assert_json_snapshot!("linked_for_trigger_with_title", crate::linked(&link(), Some((&titled, "w4nt3d"))));
    let reader = crate::Reader { private: true, rank: Some(Rank::Admin) };
    assert_json_snapshot!("help", crate::help(reader, "1.2.3"));
    assert_json_snapshot!("help_in_channel", crate::help(crate::Reader { private: false, rank: None }, "1.2.3"));
    assert_json_snapshot!("unknown_command", crate::unknown_command("frobnicate"));
    assert_json_snapshot!("nearly_a_command", crate::unknown_command("trigegr"));
    assert_json_snapshot!("wrong_place", crate::wrong_place(crate::find_command("authorize").unwrap()));
    assert_json_snapshot!("not_allowed", crate::not_allowed(crate::find_command("connect").unwrap()));
}

#[test]
fn setup_cards() {
    use crate::setup;
    let (team, url) = (TeamId::new("19:team@thread.tacv2").unwrap(), "https://bridge.example/oauth/start?ticket=t0k3n");
    assert_json_snapshot!("installed", setup::installed(&team, "SRE", url, at("10:36:42")));
    assert_json_snapshot!("authorization_link", setup::authorization_link(&team, "SRE", url, at("10:36:42")));
    assert_json_snapshot!("installed_again", setup::installed_again("SRE", 3));
    assert_json_snapshot!("installed_in_channel", setup::installed_in_channel());
    assert_json_snapshot!("key_for_admin", setup::key_for_admin("SRE", "ABCDEF-GHJKMN-PQRSTV-WXYZ01", at("10:36:42")));
    assert_json_snapshot!("key_unknown", setup::key_unknown());
    assert_json_snapshot!("authorize_usage", setup::authorize_usage());
    assert_json_snapshot!("team_disconnected", setup::team_disconnected("SRE", "Alice Example"));
    assert_json_snapshot!("test_notification", setup::test_notification("Payments", "Alice Example", at("10:36:42")));
    assert_json_snapshot!("connected", setup::connected("Payments", false));
    assert_json_snapshot!("connected_already", setup::connected("Payments", true));
    assert_json_snapshot!("disconnected", setup::disconnected("Payments"));
    assert_json_snapshot!("not_connected", setup::not_connected());
    assert_json_snapshot!("service_url_wanted", setup::service_url_wanted("connect"));
    assert_json_snapshot!("failed", setup::failed("evil.example is not PagerDuty."));
    assert_json_snapshot!("not_authorized", setup::not_authorized());
    assert_json_snapshot!("open_pagerduty", setup::open_pagerduty("acme", "https://acme.pagerduty.com"));
    assert_json_snapshot!("open_configuration", setup::open_configuration("https://bridge.example/admin"));
    let line = |name: &str| setup::Line { name: name.to_owned(), about: "healthy, all incidents".to_owned() };
    assert_json_snapshot!("list", setup::list("Connected PagerDuty services", &[line("Payments"), line("Search")], ""));
    assert_json_snapshot!("empty_list", setup::list("Open incidents", &[], "There is no open incident."));
}

#[test]
fn a_storm_in_each_stage() {
    use domain::storm::Kind;
    use storms::{card, ended, left, storm, top, view};
    let active = storm(Kind::Storm, [290, 22, 40]);
    assert_json_snapshot!("storm_active", card(&active));
    assert_json_snapshot!("storm_active_small", card(&storm(Kind::Storm, [3, 1, 0])));
    assert_json_snapshot!("storm_active_taken", card(&left(storm(Kind::Storm, [0, 5, 1]), 14)));
    assert_json_snapshot!("storm_fallback", crate::storm_fallback(&view(&active, &top())));
    assert_json_snapshot!("storm_ended_open", card(&ended(storm(Kind::Storm, [10, 2, 1388]), 12)));
    assert_json_snapshot!("storm_ended_over", card(&ended(storm(Kind::Storm, [0, 0, 1412]), 0)));
    assert_json_snapshot!("storm_late", card(&storm(Kind::Late, [0, 0, 3])));
    assert_json_snapshot!("storm_late_reopened", card(&storm(Kind::Late, [1, 0, 12])));
}

#[test]
fn the_dialogs_of_a_storm() {
    use crate::data::{StormFilter, StormStatus};
    use crate::{StormAnswer, StormList, StormQuestion, StormScope, storm_answer, storm_list, storm_question};
    use storms::{answered, listed, place, services};
    let (rows, services, filter) = (listed(10), services(), StormFilter::default());
    let list = StormList {
        place: place(&filter),
        rows: &rows,
        after: None,
        first: 10,
        total: 1312,
        next: Some("t0k3n"),
        services: &services,
        said: None,
    };
    assert_json_snapshot!("storm_list", storm_list(&list));
    let resolved = StormFilter { service: Some(services[1].id.clone()), status: StormStatus::Resolved };
    let empty = StormList { place: place(&resolved), rows: &[], first: 0, total: 0, next: None, ..list };
    assert_json_snapshot!("storm_list_empty", storm_list(&empty));
    let said = Some("#48010 has its own card now.");
    let last = StormList { rows: &rows[..2], first: 20, total: 22, next: None, said, ..list };
    assert_json_snapshot!("storm_list_last", storm_list(&last));
    let question = StormQuestion { place: place(&filter), scope: StormScope::Shown, service: None, count: 1204 };
    assert_json_snapshot!("storm_question", storm_question(&question));
    let none = StormQuestion { scope: StormScope::Mine, count: 0, ..question };
    assert_json_snapshot!("storm_question_none", storm_question(&none));
    let results = answered([18, 3, 40, 2, 1]);
    let answer = StormAnswer { place: place(&filter), scope: StormScope::Shown, results: &results };
    assert_json_snapshot!("storm_answer", storm_answer(&answer));
    assert_json_snapshot!("storm_answer_good", storm_answer(&StormAnswer { results: &results[..18], ..answer }));
}

#[test]
fn the_form_for_an_incident() {
    use crate::trigger::{Offer, TriggerForm, Typed, trigger_done, trigger_form, trigger_offer};
    assert_json_snapshot!("trigger_offer", trigger_offer(None));
    assert_json_snapshot!("trigger_offer_with_title", trigger_offer(Some("DB is on **fire**")));
    let offer = |id: &str, name: &str| Offer { id: id.to_owned(), name: name.to_owned() };
    let form = TriggerForm {
        form: "f0rm".to_owned(),
        services: vec![offer("PSVC1", "Payments")],
        priorities: vec![offer("PPRI1", "P1")],
        ..TriggerForm::default()
    };
    assert_json_snapshot!("trigger_form", trigger_form(&form));
    let typed = Typed {
        service: Some("PSVC1".to_owned()),
        title: Some("DB down".to_owned()),
        urgency: Some("low".to_owned()),
        assignee: Some("PUSER1".to_owned()),
        ..Typed::default()
    };
    let back = TriggerForm {
        typed,
        assignees: vec![offer("PUSER1", "Alice Example")],
        error: Some("please choose a service.".to_owned()),
        ..form
    };
    assert_json_snapshot!("trigger_form_with_error", trigger_form(&back));
    assert_json_snapshot!("trigger_done", trigger_done(1234, "DB down", "https://acme.pagerduty.com/incidents/Q1ABC"));
}

#[test]
fn each_state_has_the_buttons_that_fit() {
    let table: [(_, &[&str]); 3] = [
        (Status::Triggered, &["Acknowledge", "Resolve", "Details", "(Add note)", "(Open in PagerDuty)"]),
        (Status::Acknowledged, &["Resolve", "Add note", "Details", "(Open in PagerDuty)"]),
        (Status::Resolved, &["Add note", "Details", "(Open in PagerDuty)"]),
    ];
    for (status, expected) in table {
        let record = in_status(status, "09:40:00", "Alice");
        assert_eq!(buttons(&incident(&record)), expected, "{status:?}");
        let view = IncidentView { record: &record, frozen_since: Some(at("10:00:00")), zone: &Zone::UTC };
        assert_eq!(buttons(&crate::incident(&view)), ["Open in PagerDuty"], "{status:?}, left as it is");
    }
}

#[test]
fn toasts_and_search_show_what_matters() {
    let mut record = triggered();
    assert_eq!(incident(&record).summary, "#1234 DB down (triggered, high) on Payments");
    state(&mut record).urgency = Urgency::Low;
    state(&mut record).status = Status::Resolved;
    state(&mut record).title = "x".repeat(1000);
    let title = format!("{}…", "x".repeat(119));
    assert_eq!(incident(&record).summary, format!("#1234 {title} (resolved, low) on Payments"));
}

#[test]
fn a_number_that_was_not_legible_is_left_out_and_so_is_nothing_else() {
    let mut record = triggered();
    state(&mut record).number = 0;
    state(&mut record).title = "DB \u{fffd} down".to_owned();
    assert_eq!(incident(&record).summary, "DB \u{fffd} down (triggered, high) on Payments");
    let shown = [incident(&record), crate::incident_fallback(&record), crate::incident_left(&record, at("10:00:00"))];
    for card in &shown {
        let json = serde_json::to_string(card).unwrap();
        assert!(!json.contains("#0") && !json.contains("incident 0"), "{json}");
    }
    assert_eq!(crate::incident_line(record.state().unwrap()).name, "DB \u{fffd} down");
    assert_eq!(crate::text::done(domain::deed::DeedKind::Resolve, Some(0)), "Resolved.");
    assert_eq!(crate::text::own_card(0), "The incident gets its own card in the channel in a moment.");
}

/// The head line of a card.
fn head(record: &IncidentRecord) -> String {
    json(&incident(record))["body"][0]["items"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn the_head_says_how_bad_it_is_and_whose() {
    let mut record = triggered();
    assert_eq!(head(&record), "Triggered · P2 · High · Payments → Alice Example, Bob Example");
    state(&mut record).urgency = Urgency::Low;
    state(&mut record).priority = None;
    state(&mut record).assignees.clear();
    assert_eq!(head(&record), "Triggered · Low · Payments → nobody", "nothing that is not there is named");
    let style = |record: &IncidentRecord| json(&incident(record))["body"][0]["style"].clone();
    assert_ne!(style(&record), style(&triggered()), "low urgency looks different");
}

#[test]
fn the_head_of_what_is_over_tells_how_it_went() {
    let table = [
        ("09:36:42", " after less than a minute"),
        ("09:37:41", " after less than a minute"),
        ("09:37:42", " after 1 min"),
        ("10:36:41", " after 59 min"),
        ("10:36:42", " after 1 h 0 min"),
        // The clocks disagree.
        ("09:36:41", ""),
    ];
    for (time, after) in table {
        let head = head(&in_status(Status::Resolved, time, "Bob"));
        assert_eq!(head, format!("Resolved by Bob{after} · P2 · High · Payments"), "{time}");
    }
    let mut record = in_status(Status::Resolved, "09:48:42", "Bob");
    record.log.insert(entry("09:38:42", Some("Alice"), Happening::Acknowledged));
    record.log.insert(entry("09:40:42", Some("Carol"), Happening::Acknowledged));
    let expected = "Resolved by Bob after 12 min, acknowledged by Alice after 2 min · P2 · High · Payments";
    assert_eq!(head(&record), expected);
    let created = state(&mut triggered()).created_at.unwrap();
    let mut record = in_status(Status::Resolved, "23:59:59", "Bob");
    state(&mut record).created_at = Some(created - jiff::SignedDuration::from_hours(24 * 9));
    assert!(head(&record).contains(" after 9 days"));
}

fn details() -> Details {
    let fact = |name: &str, value: &str| Fact { name: name.to_owned(), value: value.to_owned() };
    let link = |text: Option<&str>, url: &str| LinkTo { text: text.map(str::to_owned), url: url.to_owned() };
    Details {
        alerts: 3,
        summary: Some("Replication lag above 30 s on the payments cluster".to_owned()),
        severity: Some(Severity::Critical),
        source: Some("db-7.eu-west.example".to_owned()),
        facts: vec![fact("cluster.name", "payments"), fact("lag.seconds", "43"), fact("region", "eu-west-1")],
        more_facts: 2,
        links: vec![
            link(Some("Runbook"), "https://wiki.example/runbooks/replication"),
            link(None, "javascript:alert(1)"),
        ],
        images: vec![link(Some("Lag"), "https://graphs.example/lag.png")],
        body: None,
        bridge: Some(Bridge {
            url: Some("https://meet.example/1234".to_owned()),
            number: Some("+49 30 1234,,5678#".to_owned()),
        }),
        escalates_at: Some(at("10:06:42")),
    }
}

fn with_details(mut record: IncidentRecord, details: Details) -> IncidentRecord {
    let version = Version { at: at("23:00:00"), by: String::new() };
    record.details = Some(Stamped { version, value: details });
    record
}

#[test]
fn what_the_alert_says_stands_between_head_and_buttons() {
    let record = with_details(triggered(), details());
    let berlin = Zone::named("Europe/Berlin").unwrap();
    let card = crate::incident(&IncidentView { record: &record, frozen_since: None, zone: &berlin });
    assert_json_snapshot!(card);
    let expected = [
        "Acknowledge",
        "Resolve",
        "Details",
        "(Add note)",
        "(Open in PagerDuty)",
        "(Conference (meet.example))",
        "(Runbook (wiki.example))",
        "(Lag (graphs.example))",
    ];
    assert_eq!(buttons(&card), expected);
    let text = json(&card).to_string();
    assert!(text.contains("23 Nov 2026, 10:36 CET (Europe/Berlin) · 3 alerts · escalates at 11:06 CET"), "{text}");
}

#[test]
fn a_low_urgency_incident() {
    let mut record = triggered();
    state(&mut record).urgency = Urgency::Low;
    assert_json_snapshot!(incident(&record));
}

/// As much as a card shows of what is long, in letters as people use them.
#[test]
fn the_largest_that_people_see() {
    let long = |words: &str, length: usize| words.chars().cycle().take(length).collect::<String>();
    let facts = (0..8).map(|n| Fact { name: format!("cluster.node.{n}"), value: long("value of it ", 50) }).collect();
    let large = Details { summary: Some(long("Replication lag above the limit ", 400)), facts, ..details() };
    let mut record = with_details(triggered(), large);
    state(&mut record).title = long("The database of payments does not answer ", 400);
    assert_json_snapshot!(incident(&record));
}

#[test]
fn what_somebody_wrote_by_hand_is_on_the_card() {
    let written = Details { body: Some("Customers cannot pay.".to_owned()), ..Details::default() };
    assert!(json(&incident(&with_details(triggered(), written.clone()))).to_string().contains("Customers cannot pay."));
    let same = Details { body: Some("DB down ".to_owned()), ..written };
    assert_eq!(json(&incident(&with_details(triggered(), same))), json(&incident(&triggered())), "the title says it");
}

#[test]
fn an_escalation_that_was_planned_before_the_last_change_is_not_promised() {
    let mut record = with_details(in_status(Status::Triggered, "09:40:00", "Alice"), details());
    assert!(json(&incident(&record)).to_string().contains("escalates at 10:06 UTC"));
    record.snapshot.as_mut().unwrap().version.at = at("23:00:01");
    assert!(!json(&incident(&record)).to_string().contains("escalates"));
    let acknowledged = with_details(in_status(Status::Acknowledged, "09:40:00", "Alice"), details());
    assert!(!json(&incident(&acknowledged)).to_string().contains("escalates"));
}

#[test]
fn the_same_record_gives_the_same_card() {
    let record = in_status(Status::Acknowledged, "09:40:00", "Alice");
    assert_eq!(incident(&record), incident(&record.clone()));
}

#[test]
fn the_sentence_of_success_is_the_guides() {
    assert_eq!(
        crate::linked_sentence(&link()),
        "You've successfully linked your user accounts. All PagerDuty actions you perform as Alice (Teams) in Microsoft Teams \
         will be associated with Alice Example (alice@example.com) in PagerDuty. If this is not correct, please enter the \
         @PagerDuty unlinkUser command in Microsoft Teams to unlink your account."
    );
}
