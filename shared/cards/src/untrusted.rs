//! Where foreign text becomes something that a card may hold.
//!
//! Teams renders a `TextBlock`, a fact and a `fallbackText` as Markdown and expands `{{DATE(…)}}` in them, while a `TextRun`
//! is shown as it is (Adaptive Cards docs, "Text features"). So there are three kinds of text: [`Own`] can only be made of
//! our own words and fits everywhere; [`Plain`] may hold foreign text and fits only where nothing is interpreted; [`Escaped`]
//! is made of either for a place that renders Markdown, and looks there as it was. A title can therefore not reach a place that
//! renders markup, whoever writes the next card.

use std::borrow::Cow;

use domain::zone::Zone;
use jiff::Timestamp;
use serde::Serialize;

/// What stands in for the part of a text that was cut off.
const ELLIPSIS: char = '…';

/// Text that came from outside: an incident's title, a note, a name.
///
/// Has no `Display`; the only way out is [`Untrusted::literal`].
#[derive(Debug, Clone, Copy)]
pub struct Untrusted<'a>(&'a str);

impl<'a> Untrusted<'a> {
    /// Marks `text` as foreign.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The text on one line, at most `limit` UTF-16 units long, with a visible "…" if it was cut.
    ///
    /// Characters that hide or reorder others are dropped. A space takes the life out of `{{` and `<at`, for a client
    /// that expands functions or mentions where it should not.
    #[must_use]
    pub fn literal(self, limit: usize) -> String {
        shortened(&defused(&visible(self.0, limit)), limit)
    }
}

/// One line of visible characters; only as much of it as `limit` can show, and a bit more if there is more.
fn visible(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = length > 0;
        } else if !is_invisible(c) {
            if gap {
                line.push(' ');
            }
            line.push(c);
            length += 1 + usize::from(gap);
            gap = false;
        }
        if length > limit {
            break;
        }
    }
    line
}

/// Characters that change how others look without being seen themselves: direction marks and overrides, zero-width
/// characters, fillers, and the tag and variation ranges in which text can be hidden. The two variation selectors that
/// choose between the looks of an emoji stay.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

fn defused(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '{' && safe.ends_with('{') {
            safe.push(' ');
        }
        safe.push(c);
        if c == '<' && opens_mention(rest.as_str()) {
            safe.push(' ');
        }
    }
    safe
}

fn opens_mention(after_bracket: &str) -> bool {
    let name = after_bracket.strip_prefix('/').unwrap_or(after_bracket);
    name.get(..2).is_some_and(|name| name.eq_ignore_ascii_case("at"))
}

/// A host, of which the end counts: whoever owns a name may put anything before it.
pub(crate) fn host_within(host: &str, limit: usize) -> String {
    if utf16_len(host) <= limit {
        return host.to_owned();
    }
    let kept: Vec<char> = host.chars().rev().take(limit.saturating_sub(1)).collect();
    std::iter::once(ELLIPSIS).chain(kept.into_iter().rev()).collect()
}

fn shortened(text: &str, limit: usize) -> String {
    if utf16_len(text) <= limit {
        return text.to_owned();
    }
    let mut left = limit.saturating_sub(ELLIPSIS.len_utf16());
    let kept = text.chars().take_while(|c| match left.checked_sub(c.len_utf16()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    let mut short: String = kept.collect();
    short.truncate(short.trim_end().len());
    short.push(ELLIPSIS);
    short
}

/// Teams measures texts and messages in UTF-16 units.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Our own words, free of markup: fits where Markdown and date functions are interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Own(Cow<'static, str>);

impl From<&'static str> for Own {
    fn from(words: &'static str) -> Self {
        Self(Cow::Borrowed(words))
    }
}

impl Own {
    pub(crate) fn number(self, number: u64) -> Self {
        Self(Cow::Owned(format!("{}{number}", self.0)))
    }

    /// How many of something, as in "1,412".
    pub(crate) fn count(self, count: u64) -> Self {
        Self(Cow::Owned(format!("{}{}", self.0, grouped(count))))
    }

    pub(crate) fn own(self, words: &'static str) -> Self {
        Self(Cow::Owned(format!("{}{words}", self.0)))
    }

    pub(crate) fn append(self, other: &Self) -> Self {
        Self(Cow::Owned(format!("{}{}", self.0, other.0)))
    }

    /// As in "23 Nov 2026, 09:36 UTC".
    pub(crate) fn time(self, at: Timestamp) -> Self {
        Self(Cow::Owned(format!("{}{}", self.0, utc(at))))
    }

    /// As in "23 Nov 2026, 10:36 CET (Europe/Berlin)".
    pub(crate) fn time_in(self, at: Timestamp, zone: &Zone) -> Self {
        let there = zone.at(at);
        let short = there.strftime("%Z").to_string();
        let named = if short == zone.name() { short } else { format!("{short} ({zone})") };
        Self(Cow::Owned(format!("{}{} {named}", self.0, there.strftime("%-d %b %Y, %H:%M"))))
    }

    /// As in "10:36 CET", or "24 Nov 2026, 10:36 CET" where the day is another one than `day`'s.
    pub(crate) fn clock_in(self, at: Timestamp, day: Option<Timestamp>, zone: &Zone) -> Self {
        let there = zone.at(at);
        let is_same_day = day.is_some_and(|day| zone.at(day).date() == there.date());
        let form = if is_same_day { "%H:%M %Z" } else { "%-d %b %Y, %H:%M %Z" };
        Self(Cow::Owned(format!("{}{}", self.0, there.strftime(form))))
    }

    /// As in "23 Nov 2026".
    pub(crate) fn day(self, at: Timestamp) -> Self {
        Self(Cow::Owned(format!("{}{}", self.0, at.strftime("%-d %b %Y"))))
    }

    /// As in "09:36 UTC".
    pub(crate) fn clock(self, at: Timestamp) -> Self {
        Self(Cow::Owned(format!("{}{}", self.0, at.strftime("%H:%M UTC"))))
    }

    /// As in "09:36:42 UTC".
    pub(crate) fn exact_clock(self, at: Timestamp) -> Self {
        Self(Cow::Owned(format!("{}{}", self.0, at.strftime("%H:%M:%S UTC"))))
    }
}

/// Text that may hold foreign parts: fits only where nothing is interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Plain(String);

impl From<&'static str> for Plain {
    fn from(words: &'static str) -> Self {
        Self(words.to_owned())
    }
}

impl From<Own> for Plain {
    fn from(own: Own) -> Self {
        Self(own.0.into_owned())
    }
}

impl Plain {
    pub(crate) fn own(mut self, words: &'static str) -> Self {
        self.0.push_str(words);
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.push_str(&number.to_string());
        self
    }

    /// An incident's number and a space, as in "#1234 "; nothing for 0, since then it was not legible.
    pub(crate) fn incident(self, number: u64) -> Self {
        if number == 0 { self } else { self.own("#").number(number).own(" ") }
    }

    /// How many of something, as in "1,412".
    pub(crate) fn count(mut self, count: u64) -> Self {
        self.0.push_str(&grouped(count));
        self
    }

    pub(crate) fn time(mut self, at: Timestamp) -> Self {
        self.0.push_str(&utc(at));
        self
    }

    /// What somebody typed, given back to them alone into the input that they typed it into.
    pub(crate) fn typed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Foreign text of at most `limit` UTF-16 units; `instead` if there is nothing to see in it.
    pub(crate) fn foreign_or(mut self, text: &str, limit: usize, instead: &'static str) -> Self {
        let text = Untrusted::new(text).literal(limit);
        self.0.push_str(if text.is_empty() { instead } else { &text });
        self
    }

    /// The same with its line breaks; of several blank lines one is left.
    pub(crate) fn foreign_lines_or(mut self, text: &str, limit: usize, instead: &'static str) -> Self {
        let mut left = limit;
        let mut lines: Vec<String> = Vec::new();
        let mut rest = text.trim().lines();
        while let Some(line) = rest.next() {
            let line = Untrusted::new(line).literal(left);
            let is_second_blank = line.is_empty() && lines.last().is_some_and(String::is_empty);
            if is_second_blank {
                continue;
            }
            left = left.saturating_sub(utf16_len(&line) + 1);
            let is_cut = line.ends_with(ELLIPSIS);
            lines.push(line);
            if left <= 1 {
                if !is_cut && rest.next().is_some() {
                    lines.push(ELLIPSIS.to_string());
                }
                break;
            }
        }
        let text = lines.join("\n");
        self.0.push_str(if text.trim().is_empty() { instead } else { text.trim() });
        self
    }

    pub(crate) fn append(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    pub(crate) fn utf16_len(&self) -> usize {
        utf16_len(&self.0)
    }

    /// The text as it is.
    pub(crate) fn into_literal(self) -> String {
        self.0
    }

    /// For messages and toasts, where it is not written down anywhere how much Markdown a client understands: a space
    /// between the two halves of a link or image leaves it readable and dead.
    pub(crate) fn into_message(self) -> String {
        self.0.replace("](", "] (")
    }
}

/// Text for a place that renders Markdown, where it looks as it was: what would be read as markup stands behind a backslash.
///
/// Only what a renderer would take for markup where it stands is escaped, since a client that knows no escapes shows the backslash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Escaped(Cow<'static, str>);

impl From<&'static str> for Escaped {
    fn from(words: &'static str) -> Self {
        Self(Cow::Borrowed(words))
    }
}

impl From<Own> for Escaped {
    fn from(own: Own) -> Self {
        Self(own.0)
    }
}

impl From<Plain> for Escaped {
    fn from(plain: Plain) -> Self {
        Self(Cow::Owned(escaped(&plain.0)))
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before: Option<char> = None;
    let mut rest = text.chars();
    let mut is_start = true;
    while let Some(c) = rest.next() {
        let after = rest.clone().next();
        let within_word = before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        let is_markup = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '^' | '~' | '$' | '|' => true,
            '_' => !within_word,
            // Entities are read everywhere.
            '&' => after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '#'),
            // Two of them mark or begin something in one dialect or other.
            '{' | ':' | '=' | '+' | '!' | '-' | '%' => after == Some(c) || before == Some(c),
            _ => false,
        };
        // What makes a line a heading, a list, a quotation.
        let is_line_markup = is_start
            && (matches!(c, '>' | '+' | '-' | '=' | ':') || (c == '#' && !after.is_some_and(|c| c.is_ascii_digit())));
        let ends_number = matches!(c, '.' | ')') && !safe.is_empty() && safe.bytes().all(|byte| byte.is_ascii_digit());
        if is_markup || is_line_markup || ends_number {
            safe.push('\\');
        }
        safe.push(c);
        is_start = false;
        before = Some(c);
    }
    safe
}

fn utc(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_visible_harmless_line() {
        let table = [
            ("DB down", "DB down"),
            ("", ""),
            ("  two\r\n\tlines\u{2028}three \u{0000} ", "two lines three"),
            ("pay\u{200B}ment\u{200D}s\u{FEFF}\u{00AD}", "payments"),
            ("\u{202E}evil\u{202C} \u{2066}x\u{2069}\u{200F}\u{061C}", "evil x"),
            ("hid\u{E0041}\u{E0042}den\u{3164}", "hidden"),
            ("⚠\u{FE0F} 🚒 tür", "⚠\u{FE0F} 🚒 tür"),
            ("**bold** [a](https://b) `c` &lt;", "**bold** [a](https://b) `c` &lt;"),
            ("{{DATE(2026-01-01T00:00:00Z)}}", "{ {DATE(2026-01-01T00:00:00Z)}}"),
            ("{{{{", "{ { { {"),
            ("{\u{200B}{TIME", "{ {TIME"),
            ("<at>Ada</at> <AT id=\"0\"> <\u{200B}at>", "< at>Ada< /at> < AT id=\"0\"> < at>"),
            ("a < b, <b> <é", "a < b, <b> <é"),
        ];
        for (foreign, shown) in table {
            assert_eq!(Untrusted::new(foreign).literal(100), shown, "{foreign:?}");
        }
    }

    #[test]
    fn cut_text_says_so_and_keeps_its_limit_in_utf16() {
        let table = [
            ("12345", 5, "12345"),
            ("123456", 5, "1234…"),
            ("123 567", 5, "123…"),
            ("🚒🚒🚒", 6, "🚒🚒🚒"),
            ("🚒🚒🚒", 5, "🚒🚒…"),
            ("🚒🚒🚒", 4, "🚒…"),
            ("{{{{", 5, "{ {…"),
            ("12345   ", 5, "12345"),
        ];
        for (foreign, limit, shown) in table {
            let cut = Untrusted::new(foreign).literal(limit);
            assert!(utf16_len(&cut) <= limit, "{cut:?}");
            assert_eq!(cut, shown, "{foreign:?} in {limit}");
        }
    }

    #[test]
    fn times_are_written_for_everybody_and_for_the_reader() {
        let at: Timestamp = "2026-11-03T09:06:42.992Z".parse().unwrap();
        assert_eq!(utc(at), "3 Nov 2026, 09:06 UTC");
        let there = |zone: &str| Own::from("").time_in(at, &Zone::named(zone).unwrap());
        assert_eq!(there("UTC"), Own::from("3 Nov 2026, 09:06 UTC"));
        assert_eq!(there("Europe/Berlin"), Own::from("3 Nov 2026, 10:06 CET (Europe/Berlin)"));
        assert_eq!(there("Asia/Dubai"), Own::from("3 Nov 2026, 13:06 +04 (Asia/Dubai)"));
        let tokyo = Zone::named("Asia/Tokyo").unwrap();
        let (same, other) = ("2026-11-03T14:59:00Z".parse().unwrap(), "2026-11-03T15:00:00Z".parse().unwrap());
        assert_eq!(Own::from("").clock_in(at, Some(same), &tokyo), Own::from("18:06 JST"));
        assert_eq!(Own::from("").clock_in(at, Some(other), &tokyo), Own::from("3 Nov 2026, 18:06 JST"));
        assert_eq!(Own::from("").clock_in(at, None, &tokyo), Own::from("3 Nov 2026, 18:06 JST"));
    }

    #[test]
    fn markup_stands_behind_a_backslash_and_ordinary_text_as_it_is() {
        let table = [
            (
                "#12 DB down on db-1.example (eu_west): 97 % & rising!",
                "#12 DB down on db-1.example (eu_west): 97 % & rising!",
            ),
            ("**bold** _it_ `c` ~~s~~", r"\*\*bold\*\* \_it\_ \`c\` \~\~s\~\~"),
            ("[a](https://evil) ![i](x) <b>", r"\[a\](https://evil) !\[i\](x) \<b>"),
            ("&lt; &#60; & A&B", r"\&lt; \&#60; & A\&B"),
            ("# heading", r"\# heading"),
            ("- item", r"\- item"),
            ("1. item", r"1\. item"),
            ("2) item 3) more", r"2\) item 3) more"),
            ("v1. item", "v1. item"),
            (r"C:\temp", r"C:\\temp"),
            ("a | b $x$ ==m== --- ++u++", r"a \| b \$x\$ \=\=m\=\= \-\-\- \+\+u\+\+"),
        ];
        for (plain, shown) in table {
            assert_eq!(escaped(plain), shown, "{plain}");
        }
    }

    #[test]
    fn of_a_long_host_the_end_is_seen() {
        assert_eq!(host_within("wiki.example", 12), "wiki.example");
        assert_eq!(host_within("login.bank.example.evil.test", 12), "…e.evil.test");
        assert_eq!(utf16_len(&host_within(&"a".repeat(300), 40)), 40);
    }

    #[test]
    fn links_in_messages_fall_apart() {
        let text = Plain::from("Note: ").foreign_or("[ok](https://evil) ![i](x)", 100, "").into_message();
        assert_eq!(text, "Note: [ok] (https://evil) ![i] (x)");
    }

    #[test]
    fn thousands_are_kept_apart() {
        let table = [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")];
        for (count, text) in table {
            assert_eq!(grouped(count), text);
        }
    }
}
