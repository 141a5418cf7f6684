//! What a step leads to, and why one does not work.

use std::sync::Arc;

use domain::failure::Class;
use domain::ids::{EntraUserId, TenantId};
use domain::linking::AccountLink;
use domain::proof::Number;
use pagerduty::oauth::OAuthError;
use runtime::{App, RefusesSecret, SecretError, SecretValues};
use secrecy::SecretString;
use url::Url;

/// What the browser gets to see next.
#[derive(Debug)]
pub(crate) enum Step {
    /// PagerDuty's log-in.
    ToPagerDuty { url: Url, browser: String, in_teams: bool },
    /// The confirmation page, under an address without code and state.
    ToConfirmation { in_teams: bool },
    /// The confirmation page.
    Ask { question: Question, csrf: String, in_teams: bool },
    /// The person has said yes; Teams has not named them yet.
    Waits(Waiting),
    /// The link is made.
    Linked(AccountLink),
    /// The team is connected, and its admin logged in to the configuration page.
    Connected { team: String, session: String },
    /// An admin is logged in to the configuration page.
    LoggedIn { session: String },
    /// The person decided against it.
    Cancelled,
}

impl Step {
    /// Whether Teams' sign-in window is where it is shown.
    pub(crate) fn is_in_teams(&self) -> bool {
        match self {
            Self::ToPagerDuty { in_teams, .. } | Self::ToConfirmation { in_teams } | Self::Ask { in_teams, .. } => {
                *in_teams
            }
            Self::Waits(waiting) => waiting.in_teams,
            Self::Linked(_) | Self::Connected { .. } | Self::LoggedIn { .. } | Self::Cancelled => false,
        }
    }
}

/// What a person is told before anything is done.
#[derive(Debug)]
pub(crate) enum Question {
    /// Who would be linked to whom.
    Link(LinkQuestion),
    /// What would be connected to what. `asked_by`: whose personal link was followed.
    Team { team: String, tenant: String, asked_by: String, account: String, admin: String },
}

/// Who would be linked to whom.
#[derive(Debug)]
pub(crate) struct LinkQuestion {
    pub(crate) teams: String,
    /// The Teams user's sign-in name, if Teams says it.
    pub(crate) upn: Option<String>,
    pub(crate) tenant: String,
    pub(crate) pagerduty: String,
    pub(crate) names_differ: bool,
    /// Other Teams users who act as this PagerDuty user already.
    pub(crate) others: Vec<String>,
}

/// A page that waits until Teams has named the person.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// As Teams shows the user whose link was followed.
    pub(crate) teams: String,
    /// Whose link was followed, in Entra: the page gives its code to no other user's window.
    pub(crate) user: EntraUserId,
    pub(crate) tenant: TenantId,
    /// What the page hands over to Teams.
    pub(crate) code: SecretString,
    /// What the person may write instead; `None`: that is switched off.
    pub(crate) number: Option<Number>,
    /// Whether the link was opened by the sign-in button of Teams.
    pub(crate) in_teams: bool,
}

/// Why linking did not work, as far as it concerns the person in the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The personal link or the log-in is too old, was used, or belongs to another browser.
    LinkExpired,
    /// The person said no at PagerDuty.
    Denied,
    /// PagerDuty ended the log-in for another reason, or somebody made that up in the address: nothing of ours has failed.
    NotLetIn,
    /// The PagerDuty user belongs to another account than the one that is connected to Teams.
    WrongAccount,
    /// The link proves nothing outside of Teams, and was opened there.
    OnlyInTeams,
    /// The PagerDuty user's role does not allow it.
    NotAdmin,
    /// The team is connected to another account.
    OtherAccount,
    /// PagerDuty granted less than the app needs.
    MissingScopes,
    /// PagerDuty does not accept the token that it has just given.
    TokenRefused,
    /// PagerDuty or AWS does not answer.
    TryAgain,
    /// Something is configured wrongly.
    Broken,
}

/// PagerDuty led back with an error instead of a code.
pub(crate) fn denied(error: &str) -> Failure {
    if error == "access_denied" { Failure::Denied } else { Failure::NotLetIn }
}

/// Why a code was not exchanged.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    Secret(SecretError),
    OAuth(OAuthError),
}

impl From<SecretError> for ExchangeError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl From<OAuthError> for ExchangeError {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl RefusesSecret for ExchangeError {
    fn refuses_secret(&self) -> bool {
        matches!(self, Self::OAuth(error) if error.refuses_client())
    }
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Secret(error) => unreadable(error),
            ExchangeError::OAuth(error) => oauth(error),
        }
    }
}

pub(crate) async fn secrets(app: &App) -> Result<Arc<SecretValues>, Failure> {
    app.secrets.values(app.clock.now()).await.map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn unreadable(error: SecretError) -> Failure {
    tracing::error!(error = runtime::chain(&error), "secret cannot be read");
    Failure::TryAgain
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(crate) fn table(error: store::Error) -> Failure {
    tracing::error!(error = runtime::chain(&error), "table failed");
    Failure::TryAgain
}

pub(crate) fn broken(error: impl std::error::Error + 'static) -> Failure {
    tracing::error!(error = runtime::chain(&error), "linking is broken");
    Failure::Broken
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(crate) fn oauth(error: OAuthError) -> Failure {
    tracing::warn!(error = runtime::chain(&error), "PagerDuty's OAuth refused");
    match error.class() {
        Class::Relink => Failure::LinkExpired,
        Class::Retry { .. } | Class::Unclear => Failure::TryAgain,
        Class::Forbidden | Class::Gone | Class::Invalid | Class::Bug => Failure::Broken,
    }
}
