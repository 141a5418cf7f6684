//! The shapes of activities that Teams sends (Bot Framework docs, "Activity schema"; Teams docs on conversation events and on the
//! universal action model).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::model::{Channel, Chat, Team};
use super::values::{extend, set};
use super::{BOT_NAME, User};

/// What every activity says about where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) bot_id: String,
    pub(super) service_url: String,
    pub(super) now: Timestamp,
}

/// Where something happens: the activity's `conversation` and `channelData`.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) conversation: Value,
    pub(super) channel_data: Value,
}

impl Place {
    /// In a thread of a channel.
    pub(super) fn thread(team: &Team, channel: &Channel, root: &str) -> Self {
        Self {
            conversation: json!({
                "isGroup": true, "conversationType": "channel", "tenantId": team.tenant,
                "id": format!("{};messageid={root}", channel.id),
            }),
            channel_data: json!({
                "teamsChannelId": channel.id, "teamsTeamId": team.id, "tenant": { "id": team.tenant },
                "team": { "id": team.id }, "channel": { "id": channel.id },
            }),
        }
    }

    /// About a team as a whole. `conversation` is a channel's id: General's, or the one chosen at installation.
    pub(super) fn team(team: &Team, conversation: &str) -> Self {
        Self {
            conversation: json!({
                "isGroup": true, "conversationType": "channel", "tenantId": team.tenant, "id": conversation,
            }),
            channel_data: json!({
                "tenant": { "id": team.tenant }, "team": { "id": team.id, "name": team.name, "aadGroupId": team.group },
            }),
        }
    }

    pub(super) fn chat(chat: &Chat) -> Self {
        Self {
            conversation: json!({ "conversationType": "personal", "tenantId": chat.tenant, "id": chat.id }),
            channel_data: json!({ "tenant": { "id": chat.tenant } }),
        }
    }

    /// With more in its `channelData`.
    pub(super) fn with(mut self, more: Value) -> Self {
        extend(&mut self.channel_data, more);
        self
    }
}

impl Frame {
    /// Something that a person did with their client.
    pub(super) fn by_person(&self, kind: &str, id: &str, user: &User, place: Place) -> Value {
        let mut activity = self.event(kind, id, user, place);
        extend(
            &mut activity,
            json!({
                "from": { "id": user.id, "name": user.name, "aadObjectId": user.entra },
                "localTimestamp": self.now.to_string(),
                "localTimezone": "UTC",
                "locale": "en-US",
                "entities": [client_info()],
            }),
        );
        activity
    }

    /// Something that happened; the person's name is not told.
    pub(super) fn event(&self, kind: &str, id: &str, user: &User, place: Place) -> Value {
        let Place { conversation, channel_data } = place;
        json!({
            "type": kind,
            "id": id,
            "timestamp": self.now.to_string(),
            "channelId": "msteams",
            "serviceUrl": self.service_url,
            "from": { "id": user.id, "aadObjectId": user.entra },
            "conversation": conversation,
            "recipient": { "id": self.bot_id, "name": BOT_NAME },
            "channelData": channel_data,
        })
    }

    /// A post or reply that mentions the bot.
    pub(super) fn channel_message(&self, id: &str, user: &User, place: Place, text: &str) -> Value {
        let mention = format!("<at>{BOT_NAME}</at>");
        let html = format!(
            "<div><div><span itemscope=\"\" itemtype=\"http://schema.skype.com/Mention\" itemid=\"0\">{BOT_NAME}</span>&nbsp;{}</div></div>",
            escaped(text)
        );
        let mut activity = self.by_person("message", id, user, place);
        extend(
            &mut activity,
            json!({
                "textFormat": "plain",
                "text": format!("{mention} {text}"),
                "attachments": [{ "contentType": "text/html", "content": html }],
                "entities": [
                    { "type": "mention", "text": mention, "mentioned": { "id": self.bot_id, "name": BOT_NAME } },
                    client_info(),
                ],
            }),
        );
        activity
    }

    /// A message in the chat with the bot, without a mention.
    pub(super) fn chat_message(&self, id: &str, user: &User, place: Place, text: &str) -> Value {
        let mut activity = self.by_person("message", id, user, place);
        extend(&mut activity, json!({ "textFormat": "plain", "text": text }));
        activity
    }

    /// What a pressed button sends as a message: its data, without a text.
    pub(super) fn submit(&self, id: &str, user: &User, place: Place, card: &str, value: Value) -> Value {
        let mut activity = self.by_person("message", id, user, place.with(from_message()));
        set(&mut activity, "replyToId", card);
        set(&mut activity, "value", value);
        activity
    }

    /// A question that the bot answers at once.
    pub(super) fn invoke(
        &self,
        id: &str,
        user: &User,
        place: Place,
        name: &str,
        card: Option<&str>,
        value: Value,
    ) -> Value {
        let mut activity = self.by_person("invoke", id, user, place.with(from_message()));
        set(&mut activity, "name", name);
        set(&mut activity, "value", value);
        if let Some(card) = card {
            set(&mut activity, "replyToId", card);
        }
        activity
    }
}

/// The `value` of an `adaptiveCard/action`.
pub(super) fn execute_value(action: &Value, data: Map<String, Value>, trigger: &str) -> Value {
    let mut sent = Map::new();
    for key in ["type", "id", "title", "verb"] {
        if let Some(value) = action.get(key) {
            sent.insert(key.to_owned(), value.clone());
        }
    }
    sent.insert("data".to_owned(), Value::Object(data));
    json!({ "action": sent, "trigger": trigger })
}

pub(super) fn from_message() -> Value {
    json!({ "source": { "name": "message" } })
}

fn client_info() -> Value {
    json!({ "type": "clientInfo", "locale": "en-US", "country": "US", "platform": "Web", "timezone": "UTC" })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
