//! SQS over HTTP: the JSON protocol around [`super::sqs`], and the waiting of long polls.
//!
//! A member of a request that the model does not know is refused instead of ignored: a stand-in that silently does less than
//! it was asked for proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::saved::Saved;
use super::sqs::message::{
    Attribute, Attributes, Draft, Message, Value as AttributeValue, md5_of_attributes, md5_of_body,
};
use super::sqs::queues::{Queues, visibility_seconds};
use super::sqs::refusal::Refusal;
use super::sqs::settings::arn;
use super::sqs::{Depth, Queue, Received, Sent};
use super::{Now, answer};

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SendMessage {
    queue_url: String,
    #[serde(default)]
    message_body: String,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, WireAttribute>,
    delay_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Batch<T> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SendEntry {
    id: String,
    #[serde(default)]
    message_body: String,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, WireAttribute>,
    delay_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    /// The old name of the next.
    #[serde(default)]
    attribute_names: BTreeSet<String>,
    #[serde(default)]
    message_system_attribute_names: BTreeSet<String>,
    #[serde(default)]
    message_attribute_names: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ChangeEntry {
    id: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListMessageMoveTasks {
    source_arn: String,
    max_results: Option<usize>,
}

/// A user attribute as both sides write it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WireAttribute {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Accepted {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_message_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
    sequence_number: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Delivered {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<String, WireAttribute>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
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

fn draft(entry: SendEntry) -> Result<Draft, Refusal> {
    if let Some(seconds) = entry.delay_seconds.filter(|seconds| *seconds != 0) {
        return Err(Refusal::InvalidParameterValue(format!(
            "Value {seconds} for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for \
             this queue type."
        )));
    }
    let attributes = entry.message_attributes.into_iter().map(|(name, attribute)| {
        let value = attribute_value(&name, attribute.string_value, attribute.binary_value)?;
        Ok((name, Attribute { data_type: attribute.data_type, value }))
    });
    Ok(Draft {
        body: entry.message_body,
        group: entry.message_group_id.unwrap_or_default(),
        deduplication_id: entry.message_deduplication_id,
        attributes: attributes.collect::<Result<Attributes, Refusal>>()?,
    })
}

fn attribute_value(name: &str, text: Option<String>, binary: Option<String>) -> Result<AttributeValue, Refusal> {
    match (text, binary.map(|base64| BASE64_STANDARD.decode(base64))) {
        (Some(text), None) => Ok(AttributeValue::Text(text)),
        (None, Some(Ok(bytes))) => Ok(AttributeValue::Binary(bytes)),
        (None, None | Some(Err(_))) | (Some(_), Some(_)) => Err(Refusal::InvalidParameterValue(format!(
            "The message attribute '{name}' must contain exactly one value."
        ))),
    }
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

fn deliver(received: Received, request: &ReceiveMessage) -> Delivered {
    let Received { message, receipt_handle } = received;
    let names = &request.message_attribute_names;
    let asked = |name: &str| {
        names.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => wanted == "All" || wanted == name,
        })
    };
    let selected: Attributes =
        message.attributes.iter().filter(|(name, _)| asked(name)).map(|(name, a)| (name.clone(), a.clone())).collect();
    let mut attributes = system_attributes(&message);
    let wanted = |name: &str| {
        [&request.attribute_names, &request.message_system_attribute_names].iter().any(|names| names.contains(name))
    };
    attributes.retain(|name, _| wanted("All") || wanted(name));
    Delivered {
        message_id: message.id,
        receipt_handle,
        md5_of_body: md5_of_body(&message.body),
        body: message.body,
        attributes,
        md5_of_message_attributes: md5_of_attributes(&selected),
        message_attributes: selected.into_iter().map(|(name, attribute)| (name, wire(attribute))).collect(),
    }
}

fn system_attributes(message: &Message) -> BTreeMap<&'static str, String> {
    let milliseconds = |time: Timestamp| time.as_millisecond().to_string();
    let mut attributes = BTreeMap::from([
        ("SenderId", "000000000000".to_owned()),
        ("SentTimestamp", milliseconds(message.sent_at)),
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        ("MessageGroupId", message.group.clone()),
        ("MessageDeduplicationId", message.deduplication_id.clone()),
        ("SequenceNumber", format!("{:020}", message.sequence)),
    ]);
    attributes.extend(message.first_received_at.map(|time| ("ApproximateFirstReceiveTimestamp", milliseconds(time))));
    attributes.extend(message.dead_letter_source.as_deref().map(|source| ("DeadLetterQueueSourceArn", arn(source))));
    attributes
}

fn wire(attribute: Attribute) -> WireAttribute {
    let (string_value, binary_value) = match attribute.value {
        AttributeValue::Text(text) => (Some(text), None),
        AttributeValue::Binary(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
    };
    WireAttribute { data_type: attribute.data_type, string_value, binary_value }
}
