//! The AWS SDK's way onto the wire. Retries, back-off and the time of an attempt stay the SDK's.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::body::{Body, Bytes, to_bytes};
use reqwest::{Request, Response};

use crate::{Wire, WireError};

/// Above every request: `BatchWriteItem` and `SendMessageBatch` take at most 16 MB and 1 MiB.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Above every answer: `BatchGetItem` gives at most 16 MB of items, which are longer as JSON.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// An answer that no service of AWS gives. Asking again would not make it shorter.
#[derive(Debug, thiserror::Error)]
#[error("the answer has more than {MAX_ANSWER_BYTES} bytes")]
struct TooLarge;

impl Wire {
    /// An HTTP client for the SDK. What it says about time for connecting is not heard: that belongs to the client of
    /// [`Wire::Net`].
    #[must_use]
    pub fn for_aws(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(Connector(self.clone()));
        http_client_fn(move |_, _| connector.clone())
    }
}

#[derive(Debug)]
struct Connector(Wire);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.0.clone();
        HttpConnectorFuture::new(async move {
            let answer = wire.execute(built(request).await?).await.map_err(classified)?;
            whole(answer).await
        })
    }
}

/// Bodies are short and never streamed.
async fn built(request: HttpRequest) -> Result<Request, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (head, body) = request.into_parts();
    let body: Bytes =
        to_bytes(Body::new(body), MAX_REQUEST_BYTES).await.map_err(|error| ConnectorError::user(error.into()))?;
    Request::try_from(axum::http::Request::from_parts(head, body))
        .map_err(|error| ConnectorError::user(WireError::from(error).into()))
}

/// Reads an answer to its end, so that one that breaks off counts as none and the SDK asks again.
async fn whole(mut answer: Response) -> Result<HttpResponse, ConnectorError> {
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| classified(error.into()))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(ConnectorError::other(TooLarge.into(), None));
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = axum::http::Response::new(SdkBody::from(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
}

/// What the SDK retries by: it does so after time-outs and whatever else broke off.
fn classified(error: WireError) -> ConnectorError {
    match error {
        WireError::Net(error) if error.is_builder() => ConnectorError::user(error.into()),
        error if error.is_timeout() => ConnectorError::timeout(error.into()),
        error if error.is_connect() => ConnectorError::io(error.into()).never_connected(),
        error => ConnectorError::io(error.into()),
    }
}
