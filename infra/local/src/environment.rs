//! What AWS gives a function: variables, a secret, a table, queues. And the simulators that the variables point to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use runtime::{App, AwsClients, MAX_RECEIVES};
use serde_json::{Value, json};
use simulators::Now;
use simulators::pagerduty::{self, PagerDuty};
use simulators::teams::{self, Teams};
use tokio::net::TcpListener;
use url::Url;

use crate::serve::{Servers, url_of};
use crate::{LocalConfig, Side, aws};

const TABLE: &str = "pagerbridge";
pub(crate) const QUEUE: &str = "pagerbridge.fifo";
const DEAD_LETTERS: &str = "pagerbridge-dead.fifo";
const SECRET: &str = "pagerbridge";
/// Which fields each function's own secret has; infra/secrets makes them from the same list.
const FIELDS: &str = include_str!("../../secret-fields.json");
const REGION: &str = "us-east-1";
const APP_ID: &str = "11111111-2222-4333-8444-555555555555";
const TENANT: &str = "99999999-8888-4777-8666-555555555555";
const CLIENT_ID: &str = "local-client";
const SUBDOMAIN: &str = "acme";
/// The simulated PagerDuty account.
pub const ACCOUNT: &str = "PLOCAL1";

const TEAMS_SECRET: &str = "local-teams-secret";
const PAGERDUTY_SECRET: &str = "local-pagerduty-secret";

/// Whether a variable of the process may override what the stack sets. AWS stays embedded, whatever the shell has set.
#[must_use]
pub fn is_override(name: &str) -> bool {
    name.starts_with("TEAMS_") || name.starts_with("PAGERDUTY_") || name == "PAGERBRIDGE_PUBLIC_URL"
}

pub(crate) fn start_pagerduty(
    servers: &mut Servers,
    listener: TcpListener,
    now: &Now,
    public: &Url,
) -> anyhow::Result<PagerDuty> {
    let simulator = new_pagerduty(now, &url_of(&listener)?, public)?;
    servers.serve(listener, simulator.router());
    Ok(simulator)
}

/// PagerDuty, to be served at `base`, with an app whose functions are at `public`.
pub(crate) fn new_pagerduty(now: &Now, base: &Url, public: &Url) -> anyhow::Result<PagerDuty> {
    let simulator = PagerDuty::new(
        Arc::clone(now),
        pagerduty::Options {
            account_id: ACCOUNT.to_owned(),
            subdomain: SUBDOMAIN.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: PAGERDUTY_SECRET.to_owned(),
            redirect_uris: vec![public.join("/oauth/callback")?.to_string()],
        },
    );
    simulator.set_base(base.as_str());
    Ok(simulator)
}

pub(crate) fn start_teams(
    servers: &mut Servers,
    listener: TcpListener,
    now: &Now,
    public: &Url,
    playground: Option<Url>,
) -> anyhow::Result<Teams> {
    let simulator = new_teams(now, &url_of(&listener)?, public)?;
    let mut router = simulator.router();
    if let Some(connector) = playground {
        router = router.merge(simulator.front_door_router(connector));
    }
    servers.serve(listener, router);
    Ok(simulator)
}

/// Teams, to be served at `base`, with a bot whose functions are at `public`.
pub(crate) fn new_teams(now: &Now, base: &Url, public: &Url) -> anyhow::Result<Teams> {
    let simulator = Teams::new(
        Arc::clone(now),
        teams::Options {
            app_id: APP_ID.to_owned(),
            client_secret: TEAMS_SECRET.to_owned(),
            tenant: TENANT.to_owned(),
            bot_endpoint: public.join("/api/messages")?,
        },
    );
    simulator.set_base(base.as_str());
    Ok(simulator)
}

/// The environment of design section 5, pointing at the stand-ins; the process's own variables win.
pub(crate) fn variables(
    config: &LocalConfig,
    aws: &aws::Endpoint,
    public: &Url,
    pagerduty: Option<&PagerDuty>,
    teams: Option<&Teams>,
) -> BTreeMap<String, String> {
    let aws_url = aws.url.as_str().trim_end_matches('/').to_owned();
    let mut variables = BTreeMap::from(
        [
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL", &aws_url),
            ("PAGERBRIDGE_TABLE", TABLE),
            ("PAGERBRIDGE_QUEUE_URL", &format!("{aws_url}/000000000000/{QUEUE}")),
            ("PAGERBRIDGE_SECRET_ID", SECRET),
            ("PAGERBRIDGE_PUBLIC_URL", public.as_str()),
            ("TEAMS_APP_ID", APP_ID),
            ("TEAMS_TENANT_ID", TENANT),
            ("PAGERDUTY_CLIENT_ID", CLIENT_ID),
            ("PAGERDUTY_SUBDOMAIN", SUBDOMAIN),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let base_of = |side: &Side, simulator: Option<String>| match side {
        Side::Simulator => simulator.unwrap_or_default(),
        Side::At(url) => url.to_string(),
    };
    let pagerduty_base = base_of(&config.pagerduty, pagerduty.map(PagerDuty::base));
    let teams_base = base_of(&config.teams, teams.map(Teams::base));
    let pagerduty_base = pagerduty_base.trim_end_matches('/');
    let teams_base = teams_base.trim_end_matches('/');
    variables.extend(
        [
            ("PAGERDUTY_API_URL", pagerduty_base.to_owned()),
            ("PAGERDUTY_IDENTITY_URL", pagerduty_base.to_owned()),
            ("TEAMS_OPENID_METADATA_URL", format!("{teams_base}/v1/.well-known/openidconfiguration")),
            ("TEAMS_TOKEN_URL", format!("{teams_base}/{TENANT}/oauth2/v2.0/token")),
            ("TEAMS_SERVICE_URL_HOSTS", host_of(teams_base)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    variables.extend(config.environment.clone());
    variables
}

fn host_of(base: &str) -> String {
    Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// Makes the table, the queues and the secret, unless a kept state already has them.
pub(crate) async fn prepare_aws(app: &App, clients: &AwsClients, secret: Option<&str>) -> anyhow::Result<()> {
    let tables = clients.dynamodb.list_tables().send().await.context("the embedded DynamoDB does not answer")?;
    if !tables.table_names().iter().any(|name| name == TABLE) {
        store::create_table(&clients.dynamodb, TABLE).await.context("the table cannot be made")?;
    } else {
        let known =
            clients.dynamodb.describe_table().table_name(TABLE).send().await.context("the table cannot be seen")?;
        let indexes = known.table.map(|table| table.global_secondary_indexes.unwrap_or_default()).unwrap_or_default();
        anyhow::ensure!(
            indexes.len() > 1,
            "the kept state is of an older version, without GSI2: begin with an empty folder"
        );
    }
    let queue = |name: &str| {
        clients
            .sqs
            .create_queue()
            .queue_name(name)
            .attributes(aws_sdk_sqs::types::QueueAttributeName::FifoQueue, "true")
            .attributes(aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout, "360")
    };
    queue(DEAD_LETTERS).send().await.context("the dead-letter queue cannot be made")?;
    let redrive = json!({ "deadLetterTargetArn": format!("arn:aws:sqs:{REGION}:000000000000:{DEAD_LETTERS}"), "maxReceiveCount": MAX_RECEIVES });
    queue(QUEUE)
        .attributes(aws_sdk_sqs::types::QueueAttributeName::RedrivePolicy, redrive.to_string())
        .send()
        .await
        .context("the queue cannot be made")?;
    let known = clients.secrets_manager.get_secret_value().secret_id(SECRET).send().await.ok();
    let value = match (known.and_then(|known| known.secret_string), secret) {
        (Some(known), _) => known,
        (None, Some(given)) => given.to_owned(),
        (None, None) => generated_secret(app)?,
    };
    put_secrets(clients, &value).await
}

/// The name of a function's own secret.
pub(crate) fn secret_of(function: &str) -> String {
    format!("{SECRET}-{function}")
}

/// Stores the secret, and for each function the fields that it needs, as infra/secrets does.
pub(crate) async fn put_secrets(clients: &AwsClients, value: &str) -> anyhow::Result<()> {
    let document: serde_json::Map<String, Value> =
        serde_json::from_str(value).context("the secret is no JSON object")?;
    let mut secrets = vec![(SECRET.to_owned(), value.to_owned())];
    for (function, fields) in serde_json::from_str::<BTreeMap<String, Vec<String>>>(FIELDS)? {
        // Before webhooks had keys of their own, those of the tokens served.
        let of = |field: &str| {
            document.get(field).or_else(|| document.get("token_keys").filter(|_| field == "webhook_keys"))
        };
        let own = fields.iter().filter_map(|field| Some((field.clone(), of(field)?.clone())));
        secrets.push((secret_of(&function), Value::Object(own.collect()).to_string()));
    }
    for (name, value) in secrets {
        let api = &clients.secrets_manager;
        let put = api.put_secret_value().secret_id(&name).secret_string(&value).send().await;
        match put.map_err(|error| error.into_service_error()) {
            Ok(_) => {}
            Err(error) if error.is_resource_not_found_exception() => {
                api.create_secret().name(&name).secret_string(value).send().await.context("a secret cannot be made")?;
            }
            Err(error) => return Err(error).context("a secret cannot be changed"),
        }
    }
    Ok(())
}

fn generated_secret(app: &App) -> anyhow::Result<String> {
    Ok(json!({
        "teams_client_secret": TEAMS_SECRET,
        "pagerduty_client_secret": PAGERDUTY_SECRET,
        "token_keys": [{ "id": "local-1", "key": BASE64_STANDARD.encode(app.random.bytes::<32>()?) }],
        "webhook_keys": [{ "id": "local-webhooks-1", "key": BASE64_STANDARD.encode(app.random.bytes::<32>()?) }],
        "session_key": app.random.token()?,
    })
    .to_string())
}

/// Brings back what [`keep`] wrote.
pub(crate) fn restore(
    folder: Option<&Path>,
    pagerduty: Option<&PagerDuty>,
    teams: Option<&Teams>,
) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let read = |name: &str| -> anyhow::Result<Option<serde_json::Value>> {
        let path = folder.join(name);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Some(serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?))
    };
    if let (Some(simulator), Some(state)) = (pagerduty, read("pagerduty.json")?) {
        simulator.restore(state)?;
    }
    if let (Some(simulator), Some(state)) = (teams, read("teams.json")?) {
        simulator.restore(state)?;
    }
    Ok(())
}

/// Writes the simulators' state into the folder. Each file is replaced whole, so that a stop leaves no half one.
pub(crate) fn keep(folder: &Path, pagerduty: &PagerDuty, teams: &Teams) -> anyhow::Result<()> {
    for (name, state) in [("pagerduty.json", pagerduty.snapshot()), ("teams.json", teams.snapshot())] {
        let text = state.to_string();
        let path = folder.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
            continue;
        }
        let new = folder.join(format!("{name}.new"));
        std::fs::write(&new, text)?;
        std::fs::rename(new, path)?;
    }
    Ok(())
}
