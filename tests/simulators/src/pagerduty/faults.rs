//! Faults on order: what REST and the token endpoint do wrong for the next few requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How a request fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Refused before anything was done, with PagerDuty's error body.
    Status(u16),
    /// Refused before anything was done, with any body: PagerDuty's differ more than its documents say.
    Answer(u16, String),
    /// 429, with `ratelimit-reset` if seconds are given.
    RateLimited(Option<u64>),
    /// Done as asked, but the connection closes before the answer.
    DropAnswerAfterApplying,
    /// Done as asked, but the answer takes this long.
    Slow(Duration),
    /// Done as asked, but in the answer's body the first of these texts is replaced by these bytes; an empty text is its beginning.
    Garbled(Vec<(String, Vec<u8>)>),
    /// The connection closes and nothing was done.
    NoAnswer,
    /// Nothing was done and no answer ever comes; the caller must give up by itself.
    Hang,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    anywhere: VecDeque<Fault>,
    operations: BTreeMap<String, VecDeque<Fault>>,
    tokens: VecDeque<Fault>,
}

impl Faults {
    pub(super) fn anywhere(&mut self, times: usize, fault: &Fault) {
        self.anywhere.extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn at(&mut self, operation: &str, times: usize, fault: &Fault) {
        let queue = self.operations.entry(operation.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn at_token_endpoint(&mut self, times: usize, fault: &Fault) {
        self.tokens.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// The fault for a REST request, if one was ordered.
    pub(super) fn next(&mut self, operation: &str) -> Option<Fault> {
        self.next_at(operation).or_else(|| self.anywhere.pop_front())
    }

    /// The same for a request that is none of REST.
    pub(super) fn next_at(&mut self, operation: &str) -> Option<Fault> {
        self.operations.get_mut(operation).and_then(VecDeque::pop_front)
    }

    pub(super) fn next_token(&mut self) -> Option<Fault> {
        self.tokens.pop_front()
    }

    pub(super) fn pending(&self) -> usize {
        self.anywhere.len() + self.tokens.len() + self.operations.values().map(VecDeque::len).sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
