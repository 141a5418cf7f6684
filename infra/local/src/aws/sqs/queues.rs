//! All queues of the stand-in, and the two ways on which messages move between them: into a dead-letter queue, and back.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::message::Message;
use super::refusal::Refusal;
use super::settings::{MAX_VISIBILITY, Settings, name_of};
use super::{Queue, Received};

/// How many finished moves are remembered.
const REMEMBERED_MOVES: usize = 10;

/// Most messages per receive.
const MAX_RECEIVED: i64 = 10;

/// Queues by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Queues {
    queues: BTreeMap<String, Queue>,
    /// Newest first.
    moves: Vec<Move>,
}

/// A finished move of messages out of a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Resource name of the dead-letter queue.
    pub source: String,
    /// Resource name of the destination, if it was not "back to where they came from".
    pub destination: Option<String>,
    /// When it was done.
    pub at: Timestamp,
    /// How many messages were moved.
    pub moved: usize,
}

impl Queues {
    /// Creates a queue, or recognises one with the same attributes.
    ///
    /// # Errors
    /// [`Refusal`] if the attributes cannot be, or differ from those of the existing queue.
    pub fn create(&mut self, name: &str, attributes: &BTreeMap<String, String>, now: Timestamp) -> Result<(), Refusal> {
        let settings = Settings::parse(name, attributes, now)?;
        if let Some(existing) = self.queues.get(name) {
            return existing
                .settings()
                .difference(attributes)
                .map_or(Ok(()), |name| Err(Refusal::QueueNameExists(name)));
        }
        if let Some(redrive) = &settings.redrive
            && !self.queues.contains_key(&redrive.dead_letter_queue)
        {
            let policy = attributes.get("RedrivePolicy").map(String::as_str).unwrap_or_default();
            return Err(Refusal::InvalidParameterValue(format!(
                "Value {policy} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist."
            )));
        }
        self.queues.insert(name.to_owned(), Queue::new(settings));
        Ok(())
    }

    /// The queue of that name.
    ///
    /// # Errors
    /// [`Refusal::QueueDoesNotExist`].
    pub fn queue(&self, name: &str) -> Result<&Queue, Refusal> {
        self.queues.get(name).ok_or(Refusal::QueueDoesNotExist)
    }

    /// The queue of that name, to change it.
    ///
    /// # Errors
    /// [`Refusal::QueueDoesNotExist`].
    pub fn queue_mut(&mut self, name: &str) -> Result<&mut Queue, Refusal> {
        self.queues.get_mut(name).ok_or(Refusal::QueueDoesNotExist)
    }

    /// Receives up to `max` messages (one if `None`), hidden for `visibility` seconds (as the queue says if `None`).
    ///
    /// # Errors
    /// [`Refusal`] if there is no such queue or a number is out of bounds.
    pub fn receive(
        &mut self,
        name: &str,
        max: Option<i64>,
        visibility: Option<i64>,
        now: Timestamp,
    ) -> Result<Vec<Received>, Refusal> {
        let queue = self.queue_mut(name)?;
        let max = max.unwrap_or(1);
        if !(1..=MAX_RECEIVED).contains(&max) {
            return Err(Refusal::InvalidParameterValue(format!(
                "Value {max} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
            )));
        }
        let visibility = visibility.map(visibility_seconds).transpose()?.unwrap_or(queue.settings().visibility_timeout);
        let taken = queue.receive(usize::try_from(max).unwrap_or(1), visibility, now);
        let dead_letter_queue = queue.settings().redrive.as_ref().map(|redrive| redrive.dead_letter_queue.clone());
        // It is there: `create` demands it, and no queue is ever deleted here.
        if let Some(dead_letter_queue) = dead_letter_queue.and_then(|name| self.queues.get_mut(&name)) {
            for dead in taken.dead {
                dead_letter_queue.bury(dead, name, now);
            }
        }
        Ok(taken.received)
    }

    /// Moves what is visible in a dead-letter queue to `destination`, or back to where each message came from.
    ///
    /// The service does it in the background; here it is done when the call returns. What is in flight stays where it is, and
    /// without a destination also what was sent to the dead-letter queue directly.
    ///
    /// # Errors
    /// [`Refusal`] if a queue does not exist or the source is nobody's dead-letter queue.
    pub fn start_move(&mut self, source: &str, destination: Option<&str>, now: Timestamp) -> Result<String, Refusal> {
        let from = name_of(source).filter(|name| self.queues.contains_key(*name));
        let from = from.ok_or(Refusal::ResourceNotFound("SourceArn"))?.to_owned();
        if !self.is_dead_letter_queue(&from) {
            let text = "Source queue must be configured as a Dead Letter Queue.";
            return Err(Refusal::InvalidParameterValue(text.to_owned()));
        }
        let to = match destination {
            None => None,
            Some(arn) => {
                let to = name_of(arn).filter(|name| self.queues.contains_key(*name));
                Some(to.ok_or(Refusal::ResourceNotFound("DestinationArn"))?.to_owned())
            }
        };
        let target = |message: &Message| to.clone().or_else(|| message.dead_letter_source.clone());
        let messages = self.queue_mut(&from)?.remove(|message| message.visible_at <= now && target(message).is_some());
        let moved = messages.len();
        for message in messages {
            if let Some(queue) = target(&message).and_then(|name| self.queues.get_mut(&name)) {
                queue.revive(message, now);
            }
        }
        let destination = destination.map(str::to_owned);
        self.moves.insert(0, Move { source: source.to_owned(), destination, at: now, moved });
        self.moves.truncate(REMEMBERED_MOVES);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(format!("{source}/{}", now.as_millisecond())))
    }

    /// The newest moves out of a dead-letter queue.
    ///
    /// # Errors
    /// [`Refusal`] if it does not exist.
    pub fn moves(&self, source: &str, max: usize) -> Result<Vec<&Move>, Refusal> {
        let known = name_of(source).is_some_and(|name| self.queues.contains_key(name));
        if !known {
            return Err(Refusal::ResourceNotFound("SourceArn"));
        }
        Ok(self.moves.iter().filter(|one| one.source == source).take(max).collect())
    }

    /// From when on a receive from any queue returns something; in the past if it does so already. Dead-letter queues do not
    /// count: nobody is expected to read them.
    #[must_use]
    pub fn next_visible_at(&self) -> Option<Timestamp> {
        let living = self.queues.iter().filter(|(name, _)| !self.is_dead_letter_queue(name));
        living.filter_map(|(_, queue)| queue.next_visible_at()).min()
    }

    fn is_dead_letter_queue(&self, name: &str) -> bool {
        self.queues
            .values()
            .any(|queue| queue.settings().redrive.as_ref().is_some_and(|redrive| redrive.dead_letter_queue == name))
    }
}

/// Checks a visibility timeout as requests carry it.
///
/// # Errors
/// [`Refusal::InvalidParameterValue`] unless it is between 0 and twelve hours.
pub fn visibility_seconds(seconds: i64) -> Result<u32, Refusal> {
    u32::try_from(seconds).ok().filter(|seconds| *seconds <= MAX_VISIBILITY).ok_or_else(|| {
        Refusal::InvalidParameterValue(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and {MAX_VISIBILITY}, if \
             provided."
        ))
    })
}
