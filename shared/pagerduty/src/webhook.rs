//! V3 webhooks: is a body signed by PagerDuty, and what does it say?
//!
//! PagerDuty announces that event types are added, and that early ones change without notice. Three bodies that are
//! answered with a refusal disable a subscription for a day. So only a body that is no event at all is an error here.

mod salvage;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use domain::event::EventType;
use domain::ids::{EventId, ServiceId};
use domain::incident::{Happening, IncidentEvent};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::events;
pub use salvage::incident_in;

use crate::wire::{self, text};

/// PagerDuty drops a webhook above this size (webhook docs, "Behavior").
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// Raise it whenever a body can be read that could not be read before.
const READING: u16 = 1;

/// Which version of this module reads, so that later ones sort behind: a body that an earlier one could not read is worth another
/// look. A release counts by itself, and `READING` within one.
#[must_use]
pub fn reader() -> String {
    let part = |number: &str| number.parse::<u32>().unwrap_or_default();
    let (major, minor) = (part(env!("CARGO_PKG_VERSION_MAJOR")), part(env!("CARGO_PKG_VERSION_MINOR")));
    format!("{major:05}.{minor:05}.{:05}.{READING:05}", part(env!("CARGO_PKG_VERSION_PATCH")))
}

const TAG_BYTES: usize = 32;
const MAX_EVENT_TYPE: usize = 100;

/// Why a signature does not hold. No variant carries a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `X-PagerDuty-Signature` header.
    #[error("there is no signature")]
    Missing,
    /// The header has no `v1=` value of 64 hexadecimal digits.
    #[error("the signature is malformed")]
    Malformed,
    /// No `v1` value fits any of the secrets.
    #[error("the signature does not match")]
    Mismatch,
}

/// Checks that one of the header's `v1` values is the HMAC-SHA256 of the raw body under one of the secrets. Several values
/// and several secrets exist while a secret is rotated; other versions than `v1` are ignored (webhook docs,
/// "Signatures"). Every pair is compared, each in constant time. An empty secret matches nothing.
pub fn verify(secrets: &[SecretString], header: Option<&str>, body: &[u8]) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let candidates: Vec<[u8; TAG_BYTES]> =
        header.split(',').filter_map(|value| unhex(value.trim().strip_prefix("v1=")?)).collect();
    if candidates.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let mut matched = false;
    for secret in secrets.iter().filter(|secret| !secret.expose_secret().is_empty()) {
        let tag = tag(secret, body);
        for candidate in &candidates {
            matched |= verify_slices_are_equal(tag.as_ref(), candidate).is_ok();
        }
    }
    if matched { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// The header value that PagerDuty would send for this body.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    format!("v1={}", hex(tag(secret, body).as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The secret's characters are the key as they are, although they look like base64 (webhook docs, "Signatures").
fn tag(secret: &SecretString, body: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()), body)
}

fn unhex(text: &str) -> Option<[u8; TAG_BYTES]> {
    if text.len() != 2 * TAG_BYTES {
        return None;
    }
    let digit = |digit: char| digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
    let digits = text.chars().map(digit).collect::<Option<Vec<u8>>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    bytes.try_into().ok()
}

/// What a signed body says.
#[expect(clippy::large_enum_variant, reason = "one per request, and nearly all are incidents")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Something about an incident.
    Incident(IncidentEvent),
    /// Something about a service.
    Service(ServiceEvent),
    /// PagerDuty's test message.
    Ping,
    /// An event of a type that we do not know. PagerDuty announces that types are added.
    Unknown { event_type: String },
}

/// What happened to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEvent {
    pub id: EventId,
    pub service: ServiceId,
    pub change: ServiceChange,
}

/// How a service changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceChange {
    /// It is new.
    Created,
    /// It may have another name.
    Updated { name: Option<String> },
    /// It is gone.
    Deleted,
    /// Its custom fields changed.
    CustomFields,
}

/// A body that is not an event as documented. Names what is missing, never what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// More lists, objects and values than any event has.
    #[error("the body has too many parts")]
    TooManyParts,
    /// A part that every event has is missing.
    #[error("the event has no usable {0}")]
    Missing(&'static str),
}

/// Reads a body leniently: unknown types and fields are fine, and so are the nulls and gaps of real deliveries. What cannot be read
/// costs itself: an event without a legible id gets one of its body, which is the same when it is delivered again; one without a
/// legible type tells the state that it carries.
pub fn parse(body: &[u8]) -> Result<Received, Unreadable> {
    let envelope = ::wire::read_bearable(body).map_err(|error| match error {
        ::wire::Unreadable::NotJson(_) => Unreadable::NotJson,
        ::wire::Unreadable::TooManyParts => Unreadable::TooManyParts,
    })?;
    let event = envelope.get("event").filter(|event| event.is_object()).ok_or(Unreadable::Missing("event"))?;
    let data = event.get("data").unwrap_or(&Value::Null);
    let event_type = match text(event, "event_type").filter(|name| !name.contains(char::REPLACEMENT_CHARACTER)) {
        Some(event_type) => event_type,
        None if is_whole(data) => "incident.unreadable",
        None => return Err(Unreadable::Missing("event type")),
    };
    let kind = EventType::from_name(event_type);
    let id = || event_id(event, body);
    let received = match event_type.split_once('.') {
        Some(("pagey", "ping")) => Some(Received::Ping),
        Some(("incident", _)) => incident_event(event, id, kind, data)?.map(Received::Incident),
        Some(("service", _)) => service_event(id, kind, data)?.map(Received::Service),
        _ => None,
    };
    Ok(received.unwrap_or_else(|| Received::Unknown { event_type: wire::bounded(event_type, MAX_EVENT_TYPE) }))
}

fn is_whole(data: &Value) -> bool {
    text(data, "type") == Some("incident")
}

/// `None` for a type that we do not know and that does not carry a readable incident. Of a type that we know, an incident whose
/// state cannot be read is a reference: see [`domain::incident::Happening::brings_state`].
fn incident_event(
    event: &Value,
    id: impl Fn() -> Result<EventId, Unreadable>,
    kind: Option<EventType>,
    data: &Value,
) -> Result<Option<IncidentEvent>, Unreadable> {
    let what = kind.and_then(|kind| events::happening(kind, data));
    let brought = what.as_ref().and_then(Happening::status);
    let snapshot = is_whole(data).then(|| wire::snapshot(data, brought)).flatten();
    if what.is_none() && snapshot.is_none() {
        return Ok(None);
    }
    let Some(incident) = events::incident_of(data) else {
        return what.map_or(Ok(None), |_| Err(Unreadable::Missing("incident id")));
    };
    Ok(Some(IncidentEvent {
        id: id()?,
        occurred_at: wire::time(event, "occurred_at"),
        incident,
        by: event.get("agent").and_then(wire::actor),
        snapshot,
        what,
    }))
}

fn service_event(
    id: impl Fn() -> Result<EventId, Unreadable>,
    kind: Option<EventType>,
    data: &Value,
) -> Result<Option<ServiceEvent>, Unreadable> {
    let change = match kind {
        Some(EventType::ServiceCreated) => ServiceChange::Created,
        Some(EventType::ServiceUpdated) => ServiceChange::Updated { name: wire::label(data) },
        Some(EventType::ServiceDeleted) => ServiceChange::Deleted,
        Some(EventType::ServiceFields) => ServiceChange::CustomFields,
        _ => return Ok(None),
    };
    // Only custom field values wrap the service; a `service` of anything else has its own id.
    let service = data.get("service").filter(|service| service.is_object()).unwrap_or(data);
    let service = text(service, "id").and_then(|id| ServiceId::new(id).ok());
    Ok(Some(ServiceEvent { id: id()?, service: service.ok_or(Unreadable::Missing("service id"))?, change }))
}

/// Event ids may be ULIDs, UUIDs or 38-digit numbers: they are taken as they are.
fn event_id(event: &Value, body: &[u8]) -> Result<EventId, Unreadable> {
    let own = text(event, "id").and_then(|id| EventId::new(id).ok());
    let of_body = || EventId::new(hex(digest(&SHA256, body).as_ref())).map_err(|_| Unreadable::Missing("event id"));
    own.map_or_else(of_body, Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_reader_sorts_behind() {
        let this = reader();
        let parts: Vec<&str> = this.split('.').collect();
        assert!(parts.len() == 4 && parts.iter().all(|part| part.len() == 5), "{this}");
        let version: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        let release = version[..3].iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        assert_eq!((release.as_str(), version[3]), (env!("CARGO_PKG_VERSION"), u32::from(READING)));
        assert!("00000.00000.99999.99999" < this.as_str() && this.as_str() < "00000.00010.00000.00000");
    }
}
