//! JSON that nobody sends in good faith: as deep, as wide and as long as a few hundred kilobytes can be.

use serde_json::Value;

/// Documents of about so many bytes, by name. Not all of them are JSON.
#[must_use]
pub fn documents(bytes: usize) -> Vec<(&'static str, Vec<u8>)> {
    let list = |item: &str| {
        let times = bytes / (item.len() + 1);
        format!("[{}]", vec![item; times.max(1)].join(","))
    };
    let object = |member: &dyn Fn(usize) -> String| {
        let mut text = String::from("{");
        let mut number = 0;
        while text.len() < bytes {
            if number > 0 {
                text.push(',');
            }
            text.push_str(&member(number));
            number += 1;
        }
        text + "}"
    };
    let quoted = |part: &str| format!("\"{}\"", part.repeat(bytes / part.len()));
    let half = bytes / 2;
    let texts = vec![
        ("lists in lists", format!("{}{}", "[".repeat(half), "]".repeat(half))),
        ("lists that do not end", "[".repeat(bytes)),
        ("objects in objects", format!("{}1{}", "{\"a\":".repeat(bytes / 6), "}".repeat(bytes / 6))),
        ("objects that do not end", "{\"a\":".repeat(bytes / 5)),
        ("lists and objects in turn", format!("{}1{}", "[{\"a\":".repeat(bytes / 8), "}]".repeat(bytes / 8))),
        ("as deep as is read", format!("{0}{1}{2}", "[".repeat(120), list("0"), "]".repeat(120))),
        ("many keys", object(&|number| format!("\"{number:x}\":0"))),
        ("many long keys", object(&|number| format!("\"{number:0200}\":0"))),
        ("one key many times", object(&|_| "\"a\":0".to_owned())),
        ("its own keys many times", object(&|_| "\"v\":1,\"type\":\"x\",\"data\":0,\"event\":0".to_owned())),
        ("many zeros", list("0")),
        ("many empty lists", list("[]")),
        ("many empty objects", list("{}")),
        ("many empty texts", list("\"\"")),
        ("many objects of one key", list("{\"a\":0}")),
        ("many lists of one", list("[0]")),
        ("many nulls", list("null")),
        ("a number of many digits", format!("1{}", "0".repeat(bytes))),
        ("a fraction of many digits", format!("0.{}1", "0".repeat(bytes))),
        ("a huge exponent", format!("1e{}", "9".repeat(bytes))),
        ("many huge numbers", list("-1.7976931348623157e308")),
        ("many tiny numbers", list("4.9406564584124654e-324")),
        ("many numbers past 64 bits", list("123456789012345678901234567890")),
        ("a long text", quoted("a")),
        ("a text of escapes", quoted("\\u0061")),
        ("a text of pairs", quoted("\\ud83d\\ude00")),
        ("a text of half pairs", quoted("\\ud83d")),
        ("a text of nothing", quoted("\\u0000")),
        ("a text of line breaks", quoted("\\n")),
        ("a text of marks", quoted("<at>x</at>&amp;")),
        ("a text that does not end", format!("\"{}", "a".repeat(bytes))),
        ("a text of control characters", quoted("\u{1}")),
        ("a text of escapes that are none", quoted("\\x")),
        ("many texts of half pairs", list("\"\\ud83d\"")),
        ("many numbers that do not fit", list("1e999")),
        ("many words that are none", list("NaN")),
        ("many towers", list(&format!("{}{}", "[".repeat(200), "]".repeat(200)))),
        ("many keys without a value", object(&|number| format!("\"{number:x}\""))),
        ("white space", format!("{}0", " ".repeat(bytes))),
        ("commas", ",".repeat(bytes)),
        ("colons", ":".repeat(bytes)),
        ("quotation marks", "\"".repeat(bytes)),
        ("backslashes", "\\".repeat(bytes)),
    ];
    let mut documents: Vec<(&'static str, Vec<u8>)> =
        texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    documents.push(("bytes that are no text", vec![0xff; bytes]));
    documents.push(("a text of bytes that are none", [b"\"", vec![0xff; bytes].as_slice(), b"\""].concat()));
    documents.push(("zeros", vec![0; bytes]));
    documents
}

/// The document with another in the place of what `pointer` points at, as it is.
#[must_use]
pub fn inside(outer: &Value, pointer: &str, document: &[u8]) -> Vec<u8> {
    const PLACE: &str = "\"the place of another document\"";
    let mut outer = outer.clone();
    if let Some(place) = outer.pointer_mut(pointer) {
        *place = Value::String(PLACE.trim_matches('"').to_owned());
    }
    let text = outer.to_string();
    let (before, after) = text.split_once(PLACE).unwrap_or((&text, ""));
    [before.as_bytes(), document, after.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn they_are_as_long_as_asked_and_stand_where_they_were_put() {
        for (name, document) in documents(10_000) {
            assert!((9_000..12_000).contains(&document.len()), "{name}: {}", document.len());
        }
        let outer = json!({ "a": { "b": null }, "c": 1 });
        assert_eq!(inside(&outer, "/a/b", b"[["), br#"{"a":{"b":[[},"c":1}"#);
    }
}
