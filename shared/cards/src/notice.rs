//! Cards that a channel gets besides its incidents.

use domain::ids::{ActivityId, ChannelId};

use crate::Card;
use crate::data::{NoData, Verb};
use crate::link::Link;
use crate::log::NAME_LIMIT;
use crate::schema::{Action, AdaptiveCard, Data, Element, RichTextBlock, Spacing, TextBlock, TextRun};
use crate::untrusted::{Own, Plain};

/// Longest sentence, in UTF-16 units.
const SENTENCE_LIMIT: usize = 400;

/// A heading of our own, some paragraphs that may name people and things, and buttons.
pub(crate) fn notice(heading: &'static str, paragraphs: Vec<Plain>, actions: Vec<Action>) -> Card {
    let title = TextBlock::heading(heading);
    let paragraphs = paragraphs.into_iter().map(|text| {
        Element::RichTextBlock(RichTextBlock { inlines: vec![TextRun::new(text)], spacing: Some(Spacing::Small) })
    });
    let body = std::iter::once(Element::TextBlock(title)).chain(paragraphs).collect();
    Card { summary: heading.to_owned(), content: AdaptiveCard::new(Own::from(heading), body, actions) }
}

/// Answers a button privately where its click has no answer of its own: the client has sent it as a message.
#[must_use]
pub fn told(sentence: &str) -> Card {
    let said = Plain::from("").foreign_or(sentence, SENTENCE_LIMIT, "Done.");
    Card { summary: said.clone().into_literal(), ..notice("Your click", vec![said], Vec::new()) }
}

fn link_accounts() -> Action {
    let data = Data::None(NoData::CURRENT);
    Action::execute("Link Accounts", Verb::LinkAccounts, data, None)
}

fn name(text: &str) -> Plain {
    Plain::from("").foreign_or(text, NAME_LIMIT, "(no name)")
}

/// Takes the place of a second card of the same incident in `channel`, whose living card is the message `living`.
#[must_use]
pub fn double_pointer(channel: &ChannelId, living: &ActivityId) -> Card {
    let open = Link::message(channel, living).map(|url| Action::open("Go to the living card", url));
    let text = Plain::from(
        "The incident has another card in this channel. That one is kept up to date and has the buttons; this one is not.",
    );
    notice("This message is a duplicate", vec![text], open.into_iter().collect())
}

/// Tells a team that one of its connections cannot be served any more.
#[must_use]
pub fn channel_gone(service: &str) -> Card {
    let text = Plain::from("Incidents of ")
        .append(&name(service))
        .own(" no longer reach their channel: Teams says that the channel is gone or that I am no longer in it.");
    let remedy = Plain::from(
        "A PagerDuty admin can connect the service to another channel, or add me to the channel and connect it again.",
    );
    notice("A PagerDuty service has lost its channel", vec![text, remedy], Vec::new())
}

/// Greets a channel to which a service has just been connected.
#[must_use]
pub fn service_connected(service: &str) -> Card {
    let text = Plain::from("Incidents of ").append(&name(service)).own(" will be posted in this channel.");
    notice("PagerDuty service connected", vec![text, why_link()], vec![link_accounts()])
}

/// Greets a team that has just been connected to a PagerDuty account.
#[must_use]
pub fn team_connected(team: &str) -> Card {
    let text = Plain::from("The team ").append(&name(team)).own(" is now connected to PagerDuty.");
    notice("Team connected to PagerDuty", vec![text, why_link()], vec![link_accounts()])
}

fn why_link() -> Plain {
    Plain::from(
        "To acknowledge, resolve or comment on incidents from Teams, link your PagerDuty and Teams accounts once.",
    )
}
