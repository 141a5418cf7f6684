//! Makes JSON of what is nearly JSON, in one pass and without recursion.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::Chars;

use serde_json::Value;

use super::NotJson;

/// How deep lists and objects may be nested: as deep as `serde_json` reads.
const MOST_DEEP: usize = 127;

/// What stands for half a surrogate pair.
const HALF: &str = "\\ufffd";

/// A document that `serde_json` reads, as far as its brackets, quotation marks and colons say where everything belongs.
pub(super) fn mend(document: &[u8]) -> Result<String, NotJson> {
    let text = text(document);
    let mender = Mender { rest: text.chars(), mended: String::with_capacity(text.len()), open: Vec::new() };
    mender.run()
}

/// Bad UTF-8 becomes U+FFFD. A byte order mark of UTF-16 says that the document is in it.
fn text(document: &[u8]) -> Cow<'_, str> {
    let (unit, units): (fn([u8; 2]) -> u16, _) = match document {
        [0xff, 0xfe, units @ ..] => (u16::from_le_bytes, units),
        [0xfe, 0xff, units @ ..] => (u16::from_be_bytes, units),
        _ => return String::from_utf8_lossy(document),
    };
    let units = units.as_chunks().0.iter().copied().map(unit);
    char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// What is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Key,
    Colon,
    Value,
    /// A comma or the end.
    Next,
}

/// A list or an object that has not ended.
struct Open {
    is_object: bool,
    is_empty: bool,
}

struct Mender<'a> {
    rest: Chars<'a>,
    mended: String,
    open: Vec<Open>,
}

impl Mender<'_> {
    fn run(mut self) -> Result<String, NotJson> {
        let mut place = Place::Value;
        loop {
            let next = self.rest.next().ok_or(NotJson)?;
            place = match (next, place) {
                (' ' | '\t' | '\r' | '\n', _) => place,
                (stray, _) if is_stray(stray) => place,
                ('{' | '[', Place::Value) => self.begin(next == '{')?,
                ('}' | ']', _) => {
                    self.end(next == '}', place)?;
                    if self.open.is_empty() {
                        return self.last();
                    }
                    Place::Next
                }
                // All else stands in a list or an object.
                _ if self.open.is_empty() => return Err(NotJson),
                (',', _) => self.comma(place),
                (':', Place::Colon) => {
                    self.mended.push(':');
                    Place::Value
                }
                ('"', Place::Key) => {
                    self.separate(true);
                    self.text()?;
                    Place::Colon
                }
                ('"', Place::Value) => {
                    self.separate(false);
                    self.text()?;
                    Place::Next
                }
                (first, Place::Value) if first != ':' => {
                    self.separate(false);
                    self.word(first);
                    Place::Next
                }
                _ => return Err(NotJson),
            };
        }
    }

    /// A comma before every entry but the first: before the key in an object, before the value in a list.
    fn separate(&mut self, is_key: bool) {
        if let Some(open) = self.open.last_mut().filter(|open| open.is_object == is_key) {
            if !open.is_empty {
                self.mended.push(',');
            }
            open.is_empty = false;
        }
    }

    fn begin(&mut self, is_object: bool) -> Result<Place, NotJson> {
        self.separate(false);
        if self.open.len() == MOST_DEEP {
            self.mended.push_str("null");
            return self.skip().map(|()| Place::Next);
        }
        self.mended.push(if is_object { '{' } else { '[' });
        self.open.push(Open { is_object, is_empty: true });
        Ok(if is_object { Place::Key } else { Place::Value })
    }

    fn end(&mut self, is_object: bool, place: Place) -> Result<(), NotJson> {
        let ended = self.open.pop().filter(|open| open.is_object == is_object).ok_or(NotJson)?;
        self.fill(&ended, place);
        self.mended.push(if is_object { '}' } else { ']' });
        Ok(())
    }

    /// What follows the document is left out. A second one is not: which of them is meant?
    fn last(self) -> Result<String, NotJson> {
        if self.rest.as_str().contains(['{', '[']) { Err(NotJson) } else { Ok(self.mended) }
    }

    fn comma(&mut self, place: Place) -> Place {
        let Some(open) = self.open.pop() else { return place };
        self.fill(&open, place);
        let next = if open.is_object { Place::Key } else { Place::Value };
        self.open.push(open);
        next
    }

    /// A key without a value gets one.
    fn fill(&mut self, open: &Open, place: Place) {
        match place {
            Place::Colon => self.mended.push_str(":null"),
            Place::Value if open.is_object => self.mended.push_str("null"),
            Place::Key | Place::Value | Place::Next => {}
        }
    }

    /// Passes over a list or an object whose beginning has been read.
    fn skip(&mut self) -> Result<(), NotJson> {
        let (mut depth, mut in_text) = (1_usize, false);
        while depth > 0 {
            match self.rest.next().ok_or(NotJson)? {
                '\\' if in_text => _ = self.rest.next(),
                '"' => in_text = !in_text,
                '{' | '[' if !in_text => depth += 1,
                '}' | ']' if !in_text => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// A number, `true`, `false` or `null`. What is none of them, or does not fit, is null.
    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(next) = self.rest.clone().next().filter(|next| !ends_word(*next)) {
            word.push(next);
            self.rest.next();
        }
        let word = word.trim_end_matches(is_stray);
        let is_readable = serde_json::from_str::<Value>(word).is_ok();
        self.mended.push_str(if is_readable { word } else { "null" });
    }

    /// A text whose quotation mark has been read.
    fn text(&mut self) -> Result<(), NotJson> {
        self.mended.push('"');
        loop {
            match self.rest.next().ok_or(NotJson)? {
                '"' => {
                    self.mended.push('"');
                    return Ok(());
                }
                '\\' => self.escape(),
                control if control < ' ' => _ = write!(self.mended, "\\u{:04x}", u32::from(control)),
                character => self.mended.push(character),
            }
        }
    }

    fn escape(&mut self) {
        match self.rest.clone().next() {
            Some('u') => {
                self.rest.next();
                self.unit();
            }
            Some(known @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => {
                self.rest.next();
                self.mended.extend(['\\', known]);
            }
            // The backslash means itself, and what follows is read as if it stood alone.
            _ => self.mended.push_str("\\\\"),
        }
    }

    /// A UTF-16 unit, whose `\u` has been read, with its other half.
    fn unit(&mut self) {
        let first = digits(&mut self.rest);
        let mut after = self.rest.clone();
        let second = if after.next() == Some('\\') && after.next() == Some('u') { digits(&mut after) } else { None };
        match (first, second) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                self.rest = after;
                _ = write!(self.mended, "\\u{high:04x}\\u{low:04x}");
            }
            (None | Some(0xd800..0xe000), _) => self.mended.push_str(HALF),
            (Some(unit), _) => _ = write!(self.mended, "\\u{unit:04x}"),
        }
    }
}

/// Four hexadecimal digits; fewer are read and mean nothing.
fn digits(rest: &mut Chars<'_>) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit * 16 + rest.clone().next()?.to_digit(16)?;
        rest.next();
    }
    Some(unit)
}

/// Whether a character means nothing outside of texts: a byte order mark, a NUL, what no UTF-8 is.
fn is_stray(character: char) -> bool {
    character.is_control() || !character.is_ascii()
}

fn ends_word(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | ',' | ':' | '"' | '{' | '}' | '[' | ']')
}

#[cfg(test)]
mod tests;
