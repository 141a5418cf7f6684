//! Who makes which calls, by the permissions that they need: the template's policies are compared with it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::Value;

/// Keeps empty files in a folder: for each caller and permission `<caller>/<statement>.<action>`, for each kind of partition that it
/// is used for `keys/<caller>/<statement>.<action>.<kind>`, and for each secret that is read `secrets/<caller>/<name>`.
#[derive(Debug)]
pub(super) struct Calls {
    folder: PathBuf,
    seen: Mutex<BTreeSet<PathBuf>>,
}

impl Calls {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, seen: Mutex::default() }
    }

    /// Notes a call. Whoever signs it makes it: each function has credentials of its own, here as in AWS.
    pub(super) fn note(&self, headers: &HeaderMap, service: &str, operation: &str, body: &[u8]) {
        let Some(caller) = caller(headers) else { return };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        for Needed { permission, partition } in needed(service, operation, &body) {
            self.keep(&[caller, &permission]);
            if let Some(partition) = partition {
                self.keep(&["keys", caller, &format!("{permission}.{}", kind(&partition))]);
            }
        }
        if let ("secretsmanager", Some(id)) = (service, body.get("SecretId").and_then(Value::as_str)) {
            self.keep(&["secrets", caller, id]);
        }
    }

    fn keep(&self, path: &[&str]) {
        let path: PathBuf = path.iter().collect();
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone()) {
            return;
        }
        let file = self.folder.join(path);
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.and_then(|()| std::fs::write(file, "")) {
            tracing::error!(error = runtime::chain(&error), "call not noted");
        }
    }
}

/// What a call needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Needed {
    permission: String,
    /// The partition key of the table or index (AWS, "dynamodb:LeadingKeys").
    partition: Option<String>,
}

/// What stands before the first `#` of a partition key: its kind.
fn kind(partition: &str) -> &str {
    partition.split('#').next().unwrap_or_default()
}

/// The access key id in a signature (AWS, "Signature Version 4": `Credential=<id>/<date>/<region>/…`).
pub(super) fn caller(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    authorization.split("Credential=").nth(1)?.split('/').next()
}

/// The permissions that a call needs (AWS, "Service Authorization Reference"): a batch of messages needs that of one, and a
/// transaction those of its parts.
fn needed(service: &str, operation: &str, body: &Value) -> Vec<Needed> {
    let plain = |permission: String| vec![Needed { permission, partition: None }];
    match (service, operation) {
        ("DynamoDB_20120810", operation) => of_table(operation, body),
        ("AmazonSQS", operation) => plain(format!("Queue.{}", operation.trim_end_matches("Batch"))),
        ("secretsmanager", operation) => plain(format!("Secret.{operation}")),
        _ => Vec::new(),
    }
}

fn of_table(operation: &str, body: &Value) -> Vec<Needed> {
    let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flat_map(|tables| tables.values());
    let found: BTreeSet<Needed> = match operation {
        // AWS does not say whether each part is compared with its own key or with all of them, so both must be allowed.
        "TransactWriteItems" => {
            let parts = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            let parts = parts.filter_map(Value::as_object).flatten();
            let parts: Vec<Needed> = parts.map(|(kind, part)| item(format!("Table.{kind}Item"), part)).collect();
            let partitions: BTreeSet<_> = parts.iter().map(|part| part.partition.clone()).collect();
            let of = |part: &Needed| {
                let permission = part.permission.clone();
                partitions
                    .iter()
                    .map(move |partition| Needed { permission: permission.clone(), partition: partition.clone() })
            };
            parts.iter().flat_map(of).collect()
        }
        "BatchGetItem" => {
            let keys = tables.filter_map(|table| table.get("Keys")?.as_array()).flatten();
            keys.map(|key| Needed { permission: "Table.BatchGetItem".to_owned(), partition: Some(leading(Some(key))) })
                .collect()
        }
        "BatchWriteItem" => {
            let requests = tables.filter_map(Value::as_array).flatten().filter_map(Value::as_object);
            requests
                .flat_map(|of| of.values())
                .map(|request| item("Table.BatchWriteItem".to_owned(), request))
                .collect()
        }
        "Query" => {
            let statement = match body.get("IndexName").and_then(Value::as_str) {
                None => "Table",
                Some("GSI2") => "OpenIndex",
                Some(_) => "Index",
            };
            let values = body.get("ExpressionAttributeValues");
            let partition = text(values.and_then(|values| values.get(":pk")));
            BTreeSet::from([Needed { permission: format!("{statement}.Query"), partition: Some(partition) }])
        }
        operation => BTreeSet::from([item(format!("Table.{operation}"), body)]),
    };
    found.into_iter().collect()
}

fn item(permission: String, request: &Value) -> Needed {
    Needed { permission, partition: Some(leading(request.get("Key").or_else(|| request.get("Item")))) }
}

fn leading(key: Option<&Value>) -> String {
    text(key.and_then(|key| key.get("pk")))
}

/// What is not found where it is expected must not be taken for nothing: no policy allows it.
fn text(value: Option<&Value>) -> String {
    let text = value.and_then(|value| value.get("S")).and_then(Value::as_str);
    text.unwrap_or("unknown").to_owned()
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
            let needed = needed(service, operation, &serde_json::from_str(body).unwrap());
            let mut permissions: Vec<_> = needed.iter().map(|needed| needed.permission.as_str()).collect();
            permissions.dedup();
            assert_eq!(permissions, expected, "{operation}");
        }
    }

    #[test]
    fn a_call_names_the_partitions_that_it_is_about() {
        let a = r##"{"pk":{"S":"USER#a#b"},"sk":{"S":"CHAT"}}"##;
        let b = r##"{"pk":{"S":"TICKET#c"},"sk":{"S":"TICKET"}}"##;
        for (operation, body, expected) in [
            ("GetItem", format!(r#"{{"Key":{a}}}"#), vec!["USER"]),
            ("PutItem", format!(r#"{{"Item":{a}}}"#), vec!["USER"]),
            ("Query", r##"{"ExpressionAttributeValues":{":pk":{"S":"OPEN#a"}}}"##.to_owned(), vec!["OPEN"]),
            ("BatchGetItem", format!(r#"{{"RequestItems":{{"t":{{"Keys":[{a},{b}]}}}}}}"#), vec!["TICKET", "USER"]),
            (
                "BatchWriteItem",
                format!(
                    r#"{{"RequestItems":{{"t":[{{"PutRequest":{{"Item":{a}}}}},{{"DeleteRequest":{{"Key":{b}}}}}]}}}}"#
                ),
                vec!["TICKET", "USER"],
            ),
            (
                "TransactWriteItems",
                format!(r#"{{"TransactItems":[{{"Put":{{"Item":{a}}}}},{{"Delete":{{"Key":{b}}}}}]}}"#),
                // For each of the two parts.
                vec!["TICKET", "TICKET", "USER", "USER"],
            ),
            ("Scan", "{}".to_owned(), vec!["unknown"]),
        ] {
            let needed = needed("DynamoDB_20120810", operation, &serde_json::from_str(&body).unwrap());
            let mut kinds: Vec<_> = needed.iter().filter_map(|needed| needed.partition.as_deref()).map(kind).collect();
            kinds.sort_unstable();
            assert_eq!(kinds, expected, "{operation}");
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
