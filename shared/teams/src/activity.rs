//! What comes from Teams, read leniently, and what it means for the bot.
//!
//! Teams adds activity types, entities and fields without notice, and stops delivering to a bot that keeps failing on them.
//! So an activity is picked from the JSON field by field: what is missing, unknown or of an unexpected type is left out.

mod inbound;
mod text;

use aws_lc_rs::digest::{SHA256, digest};
use domain::ids::{ActivityId, ChannelId, ConversationId, EntraUserId, ServiceUrl, TeamId, TeamsUserId, TenantId};
use jiff::Timestamp;
use serde_json::Value;

pub use self::inbound::{Click, Inbound};

/// One activity of the Bot Framework protocol. Not to be cloned: what is rewritten was not verified.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub struct Activity {
    /// The same when Teams sends an activity again: one that is not legible is made of the whole. A system activity without one gets
    /// `unidentified`.
    pub id: ActivityId,
    pub kind: ActivityKind,
    /// When it happened, by Teams' clock. `None`: Teams did not say it legibly.
    pub timestamp: Option<Timestamp>,
    /// Where to answer; may change between activities.
    pub service_url: ServiceUrl,
    /// `msteams` for everything that passed the check.
    pub channel_id: String,
    pub from: Option<Person>,
    /// The bot, as this conversation knows it.
    pub recipient: Option<Person>,
    pub conversation: Conversation,
    pub tenant: TenantId,
    /// The team, if it is about one.
    pub team: Option<TeamRef>,
    /// The channel, if it is about one.
    pub channel: Option<ChannelRef>,
    /// The channel that was chosen when the bot was added.
    pub selected_channel: Option<ChannelId>,
    /// The message that it refers to: for a click, the card's.
    pub reply_to: Option<ActivityId>,
    /// A message's text as it was sent: with mentions, entities and line breaks.
    pub text: String,
    /// The payload of an invoke or of a submitted card; `Null` if there is none.
    pub value: Value,
    pub name: Option<String>,
    /// `add` or `remove`, for an installation update.
    pub action: Option<String>,
    pub event_type: Option<String>,
    pub members_added: Vec<Person>,
    pub members_removed: Vec<Person>,
    pub mentions: Vec<Mention>,
    /// The person's time zone, as their client names it.
    pub zone: Option<String>,
}

/// The sorts of activities that the bot looks into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivityKind {
    /// Somebody wrote, or submitted a card.
    Message,
    /// A request whose HTTP answer is shown to the person.
    Invoke,
    /// People, channels or the team changed.
    ConversationUpdate,
    /// The bot was added or removed.
    InstallationUpdate,
    /// Anything else, by its name.
    Other(String),
}

/// A person or a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: TeamsUserId,
    /// As Teams shows it; absent on system activities.
    pub name: Option<String>,
    /// The Entra object id; bots have none.
    pub entra: Option<EntraUserId>,
}

/// Where an activity happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// With `;messageid=…` if it is a thread of a channel.
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// Its tenant, if it says so.
    pub tenant: Option<TenantId>,
}

/// The kinds of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationKind {
    /// One person and the bot.
    Personal,
    /// A chat or a meeting.
    GroupChat,
    /// A channel of a team, or a thread in it.
    Channel,
    /// One that did not exist when this was written.
    Unknown,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamRef {
    /// Its id, which is also its General channel's.
    pub id: TeamId,
    /// As Teams shows it.
    pub name: Option<String>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRef {
    pub id: ChannelId,
    /// As Teams shows it; the General channel has none.
    pub name: Option<String>,
}

/// Somebody is named in the text with `<at>…</at>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    pub id: TeamsUserId,
    /// The exact part of the text that names them.
    pub text: String,
}

impl Activity {
    /// Reads an activity; `None` without a conversation, or if it is to be acted on once and has no id to know it by.
    pub(crate) fn read(document: &Value, tenant: TenantId) -> Option<Self> {
        let kind = ActivityKind::read(text_at(document, "/type")?);
        let id = text_at(document, "/id").and_then(|id| ActivityId::new(id).ok());
        let id = match (&kind, id) {
            (_, Some(id)) => id,
            (ActivityKind::Message | ActivityKind::Invoke, None) if document.get("id").is_some() => of_whole(document)?,
            (ActivityKind::Message | ActivityKind::Invoke, None) => return None,
            (_, None) => ActivityId::new("unidentified").ok()?,
        };
        Some(Self {
            id,
            kind,
            timestamp: text_at(document, "/timestamp").and_then(|at| at.parse().ok()),
            service_url: ServiceUrl::new(text_at(document, "/serviceUrl")?).ok()?,
            channel_id: text_at(document, "/channelId")?.to_owned(),
            from: document.get("from").and_then(Person::read),
            recipient: document.get("recipient").and_then(Person::read),
            conversation: Conversation::read(document)?,
            tenant,
            team: TeamRef::read(document),
            channel: ChannelRef::read(document),
            selected_channel: text_at(document, "/channelData/settings/selectedChannel/id").and_then(channel),
            reply_to: text_at(document, "/replyToId").and_then(|id| ActivityId::new(id).ok()),
            text: text_at(document, "/text").unwrap_or_default().to_owned(),
            value: document.get("value").cloned().unwrap_or_default(),
            name: owned_at(document, "/name"),
            action: owned_at(document, "/action"),
            event_type: owned_at(document, "/channelData/eventType"),
            members_added: people(document.get("membersAdded")),
            members_removed: people(document.get("membersRemoved")),
            mentions: list(document.get("entities")).iter().filter_map(Mention::read).collect(),
            zone: owned_at(document, "/localTimezone"),
        })
    }

    /// The channel that it happened in, without the thread; `None` outside of channels.
    #[must_use]
    pub fn channel_of(&self) -> Option<ChannelId> {
        match self.conversation.kind {
            ConversationKind::Channel => channel(self.conversation.id.as_str()),
            ConversationKind::Personal | ConversationKind::GroupChat | ConversationKind::Unknown => None,
        }
    }

    /// Whether one of these people is the bot itself.
    fn includes_bot(&self, people: &[Person]) -> bool {
        self.recipient.as_ref().is_some_and(|bot| people.iter().any(|person| person.id == bot.id))
    }
}

impl ActivityKind {
    fn read(name: &str) -> Self {
        match name {
            "message" => Self::Message,
            "invoke" => Self::Invoke,
            "conversationUpdate" => Self::ConversationUpdate,
            "installationUpdate" => Self::InstallationUpdate,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Person {
    fn read(value: &Value) -> Option<Self> {
        // The member endpoints write `objectId` for the same thing.
        let entra = text_at(value, "/aadObjectId").or_else(|| text_at(value, "/objectId"));
        Some(Self {
            id: TeamsUserId::new(text_at(value, "/id")?).ok()?,
            name: owned_at(value, "/name"),
            entra: entra.and_then(|id| EntraUserId::new(id).ok()),
        })
    }
}

impl Conversation {
    fn read(document: &Value) -> Option<Self> {
        let id = ConversationId::new(text_at(document, "/conversation/id")?).ok()?;
        Some(Self {
            kind: ConversationKind::read(legible_at(document, "/conversation/conversationType"), &id),
            id,
            tenant: text_at(document, "/conversation/tenantId").and_then(|id| TenantId::new(id).ok()),
        })
    }
}

impl ConversationKind {
    /// System activities of older teams lack the type; the form of the id says the same.
    fn read(name: Option<&str>, id: &ConversationId) -> Self {
        let thread = id.as_str().split(';').next().unwrap_or_default();
        match name {
            Some("personal") => Self::Personal,
            Some("groupChat") => Self::GroupChat,
            Some("channel") => Self::Channel,
            Some(_) => Self::Unknown,
            None if thread.starts_with("a:") => Self::Personal,
            None if thread.ends_with("@thread.tacv2") || thread.ends_with("@thread.skype") => Self::Channel,
            None if thread.ends_with("@thread.v2") => Self::GroupChat,
            None => Self::Unknown,
        }
    }
}

impl TeamRef {
    fn read(document: &Value) -> Option<Self> {
        let id = text_at(document, "/channelData/team/id").or_else(|| text_at(document, "/channelData/teamsTeamId"));
        Some(Self { id: TeamId::new(id?).ok()?, name: owned_at(document, "/channelData/team/name") })
    }
}

impl ChannelRef {
    fn read(document: &Value) -> Option<Self> {
        let id = text_at(document, "/channelData/channel/id");
        let id = id.or_else(|| text_at(document, "/channelData/teamsChannelId"));
        Some(Self { id: channel(id?)?, name: owned_at(document, "/channelData/channel/name") })
    }
}

impl Mention {
    fn read(entity: &Value) -> Option<Self> {
        if text_at(entity, "/type")? != "mention" {
            return None;
        }
        let named = || text_at(entity, "/mentioned/name").map(|name| format!("<at>{name}</at>"));
        Some(Self {
            id: TeamsUserId::new(text_at(entity, "/mentioned/id")?).ok()?,
            text: owned_at(entity, "/text").or_else(named)?,
        })
    }
}

/// A text that is there and not empty.
fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The same if all of it is legible.
fn legible_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    text_at(value, pointer).filter(|text| !text.contains(char::REPLACEMENT_CHARACTER))
}

fn of_whole(document: &Value) -> Option<ActivityId> {
    let digest = digest(&SHA256, document.to_string().as_bytes());
    ActivityId::new(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()).ok()
}

fn owned_at(value: &Value, pointer: &str) -> Option<String> {
    text_at(value, pointer).map(str::to_owned)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn people(value: Option<&Value>) -> Vec<Person> {
    list(value).iter().filter_map(Person::read).collect()
}

fn channel(conversation: &str) -> Option<ChannelId> {
    ChannelId::new(conversation.split(';').next()?).ok()
}

#[cfg(test)]
mod tests;
