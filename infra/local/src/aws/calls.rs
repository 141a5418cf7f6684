//! Who makes which calls, by the permissions that they need: the template's policies are compared with it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::Value;

/// Keeps an empty file for each caller and permission, `<caller>/<resource>.<action>`, in a folder.
#[derive(Debug)]
pub(super) struct Calls {
    folder: PathBuf,
    seen: Mutex<BTreeSet<(String, String)>>,
}

impl Calls {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, seen: Mutex::default() }
    }

    /// Notes a call. Whoever signs it makes it: each function has credentials of its own, here as in AWS.
    pub(super) fn note(&self, headers: &HeaderMap, service: &str, operation: &str, body: &[u8]) {
        let Some(caller) = caller(headers) else { return };
        for permission in permissions(service, operation, body) {
            let call = (caller.to_owned(), permission);
            if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(call.clone()) {
                continue;
            }
            let folder = self.folder.join(call.0);
            let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(call.1), ""));
            if let Err(error) = kept {
                tracing::error!(error = runtime::chain(&error), "call not noted");
            }
        }
    }
}

/// The access key id in a signature (AWS, "Signature Version 4": `Credential=<id>/<date>/<region>/…`).
pub(super) fn caller(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    authorization.split("Credential=").nth(1)?.split('/').next()
}

/// The permissions that a call needs (AWS, "Service Authorization Reference"): a batch of messages needs that of one, and a
/// transaction those of its parts.
fn permissions(service: &str, operation: &str, body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match (service, operation) {
        ("DynamoDB_20120810", "TransactWriteItems") => {
            let parts = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            let kinds: BTreeSet<&str> =
                parts.filter_map(Value::as_object).flat_map(|part| part.keys()).map(String::as_str).collect();
            kinds.into_iter().map(item_permission).collect()
        }
        ("DynamoDB_20120810", "Query") if body.get("IndexName").is_some() => {
            let slim = body.get("IndexName").and_then(Value::as_str) == Some("GSI2");
            vec![if slim { "OpenIndex.Query" } else { "Index.Query" }.to_owned()]
        }
        ("DynamoDB_20120810", operation) => vec![format!("Table.{operation}")],
        ("AmazonSQS", operation) => vec![format!("Queue.{}", operation.trim_end_matches("Batch"))],
        ("secretsmanager", operation) => vec![format!("Secret.{operation}")],
        _ => Vec::new(),
    }
}

fn item_permission(part: &str) -> String {
    match part {
        "ConditionCheck" => "Table.ConditionCheckItem".to_owned(),
        part => format!("Table.{part}Item"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_call_needs_the_permission_that_aws_asks_for() {
        for (service, operation, body, expected) in [
            ("DynamoDB_20120810", "GetItem", "{}", vec!["Table.GetItem"]),
            ("DynamoDB_20120810", "Query", "{}", vec!["Table.Query"]),
            ("DynamoDB_20120810", "Query", r#"{"IndexName":"GSI1"}"#, vec!["Index.Query"]),
            ("DynamoDB_20120810", "Query", r#"{"IndexName":"GSI2"}"#, vec!["OpenIndex.Query"]),
            (
                "DynamoDB_20120810",
                "TransactWriteItems",
                r#"{"TransactItems":[{"Put":{}},{"Delete":{}},{"ConditionCheck":{}},{"Put":{}}]}"#,
                vec!["Table.ConditionCheckItem", "Table.DeleteItem", "Table.PutItem"],
            ),
            ("AmazonSQS", "SendMessageBatch", "{}", vec!["Queue.SendMessage"]),
            ("secretsmanager", "GetSecretValue", "{}", vec!["Secret.GetSecretValue"]),
            ("Kinesis", "PutRecord", "{}", vec![]),
        ] {
            assert_eq!(permissions(service, operation, body.as_bytes()), expected, "{operation}");
        }
    }

    #[test]
    fn the_signature_says_who_calls() {
        let mut headers = HeaderMap::new();
        assert_eq!(caller(&headers), None);
        let signed =
            "AWS4-HMAC-SHA256 Credential=webhook-ingest/20261123/us-east-1/sqs/aws4_request, SignedHeaders=host";
        headers.insert(AUTHORIZATION, HeaderValue::from_static(signed));
        assert_eq!(caller(&headers), Some("webhook-ingest"));
    }
}
