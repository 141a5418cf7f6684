//! A test notification: posted like an incident, but about none.

use domain::connection::{ConnectionKey, DeliveryOutcome};
use domain::job::TestJob;
use incidents::place;
use runtime::App;

use crate::channel_gone;
use crate::last_delivery;
use crate::outcome::Outcome;

/// Posts the test card. One that may have been posted although Teams did not answer is posted again: it is only a test.
pub(crate) async fn deliver(app: &App, job: &TestJob, attempts: u32) -> Outcome {
    let TestJob { account, service, channel, .. } = job.clone();
    let key = ConnectionKey { account, service, channel };
    let channel = &key.channel;
    let (connection, team) = match place::connection(app, &key).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            tracing::info!(channel.id = %channel, "test notification for a connection that is gone");
            return Outcome::Done;
        }
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "test notification not delivered");
            return Outcome::of_failure(error.class(), attempts);
        }
    };
    let card = cards::setup::test_notification(&connection.service_name, &job.by, job.received_at);
    let Err(error) = app.bot().post(&team, channel, &card).await else {
        channel_gone::is_back(app, &connection).await;
        last_delivery::note(app, &connection, DeliveryOutcome::Tested, None).await;
        return Outcome::Done;
    };
    tracing::warn!(channel.id = %channel, error = runtime::chain(&error), "test notification not posted");
    let outcome = channel_gone::not_taken(app, Some(&connection), &error, attempts).await;
    // The page shows why; trying the same card again would only delay the channel's incidents.
    if error.is_for_good() { Outcome::Done } else { outcome }
}
