//! `DynamoDB`: the `dynoxide` emulator in this process, in memory or on a file.
//!
//! Its HTTP surface is private but for "serve on a listener", so it listens on a loopback port of its own and we pass
//! requests on. TTL deletes nothing there, which is what expiry checks on read have to cope with anyway.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Uri;
use axum::response::Response;
use dynoxide::Database;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answer;

/// A way to the emulator.
pub(super) struct DynamoDb {
    emulator: Uri,
    client: Client<HttpConnector, Body>,
}

impl DynamoDb {
    /// Starts the emulator as one of `tasks`.
    ///
    /// # Errors
    /// The file in `folder` cannot be opened, or no loopback port is free.
    pub(super) async fn start(folder: Option<&Path>, tasks: &mut JoinSet<()>) -> anyhow::Result<Self> {
        let database = match folder {
            None => Database::memory()?,
            Some(folder) => {
                let file = folder.join("dynamodb.sqlite");
                let path = file.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
                Database::new(path).with_context(|| format!("{path} cannot be opened"))?
            }
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port for DynamoDB")?;
        let emulator = Uri::try_from(format!("http://{}/", listener.local_addr()?))?;
        tasks.spawn(async move {
            if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await
            {
                tracing::error!(error, "DynamoDB emulator ended");
            }
        });
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self { emulator, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Passes a request on, whatever path it came by.
    pub(super) async fn answer(&self, mut request: Request) -> Response {
        *request.uri_mut() = self.emulator.clone();
        match self.client.request(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::error!(error = runtime::chain(&error), "DynamoDB emulator does not answer");
                answer::error(
                    answer::JSON_1_0,
                    500,
                    "com.amazonaws.dynamodb.v20120810#InternalServerError",
                    "no answer",
                )
            }
        }
    }
}
