//! Reading what a newer version has stored: a part that this version does not know costs that part and never the item.
//!
//! Functions change over one by one, and a version can be rolled back, so items of a newer version are read. Serde ignores
//! unknown fields by itself; for the rest each stored field says with one of these functions what an unknown value means. It
//! is said at the field and not at the type, since what comes from outside (a request, a webhook) is read strictly.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A stored word, and what one of a newer version stands for.
pub trait Stored {
    /// The meaning that does no harm.
    const UNKNOWN: Self;
}

/// The same for a field that is not there.
#[must_use]
pub fn unknown<T: Stored>() -> T {
    T::UNKNOWN
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part<T> {
    Known(T),
    Unknown(IgnoredAny),
}

impl<T> Part<T> {
    fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(IgnoredAny) => None,
        }
    }
}

/// An unknown value is [`Stored::UNKNOWN`].
pub fn or_unknown<'de, D: Deserializer<'de>, T: Deserialize<'de> + Stored>(from: D) -> Result<T, D::Error> {
    Ok(or_none(from)?.unwrap_or(T::UNKNOWN))
}

/// An unknown value is as if it were not there.
pub fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Ok(Part::<Option<T>>::deserialize(from)?.known().flatten())
}

/// An unknown value is the default.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(or_none(from)?.unwrap_or_default())
}

/// Unknown elements are left out.
pub fn known_ones<'de, D, T, C>(from: D) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    C: IntoIterator<Item = T> + FromIterator<T>,
{
    let parts = or_none::<_, Vec<Part<T>>>(from)?.unwrap_or_default();
    Ok(parts.into_iter().filter_map(Part::known).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Old,
        Other,
    }

    impl Stored for Word {
        const UNKNOWN: Self = Self::Other;
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Item {
        #[serde(deserialize_with = "or_unknown")]
        word: Word,
        #[serde(default, deserialize_with = "or_none")]
        maybe: Option<u64>,
        #[serde(default, deserialize_with = "or_default")]
        count: u32,
        #[serde(default, deserialize_with = "known_ones")]
        words: BTreeSet<Word>,
    }

    #[test]
    fn what_is_unknown_costs_its_own_part() {
        let item =
            |word, maybe, count, words: &[Word]| Item { word, maybe, count, words: words.iter().copied().collect() };
        let nothing = item(Word::Other, None, 0, &[]);
        for (json, expected) in [
            (
                r#"{"word":"old","maybe":7,"count":3,"words":["old","other"]}"#,
                item(Word::Old, Some(7), 3, &[Word::Old, Word::Other]),
            ),
            (r#"{"word":"old"}"#, item(Word::Old, None, 0, &[])),
            (r#"{"word":"new","maybe":"seven","count":-1,"words":["new"],"field":{}}"#, nothing),
            (
                r#"{"word":{"new":{"of":1}},"maybe":{},"count":[],"words":[{"old":1},7,"old",null]}"#,
                item(Word::Other, None, 0, &[Word::Old]),
            ),
            (r#"{"word":null,"maybe":null,"count":null,"words":"old"}"#, item(Word::Other, None, 0, &[])),
        ] {
            assert_eq!(serde_json::from_str::<Item>(json).unwrap(), expected, "{json}");
        }
    }
}
