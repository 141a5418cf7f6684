//! Finds secrets where none may be: in logs, errors, messages, metrics, answers, and in the table in clear.
//!
//! A canary is a secret that somebody has collected, from Secrets Manager, from a neighbour or from a browser. It is looked for as it
//! is, and in the forms in which it could have come somewhere: in base64 at each of the three places in its groups, in hexadecimal
//! digits, encoded for addresses, and decoded, if it is base64 itself.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// What is shorter stands in a text by chance.
const SHORTEST: usize = 8;

/// How many bits tell most texts from the begin of a secret.
const FILTER: u32 = 18;

/// So much of what stands around a finding is told.
const AROUND: usize = 60;

/// A secret, with the forms in which it is looked for.
#[derive(Debug, Clone)]
pub struct Canary {
    pub name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

/// A secret in a place where it must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub canary: String,
    pub place: String,
    /// In which form.
    pub form: &'static str,
    /// What stands before it.
    pub around: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}, {}, after {:?}", self.canary, self.place, self.form, self.around)
    }
}

impl Canary {
    /// `None` for what is too short to be told from other texts.
    #[must_use]
    pub fn new(name: &str, secret: &str) -> Option<Self> {
        if secret.len() < SHORTEST {
            return None;
        }
        let mut forms = vec![("as it is", secret.as_bytes().to_vec())];
        let mut add = |form, bytes: Vec<u8>| {
            if bytes.len() >= SHORTEST && !forms.iter().any(|(_, known)| *known == bytes) {
                forms.push((form, bytes));
            }
        };
        add("encoded for addresses", percent_encode(secret.as_bytes(), NON_ALPHANUMERIC).to_string().into_bytes());
        let quoted = serde_json::Value::from(secret).to_string();
        add("as JSON", quoted.trim_matches('"').as_bytes().to_vec());
        for (form, bytes) in encodings(secret.as_bytes()) {
            add(form, bytes);
        }
        let decoded = BASE64_STANDARD.decode(secret).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(secret));
        // Most words are base64 as well, and stand for few bytes.
        if let Ok(decoded) = decoded.map_err(drop).and_then(|bytes| if bytes.len() >= 16 { Ok(bytes) } else { Err(()) })
        {
            add("decoded", decoded.clone());
            for (_, bytes) in encodings(&decoded) {
                add("decoded and encoded anew", bytes);
            }
        }
        Some(Self { name: name.to_owned(), forms })
    }
}

fn encodings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut found =
        vec![("in upper hexadecimal", hex.to_uppercase().into_bytes()), ("in hexadecimal", hex.into_bytes())];
    for before in 0..3 {
        // The digits at both ends depend on what stands beside it.
        let padded = [vec![0; before], secret.to_vec()].concat();
        for text in [BASE64_STANDARD_NO_PAD.encode(&padded), BASE64_URL_SAFE_NO_PAD.encode(&padded)] {
            let begin = (before * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            found.push(("in base64", text.as_bytes().get(begin..end).unwrap_or_default().to_vec()));
        }
    }
    found
}

/// One form of a canary.
type Form<'c> = (&'c Canary, &'static str, &'c [u8]);

/// Every canary that stands in the text, once for each form. One pass, since logs are long.
#[must_use]
pub fn found(canaries: &[Canary], place: &str, text: &[u8]) -> Vec<Finding> {
    let mut begins: BTreeMap<u64, Vec<Form<'_>>> = BTreeMap::new();
    let mut maybe = vec![false; 1 << FILTER];
    for canary in canaries {
        for (form, bytes) in &canary.forms {
            let begin = bytes.iter().take(SHORTEST).fold(0, |begin, byte| begin << 8 | u64::from(*byte));
            begins.entry(begin).or_default().push((canary, form, bytes));
            if let Some(place) = maybe.get_mut(slot(begin)) {
                *place = true;
            }
        }
    }
    let (mut findings, mut told, mut last) = (Vec::new(), BTreeSet::new(), 0_u64);
    for (end, byte) in text.iter().enumerate() {
        last = last << 8 | u64::from(*byte);
        if end + 1 < SHORTEST || maybe.get(slot(last)) != Some(&true) {
            continue;
        }
        let at = end + 1 - SHORTEST;
        for (canary, form, bytes) in begins.get(&last).into_iter().flatten() {
            let is_whole = text.get(at..at + bytes.len()) == Some(*bytes);
            if is_whole && told.insert((&canary.name, *form)) {
                let before = text.get(at.saturating_sub(AROUND)..at).unwrap_or_default();
                let around = String::from_utf8_lossy(before).into_owned();
                findings.push(Finding { canary: canary.name.clone(), place: place.to_owned(), form, around });
            }
        }
    }
    findings
}

/// Where the first bytes of a form are noted.
fn slot(begin: u64) -> usize {
    usize::try_from(begin.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t+of/Ada=Wong";

    #[test]
    fn a_secret_is_found_in_every_form() {
        let canaries = [Canary::new("token", SECRET).unwrap()];
        let forms = [
            SECRET.to_owned(),
            percent_encode(SECRET.as_bytes(), NON_ALPHANUMERIC).to_string(),
            SECRET.bytes().map(|byte| format!("{byte:02x}")).collect(),
            BASE64_STANDARD.encode(SECRET),
            BASE64_STANDARD.encode(format!("a{SECRET}bc")),
            BASE64_STANDARD.encode(format!("ab{SECRET}")),
            BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"token\":\"{SECRET}\"}}")),
        ];
        for form in forms {
            let text = format!("before {form} after");
            let finding = found(&canaries, "log", text.as_bytes()).into_iter().next();
            assert_eq!(finding.map(|finding| finding.canary), Some("token".to_owned()), "{form}");
        }
        let key = BASE64_STANDARD.encode([0xab; 32]);
        let canaries = [Canary::new("key", &key).unwrap()];
        assert_eq!(found(&canaries, "table", &[0xab; 40]).len(), 1);
        let hex = "ab".repeat(32);
        assert_eq!(found(&canaries, "table", hex.as_bytes()).len(), 1);
    }

    #[test]
    fn nothing_else_is_found() {
        let canaries = [Canary::new("token", SECRET).unwrap()];
        for text in ["", "s3cr3t", "s3cr3t+of/Ada", "hello world, this is a line of a log"] {
            assert_eq!(found(&canaries, "log", text.as_bytes()), [], "{text}");
        }
        assert!(Canary::new("short", "1234567").is_none());
    }
}
