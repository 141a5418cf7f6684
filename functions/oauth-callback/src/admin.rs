//! What only PagerDuty admins do: authorize a team, log in to the configuration page.
//!
//! Who is an admin is PagerDuty's to say, and is asked as the app: a user whom the app's own account does not know belongs to
//! another account, whatever their token says.

use domain::connection::Account;
use domain::linking::Purpose;
use domain::permission::Rank;
use pagerduty::Region;
use pagerduty::oauth::{ADMIN_SCOPES, Grant};
use runtime::App;
use setup::{Actor, Authorized, SESSION_LIFETIME, SetupError};
use store::{Admin, PendingAuthorization, Session, Via};

use crate::identity::who;
use crate::outcome::{Failure, Question, Step, broken, table};

/// An authorization link that was opened too late is replaced by a new one, once, as the page then says. Somebody without
/// the old link cannot bring this about.
pub(crate) async fn renew(app: &App, ticket: &str) {
    let Ok(Some(old)) = app.store.take_renewal(ticket, app.clock.now()).await else { return };
    let Purpose::Authorize { team, installed_at } = &old.purpose else { return };
    let Ok(Some(installation)) = app.store.installation(team).await else { return };
    let waits = installation.waits_for_authorization()
        && installation.installed_at == *installed_at
        && installation.tenant == old.tenant;
    if !waits {
        return;
    }
    let person = Authorized {
        user: old.user.clone(),
        name: old.teams_name.clone(),
        conversation: old.conversation.clone(),
        service_url: old.service_url.clone(),
    };
    if let Err(error) = setup::send_authorization(app, &installation, &person, false).await {
        tracing::warn!(error = runtime::chain(&error), "authorization link not renewed");
    }
}

/// Who logged in, if PagerDuty says that they are an admin of our own account.
pub(crate) async fn identify(app: &App, grant: &Grant) -> Result<(Account, Admin), Failure> {
    let (id, user) = who(app, grant, ADMIN_SCOPES, None).await?;
    let admin = setup::admin(app, &user.id).await.map_err(setting_up)?;
    // Ids are unique within an account; the address makes sure that it is the same person in the app's own account.
    let admin = admin.filter(|admin| admin.email.eq_ignore_ascii_case(&user.email)).ok_or(Failure::WrongAccount)?;
    if admin.rank < Rank::Admin {
        return Err(Failure::NotAdmin);
    }
    let own = app.store.account_of_app(&app.config.pagerduty_client_id, &id).await;
    if own.map_err(table)? != id {
        tracing::error!("an admin's log-in names another account than the app's first one");
        return Err(Failure::WrongAccount);
    }
    let subdomain = app.config.pagerduty_subdomain.clone();
    let web = match &user.html_url {
        Some(url) => url.origin().ascii_serialization(),
        None => match app.config.pagerduty_region {
            Region::Us => format!("https://{subdomain}.pagerduty.com"),
            Region::Eu => format!("https://{subdomain}.eu.pagerduty.com"),
        },
    };
    Ok((Account { id, subdomain, web }, admin))
}

/// An admin is back from PagerDuty to use the configuration page.
pub(crate) async fn log_in(app: &App, grant: &Grant) -> Result<Step, Failure> {
    let (account, admin) = identify(app, grant).await?;
    app.store.put_account(&account).await.map_err(table)?;
    Ok(Step::LoggedIn { session: open_session(app, &account, admin).await? })
}

async fn open_session(app: &App, account: &Account, admin: Admin) -> Result<String, Failure> {
    let now = app.clock.now();
    let secret = app.random.token().map_err(broken)?;
    let expires_at = now.checked_add(SESSION_LIFETIME).unwrap_or(now);
    let session = Session { account: account.id.clone(), admin, checked_at: now, seen_at: Some(now), expires_at };
    app.store.put_session(&secret, &session).await.map_err(table)?;
    Ok(secret)
}

/// Which team would be connected to which account.
pub(crate) async fn question(app: &App, pending: &PendingAuthorization) -> Result<Question, Failure> {
    let installation = app.store.installation(&pending.team).await.map_err(table)?;
    let shown = installation.filter(|known| known.installed_at == pending.installed_at && known.removed_at.is_none());
    let installation = shown.ok_or(Failure::LinkExpired)?;
    Ok(Question::Team {
        team: installation.shown_name().to_owned(),
        tenant: installation.tenant.to_string(),
        asked_by: pending.asked_by.clone(),
        account: pending.account.subdomain.clone(),
        admin: format!("{} ({})", pending.admin.name, pending.admin.email),
    })
}

/// Connects the team, once.
pub(crate) async fn confirm(app: &App, browser: &str, pending: &PendingAuthorization) -> Result<Step, Failure> {
    let now = app.clock.now();
    if app.store.ticket_by_hash(&pending.ticket, now).await.map_err(table)?.is_none() {
        return Err(Failure::LinkExpired);
    }
    // The role may have been taken away since the log-in.
    let admin = setup::admin(app, &pending.admin.user).await.map_err(setting_up)?;
    let admin = admin.filter(|admin| admin.rank >= Rank::Admin).ok_or(Failure::NotAdmin)?;
    let actor = Actor { name: admin.name.clone(), via: Via::Page };
    let installation = setup::authorize(app, &pending.team, pending.installed_at, &pending.account, &actor)
        .await
        .map_err(setting_up)?;
    // Only now: a failure above leaves the ticket good for another try, and connecting twice is connecting once.
    app.store.end_ticket(&pending.ticket, now).await.map_err(table)?;
    app.store.delete_pending_authorization(browser).await.map_err(table)?;
    let team = installation.shown_name().to_owned();
    Ok(Step::Connected { team, session: open_session(app, &pending.account, admin).await? })
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn setting_up(error: SetupError) -> Failure {
    tracing::warn!(error = runtime::chain(&error), "authorization not completed");
    match error {
        SetupError::Outdated | SetupError::NotConnected => Failure::LinkExpired,
        SetupError::OtherAccount => Failure::OtherAccount,
        SetupError::AppToken(_) | SetupError::Seal(_) | SetupError::PublicUrl(_) | SetupError::Random(_) => {
            Failure::Broken
        }
        SetupError::ServiceUnknown { .. }
        | SetupError::TooManySubscriptions
        | SetupError::Busy
        | SetupError::ChannelUnreachable { .. }
        | SetupError::PagerDuty(_)
        | SetupError::Teams(_)
        | SetupError::Table(_)
        | SetupError::Queue(_)
        | SetupError::Observe(_)
        | SetupError::BrokenOff(_)
        | SetupError::Secret(_) => Failure::TryAgain,
    }
}
