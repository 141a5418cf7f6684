//! Linking a Teams user to a PagerDuty user.

use domain::ids::AccountId;
use domain::linking::{AccountLink, Purpose, Ticket, WANTED_LIFETIME, WantedAction};
use jiff::Timestamp;
use pagerduty::oauth::{Grant, USER_SCOPES};
use runtime::App;
use store::seal::Sealed;
use store::{Confirm, PendingLink, Tokens};

use crate::identity::who;
use crate::outcome::{Failure, Question, Step, broken, secrets, table};

/// A person is back from PagerDuty: whom they would be linked to, and their tokens. `account`: the only one that may be.
pub(crate) async fn identify(
    app: &App,
    ticket: &Ticket,
    account: Option<&AccountId>,
    grant: Grant,
    now: Timestamp,
) -> Result<(AccountLink, Sealed), Failure> {
    let (account, user) = who(app, &grant, USER_SCOPES, account).await?;
    let link = AccountLink {
        tenant: ticket.tenant.clone(),
        user: ticket.user.clone(),
        teams_name: ticket.teams_name.clone(),
        account,
        pd_user: user.id,
        pd_name: user.name,
        pd_email: user.email,
        linked_at: now,
    };
    let tokens = Tokens { access: grant.access_token, refresh: grant.refresh_token, expires_at: grant.expires_at };
    let nonce = app.random.bytes().map_err(broken)?;
    let values = secrets(app).await?;
    let sealed = tokens.seal(values.token_keys().map_err(broken)?, &link, nonce).map_err(broken)?;
    Ok((link, sealed))
}

/// Who would be linked to whom.
pub(crate) fn question(link: &AccountLink) -> Question {
    Question::Link { teams: link.teams_name.clone(), pagerduty: format!("{} ({})", link.pd_name, link.pd_email) }
}

/// Makes the link: once, in one transaction with the end of the ticket.
pub(crate) async fn confirm(app: &App, browser: &str, pending: &PendingLink) -> Result<Step, Failure> {
    let now = app.clock.now();
    let ticket = app.store.ticket_by_hash(&pending.ticket, now).await.map_err(table)?;
    match app.store.confirm_link(browser, pending, now).await.map_err(table)? {
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

/// The Teams user learns of every link that is made in their name, by a way that the browser cannot suppress. What they
/// wanted to do before is one click away.
async fn tell(app: &App, ticket: &Ticket, link: &AccountLink) {
    let wanted = match &ticket.purpose {
        Purpose::Link { wanted: Some(wanted), .. } => keep(app, link, wanted).await.map(|id| (wanted, id)),
        Purpose::Link { wanted: None, .. } | Purpose::Authorize { .. } => None,
    };
    let card = cards::linked(link, wanted.as_ref().map(|(wanted, id)| (*wanted, id.as_str())));
    if let Err(error) = app.bot().send(&ticket.service_url, &ticket.conversation, &card).await {
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
