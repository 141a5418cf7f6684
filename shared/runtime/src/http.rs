//! The HTTP clients: one for PagerDuty and Teams, one for AWS.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::TrustAnchor;

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

/// Builds the client for PagerDuty and Teams: compiled-in Mozilla roots, since reading the system's store is most of a cold start.
pub fn http_client() -> Result<reqwest::Client, HttpClientError> {
    client(webpki_roots::TLS_SERVER_ROOTS.to_vec(), Duration::from_secs(2))
}

/// Builds the client for AWS: it believes Amazon alone, and leaves time for a second attempt to connect.
pub(crate) fn aws_client() -> Result<reqwest::Client, HttpClientError> {
    client(amazon_roots(), Duration::from_secs(1))
}

/// No redirects (a redirect would carry a bearer token to a host that nobody checked), no proxies. Connections that nobody has used
/// for 50 s are not used again: the other side may have closed them while Lambda kept the process frozen.
fn client(roots: Vec<TrustAnchor<'static>>, connect: Duration) -> Result<reqwest::Client, HttpClientError> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(HttpClientError::Tls)?
        .with_root_certificates(rustls::RootCertStore { roots })
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("PagerBridge/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        .timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(50))
        .build()
        .map_err(HttpClientError::Client)
}

/// Amazon Trust Services' own roots, and the Starfield root that cross-signs them.
fn amazon_roots() -> Vec<TrustAnchor<'static>> {
    let is_amazons = |root: &&TrustAnchor<'_>| {
        [b"Amazon Root CA".as_slice(), b"Starfield Services Root".as_slice()]
            .iter()
            .any(|name| root.subject.windows(name.len()).any(|window| window == *name))
    };
    webpki_roots::TLS_SERVER_ROOTS.iter().filter(is_amazons).cloned().collect()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    #[test]
    fn finds_the_five_roots_of_amazon() {
        assert_eq!(amazon_roots().len(), 5, "Amazon Root CA 1-4 and Starfield Services Root G2");
    }

    /// Serves until it is dropped.
    async fn server(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> (String, JoinSet<()>) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, mut serving) = (format!("https://{}", listener.local_addr().unwrap()), JoinSet::new());
        serving.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                if stream.read_u8().await.is_ok() {
                    stream.write_all(b"HTTP/1.1 204 None\r\nconnection: close\r\n\r\n").await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        });
        (url, serving)
    }

    #[tokio::test]
    async fn believes_nobody_but_its_roots() {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let certificate = made.cert.der().clone();
        let mut known = rustls::RootCertStore::empty();
        known.add(certificate.clone()).unwrap();
        let (url, _serving) = server(certificate, key).await;
        let knows = client(known.roots, Duration::from_secs(2)).unwrap();
        assert_eq!(knows.get(&url).send().await.unwrap().status(), 204);
        for strange in [aws_client().unwrap(), http_client().unwrap()] {
            let error = strange.get(&url).send().await.unwrap_err();
            assert!(error.is_connect() && format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
        }
    }
}
