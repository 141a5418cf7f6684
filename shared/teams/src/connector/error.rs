//! What Teams' refusals mean: the table of status and error codes in the Teams docs on bot conversations.

use std::fmt;
use std::time::Duration;

use ::wire::WireError;
use domain::failure::Class;
use reqwest::Method;

use super::token::TokenError;
use crate::auth::UntrustedServiceUrl;

/// A call to the connector that did not succeed, or not surely.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The bot's token must not be sent there. Nothing was sent.
    #[error("the connector's address is not trusted")]
    UntrustedHost(#[source] UntrustedServiceUrl),
    /// An id that cannot be a part of an address. Nothing was sent.
    #[error("an id makes no address")]
    BadAddress,
    /// The message cannot be written as JSON. Nothing was sent.
    #[error("the message cannot be written")]
    Unwritable(#[source] serde_json::Error),
    /// No token, so nothing was sent.
    #[error("no token for the connector")]
    Token(#[source] TokenError),
    /// No connection, so nothing was sent.
    #[error("Teams cannot be reached")]
    NotReached(#[source] WireError),
    /// It may have been carried out.
    #[error("Teams did not answer")]
    NoAnswer(#[source] WireError),
    /// It was carried out, but the answer does not say as what.
    #[error("Teams answered {0} without a usable id")]
    NoId(Answer),
    /// Too many requests (429). Nothing was done.
    #[error("Teams throttles us ({answer})")]
    Throttled {
        /// As Teams asked for.
        after: Option<Duration>,
        /// What Teams answered.
        answer: Answer,
    },
    /// Another operation on the conversation was under way (412). Nothing was done.
    #[error("Teams is busy ({answer})")]
    Busy {
        /// As Teams asked for.
        after: Option<Duration>,
        /// What Teams answered.
        answer: Answer,
    },
    /// Teams failed on the way (408, 5xx). It may have been carried out.
    #[error("Teams failed ({answer})")]
    Failed {
        /// As Teams asked for.
        after: Option<Duration>,
        /// What Teams answered.
        answer: Answer,
    },
    /// The message is larger than Teams takes (413).
    #[error("the message is too big for Teams ({0})")]
    TooBig(Answer),
    /// The message to edit or to reply to does not exist (any more). The conversation does.
    #[error("the message is gone ({answer})")]
    ActivityGone {
        /// What Teams answered.
        answer: Answer,
    },
    /// Teams does not find the conversation (404). It may be gone; Teams has also been seen to say so once, and to find it again.
    #[error("Teams does not find the conversation ({0})")]
    ConversationNotFound(Answer),
    /// The conversation does not exist, or the bot is not (any more) in it.
    #[error("the conversation is gone ({0})")]
    ConversationGone(Answer),
    /// The bot may not do this.
    #[error("the bot may not do this ({0})")]
    Forbidden(Answer),
    /// A fresh token is refused as well (401): the registration or the secret is wrong.
    #[error("Teams does not accept the bot's token ({0})")]
    Unauthorized(Answer),
    /// A redirect, or the host of another cloud: the configured hosts are wrong.
    #[error("Teams wants to be asked elsewhere ({0})")]
    WrongHost(Answer),
    /// Any other refusal: the request is wrong.
    #[error("Teams refuses the request ({0})")]
    Refused(Answer),
}

/// An answer that is not a success: what may be logged of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Teams' error code; empty if it gave none.
    pub code: String,
    /// Microsoft's id of the operation, for a support case.
    pub operation: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        self.operation.iter().try_for_each(|operation| write!(f, ", operation {operation}"))
    }
}

impl ConnectorError {
    /// Whether Entra does not accept the bot's id or secret; nothing was sent to Teams.
    #[must_use]
    pub fn refuses_client(&self) -> bool {
        matches!(self, Self::Token(error) if error.refuses_client())
    }

    /// Reads a refusal: the one table of what Teams' codes mean. `of` is the method of the refused call; only an edit is a `PUT`.
    pub(super) fn from_answer(of: &Method, answer: Answer, after: Option<Duration>) -> Self {
        let edit = of == Method::PUT;
        match (answer.status, answer.code.as_str()) {
            (300..=399, _) | (403, "InvalidBotApiHost") => Self::WrongHost(answer),
            // A message that was deleted. Teams has more than one way to say that it cannot be edited any more.
            (400 | 404 | 405 | 410, "ActivityNotFoundInConversation") => Self::ActivityGone { answer },
            (403, "ServiceError") | (405, _) if edit => Self::ActivityGone { answer },
            (401, _) => Self::Unauthorized(answer),
            (
                403,
                "BotDisabledByAdmin"
                | "BotNotInConversationRoster"
                | "ConversationBlockedByUser"
                | "MessageWritesBlocked",
            )
            | (404, "MemberNotFoundInConversation")
            | (410, _) => Self::ConversationGone(answer),
            (403, _) => Self::Forbidden(answer),
            (404, _) => Self::ConversationNotFound(answer),
            (412, _) => Self::Busy { after, answer },
            (413, _) => Self::TooBig(answer),
            (429, _) => Self::Throttled { after, answer },
            (408 | 500..=599, _) => Self::Failed { after, answer },
            _ => Self::Refused(answer),
        }
    }

    /// A call that broke off.
    pub(super) fn from_transport(error: WireError) -> Self {
        if error.is_connect() { Self::NotReached(error) } else { Self::NoAnswer(error) }
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Throttled { after, .. } | Self::Busy { after, .. } => Class::Retry { after: *after },
            Self::NotReached(_) => Class::Retry { after: None },
            Self::NoAnswer(_) | Self::NoId(_) | Self::Failed { .. } => Class::Unclear,
            Self::ActivityGone { .. } | Self::ConversationNotFound(_) | Self::ConversationGone(_) => Class::Gone,
            Self::Forbidden(_) => Class::Forbidden,
            Self::TooBig(_) | Self::Refused(_) => Class::Invalid,
            Self::UntrustedHost(_)
            | Self::BadAddress
            | Self::Unwritable(_)
            | Self::Unauthorized(_)
            | Self::WrongHost(_) => Class::Bug,
            Self::Token(error) => error.class(),
        }
    }

    /// Whether it is about this very message: the same one is never taken, while another one may be.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::TooBig(_) | Self::Refused(_) | Self::Forbidden(_) | Self::BadAddress | Self::Unwritable(_) => true,
            Self::UntrustedHost(_)
            | Self::Token(_)
            | Self::NotReached(_)
            | Self::NoAnswer(_)
            | Self::NoId(_)
            | Self::Throttled { .. }
            | Self::Busy { .. }
            | Self::Failed { .. }
            | Self::ActivityGone { .. }
            | Self::ConversationNotFound(_)
            | Self::ConversationGone(_)
            | Self::Unauthorized(_)
            | Self::WrongHost(_) => false,
        }
    }

    /// Whether Teams as a whole seems to be away, so that the next message would fare no better.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::NotReached(_))
            || matches!(self, Self::Failed { answer, .. } if matches!(answer.status, 502..=504))
    }

    /// How long Teams asks to be left alone, also where it does not say whether the call was carried out.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { after, .. } | Self::Busy { after, .. } | Self::Failed { after, .. } => *after,
            _ => None,
        }
    }

    /// Teams' error code, or what stands for it where Teams gave none. Safe to store and to show.
    #[must_use]
    pub fn reason(&self) -> &str {
        let (answer, otherwise) = match self {
            Self::UntrustedHost(_) => (None, "UntrustedHost"),
            Self::BadAddress => (None, "BadAddress"),
            Self::Unwritable(_) => (None, "Unwritable"),
            Self::Token(_) => (None, "NoToken"),
            Self::NotReached(_) => (None, "NotReached"),
            Self::NoAnswer(_) => (None, "NoAnswer"),
            Self::NoId(answer) => (Some(answer), "NoId"),
            Self::Throttled { answer, .. } => (Some(answer), "Throttled"),
            Self::Busy { answer, .. } => (Some(answer), "Busy"),
            Self::Failed { answer, .. } => (Some(answer), "ServiceError"),
            Self::TooBig(answer) => (Some(answer), "MessageSizeTooBig"),
            Self::ActivityGone { answer } => (Some(answer), "ActivityNotFoundInConversation"),
            Self::ConversationNotFound(answer) | Self::ConversationGone(answer) => {
                (Some(answer), "ConversationNotFound")
            }
            Self::Forbidden(answer) => (Some(answer), "Forbidden"),
            Self::Unauthorized(answer) => (Some(answer), "Unauthorized"),
            Self::WrongHost(answer) => (Some(answer), "WrongHost"),
            Self::Refused(answer) => (Some(answer), "Refused"),
        };
        answer.map(|answer| answer.code.as_str()).filter(|code| !code.is_empty()).unwrap_or(otherwise)
    }
}
