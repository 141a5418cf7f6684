//! Starts admin-api in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    runtime::serve_http(admin_api::router(runtime::App::from_env()?)).await
}
