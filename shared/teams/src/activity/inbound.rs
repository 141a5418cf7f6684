//! What an activity asks of the bot.

use domain::ids::ActivityId;
use serde_json::Value;

use super::{Activity, ActivityKind, Person, text};

/// What an activity asks of the bot.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    /// Somebody clicked a button of a card, or the client refreshes the card.
    Click(Click),
    /// A dialog is to be opened.
    TaskFetch { data: Value },
    /// A dialog was submitted.
    TaskSubmit { data: Value },
    /// Somebody types into a list of a card that asks the bot for choices.
    Search {
        dataset: String,
        /// What was typed so far.
        text: String,
    },
    /// The page in a sign-in window has handed its code over to Teams, which names the user who opened the window.
    SignIn {
        /// The code; anything may stand in it, such as that the window was closed.
        state: String,
    },
    /// Somebody wrote to the bot.
    Message {
        /// Without the bot's own mention, entities decoded, white space collapsed.
        text: String,
        /// The data of a card's `Action.Submit`, which old clients send as a message.
        value: Option<Value>,
    },
    /// The bot was added to a team or a chat.
    Installed,
    /// The bot was removed from a team or a chat.
    Uninstalled,
    /// Somebody was added to the conversation.
    MembersAdded {
        /// Whether the bot itself is among them.
        bot: bool,
        members: Vec<Person>,
    },
    /// Anything else about the conversation.
    ConversationUpdate {
        /// `channelRenamed`, `teamDeleted` and so on; Teams' docs do not agree on the case. Empty if not given.
        event_type: String,
    },
    /// A request that the bot does not know, or cannot read.
    OtherInvoke {
        /// Its name; empty if not given.
        name: String,
    },
    /// Anything else: nothing is to be done.
    Other,
}

/// An `Action.Execute` of a card (Adaptive Cards docs, universal action model).
#[derive(Debug, Clone, PartialEq)]
pub struct Click {
    /// The button's data, merged with the card's inputs. Anybody could have forged it.
    pub action: Value,
    pub verb: String,
    /// The client did it by itself, to refresh the card.
    pub trigger_automatic: bool,
    /// The message that the card is in.
    pub card: Option<ActivityId>,
}

impl Activity {
    /// What the activity asks of the bot.
    #[must_use]
    pub fn inbound(&self) -> Inbound {
        match &self.kind {
            ActivityKind::Message => Inbound::Message {
                text: text::plain(&self.text, self.own_mentions()),
                value: (!self.value.is_null()).then(|| self.value.clone()),
            },
            ActivityKind::Invoke => self.invoke(),
            ActivityKind::ConversationUpdate => self.conversation_update(),
            ActivityKind::InstallationUpdate => self.installation_update(),
            ActivityKind::Other(_) => Inbound::Other,
        }
    }

    fn invoke(&self) -> Inbound {
        let name = self.name.clone().unwrap_or_default();
        // Anything else is none of ours, and would be quoted at length by whoever tries to read it.
        let data = || self.value.get("data").filter(|data| data.is_object()).cloned().unwrap_or_default();
        match name.as_str() {
            "adaptiveCard/action" => self.click().map_or(Inbound::OtherInvoke { name }, Inbound::Click),
            "task/fetch" => Inbound::TaskFetch { data: data() },
            "task/submit" => Inbound::TaskSubmit { data: data() },
            "application/search" => {
                let text = |key: &str| self.value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                Inbound::Search { dataset: text("dataset"), text: text("queryText") }
            }
            "signin/verifyState" => {
                let state = self.value.get("state").and_then(Value::as_str).unwrap_or_default();
                Inbound::SignIn { state: state.to_owned() }
            }
            _ => Inbound::OtherInvoke { name },
        }
    }

    fn click(&self) -> Option<Click> {
        let action = self.value.get("action")?;
        if action.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "Action.Execute") {
            return None;
        }
        let trigger = self.value.get("trigger").and_then(Value::as_str).unwrap_or_default();
        Some(Click {
            action: action.get("data").cloned().unwrap_or_default(),
            verb: action.get("verb")?.as_str()?.to_owned(),
            trigger_automatic: trigger.eq_ignore_ascii_case("automatic"),
            card: self.reply_to.clone(),
        })
    }

    fn conversation_update(&self) -> Inbound {
        if self.includes_bot(&self.members_removed) {
            Inbound::Uninstalled
        } else if self.members_added.is_empty() {
            Inbound::ConversationUpdate { event_type: self.event_type.clone().unwrap_or_default() }
        } else {
            Inbound::MembersAdded { bot: self.includes_bot(&self.members_added), members: self.members_added.clone() }
        }
    }

    /// Teams' docs and SDK samples do not agree on the case of the action.
    fn installation_update(&self) -> Inbound {
        match self.action.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
            "add" | "add-upgrade" => Inbound::Installed,
            "remove" | "remove-upgrade" => Inbound::Uninstalled,
            _ => Inbound::Other,
        }
    }

    fn own_mentions(&self) -> impl Iterator<Item = &str> {
        let bot = self.recipient.as_ref().map(|bot| &bot.id);
        self.mentions.iter().filter(move |mention| Some(&mention.id) == bot).map(|mention| mention.text.as_str())
    }
}
