//! Ids in the forms that Teams uses. They are opaque but reproducible: made from a counter and the clock, so that a scenario with
//! a fixed clock sees the same ids on every run, while a simulator that starts anew never repeats the ids of its last life.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct IdSource {
    made: u64,
    last_activity: i64,
}

impl IdSource {
    fn next(&mut self, kind: &str, now: Timestamp) -> [u8; 32] {
        self.made += 1;
        let seed = format!("{kind}/{}/{}", self.made, now.as_millisecond());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, seed.as_bytes()).as_ref());
        bytes
    }

    /// An RFC 9562 version 4 form, as Entra object ids and Microsoft 365 groups have it.
    pub(super) fn guid(&mut self, now: Timestamp) -> String {
        let hex = hex(&self.next("guid", now));
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }

    /// `29:…`: unique per pair of bot and user.
    pub(super) fn user(&mut self, now: Timestamp) -> String {
        format!("29:1{}", BASE64_URL_SAFE_NO_PAD.encode(self.next("user", now)))
    }

    /// `a:…`
    pub(super) fn personal_chat(&mut self, now: Timestamp) -> String {
        format!("a:1{}", BASE64_URL_SAFE_NO_PAD.encode(self.next("chat", now)))
    }

    /// `19:…@thread.tacv2`; a team's id is the id of its General channel.
    pub(super) fn channel(&mut self, now: Timestamp) -> String {
        let hex = hex(&self.next("channel", now));
        format!("19:{}@thread.tacv2", hex.get(..32).unwrap_or_default())
    }

    /// A message's id: epoch milliseconds, later than every one before it.
    pub(super) fn message(&mut self, now: Timestamp) -> String {
        self.last_activity = now.as_millisecond().max(self.last_activity + 1);
        self.last_activity.to_string()
    }

    /// The id of an activity that is not a message: `f:<guid>`.
    pub(super) fn event(&mut self, now: Timestamp) -> String {
        format!("f:{}", self.guid(now))
    }

    /// A bearer token for the connector. Bots must treat it as opaque.
    pub(super) fn token(&mut self, now: Timestamp) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.next("token", now))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The conversation without `;messageid=…`.
pub(super) fn base_of(conversation: &str) -> &str {
    conversation.split_once(';').map_or(conversation, |(base, _)| base)
}

/// The thread's root, if the conversation names one.
pub(super) fn root_of(conversation: &str) -> Option<&str> {
    conversation.split_once(";messageid=").map(|(_, root)| root)
}
