//! What people and monitoring tools do.
//!
//! Numbers name what the [`crate::Town`] has, modulo how many there are. An incident is named by its *case*: the number that its
//! title ends with. Where there is no such case (any more), the incidents that there are are counted through. So a script from which
//! steps were taken away still means something, and what is left of it means the same.

mod draw;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One thing that somebody does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// An incident is opened.
    Trigger {
        case: usize,
        service: usize,
        low: bool,
        source: Source,
    },
    /// A monitoring tool opens so many incidents within seconds: this case and those after it.
    Burst {
        case: usize,
        count: usize,
        service: usize,
    },
    /// One more alert joins an open incident.
    Alert {
        case: usize,
    },
    /// The monitoring tool says that it is over.
    Recover {
        case: usize,
    },
    /// The acknowledgement runs out by itself.
    Unacknowledge {
        case: usize,
    },
    /// Nobody has reacted: it goes to this person.
    Escalate {
        case: usize,
        to: usize,
    },
    /// Somebody does it on PagerDuty's own pages.
    InPagerDuty {
        person: usize,
        case: usize,
        change: Change,
    },
    /// Somebody presses a button on a card, and then the buttons of the dialog that opens, one after another, each by its number.
    /// Whoever has pressed the last one closes a dialog that is still open. `words` is what they type, and a number of its own.
    Press {
        person: usize,
        card: Card,
        button: Button,
        manner: Manner,
        dialog: Vec<usize>,
        words: usize,
    },
    /// Somebody scrolls to a card: Teams may refresh it for them.
    Look {
        person: usize,
        card: Card,
    },
    /// Somebody writes to the bot: in a channel, or else in their chat with it.
    Say {
        person: usize,
        channel: Option<usize>,
        words: Words,
    },
    /// Somebody links themselves to their account, by the personal link that they ask for.
    /// `window`: in Teams' own window, and otherwise in a browser.
    Link {
        person: usize,
        window: bool,
    },
    Unlink {
        person: usize,
    },
    /// Somebody connects a service to a channel: by the command, or on the configuration page.
    Connect {
        person: usize,
        service: usize,
        channel: usize,
        way: Way,
    },
    /// Somebody removes what the channel shows of the service.
    Remove {
        person: usize,
        service: usize,
        channel: usize,
        way: Way,
    },
    /// Somebody disconnects a team from PagerDuty on the configuration page.
    Disconnect {
        person: usize,
        team: usize,
    },
    /// Somebody connects a team to PagerDuty again, by the link that they ask for.
    Authorize {
        person: usize,
        team: usize,
    },
    /// Something happens to a channel.
    Channel {
        channel: usize,
        fate: ChannelFate,
    },
    /// Something happens to a team.
    Team {
        team: usize,
        fate: TeamFate,
    },
}

/// Who opens an incident, and what they say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Tool,
    /// A tool that says what it is called and where its own page is.
    ToolWithPage,
    /// A tool with details, links and a severity.
    ToolWithDetails,
    /// A tool for which an event rule knows the priority.
    ToolWithPriority(usize),
    /// An orchestration: nobody.
    Orchestration,
    /// Somebody on PagerDuty's pages.
    Person(usize),
}

/// What somebody does to an incident on PagerDuty's pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Acknowledge,
    Resolve,
    ResolveWithNote,
    Reopen,
    Note,
    Reassign {
        to: usize,
    },
    Merge {
        into: usize,
    },
    Move {
        service: usize,
    },
    /// `None` clears it.
    Priority(Option<usize>),
    Urgency {
        low: bool,
    },
    /// PagerDuty sends no webhook for that.
    Title,
    StatusUpdate,
    AskResponder {
        whom: usize,
    },
    AnswerRequest {
        accepts: bool,
    },
    Conference,
}

/// Which card somebody has before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// An incident's, in one of the channels that show it.
    Of { case: usize, nth: usize },
    /// In their own chat with the bot, the newest first.
    Mine(usize),
    /// The newest card of a storm in this channel.
    Storm { channel: usize },
    /// Any that has buttons and that they can see, of the newest twenty.
    Any(usize),
}

/// Which button of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    Acknowledge,
    Resolve,
    Note,
    Details,
    /// By its place among those that the card has.
    Nth(usize),
}

/// How a button is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    Once,
    /// Impatiently: two clicks at the same moment.
    Twice,
    /// Once, and Teams sends it again a second later.
    Resent,
    /// Somebody else presses the same button at the same moment.
    With(usize),
}

/// What somebody writes to the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    Help,
    Open,
    Incidents,
    MyIncidents,
    OnCall,
    Connections,
    Configure,
    /// Offers the form for a new incident.
    Trigger {
        case: usize,
    },
    /// A key that does not exist.
    WrongKey,
    Nonsense,
}

/// By which way somebody changes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Command,
    /// Logged in anew.
    Page,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelFate {
    Deleted,
    Restored,
    Renamed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamFate {
    AppRemoved,
    /// By whom.
    AppAdded(usize),
    Archived,
    Unarchived,
    Renamed,
}

/// An act and its time since the script began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub at: Duration,
    pub act: Act,
}

/// Steps in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Script(pub Vec<Step>);

/// An incident's title says its case, also when it is changed.
#[must_use]
pub fn title(what: &str, case: usize) -> String {
    format!("{what} ({case})")
}

/// The case of a title.
#[must_use]
pub fn case_of(title: &str) -> Option<usize> {
    title.strip_suffix(')')?.rsplit_once('(')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn drawn(seed: u64, steps: usize, span: Duration) -> Script {
        Script::draw(&mut Dice::new(seed), steps, span)
    }

    #[test]
    fn a_script_is_the_same_again_from_its_seed_and_has_its_steps_in_order_within_its_span() {
        for (seed, steps, span) in [(1, 200, 1800), (2, 200, 600), (3, 40, 172_800), (4, 1, 60), (5, 0, 60)] {
            let span = Duration::from_secs(span);
            let script = drawn(seed, steps, span);
            assert_eq!(script, drawn(seed, steps, span));
            assert_eq!(script.0.len(), steps);
            assert!(script.0.is_sorted_by_key(|step| step.at));
            assert!(script.0.iter().all(|step| step.at <= span));
        }
        assert_ne!(drawn(1, 200, Duration::from_secs(1800)), drawn(6, 200, Duration::from_secs(1800)));
    }

    #[test]
    fn a_script_survives_its_journey_through_json() {
        let script = drawn(7, 500, Duration::from_secs(1800));
        let text = serde_json::to_string_pretty(&script).unwrap();
        assert_eq!(serde_json::from_str::<Script>(&text).unwrap(), script);
    }

    #[test]
    fn a_title_keeps_its_case() {
        for (title, case) in [
            (title("Disk is full", 12), Some(12)),
            ("Disk (old) is full (3)".to_owned(), Some(3)),
            ("Disk is full".to_owned(), None),
            ("Disk is full ()".to_owned(), None),
        ] {
            assert_eq!(case_of(&title), case, "{title}");
        }
    }
}
