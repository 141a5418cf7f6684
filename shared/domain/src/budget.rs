//! How much Teams takes: what may be sent to a channel, and to a tenant as a whole, without being refused.
//!
//! Teams counts in sliding windows and calls its numbers subject to change ("Optimize your bot with rate limiting"): from one bot a
//! conversation takes 7 messages in 1 s, 8 in 2 s, 60 in 30 s and 1,800 in an hour, a tenant 50 requests in a second. We stay below
//! them, so a refusal is a surprise.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::forward;

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// What can wait some seconds. It leaves room for what cannot, and for answers to commands, which ask nobody.
    Ordinary,
    /// The top priorities, and what somebody waits for who has just clicked. It leaves room for one answer.
    Urgent,
}

/// (how many, in how many milliseconds)
type Window = (usize, i64);

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

impl Claim {
    /// The windows in which single messages are counted: of 7, 8 and 60.
    const fn windows(self) -> [Window; 3] {
        match self {
            Self::Ordinary => [(5, 1_000), (6, 2_000), (48, 30_000)],
            Self::Urgent => [(6, 1_000), (7, 2_000), (56, 30_000)],
        }
    }

    /// Of 1,800 in an hour.
    const fn in_an_hour(self) -> usize {
        match self {
            Self::Ordinary => 1_500,
            Self::Urgent => 1_700,
        }
    }
}

/// A message counts so much longer than Teams counts it: it arrives later than it is noted, and the clock of whoever noted it may
/// differ from ours.
const SLACK: i64 = 250;

/// How long single messages are counted.
const LONGEST: i64 = 30_000 + SLACK;

/// What a channel was sent. Only its sender writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// When each of the last messages was sent, in milliseconds since 1970, the oldest first.
    #[serde(default, deserialize_with = "forward::known_ones")]
    sent: VecDeque<i64>,
    /// How many in each minute of the last hour, by the minute's number since 1970.
    #[serde(default, deserialize_with = "forward::known_ones")]
    minutes: VecDeque<(i64, u32)>,
    /// How many may have been sent since this was written, and when that was, in milliseconds since 1970.
    #[serde(default, deserialize_with = "forward::or_none")]
    reserved: Option<(u32, i64)>,
}

/// How long after they were reserved a wave's messages are sent at the latest, unless Teams is so slow that they are few anyway.
const WAVE: i64 = 5_000;

impl Budget {
    /// How many messages may be sent now.
    #[must_use]
    pub fn allows(&self, claim: Claim, now: Timestamp) -> usize {
        let now = now.as_millisecond();
        let in_window = |(most, length): Window| {
            let counted = self.sent.iter().filter(|at| now - **at < length + SLACK).count();
            most.saturating_sub(counted)
        };
        let hour = claim.in_an_hour().saturating_sub(self.in_the_last_hour(now));
        claim.windows().into_iter().map(in_window).fold(hour, usize::min)
    }

    /// From when on one more may be sent, if nothing else is sent before; in the past: now.
    #[must_use]
    pub fn next_at(&self, claim: Claim, now: Timestamp) -> Timestamp {
        let until = |(most, length): Window| {
            let blocking = self.sent.len().checked_sub(most).and_then(|index| self.sent.get(index));
            blocking.map_or(i64::MIN, |at| at.saturating_add(length + SLACK))
        };
        let windows = claim.windows().into_iter().map(until).max().unwrap_or(i64::MIN);
        let mut over = (self.in_the_last_hour(now.as_millisecond()) + 1).saturating_sub(claim.in_an_hour());
        let mut hour = i64::MIN;
        for (minute, count) in self.counted_minutes(now.as_millisecond()) {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(usize::try_from(*count).unwrap_or(usize::MAX));
            hour = left_at(*minute);
        }
        Timestamp::from_millisecond(windows.max(hour)).unwrap_or(Timestamp::MIN)
    }

    /// Notes a message that is being sent.
    pub fn sent(&mut self, at: Timestamp) {
        let at = at.as_millisecond();
        while self.sent.front().is_some_and(|sent| at - sent >= LONGEST) {
            self.sent.pop_front();
        }
        while self.minutes.front().is_some_and(|(minute, _)| left_at(*minute) <= at) {
            self.minutes.pop_front();
        }
        let place = self.sent.partition_point(|sent| *sent <= at);
        self.sent.insert(place, at);
        let minute = at.div_euclid(MINUTE);
        match self.minutes.back_mut() {
            Some((last, count)) if *last >= minute => *count = count.saturating_add(1),
            _ => self.minutes.push_back((minute, 1)),
        }
    }

    /// The same with so many that may be sent before it is written again: a sender that dies has perhaps sent them.
    #[must_use]
    pub fn with_reserved(mut self, sends: usize, now: Timestamp) -> Self {
        let sends = u32::try_from(sends).unwrap_or(u32::MAX);
        self.reserved = (sends > 0).then_some((sends, now.as_millisecond()));
        self
    }

    /// As a sender finds it that comes now: what was reserved counts as sent, as late as it may have been, and no clock's error as
    /// a wait.
    #[must_use]
    pub fn taken_over(mut self, now: Timestamp) -> Self {
        let now = now.as_millisecond();
        self.sent.iter_mut().for_each(|at| *at = (*at).min(now));
        self.minutes.iter_mut().for_each(|(minute, _)| *minute = (*minute).min(now.div_euclid(MINUTE)));
        if let Some((sends, at)) = self.reserved.take() {
            let sent_at = Timestamp::from_millisecond(at.saturating_add(WAVE).min(now)).unwrap_or(Timestamp::MIN);
            (0..sends.min(60)).for_each(|_| self.sent(sent_at));
        }
        self
    }

    fn in_the_last_hour(&self, now: i64) -> usize {
        let counts = self.counted_minutes(now).map(|(_, count)| usize::try_from(*count).unwrap_or(usize::MAX));
        counts.fold(0, usize::saturating_add)
    }

    fn counted_minutes(&self, now: i64) -> impl Iterator<Item = &(i64, u32)> {
        self.minutes.iter().filter(move |(minute, _)| left_at(*minute) > now)
    }
}

/// When the last moment of a minute is an hour ago.
fn left_at(minute: i64) -> i64 {
    minute.saturating_add(1).saturating_mul(MINUTE).saturating_add(HOUR)
}

/// How long the windows are in which a tenant's requests are counted, in milliseconds, and how many each has room for: 36 in any
/// second, and 48 if clocks differ by a fifth of it.
const TENANT_WINDOW: i64 = 500;
pub const IN_TENANT_WINDOW: usize = 12;

/// One of a tenant's windows, by its number since 1970. What is reserved in it counts there and is over with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TenantWindow(pub i64);

impl TenantWindow {
    /// The present one.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(now.as_millisecond().div_euclid(TENANT_WINDOW))
    }
}

#[cfg(test)]
mod tests;
