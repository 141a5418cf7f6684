//! Faults on order: what the connector and the token endpoint do wrong for the next few requests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ids::base_of;

/// How a request fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Refused before anything was done.
    Status {
        /// HTTP status.
        status: u16,
        /// The body's `error.code`.
        code: String,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// Done as asked, but the connection closes before the answer.
    DropAnswerAfterApplying,
    /// Done as asked, and answered 202 without a body, as Teams answers what it splits into two messages.
    AnswerWithoutId,
    /// An edit that Teams gives up with a 504, and that takes effect all the same, after the next thing that is done in the conversation.
    OvertakesTheNext,
    /// The connection closes and nothing was done.
    NoAnswer,
    /// Nothing was done and no answer ever comes; the caller must give up by itself.
    Hang,
}

impl Fault {
    /// A refusal without `Retry-After`.
    #[must_use]
    pub fn status(status: u16, code: &str) -> Self {
        Self::Status { status, code: code.to_owned(), retry_after: None }
    }

    /// 429 with `Retry-After`.
    #[must_use]
    pub fn throttled(seconds: u64) -> Self {
        Self::Status { status: 429, code: "Throttled".to_owned(), retry_after: Some(seconds) }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    anywhere: VecDeque<Fault>,
    conversations: BTreeMap<String, VecDeque<Fault>>,
    tokens: VecDeque<Fault>,
    /// Conversations whose requests are never answered.
    hanging: BTreeSet<String>,
    /// What is refused for ever: a text in the body, and how.
    never_taken: Vec<(String, Fault)>,
}

impl Faults {
    pub(super) fn anywhere(&mut self, times: usize, fault: &Fault) {
        self.anywhere.extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn in_conversation(&mut self, conversation: &str, times: usize, fault: &Fault) {
        self.conversations
            .entry(base_of(conversation).to_owned())
            .or_default()
            .extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn at_token_endpoint(&mut self, times: usize, fault: &Fault) {
        self.tokens.extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn hang_in(&mut self, conversation: &str, hangs: bool) {
        if hangs {
            self.hanging.insert(base_of(conversation).to_owned());
        } else {
            self.hanging.remove(base_of(conversation));
        }
    }

    pub(super) fn never_take(&mut self, text: &str, fault: &Fault) {
        self.never_taken.push((text.to_owned(), fault.clone()));
    }

    /// The fault for a request with this body, however often it comes.
    pub(super) fn for_content(&self, body: &[u8]) -> Option<Fault> {
        if self.never_taken.is_empty() {
            return None;
        }
        let body = std::str::from_utf8(body).ok()?;
        self.never_taken.iter().find(|(text, _)| body.contains(text)).map(|(_, fault)| fault.clone())
    }

    /// The fault for a connector request about one of these conversations.
    pub(super) fn next(&mut self, conversations: &[&str]) -> Option<Fault> {
        if conversations.iter().any(|conversation| self.hanging.contains(base_of(conversation))) {
            return Some(Fault::Hang);
        }
        conversations
            .iter()
            .find_map(|conversation| self.conversations.get_mut(base_of(conversation)).and_then(VecDeque::pop_front))
            .or_else(|| self.anywhere.pop_front())
    }

    pub(super) fn next_token(&mut self) -> Option<Fault> {
        self.tokens.pop_front()
    }

    pub(super) fn pending(&self) -> usize {
        self.anywhere.len() + self.tokens.len() + self.conversations.values().map(VecDeque::len).sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
