//! Starts notification-sender in Lambda.

use aws_lambda_events::event::sqs::SqsEvent;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    let app = runtime::App::from_env()?;
    runtime::serve_sqs(|batch: SqsEvent, left| notification_sender::handle(&app, batch, left)).await
}
