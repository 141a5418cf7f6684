//! What people write to the bot, and what they hear.

use simulators::teams::{Message, Mistake};

use super::{Answer, Did, Done, People, Person, Replies, cards};
use crate::script::{Words, title};

pub(super) const NOT_DELIVERED: &str = "Teams would not deliver it";

impl People<'_> {
    pub(super) async fn say(&self, person: usize, channel: Option<usize>, words: Words) -> Done {
        let (person, who) = self.person(person)?;
        let conversation = match channel {
            Some(channel) => self.channel(channel)?.1.id.clone(),
            None => self.chat(who).await?,
        };
        let text = match words {
            Words::Help => "help".to_owned(),
            Words::Open => "open".to_owned(),
            Words::Incidents => "incidents".to_owned(),
            Words::MyIncidents => "incidents mine".to_owned(),
            Words::OnCall => "oncall".to_owned(),
            Words::Connections => "connections".to_owned(),
            Words::Configure => "configure".to_owned(),
            Words::Trigger { case } => format!("trigger {}", title("Reported by hand", case)),
            Words::WrongKey => "authorize ABCDEF-GHJKMN-PQRSTV-WXYZ01".to_owned(),
            Words::Nonsense => "make coffee".to_owned(),
        };
        let heard = self.write(who, &conversation, &text).await?;
        Ok(Did::Said { person, conversation, text, heard })
    }

    /// Their chat with the bot. Whoever has none adds the app for themselves first.
    pub(super) async fn chat(&self, who: &Person) -> Done<String> {
        if self.teams.personal_chat(&who.teams).is_none() {
            // It is added all the same if the bot does not answer.
            let _told = self.teams.install_personal(&who.teams).await;
        }
        self.teams.personal_chat(&who.teams).ok_or(NOT_DELIVERED)
    }

    /// Writes it, and hears what the bot writes until it has answered.
    pub(super) async fn write(&self, who: &Person, conversation: &str, text: &str) -> Done<Replies> {
        let activity = self.teams.message_activity(&who.teams, conversation, text).map_err(why)?;
        let id = activity.get("id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let answer = Answer::of_message(&self.teams.send(activity).await);
        let is_chat = self.teams.personal_chat(&who.teams).as_deref() == Some(conversation);
        let is_reply = |message: &Message| message.root.as_deref() == Some(&id) || is_chat && message.id > id;
        let said = |message: &Message| {
            let said = message.from_bot && message.conversation == conversation && is_reply(message);
            said.then(|| shown(message))
        };
        Ok(Replies { answer, replies: self.teams.find(said) })
    }
}

/// What a message says.
pub(super) fn shown(message: &Message) -> String {
    message.text.clone().or_else(|| message.card.as_ref().map(cards::text)).unwrap_or_default()
}

/// Why somebody's client does not send it.
#[expect(clippy::needless_pass_by_value, reason = "so that it goes into map_err")]
pub(super) fn why(mistake: Mistake) -> &'static str {
    match mistake {
        Mistake::UnknownUser(_) => "there is no such user",
        Mistake::UnknownConversation(_) => "the channel is gone",
        Mistake::UnknownMessage(_) => "the card is gone",
        Mistake::NotDeliverable(_) => NOT_DELIVERED,
        Mistake::NoSuchButton { .. } => "the card has no such button",
        Mistake::NotClickable { .. } => "the button cannot be clicked",
        Mistake::BadInput { .. } => "the form does not take that",
        Mistake::NothingSent | Mistake::NoAnswer(_) | Mistake::Unable(_) => "nothing was sent",
    }
}
