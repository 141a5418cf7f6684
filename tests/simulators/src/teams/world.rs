//! Building the world and looking at it. Nothing here reaches the bot.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::ids::base_of;
use super::model::{Channel, Chat, Team};
use super::{ChannelKind, Counters, Delivery, Message, Mistake, Teams, User};

const GENERAL: &str = "General";

/// A team, for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TeamInfo {
    /// Its id, which is also its General channel's.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tenant.
    pub tenant: String,
    /// Whether the bot is in its roster.
    pub bot_in_roster: bool,
    /// Its living channels, General first.
    pub channels: Vec<ChannelInfo>,
}

/// A channel, for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who may see it.
    pub kind: ChannelKind,
    /// Whether the bot is in it.
    pub has_bot: bool,
}

impl Teams {
    /// A person of the bot's tenant, who becomes a member of all its teams. Returns their `29:…` id.
    pub fn add_user(&self, name: &str) -> String {
        self.add_user_in(&self.options().tenant.clone(), name)
    }

    /// A person of any tenant.
    pub fn add_user_in(&self, tenant: &str, name: &str) -> String {
        let now = self.now();
        let mut state = self.lock();
        let mailbox: String = name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(".");
        let taken = |email: &str| state.users.iter().any(|user| user.email == email);
        let first = format!("{mailbox}@example.com");
        let email = if taken(&first) { format!("{mailbox}.{}@example.com", state.users.len()) } else { first };
        let (id, entra) = (state.ids.user(now), state.ids.guid(now));
        state.users.push(User { id: id.clone(), entra, name: name.to_owned(), tenant: tenant.to_owned(), email });
        for team in state.teams.iter_mut().filter(|team| team.tenant == tenant) {
            team.members.insert(id.clone());
        }
        id
    }

    /// Gives a person another e-mail address, which is their sign-in name (UPN) as well.
    pub fn set_email(&self, user: &str, email: &str) {
        if let Some(user) = self.lock().users.iter_mut().find(|known| known.id == user) {
            email.clone_into(&mut user.email);
        }
    }

    /// A team of the bot's tenant with its General channel; everybody of the tenant is a member. Returns the team's id.
    pub fn add_team(&self, name: &str) -> String {
        self.add_team_in(&self.options().tenant.clone(), name)
    }

    /// A team of any tenant.
    pub fn add_team_in(&self, tenant: &str, name: &str) -> String {
        let now = self.now();
        let mut state = self.lock();
        let (id, group) = (state.ids.channel(now), state.ids.guid(now));
        let members: BTreeSet<String> =
            state.users.iter().filter(|user| user.tenant == tenant).map(|user| user.id.clone()).collect();
        state.teams.push(Team {
            id: id.clone(),
            name: name.to_owned(),
            group,
            tenant: tenant.to_owned(),
            channels: vec![Channel::new(&id, GENERAL, ChannelKind::Standard)],
            members,
            bot_in_roster: false,
            archived: false,
            deleted: false,
        });
        id
    }

    /// A channel that was always there. Returns its id; in a team that does not exist, an id of nothing.
    pub fn add_channel(&self, team: &str, name: &str) -> String {
        self.add_channel_of_kind(team, name, ChannelKind::Standard)
    }

    /// A channel of any kind. The bot is in a private or shared one only after [`Teams::install_in_channel`]. Its people are those
    /// of the team.
    pub fn add_channel_of_kind(&self, team: &str, name: &str, kind: ChannelKind) -> String {
        let now = self.now();
        let mut state = self.lock();
        let id = state.ids.channel(now);
        if let Some(team) = state.team_mut(team) {
            team.channels.push(Channel::new(&id, name, kind));
        }
        id
    }

    /// Puts the bot in a team's roster without telling it.
    pub fn admit_bot(&self, team: &str) {
        self.set_roster(team, true);
    }

    /// Takes the bot out of a team's roster without telling it: its calls meet 403 from now on.
    pub fn expel_bot(&self, team: &str) {
        self.set_roster(team, false);
    }

    pub(super) fn set_roster(&self, team: &str, present: bool) {
        if let Some(team) = self.lock().team_mut(team) {
            team.bot_in_roster = present;
        }
    }

    /// Deletes a channel without telling the bot: calls about it meet 404 from now on.
    pub fn drop_channel(&self, channel: &str) {
        self.set_deleted(channel, true);
    }

    pub(super) fn set_deleted(&self, channel: &str, deleted: bool) {
        let mut state = self.lock();
        for found in state.teams.iter_mut().flat_map(|team| &mut team.channels).filter(|found| found.id == channel) {
            found.deleted = deleted;
        }
    }

    /// Deletes a message, as an owner of the team may: edits of it meet 404 from now on.
    pub fn delete_message(&self, id: &str) {
        if let Some(message) = self.lock().messages.get_mut(id) {
            message.deleted = true;
        }
    }

    /// Whether the person blocked the bot: sending to them meets 403.
    pub fn block_bot(&self, user: &str, blocked: bool) {
        let mut state = self.lock();
        let Some(id) = state.user(user).map(|user| user.id.clone()) else { return };
        if blocked {
            state.blocked.insert(id)
        } else {
            state.blocked.remove(&id)
        };
    }

    /// The person removes the chat with the bot: sending to it meets 404 until the bot creates it again.
    pub fn remove_chat(&self, user: &str) {
        let mut state = self.lock();
        let Some(id) = state.user(user).map(|user| user.id.clone()) else { return };
        if let Some(chat) = state.chats.iter_mut().find(|chat| chat.user == id) {
            chat.removed = true;
        }
    }

    /// Everybody, in the order in which they came.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.lock().users.clone()
    }

    /// By `29:…`, Entra object id or e-mail address.
    #[must_use]
    pub fn user(&self, key: &str) -> Option<User> {
        self.lock().user(key).cloned()
    }

    /// The `29:…` id of the first person with this name.
    #[must_use]
    pub fn user_named(&self, name: &str) -> Option<String> {
        self.lock().users.iter().find(|user| user.name == name).map(|user| user.id.clone())
    }

    /// Every living team.
    #[must_use]
    pub fn teams(&self) -> Vec<TeamInfo> {
        let living = |team: &Team| {
            team.channels.iter().filter(|channel| !channel.deleted).map(|channel| channel_info(team, channel)).collect()
        };
        let info = |team: &Team| TeamInfo {
            id: team.id.clone(),
            name: team.name.clone(),
            tenant: team.tenant.clone(),
            bot_in_roster: team.bot_in_roster,
            channels: living(team),
        };
        self.lock().teams.iter().filter(|team| !team.deleted).map(info).collect()
    }

    /// The id of the living team with this name.
    #[must_use]
    pub fn team_named(&self, name: &str) -> Option<String> {
        self.teams().into_iter().find(|team| team.name == name).map(|team| team.id)
    }

    /// The id of the team's living channel with this name.
    #[must_use]
    pub fn channel_named(&self, team: &str, name: &str) -> Option<String> {
        let team = self.teams().into_iter().find(|known| known.id == team)?;
        team.channels.into_iter().find(|channel| channel.name == name).map(|channel| channel.id)
    }

    /// The id of the person's chat with the bot, if there ever was one.
    #[must_use]
    pub fn personal_chat(&self, user: &str) -> Option<String> {
        let state = self.lock();
        state.user(user).and_then(|user| state.chat_of(&user.id)).map(|chat| chat.id.clone())
    }

    /// What is to be seen in a channel or chat, oldest first; by the id of a thread, only its root and replies.
    #[must_use]
    pub fn messages(&self, conversation: &str) -> Vec<Message> {
        let root = super::ids::root_of(conversation);
        let wanted = |message: &&Message| {
            let in_thread = root.is_none_or(|root| message.id == root || message.root.as_deref() == Some(root));
            message.conversation == base_of(conversation) && !message.deleted && in_thread
        };
        self.lock().messages.values().filter(wanted).cloned().collect()
    }

    /// What is to be seen in the person's chat with the bot, oldest first.
    #[must_use]
    pub fn personal_messages(&self, user: &str) -> Vec<Message> {
        self.personal_chat(user).map(|chat| self.messages(&chat)).unwrap_or_default()
    }

    /// A message, even a deleted one.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<Message> {
        self.lock().messages.get(id).cloned()
    }

    /// The card as this person's client shows it.
    ///
    /// # Errors
    /// No such person, or no such card.
    pub fn card_for(&self, user: &str, activity: &str) -> Result<Value, Mistake> {
        let state = self.lock();
        let user = state.user(user).ok_or_else(|| Mistake::UnknownUser(user.to_owned()))?;
        let message = state.messages.get(activity).filter(|message| !message.deleted);
        let card = message.and_then(|message| message.card_for(&user.id));
        card.cloned().ok_or_else(|| Mistake::UnknownMessage(activity.to_owned()))
    }

    /// What the bot did in a channel or chat.
    #[must_use]
    pub fn counters(&self, conversation: &str) -> Counters {
        self.lock().counters.get(base_of(conversation)).copied().unwrap_or_default()
    }

    /// What the bot did in all channels and chats.
    #[must_use]
    pub fn all_counters(&self) -> Counters {
        self.lock().counters.values().fold(Counters::default(), |all, one| Counters {
            posts: all.posts + one.posts,
            replies: all.replies + one.replies,
            edits: all.edits + one.edits,
            deletes: all.deletes + one.deletes,
            throttled: all.throttled + one.throttled,
        })
    }

    /// Everything that was sent to the bot, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().passing.deliveries.clone()
    }

    /// The person's chat, opened if there is none.
    pub(super) fn chat_with(&self, user: &User) -> Chat {
        let now = self.now();
        self.lock().open_chat(user, now)
    }

    pub(super) fn known_user(&self, key: &str) -> Result<User, Mistake> {
        self.user(key).ok_or_else(|| Mistake::UnknownUser(key.to_owned()))
    }
}

fn channel_info(team: &Team, channel: &Channel) -> ChannelInfo {
    let (id, name) = (channel.id.clone(), channel.name.clone());
    ChannelInfo { id, name, kind: channel.kind, has_bot: team.bot_is_in(channel) }
}
