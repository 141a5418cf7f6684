//! Cards about setting PagerBridge up: installing, authorizing, connecting, disconnecting.

use domain::connection::Connection;
use domain::ids::TeamId;
use jiff::Timestamp;

use crate::Card;
use crate::data::{TeamData, VERSION, Verb};
use crate::link::Link;
use crate::log::NAME_LIMIT;
use crate::notice::notice;
use crate::schema::{Action, Data};
use crate::untrusted::Plain;

/// Longest sentence of an explanation that was made elsewhere, in UTF-16 units.
const REASON_LIMIT: usize = 400;

/// How many lines a list has.
const LINES: usize = 20;

/// Longest line of a list after the name, in UTF-16 units.
const LINE_LIMIT: usize = 150;

fn name(text: &str) -> Plain {
    Plain::from("").foreign_or(text, NAME_LIMIT, "(no name)")
}

fn open_page(title: &'static str, url: &str) -> Vec<Action> {
    Link::own(url).map(|url| Action::open(title, url)).into_iter().collect()
}

/// Tells who added the bot to a team that installation is complete, with a personal authorization link.
#[must_use]
pub fn installed(team: &TeamId, team_name: &str, url: &str, expires: Timestamp) -> Card {
    let text = Plain::from("The installation is complete: I am now in the team ")
        .append(&name(team_name))
        .own(". Authorize me to connect the team to PagerDuty.");
    authorization("Installation is complete", text, team, url, expires)
}

/// A personal authorization link for an admin who was given a key, or whose first link has expired.
#[must_use]
pub fn authorization_link(team: &TeamId, team_name: &str, url: &str, expires: Timestamp) -> Card {
    let text = Plain::from("This is your personal authorization link for the team ").append(&name(team_name)).own(".");
    authorization("Authorize PagerDuty", text, team, url, expires)
}

fn authorization(heading: &'static str, text: Plain, team: &TeamId, url: &str, expires: Timestamp) -> Card {
    let role = Plain::from(
        "An Admin base role or the Account Owner is required in PagerDuty. If that is not you, press I’m not a PagerDuty \
         Admin: I will give you a key that an admin can use.",
    );
    let end = Plain::from("The link is personal and expires on ").time(expires).own(".");
    let mut actions = open_page("Authorize", url);
    let data = Data::Team(TeamData { v: VERSION, team: team.clone() });
    actions.push(Action::execute("I’m not a PagerDuty Admin", Verb::NotAdmin, data, None));
    notice(heading, vec![text, role, end], actions)
}

/// Tells who added the bot again that everything is as it was before.
#[must_use]
pub fn installed_again(team_name: &str, connections: usize) -> Card {
    let text = Plain::from("The installation is complete: I am back in the team ")
        .append(&name(team_name))
        .own(", which is still connected to PagerDuty. Connections that work again: ")
        .number(u64::try_from(connections).unwrap_or(u64::MAX))
        .own(".");
    notice("Installation is complete", vec![text], Vec::new())
}

/// Takes the place of the private message where none can be sent: the installer has not got the app.
#[must_use]
pub fn installed_in_channel() -> Card {
    let text = Plain::from(
        "I could not write to the person who added me. Open a private chat with me and write authorize to connect this team \
         to PagerDuty.",
    );
    notice("Installation is complete", vec![text], Vec::new())
}

/// A key, with instructions that can be forwarded to an admin.
#[must_use]
pub fn key_for_admin(team_name: &str, key: &str, expires: Timestamp) -> Card {
    let forward = Plain::from("Forward this message to an Admin or the Account Owner of your PagerDuty account.");
    let what = Plain::from("PagerBridge was added to the Microsoft Teams team ")
        .append(&name(team_name))
        .own(" and waits for a PagerDuty Admin to authorize it:");
    let first = Plain::from("1. Start or open a chat with the PagerBridge bot.");
    let second = Plain::from("2. Write: authorize ").foreign_or(key, NAME_LIMIT, "");
    let third = Plain::from("3. You receive a personal authorization link. Log in to PagerDuty and confirm.");
    let end = Plain::from("The key is of use to PagerDuty Admins only, for this team only, and expires on ")
        .time(expires)
        .own(".");
    notice("Ask a PagerDuty Admin to authorize the team", vec![forward, what, first, second, third, end], Vec::new())
}

/// The key that somebody wrote is of no use.
#[must_use]
pub fn key_unknown() -> Card {
    let text = Plain::from(
        "This key is not valid: it may have a typing error, have expired, have been made for another organization, or its \
         team may be connected already. The person who added PagerBridge to the team can get a new one with the button I’m \
         not a PagerDuty Admin.",
    );
    notice("I cannot use this key", vec![text], Vec::new())
}

/// How to use `authorize`.
#[must_use]
pub fn authorize_usage() -> Card {
    let text = Plain::from(
        "Write authorize and the key that was provided when PagerBridge was added to a team. You did not add me to a team \
         that waits for authorization, so I have no link for you without a key.",
    );
    notice("Which team?", vec![text], Vec::new())
}

/// Tells a team that it is not connected to PagerDuty any more.
#[must_use]
pub fn team_disconnected(team_name: &str, by: &str) -> Card {
    let text = Plain::from("The team ")
        .append(&name(team_name))
        .own(" was disconnected from PagerDuty by ")
        .append(&name(by))
        .own(". No more incidents will be posted here.");
    let again = Plain::from("To connect it again, remove the app from the team and add it again.");
    notice("Disconnected from PagerDuty", vec![text, again], Vec::new())
}

/// A test notification, marked as such.
#[must_use]
pub fn test_notification(service: &str, by: &str, at: Timestamp) -> Card {
    let text = Plain::from("Incidents of ")
        .append(&name(service))
        .own(" will appear in this channel. There is no incident: ")
        .append(&name(by))
        .own(" asked for this test on ")
        .time(at)
        .own(".");
    notice("TEST: this is a test notification", vec![text], Vec::new())
}

/// A service has been connected; for the person who asked for it.
#[must_use]
pub fn connected(service: &str, already: bool) -> Card {
    if already {
        let text = name(service).own(" is already connected to this channel. Nothing has changed.");
        return notice("Connected already", vec![text], Vec::new());
    }
    notice("Connected", vec![name(service).own(" is now connected to this channel.")], Vec::new())
}

/// A channel is told of a service's incidents in another manner from now on.
#[must_use]
pub fn told_in_another_manner(connection: &Connection) -> Card {
    let text = name(&connection.service_name).own(" was connected to this channel already. From now on its cards ");
    let text = text.append(&crate::text::manner(connection)).own(".");
    notice("Changed", vec![text], Vec::new())
}

/// A service has been disconnected from this channel.
#[must_use]
pub fn disconnected(service: &str) -> Card {
    let text = name(service).own(" is no longer connected to this channel. Its open incidents that are here already are not updated any more, and say so.");
    notice("Disconnected", vec![text], Vec::new())
}

/// The service was not connected to this channel.
#[must_use]
pub fn not_connected() -> Card {
    let text = Plain::from("This service is not connected to this channel. Write connections for those that are.");
    notice("Nothing to disconnect", vec![text], Vec::new())
}

/// How to use `connect` or `disconnect`.
#[must_use]
pub fn service_url_wanted(command: &'static str) -> Card {
    let text = Plain::from("Write ").own(command).own(
        " and the address of the service's page in PagerDuty, as in https://<your subdomain>.pagerduty.com/services/P123456",
    );
    notice("Which service?", vec![text], Vec::new())
}

/// It could not be done; `why` is a sentence for a person.
#[must_use]
pub fn failed(why: &str) -> Card {
    notice(
        "That did not work",
        vec![Plain::from("").foreign_or(why, REASON_LIMIT, "Please try again in a minute.")],
        Vec::new(),
    )
}

/// The team is not connected to any PagerDuty account.
#[must_use]
pub fn not_authorized() -> Card {
    let text = Plain::from(
        "This team is not connected to PagerDuty yet. The person who added me has a private message with the button \
         Authorize, or can write authorize to me.",
    );
    notice("Not connected to PagerDuty", vec![text], Vec::new())
}

/// Leads to PagerDuty.
#[must_use]
pub fn open_pagerduty(subdomain: &str, url: &str) -> Card {
    let text = Plain::from("This is the PagerDuty account ").append(&name(subdomain)).own(".");
    let open = Link::pagerduty(url).map(|url| Action::open("Open PagerDuty", url));
    notice("PagerDuty", vec![text], open.into_iter().collect())
}

/// Leads to the configuration page.
#[must_use]
pub fn open_configuration(url: &str) -> Card {
    let text = Plain::from(
        "Connect services to channels, see whether each connection works, and disconnect. You log in with \
         PagerDuty, as an Admin or the Account Owner.",
    );
    notice("Configuration", vec![text], open_page("Open configuration page", url))
}

/// One line of a list: what it is, and what about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is; foreign text.
    pub name: String,
    /// What about it; foreign text.
    pub about: String,
}

/// A list with a heading of our own.
#[must_use]
pub fn list(heading: &'static str, lines: &[Line], empty: &'static str) -> Card {
    let mut shown: Vec<Plain> = lines
        .iter()
        .take(LINES)
        .map(|line| name(&line.name).own(": ").foreign_or(&line.about, LINE_LIMIT, "(nothing known)"))
        .collect();
    if lines.len() > LINES {
        shown.push(Plain::from("… and ").number(u64::try_from(lines.len() - LINES).unwrap_or(u64::MAX)).own(" more"));
    }
    if shown.is_empty() {
        shown.push(Plain::from(empty));
    }
    notice(heading, shown, Vec::new())
}
