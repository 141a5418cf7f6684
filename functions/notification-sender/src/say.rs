//! Messages that are about no incident: the greeting of a channel, test notifications, and words to a team as a whole.

use domain::behind::{Behind, Subject};
use domain::channel::{Facts, Hold, claim_of};
use domain::connection::{DeliveryOutcome, Installation};
use domain::failure::Class;
use runtime::App;

use crate::ended::{Ended, Trouble};
use crate::note::Told;
use crate::sending::Sending;

/// Posts a message. A test that may have been posted although Teams did not answer is posted again: it is only a test.
pub(crate) async fn say(
    app: &App,
    sending: &mut Sending,
    item: &Behind,
    facts: &Facts,
    before: Option<&Hold>,
) -> (Ended, Told) {
    let mut told = Told::default();
    let Some(home) = &facts.home else { return (Ended::Done, told) };
    let belongs = home.belongs_to(&item.account);
    let Some(card) = words(item, facts, home).filter(|_| belongs != (item.subject == Subject::TeamDisconnected)) else {
        tracing::info!(channel.id = %item.channel, "nobody is to hear of it any more");
        return (Ended::Done, told);
    };
    if !sending.may(claim_of(item), app.clock.now()) {
        return (Ended::Untouched, told);
    }
    let is_test = matches!(item.subject, Subject::Test(..));
    let posted = sending.call(app, |bot| bot.post(home, &item.channel, &card)).await;
    let Err(error) = posted else {
        told.delivered = Some(if is_test { DeliveryOutcome::Tested } else { DeliveryOutcome::Posted });
        return (Ended::Done, told);
    };
    tracing::warn!(channel.id = %item.channel, error = runtime::chain(&error), "message not posted");
    told.failed(&error);
    if let Some(trouble) = Trouble::of(&error, before) {
        return (Ended::Channel(trouble), told);
    }
    // The page shows why; a channel that is told twice only wonders.
    if error.is_for_good() || (!is_test && error.class() == Class::Unclear) {
        return (Ended::Done, told);
    }
    (Ended::Later(item.next_try(app.clock.now())), told)
}

fn words(item: &Behind, facts: &Facts, home: &Installation) -> Option<cards::Card> {
    let by = item.marked.by.as_deref().unwrap_or_default();
    let connected = facts.connection.as_ref().map(|connection| connection.service_name.as_str());
    let service = item.marked.service.as_ref().map(|service| service.name.as_str());
    match &item.subject {
        Subject::Incident(_) => None,
        Subject::Greeting(_) => connected.map(cards::service_connected),
        Subject::Test(..) => connected.map(|service| cards::setup::test_notification(service, by, item.marked.at)),
        Subject::ChannelLost(..) => service.map(cards::channel_gone),
        Subject::TeamConnected => Some(cards::team_connected(home.shown_name())),
        Subject::TeamDisconnected => Some(cards::setup::team_disconnected(home.shown_name(), by)),
    }
}
