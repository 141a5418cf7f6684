//! The dialogs of an incident's card: its forms, since a form on the card itself would be dead on phones and emptied by each edit.

use domain::deed::{DeedKind, Input, Inputs};
use domain::ids::{AccountId, IncidentId};

use crate::data::{ButtonData, Verb};
use crate::schema::{
    Action, AdaptiveCard, Element, InputText, RichTextBlock, SubmitData, TextBlock, TextRun, Tone, Weight,
};
use crate::untrusted::{Own, Plain};

/// Longest title above a form, in UTF-16 units.
const TITLE_LIMIT: usize = 120;

/// Longest sentence that says why it was not done, in UTF-16 units.
const ERROR_LIMIT: usize = 400;

/// The form that a deed asks for.
#[derive(Debug, Clone, Copy)]
pub struct DeedForm<'a> {
    pub account: &'a AccountId,
    pub incident: &'a IncidentId,
    pub kind: DeedKind,
    /// The incident's number and title, where they are known; foreign text.
    pub name: Option<(u64, &'a str)>,
    /// What was typed before; it stays.
    pub typed: &'a Inputs,
    /// Why it was not done; foreign text.
    pub error: Option<&'a str>,
}

/// The form, with what was typed before.
#[must_use]
pub fn deed_form(form: &DeedForm<'_>) -> AdaptiveCard {
    let (number, title) = form.name.unzip();
    let about = match number {
        Some(number) => {
            Plain::from("").incident(number).foreign_or(title.unwrap_or_default(), TITLE_LIMIT, "(no title)")
        }
        None => Plain::from("PagerDuty incident"),
    };
    let error = form.error.map(|error| {
        let text = Plain::from("").foreign_or(error, ERROR_LIMIT, "Please try again in a minute.");
        let run = TextRun { weight: Some(Weight::Bolder), color: Some(Tone::Attention), ..TextRun::new(text) };
        Element::RichTextBlock(RichTextBlock { inlines: vec![run], spacing: None })
    });
    let inputs = form.kind.form().iter().map(|input| words(form.kind, input, form.typed));
    let body = error.into_iter().chain([Element::TextBlock(TextBlock::heading(about))]).chain(inputs).collect();
    let data = ButtonData::new(form.account.clone(), form.incident.clone(), Verb::Deed(form.kind));
    let submit = Action::submit(title_of(form.kind), SubmitData::Incident(Box::new(data)));
    AdaptiveCard::new(Own::from(title_of(form.kind)), body, vec![submit])
}

/// The deed's name on its button.
pub(crate) fn title_of(kind: DeedKind) -> &'static str {
    match kind {
        DeedKind::Acknowledge => "Acknowledge",
        DeedKind::Resolve => "Resolve",
        DeedKind::AddNote => "Add note",
    }
}

/// An input of a deed's form.
fn words(kind: DeedKind, input: &Input, typed: &Inputs) -> Element {
    let (label, placeholder, error) = match (kind, input.id) {
        (DeedKind::AddNote, _) => ("Note", "What did you find or do?", "Please write the note first."),
        (DeedKind::Acknowledge | DeedKind::Resolve, id) => (id, "", "Please fill this in."),
    };
    // As it was typed: whoever typed it sees it, and line breaks stay.
    let value = typed.get(input.id).filter(|typed| !typed.is_empty());
    Element::InputText(InputText {
        id: input.id,
        label: Own::from(label),
        placeholder: Own::from(placeholder),
        is_multiline: true,
        max_length: input.max_chars,
        is_required: true,
        error_message: Own::from(error),
        value: value.map(|typed| Plain::typed(typed)),
    })
}
