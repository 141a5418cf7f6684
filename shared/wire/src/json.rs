//! What a JSON document would take, before anybody reads it whole: as values in memory, two bytes may become hundreds.

/// Most lists and objects together: an object takes up to 700 bytes, and what is read is copied twice on its way.
const MOST_CONTAINERS: usize = 2_000;

/// Most commas between values: each stands for one of up to 120 bytes.
const MOST_COMMAS: usize = 20_000;

/// Whether a document has few enough parts to be read whole. It is looked through once and nothing is kept; whether it is JSON at
/// all is not said.
#[must_use]
pub fn is_bearable(document: &[u8]) -> bool {
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
