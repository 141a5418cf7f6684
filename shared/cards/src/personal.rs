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

/// The addresses of a personal link.
#[derive(Debug, Clone, Copy)]
pub struct PersonalLink<'a> {
    /// For Teams' sign-in window.
    pub window: &'a str,
    /// For any browser; `None` where its page could prove nothing.
    pub browser: Option<&'a str>,
}

/// A personal link for the Teams user `teams_name`, and what it was wanted for.
#[must_use]
pub fn personal_link(
    link: PersonalLink<'_>,
    teams_name: &str,
    wanted: Option<&WantedAction>,
    expires: Timestamp,
) -> Card {
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
    let mut actions = Vec::new();
    actions.extend(Link::own(link.window).map(|url| Action::sign_in("Link Accounts", url)));
    if let Some(url) = link.browser.and_then(Link::own) {
        paragraphs.push(Plain::from(
            "If no window opens, open the link in a browser. Its page ends with a number, which you then write to me here.",
        ));
        actions.push(Action::open("Open in a browser", url));
    }
    notice("Link your PagerDuty account", paragraphs, actions)
}

/// A number was wrong; `left`: how many more there may be.
#[must_use]
pub fn wrong_number(left: u8) -> Card {
    let text = Plain::from("That is not the number that your page shows. Please look again: you have ")
        .number(u64::from(left))
        .own(if left == 1 { " more try." } else { " more tries." });
    notice("Not the right number", vec![text], Vec::new())
}

/// The last number was wrong as well.
#[must_use]
pub fn numbers_used_up() -> Card {
    let text = "None of the numbers was the one that the page shows, so nothing was linked. Write linkUser to begin anew \
                with a new link.";
    notice("Nothing was linked", vec![Plain::from(text)], Vec::new())
}

/// Nobody waits for the number that somebody wrote.
#[must_use]
pub fn no_number_wanted() -> Card {
    let text = "I am not waiting for a number. If you want to link your PagerDuty account, write linkUser: the number \
                comes at the end of the page that the link opens.";
    notice("No number wanted", vec![Plain::from(text)], Vec::new())
}

/// Somebody wrote a number in a channel.
#[must_use]
pub fn number_belongs_here() -> Card {
    let text = "A number that links your accounts belongs here, in our private chat. Please write it to me here.";
    notice("Please write the number here", vec![Plain::from(text)], Vec::new())
}

/// Teams has handed over the code of a page that is not this person's, or is over.
#[must_use]
pub fn sign_in_over() -> Card {
    let text = "The log-in of that window is over, or somebody else's link was opened in it, so nothing was linked. Write \
                linkUser to get a link of your own.";
    notice("Nothing was linked", vec![Plain::from(text)], Vec::new())
}

/// It is not known whether the accounts were linked.
#[must_use]
pub fn link_unclear() -> Card {
    let text = "Something went wrong at the very end, so I do not know whether your accounts are linked. Please write linkUser \
                and try once more; a second time does no harm.";
    notice("Your link is not certain", vec![Plain::from(text)], Vec::new())
}

/// Tells a person that another Teams user is linked to the same PagerDuty user from now on.
#[must_use]
pub fn linked_by_another(link: &AccountLink, by: &str, upn: Option<&str>) -> Card {
    let mut other = person(by);
    if let Some(upn) = upn {
        other = other.own(" (").foreign_or(upn, EMAIL_LIMIT, "no sign-in name").own(")");
    }
    let what = Plain::from("Another Teams user, ")
        .append(&other)
        .own(", has just linked their Teams account to ")
        .append(&pd_person(link))
        .own(", to whom you are linked too. What they do in Teams happens in that name from now on.");
    let advice = "If that is not you with another account, tell your PagerDuty admin and change your password in \
                  PagerDuty: somebody was logged in there as you. Your own link has not changed.";
    notice("Somebody else acts as your PagerDuty user", vec![what, Plain::from(advice)], Vec::new())
}

/// "You've successfully linked …", word for word as PagerDuty's guide has it.
#[must_use]
pub fn linked_sentence(link: &AccountLink) -> String {
    success(link).into_literal()
}

fn success(link: &AccountLink) -> Plain {
    Plain::from("You've successfully linked your user accounts. All PagerDuty actions you perform as ")
        .append(&person(&link.teams_name))
        .own(" in Microsoft Teams will be associated with ")
        .append(&pd_person(link))
        .own(
            " in PagerDuty. If this is not correct, please enter the @PagerDuty unlinkUser command in Microsoft Teams to \
             unlink your account.",
        )
}

/// The accounts have just been linked; `wanted` is what the person wanted to do before, with the id that it is kept under.
#[must_use]
pub fn linked(link: &AccountLink, wanted: Option<(&WantedAction, &str)>) -> Card {
    let mut paragraphs = vec![success(link)];
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
