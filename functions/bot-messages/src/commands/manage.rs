//! Commands for PagerDuty's managers and admins.

use cards::Command;
use domain::connection::{ConnectionKey, Filter, Installation, Manner};
use domain::ids::ServiceId;
use domain::incident::ServiceRef;
use domain::permission::Rank;
use incidents::place;
use pagerduty::service_address;
use runtime::{App, Person};
use setup::{Actor, Authorized, Connected, SetupError, Wish};
use store::Via;
use url::Url;

use super::options;
use crate::error::FlowError;
use crate::who::Who;

/// How many teams somebody is sent a link for who writes `authorize` without a key.
const TEAMS: usize = 5;

/// `connect [SERVICE-URL] [mention assignees] [zone ZONE]`: admins and managers.
pub(super) async fn connect(app: &App, who: &Who, command: &Command, argument: &str) -> Result<(), FlowError> {
    let mut person = who.linked(app).await?;
    let (address, options) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let manner = match options::manner(options) {
        Ok(manner) => manner,
        Err(error) => return who.reply(app, &cards::setup::failed(&error.to_string())).await,
    };
    let Some(Target { installation, key }) = target(app, who, &person, command, address).await? else {
        return Ok(());
    };
    // As the person, so that nobody connects a service that they cannot see.
    let known = person.call(async |api, auth| api.service(auth, &key.service).await).await?;
    let service = ServiceRef { id: known.id, name: known.name };
    let (channel, actor) = (&key.channel, actor(&person));
    let zone = manner.zone.clone().unwrap_or_else(|| who.zone.clone());
    let wish = Wish {
        installation: &installation,
        service: &service,
        channel,
        filter: Filter::All,
        zone: &zone,
        mentions: manner.mentions.unwrap_or_default(),
        actor: &actor,
    };
    let connected = async {
        match setup::connect(app, &wish).await? {
            // What is connected already is told in another manner, if somebody says so.
            Connected::Already(known) if manner != Manner::default() && manner.applied_to(known.clone()) != known => {
                let now = setup::change_manner(app, &known, &manner, &actor).await?;
                Ok(cards::setup::told_in_another_manner(&now))
            }
            Connected::Already(known) => Ok(cards::setup::connected(&known.service_name, true)),
            Connected::Made(made) => Ok(cards::setup::connected(&made.service_name, false)),
        }
    };
    let card = connected.await.unwrap_or_else(|error: SetupError| failed(&error, &service.id));
    who.reply(app, &card).await
}

/// `disconnect [SERVICE-URL]`: admins and managers.
pub(super) async fn disconnect(app: &App, who: &Who, command: &Command, argument: &str) -> Result<(), FlowError> {
    let person = who.linked(app).await?;
    let Some(Target { installation, key }) = target(app, who, &person, command, argument).await? else {
        return Ok(());
    };
    let known = app.store.connection(&key).await?;
    if known.is_none_or(|known| known.team != installation.team) {
        return who.reply(app, &cards::setup::not_connected()).await;
    }
    let card = match setup::remove(app, &key, Some(&actor(&person))).await {
        Ok(Some(removed)) => cards::setup::disconnected(&removed.connection.service_name),
        Ok(None) => cards::setup::not_connected(),
        Err(error) => failed(&error, &key.service),
    };
    who.reply(app, &card).await
}

fn actor(person: &Person<'_>) -> Actor {
    Actor { name: person.link().pd_name.clone(), via: Via::Teams }
}

fn failed(error: &SetupError, service: &ServiceId) -> cards::Card {
    tracing::warn!(service.id = %service, error = runtime::chain(error), "connections of a service not changed");
    cards::setup::failed(&error.to_string())
}

/// Which connection is to be changed.
struct Target {
    installation: Installation,
    key: ConnectionKey,
}

/// This channel and the service whose address was given, if the person's role allows it. `None`: they were told what is
/// missing or wrong.
async fn target(
    app: &App,
    who: &Who,
    person: &Person<'_>,
    command: &Command,
    argument: &str,
) -> Result<Option<Target>, FlowError> {
    let account = person.link().account.clone();
    let web = app.store.account(&account).await?.and_then(|known| Url::parse(&known.web).ok());
    let (Some(installation), Some(channel), Some(web)) = (who.installation(app).await?, who.channel.clone(), web)
    else {
        return Err(FlowError::NotConnected);
    };
    if argument.is_empty() {
        who.reply(app, &cards::setup::service_url_wanted(command.word)).await?;
        return Ok(None);
    }
    let service = match service_address::parse(argument, &web) {
        Ok(service) => service,
        Err(error) => {
            let why = format!("{error}. The connected account is {}.", web.host_str().unwrap_or_default());
            who.reply(app, &cards::setup::failed(&why)).await?;
            return Ok(None);
        }
    };
    let known = setup::admin(app, &person.link().pd_user).await?;
    let rank = known.map(|known| known.rank).unwrap_or_default();
    let key = ConnectionKey { account, service, channel };
    Ok(may(app, who, command, rank).await?.then_some(Target { installation, key }))
}

/// `authorize [KEY]`: whoever has the key gets a personal link; whether they are an admin is PagerDuty's to say.
pub(super) async fn authorize(app: &App, who: &Who, argument: &str) -> Result<(), FlowError> {
    let person = Authorized {
        user: who.user()?.clone(),
        name: who.name.clone(),
        conversation: who.chat(app).await?,
        service_url: who.service_url.clone(),
    };
    if argument.is_empty() {
        let teams = app.store.installations_of_tenant(&who.tenant).await?.into_iter();
        let waiting =
            teams.filter(|team| team.installer.as_ref() == Some(&person.user) && team.waits_for_authorization());
        let waiting: Vec<Installation> = waiting.take(TEAMS).collect();
        if waiting.is_empty() {
            return who.tell(app, &cards::setup::authorize_usage()).await;
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
    let installation = match known.filter(|key| key.tenant == who.tenant) {
        Some(key) => place::installation(app, &key.team, &who.tenant)
            .await?
            .filter(|team| team.installed_at == key.installed_at && team.waits_for_authorization()),
        None => None,
    };
    match installation {
        Some(installation) => Ok(setup::send_authorization(app, &installation, &person, false).await?),
        None => who.tell(app, &cards::setup::key_unknown()).await,
    }
}

/// `configure`: the page itself lets nobody in but admins; somebody who is known to be none is told so here.
pub(super) async fn configure(app: &App, who: &Who, command: &Command) -> Result<(), FlowError> {
    let rank = match who.account(app).await? {
        Some(account) => setup::rank_of(app, &who.tenant, who.user()?, &account).await?,
        None => None,
    };
    if let Some(rank) = rank
        && !may(app, who, command, rank).await?
    {
        return Ok(());
    }
    who.reply(app, &cards::setup::open_configuration(&app.config.public("/admin"))).await
}

/// Whether PagerDuty's role allows the command; if not, the person is told.
async fn may(app: &App, who: &Who, command: &Command, rank: Rank) -> Result<bool, FlowError> {
    if rank >= command.rank {
        return Ok(true);
    }
    who.reply(app, &cards::not_allowed(command)).await?;
    Ok(false)
}
