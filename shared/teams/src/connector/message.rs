//! The bodies of our requests to the connector.
//!
//! A message has either a card or a text, never both: Teams splits the two into two messages and then gives no id, so the
//! card could never be edited (Teams docs on bot conversations). What toast and search show comes from `summary`.

use cards::{Call, Card, Mention};
use domain::connection::{Channel, ChannelKind};
use domain::ids::{ChannelId, EntraUserId, TeamId};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::reply::CARD_TYPE;
use crate::wire::text;

/// Anything with an id.
#[derive(Debug, Serialize)]
pub(super) struct Ref<'a> {
    pub(super) id: &'a str,
}

/// A message of the bot.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    from: Ref<'a>,
    conversation: Ref<'a>,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Content<'a> {
    Card {
        summary: &'a str,
        attachments: [Attachment<'a>; 1],
    },
    #[serde(rename_all = "camelCase")]
    Text {
        text: &'a str,
        text_format: &'static str,
    },
    #[serde(rename_all = "camelCase")]
    Call {
        text: &'a str,
        text_format: &'static str,
        entities: Vec<Entity<'a>>,
    },
}

#[derive(Debug, Serialize)]
struct Entity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
    mentioned: Mentioned<'a>,
}

#[derive(Debug, Serialize)]
struct Mentioned<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment<'a> {
    content_type: &'static str,
    #[serde(serialize_with = "content")]
    content: &'a Card,
}

fn content<S: Serializer>(card: &Card, serializer: S) -> Result<S::Ok, S::Error> {
    card.content.serialize(serializer)
}

impl<'a> Message<'a> {
    pub(super) fn card(bot: &'a str, conversation: &'a str, card: &'a Card) -> Self {
        let attachments = [Attachment { content_type: CARD_TYPE, content: card }];
        Self::new(bot, conversation, Content::Card { summary: &card.summary, attachments })
    }

    /// Text that Teams shows as it is: no Markdown, no mentions.
    pub(super) fn text(bot: &'a str, conversation: &'a str, text: &'a str) -> Self {
        Self::new(bot, conversation, Content::Text { text, text_format: "plain" })
    }

    /// Text that mentions people: each mention's text stands in it (Teams docs, "Mentions in bot messages").
    pub(super) fn call(bot: &'a str, conversation: &'a str, call: &'a Call) -> Self {
        let entity = |mention: &'a Mention| Entity {
            kind: "mention",
            text: &mention.text,
            mentioned: Mentioned { id: mention.user.as_str(), name: &mention.name },
        };
        let entities = call.mentions.iter().map(entity).collect();
        Self::new(bot, conversation, Content::Call { text: &call.text, text_format: "markdown", entities })
    }

    fn new(bot: &'a str, conversation: &'a str, content: Content<'a>) -> Self {
        Self { kind: "message", from: Ref { id: bot }, conversation: Ref { id: conversation }, content }
    }
}

/// Creates a conversation: a post in a channel with its first message, or the chat with a person.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewConversation<'a> {
    pub(super) is_group: bool,
    pub(super) bot: Ref<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) members: Option<[Ref<'a>; 1]>,
    pub(super) tenant_id: &'a str,
    pub(super) channel_data: ChannelData<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) activity: Option<Message<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChannelData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) channel: Option<Ref<'a>>,
    pub(super) tenant: Ref<'a>,
}

/// What a creation answers: the message's id, or the conversation's id and perhaps its first message's.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) id: Option<String>,
    pub(super) activity_id: Option<String>,
}

impl Created {
    pub(super) fn read(answer: &Value) -> Self {
        Self { id: text(answer, "id"), activity_id: text(answer, "activityId") }
    }

    /// The id of the first message of a new post. Where it is not given, it is the thread's number.
    pub(super) fn first_message(self) -> Option<String> {
        let of_thread = |id: String| id.split_once(";messageid=").map(|(_, number)| number.to_owned());
        self.activity_id.or_else(|| self.id.and_then(of_thread))
    }
}

/// The sign-in name of somebody in a conversation, if this is that user. The name of the Entra id's field varies between the endpoints.
/// People are told apart by it, so that half of one is none.
pub(super) fn upn(member: &Value, user: &EntraUserId) -> Option<String> {
    let id = text(member, "aadObjectId").or_else(|| text(member, "objectId"))?;
    let is_whole = |upn: &String| !upn.trim().is_empty() && !upn.contains(char::REPLACEMENT_CHARACTER);
    text(member, "userPrincipalName").filter(|upn| is_whole(upn) && id.eq_ignore_ascii_case(user.as_str()))
}

/// One of a team's channels.
pub(super) fn channel(listed: &Value, team: &TeamId) -> Option<Channel> {
    let kind = match text(listed, "type") {
        Some(kind) if kind.eq_ignore_ascii_case("private") => ChannelKind::Private,
        Some(kind) if kind.eq_ignore_ascii_case("shared") => ChannelKind::Shared,
        Some(_) | None => ChannelKind::Standard,
    };
    let id = ChannelId::new(text(listed, "id")?).ok()?;
    Some(Channel { id, team: team.clone(), name: text(listed, "name"), kind, deleted: false })
}
