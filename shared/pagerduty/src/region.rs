//! PagerDuty's service regions.

/// Where an account lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// United States.
    Us,
    /// Europe.
    Eu,
}

/// Neither `us` nor `eu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PagerDuty region is us or eu")]
pub struct UnknownRegion;

impl Region {
    /// Base of the REST API.
    #[must_use]
    pub fn api_url(self) -> &'static str {
        match self {
            Self::Us => "https://api.pagerduty.com",
            Self::Eu => "https://api.eu.pagerduty.com",
        }
    }

    /// Base of OAuth: one host for both regions.
    #[must_use]
    pub fn identity_url(self) -> &'static str {
        "https://identity.pagerduty.com"
    }

    pub(crate) fn scope_name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }
}

impl std::str::FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        match text {
            "us" => Ok(Self::Us),
            "eu" => Ok(Self::Eu),
            _ => Err(UnknownRegion),
        }
    }
}
