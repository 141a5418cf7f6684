//! The members of requests and answers as the SDKs write them, and their way into and out of the model.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::sqs::Received;
use crate::aws::sqs::message::{Attribute, Attributes, Draft, Message, Value, md5_of_attributes, md5_of_body};
use crate::aws::sqs::refusal::Refusal;
use crate::aws::sqs::settings::arn;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SendMessage {
    pub(super) queue_url: String,
    #[serde(default)]
    pub(super) message_body: String,
    pub(super) message_group_id: Option<String>,
    pub(super) message_deduplication_id: Option<String>,
    #[serde(default)]
    pub(super) message_attributes: BTreeMap<String, WireAttribute>,
    pub(super) delay_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Batch<T> {
    pub(super) queue_url: String,
    #[serde(default = "Vec::new")]
    pub(super) entries: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SendEntry {
    pub(super) id: String,
    #[serde(default)]
    pub(super) message_body: String,
    pub(super) message_group_id: Option<String>,
    pub(super) message_deduplication_id: Option<String>,
    #[serde(default)]
    pub(super) message_attributes: BTreeMap<String, WireAttribute>,
    pub(super) delay_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ReceiveMessage {
    pub(super) queue_url: String,
    pub(super) max_number_of_messages: Option<i64>,
    pub(super) visibility_timeout: Option<i64>,
    pub(super) wait_time_seconds: Option<i64>,
    /// The old name of the next.
    #[serde(default)]
    pub(super) attribute_names: BTreeSet<String>,
    #[serde(default)]
    pub(super) message_system_attribute_names: BTreeSet<String>,
    #[serde(default)]
    pub(super) message_attribute_names: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteMessage {
    pub(super) queue_url: String,
    pub(super) receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteEntry {
    pub(super) id: String,
    pub(super) receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ChangeMessageVisibility {
    pub(super) queue_url: String,
    pub(super) receipt_handle: String,
    pub(super) visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ChangeEntry {
    pub(super) id: String,
    pub(super) receipt_handle: String,
    pub(super) visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateQueue {
    pub(super) queue_name: String,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetQueueUrl {
    pub(super) queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetQueueAttributes {
    pub(super) queue_url: String,
    #[serde(default)]
    pub(super) attribute_names: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct StartMessageMoveTask {
    pub(super) source_arn: String,
    pub(super) destination_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListMessageMoveTasks {
    pub(super) source_arn: String,
    pub(super) max_results: Option<usize>,
}

/// A user attribute as both sides write it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct WireAttribute {
    pub(super) data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) binary_value: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Accepted {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    pub(super) md5_of_message_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub(super) md5_of_message_attributes: Option<String>,
    pub(super) sequence_number: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Delivered {
    pub(super) message_id: String,
    pub(super) receipt_handle: String,
    pub(super) body: String,
    #[serde(rename = "MD5OfBody")]
    pub(super) md5_of_body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attributes: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) message_attributes: BTreeMap<String, WireAttribute>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub(super) md5_of_message_attributes: Option<String>,
}

pub(super) fn draft(entry: SendEntry) -> Result<Draft, Refusal> {
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

fn attribute_value(name: &str, text: Option<String>, binary: Option<String>) -> Result<Value, Refusal> {
    match (text, binary.map(|base64| BASE64_STANDARD.decode(base64))) {
        (Some(text), None) => Ok(Value::Text(text)),
        (None, Some(Ok(bytes))) => Ok(Value::Binary(bytes)),
        (None, None | Some(Err(_))) | (Some(_), Some(_)) => Err(Refusal::InvalidParameterValue(format!(
            "The message attribute '{name}' must contain exactly one value."
        ))),
    }
}

pub(super) fn deliver(received: Received, request: &ReceiveMessage) -> Delivered {
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
        Value::Text(text) => (Some(text), None),
        Value::Binary(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
    };
    WireAttribute { data_type: attribute.data_type, string_value, binary_value }
}
