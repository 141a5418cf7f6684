//! Messages: what may be sent, what is kept, and the digests by which SDKs check both ways.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// At most this many user attributes per message.
const MAX_ATTRIBUTES: usize = 10;

/// Longest group or de-duplication id, in characters.
const MAX_ID_CHARS: usize = 128;

/// User attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// One user attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, optionally with a custom suffix after a dot.
    pub data_type: String,
    /// Its value.
    pub value: Value,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Of a `String` or `Number`.
    Text(String),
    /// Of a `Binary`.
    Binary(Vec<u8>),
}

impl Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The byte that tells the two apart in the digest.
    fn tag(&self) -> u8 {
        match self {
            Self::Text(_) => 1,
            Self::Binary(_) => 2,
        }
    }
}

/// A message as somebody wants to send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub body: String,
    /// The group whose order it keeps.
    pub group: String,
    /// Its de-duplication id; `None` leaves it to the queue to take the body's digest.
    pub deduplication_id: Option<String>,
    /// User attributes.
    pub attributes: Attributes,
}

impl Draft {
    /// Bytes that count against the size limits: body and attributes, names and types included.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        self.body.len()
            + attributes.map(|(name, a)| name.len() + a.data_type.len() + a.value.bytes().len()).sum::<usize>()
    }

    /// Checks what does not depend on other messages.
    ///
    /// # Errors
    /// [`Refusal`] as the service words it.
    pub fn check(&self, maximum_size: usize) -> Result<(), Refusal> {
        if self.body.is_empty() {
            return Err(Refusal::MissingParameter("MessageBody"));
        }
        if !self.body.chars().all(is_allowed) {
            return Err(Refusal::InvalidMessageContents);
        }
        if self.size() > maximum_size {
            return Err(Refusal::InvalidParameterValue(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {maximum_size} bytes."
            )));
        }
        check_id("MessageGroupId", &self.group)?;
        if let Some(id) = &self.deduplication_id {
            check_id("MessageDeduplicationId", id)?;
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(Refusal::InvalidParameterValue(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
                self.attributes.len()
            )));
        }
        self.attributes.iter().try_for_each(|(name, attribute)| attribute.check(name))
    }
}

impl Attribute {
    fn check(&self, name: &str) -> Result<(), Refusal> {
        let kind = self.data_type.split('.').next().unwrap_or_default();
        let fits = match &self.value {
            Value::Text(_) => matches!(kind, "String" | "Number"),
            Value::Binary(_) => kind == "Binary",
        };
        if !fits {
            return Err(Refusal::InvalidParameterValue(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type \
                 prefixes: Binary, Number, String."
            )));
        }
        if self.value.bytes().is_empty() {
            return Err(Refusal::InvalidParameterValue(format!(
                "Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
            )));
        }
        Ok(())
    }
}

/// What the service documents as allowed: the characters of XML 1.0.
fn is_allowed(c: char) -> bool {
    matches!(c, '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

fn check_id(parameter: &'static str, id: &str) -> Result<(), Refusal> {
    if id.is_empty() {
        return Err(Refusal::MissingParameter(parameter));
    }
    if id.len() > MAX_ID_CHARS || !id.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Refusal::InvalidParameterValue(format!(
            "Value {id} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric and \
             punctuation characters. 1 to {MAX_ID_CHARS} in length."
        )));
    }
    Ok(())
}

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Kept on the way into a dead-letter queue; a move task gives a new one.
    pub id: String,
    /// Its place in the queue's order.
    pub sequence: u64,
    /// The group whose order it keeps.
    pub group: String,
    /// By which it was de-duplicated.
    pub deduplication_id: String,
    /// The text.
    pub body: String,
    /// User attributes.
    pub attributes: Attributes,
    /// When it entered this queue.
    pub sent_at: Timestamp,
    /// From when on it may be received; later than now means in flight.
    pub visible_at: Timestamp,
    /// How often it was received.
    pub receive_count: u32,
    /// When it was received first.
    pub first_received_at: Option<Timestamp>,
    /// When it was received last.
    pub received_at: Option<Timestamp>,
    /// The queue that gave it up, for a message in a dead-letter queue.
    pub dead_letter_source: Option<String>,
}

/// The digest of a body, in hexadecimal.
#[must_use]
pub fn md5_of_body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// The digest of user attributes in the encoding of the developer guide ("Calculating the MD5 message digest for message
/// attributes"): by name; name, type and value each with a four-byte length, a tag before the value. `None` without any.
#[must_use]
pub fn md5_of_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut encoded = Vec::new();
    let mut push = |tag: Option<u8>, bytes: &[u8]| {
        encoded.extend(tag);
        encoded.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        encoded.extend_from_slice(bytes);
    };
    for (name, attribute) in attributes {
        push(None, name.as_bytes());
        push(None, attribute.data_type.as_bytes());
        push(Some(attribute.value.tag()), attribute.value.bytes());
    }
    Some(format!("{:x}", md5::compute(encoded)))
}

/// An id in the shape of a UUID, made from what it names. The model has no randomness, so that runs can be repeated.
#[must_use]
pub fn uuid_of(name: &str) -> String {
    let digest = format!("{:x}", md5::compute(name));
    let part = |range: std::ops::Range<usize>| digest.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(data_type: &str, value: Value) -> Attribute {
        Attribute { data_type: data_type.to_owned(), value }
    }

    fn draft() -> Draft {
        Draft {
            body: "text".to_owned(),
            group: "g".to_owned(),
            deduplication_id: Some("d".to_owned()),
            attributes: Attributes::new(),
        }
    }

    #[test]
    fn digests_are_those_of_the_service() {
        assert_eq!(md5_of_body("test"), "098f6bcd4621d373cade4e832627b4f6");
        let text = |value: &str| attribute("String", Value::Text(value.to_owned()));
        let count = attribute("Number.int", Value::Text("2".to_owned()));
        for (attributes, expected) in [
            (vec![], None),
            (vec![("cause", text("event-1"))], Some("ab30557000dd4880e30e602c17a24cb2")),
            (vec![("cause", text("event-1")), ("Attempt", count)], Some("8a5c4da9bfb90cdbb5863725b1de3816")),
            (
                vec![("digest", attribute("Binary", Value::Binary(vec![0, 1, 254, 255])))],
                Some("404307a11cf4d497321d65a48427285b"),
            ),
        ] {
            let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            assert_eq!(md5_of_attributes(&attributes).as_deref(), expected, "{attributes:?}");
        }
    }

    #[test]
    fn checks_a_draft() {
        let invalid = |text: &str| Err(Refusal::InvalidParameterValue(text.to_owned()));
        let with = |attributes: &[(&str, Attribute)]| Draft {
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            ..draft()
        };
        let many: Vec<_> =
            (0..11).map(|n| (format!("a{n}"), attribute("Number", Value::Text("1".to_owned())))).collect();
        for (case, expected) in [
            (draft(), Ok(())),
            (Draft { body: "tab\tnew\r\nline \u{10FFFF}".to_owned(), ..draft() }, Ok(())),
            (Draft { body: String::new(), ..draft() }, Err(Refusal::MissingParameter("MessageBody"))),
            (Draft { body: "\u{0}".to_owned(), ..draft() }, Err(Refusal::InvalidMessageContents)),
            (Draft { body: "\u{FFFE}".to_owned(), ..draft() }, Err(Refusal::InvalidMessageContents)),
            (
                Draft { body: "x".repeat(21), ..draft() },
                invalid("One or more parameters are invalid. Reason: Message must be shorter than 20 bytes."),
            ),
            (Draft { group: String::new(), ..draft() }, Err(Refusal::MissingParameter("MessageGroupId"))),
            (
                Draft { group: "a b".to_owned(), ..draft() },
                invalid(
                    "Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric \
                     and punctuation characters. 1 to 128 in length.",
                ),
            ),
            (with(&[("n", attribute("Number.int", Value::Text("1".to_owned())))]), Ok(())),
            (
                with(&[("n", attribute("String", Value::Text(String::new())))]),
                invalid("Message (user) attribute 'n' must contain a non-empty value of type 'String'."),
            ),
            (
                with(&[("n", attribute("Text", Value::Text("1".to_owned())))]),
                invalid(
                    "The type of message (user) attribute 'n' is invalid. You must use only the following supported type \
                     prefixes: Binary, Number, String.",
                ),
            ),
        ] {
            assert_eq!(case.check(20), expected, "{case:?}");
        }
        let many = Draft { attributes: many.into_iter().collect(), ..draft() };
        assert_eq!(many.check(1000), invalid("Number of message attributes [11] exceeds the allowed maximum [10]."));
    }

    #[test]
    fn ids_look_like_uuids() {
        assert_eq!(uuid_of("test"), "098f6bcd-4621-d373-cade-4e832627b4f6");
    }
}
