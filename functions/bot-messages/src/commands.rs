//! What people write to the bot. Each command says in `cards::COMMANDS` where it works and who may.
//!
//! What concerns everybody is answered where it was written; what concerns one person is answered privately.

mod lists;
mod manage;

use cards::{Command, CommandName};
use domain::failure::Class;
use domain::ids::AccountId;
use domain::linking::{AccountLink, Wanted};
use domain::permission::Rank;
use pagerduty::rest::ApiError;
use runtime::App;
use teams::activity::Activity;

use crate::once::{self, Turn};
use crate::place::{Person, Place};
use crate::private::{self, PrivateError, reply};

/// Runs the command in `text`.
pub(crate) async fn run(app: &App, activity: &Activity, text: &str) {
    let key = once::key_of(activity);
    match once::begin(app, &key).await {
        Ok(Turn::Act) => {}
        Ok(Turn::InProgress | Turn::Done) => return,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "command not run");
            return;
        }
    }
    let place = Place::of(activity);
    let bot = activity.recipient.as_ref().and_then(|bot| bot.name.as_deref()).unwrap_or_default();
    match answer(app, &place, without_name(text, bot)).await {
        Ok(()) => once::finish(app, &key).await,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "command failed");
            tell_failure(app, &place, &error).await;
            once::give_up(app, &key).await;
        }
    }
}

/// A person who hears nothing tries again and again, or gives up.
async fn tell_failure(app: &App, place: &Place, error: &PrivateError) {
    let card = match error {
        PrivateError::NoUser => cards::setup::failed(cards::text::unknown_person()),
        PrivateError::Setup(error) => cards::setup::failed(&error.to_string()),
        closed if closed.is_closed() => cards::setup::failed(cards::text::no_private_message()),
        PrivateError::Table(_)
        | PrivateError::Teams(_)
        | PrivateError::Secret(_)
        | PrivateError::Random(_)
        | PrivateError::Token(_) => cards::setup::failed(cards::text::try_again()),
    };
    if let Err(error) = reply(app, place, &card).await {
        tracing::warn!(error = runtime::chain(&error), "failure not told");
    }
}

/// The text without the bot's name, for those who type it instead of mentioning the bot.
fn without_name<'t>(text: &'t str, bot: &str) -> &'t str {
    let text = text.trim();
    let bare = text.strip_prefix('@').unwrap_or(text);
    for name in [bot, "PagerBridge", "PagerDuty"] {
        let rest = bare.get(..name.len()).filter(|start| !name.is_empty() && start.eq_ignore_ascii_case(name));
        if let Some(rest) = rest.and_then(|_| bare.get(name.len()..))
            && (rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == ':' || c == ','))
        {
            return rest.trim_start_matches([':', ',']).trim();
        }
    }
    text
}

/// Answers a command. Called again with the same text when somebody had to link first.
pub(crate) async fn answer(app: &App, place: &Place, text: &str) -> Result<(), PrivateError> {
    let (word, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let argument = argument.trim();
    let Some(command) = cards::find_command(if word.is_empty() { "help" } else { word }) else {
        return reply(app, place, &cards::unknown_command(word)).await;
    };
    let here = match command.place {
        cards::Place::Anywhere => true,
        cards::Place::Channel => place.channel.is_some(),
        cards::Place::Private => place.private,
    };
    if !here {
        return reply(app, place, &cards::wrong_place(command)).await;
    }
    match command.name {
        CommandName::Help => help(app, place).await,
        CommandName::Open => open(app, place).await,
        CommandName::LinkUser => link(app, place).await,
        CommandName::UnlinkUser => unlink(app, place).await,
        CommandName::Trigger => trigger(app, place).await,
        CommandName::Incidents => lists::incidents(app, place, text, argument).await,
        CommandName::OnCall => lists::oncall(app, place, text, argument).await,
        CommandName::Connections => lists::connections(app, place).await,
        CommandName::Connect => manage::connect(app, place, command, text, argument).await,
        CommandName::Disconnect => manage::disconnect(app, place, command, text, argument).await,
        CommandName::Authorize => manage::authorize(app, place, argument).await,
        CommandName::Configure => manage::configure(app, place, command).await,
    }
}

async fn help(app: &App, place: &Place) -> Result<(), PrivateError> {
    let rank = match (place.account(app).await, &place.user) {
        (Ok(Some(account)), Some(user)) => setup::rank_of(app, &place.tenant, user, &account).await.unwrap_or(None),
        _ => None,
    };
    let reader = cards::Reader { private: place.private, rank };
    reply(app, place, &cards::help(reader, env!("CARGO_PKG_VERSION"))).await
}

async fn open(app: &App, place: &Place) -> Result<(), PrivateError> {
    let account = match place.account(app).await? {
        Some(account) => app.store.account(&account).await?,
        None => None,
    };
    let card = match account {
        Some(account) => cards::setup::open_pagerduty(&account.subdomain, &account.web),
        None => cards::setup::not_authorized(),
    };
    reply(app, place, &card).await
}

async fn link(app: &App, place: &Place) -> Result<(), PrivateError> {
    let account = place.account(app).await?;
    private::send_link(app, place, account, None).await
}

/// Deletes the links and with them the tokens; PagerDuty keeps nothing that could still act.
async fn unlink(app: &App, place: &Place) -> Result<(), PrivateError> {
    let deleted: Vec<AccountLink> = app.store.delete_links(&place.tenant, place.user()?).await?;
    let card = if deleted.is_empty() { cards::nothing_to_unlink() } else { cards::unlinked(&deleted) };
    private::send(app, place, &card).await
}

async fn trigger(app: &App, place: &Place) -> Result<(), PrivateError> {
    let Some(account) = place.account(app).await? else {
        return reply(app, place, &cards::setup::not_authorized()).await;
    };
    if place.person(app, &account).await?.is_none() {
        return place.ask_to_link(app, &account, "a new incident", Wanted::Trigger).await;
    }
    reply(app, place, &cards::trigger::trigger_offer()).await
}

/// The account of this place and the person in it, for a command that needs both. `None`: they were told what is missing.
async fn linked(app: &App, place: &Place, text: &str) -> Result<Option<(AccountId, Person)>, PrivateError> {
    let Some(account) = place.account(app).await? else {
        reply(app, place, &cards::setup::not_authorized()).await?;
        return Ok(None);
    };
    if let Some(person) = place.person(app, &account).await? {
        return Ok(Some((account, person)));
    }
    relink(app, place, &account, text).await?;
    Ok(None)
}

async fn relink(app: &App, place: &Place, account: &AccountId, text: &str) -> Result<(), PrivateError> {
    let (conversation, team) = (place.conversation.clone(), place.team.clone());
    let what = Wanted::Command { text: text.to_owned(), conversation, team };
    place.ask_to_link(app, account, text, what).await
}

/// Whether PagerDuty's role allows the command; if not, the person is told.
async fn may(app: &App, place: &Place, command: &Command, rank: Rank) -> Result<bool, PrivateError> {
    if rank >= command.rank {
        return Ok(true);
    }
    reply(app, place, &cards::not_allowed(command)).await?;
    Ok(false)
}

/// Tells the person what PagerDuty said instead of an answer.
async fn explain(app: &App, place: &Place, error: &ApiError) -> Result<(), PrivateError> {
    tracing::warn!(error = runtime::chain(error), "PagerDuty did not answer a command");
    let why = match error.class() {
        Class::Unclear | Class::Retry { .. } => cards::text::busy_pagerduty().to_owned(),
        Class::Forbidden => cards::text::forbidden().to_owned(),
        Class::Relink | Class::Gone | Class::Invalid | Class::Bug => cards::text::pagerduty_refused(error.message()),
    };
    reply(app, place, &cards::setup::failed(&why)).await
}

/// Asks PagerDuty as the person; a token that it refuses is replaced once, and then the person is asked to link again.
macro_rules! as_person {
    ($app:expr, $place:expr, $account:expr, $text:expr, $person:expr, |$auth:ident| $call:expr) => {{
        let mut renewed = false;
        loop {
            let outcome = {
                let $auth = $person.auth();
                $call.await
            };
            match outcome {
                Ok(answer) => break answer,
                Err(error) if error.class() == domain::failure::Class::Relink => {
                    if !renewed && $person.renew($app).await? {
                        renewed = true;
                    } else {
                        return crate::commands::relink($app, $place, $account, $text).await;
                    }
                }
                Err(error) => return crate::commands::explain($app, $place, &error).await,
            }
        }
    }};
}
pub(crate) use as_person;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_name_is_no_command() {
        for (text, rest) in [
            ("help", "help"),
            ("@PagerBridge help", "help"),
            ("pagerbridge: connect x", "connect x"),
            ("@PagerDuty  open", "open"),
            ("My Bot linkUser", "linkUser"),
            ("@PagerBridge", ""),
            ("PagerBridges", "PagerBridges"),
            ("", ""),
        ] {
            assert_eq!(without_name(text, "My Bot"), rest, "{text}");
        }
    }
}
