//! The demo's world: a team with channels, people on both sides, services, and a connection for each channel.

use domain::connection::{Connection, Filter, Health, Installation};
use domain::ids::{AccountId, ChannelId, ServiceId, TeamId, TenantId};
use pagerduty::rest::{Auth, NewSubscription, SUBSCRIBED_EVENTS, SUBSCRIPTION_SCOPES};
use runtime::App;
use secrecy::ExposeSecret;
use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;
use store::Subscription;
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
        .map(|(name, email, role)| DemoPerson {
            name: (*name).to_owned(),
            teams: teams.add_user(name),
            pagerduty: pagerduty.add_user(name, email, role),
        })
        .collect();
    teams.install(&team).await?;
    let mut channels = Vec::new();
    for (name, channel_name) in SERVICES {
        let service = pagerduty.add_service(name);
        let channel = teams.add_channel(&team, channel_name);
        connect(app, &team, &channel, &service, name).await?;
        channels.push(DemoChannel { name: (*name).to_owned(), channel, service });
    }
    Ok(Demo { team, channels, people })
}

/// The ids of `infra/local/playground/.m365agentsplayground.yml`.
const PLAYGROUND_TEAM: &str = "19:playgroundteam@thread.tacv2";
const PLAYGROUND_CHANNEL: &str = "19:playgroundincidents@thread.tacv2";

/// Connects the Agents Playground's channel to the demo's first service, through the front door that checks the bot's token.
pub(crate) async fn playground(app: &App, pagerduty: &PagerDuty, teams: &Teams) -> anyhow::Result<()> {
    app.store
        .put_installation(&Installation {
            team: TeamId::new(PLAYGROUND_TEAM)?,
            tenant: app.config.teams_tenant.clone(),
            team_name: Some(TEAM.to_owned()),
            service_url: format!("{}/playground/connector/", teams.base().trim_end_matches('/')),
            account: Some(AccountId::new(ACCOUNT)?),
            installed_at: app.clock.now(),
        })
        .await?;
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

/// Connects a service to a channel: a webhook subscription at PagerDuty, its secret sealed in the table, the connection.
///
/// # Errors
/// PagerDuty or the table refuses.
pub async fn connect(app: &App, team: &str, channel: &str, service: &str, service_name: &str) -> anyhow::Result<()> {
    let now = app.clock.now();
    let (account, service) = (AccountId::new(ACCOUNT)?, ServiceId::new(service)?);
    let values = app.secrets.values(now).await?;
    let config = &app.config;
    let token = app
        .oauth
        .app_token(
            &values.pagerduty_client_secret,
            config.pagerduty_region,
            &config.pagerduty_subdomain,
            SUBSCRIPTION_SCOPES,
            now,
        )
        .await?;
    if app.store.connections_of_service(&account, &service).await?.is_empty() {
        let url = Url::parse(&config.public("/webhooks/pagerduty"))?;
        let wanted =
            NewSubscription { service: &service, url: &url, description: "PagerBridge", events: SUBSCRIBED_EVENTS };
        let made = app.pagerduty.create_subscription(Auth::App(&token.access_token), &wanted).await?;
        let sealed =
            values.token_keys.seal(made.secret.expose_secret().as_bytes(), made.id.as_str(), app.random.bytes()?)?;
        app.store
            .put_subscription(&Subscription {
                id: made.id,
                account: account.clone(),
                service: service.clone(),
                secrets: vec![sealed],
                created_at: now,
            })
            .await?;
    }
    app.store
        .put_connection(&Connection {
            account,
            service,
            service_name: service_name.to_owned(),
            channel: ChannelId::new(channel)?,
            team: TeamId::new(team)?,
            tenant: TenantId::new(config.teams_tenant.as_str())?,
            filter: Filter::All,
            health: Health::Healthy,
            created_at: now,
        })
        .await?;
    Ok(())
}
