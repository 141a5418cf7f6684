//! A table in an emulator of its own.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use store::Store;

pub(crate) const TABLE: &str = "pagerbridge";

pub(crate) fn client(url: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(20)).build())
        .endpoint_url(url);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

pub(crate) async fn table() -> (Store, aws_sdk_dynamodb::Client) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()));
    let database = dynoxide::Database::memory().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    tokio::spawn(async move {
        dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await.unwrap()
    });
    store::create_table(&client, TABLE).await.unwrap();
    (Store::new(client.clone(), TABLE.to_owned()), client)
}
