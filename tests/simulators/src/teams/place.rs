//! Finding the conversation or message that a call is about, and whether the bot may be there and as often.

use jiff::Timestamp;

use super::connector::Refusal;
use super::ids::{base_of, root_of};
use super::model::{Message, State};
use super::throttle::Operation;

/// Where a message goes: conversation without thread, thread's root, tenant.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) conversation: String,
    pub(super) root: Option<String>,
    pub(super) tenant: String,
    pub(super) personal: bool,
    archived: bool,
}

impl Place {
    /// An archived team can be read but not written in.
    pub(super) fn writable(self) -> Result<Self, Refusal> {
        if self.archived {
            return Err(Refusal::new(403, "NotEnoughPermissions", "The team is archived.", false));
        }
        Ok(self)
    }
}

/// Finds the conversation, living and with the bot in it.
pub(super) fn locate(state: &State, conversation: &str) -> Result<Place, Refusal> {
    if conversation.contains('%') {
        return Err(Refusal::bad_syntax("The conversation id is percent-encoded twice."));
    }
    let base = base_of(conversation);
    if conversation.starts_with("a:") {
        let chat = state.chat(conversation).filter(|chat| !chat.removed).ok_or_else(Refusal::conversation_not_found)?;
        if state.blocked.contains(&chat.user) {
            return Err(Refusal::new(403, "ConversationBlockedByUser", "The user blocked the conversation.", false));
        }
        if !reachable(state, &chat.user) {
            return Err(Refusal::not_in_roster());
        }
        let (conversation, tenant) = (chat.id.clone(), chat.tenant.clone());
        return Ok(Place { conversation, root: None, tenant, personal: true, archived: false });
    }
    if !conversation.starts_with("19:") {
        return Err(Refusal::bad_syntax("Bad format of conversation ID"));
    }
    let (team, channel) = state.channel(base).ok_or_else(Refusal::conversation_not_found)?;
    if !team.bot_is_in(channel) {
        return Err(Refusal::not_in_roster());
    }
    let root = root_of(conversation).map(str::to_owned);
    if base != conversation {
        let is_root = |message: &Message| message.conversation == channel.id && message.root.is_none();
        let known = root.as_deref().and_then(|root| state.messages.get(root)).is_some_and(is_root);
        if !known {
            return Err(Refusal::conversation_not_found());
        }
    }
    let (conversation, tenant) = (channel.id.clone(), team.tenant.clone());
    Ok(Place { conversation, root, tenant, personal: false, archived: team.archived })
}

/// A bot may write to people who have the app, and to members of teams that have it (Teams docs, "Proactive messages").
pub(super) fn reachable(state: &State, user: &str) -> bool {
    let shares_team = state.teams.iter().any(|team| team.bot_in_roster && !team.deleted && team.members.contains(user));
    state.personal_installs.contains(user) || shares_team
}

pub(super) fn admit(
    state: &mut State,
    operation: Operation,
    conversation: &str,
    tenant: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    state.passing.windows.admit(operation, conversation, tenant, now.as_millisecond()).map_err(|wait| {
        state.counters_mut(conversation).throttled += 1;
        Refusal::throttled(wait)
    })
}

/// A threaded id only knows its own thread; the bare channel id knows all messages of the channel.
pub(super) fn message_in<'a>(state: &'a State, place: &Place, activity: &str) -> Result<&'a Message, Refusal> {
    let in_thread = |message: &Message| match &place.root {
        Some(root) => message.id == *root || message.root.as_ref() == Some(root),
        None => true,
    };
    let found =
        state.messages.get(activity).filter(|message| message.conversation == place.conversation && in_thread(message));
    found.ok_or_else(Refusal::activity_not_found)
}

pub(super) fn own_message(state: &State, place: &Place, activity: &str) -> Result<(), Refusal> {
    let message = message_in(state, place, activity)?;
    if message.deleted {
        return Err(Refusal::activity_not_found());
    }
    if !message.from_bot {
        return Err(Refusal::new(403, "NotEnoughPermissions", "The message is not the bot's own.", true));
    }
    Ok(())
}
