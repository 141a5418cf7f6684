//! What happened to an incident, in words: one line per log entry, the same on the card and in its thread.

use domain::incident::{Actor, Happening, LogEntry};

use crate::untrusted::{Plain, utf16_len};

/// Longest name of a person, service, policy or the like, in UTF-16 units.
pub(crate) const NAME_LIMIT: usize = 60;

/// What PagerDuty itself puts before a note that somebody resolved an incident with. It is documented nowhere, so a note
/// without it is a note like any other.
const RESOLUTION: &str = "Resolution Note:";

/// How many names a list shows.
pub(crate) const LISTED: usize = 4;

/// One line, as in "Acknowledged by Ada". Free text in it takes at most `text_limit` UTF-16 units.
pub(crate) fn phrase(entry: &LogEntry, text_limit: usize) -> Plain {
    put(entry, |line, text| line.foreign_or(text, text_limit, "(no text)"))
}

/// The same with the line breaks of what somebody wrote.
pub(crate) fn phrase_in_lines(entry: &LogEntry, text_limit: usize) -> Plain {
    put(entry, |line, text| line.foreign_lines_or(text, text_limit, "(no text)"))
}

fn put(entry: &LogEntry, write: impl Fn(Plain, &str) -> Plain) -> Plain {
    let by = entry.by.as_ref();
    let head = Plain::from(entry.what.event_type().row().words);
    let name = |text: &str| Plain::from("").foreign_or(text, NAME_LIMIT, "(no name)");
    let free = |line: Plain, text: &str| write(line.own(": "), text);
    let said = |line: Plain, words: Option<&str>| match words {
        Some(words) => free(line, words),
        None => line,
    };
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
        Happening::ServiceChanged { to } if to.is_empty() => add_by(Plain::from("Moved to another service"), by),
        Happening::ServiceChanged { to } => add_by(head.own(" ").append(&name(to)), by),
        Happening::Note { content } => match of_resolution(content) {
            Some(rest) => free(add_by(Plain::from("Resolution note"), by), rest),
            None => free(add_by(head, by), content),
        },
        Happening::StatusUpdate { message } => free(add_by(head, by), message),
        Happening::ResponderAdded { who, message } => {
            said(add_by(somebody(who.as_deref()).own(" was asked to help"), by), message.as_deref())
        }
        Happening::ResponderReplied { who, reply, message } => {
            let who = somebody(who.as_deref());
            // REST's words and those of webhooks differ.
            let line = match reply.as_str() {
                "accepted" | "joined" => who.own(" accepted the request to help"),
                "declined" => who.own(" declined the request to help"),
                "replied" => who.own(" answered the request to help"),
                other => who.own(" answered the request to help (").append(&name(other)).own(")"),
            };
            said(line, message.as_deref())
        }
        Happening::ConferenceBridge { url: Some(url), numbers } => {
            let line = free(add_by(head.own(" set"), by), url);
            // Dial strings have commas of their own.
            numbers.iter().fold(line, |line, number| line.own(" or ").append(&name(number)))
        }
        Happening::ConferenceBridge { url: None, .. } => add_by(head.own(" removed"), by),
        Happening::CustomFields { names } | Happening::Roles { assignments: names } => {
            add_by(head, by).own(": ").append(&listed(names))
        }
        Happening::Task { summary, change } => free(head.own(" ").append(&name(change)), summary),
        Happening::ActionInvocation { action, change } => named(head, action.as_deref(), change),
        Happening::Workflow { name: workflow, change } => {
            let line = workflow.as_deref().map_or(head.clone(), |workflow| head.own(" ").append(&name(workflow)));
            let line = line.own(" ").foreign_or(change, NAME_LIMIT, "changed");
            // Who ended it did not necessarily start it.
            if change == "started" { add_by(line, by) } else { line }
        }
    }
}

/// What somebody wrote when they resolved the incident; `None` if the note is another one.
pub(crate) fn of_resolution(note: &str) -> Option<&str> {
    let (start, rest) = note.split_at_checked(RESOLUTION.len())?;
    start.eq_ignore_ascii_case(RESOLUTION).then(|| rest.trim_start())
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
