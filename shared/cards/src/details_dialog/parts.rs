//! What PagerDuty knows around the incident, part by part. Each is empty where there is nothing to show.

use domain::context::{
    Activity, ActivityKind, Category, Change, Neighbour, Outlier, Part, Reason, Relation, Reply, Responder, Several,
    Written,
};

use super::{DetailsDialog, count, heading, joined, lines, more};
use crate::incident::{tone, word};
use crate::link::Link;
use crate::log::{NAME_LIMIT, listed};
use crate::schema::{Container, Element, Opens, RichTextBlock, Size, Spacing, TextRun, Tone, Weight};
use crate::storm::small;
use crate::untrusted::{Own, Plain, host_within};

/// Longest note, title of another incident or change, and words of a request, in UTF-16 units.
const NOTE_LIMIT: usize = 600;
const TITLE_LIMIT: usize = 120;
const WORDS_LIMIT: usize = 160;

/// Longest name of a host, in UTF-16 units.
const HOST_LIMIT: usize = 60;

/// A heading, the rows that have room, and how many others there are.
fn section<T>(
    title: &'static str,
    part: &Part<Several<T>>,
    most: usize,
    row: impl Fn(&T) -> Vec<Element>,
) -> Vec<Element> {
    let Some(found) = part.known().filter(|found| !found.items.is_empty() || found.more > 0) else {
        return Vec::new();
    };
    let shown = found.items.len().min(most);
    let hidden = count(found.items.len() - shown).saturating_add(found.more);
    let mut section = vec![heading(title)];
    section.extend(found.items.iter().take(shown).flat_map(row));
    section.extend(more(hidden, found.at_least, ""));
    section
}

pub(super) fn impacts(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    let Some(found) = dialog.context.impacts.known().filter(|found| !found.items.is_empty()) else { return Vec::new() };
    let names = joined(found.items.iter().take(most).map(String::as_str));
    let hidden = count(found.items.len().saturating_sub(most)).saturating_add(found.more);
    let names =
        names.map(|names| Element::RichTextBlock(RichTextBlock::new(vec![TextRun::new(names)], Spacing::Small)));
    let rest = more(hidden, found.at_least, "");
    std::iter::once(heading("Impacted business services")).chain(names).chain(rest).collect()
}

pub(super) fn outlier(dialog: &DetailsDialog<'_>) -> Vec<Element> {
    let Some(line) = dialog.context.outlier.known().and_then(how_usual) else { return Vec::new() };
    let line = Element::RichTextBlock(RichTextBlock::new(vec![TextRun::new(line)], Spacing::Small));
    vec![heading("How usual this is"), line]
}

/// As in "Rare: incidents like this one seldom happen on this service. 10 were counted, 4.1 % of its incidents, from … to …".
fn how_usual(outlier: &Outlier) -> Option<Plain> {
    let head = outlier.category.as_ref().map(|category| match category {
        Category::Rare => Plain::from("Rare: incidents like this one seldom happen on this service."),
        Category::Frequent => Plain::from("Frequent: incidents like this one often happen on this service."),
        Category::Anomaly => Plain::from("Anomaly: no earlier incident of this service is like this one."),
        Category::Other(name) => Plain::from("PagerDuty calls it: ").foreign_or(name, NAME_LIMIT, "(no name)").own("."),
    });
    let counted = outlier.count.map(|count| {
        let line = Own::from("").count(count).own(if count == 1 { " was counted" } else { " were counted" });
        let line = match outlier.per_mille {
            Some(0) if count > 0 => line.own(", less than 0.1 % of its incidents"),
            Some(share) => line.own(", ").number(share / 10).own(".").number(share % 10).own(" % of its incidents"),
            None => line,
        };
        let line = match (outlier.since, outlier.until) {
            (Some(since), Some(until)) => line.own(", from ").day(since).own(" to ").day(until),
            (Some(since), None) => line.own(", since ").day(since),
            (None, _) => line,
        };
        Plain::from(line.own("."))
    });
    head.into_iter().chain(counted).reduce(|line, part| line.own(" ").append(&part))
}

pub(super) fn notes(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    section("Notes", &dialog.context.notes, most, |note: &Written| {
        let at = note.at.map(|at| Plain::from(dialog.clock(at)));
        let by = note.by.as_deref().map(|by| Plain::from("").foreign_or(by, NAME_LIMIT, "somebody"));
        let head = at.into_iter().chain(by).reduce(|line, part| line.own(" · ").append(&part));
        let head = head.map(|head| small(head, Spacing::Medium));
        head.into_iter().chain(lines(&note.content, NOTE_LIMIT, Spacing::None)).collect()
    })
}

pub(super) fn responders(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    section("Responders", &dialog.context.responders, most, |responder: &Responder| {
        let (state, color) = match &responder.reply {
            Reply::Pending => (Plain::from("not answered yet"), Some(Tone::Warning)),
            Reply::Accepted => (Plain::from("accepted"), Some(Tone::Good)),
            Reply::Declined => (Plain::from("declined"), Some(Tone::Attention)),
            Reply::Cancelled => (Plain::from("request cancelled"), None),
            Reply::Other(name) => (Plain::from("").foreign_or(name, NAME_LIMIT, "(unknown)"), None),
        };
        let name = Plain::from("").foreign_or(&responder.name, NAME_LIMIT, "somebody");
        let name = TextRun { weight: Some(Weight::Bolder), ..TextRun::new(name) };
        let state = TextRun { color, ..TextRun::new(Plain::from(" · ").append(&state)) };
        let first = Element::RichTextBlock(RichTextBlock::new(vec![name, state], Spacing::Small));
        let by = responder.asked_by.as_deref();
        let by = by.map(|by| Plain::from("asked by ").foreign_or(by, NAME_LIMIT, "somebody"));
        let words = responder.message.as_deref().map(|words| {
            let line = by.clone().map_or_else(|| Plain::from("asked: "), |by| by.own(": "));
            line.foreign_or(words, WORDS_LIMIT, "(no text)")
        });
        std::iter::once(first).chain(words.or(by).map(|line| small(line, Spacing::None))).collect()
    })
}

pub(super) fn activity(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    section("Activity", &dialog.context.activity, most, |entry: &Activity| {
        let size = Some(Size::Small);
        let when = entry.at.map(|at| TextRun { is_subtle: true, size, ..TextRun::new(dialog.clock(at).own(" · ")) });
        let what = TextRun { size, ..TextRun::new(happened(entry)) };
        vec![Element::RichTextBlock(RichTextBlock::new(when.into_iter().chain([what]).collect(), Spacing::Small))]
    })
}

/// As in "Escalated to Ada by Night shift".
fn happened(entry: &Activity) -> Plain {
    let head = match &entry.kind {
        ActivityKind::Triggered => Plain::from("Triggered"),
        ActivityKind::Acknowledged => Plain::from("Acknowledged"),
        ActivityKind::Unacknowledged => Plain::from("No longer acknowledged"),
        ActivityKind::Resolved => Plain::from("Resolved"),
        ActivityKind::Assigned => Plain::from("Assigned"),
        ActivityKind::Delegated => Plain::from("Given to another policy"),
        ActivityKind::Escalated => Plain::from("Escalated"),
        ActivityKind::Exhausted => Plain::from("Nobody on the escalation policy answered"),
        ActivityKind::Repeated => Plain::from("The escalation policy began anew"),
        ActivityKind::Noted => Plain::from("Note added"),
        ActivityKind::Notified => Plain::from("Notification sent"),
        ActivityKind::Snoozed => Plain::from("Snoozed"),
        ActivityKind::AckLimit => Plain::from("Too many acknowledgements to list"),
        ActivityKind::TriggerLimit => Plain::from("Too many alerts to list"),
        ActivityKind::UrgencyChanged => Plain::from("Urgency changed"),
        ActivityKind::FieldChanged => Plain::from("A field was changed"),
        ActivityKind::Other(name) => Plain::from("").foreign_or(name, NAME_LIMIT, "(unknown)"),
    };
    let line = if entry.to.is_empty() { head } else { head.own(" to ").append(&listed(&entry.to)) };
    match &entry.by {
        Some(by) => line.own(" by ").foreign_or(by, NAME_LIMIT, "somebody"),
        None => line,
    }
}

pub(super) fn changes(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    section("Recent changes", &dialog.context.changes, most, |change: &Change| {
        let link = change.url.as_deref().and_then(Link::foreign);
        let (url, host) = link.unzip();
        let at = change.at.map(|at| Plain::from(dialog.clock(at)));
        let source = change.source.as_deref().map(|name| Plain::from("").foreign_or(name, NAME_LIMIT, "(no name)"));
        let why = change.why.as_ref().map(|why| match why {
            Reason::MostRecent => Plain::from("the latest one"),
            Reason::RelatedService => Plain::from("of a related service"),
            Reason::Intelligent => Plain::from("found by PagerDuty"),
            Reason::Other(name) => Plain::from("").foreign_or(name, NAME_LIMIT, "(unknown)"),
        });
        // Whoever reports a change may name any page, so one sees where a tap leads.
        let host =
            host.map(|host| Plain::from("opens ").foreign_or(&host_within(&host, HOST_LIMIT), HOST_LIMIT, "a page"));
        let about = at.into_iter().chain(source).chain(why).chain(host);
        let opens = url.map(|url| Opens { title: Own::from("Open this change"), url });
        row(Plain::from("").foreign_or(&change.summary, TITLE_LIMIT, "(no text)"), opens, None, about)
    })
}

pub(super) fn past(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    section("Past incidents", &dialog.context.past, most, |one| neighbour(dialog, one))
}

pub(super) fn related(dialog: &DetailsDialog<'_>, most: usize) -> Vec<Element> {
    section("Related incidents", &dialog.context.related, most, |one| neighbour(dialog, one))
}

fn neighbour(dialog: &DetailsDialog<'_>, one: &Neighbour) -> Vec<Element> {
    let named = one.html_url.as_deref().and_then(Link::pagerduty);
    let known = dialog.record.state().map_or("", |state| state.html_url.as_str());
    let url = named.or_else(|| Link::pagerduty(known).and_then(|_| Link::sibling(known, &one.id)));
    let opens = url.map(|url| Opens { title: Own::from("Open this incident in PagerDuty"), url });
    let number = one.number.map_or_else(|| Plain::from(""), |number| Plain::from("#").number(number).own(" "));
    let title = number.foreign_or(&one.title, TITLE_LIMIT, "(no title)");
    let status = one.status.map(|status| (word(status).0, tone(status)));
    let service = one.service.as_deref().map(|name| Plain::from("").foreign_or(name, NAME_LIMIT, "(no name)"));
    let at = one.created_at.map(|at| Plain::from(dialog.clock(at)));
    let why = one.why.iter().take(2).map(|why| match why {
        Relation::Alike => Plain::from("looks alike"),
        Relation::Dependency => Plain::from("services depend on each other"),
        Relation::Other(name) => Plain::from("").foreign_or(name, NAME_LIMIT, "(unknown)"),
    });
    row(title, opens, status, service.into_iter().chain(at).chain(why))
}

/// A title that a tap opens, and below it what else is known.
fn row(
    title: Plain,
    opens: Option<Opens>,
    status: Option<(&'static str, Tone)>,
    about: impl Iterator<Item = Plain>,
) -> Vec<Element> {
    let color = opens.is_some().then_some(Tone::Accent);
    let title = TextRun { color, weight: Some(Weight::Bolder), ..TextRun::new(title) };
    let mut items = vec![Element::RichTextBlock(RichTextBlock { inlines: vec![title], spacing: None })];
    let size = Some(Size::Small);
    let mut runs: Vec<TextRun> = Vec::new();
    runs.extend(status.map(|(word, tone)| TextRun { color: Some(tone), size, ..TextRun::new(word) }));
    let gap = if runs.is_empty() { "" } else { " · " };
    let about = about.reduce(|line, part| line.own(" · ").append(&part));
    runs.extend(about.map(|about| {
        let line = Plain::from(gap).append(&about);
        TextRun { is_subtle: true, size, ..TextRun::new(line) }
    }));
    if !runs.is_empty() {
        items.push(Element::RichTextBlock(RichTextBlock::new(runs, Spacing::None)));
    }
    let row = Container { spacing: Some(Spacing::Small), select_action: opens, ..Container::new(items) };
    vec![Element::Container(row)]
}
