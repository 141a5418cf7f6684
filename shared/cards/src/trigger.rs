//! The form for a new incident.

use crate::Card;
use crate::data::{Dialog, DialogData, OpensDialog, VERSION};
use crate::link::Link;
use crate::log::NAME_LIMIT;
use crate::notice::notice;
use crate::schema::{
    Action, AdaptiveCard, Choice, ChoiceSet, DataQuery, Element, InputText, RichTextBlock, SubmitData, TextRun, Weight,
};
use crate::untrusted::{Own, Plain};

/// Ids of the form's inputs, under which Teams sends what was typed.
pub mod input {
    /// The service's id.
    pub const SERVICE: &str = "service";
    /// One line.
    pub const TITLE: &str = "title";
    /// More text.
    pub const DETAILS: &str = "details";
    /// `high`, `low`, or empty: the service decides.
    pub const URGENCY: &str = "urgency";
    /// The priority's id, or empty.
    pub const PRIORITY: &str = "priority";
    /// The id of a PagerDuty user, or empty.
    pub const ASSIGNEE: &str = "assignee";
}

/// The value of the choice that chooses nothing: a choice must have one.
pub const NOTHING: &str = "none";

/// What the form's typeahead searches in.
pub mod dataset {
    /// PagerDuty services.
    pub const SERVICES: &str = "services";
    /// PagerDuty users.
    pub const USERS: &str = "users";
}

/// Longest title, in characters (PagerDuty REST docs, "Create an incident").
pub const MAX_TITLE_CHARS: usize = 1024;

/// Longest part of a title that the offer of a form repeats, in UTF-16 units.
const OFFERED_TITLE: usize = 150;

/// Longest details, in characters; a limit of ours, so that the form stays small.
pub const MAX_DETAILS_CHARS: usize = 10_000;

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub id: String,
    /// Its name; foreign text.
    pub name: String,
}

/// What the form shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriggerForm {
    pub form: String,
    pub services: Vec<Offer>,
    /// Priorities of the account; none if it has none.
    pub priorities: Vec<Offer>,
    /// People to choose from without searching: the one that was chosen before.
    pub assignees: Vec<Offer>,
    /// What was typed before: into the command, or into the form when it comes back with an error.
    pub typed: Typed,
    pub error: Option<String>,
}

/// What was typed into the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    /// See [`input::SERVICE`].
    pub service: Option<String>,
    /// See [`input::TITLE`].
    pub title: Option<String>,
    /// See [`input::DETAILS`].
    pub details: Option<String>,
    /// See [`input::URGENCY`].
    pub urgency: Option<String>,
    /// See [`input::PRIORITY`].
    pub priority: Option<String>,
    /// See [`input::ASSIGNEE`].
    pub assignee: Option<String>,
}

/// Offers the form, with the title that it begins with: a bot cannot open a dialog by itself.
#[must_use]
pub fn trigger_offer(title: Option<&str>) -> Card {
    let mut paragraphs = vec![Plain::from("Complete the form to create a new PagerDuty incident in your name.")];
    paragraphs.extend(title.map(|title| Plain::from("Title: ").foreign_or(title, OFFERED_TITLE, "(no title)")));
    notice("Create an incident", paragraphs, vec![open_form(title)])
}

/// The button that opens the form.
pub(crate) fn open_form(title: Option<&str>) -> Action {
    let (form, title, msteams) = (None, title.map(str::to_owned), Some(OpensDialog::FETCH));
    let data = DialogData { v: VERSION, dialog: Dialog::Trigger, form, title, msteams };
    Action::submit("Create incident", SubmitData::Form(data))
}

/// The form.
#[must_use]
pub fn trigger_form(form: &TriggerForm) -> AdaptiveCard {
    let typed = &form.typed;
    let mut body = Vec::new();
    if let Some(error) = &form.error {
        let text = Plain::from("Not created: ").foreign_or(error, 400, "please try again in a minute.");
        let run = TextRun { weight: Some(Weight::Bolder), ..TextRun::new(text) };
        body.push(Element::RichTextBlock(RichTextBlock { inlines: vec![run], spacing: None }));
    }
    body.push(choice(input::SERVICE, "PagerDuty service", &form.services, typed.service.as_deref(), |set| ChoiceSet {
        style: "filtered",
        placeholder: Some(Own::from("Type to search")),
        is_required: true,
        error_message: Some(Own::from("Please choose a service.")),
        search: Some(DataQuery { dataset: dataset::SERVICES }),
        ..set
    }));
    body.push(line(input::TITLE, "Title", MAX_TITLE_CHARS, typed.title.as_deref()));
    body.push(text(input::DETAILS, "Details (optional)", MAX_DETAILS_CHARS, typed.details.as_deref()));
    let urgencies = [("high", "High"), ("low", "Low")];
    let urgencies: Vec<Offer> =
        urgencies.iter().map(|(id, name)| Offer { id: (*id).to_owned(), name: (*name).to_owned() }).collect();
    body.push(choice(input::URGENCY, "Urgency", &urgencies, Some(typed.urgency.as_deref().unwrap_or("high")), |set| {
        set
    }));
    if !form.priorities.is_empty() {
        let priorities = with_nothing("(none)", &form.priorities);
        body.push(choice(input::PRIORITY, "Priority (optional)", &priorities, typed.priority.as_deref(), |set| set));
    }
    let assignees = with_nothing("(the service's escalation policy)", &form.assignees);
    body.push(choice(input::ASSIGNEE, "Assign to (optional)", &assignees, typed.assignee.as_deref(), |set| {
        ChoiceSet {
            style: "filtered",
            placeholder: Some(Own::from("Type to search for a person")),
            search: Some(DataQuery { dataset: dataset::USERS }),
            ..set
        }
    }));
    let (form, title, msteams) = (Some(form.form.clone()), None, None);
    let data = DialogData { v: VERSION, dialog: Dialog::Trigger, form, title, msteams };
    let submit = Action::submit("Create incident", SubmitData::Form(data));
    AdaptiveCard::new(Own::from("Create an incident"), body, vec![submit])
}

/// The last page of the dialog: the incident is there.
#[must_use]
pub fn trigger_done(number: u64, title: &str, url: &str) -> AdaptiveCard {
    let text =
        Plain::from("Incident ").incident(number).own("was created: ").foreign_or(title, NAME_LIMIT, "(no title)");
    let open = Link::pagerduty(url).map(|url| Action::open("Open in PagerDuty", url));
    notice("Incident created", vec![text], open.into_iter().collect()).content
}

fn with_nothing(name: &str, offers: &[Offer]) -> Vec<Offer> {
    let nothing = Offer { id: NOTHING.to_owned(), name: name.to_owned() };
    std::iter::once(nothing).chain(offers.iter().cloned()).collect()
}

fn choice(
    id: &'static str,
    label: &'static str,
    options: &[Offer],
    value: Option<&str>,
    more: impl FnOnce(ChoiceSet) -> ChoiceSet,
) -> Element {
    let choices = options
        .iter()
        .map(|option| Choice {
            title: Plain::from("").foreign_or(&option.name, NAME_LIMIT, "(no name)"),
            value: option.id.clone(),
        })
        .collect();
    let value = value.filter(|value| !value.is_empty()).map(str::to_owned);
    Element::ChoiceSet(more(ChoiceSet {
        id,
        label: Own::from(label),
        placeholder: None,
        style: "compact",
        is_required: false,
        error_message: None,
        choices,
        search: None,
        value,
    }))
}

fn line(id: &'static str, label: &'static str, max_length: usize, value: Option<&str>) -> Element {
    Element::InputText(InputText {
        id,
        label: Own::from(label),
        placeholder: Own::from("What is wrong, in one line"),
        is_multiline: false,
        max_length,
        is_required: true,
        error_message: Own::from("Please write a title."),
        value: value.map(|value| Plain::from("").foreign_or(value, max_length, "")),
    })
}

fn text(id: &'static str, label: &'static str, max_length: usize, value: Option<&str>) -> Element {
    Element::InputText(InputText {
        id,
        label: Own::from(label),
        placeholder: Own::from("What do responders need to know?"),
        is_multiline: true,
        max_length,
        is_required: false,
        error_message: Own::from("This is too long."),
        value: value.map(|value| Plain::from("").foreign_or(value, max_length, "")),
    })
}
