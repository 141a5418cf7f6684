//! The FIFO queue between those who mark something in a channel as unfinished and the notification sender. A message says only
//! "look at this channel": one that is lost costs time and nothing else.

use std::time::Duration;

use aws_lc_rs::digest;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::channel::Epoch;
use domain::failure::Class;
use domain::ids::{AccountId, ChannelId};
use domain::wake_up::WakeUp;

/// SQS takes at most ten messages per batch.
const BATCH: usize = 10;

/// How often a message is received before the dead-letter queue takes it: `maxReceiveCount` in the template. What has to wait for
/// longer is a fact of the table and waits there, so only what cannot be read gets so far, or what ends each sender that has it.
pub const MAX_RECEIVES: u32 = 10;

/// A channel that is to be woken, and its epoch, read after something was marked there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeUpCall {
    pub account: AccountId,
    pub channel: ChannelId,
    pub epoch: Epoch,
}

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

    /// Wakes channels: any number of marks in one epoch is one message.
    pub async fn wake(&self, calls: &[WakeUpCall]) -> Result<(), QueueError> {
        for batch in calls.chunks(BATCH) {
            let entry = |(index, WakeUpCall { account, channel, epoch }): (usize, &WakeUpCall)| {
                entry(index, account, channel, &[account.as_str(), channel.as_str(), &epoch.0.to_string()])
            };
            self.send_batch(batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?).await?;
        }
        Ok(())
    }

    /// Wakes a channel whatever was sent before: SQS remembers an id for five minutes, even if its message has died. `unique`: a
    /// text that no other message has.
    pub async fn wake_anew(&self, account: &AccountId, channel: &ChannelId, unique: &str) -> Result<(), QueueError> {
        self.send_batch(vec![entry(0, account, channel, &["anew", unique])?]).await
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

    /// Hides a received message, and with it its whole group, for `time` from now (whole seconds).
    ///
    /// # Errors
    /// If SQS did not take it; the message then returns after the time that was set before, at first the queue's own.
    pub async fn hold(&self, receipt_handle: &str, time: Duration) -> Result<(), QueueError> {
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send()
            .await
            .map(drop)
            .map_err(|error| QueueError::Call { operation: "ChangeMessageVisibility", source: Box::new(error) })
    }

    /// About how many messages wait for a receiver.
    ///
    /// # Errors
    /// [`QueueError::Call`] if the queue does not answer.
    pub async fn waiting(&self) -> Result<usize, QueueError> {
        let name = aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
        let asked = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone()).send().await;
        let answer =
            asked.map_err(|error| QueueError::Call { operation: "GetQueueAttributes", source: Box::new(error) })?;
        Ok(answer.attributes.and_then(|known| known.get(&name)?.parse().ok()).unwrap_or(0))
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

/// `id` names the message: two with the same are one.
fn entry(
    index: usize,
    account: &AccountId,
    channel: &ChannelId,
    id: &[&str],
) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let wake_up = WakeUp { account: account.clone(), channel: channel.clone(), card: None };
    let body = serde_json::to_string(&wake_up).map_err(|error| QueueError::Encode(Box::new(error)))?;
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .message_group_id(digest(channel.as_str().as_bytes()))
        .message_deduplication_id(digest(id.join("#").as_bytes()))
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
    use super::*;

    #[test]
    fn groups_by_channel_and_is_one_message_for_each_epoch() {
        let of = |channel: &str, id: &[&str]| {
            let (account, channel) = (AccountId::new("A").unwrap(), ChannelId::new(channel).unwrap());
            let entry = entry(0, &account, &channel, id).unwrap();
            (entry.message_group_id.unwrap(), entry.message_deduplication_id.unwrap())
        };
        let (group, dedup) = of("19:a@thread.tacv2", &["A", "19:a@thread.tacv2", "1"]);
        assert_eq!(of("19:a@thread.tacv2", &["A", "19:a@thread.tacv2", "1"]), (group.clone(), dedup.clone()));
        let (next_group, next_dedup) = of("19:a@thread.tacv2", &["A", "19:a@thread.tacv2", "2"]);
        assert_eq!(next_group, group);
        assert_ne!(next_dedup, dedup);
        assert_ne!(of("19:b@thread.tacv2", &["A", "19:b@thread.tacv2", "1"]).0, group);
        assert_eq!(group.len(), 64);
    }
}
