//! What became of a connection's newest message, for the configuration page. Not worth a failure of its own.

use domain::connection::{Connection, DeliveryOutcome, LastDelivery};
use runtime::{App, BotError};

/// Teams did not take it.
pub(crate) async fn refused(app: &App, connection: &Connection, error: &BotError) {
    note(app, connection, DeliveryOutcome::Refused, Some(error.reason().to_owned())).await;
}

pub(crate) async fn note(app: &App, connection: &Connection, outcome: DeliveryOutcome, reason: Option<String>) {
    let delivery = LastDelivery { at: app.clock.now(), outcome, reason };
    if let Err(error) = app.store.put_last_delivery(&connection.key(), &delivery).await {
        tracing::warn!(error = runtime::chain(&error), "last delivery not noted");
    }
}
