//! The pages that a person sees in the browser. Plain, without anything secret in their address, and without scripts but for
//! the one that waits.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::http::{HeaderName, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::linking::AccountLink;
use domain::proof::{Number, Standing};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::outcome::{Failure, LinkQuestion, Question, Waiting};

const STYLE: &str = include_str!("page.css");
const WAIT: &str = include_str!("wait.js");

/// Microsoft's script that hands the code over to Teams, from Microsoft's own place: Teams supports no other. A copy that was
/// changed does not run. The npm package `@microsoft/teams-js` has the same bytes.
const TEAMS_JS: &str = "https://res.cdn.office.net/teams-js/2.58.0/js/MicrosoftTeams.min.js";
const TEAMS_JS_INTEGRITY: &str = "sha384-sMo/EOqQPa1OCup2/VBRum7oFeOS22kvs8WGDc45xK53tUVZzFR5WwFYDUYN1LO4";

/// The list of hosts that the script takes for Teams. Without it, it uses the one that it was made with.
const TEAMS_ORIGINS: &str = "https://res.cdn.office.net/teams-js/validDomains/json/validDomains.json";

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
pub(crate) fn ask(question: &Question, csrf: &str) -> Response {
    match question {
        Question::Link(question) => ask_to_link(question, csrf),
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
            warnings: &[
                "If you do not know this team, choose Cancel: somebody may have passed on a link to you.".to_owned()
            ],
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
    warnings: &'a [String],
    yes: &'a str,
    csrf: &'a str,
}

fn ask_to_link(question: &LinkQuestion, csrf: &str) -> Response {
    let LinkQuestion { teams, upn, tenant, pagerduty, names_differ, others } = question;
    let mut warnings = Vec::new();
    if *names_differ {
        warnings.push(match upn {
            Some(_) => "The sign-in name in Teams and the address in PagerDuty differ. Anybody can take a display name, so make sure that this Teams user is you.".to_owned(),
            None => "Teams did not say the sign-in name of this user. Anybody can take a display name, so make sure that this Teams user is you.".to_owned(),
        });
    }
    if !others.is_empty() {
        warnings.push(format!(
            "This PagerDuty user is linked to another Teams user already: {}. They will be told of a second link.",
            others.join(", ")
        ));
    }
    warnings.push(
        "If you are not both of them, choose Cancel: somebody else's link may have been passed on to you.".to_owned(),
    );
    form(&Form {
        title: "Link your accounts?",
        means: "Everything that this person does with PagerDuty cards in Microsoft Teams will happen in the name of this PagerDuty user.",
        about: &[
            ("Microsoft Teams", teams),
            ("Sign-in name in Teams", upn.as_deref().unwrap_or("(not known)")),
            ("Microsoft 365 tenant", tenant),
            ("PagerDuty", pagerduty),
        ],
        warnings: &warnings,
        yes: "Link accounts",
        csrf,
    })
}

fn form(form: &Form<'_>) -> Response {
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
            @for warning in form.warnings {
                p class="warning" { (warning) }
            }
            form method="post" action="/oauth/confirm" {
                input type="hidden" name="csrf" value=(form.csrf);
                button class="primary" type="submit" name="choice" value="link" { (form.yes) }
                button type="submit" name="choice" value="cancel" { "Cancel" }
            }
        },
    )
}

/// The team is connected.
pub(crate) fn connected(team: &str) -> Response {
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

/// Waits until Teams has named the person, and tells them how to bring that about.
pub(crate) fn waits(waiting: &Waiting) -> Response {
    let Waiting { teams, user, tenant, code, number, in_teams } = waiting;
    let by_number = by_number(teams, number.as_ref());
    let content = html! {
        @if *in_teams {
            script id="teams-js" src=(TEAMS_JS) integrity=(TEAMS_JS_INTEGRITY) crossorigin="anonymous" async {}
            p id="by-teams" role="status" hidden { "Teams is finishing this. The window closes by itself." }
            p id="by-another" role="alert" hidden {
                "This window belongs to another Teams user than the one whose link was opened in it. Somebody may have passed on a link to you. Nothing was linked; please close this window."
            }
        }
        div id="by-number" hidden[*in_teams] { (by_number) }
        @if *in_teams {
            noscript { (by_number) }
        }
        noscript { p { "Then load this page again." } }
    };
    let scripts = if *in_teams { Scripts::WaitingInTeams } else { Scripts::Waiting };
    let framed = framed("One more step", &content);
    let main = html! {
        @if *in_teams {
            main data-code=(code.expose_secret()) data-user=(user.as_str()) data-tenant=(tenant.as_str()) { (framed) }
        } @else {
            main { (framed) }
        }
    };
    document(StatusCode::OK, "One more step", &html! { (main) script { (PreEscaped(WAIT)) } }, scripts)
}

fn by_number(teams: &str, number: Option<&Number>) -> Markup {
    html! {
        @match number {
            Some(number) => {
                p { "Write this number to PagerBridge, in your private chat with it in Microsoft Teams, as " (teams) ":" }
                p class="number" { (number) }
                p class="warning" { "Never give it to anybody: whoever asks you for it wants to act in your name." }
                p role="status" { "This page goes on by itself as soon as the number has arrived." }
            }
            None => {
                p role="alert" { "Teams has not taken over. If this window stays, please close it and press Link Accounts in PagerBridge's private message once more." }
            }
        }
    }
}

/// How the log-in stands that a waiting page asks for.
pub(crate) fn standing(standing: &Result<Standing, Failure>) -> Response {
    let (status, link) = match standing {
        Ok(Standing::Waiting) => (StatusCode::OK, "waiting"),
        Ok(Standing::Linked) => (StatusCode::OK, "linked"),
        Ok(Standing::Over) => (StatusCode::OK, "over"),
        Err(Failure::LinkExpired) => (StatusCode::BAD_REQUEST, "over"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unknown"),
    };
    (status, headers(Scripts::None), Json(json!({ "link": link }))).into_response()
}

/// The link is made.
pub(crate) fn linked(link: &AccountLink) -> Response {
    page(StatusCode::OK, "Accounts linked", &html! { p role="status" { (cards::linked_sentence(link)) } })
}

/// The person decided against it.
pub(crate) fn cancelled() -> Response {
    page(
        StatusCode::OK,
        "Nothing was changed",
        &html! { p { "You chose Cancel, so nothing was linked or connected. You may close this window." } },
    )
}

/// It did not work.
pub(crate) fn failed(failure: &Failure) -> Response {
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
        Failure::OnlyInTeams => (
            StatusCode::FORBIDDEN,
            NOT_NOW,
            Some("This link works in Teams only. Please press Link Accounts in PagerBridge's private message."),
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
        Failure::TokenRefused => (
            StatusCode::BAD_GATEWAY,
            NOT_NOW,
            Some(
                "PagerDuty does not accept the log-in that it has just given. Please try again in a few minutes; if it lasts, tell the person who operates PagerBridge.",
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

fn page(status: StatusCode, title: &str, content: &Markup) -> Response {
    document(status, title, &html! { main { (framed(title, content)) } }, Scripts::None)
}

fn framed(title: &str, content: &Markup) -> Markup {
    html! {
        p class="brand" { "PagerBridge" }
        h1 { (title) }
        (content)
    }
}

fn document(status: StatusCode, title: &str, body: &Markup, scripts: Scripts) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – PagerBridge" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    (status, headers(scripts), Html(page.into_string())).into_response()
}

/// What a page may run.
#[derive(Debug, Clone, Copy)]
enum Scripts {
    None,
    /// The script of the page that waits.
    Waiting,
    /// The same in Teams' sign-in window, with Microsoft's script.
    WaitingInTeams,
}

fn headers(scripts: Scripts) -> [(HeaderName, String); 7] {
    let mut policy = String::from("default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
    // Digests of the one style sheet and the one script instead of 'unsafe-inline'.
    let _infallible = write!(policy, "; style-src '{}'", digest_of(STYLE));
    match scripts {
        Scripts::None => Ok(()),
        Scripts::Waiting => write!(policy, "; script-src '{}'; connect-src 'self'", digest_of(WAIT)),
        Scripts::WaitingInTeams => {
            write!(policy, "; script-src '{}' {TEAMS_JS}; connect-src 'self' {TEAMS_ORIGINS}", digest_of(WAIT))
        }
    }
    .unwrap_or_default();
    runtime::page_headers(policy)
}

fn digest_of(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

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
