use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::json::{NotJson, Unreadable, read, read_bearable};

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn what_cannot_be_read_costs_itself() {
    let table: &[(&str, &[u8], Value)] = &[
        ("the first half of an emoji", br#"{"a":"x \ud83d","b":1}"#, json!({ "a": "x \u{fffd}", "b": 1 })),
        ("the second half", br#"{"a":"\uDE00 x","b":1}"#, json!({ "a": "\u{fffd} x", "b": 1 })),
        ("halves the wrong way round", br#"["\ude00\ud83d"]"#, json!(["\u{fffd}\u{fffd}"])),
        ("half an emoji and a whole one", br#"["\ud83d\ud83d\ude00"]"#, json!(["\u{fffd}\u{1f600}"])),
        ("half an emoji and a letter", br#"["\ud83d\u0041", "\ud83dA"]"#, json!(["\u{fffd}A", "\u{fffd}A"])),
        ("half an emoji in a key", br#"{"\ud83d":1,"b":2}"#, json!({ "\u{fffd}": 1, "b": 2 })),
        ("an escape that is cut", br#"["\ud8","\u","\u00g1"]"#, json!(["\u{fffd}", "\u{fffd}", "\u{fffd}g1"])),
        ("an escape that is none", br#"["C:\data\x", "it\'s"]"#, json!(["C:\\data\\x", "it\\'s"])),
        ("bad UTF-8", b"{\"a\":\"D\xfcsseldorf\",\"b\":1}", json!({ "a": "D\u{fffd}sseldorf", "b": 1 })),
        ("UTF-8 that is cut before the quotation mark", b"[\"\xf0\x9f\x98\",1]", json!(["\u{fffd}", 1])),
        ("a surrogate in UTF-8", b"[\"\xed\xa0\xbd\"]", json!(["\u{fffd}\u{fffd}\u{fffd}"])),
        ("bad UTF-8 between values", b"[1,\xff 2 \xff,3\xff]", json!([1, 2, 3])),
        ("control characters in a text", b"[\"a\nb\tc\0d\x1be\"]", json!(["a\nb\tc\0d\u{1b}e"])),
        ("a byte order mark", b"\xef\xbb\xbf{\"a\":1}", json!({ "a": 1 })),
        ("little UTF-16", b"\xff\xfe[\0\"\0=\xd8\"\0]\0", json!(["\u{fffd}"])),
        ("big UTF-16", b"\xfe\xff\0[\0\"\xd8=\xde\0\0\"\0]", json!(["\u{1f600}"])),
        ("numbers that do not fit", b"{\"a\":1e999,\"b\":-1e999,\"c\":2}", json!({ "a": null, "b": null, "c": 2 })),
        ("numbers that are none", b"[NaN,-Infinity,0x1F,01,+1,.5,1.,1e,-,2]", {
            json!([null, null, null, null, null, null, null, null, null, 2])
        }),
        ("words that are none", b"{\"a\":undefined,\"b\":True,\"c\":true}", json!({ "a": null, "b": null, "c": true })),
        ("a word with a bad byte in it", b"[12\xff3,tr\xffue,4]", json!([null, null, 4])),
        ("no value", br#"{"a":,"b":1,"c":}"#, json!({ "a": null, "b": 1, "c": null })),
        ("a key alone", br#"{"a","b":1,"c"}"#, json!({ "a": null, "b": 1, "c": null })),
        ("superfluous commas", br#"[,1,,2,]"#, json!([1, 2])),
        ("superfluous commas in an object", br#"{,"a":1,,"b":2,}"#, json!({ "a": 1, "b": 2 })),
        ("something behind it", b"{\"a\":1}\n\0}],0\r\n", json!({ "a": 1 })),
        ("the same key twice", br#"{"a":1,"a":2,}"#, json!({ "a": 2 })),
    ];
    for (name, document, expected) in table {
        assert_eq!(read(document).as_ref(), Ok(expected), "{name}");
        assert_eq!(read_bearable(document).as_ref(), Ok(expected), "{name}");
    }
}

#[test]
fn what_says_not_where_things_belong_is_no_json() {
    for document in [
        "",
        " ",
        "{",
        "[",
        r#"{"incidents":[{"id":"P1"},{"id":"P2""#,
        r#"{"incidents":[{"id":"P1"},{"id":"P2"}]"#,
        "[\"a",
        "[\"a\\",
        "[\"\\ud83d",
        "[1",
        "[1}",
        "{\"a\":1}{\"a\":2}",
        "[1]\0[2]",
        "{\"a\":1]",
        "[1 2]",
        "[1:2]",
        "[\"a\" \"b\"]",
        "[\"say \"hello\" to all\"]",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{\"a\"::1}",
        "]",
        ",",
        "upstream connect error",
        "<html><body>{}</body></html>",
        "NaN",
        "\u{feff}",
    ] {
        assert_eq!(read(document.as_bytes()), Err(NotJson), "{document}");
        assert_eq!(read_bearable(document.as_bytes()), Err(Unreadable::NotJson(NotJson)), "{document}");
    }
}

#[test]
fn what_is_too_deep_costs_itself() {
    let within = |part: &str| format!(r#"{{"before":1,"deep":{part},"after":[{{"a":2}}]}}"#);
    for depth in [1, 100, 126] {
        let document = within(&nested(depth));
        assert_eq!(read(document.as_bytes()).unwrap(), serde_json::from_str::<Value>(&document).unwrap(), "{depth}");
    }
    for depth in [127, 128, 200, 10_000, 100_000] {
        let read = read_bearable(within(&nested(depth)).as_bytes()).unwrap();
        assert_eq!((&read["before"], &read["after"]), (&json!(1), &json!([{ "a": 2 }])), "{depth}");
        let mut deep = &read["deep"];
        let mut levels = 0;
        while let Some(inner) = deep.get(0) {
            deep = inner;
            levels += 1;
        }
        assert_eq!((levels, deep), (126, &Value::Null), "{depth}");
    }
    // As deep as the strict reader goes, also if something else has to be mended.
    let mended = read(format!("[{},1e999]", nested(126)).as_bytes()).unwrap();
    assert_eq!(mended[0], serde_json::from_str::<Value>(&nested(126)).unwrap());
    let marks = within(&format!("{}\"]}}\\\"{{\"{}", "[".repeat(200), "]".repeat(200)));
    assert_eq!(read(marks.as_bytes()).unwrap()["after"], json!([{ "a": 2 }]));
    assert_eq!(read(within(&"[".repeat(200)).as_bytes()), Err(NotJson));
}

#[test]
fn parts_are_counted_before_values_are_made_of_them() {
    let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
    for (name, document, expected) in [
        ("as many as may be", list("[]", 1_999), true),
        ("one more", list("[]", 2_000), false),
        ("one more, and half an emoji", format!("[\"\\ud83d\",{}]", list("[]", 1_999)), false),
        ("too many behind a quotation mark that is not one", format!("[\"\\u\",{}]", list("[]", 3_000)), false),
        ("a tower beside a few", format!("[{},1]", nested(50_000)), true),
        ("many towers", format!("[{}]", vec![nested(200); 100].join(",")), false),
    ] {
        let read = read_bearable(document.as_bytes());
        assert_eq!(read.is_ok(), expected, "{name}: {read:?}");
        assert!(expected || read == Err(Unreadable::TooManyParts), "{name}");
    }
    // In UTF-16, bytes of other characters look like quotation marks.
    let mut document = vec![0xff, 0xfe];
    document.extend(format!("[\"\u{2200}\",{}]", list("[]", 3_000)).encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(read_bearable(&document), Err(Unreadable::TooManyParts));
    assert!(read(list("[]", 100_000).as_bytes()).is_ok(), "an answer that we asked for is not limited");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[\\\\\"{}\\[\\],:u d83\u{1f600}\u{1}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..6)
                .prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// What has been seen in the place of a value, and what is read of it.
fn damaged() -> impl Strategy<Value = (Vec<u8>, Value)> {
    let half = (0xd800_u16..0xe000).prop_map(|half| (format!("\"a\\u{half:04x}z\"").into_bytes(), json!("a\u{fffd}z")));
    let byte = (0x80_u8..=0xff).prop_map(|byte| (vec![b'"', b'a', byte, b'"'], json!("a\u{fffd}")));
    let control = (0_u8..0x20).prop_map(|byte| (vec![b'"', byte, b'"'], json!(char::from(byte).to_string())));
    let number = "-?[1-9][0-9]{0,3}[eE][+]?[1-9][0-9]{3}".prop_map(|number| (number.into_bytes(), Value::Null));
    let word =
        "NaN|-?Infinity|undefined|None|nul|[+][0-9]|0[0-9]{1,5}".prop_map(|word| (word.into_bytes(), Value::Null));
    prop_oneof![half, byte, control, number, word]
}

proptest! {
    #[test]
    fn what_is_valid_is_read_as_ever(value in value(), pretty: bool) {
        let document = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert_eq!(read(&document).ok(), serde_json::from_slice(&document).ok());
        if value.is_object() || value.is_array() {
            // Mended, it is the same still.
            let mended = super::mend(&document).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&mended).unwrap(), serde_json::from_slice::<Value>(&document).unwrap());
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused(document in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = read(&document) {
            prop_assert_eq!(read(&serde_json::to_vec(&value).unwrap()), Ok(value));
        }
    }

    #[test]
    fn what_looks_like_json_is_read_or_refused(document in "([\\[\\]{},:\"\\\\u0-9a-f ]|\\\\ud83d|\u{fffd}|\"a\":){0,60}") {
        if let Ok(value) = read(document.as_bytes()) {
            prop_assert_eq!(read(&serde_json::to_vec(&value).unwrap()), Ok(value));
        }
    }

    #[test]
    fn damage_costs_one_value(
        before in prop::collection::btree_map("[a-l]{1,3}", value(), 0..4),
        after in prop::collection::btree_map("[n-z]{1,3}", value(), 0..4),
        (bytes, expected) in damaged(),
        mark: bool,
        behind in "[ \r\n\u{0}\u{feff}}]{0,3}",
    ) {
        let part = |fields: &std::collections::BTreeMap<String, Value>| {
            fields.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect::<Vec<_>>().join(",")
        };
        let mut document = if mark { "\u{feff}{" } else { "{" }.as_bytes().to_vec();
        document.extend(part(&before).into_bytes());
        document.extend(if before.is_empty() { &b"\"m\":"[..] } else { b",\"m\":" });
        document.extend(bytes);
        document.extend(if after.is_empty() { &b""[..] } else { b"," });
        document.extend(part(&after).into_bytes());
        document.extend(b"}");
        document.extend(behind.into_bytes());
        // The strict reader's own rounding of a fraction is not in question.
        let strict = |fields: std::collections::BTreeMap<String, Value>| {
            fields.into_iter().map(|(key, value)| (key, serde_json::from_str(&value.to_string()).unwrap()))
        };
        let whole: Map<String, Value> = strict(before).chain([("m".to_owned(), expected)]).chain(strict(after)).collect();
        prop_assert_eq!(read(&document), Ok(Value::from(whole)));
    }

    #[test]
    fn a_beginning_is_never_taken_for_the_whole(value in value(), cut: prop::sample::Index, damage: bool) {
        let whole = if damage { format!("{{\"a\":[1e999,{value}]}}") } else { format!("{{\"a\":[{value}]}}") };
        let cut = cut.index(whole.len());
        prop_assert_eq!(read(&whole.as_bytes()[..cut]), Err(NotJson));
    }
}
