//! Why a queue refuses a request, in the service's own codes.

/// A refusal of the queue service. Texts follow the service's, because operators search for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No queue of that name.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// Created before, with another value of this attribute.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    /// A member of the request is missing.
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    /// A member of the request cannot be used; the text says which and why.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// No such queue attribute.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// A queue attribute has a value that it cannot have.
    #[error("Invalid value for the parameter {0}.")]
    InvalidAttributeValue(String),
    /// The body has a character that XML 1.0 cannot carry.
    #[error("The message contains characters outside the allowed set.")]
    InvalidMessageContents,
    /// The text is not a receipt handle of this queue.
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    /// The message is visible again, or was received again since.
    #[error("Value {0} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")]
    ReceiptHandleExpired(String),
    /// A batch without entries.
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    /// A batch with more than ten entries.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// The id of a batch entry is malformed.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters \
         long."
    )]
    InvalidBatchEntryId,
    /// Two entries of a batch share an id.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// All entries together are too large.
    #[error("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes.")]
    BatchRequestTooLong {
        /// The limit in bytes.
        limit: usize,
        /// What was sent, in bytes.
        sent: usize,
    },
    /// A queue that a move task names does not exist.
    #[error("The resource that you specified for the {0} parameter doesn't exist.")]
    ResourceNotFound(&'static str),
    /// The service could do it, this stand-in cannot.
    #[error("This stand-in does not offer {0}.")]
    UnsupportedOperation(String),
    /// The body is not the JSON of this operation.
    #[error(
        "The request cannot be read (line {line}, column {column}): not JSON, or a member that this stand-in does not know."
    )]
    Unreadable {
        /// Where reading stopped.
        line: usize,
        /// Where reading stopped.
        column: usize,
    },
}

/// How a refusal is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The `__type` of the JSON body.
    pub shape: &'static str,
    /// The code of the old Query protocol, which SDKs read from `x-amzn-query-error`.
    pub query: &'static str,
    /// HTTP status.
    pub status: u16,
}

impl Refusal {
    /// How it is written when it refuses the whole request.
    #[must_use]
    pub fn code(&self) -> Code {
        let (shape, query, status) = match self {
            Self::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400)
            }
            Self::QueueNameExists(_) => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists", 400),
            Self::MissingParameter(_) => {
                ("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter", 400)
            }
            Self::InvalidParameterValue(_) | Self::ReceiptHandleExpired(_) => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", 400)
            }
            Self::InvalidAttributeName(_) => ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName", 400),
            Self::InvalidAttributeValue(_) => ("com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue", 400),
            Self::InvalidMessageContents => ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", 400),
            Self::ReceiptHandleIsInvalid => ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 400),
            Self::EmptyBatchRequest => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", 400)
            }
            Self::TooManyEntriesInBatchRequest(_) => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                400,
            ),
            Self::InvalidBatchEntryId => {
                ("com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", 400)
            }
            Self::BatchEntryIdsNotDistinct(_) => {
                ("com.amazonaws.sqs#BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400)
            }
            Self::BatchRequestTooLong { .. } => {
                ("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", 400)
            }
            Self::ResourceNotFound(_) => {
                ("com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException", 404)
            }
            Self::UnsupportedOperation(_) => {
                ("com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", 400)
            }
            Self::Unreadable { .. } => {
                ("com.amazon.coral.service#SerializationException", "SerializationException", 400)
            }
        };
        Code { shape, query, status }
    }

    /// The code of a failed batch entry. There an expired handle is called invalid.
    #[must_use]
    pub fn entry_code(&self) -> &'static str {
        match self {
            Self::ReceiptHandleExpired(_) => Self::ReceiptHandleIsInvalid.code().query,
            other => other.code().query,
        }
    }
}

impl From<serde_json::Error> for Refusal {
    /// Keeps the place but not the text, which may quote the body.
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable { line: error.line(), column: error.column() }
    }
}
