//! A queue's attributes: which are accepted, which have an effect here, and what is reported back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// Every queue of the stand-in belongs to this region and account.
const ARN_PREFIX: &str = "arn:aws:sqs:us-east-1:000000000000:";

/// Longest visibility timeout: twelve hours, in seconds.
pub const MAX_VISIBILITY: u32 = 43_200;

/// How a queue behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Its name, with `.fifo`.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// How long a received message stays hidden, in seconds, unless the receiver says otherwise.
    pub visibility_timeout: u32,
    /// How long a receive waits, in seconds, unless the receiver says otherwise.
    pub wait_time: u32,
    /// Largest message, in bytes.
    pub maximum_message_size: usize,
    /// Whether a message without a de-duplication id gets its body's digest.
    pub content_based_deduplication: bool,
    /// Where a de-duplication id is unique.
    pub deduplication_scope: DeduplicationScope,
    /// When to give a message up.
    pub redrive: Option<Redrive>,
    reported: BTreeMap<String, String>,
}

/// Where a de-duplication id is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeduplicationScope {
    /// In the whole queue.
    Queue,
    /// In each group.
    MessageGroup,
}

/// When a message goes to which dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// The dead-letter queue's name.
    pub dead_letter_queue: String,
    /// After how many receives.
    pub max_receive_count: u32,
}

impl Settings {
    /// Reads the attributes of a new queue.
    ///
    /// Attributes that change nothing for one developer on one machine (encryption, policies, retention, throughput) are
    /// kept and reported. Delays and standard queues are refused: the product has none, and a half-modelled one would lie.
    ///
    /// # Errors
    /// [`Refusal`] names the attribute.
    pub fn parse(name: &str, given: &BTreeMap<String, String>, now: Timestamp) -> Result<Self, Refusal> {
        check_name(name)?;
        if given.get("FifoQueue").map(String::as_str) != Some("true") {
            return Err(Refusal::UnsupportedOperation("standard queues, only those with FifoQueue=true".to_owned()));
        }
        let mut reported = defaults();
        for (name, value) in given {
            check_attribute(name, value)?;
            reported.insert(name.clone(), value.clone());
        }
        let redrive = given.get("RedrivePolicy").map(|policy| parse_redrive(policy)).transpose()?;
        let scope = match reported.get("DeduplicationScope").map(String::as_str) {
            Some("messageGroup") => DeduplicationScope::MessageGroup,
            _ => DeduplicationScope::Queue,
        };
        Ok(Self {
            name: name.to_owned(),
            created_at: now,
            visibility_timeout: number(&reported, "VisibilityTimeout")?,
            wait_time: number(&reported, "ReceiveMessageWaitTimeSeconds")?,
            maximum_message_size: number(&reported, "MaximumMessageSize")? as usize,
            content_based_deduplication: reported.get("ContentBasedDeduplication").is_some_and(|value| value == "true"),
            deduplication_scope: scope,
            redrive,
            reported,
        })
    }

    /// The first given attribute that this queue has otherwise.
    #[must_use]
    pub fn difference(&self, given: &BTreeMap<String, String>) -> Option<String> {
        given.iter().find(|(name, value)| self.reported.get(*name) != Some(value)).map(|(name, _)| name.clone())
    }

    /// All attributes that do not depend on messages.
    #[must_use]
    pub fn reported(&self) -> BTreeMap<String, String> {
        let created = self.created_at.as_second().to_string();
        let mut all = self.reported.clone();
        all.insert("QueueArn".to_owned(), arn(&self.name));
        all.insert("CreatedTimestamp".to_owned(), created.clone());
        all.insert("LastModifiedTimestamp".to_owned(), created);
        all
    }
}

/// The resource name of a queue.
#[must_use]
pub fn arn(name: &str) -> String {
    format!("{ARN_PREFIX}{name}")
}

/// The queue that a resource name means.
#[must_use]
pub fn name_of(arn: &str) -> Option<&str> {
    arn.strip_prefix(ARN_PREFIX)
}

fn defaults() -> BTreeMap<String, String> {
    [
        ("ContentBasedDeduplication", "false"),
        ("DeduplicationScope", "queue"),
        ("DelaySeconds", "0"),
        ("FifoThroughputLimit", "perQueue"),
        ("MaximumMessageSize", "1048576"),
        ("MessageRetentionPeriod", "345600"),
        ("ReceiveMessageWaitTimeSeconds", "0"),
        ("SqsManagedSseEnabled", "true"),
        ("VisibilityTimeout", "30"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let stem = name.strip_suffix(".fifo").unwrap_or_default();
    let fits =
        !stem.is_empty() && name.len() <= 80 && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if fits {
        return Ok(());
    }
    Err(Refusal::InvalidParameterValue(
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo \
         suffix and be 1 to 80 in length."
            .to_owned(),
    ))
}

fn check_attribute(name: &str, value: &str) -> Result<(), Refusal> {
    let is_number = |low: u32, high: u32| value.parse::<u32>().is_ok_and(|number| (low..=high).contains(&number));
    let fits = match name {
        "FifoQueue" => value == "true",
        "ContentBasedDeduplication" | "SqsManagedSseEnabled" => matches!(value, "true" | "false"),
        "DeduplicationScope" => matches!(value, "queue" | "messageGroup"),
        "FifoThroughputLimit" => matches!(value, "perQueue" | "perMessageGroupId"),
        "VisibilityTimeout" => is_number(0, MAX_VISIBILITY),
        "ReceiveMessageWaitTimeSeconds" => is_number(0, 20),
        "MaximumMessageSize" => is_number(1_024, 1_048_576),
        "MessageRetentionPeriod" => is_number(60, 1_209_600),
        "KmsDataKeyReusePeriodSeconds" => is_number(60, 86_400),
        "DelaySeconds" => match is_number(0, 0) {
            true => true,
            false => return Err(Refusal::UnsupportedOperation("queues with DelaySeconds".to_owned())),
        },
        "RedrivePolicy" | "RedriveAllowPolicy" | "Policy" | "KmsMasterKeyId" => true,
        _ => return Err(Refusal::InvalidAttributeName(name.to_owned())),
    };
    if fits { Ok(()) } else { Err(Refusal::InvalidAttributeValue(name.to_owned())) }
}

fn number(attributes: &BTreeMap<String, String>, name: &str) -> Result<u32, Refusal> {
    let value = attributes.get(name).and_then(|value| value.parse().ok());
    value.ok_or_else(|| Refusal::InvalidAttributeValue(name.to_owned()))
}

/// Both ways of writing the count are in use: templates send a number, consoles a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

fn parse_redrive(policy: &str) -> Result<Redrive, Refusal> {
    let invalid = |reason: &str| {
        Refusal::InvalidParameterValue(format!(
            "Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}."
        ))
    };
    let parsed: RedrivePolicy = serde_json::from_str(policy).map_err(|_| invalid("Amazon SQS can't read it"))?;
    let count = match parsed.max_receive_count {
        Count::Number(number) => Some(number),
        Count::Text(text) => text.parse().ok(),
    };
    let max_receive_count = count
        .filter(|count| (1..=1000).contains(count))
        .ok_or_else(|| invalid("Invalid value for maxReceiveCount, must be between 1 and 1000"))?;
    let queue =
        name_of(&parsed.dead_letter_target_arn).ok_or_else(|| invalid("Invalid value for deadLetterTargetArn"))?;
    Ok(Redrive { dead_letter_queue: queue.to_owned(), max_receive_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, given: &[(&str, &str)]) -> Result<Settings, Refusal> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::parse(name, &given, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn reads_what_has_an_effect() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead.fifo","maxReceiveCount":"5"}"#;
        let settings = parse(
            "jobs.fifo",
            &[
                ("FifoQueue", "true"),
                ("VisibilityTimeout", "180"),
                ("ReceiveMessageWaitTimeSeconds", "20"),
                ("MaximumMessageSize", "2048"),
                ("ContentBasedDeduplication", "true"),
                ("DeduplicationScope", "messageGroup"),
                ("FifoThroughputLimit", "perMessageGroupId"),
                ("RedrivePolicy", policy),
                ("KmsMasterKeyId", "alias/aws/sqs"),
            ],
        )
        .unwrap();
        assert_eq!((settings.visibility_timeout, settings.wait_time, settings.maximum_message_size), (180, 20, 2048));
        assert!(settings.content_based_deduplication);
        assert_eq!(settings.deduplication_scope, DeduplicationScope::MessageGroup);
        assert_eq!(settings.redrive, Some(Redrive { dead_letter_queue: "dead.fifo".to_owned(), max_receive_count: 5 }));
        let reported = settings.reported();
        assert_eq!(reported.get("KmsMasterKeyId").map(String::as_str), Some("alias/aws/sqs"));
        assert_eq!(reported.get("QueueArn").map(String::as_str), Some("arn:aws:sqs:us-east-1:000000000000:jobs.fifo"));
        assert_eq!(reported.get("MessageRetentionPeriod").map(String::as_str), Some("345600"));
    }

    #[test]
    fn refuses_what_it_cannot_be() {
        let fifo = ("FifoQueue", "true");
        let value = |name: &str| Refusal::InvalidAttributeValue(name.to_owned());
        for (name, attribute, expected) in [
            ("a.fifo", ("VisibilityTimeout", "43201"), value("VisibilityTimeout")),
            ("a.fifo", ("VisibilityTimeout", "-1"), value("VisibilityTimeout")),
            ("a.fifo", ("ReceiveMessageWaitTimeSeconds", "21"), value("ReceiveMessageWaitTimeSeconds")),
            ("a.fifo", ("MaximumMessageSize", "12"), value("MaximumMessageSize")),
            ("a.fifo", ("ContentBasedDeduplication", "yes"), value("ContentBasedDeduplication")),
            ("a.fifo", ("Colour", "red"), Refusal::InvalidAttributeName("Colour".to_owned())),
            ("a.fifo", ("DelaySeconds", "1"), Refusal::UnsupportedOperation("queues with DelaySeconds".to_owned())),
        ] {
            assert_eq!(parse(name, &[fifo, attribute]), Err(expected), "{attribute:?}");
        }
        assert!(matches!(parse("a.fifo", &[]), Err(Refusal::UnsupportedOperation(_))));
        for name in ["a", ".fifo", "a b.fifo", &format!("{}.fifo", "x".repeat(76))] {
            assert!(matches!(parse(name, &[fifo]), Err(Refusal::InvalidParameterValue(_))), "{name}");
        }
        for policy in [
            "nonsense",
            r#"{"deadLetterTargetArn":"dummy","maxReceiveCount":5}"#,
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d.fifo","maxReceiveCount":0}"#,
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d.fifo","maxReceiveCount":"many"}"#,
        ] {
            assert!(matches!(
                parse("a.fifo", &[fifo, ("RedrivePolicy", policy)]),
                Err(Refusal::InvalidParameterValue(_))
            ));
        }
    }

    #[test]
    fn finds_the_difference() {
        let settings = parse("a.fifo", &[("FifoQueue", "true")]).unwrap();
        let same = [("FifoQueue", "true"), ("VisibilityTimeout", "30")];
        let other = [("FifoQueue", "true"), ("VisibilityTimeout", "31")];
        let map = |given: [(&str, &str); 2]| given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(settings.difference(&map(same)), None);
        assert_eq!(settings.difference(&map(other)), Some("VisibilityTimeout".to_owned()));
    }
}
