//! Starts bot-messages in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::log_to_stderr();
    runtime::serve_http(bot_messages::router(runtime::App::from_env()?)).await
}
