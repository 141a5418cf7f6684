//! The FIFO queue between those who learn that a card may be out of date and the notification sender.

use std::time::Duration;

use aws_lc_rs::digest;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, SendMessageBatchRequestEntry};
use domain::failure::Class;
use domain::ids::ChannelId;
use domain::job::{CardJob, TestJob};
use serde::Serialize;

/// SQS takes at most ten messages per batch.
const BATCH: usize = 10;

/// How often a message is received before the dead-letter queue takes it: `maxReceiveCount` in the template. A card that
/// gets no clear answer gets there after some two hours, a channel that does not answer after some nine.
pub const MAX_RECEIVES: u32 = 120;

/// SQS hides a message for at most 12 h after it was received; some of that time has passed already.
const MAX_VISIBILITY: Duration = Duration::from_secs(11 * 60 * 60);

/// The queue could not be used.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS did not take the call.
    #[error("the queue refused or did not answer {operation}")]
    Call {
        operation: &'static str,
        /// What the SDK says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQS took the batch but not all of its messages.
    #[error("the queue took only some messages: {failed} failed")]
    Partial {
        /// How many it did not take.
        failed: usize,
    },
    /// A message could not be built.
    #[error("a queue message cannot be built")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl QueueError {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call { .. } | Self::Partial { .. } => Class::Retry { after: None },
            Self::Encode(_) => Class::Bug,
        }
    }
}

/// A handle on the queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// A handle on the queue at `url`.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends jobs: grouped by channel (one writer per channel, in order), de-duplicated by cause and channel.
    pub async fn send(&self, jobs: &[CardJob]) -> Result<(), QueueError> {
        for batch in jobs.chunks(BATCH) {
            let entries =
                batch.iter().enumerate().map(|(index, job)| card_entry(index, job)).collect::<Result<Vec<_>, _>>()?;
            self.send_batch(entries).await?;
        }
        Ok(())
    }

    /// Sends the wish for a test card, in the same group as the channel's incidents.
    pub async fn send_test(&self, job: &TestJob) -> Result<(), QueueError> {
        let entry = entry(0, job, &job.channel, &["test", &job.test])?;
        self.send_batch(vec![entry]).await
    }

    async fn send_batch(&self, entries: Vec<SendMessageBatchRequestEntry>) -> Result<(), QueueError> {
        let sent = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| QueueError::Call { operation: "SendMessageBatch", source: Box::new(error) })?;
        if sent.failed().is_empty() { Ok(()) } else { Err(QueueError::Partial { failed: sent.failed().len() }) }
    }

    /// Hides received messages, and with each its whole group, for `time` from now (whole seconds, at most 12 hours).
    ///
    /// # Errors
    /// If SQS did not take one of them; it then returns after the time that was set before, at first the queue's own.
    pub async fn hold(&self, receipt_handles: &[&str], time: Duration) -> Result<(), QueueError> {
        let time = time.min(MAX_VISIBILITY);
        let seconds = i32::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(i32::MAX);
        for batch in receipt_handles.chunks(BATCH) {
            let entries = batch
                .iter()
                .enumerate()
                .map(|(index, receipt)| hold_entry(index, receipt, seconds))
                .collect::<Result<Vec<_>, _>>()?;
            let held = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| QueueError::Call {
                    operation: "ChangeMessageVisibilityBatch",
                    source: Box::new(error),
                })?;
            if !held.failed().is_empty() {
                return Err(QueueError::Partial { failed: held.failed().len() });
            }
        }
        Ok(())
    }

    /// Whether the queue answers.
    ///
    /// # Errors
    /// [`QueueError::Call`] if it does not.
    pub async fn reachable(&self) -> Result<(), QueueError> {
        self.client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(aws_sdk_sqs::types::QueueAttributeName::FifoQueue)
            .send()
            .await
            .map(drop)
            .map_err(|error| QueueError::Call { operation: "GetQueueAttributes", source: Box::new(error) })
    }
}

fn hold_entry(
    index: usize,
    receipt: &str,
    seconds: i32,
) -> Result<ChangeMessageVisibilityBatchRequestEntry, QueueError> {
    ChangeMessageVisibilityBatchRequestEntry::builder()
        .id(index.to_string())
        .receipt_handle(receipt)
        .visibility_timeout(seconds)
        .build()
        .map_err(|error| QueueError::Encode(Box::new(error)))
}

fn card_entry(index: usize, job: &CardJob) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let cause = [job.cause.as_str(), job.account.as_str(), job.incident.as_str(), job.channel.as_str()];
    entry(index, job, &job.channel, &cause)
}

/// `cause` names what made us send it: two messages with the same are one.
fn entry(
    index: usize,
    job: &impl Serialize,
    channel: &ChannelId,
    cause: &[&str],
) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let body = serde_json::to_string(job).map_err(|error| QueueError::Encode(Box::new(error)))?;
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .message_group_id(digest(channel.as_str().as_bytes()))
        .message_deduplication_id(digest(cause.join("#").as_bytes()))
        .build()
        .map_err(|error| QueueError::Encode(Box::new(error)))
}

/// SHA-256 as 64 hexadecimal digits. Ids of SQS hold 128 characters of a small alphabet; a digest fits whatever it names.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use domain::ids::{AccountId, IncidentId};
    use jiff::Timestamp;

    use super::*;

    fn job(cause: &str, channel: &str) -> CardJob {
        CardJob {
            account: AccountId::new("A").unwrap(),
            incident: IncidentId::new("I").unwrap(),
            channel: ChannelId::new(channel).unwrap(),
            cause: domain::ids::CauseId::new(cause).unwrap(),
            occasion: domain::job::Occasion::Webhook,
            received_at: Timestamp::UNIX_EPOCH,
            happened_at: None,
        }
    }

    #[test]
    fn groups_by_channel_and_deduplicates_by_cause_and_channel() {
        let of = |cause, channel| {
            let entry = card_entry(0, &job(cause, channel)).unwrap();
            (entry.message_group_id.unwrap(), entry.message_deduplication_id.unwrap())
        };
        let (group, dedup) = of("E1", "19:a@thread.tacv2");
        assert_eq!(of("E1", "19:a@thread.tacv2"), (group.clone(), dedup.clone()));
        let (other_cause_group, other_cause_dedup) = of("E2", "19:a@thread.tacv2");
        assert_eq!(other_cause_group, group);
        assert_ne!(other_cause_dedup, dedup);
        let (other_channel_group, other_channel_dedup) = of("E1", "19:b@thread.tacv2");
        assert_ne!(other_channel_group, group);
        assert_ne!(other_channel_dedup, dedup);
        assert_eq!(group.len(), 64);
    }
}
