//! What has happened at the borders, in its order. The oracle reads it, and a run is the same as another if their chronicles are.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simulators::teams::Message;

use crate::people::Did;
use crate::script::Act;

/// A function, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Function {
    WebhookIngest,
    BotMessages,
    OauthCallback,
    NotificationSender,
    AdminApi,
    Reconciler,
}

impl Function {
    pub const ALL: [Self; 6] = [
        Self::WebhookIngest,
        Self::BotMessages,
        Self::OauthCallback,
        Self::NotificationSender,
        Self::AdminApi,
        Self::Reconciler,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WebhookIngest => "webhook-ingest",
            Self::BotMessages => "bot-messages",
            Self::OauthCallback => "oauth-callback",
            Self::NotificationSender => "notification-sender",
            Self::AdminApi => "admin-api",
            Self::Reconciler => "reconciler",
        }
    }
}

/// Whom a function calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Neighbour {
    Table,
    Queue,
    Secrets,
    PagerDuty,
    Teams,
}

/// An outside call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub function: Function,
    pub to: Neighbour,
    /// The operation, or method and path.
    pub what: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody has begun to do this: step so and so of the script.
    Begun(usize, Act),
    /// It is done, and this has become of it.
    Done(usize, Did),
    /// An invocation was begun, with this number.
    Invoked(u64, Function),
    /// It has ended. `false`: it was killed, or ran out of time.
    Ended(u64, bool),
    /// A function has called out, and this has become of it.
    Called(u64, Call, Became),
    /// PagerDuty has delivered a webhook for a subscription that it has told nobody to forget, and was answered with this status;
    /// `None`: with nothing.
    Webhook { event: String, status: Option<u16> },
    /// Teams has taken a post, an edit or a deletion of the bot's: the message as it is now.
    Shown(Box<Message>),
    /// A fault of the world was begun or ended.
    Fault(String),
}

/// What became of an outside call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Became {
    /// It was answered with this status.
    Answered(u16),
    /// It was never made, and the caller heard this status, or nothing.
    Refused(Option<u16>),
    /// It was carried out, and the caller heard this status instead, or nothing.
    AnswerLost(Option<u16>),
    /// The caller died before it was made.
    DiedBefore,
    /// It was carried out, and the caller died before it heard of it.
    DiedAfter,
}

/// All that happened. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Chronicle(Arc<Mutex<Vec<(Timestamp, Event)>>>);

impl Chronicle {
    pub fn note(&self, at: Timestamp, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((at, event));
    }

    /// So far.
    #[must_use]
    pub fn read(&self) -> Vec<(Timestamp, Event)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
