//! The targets: what others send, what lies in the table, and what is made of it.
//!
//! Most inputs are the document itself. Where several texts are needed, as for a card, they stand in one input with the
//! character U+001E between them.

mod addresses;
mod cards;
mod documents;
mod doors;
mod keys;
mod rest;
pub(crate) mod stored;

use crate::stack;

/// Something that takes any bytes and panics when a promise is broken.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Makes what it works with anew.
    pub renew: fn(),
    /// How many times the limit of time an input may take: a whole run of a function is more than one request.
    pub patience: u32,
}

const fn pure(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, renew: || (), patience: 1 }
}

const fn door(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, renew: stack::renew, patience: 1 }
}

pub const ALL: &[Target] = &[
    pure("json", documents::json),
    pure("webhook_body", documents::webhook_body),
    pure("webhook_signature", documents::webhook_signature),
    door("webhook_door", doors::webhook),
    door("activity", doors::activity),
    door("activity_token", doors::activity_token),
    door("command_line", doors::command_line),
    pure("service_url", addresses::service_url),
    pure("service_address", addresses::service_address),
    door("oauth_query", doors::oauth_query),
    door("cookies", doors::cookies),
    door("admin_json", doors::admin_json),
    door("queue_message", doors::queue_message),
    pure("keys", keys::keys),
    pure("stored_values", stored::values),
    door("stored_items", stored::items),
    pure("card_of_incident", cards::incident),
    pure("card_of_storm", cards::storm),
    pure("card_of_details", cards::details),
    pure("other_cards", cards::others),
    pure("rest_answers", rest::answers),
    pure("log_entries", rest::log_entries),
    pure("oauth_answers", rest::oauth_answers),
    Target { name: "reconciler", run: doors::reconciler, renew: doors::renew_reconciler, patience: 5 },
];

#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

/// The texts of an input, again and again.
struct Texts<'i> {
    texts: Vec<&'i str>,
    next: usize,
}

impl<'i> Texts<'i> {
    fn of(input: &'i str) -> Self {
        Self { texts: input.split('\u{1e}').collect(), next: 0 }
    }

    fn next(&mut self) -> &'i str {
        let text = self.texts.get(self.next % self.texts.len().max(1)).copied().unwrap_or_default();
        self.next += 1;
        text
    }

    fn owned(&mut self) -> String {
        self.next().to_owned()
    }

    /// Nothing for an empty text.
    fn maybe(&mut self) -> Option<String> {
        Some(self.owned()).filter(|text| !text.is_empty())
    }

    fn several(&mut self, most: usize) -> Vec<String> {
        let count = self.number() % (most as u64 + 1);
        (0..count).map(|_| self.owned()).collect()
    }

    /// A number that a text decides.
    fn number(&mut self) -> u64 {
        let text = self.next();
        text.parse().unwrap_or_else(|_| text.bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_003))
    }

    fn choice<T: Copy>(&mut self, of: &[T]) -> T {
        let number = usize::try_from(self.number() % 1_000_003).unwrap_or_default();
        of.get(number % of.len()).copied().unwrap_or_else(|| panic!("nothing to choose from"))
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.number().is_multiple_of(count)
    }
}

/// An id, from a text that may be none.
fn id<T: std::str::FromStr>(text: &str, instead: &str) -> T {
    let made = text.parse().or_else(|_| instead.parse()).ok();
    made.unwrap_or_else(|| panic!("{instead:?} is an id"))
}
