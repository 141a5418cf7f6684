//! The card of a storm: how much is open, where, and what is most urgent, to be taken in at a glance on a phone.
//!
//! It is one message that is edited again and again, so an age stands beside its point in time and the card says of when it
//! is. Posted cards have no inputs, and an edit would clear them: what needs more than a look opens a dialog.

use std::cmp::Reverse;

use domain::ids::{AccountId, StormId};
use domain::incident::{Status, Urgency};
use domain::storm::{Kind, OfService, Row, SHOWN, Storm};
use jiff::Timestamp;

use crate::data::{OpensDialog, StormData, StormDialog};
use crate::incident::{duration, opening, tone, word};
use crate::link::Link;
use crate::log::listed;
use crate::schema::{
    Action, AdaptiveCard, Column, ColumnSet, Container, Element, Opens, RichTextBlock, Size, Spacing, SubmitData,
    TextBlock, TextRun, Tone, Weight,
};
use crate::untrusted::{Own, Plain};
use crate::{Card, first_that_fits, text};

/// Longest title of a row on the card, in UTF-16 units: about one and a half lines of a phone.
const TITLE_LIMIT: usize = 50;

/// Longest service and priority name in a row, in UTF-16 units.
const SERVICE_LIMIT: usize = 32;
const PRIORITY_LIMIT: usize = 12;

/// How many services the card shows: those with the most open incidents.
const SERVICES: usize = 6;

/// What there is to show.
#[derive(Debug, Clone, Copy)]
pub struct StormView<'a> {
    pub storm: &'a Storm,
    /// Where its incidents are.
    pub account: &'a AccountId,
    pub now: Timestamp,
    /// The priorities whose incidents get their own card, see [`domain::storm::Rules::top`].
    pub top: &'a [String],
}

/// What a storm has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Active,
    /// It is over, and some incidents are open still.
    Open(Timestamp),
    /// It is over, and so are its incidents.
    Over(Timestamp),
    Late,
}

impl Stage {
    fn of(storm: &Storm) -> Self {
        match (storm.kind, storm.ended_at) {
            (Kind::Late, _) => Self::Late,
            (Kind::Storm, None) => Self::Active,
            (Kind::Storm, Some(ended)) if storm.followed.counts.open() > 0 => Self::Open(ended),
            (Kind::Storm, Some(ended)) => Self::Over(ended),
        }
    }
}

/// The storm's card. Its JSON is never larger than [`crate::MAX_CARD_BYTES`]: rows give way first, then services.
#[must_use]
pub fn storm(view: &StormView<'_>) -> Card {
    let sizes = (0..=SHOWN + SERVICES).map(|less| {
        let rows = SHOWN.saturating_sub(less);
        render(view, rows, SERVICES - less.saturating_sub(SHOWN))
    });
    first_that_fits(sizes, |card| &card.content).unwrap_or_else(|| storm_fallback(view))
}

/// What is shown where Teams refuses the whole card: heading and counts, in the plainest form.
#[must_use]
pub fn storm_fallback(view: &StormView<'_>) -> Card {
    let storm = view.storm;
    let mut body = vec![
        Element::TextBlock(TextBlock::heading(head(storm))),
        Element::TextBlock(TextBlock::new(counts(storm))),
        Element::TextBlock(TextBlock::new(ages(view))),
    ];
    body.extend(left(storm).map(|left| Element::TextBlock(TextBlock::new(left))));
    body.push(Element::TextBlock(TextBlock::new(text::shortened_storm())));
    Card { summary: summary(storm), content: AdaptiveCard::new(head(storm), body, Vec::new()) }
}

/// Tells the storm's thread that it is over.
#[must_use]
pub fn storm_end_reply(storm: &Storm, ended_at: Timestamp) -> String {
    let over = match duration(storm.began_at, ended_at) {
        Some(took) => Own::from("The storm is over after ").append(&took).own(": "),
        None => Own::from("The storm is over: "),
    };
    let mut reply = over.append(&rest(storm));
    if storm.cards_after > 0 {
        reply = reply.own("; ").append(&cards_after(storm)).own(" now");
    }
    if storm.left > 0 {
        reply = reply.own("; ").count(storm.left).own(are(storm.left)).own("not followed any more");
    }
    Plain::from(reply.own(".")).into_message()
}

fn render(view: &StormView<'_>, rows: usize, services: usize) -> Card {
    let storm = view.storm;
    let stage = Stage::of(storm);
    let mut body = vec![header(view, stage)];
    let open: Vec<&OfService> = match stage {
        Stage::Active | Stage::Open(_) => storm.followed.services.iter().filter(|of| of.counts.open() > 0).collect(),
        Stage::Over(_) | Stage::Late => Vec::new(),
    };
    // So that the first button is on a phone's first screen: a row takes as much room as two services.
    let room = SHOWN - open.len().min(services) / 3;
    body.extend(by_service(open, services));
    body.extend(most_urgent(storm, stage, rows.min(room)));
    body.extend(about(view, stage).map(|about| small(about, Spacing::Small)));
    Card { summary: summary(storm), content: AdaptiveCard::new(head(storm), body, actions(view)) }
}

/// As in "Incident storm: 312 open".
fn head(storm: &Storm) -> Own {
    let counts = &storm.followed.counts;
    let all = counts.all();
    match Stage::of(storm) {
        Stage::Active => Own::from("Incident storm: ").count(counts.open()).own(" open"),
        Stage::Open(_) => Own::from("Storm over: ").count(counts.open()).own(" still open"),
        Stage::Over(_) => match all {
            0 => Own::from("Storm over: no incident is left here"),
            1 => Own::from("Storm over: the 1 incident here is resolved"),
            _ if storm.cards_after > 0 => Own::from("Storm over: all ").count(all).own(" incidents here are resolved"),
            _ => Own::from("Storm over: all ").count(all).own(" incidents are resolved"),
        },
        Stage::Late => incidents(all).own(were(all)).own("over before this channel could be told"),
    }
}

/// As in "312 open · 290 triggered (250 high, 40 low) · 22 acknowledged · 40 resolved".
fn counts(storm: &Storm) -> Own {
    let counts = &storm.followed.counts;
    let triggered = counts.of(Status::Triggered);
    let urgencies = match (triggered.high, triggered.low) {
        (0, 0) => Own::from(""),
        (high, 0) => Own::from(" (").count(high).own(" high)"),
        (0, low) => Own::from(" (").count(low).own(" low)"),
        (high, low) => Own::from(" (").count(high).own(" high, ").count(low).own(" low)"),
    };
    let line = match Stage::of(storm) {
        Stage::Active => Own::from(""),
        Stage::Open(_) | Stage::Over(_) | Stage::Late => Own::from("").count(counts.open()).own(" open · "),
    };
    line.count(triggered.all())
        .own(" triggered")
        .append(&urgencies)
        .own(" · ")
        .count(counts.of(Status::Acknowledged).all())
        .own(" acknowledged · ")
        .count(counts.of(Status::Resolved).all())
        .own(" resolved")
}

/// How old the oldest open one is, and of when the card is.
fn ages(view: &StormView<'_>) -> Own {
    let as_of = |line: Own| line.exact_clock(view.now).own(", ").day(view.now);
    let Some(since) = view.storm.followed.oldest() else { return as_of(Own::from("As of ")) };
    let oldest = match duration(since, view.now) {
        Some(age) => Own::from("Oldest open for ").append(&age).own(", since "),
        None => Own::from("Oldest open since "),
    };
    let oldest = if is_same_day(since, view.now) { oldest.clock(since) } else { oldest.time(since) };
    as_of(oldest.own(" · as of "))
}

fn is_same_day(a: Timestamp, b: Timestamp) -> bool {
    let day = |at: Timestamp| at.as_second().div_euclid(24 * 60 * 60);
    day(a) == day(b)
}

/// How long it lasted, and what came of its incidents.
fn course(storm: &Storm, ended: Timestamp) -> Own {
    let line = match duration(storm.began_at, ended) {
        Some(took) => Own::from("It lasted ").append(&took).own(": ").time(storm.began_at),
        None => Own::from("From ").time(storm.began_at),
    };
    let line = line.own(" to ");
    let line = if is_same_day(storm.began_at, ended) { line.clock(ended) } else { line.time(ended) };
    let line = match storm.followed.counts {
        counts if counts.open() > 0 => line.own(". ").append(&incidents(counts.all())).own(" here"),
        _ => line,
    };
    if storm.cards_after > 0 { line.own("; ").append(&cards_after(storm)).own(".") } else { line.own(".") }
}

/// As in "1,400 incidents here, 12 are still open".
fn rest(storm: &Storm) -> Own {
    let counts = &storm.followed.counts;
    let here = || incidents(counts.all()).own(" here, ");
    match (counts.all(), counts.open()) {
        (0, _) => Own::from("no incident is left here"),
        (1, 0) => here().own("it is resolved"),
        (1, _) => here().own("it is still open"),
        (_, 0) => here().own("all are resolved"),
        (all, open) if all == open => here().own("all are still open"),
        (_, open) => here().count(open).own(are(open)).own("still open"),
    }
}

/// As in "12 more have their own cards".
fn cards_after(storm: &Storm) -> Own {
    let own = Own::from("").count(storm.cards_after);
    own.own(if storm.cards_after == 1 { " more has its own card" } else { " more have their own cards" })
}

/// Says what is not followed any more.
fn left(storm: &Storm) -> Option<Own> {
    let line = Own::from("").count(storm.left);
    match storm.left {
        0 => None,
        1 => Some(line.own(" more is not followed any more, since its service was disconnected.")),
        _ => Some(line.own(" more are not followed any more, since their service was disconnected.")),
    }
}

fn incidents(count: u64) -> Own {
    Own::from("").count(count).own(if count == 1 { " incident" } else { " incidents" })
}

fn are(count: u64) -> &'static str {
    if count == 1 { " is " } else { " are " }
}

fn were(count: u64) -> &'static str {
    if count == 1 { " was " } else { " were " }
}

fn summary(storm: &Storm) -> String {
    Plain::from(head(storm).own(" · ").append(&counts(storm))).into_literal()
}

fn header(view: &StormView<'_>, stage: Stage) -> Element {
    let storm = view.storm;
    let count = &storm.followed.counts;
    let style = match stage {
        _ if count.of(Status::Triggered).all() > 0 => Tone::Attention,
        _ if count.open() > 0 => Tone::Warning,
        Stage::Active | Stage::Open(_) | Stage::Over(_) | Stage::Late => Tone::Good,
    };
    let title = TextBlock { size: Some(Size::Large), ..TextBlock::heading(head(storm)) };
    let counts = TextBlock { spacing: Some(Spacing::Small), ..TextBlock::new(counts(storm)) };
    let line = |text: Own| {
        let text = TextBlock::new(text);
        Element::TextBlock(TextBlock { size: Some(Size::Small), spacing: Some(Spacing::Small), ..text })
    };
    let mut items = vec![Element::TextBlock(title), Element::TextBlock(counts)];
    match stage {
        Stage::Active | Stage::Late => items.push(line(ages(view))),
        Stage::Open(ended) => items.extend([line(ages(view)), line(course(storm, ended))]),
        Stage::Over(ended) => items.push(line(course(storm, ended))),
    }
    items.extend(left(storm).map(line));
    Element::Container(Container { style: Some(style), bleed: true, ..Container::new(items) })
}

/// The services with the most open incidents, one line each.
fn by_service(mut open: Vec<&OfService>, most: usize) -> Vec<Element> {
    open.sort_by_key(|known| Reverse(known.counts.open()));
    let shown: Vec<Element> = open.iter().take(most).map(|known| of_service(known)).collect();
    if shown.is_empty() {
        return shown;
    }
    let more = u64::try_from(open.len() - shown.len()).unwrap_or(u64::MAX);
    let heading = label("Open (triggered + acknowledged)");
    let more = (more > 0).then(|| {
        let line = Own::from("and ").count(more);
        small(line.own(if more == 1 { " more service" } else { " more services" }), Spacing::None)
    });
    std::iter::once(heading).chain(shown).chain(more).collect()
}

fn of_service(known: &OfService) -> Element {
    let counts = &known.counts;
    let name = Plain::from("").foreign_or(&known.service.name, SERVICE_LIMIT, "(no name)");
    let open = TextRun { weight: Some(Weight::Bolder), ..TextRun::new(Own::from("").count(counts.open())) };
    let parts = Own::from(" (")
        .count(counts.of(Status::Triggered).all())
        .own(" + ")
        .count(counts.of(Status::Acknowledged).all())
        .own(")");
    let parts = TextRun { is_subtle: true, ..TextRun::new(parts) };
    let runs = |runs: Vec<TextRun>| vec![Element::RichTextBlock(RichTextBlock { inlines: runs, spacing: None })];
    let columns = vec![
        Column { width: "stretch", items: runs(vec![TextRun::new(name)]) },
        Column { width: "auto", items: runs(vec![open, parts]) },
    ];
    Element::ColumnSet(ColumnSet { spacing: Spacing::None, columns })
}

fn most_urgent(storm: &Storm, stage: Stage, most: usize) -> Vec<Element> {
    let (of, heading) = match stage {
        Stage::Active | Stage::Open(_) => (storm.followed.counts.open(), "Most urgent · rows open in PagerDuty"),
        Stage::Late => (storm.followed.counts.all(), "Rows open in PagerDuty"),
        Stage::Over(_) => return Vec::new(),
    };
    let rows = storm.followed.shown().iter().filter(|row| stage == Stage::Late || row.is_open());
    let rows: Vec<Element> = rows.take(most).map(|known| row(known, TITLE_LIMIT)).collect();
    let more = of.saturating_sub(u64::try_from(rows.len()).unwrap_or(u64::MAX));
    let heading = (!rows.is_empty()).then(|| label(heading));
    let line = match heading {
        Some(_) => Own::from("and ").count(more).own(" more: Show list"),
        None => incidents(more).own(": Show list"),
    };
    let more = (more > 0).then(|| small(line, Spacing::Small));
    heading.into_iter().chain(rows).chain(more).collect()
}

/// An incident on two lines: its name, and under it how it is. A tap opens it in PagerDuty.
pub(crate) fn row(row: &Row, title_limit: usize) -> Element {
    let opens = Link::pagerduty(&row.url).map(|url| Opens { title: opening(row.number), url });
    let number = (row.number != 0).then(|| TextRun::new(Plain::from("").incident(row.number)));
    let number = number.map(|number| TextRun { color: opens.is_some().then_some(Tone::Accent), ..number });
    let title = Plain::from("").foreign_or(&row.title, title_limit, "(no title)");
    let title = TextRun { weight: Some(Weight::Bolder), ..TextRun::new(title) };
    let status = TextRun::new(word(row.status).0);
    let status = TextRun { weight: Some(Weight::Bolder), color: Some(tone(row.status)), ..status };
    let status = TextRun { size: Some(Size::Small), ..status };
    let how = TextRun { size: Some(Size::Small), is_subtle: true, ..TextRun::new(how(row)) };
    let items = vec![
        Element::RichTextBlock(RichTextBlock { inlines: number.into_iter().chain([title]).collect(), spacing: None }),
        Element::RichTextBlock(RichTextBlock::new(vec![status, how], Spacing::None)),
    ];
    Element::Container(Container { spacing: Some(Spacing::Small), select_action: opens, ..Container::new(items) })
}

/// As in " · low urgency · P3 · Payments".
fn how(row: &Row) -> Plain {
    let how = Plain::from(match row.urgency {
        Urgency::High => "",
        Urgency::Low => " · low urgency",
    });
    let how = match &row.priority {
        Some(priority) => how.own(" · ").foreign_or(priority, PRIORITY_LIMIT, "(no priority)"),
        None => how,
    };
    how.own(" · ").foreign_or(&row.service.name, SERVICE_LIMIT, "(no name)")
}

/// What this card is, where that is not plain.
fn about(view: &StormView<'_>, stage: Stage) -> Option<Plain> {
    if stage != Stage::Active {
        return None;
    }
    let about = Plain::from("More incidents come in than this channel takes as cards, so they are rows here.");
    let top: Vec<String> = view.top.iter().map(|name| name.to_uppercase()).collect();
    Some(match top.len() {
        0 => about,
        1 => about.own(" ").append(&listed(&top)).own(" still gets its own card."),
        _ => about.own(" ").append(&listed(&top)).own(" still get their own cards."),
    })
}

/// The heading of a part of the card.
fn label(text: &'static str) -> Element {
    let text = TextBlock { size: Some(Size::Small), is_subtle: true, ..TextBlock::heading(text) };
    Element::TextBlock(TextBlock { spacing: Some(Spacing::Medium), ..text })
}

pub(crate) fn small(text: impl Into<Plain>, spacing: Spacing) -> Element {
    let run = TextRun { size: Some(Size::Small), is_subtle: true, ..TextRun::new(text) };
    Element::RichTextBlock(RichTextBlock::new(vec![run], spacing))
}

/// Each opens a dialog: acknowledging many is asked for once more.
fn actions(view: &StormView<'_>) -> Vec<Action> {
    let opens = |title, dialog| open_dialog(title, view.account, &view.storm.id, dialog);
    let mut actions = vec![opens("Show list", StormDialog::List)];
    if view.storm.followed.counts.of(Status::Triggered).all() > 0 {
        actions.push(opens("Acknowledge mine", StormDialog::AcknowledgeMine));
        actions.push(opens("Acknowledge shown", StormDialog::AcknowledgeShown));
    }
    actions
}

fn open_dialog(title: &'static str, account: &AccountId, storm: &StormId, dialog: StormDialog) -> Action {
    let data = StormData::new(account.clone(), storm.clone(), dialog);
    let data = StormData { msteams: Some(OpensDialog::FETCH), ..data };
    Action::submit(title, SubmitData::Storm(Box::new(data)))
}
