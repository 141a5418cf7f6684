//! Messages that are about no incident: the greeting of a channel, and test notifications.

use domain::behind::{Behind, Subject};
use domain::channel::{Facts, Hold, pause};
use domain::connection::DeliveryOutcome;
use domain::failure::Class;
use runtime::App;

use crate::ended::{Ended, Trouble};
use crate::note::Told;

/// Posts a message. A test that may have been posted although Teams did not answer is posted again: it is only a test.
pub(crate) async fn say(app: &App, item: &Behind, facts: &Facts, before: Option<&Hold>) -> (Ended, Told) {
    let mut told = Told::default();
    let (Some(connection), Some(home)) = (&facts.connection, &facts.home) else { return (Ended::Done, told) };
    if !home.belongs_to(&item.account) {
        tracing::info!(channel.id = %item.channel, "message for a team that has left the account");
        return (Ended::Done, told);
    }
    let (card, outcome) = match &item.subject {
        Subject::Incident(_) => return (Ended::Done, told),
        Subject::Greeting(_) => (cards::service_connected(&connection.service_name), DeliveryOutcome::Posted),
        Subject::Test(..) => {
            let by = item.marked.by.as_deref().unwrap_or_default();
            let card = cards::setup::test_notification(&connection.service_name, by, item.marked.at);
            (card, DeliveryOutcome::Tested)
        }
    };
    let Err(error) = app.bot().post(home, &item.channel, &card).await else {
        told.delivered = Some(outcome);
        return (Ended::Done, told);
    };
    tracing::warn!(channel.id = %item.channel, error = runtime::chain(&error), "message not posted");
    told.failed(&error);
    if let Some(trouble) = Trouble::of(&error, before) {
        return (Ended::Channel(trouble), told);
    }
    let is_greeting = matches!(item.subject, Subject::Greeting(_));
    // The page shows why; a channel that is greeted twice only wonders.
    if error.is_for_good() || (is_greeting && error.class() == Class::Unclear) {
        return (Ended::Done, told);
    }
    (Ended::Later(app.clock.now() + pause(item.attempts + 1)), told)
}
