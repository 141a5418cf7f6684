//! Buttons that belong to a person and not to an incident: linking, asking for a key, doing what one wanted to do.

use cards::data::{ButtonData, TeamData, Verb, WantedData};
use domain::action::Action;
use domain::ids::ConversationId;
use domain::linking::Wanted;
use runtime::App;
use serde_json::Value;
use teams::activity::{Activity, Click, ConversationKind};
use teams::reply;
use tokio::time::Instant;

use crate::click::{self, failed};
use crate::once::{self, Turn};
use crate::place::Place;
use crate::private;

/// Sends the person a personal link.
pub(crate) async fn link_accounts(app: &App, activity: &Activity) -> Value {
    let place = Place::of(activity);
    let account = place.account(app).await.ok().flatten();
    link_answer(private::send_link(app, &place, account, None).await)
}

/// Somebody who is no admin wants a key that they can pass on to one.
pub(crate) async fn not_admin(app: &App, activity: &Activity, click: &Click) -> Value {
    let work = async { Ok(key(app, activity, click).await) };
    Box::pin(once_for(app, activity, work)).await
}

async fn key(app: &App, activity: &Activity, click: &Click) -> Value {
    let Ok(data) = serde_json::from_value::<TeamData>(click.action.clone()) else {
        return reply::error("BadRequest", cards::text::unknown_button());
    };
    let place = Place::of(activity);
    let sent = async {
        let known = app.store.installation(&data.team).await?;
        // Whoever did not add the bot to the team has no business with its key.
        let waiting = known.filter(|team| {
            team.tenant == place.tenant
                && team.waits_for_authorization()
                && team.installer.is_some()
                && team.installer == place.user
        });
        let Some(installation) = waiting else { return Ok(false) };
        let (key, expires) = setup::new_key(app, &installation).await?;
        let card = cards::setup::key_for_admin(installation.shown_name(), &key, expires);
        private::send(app, &place, &card).await?;
        Ok::<_, private::PrivateError>(true)
    };
    match sent.await {
        Ok(true) => reply::message(cards::text::key_sent()),
        Ok(false) => reply::message(cards::text::nothing_to_authorize()),
        Err(error) => failed(&error),
    }
}

/// Does what the person wanted to do before they were linked, as if they did it there and then; once.
pub(crate) async fn resume(app: &App, activity: &Activity, click: &Click, deadline: Instant) -> Value {
    Box::pin(once_for(app, activity, wish(app, activity, click, deadline))).await
}

async fn wish(app: &App, activity: &Activity, click: &Click, deadline: Instant) -> Result<Value, Value> {
    let place = Place::of(activity);
    let (Ok(data), Some(user)) = (serde_json::from_value::<WantedData>(click.action.clone()), &place.user) else {
        return Ok(reply::error("BadRequest", cards::text::unknown_button()));
    };
    let wanted = app.store.wanted(&place.tenant, user, &data.wanted, app.clock.now()).await;
    let Some(wanted) = wanted.map_err(|error| failed(&error))? else {
        return Ok(reply::message(cards::text::wanted_gone()));
    };
    match wanted.what {
        Wanted::Click { account, incident, channel, action } => {
            let (verb, note) = match action {
                Action::Acknowledge => (Verb::Acknowledge, None),
                Action::Resolve => (Verb::Resolve, None),
                Action::AddNote { text } => (Verb::AddNote, Some(text)),
            };
            let Ok(conversation) = ConversationId::new(channel.as_str()) else {
                return Ok(reply::message(cards::text::wanted_gone()));
            };
            let data = ButtonData { note, ..ButtonData::new(account, incident) };
            let mut there = activity.clone();
            there.conversation.id = conversation;
            there.conversation.kind = ConversationKind::Channel;
            let click = Click { card: None, ..click.clone() };
            click::act(app, &there, &click, verb, &data, deadline).await
        }
        Wanted::Command { text, conversation, team } => {
            let there = place.elsewhere(conversation, team);
            match Box::pin(crate::commands::answer(app, &there, &text)).await {
                Ok(()) => Ok(reply::message(cards::text::command_done())),
                Err(error) => Err(failed(&error)),
            }
        }
        Wanted::Trigger => Ok(reply::card(&cards::trigger::trigger_offer().content)),
    }
}

/// What somebody is told who was sent a personal link.
pub(crate) fn link_answer(sent: Result<(), private::PrivateError>) -> Value {
    match sent {
        Ok(()) => reply::message(cards::text::link_sent()),
        Err(error) => {
            tracing::warn!(error = runtime::chain(&error), "private message not sent");
            reply::message(cards::text::link_not_sent())
        }
    }
}

/// Something that Teams may resend but that is to be done once, and whose repetition needs no answer of its own.
async fn once_for(app: &App, activity: &Activity, work: impl Future<Output = Result<Value, Value>>) -> Value {
    let key = once::key_of(activity);
    match once::begin(app, &key).await {
        Ok(Turn::Act) => {}
        Ok(Turn::InProgress | Turn::Done) => return reply::message(cards::text::in_progress()),
        Err(error) => return failed(&error),
    }
    let outcome = work.await;
    once::end(app, &key, outcome).await
}
