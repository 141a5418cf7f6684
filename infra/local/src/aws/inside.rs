//! The SDK's way to a router in this process. Retries and time-outs stay the SDK's.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::{Body, to_bytes};
use tower_service::Service as _;

use super::MAX_BODY_BYTES;

/// The HTTP client for the SDK, with everything of AWS at `router`.
#[must_use]
pub fn http_client(router: Router) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Inside { router });
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug, Clone)]
struct Inside {
    router: Router,
}

impl HttpConnector for Inside {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut router = self.router.clone();
        HttpConnectorFuture::new(async move {
            let user = |error| ConnectorError::user(error);
            let request = request.try_into_http1x().map_err(|error| user(error.into()))?;
            let answer = match router.call(request.map(Body::new)).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            let (head, body) = answer.into_parts();
            let body = to_bytes(body, MAX_BODY_BYTES * 16).await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(axum::http::Response::from_parts(head, SdkBody::from(body)))
                .map_err(|error| user(error.into()))
        })
    }
}
