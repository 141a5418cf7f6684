//! What has become of an act, for whoever judges a run.

use simulators::teams::{Effect, HttpAnswer, Mistake, Task};

use crate::script::{Change, ChannelFate, TeamFate};

/// What has become of an act. People are numbers of the town's, incidents, services, channels and messages have PagerDuty's and
/// Teams' ids.
#[derive(Debug, Clone, PartialEq)]
pub enum Did {
    /// It could not be done, and this is why: nobody has noticed anything.
    Nothing(&'static str),
    /// Incidents were opened, in this order. `by`: the user of PagerDuty's, if it was one.
    Opened { by: Option<String>, service: String, incidents: Vec<String> },
    /// An alert has joined an incident.
    Alerted { incident: String },
    /// It was done in PagerDuty. `by`: the user; `None`: a monitoring tool, or nobody.
    Changed { by: Option<String>, incident: String, what: Changed },
    /// Buttons were pressed on a card, and in the dialogs that it opened, in this order; two at the same moment are one after the
    /// other, the second marked.
    Pressed { conversation: String, message: String, presses: Vec<Press> },
    /// Teams has refreshed the card for them, or there was no need.
    Looked { person: usize, conversation: String, message: String, answer: Option<Answer> },
    /// Something was written to the bot.
    Said { person: usize, conversation: String, text: String, heard: Replies },
    /// A person has tried to link themselves to this user of PagerDuty (`None`: they have said no there).
    Linked { person: usize, pagerduty: Option<String>, how: Outcome },
    /// A person has asked to be unlinked.
    Unlinked { person: usize, how: Outcome },
    /// A service was to be connected to a channel. `how` says [`Outcome::Done`] also if it was connected before.
    Connected { person: usize, service: String, channel: String, how: Outcome },
    /// What the channel shows of the service was to be removed.
    Removed { person: usize, service: String, channel: String, how: Outcome },
    /// The team was to be disconnected from PagerDuty, with all of its connections.
    Disconnected { person: usize, team: String, how: Outcome },
    /// The team was to be connected to PagerDuty again.
    Authorized { person: usize, team: String, how: Outcome },
    /// It has happened to the channel, whatever the bot has answered.
    Channel { channel: String, fate: ChannelFate, answer: Answer },
    /// It has happened to the team, whatever the bot has answered.
    Team { team: String, fate: TeamFate, answers: Vec<Answer> },
}

/// What has happened in PagerDuty.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// Somebody has done it. `text`: what they have written or typed, if they have.
    So { change: Change, text: Option<String> },
    /// The monitoring tool has resolved it.
    Recovered,
    /// The acknowledgement has run out.
    Unacknowledged,
    /// It was escalated to this user.
    Escalated { to: String },
}

/// A button that was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    pub person: usize,
    /// Whether it was on the card itself, and not in a dialog.
    pub on_card: bool,
    pub title: String,
    /// What its data says that it does, for example `acknowledge`, `resolve`, `addNote`, `details`; empty if they do not say it.
    pub verb: String,
    /// The incident in its data.
    pub incident: Option<String>,
    /// What was typed along with it: a note, a title.
    pub typed: Option<String>,
    /// The same activity was sent by Teams once more, or the same person has pressed twice.
    pub again: bool,
    pub answer: Answer,
}

/// What somebody saw of the bot's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Teams has the answer, and shows nothing: as for a message.
    Taken,
    /// The card is replaced, for this person.
    Card {
        text: String,
    },
    /// A line below the card, or the text that a dialog ends with.
    Told(String),
    /// A red bar.
    Refused(String),
    SignIn,
    Dialog {
        title: String,
        text: String,
    },
    /// The dialog has closed without a word.
    Closed,
    /// Teams cannot read it, or it is a failure: "Unable to reach app".
    Broken(String),
    /// None has come in time: "Unable to reach app".
    Silence,
    /// There was nothing to be pressed any more, or the person's client would not send it: the bot has heard nothing.
    NotSent(String),
}

/// What was to be heard of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replies {
    /// Of the message itself.
    pub answer: Answer,
    /// What the bot has written meanwhile: in the message's thread, or in the chat.
    pub replies: Vec<String>,
}

/// How far somebody came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// They were told that it is so.
    Done,
    /// They were told that it is not so, and why. Nothing has changed.
    Refused(String),
    /// They do not know: something did not come, or is broken. It may have been done.
    Unclear(String),
}

impl Answer {
    /// Of a message or an event.
    pub(crate) fn of_message(answer: &Result<HttpAnswer, Mistake>) -> Self {
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => Self::Taken,
            Ok(answer) => Self::Broken(format!("HTTP {}", answer.status)),
            Err(mistake) => Self::of_mistake(mistake),
        }
    }

    /// Of a button that asks for an answer.
    pub(crate) fn of_click(answer: &Result<HttpAnswer, Mistake>) -> Self {
        match answer.as_ref().map(HttpAnswer::effect) {
            Ok(Effect::Card(card)) => Self::Card { text: super::cards::text(&card) },
            Ok(Effect::Toast(text)) => Self::Told(text),
            Ok(Effect::ErrorBar { message, .. }) => Self::Refused(message),
            Ok(Effect::SignIn(_)) => Self::SignIn,
            Ok(Effect::Broken(why)) => Self::Broken(why),
            Err(mistake) => Self::of_mistake(mistake),
        }
    }

    /// Of a button that opens a dialog, or of one in it.
    pub(crate) fn of_dialog(answer: &Result<HttpAnswer, Mistake>) -> Self {
        match answer.as_ref().map(HttpAnswer::task) {
            Ok(Task::Dialog { title, card }) => Self::Dialog { title, text: super::cards::text(&card) },
            Ok(Task::Message(text)) => Self::Told(text),
            Ok(Task::Closed) => Self::Closed,
            Ok(Task::Broken(why)) => Self::Broken(why),
            Err(mistake) => Self::of_mistake(mistake),
        }
    }

    fn of_mistake(mistake: &Mistake) -> Self {
        match mistake {
            Mistake::NoAnswer(_) => Self::Silence,
            mistake => Self::NotSent(mistake.to_string()),
        }
    }

    /// Whether the bot may have heard of it.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        !matches!(self, Self::NotSent(_))
    }
}
