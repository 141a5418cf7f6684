//! What Teams wants to hear: the only file that turns an outcome into an invoke's JSON or a status.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cards::text;
use domain::deed::DeedKind;
use domain::failure::Class;
use domain::incident::IncidentRecord;
use domain::zone::Zone;
use incidents::{ActError, Outcome};
use pagerduty::rest::ApiError;
use serde_json::Value;
use teams::activity::Inbound;
use teams::reply;

use crate::click::Clicked;
use crate::dialog::{Details, Form, IncidentPage};
use crate::error::{FlowError, Unlinked, sentence};
use crate::forms::Page;
use crate::storm::{self, List, Question, StormPage};

const FORM_TITLE: &str = "Create a PagerDuty incident";
const DETAILS_TITLE: &str = "Incident details";
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
        | Inbound::SignIn { .. }
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

/// The answer to a click. A card's times are written in `zone`.
pub(crate) fn click(clicked: Clicked, zone: &Zone) -> Response {
    let shows = |record: &IncidentRecord| {
        let view = cards::IncidentView { record, frozen_since: None, zone };
        reply::card(&cards::incident(&view).content)
    };
    Json(match clicked {
        Clicked::Shows(record) | Clicked::Acted(_, Outcome::Done(record)) => shows(&record),
        Clicked::Double(channel, living) => reply::card(&cards::double_pointer(&channel, &living).content),
        Clicked::OffersForm(title) => reply::card(&cards::trigger::trigger_offer(title.as_deref()).content),
        other => match said(&other) {
            Said::Well(sentence) => reply::message(&sentence),
            Said::Badly(code, sentence) => reply::error(code, &sentence),
        },
    })
    .into_response()
}

/// The answer to a click that came as a message. None, if the person was written to already.
pub(crate) fn as_card(clicked: &Clicked) -> Option<cards::Card> {
    Some(match clicked {
        Clicked::Double(channel, living) => cards::double_pointer(channel, living),
        Clicked::OffersForm(title) => cards::trigger::trigger_offer(title.as_deref()),
        Clicked::LinkSent(Unlinked::NotLinked) | Clicked::LinkNotSent(_) | Clicked::KeySent => return None,
        other => match said(other) {
            Said::Well(sentence) | Said::Badly(_, sentence) => cards::told(&sentence),
        },
    })
}

/// What came of a click, in a sentence.
enum Said {
    Well(Cow<'static, str>),
    /// With a code for developers.
    Badly(&'static str, Cow<'static, str>),
}

fn said(clicked: &Clicked) -> Said {
    let well = |sentence: &'static str| Said::Well(Cow::Borrowed(sentence));
    let badly = |code, sentence: &'static str| Said::Badly(code, Cow::Borrowed(sentence));
    match clicked {
        Clicked::Acted(kind, outcome) => deed(*kind, outcome),
        Clicked::Shows(_) => well(text::CARD_IS_NEWEST),
        Clicked::Double(..) => well(text::CARD_IS_DOUBLE),
        Clicked::OffersForm(_) => well(text::WRITE_TRIGGER),
        Clicked::LinkSent(why) => well(link_sent(*why)),
        Clicked::LinkNotSent(why) => well(link_not_sent(*why)),
        Clicked::KeySent => well(text::KEY_SENT),
        Clicked::NothingToAuthorize => well(text::NOTHING_TO_AUTHORIZE),
        Clicked::CommandDone => well(text::COMMAND_DONE),
        Clicked::WantedGone => well(text::WANTED_GONE),
        Clicked::InProgress => well(text::IN_PROGRESS),
        Clicked::DoneBefore => well(text::DONE_BEFORE),
        Clicked::UnknownButton => badly("BadRequest", text::UNKNOWN_BUTTON),
        Clicked::UnknownCard => badly("NotFound", text::UNKNOWN_CARD),
        Clicked::CardLeft => badly("NotFound", text::CARD_LEFT),
        Clicked::UnknownPerson => badly("Forbidden", text::UNKNOWN_PERSON),
        Clicked::Failed(error) => failed(error, error.sentence()),
    }
}

fn link_sent(why: Unlinked) -> &'static str {
    match why {
        Unlinked::NotLinked => text::LINK_SENT,
        Unlinked::LogInLost => text::RELINK_SENT,
    }
}

fn link_not_sent(why: Unlinked) -> &'static str {
    match why {
        Unlinked::NotLinked => text::LINK_NOT_SENT,
        Unlinked::LogInLost => text::RELINK_NOT_SENT,
    }
}

fn deed(kind: DeedKind, outcome: &Outcome) -> Said {
    let well = |sentence: &'static str| Said::Well(Cow::Borrowed(sentence));
    match outcome {
        Outcome::Done(record) => Said::Well(text::done(kind, record.state().map(|state| state.number)).into()),
        Outcome::AlreadyDone { by, at } => Said::Well(text::already_done(kind, by.as_ref(), *at).into()),
        Outcome::Refused(refusal) => Said::Well(text::refusal(refusal).into()),
        Outcome::Reopened { by, at } => Said::Well(text::reopened(by.as_ref(), *at).into()),
        Outcome::NeedsLink => well(text::NOT_LINKED),
        Outcome::LogInLost => well(text::LOG_IN_LOST),
        Outcome::Unclear => well(text::unclear(kind)),
        Outcome::InProgress => well(text::being_done(kind)),
        Outcome::Busy => well(text::BUSY_PAGERDUTY),
        Outcome::Failed(ActError::PagerDuty(error)) => not_done(error),
        Outcome::Failed(ActError::Person(error)) => failed(error, sentence(error)),
        Outcome::Failed(error) => failed(error, text::TRY_AGAIN),
    }
}

fn not_done(error: &ApiError) -> Said {
    tracing::warn!(error = runtime::chain(error), "PagerDuty did not do it");
    let class = error.class();
    let why = text::not_done(class, error.message(), Some(text::INCIDENT_GONE)).into();
    if class.may_pass() {
        return Said::Well(why);
    }
    let code =
        [(Class::Forbidden, "Forbidden"), (Class::Gone, "NotFound")].into_iter().find(|(known, _)| *known == class);
    Said::Badly(code.map_or("Refused", |(_, code)| code), why)
}

fn failed(error: &(dyn std::error::Error + 'static), sentence: &'static str) -> Said {
    tracing::error!(error = runtime::chain(error), "click failed");
    Said::Badly("TryAgain", Cow::Borrowed(sentence))
}

/// The next page of a dialog about an incident.
pub(crate) fn dialog(page: IncidentPage) -> Response {
    Json(match page {
        IncidentPage::Form(form) => deed_form(&form),
        IncidentPage::Details(details) => {
            let Details { record, context, from, zone } = &*details;
            let shown = cards::DetailsDialog { record, context, from: *from, zone };
            reply::task_card(DETAILS_TITLE, &cards::details_dialog(&shown))
        }
        IncidentPage::NotShown(error) => {
            let (Said::Well(sentence) | Said::Badly(_, sentence)) = not_done(&error);
            reply::task_message(&sentence)
        }
        IncidentPage::Clicked(clicked) => {
            let (Said::Well(sentence) | Said::Badly(_, sentence)) = said(&clicked);
            reply::task_message(&sentence)
        }
    })
    .into_response()
}

fn deed_form(form: &Form) -> Value {
    let error = form.outcome.as_ref().map(|outcome| {
        let (Said::Well(sentence) | Said::Badly(_, sentence)) = deed(form.kind, outcome);
        sentence
    });
    let name = form.name.as_ref().map(|(number, title)| (*number, title.as_str()));
    let Form { account, incident, kind, typed, .. } = form;
    let shown = cards::DeedForm { account, incident, kind: *kind, name, typed, error: error.as_deref() };
    reply::task_card(cards::text::deed_title(*kind), &cards::deed_form(&shown))
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
        Page::LinkSent(why) => reply::task_message(link_sent(why)),
        Page::LinkNotSent(why) => reply::task_message(link_not_sent(why)),
        Page::NotConnected => reply::task_message(text::TEAM_NOT_CONNECTED),
        Page::Unknown => reply::task_message(text::UNKNOWN_BUTTON),
        Page::Failed(error) => {
            tracing::error!(error = runtime::chain(&error), "form not answered");
            reply::task_message(error.sentence())
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
        StormPage::LinkSent(why) => reply::task_message(link_sent(why)),
        StormPage::LinkNotSent(why) => reply::task_message(link_not_sent(why)),
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
            reply::task_message(error.sentence())
        }
    })
    .into_response()
}

fn storm_list(list: &List) -> Value {
    let said = list.said.map(|said| match said {
        storm::Said::OwnCard(number) => text::own_card(number),
        storm::Said::HasCard => text::STORM_HAS_CARD.to_owned(),
        storm::Said::Over => text::STORM_OVER.to_owned(),
        storm::Said::Gone => text::STORM_GONE.to_owned(),
        storm::Said::NotPicked => text::STORM_NOT_PICKED.to_owned(),
        storm::Said::CutOff => text::STORM_CUT_OFF.to_owned(),
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
