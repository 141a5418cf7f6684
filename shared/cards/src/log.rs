//! What happened to an incident, in words: one line per log entry, the same on the card and in its thread.

use domain::incident::{Actor, Happening, LogEntry};

use crate::untrusted::{Plain, utf16_len};

/// Longest name of a person, service, policy or the like, in UTF-16 units.
pub(crate) const NAME_LIMIT: usize = 60;

/// How many names a list shows.
const LISTED: usize = 4;

/// One line, as in "Acknowledged by Ada". Free text in it takes at most `text_limit` UTF-16 units.
pub(crate) fn phrase(entry: &LogEntry, text_limit: usize) -> Plain {
    let by = entry.by.as_ref();
    let head = Plain::from(entry.what.event_type().row().words);
    let name = |text: &str| Plain::from("").foreign_or(text, NAME_LIMIT, "(no name)");
    let free = |line: Plain, text: &str| line.own(": ").foreign_or(text, text_limit, "(no text)");
    let somebody = |who: Option<&str>| who.map_or_else(|| Plain::from("Somebody"), name);
    match &entry.what {
        Happening::Triggered
        | Happening::Acknowledged
        | Happening::Unacknowledged
        | Happening::Reopened
        | Happening::Resolved { merged_into: None } => add_by(head, by),
        Happening::Resolved { merged_into: Some(into) } => {
            add_by(head, by).own(", merged into ").append(&reference(into))
        }
        Happening::Escalated { to } | Happening::Reassigned { to } => given(head, to, by),
        Happening::Delegated { to } => given(head, to.as_slice(), by),
        Happening::PriorityChanged { to: Some(to) } | Happening::TypeChanged { to: Some(to) } => {
            add_by(head.own(" to ").append(&name(to)), by)
        }
        Happening::PriorityChanged { to: None } => add_by(Plain::from("Priority removed"), by),
        Happening::TypeChanged { to: None } => add_by(Plain::from("Incident type removed"), by),
        Happening::ServiceChanged { to } => add_by(head.own(" ").append(&name(to)), by),
        Happening::Note { content: text } | Happening::StatusUpdate { message: text } => free(add_by(head, by), text),
        Happening::ResponderAdded { who } => add_by(somebody(who.as_deref()).own(" was asked to help"), by),
        Happening::ResponderReplied { who, reply } => {
            somebody(who.as_deref()).own(" answered the request to help: ").append(&name(reply))
        }
        Happening::ConferenceBridge { url: Some(url) } => free(add_by(head.own(" set"), by), url),
        Happening::ConferenceBridge { url: None } => add_by(head.own(" removed"), by),
        Happening::CustomFields { names } | Happening::Roles { assignments: names } => {
            add_by(head, by).own(": ").append(&listed(names))
        }
        Happening::Task { summary, change } => free(head.own(" ").append(&name(change)), summary),
        Happening::ActionInvocation { action: name, change } | Happening::Workflow { name, change } => {
            named(head, name.as_deref(), change)
        }
    }
}

/// As in " by Ada"; nothing if it is not known who did it.
pub(crate) fn add_by(line: Plain, by: Option<&Actor>) -> Plain {
    match by {
        Some(actor) => line.own(" by ").append(&person(actor)),
        None => line,
    }
}

/// The person's name.
pub(crate) fn person(actor: &Actor) -> Plain {
    Plain::from("").foreign_or(&actor.name, NAME_LIMIT, "somebody")
}

fn given(line: Plain, to: &[String], by: Option<&Actor>) -> Plain {
    add_by(if to.is_empty() { line } else { line.own(" to ").append(&listed(to)) }, by)
}

fn named(line: Plain, name: Option<&str>, change: &str) -> Plain {
    let line = match name {
        Some(name) => line.own(" ").foreign_or(name, NAME_LIMIT, "(no name)"),
        None => line,
    };
    line.own(": ").foreign_or(change, NAME_LIMIT, "changed")
}

/// The names, or the first few of them and how many more there are.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> Plain {
    let shown = names.iter().take(LISTED).enumerate();
    let list = shown.fold(Plain::from(""), |list, (index, name)| {
        let list = if index == 0 { list } else { list.own(", ") };
        list.foreign_or(name.as_ref(), NAME_LIMIT, "(no name)")
    });
    match names.len().saturating_sub(LISTED) {
        0 => list,
        more => list.own(" and ").number(u64::try_from(more).unwrap_or(u64::MAX)).own(" more"),
    }
}

/// Another incident: PagerDuty names it by its number, its id or its title.
pub(crate) fn reference(incident: &str) -> Plain {
    let number = !incident.is_empty() && incident.bytes().all(|byte| byte.is_ascii_digit());
    Plain::from(if number { "#" } else { "" }).foreign_or(incident, NAME_LIMIT, "another incident")
}

/// The newest entries first, as many as `most` UTF-16 units hold.
pub(crate) fn newest_that_fit(lines: impl DoubleEndedIterator<Item = String>, most: usize) -> Vec<String> {
    let mut left = most;
    let fits = lines.rev().take_while(|line| match left.checked_sub(utf16_len(line) + 1) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    fits.collect()
}
