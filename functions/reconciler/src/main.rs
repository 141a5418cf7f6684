//! Starts reconciler in Lambda.

use reconciler::Input;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    let app = runtime::App::from_env()?;
    runtime::serve_schedule(|input: Input, left| reconciler::run(&app, input.extent(), left)).await
}
