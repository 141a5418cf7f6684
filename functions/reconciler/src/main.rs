//! Starts reconciler in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    let app = runtime::App::from_env()?;
    runtime::serve_schedule(|left| reconciler::run(&app, left)).await
}
