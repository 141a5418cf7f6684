//! AWS clients without credential-chain probing: Lambda gives region and credentials in the environment.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::mistake::Mistake;

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
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);

macro_rules! client {
    ($sdk:ident, $settings:expr, $endpoint:expr, $http:expr, $attempt:expr, $operation:expr) => {{
        let timeouts = $sdk::config::timeout::TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout($attempt)
            .operation_timeout($operation)
            .build();
        let mut config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new($settings.region.clone()))
            .credentials_provider(credentials($settings))
            .http_client($http)
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .retry_config($sdk::config::retry::RetryConfig::standard())
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

impl AwsClients {
    /// Builds the clients with one shared HTTP client.
    #[must_use]
    pub fn new(settings: &AwsSettings) -> Self {
        let http =
            Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(amazon_roots()).build_https();
        Self::over(settings, http)
    }

    /// Builds the clients with this HTTP client.
    #[must_use]
    pub fn over(settings: &AwsSettings, http: SharedHttpClient) -> Self {
        Self {
            dynamodb: client!(
                aws_sdk_dynamodb,
                settings,
                settings.dynamodb_url.as_ref(),
                http.clone(),
                ATTEMPT_TIMEOUT,
                OPERATION_TIMEOUT
            ),
            sqs: client!(
                aws_sdk_sqs,
                settings,
                settings.sqs_url.as_ref(),
                http.clone(),
                ATTEMPT_TIMEOUT,
                OPERATION_TIMEOUT
            ),
            secrets_manager: client!(
                aws_sdk_secretsmanager,
                settings,
                settings.secrets_manager_url.as_ref(),
                http,
                ATTEMPT_TIMEOUT,
                OPERATION_TIMEOUT
            ),
        }
    }
}

/// Only the roots that AWS endpoints are signed by: parsing all 140 costs more than the rest of a cold start.
fn amazon_roots() -> TlsContext {
    let mut store = TrustStore::empty();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter(|der| is_amazon(der)) {
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            wrap(&BASE64_STANDARD.encode(certificate))
        );
        store = store.with_pem_certificate(pem);
    }
    TlsContext::builder().with_trust_store(store).build().unwrap_or_default()
}

/// Amazon Trust Services' own roots, and the Starfield root that cross-signs them.
fn is_amazon(der: &[u8]) -> bool {
    [b"Amazon Root CA".as_slice(), b"Starfield Services Root".as_slice()]
        .iter()
        .any(|name| der.windows(name.len()).any(|window| window == *name))
}

fn wrap(base64: &str) -> String {
    base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_five_roots_of_amazon() {
        let count = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter(|der| is_amazon(der)).count();
        assert_eq!(count, 5, "Amazon Root CA 1-4 and Starfield Services Root G2");
    }

    #[test]
    fn builds_clients_from_them() {
        let settings = AwsSettings::from_env(&|name| Some(name.to_owned())).unwrap();
        let clients = AwsClients::new(&settings);
        assert_eq!(clients.sqs.config().region().map(ToString::to_string), Some("AWS_REGION".to_owned()));
    }
}
