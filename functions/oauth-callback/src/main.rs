//! Starts oauth-callback in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    runtime::serve_http(oauth_callback::router(runtime::App::from_env()?)).await
}
