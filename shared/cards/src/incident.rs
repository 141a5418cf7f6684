//! The card of one incident: what it shows in each state, and which buttons fit.
//!
//! Somebody who was woken decides by it in ten seconds, on a phone: what it is and how bad, what the alert says, the buttons. The
//! rest is in a dialog. It is rendered from the record alone, so the same record always gives the same card and an edit that would
//! change nothing can be recognised. Times are therefore points in time, never "five minutes ago".

use domain::deed::DeedKind;
use domain::details::{Details, LinkTo, Severity};
use domain::incident::{Happening, IncidentRecord, LogEntry, Snapshot, Status, Urgency};
use domain::zone::Zone;
use jiff::{SignedDuration, Timestamp};

use crate::data::{ButtonData, Verb};
use crate::incident_dialogs::title_of;
use crate::link::Link;
use crate::log::{NAME_LIMIT, add_by, listed, phrase, reference};
use crate::schema::{
    Action, ActionStyle, AdaptiveCard, Container, Data, Element, OpenUrl, Opens, RichTextBlock, Size, Spacing,
    SubmitData, TextBlock, TextRun, Tone, Weight,
};
use crate::setup::Line;
use crate::storm::small;
use crate::untrusted::{Escaped, Own, Plain, host_within};
use crate::{Card, first_that_fits, text};

/// Longest title on the card, in UTF-16 units, and how many lines it may take.
const TITLE_LIMIT: usize = 200;
const TITLE_LINES: u8 = 2;

/// Longest title and service name in toasts and search, in UTF-16 units.
const SUMMARY_TITLE_LIMIT: usize = 120;

/// Longest part of a note in the card's activity, in UTF-16 units.
const NOTE_LIMIT: usize = 160;

/// Longest part of what an alert says, or whoever opened the incident, in UTF-16 units.
const SAID_LIMIT: usize = 100;

/// Longest name and value of a fact, and how much all of them may take, in UTF-16 units: the first button stays on a phone's first
/// screen.
const FACT_NAME_LIMIT: usize = 30;
const FACT_LIMIT: usize = 60;
const FACTS_LIMIT: usize = 160;

/// Longest name of a link, in UTF-16 units.
const LINK_LIMIT: usize = 40;

/// How many log entries the card shows: the newest ones.
const LOG_LINES: usize = 2;

/// How many buttons stand side by side; the others are behind the three dots.
const PRIMARY: usize = 3;

/// What there is to show.
#[derive(Debug, Clone, Copy)]
pub struct IncidentView<'a> {
    /// The incident's newest known state.
    pub record: &'a IncidentRecord,
    /// Since when the card is not kept true any more: then it says so, and has no button but the link to PagerDuty.
    pub frozen_since: Option<Timestamp>,
    /// In which its times are written.
    pub zone: &'a Zone,
}

/// How much of an incident a card shows.
#[derive(Debug, Clone, Copy)]
struct Room {
    log_lines: usize,
    facts: usize,
    links: bool,
}

/// The incident's card. Its JSON is never larger than [`crate::MAX_CARD_BYTES`]: where it does not fit, the activity gives way, then
/// the facts and links of its alert.
#[must_use]
pub fn incident(view: &IncidentView<'_>) -> Card {
    let rooms = [(LOG_LINES, usize::MAX, true), (0, usize::MAX, true), (0, 0, true), (0, 0, false)];
    let rooms = rooms.map(|(log_lines, facts, links)| Room { log_lines, facts, links });
    let sizes = rooms.into_iter().map(|room| render(view, room));
    first_that_fits(sizes, |card| &card.content).unwrap_or_else(|| incident_fallback(view.record))
}

/// What is shown where Teams refuses the whole card: title, status and link, in the plainest form.
#[must_use]
pub fn incident_fallback(record: &IncidentRecord) -> Card {
    let Some(state) = record.state() else { return unknown(Vec::new()) };
    let title = Plain::from("").incident(state.number).foreign_or(&state.title, SUMMARY_TITLE_LIMIT, "(no title)");
    let body = vec![
        Element::TextBlock(TextBlock::heading(facts(state))),
        Element::TextBlock(TextBlock::new(title)),
        Element::TextBlock(TextBlock::new(text::shortened_card())),
    ];
    let link = Link::pagerduty(&state.html_url).map(|url| Action::open("Open in PagerDuty", url));
    Card { summary: summary(state), content: AdaptiveCard::new(spoken(state), body, link.into_iter().collect()) }
}

/// What is left of a card whose channel may not hear what has become of its incident.
#[must_use]
pub fn incident_left(record: &IncidentRecord, since: Timestamp) -> Card {
    let state = record.state();
    let name = || match state {
        Some(state) if state.number != 0 => Plain::from("PagerDuty incident #").number(state.number),
        Some(_) | None => Plain::from("PagerDuty incident"),
    };
    let body = vec![literal(name()), Element::TextBlock(TextBlock::new(text::no_longer_updated(since)))];
    let link = state.and_then(|state| Link::pagerduty(&state.html_url));
    let link = link.map(|url| Action::open("Open in PagerDuty", url));
    let content = AdaptiveCard::new(Own::from("PagerDuty incident"), body, link.into_iter().collect());
    Card { summary: name().into_literal(), content }
}

pub(crate) fn spoken(state: &Snapshot) -> Own {
    let name = Own::from("PagerDuty incident");
    let name = if state.number == 0 { name } else { name.own(" #").number(state.number) };
    name.own(": ").own(word(state.status).1).own(".")
}

fn render(view: &IncidentView<'_>, room: Room) -> Card {
    let record = view.record;
    let Some(state) = record.state() else { return unknown(log(view, room.log_lines)) };
    let mut body = vec![header(view, state)];
    body.extend(view.frozen_since.map(|since| {
        let text = TextBlock::new(text::no_longer_updated(since));
        Element::TextBlock(TextBlock { weight: Some(Weight::Bolder), ..text })
    }));
    let details = record.details().filter(|_| state.status != Status::Resolved);
    body.extend(details.into_iter().flat_map(|details| said(state, details, room)));
    let actions = actions(view, state, details.filter(|_| room.links));
    if !actions.is_empty() {
        body.push(Element::ActionSet { actions });
    }
    if state.status != Status::Resolved {
        body.extend(log(view, room.log_lines));
    }
    Card { summary: summary(state), content: AdaptiveCard::new(spoken(state), body, Vec::new()) }
}

/// An incident of which only events without its state have arrived.
fn unknown(log: Vec<Element>) -> Card {
    let mut body = vec![
        Element::TextBlock(TextBlock::heading("PagerDuty incident")),
        Element::TextBlock(TextBlock::new(text::no_details())),
    ];
    body.extend(log);
    let content = AdaptiveCard::new(Own::from("PagerDuty incident"), body, Vec::new());
    Card { summary: "PagerDuty incident".to_owned(), content }
}

/// As in "#1234 DB down (triggered, high) on Payments".
fn summary(state: &Snapshot) -> String {
    Plain::from("")
        .incident(state.number)
        .foreign_or(&state.title, SUMMARY_TITLE_LIMIT, "(no title)")
        .own(" (")
        .own(word(state.status).1)
        .own(", ")
        .own(urgency(state.urgency))
        .own(") on ")
        .foreign_or(&state.service.name, NAME_LIMIT, "(no name)")
        .into_literal()
}

fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::High => "high",
        Urgency::Low => "low",
    }
}

/// An incident as one line of a list.
#[must_use]
pub fn incident_line(state: &Snapshot) -> Line {
    let people: Vec<&str> = state.assignees.iter().map(|person| person.name.as_str()).collect();
    let people = if people.is_empty() { "nobody".to_owned() } else { people.join(", ") };
    let (status, urgency) = (word(state.status).1, urgency(state.urgency));
    Line {
        name: if state.number == 0 { state.title.clone() } else { format!("#{} {}", state.number, state.title) },
        about: format!("{status}, {urgency} urgency, {}, assigned to {people}", state.service.name),
    }
}

/// What a tap on an incident's name does.
pub(crate) fn opening(number: u64) -> Own {
    match number {
        0 => Own::from("Open the incident in PagerDuty"),
        _ => Own::from("Open incident ").number(number).own(" in PagerDuty"),
    }
}

/// The status as a word, at the beginning of a line and within one.
pub(crate) fn word(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Triggered => ("Triggered", "triggered"),
        Status::Acknowledged => ("Acknowledged", "acknowledged"),
        Status::Resolved => ("Resolved", "resolved"),
    }
}

pub(crate) fn tone(status: Status) -> Tone {
    match status {
        Status::Triggered => Tone::Attention,
        Status::Acknowledged => Tone::Warning,
        Status::Resolved => Tone::Good,
    }
}

/// What one has to know of it: how it is, how bad, whose; what it is; since when. A tap on the title opens it in PagerDuty.
pub(crate) fn header(view: &IncidentView<'_>, state: &Snapshot) -> Element {
    let record = view.record;
    let head = match state.status {
        Status::Resolved => ended(state, record),
        Status::Triggered | Status::Acknowledged => facts(state),
    };
    let color = Some(tone(state.status));
    let head = TextBlock { weight: Some(Weight::Bolder), color, ..TextBlock::new(head) };
    let title = Plain::from("").incident(state.number).foreign_or(&state.title, TITLE_LIMIT, "(no title)");
    let title = TextBlock { size: Some(Size::Large), max_lines: Some(TITLE_LINES), ..TextBlock::heading(title) };
    let opens = Link::pagerduty(&state.html_url).map(|url| Opens { title: opening(state.number), url });
    let title = vec![Element::TextBlock(title)];
    let title = Container { spacing: Some(Spacing::Small), select_action: opens, ..Container::new(title) };
    let about = match state.status {
        Status::Resolved => None,
        Status::Triggered | Status::Acknowledged => about(view, state),
    };
    let mut items = vec![Element::TextBlock(head), Element::Container(title)];
    items.extend(about.map(|about| small(about, Spacing::None)));
    // What can wait does not look like what cannot.
    let style = match (state.status, state.urgency) {
        (Status::Resolved, _) | (_, Urgency::High) => tone(state.status),
        (Status::Triggered | Status::Acknowledged, Urgency::Low) => Tone::Emphasis,
    };
    Element::Container(Container { style: Some(style), bleed: true, ..Container::new(items) })
}

/// As in "Triggered · P1 · High · Payments → Ada".
fn facts(state: &Snapshot) -> Plain {
    let line = add_facts(Plain::from(word(state.status).0), state);
    let names: Vec<&str> = state.assignees.iter().map(|actor| actor.name.as_str()).collect();
    match state.status {
        Status::Resolved => line,
        Status::Triggered | Status::Acknowledged if names.is_empty() => line.own(" → nobody"),
        Status::Triggered | Status::Acknowledged => line.own(" → ").append(&listed(&names)),
    }
}

/// How bad it is, and of which service.
fn add_facts(line: Plain, state: &Snapshot) -> Plain {
    let line = match &state.priority {
        Some(priority) => line.own(" · ").foreign_or(&priority.name, NAME_LIMIT, "(no name)"),
        None => line,
    };
    let line = line.own(match state.urgency {
        Urgency::High => " · High · ",
        Urgency::Low => " · Low · ",
    });
    line.foreign_or(&state.service.name, NAME_LIMIT, "(no name)")
}

/// As in "Resolved by Ada after 12 min, acknowledged by Bob after 2 min · P1 · High · Payments".
fn ended(state: &Snapshot, record: &IncidentRecord) -> Plain {
    let mut line = Plain::from("Resolved");
    if let Some((at, whom)) = record.in_status_since() {
        line = after(add_by(line, whom), state, at);
    }
    if let Some(into) = state.merged_into.as_deref() {
        line = line.own(", merged into ").append(&reference(into));
    }
    let happened = record.happenings().into_iter().map(|told| told.entry);
    if let Some(first) =
        happened.filter(|entry| matches!(entry.what, Happening::Acknowledged)).min_by_key(|entry| entry.at)
    {
        line = after(add_by(line.own(", acknowledged"), first.by.as_ref()), state, first.at);
    }
    add_facts(line, state)
}

/// How long after it was opened.
fn after(line: Plain, state: &Snapshot, at: Timestamp) -> Plain {
    match state.created_at.and_then(|created| duration(created, at)) {
        Some(took) => line.own(" after ").append(&took.into()),
        None => line,
    }
}

/// As in "23 Nov 2026, 10:36 CET (Europe/Berlin) · 3 alerts · escalates at 11:06 CET". None, if nothing is known.
pub(crate) fn about(view: &IncidentView<'_>, state: &Snapshot) -> Option<Plain> {
    let created = state.created_at.map(|at| Own::from("").time_in(at, view.zone));
    let alerts = view.record.details().map_or(0, |details| details.alerts);
    let alerts = (alerts > 0).then(|| Own::from("").count(alerts).own(if alerts == 1 { " alert" } else { " alerts" }));
    let escalates = view.record.escalates_at().filter(|_| view.frozen_since.is_none());
    let escalates = escalates.map(|at| Own::from("escalates at ").clock_in(at, state.created_at, view.zone));
    let taken = view.record.in_status_since().filter(|_| state.status == Status::Acknowledged);
    let taken = taken.map(|(at, whom)| after(add_by(Plain::from("acknowledged"), whom), state, at));
    let parts = created.into_iter().chain(alerts).chain(escalates).map(Plain::from).chain(taken);
    parts.reduce(|line, part| line.own(" · ").append(&part))
}

/// What the first alert says, or whoever opened the incident.
fn said(state: &Snapshot, details: &Details, room: Room) -> Vec<Element> {
    let mut said = Vec::new();
    let words = details.body.as_deref().or(details.summary.as_deref());
    let words = words.filter(|words| !words.trim().is_empty() && words.trim() != state.title.trim());
    said.extend(words.map(|words| {
        let words = Plain::from("").foreign_or(words, SAID_LIMIT, "");
        let run = TextRun { size: Some(Size::Small), ..TextRun::new(words) };
        Element::RichTextBlock(RichTextBlock::new(vec![run], Spacing::Small))
    }));
    said.extend(source(details));
    said.extend(alert_facts(details, room.facts));
    said
}

/// How bad it is and where, as in "Critical on db-7 · Conference +49 30 1".
pub(crate) fn source(details: &Details) -> Option<Element> {
    let severity = details.severity.map(|severity| {
        let (word, tone) = severity_word(severity);
        TextRun { weight: Some(Weight::Bolder), size: Some(Size::Small), color: tone, ..TextRun::new(word) }
    });
    let source = details.source.as_deref().map(|source| {
        let line = Plain::from(if severity.is_some() { " on " } else { "On " });
        TextRun { size: Some(Size::Small), ..TextRun::new(line.foreign_or(source, NAME_LIMIT, "(no name)")) }
    });
    let number = details.bridge.as_ref().and_then(|bridge| bridge.number.as_deref()).map(|number| {
        let gap = if severity.is_some() || source.is_some() { " · " } else { "" };
        let line = Plain::from(gap).own("Conference ").foreign_or(number, NAME_LIMIT, "(no number)");
        TextRun { size: Some(Size::Small), ..TextRun::new(line) }
    });
    let runs: Vec<TextRun> = severity.into_iter().chain(source).chain(number).collect();
    (!runs.is_empty()).then(|| Element::RichTextBlock(RichTextBlock::new(runs, Spacing::Small)))
}

/// The facts of an alert in one paragraph, since a column of labels leaves no room for them on a phone.
fn alert_facts(details: &Details, most: usize) -> Option<Element> {
    let mut runs: Vec<TextRun> = Vec::new();
    let (mut shown, mut length) = (0, 0);
    let small = |text: Plain, is_subtle| TextRun { size: Some(Size::Small), is_subtle, ..TextRun::new(text) };
    for fact in details.facts.iter().take(most) {
        let gap = if runs.is_empty() { "" } else { " · " };
        let name = Plain::from(gap).foreign_or(&fact.name, FACT_NAME_LIMIT, "(no name)").own(": ");
        let value = Plain::from("").foreign_or(&fact.value, FACT_LIMIT, "(empty)");
        length += name.utf16_len() + value.utf16_len();
        if length > FACTS_LIMIT && shown > 0 {
            break;
        }
        runs.extend([small(name, true), small(value, false)]);
        shown += 1;
    }
    let hidden = u64::try_from(details.facts.len() - shown).unwrap_or(u64::MAX).saturating_add(details.more_facts);
    if hidden > 0 {
        let gap = if runs.is_empty() { "" } else { " · and " };
        runs.push(small(Plain::from(gap).count(hidden).own(" more in Details"), true));
    }
    (!runs.is_empty()).then(|| Element::RichTextBlock(RichTextBlock::new(runs, Spacing::Small)))
}

/// The severity as a word at the beginning of a line, and its colour.
pub(crate) fn severity_word(severity: Severity) -> (&'static str, Option<Tone>) {
    match severity {
        Severity::Critical => ("Critical", Some(Tone::Attention)),
        Severity::Error => ("Error", Some(Tone::Attention)),
        Severity::Warning => ("Warning", Some(Tone::Warning)),
        Severity::Info => ("Info", None),
    }
}

/// `None` if the clocks disagree about what came first.
pub(crate) fn duration(from: Timestamp, to: Timestamp) -> Option<Own> {
    let took = to.duration_since(from);
    let minutes = u64::try_from(took.as_mins()).ok().filter(|_| took >= SignedDuration::ZERO)?;
    Some(match (minutes / 60, minutes % 60) {
        (0, 0) => Own::from("less than a minute"),
        (0, minutes) => Own::from("").number(minutes).own(" min"),
        (hours @ 1..48, minutes) => Own::from("").number(hours).own(" h ").number(minutes).own(" min"),
        (hours, _) => Own::from("").number(hours / 24).own(" days"),
    })
}

pub(crate) fn literal(text: Plain) -> Element {
    Element::RichTextBlock(RichTextBlock { inlines: vec![TextRun::new(text)], spacing: None })
}

/// The newest entries, newest first. That it was opened, the head says.
fn log(view: &IncidentView<'_>, lines: usize) -> Vec<Element> {
    let day = view.record.state().and_then(|state| state.created_at);
    let happened = view.record.happenings().into_iter().rev().map(|told| told.entry);
    let entries = happened.filter(|entry| !matches!(entry.what, Happening::Triggered));
    let line = |entry: &LogEntry| {
        let when = Own::from("").clock_in(entry.at, day, view.zone).own(" · ");
        let when = TextRun { is_subtle: true, size: Some(Size::Small), ..TextRun::new(when) };
        let what = TextRun { size: Some(Size::Small), ..TextRun::new(phrase(entry, NOTE_LIMIT)) };
        Element::RichTextBlock(RichTextBlock::new(vec![when, what], Spacing::Small))
    };
    entries.take(lines).map(line).collect()
}

/// Only what makes sense now: the deeds, everything that is known, and the links.
fn actions(view: &IncidentView<'_>, state: &Snapshot, details: Option<&Details>) -> Vec<Action> {
    let link = Link::pagerduty(&state.html_url).map(|url| Action::open("Open in PagerDuty", url));
    if view.frozen_since.is_some() {
        return link.into_iter().collect();
    }
    let mut deeds = DeedKind::ALL.into_iter().filter(|kind| kind.is_offered(state.status));
    let mut actions: Vec<Action> = deeds.by_ref().take(PRIMARY - 1).map(|kind| button(view.record, kind)).collect();
    actions.push(opens("Details", view.record, Verb::Details));
    let more = deeds.map(|kind| button(view.record, kind)).chain(link).chain(details.into_iter().flat_map(links));
    actions.extend(more.map(Action::secondary));
    actions
}

/// Acts at once, or opens the deed's form: a form on the card itself would be dead on phones, and emptied by each edit.
fn button(record: &IncidentRecord, kind: DeedKind) -> Action {
    let (title, verb) = (title_of(kind), Verb::Deed(kind));
    if !kind.form().is_empty() {
        return opens(title, record, verb);
    }
    let data = ButtonData::new(record.account.clone(), record.id.clone(), verb);
    let style = (kind == DeedKind::Acknowledge).then_some(ActionStyle::Positive);
    Action::execute(title, verb, Data::Incident(data), style)
}

/// Opens a dialog.
fn opens(title: &'static str, record: &IncidentRecord, verb: Verb) -> Action {
    let data = ButtonData::opening(record.account.clone(), record.id.clone(), verb);
    Action::submit(title, SubmitData::Incident(Box::new(data)))
}

/// Where people meet, and what the alert links to. Each says where it leads: whoever sends an alert may name any page.
fn links(details: &Details) -> Vec<Action> {
    let bridge = details.bridge.as_ref().and_then(|bridge| bridge.url.as_deref());
    let bridge = bridge.and_then(|url| foreign_link(None, "Conference", url));
    let named = |instead: &'static str| move |link: &LinkTo| foreign_link(link.text.as_deref(), instead, &link.url);
    let links = details.links.iter().filter_map(named("Link"));
    let images = details.images.iter().filter_map(named("Picture"));
    bridge.into_iter().chain(links).chain(images).collect()
}

fn foreign_link(name: Option<&str>, instead: &'static str, url: &str) -> Option<Action> {
    let (url, host) = Link::foreign(url)?;
    let title = Plain::from("").foreign_or(name.unwrap_or_default(), LINK_LIMIT, instead);
    let title = Escaped::from(title.own(" (").foreign_or(&host_within(&host, LINK_LIMIT), LINK_LIMIT, "").own(")"));
    Some(Action::OpenUrl(OpenUrl { title, url, mode: None }))
}
