//! JSON that others have written, read leniently: one character, number or depth that no program of ours can read costs itself,
//! never the document.
//!
//! Tools that cut a text by UTF-16 units send half an emoji, and PagerDuty passes on what it was given. No crate mends all of this
//! and leaves valid JSON alone, so that this is a pass before `serde_json`, and only over what it refuses. See decision 19 for what
//! is read in this way and what is not.

mod mend;

use serde_json::Value;

/// Most lists and objects together: an object takes up to 700 bytes, and what is read is copied twice on its way.
const MOST_CONTAINERS: usize = 2_000;

/// Most commas between values: each stands for one of up to 120 bytes.
const MOST_COMMAS: usize = 20_000;

/// Not JSON, or only the beginning of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not JSON")]
pub struct NotJson;

/// Why a document of an unknown sender is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    NotJson(#[from] NotJson),
    /// As values in memory, two bytes may become hundreds.
    #[error("it has too many parts")]
    TooManyParts,
}

/// Reads a document. What is valid is read as `serde_json` reads it. Otherwise half a surrogate pair and bad UTF-8 become U+FFFD,
/// a value that is none or does not fit becomes null, and so does what is nested too deep; byte order marks, stray
/// characters, superfluous commas and what follows the document are left out.
///
/// # Errors
/// [`NotJson`], also for a list or object that is cut off: its beginning must not pass for the whole.
pub fn read(document: &[u8]) -> Result<Value, NotJson> {
    serde_json::from_slice(document).or_else(|_| parsed(&mend::mend(document)?))
}

/// As [`read`], for what an unknown sender may have made large: only with few enough parts, which are counted before it is read.
///
/// # Errors
/// [`Unreadable`]
pub fn read_bearable(document: &[u8]) -> Result<Value, Unreadable> {
    if is_bearable(document)
        && let Ok(value) = serde_json::from_slice(document)
    {
        return Ok(value);
    }
    // What is nested too deep is gone by then, and counts no more.
    let mended = mend::mend(document)?;
    if is_bearable(mended.as_bytes()) { Ok(parsed(&mended)?) } else { Err(Unreadable::TooManyParts) }
}

fn parsed(mended: &str) -> Result<Value, NotJson> {
    serde_json::from_str(mended).map_err(|_| NotJson)
}

/// Whether a document has few enough parts to be read whole. It is looked through once and nothing is kept; whether it is JSON at
/// all is not said.
fn is_bearable(document: &[u8]) -> bool {
    let (mut containers, mut commas) = (0, 0);
    let (mut in_text, mut is_escaped) = (false, false);
    for byte in document {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => containers += 1,
            b',' if !in_text => commas += 1,
            _ => {}
        }
    }
    containers <= MOST_CONTAINERS && commas <= MOST_COMMAS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_outside_of_texts() {
        let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        for (name, document, expected) in [
            ("nothing", String::new(), true),
            ("as many values as may be", list("0", MOST_COMMAS + 1), true),
            ("one more", list("0", MOST_COMMAS + 2), false),
            ("as many objects as may be", list("{}", MOST_CONTAINERS - 1), true),
            ("one more", list("{}", MOST_CONTAINERS), false),
            ("lists in lists", "[".repeat(MOST_CONTAINERS + 1), false),
            ("marks in a text", format!("[\"{}\"]", "[{,".repeat(50_000)), true),
            ("marks behind an escaped quotation mark", format!("[\"\\\"{}\"]", "[{,".repeat(50_000)), true),
            ("marks behind a text that ends with a backslash", format!("[\"\\\\\",{}]", list("[]", 2_000)), false),
        ] {
            assert_eq!(is_bearable(document.as_bytes()), expected, "{name}");
        }
    }
}
