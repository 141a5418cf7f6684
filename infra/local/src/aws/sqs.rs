//! The FIFO queue as a pure state machine: it knows no clock, waits for nothing and does no I/O.
//!
//! The rules are the developer guide's ("FIFO queue delivery logic", "exactly-once processing", "dead-letter queues"):
//! order per group, one receive may return several messages of a group, a message that is sent twice within five minutes is
//! taken once. Where the guide is silent we follow what others recorded from the real service:
//!
//! - A group is handed out from its head up to the first message in flight. So a message behind one in flight waits, even
//!   if it was visible before; but a head whose visibility ends is handed out again although messages *behind* it, from the
//!   same receive, are still in flight. Who holds back a message has to hold back the rest of its group, too.
//! - A receipt handle ends with the visibility: afterwards the message cannot be deleted by it.
//! - A group that was served goes behind the others.
//!
//! Not modelled: retention (nothing is ever dropped), the limit of messages in flight, `ReceiveRequestAttemptId`.

pub mod message;
pub mod queues;
pub mod refusal;
pub mod settings;

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use message::{Draft, Message, uuid_of};
use refusal::Refusal;
use settings::{DeduplicationScope, MAX_VISIBILITY, Settings};

/// For how long a de-duplication id is remembered, whatever becomes of its message.
const DEDUPLICATION_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// One FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    settings: Settings,
    /// In the order in which they are served next.
    groups: Vec<Group>,
    seen: BTreeMap<String, Seen>,
    last_sequence: u64,
}

/// The messages of one group, in order. Never empty while it is in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    id: String,
    messages: Vec<Message>,
}

/// A message as accepted within the de-duplication window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    sent: Sent,
    at: Timestamp,
}

/// A message was accepted, now or as an earlier duplicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The message's id.
    pub message_id: String,
    /// Its place in the queue's order.
    pub sequence: u64,
}

/// A message in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message as it is now, this receive counted.
    pub message: Message,
    /// With it the receiver can delete the message or change its visibility while it is in flight.
    pub receipt_handle: String,
}

/// What a receive took out of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// For the receiver.
    pub received: Vec<Received>,
    /// For the dead-letter queue: received too often before.
    pub dead: Vec<Message>,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Not in flight, though they may wait behind one of their group that is.
    pub visible: usize,
    /// Received and not yet deleted or visible again.
    pub in_flight: usize,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, groups: Vec::new(), seen: BTreeMap::new(), last_sequence: 0 }
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Accepts a message, or recognises it as a duplicate and answers as for the first one.
    ///
    /// # Errors
    /// [`Refusal`] if it is not a message for this queue.
    pub fn send(&mut self, draft: Draft, now: Timestamp) -> Result<Sent, Refusal> {
        draft.check(self.settings.maximum_message_size)?;
        let id = self.deduplication_id(&draft)?;
        let key = match self.settings.deduplication_scope {
            DeduplicationScope::Queue => id.clone(),
            // Neither part can contain white space.
            DeduplicationScope::MessageGroup => format!("{} {id}", draft.group),
        };
        self.seen.retain(|_, seen| now.duration_since(seen.at) < DEDUPLICATION_WINDOW);
        if let Some(seen) = self.seen.get(&key) {
            return Ok(seen.sent.clone());
        }
        let sequence = self.next_sequence();
        let message_id = uuid_of(&format!("{}/{sequence}", self.settings.name));
        let sent = Sent { message_id: message_id.clone(), sequence };
        self.seen.insert(key, Seen { sent: sent.clone(), at: now });
        self.append(Message {
            id: message_id,
            sequence,
            group: draft.group,
            deduplication_id: id,
            body: draft.body,
            attributes: draft.attributes,
            sent_at: now,
            visible_at: now,
            receive_count: 0,
            first_received_at: None,
            received_at: None,
            dead_letter_source: None,
        });
        Ok(sent)
    }

    /// Hands out up to `max` messages and hides them for `visibility` seconds.
    pub fn receive(&mut self, max: usize, visibility: u32, now: Timestamp) -> Taken {
        let mut taken = Taken::default();
        let mut served = Vec::new();
        let mut others = Vec::new();
        for mut group in std::mem::take(&mut self.groups) {
            let before = taken.received.len();
            group.hand_out(&self.settings, max, visibility, now, &mut taken);
            match taken.received.len() > before {
                true => served.push(group),
                false => others.push(group),
            }
        }
        others.append(&mut served);
        others.retain(|group| !group.messages.is_empty());
        self.groups = others;
        taken
    }

    /// Deletes a message that the receiver still holds. Deleting it once more is not an error.
    ///
    /// # Errors
    /// [`Refusal`] if the handle is not one of this queue's, or has expired.
    pub fn delete(&mut self, handle: &str, now: Timestamp) -> Result<(), Refusal> {
        let (id, receive_count) = self.parse_handle(handle)?;
        let Some(message) = self.find(&id) else { return Ok(()) };
        if message.receive_count != receive_count || message.visible_at <= now {
            return Err(Refusal::ReceiptHandleExpired(handle.to_owned()));
        }
        self.remove(|message| message.id == id);
        Ok(())
    }

    /// Lets a message that the receiver still holds stay hidden until `timeout` seconds from now.
    ///
    /// # Errors
    /// [`Refusal`] if the handle is not one of this queue's or has expired, or the message would stay hidden for more than
    /// twelve hours after it was received.
    pub fn change_visibility(&mut self, handle: &str, timeout: u32, now: Timestamp) -> Result<(), Refusal> {
        let (id, receive_count) = self.parse_handle(handle)?;
        let invalid = |reason: &str| {
            Refusal::InvalidParameterValue(format!(
                "Value {handle} for parameter ReceiptHandle is invalid. Reason: {reason}."
            ))
        };
        let message = self
            .groups
            .iter_mut()
            .flat_map(|group| &mut group.messages)
            .find(|message| message.id == id && message.receive_count == receive_count && message.visible_at > now)
            .ok_or_else(|| invalid("Message does not exist or is not available for visibility timeout change"))?;
        let visible_at = later(now, timeout);
        let latest = later(message.received_at.unwrap_or(now), MAX_VISIBILITY);
        if visible_at > latest {
            let text =
                format!("Total VisibilityTimeout for the message is beyond the limit [{MAX_VISIBILITY} seconds]");
            return Err(invalid(&text));
        }
        message.visible_at = visible_at;
        Ok(())
    }

    /// How many messages it holds at `now`.
    #[must_use]
    pub fn depth(&self, now: Timestamp) -> Depth {
        let in_flight = self.messages().filter(|message| message.visible_at > now).count();
        Depth { visible: self.messages().count() - in_flight, in_flight }
    }

    /// From when on a receive returns something; in the past if it does so already. `None` if the queue is empty.
    #[must_use]
    pub fn next_visible_at(&self) -> Option<Timestamp> {
        self.groups.iter().filter_map(|group| group.messages.first()).map(|message| message.visible_at).min()
    }

    /// All messages, in order within each group.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.groups.iter().flat_map(|group| &group.messages)
    }

    /// Takes in a message that `source` gave up.
    ///
    /// It keeps its id, group and attributes. Its de-duplication id becomes the message's id, as the developer guide says of
    /// dead-letter queues, so that two messages with the same one can both be kept.
    pub(crate) fn bury(&mut self, dead: Message, source: &str, now: Timestamp) {
        let sequence = self.next_sequence();
        self.append(Message {
            sequence,
            deduplication_id: dead.id.clone(),
            sent_at: now,
            visible_at: now,
            dead_letter_source: Some(source.to_owned()),
            ..dead
        });
    }

    /// Takes in a message from a dead-letter queue, as a new one.
    pub(crate) fn revive(&mut self, dead: Message, now: Timestamp) {
        let sequence = self.next_sequence();
        self.append(Message {
            id: uuid_of(&format!("{}/{sequence}", self.settings.name)),
            sequence,
            sent_at: now,
            visible_at: now,
            receive_count: 0,
            first_received_at: None,
            received_at: None,
            dead_letter_source: None,
            ..dead
        });
    }

    /// Takes out all messages that `wanted` picks, oldest first.
    pub(crate) fn remove(&mut self, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut removed = Vec::new();
        for group in &mut self.groups {
            removed.extend(group.messages.extract_if(.., |message| wanted(message)));
        }
        self.groups.retain(|group| !group.messages.is_empty());
        removed.sort_by_key(|message| message.sequence);
        removed
    }

    fn deduplication_id(&self, draft: &Draft) -> Result<String, Refusal> {
        match &draft.deduplication_id {
            Some(id) => Ok(id.clone()),
            None if self.settings.content_based_deduplication => {
                let digest = digest::digest(&digest::SHA256, draft.body.as_bytes());
                Ok(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
            }
            None => Err(Refusal::InvalidParameterValue(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
                    .to_owned(),
            )),
        }
    }

    fn next_sequence(&mut self) -> u64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    fn append(&mut self, message: Message) {
        match self.groups.iter_mut().find(|group| group.id == message.group) {
            Some(group) => group.messages.push(message),
            None => self.groups.push(Group { id: message.group.clone(), messages: vec![message] }),
        }
    }

    fn find(&self, id: &str) -> Option<&Message> {
        self.messages().find(|message| message.id == id)
    }

    /// The message id and which receive of it the handle belongs to.
    fn parse_handle(&self, handle: &str) -> Result<(String, u32), Refusal> {
        let parse = || {
            let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(handle).ok()?).ok()?;
            let mut parts = text.split('/');
            let (queue, id, count) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
            (queue == self.settings.name).then(|| (id.to_owned(), count))
        };
        parse().ok_or(Refusal::ReceiptHandleIsInvalid)
    }
}

impl Group {
    /// From the head up to the first message in flight; those that were received too often go to the dead.
    fn hand_out(&mut self, settings: &Settings, max: usize, visibility: u32, now: Timestamp, taken: &mut Taken) {
        let mut next = 0;
        while taken.received.len() < max
            && let Some(message) = self.messages.get_mut(next)
            && message.visible_at <= now
        {
            if settings.redrive.as_ref().is_some_and(|redrive| message.receive_count >= redrive.max_receive_count) {
                taken.dead.push(self.messages.remove(next));
                continue;
            }
            message.receive_count += 1;
            message.visible_at = later(now, visibility);
            message.first_received_at.get_or_insert(now);
            message.received_at = Some(now);
            let handle =
                BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{}/{}", settings.name, message.id, message.receive_count));
            taken.received.push(Received { message: message.clone(), receipt_handle: handle });
            next += 1;
        }
    }
}

fn later(time: Timestamp, seconds: u32) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
