//! What Teams wants to hear: the only file that turns an outcome into an invoke's JSON or a status.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cards::text;
use domain::deed::DeedKind;
use domain::failure::Class;
use domain::incident::IncidentRecord;
use incidents::{ActError, Outcome};
use pagerduty::rest::ApiError;
use serde_json::Value;
use teams::activity::Inbound;
use teams::reply;

use crate::click::Clicked;
use crate::error::FlowError;
use crate::forms::Page;
use crate::storm::{List, Question, Said, StormPage};

const FORM_TITLE: &str = "Create a PagerDuty incident";
const STORM_TITLE: &str = "Incident storm";

/// What is answered when there is no time left.
pub(crate) fn late(inbound: &Inbound) -> Response {
    match inbound {
        Inbound::Click(_) => Json(reply::message(text::SLOW_PAGERDUTY)).into_response(),
        Inbound::TaskFetch { .. } => Json(reply::task_message(text::BUSY_PAGERDUTY)).into_response(),
        Inbound::TaskSubmit { .. } => Json(reply::task_message(text::SLOW_PAGERDUTY)).into_response(),
        Inbound::Search { .. } => choices([]),
        Inbound::Installed
        | Inbound::Uninstalled
        | Inbound::MembersAdded { bot: true, .. }
        | Inbound::ConversationUpdate { .. } => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Inbound::MembersAdded { bot: false, .. }
        | Inbound::OtherInvoke { .. }
        | Inbound::Message { .. }
        | Inbound::Other => StatusCode::OK.into_response(),
    }
}

/// The answer to a change in Teams.
pub(crate) fn noted(what: &str, done: Result<(), FlowError>) -> Response {
    let Err(error) = done else { return StatusCode::OK.into_response() };
    tracing::error!(what, error = runtime::chain(&error), "change in Teams not noted");
    if error.may_pass() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }.into_response()
}

/// A request that the bot does not know.
pub(crate) fn not_supported() -> Response {
    Json(reply::error("NotSupported", text::NOT_SUPPORTED)).into_response()
}

/// What a search has found, as names and ids.
pub(crate) fn choices(found: impl IntoIterator<Item = (String, String)>) -> Response {
    Json(reply::choices(found)).into_response()
}

/// The answer to a click.
pub(crate) fn click(clicked: Clicked) -> Response {
    Json(match clicked {
        Clicked::Shows(record) => incident(&record),
        Clicked::Acted(kind, outcome) => deed(kind, outcome),
        Clicked::Double(channel, living) => reply::card(&cards::double_pointer(&channel, &living).content),
        Clicked::OffersForm(title) => reply::card(&cards::trigger::trigger_offer(title.as_deref()).content),
        Clicked::LinkSent => reply::message(text::LINK_SENT),
        Clicked::LinkNotSent => reply::message(text::LINK_NOT_SENT),
        Clicked::KeySent => reply::message(text::KEY_SENT),
        Clicked::NothingToAuthorize => reply::message(text::NOTHING_TO_AUTHORIZE),
        Clicked::CommandDone => reply::message(text::COMMAND_DONE),
        Clicked::WantedGone => reply::message(text::WANTED_GONE),
        Clicked::InProgress => reply::message(text::IN_PROGRESS),
        Clicked::UnknownButton => reply::error("BadRequest", text::UNKNOWN_BUTTON),
        Clicked::UnknownCard => reply::error("NotFound", text::UNKNOWN_CARD),
        Clicked::CardLeft => reply::error("NotFound", text::CARD_LEFT),
        Clicked::UnknownPerson => reply::error("Forbidden", text::UNKNOWN_PERSON),
        Clicked::Failed(error) => failed(&error),
    })
    .into_response()
}

fn deed(kind: DeedKind, outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done(record) => incident(&record),
        Outcome::AlreadyDone { by, at } => reply::message(&text::already_done(kind, by.as_ref(), at)),
        Outcome::Refused(refusal) => reply::message(&text::refusal(&refusal)),
        Outcome::NeedsLink => reply::message(text::NOT_LINKED),
        Outcome::Unclear => reply::message(text::unclear(kind)),
        Outcome::InProgress => reply::message(text::being_done(kind)),
        Outcome::Busy => reply::message(text::BUSY_PAGERDUTY),
        Outcome::Failed(ActError::PagerDuty(error)) => not_done(&error),
        Outcome::Failed(error) => failed(&error),
    }
}

fn not_done(error: &ApiError) -> Value {
    tracing::warn!(error = runtime::chain(error), "PagerDuty did not do it");
    let class = error.class();
    let why = text::not_done(class, error.message(), Some(text::INCIDENT_GONE));
    if class.may_pass() {
        return reply::message(&why);
    }
    let code =
        [(Class::Forbidden, "Forbidden"), (Class::Gone, "NotFound")].into_iter().find(|(known, _)| *known == class);
    reply::error(code.map_or("Refused", |(_, code)| code), &why)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Value {
    tracing::error!(error = runtime::chain(error), "click failed");
    reply::error("TryAgain", text::TRY_AGAIN)
}

fn incident(record: &IncidentRecord) -> Value {
    reply::card(&cards::incident(&cards::IncidentView { record, frozen_since: None }).content)
}

/// The next page of a dialog.
pub(crate) fn page(page: Page) -> Response {
    Json(match page {
        Page::Form(form) => reply::task_card(FORM_TITLE, &cards::trigger::trigger_form(&form)),
        Page::Made(made) => {
            reply::task_card(FORM_TITLE, &cards::trigger::trigger_done(made.number, &made.title, &made.url))
        }
        Page::MadeBefore => reply::task_message(text::INCIDENT_MADE),
        Page::InProgress => reply::task_message(text::IN_PROGRESS),
        Page::LinkSent => reply::task_message(text::LINK_SENT),
        Page::LinkNotSent => reply::task_message(text::LINK_NOT_SENT),
        Page::NotConnected => reply::task_message(text::TEAM_NOT_CONNECTED),
        Page::Unknown => reply::task_message(text::UNKNOWN_BUTTON),
        Page::Failed(error) => {
            tracing::error!(error = runtime::chain(&error), "form not answered");
            reply::task_message(text::TRY_AGAIN)
        }
    })
    .into_response()
}

/// The next page of a storm's dialog.
pub(crate) fn storm(page: StormPage) -> Response {
    Json(match page {
        StormPage::List(list) => storm_list(&list),
        StormPage::Question(Question { place, scope, service, count }) => {
            let (place, service) = (place.shown(), service.as_deref());
            let question = cards::StormQuestion { place, scope, service, count };
            reply::task_card(STORM_TITLE, &cards::storm_question(&question))
        }
        StormPage::Answer(answer) => reply::task_card(STORM_TITLE, &cards::storm_answer(&answer.shown())),
        StormPage::Before(said) => reply::task_message(&said),
        StormPage::InProgress => reply::task_message(text::MANY_IN_PROGRESS),
        StormPage::LinkSent => reply::task_message(text::LINK_SENT),
        StormPage::LinkNotSent => reply::task_message(text::LINK_NOT_SENT),
        StormPage::Busy => reply::task_message(text::BUSY_PAGERDUTY),
        StormPage::Slow => reply::task_message(text::STORM_SLOW),
        StormPage::NotDone(error) => {
            tracing::warn!(error = runtime::chain(&error), "PagerDuty was asked in vain");
            reply::task_message(&text::not_done(error.class(), error.message(), None))
        }
        StormPage::Unknown => reply::task_message(text::UNKNOWN_STORM),
        StormPage::Left => reply::task_message(text::STORM_LEFT),
        StormPage::UnknownPerson => reply::task_message(text::UNKNOWN_PERSON),
        StormPage::Failed(error) => {
            tracing::error!(error = runtime::chain(&error), "storm's dialog not answered");
            reply::task_message(text::TRY_AGAIN)
        }
    })
    .into_response()
}

fn storm_list(list: &List) -> Value {
    let said = list.said.map(|said| match said {
        Said::OwnCard(number) => text::own_card(number),
        Said::HasCard => text::STORM_HAS_CARD.to_owned(),
        Said::Over => text::STORM_OVER.to_owned(),
        Said::Gone => text::STORM_GONE.to_owned(),
        Said::NotPicked => text::STORM_NOT_PICKED.to_owned(),
        Said::CutOff => text::STORM_CUT_OFF.to_owned(),
    });
    let List { place, rows, after, first, total, next, services, .. } = list;
    let shown = cards::StormList {
        place: place.shown(),
        rows,
        after: after.as_deref(),
        first: *first,
        total: *total,
        next: next.as_deref(),
        services,
        said: said.as_deref(),
    };
    reply::task_card(STORM_TITLE, &cards::storm_list(&shown))
}
