//! What Teams remembers. [`State`] is everything that a restart keeps; [`Passing`] is what it may forget.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::HttpAnswer;
use super::faults::Faults;
use super::ids::{IdSource, base_of};
use super::phones;
use super::throttle::Windows;
use super::tokens::Tokens;

/// A person of a tenant, as the bot may see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `29:…`, unique per pair of bot and user.
    pub id: String,
    /// Entra object id: the stable key.
    pub entra: String,
    /// Display name.
    pub name: String,
    /// The tenant they belong to.
    pub tenant: String,
    /// E-mail address, also the user principal name.
    pub email: String,
}

/// One version of a message's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// When it was shown.
    pub at: Timestamp,
    /// Text, if it was a text.
    pub text: Option<String>,
    /// The notification's preview.
    pub summary: Option<String>,
    /// Adaptive Card, if it was a card.
    pub card: Option<Value>,
}

/// What only the clicking user sees under a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Who sees it (`29:…`).
    pub user: String,
    /// When.
    pub at: Timestamp,
    /// How it looks.
    pub kind: NoticeKind,
    /// What it says.
    pub text: String,
}

/// The look of a [`Notice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// A short-lived line under the card.
    Toast,
    /// The red bar.
    ErrorBar,
}

/// A message in a channel or chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Activity id: epoch milliseconds.
    pub id: String,
    /// Channel or chat, without `;messageid=`.
    pub conversation: String,
    /// In a channel, the id of the post that this is a reply to.
    pub root: Option<String>,
    /// Whether the bot wrote it.
    pub from_bot: bool,
    /// `28:…` or `29:…`.
    pub from: String,
    /// When it was posted.
    pub at: Timestamp,
    /// The text that is shown now.
    pub text: Option<String>,
    /// The notification's preview now.
    pub summary: Option<String>,
    /// The card that everybody without a view of their own sees now.
    pub card: Option<Value>,
    /// Who was told that they are mentioned: object ids or `29:…`, as the bot wrote them.
    #[serde(default)]
    pub mentions: Vec<String>,
    /// Every earlier content, oldest first.
    pub edits: Vec<Revision>,
    /// When the present content was shown.
    pub changed_at: Timestamp,
    /// Deleted messages stay, so that history can be checked.
    pub deleted: bool,
    /// Cards that an answer to a click put in place for one user's client only.
    pub views: BTreeMap<String, Value>,
    /// Toasts and red bars that clicks on this card caused.
    pub notices: Vec<Notice>,
}

impl Message {
    /// Every content that the message ever had, oldest first, the present one last.
    #[must_use]
    pub fn history(&self) -> Vec<Revision> {
        let mut all = self.edits.clone();
        all.push(self.present());
        all
    }

    /// What this user's client shows: their own view, or what all see.
    #[must_use]
    pub fn card_for(&self, user: &str) -> Option<&Value> {
        self.views.get(user).or(self.card.as_ref())
    }

    pub(super) fn present(&self) -> Revision {
        Revision {
            at: self.changed_at,
            text: self.text.clone(),
            summary: self.summary.clone(),
            card: self.card.clone(),
        }
    }
}

/// How much happened in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The bot's new posts (in a chat: all its messages).
    pub posts: u32,
    /// The bot's replies in threads.
    pub replies: u32,
    /// The bot's edits.
    pub edits: u32,
    /// The bot's deletions.
    pub deletes: u32,
    /// Requests that were refused with 429.
    pub throttled: u32,
}

/// One activity that was sent to the bot, with its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivery {
    /// The activity.
    pub activity: Value,
    /// The bot's answer; nothing if there was none.
    pub answer: Option<HttpAnswer>,
}

/// Who may see a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Everybody in the team.
    #[default]
    Standard,
    /// Some members of the team.
    Private,
    /// Some members of several teams.
    Shared,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) kind: ChannelKind,
    /// Whether the app was added to this very channel, which only private and shared ones need.
    #[serde(default)]
    pub(super) has_app: bool,
    pub(super) deleted: bool,
}

impl Channel {
    pub(super) fn new(id: &str, name: &str, kind: ChannelKind) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), kind, has_app: false, deleted: false }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) group: String,
    pub(super) tenant: String,
    pub(super) channels: Vec<Channel>,
    pub(super) members: BTreeSet<String>,
    pub(super) bot_in_roster: bool,
    /// Nobody can write in it.
    #[serde(default)]
    pub(super) archived: bool,
    pub(super) deleted: bool,
}

impl Team {
    /// Whether the bot is in this channel: in all standard ones of its teams, in the others only if it was added there
    /// (Teams docs, "Build apps for shared and private channels").
    pub(super) fn bot_is_in(&self, channel: &Channel) -> bool {
        self.bot_in_roster && (channel.kind == ChannelKind::Standard || channel.has_app)
    }

    pub(super) fn channel(&self, id: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.id == id && !channel.deleted)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Chat {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) tenant: String,
    pub(super) removed: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) ids: IdSource,
    pub(super) region: String,
    pub(super) users: Vec<User>,
    pub(super) teams: Vec<Team>,
    pub(super) chats: Vec<Chat>,
    /// Users who have the app in their personal scope.
    pub(super) personal_installs: BTreeSet<String>,
    /// Users who blocked the bot.
    pub(super) blocked: BTreeSet<String>,
    /// By id; ids have a fixed width, so this is also the order of time.
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) counters: BTreeMap<String, Counters>,
    #[serde(skip)]
    pub(super) passing: Passing,
}

/// What does not outlive the process: tokens, windows, faults and what tests look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Passing {
    pub(super) tokens: Tokens,
    pub(super) windows: Windows,
    pub(super) faults: Faults,
    /// Edits that were given up and take effect late: conversation, message, body.
    pub(super) late: Vec<(String, String, Value)>,
    pub(super) unknown_requests: Vec<String>,
    pub(super) complaints: Vec<String>,
    pub(super) dead_on_phones: Vec<String>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) watch: Watch,
    /// The dialog that each user has open, with the message that opened it.
    pub(super) dialogs: BTreeMap<String, (String, Value)>,
}

pub(super) type Seeing = dyn Fn(&Message) + Send + Sync;

/// Who wants to see what the bot writes.
#[derive(Clone, Default)]
pub(super) struct Watch {
    pub(super) watch: Option<Arc<Seeing>>,
    pub(super) forgets: bool,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("forgets", &self.forgets).finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) fn see(&self, message: &mut Message) {
        if let Some(watch) = &self.watch {
            watch(message);
        }
        if self.forgets {
            message.card = None;
            message.edits.clear();
        }
    }
}

/// How many deliveries are remembered; the local stack runs for days.
const KEPT_DELIVERIES: usize = 10_000;

impl State {
    /// By `29:…`, Entra object id or user principal name.
    pub(super) fn user(&self, key: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == key || user.entra == key || user.email == key)
    }

    pub(super) fn team(&self, id: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.id == id && !team.deleted)
    }

    pub(super) fn team_mut(&mut self, id: &str) -> Option<&mut Team> {
        self.teams.iter_mut().find(|team| team.id == id)
    }

    /// The living channel and its team, also by the id of one of its threads.
    pub(super) fn channel(&self, conversation: &str) -> Option<(&Team, &Channel)> {
        let id = base_of(conversation);
        self.teams.iter().filter(|team| !team.deleted).find_map(|team| team.channel(id).map(|channel| (team, channel)))
    }

    pub(super) fn chat(&self, id: &str) -> Option<&Chat> {
        self.chats.iter().find(|chat| chat.id == id)
    }

    pub(super) fn chat_of(&self, user: &str) -> Option<&Chat> {
        self.chats.iter().find(|chat| chat.user == user)
    }

    /// The id of a personal chat never changes; one that the user removed comes back under the same id.
    pub(super) fn open_chat(&mut self, user: &User, now: Timestamp) -> Chat {
        if let Some(chat) = self.chats.iter_mut().find(|chat| chat.user == user.id) {
            chat.removed = false;
            return chat.clone();
        }
        let chat = Chat {
            id: self.ids.personal_chat(now),
            user: user.id.clone(),
            tenant: user.tenant.clone(),
            removed: false,
        };
        self.chats.push(chat.clone());
        chat
    }

    pub(super) fn counters_mut(&mut self, conversation: &str) -> &mut Counters {
        self.counters.entry(base_of(conversation).to_owned()).or_default()
    }

    pub(super) fn look_at_on_phone(&mut self, card: Option<&Value>) {
        self.passing.dead_on_phones.extend(card.into_iter().flat_map(phones::mistakes));
    }

    pub(super) fn complain(&mut self, what: impl Into<String>) {
        self.passing.complaints.push(what.into());
    }

    pub(super) fn remember_delivery(&mut self, delivery: Delivery) {
        let kept = &mut self.passing.deliveries;
        if kept.len() >= KEPT_DELIVERIES {
            kept.drain(..KEPT_DELIVERIES / 2);
        }
        kept.push(delivery);
    }
}
