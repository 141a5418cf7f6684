//! The dialog behind *Details*: everything that is known of an incident, for one person.
//!
//! What one was woken for stands first; what only helps to understand it comes last and gives way first. A part that this person or
//! account is not given is absent, one that is late is named, and one that is empty says nothing.

mod parts;

use domain::context::{Alert, AlertPage, Context};
use domain::details::{Details, Fact};
use domain::incident::{IncidentRecord, Snapshot, Status};
use domain::zone::Zone;
use jiff::Timestamp;

use self::parts::{activity, changes, impacts, notes, outlier, past, related, responders};
use crate::data::{ButtonData, Verb};
use crate::incident::{IncidentView, about, header, severity_word, source, spoken};
use crate::log::{LISTED, NAME_LIMIT};
use crate::schema::{
    Action, AdaptiveCard, Element, RichTextBlock, Size, Spacing, SubmitData, TextBlock, TextRun, Tone, Weight,
};
use crate::storm::small;
use crate::untrusted::{Own, Plain, utf16_len};
use crate::{first_that_fits, text};

/// Longest summary of an alert, and name and value of a fact, in UTF-16 units. PagerDuty's reader keeps no longer ones.
const SUMMARY_LIMIT: usize = 240;
const FACT_NAME_LIMIT: usize = 100;
const FACT_LIMIT: usize = 200;

/// The same for one alert of many, and how many facts it shows.
const ALERT_SUMMARY_LIMIT: usize = 160;
const ALERT_FACT_NAME_LIMIT: usize = 30;
const ALERT_FACT_LIMIT: usize = 60;
const ALERT_FACTS: usize = 4;

/// How many lines of a text are shown.
const MOST_LINES: usize = 12;

/// What there is to show.
#[derive(Debug, Clone, Copy)]
pub struct DetailsDialog<'a> {
    pub record: &'a IncidentRecord,
    pub context: &'a Context,
    /// How many alerts are before the page that was asked for.
    pub from: u32,
    /// In which its times are written.
    pub zone: &'a Zone,
}

impl DetailsDialog<'_> {
    fn button(&self, title: &'static str, from: u32) -> Action {
        let data = ButtonData::new(self.record.account.clone(), self.record.id.clone(), Verb::Details);
        Action::submit(title, SubmitData::Incident(Box::new(ButtonData { from, ..data })))
    }

    fn day(&self) -> Option<Timestamp> {
        self.record.state().and_then(|state| state.created_at)
    }

    /// As in "10:36 CET".
    fn clock(&self, at: Timestamp) -> Own {
        Own::from("").clock_in(at, self.day(), self.zone)
    }
}

type PartOfRoom = fn(&mut Room) -> &mut usize;

/// How much of each part is shown.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// UTF-16 units of what somebody wrote.
    words: usize,
    facts: usize,
    alerts: usize,
    notes: usize,
    responders: usize,
    activity: usize,
    changes: usize,
    past: usize,
    related: usize,
    /// Names of services and of people.
    impacts: usize,
    people: usize,
}

impl Room {
    const WHOLE: Self = Self {
        words: 1000,
        facts: 8,
        alerts: usize::MAX,
        notes: 10,
        responders: 10,
        activity: 20,
        changes: 8,
        past: 8,
        related: 8,
        impacts: 10,
        people: 20,
    };

    /// Each smaller than the one before, from the end of the dialog on: first down to a few of each, so that one long part leaves
    /// room for the others, then to none. One alert of a page stays, so that pages end.
    fn all(alerts: usize) -> Vec<Self> {
        let parts: [(PartOfRoom, usize, usize); 11] = [
            (|room| &mut room.related, 3, 0),
            (|room| &mut room.past, 3, 0),
            (|room| &mut room.changes, 3, 0),
            (|room| &mut room.activity, 6, 0),
            (|room| &mut room.responders, 4, 0),
            (|room| &mut room.notes, 3, 0),
            (|room| &mut room.impacts, 5, 0),
            (|room| &mut room.alerts, 5, 1),
            (|room| &mut room.facts, 4, 0),
            (|room| &mut room.words, 400, 120),
            (|room| &mut room.people, 10, 4),
        ];
        let mut room = Self { alerts, ..Self::WHOLE };
        let mut rooms = vec![room];
        let few = parts.iter().map(|(part, few, _)| (part, *few));
        let least = parts.iter().map(|(part, _, least)| (part, *least));
        for (part, most) in few.chain(least) {
            while *part(&mut room) > most {
                *part(&mut room) = (*part(&mut room) / 2).max(most);
                rooms.push(room);
            }
        }
        rooms
    }
}

/// The dialog's card. Its JSON is never larger than [`crate::MAX_CARD_BYTES`]: what stands last gives way first, and says so.
#[must_use]
pub fn details_dialog(dialog: &DetailsDialog<'_>) -> AdaptiveCard {
    let alerts = dialog.context.alerts.known().map_or(0, |page| page.alerts.len());
    let sizes = Room::all(alerts).into_iter().map(|room| draw(dialog, room));
    first_that_fits(sizes, |card| card).unwrap_or_else(|| draw(dialog, Room::WHOLE))
}

fn draw(dialog: &DetailsDialog<'_>, room: Room) -> AdaptiveCard {
    let state = dialog.record.state();
    let mut body = match state {
        Some(state) => head(dialog, state, room.people),
        None => vec![Element::TextBlock(TextBlock::heading("PagerDuty incident"))],
    };
    let shortest = body.len();
    body.extend(late(dialog));
    let title = state.map_or("", |state| state.title.as_str());
    body.extend(dialog.record.details().into_iter().flat_map(|details| said(details, title, room)));
    body.extend(alerts(dialog, room.alerts));
    body.extend(impacts(dialog, room.impacts));
    body.extend(outlier(dialog));
    body.extend(notes(dialog, room.notes));
    body.extend(responders(dialog, room.responders));
    body.extend(activity(dialog, room.activity));
    body.extend(changes(dialog, room.changes));
    body.extend(past(dialog, room.past));
    body.extend(related(dialog, room.related));
    if body.len() == shortest {
        body.push(small(text::nothing_more(), Spacing::Small));
    }
    AdaptiveCard::new(state.map_or_else(|| Own::from("PagerDuty incident"), spoken), body, Vec::new())
}

fn head(dialog: &DetailsDialog<'_>, state: &Snapshot, people: usize) -> Vec<Element> {
    let view = IncidentView { record: dialog.record, frozen_since: None, zone: dialog.zone };
    let mut head = vec![header(&view, state)];
    if state.status == Status::Resolved {
        head.extend(about(&view, state).map(|about| small(about, Spacing::Small)));
    }
    let policy = state.escalation_policy.as_deref();
    let policy = policy.map(|name| Plain::from("Escalation policy: ").foreign_or(name, NAME_LIMIT, "(no name)"));
    let names = state.assignees.iter().take(people).map(|person| person.name.as_str());
    let hidden = count(state.assignees.len().saturating_sub(people));
    // The head names a few.
    let is_told = state.status != Status::Resolved && state.assignees.len() <= LISTED;
    let assigned = joined(names).filter(|_| !is_told).map(|names| {
        let line = Plain::from("Assigned to: ").append(&names);
        if hidden > 0 { line.own(" and ").count(hidden).own(" more") } else { line }
    });
    head.extend(policy.into_iter().chain(assigned).map(|line| small(line, Spacing::Small)));
    head
}

/// Which parts are not there, and a way to ask again.
fn late(dialog: &DetailsDialog<'_>) -> Vec<Element> {
    let context = dialog.context;
    let parts = [
        (context.alerts.is_late(), "alerts"),
        (context.impacts.is_late(), "business impact"),
        (context.outlier.is_late(), "how usual this is"),
        (context.notes.is_late(), "notes"),
        (context.responders.is_late(), "responders"),
        (context.activity.is_late(), "activity"),
        (context.changes.is_late(), "recent changes"),
        (context.past.is_late(), "past incidents"),
        (context.related.is_late(), "related incidents"),
    ];
    let all = parts.len();
    let late: Vec<&'static str> = parts.into_iter().filter(|(is_late, _)| *is_late).map(|(_, name)| name).collect();
    if late.is_empty() {
        return Vec::new();
    }
    let sentence = if late.len() == all { text::nothing_in_time() } else { text::late_parts(&late) };
    let sentence = TextBlock { color: Some(Tone::Warning), ..TextBlock::new(sentence) };
    let retry = Element::ActionSet { actions: vec![dialog.button("Retry", dialog.from)] };
    vec![Element::TextBlock(sentence), retry]
}

/// What the first alert says, and whoever opened the incident.
fn said(details: &Details, title: &str, room: Room) -> Vec<Element> {
    let is_new = |words: &&str| words.trim() != title.trim();
    let body = details.body.as_deref().filter(is_new);
    let summary = details.summary.as_deref().filter(is_new).filter(|summary| body != Some(*summary));
    let mut said = Vec::new();
    said.extend(summary.into_iter().flat_map(|summary| lines(summary, SUMMARY_LIMIT, Spacing::Small)));
    said.extend(body.into_iter().flat_map(|body| lines(body, room.words, Spacing::Small)));
    said.extend(source(details));
    let shown = details.facts.len().min(room.facts);
    let gaps = std::iter::once(Spacing::Small).chain(std::iter::repeat(Spacing::None));
    said.extend(details.facts.iter().take(shown).zip(gaps).map(|(fact, gap)| named(fact, gap)));
    said.extend(more(hidden(details, shown), false, ""));
    said
}

fn hidden(details: &Details, shown: usize) -> u64 {
    count(details.facts.len() - shown).saturating_add(details.more_facts)
}

fn named(fact: &Fact, gap: Spacing) -> Element {
    let small = |text: Plain, is_subtle| TextRun { size: Some(Size::Small), is_subtle, ..TextRun::new(text) };
    let name = Plain::from("").foreign_or(&fact.name, FACT_NAME_LIMIT, "(no name)").own(": ");
    let value = Plain::from("").foreign_or(&fact.value, FACT_LIMIT, "(empty)");
    Element::RichTextBlock(RichTextBlock::new(vec![small(name, true), small(value, false)], gap))
}

/// The alerts of the page. Those that do not fit are on the next one.
fn alerts(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    let Some(page) = dialog.context.alerts.known() else { return Vec::new() };
    if page.from == 0 && (page.alerts.is_empty() || is_told(dialog, page)) {
        return Vec::new();
    }
    let shown = page.alerts.len().min(most);
    let end = page.from.saturating_add(u32::try_from(shown).unwrap_or(u32::MAX));
    let next = if shown < page.alerts.len() { Some(end) } else { page.next };
    let mut section = vec![heading(range(dialog, page, end))];
    section.extend(page.alerts.iter().take(shown).flat_map(|one| alert(dialog, one)));
    let mut buttons = Vec::new();
    buttons.extend(next.map(|next| dialog.button("Next alerts", next)));
    buttons.extend((page.from > 0).then(|| dialog.button("First alerts", 0)));
    section.extend((!buttons.is_empty()).then_some(Element::ActionSet { actions: buttons }));
    section
}

/// Whether the only alert is what the dialog begins with.
fn is_told(dialog: &DetailsDialog<'_>, page: &AlertPage) -> bool {
    let [only] = page.alerts.as_slice() else { return false };
    page.next.is_none() && dialog.record.details().is_some_and(|details| details.summary == only.said.summary)
}

/// As in "Alerts 11-20 of 60".
fn range(dialog: &DetailsDialog<'_>, page: &AlertPage, end: u32) -> Own {
    let (from, end) = (u64::from(page.from), u64::from(end));
    if end == from {
        return Own::from("There are no more alerts");
    }
    let all = from.saturating_add(count(page.alerts.len()));
    let numbers = if end == from + 1 {
        Own::from("Alert ").count(end)
    } else {
        Own::from("Alerts ").count(from + 1).own("-").count(end)
    };
    // The count is older than the page.
    let known = dialog.record.details().map_or(0, |details| details.alerts);
    match page.next {
        None if from == 0 && end == all => Own::from("Alerts (").count(end).own(")"),
        None => numbers.own(" of ").count(all),
        Some(_) if known > all => numbers.own(" of ").count(known),
        Some(_) => numbers.own(" of more than ").count(all),
    }
}

fn alert(dialog: &DetailsDialog<'_>, alert: &Alert) -> Vec<Element> {
    let said = &alert.said;
    let summary =
        Plain::from("").foreign_or(said.summary.as_deref().unwrap_or_default(), ALERT_SUMMARY_LIMIT, "(no text)");
    let summary = TextRun { weight: Some(Weight::Bolder), ..TextRun::new(summary) };
    let (state, color) = if alert.is_resolved { ("Resolved", Tone::Good) } else { ("Triggered", Tone::Attention) };
    let small = |text: Plain| TextRun { size: Some(Size::Small), is_subtle: true, ..TextRun::new(text) };
    let mut how = vec![TextRun { color: Some(color), is_subtle: false, ..small(state.into()) }];
    how.extend(said.severity.map(|severity| {
        let (word, color) = severity_word(severity);
        TextRun { color, is_subtle: false, ..small(Plain::from(" · ").own(word)) }
    }));
    how.extend(said.source.as_deref().map(|source| small(Plain::from(" · ").foreign_or(source, NAME_LIMIT, "?"))));
    how.extend(alert.created_at.map(|at| small(Own::from(" · ").append(&dialog.clock(at)).into())));
    let shown = said.facts.iter().take(ALERT_FACTS).map(|fact| {
        let name = Plain::from("").foreign_or(&fact.name, ALERT_FACT_NAME_LIMIT, "(no name)");
        name.own(": ").foreign_or(&fact.value, ALERT_FACT_LIMIT, "(empty)")
    });
    let hidden = hidden(said, said.facts.len().min(ALERT_FACTS));
    let others = (hidden > 0).then(|| Plain::from("and ").count(hidden).own(" more"));
    let facts = shown.chain(others).reduce(|line, fact| line.own(" · ").append(&fact));
    let facts = facts.map(|facts| vec![small(facts)]);
    let body = said.body.as_deref().map(|body| vec![small(Plain::from("").foreign_or(body, ALERT_SUMMARY_LIMIT, ""))]);
    let first = Element::RichTextBlock(RichTextBlock::new(vec![summary], Spacing::Medium));
    let rest = std::iter::once(how).chain(body).chain(facts);
    std::iter::once(first)
        .chain(rest.map(|runs| Element::RichTextBlock(RichTextBlock::new(runs, Spacing::None))))
        .collect()
}

fn heading(title: impl Into<Own>) -> Element {
    let title: Own = title.into();
    let heading = TextBlock::heading(title);
    Element::TextBlock(TextBlock { separator: true, spacing: Some(Spacing::Medium), ..heading })
}

/// As in "and 12 more", or "and at least 12 more".
fn more(more: u64, at_least: bool, what: &'static str) -> Option<Element> {
    let line = match (more, at_least) {
        (0, false) => return None,
        (0, true) => Own::from("and more"),
        (more, true) => Own::from("and at least ").count(more).own(" more"),
        (more, false) => Own::from("and ").count(more).own(" more"),
    };
    Some(small(line.own(what), Spacing::Small))
}

/// A text with its line breaks: one paragraph for each line, since a run of text has none.
fn lines(text: &str, limit: usize, gap: Spacing) -> Vec<Element> {
    let mut left = limit;
    let (mut shown, mut gap) = (Vec::new(), gap);
    let mut rest = text.lines();
    for line in rest.by_ref() {
        let line = Plain::from("").foreign_or(line, left, "");
        let length = line.utf16_len();
        if length == 0 {
            gap = if shown.is_empty() { gap } else { Spacing::Small };
            continue;
        }
        shown.push(Element::RichTextBlock(RichTextBlock::new(vec![TextRun::new(line)], gap)));
        gap = Spacing::None;
        left = left.saturating_sub(length);
        if left < 2 || shown.len() >= MOST_LINES {
            break;
        }
    }
    let hidden = count(rest.filter(|line| utf16_len(line.trim()) > 0).count());
    shown.extend(more(hidden, false, if hidden == 1 { " line" } else { " lines" }));
    shown
}

/// Names in one line. `None`, if there are none.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<Plain> {
    let names = names.map(|name| Plain::from("").foreign_or(name, NAME_LIMIT, "(no name)"));
    names.reduce(|line, name| line.own(", ").append(&name))
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
