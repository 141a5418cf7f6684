//! The only code that posts or edits cards in channels: takes batches from the FIFO queue.
//!
//! One message group per channel. After a failure in a group the rest of that group is returned too, so that the order
//! holds; other groups go on. A job carries no state: the newest record is read, and `domain::plan` says what to do.

mod channel_gone;
mod deliver;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use domain::ids::{AccountId, IncidentId};
use domain::job::CardJob;
use futures_util::future::join_all;
use runtime::App;

use crate::deliver::Outcome;

/// A step may wait this long for Teams, so none is begun with less time left.
const STEP_BUDGET: Duration = Duration::from_secs(12);

/// Delivers a batch and names the messages that must come again. `left` is the time until Lambda ends the invocation.
pub async fn handle(app: &App, batch: SqsEvent, left: Duration) -> SqsBatchResponse {
    let started = app.clock.now();
    let mut groups: BTreeMap<String, Vec<SqsMessage>> = BTreeMap::new();
    for message in batch.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        groups.entry(group).or_default().push(message);
    }
    let deadline =
        started.checked_add(jiff::SignedDuration::try_from(left.saturating_sub(STEP_BUDGET)).unwrap_or_default());
    let deadline = deadline.unwrap_or(jiff::Timestamp::MAX);
    let returned = join_all(groups.into_values().map(|group| Box::pin(deliver_group(app, group, deadline)))).await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = returned.into_iter().flatten().map(failure).collect();
    response
}

/// Delivers one channel's messages in order. Returns the ids of those that must come again: the first that could not be
/// delivered, and everything behind it.
async fn deliver_group(app: &App, group: Vec<SqsMessage>, deadline: jiff::Timestamp) -> Vec<String> {
    let mut done: HashSet<(AccountId, IncidentId)> = HashSet::new();
    let mut rest = group.into_iter();
    while let Some(message) = rest.next() {
        let outcome = match read(&message) {
            _ if app.clock.now() > deadline => Outcome::Later(Duration::ZERO),
            // Whatever came before this batch was received is already in the record that was read for the first job.
            Some(job) if done.contains(&(job.account.clone(), job.incident.clone())) => Outcome::Done,
            Some(job) => {
                let outcome = deliver::deliver(app, &job, attempts(&message)).await;
                done.insert((job.account, job.incident));
                outcome
            }
            // Our own producer wrote it, so it is kept for inspection: at once again, until the dead-letter queue takes it.
            None => Outcome::Later(Duration::ZERO),
        };
        if let Outcome::Later(delay) = outcome {
            let waiting: Vec<SqsMessage> = std::iter::once(message).chain(rest).collect();
            return hold(app, waiting, delay).await;
        }
    }
    Vec::new()
}

/// Hides all of them for `delay`: a group is blocked as long as any of its messages is hidden.
async fn hold(app: &App, waiting: Vec<SqsMessage>, delay: Duration) -> Vec<String> {
    let holds = waiting
        .iter()
        .filter_map(|message| message.receipt_handle.as_deref())
        .map(|receipt| app.queue.hold(receipt, delay));
    for held in join_all(holds).await {
        if let Err(error) = held {
            tracing::warn!(error = runtime::chain(&error), "message comes again after the queue's own timeout");
        }
    }
    waiting.into_iter().filter_map(|message| message.message_id).collect()
}

fn read(message: &SqsMessage) -> Option<CardJob> {
    let job = message.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    if job.is_none() {
        tracing::error!(message.id = message.message_id.as_deref(), "queue message is not a card job");
    }
    job
}

/// How often the message has been received, this time included.
fn attempts(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn failure(message_id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message_id;
    failure
}
