//! Calls to routers in this process: no socket, no thread, no time but tokio's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use reqwest::{Client, Request, Response, Url};
use tower_service::Service as _;

use crate::WireError;

/// As long as the network's client waits for an answer to a request that does not say otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Above every answer of a simulator.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Routers by `host:port`. Cloning is cheap; all clones share the routers.
#[derive(Clone)]
pub struct Inside {
    client: Client,
    routers: Arc<BTreeMap<String, Router>>,
    elsewhere: Option<Router>,
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").field("hosts", &self.routers.keys()).finish_non_exhaustive()
    }
}

impl Inside {
    /// `client` builds requests and never sends one.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, routers: Arc::default(), elsewhere: None }
    }

    /// The same with somebody at the host and port of `base`.
    #[must_use]
    pub fn with(self, base: &Url, router: Router) -> Self {
        let mut routers = self.routers.as_ref().clone();
        routers.insert(place(base), router);
        Self { routers: Arc::new(routers), ..self }
    }

    /// The same with somebody at every other place: for a test that wants to know who was called. Requests have their whole address.
    #[must_use]
    pub fn elsewhere(self, router: Router) -> Self {
        Self { elsewhere: Some(router), ..self }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The answer comes whole, so that the time limit covers its body as it does on the network.
    pub(crate) async fn execute(&self, request: Request) -> Result<Response, WireError> {
        let place = place(request.url());
        let known = self.routers.get(&place).or(self.elsewhere.as_ref()).cloned();
        let Some(mut router) = known else { return Err(WireError::Nobody(place)) };
        let patience = request.timeout().copied().unwrap_or(DEFAULT_TIMEOUT);
        let request = axum::http::Request::<reqwest::Body>::try_from(request)?.map(Body::new);
        let answer = async {
            let (head, body) = match router.call(request).await {
                Ok(answer) => answer.into_parts(),
                Err(never) => match never {},
            };
            let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| WireError::BrokenOff(Box::new(error)))?;
            Ok(Response::from(axum::http::Response::from_parts(head, body)))
        };
        tokio::time::timeout(patience, answer).await.unwrap_or(Err(WireError::Slow))
    }
}

fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::body::Bytes;
    use axum::http::StatusCode;
    use axum::routing::{any, post};
    use futures_util::stream;
    use tokio::time::Instant;

    use super::*;
    use crate::Wire;

    const BASE: &str = "http://teams.inside";

    fn wire() -> Wire {
        let broken = || stream::once(async { Err::<Bytes, _>(io::Error::other("broken")) });
        let router = Router::new()
            .route("/echo", post(|body: String| async move { (StatusCode::ACCEPTED, body) }))
            .route("/slow", any(|| tokio::time::sleep(Duration::from_secs(20))))
            .route("/broken", any(move || async move { Body::from_stream(broken()) }));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        Inside::new(client).with(&BASE.parse().unwrap(), router).into()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_back() {
        let wire = wire();
        let answer = wire.send(wire.client().post(format!("{BASE}:80/echo?a=b")).body("hello")).await.unwrap();
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.text().await.unwrap(), "hello");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_elsewhere_hears_the_rest() {
        let Wire::Inside(inside) = wire() else { unreachable!("made above") };
        let heard = Router::new().fallback(|request: axum::extract::Request| async move { request.uri().to_string() });
        let wire = Wire::from(inside.elsewhere(heard));
        let answer = wire.send(wire.client().get("https://evil.example.com:8443/a")).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "https://evil.example.com:8443/a");
        let answer = wire.send(wire.client().post(format!("{BASE}/echo")).body("hello")).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_its_own_time_or_ten_seconds() {
        let wire = wire();
        for (own, expected) in [(Some(3), 3), (None, 10)] {
            let began = Instant::now();
            let mut request = wire.client().get(format!("{BASE}/slow"));
            if let Some(own) = own {
                request = request.timeout(Duration::from_secs(own));
            }
            let error = wire.send(request).await.unwrap_err();
            assert!(error.is_timeout() && !error.is_connect());
            assert_eq!(began.elapsed().as_secs(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn says_whether_anything_was_sent() {
        let wire = wire();
        for (address, nothing_sent) in [("http://teams.inside:81/", true), ("http://teams.inside/broken", false)] {
            let error = wire.send(wire.client().get(address)).await.unwrap_err();
            assert_eq!((error.is_connect(), error.is_timeout()), (nothing_sent, false), "{address}");
        }
    }
}
