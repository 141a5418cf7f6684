//! Everything that can be wrong with a deployed stack, and how to put it right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::channel::Unfinished;
use domain::connection::{Connection, Health};
use domain::healing::Part;
use domain::ids::AccountId;
use jiff::{SignedDuration, Timestamp};
use pagerduty::rest::SubscriptionState;
use reqwest::StatusCode;
use reqwest::header::DATE;
use runtime::{App, BotError, chain, http_client};
use setup::OwnSubscriptions;

use super::{Stack, redrive};

/// As the alarm's threshold.
const MOST_UNFINISHED: SignedDuration = SignedDuration::from_mins(5);

/// Tokens of Entra and PagerDuty, and AWS signatures, allow for some minutes.
const MOST_SKEW: SignedDuration = SignedDuration::from_mins(2);

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As it should be; what was seen.
    Fine(String),
    /// Not as it should be.
    Wrong {
        /// What was seen.
        seen: String,
        /// What to do.
        fix: String,
    },
    /// Cannot be said; why.
    Unknown(String),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it ended.
    pub state: State,
}

impl Finding {
    /// Whether something has to be done.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        matches!(self.state, State::Wrong { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Fine(seen) => write!(f, "ok     {:<20} {seen}", self.what),
            State::Unknown(why) => write!(f, "?      {:<20} {why}", self.what),
            State::Wrong { seen, fix } => write!(f, "WRONG  {:<20} {seen}\n       {:<20} fix: {fix}", self.what, ""),
        }
    }
}

fn fine(what: &'static str, seen: impl Into<String>) -> Finding {
    Finding { what, state: State::Fine(seen.into()) }
}

fn wrong(what: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, state: State::Wrong { seen: seen.into(), fix: fix.into() } }
}

fn unknown(what: &'static str, why: impl Into<String>) -> Finding {
    Finding { what, state: State::Unknown(why.into()) }
}

/// Looks at everything; what fails keeps nothing else from being looked at.
pub async fn examine(stack: &Stack) -> Vec<Finding> {
    let app = &stack.app;
    let mut findings = vec![
        fine("configuration", "every variable is set and well-formed"),
        table(app).await,
        queue(app).await,
        dead_letters(stack).await,
        Box::pin(secret(app)).await,
        Box::pin(bot_token(app)).await,
        bot_keys(app).await,
        Box::pin(app_token(app)).await,
    ];
    findings.extend(Box::pin(public_url(app)).await);
    findings.push(sources(app));
    let account = app.store.known_account_of_app(&app.config.pagerduty_client_id).await;
    match account {
        Ok(Some(account)) => {
            findings.extend(Box::pin(subscriptions(stack, &account)).await);
            findings.push(Box::pin(connections(app, &account)).await);
            findings.push(unfinished(app, &account).await);
            findings.extend(reconciler(app).await);
        }
        Ok(None) => findings.push(unknown("authorization", "no PagerDuty admin has authorized a team yet")),
        Err(error) => findings.push(unknown("authorization", chain(&error))),
    }
    findings
}

async fn table(app: &App) -> Finding {
    match app.store.reachable().await {
        Ok(()) => fine("table", format!("{} answers", app.config.table)),
        Err(error) => wrong(
            "table",
            chain(&error),
            "check that the stack is complete and that your AWS user may read the table; see 'ApiErrorsAlarm' in operations.md",
        ),
    }
}

async fn queue(app: &App) -> Finding {
    match app.queue.reachable().await {
        Ok(()) => fine("queue", "answers"),
        Err(error) => {
            wrong("queue", chain(&error), "check that the stack is complete and that your AWS user may use the queue")
        }
    }
}

async fn dead_letters(stack: &Stack) -> Finding {
    let what = "dead letters";
    let Some(url) = stack.outputs.get("DeadLetterQueueUrl") else {
        return unknown(what, "the stack has no output DeadLetterQueueUrl");
    };
    match redrive::depth(&stack.sqs, url).await {
        Ok((_, 0)) => fine(what, "none"),
        Ok((_, count)) => wrong(
            what,
            format!("{count} messages that no sender could read, or survived"),
            "look at them and into notification-sender's log, then run the redrive command; see 'DeadLettersAlarm' in operations.md",
        ),
        Err(error) => unknown(what, format!("{error:#}")),
    }
}

async fn secret(app: &App) -> Finding {
    match app.secrets.values(app.clock.now()).await {
        Ok(_) => fine("secret", "has everything, well-formed"),
        Err(error) => wrong("secret", chain(&error), "run infra/secrets fill, then infra/secrets check"),
    }
}

async fn bot_token(app: &App) -> Finding {
    let what = "bot token";
    match app.bot().check().await {
        Ok(()) => fine(what, "Entra gives the bot a token"),
        Err(BotError::Teams(error)) => wrong(
            what,
            chain(&error),
            "check TeamsAppId and TeamsTenantId against the Entra app, and that its client secret has not expired: make a new \
             one and run infra/secrets replace",
        ),
        Err(BotError::Secret(_) | BotError::GaveUp) => unknown(what, "needs the secret"),
    }
}

async fn bot_keys(app: &App) -> Finding {
    let (what, url) = ("bot connector keys", app.config.openid_metadata_url.as_str());
    match status(url).await {
        Ok(StatusCode::OK) => fine(what, "can be fetched"),
        Ok(status) => wrong(what, format!("{url} answers {status}"), "check TeamsOpenIdMetadataUrl for your cloud"),
        Err(error) => wrong(what, error, "check TeamsOpenIdMetadataUrl for your cloud, and this machine's network"),
    }
}

async fn app_token(app: &App) -> Finding {
    let what = "PagerDuty app";
    match app.as_app().new_token().await {
        Ok(token) if token.missing.is_empty() => fine(what, "gets a token with every scope"),
        Ok(token) => wrong(
            what,
            format!("lacks the scopes {}", token.missing.join(", ")),
            "add them to the scoped OAuth app in PagerDuty (Integrations, App Registration); see deploy.md for what each is for",
        ),
        Err(error) => wrong(
            what,
            chain(&error),
            "check PagerDutyClientId, PagerDutySubdomain and PagerDutyRegion against the app in PagerDuty, and its client \
             secret with infra/secrets replace",
        ),
    }
}

async fn status(url: &str) -> Result<StatusCode, String> {
    let http = http_client().map_err(|error| chain(&error))?;
    http.get(url).send().await.map(|answer| answer.status()).map_err(|error| chain(&error.without_url()))
}

/// What the world sees: reachable, TLS that PagerDuty accepts, the clock, and every route where it belongs.
async fn public_url(app: &App) -> Vec<Finding> {
    let what = "public URL";
    let url = app.config.public("/health");
    let http = match http_client() {
        Ok(http) => http,
        Err(error) => return vec![unknown(what, chain(&error))],
    };
    let answer = match http.get(&url).send().await {
        Ok(answer) => answer,
        Err(error) => {
            return vec![wrong(
                what,
                chain(&error.without_url()),
                "check the custom domain's DNS record and certificate, or the API itself; PagerDuty demands TLS 1.2 or newer \
                 with a publicly trusted certificate and the whole chain",
            )];
        }
    };
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
    let mut findings = vec![match answer.status() {
        StatusCode::OK => fine(what, format!("{url} answers")),
        // Strangers are not told which part is failing.
        status => wrong(what, format!("{url} answers {status}"), "what it depends on is checked here one by one"),
    }];
    findings.push(tls(app));
    findings.push(clock(app, date.as_deref()));
    findings.push(routes(app, &http).await);
    findings
}

/// The request before has succeeded, and our client trusts public authorities only and speaks nothing older than TLS 1.2.
fn tls(app: &App) -> Finding {
    let what = "TLS";
    let url = &app.config.public_url;
    match url.scheme() {
        "https" => fine(what, "publicly trusted certificate, TLS 1.2 or newer"),
        _ if runtime::is_loopback(url) => unknown(what, "the public URL is this machine"),
        _ => wrong(
            what,
            "the public URL is not https",
            "PagerDuty and Teams deliver to https only: set a public URL that is",
        ),
    }
}

fn clock(app: &App, date: Option<&str>) -> Finding {
    let what = "clock";
    let theirs = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
    let Some(theirs) = theirs else { return unknown(what, "the public URL does not say what time it is") };
    let skew = app.clock.now().duration_since(theirs).abs();
    if skew <= MOST_SKEW {
        return fine(what, format!("{} s between this machine and AWS", skew.as_secs()));
    }
    wrong(what, format!("this machine and AWS differ by {} s", skew.as_secs()), "set this machine's clock by NTP")
}

fn sources(app: &App) -> Finding {
    let what = "webhook sources";
    match app.config.webhook_sources.count() {
        0 => fine(what, "every address: the signature decides alone (WebhookSources is not set)"),
        count => fine(
            what,
            format!("{count} addresses or ranges only; 'WebhooksFromElsewhereAlarm' says when PagerDuty has others"),
        ),
    }
}

async fn routes(app: &App, http: &reqwest::Client) -> Finding {
    let what = "routes";
    // This machine is hardly on the list, if there is one.
    let from_here: &[u16] = if app.config.webhook_sources.count() == 0 { &[400] } else { &[400, 403] };
    // What each answers to somebody who brings nothing along.
    let expected: [(&str, &str, &[u16]); 5] = [
        ("POST", "/api/messages", &[401]),
        ("POST", "/webhooks/pagerduty", from_here),
        ("GET", "/oauth/start?ticket=none", &[400]),
        ("GET", "/admin", &[200]),
        ("GET", "/admin/api/v1/session", &[401]),
    ];
    let mut strange = Vec::new();
    for (method, path, statuses) in expected {
        let url = app.config.public(path);
        let request = if method == "GET" { http.get(&url) } else { http.post(&url) };
        let seen = request.send().await.map(|answer| answer.status().as_u16());
        match seen {
            Ok(seen) if statuses.contains(&seen) => {}
            Ok(seen) => strange.push(format!("{method} {path} answers {seen} and not {statuses:?}")),
            Err(error) => strange.push(format!("{method} {path}: {}", chain(&error.without_url()))),
        }
    }
    if strange.is_empty() {
        return fine(what, "each function answers as it should");
    }
    wrong(what, strange.join("; "), "look into that function's log; deploy again if a route is missing")
}

async fn subscriptions(stack: &Stack, account: &AccountId) -> Vec<Finding> {
    let own = match Box::pin(setup::own_subscriptions(&stack.app, account)).await {
        Ok(own) => own,
        Err(error) => return vec![unknown("subscriptions", chain(&error))],
    };
    vec![delivering(&stack.app, account, &own).await, addresses(stack, &own)]
}

/// Whether PagerDuty delivers to the public address alone, so that the one before can be closed.
fn addresses(stack: &Stack, own: &OwnSubscriptions) -> Finding {
    let what = "webhook addresses";
    if !own.elsewhere.is_empty() {
        let hosts: BTreeSet<_> = own.elsewhere.iter().filter_map(|one| one.url.host_str()).collect();
        return wrong(
            what,
            format!(
                "{} webhooks still come to {}",
                own.elsewhere.len(),
                hosts.into_iter().collect::<Vec<_>>().join(", ")
            ),
            "keep that address open: the reconciler moves them within a minute or two; check that it runs, and its log for \
             'webhook subscription not mended'",
        );
    }
    let host = stack.app.config.public_url.host_str().unwrap_or_default();
    let seen = format!("all {} come to {host}", own.here.len());
    let parameter = |name: &str| stack.parameters.get(name).map(String::as_str).unwrap_or_default();
    match (parameter("CustomDomainName"), parameter("CloseExecuteApi")) {
        ("", _) => fine(what, seen),
        (_, "true") => fine(what, format!("{seen}; the execute-api address is closed")),
        _ => fine(
            what,
            format!(
                "{seen}; CloseExecuteApi can close the execute-api address, if Azure and PagerDuty's app know the domain"
            ),
        ),
    }
}

/// Whether each connected service has a subscription that is switched on, wherever it delivers to.
async fn delivering(app: &App, account: &AccountId, own: &OwnSubscriptions) -> Finding {
    let what = "subscriptions";
    let seen = async {
        let listed: BTreeMap<_, _> = own.here.iter().chain(&own.elsewhere).map(|one| (&one.id, one.state)).collect();
        let (mut good, mut disabled, mut missing) = (0, Vec::new(), Vec::new());
        for connection in connected(app, account).await? {
            let used = app.store.subscription_of_service(account, &connection.service).await?;
            match used.and_then(|used| listed.get(&used.id).copied()) {
                Some(SubscriptionState::Active) => good += 1,
                Some(SubscriptionState::Disabled) => disabled.push(connection.service_name),
                Some(SubscriptionState::Gone) | None => missing.push(connection.service_name),
            }
        }
        Ok::<_, store::Error>((good, disabled, missing))
    };
    match seen.await {
        Ok((good, disabled, missing)) if disabled.is_empty() && missing.is_empty() => {
            fine(what, format!("of all {good} connections deliver"))
        }
        Ok((_, disabled, missing)) => wrong(
            what,
            format!("disabled: {}; missing: {}", listing(&disabled), listing(&missing)),
            "the reconciler mends them within a minute or two: check that it runs, and why PagerDuty gave up; see \
             'SubscriptionDisabledAlarm' in operations.md",
        ),
        Err(error) => unknown(what, chain(&error)),
    }
}

/// The connections of all teams.
async fn connected(app: &App, account: &AccountId) -> Result<Vec<Connection>, store::Error> {
    let mut connections = Vec::new();
    for team in app.store.teams_of_account(account).await? {
        connections.extend(app.store.connections_of_team(&team.team).await?);
    }
    Ok(connections)
}

fn listing(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

async fn connections(app: &App, account: &AccountId) -> Finding {
    let what = "connections";
    let seen = async {
        let (mut healthy, mut broken) = (0, Vec::new());
        for connection in connected(app, account).await? {
            match connection.health {
                Health::Healthy => healthy += 1,
                Health::Broken { reason, .. } => broken.push(format!("{} ({reason})", connection.service_name)),
                Health::ServiceGone { .. } => broken.push(format!("{} (deleted)", connection.service_name)),
            }
        }
        Ok::<_, store::Error>((healthy, broken))
    };
    match seen.await {
        Ok((healthy, broken)) if broken.is_empty() => fine(what, format!("all {healthy} reach their channels")),
        Ok((_, broken)) => wrong(
            what,
            format!("not in order: {}", broken.join(", ")),
            "add the app to the channel's team again, or remove the connection on the configuration page",
        ),
        Err(error) => unknown(what, chain(&error)),
    }
}

async fn unfinished(app: &App, account: &AccountId) -> Finding {
    let what = "unfinished";
    let now = app.clock.now();
    let seen = async {
        let mut all = Unfinished::default();
        for channel in app.store.channels_of_account(account).await? {
            if let Some((set, state)) = incidents::unfinished_in(app, account, &channel).await? {
                all = all.and(&Unfinished::of(&set, &state, &app.config.storm, now));
            }
        }
        Ok::<_, store::Error>(all)
    };
    let all = match seen.await {
        Ok(all) => all,
        Err(error) => return unknown(what, chain(&error)),
    };
    if all.oldest > MOST_UNFINISHED {
        return wrong(
            what,
            format!("{} things are unfinished, the oldest for {} min", all.count, all.oldest.as_mins()),
            "the deliveries on the configuration page say why; see 'OldestUnfinishedAlarm' in operations.md",
        );
    }
    if all.parked > 0 {
        return wrong(
            what,
            format!("{} parked: Teams does not take it, or its senders die", all.parked),
            "the deliveries on the configuration page say why, and Replay tries again; see 'ParkedAlarm' in operations.md",
        );
    }
    fine(what, format!("{} things, and nothing that could be done is late", all.count))
}

async fn reconciler(app: &App) -> Vec<Finding> {
    let what = "reconciler";
    let now = app.clock.now();
    let healing = match app.store.healing(&app.config.pagerduty_client_id).await {
        Ok(healing) => healing,
        Err(error) => return vec![unknown(what, chain(&error))],
    };
    let Some(seen_at) = healing.seen_at else {
        return vec![wrong(what, "has never run", "check ReconcilerEnabled, and the reconciler's log")];
    };
    if let Some(since) = healing.silent_since(now) {
        let seen = format!("has not run since {}", minute(since));
        let fix = "check ReconcilerEnabled, and the reconciler's log; see 'ReconcilerSilentAlarm' in operations.md";
        return vec![wrong(what, seen, fix)];
    }
    let broken: Vec<Finding> = healing.broken(now).map(|(part, since)| undone(part, since)).collect();
    if broken.is_empty() {
        return vec![fine(what, format!("ran at {}, and every part of it heals", minute(seen_at)))];
    }
    broken
}

/// A part of the reconciler that does not heal.
fn undone(part: Part, since: Timestamp) -> Finding {
    let first = match part {
        Part::Account | Part::Kept => "see that the table answers",
        Part::Channels => "see that the table and the queue answer",
        Part::Subscriptions | Part::Incidents | Part::Missed | Part::News => {
            "see 'PagerDuty app' above, and PagerDuty's status page"
        }
        Part::Teams => "see 'PagerDuty app' and 'bot token' above",
        Part::BotToken => "see 'bot token' above",
    };
    let name = part.name();
    wrong(
        "reconciler",
        format!("{} since {}", part.undone(), minute(since)),
        format!("{first}; the reconciler's log says why where part is {name}; see 'NotHealingAlarm' in operations.md"),
    )
}

/// A time as a person reads it.
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
