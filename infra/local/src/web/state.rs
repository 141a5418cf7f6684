//! Everything that the page shows, as one JSON document.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use simulators::teams::{Message, Teams};

use super::Page;

#[derive(Deserialize)]
pub(super) struct Asked {
    /// As whom the page looks at Teams (`29:…`).
    user: Option<String>,
}

pub(super) async fn show(State(page): State<Page>, Query(asked): Query<Asked>) -> Json<Value> {
    let people = page.teams.users();
    let me = people.iter().find(|person| Some(&person.id) == asked.user.as_ref()).or_else(|| people.first());
    let my_id = me.map(|person| person.id.clone()).unwrap_or_default();
    let mut conversations: Vec<Value> = Vec::new();
    for team in page.teams.teams() {
        for channel in &team.channels {
            conversations.push(json!({
                "id": channel.id,
                "name": channel.name,
                "team": team.name,
                "messages": messages(&page.teams.messages(&channel.id), &my_id),
            }));
        }
    }
    conversations.push(json!({
        "id": null,
        "name": "Chat with PagerBridge",
        "team": null,
        "messages": messages(&page.teams.personal_messages(&my_id), &my_id),
    }));
    Json(json!({
        "me": my_id,
        "people": people.iter().map(|person| json!({ "id": person.id, "name": person.name })).collect::<Vec<_>>(),
        "conversations": conversations,
        "incidents": page.pagerduty.incidents(),
        "services": page.pagerduty.services(),
        "users": page.pagerduty.users(),
        "priorities": page.pagerduty.priorities(),
        "plain": page.assets.problem(),
        "complaints": complaints(&page.teams, &page),
    }))
}

fn complaints(teams: &Teams, page: &Page) -> Vec<String> {
    [teams.complaints(), teams.unknown_requests(), page.pagerduty.unknown_requests()].concat()
}

fn messages(all: &[Message], me: &str) -> Vec<Value> {
    all.iter()
        .filter(|message| !message.deleted)
        .map(|message| {
            let notices: Vec<Value> = message
                .notices
                .iter()
                .filter(|notice| notice.user == me)
                .map(|notice| json!({ "text": notice.text, "kind": notice.kind, "at": notice.at }))
                .collect();
            json!({
                "id": message.id,
                "root": message.root,
                "from": message.from,
                "bot": message.from_bot,
                "at": message.at,
                "edited": !message.edits.is_empty(),
                "text": message.text,
                "card": message.card_for(me),
                "notices": notices,
            })
        })
        .collect()
}
