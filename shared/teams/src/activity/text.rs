//! A message's text as the person meant it.
//!
//! In a channel every message to the bot begins with its mention, and text that was pasted can hold HTML entities and
//! no-break spaces.

/// Longest entity that we look for, with `&` and `;`: `&#1114111;`.
const MAX_ENTITY_BYTES: usize = 10;

/// Removes each of `own_mentions` once (a person may bear the bot's name), decodes entities once, collapses white space.
pub(super) fn plain<'a>(text: &str, own_mentions: impl Iterator<Item = &'a str>) -> String {
    let unmentioned = own_mentions.fold(text.to_owned(), |text, mention| text.replacen(mention, " ", 1));
    decode(&unmentioned).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        match entity(after) {
            Some((character, remaining)) => {
                decoded.push(character);
                rest = remaining;
            }
            None => {
                decoded.push('&');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// The character that the entity at the start of `text` (after its `&`) stands for, and what follows.
fn entity(text: &str) -> Option<(char, &str)> {
    let end = text.bytes().take(MAX_ENTITY_BYTES).position(|b| b == b';')?;
    let (name, rest) = (text.get(..end)?, text.get(end + 1..)?);
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => numeric(name.strip_prefix('#')?)?,
    };
    Some((character, rest))
}

fn numeric(digits: &str) -> Option<char> {
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok()?,
        None if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
        Some(_) | None => return None,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_person_meant() {
        let bot = "<at>PagerDuty</at>";
        for (text, mentions, expected) in [
            ("<at>PagerDuty</at> linkUser", vec![bot], "linkUser"),
            ("<at>PagerDuty</at>linkUser", vec![bot], "linkUser"),
            ("please <at>PagerDuty</at>\n help ", vec![bot], "please help"),
            ("<at>PagerDuty</at>&nbsp;linkUser\u{a0}now", vec![bot], "linkUser now"),
            // The second one is a person of that name, so only as many as the bot's own go.
            ("<at>PagerDuty</at> tell <at>PagerDuty</at>", vec![bot], "tell <at>PagerDuty</at>"),
            ("<at>PagerDuty</at> <at>PagerDuty</at> help", vec![bot, bot], "help"),
            ("ask <at>Kim</at>", vec![], "ask <at>Kim</at>"),
            ("<at>R&amp;D</at> a", vec!["<at>R&amp;D</at>"], "a"),
            ("a &lt;b&gt; &amp; &quot;c&quot; &#39;d&apos; &#x41;&#X42;", vec![], "a <b> & \"c\" 'd' AB"),
            // Decoded once: what a person typed as an entity stays one.
            ("&amp;lt;", vec![], "&lt;"),
            (
                "R&D & &; &#; &#x; &bogus; &#xD800; &#1114112; &amp",
                vec![],
                "R&D & &; &#; &#x; &bogus; &#xD800; &#1114112; &amp",
            ),
            ("&#+65; &é;", vec![], "&#+65; &é;"),
            ("  a\r\n\tb  ", vec![], "a b"),
            ("", vec![], ""),
        ] {
            assert_eq!(plain(text, mentions.into_iter()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,80}") {
            let read = plain(&text, std::iter::empty());
            prop_assert!(!read.starts_with(char::is_whitespace) && !read.ends_with(char::is_whitespace));
        }

        #[test]
        fn an_escaped_text_is_read_as_it_was(words in proptest::collection::vec("[a-z<>&\"';#]{1,8}", 0..6)) {
            let text = words.join(" ");
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;");
            prop_assert_eq!(plain(&escaped, std::iter::empty()), text);
        }
    }
}
