//! Links a Teams user to a PagerDuty user, connects a team to an account, and logs admins in to the configuration page:
//! `/oauth/start`, `/oauth/callback`, `/oauth/confirm`.
//!
//! The personal link that the bot sends leads to `start`, which consumes nothing, since mail and chat scanners open links.
//! PagerDuty leads back to `callback`, which exchanges the code at once (it lives 30 s, PagerDuty OAuth docs) and shows
//! who would be linked to whom. Only `confirm`, one click by the person in the same browser, makes the link: a personal
//! link that was passed on cannot silently bind somebody else's PagerDuty account to the sender's Teams user.

mod admin;
mod browser;
mod identity;
mod link;
mod login;
mod outcome;
mod pages;
mod pending;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pagerduty::oauth::ADMIN_SCOPES;
use runtime::App;
use serde::Deserialize;

use crate::outcome::{Failure, Step};
use crate::pending::Pending;

/// The function's HTTP surface.
pub fn router(app: App) -> Router {
    let router = Router::new()
        .route("/oauth/start", get(start))
        .route("/oauth/callback", get(callback))
        .route("/oauth/confirm", post(confirm))
        .with_state(app);
    runtime::with_headers(router, runtime::NO_PAGE)
}

#[derive(Deserialize)]
struct Start {
    ticket: Option<String>,
    #[serde(rename = "for")]
    wanted: Option<Wanted>,
}

/// What a log-in is for that needs no ticket.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Admin,
}

#[derive(Deserialize)]
struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Confirm {
    csrf: String,
    choice: Choice,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Link,
    Cancel,
}

async fn start(State(app): State<App>, Query(query): Query<Start>, headers: HeaderMap) -> Response {
    let ticket = query.ticket.unwrap_or_default();
    let browser = browser::secret(&headers).map(str::to_owned);
    show(match query.wanted {
        Some(Wanted::Admin) => Box::pin(login::to_pagerduty(&app, None, ADMIN_SCOPES, browser)).await,
        None => Box::pin(login::start(&app, &ticket, browser)).await,
    })
}

async fn callback(State(app): State<App>, Query(query): Query<Callback>, headers: HeaderMap) -> Response {
    let browser = browser::secret(&headers);
    let step = match (query.state, query.code, query.error) {
        (Some(state), Some(code), _) => Box::pin(login::returned(&app, browser, &state, &code)).await,
        (_, _, Some(error)) => Err(outcome::denied(&error)),
        // Where `returned` leads to, so that neither code nor state stays in the address.
        (None, None, None) => Box::pin(ask(&app, browser)).await,
        (_, _, None) => Err(Failure::LinkExpired),
    };
    show(step)
}

async fn confirm(State(app): State<App>, headers: HeaderMap, Form(form): Form<Confirm>) -> Response {
    show(Box::pin(answer(&app, browser::secret(&headers), &form)).await)
}

/// Shows what would be done.
async fn ask(app: &App, browser: Option<&str>) -> Result<Step, Failure> {
    let (browser, pending) = Pending::load(app, browser).await?;
    let question = match &pending {
        Pending::Link(pending) => link::question(&pending.link),
        Pending::Team(pending) => admin::question(app, pending).await?,
    };
    Ok(Step::Ask { question, csrf: pending.csrf(app, browser).await? })
}

/// Does what was shown, or forgets it.
async fn answer(app: &App, browser: Option<&str>, form: &Confirm) -> Result<Step, Failure> {
    let (browser, pending) = Pending::load(app, browser).await?;
    pending.check(app, browser, &form.csrf).await?;
    match (form.choice, &pending) {
        (Choice::Link, Pending::Link(pending)) => link::confirm(app, browser, pending).await,
        (Choice::Link, Pending::Team(pending)) => admin::confirm(app, browser, pending).await,
        (Choice::Cancel, _) => pending.forget(app, browser).await.map(|()| Step::Cancelled),
    }
}

fn show(step: Result<Step, Failure>) -> Response {
    match step {
        Ok(Step::ToPagerDuty { url, browser }) => browser::redirect(url.as_str(), Some(&browser)),
        Ok(Step::ToConfirmation) => browser::redirect("/oauth/callback", None),
        Ok(Step::Ask { question, csrf }) => pages::ask(&question, &csrf).into_response(),
        Ok(Step::Connected { team, session }) => {
            browser::with_session(pages::connected(&team).into_response(), &session)
        }
        Ok(Step::LoggedIn { session }) => browser::with_session(browser::redirect("/admin", None), &session),
        Ok(Step::Linked(link)) => pages::linked(&link).into_response(),
        Ok(Step::Cancelled) => pages::cancelled().into_response(),
        Err(failure) => pages::failed(&failure).into_response(),
    }
}
