//! The one HTTP client for PagerDuty and Teams.

use std::sync::Arc;
use std::time::Duration;

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP library refused the options.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Builds the client: compiled-in Mozilla roots (reading the system's store is most of a cold start), no redirects (a
/// redirect would carry a bearer token to a host that nobody checked), no proxies.
pub fn http_client() -> Result<reqwest::Client, HttpClientError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(HttpClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("PagerBridge/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(50))
        .build()
        .map_err(HttpClientError::Client)
}
