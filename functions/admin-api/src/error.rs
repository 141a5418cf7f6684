//! What the API answers instead of what was asked for: a status, a code for the page, a sentence for the person.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::failure::Class;
use serde::Serialize;
use setup::SetupError;
use utoipa::ToSchema;

use crate::reply::forget_cookie;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    error: Details,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct Details {
    /// For programs.
    code: &'static str,
    /// For people.
    message: String,
}

/// Why it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotLoggedIn,
    NotAdmin,
    NoCsrf,
    /// Not there, or of another account: a stranger does not learn which.
    NotFound(&'static str),
    Invalid(String),
    Setup {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
    Failed,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::NotLoggedIn => {
                (StatusCode::UNAUTHORIZED, "not_logged_in", "Please log in with PagerDuty.".to_owned())
            }
            Self::NotAdmin => (
                StatusCode::FORBIDDEN,
                "not_admin",
                "Only an Account Owner or Global Admin of the PagerDuty account may do this.".to_owned(),
            ),
            Self::NoCsrf => (
                StatusCode::FORBIDDEN,
                "csrf",
                "This request did not come from the configuration page. Please reload it.".to_owned(),
            ),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}.")),
            Self::Invalid(message) => (StatusCode::BAD_REQUEST, "invalid", message),
            Self::Setup { status, code, message } => (status, code, message),
            Self::Failed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "try_again",
                "This did not work. Please try again in a minute.".to_owned(),
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let ends_session = self == Self::NotAdmin;
        let (status, code, message) = self.parts();
        let answer = (status, Json(Problem { error: Details { code, message } }));
        if ends_session { (forget_cookie(), answer).into_response() } else { answer.into_response() }
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        tracing::error!(error = runtime::chain(&error), "table failed");
        Self::Failed
    }
}

impl From<runtime::SecretError> for Refusal {
    fn from(error: runtime::SecretError) -> Self {
        tracing::error!(error = runtime::chain(&error), "secret cannot be read");
        Self::Failed
    }
}

impl From<SetupError> for Refusal {
    fn from(error: SetupError) -> Self {
        tracing::warn!(error = runtime::chain(&error), "setting up failed");
        let code = match &error {
            SetupError::ServiceUnknown { .. } => "service_unknown",
            SetupError::TooManySubscriptions => "too_many_subscriptions",
            SetupError::Busy => "busy",
            SetupError::ChannelUnreachable { .. } => "channel_unreachable",
            SetupError::NotConnected => "not_connected",
            SetupError::OtherAccount => "other_account",
            SetupError::Outdated => "outdated",
            SetupError::PagerDuty(_) | SetupError::AppToken(_) => "pagerduty",
            SetupError::Teams(_) => "teams",
            SetupError::Table(_)
            | SetupError::Queue(_)
            | SetupError::Observe(_)
            | SetupError::BrokenOff(_)
            | SetupError::Secret(_)
            | SetupError::Random(_)
            | SetupError::Seal(_)
            | SetupError::PublicUrl(_) => "try_again",
        };
        let status = match error.class() {
            class if class.may_pass() => StatusCode::SERVICE_UNAVAILABLE,
            Class::Invalid | Class::Gone => StatusCode::CONFLICT,
            Class::Bug => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::Setup { status, code, message: error.to_string() }
    }
}
