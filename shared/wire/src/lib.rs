//! The one way out to PagerDuty and Teams: over the network, or to routers in this process.
//!
//! The code that calls is the same in both cases: it builds requests with [`reqwest`] and reads [`reqwest::Response`]s. In process
//! there is no socket, so a test in tokio's paused time runs hours of it in seconds.

mod inside;
mod json;

use reqwest::{Client, Request, RequestBuilder, Response};

pub use crate::inside::Inside;
pub use crate::json::{NotJson, Unreadable, read, read_bearable};

/// A way out. Cloning is cheap; all clones share connections.
#[derive(Debug, Clone)]
pub enum Wire {
    Net(Client),
    Inside(Inside),
}

/// A call that broke off. No variant carries an address: some have a secret in them.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The network, or a request that cannot be built.
    #[error(transparent)]
    Net(reqwest::Error),
    /// In process: nobody is at that host. Nothing was sent.
    #[error("nobody is at {0}")]
    Nobody(String),
    /// In process: no whole answer within the request's time.
    #[error("the answer took too long")]
    Slow,
    /// In process: the answer's body broke off.
    #[error("the answer broke off")]
    BrokenOff(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl WireError {
    /// Whether there was no connection, so that nothing was sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        match self {
            Self::Net(error) => error.is_connect(),
            Self::Nobody(_) => true,
            Self::Slow | Self::BrokenOff(_) => false,
        }
    }

    /// Whether the time was up. While connecting it may be up as well.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Net(error) => error.is_timeout(),
            Self::Slow => true,
            Self::Nobody(_) | Self::BrokenOff(_) => false,
        }
    }
}

impl From<reqwest::Error> for WireError {
    fn from(error: reqwest::Error) -> Self {
        Self::Net(error.without_url())
    }
}

impl From<Client> for Wire {
    fn from(client: Client) -> Self {
        Self::Net(client)
    }
}

impl From<Inside> for Wire {
    fn from(inside: Inside) -> Self {
        Self::Inside(inside)
    }
}

impl Wire {
    /// What requests are built with. Only [`Wire::send`] and [`Wire::execute`] send them.
    #[must_use]
    pub fn client(&self) -> &Client {
        match self {
            Self::Net(client) => client,
            Self::Inside(inside) => inside.client(),
        }
    }

    /// Sends a request that was built with [`Wire::client`].
    ///
    /// # Errors
    /// [`WireError`]; what may have been carried out all the same unless [`WireError::is_connect`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, WireError> {
        self.execute(request.build()?).await
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As [`Wire::send`].
    pub async fn execute(&self, request: Request) -> Result<Response, WireError> {
        match self {
            Self::Net(client) => Ok(client.execute(request).await?),
            // A router's future is large, and in production there is none.
            Self::Inside(inside) => Box::pin(inside.execute(request)).await,
        }
    }
}
