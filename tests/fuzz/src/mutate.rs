//! How an input becomes another one: bytes, words that mean something to somebody, and JSON values.

use fastrand::Rng;

/// Pieces that mean something to some reader: markup, JSON, numbers, ids, addresses, characters that hide or join.
const WORDS: &[&str] = &[
    "[ok](https://evil.example)",
    "![i](https://evil.example/i.png)",
    "**",
    "_",
    "`",
    "~~",
    "|",
    "\n# ",
    "\n- ",
    "\n---\n",
    "<https://evil.example>",
    "https://evil.example/",
    "http://evil.example",
    "//evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "<at>everyone</at>",
    "<AT id=\"0\">",
    "</at>",
    "<at",
    "{{DATE(2026-01-01T00:00:00Z, SHORT)}}",
    "{{",
    "}}",
    "${x}",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;at&gt;",
    "&#60;at&#62;",
    "&amp;",
    "&",
    "<",
    ">",
    "\"",
    "'",
    "[",
    "]",
    "(",
    ")",
    "](",
    "\\",
    "\\\\",
    "\\u0000",
    "\\ud83d",
    "\\ude00",
    "\\ud83d\\ude00",
    "\\u202e",
    "\\uD800",
    "\\x41",
    "\u{0}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{ad}",
    "\u{200b}",
    "\u{200d}",
    "\u{200f}",
    "\u{2028}",
    "\u{202e}",
    "\u{2066}",
    "\u{2800}",
    "\u{3164}",
    "\u{feff}",
    "\u{fe0f}",
    "\u{fffd}",
    "\u{e0041}",
    "\u{10ffff}",
    "🚒",
    "👩\u{200d}🚒",
    "é",
    "e\u{301}",
    "ﬀ",
    "ß",
    "İ",
    "K",
    "\r\n",
    "\n",
    "\t",
    " ",
    "\u{1e}",
    "#",
    ";",
    ":",
    ",",
    "=",
    "%",
    "%00",
    "%0a",
    "%2F",
    "%23",
    "+",
    "..",
    "/",
    "/../",
    "0",
    "-0",
    "1",
    "-1",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e999",
    "-1e999",
    "1e-999",
    "0.1",
    "1E+2",
    "00",
    "0x10",
    "NaN",
    "Infinity",
    "99999999999999999999999999999999999999",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "{\"a\":1}",
    "[null]",
    "{\"type\":",
    "\"id\":",
    "2026-11-23T09:00:00Z",
    "2026-11-23T09:00:00.123456789+23:59",
    "9999-12-31T23:59:60Z",
    "-9999-01-01T00:00:00Z",
    "0000-00-00",
    "Q1",
    "PINC",
    "P1",
    "19:abc@thread.tacv2",
    ";messageid=1",
    "a:1",
    "29:1",
    "CARD",
    "RECORD",
    "TEAM",
    "GREETING",
    "incident.triggered",
    "incident.acknowledged",
    "incident.resolved",
    "incident.annotated",
    "pagey.ping",
    "service.updated",
    "message",
    "invoke",
    "task/fetch",
    "task/submit",
    "adaptiveCard/action",
    "signin/verifyState",
    "application/search",
    "conversationUpdate",
    "installationUpdate",
    "acknowledge",
    "resolve",
    "high",
    "low",
    "triggered",
    "resolved",
    "help",
    "linkUser",
    "connect",
    "list",
    "trigger",
    "page",
    "settings",
    "Bearer ",
    "v1=",
    "__Host-pagerbridge-session=",
    "https://acme.pagerduty.com/incidents/Q1",
    "https://pagerduty.com.evil.example/",
    "https://acme.pagerduty.com@evil.example/",
];

/// What may stand where a JSON value stood.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e999",
    "18446744073709551616",
    "-9223372036854775809",
    "\"\"",
    "\"x\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "\"\\ufffd\"",
    "\"#\"",
    "\"<at>x</at>\"",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "{\"\":null}",
    "{\"id\":\"Q1\"}",
    "{\"id\":1}",
    "[{\"id\":\"Q1\"},{\"id\":\"Q1\"}]",
    "\"2026-11-23T09:00:00Z\"",
    "\"https://evil.example/\"",
    "NaN",
    "",
    "undefined",
];

/// A new input, made of one or two of these.
#[must_use]
pub fn one(rng: &mut Rng, pool: &[Vec<u8>], most: usize) -> Vec<u8> {
    let pick = |rng: &mut Rng| rng.choice(pool).cloned().unwrap_or_default();
    let mut input = pick(rng);
    for _ in 0..=rng.usize(..5) {
        match rng.u8(..17) {
            0 => flip(rng, &mut input),
            1 => overwrite(rng, &mut input),
            2..=4 => insert(rng, &mut input),
            5 => leave_out(rng, &mut input),
            6 => double(rng, &mut input),
            7 => {
                let other = pick(rng);
                splice(rng, &mut input, &other);
            }
            8 => repeat(rng, &mut input, most),
            9 => nest(rng, &mut input),
            10..=13 => change_value(rng, &mut input),
            14 => swap_values(rng, &mut input),
            15 => replace_word(rng, &mut input),
            _ => shorten(rng, &mut input),
        }
    }
    input.truncate(most);
    input
}

fn place(rng: &mut Rng, input: &[u8]) -> usize {
    rng.usize(..=input.len())
}

fn word(rng: &mut Rng) -> &'static [u8] {
    rng.choice(WORDS).map_or(&[], |word| word.as_bytes())
}

fn flip(rng: &mut Rng, input: &mut [u8]) {
    let at = rng.usize(..input.len().max(1));
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << rng.u8(..8);
    }
}

fn overwrite(rng: &mut Rng, input: &mut Vec<u8>) {
    let at = place(rng, input);
    let word = if rng.bool() { vec![rng.u8(..)] } else { word(rng).to_vec() };
    let end = (at + word.len()).min(input.len());
    input.splice(at..end, word);
}

fn insert(rng: &mut Rng, input: &mut Vec<u8>) {
    let at = place(rng, input);
    input.splice(at..at, word(rng).iter().copied());
}

fn range(rng: &mut Rng, input: &[u8]) -> std::ops::Range<usize> {
    let at = place(rng, input);
    // Mostly a few bytes, sometimes everything to the end.
    let most = if rng.u8(..8) == 0 { input.len() - at } else { (input.len() - at).min(32) };
    at..at + rng.usize(..=most)
}

fn leave_out(rng: &mut Rng, input: &mut Vec<u8>) {
    let range = range(rng, input);
    input.drain(range);
}

fn double(rng: &mut Rng, input: &mut Vec<u8>) {
    let range = range(rng, input);
    let part = input.get(range.clone()).unwrap_or_default().to_vec();
    input.splice(range.end..range.end, part);
}

fn splice(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    let (end, begin) = (place(rng, input), place(rng, other));
    input.truncate(end);
    input.extend(other.get(begin..).unwrap_or_default());
}

/// Long texts are rarer than they look: most of the time is spent on short inputs.
fn repeat(rng: &mut Rng, input: &mut Vec<u8>, most: usize) {
    let (at, word) = (place(rng, input), word(rng));
    let bytes = if rng.u8(..16) == 0 { most } else { rng.usize(..600) };
    let times = bytes / word.len().max(1);
    input.splice(at..at, word.repeat(times));
}

fn nest(rng: &mut Rng, input: &mut Vec<u8>) {
    let depth = if rng.u8(..4) == 0 { rng.usize(..4_000) } else { rng.usize(..200) };
    let (open, close): (&[u8], &[u8]) = if rng.bool() { (b"[", b"]") } else { (b"{\"a\":", b"}") };
    let spans = values(input);
    let (at, end) = rng.choice(&spans).copied().unwrap_or_else(|| (place(rng, input), input.len()));
    let at = at.min(end);
    input.splice(end..end, close.repeat(depth));
    input.splice(at..at, open.repeat(depth));
}

fn shorten(rng: &mut Rng, input: &mut Vec<u8>) {
    let end = place(rng, input);
    input.truncate(end);
}

fn change_value(rng: &mut Rng, input: &mut Vec<u8>) {
    let spans = values(input);
    let Some((at, end)) = rng.choice(&spans).copied() else { return insert(rng, input) };
    let is_text = input.get(at) == Some(&b'"') && end > at + 1;
    if is_text && rng.u8(..3) > 0 {
        // Something within the text, or all of it.
        let (from, to) = if rng.bool() { (at + 1, end - 1) } else { (end - 1, end - 1) };
        let word = word(rng);
        let escaped: Vec<u8> = word
            .iter()
            .flat_map(|byte| {
                if matches!(byte, b'"' | b'\n') {
                    vec![b'\\', if *byte == b'"' { b'"' } else { b'n' }]
                } else {
                    vec![*byte]
                }
            })
            .collect();
        let times = if rng.u8(..32) == 0 { 400 } else { 1 };
        input.splice(from..to, escaped.repeat(times));
    } else {
        let value = rng.choice(VALUES).map_or(&[][..], |value| value.as_bytes());
        input.splice(at..end, value.iter().copied());
    }
}

fn swap_values(rng: &mut Rng, input: &mut Vec<u8>) {
    let spans = values(input);
    let (Some((at, end)), Some((from, to))) = (rng.choice(&spans).copied(), rng.choice(&spans).copied()) else {
        return;
    };
    let value = input.get(from..to).unwrap_or_default().to_vec();
    input.splice(at..end, value);
}

/// One of the parts between separators, as in a query, a header or a list of texts.
fn replace_word(rng: &mut Rng, input: &mut Vec<u8>) {
    let separators = b" ,;&=#/.:\x1e\n";
    let mut parts = vec![0];
    parts.extend(input.iter().enumerate().filter(|(_, byte)| separators.contains(byte)).map(|(at, _)| at + 1));
    let Some(at) = rng.choice(&parts).copied() else { return };
    let end =
        input.iter().skip(at).position(|byte| separators.contains(byte)).map_or(input.len(), |length| at + length);
    input.splice(at..end, word(rng).iter().copied());
}

/// Where the values of a document are that may be none: texts, numbers and names, lists and objects.
fn values(input: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut open, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(byte) = input.get(at) {
        let begin = at;
        at += 1;
        match byte {
            b'"' => {
                while let Some(byte) = input.get(at) {
                    at += if *byte == b'\\' { 2 } else { 1 };
                    if *byte == b'"' {
                        break;
                    }
                }
                at = at.min(input.len());
                found.push((begin, at));
            }
            b'[' | b'{' => open.push(begin),
            b']' | b'}' => found.extend(open.pop().map(|begin| (begin, at))),
            byte if byte.is_ascii_alphanumeric() || *byte == b'-' => {
                let rest = input.iter().skip(at);
                at += rest.take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
                found.push((begin, at));
            }
            _ => {}
        }
        if found.len() > 4_000 {
            break;
        }
    }
    found
}
