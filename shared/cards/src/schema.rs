//! The part of the Adaptive Card schema that we use, as types.
//!
//! Teams shows 1.5 everywhere, later elements only here and there. An element whose text Teams renders as Markdown takes
//! [`Escaped`] or [`Own`], so foreign text is dead wherever it fits.
//!
//! Phones are the strictest readers: a posted card has no inputs and no card inside a card, its buttons stand in the card itself or in
//! a plain row of its body, and a button that acts has a verb and says what older clients send instead (Teams docs, issues).

use serde::Serialize;

use crate::data::{ButtonData, DialogData, NoData, StormData, TeamData, Verb, WantedData};
use crate::link::Link;
use crate::untrusted::{Escaped, Own, Plain, utf16_len};

/// An Adaptive Card 1.5, ready to be serialised. Only this crate can make one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub struct AdaptiveCard {
    #[serde(flatten)]
    root: Root,
    body: Vec<Element>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Root {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    #[serde(rename = "fallbackText")]
    fallback_text: Own,
    msteams: TeamsExtras,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct TeamsExtras {
    width: &'static str,
}

impl AdaptiveCard {
    /// `fallback_text` is shown instead of the card by a client that is too old for it.
    pub(crate) fn new(fallback_text: Own, body: Vec<Element>, actions: Vec<Action>) -> Self {
        let root = Root {
            schema: "http://adaptivecards.io/schemas/adaptive-card.json",
            version: "1.5",
            fallback_text,
            msteams: TeamsExtras { width: "Full" },
        };
        Self { root, body, actions }
    }

    /// The size of the card's JSON as Teams counts it, in bytes: two for each UTF-16 unit.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |json| 2 * utf16_len(&json))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub(crate) enum Element {
    TextBlock(TextBlock),
    RichTextBlock(RichTextBlock),
    Container(Container),
    ColumnSet(ColumnSet),
    ActionSet {
        actions: Vec<Action>,
    },
    #[serde(rename = "Input.Text")]
    InputText(InputText),
    #[serde(rename = "Input.ChoiceSet")]
    ChoiceSet(ChoiceSet),
}

/// Rendered as Markdown. All that one has to know of an incident stands in such, since every phone shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TextBlock {
    pub(crate) text: Escaped,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<Weight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) color: Option<Tone>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) is_subtle: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) style: Option<TextStyle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spacing: Option<Spacing>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) separator: bool,
    /// The rest is cut, visibly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_lines: Option<u8>,
    pub(crate) wrap: bool,
}

impl TextBlock {
    pub(crate) fn new(text: impl Into<Escaped>) -> Self {
        Self {
            text: text.into(),
            weight: None,
            size: None,
            color: None,
            is_subtle: false,
            style: None,
            spacing: None,
            separator: false,
            max_lines: None,
            wrap: true,
        }
    }

    /// Read out as a heading.
    pub(crate) fn heading(text: impl Into<Escaped>) -> Self {
        Self { weight: Some(Weight::Bolder), style: Some(TextStyle::Heading), ..Self::new(text) }
    }
}

/// Text that is shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RichTextBlock {
    pub(crate) inlines: Vec<TextRun>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spacing: Option<Spacing>,
}

impl RichTextBlock {
    pub(crate) fn new(inlines: Vec<TextRun>, spacing: Spacing) -> Self {
        Self { inlines, spacing: Some(spacing) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) struct TextRun {
    pub(crate) text: Plain,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<Weight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) color: Option<Tone>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) is_subtle: bool,
}

impl TextRun {
    pub(crate) fn new(text: impl Into<Plain>) -> Self {
        Self { text: text.into(), weight: None, size: None, color: None, is_subtle: false }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) style: Option<Tone>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) bleed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spacing: Option<Spacing>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) separator: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) select_action: Option<Opens>,
    pub(crate) items: Vec<Element>,
}

impl Container {
    pub(crate) fn new(items: Vec<Element>) -> Self {
        Self { style: None, bleed: false, spacing: None, separator: false, select_action: None, items }
    }
}

/// What a tap on a container opens. Buttons inside of containers are dead on some phones, so it can be nothing but a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "Action.OpenUrl")]
pub(crate) struct Opens {
    /// Read out to people who do not see the container.
    pub(crate) title: Own,
    pub(crate) url: Link,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ColumnSet {
    pub(crate) spacing: Spacing,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub(crate) struct Column {
    pub(crate) width: &'static str,
    pub(crate) items: Vec<Element>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InputText {
    pub(crate) id: &'static str,
    pub(crate) label: Own,
    pub(crate) placeholder: Own,
    pub(crate) is_multiline: bool,
    pub(crate) max_length: usize,
    pub(crate) is_required: bool,
    pub(crate) error_message: Own,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Plain>,
}

/// A list to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChoiceSet {
    pub(crate) id: &'static str,
    pub(crate) label: Own,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) placeholder: Option<Own>,
    /// `filtered` lets the person type.
    pub(crate) style: &'static str,
    pub(crate) is_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_message: Option<Own>,
    pub(crate) choices: Vec<Choice>,
    /// Asks the bot for more choices while the person types (Teams docs, "Typeahead search").
    #[serde(rename = "choices.data", skip_serializing_if = "Option::is_none")]
    pub(crate) search: Option<DataQuery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
}

/// One of the things to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Choice {
    pub(crate) title: Plain,
    pub(crate) value: String,
}

/// What the bot is asked for choices of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "Data.Query")]
pub(crate) struct DataQuery {
    pub(crate) dataset: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub(crate) enum Action {
    #[serde(rename = "Action.Execute")]
    Execute(Execute),
    #[serde(rename = "Action.OpenUrl")]
    OpenUrl(OpenUrl),
    /// Opens a dialog, or sends one: inside dialogs only this works (Teams docs, "Dialogs in bots").
    #[serde(rename = "Action.Submit")]
    Submit(Submit),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OpenUrl {
    pub(crate) title: Escaped,
    pub(crate) url: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Submit {
    pub(crate) title: Own,
    pub(crate) data: SubmitData,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
}

/// Where a button stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Behind the three dots.
    Secondary,
}

impl Action {
    /// A button that opens a page.
    pub(crate) fn open(title: &'static str, url: Link) -> Self {
        Self::OpenUrl(OpenUrl { title: Escaped::from(title), url, mode: None })
    }

    /// A button that opens a dialog, or sends one.
    pub(crate) fn submit(title: impl Into<Own>, data: SubmitData) -> Self {
        Self::Submit(Submit { title: title.into(), data, mode: None })
    }

    /// A button that opens Teams' sign-in window.
    pub(crate) fn sign_in(title: &'static str, url: Link) -> Self {
        Self::submit(title, SubmitData::SignIn { msteams: SignIn { kind: "signin", value: url } })
    }

    /// A button that acts.
    pub(crate) fn execute(title: &'static str, verb: Verb, data: Data, style: Option<ActionStyle>) -> Self {
        let sent = match data.clone() {
            Data::Incident(data) => SubmitData::Incident(Box::new(data)),
            others => SubmitData::Verbed { verb, data: others },
        };
        let fallback = Fallback::Submit { title, data: sent };
        Self::Execute(Execute { title, verb, data, style, mode: None, fallback })
    }

    /// The same button behind the three dots.
    pub(crate) fn secondary(mut self) -> Self {
        let mode = match &mut self {
            Self::Execute(Execute { mode, .. })
            | Self::OpenUrl(OpenUrl { mode, .. })
            | Self::Submit(Submit { mode, .. }) => mode,
        };
        *mode = Some(Mode::Secondary);
        self
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum SubmitData {
    Form(DialogData),
    Storm(Box<StormData>),
    Incident(Box<ButtonData>),
    SignIn {
        msteams: SignIn,
    },
    Verbed {
        verb: Verb,
        #[serde(flatten)]
        data: Data,
    },
}

/// Makes Teams open a sign-in window, whose page can hand over a code (Teams docs, "Authentication flow for bots").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SignIn {
    #[serde(rename = "type")]
    kind: &'static str,
    value: Link,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Execute {
    pub(crate) title: &'static str,
    pub(crate) verb: Verb,
    pub(crate) data: Data,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) style: Option<ActionStyle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    pub(crate) fallback: Fallback,
}

/// What a client sends, as a message, that does not know `Action.Execute`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub(crate) enum Fallback {
    #[serde(rename = "Action.Submit")]
    Submit { title: &'static str, data: SubmitData },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Data {
    Incident(ButtonData),
    Team(TeamData),
    Wanted(WantedData),
    None(NoData),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weight {
    Bolder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    Small,
    Large,
}

/// A colour of text and of a container's background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Emphasis,
    Accent,
    Attention,
    Warning,
    Good,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TextStyle {
    Heading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Spacing {
    None,
    Small,
    Medium,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActionStyle {
    Positive,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
