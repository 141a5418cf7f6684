//! Private cards: the personal link, and what became of it.

use domain::deed::Deed;
use domain::linking::{AccountLink, TICKET_LIFETIME, Wanted, WantedAction};
use jiff::Timestamp;

use crate::Card;
use crate::data::{VERSION, Verb, WantedData};
use crate::link::Link;
use crate::log::NAME_LIMIT;
use crate::notice::notice;
use crate::schema::{Action, ActionStyle, Data};
use crate::trigger::open_form;
use crate::untrusted::Plain;

/// Longest e-mail address that is shown, in UTF-16 units; a mailbox name alone may have 64.
const EMAIL_LIMIT: usize = 120;

/// Longest name of an incident, in UTF-16 units.
const INCIDENT_LIMIT: usize = 150;

/// How many links a card lists; a person has one for each PagerDuty account.
const LINKS_LISTED: usize = 10;

/// The personal link at `url` for the Teams user `teams_name`, and what it was wanted for.
#[must_use]
pub fn personal_link(url: &str, teams_name: &str, wanted: Option<&WantedAction>, expires: Timestamp) -> Card {
    let mut paragraphs = Vec::new();
    paragraphs.extend(wanted.map(|wanted| intent(wanted).own(" For that, PagerDuty has to know who you are.")));
    paragraphs.push(
        Plain::from("The button links your PagerDuty account to your Teams account (")
            .append(&person(teams_name))
            .own("). What you do on incident cards then happens in your name, with your rights in PagerDuty."),
    );
    paragraphs.push(
        Plain::from("This link is personal: do not pass it on. It expires in ")
            .number(u64::try_from(TICKET_LIFETIME.as_mins()).unwrap_or_default())
            .own(" minutes, on ")
            .time(expires)
            .own(". After that, write linkUser to get a new one."),
    );
    let button = Link::own(url).map(|url| Action::open("Link Accounts", url));
    notice("Link your PagerDuty account", paragraphs, button.into_iter().collect())
}

/// The accounts have just been linked; `wanted` is what the person wanted to do before, with the id that it is kept under.
#[must_use]
pub fn linked(link: &AccountLink, wanted: Option<(&WantedAction, &str)>) -> Card {
    let mut paragraphs = vec![acts_as(link), wrong()];
    let mut actions = Vec::new();
    if let Some((wanted, id)) = wanted {
        paragraphs.push(intent(wanted).own(" One click does it now:"));
        actions.push(resume(wanted, id));
    }
    notice("Your accounts are linked", paragraphs, actions)
}

/// Does what the person wanted to do.
fn resume(wanted: &WantedAction, id: &str) -> Action {
    let title = match &wanted.what {
        Wanted::Trigger { title } => return open_form(title.as_deref()),
        Wanted::Click { deed: Deed::Acknowledge, .. } => "Acknowledge now",
        Wanted::Click { deed: Deed::Resolve, .. } => "Resolve now",
        Wanted::Click { deed: Deed::AddNote { .. }, .. } => "Add the note now",
        Wanted::Command { .. } => "Do it now",
    };
    let data = Data::Wanted(WantedData { v: VERSION, wanted: id.to_owned() });
    Action::execute(title, Verb::Resume, data, Some(ActionStyle::Positive))
}

/// Answers a wish for a link by somebody who has one for each account already.
#[must_use]
pub fn linked_already(links: &[AccountLink]) -> Card {
    let mut paragraphs: Vec<Plain> = links.iter().take(LINKS_LISTED).map(acts_as).collect();
    paragraphs.push(wrong());
    notice("Your accounts are linked already", paragraphs, Vec::new())
}

/// These links have been deleted.
#[must_use]
pub fn unlinked(links: &[AccountLink]) -> Card {
    let mut paragraphs: Vec<Plain> = links
        .iter()
        .take(LINKS_LISTED)
        .map(|link| {
            Plain::from("I have forgotten ").append(&pd_person(link)).own(" and can no longer act in that name.")
        })
        .collect();
    paragraphs.push(Plain::from("Write linkUser whenever you want to link your accounts again."));
    notice("Your accounts are unlinked", paragraphs, Vec::new())
}

/// There was no link to delete.
#[must_use]
pub fn nothing_to_unlink() -> Card {
    let text = Plain::from(
        "No PagerDuty account is linked to you, so there is nothing to unlink. Write linkUser to link one.",
    );
    notice("Nothing to unlink", vec![text], Vec::new())
}

fn acts_as(link: &AccountLink) -> Plain {
    Plain::from("What you do in Teams as ")
        .append(&person(&link.teams_name))
        .own(" happens in PagerDuty as ")
        .append(&pd_person(link))
        .own(".")
}

fn wrong() -> Plain {
    Plain::from("If this is not you, write unlinkUser.")
}

fn person(name: &str) -> Plain {
    Plain::from("").foreign_or(name, NAME_LIMIT, "(no name)")
}

fn pd_person(link: &AccountLink) -> Plain {
    person(&link.pd_name).own(" (").foreign_or(&link.pd_email, EMAIL_LIMIT, "no address").own(")")
}

/// What the person wanted to do, as one sentence.
fn intent(wanted: &WantedAction) -> Plain {
    let what = Plain::from("").foreign_or(&wanted.title, INCIDENT_LIMIT, "the incident");
    match &wanted.what {
        Wanted::Click { .. } => Plain::from("You wanted to act on ").append(&what).own("."),
        Wanted::Command { .. } => Plain::from("You wrote: ").append(&what).own("."),
        Wanted::Trigger { title: None } => Plain::from("You wanted to create an incident."),
        Wanted::Trigger { title: Some(title) } => {
            Plain::from("You wanted to create an incident: ").foreign_or(title, INCIDENT_LIMIT, "(no title)").own(".")
        }
    }
}
