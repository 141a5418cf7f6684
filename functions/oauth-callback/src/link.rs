//! Linking a Teams user to a PagerDuty user, up to the point from which Teams has to say who it is.

use domain::ids::AccountId;
use domain::linking::{AccountLink, Ticket};
use domain::proof::{Number, Standing, names_differ};
use jiff::Timestamp;
use pagerduty::oauth::{Grant, USER_SCOPES};
use runtime::{App, SecretValues};
use store::seal::Sealed;
use store::{Confirm, PendingLink, Proof, Provisional, Tokens};

use crate::identity::who;
use crate::outcome::{Failure, LinkQuestion, Question, Step, Waiting, broken, secrets, table};

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

/// Who would be linked to whom, and what should make the person think twice.
pub(crate) async fn question(app: &App, pending: &PendingLink) -> Result<Question, Failure> {
    let ticket = app.store.ticket_by_hash(&pending.ticket, app.clock.now()).await.map_err(table)?;
    let upn = ticket.ok_or(Failure::LinkExpired)?.upn;
    let link = &pending.link;
    let mut others = Vec::new();
    for tenant in &app.config.allowed_tenants {
        others.extend(app.store.links_beside(link, tenant).await.map_err(table)?);
    }
    Ok(Question::Link(LinkQuestion {
        teams: link.teams_name.clone(),
        names_differ: names_differ(upn.as_deref(), &link.pd_email),
        upn,
        tenant: link.tenant.to_string(),
        pagerduty: format!("{} ({})", link.pd_name, link.pd_email),
        others: others.into_iter().map(|other| other.teams_name).collect(),
    }))
}

/// The person has said yes: everything is ready, and worth nothing until Teams has named them.
pub(crate) async fn confirm(app: &App, browser: &str, pending: &PendingLink) -> Result<Step, Failure> {
    let now = app.clock.now();
    let asked = app.store.ticket_by_hash(&pending.ticket, now).await.map_err(table)?.ok_or(Failure::LinkExpired)?;
    let proof = Proof {
        code: app.random.token().map_err(broken)?.into(),
        number: Number::from_random(app.random.bytes().map_err(broken)?),
    };
    let (id, nonce) = (app.random.token().map_err(broken)?, app.random.bytes().map_err(broken)?);
    let values = secrets(app).await?;
    let ring = values.token_keys().map_err(broken)?;
    let provisional = Provisional {
        proof: proof.seal(ring, &pending.link, &id, nonce).map_err(broken)?,
        id,
        ticket: pending.ticket.clone(),
        asked,
        link: pending.link.clone(),
        tokens: Some(pending.tokens.clone()),
        in_teams: pending.in_teams,
        standing: Standing::Waiting,
        created_at: now,
    };
    match app.store.confirm_link(browser, pending, &provisional, now).await.map_err(table)? {
        Confirm::Waits => {
            let link = &provisional.link;
            tracing::info!(user.id = %link.user, pagerduty.user = %link.pd_user, "link waits for Teams' proof");
            Ok(Step::Waits(waiting(app, &provisional, proof)))
        }
        Confirm::Expired => Err(Failure::LinkExpired),
    }
}

/// What became of the log-in that this browser waits for.
pub(crate) async fn waited_for(app: &App, provisional: &Provisional) -> Result<Step, Failure> {
    match provisional.standing {
        Standing::Waiting => {
            let open = |values: &SecretValues| Ok(Proof::open(values.token_keys()?, provisional)?);
            let proof = app.secrets.open(app.clock.now(), open).await.map_err(broken)?;
            Ok(Step::Waits(waiting(app, provisional, proof)))
        }
        Standing::Linked => Ok(Step::Linked(provisional.link.clone())),
        Standing::Over => Err(Failure::LinkExpired),
    }
}

fn waiting(app: &App, Provisional { link, in_teams, .. }: &Provisional, proof: Proof) -> Waiting {
    Waiting {
        teams: link.teams_name.clone(),
        user: link.user.clone(),
        tenant: link.tenant.clone(),
        code: proof.code,
        number: app.config.link_number.then_some(proof.number),
        in_teams: *in_teams,
    }
}
