//! SQS over HTTP: the JSON protocol around [`super::sqs`], and the waiting of long polls.
//!
//! A member of a request that the model does not know is refused instead of ignored: a stand-in that silently does less than
//! it was asked for proves nothing.

mod wire;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::response::Response;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::saved::Saved;
use super::sqs::message::{Draft, md5_of_attributes, md5_of_body};
use super::sqs::queues::{Queues, visibility_seconds};
use super::sqs::refusal::Refusal;
use super::sqs::{Depth, Queue, Sent};
use super::{Now, answer};
use wire::{
    Accepted, Batch, ChangeEntry, ChangeMessageVisibility, CreateQueue, DeleteEntry, DeleteMessage, GetQueueAttributes,
    GetQueueUrl, ListMessageMoveTasks, ReceiveMessage, SendEntry, SendMessage, StartMessageMoveTask, deliver, draft,
};

/// All entries of a batch together, in bytes.
const MAX_BATCH_BYTES: usize = 1_048_576;

/// Longest wait of a receive, in seconds.
const MAX_WAIT: i64 = 20;

/// The service.
pub(super) struct Sqs {
    queues: Saved<Queues>,
    now: Now,
    /// What queue URLs begin with.
    base: String,
    /// Something may have become receivable.
    changed: Notify,
}

type Answer = Result<Value, Refusal>;

impl Sqs {
    pub(super) fn open(folder: Option<&Path>, now: Now, base: String) -> anyhow::Result<Self> {
        Ok(Self { queues: Saved::open(folder, "queues.json")?, now, base, changed: Notify::new() })
    }

    pub(super) fn depth(&self, queue: &str) -> Option<Depth> {
        let now = (self.now)();
        self.queues.read(|queues| queues.queue(queue).ok().map(|queue| queue.depth(now)))
    }

    pub(super) fn next_visible_at(&self) -> Option<Timestamp> {
        self.queues.read(Queues::next_visible_at)
    }

    pub(super) async fn answer(&self, operation: &str, body: &[u8]) -> Response {
        match self.run(operation, body).await {
            Ok(body) => answer::success(answer::JSON_1_0, &body),
            Err(refusal) => {
                let code = refusal.code();
                let mut response = answer::error(answer::JSON_1_0, code.status, code.shape, &refusal.to_string());
                if let Ok(value) = HeaderValue::from_str(&format!("{};Sender", code.query)) {
                    response.headers_mut().insert("x-amzn-query-error", value);
                }
                response
            }
        }
    }

    async fn run(&self, operation: &str, body: &[u8]) -> Answer {
        match operation {
            "SendMessage" => self.send(parse(body)?),
            "SendMessageBatch" => self.send_batch(parse(body)?),
            "ReceiveMessage" => self.receive(parse(body)?).await,
            "DeleteMessage" => self.delete(&parse(body)?),
            "DeleteMessageBatch" => self.each(
                &parse(body)?,
                |entry: &DeleteEntry| &entry.id,
                |queue, entry, now| queue.delete(&entry.receipt_handle, now),
            ),
            "ChangeMessageVisibility" => self.change_visibility(&parse(body)?),
            "ChangeMessageVisibilityBatch" => self.each(
                &parse(body)?,
                |entry: &ChangeEntry| &entry.id,
                |queue, entry, now| {
                    queue.change_visibility(&entry.receipt_handle, visibility_seconds(entry.visibility_timeout)?, now)
                },
            ),
            "GetQueueAttributes" => self.attributes(&parse(body)?),
            "CreateQueue" => self.create(&parse(body)?),
            "GetQueueUrl" => self.url(&parse(body)?),
            "StartMessageMoveTask" => self.start_move(&parse(body)?),
            "ListMessageMoveTasks" => self.moves(&parse(body)?),
            other => Err(Refusal::UnsupportedOperation(other.to_owned())),
        }
    }

    fn send(&self, request: SendMessage) -> Answer {
        let name = name_of(&request.queue_url).to_owned();
        let entry = SendEntry {
            id: String::new(),
            message_body: request.message_body,
            message_group_id: request.message_group_id,
            message_deduplication_id: request.message_deduplication_id,
            message_attributes: request.message_attributes,
            delay_seconds: request.delay_seconds,
        };
        let draft = draft(entry)?;
        let accepted = self.change(|queues, now| accept(queues.queue_mut(&name)?, None, draft, now))?;
        Ok(json!(accepted))
    }

    /// A missing group or de-duplication id refuses the whole batch (recorded from the service); other faults of an entry
    /// only that entry.
    fn send_batch(&self, request: Batch<SendEntry>) -> Answer {
        let name = name_of(&request.queue_url).to_owned();
        check_batch(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let entries: Vec<_> = request.entries.into_iter().map(|entry| (entry.id.clone(), draft(entry))).collect();
        let sent = entries.iter().filter_map(|(_, draft)| draft.as_ref().ok()).map(Draft::size).sum();
        if sent > MAX_BATCH_BYTES {
            return Err(Refusal::BatchRequestTooLong { limit: MAX_BATCH_BYTES, sent });
        }
        self.change(|queues, now| {
            let queue = queues.queue_mut(&name)?;
            let by_content = queue.settings().content_based_deduplication;
            for (_, draft) in &entries {
                check_ids(draft, by_content)?;
            }
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for (id, draft) in entries {
                match draft.and_then(|draft| accept(queue, Some(id.clone()), draft, now)) {
                    Ok(accepted) => successful.push(accepted),
                    Err(refusal) => failed.push(failure(&id, &refusal)),
                }
            }
            Ok(json!({ "Successful": successful, "Failed": failed }))
        })
    }

    /// Waits on the wall clock. A message whose visibility ends meanwhile is found when as much real time has passed; whoever
    /// moves a clock by hand does not wait.
    async fn receive(&self, request: ReceiveMessage) -> Answer {
        let name = name_of(&request.queue_url);
        let wait = match request.wait_time_seconds {
            None => self.queues.read(|queues| queues.queue(name).map(|queue| i64::from(queue.settings().wait_time)))?,
            Some(seconds) if (0..=MAX_WAIT).contains(&seconds) => seconds,
            Some(seconds) => {
                return Err(Refusal::InvalidParameterValue(format!(
                    "Value {seconds} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= {MAX_WAIT}, if provided."
                )));
            }
        };
        let deadline = Instant::now() + Duration::from_secs(wait.unsigned_abs());
        loop {
            let changed = self.changed.notified();
            let now = (self.now)();
            let received = self.queues.change(|queues| {
                queues.receive(name, request.max_number_of_messages, request.visibility_timeout, now)
            })?;
            if !received.is_empty() || Instant::now() >= deadline {
                let messages: Vec<_> = received.into_iter().map(|received| deliver(received, &request)).collect();
                return Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) });
            }
            let visible_at = self.queues.read(|queues| queues.queue(name).map(Queue::next_visible_at))?;
            let until = visible_at.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
            let wake = until.map_or(deadline, |until| deadline.min(Instant::now() + until));
            // Either way there is another look at the queue.
            let _ = timeout_at(wake, changed).await;
        }
    }

    fn delete(&self, request: &DeleteMessage) -> Answer {
        let name = name_of(&request.queue_url);
        self.change(|queues, now| queues.queue_mut(name)?.delete(&request.receipt_handle, now))?;
        Ok(json!({}))
    }

    fn change_visibility(&self, request: &ChangeMessageVisibility) -> Answer {
        let name = name_of(&request.queue_url);
        let timeout = visibility_seconds(request.visibility_timeout)?;
        self.change(|queues, now| queues.queue_mut(name)?.change_visibility(&request.receipt_handle, timeout, now))?;
        Ok(json!({}))
    }

    /// A batch whose entries succeed or fail on their own.
    fn each<T>(
        &self,
        batch: &Batch<T>,
        id: impl Fn(&T) -> &String,
        act: impl Fn(&mut Queue, &T, Timestamp) -> Result<(), Refusal>,
    ) -> Answer {
        check_batch(batch.entries.iter().map(|entry| id(entry).as_str()))?;
        self.change(|queues, now| {
            let queue = queues.queue_mut(name_of(&batch.queue_url))?;
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for entry in &batch.entries {
                match act(queue, entry, now) {
                    Ok(()) => successful.push(json!({ "Id": id(entry) })),
                    Err(refusal) => failed.push(failure(id(entry), &refusal)),
                }
            }
            Ok(json!({ "Successful": successful, "Failed": failed }))
        })
    }

    fn attributes(&self, request: &GetQueueAttributes) -> Answer {
        let now = (self.now)();
        self.queues.read(|queues| {
            let queue = queues.queue(name_of(&request.queue_url))?;
            let (mut all, depth) = (queue.settings().reported(), queue.depth(now));
            all.insert("ApproximateNumberOfMessages".to_owned(), depth.visible.to_string());
            all.insert("ApproximateNumberOfMessagesNotVisible".to_owned(), depth.in_flight.to_string());
            all.insert("ApproximateNumberOfMessagesDelayed".to_owned(), "0".to_owned());
            if !request.attribute_names.contains("All") {
                all.retain(|name, _| request.attribute_names.contains(name));
            }
            Ok(json!({ "Attributes": all }))
        })
    }

    fn create(&self, request: &CreateQueue) -> Answer {
        self.change(|queues, now| queues.create(&request.queue_name, &request.attributes, now))?;
        Ok(json!({ "QueueUrl": self.url_of(&request.queue_name) }))
    }

    fn url(&self, request: &GetQueueUrl) -> Answer {
        self.queues.read(|queues| queues.queue(&request.queue_name).map(drop))?;
        Ok(json!({ "QueueUrl": self.url_of(&request.queue_name) }))
    }

    fn url_of(&self, name: &str) -> String {
        format!("{}000000000000/{name}", self.base)
    }

    fn start_move(&self, request: &StartMessageMoveTask) -> Answer {
        let handle =
            self.change(|queues, now| queues.start_move(&request.source_arn, request.destination_arn.as_deref(), now))?;
        Ok(json!({ "TaskHandle": handle }))
    }

    fn moves(&self, request: &ListMessageMoveTasks) -> Answer {
        let max = request.max_results.unwrap_or(1);
        self.queues.read(|queues| {
            let results = queues.moves(&request.source_arn, max)?;
            let results = results.into_iter().map(|done| {
                json!({
                    "Status": "COMPLETED",
                    "SourceArn": done.source,
                    "DestinationArn": done.destination,
                    "StartedTimestamp": done.at.as_millisecond(),
                    "ApproximateNumberOfMessagesMoved": done.moved,
                    "ApproximateNumberOfMessagesToMove": done.moved,
                })
            });
            Ok(json!({ "Results": results.collect::<Vec<_>>() }))
        })
    }

    /// Changes the queues and wakes those who wait for messages.
    fn change<R>(&self, change: impl FnOnce(&mut Queues, Timestamp) -> R) -> R {
        let now = (self.now)();
        let result = self.queues.change(|queues| change(queues, now));
        self.changed.notify_waiters();
        result
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    Ok(serde_json::from_slice(body)?)
}

/// Of a queue URL only the last part counts: the stand-in may be reached by several addresses.
fn name_of(queue_url: &str) -> &str {
    queue_url.rsplit('/').next().unwrap_or_default()
}

fn accept(queue: &mut Queue, id: Option<String>, draft: Draft, now: Timestamp) -> Result<Accepted, Refusal> {
    let md5_of_message_body = md5_of_body(&draft.body);
    let md5_of_message_attributes = md5_of_attributes(&draft.attributes);
    let Sent { message_id, sequence } = queue.send(draft, now)?;
    let sequence_number = format!("{sequence:020}");
    Ok(Accepted { id, message_id, md5_of_message_body, md5_of_message_attributes, sequence_number })
}

fn check_ids(draft: &Result<Draft, Refusal>, by_content: bool) -> Result<(), Refusal> {
    let missing = |text: &str| Err(Refusal::InvalidParameterValue(text.to_owned()));
    match draft {
        Ok(draft) if draft.group.is_empty() => missing("The request must contain the parameter MessageGroupId."),
        Ok(draft) if draft.deduplication_id.is_none() && !by_content => missing(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        ),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn check_batch<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Refusal> {
    match ids.len() {
        0 => return Err(Refusal::EmptyBatchRequest),
        1..=10 => {}
        sent => return Err(Refusal::TooManyEntriesInBatchRequest(sent)),
    }
    let mut distinct = BTreeSet::new();
    for id in ids {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > 80 || !id.chars().all(allowed) {
            return Err(Refusal::InvalidBatchEntryId);
        }
        if !distinct.insert(id) {
            return Err(Refusal::BatchEntryIdsNotDistinct(id.to_owned()));
        }
    }
    Ok(())
}

fn failure(id: &str, refusal: &Refusal) -> Value {
    json!({ "Id": id, "Code": refusal.entry_code(), "Message": refusal.to_string(), "SenderFault": true })
}
