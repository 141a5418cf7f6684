//! The connector's REST interface (Bot Framework docs, "REST API reference", with what the Teams docs say differs). Strict: whatever a
//! correct bot never sends is refused and noted as a complaint.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Options;
use super::faults::Fault;
use super::ids::{base_of, root_of};
use super::model::{Message, State, User};
use super::outgoing::{self, Outgoing};
use super::throttle::Operation;
use super::tokens::BadBearer;

/// A request, as far as the connector looks at it.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) query: &'a BTreeMap<String, String>,
    pub(super) authorization: Option<&'a str>,
    pub(super) content_type: &'a str,
    pub(super) body: &'a [u8],
}

/// What goes back over the wire, if anything.
#[derive(Debug)]
pub(super) enum Reply {
    Json { status: u16, body: Value, retry_after: Option<u64> },
    Empty { status: u16 },
    Close,
    Hang,
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self::Json { status, body, retry_after: None }
    }
}

/// The operations that exist.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call<'a> {
    CreateConversation,
    Send { conversation: &'a str },
    Reply { conversation: &'a str, to: &'a str },
    Update { conversation: &'a str, activity: &'a str },
    Delete { conversation: &'a str, activity: &'a str },
    Members { conversation: &'a str },
    PagedMembers { conversation: &'a str },
    Member { conversation: &'a str, member: &'a str },
    Team { team: &'a str },
    Channels { team: &'a str },
}

impl<'a> Call<'a> {
    /// From the percent-decoded path below `v3/`.
    pub(super) fn of(method: &Method, path: &[&'a str]) -> Option<Self> {
        let (get, post) = (method == Method::GET, method == Method::POST);
        Some(match *path {
            ["conversations"] if post => Self::CreateConversation,
            ["conversations", conversation, "activities"] if post => Self::Send { conversation },
            ["conversations", conversation, "activities", to] if post => Self::Reply { conversation, to },
            ["conversations", conversation, "activities", activity] if method == Method::PUT => Self::Update { conversation, activity },
            ["conversations", conversation, "activities", activity] if method == Method::DELETE => Self::Delete { conversation, activity },
            ["conversations", conversation, "members"] if get => Self::Members { conversation },
            ["conversations", conversation, paged] if get && paged.eq_ignore_ascii_case("pagedMembers") => {
                Self::PagedMembers { conversation }
            }
            ["conversations", conversation, "members", member] if get => Self::Member { conversation, member },
            ["teams", team] if get => Self::Team { team },
            ["teams", team, "conversations"] if get => Self::Channels { team },
            _ => return None,
        })
    }

    fn conversation(self) -> Option<&'a str> {
        match self {
            Self::Send { conversation }
            | Self::Reply { conversation, .. }
            | Self::Update { conversation, .. }
            | Self::Delete { conversation, .. }
            | Self::Members { conversation }
            | Self::PagedMembers { conversation }
            | Self::Member { conversation, .. } => Some(conversation),
            Self::Team { team } | Self::Channels { team } => Some(team),
            Self::CreateConversation => None,
        }
    }

    fn has_body(self) -> bool {
        matches!(self, Self::CreateConversation | Self::Send { .. } | Self::Reply { .. } | Self::Update { .. })
    }
}

/// A refusal in the connector's error form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
    /// Whether only a bot with a mistake can run into it.
    complaint: bool,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: &str, complaint: bool) -> Self {
        Self { status, code, message: message.to_owned(), retry_after: None, complaint }
    }

    pub(super) fn bad_syntax(message: &str) -> Self {
        Self::new(400, "BadSyntax", message, true)
    }

    pub(super) fn bad_argument(message: &str) -> Self {
        Self::new(400, "BadArgument", message, true)
    }

    pub(super) fn too_big() -> Self {
        Self::new(413, "MessageSizeTooBig", "Message size too large.", true)
    }

    fn conversation_not_found() -> Self {
        Self::new(404, "ConversationNotFound", "Conversation not found.", false)
    }

    fn activity_not_found() -> Self {
        Self::new(404, "ActivityNotFoundInConversation", "The activity is not in the conversation.", false)
    }

    fn not_in_roster() -> Self {
        Self::new(403, "BotNotInConversationRoster", "The bot is not part of the conversation roster.", false)
    }

    fn into_reply(self) -> Reply {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        Reply::Json { status: self.status, body, retry_after: self.retry_after }
    }
}

/// The whole connector: token, faults on order, then the call itself.
pub(super) fn answer(state: &mut State, options: &Options, call: Call<'_>, request: &Request<'_>, now: Timestamp) -> Reply {
    if let Err(bad) = state.passing.tokens.check(request.authorization, now) {
        if bad == BadBearer::NeverGood {
            state.complain(format!("{call:?} without a token that was ever issued"));
        }
        return Reply::json(401, json!({ "message": "Authorization has been denied for this request." }));
    }
    let body = match body_of(call, request) {
        Ok(body) => body,
        Err(refusal) => return refuse(state, call, refusal),
    };
    let addressed = addressed(state, call, &body);
    let fault = state.passing.faults.next(&addressed.iter().map(String::as_str).collect::<Vec<_>>());
    match fault {
        Some(Fault::Status { status, code, retry_after }) => {
            let message = "A fault that was asked for.";
            return Reply::Json { status, body: json!({ "error": { "code": code, "message": message } }), retry_after };
        }
        Some(Fault::NoAnswer) => return Reply::Close,
        Some(Fault::Hang) => return Reply::Hang,
        Some(Fault::DropAnswerAfterApplying) | None => {}
    }
    let reply = match perform(state, options, call, request.query, &body, now) {
        Ok(reply) => reply,
        Err(refusal) => refuse(state, call, refusal),
    };
    if fault.is_some() { Reply::Close } else { reply }
}

fn refuse(state: &mut State, call: Call<'_>, refusal: Refusal) -> Reply {
    if refusal.complaint {
        state.complain(format!("{call:?}: {} {}: {}", refusal.status, refusal.code, refusal.message));
    }
    refusal.into_reply()
}

fn body_of(call: Call<'_>, request: &Request<'_>) -> Result<Value, Refusal> {
    if !call.has_body() {
        return Ok(Value::Null);
    }
    if !request.content_type.starts_with("application/json") {
        return Err(Refusal::new(415, "UnsupportedMediaType", "The body is not application/json.", true));
    }
    serde_json::from_slice(request.body).map_err(|_| Refusal::bad_syntax("The body is no JSON."))
}

/// Under which conversations a fault may be on order.
fn addressed(state: &State, call: Call<'_>, body: &Value) -> Vec<String> {
    match call.conversation() {
        Some(conversation) => vec![conversation.to_owned()],
        None => {
            let channel = text_at(body, "/channelData/channel/id").map(str::to_owned);
            let chat = text_at(body, "/members/0/id").and_then(|member| state.user(member)).and_then(|user| state.chat_of(&user.id));
            channel.into_iter().chain(chat.map(|chat| chat.id.clone())).collect()
        }
    }
}

fn perform(
    state: &mut State,
    options: &Options,
    call: Call<'_>,
    query: &BTreeMap<String, String>,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    match call {
        Call::CreateConversation if body.pointer("/channelData/channel").is_some() => create_post(state, options, body, now),
        Call::CreateConversation => create_chat(state, options, body, now),
        Call::Send { conversation } => {
            let to = text_at(body, "/replyToId").map(str::to_owned);
            send(state, options, conversation, to.as_deref(), body, now)
        }
        Call::Reply { conversation, to } => send(state, options, conversation, Some(to), body, now),
        Call::Update { conversation, activity } => update(state, options, conversation, activity, body, now),
        Call::Delete { conversation, activity } => delete(state, options, conversation, activity, now),
        Call::Members { conversation } => {
            let members = members(state, conversation, now)?;
            Ok(Reply::json(200, members.iter().map(|user| member(user, "objectId")).collect()))
        }
        Call::PagedMembers { conversation } => paged_members(state, conversation, query, now),
        Call::Member { conversation, member: wanted } => {
            let members = members(state, conversation, now)?;
            let found = members.iter().find(|user| [&user.id, &user.entra, &user.email].contains(&&wanted.to_owned()));
            let unknown = || Refusal::new(404, "MemberNotFoundInConversation", "The member is not in the conversation.", false);
            found.map(|user| Reply::json(200, member(user, "aadObjectId"))).ok_or_else(unknown)
        }
        Call::Team { team } => {
            let team = located_team(state, team, now)?;
            let count = team.channels.iter().filter(|channel| !channel.deleted).count();
            let body = json!({
                "id": team.id, "name": team.name, "aadGroupId": team.group, "tenantId": team.tenant, "type": "standard",
                "channelCount": count, "memberCount": team.members.len(),
            });
            Ok(Reply::json(200, body))
        }
        Call::Channels { team } => {
            let team = located_team(state, team, now)?;
            let channels = team.channels.iter().filter(|channel| !channel.deleted);
            // General has no name of its own; clients translate it.
            let name = |id: &str, name: &str| if id == team.id { Value::Null } else { json!(name) };
            let channels: Vec<Value> = channels
                .map(|channel| json!({ "id": channel.id, "name": name(&channel.id, &channel.name), "type": "standard" }))
                .collect();
            Ok(Reply::json(200, json!({ "conversations": channels })))
        }
    }
}

/// Where a message goes: conversation without thread, thread's root, tenant.
#[derive(Debug)]
struct Place {
    conversation: String,
    root: Option<String>,
    tenant: String,
    personal: bool,
}

/// Finds the conversation, living and with the bot in it.
fn locate(state: &State, conversation: &str) -> Result<Place, Refusal> {
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
        return Ok(Place { conversation: chat.id.clone(), root: None, tenant: chat.tenant.clone(), personal: true });
    }
    if !conversation.starts_with("19:") {
        return Err(Refusal::bad_syntax("Bad format of conversation ID"));
    }
    let (team, channel) = state.channel(base).ok_or_else(Refusal::conversation_not_found)?;
    if !team.bot_in_roster {
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
    Ok(Place { conversation: channel.id.clone(), root, tenant: team.tenant.clone(), personal: false })
}

/// A bot may write to people who have the app, and to members of teams that have it (Teams docs, "Proactive messages").
fn reachable(state: &State, user: &str) -> bool {
    let shares_team = state.teams.iter().any(|team| team.bot_in_roster && !team.deleted && team.members.contains(user));
    state.personal_installs.contains(user) || shares_team
}

fn admit(state: &mut State, operation: Operation, conversation: &str, tenant: &str, now: Timestamp) -> Result<(), Refusal> {
    state.passing.windows.admit(operation, conversation, tenant, now.as_millisecond()).map_err(|wait| {
        state.counters_mut(conversation).throttled += 1;
        let mut refusal = Refusal::new(429, "Throttled", "Too many requests.", false);
        refusal.retry_after = Some(wait);
        refusal
    })
}

fn create_post(state: &mut State, options: &Options, body: &Value, now: Timestamp) -> Result<Reply, Refusal> {
    let channel = text_at(body, "/channelData/channel/id").ok_or_else(|| Refusal::bad_syntax("channelData.channel has no id"))?;
    if body.get("isGroup") != Some(&Value::Bool(true)) {
        return Err(Refusal::bad_syntax("A post in a channel needs isGroup true."));
    }
    right_bot(options, body)?;
    let place = locate(state, channel)?;
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
    if !split && let Some(answer) = answer.as_object_mut() {
        answer.insert("activityId".to_owned(), json!(id));
    }
    Ok(Reply::json(201, answer))
}

fn create_chat(state: &mut State, options: &Options, body: &Value, now: Timestamp) -> Result<Reply, Refusal> {
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
        if !split && let Some(answer) = answer.as_object_mut() {
            answer.insert("activityId".to_owned(), json!(id));
        }
    }
    Ok(Reply::json(201, answer))
}

fn send(
    state: &mut State,
    options: &Options,
    conversation: &str,
    reply_to: Option<&str>,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let place = locate(state, conversation)?;
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
    let split = content.is_split();
    let is_reply = root.is_some();
    let id = outgoing::put(state, options, &place.conversation, root, content, now);
    let counters = state.counters_mut(&place.conversation);
    if is_reply { counters.replies += 1 } else { counters.posts += 1 }
    Ok(if split { Reply::Empty { status: 202 } } else { Reply::json(201, json!({ "id": id })) })
}

fn update(
    state: &mut State,
    options: &Options,
    conversation: &str,
    activity: &str,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let place = locate(state, conversation)?;
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
    if let Some(message) = state.messages.get_mut(activity) {
        outgoing::replace(message, content, now);
    }
    state.counters_mut(&place.conversation).edits += 1;
    Ok(Reply::json(200, json!({ "id": activity })))
}

fn delete(state: &mut State, _: &Options, conversation: &str, activity: &str, now: Timestamp) -> Result<Reply, Refusal> {
    let place = locate(state, conversation)?;
    own_message(state, &place, activity)?;
    admit(state, Operation::Send, &place.conversation, &place.tenant, now)?;
    if let Some(message) = state.messages.get_mut(activity) {
        message.deleted = true;
    }
    state.counters_mut(&place.conversation).deletes += 1;
    Ok(Reply::Empty { status: 200 })
}

/// A threaded id only knows its own thread; the bare channel id knows all messages of the channel.
fn message_in<'a>(state: &'a State, place: &Place, activity: &str) -> Result<&'a Message, Refusal> {
    let in_thread = |message: &Message| match &place.root {
        Some(root) => message.id == *root || message.root.as_ref() == Some(root),
        None => true,
    };
    let found = state.messages.get(activity).filter(|message| message.conversation == place.conversation && in_thread(message));
    found.ok_or_else(Refusal::activity_not_found)
}

fn own_message(state: &State, place: &Place, activity: &str) -> Result<(), Refusal> {
    let message = message_in(state, place, activity)?;
    if message.deleted {
        return Err(Refusal::activity_not_found());
    }
    if !message.from_bot {
        return Err(Refusal::new(403, "NotEnoughPermissions", "The message is not the bot's own.", true));
    }
    Ok(())
}

fn members(state: &mut State, conversation: &str, now: Timestamp) -> Result<Vec<User>, Refusal> {
    if conversation.contains(';') {
        return Err(Refusal::new(404, "ThreadNotFound", "Threads have no members; ask for the channel's.", true));
    }
    let place = locate(state, conversation)?;
    admit(state, Operation::Members, &place.conversation, &place.tenant, now)?;
    let is_member = |user: &&User| match state.channel(conversation) {
        Some((team, _)) => team.members.contains(&user.id),
        None => state.chat(conversation).is_some_and(|chat| chat.user == user.id),
    };
    Ok(state.users.iter().filter(is_member).cloned().collect())
}

fn paged_members(state: &mut State, conversation: &str, query: &BTreeMap<String, String>, now: Timestamp) -> Result<Reply, Refusal> {
    let members = members(state, conversation, now)?;
    let size = query.get("pageSize").map_or(Ok(200), |size| size.parse::<usize>());
    let from = query.get("continuationToken").map_or(Ok(0), |token| token.strip_prefix("from-").unwrap_or("?").parse::<usize>());
    let (Ok(size), Ok(from)) = (size, from) else {
        return Err(Refusal::bad_argument("pageSize or continuationToken cannot be read"));
    };
    let size = size.clamp(50, 500);
    let page: Vec<Value> = members.iter().skip(from).take(size).map(|user| member(user, "objectId")).collect();
    let mut body = json!({ "members": page });
    if from + size < members.len() {
        body["continuationToken"] = json!(format!("from-{}", from + size));
    }
    Ok(Reply::json(200, body))
}

/// The name of the Entra id's field varies between the endpoints.
fn member(user: &User, entra_field: &str) -> Value {
    let (given, surname) = user.name.split_once(' ').unwrap_or((&user.name, ""));
    let mut member = json!({
        "id": user.id, "name": user.name, "givenName": given, "surname": surname, "email": user.email,
        "userPrincipalName": user.email, "tenantId": user.tenant, "userRole": "user",
    });
    member[entra_field] = json!(user.entra);
    member
}

fn located_team(state: &mut State, id: &str, now: Timestamp) -> Result<super::model::Team, Refusal> {
    let team = state.team(id).cloned().ok_or_else(Refusal::conversation_not_found)?;
    if !team.bot_in_roster {
        return Err(Refusal::not_in_roster());
    }
    admit(state, Operation::Conversations, &team.id, &team.tenant, now)?;
    Ok(team)
}

fn bot_id(options: &Options) -> String {
    format!("28:{}", options.app_id)
}

fn right_bot(options: &Options, body: &Value) -> Result<(), Refusal> {
    let given = text_at(body, "/bot/id");
    if given.is_some_and(|id| id != bot_id(options)) { Err(Refusal::bad_argument("bot.id is another bot")) } else { Ok(()) }
}

fn same_conversation(activity: &Value, place: &Place) -> Result<(), Refusal> {
    let named = text_at(activity, "/conversation/id");
    let other = named.is_some_and(|id| base_of(id) != place.conversation);
    if other { Err(Refusal::bad_argument("conversation.id is another conversation")) } else { Ok(()) }
}

fn tenant_of(body: &Value) -> Option<&str> {
    text_at(body, "/channelData/tenant/id").or_else(|| text_at(body, "/tenantId"))
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
