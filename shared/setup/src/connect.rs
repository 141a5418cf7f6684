//! Connecting a service to a channel: its webhook subscription, the connection, and the greeting in the channel, which is marked as
//! unfinished there like any incident.

use domain::behind::{Mark, Subject};
use domain::connection::{Connection, Filter, Health, Installation, Manner, Mentions};
use domain::failure::Class;
use domain::ids::{ChannelId, TestId};
use domain::incident::ServiceRef;
use domain::zone::Zone;
use incidents::{place, want};
use runtime::{App, BotError, RandomError};
use store::Subscription;

use crate::audit::{Actor, note};
use crate::disconnect::remove_locked;
use crate::error::SetupError;
use crate::lock::{ServiceLock, one_at_a_time};
use crate::subscription::{subscribe, undo};

/// How often a connection looks for its subscription before it gives up.
const ROUNDS: usize = 3;

/// What is to be connected to what.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The team, which belongs to an account.
    pub installation: &'a Installation,
    /// The service; its name is shown.
    pub service: &'a ServiceRef,
    pub channel: &'a ChannelId,
    pub filter: Filter,
    /// In which its cards write times; the person's own, where that is known.
    pub zone: &'a Zone,
    pub mentions: Mentions,
    pub actor: &'a Actor,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connected {
    /// They are connected now.
    Made(Connection),
    /// They were connected before, and nothing was changed.
    Already(Connection),
}

/// Connects, and has the channel greeted. A channel that the bot does not see is not connected; whatever was done before a failure
/// is undone.
///
/// Goes to its end even if the caller stops waiting: half a connection would leave a subscription that nobody knows.
pub async fn connect(app: &App, wish: &Wish<'_>) -> Result<Connected, SetupError> {
    let (worker, installation, service) = (app.clone(), wish.installation.clone(), wish.service.clone());
    let (channel, actor, zone) = (wish.channel.clone(), wish.actor.clone(), wish.zone.clone());
    let (filter, mentions) = (wish.filter, wish.mentions);
    let work = async move {
        let (installation, service, channel) = (&installation, &service, &channel);
        let wish = Wish { installation, service, channel, filter, zone: &zone, mentions, actor: &actor };
        connect_and_greet(&worker, &wish).await
    };
    app.finish(work).await?
}

async fn connect_and_greet(app: &App, wish: &Wish<'_>) -> Result<Connected, SetupError> {
    must_see(app, wish).await?;
    let connected = connect_quietly(app, wish).await?;
    let Connected::Made(connection) = &connected else { return Ok(connected) };
    let greeting = Subject::Greeting(connection.service.clone());
    if let Err(error) = want(app, &[Mark::message(connection, greeting, None, app.clock.now())]).await {
        tracing::warn!(channel.id = %wish.channel, error = runtime::chain(&error), "channel not greeted");
    }
    let text =
        format!("connected the service {} to a channel of {}", wish.service.name, wish.installation.shown_name());
    note(app, &connection.account, wish.actor, text).await;
    Ok(connected)
}

/// Refuses a channel in which the bot is not. What Teams does not say now, the first message finds out.
async fn must_see(app: &App, wish: &Wish<'_>) -> Result<(), SetupError> {
    match app.bot().channels(wish.installation).await {
        Ok(channels) if channels.iter().any(|channel| &channel.id == wish.channel) => Ok(()),
        Ok(_) => Err(SetupError::ChannelUnreachable { code: "NotAMember".to_owned() }),
        Err(error) if is_closed(error.class()) => Err(unreachable(error)),
        Err(error) => {
            tracing::warn!(channel.id = %wish.channel, error = runtime::chain(&error), "channel not checked");
            Ok(())
        }
    }
}

/// Whether Teams will refuse every question about the team, and not only this one for now.
fn is_closed(class: Class) -> bool {
    match class {
        Class::Gone | Class::Forbidden | Class::Invalid => true,
        Class::Retry { .. } | Class::Unclear | Class::Relink | Class::Bug => false,
    }
}

fn unreachable(error: BotError) -> SetupError {
    match error {
        BotError::Teams(error) => SetupError::ChannelUnreachable { code: error.reason().to_owned() },
        other @ (BotError::Secret(_) | BotError::GaveUp) => other.into(),
    }
}

/// Connects without a word in the channel.
pub async fn connect_quietly(app: &App, wish: &Wish<'_>) -> Result<Connected, SetupError> {
    let installation = wish.installation;
    let account = installation.account.as_ref().ok_or(SetupError::NotConnected)?;
    if installation.removed_at.is_some() {
        return Err(SetupError::NotConnected);
    }
    one_at_a_time(app, account, &wish.service.id, async |lock| connect_locked(app, lock, wish).await).await
}

async fn connect_locked(app: &App, lock: &ServiceLock, wish: &Wish<'_>) -> Result<Connected, SetupError> {
    let mut connected = None;
    for _ in 0..ROUNDS {
        // Also for a pair that is connected: connecting again mends a subscription that was deleted or disabled in PagerDuty.
        let made = subscribe(app, lock, None).await?;
        let now_connected = match connected.take() {
            Some(before) => before,
            None => add(app, lock, wish, made).await?,
        };
        // Somebody else whose lock ran out while their process was frozen may have ended the subscription before they could
        // see the connection; see `end_unused`.
        if app.store.subscription_of_service(&lock.account, &lock.service).await?.is_some() {
            return still_authorized(app, lock, wish, now_connected).await;
        }
        connected = Some(now_connected);
    }
    if let Some(Connected::Made(connection)) = connected {
        app.store.remove_connection(&connection.key()).await?;
    }
    Err(SetupError::Busy)
}

/// The team may have been disconnected meanwhile, by somebody who did not see this connection yet.
async fn still_authorized(
    app: &App,
    lock: &ServiceLock,
    wish: &Wish<'_>,
    connected: Connected,
) -> Result<Connected, SetupError> {
    if place::team(app, &lock.account, &wish.installation.team).await?.is_some() {
        return Ok(connected);
    }
    remove_locked(app, lock, wish.channel).await?;
    Err(SetupError::NotConnected)
}

async fn add(
    app: &App,
    lock: &ServiceLock,
    wish: &Wish<'_>,
    made: Option<Subscription>,
) -> Result<Connected, SetupError> {
    if let Some(known) = app.store.connection(&lock.connection(wish.channel)).await? {
        return Ok(Connected::Already(known));
    }
    let connection = Connection {
        account: lock.account.clone(),
        service: lock.service.clone(),
        service_name: wish.service.name.clone(),
        channel: wish.channel.clone(),
        team: wish.installation.team.clone(),
        tenant: wish.installation.tenant.clone(),
        filter: wish.filter,
        zone: wish.zone.clone(),
        mentions: wish.mentions,
        health: Health::Healthy,
        created_at: app.clock.now(),
        created_by: Some(wish.actor.name.clone()),
    };
    match app.store.add_connection(&connection).await {
        Ok(_) => Ok(Connected::Made(connection)),
        Err(error) => {
            if let Some(made) = made {
                undo(app, lock, &made).await;
            }
            Err(error.into())
        }
    }
}

/// Changes how a channel is told of a service's incidents, from the next message on. Gives the connection as it is then.
pub async fn change_manner(
    app: &App,
    connection: &Connection,
    manner: &Manner,
    actor: &Actor,
) -> Result<Connection, SetupError> {
    let changed = app.store.change_manner(connection, manner).await?;
    let now = app.store.connection(&connection.key()).await?.ok_or(SetupError::NotConnected)?;
    // Somebody else may have changed it at the same moment.
    if manner.applied_to(now.clone()) != now {
        return Err(SetupError::Busy);
    }
    if changed {
        let mentions = match now.mentions {
            Mentions::Nobody => "nobody is mentioned",
            Mentions::Assignees => "assignees are mentioned",
        };
        let text = format!("changed how a channel is told of {}: {mentions}, times in {}", now.service_name, now.zone);
        note(app, &now.account, actor, text).await;
    }
    Ok(now)
}

/// Has a test card posted on the way that incidents take. Gives the test's id.
pub async fn send_test(app: &App, connection: &Connection, actor: &Actor) -> Result<TestId, SetupError> {
    let test = TestId::new(app.random.token()?).map_err(|_| RandomError)?;
    let subject = Subject::Test(connection.service.clone(), test.clone());
    let mark = Mark::message(connection, subject, Some(actor.name.clone()), app.clock.now());
    want(app, &[mark]).await?;
    note(app, &connection.account, actor, format!("sent a test notification for {}", connection.service_name)).await;
    Ok(test)
}
