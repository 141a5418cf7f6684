//! What a browser is asked before anything is done. It is kept under the browser's secret, and loaded once for each step.

use domain::linking::TICKET_LIFETIME;
use jiff::Timestamp;
use runtime::App;
use store::{PendingAuthorization, PendingLink};

use crate::outcome::{Failure, broken, secrets, table};

/// A log-in that waits for the person's answer.
#[derive(Debug)]
pub(crate) enum Pending {
    /// Whether two users are to be linked.
    Link(PendingLink),
    /// Whether a team is to be connected.
    Team(PendingAuthorization),
}

impl Pending {
    /// What this browser is asked; `None`: nothing, or not any more.
    pub(crate) async fn load<'b>(app: &App, browser: Option<&'b str>) -> Result<(&'b str, Option<Self>), Failure> {
        let (browser, now) = (browser.ok_or(Failure::LinkExpired)?, app.clock.now());
        if let Some(team) = app.store.pending_authorization(browser, now).await.map_err(table)? {
            return Ok((browser, Some(Self::Team(team))));
        }
        let link = app.store.pending(browser, now).await.map_err(table)?;
        Ok((browser, link.map(Self::Link)))
    }

    /// Whether it began in Teams' sign-in window.
    pub(crate) fn is_in_teams(&self) -> bool {
        matches!(self, Self::Link(PendingLink { in_teams: true, .. }))
    }

    /// Keeps it instead of what the browser was asked before: it is asked one question at a time.
    pub(crate) async fn keep(&self, app: &App, browser: &str) -> Result<(), Failure> {
        match self {
            Self::Link(pending) => {
                app.store.delete_pending_authorization(browser).await.map_err(table)?;
                app.store.put_pending(browser, pending).await.map_err(table)
            }
            Self::Team(pending) => {
                // As long as a log-in to link accounts waits for its confirmation: the person is in front of the page.
                let expires = pending.created_at.checked_add(TICKET_LIFETIME).unwrap_or(Timestamp::MAX);
                app.store.delete_pending(browser).await.map_err(table)?;
                app.store.stop_waiting(browser).await.map_err(table)?;
                app.store.put_pending_authorization(browser, pending, expires).await.map_err(table)
            }
        }
    }

    /// Forgets it; tokens go with it.
    pub(crate) async fn forget(&self, app: &App, browser: &str) -> Result<(), Failure> {
        let forgotten = match self {
            Self::Link(_) => app.store.delete_pending(browser).await,
            Self::Team(_) => app.store.delete_pending_authorization(browser).await,
        };
        forgotten.map_err(table)
    }

    /// Bound to the browser's secret, which no other site can read, and to the very log-in that the page showed: another one
    /// in the same browser must not slip under the button.
    pub(crate) async fn csrf(&self, app: &App, browser: &str) -> Result<String, Failure> {
        let shown = match self {
            Self::Link(PendingLink { ticket, link, created_at, .. }) => format!(
                "link-confirmation#{browser}#{ticket:?}#{}#{}#{}#{}#{created_at}",
                link.tenant, link.user, link.account, link.pd_user
            ),
            Self::Team(PendingAuthorization { ticket, team, installed_at, account, admin, created_at, .. }) => format!(
                "team-confirmation#{browser}#{ticket:?}#{team}#{installed_at}#{}#{}#{created_at}",
                account.id, admin.user
            ),
        };
        secrets(app).await?.tag(&shown).map_err(broken)
    }

    /// Whether the answer comes from the page that asked this.
    pub(crate) async fn check(&self, app: &App, browser: &str, given: &str) -> Result<(), Failure> {
        let expected = self.csrf(app, browser).await?;
        if runtime::same_tag(&expected, given.as_bytes()) { Ok(()) } else { Err(Failure::LinkExpired) }
    }
}
