//! AWS clients without credential-chain probing: Lambda gives region and credentials in the environment.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_async::time::TimeSource;
use secrecy::{ExposeSecret, SecretString};
use wire::Wire;

use crate::clock::Clock;
use crate::http::{HttpClientError, aws_client};
use crate::mistake::Mistake;
use crate::random::Random;

/// Where AWS is and who we are there.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// `AWS_REGION`, or else `AWS_DEFAULT_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretString,
    /// `AWS_SESSION_TOKEN`; Lambda always sets it.
    pub session_token: Option<SecretString>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`, or else `AWS_ENDPOINT_URL`.
    pub dynamodb_url: Option<String>,
    /// `AWS_ENDPOINT_URL_SQS`, or else `AWS_ENDPOINT_URL`.
    pub sqs_url: Option<String>,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`, or else `AWS_ENDPOINT_URL`.
    pub secrets_manager_url: Option<String>,
}

impl AwsSettings {
    pub(crate) fn from_env(read: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Mistake>> {
        let given = |name: &str| read(name).filter(|value| !value.is_empty());
        let endpoint = |name: &str| given(name).or_else(|| given("AWS_ENDPOINT_URL"));
        let region = given("AWS_REGION").or_else(|| given("AWS_DEFAULT_REGION"));
        let id = given("AWS_ACCESS_KEY_ID");
        let key = given("AWS_SECRET_ACCESS_KEY");
        let missing: Vec<Mistake> = [
            (region.is_none(), "AWS_REGION"),
            (id.is_none(), "AWS_ACCESS_KEY_ID"),
            (key.is_none(), "AWS_SECRET_ACCESS_KEY"),
        ]
        .into_iter()
        .filter(|(is_missing, _)| *is_missing)
        .map(|(_, name)| Mistake::Missing(name))
        .collect();
        let (Some(region), Some(access_key_id), Some(key)) = (region, id, key) else { return Err(missing) };
        Ok(Self {
            region,
            access_key_id,
            secret_access_key: key.into(),
            session_token: given("AWS_SESSION_TOKEN").map(Into::into),
            dynamodb_url: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
            sqs_url: endpoint("AWS_ENDPOINT_URL_SQS"),
            secrets_manager_url: endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        })
    }
}

/// The three clients; building them opens no connection.
#[derive(Debug, Clone)]
pub struct AwsClients {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub secrets_manager: aws_sdk_secretsmanager::Client,
}

/// Below PagerDuty's and Teams' 5 s, so that we still can answer when AWS does not.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(3500);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);

macro_rules! client {
    ($sdk:ident, $settings:expr, $endpoint:expr, $wire:expr, $clock:expr) => {{
        let timeouts = $sdk::config::timeout::TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        // The wire cannot give a connection up: one that did not bring a whole answer in time is closed in any case.
        let retries = $sdk::config::retry::RetryConfig::standard()
            .with_reconnect_mode($sdk::config::retry::ReconnectMode::ReuseAllConnections);
        let mut config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new($settings.region.clone()))
            .credentials_provider(credentials($settings))
            .http_client($wire.for_aws())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .time_source($clock.clone())
            .retry_config(retries)
            // Its own, as in a process that has one client: the SDK's would be shared by whatever else runs in this one.
            .retry_partition($sdk::config::retry::RetryPartition::custom(stringify!($sdk)).build())
            .timeout_config(timeouts);
        if let Some(url) = $endpoint {
            config = config.endpoint_url(url);
        }
        $sdk::Client::from_conf(config.build())
    }};
}

fn credentials(settings: &AwsSettings) -> Credentials {
    Credentials::new(
        &settings.access_key_id,
        settings.secret_access_key.expose_secret(),
        settings.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
        None,
        "environment",
    )
}

/// When requests are signed. There is a system time for every timestamp where this runs.
impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Self::now(self).try_into().unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl AwsClients {
    /// Builds the clients with one shared HTTP client for the network.
    pub fn new(settings: &AwsSettings, clock: &Clock) -> Result<Self, HttpClientError> {
        Ok(Self::over(settings, &aws_client()?.into(), clock, &Random::Os))
    }

    /// Builds the clients on this wire. What the SDK draws by lot (its own tokens, ids of calls, pauses before it asks again) repeats
    /// itself from the seed of `random`, if that has one and everything runs on this thread.
    #[must_use]
    pub fn over(settings: &AwsSettings, wire: &Wire, clock: &Clock, random: &Random) -> Self {
        random.seed_thread();
        Self {
            dynamodb: client!(aws_sdk_dynamodb, settings, settings.dynamodb_url.as_ref(), wire, clock),
            sqs: client!(aws_sdk_sqs, settings, settings.sqs_url.as_ref(), wire, clock),
            secrets_manager: client!(
                aws_sdk_secretsmanager,
                settings,
                settings.secrets_manager_url.as_ref(),
                wire,
                clock
            ),
        }
    }
}

#[cfg(test)]
mod tests;
