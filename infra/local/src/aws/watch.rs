//! What each call of AWS costs and touches, for whoever measures: when it began and ended, how many units of the table it took, and
//! of which items.

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
    /// The keys of the items that it named, as `pk sk`; of a query, the values that it searched for.
    pub named: Vec<String>,
    /// The keys of the items that it was given, and for a write that was done, of those that it wrote.
    pub touched: Vec<String>,
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

/// What a call named, by its request.
pub(super) fn named(service: &str, body: &[u8]) -> Vec<String> {
    if service != "DynamoDB_20120810" {
        return Vec::new();
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut named = keys_in(&request);
    if request.get("KeyConditionExpression").is_some() {
        let values = request.get("ExpressionAttributeValues").and_then(Value::as_object).into_iter().flatten();
        named.extend(values.filter_map(|(_, value)| text(value)).map(str::to_owned));
    }
    named
}

/// The keys of all items and keys in a document, wherever they stand.
fn keys_in(document: &Value) -> Vec<String> {
    let (pk, sk) = (document.get("pk").and_then(text), document.get("sk").and_then(text));
    let own = pk.zip(sk).map(|(pk, sk)| format!("{pk} {sk}"));
    let inside: Vec<String> = match document {
        Value::Object(parts) => parts.values().flat_map(keys_in).collect(),
        Value::Array(parts) => parts.iter().flat_map(keys_in).collect(),
        _ => Vec::new(),
    };
    own.into_iter().chain(inside).collect()
}

fn text(value: &Value) -> Option<&str> {
    value.get("S")?.as_str()
}

/// What an answer says of its call.
pub(super) struct Said {
    pub(super) read_units: f64,
    pub(super) write_units: f64,
    pub(super) touched: Vec<String>,
}

/// The units that an answer says it took: of reading, or of writing. A write that was refused by its condition took one.
pub(super) async fn consumed(operation: &str, named: &[String], answer: Response) -> (Response, Said) {
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
    let mut touched = keys_in(&said);
    if (writes || operation == "BatchWriteItem") && head.status.is_success() {
        touched.extend_from_slice(named);
    }
    let (read_units, write_units) = if writes { (0.0, units) } else { (units, 0.0) };
    (Response::from_parts(head, Body::from(body)), Said { read_units, write_units, touched })
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_call_tells_what_it_touched() {
        let key = |pk: &str| json!({ "pk": { "S": pk }, "sk": { "S": "X" } });
        let got = json!({ "Item": { "pk": { "S": "A" }, "sk": { "S": "X" }, "data": { "M": {} } } });
        let query =
            json!({ "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": { ":pk": { "S": "A" } } });
        for (operation, request, status, answer, expected) in [
            ("GetItem", json!({ "Key": key("A") }), 200, got.clone(), (vec!["A X"], vec!["A X"])),
            ("GetItem", json!({ "Key": key("A") }), 200, json!({}), (vec!["A X"], vec![])),
            ("Query", query, 200, json!({ "Items": [key("A")] }), (vec!["A"], vec!["A X"])),
            ("PutItem", json!({ "Item": key("A") }), 200, json!({}), (vec!["A X"], vec!["A X"])),
            ("PutItem", json!({ "Item": key("A") }), 400, json!({}), (vec!["A X"], vec![])),
            (
                "TransactWriteItems",
                json!({ "TransactItems": [{ "Put": { "Item": key("A") } }, { "Delete": { "Key": key("B") } }] }),
                200,
                json!({}),
                (vec!["A X", "B X"], vec!["A X", "B X"]),
            ),
        ] {
            let named = named("DynamoDB_20120810", request.to_string().as_bytes());
            let mut response = Response::new(Body::from(answer.to_string()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            let (_, said) = consumed(operation, &named, response).await;
            assert_eq!((named, said.touched), (owned(&expected.0), owned(&expected.1)), "{operation} {status}");
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}
