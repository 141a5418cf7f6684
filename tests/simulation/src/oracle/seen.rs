//! What each channel has shown, over time.

use jiff::Timestamp;
use simulators::teams::Message;

use super::card::{Look, Shown, Storm, read};

/// A message of the bot's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub id: String,
    pub channel: String,
    /// The message to which it is a reply.
    pub root: Option<String>,
    pub at: Timestamp,
    pub is_deleted: bool,
    /// What it said from when on, oldest first; there is always one.
    pub looks: Vec<(Timestamp, Look)>,
    /// What it says, if it is a text.
    pub text: Option<String>,
}

impl Post {
    /// What it says now.
    #[must_use]
    pub fn now(&self) -> Option<&Look> {
        self.looks.last().map(|(_, look)| look)
    }

    /// When it was changed last.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        self.looks.last().map_or(self.at, |(at, _)| *at)
    }

    /// The incident whose own card it was when it was posted.
    #[must_use]
    pub fn incident(&self) -> Option<u64> {
        let (_, look) = self.looks.iter().find(|(_, look)| *look != Look::Other)?;
        match look {
            Look::Incident(shown) => Some(shown.number),
            Look::Left(number) => Some(*number),
            Look::Storm(_) | Look::Other => None,
        }
    }

    pub(super) fn card(&self) -> Option<&Shown> {
        match self.now()? {
            Look::Incident(shown) if !self.is_deleted => Some(shown),
            _ => None,
        }
    }

    pub(super) fn storm(&self) -> Option<&Storm> {
        match self.now()? {
            Look::Storm(storm) if !self.is_deleted => Some(storm),
            _ => None,
        }
    }
}

impl From<&Message> for Post {
    fn from(message: &Message) -> Self {
        let history = message.history();
        let look = |card: Option<&serde_json::Value>| card.map_or(Look::Other, read);
        Self {
            id: message.id.clone(),
            channel: message.conversation.clone(),
            root: message.root.clone(),
            at: message.at,
            is_deleted: message.deleted,
            looks: history.iter().map(|revision| (revision.at, look(revision.card.as_ref()))).collect(),
            text: message.text.clone(),
        }
    }
}

/// Everything that was shown, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen(pub Vec<Post>);

impl Seen {
    #[must_use]
    pub fn of(messages: &[Message]) -> Self {
        Self(messages.iter().map(Post::from).collect())
    }

    /// The posts of a channel, without replies.
    pub(super) fn posts<'a>(&'a self, channel: &'a str) -> impl Iterator<Item = &'a Post> {
        self.0.iter().filter(move |post| post.channel == channel && post.root.is_none())
    }
}
