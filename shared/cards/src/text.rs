//! Every sentence that is not on a card: replies in an incident's thread, and the short answers to a click.
//!
//! All of them are plain text. They hold foreign names and notes, so they are to be sent with `textFormat` "plain" or as
//! the text of an invoke's answer, never as Markdown.

use domain::connection::{Connection, Filter, Health, Mentions};
use domain::deed::{DeedKind, MAX_NOTE_CHARS, Refusal};
use domain::failure::Class;
use domain::incident::{Actor, LogEntry};
use domain::zone::Zone;
use jiff::Timestamp;

use crate::log::{add_by, newest_that_fit, person, phrase_in_lines};
use crate::trigger::MAX_TITLE_CHARS;
use crate::untrusted::{Own, Plain};

/// Longest part of a note that a reply repeats, in UTF-16 units.
const NOTE_LIMIT: usize = 1000;

/// Longest reply, in UTF-16 units: as much as a card may have.
const REPLY_LIMIT: usize = crate::MAX_CARD_BYTES / 2;

/// Longest part of PagerDuty's own message that is repeated, in UTF-16 units.
const MESSAGE_LIMIT: usize = 300;

/// Tells an incident's thread what happened, one line per entry in the order given (oldest first). If there is more than
/// fits into one message, the oldest lines give way to a line that says so.
#[must_use]
pub fn thread_reply(entries: &[LogEntry]) -> String {
    let lines = entries.iter().map(|entry| phrase_in_lines(entry, NOTE_LIMIT).into_message());
    let mut lines = newest_that_fit(lines, REPLY_LIMIT - 100);
    if lines.len() < entries.len() {
        let left_out = u64::try_from(entries.len() - lines.len()).unwrap_or(u64::MAX);
        lines.push(Plain::from("… and ").number(left_out).own(" earlier changes").into_message());
    }
    lines.reverse();
    lines.join("\n")
}

/// Why a click was not carried out.
#[must_use]
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::AlreadyResolved { by, at } => {
            let who = by.as_ref().map_or_else(
                || Plain::from("this incident was resolved"),
                |by| person(by).own(" resolved this incident"),
            );
            add_at(Plain::from("Not acknowledged: ").append(&who), *at).own(". Acknowledging it would open it again.")
        }
        Refusal::EmptyNote => Plain::from("The note is empty, so nothing was added."),
        Refusal::NoteTooLong { chars } => Plain::from("The note was not added: it has ")
            .number(u64::try_from(*chars).unwrap_or(u64::MAX))
            .own(" characters, and at most ")
            .number(MAX_NOTE_CHARS as u64)
            .own(" are possible."),
    }
    .into_message()
}

/// PagerDuty has not said whether it has done it.
#[must_use]
pub fn unclear(kind: DeedKind) -> &'static str {
    match kind {
        DeedKind::Acknowledge | DeedKind::Resolve => SLOW_PAGERDUTY,
        DeedKind::AddNote => NOTE_UNCLEAR,
    }
}

/// The title of a deed's dialog.
#[must_use]
pub fn deed_title(kind: DeedKind) -> &'static str {
    crate::incident_dialogs::title_of(kind)
}

/// It is done; `number`: of the incident, where that is known.
#[must_use]
pub fn done(kind: DeedKind, number: Option<u64>) -> String {
    let what = match kind {
        DeedKind::Acknowledge => "Acknowledged",
        DeedKind::Resolve => "Resolved",
        DeedKind::AddNote => "The note was added",
    };
    let line = Plain::from(what);
    let line = match (number, kind) {
        (None | Some(0), _) => line,
        (Some(number), DeedKind::AddNote) => line.own(" to #").number(number),
        (Some(number), DeedKind::Acknowledge | DeedKind::Resolve) => line.own(" #").number(number),
    };
    line.own(".").into_message()
}

/// An acknowledgement has opened an incident again.
#[must_use]
pub fn reopened(by: Option<&Actor>, at: Timestamp) -> String {
    by.map_or_else(|| Plain::from("Somebody"), person)
        .own(" resolved this on ")
        .time(at)
        .own(", just before your click; your acknowledgement has reopened it. Resolve it again if that was not meant.")
        .into_message()
}

/// An equal deed of the same person is being done at this moment.
#[must_use]
pub fn being_done(kind: DeedKind) -> &'static str {
    match kind {
        DeedKind::Acknowledge | DeedKind::Resolve => IN_PROGRESS,
        DeedKind::AddNote => NOTE_IN_PROGRESS,
    }
}

/// The deed was done already; `by` and `at` say who did it and when, as far as that is known.
#[must_use]
pub fn already_done(kind: DeedKind, by: Option<&Actor>, at: Option<Timestamp>) -> String {
    let what = match kind {
        DeedKind::Acknowledge => "Already acknowledged",
        DeedKind::Resolve => "Already resolved",
        DeedKind::AddNote => "The note has been added",
    };
    add_at(add_by(Plain::from(what), by), at).own(".").into_message()
}

/// PagerDuty did not do it; `message` is its own explanation. `gone`: what is said of something that PagerDuty does not know
/// (any more), if its own words are not good enough.
#[must_use]
pub fn not_done(class: Class, message: &str, gone: Option<&str>) -> String {
    match (class, gone) {
        (Class::Unclear | Class::Retry { .. }, _) => BUSY_PAGERDUTY.to_owned(),
        (Class::Forbidden, _) => FORBIDDEN.to_owned(),
        (Class::Gone, Some(gone)) => gone.to_owned(),
        (Class::Relink, _) => LOG_IN_REFUSED.to_owned(),
        (Class::Gone | Class::Invalid | Class::Bug, _) => pagerduty_refused(message),
    }
}

fn add_at(line: Plain, at: Option<Timestamp>) -> Plain {
    match at {
        Some(at) => line.own(" on ").time(at),
        None => line,
    }
}

/// The title of a wanted incident is longer than PagerDuty takes.
#[must_use]
pub fn title_too_long(chars: usize) -> String {
    Plain::from("The title has ")
        .number(u64::try_from(chars).unwrap_or(u64::MAX))
        .own(" characters, and PagerDuty takes at most ")
        .number(MAX_TITLE_CHARS as u64)
        .own(". Please write a shorter one; the form has room for details.")
        .into_message()
}

/// PagerDuty said no; `message` is its own explanation.
#[must_use]
pub fn pagerduty_refused(message: &str) -> String {
    Plain::from("PagerDuty did not accept this: ")
        .foreign_or(message, MESSAGE_LIMIT, "it gave no reason")
        .into_message()
}

/// PagerDuty has not answered in time; it may or may not have done it.
pub const SLOW_PAGERDUTY: &str = "PagerDuty is slow to answer. The card will update by itself as soon as PagerDuty has done it; there is no need to click again.";

/// PagerDuty asked us to come back later; nothing was done.
pub const BUSY_PAGERDUTY: &str = "PagerDuty is busy and did not take this. Please try again in a minute.";

/// PagerDuty does not let this person do it.
pub const FORBIDDEN: &str = "PagerDuty does not allow you to do this. Your role there may be too small, or your team may not have this service.";

/// PagerDuty does not know the incident (any more).
pub const INCIDENT_GONE: &str = "PagerDuty does not know this incident any more, or does not show it to you.";

/// The clicking person is not linked, and a personal link is on its way.
pub const LINK_SENT: &str =
    "Your PagerDuty account is not linked yet. I have sent you a private message with a personal link.";

/// The clicking person is not linked, and no private message can be sent to them.
pub const LINK_NOT_SENT: &str = "Your PagerDuty account is not linked yet, and I could not send you a private message. \
     Open a private chat with me, add the app there if Teams asks for it, and write linkUser.";

/// The person is not linked (any more).
pub const NOT_LINKED: &str =
    "Your PagerDuty account is not linked yet. Open a private chat with me and write linkUser.";

/// The person's log-in was lost, and a personal link is on its way.
pub const RELINK_SENT: &str = "PagerDuty's answer to an earlier click was lost, and with it the log-in that I had for you. \
     I have sent you a private message with a personal link: linking again takes one click.";

/// The person's log-in was lost, and no private message can be sent to them.
pub const RELINK_NOT_SENT: &str = "PagerDuty's answer to an earlier click was lost, and with it the log-in that I had for you. \
     I could not send you a private message. Open a private chat with me, add the app there if Teams asks for it, and write linkUser.";

/// The person's log-in was lost.
pub const LOG_IN_LOST: &str = "PagerDuty's answer to an earlier click was lost, and with it the log-in that I had for you. \
     Please link your accounts again: write linkUser in a private chat with me.";

/// PagerDuty does not accept the person's token, although it has just renewed it; nothing was done.
pub const LOG_IN_REFUSED: &str = "PagerDuty does not accept your log-in right now, so nothing was done. Please try again in a few minutes. \
     If it lasts, write unlinkUser and then linkUser in a private chat with me.";

/// A click that only asks for the newest card, where there is no way to show it to one person.
pub const CARD_IS_NEWEST: &str = "The card in the channel shows the newest state.";

/// The clicked card is a second one of its incident.
pub const CARD_IS_DOUBLE: &str = "The incident has another card in this channel, which is kept up to date.";

/// What was wanted is the form for a new incident.
pub const WRITE_TRIGGER: &str = "Write trigger to create an incident.";

/// The first one of two equal clicks is still being worked on.
pub const IN_PROGRESS: &str = "This is being done already. The card will update by itself.";

/// Teams has sent the same once more.
pub const DONE_BEFORE: &str = "This was done already.";

/// An equal note is being written at this moment.
pub const NOTE_IN_PROGRESS: &str = "This note is being added right now.";

/// PagerDuty has not said whether it has written the note.
pub const NOTE_UNCLEAR: &str = "PagerDuty did not say whether it added this note. Please look at the incident before you add it again; \
     the same note is not sent twice within half a minute.";

/// Something of ours failed before anything was done.
pub const TRY_AGAIN: &str = "This did not work, and it is not your fault. Please try again in a minute.";

/// The button is not one of ours, or of a version that is no longer understood.
pub const UNKNOWN_BUTTON: &str =
    "I do not know this button. Use the newest card of the incident, or open the incident in PagerDuty.";

/// The card of the button is not one that we posted in this conversation.
pub const UNKNOWN_CARD: &str = "I do not know this card here. Use the card in the channel where the incident was posted, or open the incident in PagerDuty.";

/// The card's team is not connected to the card's PagerDuty account any more.
pub const CARD_LEFT: &str = "This team is no longer connected to the PagerDuty account of this card, so the card is not updated and cannot be used. \
     Please open the incident in PagerDuty.";

/// The storm of the button is none that this channel has.
pub const UNKNOWN_STORM: &str = "I do not know this incident storm here. Use the card in the channel where it was posted, or open the incidents in PagerDuty.";

/// The storm's team is not connected to the storm's PagerDuty account any more.
pub const STORM_LEFT: &str = "This team is no longer connected to the PagerDuty account of this card, so the card is not updated and cannot be used. \
     Please open the incidents in PagerDuty.";

/// The rows of a storm could not be read in time.
pub const STORM_SLOW: &str = "The list of these incidents is slow right now. Please try again in a minute.";

/// Above a page of a storm's list that is not full: there was no time for more.
pub const STORM_CUT_OFF: &str =
    "There was no time to look through all incidents. Next page goes on where this one ends.";

/// No incident was chosen.
pub const STORM_NOT_PICKED: &str = "Please choose an incident under Show one as its own card.";

/// The chosen incident has its own card already.
pub const STORM_HAS_CARD: &str = "This incident has its own card already.";

/// The chosen incident is over.
pub const STORM_OVER: &str = "This incident is resolved by now, so it gets no card of its own.";

/// The chosen incident is no row of the storm.
pub const STORM_GONE: &str = "This incident is not in this list any more.";

/// The chosen incident will have its own card.
#[must_use]
pub fn own_card(number: u64) -> String {
    let name = if number == 0 { Plain::from("The incident ") } else { Plain::from("").incident(number) };
    name.own("gets its own card in the channel in a moment.").into_message()
}

/// These incidents are being acknowledged already.
pub const MANY_IN_PROGRESS: &str = "These incidents are being acknowledged already. The card will update by itself.";

/// One of many does not wait for the person any more.
pub const NOT_MINE: &str = "it is resolved, or not assigned to you any more";

/// PagerDuty does not accept the person's token (any more) for one of many.
pub const MANY_REFUSED: &str = "PagerDuty does not accept your log-in right now";

/// PagerDuty has not said of one of many whether it did it.
pub const MANY_UNCLEAR: &str = "PagerDuty did not say whether it did this. The card will show it by itself";

/// Teams does not say who clicked, as with guests of another organisation.
pub const UNKNOWN_PERSON: &str = "Teams does not tell me who you are, so I cannot do this in your name.";

/// How to use `incidents`.
pub const INCIDENTS_USAGE: &str =
    "Write incidents for the open incidents of this channel's services, or incidents mine for those assigned to you.";

/// No service is connected to this channel.
pub const NOTHING_CONNECTED: &str = "No PagerDuty service is connected to this channel.";

/// PagerDuty has no such service.
pub const NO_SUCH_SERVICE: &str = "PagerDuty has no service of this name that you can see.";

/// Whether a connection works, in a few words.
#[must_use]
pub fn connection_state(connection: &Connection) -> String {
    let which = match connection.filter {
        Filter::All => "all incidents",
        Filter::HighUrgency => "high urgency only",
    };
    let state = match &connection.health {
        Health::Healthy => Plain::from("healthy"),
        Health::Broken { reason, since } => {
            Plain::from("not reachable since ").time(*since).own(" (").foreign_or(reason, 60, "unknown").own(")")
        }
        Health::ServiceGone { since } => Plain::from("service deleted in PagerDuty on ").time(*since),
    };
    let state = state.own(", ").own(which);
    let is_usual = connection.zone == Zone::UTC && connection.mentions == Mentions::Nobody;
    if is_usual { state } else { state.own(", cards ").append(&manner(connection)) }.into_literal()
}

/// How a connection's cards tell, as in "mention assignees and write times in Europe/Berlin".
pub(crate) fn manner(connection: &Connection) -> Plain {
    let whom = match connection.mentions {
        Mentions::Nobody => "mention nobody",
        Mentions::Assignees => "mention assignees",
    };
    Plain::from(whom).own(" and write times in ").foreign_or(connection.zone.name(), 64, "UTC")
}

/// The bot may not write to the person.
pub const NO_PRIVATE_MESSAGE: &str = "I could not send you a private message. Open a private chat with me, add the app there if Teams asks for it, and write the command there.";

/// The team is connected to no account.
pub const TEAM_NOT_CONNECTED: &str = "This team is not connected to PagerDuty yet.";

/// The incident of a form was made before.
pub const INCIDENT_MADE: &str = "The incident was created already. Its card appears in the connected channels.";

/// PagerDuty may or may not have created the incident.
pub const INCIDENT_UNCLEAR: &str =
    "PagerDuty is slow to answer. Press the button again: the incident will not be created twice.";

/// What the person wanted to do is too long ago, or was done.
pub const WANTED_GONE: &str = "This can no longer be done from here: it is too long ago, or was done already. Please use the card in the channel.";

/// A command was carried out again where it had been written.
pub const COMMAND_DONE: &str = "Done. The answer is where you wrote the command.";

/// The key for an admin is on its way.
pub const KEY_SENT: &str = "I have sent you a message with a key that you can forward to a PagerDuty Admin.";

/// The team is connected already, or the bot is not in it any more.
pub const NOTHING_TO_AUTHORIZE: &str = "This team does not wait for authorization any more.";

/// A request of Teams for which there is no answer.
pub const NOT_SUPPORTED: &str = "I cannot do this here.";

/// Which parts of an incident's details are not there.
pub(crate) fn late_parts(parts: &[&'static str]) -> Own {
    let last = parts.len().saturating_sub(1);
    let line = Own::from("PagerDuty has not told me in time: ");
    let line = parts.iter().enumerate().fold(line, |line, (index, part)| {
        let gap = if index == 0 {
            ""
        } else if index == last {
            " and "
        } else {
            ", "
        };
        line.own(gap).own(part)
    });
    line.own(". The rest is here.")
}

/// Nothing around the incident is there.
pub(crate) fn nothing_in_time() -> Own {
    Own::from("PagerDuty did not answer in time, so this is only what the card knows.")
}

/// There is nothing around the incident.
pub(crate) fn nothing_more() -> Own {
    Own::from("PagerDuty has nothing more to show of this incident.")
}

/// What a card says when its incident cannot be shown.
pub(crate) fn no_details() -> Own {
    Own::from("PagerDuty has not told me the details yet. This card will update by itself.")
}

pub(crate) fn no_longer_updated(since: Timestamp) -> Own {
    Own::from("No longer updated since ")
        .time(since)
        .own(": its service is not connected here any more. Open the incident in PagerDuty.")
}

pub(crate) fn shortened_storm() -> Own {
    Own::from("Teams did not accept the whole card. The incidents are in PagerDuty.")
}

pub(crate) fn shortened_card() -> Own {
    Own::from("Teams did not accept the whole card. Details and actions are in PagerDuty.")
}

#[cfg(test)]
mod tests {
    use domain::ids::EventId;
    use domain::incident::Happening;

    use super::*;
    use crate::untrusted::utf16_len;

    fn actor(name: &str) -> Actor {
        Actor { user: None, name: name.to_owned() }
    }

    fn entry(second: u8, by: Option<&str>, what: Happening) -> LogEntry {
        let at = format!("2026-11-23T09:36:{second:02}Z").parse().unwrap();
        LogEntry { at, id: EventId::new(format!("E{second}")).unwrap(), by: by.map(actor), what }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn all(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn every_happening_has_its_words() {
        let note = |content: &str| Happening::Note { content: content.to_owned() };
        let word = |text: &str| text.to_owned();
        let asked = |who, message| Happening::ResponderAdded { who, message };
        let replied =
            |reply: &str, message| Happening::ResponderReplied { who: some("Eve"), reply: word(reply), message };
        let bridge = |url, numbers: &[&str]| Happening::ConferenceBridge { url, numbers: all(numbers) };
        let workflow = |name, change: &str| Happening::Workflow { name, change: word(change) };
        let table = [
            (Some("Ada"), Happening::Triggered, "Triggered by Ada"),
            (None, Happening::Triggered, "Triggered"),
            (Some("Alice"), Happening::Acknowledged, "Acknowledged by Alice"),
            (None, Happening::Unacknowledged, "Acknowledgement ended"),
            (Some("Bob"), Happening::Reopened, "Reopened by Bob"),
            (Some("Bob"), Happening::Resolved { merged_into: None }, "Resolved by Bob"),
            (Some("Bob"), Happening::Resolved { merged_into: some("1235") }, "Resolved by Bob, merged into #1235"),
            (None, Happening::Resolved { merged_into: some("Q7X") }, "Resolved, merged into Q7X"),
            (None, Happening::Escalated { to: all(&["Carol", "Dan"]) }, "Escalated to Carol, Dan"),
            (None, Happening::Escalated { to: vec![] }, "Escalated"),
            (Some("Bob"), Happening::Delegated { to: some("Night") }, "Delegated to Night by Bob"),
            (Some("Bob"), Happening::Delegated { to: None }, "Delegated by Bob"),
            (
                Some("Bob"),
                Happening::Reassigned { to: all(&["a", "b", "c", "d", "e", "f"]) },
                "Reassigned to a, b, c, d and 2 more by Bob",
            ),
            (Some("Bob"), Happening::PriorityChanged { to: some("P1") }, "Priority changed to P1 by Bob"),
            (None, Happening::PriorityChanged { to: None }, "Priority removed"),
            (Some("A"), Happening::ServiceChanged { to: word("Payments") }, "Moved to service Payments by A"),
            (None, Happening::ServiceChanged { to: word("") }, "Moved to another service"),
            (None, Happening::TypeChanged { to: some("Security") }, "Incident type changed to Security"),
            (None, Happening::TypeChanged { to: None }, "Incident type removed"),
            (Some("Alice"), note("on\n\n\n it"), "Note by Alice: on\n\nit"),
            (Some("Alice"), note(" "), "Note by Alice: (no text)"),
            (Some("Alice"), note("[x](https://evil) <at>all</at>"), "Note by Alice: [x] (https://evil) < at>all< /at>"),
            (Some("A"), Happening::StatusUpdate { message: word("Better") }, "Status update by A: Better"),
            (Some("Alice"), note("Resolution Note: fixed the disk"), "Resolution note by Alice: fixed the disk"),
            (None, note("RESOLUTION NOTE:  "), "Resolution note: (no text)"),
            (Some("Alice"), note("Resolution Notes: none"), "Note by Alice: Resolution Notes: none"),
            (None, note("Résolution"), "Note: Résolution"),
            (Some("A"), asked(some("Eve"), None), "Eve was asked to help by A"),
            (Some("A"), asked(some("Eve"), some("Please\ncome")), "Eve was asked to help by A: Please\ncome"),
            (None, asked(None, some("\u{200B}")), "Somebody was asked to help: (no text)"),
            (None, replied("accepted", None), "Eve accepted the request to help"),
            (None, replied("joined", some("On my way")), "Eve accepted the request to help: On my way"),
            (None, replied("declined", some("At the dentist")), "Eve declined the request to help: At the dentist"),
            (None, replied("replied", None), "Eve answered the request to help"),
            (None, replied("user_cancelled", None), "Eve answered the request to help (user_cancelled)"),
            (None, bridge(some("https://m/1"), &[]), "Conference bridge set: https://m/1"),
            (
                Some("A"),
                bridge(some("https://m/1"), &["+1 555,,98#", "Berlin +49 30"]),
                "Conference bridge set by A: https://m/1 or +1 555,,98# or Berlin +49 30",
            ),
            (Some("A"), bridge(None, &[]), "Conference bridge removed by A"),
            (None, Happening::CustomFields { names: all(&["region"]) }, "Custom fields changed: region"),
            (None, Happening::Roles { assignments: all(&["Lead: Eve"]) }, "Incident roles changed: Lead: Eve"),
            (None, Happening::Task { summary: word("Call"), change: word("completed") }, "Task completed: Call"),
            (
                None,
                Happening::ActionInvocation { action: some("Restart"), change: word("created") },
                "Automation action Restart: created",
            ),
            (None, workflow(None, "started"), "Workflow started"),
            (Some("A"), workflow(some("Page all"), "started"), "Workflow Page all started by A"),
            (Some("A"), workflow(some("Page all"), "completed"), "Workflow Page all completed"),
            (None, workflow(some("Page all"), ""), "Workflow Page all changed"),
            (Some("\u{200B}"), Happening::Acknowledged, "Acknowledged by somebody"),
        ];
        for (by, what, words) in table {
            assert_eq!(thread_reply(&[entry(0, by, what)]), words);
        }
    }

    #[test]
    fn one_reply_tells_several_things_oldest_first() {
        let entries = [
            entry(1, Some("Alice"), Happening::Acknowledged),
            entry(2, None, Happening::PriorityChanged { to: some("P1") }),
        ];
        assert_eq!(thread_reply(&entries), "Acknowledged by Alice\nPriority changed to P1");
        assert_eq!(thread_reply(&[]), "");
    }

    #[test]
    fn a_reply_that_grows_too_long_drops_its_oldest_lines_and_says_so() {
        let entries: Vec<_> = (0..30)
            .map(|s| entry(s, Some("A"), Happening::Note { content: format!("{s} {}", "🚒".repeat(9000)) }))
            .collect();
        let reply = thread_reply(&entries);
        assert!(utf16_len(&reply) <= REPLY_LIMIT, "{}", utf16_len(&reply));
        let lines: Vec<&str> = reply.lines().collect();
        assert_eq!(lines.first(), Some(&"… and 16 earlier changes"));
        assert_eq!(lines.len(), 15);
        assert!(lines[14].starts_with("Note by A: 29 🚒") && lines[14].ends_with("🚒…"), "{}", lines[14]);
    }

    #[test]
    fn answers_name_who_did_it_and_when() {
        let at: Timestamp = "2026-11-23T09:36:42Z".parse().unwrap();
        let resolved = |by: Option<&str>, at| refusal(&Refusal::AlreadyResolved { by: by.map(actor), at });
        let table = [
            (
                resolved(Some("Bob"), Some(at)),
                "Not acknowledged: Bob resolved this incident on 23 Nov 2026, 09:36 UTC. Acknowledging it would open it again.",
            ),
            (
                resolved(None, None),
                "Not acknowledged: this incident was resolved. Acknowledging it would open it again.",
            ),
            (
                reopened(Some(&actor("Ben")), at),
                "Ben resolved this on 23 Nov 2026, 09:36 UTC, just before your click; your acknowledgement has reopened it. Resolve it again if that was not meant.",
            ),
            (
                reopened(None, at),
                "Somebody resolved this on 23 Nov 2026, 09:36 UTC, just before your click; your acknowledgement has reopened it. Resolve it again if that was not meant.",
            ),
            (not_done(Class::Relink, "Access denied", None), LOG_IN_REFUSED),
            (refusal(&Refusal::EmptyNote), "The note is empty, so nothing was added."),
            (
                refusal(&Refusal::NoteTooLong { chars: 20_001 }),
                "The note was not added: it has 20001 characters, and at most 20000 are possible.",
            ),
            (
                already_done(DeedKind::Acknowledge, Some(&actor("Alice")), Some(at)),
                "Already acknowledged by Alice on 23 Nov 2026, 09:36 UTC.",
            ),
            (already_done(DeedKind::Resolve, None, None), "Already resolved."),
            (
                title_too_long(1025),
                "The title has 1025 characters, and PagerDuty takes at most 1024. Please write a shorter one; the form has room for details.",
            ),
            (pagerduty_refused("Incident **Locked**"), "PagerDuty did not accept this: Incident **Locked**"),
            (pagerduty_refused(""), "PagerDuty did not accept this: it gave no reason"),
        ];
        for (said, expected) in table {
            assert_eq!(said, expected);
        }
        assert!(utf16_len(&pagerduty_refused(&"x".repeat(100_000))) < 400);
    }
}
