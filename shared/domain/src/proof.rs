//! Proof that whoever has logged in at PagerDuty is the Teams user whose personal link they followed.
//!
//! The page alone cannot know: a link can be passed on. So what it has is worth nothing until Teams itself names the user: by
//! handing over the page's code from the sign-in window, or by a message of that user with the number that the page shows.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::forward::Stored;
use crate::linking::{TICKET_LIFETIME, Ticket};

/// How many numbers a person may write before the log-in is over: three of a million, so guessing is hopeless.
pub const TRIES: u8 = 3;

/// So many of a person's waiting log-ins are looked at, the newest: each more would make a guess more likely to hit.
pub const MOST_WAITING: usize = 3;

/// For how long after it was sent a ticket can be prolonged by those who log in with it.
const LONGEST_TICKET: SignedDuration = SignedDuration::from_mins(20);

/// How many digits a number has.
const DIGITS: usize = 6;

/// The number that a page shows and the person writes to the bot.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(String);

impl Number {
    /// A number out of random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        Self(format!("{:0DIGITS$}", u64::from_le_bytes(bytes) % 1_000_000))
    }

    /// The number in what a person wrote, if that is all they wrote: spaces, or a hyphen, may stand between the digits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|char| !char.is_whitespace() && *char != '-').collect();
        let plain = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then_some(Self(digits))
    }

    /// Its digits, without a space.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

/// In two groups, as people read it out.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (front, back) = self.0.split_at_checked(DIGITS / 2).unwrap_or((&self.0, ""));
        write!(f, "{front} {back}")
    }
}

/// It opens a link, so no log line shows it.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number")
    }
}

/// What became of a confirmed log-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Teams has not named the user yet.
    Waiting,
    /// It has, and the accounts are linked.
    Linked,
    /// Nothing comes of it any more.
    Over,
}

impl Stored for Standing {
    const UNKNOWN: Self = Self::Over;
}

/// Until when a log-in waits that was confirmed at `now`, and its ticket with it: the person has as long as for the link itself,
/// but nobody keeps a ticket alive by logging in again and again.
#[must_use]
pub fn waits_until(ticket: &Ticket, now: Timestamp) -> Timestamp {
    let end = |from: Timestamp, lifetime| from.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    end(now, TICKET_LIFETIME).min(end(ticket.created_at, LONGEST_TICKET))
}

/// Whether the page has to warn that the two sides have different names for the person.
#[must_use]
pub fn names_differ(upn: Option<&str>, email: &str) -> bool {
    upn.is_none_or(|upn| !upn.trim().eq_ignore_ascii_case(email.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it_and_nothing_else_is_one() {
        for (text, digits) in [
            ("012345", Some("012345")),
            (" 012 345 ", Some("012345")),
            ("012-345", Some("012345")),
            ("0 1 2 3 4 5", Some("012345")),
            ("12345", None),
            ("1234567", None),
            ("12345a", None),
            ("\u{0661}\u{0662}\u{0663}\u{0664}\u{0665}\u{0666}", None),
            ("number 012345", None),
            ("", None),
        ] {
            assert_eq!(Number::read(text).as_ref().map(Number::digits), digits, "{text}");
        }
    }

    #[test]
    fn a_number_has_six_digits_and_hides_in_logs() {
        for (bytes, shown) in [([0; 8], "000 000"), ([1, 0, 0, 0, 0, 0, 0, 0], "000 001"), ([0xff; 8], "551 615")] {
            let number = Number::from_random(bytes);
            assert_eq!((number.to_string().as_str(), format!("{number:?}").as_str()), (shown, "Number"));
            assert_eq!(Number::read(shown), Some(number));
        }
    }

    #[test]
    fn different_names_are_warned_of() {
        for (upn, email, differ) in [
            (Some("ada@example.com"), "Ada@Example.com", false),
            (Some("ada@example.com "), "ada@example.com", false),
            (Some("ada@example.onmicrosoft.com"), "ada@example.com", true),
            (None, "ada@example.com", true),
        ] {
            assert_eq!(names_differ(upn, email), differ, "{upn:?}");
        }
    }
}
