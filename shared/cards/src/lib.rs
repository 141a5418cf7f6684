//! What people see in Microsoft Teams: an incident as an Adaptive Card, the private cards about linking accounts, and in
//! [`text`] every other sentence.
//!
//! Incident text is data, not markup. Who can open an incident (often: whoever can send a mail to an integration) must not
//! be able to put a link, a mention or a picture into a channel, so foreign text goes through [`Untrusted`] into places
//! where Teams interprets nothing.

mod commands;
pub mod data;
mod details_dialog;
mod incident;
mod incident_dialogs;
mod link;
mod log;
mod mention;
mod notice;
mod personal;
mod schema;
pub mod setup;
mod storm;
mod storm_dialogs;
#[cfg(test)]
mod tests;
pub mod text;
pub mod trigger;
mod untrusted;

use serde::Serialize;

pub use commands::{
    COMMANDS, Command, CommandName, Place, Reader, find as find_command, help, nearest, not_allowed, unknown_command,
    wrong_place,
};
pub use details_dialog::{DetailsDialog, details_dialog};
pub use incident::{IncidentView, incident, incident_fallback, incident_left, incident_line};
pub use incident_dialogs::{DeedForm, deed_form};
pub use mention::{Call, Called, Mention, call};
pub use notice::{channel_gone, double_pointer, service_connected, team_connected, told};
pub use personal::{
    PersonalLink, link_unclear, linked, linked_already, linked_by_another, linked_sentence, no_number_wanted,
    nothing_to_unlink, number_belongs_here, numbers_used_up, personal_link, sign_in_over, unlinked, wrong_number,
};
pub use schema::AdaptiveCard;
pub use storm::{StormView, storm, storm_end_reply, storm_fallback};
pub use storm_dialogs::{
    MOST_ACKNOWLEDGED, StormAnswer, StormAnswered, StormList, StormOutcome, StormPlace, StormQuestion, StormScope,
    StormService, storm_answer, storm_answer_sentence, storm_list, storm_question,
};
pub use untrusted::Untrusted;

/// Largest card that we send, in bytes of its JSON as Teams counts them: two for each UTF-16 unit. Teams' documentation
/// allows more today, but has named 28 KB for years, and clients split what is longer.
pub const MAX_CARD_BYTES: usize = 28 * 1024;

/// The first of these cards that Teams takes, or the last one: each is smaller than those before it. None, if there is none.
fn first_that_fits<C>(cards: impl IntoIterator<Item = C>, content: impl Fn(&C) -> &AdaptiveCard) -> Option<C> {
    let mut smallest = None;
    for card in cards {
        if content(&card).json_bytes() <= MAX_CARD_BYTES {
            return Some(card);
        }
        smallest = Some(card);
    }
    smallest
}

/// A card together with the line that toasts and search show for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Plain text on one line.
    pub summary: String,
    pub content: AdaptiveCard,
}
