//! Links a Teams user to a PagerDuty user, connects a team to an account, and logs admins in to the configuration page:
//! `/oauth/start`, `/oauth/callback`, `/oauth/confirm`.
//!
//! The personal link that the bot sends leads to `start`, which consumes nothing, since mail and chat scanners open links.
//! PagerDuty leads back to `callback`, which exchanges the code at once (it lives 30 s, PagerDuty OAuth docs) and shows
//! who would be linked to whom. After `confirm`, one click by the person in the same browser, everything waits until Teams has
//! named the user (`domain::proof`): bot-messages makes the link. So a personal link that was passed on binds nobody.

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
use axum::response::Response;
use axum::routing::{get, post};
use domain::proof::Standing;
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
        .route("/oauth/confirm", post(confirm));
    runtime::with_headers(runtime::with_failures_counted(router, &app).with_state(app), runtime::NO_PAGE)
}

#[derive(Deserialize)]
struct Start {
    ticket: Option<String>,
    #[serde(rename = "for")]
    wanted: Option<Wanted>,
    /// Where the link was opened.
    #[serde(rename = "in")]
    place: Option<Place>,
}

/// Where a personal link was opened, if not in any browser.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    /// In Teams' sign-in window.
    Teams,
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
    /// The page asks what has become of the log-in that it waits for.
    wait: Option<String>,
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
        Some(Wanted::Admin) => Box::pin(login::to_pagerduty(&app, None, ADMIN_SCOPES, browser, false)).await,
        None => Box::pin(login::start(&app, &ticket, browser, query.place == Some(Place::Teams))).await,
    })
}

async fn callback(State(app): State<App>, Query(query): Query<Callback>, headers: HeaderMap) -> Response {
    let browser = browser::secret(&headers);
    if query.wait.is_some() {
        return pages::standing(&standing(&app, browser).await);
    }
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

/// What has become of the log-in that this browser waits for.
async fn standing(app: &App, browser: Option<&str>) -> Result<Standing, Failure> {
    let browser = browser.ok_or(Failure::LinkExpired)?;
    let known = app.store.waited_for(browser, app.clock.now()).await.map_err(outcome::table)?;
    Ok(known.map_or(Standing::Over, |known| known.standing))
}

/// Shows what would be done, or what was begun.
async fn ask(app: &App, browser: Option<&str>) -> Result<Step, Failure> {
    let (browser, pending) = match Pending::load(app, browser).await? {
        (browser, Some(pending)) => (browser, pending),
        (browser, None) => return begun(app, browser).await,
    };
    let question = match &pending {
        Pending::Link(pending) => link::question(app, pending).await?,
        Pending::Team(pending) => admin::question(app, pending).await?,
    };
    Ok(Step::Ask { question, csrf: pending.csrf(app, browser).await?, in_teams: pending.is_in_teams() })
}

/// Does what was shown, or forgets it.
async fn answer(app: &App, browser: Option<&str>, form: &Confirm) -> Result<Step, Failure> {
    let (browser, pending) = match Pending::load(app, browser).await? {
        (browser, Some(pending)) => (browser, pending),
        // A button that was pressed twice.
        (browser, None) => return begun(app, browser).await,
    };
    pending.check(app, browser, &form.csrf).await?;
    match (form.choice, &pending) {
        (Choice::Link, Pending::Link(pending)) => link::confirm(app, browser, pending).await,
        (Choice::Link, Pending::Team(pending)) => Box::pin(admin::confirm(app, browser, pending)).await,
        (Choice::Cancel, _) => pending.forget(app, browser).await.map(|()| Step::Cancelled),
    }
}

/// Where this browser has already said yes.
async fn begun(app: &App, browser: &str) -> Result<Step, Failure> {
    let known = app.store.waited_for(browser, app.clock.now()).await.map_err(outcome::table)?;
    link::waited_for(app, &known.ok_or(Failure::LinkExpired)?).await
}

fn show(step: Result<Step, Failure>) -> Response {
    let in_teams = step.as_ref().is_ok_and(Step::is_in_teams);
    let response = shown(step);
    if in_teams { browser::beside_its_opener(response) } else { response }
}

fn shown(step: Result<Step, Failure>) -> Response {
    match step {
        Ok(Step::ToPagerDuty { url, browser, .. }) => browser::redirect(url.as_str(), Some(&browser)),
        Ok(Step::ToConfirmation { .. }) => browser::redirect("/oauth/callback", None),
        Ok(Step::Ask { question, csrf, .. }) => pages::ask(&question, &csrf),
        Ok(Step::Connected { team, session }) => browser::with_session(pages::connected(&team), &session),
        Ok(Step::LoggedIn { session }) => browser::with_session(browser::redirect("/admin", None), &session),
        Ok(Step::Waits(waiting)) => pages::waits(&waiting),
        Ok(Step::Linked(link)) => pages::linked(&link),
        Ok(Step::Cancelled) => pages::cancelled(),
        Err(failure) => pages::failed(&failure),
    }
}
