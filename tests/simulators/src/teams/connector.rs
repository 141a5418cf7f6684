//! The connector's REST interface (Bot Framework docs, "REST API reference", with what the Teams docs say differs). Strict: whatever a
//! correct bot never sends is refused and noted as a complaint.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Options;
use super::faults::Fault;
use super::model::State;
use super::tokens::BadBearer;
use super::values::text_at;
use super::{posting, roster};

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
            ["conversations", conversation, "activities", activity] if method == Method::PUT => {
                Self::Update { conversation, activity }
            }
            ["conversations", conversation, "activities", activity] if method == Method::DELETE => {
                Self::Delete { conversation, activity }
            }
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
    pub(super) fn new(status: u16, code: &'static str, message: &str, complaint: bool) -> Self {
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

    pub(super) fn conversation_not_found() -> Self {
        Self::new(404, "ConversationNotFound", "Conversation not found.", false)
    }

    pub(super) fn activity_not_found() -> Self {
        Self::new(404, "ActivityNotFoundInConversation", "The activity is not in the conversation.", false)
    }

    pub(super) fn not_in_roster() -> Self {
        Self::new(403, "BotNotInConversationRoster", "The bot is not part of the conversation roster.", false)
    }

    pub(super) fn throttled(retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(429, "Throttled", "Too many requests.", false) }
    }

    fn into_reply(self) -> Reply {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        Reply::Json { status: self.status, body, retry_after: self.retry_after }
    }
}

/// The whole connector: token, faults on order, then the call itself.
pub(super) fn answer(
    state: &mut State,
    options: &Options,
    call: Call<'_>,
    request: &Request<'_>,
    now: Timestamp,
) -> Reply {
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
    let addressed: Vec<&str> = addressed.iter().map(String::as_str).collect();
    let faults = &mut state.passing.faults;
    let fault = faults.for_content(request.body).or_else(|| faults.next(&addressed));
    match fault {
        Some(Fault::Status { status, code, retry_after }) => {
            let message = "A fault that was asked for.";
            return Reply::Json { status, body: json!({ "error": { "code": code, "message": message } }), retry_after };
        }
        Some(Fault::OvertakesTheNext) => {
            if let Call::Update { conversation, activity } = call {
                let late = (conversation.to_owned(), activity.to_owned(), body);
                state.passing.late.push(late);
            }
            let body = json!({ "error": { "code": "ServiceError", "message": "A fault that was asked for." } });
            return Reply::Json { status: 504, body, retry_after: None };
        }
        Some(Fault::NoAnswer) => return Reply::Close,
        Some(Fault::Hang) => return Reply::Hang,
        Some(Fault::DropAnswerAfterApplying | Fault::AnswerWithoutId) | None => {}
    }
    let done = perform(state, options, call, request.query, &body, now);
    if done.is_ok() {
        take_effect_late(state, options, call, now);
    }
    let reply = match done {
        Ok(_) if fault == Some(Fault::AnswerWithoutId) => return Reply::Empty { status: 202 },
        Ok(reply) => reply,
        Err(refusal) => refuse(state, call, refusal),
    };
    if fault == Some(Fault::DropAnswerAfterApplying) { Reply::Close } else { reply }
}

/// What was given up in the conversation takes effect now.
fn take_effect_late(state: &mut State, options: &Options, call: Call<'_>, now: Timestamp) {
    let is_here = |conversation: &String| Some(conversation.as_str()) == call.conversation();
    let all = std::mem::take(&mut state.passing.late);
    let (here, elsewhere): (Vec<_>, Vec<_>) = all.into_iter().partition(|(conversation, ..)| is_here(conversation));
    state.passing.late = elsewhere;
    for (conversation, activity, body) in here {
        // Whatever becomes of it, nobody waits for its answer any more.
        let _unheard = posting::update(state, options, &conversation, &activity, &body, now);
    }
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
            let chat = text_at(body, "/members/0/id")
                .and_then(|member| state.user(member))
                .and_then(|user| state.chat_of(&user.id));
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
        Call::CreateConversation if body.pointer("/channelData/channel").is_some() => {
            posting::create_post(state, options, body, now)
        }
        Call::CreateConversation => posting::create_chat(state, options, body, now),
        Call::Send { conversation } => {
            let to = text_at(body, "/replyToId").map(str::to_owned);
            posting::send(state, options, conversation, to.as_deref(), body, now)
        }
        Call::Reply { conversation, to } => posting::send(state, options, conversation, Some(to), body, now),
        Call::Update { conversation, activity } => posting::update(state, options, conversation, activity, body, now),
        Call::Delete { conversation, activity } => posting::delete(state, conversation, activity, now),
        Call::Members { conversation } => roster::all(state, conversation, now),
        Call::PagedMembers { conversation } => roster::page(state, conversation, query, now),
        Call::Member { conversation, member } => roster::one(state, conversation, member, now),
        Call::Team { team } => roster::team(state, team, now),
        Call::Channels { team } => roster::channels(state, team, now),
    }
}
