//! Undoing: one connection, or everything between a team and its account.

use domain::behind::Subject;
use domain::connection::{Connection, ConnectionKey, Installation};
use domain::ids::{AccountId, ChannelId};
use futures_util::{StreamExt as _, stream};
use incidents::place;
use runtime::App;

use crate::audit::{Actor, note, tell_team};
use crate::error::SetupError;
use crate::freeze::{self, Going, freeze};
use crate::lock::{ServiceLock, one_at_a_time};
use crate::subscription::{SubscriptionEnd, end_unused};

/// How many connections are removed at the same time.
const AT_ONCE: usize = 6;

/// The index that lists a team's connections may be a moment behind, so it is asked again until it is empty.
const ROUNDS: usize = 5;

/// A connection that is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub connection: Connection,
    /// What became of the service's webhook subscription.
    pub subscription: SubscriptionEnd,
}

/// Removes a connection, and with the last one of a service its webhook subscription. `None`: there was none. `actor`: who
/// is noted in the audit; nobody when a connection is taken back that was just made.
///
/// # Errors
/// [`SetupError::Busy`] if somebody else changes the same service.
pub async fn remove(app: &App, key: &ConnectionKey, actor: Option<&Actor>) -> Result<Option<Removed>, SetupError> {
    // To the end even if the caller stops waiting: a subscription without a connection would be left.
    let (worker, of) = (app.clone(), key.clone());
    let work = async move {
        let ConnectionKey { account, service, channel } = &of;
        one_at_a_time(&worker, account, service, async |lock| remove_locked(&worker, lock, channel).await).await
    };
    let removed = app.finish(work).await??;
    if let (Some(actor), Some(removed)) = (actor, &removed) {
        let text = format!("disconnected the service {} from a channel", removed.connection.service_name);
        note(app, &key.account, actor, text).await;
    }
    Ok(removed)
}

pub(crate) async fn remove_locked(
    app: &App,
    lock: &ServiceLock,
    channel: &ChannelId,
) -> Result<Option<Removed>, SetupError> {
    let ServiceLock { account, service, .. } = lock;
    let known = match app.store.connection(&lock.connection(channel)).await {
        Err(error) if error.is_unreadable() => None,
        known => known?,
    };
    let going = known.as_ref().map(|known| Going::Connection(service, channel, &known.team));
    let cause = freeze::cause(app)?;
    if let Some(going) = going {
        freeze(app, account, going, &cause).await?;
    }
    let Some(connection) = app.store.remove_connection(&lock.connection(channel)).await? else { return Ok(None) };
    let needed = app.store.is_connected(account, service).await?;
    let subscription = match app.store.subscription_of_service(account, service).await? {
        _ if needed => SubscriptionEnd::Kept,
        None => SubscriptionEnd::Deleted,
        Some(subscription) => end_unused(app, lock, &subscription).await?,
    };
    // What was opened or kept true meanwhile. The connection is gone, so this cannot fail it.
    if let Some(going) = going
        && let Err(error) = freeze(app, account, going, &cause).await
    {
        tracing::warn!(error = runtime::chain(&error), service.id = %service, "a card may look alive");
    }
    Ok(Some(Removed { connection, subscription }))
}

/// What a disconnection has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disconnected {
    pub connections: usize,
    pub links: usize,
    /// Webhook subscriptions that PagerDuty did not delete now.
    pub left: usize,
}

/// Takes a team away from its account: its connections go, the webhook subscriptions that nobody else needs, and the
/// account links of its tenant, unless another team of the tenant stays connected. The team is told.
///
/// From the first step on the team belongs to no account, so nothing is posted there any more; what fails half-way is
/// finished by [`finish_leaving`].
///
/// # Errors
/// [`SetupError::NotConnected`] if the team belongs to no account.
pub async fn disconnect_team(
    app: &App,
    installation: &Installation,
    actor: &Actor,
) -> Result<Disconnected, SetupError> {
    let account = installation.account.clone().ok_or(SetupError::NotConnected)?;
    let (before, _) = app
        .store
        .change_installation(&installation.team, |known| {
            let known = known.filter(|known| known.belongs_to(&account))?;
            Some(Installation { account: None, connected_at: None, leaving: Some(account.clone()), ..known })
        })
        .await?;
    let done = sweep(app, installation, &account).await?;
    if before.is_some_and(|before| before.belongs_to(&account)) {
        let name = installation.shown_name();
        let text = format!(
            "disconnected the team {name} from PagerDuty: {} connections and {} account links removed",
            done.connections, done.links
        );
        note(app, &account, actor, text).await;
        let by = Some(actor.name.clone());
        tell_team(app, &account, &installation.team, Subject::TeamDisconnected, by).await;
    }
    Ok(done)
}

/// Takes away what a disconnection has left of an account in a team, and forgets that it was going on. The index that lists
/// a team's connections may have been behind, so this belongs some minutes after the disconnection. Can be repeated.
pub async fn finish_leaving(app: &App, installation: &Installation) -> Result<(), SetupError> {
    let Some(account) = &installation.leaving else { return Ok(()) };
    if installation.belongs_to(account) {
        return Ok(());
    }
    let swept = sweep(app, installation, account).await?;
    if swept.connections > 0 {
        // The index may still be behind.
        return Ok(());
    }
    app.store
        .change_installation(&installation.team, |known| {
            let known = known.filter(|known| known.leaving.as_ref() == Some(account))?;
            Some(Installation { leaving: None, ..known })
        })
        .await?;
    if place::team(app, account, &installation.team).await?.is_none() {
        app.store.delete_team_of_account(account, &installation.team).await?;
    }
    Ok(())
}

/// Removes a team's connections to an account, and the account links of its tenant that no other team needs.
async fn sweep(app: &App, installation: &Installation, account: &AccountId) -> Result<Disconnected, SetupError> {
    let mut done = Disconnected::default();
    if place::team(app, account, &installation.team).await?.is_none() {
        // Also those of incidents that have moved to other services.
        freeze(app, account, Going::Team(&installation.team), &freeze::cause(app)?).await?;
    }
    for _ in 0..ROUNDS {
        // Authorized again meanwhile: what the team gets from now on must stay.
        if place::team(app, account, &installation.team).await?.is_some() {
            break;
        }
        let connections = app.store.connections_of_team(&installation.team).await?;
        let theirs: Vec<Connection> = connections.into_iter().filter(|c| &c.account == account).collect();
        if theirs.is_empty() {
            break;
        }
        let removals = theirs.into_iter().map(|c| async move { remove(app, &c.key(), None).await });
        let removals: Vec<_> = stream::iter(removals).buffer_unordered(AT_ONCE).collect().await;
        for removed in removals {
            if let Some(removed) = removed? {
                done.connections += 1;
                done.left += usize::from(removed.subscription == SubscriptionEnd::Left);
            }
        }
    }
    let teams = app.store.teams_of_account(account).await?;
    let tenant = &installation.tenant;
    if !teams.iter().any(|other| &other.tenant == tenant) {
        done.links = app.store.delete_links_to(account, tenant).await?;
    }
    Ok(done)
}
