//! Everything that a function works with, built once per process.

use pagerduty::oauth::OAuth;
use pagerduty::rest::Api;
use store::Store;
use teams::auth::{BotAuth, TrustedHosts};
use teams::connector::{Connector, TokenSource};
use wire::Wire;

use crate::aws::AwsClients;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::http::{HttpClientError, http_client};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::random::Random;
use crate::secrets::Secrets;

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The environment is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Http(#[from] HttpClientError),
    /// `TEAMS_SERVICE_URL_HOSTS` has an entry that is no host.
    #[error("TEAMS_SERVICE_URL_HOSTS is not a list of exact hosts")]
    Hosts(#[source] teams::auth::BadHost),
    /// `PAGERBRIDGE_PUBLIC_URL` gives no usable callback address.
    #[error("PAGERBRIDGE_PUBLIC_URL gives no usable address for /oauth/callback")]
    PublicUrl(#[source] url::ParseError),
}

/// The configuration and a client for each border. Cloning is cheap; all clones share connections and caches.
#[derive(Debug, Clone)]
pub struct App {
    pub config: std::sync::Arc<Config>,
    pub clock: Clock,
    pub random: Random,
    pub store: Store,
    pub secrets: Secrets,
    pub queue: Queue,
    pub pagerduty: Api,
    pub oauth: OAuth,
    /// Teams' connector.
    pub connector: Connector,
    /// The check of what comes from Teams.
    pub bot_auth: std::sync::Arc<BotAuth>,
    pub metrics: Metrics,
    /// What PagerDuty may still be asked besides.
    pub reads: crate::reads::Reads,
    pub(crate) app_token: crate::as_app::CachedAppToken,
    pub(crate) unfinished: crate::finish::Unfinished,
}

impl App {
    /// Builds everything from the process's environment, with the system's clock.
    pub fn from_env() -> Result<Self, StartError> {
        Self::new(Config::from_process()?, Clock::System)
    }

    /// When something that is kept for the retention time and was written now may be forgotten.
    #[must_use]
    pub fn kept_until(&self) -> jiff::Timestamp {
        self.clock.now().checked_add(self.config.retention).unwrap_or(jiff::Timestamp::MAX)
    }

    /// Builds everything from a configuration. No connection is opened yet.
    pub fn new(config: Config, clock: Clock) -> Result<Self, StartError> {
        let aws = AwsClients::new(&config.aws);
        Self::inside(config, clock, http_client()?.into(), aws)
    }

    /// Builds everything from a configuration, on other ways out than the network.
    pub fn inside(config: Config, clock: Clock, http: Wire, aws: AwsClients) -> Result<Self, StartError> {
        let hosts = TrustedHosts::new(config.service_url_hosts.iter().cloned()).map_err(StartError::Hosts)?;
        let callback = url::Url::parse(&config.public("/oauth/callback")).map_err(StartError::PublicUrl)?;
        let tokens = TokenSource::new(
            http.clone(),
            config.teams_token_url.clone(),
            config.teams_app_id.clone(),
            config.teams_token_scope.clone(),
        );
        Ok(Self {
            store: Store::new(aws.dynamodb, config.table.clone()),
            secrets: Secrets::new(aws.secrets_manager, config.secret_id.clone()),
            queue: Queue::new(aws.sqs, config.queue_url.clone()),
            pagerduty: Api::new(http.clone(), config.pagerduty_api_url.clone()),
            oauth: OAuth::new(
                http.clone(),
                config.pagerduty_identity_url.clone(),
                config.pagerduty_client_id.clone(),
                callback,
            ),
            connector: Connector::new(http.clone(), tokens, hosts.clone(), config.teams_app_id.clone()),
            bot_auth: std::sync::Arc::new(BotAuth::new(
                http,
                config.openid_metadata_url.clone(),
                config.teams_app_id.clone(),
                config.allowed_tenants.clone(),
                hosts,
            )),
            metrics: Metrics::new(config.function_name.clone()),
            reads: crate::reads::Reads::default(),
            app_token: crate::as_app::CachedAppToken::default(),
            unfinished: crate::finish::Unfinished::default(),
            config: std::sync::Arc::new(config),
            clock,
            random: Random,
        })
    }
}
