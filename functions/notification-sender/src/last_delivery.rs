//! What became of a connection's newest message, for the configuration page. Not worth a failure of its own.

use domain::connection::{Connection, DeliveryOutcome, LastDelivery};
use runtime::{App, BotError};

/// Teams did not take it.
pub(crate) async fn refused(app: &App, connection: &Connection, error: &BotError) {
    note(app, connection, DeliveryOutcome::Refused, Some(error.reason().to_owned())).await;
}

/// Whether Teams has said the same of the connection's last message, a moment ago or earlier.
pub(crate) async fn confirms(app: &App, connection: &Connection, error: &BotError) -> bool {
    match app.store.last_delivery(&connection.key()).await {
        Ok(last) => last.is_some_and(|last| last.confirms(error.reason(), app.clock.now())),
        Err(error) => {
            tracing::warn!(error = runtime::chain(&error), "last delivery not read");
            false
        }
    }
}

pub(crate) async fn note(app: &App, connection: &Connection, outcome: DeliveryOutcome, reason: Option<String>) {
    let delivery = LastDelivery { at: app.clock.now(), outcome, reason };
    if let Err(error) = app.store.put_last_delivery(&connection.key(), &delivery).await {
        tracing::warn!(error = runtime::chain(&error), "last delivery not noted");
    }
}
