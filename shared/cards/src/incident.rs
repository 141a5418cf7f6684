//! The card of one incident: what it shows in each state, and which buttons fit.
//!
//! It is rendered from the record alone, so the same record always gives the same card and an edit that would change
//! nothing can be recognised. Times are therefore points in time, never "five minutes ago"; the reader's client turns the
//! trigger time into local time.

use domain::deed::{DeedKind, Input};
use domain::incident::{IncidentRecord, LogEntry, Snapshot, Status, Urgency};
use jiff::{SignedDuration, Timestamp};

use crate::data::{ButtonData, Verb};
use crate::link::Link;
use crate::log::{NAME_LIMIT, listed, person, phrase, reference};
use crate::schema::{
    Action, ActionStyle, AdaptiveCard, Column, ColumnSet, Container, Data, Element, Execute, InputText, RichTextBlock,
    Size, Spacing, TextBlock, TextRun, Tone, Weight,
};
use crate::setup::Line;
use crate::untrusted::{Own, Plain};
use crate::{Card, first_that_fits, text};

/// Longest title on the card, in UTF-16 units.
const TITLE_LIMIT: usize = 300;

/// Longest title and service name in toasts and search, in UTF-16 units.
const SUMMARY_TITLE_LIMIT: usize = 120;

/// Longest part of a note on the card, in UTF-16 units.
const NOTE_LIMIT: usize = 500;

/// How many log entries the card shows: the newest ones.
const LOG_LINES: usize = 5;

/// What there is to show.
#[derive(Debug, Clone, Copy)]
pub struct IncidentView<'a> {
    /// The incident's newest known state.
    pub record: &'a IncidentRecord,
    /// Since when the card is not kept true any more: then it says so, and has no button but the link to PagerDuty.
    pub frozen_since: Option<Timestamp>,
}

/// The incident's card. Its JSON is never larger than [`crate::MAX_CARD_BYTES`]: where the log does not fit, its oldest lines
/// give way.
#[must_use]
pub fn incident(view: &IncidentView<'_>) -> Card {
    let lines = LOG_LINES.min(view.record.log.len());
    let sizes = (0..=lines).rev().map(|lines| render(view, lines));
    first_that_fits(sizes, |card| &card.content).unwrap_or_else(|| render(view, 0))
}

/// What is shown where Teams refuses the whole card: title, status and link, in the plainest form.
#[must_use]
pub fn incident_fallback(record: &IncidentRecord) -> Card {
    let Some(state) = record.state() else { return unknown(record, 0) };
    let title =
        Plain::from("#").number(state.number).own(" ").foreign_or(&state.title, SUMMARY_TITLE_LIMIT, "(no title)");
    let body = vec![
        Element::TextBlock(TextBlock::heading(word(state.status).0)),
        literal(title),
        Element::TextBlock(TextBlock::new(text::shortened_card())),
    ];
    let link = Link::pagerduty(&state.html_url).map(|url| Action::OpenUrl { title: "Open in PagerDuty", url });
    Card { summary: summary(state), content: AdaptiveCard::new(spoken(state), body, link.into_iter().collect()) }
}

/// What is left of a card whose channel may not hear what has become of its incident.
#[must_use]
pub fn incident_left(record: &IncidentRecord, since: Timestamp) -> Card {
    let state = record.state();
    let name = || match state {
        Some(state) => Plain::from("PagerDuty incident #").number(state.number),
        None => Plain::from("PagerDuty incident"),
    };
    let body = vec![literal(name()), Element::TextBlock(TextBlock::new(text::no_longer_updated(since)))];
    let link = state.and_then(|state| Link::pagerduty(&state.html_url));
    let link = link.map(|url| Action::OpenUrl { title: "Open in PagerDuty", url });
    let content = AdaptiveCard::new(Own::from("PagerDuty incident"), body, link.into_iter().collect());
    Card { summary: name().into_literal(), content }
}

fn spoken(state: &Snapshot) -> Own {
    Own::from("PagerDuty incident #").number(state.number).own(": ").own(word(state.status).1).own(".")
}

fn render(view: &IncidentView<'_>, log_lines: usize) -> Card {
    let Some(state) = view.record.state() else { return unknown(view.record, log_lines) };
    let mut body = vec![header(state)];
    body.extend(view.frozen_since.map(|since| {
        let text = TextBlock::new(text::no_longer_updated(since));
        Element::TextBlock(TextBlock { weight: Some(Weight::Bolder), ..text })
    }));
    body.extend(facts(state, view.record));
    body.extend(log(view.record, log_lines));
    Card { summary: summary(state), content: AdaptiveCard::new(spoken(state), body, actions(view, state)) }
}

/// An incident of which only events without its state have arrived.
fn unknown(record: &IncidentRecord, log_lines: usize) -> Card {
    let mut body = vec![
        Element::TextBlock(TextBlock::heading("PagerDuty incident")),
        Element::TextBlock(TextBlock::new(text::no_details())),
    ];
    body.extend(log(record, log_lines));
    let content = AdaptiveCard::new(Own::from("PagerDuty incident"), body, Vec::new());
    Card { summary: "PagerDuty incident".to_owned(), content }
}

/// As in "#1234 DB down (triggered, high) on Payments".
fn summary(state: &Snapshot) -> String {
    Plain::from("#")
        .number(state.number)
        .own(" ")
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
        name: format!("#{} {}", state.number, state.title),
        about: format!("{status}, {urgency} urgency, {}, assigned to {people}", state.service.name),
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

fn header(state: &Snapshot) -> Element {
    let tone = tone(state.status);
    let status = TextBlock { weight: Some(Weight::Bolder), color: Some(tone), ..TextBlock::new(word(state.status).0) };
    let title = Plain::from("#").number(state.number).own(" ").foreign_or(&state.title, TITLE_LIMIT, "(no title)");
    let title = TextRun { weight: Some(Weight::Bolder), size: Some(Size::Large), ..TextRun::new(title) };
    let title = RichTextBlock { inlines: vec![title], spacing: Some(Spacing::Small) };
    let mut items = vec![Element::TextBlock(status), Element::RichTextBlock(title)];
    items
        .extend(state.merged_into.as_deref().map(|into| literal(Plain::from("Merged into ").append(&reference(into)))));
    Element::Container(Container { style: Some(tone), bleed: true, ..Container::new(items) })
}

fn facts(state: &Snapshot, record: &IncidentRecord) -> Vec<Element> {
    let name = |text: &str| literal(Plain::from("").foreign_or(text, NAME_LIMIT, "(no name)"));
    let urgency = match state.urgency {
        Urgency::High => "High",
        Urgency::Low => "Low",
    };
    let priority =
        state.priority.as_ref().map_or_else(|| literal(Plain::from("None")), |priority| name(&priority.name));
    let mut facts = vec![
        fact("Service", name(&state.service.name)),
        fact("Urgency", literal(Plain::from(urgency))),
        fact("Priority", priority),
    ];
    if state.status != Status::Resolved {
        let names: Vec<&str> = state.assignees.iter().map(|actor| actor.name.as_str()).collect();
        let assigned = if names.is_empty() { Plain::from("Nobody") } else { listed(&names) };
        facts.push(fact("Assigned to", literal(assigned)));
    }
    facts.extend(state.escalation_policy.as_deref().map(|policy| fact("Escalation policy", name(policy))));
    facts.extend(state.created_at.map(|at| {
        let when = Own::from("").time(at).own(" (your time: ").local_time(at).own(")");
        fact("Triggered", Element::TextBlock(TextBlock::new(when)))
    }));
    facts.extend(reached(state, record));
    facts
}

/// Who brought the incident into its status, when, and how long that took.
fn reached(state: &Snapshot, record: &IncidentRecord) -> Option<Element> {
    let (at, by) = record.in_status_since().filter(|_| state.status != Status::Triggered)?;
    let took = state.created_at.and_then(|created| duration(created, at));
    let by = by.map_or_else(|| Plain::from(""), |by| Plain::from("by ").append(&person(by)).own(" on "));
    let mut how = by.time(at);
    if let Some(took) = took {
        how = how.own(" (after ").append(&took.into()).own(")");
    }
    Some(fact(word(state.status).0, literal(how)))
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

fn fact(label: &'static str, value: Element) -> Element {
    let label = TextBlock { is_subtle: true, ..TextBlock::new(label) };
    let columns = vec![
        Column { width: "130px", items: vec![Element::TextBlock(label)] },
        Column { width: "stretch", items: vec![value] },
    ];
    Element::ColumnSet(ColumnSet { spacing: Spacing::Small, columns })
}

pub(crate) fn literal(text: Plain) -> Element {
    Element::RichTextBlock(RichTextBlock { inlines: vec![TextRun::new(text)], spacing: None })
}

/// The newest entries, newest first.
fn log(record: &IncidentRecord, lines: usize) -> Vec<Element> {
    let entries: Vec<&LogEntry> = record.log.iter().rev().take(lines).collect();
    if entries.is_empty() {
        return Vec::new();
    }
    let heading =
        TextBlock { spacing: Some(Spacing::Medium), separator: true, ..TextBlock::heading("Latest activity") };
    let line = |entry: &LogEntry| {
        let when = TextRun { is_subtle: true, ..TextRun::new(Plain::from("").time(entry.at).own(" · ")) };
        let inlines = vec![when, TextRun::new(phrase(entry, NOTE_LIMIT))];
        Element::RichTextBlock(RichTextBlock { inlines, spacing: Some(Spacing::Small) })
    };
    std::iter::once(Element::TextBlock(heading)).chain(entries.into_iter().map(line)).collect()
}

/// Only what makes sense now, and the link.
fn actions(view: &IncidentView<'_>, state: &Snapshot) -> Vec<Action> {
    let offered = DeedKind::ALL.into_iter().filter(|kind| view.frozen_since.is_none() && kind.is_offered(state.status));
    let mut actions: Vec<Action> = offered.map(|kind| button(view.record, kind)).collect();
    actions.extend(Link::pagerduty(&state.html_url).map(|url| Action::OpenUrl { title: "Open in PagerDuty", url }));
    actions
}

/// Acts at once, or opens the deed's form.
fn button(record: &IncidentRecord, kind: DeedKind) -> Action {
    let (title, style) = match kind {
        DeedKind::Acknowledge => ("Acknowledge", Some(ActionStyle::Positive)),
        DeedKind::Resolve => ("Resolve", None),
        DeedKind::AddNote => ("Add note", Some(ActionStyle::Positive)),
    };
    let verb = Verb::Deed(kind);
    let data = ButtonData::new(record.account.clone(), record.id.clone(), verb);
    let execute = Action::Execute(Execute { title, verb, data: Data::Incident(data), style });
    let inputs: Vec<Element> = kind.form().iter().map(|input| Element::InputText(words(kind, input))).collect();
    if inputs.is_empty() {
        return execute;
    }
    Action::ShowCard { title, card: Box::new(AdaptiveCard::inner(inputs, vec![execute])) }
}

/// The words of an input of a deed's form.
fn words(kind: DeedKind, input: &Input) -> InputText {
    let (label, placeholder, error) = match (kind, input.id) {
        (DeedKind::AddNote, _) => ("Note", "What did you find or do?", "Please write the note first."),
        (DeedKind::Acknowledge | DeedKind::Resolve, id) => (id, "", "Please fill this in."),
    };
    InputText {
        id: input.id,
        label: Own::from(label),
        placeholder: Own::from(placeholder),
        is_multiline: true,
        max_length: input.max_chars,
        is_required: true,
        error_message: Own::from(error),
        value: None,
    }
}
