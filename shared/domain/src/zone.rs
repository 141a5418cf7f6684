//! In which time zone a channel reads its times.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::forward::Stored;

/// Longest name of a zone; the longest real one has half of it.
const MAX_NAME: usize = 64;

/// A time zone by its IANA name, as in "Europe/Berlin".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// The name of no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no time zone has this name")]
pub struct UnknownZone;

impl Zone {
    /// Everybody's.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of this IANA name, in any case.
    ///
    /// # Errors
    /// [`UnknownZone`] if no zone has this name.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        let name = name.trim();
        let is_name = name.len() <= MAX_NAME && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"/_+-".contains(&c));
        let zone = TimeZone::get(name).ok().filter(|zone| is_name && zone.iana_name().is_some());
        zone.map(Self).ok_or(UnknownZone)
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The time there.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> ZonedDateTime {
        at.to_zoned_datetime(self.0.clone())
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl Stored for Zone {
    const UNKNOWN: Self = Self::UTC;
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::named(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_their_names() {
        for (name, zone) in [
            ("Europe/Berlin", Ok("Europe/Berlin")),
            (" europe/berlin ", Ok("Europe/Berlin")),
            ("America/Argentina/Buenos_Aires", Ok("America/Argentina/Buenos_Aires")),
            ("UTC", Ok("UTC")),
            ("Etc/GMT+3", Ok("Etc/GMT+3")),
            ("", Err(UnknownZone)),
            ("CET-1CEST", Err(UnknownZone)),
            ("../../etc/passwd", Err(UnknownZone)),
            ("Atlantis/Capital", Err(UnknownZone)),
        ] {
            assert_eq!(Zone::named(name).map(|zone| zone.name().to_owned()), zone.map(str::to_owned), "{name}");
        }
        assert_eq!(Zone::UTC.name(), "UTC");
    }

    #[test]
    fn a_stored_zone_of_another_database_is_utc() {
        #[derive(Deserialize)]
        struct Item {
            #[serde(default, deserialize_with = "crate::forward::or_unknown")]
            zone: Zone,
        }
        let read = |json: &str| serde_json::from_str::<Item>(json).unwrap().zone;
        assert_eq!(read(r#"{"zone":"Europe/Berlin"}"#), Zone::named("Europe/Berlin").unwrap());
        assert_eq!(read(r#"{"zone":"Atlantis/Capital"}"#), Zone::UTC);
        assert_eq!(read("{}"), Zone::UTC);
        assert_eq!(serde_json::to_value(Zone::named("Asia/Tokyo").unwrap()).unwrap(), "Asia/Tokyo");
    }
}
