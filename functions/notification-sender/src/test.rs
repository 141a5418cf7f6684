//! A test notification: posted like an incident, but about none.

use domain::connection::{DeliveryOutcome, LastDelivery};
use domain::job::TestJob;
use runtime::App;
use teams::connector::ConnectorAuth;

use crate::channel_gone;
use crate::outcome::{Outcome, Scope, backoff};

/// Posts the test card. One that may have been posted although Teams did not answer is posted again: it is only a test.
pub(crate) async fn deliver(app: &App, job: &TestJob, attempts: u32) -> Outcome {
    let TestJob { account, service, channel, .. } = job;
    let found = async {
        let Some(connection) = app.store.connection(account, service, channel).await? else { return Ok(None) };
        Ok::<_, store::Error>(app.store.installation(&connection.team).await?.map(|team| (connection, team)))
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
    let (outcome, reason, then) = match &posted {
        Ok(_) => {
            channel_gone::is_back(app, &connection).await;
            (DeliveryOutcome::Tested, None, Outcome::Done)
        }
        Err(error) => {
            tracing::warn!(channel.id = %channel, error = runtime::chain(error), "test notification not posted");
            let then = match Outcome::of_refusal(error.class(), attempts) {
                Some(then) => then,
                None => {
                    channel_gone::note(app, &connection, error).await;
                    Outcome::Done
                }
            };
            (DeliveryOutcome::Refused, Some(error.reason().to_owned()), then)
        }
    };
    let delivery = LastDelivery { at: app.clock.now(), outcome, reason };
    if let Err(error) = app.store.put_last_delivery((account, service, channel), &delivery).await {
        tracing::warn!(error = runtime::chain(&error), "outcome of a test not noted");
    }
    then
}

fn failed(error: &(dyn std::error::Error + 'static), then: Outcome) -> Outcome {
    tracing::error!(error = runtime::chain(error), "test notification not delivered");
    then
}
