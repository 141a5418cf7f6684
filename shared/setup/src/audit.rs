//! Who is told of a change: the account's audit, and the team.

use domain::behind::{Mark, Subject};
use domain::ids::{AccountId, TeamId};
use incidents::want;
use runtime::App;
use store::{AuditEntry, Via};

/// Who changes something, and where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// As PagerDuty or Teams shows them.
    pub name: String,
    pub via: Via,
}

/// Notes a change in the account's audit. A change that cannot be noted is done all the same, and logged.
pub async fn note(app: &App, account: &AccountId, actor: &Actor, text: String) {
    let entry = AuditEntry { at: app.clock.now(), who: actor.name.clone(), via: actor.via, text };
    let Ok(id) = app.random.token() else { return };
    if let Err(error) = app.store.put_audit(account, &id, &entry, app.config.retention).await {
        tracing::error!(error = runtime::chain(&error), "audit entry not stored");
    }
}

/// Has the team's General channel told. A team that cannot be told is no reason to fail.
pub(crate) async fn tell_team(app: &App, account: &AccountId, team: &TeamId, subject: Subject, by: Option<String>) {
    let notice = Mark::notice(account, team, subject, by, app.clock.now());
    if let Err(error) = want(app, &[notice]).await {
        tracing::warn!(team.id = %team, error = runtime::chain(&error), "team not told");
    }
}
