//! The demo's world: a team with channels, people on both sides, services, and a connection for each channel.

use anyhow::Context as _;
use domain::connection::{Account, Filter, Installation, Mentions};
use domain::ids::{AccountId, ChannelId, ServiceId, ServiceUrl, TeamId};
use domain::incident::ServiceRef;
use domain::zone::Zone;
use runtime::App;
use setup::{Actor, Wish};
use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;
use store::Via;
use url::Url;

use crate::environment::ACCOUNT;

/// Ids of what the demo made, for tests and the page.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The team that the bot is installed in.
    pub team: String,
    /// Connected channels, with the service that each shows.
    pub channels: Vec<DemoChannel>,
    /// People, on both sides.
    pub people: Vec<DemoPerson>,
}

/// A channel that shows one service's incidents.
#[derive(Debug, Clone)]
pub struct DemoChannel {
    /// The service's name, for example "Payments".
    pub name: String,
    /// The channel in Teams.
    pub channel: String,
    /// The service in PagerDuty.
    pub service: String,
}

/// Somebody who is in Teams and in PagerDuty; nobody is linked at first.
#[derive(Debug, Clone)]
pub struct DemoPerson {
    /// Their name on both sides.
    pub name: String,
    /// Their Teams id (`29:…`).
    pub teams: String,
    /// Their PagerDuty id.
    pub pagerduty: String,
}

const PEOPLE: &[(&str, &str, &str)] = &[
    ("Ada Wong", "ada@example.com", "admin"),
    ("Ben Okafor", "ben@example.com", "user"),
    ("Chloe Martin", "chloe@example.com", "limited_user"),
];
/// Administrates Teams, and has nothing to do with PagerDuty.
const INSTALLER: &str = "Dana Roy";

const SERVICES: &[(&str, &str)] = &[("Payments", "payments-incidents"), ("Search", "search-incidents")];
const TEAM: &str = "Site Reliability";

/// Makes the world, or finds the one that was kept.
pub(crate) async fn demo(app: &App, pagerduty: &PagerDuty, teams: &Teams) -> anyhow::Result<Demo> {
    if let Some(known) = find(pagerduty, teams) {
        return Ok(known);
    }
    let team = teams.add_team(TEAM);
    for priority in ["P1", "P2", "P3"] {
        pagerduty.add_priority(priority);
    }
    let people = PEOPLE
        .iter()
        .map(|(name, email, role)| {
            let user = teams.add_user(name);
            teams.set_email(&user, email);
            DemoPerson { name: (*name).to_owned(), teams: user, pagerduty: pagerduty.add_user(name, email, role) }
        })
        .collect();
    let installer = teams.add_user(INSTALLER);
    teams.install_in(&team, &team, &installer).await?;
    authorize(app, &pagerduty.base(), &team).await?;
    let mut channels = Vec::new();
    for (name, channel_name) in SERVICES {
        let service = pagerduty.add_service(name);
        let channel = teams.add_channel(&team, channel_name);
        connect(app, &team, &channel, &service, name).await?;
        channels.push(DemoChannel { name: (*name).to_owned(), channel, service });
    }
    let installed =
        app.store.installation(&TeamId::new(team.as_str())?).await?.context("the bot is not in the team")?;
    setup::refresh_channels(app, &installed).await?;
    Ok(Demo { team, channels, people })
}

/// The ids of `infra/local/playground/.m365agentsplayground.yml`.
const PLAYGROUND_TEAM: &str = "19:playgroundteam@thread.tacv2";
const PLAYGROUND_CHANNEL: &str = "19:playgroundincidents@thread.tacv2";

/// Connects the Agents Playground's channel to the demo's first service, through the front door that checks the bot's token.
pub(crate) async fn playground(app: &App, pagerduty: &PagerDuty, teams: &Teams) -> anyhow::Result<()> {
    let installation = Installation {
        team: TeamId::new(PLAYGROUND_TEAM)?,
        tenant: app.config.teams_tenant.clone(),
        team_name: Some(TEAM.to_owned()),
        service_url: ServiceUrl::new(format!("{}/playground/connector/", teams.base().trim_end_matches('/')))?,
        account: None,
        installed_at: app.clock.now(),
        installer: None,
        removed_at: None,
        connected_at: None,
        added_at: None,
        leaving: None,
    };
    app.store.change_installation(&installation.team, |_| Some(installation.clone())).await?;
    authorize(app, &pagerduty.base(), PLAYGROUND_TEAM).await?;
    for (name, _) in SERVICES.iter().take(1) {
        if let Some(service) = pagerduty.service_named(name) {
            connect(app, PLAYGROUND_TEAM, PLAYGROUND_CHANNEL, &service, name).await?;
        }
    }
    Ok(())
}

fn find(pagerduty: &PagerDuty, teams: &Teams) -> Option<Demo> {
    let team = teams.team_named(TEAM)?;
    let channels = SERVICES
        .iter()
        .map(|(name, channel_name)| {
            Some(DemoChannel {
                name: (*name).to_owned(),
                channel: teams.channel_named(&team, channel_name)?,
                service: pagerduty.service_named(name)?,
            })
        })
        .collect::<Option<_>>()?;
    let people = PEOPLE
        .iter()
        .map(|(name, email, _)| {
            Some(DemoPerson {
                name: (*name).to_owned(),
                teams: teams.user_named(name)?,
                pagerduty: pagerduty.user_with_email(email)?,
            })
        })
        .collect::<Option<_>>()?;
    Some(Demo { team, channels, people })
}

/// Connects a service to a channel, without a greeting, as an admin would.
///
/// # Errors
/// PagerDuty or the table refuses.
pub async fn connect(app: &App, team: &str, channel: &str, service: &str, service_name: &str) -> anyhow::Result<()> {
    let installation = app.store.installation(&TeamId::new(team)?).await?.context("the bot is not in the team")?;
    let service = ServiceRef { id: ServiceId::new(service)?, name: service_name.to_owned() };
    let actor = Actor { name: "The demo".to_owned(), via: Via::System };
    let channel = ChannelId::new(channel)?;
    let wish = Wish {
        installation: &installation,
        service: &service,
        channel: &channel,
        filter: Filter::All,
        zone: &Zone::UTC,
        mentions: Mentions::Nobody,
        actor: &actor,
    };
    setup::connect_quietly(app, &wish).await?;
    Ok(())
}

/// Authorizes a team in which the bot is installed, without a word, for the account that is reached at `web`.
///
/// # Errors
/// The table refuses.
pub async fn authorize(app: &App, web: &str, team: &str) -> anyhow::Result<()> {
    let (team, account) = (TeamId::new(team)?, AccountId::new(ACCOUNT)?);
    app.store
        .put_account(&Account {
            id: account.clone(),
            subdomain: app.config.pagerduty_subdomain.clone(),
            web: Url::parse(web)?.origin().ascii_serialization(),
        })
        .await?;
    app.store.account_of_app(&app.config.pagerduty_client_id, &account).await?;
    app.store.put_team_of_account(&account, &team).await?;
    let now = app.clock.now();
    app.store
        .change_installation(&team, |known| {
            Some(Installation { account: Some(account.clone()), connected_at: Some(now), ..known? })
        })
        .await?;
    Ok(())
}
