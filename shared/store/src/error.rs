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
        operation: &'static str,
        request: String,
        /// Whether the same call may work later.
        retryable: bool,
        /// What the SDK says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others changed the item again and again.
    #[error("{what} is changed by others too often")]
    Contended { what: String },
    /// An item does not have a shape that this version reads.
    #[error("the item {key} cannot be read")]
    Unreadable {
        key: String,
        /// How it differs.
        #[source]
        source: Misfit,
    },
    /// A value cannot be written as an item.
    #[error("a value for {key} cannot be written")]
    Unwritable {
        key: String,
        /// Why.
        #[source]
        source: Misfit,
    },
}

/// How a value and an item differ. Only the kind of difference: serde's own sentences quote what they did not expect,
/// which may be a person's name or a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(&'static str);

/// How the sentences of `serde` and `serde_dynamo` begin.
const MISFITS: &[&str] = &[
    "missing field",
    "duplicate field",
    "unknown field",
    "unknown variant",
    "invalid type",
    "invalid value",
    "invalid length",
    "Failed to parse",
    "Expected",
];

impl Misfit {
    pub(crate) const UNKNOWN: Self = Self("another shape");

    pub(crate) fn of(error: &serde_dynamo::Error) -> Self {
        let sentence = error.to_string();
        Self(MISFITS.iter().find(|kind| sentence.starts_with(**kind)).unwrap_or(&Self::UNKNOWN.0))
    }
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

    /// Whether an item does not have a shape that this version reads. The same read will not work later.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }

    /// A request that cannot be made.
    pub(crate) fn unbuilt(operation: &'static str, error: aws_sdk_dynamodb::error::BuildError) -> Self {
        Self::Call { operation, request: "none".to_owned(), retryable: false, source: Box::new(error) }
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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    fn misfit<T: serde::de::DeserializeOwned + std::fmt::Debug>(value: AttributeValue) -> Misfit {
        Misfit::of(&serde_dynamo::from_attribute_value::<_, T>(value).unwrap_err())
    }

    #[test]
    fn a_misfit_tells_the_kind_and_never_the_value() {
        let secret = || AttributeValue::S("canary-secret".to_owned());
        let number = AttributeValue::N("canary-secret".to_owned());
        for (found, expected) in [
            (misfit::<u64>(secret()), "Expected"),
            (misfit::<u64>(number), "Failed to parse"),
            (misfit::<domain::incident::Status>(secret()), "unknown variant"),
            (misfit::<jiff::Timestamp>(secret()), "another shape"),
            (misfit::<std::net::IpAddr>(secret()), "another shape"),
        ] {
            assert_eq!((found, found.to_string().as_str()), (Misfit(expected), expected));
        }
    }
}
