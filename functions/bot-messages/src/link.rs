//! The end of linking: Teams says which user has the page before them, by its code or by the number that they write.
//!
//! Everything is looked for among that user's own log-ins. What somebody else knows, or was shown, opens nothing here. A link that
//! is made is told and noted even if the time for the answer runs out meanwhile.

use domain::linking::{AccountLink, Purpose, WANTED_LIFETIME, WantedAction};
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

/// Teams has taken over a code from the page in a sign-in window. Nobody sees an answer to it, so whatever comes of it is told
/// in the chat.
pub(crate) async fn signed_in(app: &App, who: &Who, code: &str) {
    if code.len() < LEAST_CODE {
        return;
    }
    let (worker, person, code) = (app.clone(), who.clone(), code.to_owned());
    let work = app.finish(async move {
        match Box::pin(take_code(&worker, &person, &code)).await {
            Ok(()) => {}
            Err(FlowError::Teams(error)) => {
                tracing::warn!(error = runtime::chain(&error), "person not told what came of a sign-in");
            }
            Err(error) => {
                tracing::error!(error = runtime::chain(&error), "sign-in not finished");
                if let Err(error) = person.tell(&worker, &cards::link_unclear()).await {
                    tracing::warn!(error = runtime::chain(&error), "person not told that a sign-in was not finished");
                }
            }
        }
    });
    if work.await.is_err() {
        tracing::error!("sign-in was broken off");
    }
}

async fn take_code(app: &App, who: &Who, code: &str) -> Result<(), FlowError> {
    for known in app.store.provisionals_of(&who.tenant, who.user()?, app.clock.now()).await? {
        let proof = if known.in_teams { opened(app, &known).await? } else { None };
        if proof.is_some_and(|proof| runtime::same_tag(proof.code.expose_secret(), code.as_bytes())) {
            return match known.standing {
                Standing::Waiting => Box::pin(link(app, who, &known)).await,
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
    let (worker, person, number) = (app.clone(), who.clone(), number.clone());
    app.finish(async move { Box::pin(take_number(&worker, &person, &number)).await }).await?
}

async fn take_number(app: &App, who: &Who, number: &Number) -> Result<(), FlowError> {
    let known = app.store.provisionals_of(&who.tenant, who.user()?, app.clock.now()).await?;
    let mut tried = Vec::new();
    let mut used_up = Vec::new();
    for waiting in known.iter().filter(|known| known.standing == Standing::Waiting).take(MOST_WAITING) {
        match app.store.spend_try(waiting).await? {
            Some(_) if fits(app, waiting, number).await? => {
                let linked = Box::pin(link(app, who, waiting)).await;
                if linked.is_err() {
                    // It was the right one, so it may be written again.
                    app.store.return_try(waiting).await?;
                }
                return linked;
            }
            Some(0) | None => used_up.push(waiting),
            Some(left) => tried.push((waiting, left)),
        }
    }
    // Teams asks again when it has not heard the answer, and the window may have been first.
    if let Some(link) = linked_before(app, who, number).await? {
        return who.tell(app, &cards::linked(&link, None)).await;
    }
    for over in &used_up {
        app.store.give_up(over).await?;
    }
    // A log-in whose link is over waits for nothing.
    tried.retain(|(waiting, _)| used_up.iter().all(|over| over.ticket != waiting.ticket));
    let left = tried.iter().map(|(_, left)| *left).max();
    let card = match left {
        Some(left) => cards::wrong_number(left),
        None if used_up.is_empty() => cards::no_number_wanted(),
        None => cards::numbers_used_up(),
    };
    who.tell(app, &card).await
}

/// The link that the log-in with this number has become already.
async fn linked_before(app: &App, who: &Who, number: &Number) -> Result<Option<AccountLink>, FlowError> {
    let known = app.store.provisionals_of(&who.tenant, who.user()?, app.clock.now()).await?;
    for linked in known.into_iter().filter(|known| known.standing == Standing::Linked) {
        if fits(app, &linked, number).await? {
            return Ok(Some(linked.link));
        }
    }
    Ok(None)
}

async fn fits(app: &App, known: &Provisional, number: &Number) -> Result<bool, FlowError> {
    let proof = opened(app, known).await?;
    Ok(proof.is_some_and(|proof| runtime::same_tag(proof.number.digits(), number.digits().as_bytes())))
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
            // Others with the same personal link have nothing to wait for any more.
            if let Err(error) = app.store.give_up(known).await {
                tracing::warn!(
                    error = runtime::chain(&error),
                    "other log-ins with the same link run out by themselves"
                );
            }
            tokio::join!(tell(app, who, known, &link), tell_others(app, who, known, &link), note(app, known, &link));
            Ok(())
        }
        // Teams and the person may have proven it in the same moment: whoever was first has told it.
        Activated::Before => Ok(()),
        Activated::Over => {
            app.store.give_up(known).await?;
            who.tell(app, &cards::sign_in_over()).await
        }
    }
}

/// What the person wanted to do before is one click away.
async fn tell(app: &App, who: &Who, known: &Provisional, link: &AccountLink) {
    let wanted = match &known.asked.purpose {
        Purpose::Link { wanted: Some(wanted), .. } => keep(app, link, wanted).await.map(|id| (wanted, id)),
        Purpose::Link { wanted: None, .. } | Purpose::Authorize { .. } => None,
    };
    let card = cards::linked(link, wanted.as_ref().map(|(wanted, id)| (*wanted, id.as_str())));
    if let Err(error) = who.tell(app, &card).await {
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
async fn tell_others(app: &App, who: &Who, known: &Provisional, link: &AccountLink) {
    for tenant in &app.config.allowed_tenants {
        let others = match app.store.links_beside(link, tenant).await {
            Ok(others) => others,
            Err(error) => {
                tracing::error!(error = runtime::chain(&error), "who else is linked to a person is not known");
                continue;
            }
        };
        for other in others {
            let card = cards::linked_by_another(&other, &link.teams_name, known.asked.upn.as_deref());
            if let Err(error) = send_to(app, who, &other, &card).await {
                tracing::warn!(error = runtime::chain(&error), user.id = %other.user, "not told of a second link");
            }
        }
    }
}

async fn send_to(app: &App, who: &Who, other: &AccountLink, card: &cards::Card) -> Result<(), FlowError> {
    if let Some(chat) = app.store.personal_chat(&other.tenant, &other.user).await? {
        let PersonalChat { conversation, service_url, .. } = chat;
        match app.bot().send(&service_url, &conversation, card).await {
            // The chat that is remembered may be gone, while another can be opened.
            Err(error) if error.is_closed() => {}
            sent => return Ok(sent.map(drop)?),
        }
    }
    let conversation = app.bot().open_chat(&who.service_url, &other.tenant, &other.user).await?;
    app.bot().send(&who.service_url, &conversation, card).await?;
    Ok(())
}

async fn note(app: &App, known: &Provisional, link: &AccountLink) {
    let actor = Actor { name: link.teams_name.clone(), via: Via::Teams };
    let text = format!(
        "linked the Teams user {} ({}) to the PagerDuty user {} ({})",
        link.teams_name,
        known.asked.upn.as_deref().unwrap_or("sign-in name not known"),
        link.pd_name,
        link.pd_email
    );
    setup::note(app, &link.account, &actor, text).await;
}
