//! Commands for PagerDuty's managers and admins.

use cards::Command;
use domain::connection::{Filter, Installation};
use domain::ids::{ChannelId, ServiceId};
use domain::incident::ServiceRef;
use pagerduty::service_address;
use runtime::App;
use setup::{Actor, Authorized, Connected, Wish};
use store::Via;
use url::Url;

use super::{as_person, linked, may};
use crate::place::Place;
use crate::private::{self, PrivateError, reply};

/// How many teams somebody is sent a link for who writes `authorize` without a key.
const TEAMS: usize = 5;

/// `connect [SERVICE-URL]`: admins and managers.
pub(super) async fn connect(
    app: &App,
    place: &Place,
    command: &Command,
    text: &str,
    argument: &str,
) -> Result<(), PrivateError> {
    let Some((account, mut person)) = linked(app, place, text).await? else { return Ok(()) };
    let Some((installation, channel, service)) = wanted(app, place, command, argument).await? else { return Ok(()) };
    let user = place.user()?;
    let rank = setup::rank_of(app, &place.tenant, user, &account).await?.unwrap_or_default();
    if !may(app, place, command, rank).await? {
        return Ok(());
    }
    // As the person, so that nobody connects a service that they cannot see.
    let known = as_person!(app, place, &account, text, person, |auth| app.pagerduty.service(auth, &service));
    let service = ServiceRef { id: known.id, name: known.name };
    let actor = Actor { name: person.stored.link.pd_name.clone(), via: Via::Teams };
    let wish =
        Wish { installation: &installation, service: &service, channel: &channel, filter: Filter::All, actor: &actor };
    let card = match setup::connect(app, &wish).await {
        Ok(connected) => cards::setup::connected(&service.name, matches!(connected, Connected::Already(_))),
        Err(error) => {
            tracing::warn!(service.id = %service.id, error = runtime::chain(&error), "service not connected");
            cards::setup::failed(&error.to_string())
        }
    };
    reply(app, place, &card).await
}

/// `disconnect [SERVICE-URL]`: admins and managers.
pub(super) async fn disconnect(
    app: &App,
    place: &Place,
    command: &Command,
    text: &str,
    argument: &str,
) -> Result<(), PrivateError> {
    let Some((account, person)) = linked(app, place, text).await? else { return Ok(()) };
    let Some((_, channel, service)) = wanted(app, place, command, argument).await? else { return Ok(()) };
    let rank = setup::rank_of(app, &place.tenant, place.user()?, &account).await?.unwrap_or_default();
    if !may(app, place, command, rank).await? {
        return Ok(());
    }
    let known = app.store.connection(&account, &service, &channel).await?;
    if known.is_none_or(|known| Some(&known.team) != place.team.as_ref()) {
        return reply(app, place, &cards::setup::not_connected()).await;
    }
    let actor = Actor { name: person.stored.link.pd_name.clone(), via: Via::Teams };
    let card = match setup::remove(app, &account, &service, &channel, Some(&actor)).await {
        Ok(Some(removed)) => cards::setup::disconnected(&removed.connection.service_name),
        Ok(None) => cards::setup::not_connected(),
        Err(error) => {
            tracing::warn!(service.id = %service, error = runtime::chain(&error), "service not disconnected");
            cards::setup::failed(&error.to_string())
        }
    };
    reply(app, place, &card).await
}

/// This channel, and the service whose address was given. `None`: the person was told what is wrong.
async fn wanted(
    app: &App,
    place: &Place,
    command: &Command,
    argument: &str,
) -> Result<Option<(Installation, ChannelId, ServiceId)>, PrivateError> {
    let (Some(installation), Some(channel)) = (place.installation(app).await?, place.channel.clone()) else {
        reply(app, place, &cards::setup::not_authorized()).await?;
        return Ok(None);
    };
    let account = match &installation.account {
        Some(account) => app.store.account(account).await?,
        None => None,
    };
    let Some(web) = account.and_then(|account| Url::parse(&account.web).ok()) else {
        reply(app, place, &cards::setup::not_authorized()).await?;
        return Ok(None);
    };
    if argument.is_empty() {
        reply(app, place, &cards::setup::service_url_wanted(command.word)).await?;
        return Ok(None);
    }
    match service_address::parse(argument, &web) {
        Ok(service) => Ok(Some((installation, channel, service))),
        Err(error) => {
            let why = format!("{error}. The connected account is {}.", web.host_str().unwrap_or_default());
            reply(app, place, &cards::setup::failed(&why)).await?;
            Ok(None)
        }
    }
}

/// `authorize [KEY]`: whoever has the key gets a personal link; whether they are an admin is PagerDuty's to say.
pub(super) async fn authorize(app: &App, place: &Place, argument: &str) -> Result<(), PrivateError> {
    let person = Authorized {
        user: place.user()?.clone(),
        name: place.name.clone(),
        conversation: private::chat(app, place).await?,
        service_url: place.service_url.clone(),
    };
    if argument.is_empty() {
        let waiting = app.store.installations_of_tenant(&place.tenant).await?.into_iter().filter(|team| {
            team.installer.as_ref() == Some(&person.user) && team.account.is_none() && team.removed_at.is_none()
        });
        let waiting: Vec<Installation> = waiting.take(TEAMS).collect();
        if waiting.is_empty() {
            return private::send(app, place, &cards::setup::authorize_usage()).await;
        }
        for installation in &waiting {
            setup::send_authorization(app, installation, &person, false).await?;
        }
        return Ok(());
    }
    let known = match setup::key_from_text(argument) {
        Some(key) => app.store.authorization_key(&key, app.clock.now()).await?,
        None => None,
    };
    let installation = match known.filter(|key| key.tenant == place.tenant) {
        Some(key) => app.store.installation(&key.team).await?.filter(|team| {
            team.installed_at == key.installed_at && team.account.is_none() && team.removed_at.is_none()
        }),
        None => None,
    };
    match installation {
        Some(installation) => Ok(setup::send_authorization(app, &installation, &person, false).await?),
        None => private::send(app, place, &cards::setup::key_unknown()).await,
    }
}

/// `configure`: the page itself lets nobody in but admins; somebody who is known to be none is told so here.
pub(super) async fn configure(app: &App, place: &Place, command: &Command) -> Result<(), PrivateError> {
    let rank = match place.account(app).await? {
        Some(account) => setup::rank_of(app, &place.tenant, place.user()?, &account).await?,
        None => None,
    };
    if let Some(rank) = rank
        && !may(app, place, command, rank).await?
    {
        return Ok(());
    }
    reply(app, place, &cards::setup::open_configuration(&app.config.public("/admin"))).await
}
