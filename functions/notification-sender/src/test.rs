//! A test notification: posted like an incident, but about none.

use domain::connection::DeliveryOutcome;
use domain::job::TestJob;
use runtime::App;
use teams::connector::ConnectorAuth;

use crate::channel_gone;
use crate::last_delivery;
use crate::outcome::{Outcome, Scope, backoff};

/// Posts the test card. One that may have been posted although Teams did not answer is posted again: it is only a test.
pub(crate) async fn deliver(app: &App, job: &TestJob, attempts: u32) -> Outcome {
    let TestJob { account, service, channel, .. } = job;
    let found = async {
        let Some(connection) = app.store.connection(account, service, channel).await? else { return Ok(None) };
        let installation = app.store.team_of_account(account, &connection.team).await?;
        Ok::<_, store::Error>(installation.map(|installation| (connection, installation)))
    };
    let (connection, installation) = match found.await {
        Ok(Some(found)) => found,
        Ok(None) => {
            tracing::info!(channel.id = %channel, "test notification for a connection that is gone");
            return Outcome::Done;
        }
        Err(error) => return failed(&error, Outcome::of_failure(error.class(), attempts)),
    };
    let now = app.clock.now();
    let values = match app.secrets.values(now).await {
        Ok(values) => values,
        Err(error) => return failed(&error, Outcome::later(Scope::Channel, backoff(attempts))),
    };
    let auth = ConnectorAuth { secret: &values.teams_client_secret, now };
    let card = cards::setup::test_notification(&connection.service_name, &job.by, job.received_at);
    let posted =
        app.connector.post_to_channel(&auth, &installation.service_url, channel, &installation.tenant, &card).await;
    let Err(error) = posted else {
        channel_gone::is_back(app, &connection).await;
        last_delivery::note(app, &connection, DeliveryOutcome::Tested, None).await;
        return Outcome::Done;
    };
    tracing::warn!(channel.id = %channel, error = runtime::chain(&error), "test notification not posted");
    last_delivery::refused(app, &connection, &error).await;
    if let Some(outcome) = Outcome::of_error(&error, attempts) {
        return outcome;
    }
    channel_gone::note(app, &connection, &error).await;
    Outcome::Done
}

fn failed(error: &(dyn std::error::Error + 'static), then: Outcome) -> Outcome {
    tracing::error!(error = runtime::chain(error), "test notification not delivered");
    then
}
