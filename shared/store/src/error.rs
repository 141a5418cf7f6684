//! What can go wrong at the table.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::RequestId as _;
use domain::failure::Class;

/// A failure of the table. None carries an item's content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// DynamoDB refused, throttled or did not answer.
    #[error("the table did not do {operation} (request {request})")]
    Call {
        /// Which call.
        operation: &'static str,
        /// AWS' request id, or "none".
        request: String,
        /// Whether the same call may work later.
        retryable: bool,
        /// What the SDK says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others changed the item again and again.
    #[error("{what} is changed by others too often")]
    Contended {
        /// Which item.
        what: String,
    },
    /// An item does not have the shape that this version writes.
    #[error("the item {key} cannot be read")]
    Unreadable {
        /// Its partition key.
        key: String,
        /// Where it differs.
        #[source]
        source: serde_dynamo::Error,
    },
    /// A value cannot be written as an item.
    #[error("a value for {key} cannot be written")]
    Unwritable {
        /// Its partition key.
        key: String,
        /// Why.
        #[source]
        source: serde_dynamo::Error,
    },
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call { retryable: true, .. } | Self::Contended { .. } => Class::Retry { after: None },
            Self::Call { retryable: false, .. } => Class::Invalid,
            Self::Unreadable { .. } | Self::Unwritable { .. } => Class::Bug,
        }
    }

    pub(crate) fn call<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: std::error::Error + aws_sdk_dynamodb::error::ProvideErrorMetadata + Send + Sync + 'static,
    {
        let request = error.request_id().unwrap_or("none").to_owned();
        // A request that DynamoDB itself finds wrong (too large, malformed) stays wrong; everything else may pass.
        let retryable = error.as_service_error().and_then(|e| e.code()) != Some("ValidationException");
        Self::Call { operation, request, retryable, source: Box::new(error) }
    }
}
