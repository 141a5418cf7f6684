//! Starts webhook-ingest in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    runtime::serve_http(webhook_ingest::router(runtime::App::from_env()?)).await
}
