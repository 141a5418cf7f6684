//! The same stack without a socket: functions, simulators and AWS call each other in this process.
//!
//! In tokio's paused time all of its time is virtual: hours pass in seconds, and what overlaps in AWS overlaps here. Nobody moves
//! messages along; whoever composes it does, see [`Inside::receive`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_lambda_events::event::sqs::SqsEvent;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use domain::connection::Installation;
use domain::ids::{ServiceUrl, TeamId};
use jiff::Timestamp;
use runtime::{App, AwsClients, Clock, Config, http_client};
use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;
use tokio::time::sleep;
use url::Url;

use crate::{LocalConfig, aws, environment, receive_batch, seed};

/// Nobody listens there; the addresses are names, and loopback ones so that plain HTTP is allowed.
const FUNCTIONS: &str = "http://127.0.0.1:1/";
const AWS: &str = "http://127.0.0.1:2/";
const PAGERDUTY: &str = "http://127.0.0.1:3/";
const TEAMS: &str = "http://127.0.0.1:4/";

/// How long a neighbour takes for a call, in tokio's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delays {
    pub dynamodb: Duration,
    /// Of Secrets Manager as well.
    pub sqs: Duration,
    pub pagerduty: Duration,
    /// A call counts for Teams' limits and is shown when it arrives; the answer comes after this time.
    pub teams: Duration,
}

/// The composed stack.
#[derive(Debug, Clone)]
pub struct Inside {
    /// What the functions work with.
    pub app: App,
    pub pagerduty: PagerDuty,
    pub teams: Teams,
    pub aws: aws::Endpoint,
    clients: AwsClients,
}

impl Inside {
    /// Composes everything: an empty PagerDuty, an empty Teams, a table, a queue and a secret. The clock shows `start` and runs
    /// with tokio's. Webhooks go to webhook-ingest's router, activities to bot-messages'.
    ///
    /// # Errors
    /// A stand-in that does not start, or a variable that the functions do not take.
    pub async fn compose(start: Timestamp, delays: Delays) -> anyhow::Result<Self> {
        Box::pin(Self::compose_with(start, delays, BTreeMap::new(), None)).await
    }

    /// The same with these variables in the functions' environment, and with somebody at all other addresses.
    ///
    /// # Errors
    /// As [`Inside::compose`].
    pub async fn compose_with(
        start: Timestamp,
        delays: Delays,
        environment: BTreeMap<String, String>,
        elsewhere: Option<Router>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::tokio(start);
        let now = super::now_of(&clock);
        let [public, aws_url, pagerduty_url, teams_url] =
            [FUNCTIONS, AWS, PAGERDUTY, TEAMS].map(|url| Url::parse(url).context("an address"));
        let (public, pagerduty_url, teams_url) = (public?, pagerduty_url?, teams_url?);
        let aws = aws::Endpoint::inside(Arc::clone(&now), aws_url?)?;
        let pagerduty = environment::new_pagerduty(&now, &pagerduty_url, &public)?;
        let teams = environment::new_teams(&now, &teams_url, &public)?;
        let config = LocalConfig { environment, ..LocalConfig::for_tests(clock.clone()) };
        let variables = environment::variables(&config, &aws, &public, Some(&pagerduty), Some(&teams));
        let config = Config::from_env(&|name| variables.get(name).cloned())?;
        let clients =
            AwsClients::over(&config.aws, aws::http_client(delayed(aws.router(), move |call| of_aws(call, delays))));
        let wire = wire::Inside::new(http_client()?)
            .with(&pagerduty_url, delayed(pagerduty.router(), move |_| halves(delays.pagerduty)))
            .with(&teams_url, delayed(teams.router(), move |_| (Duration::ZERO, delays.teams)));
        let wire = match elsewhere {
            Some(router) => wire.elsewhere(router),
            None => wire,
        };
        let app = App::inside(config, clock, wire.into(), clients.clone())?;
        environment::prepare_aws(&app, &clients, None).await?;
        pagerduty.deliver_to(webhook_ingest::router(app.clone()));
        teams.deliver_to(bot_messages::router(app.clone()));
        Ok(Self { app, pagerduty, teams, aws, clients })
    }

    /// A team that has the bot and is authorized, without a word to anybody. Returns its id.
    ///
    /// # Errors
    /// The table refuses.
    pub async fn add_team(&self, name: &str) -> anyhow::Result<String> {
        let team = self.teams.add_team(name);
        self.teams.admit_bot(&team);
        let installation = Installation {
            team: TeamId::new(team.as_str())?,
            tenant: self.app.config.teams_tenant.clone(),
            team_name: Some(name.to_owned()),
            service_url: ServiceUrl::new(self.teams.service_url())?,
            account: None,
            installed_at: self.app.clock.now(),
            installer: None,
            removed_at: None,
            connected_at: None,
            added_at: None,
            leaving: None,
        };
        self.app.store.change_installation(&installation.team, |_| Some(installation.clone())).await?;
        seed::authorize(&self.app, &self.pagerduty.base(), &team).await?;
        Ok(team)
    }

    /// A channel of the team that shows a service of its own. Returns channel and service.
    ///
    /// # Errors
    /// PagerDuty or the table refuses.
    pub async fn add_channel(&self, team: &str, name: &str) -> anyhow::Result<(String, String)> {
        let (channel, service) = (self.teams.add_channel(team, name), self.pagerduty.add_service(name));
        seed::connect(&self.app, team, &channel, &service, name).await?;
        Ok((channel, service))
    }

    /// A message for the sender, as Lambda's event source receives it, waiting up to `wait` seconds (at most one: the SDK gives a call
    /// a second and a half). Empty if there is none.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub async fn receive(&self, wait: i32) -> anyhow::Result<SqsEvent> {
        receive_batch(&self.clients.sqs, &self.app.config.queue_url, wait).await
    }

    /// Deletes a message that was received, as Lambda does after a success.
    ///
    /// # Errors
    /// The queue does not answer.
    pub async fn delete(&self, receipt: &str) -> anyhow::Result<()> {
        let queue = &self.app.config.queue_url;
        self.clients.sqs.delete_message().queue_url(queue).receipt_handle(receipt).send().await?;
        Ok(())
    }

    /// How many messages are in the queue, visible or not.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.aws.depth(environment::QUEUE).map(|depth| depth.visible + depth.in_flight).unwrap_or_default()
    }
}

/// The same with a way there and a way back.
fn delayed(router: Router, ways: impl Fn(&Request) -> (Duration, Duration) + Clone + Send + Sync + 'static) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let (there, back) = ways(&request);
        async move {
            sleep(there).await;
            let answer = next.run(request).await;
            sleep(back).await;
            answer
        }
    }))
}

fn of_aws(request: &Request, delays: Delays) -> (Duration, Duration) {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    halves(if target.starts_with("DynamoDB") { delays.dynamodb } else { delays.sqs })
}

fn halves(whole: Duration) -> (Duration, Duration) {
    (whole / 2, whole / 2)
}
