//! What a step leads to, and why one does not work.

use std::sync::Arc;

use domain::failure::Class;
use domain::linking::AccountLink;
use pagerduty::oauth::OAuthError;
use runtime::{App, SecretValues};
use url::Url;

/// What the browser gets to see next.
#[derive(Debug)]
pub(crate) enum Step {
    /// PagerDuty's log-in.
    ToPagerDuty { url: Url, browser: String },
    /// The confirmation page, under an address without code and state.
    ToConfirmation,
    /// The confirmation page.
    Ask { question: Question, csrf: String },
    /// The link is made.
    Linked(AccountLink),
    /// The team is connected, and its admin logged in to the configuration page.
    Connected { team: String, session: String },
    /// An admin is logged in to the configuration page.
    LoggedIn { session: String },
    /// The person decided against it.
    Cancelled,
}

/// What a person is told before anything is done.
#[derive(Debug)]
pub(crate) enum Question {
    /// Who would be linked to whom.
    Link { teams: String, pagerduty: String },
    /// What would be connected to what. `asked_by`: whose personal link was followed.
    Team { team: String, tenant: String, asked_by: String, account: String, admin: String },
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
    /// The PagerDuty user's role does not allow it.
    NotAdmin,
    /// The team is connected to another account.
    OtherAccount,
    /// PagerDuty granted less than the app needs.
    MissingScopes,
    /// PagerDuty or AWS does not answer.
    TryAgain,
    /// Something is configured wrongly.
    Broken,
}

/// PagerDuty led back with an error instead of a code.
pub(crate) fn denied(error: &str) -> Failure {
    if error == "access_denied" { Failure::Denied } else { Failure::NotLetIn }
}

pub(crate) async fn secrets(app: &App) -> Result<Arc<SecretValues>, Failure> {
    app.secrets.values(app.clock.now()).await.map_err(|error| {
        tracing::error!(error = runtime::chain(&error), "secret cannot be read");
        Failure::TryAgain
    })
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
