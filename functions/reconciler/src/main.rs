//! Starts reconciler in Lambda.

use reconciler::Input;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    let app = &runtime::App::from_env()?;
    // It has noted, counted and logged what is wrong. Only a run that dies has failed as an invocation.
    let run = async |input: Input, left| Box::pin(reconciler::run(app, input.extent(), left)).await.failed();
    runtime::serve_schedule(run).await
}
