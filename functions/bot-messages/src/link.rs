//! The end of linking: Teams says which user has the page before them, by its code or by the number that they write.
//!
//! Everything is looked for among that user's own log-ins. What somebody else knows, or was shown, opens nothing here.

use domain::linking::{AccountLink, Purpose, Ticket, WANTED_LIFETIME, WantedAction};
use domain::proof::{MOST_WAITING, Number, Standing};
use jiff::Timestamp;
use runtime::{App, OpenError, SecretValues};
use secrecy::ExposeSecret;
use setup::Actor;
use store::{Activated, PersonalChat, Proof, Provisional, Via};

use crate::error::FlowError;
use crate::who::Who;

/// Shorter than any code: what Teams sends when a window is closed, or was none of ours.
const LEAST_CODE: usize = 32;

/// Teams has taken over a code from the page in a sign-in window.
pub(crate) async fn signed_in(app: &App, who: &Who, code: &str) {
    if let Err(error) = take_code(app, who, code).await {
        tracing::error!(error = runtime::chain(&error), "sign-in not finished");
        if let Err(error) = who.tell(app, &cards::link_not_made()).await {
            tracing::warn!(error = runtime::chain(&error), "person not told that a sign-in was not finished");
        }
    }
}

async fn take_code(app: &App, who: &Who, code: &str) -> Result<(), FlowError> {
    if code.len() < LEAST_CODE {
        return Ok(());
    }
    let now = app.clock.now();
    for known in app.store.provisionals_of(&who.tenant, who.user()?, now).await? {
        let proof = opened(app, &known).await?;
        if proof.is_some_and(|proof| runtime::same_tag(proof.code.expose_secret(), code.as_bytes())) {
            return match known.standing {
                Standing::Waiting => link(app, who, &known).await,
                // Teams asks again when it has not heard the answer.
                Standing::Linked => Ok(()),
                Standing::Over => who.tell(app, &cards::sign_in_over()).await,
            };
        }
    }
    who.tell(app, &cards::sign_in_over()).await
}

/// Somebody has written a number.
pub(crate) async fn number(app: &App, who: &Who, number: &Number) -> Result<(), FlowError> {
    if !who.private {
        return who.tell(app, &cards::number_belongs_here()).await;
    }
    let known = app.store.provisionals_of(&who.tenant, who.user()?, app.clock.now()).await?;
    let waiting = known.iter().filter(|known| known.standing == Standing::Waiting).take(MOST_WAITING);
    let mut left = None;
    let mut used_up = Vec::new();
    for known in waiting {
        let Some(more) = app.store.spend_try(known).await? else { continue };
        let proof = opened(app, known).await?;
        if proof.is_some_and(|proof| runtime::same_tag(proof.number.digits(), number.digits().as_bytes())) {
            return link(app, who, known).await;
        }
        left = left.max(Some(more));
        used_up.extend((more == 0).then_some(known));
    }
    for known in used_up {
        app.store.give_up(known).await?;
    }
    let card = match left {
        None => cards::no_number_wanted(),
        Some(0) => cards::numbers_used_up(),
        Some(left) => cards::wrong_number(left),
    };
    who.tell(app, &card).await
}

/// What a log-in's page shows; `None`: it cannot be opened any more.
async fn opened(app: &App, known: &Provisional) -> Result<Option<Proof>, FlowError> {
    let open = |values: &SecretValues| Ok(Proof::open(values.token_keys()?, known)?);
    match app.secrets.open(app.clock.now(), open).await {
        Ok(proof) => Ok(Some(proof)),
        Err(OpenError::Seal(error)) => {
            tracing::warn!(error = runtime::chain(&error), "proof of a log-in cannot be opened");
            Ok(None)
        }
        Err(OpenError::Secret(error)) => Err(error.into()),
    }
}

/// Makes the link and tells everybody whom it concerns.
async fn link(app: &App, who: &Who, known: &Provisional) -> Result<(), FlowError> {
    match app.store.activate(known, app.clock.now()).await? {
        Activated::Linked(link) => {
            tracing::info!(user.id = %link.user, pagerduty.user = %link.pd_user, "accounts linked");
            tell(app, &known.asked, &link).await;
            tell_others(app, who, &known.asked, &link).await;
            note(app, &known.asked, &link).await;
            Ok(())
        }
        Activated::Over => who.tell(app, &cards::sign_in_over()).await,
    }
}

/// What the person wanted to do before is one click away.
async fn tell(app: &App, asked: &Ticket, link: &AccountLink) {
    let wanted = match &asked.purpose {
        Purpose::Link { wanted: Some(wanted), .. } => keep(app, link, wanted).await.map(|id| (wanted, id)),
        Purpose::Link { wanted: None, .. } | Purpose::Authorize { .. } => None,
    };
    let card = cards::linked(link, wanted.as_ref().map(|(wanted, id)| (*wanted, id.as_str())));
    if let Err(error) = app.bot().send(&asked.service_url, &asked.conversation, &card).await {
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

/// Whoever was linked to this PagerDuty user before learns that somebody else is now: the page has asked whoever was logged in
/// at PagerDuty, and that may have been somebody else.
async fn tell_others(app: &App, who: &Who, asked: &Ticket, link: &AccountLink) {
    for tenant in &app.config.allowed_tenants {
        let linked = match app.store.links_to(&link.account, tenant, &link.pd_user).await {
            Ok(linked) => linked,
            Err(error) => {
                tracing::error!(error = runtime::chain(&error), "who else is linked to a person is not known");
                continue;
            }
        };
        for other in linked.iter().filter(|other| (&other.tenant, &other.user) != (&link.tenant, &link.user)) {
            let card = cards::linked_by_another(other, &link.teams_name, asked.upn.as_deref());
            if let Err(error) = send_to(app, who, other, &card).await {
                tracing::warn!(error = runtime::chain(&error), user.id = %other.user, "not told of a second link");
            }
        }
    }
}

async fn send_to(app: &App, who: &Who, other: &AccountLink, card: &cards::Card) -> Result<(), FlowError> {
    let (conversation, service_url) = match app.store.personal_chat(&other.tenant, &other.user).await? {
        Some(PersonalChat { conversation, service_url, .. }) => (conversation, service_url),
        None => {
            (app.bot().open_chat(&who.service_url, &other.tenant, &other.user).await?, who.service_url.clone())
        }
    };
    app.bot().send(&service_url, &conversation, card).await?;
    Ok(())
}

async fn note(app: &App, asked: &Ticket, link: &AccountLink) {
    let actor = Actor { name: link.teams_name.clone(), via: Via::Teams };
    let text = format!(
        "linked the Teams user {} ({}) to the PagerDuty user {} ({})",
        link.teams_name,
        asked.upn.as_deref().unwrap_or("sign-in name not known"),
        link.pd_name,
        link.pd_email
    );
    setup::note(app, &link.account, &actor, text).await;
}
