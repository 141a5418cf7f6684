//! Commands for PagerDuty's managers and admins.

use cards::Command;
use domain::connection::{Filter, Installation};
use domain::ids::{AccountId, ChannelId, ServiceId};
use domain::incident::ServiceRef;
use pagerduty::service_address;
use runtime::App;
use setup::{Actor, Authorized, Connected, SetupError, Wish};
use store::Via;
use url::Url;

use super::{as_person, linked, may};
use crate::place::{Person, Place};
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
    let Some(target) = target(app, place, command, text, argument).await? else { return Ok(()) };
    let Target { account, mut person, installation, channel, service } = target;
    // As the person, so that nobody connects a service that they cannot see.
    let known = as_person!(app, place, &account, text, person, |auth| app.pagerduty.service(auth, &service));
    let service = ServiceRef { id: known.id, name: known.name };
    let actor = actor(&person);
    let wish =
        Wish { installation: &installation, service: &service, channel: &channel, filter: Filter::All, actor: &actor };
    let card = match setup::connect(app, &wish).await {
        Ok(connected) => cards::setup::connected(&service.name, matches!(connected, Connected::Already(_))),
        Err(error) => failed(&error, &service.id),
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
    let Some(target) = target(app, place, command, text, argument).await? else { return Ok(()) };
    let Target { account, person, installation, channel, service } = target;
    let known = app.store.connection(&account, &service, &channel).await?;
    if known.is_none_or(|known| known.team != installation.team) {
        return reply(app, place, &cards::setup::not_connected()).await;
    }
    let card = match setup::remove(app, &account, &service, &channel, Some(&actor(&person))).await {
        Ok(Some(removed)) => cards::setup::disconnected(&removed.connection.service_name),
        Ok(None) => cards::setup::not_connected(),
        Err(error) => failed(&error, &service),
    };
    reply(app, place, &card).await
}

fn actor(person: &Person) -> Actor {
    Actor { name: person.stored.link.pd_name.clone(), via: Via::Teams }
}

fn failed(error: &SetupError, service: &ServiceId) -> cards::Card {
    tracing::warn!(service.id = %service, error = runtime::chain(error), "connections of a service not changed");
    cards::setup::failed(&error.to_string())
}

/// Who is to change which connection.
struct Target {
    account: AccountId,
    person: Person,
    installation: Installation,
    channel: ChannelId,
    service: ServiceId,
}

/// This channel, the service whose address was given, and the person if their role allows it. `None`: they were told what
/// is missing or wrong.
async fn target(
    app: &App,
    place: &Place,
    command: &Command,
    text: &str,
    argument: &str,
) -> Result<Option<Target>, PrivateError> {
    let Some((account, person)) = linked(app, place, text).await? else { return Ok(None) };
    let web = app.store.account(&account).await?.and_then(|known| Url::parse(&known.web).ok());
    let (Some(installation), Some(channel), Some(web)) = (place.installation(app).await?, place.channel.clone(), web)
    else {
        reply(app, place, &cards::setup::not_authorized()).await?;
        return Ok(None);
    };
    if argument.is_empty() {
        reply(app, place, &cards::setup::service_url_wanted(command.word)).await?;
        return Ok(None);
    }
    let service = match service_address::parse(argument, &web) {
        Ok(service) => service,
        Err(error) => {
            let why = format!("{error}. The connected account is {}.", web.host_str().unwrap_or_default());
            reply(app, place, &cards::setup::failed(&why)).await?;
            return Ok(None);
        }
    };
    let known = setup::admin(app, person.pagerduty_user()).await?;
    let rank = known.map(|known| known.rank).unwrap_or_default();
    let allowed = may(app, place, command, rank).await?;
    Ok(allowed.then_some(Target { account, person, installation, channel, service }))
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
        let waiting = app
            .store
            .installations_of_tenant(&place.tenant)
            .await?
            .into_iter()
            .filter(|team| team.installer.as_ref() == Some(&person.user) && team.waits_for_authorization());
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
        Some(key) => app
            .store
            .installation(&key.team)
            .await?
            .filter(|team| team.installed_at == key.installed_at && team.waits_for_authorization()),
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
