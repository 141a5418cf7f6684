//! A client secret that was replaced is used at once: whoever refuses the known one gets the one of now.
//!
//! Secrets are cached for minutes, and one that was revoked in the meantime would be refused for as long.

use crate::{App, AppTokenError, BotError, SecretError, SecretValues};

/// An error of somebody to whom a client secret was shown.
pub trait RefusesSecret {
    /// Whether the client secret is what they do not accept. Nothing was done then, so the same may be asked again.
    fn refuses_secret(&self) -> bool;
}

impl RefusesSecret for AppTokenError {
    fn refuses_secret(&self) -> bool {
        matches!(self, Self::OAuth(error) if error.refuses_client())
    }
}

impl RefusesSecret for BotError {
    fn refuses_secret(&self) -> bool {
        matches!(self, Self::Teams(error) if error.refuses_client())
    }
}

impl App {
    /// Asks somebody to whom a client secret is shown; once more with a newer one if they refuse it and there is one. (A closure
    /// that is cloned instead of called twice: see [`crate::AsApp::call`].)
    pub async fn with_secret<T, E: RefusesSecret + From<SecretError>>(
        &self,
        ask: impl AsyncFnOnce(&SecretValues) -> Result<T, E> + Clone,
    ) -> Result<T, E> {
        let values = self.secrets.values(self.clock.now()).await?;
        let refused = match ask.clone()(&values).await {
            Err(error) if error.refuses_secret() => error,
            answer => return answer,
        };
        let Some(newer) = self.secrets.newer_than(&values, self.clock.now()).await else { return Err(refused) };
        tracing::info!("a client secret was refused, and read again");
        ask(&newer).await
    }
}
