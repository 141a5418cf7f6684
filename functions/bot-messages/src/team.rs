//! What happens to teams and channels: the bot is added or removed, and what it knows of them changes.
//!
//! An installation is told twice, as an installation update and as a conversation update, in either order (Teams docs,
//! "Conversation events"). So each step is repeatable, and the welcome is sent once.

use domain::connection::{Channel, ChannelKind, Connection, Installation};
use domain::ids::{CauseId, ChannelId, TeamId};
use jiff::SignedDuration;
use runtime::App;
use runtime::once::{self, Ended, HOLD, KEEP, Turn};
use setup::Authorized;
use store::{OnceKey, PersonalChat};
use teams::activity::Activity;
use teams::auth::Verified;

use crate::error::FlowError;
use crate::who::Who;

/// Both messages about one installation arrive within this time; what comes later is another one.
const SAME_INSTALLATION: SignedDuration = SignedDuration::from_secs(60);

/// The bot was added to a team, to a private or shared channel of it, or to somebody's private chat.
pub(crate) async fn added(app: &App, who: &Who, verified: &Verified) -> Result<(), FlowError> {
    let activity = verified.activity();
    let Some(team) = activity.team.as_ref().map(|team| &team.id) else { return Ok(()) };
    let now = app.clock.now();
    let upgrade = activity.action.as_deref().is_some_and(|action| action.eq_ignore_ascii_case("add-upgrade"));
    let (before, after) = app
        .store
        .change_installation(team, |known| {
            if known.as_ref().is_some_and(|known| known.tenant != activity.tenant) {
                tracing::error!(team.id = %team, "a team cannot change its tenant");
                return None;
            }
            let again = known.as_ref().is_some_and(|known| {
                known.removed_at.is_none() && (upgrade || now.duration_since(known.installed_at) < SAME_INSTALLATION)
            });
            let name = activity.team.as_ref().and_then(|team| team.name.clone());
            Some(Installation {
                team: team.clone(),
                tenant: activity.tenant.clone(),
                team_name: name.or_else(|| known.as_ref().and_then(|known| known.team_name.clone())),
                service_url: activity.service_url.clone(),
                account: known.as_ref().and_then(|known| known.account.clone()),
                installed_at: known.as_ref().filter(|_| again).map_or(now, |known| known.installed_at),
                installer: who.user.clone().or_else(|| known.as_ref().and_then(|known| known.installer.clone())),
                removed_at: None,
                connected_at: known.as_ref().and_then(|known| known.connected_at),
                added_at: activity.timestamp.or_else(|| known.as_ref().and_then(|known| known.added_at)),
                leaving: known.as_ref().and_then(|known| known.leaving.clone()),
            })
        })
        .await?;
    let Some(installation) = after.filter(|after| after.tenant == activity.tenant) else { return Ok(()) };
    if let Some(channel) = &activity.channel {
        remember_channel(app, team, &channel.id, channel.name.as_deref(), false).await?;
    }
    if let Err(error) = setup::refresh_channels(app, &installation).await {
        tracing::warn!(team.id = %team, error = runtime::chain(&error), "channels not listed");
    }
    // Also when only the second of the two messages arrives, or the first one failed.
    if before.is_some_and(|before| before.installed_at == installation.installed_at) && upgrade {
        return Ok(());
    }
    let work = Box::pin(async {
        match greet(app, who, &installation, activity).await {
            Ok(()) => Ended::Done(Ok(()), "done".to_owned()),
            failed => Ended::Undone(failed),
        }
    });
    match once::run(app, OnceKey::Welcome(team, installation.installed_at), HOLD, KEEP, work).await? {
        Turn::Mine(greeted) => greeted,
        Turn::InProgress | Turn::Before(_) => Ok(()),
    }
}

/// Re-binds what there was before, and tells the person who added the bot how to go on.
async fn greet(app: &App, who: &Who, installation: &Installation, activity: &Activity) -> Result<(), FlowError> {
    if installation.account.is_some() {
        let connections = alive(app, installation).await?;
        let restored = setup::restore_connections(app, &connections, activity.id.clone().into()).await?;
        return who.tell(app, &cards::setup::installed_again(installation.shown_name(), restored)).await;
    }
    let sent = async {
        let person = Authorized {
            user: who.user()?.clone(),
            name: who.name.clone(),
            conversation: who.chat(app).await?,
            service_url: who.service_url.clone(),
        };
        Ok::<_, FlowError>(setup::send_authorization(app, installation, &person, true).await?)
    };
    let Err(error) = sent.await else { return Ok(()) };
    tracing::warn!(error = runtime::chain(&error), "the installer gets no private message");
    who.reply(app, &cards::setup::installed_in_channel()).await
}

/// The connections of a team whose channels were not deleted meanwhile.
async fn alive(app: &App, installation: &Installation) -> Result<Vec<Connection>, store::Error> {
    let channels = app.store.channels_of_team(&installation.team).await?;
    let deleted = |id: &ChannelId| channels.iter().any(|channel| &channel.id == id && channel.deleted);
    let connections = app.store.connections_of_team(&installation.team).await?;
    Ok(connections.into_iter().filter(|connection| !deleted(&connection.channel)).collect())
}

/// The bot was removed from a team, from a private or shared channel, or from somebody's private chat.
pub(crate) async fn removed(app: &App, who: &Who, verified: &Verified) -> Result<(), FlowError> {
    let activity = verified.activity();
    let Some(team) = &who.team else {
        if let (true, Some(user)) = (who.private, &who.user) {
            app.store.delete_personal_chat(&who.tenant, user).await?;
        }
        return Ok(());
    };
    let Some(installation) = who.installation(app).await? else { return Ok(()) };
    let connections = app.store.connections_of_team(team).await?;
    if let Some(channel) = own_channel(app, activity, team).await? {
        let there: Vec<Connection> = connections.into_iter().filter(|c| c.channel == channel).collect();
        setup::suspend_connections(app, &there, "BotRemoved").await?;
        return Ok(());
    }
    let now = app.clock.now();
    // Teams may tell of a removal after it told of the next installation.
    let overtaken =
        |known: &Installation| activity.timestamp.is_some_and(|at| known.added_at.is_some_and(|added| at < added));
    let (_, after) = app
        .store
        .change_installation(&installation.team, |known| {
            let known = known.filter(|known| known.removed_at.is_none() && !overtaken(known))?;
            Some(Installation { removed_at: Some(now), ..known })
        })
        .await?;
    if after.is_some_and(|after| after.removed_at.is_some()) {
        setup::suspend_connections(app, &connections, "BotRemoved").await?;
    }
    Ok(())
}

/// The private or shared channel that an activity is about: those have installations of their own. So has one that we know
/// nothing of, since Teams tells of every standard channel, and names General when the bot leaves the whole team.
async fn own_channel(app: &App, activity: &Activity, team: &TeamId) -> Result<Option<ChannelId>, store::Error> {
    let Some(channel) = activity.channel.as_ref().filter(|channel| !channel.id.is_general(team)) else {
        return Ok(None);
    };
    let known = app.store.channel(team, &channel.id).await?;
    Ok(known.is_none_or(|known| known.kind != ChannelKind::Standard).then(|| channel.id.clone()))
}

/// A team or a channel has changed.
pub(crate) async fn changed(app: &App, who: &Who, verified: &Verified, event_type: &str) -> Result<(), FlowError> {
    let activity = verified.activity();
    let cause = CauseId::from(activity.id.clone());
    let Some(installation) = who.installation(app).await? else { return Ok(()) };
    let team = &installation.team;
    match event_type.to_ascii_lowercase().as_str() {
        event @ ("channelcreated" | "channelrenamed" | "channelrestored" | "channelshared" | "channeldeleted") => {
            let Some(channel) = &activity.channel else { return Ok(()) };
            let deleted = event == "channeldeleted";
            remember_channel(app, team, &channel.id, channel.name.as_deref(), deleted).await?;
            let connections = app.store.connections_of_team(team).await?;
            let there: Vec<Connection> = connections.into_iter().filter(|c| c.channel == channel.id).collect();
            if deleted {
                setup::suspend_connections(app, &there, "ChannelDeleted").await?;
            } else if event == "channelrestored" {
                setup::restore_connections(app, &there, cause).await?;
            }
        }
        "channelunshared" => {
            setup::refresh_channels(app, &installation).await?;
        }
        "teamrenamed" => {
            let name = activity.team.as_ref().and_then(|team| team.name.clone());
            app.store
                .change_installation(team, |known| {
                    let known = known.filter(|known| name.is_some() && known.team_name != name)?;
                    Some(Installation { team_name: name.clone(), ..known })
                })
                .await?;
        }
        event @ ("teamdeleted" | "teamharddeleted" | "teamarchived") => {
            let reason = if event == "teamarchived" { "TeamArchived" } else { "TeamDeleted" };
            let connections = app.store.connections_of_team(team).await?;
            setup::suspend_connections(app, &connections, reason).await?;
        }
        "teamrestored" | "teamunarchived" => {
            let connections = alive(app, &installation).await?;
            setup::restore_connections(app, &connections, cause).await?;
        }
        // Who is in the team is Teams' business: a card can only be clicked by somebody who sees it.
        _ => {}
    }
    Ok(())
}

/// Stores what an activity says about a channel; what it does not say stays.
async fn remember_channel(
    app: &App,
    team: &TeamId,
    id: &ChannelId,
    name: Option<&str>,
    deleted: bool,
) -> Result<(), store::Error> {
    let known = app.store.channel(team, id).await?;
    let channel = Channel {
        id: id.clone(),
        team: team.clone(),
        name: name.map(str::to_owned).or_else(|| known.as_ref().and_then(|known| known.name.clone())),
        kind: known.as_ref().map_or(ChannelKind::Standard, |known| known.kind),
        deleted,
    };
    if known.as_ref() == Some(&channel) { Ok(()) } else { app.store.put_channel(&channel).await }
}

/// Keeps the stored addresses fresh: Teams documents that they can change, and only a verified activity may change them.
pub(crate) async fn refresh_service_url(app: &App, who: &Who, verified: &Verified) {
    if let Some(team) = &who.team
        && let Err(error) = app.store.refresh_service_url(team, &who.tenant, &who.service_url).await
    {
        tracing::warn!(error = runtime::chain(&error), team.id = %team, "service URL not refreshed");
    }
    if let (true, Some(user), Some(from)) = (who.private, &who.user, &verified.activity().from) {
        let chat = PersonalChat {
            conversation: who.conversation.clone(),
            service_url: who.service_url.clone(),
            teams_user: Some(from.id.clone()),
        };
        if let Err(error) = app.store.put_personal_chat(&who.tenant, user, &chat).await {
            tracing::warn!(error = runtime::chain(&error), "personal chat not stored");
        }
    }
}
