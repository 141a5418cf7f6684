//! PagerBridge on one machine: the same routers and the same flow as in AWS, on embedded stand-ins.
//!
//! [`compose`] is what `cargo run -p local` and the scenario tests call. There is no second implementation of anything:
//! the functions talk to AWS through the real SDK, to PagerDuty and Teams over HTTP.

pub mod aws;
mod environment;
pub mod inside;
pub mod operator;
pub mod page;
mod pump;
mod seed;
mod serve;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, AwsClients, Clock, Config, StartError};
use simulators::Now;
use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;
use url::Url;

pub use environment::{ACCOUNT, is_override};
pub use pump::receive_batch;
pub use seed::{Demo, DemoChannel, DemoPerson, authorize, connect};
use serve::Servers;

/// Where one of the two sides is.
#[derive(Debug, Clone)]
pub enum Side {
    /// The embedded simulator.
    Simulator,
    /// Somewhere else.
    At(Url),
}

/// Ports to listen on; 0 takes any free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// The functions and the page.
    pub app: u16,
    /// The AWS stand-ins.
    pub aws: u16,
    /// The PagerDuty simulator.
    pub pagerduty: u16,
    /// The Teams simulator.
    pub teams: u16,
}

/// Who moves messages along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pump {
    /// Background tasks, all the time.
    Always,
    /// Whoever calls [`Running::settle`]: a test decides when things happen.
    Manual,
}

/// How to compose the stack.
#[derive(Debug)]
pub struct LocalConfig {
    /// The time, for functions and simulators alike.
    pub clock: Clock,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Ports to listen on.
    pub ports: Ports,
    /// Folder for the state, if it is to be kept.
    pub data_dir: Option<PathBuf>,
    /// Where PagerDuty is.
    pub pagerduty: Side,
    /// Where Teams is.
    pub teams: Side,
    /// The Agents Playground's connector, if it is to be the Teams.
    pub playground: Option<Url>,
    /// External address of the functions, if it differs.
    pub public_url: Option<Url>,
    /// The secret's JSON, if the simulators' own will not do.
    pub secrets: Option<String>,
    /// Variables of the functions that override what the stack would set.
    pub environment: BTreeMap<String, String>,
    /// Who moves messages along.
    pub pump: Pump,
    /// Whether to serve the web page (and fetch the card renderer for it).
    pub page: bool,
    /// Folder in which is noted which function makes which calls of AWS. Each function then has credentials, a secret with its
    /// own fields, caches and tokens of its own, as in AWS; otherwise they share them.
    pub calls: Option<PathBuf>,
    /// Whether to make the demo's world at once; otherwise [`Running::make_demo`] does.
    pub demo: bool,
}

impl LocalConfig {
    /// Everything on simulators and free ports, moved by hand: for tests.
    #[must_use]
    pub fn for_tests(clock: Clock) -> Self {
        Self {
            clock,
            bind: IpAddr::from([127, 0, 0, 1]),
            ports: Ports::default(),
            data_dir: None,
            pagerduty: Side::Simulator,
            teams: Side::Simulator,
            playground: None,
            public_url: None,
            secrets: None,
            environment: BTreeMap::new(),
            pump: Pump::Manual,
            page: false,
            calls: None,
            demo: true,
        }
    }
}

/// How many short rounds of the reconciler are waited for.
const MOST_RUNS: u32 = 10;

/// Something that happens by itself.
struct Due {
    at: Timestamp,
    /// A run of the reconciler, and no webhook or queue message.
    is_run: bool,
}

/// The running stack. Dropping it ends all of its tasks.
#[derive(Debug)]
pub struct Running {
    /// What the functions work with.
    pub app: App,
    /// The environment that the functions were given: the release binaries run with the same one.
    pub environment: BTreeMap<String, String>,
    /// The PagerDuty simulator, if it is not replaced.
    pub pagerduty: Option<PagerDuty>,
    /// The Teams simulator, if it is not replaced.
    pub teams: Option<Teams>,
    /// The embedded AWS.
    pub aws: aws::Endpoint,
    /// Whom and what the demo is about; `None` where a side is replaced.
    pub demo: Option<Demo>,
    base: Url,
    data_dir: Option<PathBuf>,
    playground: bool,
    pump: pump::Pumping,
    servers: Servers,
}

/// Starts everything.
///
/// # Errors
/// A taken port, an unusable folder or configuration; the message names it.
pub async fn compose(config: LocalConfig) -> anyhow::Result<Running> {
    Box::pin(start(config)).await
}

async fn start(config: LocalConfig) -> anyhow::Result<Running> {
    let now = now_of(&config.clock);
    let mut servers = Servers::default();
    let app_listener = serve::listen("PagerBridge's functions", "--port", config.bind, config.ports.app).await?;
    let base = serve::url_of(&app_listener)?;
    let aws_listener = serve::listen("the embedded AWS", "--aws-port", config.bind, config.ports.aws).await?;
    let aws = aws::Endpoint::start(Arc::clone(&now), config.data_dir.as_deref(), aws_listener, config.calls.as_deref())
        .await?;
    let public_url = config.public_url.clone().unwrap_or_else(|| base.clone());
    let pagerduty = match &config.pagerduty {
        Side::Simulator => {
            let listener =
                serve::listen("the PagerDuty simulator", "--pagerduty-port", config.bind, config.ports.pagerduty)
                    .await?;
            Some(environment::start_pagerduty(&mut servers, listener, &now, &public_url)?)
        }
        Side::At(_) => None,
    };
    let teams = match &config.teams {
        Side::Simulator => {
            let listener =
                serve::listen("the Teams simulator", "--teams-port", config.bind, config.ports.teams).await?;
            Some(environment::start_teams(&mut servers, listener, &now, &public_url, config.playground.clone())?)
        }
        Side::At(_) => None,
    };
    environment::restore(config.data_dir.as_deref(), pagerduty.as_ref(), teams.as_ref())?;
    let variables = environment::variables(&config, &aws, &public_url, pagerduty.as_ref(), teams.as_ref());
    let app = App::new(Config::from_env(&|name| variables.get(name).cloned())?, config.clock.clone())?;
    environment::prepare_aws(&app, &AwsClients::new(&app.config.aws), config.secrets.as_deref()).await?;
    let by_function = |name: &str| match &config.calls {
        Some(_) => as_function(&app, name),
        None => Ok(app.clone()),
    };
    let mut router = functions(&by_function)?;
    if let (true, Some(pagerduty), Some(teams)) = (config.page, &pagerduty, &teams) {
        let assets = page::assets::fetch(config.data_dir.as_deref()).await;
        router = router.merge(page::router(pagerduty.clone(), teams.clone(), assets));
    }
    servers.serve(app_listener, router);
    let (sender, reconciler) = (by_function("notification-sender")?, by_function("reconciler")?);
    let pump = pump::Pumping::new(sender, reconciler, pagerduty.clone(), aws.clone());
    if config.pump == Pump::Always {
        pump.run_in(&mut servers, config.data_dir.as_deref(), teams.as_ref());
    }
    let mut running = Running {
        app,
        environment: variables,
        pagerduty,
        teams,
        aws,
        demo: None,
        base,
        data_dir: config.data_dir,
        playground: config.playground.is_some(),
        pump,
        servers,
    };
    if config.demo {
        running.make_demo().await?;
    }
    Ok(running)
}

/// All HTTP functions on one port, as API Gateway would route to them.
fn functions(app: &dyn Fn(&str) -> Result<App, StartError>) -> Result<axum::Router, StartError> {
    Ok(webhook_ingest::router(app("webhook-ingest")?)
        .merge(bot_messages::router(app("bot-messages")?))
        .merge(oauth_callback::router(app("oauth-callback")?))
        .merge(admin_api::router(app("admin-api")?)))
}

/// What a function of its own works with: its own credentials, its own secret and nothing shared but the clock and the figures.
fn as_function(app: &App, name: &str) -> Result<App, StartError> {
    let mut config = app.config.as_ref().clone();
    name.clone_into(&mut config.aws.access_key_id);
    config.secret_id = environment::secret_of(name);
    let mut own = App::new(config, app.clock.clone())?;
    own.metrics = app.metrics.clone();
    Ok(own)
}

fn now_of(clock: &Clock) -> Now {
    let clock = clock.clone();
    Arc::new(move || clock.now())
}

impl Running {
    /// Makes the demo's world, or finds the one that was kept. Does nothing where a side is replaced.
    ///
    /// # Errors
    /// A simulator or the table refuses.
    pub async fn make_demo(&mut self) -> anyhow::Result<()> {
        if let (Some(pagerduty), Some(teams)) = (&self.pagerduty, &self.teams) {
            let demo = seed::demo(&self.app, pagerduty, teams).await.context("the demo's world cannot be made")?;
            if self.playground {
                seed::playground(&self.app, pagerduty, teams)
                    .await
                    .context("the Playground's channel cannot be connected")?;
            }
            self.demo = Some(demo);
        }
        Ok(())
    }

    /// Moves everything that is due until nothing is left to do at the present time: webhooks out of PagerDuty, messages
    /// out of the queue.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub async fn settle(&self) -> anyhow::Result<()> {
        self.pump.settle().await
    }

    /// Lets time pass, stopping at everything that becomes due on the way, as the schedule of short rounds does.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub async fn advance(&self, by: SignedDuration) -> anyhow::Result<()> {
        let end = self.app.clock.now().checked_add(by)?;
        self.settle().await?;
        while let Some(due) = self.next_event().await?.filter(|due| due.at <= end) {
            self.come_to(due).await?;
        }
        self.move_to(end);
        self.settle().await
    }

    /// Lets time pass until neither PagerDuty nor the queue waits for anything, and nothing is unfinished that the next ten minutes
    /// would finish.
    ///
    /// # Errors
    /// The queue cannot be read, or there is something that never ends.
    pub async fn settle_all(&self) -> anyhow::Result<()> {
        let mut runs = 0;
        for _ in 0..10_000 {
            self.settle().await?;
            let Some(due) = self.next_event().await? else { return Ok(()) };
            runs += u32::from(due.is_run);
            if runs > MOST_RUNS && self.pump.next_due().is_none() {
                return Ok(());
            }
            self.come_to(due).await?;
        }
        anyhow::bail!("the stack does not come to rest")
    }

    /// What happens next, and when.
    async fn next_event(&self) -> anyhow::Result<Option<Due>> {
        let queued = self.pump.next_due().map(|at| Due { at, is_run: false });
        let run = self.pump.next_run()?;
        if queued.as_ref().is_some_and(|queued| queued.at < run) || !self.pump.is_unfinished().await? {
            return Ok(queued);
        }
        Ok(Some(Due { at: run, is_run: true }))
    }

    async fn come_to(&self, due: Due) -> anyhow::Result<()> {
        self.move_to(due.at);
        if due.is_run {
            // It has logged what is wrong; the next run tries again.
            let _reported = self.pump.reconcile(reconciler::Extent::Short).await;
        }
        self.settle().await
    }

    /// One full round of the reconciler, as somebody starts it by hand.
    pub async fn reconcile(&self) -> reconciler::Report {
        self.run_reconciler(reconciler::Extent::Full).await
    }

    /// One run of the reconciler.
    pub async fn run_reconciler(&self, extent: reconciler::Extent) -> reconciler::Report {
        self.pump.reconcile(extent).await
    }

    fn move_to(&self, time: Timestamp) {
        let now = self.app.clock.now();
        if time > now {
            self.app.clock.advance(time.duration_since(now));
        }
    }

    /// Replaces the secret, and with it each function's own, as infra/secrets does. Functions notice it when they read theirs again.
    ///
    /// # Errors
    /// It is no JSON object.
    pub async fn put_secret(&self, value: &str) -> anyhow::Result<()> {
        environment::put_secrets(&AwsClients::new(&self.app.config.aws), value).await
    }

    /// Writes the simulators' state into the data folder, if there is one; background tasks do it all the time.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(&self) -> anyhow::Result<()> {
        match (&self.data_dir, &self.pagerduty, &self.teams) {
            (Some(folder), Some(pagerduty), Some(teams)) => environment::keep(folder, pagerduty, teams),
            _ => Ok(()),
        }
    }

    /// Where the functions are.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The web page.
    #[must_use]
    pub fn page_url(&self) -> Url {
        self.base.clone()
    }

    /// What listens where, for people.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, String)> {
        let config = &self.app.config;
        vec![
            ("Bot endpoint", config.public("/api/messages")),
            ("Webhook endpoint", config.public("/webhooks/pagerduty")),
            ("Health", config.public("/health")),
            ("AWS (embedded)", self.aws.url.to_string()),
            ("PagerDuty", config.pagerduty_api_url.to_string()),
            ("Teams (token endpoint)", config.teams_token_url.to_string()),
        ]
    }

    /// Ends all tasks.
    pub async fn stop(self) {
        self.servers.stop().await;
    }
}
