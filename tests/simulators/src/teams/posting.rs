//! New posts and chats, messages, edits, deletions.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Options;
use super::connector::{Refusal, Reply};
use super::ids::base_of;
use super::model::State;
use super::outgoing::{self, Outgoing};
use super::place::{Place, admit, locate, message_in, own_message, reachable};
use super::throttle::Operation;
use super::values::{set, text_at};

pub(super) fn create_post(
    state: &mut State,
    options: &Options,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let channel =
        text_at(body, "/channelData/channel/id").ok_or_else(|| Refusal::bad_syntax("channelData.channel has no id"))?;
    if body.get("isGroup") != Some(&Value::Bool(true)) {
        return Err(Refusal::bad_syntax("A post in a channel needs isGroup true."));
    }
    right_bot(options, body)?;
    let place = locate(state, channel)?.writable()?;
    if place.root.is_some() {
        return Err(Refusal::bad_syntax("channelData.channel.id names a thread."));
    }
    if tenant_of(body).is_some_and(|tenant| tenant != place.tenant) {
        return Err(Refusal::bad_syntax("The channel belongs to another tenant."));
    }
    admit(state, Operation::Create, &place.conversation, &place.tenant, now)?;
    let activity = body.get("activity").ok_or_else(|| Refusal::bad_syntax("A post in a channel needs an activity."))?;
    let Outgoing::Message(content) = outgoing::read(activity, &bot_id(options))? else {
        return Err(Refusal::bad_syntax("A post cannot be a typing indicator."));
    };
    let split = content.is_split();
    let id = outgoing::put(state, options, &place.conversation, None, content, now);
    state.counters_mut(&place.conversation).posts += 1;
    let mut answer = json!({ "id": format!("{};messageid={id}", place.conversation) });
    if !split {
        set(&mut answer, "activityId", id);
    }
    Ok(Reply::json(201, answer))
}

pub(super) fn create_chat(
    state: &mut State,
    options: &Options,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let members = body.get("members").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [only] = members else { return Err(Refusal::bad_syntax("A bot can only create chats with one member.")) };
    if body.get("isGroup") == Some(&Value::Bool(true)) {
        return Err(Refusal::bad_syntax("A bot cannot create group chats."));
    }
    if body.pointer("/bot/id").is_none() {
        return Err(Refusal::bad_argument("bot.id is missing"));
    }
    right_bot(options, body)?;
    let bad_format = || Refusal::bad_syntax("Bad format of conversation ID");
    let tenant = tenant_of(body).ok_or_else(bad_format)?.to_owned();
    // Only members[0].id counts: an Entra id under aadObjectId is not looked at.
    let member = text_at(only, "/id").filter(|id| !id.contains('@')).ok_or_else(bad_format)?;
    let user = state.user(member).filter(|user| user.tenant == tenant).cloned().ok_or_else(bad_format)?;
    if state.blocked.contains(&user.id) {
        return Err(Refusal::new(403, "ConversationBlockedByUser", "The user blocked the conversation.", false));
    }
    if !reachable(state, &user.id) {
        return Err(Refusal::new(403, "ForbiddenOperationException", "The app is not installed for the user.", false));
    }
    admit(state, Operation::Create, &user.id, &tenant, now)?;
    let first = body.get("activity").map(|activity| outgoing::read(activity, &bot_id(options))).transpose()?;
    let chat = state.open_chat(&user, now);
    let mut answer = json!({ "id": chat.id });
    if let Some(Outgoing::Message(content)) = first {
        let split = content.is_split();
        let id = outgoing::put(state, options, &chat.id, None, content, now);
        state.counters_mut(&chat.id).posts += 1;
        if !split {
            set(&mut answer, "activityId", id);
        }
    }
    Ok(Reply::json(201, answer))
}

pub(super) fn send(
    state: &mut State,
    options: &Options,
    conversation: &str,
    reply_to: Option<&str>,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let place = locate(state, conversation)?.writable()?;
    let root = match reply_to {
        // Chats are flat: a reply is a message like any other.
        Some(to) => match (message_in(state, &place, to)?, place.personal) {
            (_, true) => None,
            (message, false) => Some(message.root.clone().unwrap_or_else(|| message.id.clone())),
        },
        None => place.root.clone(),
    };
    admit(state, Operation::Send, &place.conversation, &place.tenant, now)?;
    same_conversation(body, &place)?;
    let Outgoing::Message(content) = outgoing::read(body, &bot_id(options))? else {
        return Ok(Reply::Empty { status: 202 });
    };
    // Nobody outside of the tenant can be mentioned; what Teams answers then is not documented.
    if content.mentions.iter().any(|id| state.user(id).is_none_or(|user| user.tenant != place.tenant)) {
        return Err(Refusal::bad_argument("Invalid mention."));
    }
    let split = content.is_split();
    let is_reply = root.is_some();
    let id = outgoing::put(state, options, &place.conversation, root, content, now);
    let counters = state.counters_mut(&place.conversation);
    if is_reply {
        counters.replies += 1
    } else {
        counters.posts += 1
    }
    Ok(if split { Reply::Empty { status: 202 } } else { Reply::json(201, json!({ "id": id })) })
}

pub(super) fn update(
    state: &mut State,
    options: &Options,
    conversation: &str,
    activity: &str,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let place = locate(state, conversation)?.writable()?;
    own_message(state, &place, activity)?;
    admit(state, Operation::Send, &place.conversation, &place.tenant, now)?;
    same_conversation(body, &place)?;
    if text_at(body, "/id").is_some_and(|id| id != activity) {
        return Err(Refusal::bad_argument("The body's id is another activity."));
    }
    let Outgoing::Message(content) = outgoing::read(body, &bot_id(options))? else {
        return Err(Refusal::bad_syntax("A message cannot become a typing indicator."));
    };
    if content.is_split() {
        return Err(Refusal::bad_syntax("A message cannot become text and attachment."));
    }
    state.look_at_on_phone(content.card.as_ref());
    if let Some(message) = state.messages.get_mut(activity) {
        outgoing::replace(message, content, now);
        state.passing.watch.see(message);
    }
    state.counters_mut(&place.conversation).edits += 1;
    Ok(Reply::json(200, json!({ "id": activity })))
}

pub(super) fn delete(state: &mut State, conversation: &str, activity: &str, now: Timestamp) -> Result<Reply, Refusal> {
    let place = locate(state, conversation)?.writable()?;
    own_message(state, &place, activity)?;
    admit(state, Operation::Send, &place.conversation, &place.tenant, now)?;
    if let Some(message) = state.messages.get_mut(activity) {
        message.deleted = true;
    }
    state.counters_mut(&place.conversation).deletes += 1;
    Ok(Reply::Empty { status: 200 })
}

fn bot_id(options: &Options) -> String {
    format!("28:{}", options.app_id)
}

fn right_bot(options: &Options, body: &Value) -> Result<(), Refusal> {
    let given = text_at(body, "/bot/id");
    if given.is_some_and(|id| id != bot_id(options)) {
        Err(Refusal::bad_argument("bot.id is another bot"))
    } else {
        Ok(())
    }
}

fn same_conversation(activity: &Value, place: &Place) -> Result<(), Refusal> {
    let named = text_at(activity, "/conversation/id");
    let other = named.is_some_and(|id| base_of(id) != place.conversation);
    if other { Err(Refusal::bad_argument("conversation.id is another conversation")) } else { Ok(()) }
}

fn tenant_of(body: &Value) -> Option<&str> {
    text_at(body, "/channelData/tenant/id").or_else(|| text_at(body, "/tenantId"))
}
