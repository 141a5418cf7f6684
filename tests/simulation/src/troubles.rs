//! Which fault meets whom: the faults that have begun and not ended.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::chronicle::{Function, Neighbour};
use crate::faults::{How, Point, Way};

/// A fault of the next calls.
#[derive(Debug, Clone)]
struct Waiting {
    to: Neighbour,
    skip: u32,
    times: u32,
    how: How,
}

/// What is wrong at present.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    calls: Vec<Waiting>,
    away: Vec<(Neighbour, Timestamp, How)>,
    crashes: Vec<(Function, Point)>,
    crashes_in: BTreeMap<u64, Point>,
    webhooks: Vec<(u32, Way)>,
    not_deleted: u32,
    no_schedule: u32,
}

impl Troubles {
    pub(crate) fn calls(&mut self, to: Neighbour, skip: u32, times: u32, how: How) {
        self.calls.push(Waiting { to, skip, times, how });
    }

    pub(crate) fn away(&mut self, who: Neighbour, until: Timestamp, how: How) {
        self.away.push((who, until, how));
    }

    pub(crate) fn crash(&mut self, function: Function, at: Point) {
        self.crashes.push((function, at));
    }

    pub(crate) fn crash_in(&mut self, invocation: u64, at: Point) {
        self.crashes_in.insert(invocation, at);
    }

    pub(crate) fn webhooks(&mut self, times: u32, how: Way) {
        self.webhooks.push((times, how));
    }

    pub(crate) fn not_deleted(&mut self, times: u32) {
        self.not_deleted += times;
    }

    pub(crate) fn no_schedule(&mut self, times: u32) {
        self.no_schedule += times;
    }

    /// Whether somebody is still away.
    pub(crate) fn is_away(&self, now: Timestamp) -> bool {
        self.away.iter().any(|(_, until, _)| *until > now)
    }

    /// Nothing is wrong any more.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// What becomes of a call that is made now.
    pub(crate) fn next(&mut self, to: Neighbour, what: &str, now: Timestamp) -> Option<How> {
        self.away.retain(|(_, until, _)| *until > now);
        if let Some((_, _, how)) = self.away.iter().find(|(who, _, _)| *who == to) {
            return Some(*how);
        }
        let at = self.calls.iter().position(|fault| fault.to == to && fits(fault.how, what))?;
        let fault = self.calls.get_mut(at)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let how = fault.how;
        fault.times -= 1;
        if fault.times == 0 {
            self.calls.remove(at);
        }
        Some(how)
    }

    /// Where the invocation that begins now dies.
    pub(crate) fn next_crash(&mut self, function: Function, invocation: u64) -> Option<Point> {
        if let Some(point) = self.crashes_in.remove(&invocation) {
            return Some(point);
        }
        let at = self.crashes.iter().position(|(whose, _)| *whose == function)?;
        Some(self.crashes.remove(at).1)
    }

    pub(crate) fn next_webhook(&mut self) -> Option<Way> {
        let (times, how) = self.webhooks.first_mut()?;
        let how = *how;
        *times -= 1;
        if *times == 0 {
            self.webhooks.remove(0);
        }
        Some(how)
    }

    pub(crate) fn next_is_not_deleted(&mut self) -> bool {
        let is = self.not_deleted > 0;
        self.not_deleted = self.not_deleted.saturating_sub(1);
        is
    }

    pub(crate) fn next_is_left_out(&mut self) -> bool {
        let is = self.no_schedule > 0;
        self.no_schedule = self.no_schedule.saturating_sub(1);
        is
    }
}

/// Whether a call of this name can go wrong like that.
fn fits(how: How, what: &str) -> bool {
    match how {
        How::Overtakes => what.starts_with("PUT ") && what.contains("/v3/conversations/"),
        How::WithoutId => what.starts_with("POST ") && what.contains("/v3/conversations"),
        // Conflicts are between writers.
        How::Refused(409) => matches!(what, "PutItem" | "UpdateItem" | "DeleteItem"),
        How::Refused(404) => what.contains("/v3/conversations"),
        How::Refused(_)
        | How::NoConnection
        | How::Silent
        | How::LostAnswer
        | How::FalseAlarm(_)
        | How::SilentAfter
        | How::Late(_) => true,
    }
}
