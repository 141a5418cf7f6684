//! What each call of AWS costs, for whoever measures: when it began and ended, and how many units of the table it took.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use serde_json::Value;

use super::MAX_BODY_BYTES;

/// A call that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Who made it, by its credentials.
    pub caller: String,
    /// As in `PutItem`.
    pub operation: String,
    pub began: Instant,
    pub ended: Instant,
    /// Units of the table and its indexes, as `DynamoDB` counts them.
    pub read_units: f64,
    pub write_units: f64,
}

/// Keeps the calls, once somebody wants them.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pause: Mutex<Option<Duration>>,
    calls: Mutex<Vec<Call>>,
}

impl Watch {
    pub(super) fn begin(&self, pause: Duration) {
        *self.pause() = Some(pause);
    }

    pub(super) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls())
    }

    fn pause(&self) -> MutexGuard<'_, Option<Duration>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long each answer is to take, if anybody watches.
    pub(super) fn wanted(&self) -> Option<Duration> {
        *self.pause()
    }

    pub(super) fn note(&self, call: Call) {
        self.calls().push(call);
    }
}

/// The same request, which asks for what it consumes.
pub(super) fn asking(service: &str, body: Bytes) -> Bytes {
    if service != "DynamoDB_20120810" {
        return body;
    }
    let Ok(mut request) = serde_json::from_slice::<Value>(&body) else { return body };
    if let Some(request) = request.as_object_mut() {
        request.insert("ReturnConsumedCapacity".to_owned(), Value::from("TOTAL"));
    }
    serde_json::to_vec(&request).map_or(body, Bytes::from)
}

/// The units that an answer says it took: of reading, or of writing. A write that was refused by its condition took one.
pub(super) async fn consumed(operation: &str, answer: Response) -> (Response, f64, f64) {
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let units = |capacity: &Value| capacity.get("CapacityUnits").and_then(Value::as_f64).unwrap_or_default();
    let capacity = said.get("ConsumedCapacity");
    let units = match capacity {
        Some(Value::Array(tables)) => tables.iter().map(units).sum(),
        Some(table) => units(table),
        None => 0.0,
    };
    let writes = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems");
    let units = if writes && !head.status.is_success() { 1.0 } else { units };
    let answer = Response::from_parts(head, Body::from(body));
    if writes { (answer, 0.0, units) } else { (answer, units, 0.0) }
}
