//! What the schedule, or somebody by hand, asks for.

use serde::Deserialize;

/// How much a run looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// What is unfinished here, disabled subscriptions and the newest incidents; everything, if that is due.
    Due,
    /// The same without everything.
    Short,
    /// Everything.
    #[default]
    Full,
}

/// The input of an invocation. Who gives none that says otherwise gets a full round.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum Input {
    /// As the template's schedules write it.
    Asked { round: Extent },
    /// Anything else.
    Other(serde::de::IgnoredAny),
}

impl Input {
    /// How much to look at.
    #[must_use]
    pub fn extent(self) -> Extent {
        match self {
            Self::Asked { round } => round,
            Self::Other(_) => Extent::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_ask_for_less_gets_everything() {
        for (input, expected) in [
            (r#"{"round":"due"}"#, Extent::Due),
            (r#"{"round":"short"}"#, Extent::Short),
            (r#"{"round":"full"}"#, Extent::Full),
            (r#"{"round":"longer"}"#, Extent::Full),
            (r#"{"source":"aws.events","detail":{}}"#, Extent::Full),
            ("{}", Extent::Full),
            ("null", Extent::Full),
        ] {
            assert_eq!(serde_json::from_str::<Input>(input).unwrap().extent(), expected, "{input}");
        }
    }
}
