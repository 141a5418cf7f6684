//! Connecting a service to a channel: its webhook subscription, the connection, and the greeting in the channel.

use domain::connection::{Connection, Filter, Health, Installation};
use domain::failure::Class;
use domain::ids::{AccountId, ChannelId, ServiceId, SubscriptionId};
use domain::incident::ServiceRef;
use domain::job::TestJob;
use pagerduty::rest::{NewSubscription, SUBSCRIBED_EVENTS, SubscriptionState};
use runtime::App;
use secrecy::ExposeSecret;
use store::Subscription;

use crate::disconnect::SubscriptionEnd;
use crate::lock::one_at_a_time;
use crate::{Actor, SetupError, as_app, note, post, webhook_url};

/// How often a connection looks for its subscription before it gives up.
const ROUNDS: usize = 3;

/// What is to be connected to what.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The team, which belongs to an account.
    pub installation: &'a Installation,
    /// The service; its name is shown.
    pub service: &'a ServiceRef,
    /// The channel.
    pub channel: &'a ChannelId,
    /// Which incidents.
    pub filter: Filter,
    /// Who wishes it.
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

/// Connects, and greets the channel. A channel that cannot be greeted because the bot cannot post there is not connected.
///
/// # Errors
/// [`SetupError`]; whatever was done before the failure is undone.
///
/// Goes to its end even if the caller stops waiting: half a connection would leave a subscription that nobody knows.
pub async fn connect(app: &App, wish: &Wish<'_>) -> Result<Connected, SetupError> {
    let (app, installation, service) = (app.clone(), wish.installation.clone(), wish.service.clone());
    let (channel, actor, filter) = (wish.channel.clone(), wish.actor.clone(), wish.filter);
    let work = async move {
        let wish = Wish { installation: &installation, service: &service, channel: &channel, filter, actor: &actor };
        connect_and_greet(&app, &wish).await
    };
    runtime::finish(work).await?
}

async fn connect_and_greet(app: &App, wish: &Wish<'_>) -> Result<Connected, SetupError> {
    let connected = connect_quietly(app, wish).await?;
    let Connected::Made(connection) = &connected else { return Ok(connected) };
    let greeted = post(app, wish.installation, wish.channel, &cards::service_connected(&connection.service_name)).await;
    if let Err(error) = greeted {
        if cannot_post(error.class()) {
            let undone = crate::remove(app, &connection.account, &connection.service, wish.channel, None).await;
            if let Err(left) = undone {
                tracing::error!(channel.id = %wish.channel, error = runtime::chain(&left), "connection left over");
            }
            return Err(unreachable(error));
        }
        tracing::warn!(channel.id = %wish.channel, error = runtime::chain(&error), "channel not greeted");
    }
    let text =
        format!("connected the service {} to a channel of {}", wish.service.name, wish.installation.shown_name());
    note(app, &connection.account, wish.actor, text).await;
    Ok(connected)
}

/// Whether Teams will refuse every message in the channel, and not only this one for now.
fn cannot_post(class: Class) -> bool {
    match class {
        Class::Gone | Class::Forbidden | Class::Invalid => true,
        Class::Retry { .. } | Class::Unclear | Class::Relink | Class::Bug => false,
    }
}

fn unreachable(error: SetupError) -> SetupError {
    match error {
        SetupError::Teams(error) => SetupError::ChannelUnreachable { code: error.reason().to_owned() },
        other => other,
    }
}

/// Connects without a word in the channel.
///
/// # Errors
/// As [`connect`].
pub async fn connect_quietly(app: &App, wish: &Wish<'_>) -> Result<Connected, SetupError> {
    let installation = wish.installation;
    let account = installation.account.as_ref().ok_or(SetupError::NotConnected)?;
    if installation.removed_at.is_some() {
        return Err(SetupError::NotConnected);
    }
    one_at_a_time(app, account, &wish.service.id, Box::pin(connect_locked(app, wish, account))).await
}

async fn connect_locked(app: &App, wish: &Wish<'_>, account: &AccountId) -> Result<Connected, SetupError> {
    let service = &wish.service.id;
    let mut connected = None;
    for _ in 0..ROUNDS {
        // Also for a pair that is connected: connecting again mends a subscription that was deleted or disabled in PagerDuty.
        let made = subscribe(app, account, service).await?;
        let now_connected = match connected.take() {
            Some(before) => before,
            None => add(app, wish, account, made).await?,
        };
        // Somebody else whose lock ran out while their process was frozen may have ended the subscription before they could
        // see the connection; see `end_unused`.
        if app.store.subscription_of_service(account, service).await?.is_some() {
            return still_authorized(app, wish, account, now_connected).await;
        }
        connected = Some(now_connected);
    }
    if let Some(Connected::Made(connection)) = connected {
        app.store.remove_connection(account, service, &connection.channel).await?;
    }
    Err(SetupError::Busy)
}

/// The team may have been disconnected meanwhile, by somebody who did not see this connection yet.
async fn still_authorized(
    app: &App,
    wish: &Wish<'_>,
    account: &AccountId,
    connected: Connected,
) -> Result<Connected, SetupError> {
    if app.store.team_of_account(account, &wish.installation.team).await?.is_some() {
        return Ok(connected);
    }
    crate::disconnect::remove_locked(app, account, &wish.service.id, wish.channel).await?;
    Err(SetupError::NotConnected)
}

async fn add(
    app: &App,
    wish: &Wish<'_>,
    account: &AccountId,
    made: Option<Subscription>,
) -> Result<Connected, SetupError> {
    let service = &wish.service.id;
    if let Some(known) = app.store.connection(account, service, wish.channel).await? {
        return Ok(Connected::Already(known));
    }
    let connection = Connection {
        account: account.clone(),
        service: service.clone(),
        service_name: wish.service.name.clone(),
        channel: wish.channel.clone(),
        team: wish.installation.team.clone(),
        tenant: wish.installation.tenant.clone(),
        filter: wish.filter,
        health: Health::Healthy,
        created_at: app.clock.now(),
        created_by: Some(wish.actor.name.clone()),
    };
    match app.store.add_connection(&connection).await {
        Ok(_) => Ok(Connected::Made(connection)),
        Err(error) => {
            if let Some(made) = made {
                undo(app, &made).await;
            }
            Err(error.into())
        }
    }
}

/// Makes the service's webhook subscription, unless it has one. Gives the one that was made.
pub(crate) async fn subscribe(
    app: &App,
    account: &AccountId,
    service: &ServiceId,
) -> Result<Option<Subscription>, SetupError> {
    let now = app.clock.now();
    let url = webhook_url(app)?;
    let known = app.store.subscription_of_service(account, service).await?;
    // PagerBridge has moved to another address since, and PagerDuty cannot change a subscription's.
    let delivers_to = known.as_ref().and_then(|known| known.url.as_deref());
    let elsewhere = delivers_to.is_some_and(|address| address != url.as_str());
    if let Some(known) = known.as_ref().filter(|_| !elsewhere)
        && still_delivers(app, known).await?
    {
        return Ok(None);
    }
    let wanted = NewSubscription { service, url: &url, description: "PagerBridge", events: SUBSCRIBED_EVENTS };
    let values = app.secrets.values(now).await?;
    let nonce = app.random.bytes()?;
    let made = as_app!(app, |auth| app.pagerduty.create_subscription(auth, &wanted))?;
    // The secret is shown this once: whatever fails from here on, the subscription must go again.
    let sealed = values.token_keys.seal(made.secret.expose_secret().as_bytes(), made.id.as_str(), nonce);
    let subscription = Subscription {
        id: made.id,
        account: account.clone(),
        service: service.clone(),
        secrets: sealed.as_ref().ok().into_iter().cloned().collect(),
        created_at: now,
        url: Some(url.to_string()),
    };
    if let Err(error) = keep_and_ping(app, &subscription, sealed.map(drop)).await {
        undo(app, &subscription).await;
        return Err(error);
    }
    if let Some(old) = known.filter(|_| elsewhere)
        && let Err(error) = unsubscribe(app, &old).await
    {
        tracing::warn!(subscription.id = %old.id, error = runtime::chain(&error), "subscription of an old address left");
    }
    Ok(Some(subscription))
}

/// Whether a known subscription can be used again. One that PagerDuty has disabled is switched on, one that somebody has
/// deleted there is forgotten here.
async fn still_delivers(app: &App, known: &Subscription) -> Result<bool, SetupError> {
    match crate::subscription_state(app, &known.id).await? {
        SubscriptionState::Active => Ok(true),
        SubscriptionState::Disabled => {
            as_app!(app, |auth| app.pagerduty.enable_subscription(auth, &known.id))?;
            Ok(true)
        }
        SubscriptionState::Gone => {
            app.store.delete_subscription(known).await?;
            Ok(false)
        }
    }
}

async fn keep_and_ping(
    app: &App,
    subscription: &Subscription,
    sealed: Result<(), store::seal::SealError>,
) -> Result<(), SetupError> {
    sealed?;
    app.store.put_subscription(subscription).await?;
    as_app!(app, |auth| app.pagerduty.ping_subscription(auth, &subscription.id))?;
    Ok(())
}

/// Takes back a subscription that was just made, unless somebody else uses it already.
async fn undo(app: &App, subscription: &Subscription) {
    let undone = async {
        match app.store.retire_subscription(subscription).await? {
            true => end_retired(app, subscription).await.map(drop),
            // It was never in use.
            false => unsubscribe(app, subscription).await,
        }
    };
    if let Err(error) = undone.await {
        tracing::error!(
            subscription.id = %subscription.id,
            error = runtime::chain(&error),
            "a webhook subscription is left over at PagerDuty"
        );
    }
}

/// Ends the subscription of a service that has no connection any more.
///
/// The lock does not make this safe, since Lambda can freeze its holder beyond the lock's time. So the subscription is taken
/// out of use first, and the connections are counted again afterwards; who connects adds the connection first, and looks
/// afterwards whether a subscription is in use. Whatever the order, one of the two notices the other.
///
/// # Errors
/// [`SetupError`] if the table does not answer.
pub async fn end_unused(app: &App, subscription: &Subscription) -> Result<SubscriptionEnd, SetupError> {
    if !app.store.retire_subscription(subscription).await? {
        return Ok(SubscriptionEnd::Kept);
    }
    end_retired(app, subscription).await
}

async fn end_retired(app: &App, subscription: &Subscription) -> Result<SubscriptionEnd, SetupError> {
    let Subscription { account, service, .. } = subscription;
    let needed = match app.store.connections_of_service(account, service).await {
        Ok(connections) => !connections.is_empty(),
        Err(error) => {
            app.store.reuse_subscription(subscription).await?;
            return Err(error.into());
        }
    };
    if needed && app.store.reuse_subscription(subscription).await? {
        return Ok(SubscriptionEnd::Kept);
    }
    match unsubscribe(app, subscription).await {
        Ok(()) => Ok(SubscriptionEnd::Deleted),
        Err(error) => {
            tracing::error!(
                subscription.id = %subscription.id,
                error = runtime::chain(&error),
                "webhook subscription not deleted"
            );
            // The next connection of the service uses it again.
            app.store.reuse_subscription(subscription).await?;
            Ok(SubscriptionEnd::Left)
        }
    }
}

/// Deletes a subscription at PagerDuty and, when that is certain, in the table.
pub(crate) async fn unsubscribe(app: &App, subscription: &Subscription) -> Result<(), SetupError> {
    delete_at_pagerduty(app, &subscription.id).await?;
    Ok(app.store.delete_subscription(subscription).await?)
}

pub(crate) async fn delete_at_pagerduty(app: &App, id: &SubscriptionId) -> Result<(), SetupError> {
    match as_app!(app, |auth| app.pagerduty.delete_subscription(auth, id)) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Has a marked test card posted through the real queue. Gives the test's id.
///
/// # Errors
/// [`SetupError`] if the queue does not take it.
pub async fn send_test(app: &App, connection: &Connection, actor: &Actor) -> Result<String, SetupError> {
    let test = app.random.token()?;
    let job = TestJob {
        account: connection.account.clone(),
        service: connection.service.clone(),
        channel: connection.channel.clone(),
        test: test.clone(),
        by: actor.name.clone(),
        received_at: app.clock.now(),
    };
    app.queue.send_test(&job).await?;
    note(app, &connection.account, actor, format!("sent a test notification for {}", connection.service_name)).await;
    Ok(test)
}
