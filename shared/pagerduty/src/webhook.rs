//! V3 webhooks: is a body signed by PagerDuty, and what does it say?

use aws_lc_rs::hmac;
use domain::ids::{EventId, ServiceId};
use domain::incident::IncidentEvent;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::events;
use crate::wire::{self, actor, name, text};

/// PagerDuty drops a webhook above this size (webhook docs, "Behavior").
pub const MAX_BODY_BYTES: usize = 256 * 1024;

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
/// and several secrets exist while a secret is rotated (webhook docs, "Signatures"). Every pair is compared, each in
/// constant time. An empty secret matches nothing.
///
/// # Errors
/// [`SignatureError`].
pub fn verify(secrets: &[SecretString], header: Option<&str>, body: &[u8]) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let candidates: Vec<[u8; 32]> = header.split(',').filter_map(|value| decode(value.trim().strip_prefix("v1=")?)).collect();
    if candidates.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let mut matched = false;
    for secret in secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty()) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        for candidate in &candidates {
            matched |= hmac::verify(&key, body, candidate).is_ok();
        }
    }
    if matched { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// The header value that PagerDuty would send for this body.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let hex: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

fn decode(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// What a signed body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Something about an incident.
    Incident(IncidentEvent),
    /// Something about a service.
    Service(ServiceEvent),
    /// PagerDuty's test message.
    Ping,
    /// An event of a type that we do not know. PagerDuty announces that types are added.
    Unknown {
        /// Its type.
        event_type: String,
    },
}

/// What happened to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEvent {
    /// PagerDuty's event id.
    pub id: EventId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The service.
    pub service: ServiceId,
    /// What changed.
    pub change: ServiceChange,
}

/// How a service changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceChange {
    /// It is new.
    Created,
    /// It may have another name.
    Updated {
        /// Its present name.
        name: Option<String>,
    },
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
    /// A part that every event has is missing.
    #[error("the event has no usable {0}")]
    Missing(&'static str),
}

/// Reads a body leniently: unknown types and fields are fine, and so are the nulls and gaps of real deliveries.
///
/// # Errors
/// [`Unreadable`] if it is no event at all, or an event of a known type without what that type is about.
pub fn parse(body: &[u8]) -> Result<Received, Unreadable> {
    let envelope: Value = serde_json::from_slice(body).map_err(|_| Unreadable::NotJson)?;
    let event = envelope.get("event").filter(|event| event.is_object()).ok_or(Unreadable::Missing("event"))?;
    let event_type = text(event, "event_type").ok_or(Unreadable::Missing("event_type"))?;
    if event_type == "pagey.ping" {
        return Ok(Received::Ping);
    }
    let data = event.get("data").unwrap_or(&Value::Null);
    if let Some(service) = event_type.strip_prefix("service.") {
        return service_event(event, service, data, event_type);
    }
    let what = events::happening(event_type, data);
    let whole = text(data, "type") == Some("incident");
    if what.is_none() && !(whole && event_type.starts_with("incident.")) {
        return Ok(Received::Unknown { event_type: wire::bounded(event_type, 100) });
    }
    Ok(Received::Incident(IncidentEvent {
        id: event_id(event)?,
        occurred_at: occurred_at(event)?,
        incident: events::incident_of(data).ok_or(Unreadable::Missing("incident id"))?,
        by: event.get("agent").and_then(actor),
        snapshot: if whole { Some(wire::snapshot(data).ok_or(Unreadable::Missing("incident"))?) } else { None },
        what,
    }))
}

fn service_event(event: &Value, change: &str, data: &Value, event_type: &str) -> Result<Received, Unreadable> {
    let change = match change {
        "created" => ServiceChange::Created,
        "updated" => ServiceChange::Updated { name: name(data) },
        "deleted" => ServiceChange::Deleted,
        "custom_field_values.updated" => ServiceChange::CustomFields,
        _ => return Ok(Received::Unknown { event_type: wire::bounded(event_type, 100) }),
    };
    let service = text(data.get("service").unwrap_or(data), "id").and_then(|id| ServiceId::new(id).ok());
    Ok(Received::Service(ServiceEvent {
        id: event_id(event)?,
        occurred_at: occurred_at(event)?,
        service: service.ok_or(Unreadable::Missing("service id"))?,
        change,
    }))
}

fn event_id(event: &Value) -> Result<EventId, Unreadable> {
    text(event, "id").and_then(|id| EventId::new(id).ok()).ok_or(Unreadable::Missing("event id"))
}

fn occurred_at(event: &Value) -> Result<Timestamp, Unreadable> {
    wire::time(event, "occurred_at").ok_or(Unreadable::Missing("occurred_at"))
}
