//! The way to PagerDuty's log-in and back.

use domain::linking::Purpose;
use pagerduty::oauth::{ADMIN_SCOPES, Pkce, USER_SCOPES};
use runtime::{App, SecretValues};
use secrecy::ExposeSecret;
use store::{Attempt, PendingAuthorization, PendingLink, SecretHash};

use crate::outcome::{ExchangeError, Failure, Step, broken, secrets, table};
use crate::pending::Pending;
use crate::{admin, link};

/// Opens a log-in for a ticket; any number of times, since nothing is consumed.
/// `in_teams`: by the sign-in button of Teams.
pub(crate) async fn start(app: &App, ticket: &str, browser: Option<String>, in_teams: bool) -> Result<Step, Failure> {
    let now = app.clock.now();
    let Some(known) = app.store.ticket(ticket, now).await.map_err(table)? else {
        admin::renew(app, ticket).await;
        return Err(Failure::LinkExpired);
    };
    let scopes = match known.purpose {
        Purpose::Link { .. } if !in_teams && !app.config.link_number => return Err(Failure::OnlyInTeams),
        Purpose::Link { .. } => USER_SCOPES,
        Purpose::Authorize { .. } => ADMIN_SCOPES,
    };
    to_pagerduty(app, Some(store::secret_hash(ticket)), scopes, browser, in_teams).await
}

/// Leads the browser to PagerDuty's log-in, bound to the browser by its secret. No ticket: to the configuration page.
pub(crate) async fn to_pagerduty(
    app: &App,
    ticket: Option<SecretHash>,
    scopes: &[&str],
    browser: Option<String>,
    in_teams: bool,
) -> Result<Step, Failure> {
    let now = app.clock.now();
    let values = secrets(app).await?;
    let browser = browser.map_or_else(|| app.random.token(), Ok).map_err(broken)?;
    let state = app.random.token().map_err(broken)?;
    let pkce = Pkce::from_random(app.random.bytes().map_err(broken)?);
    let nonce = app.random.bytes().map_err(broken)?;
    let ring = values.token_keys().map_err(broken)?;
    let verifier = ring.seal(pkce.verifier.expose_secret().as_bytes(), &state, nonce).map_err(broken)?;
    let attempt = Attempt { ticket, verifier, browser: store::secret_hash(&browser), in_teams, created_at: now };
    app.store.put_attempt(&state, &attempt).await.map_err(table)?;
    Ok(Step::ToPagerDuty { url: app.oauth.authorize_url(&state, &pkce, scopes), browser, in_teams })
}

/// PagerDuty sent the browser back with a code: take the attempt (once), exchange, and keep everything for the question.
pub(crate) async fn returned(app: &App, browser: Option<&str>, state: &str, code: &str) -> Result<Step, Failure> {
    let now = app.clock.now();
    let call = app.random.token().map_err(broken)?;
    let attempt = app.store.take_attempt(state, &call, now).await.map_err(table)?.ok_or(Failure::LinkExpired)?;
    let browser = browser.filter(|secret| store::secret_hash(secret) == attempt.browser).ok_or(Failure::LinkExpired)?;
    let ticket = match attempt.ticket {
        Some(hash) => {
            Some((app.store.ticket_by_hash(&hash, now).await.map_err(table)?.ok_or(Failure::LinkExpired)?, hash))
        }
        None => None,
    };
    let open = |values: &SecretValues| Ok(values.token_keys()?.open(&attempt.verifier, state)?);
    let verifier = app.secrets.open(now, open).await.map_err(broken)?;
    let exchange = async |values: &SecretValues| {
        Ok::<_, ExchangeError>(app.oauth.exchange(values.pagerduty_client_secret()?, code, &verifier, now).await?)
    };
    let grant = app.with_secret(exchange).await?;
    let Some((known, ticket)) = ticket else { return admin::log_in(app, &grant).await };
    let pending = match &known.purpose {
        Purpose::Link { account, .. } => {
            let (link, tokens) = link::identify(app, &known, account.as_ref(), grant, now).await?;
            let (browser, in_teams) = (attempt.browser, attempt.in_teams);
            Pending::Link(PendingLink { ticket, link, tokens, browser, in_teams, created_at: now })
        }
        Purpose::Authorize { team, installed_at } => {
            let (account, admin) = admin::identify(app, &grant).await?;
            let (team, installed_at, asked_by) = (team.clone(), *installed_at, known.teams_name.clone());
            Pending::Team(PendingAuthorization {
                ticket,
                team,
                installed_at,
                account,
                admin,
                asked_by,
                created_at: now,
            })
        }
    };
    pending.keep(app, browser).await?;
    Ok(Step::ToConfirmation { in_teams: pending.is_in_teams() })
}
