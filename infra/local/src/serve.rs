//! Listening, serving, ending.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

/// The tasks of the stack; dropping them ends them.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    tasks: JoinSet<()>,
}

impl Servers {
    pub(crate) fn serve(&mut self, listener: TcpListener, router: Router) {
        self.run(async move {
            let router = router.into_make_service_with_connect_info::<SocketAddr>();
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(error = runtime::chain(&error), "server ended");
            }
        });
    }

    pub(crate) fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

pub(crate) async fn listen(what: &str, flag: &str, bind: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((bind, port))
        .await
        .with_context(|| format!("port {port} for {what} cannot be used; choose another with {flag}"))
}

pub(crate) fn url_of(listener: &TcpListener) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("http://{}/", listener.local_addr()?))?)
}
