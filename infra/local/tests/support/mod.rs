//! What tests of the AWS stand-ins share: SDK clients for an endpoint, and our endpoint on a clock that tests move.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use jiff::{SignedDuration, Timestamp};
use local::aws::Endpoint;
use tokio::net::TcpListener;

/// The real SDKs, talking to one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
}

macro_rules! client {
    ($sdk:ident, $url:expr) => {{
        let timeouts =
            $sdk::config::timeout::TimeoutConfig::builder().operation_timeout(Duration::from_secs(30)).build();
        let config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .retry_config($sdk::config::retry::RetryConfig::disabled())
            .timeout_config(timeouts)
            .endpoint_url($url);
        $sdk::Client::from_conf(config.build())
    }};
}

impl Clients {
    /// Without retries: a test wants to see what happens.
    pub(crate) fn new(url: &str) -> Self {
        Self {
            sqs: client!(aws_sdk_sqs, url),
            secrets: client!(aws_sdk_secretsmanager, url),
            dynamodb: client!(aws_sdk_dynamodb, url),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub(crate) struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new("2026-03-01T12:00:00Z".parse().unwrap())))
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }

    pub(crate) async fn endpoint(&self, data_dir: Option<&std::path::Path>) -> Endpoint {
        let clock = self.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Endpoint::start(Arc::new(move || clock.now()), data_dir, listener, None).await.unwrap()
    }
}
