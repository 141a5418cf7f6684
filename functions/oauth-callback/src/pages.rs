//! The pages that a person sees in the browser. Plain, without scripts, and without anything secret in their address.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderName, StatusCode};
use axum::response::{Html, IntoResponse};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::linking::AccountLink;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::outcome::{Failure, Question};

const STYLE: &str = include_str!("page.css");

/// "You've successfully linked …", word for word as PagerDuty's guide has it.
fn linked_text(teams: &str, pagerduty: &str, email: &str) -> String {
    format!(
        "You've successfully linked your user accounts. All PagerDuty actions you perform as {teams} in Microsoft Teams \
         will be associated with {pagerduty} ({email}) in PagerDuty. If this is not correct, please enter the @PagerDuty \
         unlinkUser command in Microsoft Teams to unlink your account."
    )
}

/// Word for word as PagerDuty's guide has it.
fn connected_text(team: &str) -> String {
    format!("You've successfully connected the {team} team to PagerDuty")
}

/// Word for word as PagerDuty's guide has it.
const EXPIRED: &str = "We can't connect Microsoft Teams to PagerDuty. The authorization link has expired or is not valid. \
                       Return to Teams to generate a new one. You may close this window.";

/// Word for word as PagerDuty's guide has it.
const NOT_NOW: &str = "We can't connect Microsoft Teams to PagerDuty. Authorization cannot be completed at this time. You \
                       may close this window.";

/// The question before anything is done. It names all sides, so that a link that was passed on links or connects no stranger.
pub(crate) fn ask(question: &Question, csrf: &str) -> impl IntoResponse + use<> {
    match question {
        Question::Link { teams, pagerduty } => form(&Form {
            title: "Link your accounts?",
            means: "Everything that this person does with PagerDuty cards in Microsoft Teams will happen in the name of this PagerDuty user.",
            about: &[("Microsoft Teams", teams), ("PagerDuty", pagerduty)],
            warning: "If you are not both of them, choose Cancel: somebody else's link may have been passed on to you.",
            yes: "Link accounts",
            csrf,
        }),
        Question::Team { team, tenant, asked_by, account, admin } => form(&Form {
            title: "Connect this team to PagerDuty?",
            means: "PagerBridge will be able to post this account's incidents in the team's channels. Members can act on them once they have linked their accounts.",
            about: &[
                ("Microsoft Teams team", team),
                ("Microsoft 365 tenant", tenant),
                // An installation says who, but not their name; a message says both.
                ("Asked for by", if asked_by.is_empty() { "The person who added the app" } else { asked_by }),
                ("PagerDuty account", account),
                ("You are", admin),
            ],
            warning: "If you do not know this team, choose Cancel: somebody may have passed on a link to you.",
            yes: "Connect team",
            csrf,
        }),
    }
}

/// What is asked before anything is done.
struct Form<'a> {
    title: &'a str,
    means: &'a str,
    about: &'a [(&'a str, &'a str)],
    warning: &'a str,
    yes: &'a str,
    csrf: &'a str,
}

fn form(form: &Form<'_>) -> impl IntoResponse + use<> {
    page(
        StatusCode::OK,
        form.title,
        &html! {
            p { (form.means) }
            dl {
                @for (what, which) in form.about {
                    dt { (what) }
                    dd { (which) }
                }
            }
            p { (form.warning) }
            form method="post" action="/oauth/confirm" {
                input type="hidden" name="csrf" value=(form.csrf);
                button class="primary" type="submit" name="choice" value="link" { (form.yes) }
                button type="submit" name="choice" value="cancel" { "Cancel" }
            }
        },
    )
}

/// The team is connected.
pub(crate) fn connected(team: &str) -> impl IntoResponse + use<> {
    page(
        StatusCode::OK,
        "Team connected",
        &html! {
            p role="status" { (connected_text(team)) }
            p { "You can now connect PagerDuty services to the team's channels." }
            p { a class="primary" href="/admin" { "Open the configuration page" } }
        },
    )
}

/// The link is made.
pub(crate) fn linked(link: &AccountLink) -> impl IntoResponse + use<> {
    let text = linked_text(&link.teams_name, &link.pd_name, &link.pd_email);
    page(StatusCode::OK, "Accounts linked", &html! { p { (text) } })
}

/// The person decided against it.
pub(crate) fn cancelled() -> impl IntoResponse + use<> {
    page(
        StatusCode::OK,
        "Nothing was changed",
        &html! { p { "You chose Cancel, so nothing was linked or connected. You may close this window." } },
    )
}

/// It did not work.
pub(crate) fn failed(failure: &Failure) -> impl IntoResponse + use<> {
    let (status, text, hint) = match failure {
        Failure::LinkExpired => (StatusCode::BAD_REQUEST, EXPIRED, None),
        Failure::Denied => {
            (StatusCode::FORBIDDEN, NOT_NOW, Some("You did not allow PagerBridge to act for you in PagerDuty."))
        }
        Failure::NotLetIn => {
            (StatusCode::BAD_REQUEST, NOT_NOW, Some("PagerDuty ended the log-in. Please try again in a minute."))
        }
        Failure::WrongAccount => (
            StatusCode::FORBIDDEN,
            NOT_NOW,
            Some(
                "Please verify that your PagerDuty credentials are correct and that your user is provisioned under the PagerDuty \
                 account that is connected to Teams. Use the open command in any channel to find that account.",
            ),
        ),
        Failure::NotAdmin => (
            StatusCode::FORBIDDEN,
            NOT_NOW,
            Some("Please ensure that your PagerDuty role is Account Owner or Global Admin, and try again."),
        ),
        Failure::OtherAccount => (
            StatusCode::CONFLICT,
            NOT_NOW,
            Some("This team is connected to another PagerDuty account. Disconnect it there first."),
        ),
        Failure::MissingScopes => (
            StatusCode::FORBIDDEN,
            NOT_NOW,
            Some(
                "PagerDuty did not grant all the permissions that PagerBridge needs. Please ask your PagerDuty admin to check the app's scopes.",
            ),
        ),
        Failure::TryAgain => (
            StatusCode::SERVICE_UNAVAILABLE,
            NOT_NOW,
            Some("PagerDuty or PagerBridge does not answer right now. Please try again in a minute."),
        ),
        Failure::Broken => (
            StatusCode::INTERNAL_SERVER_ERROR,
            NOT_NOW,
            Some(
                "PagerBridge could not read PagerDuty's answer. Please tell the person who operates it; the log has the reason.",
            ),
        ),
    };
    page(
        status,
        "That did not work",
        &html! {
            p role="alert" { (text) }
            @if let Some(hint) = hint { p { (hint) } }
        },
    )
}

fn page(status: StatusCode, title: &str, content: &Markup) -> impl IntoResponse + use<> {
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – PagerBridge" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    p class="brand" { "PagerBridge" }
                    h1 { (title) }
                    (content)
                }
            }
        }
    };
    (status, headers(), Html(body.into_string()))
}

fn headers() -> [(HeaderName, String); 7] {
    let mut policy = String::from("default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
    // A digest of the one style sheet instead of 'unsafe-inline'.
    let _infallible =
        write!(policy, "; style-src 'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes())));
    runtime::page_headers(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_text_is_the_guides() {
        assert_eq!(
            linked_text("Ada", "Ada L", "ada@example.com"),
            "You've successfully linked your user accounts. All PagerDuty actions you perform as Ada in Microsoft Teams will \
             be associated with Ada L (ada@example.com) in PagerDuty. If this is not correct, please enter the @PagerDuty \
             unlinkUser command in Microsoft Teams to unlink your account."
        );
    }

    #[test]
    fn team_text_is_the_guides() {
        assert_eq!(connected_text("SRE"), "You've successfully connected the SRE team to PagerDuty");
    }

    #[test]
    fn names_are_shown_as_text() {
        let page = html! { dd { ("<script>alert(1)</script>") } }.into_string();
        assert_eq!(page, "<dd>&lt;script&gt;alert(1)&lt;/script&gt;</dd>");
    }
}
