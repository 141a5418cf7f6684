//! `DynamoDB`: the `dynoxide` emulator in this process, in memory or on a file.
//!
//! Its HTTP surface is private but for "serve on a listener", so its typed calls are used, with the JSON of the protocol around them.
//! TTL deletes nothing there, which is what expiry checks on read have to cope with anyway.

use std::path::Path;

use anyhow::Context as _;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer;

/// How the emulator marks a message of its readers that is meant for the caller.
const MARKS: [&str; 2] = ["VALIDATION_REQUEST:", "VALIDATION:"];

pub(super) struct DynamoDb {
    database: Database,
}

impl DynamoDb {
    /// # Errors
    /// The file in `folder` cannot be opened.
    pub(super) fn open(folder: Option<&Path>) -> anyhow::Result<Self> {
        let database = match folder {
            None => Database::memory()?,
            Some(folder) => {
                let file = folder.join("dynamodb.sqlite");
                let path = file.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
                Database::new(path).with_context(|| format!("{path} cannot be opened"))?
            }
        };
        Ok(Self { database })
    }

    pub(super) fn answer(&self, operation: &str, body: &[u8]) -> Response {
        match self.run(operation, body) {
            None => {
                let shape = "com.amazon.coral.service#UnknownOperationException";
                answer::error(answer::JSON_1_0, 400, shape, &format!("This stand-in does not offer {operation}."))
            }
            Some(Ok(body)) => reply(StatusCode::OK, body),
            Some(Err(error)) => {
                let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
                reply(status, error.to_json())
            }
        }
    }

    fn run(&self, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
        let db = &self.database;
        Some(match operation {
            "CreateTable" => with(body, |request| db.create_table(request)),
            "DescribeTable" => with(body, |request| db.describe_table(request)),
            "ListTables" => with(body, |request| db.list_tables(request)),
            "DeleteTable" => with(body, |request| db.delete_table(request)),
            "UpdateTimeToLive" => with(body, |request| db.update_time_to_live(request)),
            "DescribeTimeToLive" => with(body, |request| db.describe_time_to_live(request)),
            "PutItem" => with(body, |request| db.put_item(request)),
            "GetItem" => with(body, |request| db.get_item(request)),
            "DeleteItem" => with(body, |request| db.delete_item(request)),
            "UpdateItem" => with(body, |request| db.update_item(request)),
            "Query" => with(body, |request| db.query(request)),
            "Scan" => with(body, |request| db.scan(request)),
            "BatchGetItem" => with(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => with(body, |request| db.batch_write_item(request)),
            "TransactWriteItems" => with(body, |request| db.transact_write_items(request)),
            "TransactGetItems" => with(body, |request| db.transact_get_items(request)),
            _ => return None,
        })
    }
}

fn with<Request: DeserializeOwned, Answer: Serialize>(
    body: &[u8],
    call: impl FnOnce(Request) -> Result<Answer, DynoxideError>,
) -> Result<String, DynoxideError> {
    let answer = call(serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

fn unreadable(message: &str) -> DynoxideError {
    let message = message.split(" at line ").next().unwrap_or_default();
    let meant = MARKS.iter().find_map(|mark| message.strip_prefix(mark)).unwrap_or(message);
    DynoxideError::ValidationException(meant.to_owned())
}

fn reply(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer::JSON_1_0));
    response
}
