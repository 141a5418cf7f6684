//! What people write to the bot. Each command says in `cards::COMMANDS` where it works and who may.
//!
//! What concerns everybody is answered where it was written; what concerns one person is answered privately.

mod lists;
mod manage;
mod options;

use cards::CommandName;
use domain::linking::{AccountLink, Wanted};
use domain::proof::Number;
use runtime::once::{self, Ended, HOLD, KEEP};
use runtime::{App, PersonError};
use store::OnceKey;
use teams::auth::Verified;

use crate::error::{FlowError, Unlinked, sentence};
use crate::link;
use crate::who::Who;

/// Runs the command in `text`, once.
pub(crate) async fn run(app: &App, who: &Who, verified: &Verified, text: &str) {
    let activity = verified.activity();
    let bot = activity.recipient.as_ref().and_then(|bot| bot.name.as_deref()).unwrap_or_default();
    let work = Box::pin(async {
        match answer(app, who, without_name(text, bot)).await {
            Ok(()) => Ended::Done((), "done".to_owned()),
            Err(error) => {
                tracing::error!(error = runtime::chain(&error), "command failed");
                tell_failure(app, who, &error).await;
                Ended::Undone(())
            }
        }
    });
    let key = OnceKey::Activity(&activity.conversation.id, &activity.id);
    if let Err(error) = once::run(app, key, HOLD, KEEP, work).await {
        tracing::error!(error = runtime::chain(&error), "command not run");
    }
}

/// A person who hears nothing tries again and again, or gives up.
async fn tell_failure(app: &App, who: &Who, error: &FlowError) {
    let card = match error {
        FlowError::NoUser => cards::setup::failed(cards::text::UNKNOWN_PERSON),
        FlowError::Setup(error) => cards::setup::failed(&error.to_string()),
        closed if closed.is_closed() => cards::setup::failed(cards::text::NO_PRIVATE_MESSAGE),
        error => cards::setup::failed(error.sentence()),
    };
    if let Err(error) = who.reply(app, &card).await {
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
pub(crate) async fn answer(app: &App, who: &Who, text: &str) -> Result<(), FlowError> {
    let error = match carry_out(app, who, text).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    match &error {
        FlowError::NotConnected => who.reply(app, &cards::setup::not_authorized()).await,
        FlowError::Person(lost @ (PersonError::NeedsLink | PersonError::LogInLost)) => {
            if matches!(lost, PersonError::LogInLost) {
                who.tell(app, &cards::told(cards::text::LOG_IN_LOST)).await?;
            }
            let (conversation, team) = (who.conversation.clone(), who.team.clone());
            let what = Wanted::Command { text: text.to_owned(), conversation, team };
            who.ask_to_link(app, text, what).await
        }
        FlowError::Person(PersonError::Busy) => {
            who.reply(app, &cards::setup::failed(cards::text::BUSY_PAGERDUTY)).await
        }
        FlowError::Person(refused @ PersonError::TokenRefused(_)) => {
            who.reply(app, &cards::setup::failed(sentence(refused))).await
        }
        FlowError::Person(PersonError::PagerDuty(said)) => {
            tracing::warn!(error = runtime::chain(said), "PagerDuty did not answer a command");
            let why = cards::text::not_done(said.class(), said.message(), None);
            who.reply(app, &cards::setup::failed(&why)).await
        }
        _ => Err(error),
    }
}

async fn carry_out(app: &App, who: &Who, text: &str) -> Result<(), FlowError> {
    if let Some(number) = Number::read(text).filter(|_| app.config.link_number) {
        return link::number(app, who, &number).await;
    }
    let (word, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let argument = argument.trim();
    let Some(command) = cards::find_command(if word.is_empty() { "help" } else { word }) else {
        return who.reply(app, &cards::unknown_command(word)).await;
    };
    let here = match command.place {
        cards::Place::Anywhere => true,
        cards::Place::Channel => who.channel.is_some(),
        cards::Place::Private => who.private,
    };
    if !here {
        return who.reply(app, &cards::wrong_place(command)).await;
    }
    match command.name {
        CommandName::Help => help(app, who).await,
        CommandName::Open => open(app, who).await,
        CommandName::LinkUser => who.send_link(app, who.account(app).await?, None).await,
        CommandName::UnlinkUser => unlink(app, who).await,
        CommandName::Trigger => trigger(app, who, argument).await,
        CommandName::Incidents => lists::incidents(app, who, argument).await,
        CommandName::OnCall => lists::oncall(app, who, argument).await,
        CommandName::Connections => lists::connections(app, who).await,
        CommandName::Connect => manage::connect(app, who, command, argument).await,
        CommandName::Disconnect => manage::disconnect(app, who, command, argument).await,
        CommandName::Authorize => manage::authorize(app, who, argument).await,
        CommandName::Configure => manage::configure(app, who, command).await,
    }
}

async fn help(app: &App, who: &Who) -> Result<(), FlowError> {
    let rank = match (who.account(app).await, &who.user) {
        (Ok(Some(account)), Some(user)) => setup::rank_of(app, &who.tenant, user, &account).await.unwrap_or(None),
        _ => None,
    };
    let reader = cards::Reader { private: who.private, rank };
    who.reply(app, &cards::help(reader, env!("CARGO_PKG_VERSION"))).await
}

async fn open(app: &App, who: &Who) -> Result<(), FlowError> {
    let account = who.account(app).await?.ok_or(FlowError::NotConnected)?;
    let account = app.store.account(&account).await?.ok_or(FlowError::NotConnected)?;
    who.reply(app, &cards::setup::open_pagerduty(&account.subdomain, &account.web)).await
}

/// Deletes the links and with them the tokens; PagerDuty keeps nothing that could still act.
async fn unlink(app: &App, who: &Who) -> Result<(), FlowError> {
    let deleted: Vec<AccountLink> = app.store.delete_links(&who.tenant, who.user()?).await?;
    let card = if deleted.is_empty() { cards::nothing_to_unlink() } else { cards::unlinked(&deleted) };
    who.tell(app, &card).await
}

/// The rest of the line is the incident's title.
async fn trigger(app: &App, who: &Who, title: &str) -> Result<(), FlowError> {
    let chars = title.chars().count();
    if chars > cards::trigger::MAX_TITLE_CHARS {
        return who.reply(app, &cards::setup::failed(&cards::text::title_too_long(chars))).await;
    }
    let title = Some(title).filter(|title| !title.is_empty());
    match who.linked(app).await {
        Ok(_) => who.reply(app, &cards::trigger::trigger_offer(title)).await,
        // A log-in that was lost is told as for any command.
        Err(error) if error.unlinked() == Some(Unlinked::NotLinked) => {
            let wanted = Wanted::Trigger { title: title.map(str::to_owned) };
            who.ask_to_link(app, "a new incident", wanted).await
        }
        Err(error) => Err(error),
    }
}

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
