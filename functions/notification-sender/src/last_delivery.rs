//! What became of a connection's newest message, for the configuration page. Not worth a failure of its own.

use domain::connection::{Connection, DeliveryOutcome, LastDelivery};
use runtime::App;
use teams::connector::ConnectorError;

/// Teams did not take it.
pub(crate) async fn refused(app: &App, connection: &Connection, error: &ConnectorError) {
    note(app, connection, DeliveryOutcome::Refused, Some(error.reason().to_owned())).await;
}

pub(crate) async fn note(app: &App, connection: &Connection, outcome: DeliveryOutcome, reason: Option<String>) {
    let delivery = LastDelivery { at: app.clock.now(), outcome, reason };
    let key = (&connection.account, &connection.service, &connection.channel);
    if let Err(error) = app.store.put_last_delivery(key, &delivery).await {
        tracing::warn!(error = runtime::chain(&error), "last delivery not noted");
    }
}
