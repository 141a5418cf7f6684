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
    /// (how many, in how many seconds)
    const fn limits(self) -> [(usize, i64); 4] {
        match self {
            Self::Send | Self::Create => [(7, 1), (8, 2), (60, 30), (1800, 3600)],
            Self::Members | Self::Conversations => [(14, 1), (16, 2), (120, 30), (3600, 3600)],
        }
    }
}

const TENANT_LIMIT: [(usize, i64); 1] = [(50, 1)];
const LONGEST_WINDOW_SECONDS: i64 = 3600;

#[derive(Debug, Clone, Default)]
pub(super) struct Windows {
    conversations: HashMap<(Operation, String), VecDeque<i64>>,
    tenants: HashMap<String, VecDeque<i64>>,
    off: bool,
}

impl Windows {
    pub(super) fn switch(&mut self, on: bool) {
        self.off = !on;
        self.conversations.clear();
        self.tenants.clear();
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
        let of_conversation = self.conversations.entry((operation, base_of(conversation).to_owned())).or_default();
        let of_tenant = self.tenants.entry(tenant.to_owned()).or_default();
        for (seen, limits) in
            [(&mut *of_conversation, operation.limits().as_slice()), (&mut *of_tenant, TENANT_LIMIT.as_slice())]
        {
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
    fn burst(operation: Operation, spacing_ms: i64) -> (usize, u64) {
        let mut windows = Windows::default();
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
                assert_eq!(burst(operation, spacing), (admitted, wait), "{operation:?} every {spacing} ms");
            }
        }
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
