//! The dialogs of a storm: its list in pages, the question before many incidents are acknowledged, and what came of it.
//!
//! Rows stand above the inputs, since a phone shows little more than half a page and the rows are what one came for.

use domain::ids::{AccountId, ServiceId, StormId};
use domain::storm::Row;

use crate::data::{ALL_SERVICES, StormData, StormDialog, StormFilter, StormStatus, StormVerb, storm_input};
use crate::first_that_fits;
use crate::log::NAME_LIMIT;
use crate::schema::{
    Action, AdaptiveCard, Choice, ChoiceSet, Element, RichTextBlock, Spacing, SubmitData, TextBlock, TextRun, Weight,
};
use crate::storm::{row, small};
use crate::untrusted::{Own, Plain};

/// How many incidents one click acknowledges at most: the newest ones.
pub const MOST_ACKNOWLEDGED: u64 = 250;

/// Longest title of a row in the list and in an answer, and of a choice, in UTF-16 units.
const TITLE_LIMIT: usize = 100;
const CHOICE_LIMIT: usize = 60;

/// Longest reason of PagerDuty's that is repeated, in UTF-16 units.
const REASON_LIMIT: usize = 120;

/// How many of those that were not acknowledged an answer names.
const NAMED: usize = 15;

/// Which storm a dialog is about, and which of its rows.
#[derive(Debug, Clone, Copy)]
pub struct StormPlace<'a> {
    pub account: &'a AccountId,
    pub storm: &'a StormId,
    pub filter: &'a StormFilter,
}

impl StormPlace<'_> {
    fn data(&self, dialog: StormDialog, verb: StormVerb) -> StormData {
        let data = StormData::new(self.account.clone(), self.storm.clone(), dialog);
        StormData { verb: Some(verb), filter: self.filter.clone(), ..data }
    }

    fn button(&self, title: impl Into<Own>, dialog: StormDialog, verb: StormVerb) -> Action {
        submit(title, self.data(dialog, verb))
    }
}

fn submit(title: impl Into<Own>, data: StormData) -> Action {
    Action::submit(title, SubmitData::Storm(Box::new(data)))
}

/// A service by which the list can be filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StormService {
    pub id: ServiceId,
    /// Foreign text.
    pub name: String,
    /// How many open incidents of the storm it has.
    pub open: u64,
}

/// A page of the list.
#[derive(Debug, Clone, Copy)]
pub struct StormList<'a> {
    pub place: StormPlace<'a>,
    /// The rows of this page, as they are to be shown.
    pub rows: &'a [Row],
    /// Where this page begins; `None`: with the newest row.
    pub after: Option<&'a str>,
    /// How many rows are before this page.
    pub first: u64,
    /// How many rows the filter lets through.
    pub total: u64,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<&'a str>,
    /// In the order in which they are offered. What does not fit is left out from the end.
    pub services: &'a [StormService],
    /// What is to be said first, as what came of the button that was pressed; foreign text.
    pub said: Option<&'a str>,
}

/// The list. Its JSON is never larger than [`crate::MAX_CARD_BYTES`]: services give way first, then the choice of an incident, then
/// links.
#[must_use]
pub fn storm_list(list: &StormList<'_>) -> AdaptiveCard {
    let services = list.services.len();
    let whole = [services, services / 2, services / 4, services / 8].map(|services| (services, true, true));
    let sizes = whole.into_iter().chain([(0, true, true), (0, false, true), (0, false, false)]);
    let sizes = sizes.map(|(services, choice, links)| draw(list, services, choice, links));
    first_that_fits(sizes, |card| card).unwrap_or_else(|| draw(list, 0, false, false))
}

fn draw(list: &StormList<'_>, services: usize, choice: bool, links: bool) -> AdaptiveCard {
    let head = position(list);
    let mut body = Vec::new();
    body.extend(list.said.map(|said| strong(Plain::from("").foreign_or(said, 400, "Please try again in a minute."))));
    body.push(Element::TextBlock(TextBlock::heading(head.clone())));
    body.extend(list.rows.iter().map(|known| {
        let unlinked = (!links).then(|| Row { url: String::new(), ..known.clone() });
        row(unlinked.as_ref().unwrap_or(known), TITLE_LIMIT)
    }));
    let can_pick = choice && !list.rows.is_empty();
    if can_pick {
        body.push(pick(list.rows));
    }
    body.push(by_service(list, services));
    body.push(by_status(list.place.filter.status));
    AdaptiveCard::new(head, body, buttons(list, can_pick))
}

/// As in "11-20 of 312 open".
fn position(list: &StormList<'_>) -> Own {
    let status = match list.place.filter.status {
        StormStatus::Open => " open",
        StormStatus::Triggered => " triggered",
        StormStatus::Acknowledged => " acknowledged",
        StormStatus::Resolved => " resolved",
        StormStatus::All => "",
    };
    let rows = u64::try_from(list.rows.len()).unwrap_or(u64::MAX);
    match (rows, list.total) {
        (0, 0) => Own::from("There is no").own(status).own(" incident here"),
        (0, total) => Own::from("Nothing more of ").count(total).own(status),
        (rows, total) => {
            let last = list.first.saturating_add(rows);
            let numbers = Own::from("").count(list.first.saturating_add(1)).own("-").count(last);
            // Rows come while somebody turns pages.
            numbers.own(" of ").count(total.max(last)).own(status)
        }
    }
}

fn pick(rows: &[Row]) -> Element {
    let choices = rows.iter().map(|row| Choice {
        title: Plain::from("").incident(row.number).foreign_or(&row.title, CHOICE_LIMIT, "(no title)"),
        value: row.incident.to_string(),
    });
    choice_set(storm_input::PICK, "Show one as its own card", choices.collect(), None)
}

fn by_service(list: &StormList<'_>, most: usize) -> Element {
    let chosen = list.place.filter.service.as_ref();
    let offered = list.services.iter().enumerate().filter(|(index, of)| *index < most || Some(&of.id) == chosen);
    let mut choices = vec![Choice { title: Plain::from("All services"), value: ALL_SERVICES.to_owned() }];
    choices.extend(offered.map(|(_, of)| {
        let name = Plain::from("").foreign_or(&of.name, CHOICE_LIMIT, "(no name)");
        Choice { title: name.own(" (").count(of.open).own(" open)"), value: of.id.to_string() }
    }));
    // A service that has nothing here any more is the filter still.
    if let Some(id) = chosen.filter(|id| list.services.iter().all(|of| of.id != **id)) {
        choices.push(Choice { title: Plain::from("(this service)"), value: id.to_string() });
    }
    let value = chosen.map_or(ALL_SERVICES, ServiceId::as_str).to_owned();
    choice_set(storm_input::SERVICE, "Service", choices, Some(value))
}

fn by_status(chosen: StormStatus) -> Element {
    let choices = StormStatus::ALL.map(|status| {
        let title = match status {
            StormStatus::Open => "Open",
            StormStatus::Triggered => "Triggered",
            StormStatus::Acknowledged => "Acknowledged",
            StormStatus::Resolved => "Resolved",
            StormStatus::All => "All",
        };
        Choice { title: Plain::from(title), value: status.as_str().to_owned() }
    });
    choice_set(storm_input::STATUS, "Status", choices.to_vec(), Some(chosen.as_str().to_owned()))
}

fn choice_set(id: &'static str, label: &'static str, choices: Vec<Choice>, value: Option<String>) -> Element {
    Element::ChoiceSet(ChoiceSet {
        id,
        label: Own::from(label),
        placeholder: value.is_none().then(|| Own::from("Choose an incident")),
        style: "compact",
        is_required: false,
        error_message: None,
        choices,
        search: None,
        value,
    })
}

fn buttons(list: &StormList<'_>, can_pick: bool) -> Vec<Action> {
    let place = &list.place;
    let mut buttons = Vec::new();
    if let Some(after) = list.next {
        let from = list.first.saturating_add(u64::try_from(list.rows.len()).unwrap_or(u64::MAX));
        let next = StormData { after: Some(after.to_owned()), from, ..place.data(StormDialog::List, StormVerb::Next) };
        buttons.push(submit("Next page", next));
    }
    if list.first > 0 {
        buttons.push(place.button("First page", StormDialog::List, StormVerb::First));
    }
    buttons.push(place.button("Apply filter", StormDialog::List, StormVerb::Show));
    if can_pick {
        let here = place.data(StormDialog::List, StormVerb::Card);
        let here = match list.after {
            Some(after) => StormData { after: Some(after.to_owned()), from: list.first, ..here },
            None => here,
        };
        buttons.push(submit("Show as card", here));
    }
    let some_triggered = matches!(place.filter.status, StormStatus::Open | StormStatus::Triggered | StormStatus::All);
    if some_triggered && list.total > 0 {
        buttons.push(place.button("Acknowledge these", StormDialog::AcknowledgeShown, StormVerb::Ask));
    }
    buttons
}

/// Which incidents are to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StormScope {
    /// Those that are assigned to the person.
    Mine,
    /// Those that the list shows.
    Shown,
}

impl StormScope {
    /// The dialog that asks for them; `None`: it asks for none.
    #[must_use]
    pub fn of(dialog: StormDialog) -> Option<Self> {
        match dialog {
            StormDialog::AcknowledgeMine => Some(Self::Mine),
            StormDialog::AcknowledgeShown => Some(Self::Shown),
            StormDialog::List => None,
        }
    }

    fn dialog(self) -> StormDialog {
        match self {
            Self::Mine => StormDialog::AcknowledgeMine,
            Self::Shown => StormDialog::AcknowledgeShown,
        }
    }

    fn button(self) -> &'static str {
        match self {
            Self::Mine => "Acknowledge mine",
            Self::Shown => "Acknowledge shown",
        }
    }
}

/// The question before many incidents are acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct StormQuestion<'a> {
    pub place: StormPlace<'a>,
    pub scope: StormScope,
    /// The name of the filter's service, if it has one; foreign text.
    pub service: Option<&'a str>,
    /// How many triggered incidents are meant. At most [`MOST_ACKNOWLEDGED`] of them will be acknowledged.
    pub count: u64,
}

/// Asks.
#[must_use]
pub fn storm_question(question: &StormQuestion<'_>) -> AdaptiveCard {
    let will = question.count.min(MOST_ACKNOWLEDGED);
    if will == 0 {
        let nothing = of_service(Plain::from("No incident"), question.service).own(match question.scope {
            StormScope::Mine => " that is triggered here is assigned to you.",
            StormScope::Shown => " is triggered here.",
        });
        let body = vec![heading("Nothing to acknowledge"), paragraph(nothing)];
        let list = question.place.button("Show list", StormDialog::List, StormVerb::First);
        return AdaptiveCard::new(Own::from("Nothing to acknowledge"), body, vec![list]);
    }
    let what = if question.count > will {
        Plain::from("The ").count(will).own(" newest of ").count(question.count).own(" triggered incidents")
    } else if will == 1 {
        Plain::from("1 triggered incident")
    } else {
        Plain::from("").count(will).own(" triggered incidents")
    };
    let what = of_service(what, question.service);
    let what = match question.scope {
        StormScope::Mine if will == 1 => what.own(", assigned to you, will be acknowledged in your name."),
        StormScope::Mine => what.own(", all assigned to you, will be acknowledged in your name."),
        StormScope::Shown => what.own(" will be acknowledged in your name."),
    };
    let title = match question.scope {
        StormScope::Mine => "Acknowledge what is assigned to you?",
        StormScope::Shown => "Acknowledge what the list shows?",
    };
    let button = Own::from("Acknowledge ").count(will);
    let submit = question.place.button(button, question.scope.dialog(), StormVerb::Acknowledge);
    AdaptiveCard::new(Own::from(title), vec![heading(title), paragraph(what)], vec![submit])
}

fn of_service(line: Plain, service: Option<&str>) -> Plain {
    match service {
        Some(name) => line.own(" of ").foreign_or(name, NAME_LIMIT, "(no name)"),
        None => line,
    }
}

/// What has become of one incident that was to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StormOutcome {
    Acknowledged,
    /// It is acknowledged, and thereby open again: it had been resolved a moment before.
    Reopened {
        /// By whom, as far as that is known; foreign text.
        by: Option<String>,
    },
    /// It was resolved meanwhile.
    Resolved,
    /// Somebody else has acknowledged it already.
    Already,
    /// PagerDuty did not do it; `reason` is foreign text.
    Failed {
        reason: String,
    },
    /// There was no time left for it.
    NotInTime,
}

/// One incident that was to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StormAnswered {
    pub number: u64,
    /// Foreign text.
    pub title: String,
    pub outcome: StormOutcome,
}

/// What has become of those that were to be acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct StormAnswer<'a> {
    pub place: StormPlace<'a>,
    pub scope: StormScope,
    pub results: &'a [StormAnswered],
}

/// Tells it: how many, and by name those that were not simply acknowledged.
#[must_use]
pub fn storm_answer(answer: &StormAnswer<'_>) -> AdaptiveCard {
    let is_done =
        |result: &StormAnswered| matches!(result.outcome, StormOutcome::Acknowledged | StormOutcome::Reopened { .. });
    let title = if answer.results.iter().all(is_done) { "Acknowledged" } else { "Not all were acknowledged" };
    let mut body = vec![heading(title), paragraph(sentence(answer))];
    let mut others: Vec<&StormAnswered> =
        answer.results.iter().filter(|result| result.outcome != StormOutcome::Acknowledged).collect();
    others.sort_by_key(|result| rank(&result.outcome));
    body.extend(others.iter().take(NAMED).map(|result| {
        let name = Plain::from("").incident(result.number).foreign_or(&result.title, CHOICE_LIMIT, "(no title)");
        let name = TextRun { weight: Some(Weight::Bolder), ..TextRun::new(name) };
        let why = TextRun { is_subtle: true, ..TextRun::new(Plain::from(": ").append(&why(&result.outcome))) };
        Element::RichTextBlock(RichTextBlock::new(vec![name, why], Spacing::Small))
    }));
    if others.len() > NAMED {
        let more = u64::try_from(others.len() - NAMED).unwrap_or(u64::MAX);
        body.push(small(Own::from("and ").count(more).own(" more"), Spacing::Small));
    }
    let list = answer.place.button("Show list", StormDialog::List, StormVerb::First);
    AdaptiveCard::new(Own::from(title), body, vec![list])
}

/// As in "18 acknowledged; 2 were resolved meanwhile; 40 not done in time, press Acknowledge shown again."
#[must_use]
pub fn storm_answer_sentence(answer: &StormAnswer<'_>) -> String {
    sentence(answer).into_message()
}

fn sentence(answer: &StormAnswer<'_>) -> Plain {
    let of_rank = |wanted: u8| answer.results.iter().filter(|result| rank(&result.outcome) == wanted).count();
    let [failed, reopened, late, resolved, already, simply] =
        [0, 1, 2, 3, 4, 5].map(|rank| u64::try_from(of_rank(rank)).unwrap_or(u64::MAX));
    let acknowledged = simply.saturating_add(reopened);
    let number = |count: u64| Plain::from("").count(count);
    let mut parts = Vec::new();
    if acknowledged > 0 || answer.results.is_empty() {
        parts.push(number(acknowledged).own(" acknowledged"));
    }
    if reopened > 0 {
        let had = if reopened == 1 {
            " of them had just been resolved and is"
        } else {
            " of them had just been resolved and are"
        };
        parts.push(number(reopened).own(had).own(" open again"));
    }
    if resolved > 0 {
        parts.push(number(resolved).own(if resolved == 1 { " was" } else { " were" }).own(" resolved meanwhile"));
    }
    if already > 0 {
        let was = if already == 1 { " was" } else { " were" };
        parts.push(number(already).own(was).own(" acknowledged by somebody else already"));
    }
    if failed > 0 {
        parts.push(number(failed).own(" failed").append(&reason(answer.results)));
    }
    if late > 0 {
        parts.push(number(late).own(" not done in time, press ").own(answer.scope.button()).own(" again"));
    }
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_else(|| Plain::from(""));
    parts.fold(first, |line, part| line.own("; ").append(&part)).own(".")
}

/// Why those failed that failed, if all did for the same reason.
fn reason(results: &[StormAnswered]) -> Plain {
    let mut reasons: Vec<&str> = results
        .iter()
        .filter_map(|result| match &result.outcome {
            StormOutcome::Failed { reason } => Some(reason.as_str()),
            StormOutcome::Acknowledged
            | StormOutcome::Reopened { .. }
            | StormOutcome::Resolved
            | StormOutcome::Already
            | StormOutcome::NotInTime => None,
        })
        .collect();
    reasons.dedup();
    match *reasons.as_slice() {
        [only] => Plain::from(": ").foreign_or(only.trim_end_matches('.'), REASON_LIMIT, NO_REASON),
        _ => Plain::from(" for several reasons"),
    }
}

const NO_REASON: &str = "PagerDuty gave no reason";

/// What a person has to do something about comes first.
fn rank(outcome: &StormOutcome) -> u8 {
    match outcome {
        StormOutcome::Failed { .. } => 0,
        StormOutcome::Reopened { .. } => 1,
        StormOutcome::NotInTime => 2,
        StormOutcome::Resolved => 3,
        StormOutcome::Already => 4,
        StormOutcome::Acknowledged => 5,
    }
}

fn why(outcome: &StormOutcome) -> Plain {
    match outcome {
        StormOutcome::Failed { reason } => Plain::from("").foreign_or(reason, REASON_LIMIT, NO_REASON),
        StormOutcome::Reopened { by } => Plain::from("")
            .foreign_or(by.as_deref().unwrap_or_default(), NAME_LIMIT, "somebody")
            .own(" had just resolved it; your acknowledgement has reopened it"),
        StormOutcome::NotInTime => Plain::from("not done in time"),
        StormOutcome::Resolved => Plain::from("resolved meanwhile"),
        StormOutcome::Already => Plain::from("acknowledged by somebody else already"),
        StormOutcome::Acknowledged => Plain::from("acknowledged"),
    }
}

fn heading(text: &'static str) -> Element {
    Element::TextBlock(TextBlock::heading(text))
}

fn paragraph(text: Plain) -> Element {
    Element::RichTextBlock(RichTextBlock::new(vec![TextRun::new(text)], Spacing::Small))
}

fn strong(text: Plain) -> Element {
    let run = TextRun { weight: Some(Weight::Bolder), ..TextRun::new(text) };
    Element::RichTextBlock(RichTextBlock { inlines: vec![run], spacing: None })
}
