//! Starts reconciler in Lambda.

use std::pin::Pin;

use reconciler::{Input, ReconcileError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    let app = &runtime::App::from_env()?;
    runtime::serve_schedule(|input: Input, left| {
        // Behind a pointer, or the compiler loses itself in the depth of its type.
        let run: Pin<Box<dyn Future<Output = Result<(), ReconcileError>> + Send + '_>> =
            Box::pin(reconciler::run(app, input.extent(), left));
        async move { run.await.err().map(|error| runtime::chain(&error)) }
    })
    .await
}
