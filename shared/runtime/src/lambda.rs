//! How a function is served in Lambda. The same routers and flows are served by the local stack without this module.

use axum::Router;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the Lambda runtime reports when it cannot go on.
pub type LambdaError = lambda_runtime::Error;

/// Serves an HTTP function until Lambda ends the process.
pub async fn serve_http(router: Router) -> Result<(), LambdaError> {
    lambda_http::run(router).await
}

/// Serves a function that takes events of type `E`, for example an SQS batch.
pub async fn serve_sqs<E, A, F, Fut>(flow: F) -> Result<(), LambdaError>
where
    E: DeserializeOwned + Send + 'static,
    A: Serialize + Send,
    F: Fn(E, std::time::Duration) -> Fut,
    Fut: Future<Output = A>,
{
    let flow = &flow;
    lambda_runtime::run(lambda_runtime::service_fn(move |event: LambdaEvent<E>| async move {
        let left = left(&event.context);
        Ok::<A, LambdaError>(flow(event.payload, left).await)
    }))
    .await
}

/// Serves a function that runs on a schedule, or is called by hand, with an input of type `I`. What it answers is for whoever calls by
/// hand: that something could not be done is told in figures and in the log. Lambda's errors are those of a function that ended.
pub async fn serve_schedule<I, A, F, Fut>(flow: F) -> Result<(), LambdaError>
where
    I: DeserializeOwned + Send + 'static,
    A: Serialize + Send,
    F: Fn(I, std::time::Duration) -> Fut,
    Fut: Future<Output = A>,
{
    serve_sqs(flow).await
}

/// The time until Lambda ends the invocation.
fn left(context: &lambda_runtime::Context) -> std::time::Duration {
    #[expect(clippy::disallowed_methods, reason = "Lambda gives its deadline in wall-clock time")]
    let now = std::time::SystemTime::now();
    context.deadline().duration_since(now).unwrap_or_default()
}
