//! Rate limits of the connector (Teams docs, "Optimize your bot with rate limiting"): sliding windows per bot and conversation,
//! and 50 requests a second per app and tenant. The docs call the numbers subject to change; these are the ones of 2026.

use std::collections::{HashMap, VecDeque};

use super::ids::base_of;

/// What is counted apart in one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// Send, reply, edit and delete.
    Send,
    /// Create a conversation: a new post, or a personal chat.
    Create,
    /// Members of a conversation.
    Members,
    /// Teams and their channels.
    Conversations,
}

impl Operation {
    /// As published: (how many, in how many seconds)
    const fn limits(self) -> [(usize, i64); 4] {
        match self {
            Self::Send | Self::Create => [(7, 1), (8, 2), (60, 30), (1800, 3600)],
            Self::Members | Self::Conversations => [(14, 1), (16, 2), (120, 30), (3600, 3600)],
        }
    }
}

const TENANT_LIMIT: [(usize, i64); 1] = [(50, 1)];
const LONGEST_WINDOW_SECONDS: i64 = 3600;

/// How much the limits let through at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the published ones.
    pub percent: u32,
    /// What the bot may write in one conversation: (how many, in how many seconds), the shortest first. Posts are counted apart from
    /// replies, edits and deletions.
    pub writes: [(usize, i64); 4],
}

#[derive(Debug, Clone)]
pub(super) struct Windows {
    conversations: HashMap<(Operation, String), VecDeque<i64>>,
    tenants: HashMap<String, VecDeque<i64>>,
    percent: u32,
    off: bool,
}

impl Default for Windows {
    fn default() -> Self {
        Self { conversations: HashMap::new(), tenants: HashMap::new(), percent: 100, off: false }
    }
}

impl Windows {
    pub(super) fn switch(&mut self, on: bool) {
        self.off = !on;
        self.conversations.clear();
        self.tenants.clear();
    }

    pub(super) fn scale(&mut self, percent: u32) {
        self.off = false;
        self.percent = percent;
    }

    pub(super) fn limits(&self) -> Option<Limits> {
        let writes = scaled(Operation::Send.limits(), self.percent);
        (!self.off).then_some(Limits { percent: self.percent, writes })
    }

    /// Counts the request, or says how many seconds to wait. A refused request is not counted.
    pub(super) fn admit(
        &mut self,
        operation: Operation,
        conversation: &str,
        tenant: &str,
        now_ms: i64,
    ) -> Result<(), u64> {
        if self.off {
            return Ok(());
        }
        let of_one = scaled(operation.limits(), self.percent);
        let of_all = scaled(TENANT_LIMIT, self.percent);
        let of_conversation = self.conversations.entry((operation, base_of(conversation).to_owned())).or_default();
        let of_tenant = self.tenants.entry(tenant.to_owned()).or_default();
        for (seen, limits) in [(&mut *of_conversation, of_one.as_slice()), (&mut *of_tenant, of_all.as_slice())] {
            while seen.front().is_some_and(|at| at + LONGEST_WINDOW_SECONDS * 1000 <= now_ms) {
                seen.pop_front();
            }
            if let Some(wait) =
                limits.iter().filter_map(|(most, seconds)| wait(seen, *most, seconds * 1000, now_ms)).max()
            {
                return Err(wait);
            }
        }
        of_conversation.push_back(now_ms);
        of_tenant.push_back(now_ms);
        Ok(())
    }
}

/// Rounded down, but a window always has room for one.
fn scaled<const N: usize>(limits: [(usize, i64); N], percent: u32) -> [(usize, i64); N] {
    let percent = usize::try_from(percent).unwrap_or(usize::MAX);
    limits.map(|(most, seconds)| ((most.saturating_mul(percent) / 100).max(1), seconds))
}

/// Seconds until one more fits into the window, if it is full now.
fn wait(seen: &VecDeque<i64>, most: usize, window_ms: i64, now_ms: i64) -> Option<u64> {
    let oldest_that_must_leave = seen.len().checked_sub(most).and_then(|index| seen.get(index))?;
    let left_ms = oldest_that_must_leave + window_ms - now_ms;
    u64::try_from(left_ms).ok().filter(|ms| *ms > 0).map(|ms| ms.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly spaced requests until the first refusal: (how many were admitted, the wait that was asked for).
    fn burst(operation: Operation, percent: u32, spacing_ms: i64) -> (usize, u64) {
        let mut windows = Windows::default();
        windows.scale(percent);
        for sent in 0..10_000 {
            let at = i64::try_from(sent).unwrap() * spacing_ms;
            if let Err(wait) = windows.admit(operation, "19:a@thread.tacv2", "t", at) {
                return (sent, wait);
            }
        }
        panic!("never refused")
    }

    #[test]
    fn each_window_refuses_at_its_own_pace() {
        use Operation::{Conversations, Create, Members, Send};
        // spacing in ms, admitted, seconds to wait
        let writes = [(0, 7, 1), (200, 8, 1), (400, 60, 6), (1000, 1800, 1800)];
        let reads = [(0, 14, 1), (100, 16, 1), (200, 120, 6), (500, 3600, 1800)];
        let table = [(Send, writes), (Create, writes), (Members, reads), (Conversations, reads)];
        for (operation, rows) in table {
            for (spacing, admitted, wait) in rows {
                assert_eq!(burst(operation, 100, spacing), (admitted, wait), "{operation:?} every {spacing} ms");
            }
        }
    }

    #[test]
    fn every_window_is_scaled() {
        use Operation::{Members, Send};
        // operation, percent, spacing in ms, admitted, seconds to wait
        let table = [
            (Send, 50, 0, 3, 1),
            (Send, 50, 400, 4, 1),
            (Send, 50, 600, 30, 12),
            (Send, 50, 2000, 900, 1800),
            (Send, 10, 0, 1, 2),
            (Send, 10, 2000, 6, 18),
            (Send, 10, 5000, 180, 2700),
            (Members, 10, 0, 1, 2),
            (Members, 10, 2000, 12, 6),
            (Send, 0, 0, 1, 3600),
            (Send, 200, 0, 14, 1),
        ];
        for (operation, percent, spacing, admitted, wait) in table {
            let what = format!("{operation:?} at {percent} % every {spacing} ms");
            assert_eq!(burst(operation, percent, spacing), (admitted, wait), "{what}");
        }
        let mut windows = Windows::default();
        windows.scale(10);
        let conversations = (0..10).filter(|index| windows.admit(Send, &format!("c{index}"), "t", 0).is_ok());
        assert_eq!(conversations.count(), 5, "the tenant's window is scaled too");
    }

    #[test]
    fn limits_change_without_forgetting_what_was_counted() {
        let mut windows = Windows::default();
        let writes = |windows: &Windows| windows.limits().map(|limits| (limits.percent, limits.writes));
        assert_eq!(writes(&windows), Some((100, [(7, 1), (8, 2), (60, 30), (1800, 3600)])));
        for _ in 0..5 {
            windows.admit(Operation::Send, "c", "t", 0).unwrap();
        }
        windows.scale(50);
        assert_eq!(writes(&windows), Some((50, [(3, 1), (4, 2), (30, 30), (900, 3600)])));
        assert_eq!(windows.admit(Operation::Send, "c", "t", 0), Err(2), "five are more than four in two seconds");
        windows.switch(false);
        assert_eq!((writes(&windows), windows.admit(Operation::Send, "c", "t", 0)), (None, Ok(())));
        windows.switch(true);
        assert_eq!(writes(&windows), Some((50, [(3, 1), (4, 2), (30, 30), (900, 3600)])), "only the switch was moved");
        windows.switch(false);
        windows.scale(10);
        assert_eq!(writes(&windows), Some((10, [(1, 1), (1, 2), (6, 30), (180, 3600)])), "a size switches on");
    }

    #[test]
    fn the_asked_wait_is_enough() {
        let mut windows = Windows::default();
        for _ in 0..7 {
            windows.admit(Operation::Send, "c", "t", 0).unwrap();
        }
        assert_eq!(
            windows.admit(Operation::Send, "c;messageid=1", "t", 0),
            Err(1),
            "a thread shares its channel's window"
        );
        assert_eq!(windows.admit(Operation::Create, "c", "t", 0), Ok(()), "another operation has its own window");
        assert_eq!(windows.admit(Operation::Send, "d", "t", 0), Ok(()), "another conversation has its own window");
        assert_eq!(windows.admit(Operation::Send, "c", "t", 1000), Ok(()));
    }

    #[test]
    fn a_tenant_gets_fifty_a_second() {
        let mut windows = Windows::default();
        let send = |windows: &mut Windows, tenant: &str, index: usize| {
            windows.admit(Operation::Send, &format!("c{index}"), tenant, 0)
        };
        for index in 0..50 {
            send(&mut windows, "one", index).unwrap();
        }
        assert_eq!(send(&mut windows, "one", 50), Err(1));
        assert_eq!(send(&mut windows, "two", 51), Ok(()));
    }
}
