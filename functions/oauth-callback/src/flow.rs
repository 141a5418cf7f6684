//! The steps of linking accounts, without HTTP; those of authorizing and of logging in are in `admin`.

use domain::failure::Class;
use domain::linking::{AccountLink, Purpose, Ticket, WANTED_LIFETIME, WantedAction};
use jiff::Timestamp;
use pagerduty::oauth::{ADMIN_SCOPES, Grant, Identity, Pkce, USER_SCOPES, missing_scopes};
use pagerduty::rest::User;
use runtime::{App, SecretValues};
use secrecy::ExposeSecret;
use store::{Attempt, Confirm, PendingLink, SecretHash, Tokens};
use teams::connector::ConnectorAuth;
use url::Url;

use crate::admin;

/// What the browser gets to see next.
#[derive(Debug)]
pub(crate) enum Step {
    /// PagerDuty's log-in.
    ToPagerDuty { url: Url, browser: String },
    /// The confirmation page, under an address without code and state.
    ToConfirmation,
    /// The confirmation page.
    Ask { teams: String, pagerduty: String, csrf: String },
    /// The confirmation page for connecting a team.
    AskTeam { about: TeamToConnect, csrf: String },
    /// The link is made.
    Linked(AccountLink),
    /// The team is connected, and its admin logged in to the configuration page.
    Connected { team: String, session: String },
    /// An admin is logged in to the configuration page.
    LoggedIn { session: String },
    /// The person decided against it.
    Cancelled,
}

/// What an admin is told about a team before it is connected.
#[derive(Debug)]
pub(crate) struct TeamToConnect {
    pub(crate) team: String,
    pub(crate) tenant: String,
    /// Whose personal link was followed.
    pub(crate) asked_by: String,
    pub(crate) account: String,
    pub(crate) admin: String,
}

/// Why linking did not work, as far as it concerns the person in the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The personal link or the log-in is too old, was used, or belongs to another browser.
    LinkExpired,
    /// The person said no at PagerDuty.
    Denied,
    /// The PagerDuty user belongs to another account than the one that is connected to Teams.
    WrongAccount,
    /// The PagerDuty user's role does not allow it.
    NotAdmin,
    /// The team is connected to another account.
    OtherAccount,
    /// PagerDuty granted less than the app needs.
    MissingScopes,
    /// PagerDuty or AWS does not answer.
    TryAgain,
    /// Something is configured wrongly.
    Broken,
}

/// Opens a log-in for a ticket; any number of times, since nothing is consumed.
pub(crate) async fn start(app: &App, ticket: &str, browser: Option<String>) -> Result<Step, Failure> {
    let now = app.clock.now();
    let Some(known) = app.store.ticket(ticket, now).await.map_err(|error| table(&error))? else {
        admin::renew(app, ticket).await;
        return Err(Failure::LinkExpired);
    };
    let scopes = match known.purpose {
        Purpose::Link { .. } => USER_SCOPES,
        Purpose::Authorize { .. } => ADMIN_SCOPES,
    };
    to_pagerduty(app, Some(store::secret_hash(ticket)), scopes, browser).await
}

/// Leads the browser to PagerDuty's log-in, bound to the browser by its secret.
pub(crate) async fn to_pagerduty(
    app: &App,
    ticket: Option<SecretHash>,
    scopes: &[&str],
    browser: Option<String>,
) -> Result<Step, Failure> {
    let now = app.clock.now();
    let values = secrets(app).await?;
    let browser = browser.map_or_else(|| app.random.token(), Ok).map_err(broken)?;
    let state = app.random.token().map_err(broken)?;
    let pkce = Pkce::from_random(app.random.bytes().map_err(broken)?);
    let nonce = app.random.bytes().map_err(broken)?;
    let verifier = values.token_keys.seal(pkce.verifier.expose_secret().as_bytes(), &state, nonce).map_err(broken)?;
    let attempt = Attempt { ticket, verifier, browser: store::secret_hash(&browser), created_at: now };
    app.store.put_attempt(&state, &attempt).await.map_err(|error| table(&error))?;
    Ok(Step::ToPagerDuty { url: app.oauth.authorize_url(&state, &pkce, scopes), browser })
}

/// PagerDuty sent the browser back with a code: take the attempt (once), exchange, and keep everything for the question.
pub(crate) async fn returned(app: &App, browser: Option<&str>, state: &str, code: &str) -> Result<Step, Failure> {
    let now = app.clock.now();
    let attempt =
        app.store.take_attempt(state, now).await.map_err(|error| table(&error))?.ok_or(Failure::LinkExpired)?;
    let browser = browser.filter(|secret| store::secret_hash(secret) == attempt.browser).ok_or(Failure::LinkExpired)?;
    let ticket = match &attempt.ticket {
        Some(hash) => {
            let known = app.store.ticket_by_hash(hash, now).await.map_err(|error| table(&error))?;
            Some((hash.clone(), known.ok_or(Failure::LinkExpired)?))
        }
        None => None,
    };
    let values = secrets(app).await?;
    let verifier = values.token_keys.open(&attempt.verifier, state).map_err(broken)?;
    let grant = app.oauth.exchange(&values.pagerduty_client_secret, code, &verifier, now).await.map_err(oauth)?;
    let Some((hash, ticket)) = ticket else { return admin::log_in(app, &grant).await };
    if let Purpose::Authorize { team, installed_at } = &ticket.purpose {
        return admin::pend(app, browser, hash, (team, *installed_at, &ticket.teams_name), &grant).await;
    }
    let link = identify(app, &ticket, &grant, now).await?;
    let tokens = Tokens { access: grant.access_token, refresh: grant.refresh_token, expires_at: grant.expires_at };
    let sealed = tokens.seal(&values.token_keys, &link, app.random.bytes().map_err(broken)?).map_err(broken)?;
    let pending = PendingLink { ticket: hash, link, tokens: sealed, browser: attempt.browser, created_at: now };
    // A browser is asked one question at a time.
    app.store.delete_pending_authorization(browser).await.map_err(|error| table(&error))?;
    app.store.put_pending(browser, &pending).await.map_err(|error| table(&error))?;
    Ok(Step::ToConfirmation)
}

/// Whom the id token names, if PagerDuty granted all that was asked for.
pub(crate) fn identity(app: &App, grant: &Grant, scopes: &'static [&'static str]) -> Result<Identity, Failure> {
    let missing = missing_scopes(grant, scopes);
    if !missing.is_empty() {
        tracing::warn!(missing = missing.join(" "), "PagerDuty granted less than asked for");
        return Err(Failure::MissingScopes);
    }
    app.oauth.identity(grant.id_token.as_ref().ok_or(Failure::Broken)?, app.clock.now()).map_err(oauth)
}

/// The same person, as PagerDuty's API describes them.
pub(crate) async fn described(app: &App, grant: &Grant, identity: &Identity) -> Result<User, Failure> {
    let user = app.pagerduty.me(&grant.access_token).await.map_err(|error| {
        tracing::warn!(error = runtime::chain(&error), "PagerDuty does not say who logged in");
        Failure::TryAgain
    })?;
    if user.id != identity.user {
        tracing::error!("the id token and the API name different users");
        return Err(Failure::Broken);
    }
    Ok(user)
}

/// Who logged in at PagerDuty, and whether that is somebody whom this ticket may be linked to.
async fn identify(app: &App, ticket: &Ticket, grant: &Grant, now: Timestamp) -> Result<AccountLink, Failure> {
    let identity = identity(app, grant, USER_SCOPES)?;
    let wanted = match &ticket.purpose {
        Purpose::Link { account, .. } => account.as_ref(),
        Purpose::Authorize { .. } => None,
    };
    if wanted.is_some_and(|account| account != &identity.account) {
        return Err(Failure::WrongAccount);
    }
    let user = described(app, grant, &identity).await?;
    Ok(AccountLink {
        tenant: ticket.tenant.clone(),
        user: ticket.user.clone(),
        teams_name: ticket.teams_name.clone(),
        account: identity.account,
        pd_user: user.id,
        pd_name: user.name,
        pd_email: user.email,
        linked_at: now,
    })
}

/// Shows what would be done.
pub(crate) async fn ask(app: &App, browser: Option<&str>) -> Result<Step, Failure> {
    if let Some(question) = admin::ask(app, browser).await? {
        return Ok(question);
    }
    let (browser, pending) = pending(app, browser).await?;
    let values = secrets(app).await?;
    let csrf = csrf(&values, browser, &pending);
    let link = pending.link;
    Ok(Step::Ask { teams: link.teams_name, pagerduty: format!("{} ({})", link.pd_name, link.pd_email), csrf })
}

/// Makes the link: once, in one transaction with the end of the ticket.
pub(crate) async fn confirm(app: &App, browser: Option<&str>, given: &str) -> Result<Step, Failure> {
    if let Some(done) = admin::confirm(app, browser, given).await? {
        return Ok(done);
    }
    let (browser, pending) = pending(app, browser).await?;
    check(&csrf(&*secrets(app).await?, browser, &pending), given)?;
    let now = app.clock.now();
    let ticket = app.store.ticket_by_hash(&pending.ticket, now).await.map_err(|error| table(&error))?;
    match app.store.confirm_link(browser, &pending, now).await.map_err(|error| table(&error))? {
        Confirm::Linked(link) => {
            tracing::info!(user.id = %link.user, pagerduty.user = %link.pd_user, "accounts linked");
            if let Some(ticket) = ticket {
                tell(app, &ticket, &link).await;
            }
            Ok(Step::Linked(link))
        }
        Confirm::Expired => Err(Failure::LinkExpired),
    }
}

/// Forgets the log-in; the tokens go with it.
pub(crate) async fn cancel(app: &App, browser: Option<&str>, given: &str) -> Result<Step, Failure> {
    if let Some(done) = admin::cancel(app, browser, given).await? {
        return Ok(done);
    }
    let (browser, pending) = pending(app, browser).await?;
    check(&csrf(&*secrets(app).await?, browser, &pending), given)?;
    app.store.delete_pending(browser).await.map_err(|error| table(&error))?;
    Ok(Step::Cancelled)
}

/// PagerDuty led back with an error instead of a code.
pub(crate) fn denied(error: &str) -> Failure {
    if error == "access_denied" { Failure::Denied } else { Failure::TryAgain }
}

async fn pending<'b>(app: &App, browser: Option<&'b str>) -> Result<(&'b str, PendingLink), Failure> {
    let browser = browser.ok_or(Failure::LinkExpired)?;
    let pending = app.store.pending(browser, app.clock.now()).await.map_err(|error| table(&error))?;
    Ok((browser, pending.ok_or(Failure::LinkExpired)?))
}

/// Bound to the browser's secret, which no other site can read, and to the very log-in that the page showed: another one in
/// the same browser must not slip under the button.
fn csrf(values: &SecretValues, browser: &str, pending: &PendingLink) -> String {
    let PendingLink { ticket, link, created_at, .. } = pending;
    let shown = format!(
        "link-confirmation#{browser}#{ticket:?}#{}#{}#{}#{}#{created_at}",
        link.tenant, link.user, link.account, link.pd_user
    );
    values.tag(&shown)
}

pub(crate) fn check(expected: &str, given: &str) -> Result<(), Failure> {
    if runtime::same_tag(expected, given.as_bytes()) { Ok(()) } else { Err(Failure::LinkExpired) }
}

/// The Teams user learns of every link that is made in their name, by a way that the browser cannot suppress. What they
/// wanted to do before is one click away.
async fn tell(app: &App, ticket: &Ticket, link: &AccountLink) {
    let now = app.clock.now();
    let Ok(values) = app.secrets.values(now).await else { return };
    let auth = ConnectorAuth { secret: &values.teams_client_secret, now };
    let wanted = match &ticket.purpose {
        Purpose::Link { wanted: Some(wanted), .. } => keep(app, link, wanted).await.map(|id| (wanted, id)),
        Purpose::Link { wanted: None, .. } | Purpose::Authorize { .. } => None,
    };
    let card = cards::linked(link, wanted.as_ref().map(|(wanted, id)| (*wanted, id.as_str())));
    let sent = app.connector.send_to_chat(&auth, &ticket.service_url, &ticket.conversation, &card).await;
    if let Err(error) = sent {
        tracing::warn!(error = runtime::chain(&error), "private message about the new link not sent");
    }
}

async fn keep(app: &App, link: &AccountLink, wanted: &WantedAction) -> Option<String> {
    let id = app.random.token().ok()?;
    let expires = app.clock.now().checked_add(WANTED_LIFETIME).unwrap_or(Timestamp::MAX);
    match app.store.put_wanted((&link.tenant, &link.user), &id, wanted, expires).await {
        Ok(()) => Some(id),
        Err(error) => {
            tracing::warn!(error = runtime::chain(&error), "what the person wanted to do is forgotten");
            None
        }
    }
}

pub(crate) async fn secrets(app: &App) -> Result<std::sync::Arc<SecretValues>, Failure> {
    app.secrets.values(app.clock.now()).await.map_err(|error| {
        tracing::error!(error = runtime::chain(&error), "secret cannot be read");
        Failure::TryAgain
    })
}

pub(crate) fn table(error: &store::Error) -> Failure {
    tracing::error!(error = runtime::chain(error), "table failed");
    Failure::TryAgain
}

pub(crate) fn broken(error: impl std::error::Error + 'static) -> Failure {
    tracing::error!(error = runtime::chain(&error), "linking is broken");
    Failure::Broken
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(crate) fn oauth(error: pagerduty::oauth::OAuthError) -> Failure {
    tracing::warn!(error = runtime::chain(&error), "PagerDuty's OAuth refused");
    match error.class() {
        Class::Relink => Failure::LinkExpired,
        Class::Retry { .. } | Class::Unclear => Failure::TryAgain,
        Class::Forbidden | Class::Gone | Class::Invalid | Class::Bug => Failure::Broken,
    }
}
