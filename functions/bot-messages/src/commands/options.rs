//! What may stand behind a service's address: how the channel is to be told.

use domain::connection::{Manner, Mentions};
use domain::zone::Zone;

/// What stands there cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadOption {
    /// Neither `mention` nor `zone`.
    #[error(
        "I do not know \"{0}\" behind the address. Write mention assignees or mention nobody, and zone with a name such as Europe/Berlin"
    )]
    Unknown(String),
    /// No zone has this name.
    #[error("there is no time zone \"{0}\". Write its name as in zone Europe/Berlin")]
    Zone(String),
    /// Nobody or assignees.
    #[error("whom shall I mention? Write mention assignees or mention nobody")]
    Whom,
}

/// Reads `mention assignees`, `mention nobody` and `zone Europe/Berlin`, in any order and case.
pub(super) fn manner(options: &str) -> Result<Manner, BadOption> {
    let mut manner = Manner::default();
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_str() {
            "mention" | "mentions" => {
                manner.mentions = Some(match words.next().map(str::to_ascii_lowercase).as_deref() {
                    Some("assignee" | "assignees") => Mentions::Assignees,
                    Some("nobody" | "none") => Mentions::Nobody,
                    _ => return Err(BadOption::Whom),
                });
            }
            "zone" => {
                let name = words.next().unwrap_or_default();
                manner.zone = Some(Zone::named(name).map_err(|_| BadOption::Zone(name.to_owned()))?);
            }
            _ => return Err(BadOption::Unknown(word.to_owned())),
        }
    }
    Ok(manner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order() {
        let manner_of =
            |mentions, zone: Option<&str>| Manner { mentions, zone: zone.map(|zone| Zone::named(zone).unwrap()) };
        let table = [
            ("", Ok(manner_of(None, None))),
            (" mention assignees", Ok(manner_of(Some(Mentions::Assignees), None))),
            ("zone europe/berlin MENTION Nobody", Ok(manner_of(Some(Mentions::Nobody), Some("Europe/Berlin")))),
            ("mention", Err(BadOption::Whom)),
            ("mention everybody", Err(BadOption::Whom)),
            ("zone Mars/Base", Err(BadOption::Zone("Mars/Base".to_owned()))),
            ("zone", Err(BadOption::Zone(String::new()))),
            ("loudly", Err(BadOption::Unknown("loudly".to_owned()))),
        ];
        for (options, expected) in table {
            assert_eq!(manner(options), expected, "{options}");
        }
    }
}
