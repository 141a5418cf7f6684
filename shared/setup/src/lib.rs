//! Setting up: authorizing teams, connecting services to channels, and undoing both.
//!
//! The bot's commands, the configuration page and the log-in pages all do these things, and must do them alike: a service
//! has one webhook subscription however many channels show it, and what fails half-way is undone.

mod authorize;
mod channels;
mod connect;
mod disconnect;
mod error;
mod lock;
mod mend;
mod people;
mod session;

use domain::connection::Installation;
use domain::ids::{AccountId, ChannelId, IncidentId, ServiceId, SubscriptionId};
use domain::incident::ServiceRef;
use pagerduty::rest::{ListedSubscription, Page, RestIncident, Service, SubscriptionState, Which};
use runtime::App;
use store::{AuditEntry, Via};
use teams::connector::ConnectorAuth;
use url::Url;

pub use authorize::{Authorized, authorize, key_from_text, new_key, send_authorization};
pub use channels::{refresh_channels, restore_connections, suspend_connections};
pub use connect::{Connected, Wish, connect, connect_quietly, end_unused, send_test};
pub use disconnect::{Disconnected, Removed, SubscriptionEnd, disconnect_team, finish_leaving, remove};
pub use error::SetupError;
pub use lock::Lock;
pub use mend::{mend_subscription, remove_orphan};
pub use people::{admin, rank_of};
pub use session::{SESSION_COOKIE, SESSION_LIFETIME};

/// Calls PagerDuty as the app; once more with a fresh token if the first one is refused.
macro_rules! as_app {
    ($app:expr, |$auth:ident| $call:expr) => {{
        let mut fresh = false;
        loop {
            let token = $app.pagerduty_token(fresh).await?;
            let $auth = pagerduty::rest::Auth::App(&token);
            match $call.await {
                Err(error) if !fresh && error.class() == domain::failure::Class::Relink => fresh = true,
                other => break other,
            }
        }
    }};
}
pub(crate) use as_app;

/// Who changes something, and where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// As PagerDuty or Teams shows them.
    pub name: String,
    /// Where they do it.
    pub via: Via,
}

/// Notes a change in the account's audit. A change that cannot be noted is done all the same, and logged.
pub async fn note(app: &App, account: &AccountId, actor: &Actor, text: String) {
    let entry = AuditEntry { at: app.clock.now(), who: actor.name.clone(), via: actor.via, text };
    let Ok(id) = app.random.token() else { return };
    if let Err(error) = app.store.put_audit(account, &id, &entry, app.config.retention).await {
        tracing::error!(error = runtime::chain(&error), "audit entry not stored");
    }
}

/// The services of the account whose name contains `query`, a page at a time.
///
/// # Errors
/// [`SetupError`] if PagerDuty does not answer.
pub async fn find_services(app: &App, query: &str, offset: u32, limit: u32) -> Result<Page<ServiceRef>, SetupError> {
    Ok(as_app!(app, |auth| app.pagerduty.find_services(auth, query, offset, limit))?)
}

/// One service, as the app sees it.
///
/// # Errors
/// [`SetupError::ServiceUnknown`] if PagerDuty does not know it, else what PagerDuty or its OAuth says.
pub async fn service(app: &App, id: &ServiceId) -> Result<Service, SetupError> {
    as_app!(app, |auth| app.pagerduty.service(auth, id)).map_err(|error| {
        if error.is_not_found() { SetupError::ServiceUnknown { service: id.clone() } } else { error.into() }
    })
}

/// Incidents of some services, as the app sees them, a page at a time.
///
/// # Errors
/// [`SetupError`] if PagerDuty does not answer.
pub async fn incidents(
    app: &App,
    services: &[ServiceId],
    which: Which,
    offset: u32,
) -> Result<Page<RestIncident>, SetupError> {
    Ok(as_app!(app, |auth| app.pagerduty.incidents(auth, services, which, offset))?)
}

/// One incident, as the app sees it. `None`: it does not see it (any more).
///
/// # Errors
/// [`SetupError`] if PagerDuty does not answer.
pub async fn incident(app: &App, id: &IncidentId) -> Result<Option<RestIncident>, SetupError> {
    match as_app!(app, |auth| app.pagerduty.incident(auth, id)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where PagerDuty delivers to.
fn webhook_url(app: &App) -> Result<Url, SetupError> {
    Ok(Url::parse(&app.config.public("/webhooks/pagerduty"))?)
}

/// The webhook subscriptions of the account that deliver to us.
///
/// # Errors
/// [`SetupError`] if PagerDuty does not answer.
pub async fn own_subscriptions(app: &App) -> Result<Vec<ListedSubscription>, SetupError> {
    let ours = webhook_url(app)?;
    let (mut found, mut offset) = (Vec::new(), Some(0));
    while let Some(start) = offset {
        let page = as_app!(app, |auth| app.pagerduty.subscriptions(auth, start))?;
        found.extend(page.items.into_iter().filter(|listed| listed.url == ours));
        offset = page.next;
    }
    Ok(found)
}

/// Whether Entra gives the bot a token.
///
/// # Errors
/// [`SetupError`] says why not.
pub async fn check_bot_token(app: &App) -> Result<(), SetupError> {
    let now = app.clock.now();
    let values = app.secrets.values(now).await?;
    let auth = ConnectorAuth { secret: &values.teams_client_secret, now };
    Ok(app.connector.check_token(&auth).await?)
}

/// Whether PagerDuty delivers what a subscription is for.
///
/// # Errors
/// [`SetupError`] if PagerDuty does not answer.
pub async fn subscription_state(app: &App, id: &SubscriptionId) -> Result<SubscriptionState, SetupError> {
    Ok(as_app!(app, |auth| app.pagerduty.subscription_state(auth, id))?)
}

/// Posts a card in a channel of an installation.
pub(crate) async fn post(
    app: &App,
    installation: &Installation,
    channel: &ChannelId,
    card: &cards::Card,
) -> Result<(), SetupError> {
    let now = app.clock.now();
    let values = app.secrets.values(now).await?;
    let auth = ConnectorAuth { secret: &values.teams_client_secret, now };
    let url = &installation.service_url;
    app.connector.post_to_channel(&auth, url, channel, &installation.tenant, card).await?;
    Ok(())
}

/// Posts a card in the team's General channel, whose id is the team's. A team that cannot be told is no reason to fail.
pub(crate) async fn tell_team(app: &App, installation: &Installation, card: &cards::Card) {
    let told = match ChannelId::new(installation.team.as_str()) {
        Ok(general) => post(app, installation, &general, card).await,
        Err(_) => return,
    };
    if let Err(error) = told {
        tracing::warn!(team.id = %installation.team, error = runtime::chain(&error), "team not told");
    }
}
