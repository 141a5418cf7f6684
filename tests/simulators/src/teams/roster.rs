//! Who is in a conversation, what a team is and which channels it has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::connector::{Refusal, Reply};
use super::model::{State, Team, User};
use super::place::{admit, locate};
use super::throttle::Operation;
use super::values::set;

/// Everybody at once, as the deprecated operation answers.
pub(super) fn all(state: &mut State, conversation: &str, now: Timestamp) -> Result<Reply, Refusal> {
    let members = members(state, conversation, now)?;
    Ok(Reply::json(200, members.iter().map(|user| member(user, "objectId")).collect()))
}

pub(super) fn page(
    state: &mut State,
    conversation: &str,
    query: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let members = members(state, conversation, now)?;
    let size = query.get("pageSize").map_or(Ok(200), |size| size.parse::<usize>());
    let from = query
        .get("continuationToken")
        .map_or(Ok(0), |token| token.strip_prefix("from-").unwrap_or("?").parse::<usize>());
    let (Ok(size), Ok(from)) = (size, from) else {
        return Err(Refusal::bad_argument("pageSize or continuationToken cannot be read"));
    };
    let size = size.clamp(50, 500);
    let page: Vec<Value> = members.iter().skip(from).take(size).map(|user| member(user, "objectId")).collect();
    let mut body = json!({ "members": page });
    if from + size < members.len() {
        set(&mut body, "continuationToken", format!("from-{}", from + size));
    }
    Ok(Reply::json(200, body))
}

/// By `29:…`, Entra object id or user principal name.
pub(super) fn one(state: &mut State, conversation: &str, wanted: &str, now: Timestamp) -> Result<Reply, Refusal> {
    let members = members(state, conversation, now)?;
    let found = members.iter().find(|user| user.id == wanted || user.entra == wanted || user.email == wanted);
    let unknown = || Refusal::new(404, "MemberNotFoundInConversation", "The member is not in the conversation.", false);
    found.map(|user| Reply::json(200, member(user, "aadObjectId"))).ok_or_else(unknown)
}

pub(super) fn team(state: &mut State, id: &str, now: Timestamp) -> Result<Reply, Refusal> {
    let team = located_team(state, id, now)?;
    let count = team.channels.iter().filter(|channel| !channel.deleted).count();
    let body = json!({
        "id": team.id, "name": team.name, "aadGroupId": team.group, "tenantId": team.tenant, "type": "standard",
        "channelCount": count, "memberCount": team.members.len(),
    });
    Ok(Reply::json(200, body))
}

pub(super) fn channels(state: &mut State, id: &str, now: Timestamp) -> Result<Reply, Refusal> {
    let team = located_team(state, id, now)?;
    let living = team.channels.iter().filter(|channel| !channel.deleted && team.bot_is_in(channel));
    // General has no name of its own; clients translate it.
    let name = |id: &str, name: &str| if id == team.id { Value::Null } else { json!(name) };
    let listed: Vec<Value> = living
        .map(|channel| json!({ "id": channel.id, "name": name(&channel.id, &channel.name), "type": channel.kind }))
        .collect();
    Ok(Reply::json(200, json!({ "conversations": listed })))
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

/// The name of the Entra id's field varies between the endpoints.
fn member(user: &User, entra_field: &str) -> Value {
    let (given, surname) = user.name.split_once(' ').unwrap_or((&user.name, ""));
    let mut member = json!({
        "id": user.id, "name": user.name, "givenName": given, "surname": surname, "email": user.email,
        "userPrincipalName": user.email, "tenantId": user.tenant, "userRole": "user",
    });
    set(&mut member, entra_field, user.entra.as_str());
    member
}

fn located_team(state: &mut State, id: &str, now: Timestamp) -> Result<Team, Refusal> {
    let team = state.team(id).cloned().ok_or_else(Refusal::conversation_not_found)?;
    if !team.bot_in_roster {
        return Err(Refusal::not_in_roster());
    }
    admit(state, Operation::Conversations, &team.id, &team.tenant, now)?;
    Ok(team)
}
