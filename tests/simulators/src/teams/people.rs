//! What people do: write, click, open dialogs, look at a card.

use serde_json::{Map, Value, json};

use super::activities::{Frame, Place, execute_value};
use super::answer::MOST_CHOICES;
use super::card_actions::{self, Button, Wanted};
use super::model::{Message, State};
use super::values::{part, set, text};
use super::{HttpAnswer, Mistake, Teams, User, ids, outgoing};

/// The name of the question behind a typeahead.
pub(super) const SEARCH: &str = "application/search";

impl Teams {
    /// The person writes to the bot: in a channel as a new post that mentions it, in a thread (`…;messageid=`) as such a reply, or in
    /// their chat with it.
    ///
    /// # Errors
    /// Teams would not deliver it, or the bot does not answer.
    pub async fn say(&self, user: &str, conversation: &str, text: &str) -> Result<HttpAnswer, Mistake> {
        let activity = self.message_activity(user, conversation, text)?;
        self.send(activity).await
    }

    /// The person writes in their chat with the bot; it is opened if there is none, which needs the app in their personal scope.
    ///
    /// # Errors
    /// Teams would not deliver it, or the bot does not answer.
    pub async fn say_privately(&self, user: &str, text: &str) -> Result<HttpAnswer, Mistake> {
        let user = self.known_user(user)?;
        let known = self.lock().chat_of(&user.id).map(|chat| chat.id.clone());
        let chat = match known {
            Some(chat) => chat,
            None => {
                self.install_personal(&user.id).await?;
                self.chat_with(&user).id
            }
        };
        self.say(&user.id, &chat, text).await
    }

    /// Writes the message but gives its activity back instead of sending it: for tests that change it first.
    ///
    /// # Errors
    /// Teams would not deliver it.
    pub fn message_activity(&self, user: &str, conversation: &str, text: &str) -> Result<Value, Mistake> {
        let user = self.known_user(user)?;
        let frame = self.frame();
        let mut state = self.lock();
        let id = state.ids.message(frame.now);
        let (activity, base, root) = match Spot::of(&state, &user, conversation)? {
            Spot::Chat(place) => (frame.chat_message(&id, &user, place, text), conversation.to_owned(), None),
            Spot::Channel(team, _) if team.archived => {
                return Err(Mistake::NotDeliverable("the team is archived".to_owned()));
            }
            Spot::Channel(team, channel) => {
                let root = ids::root_of(conversation).map(str::to_owned);
                let place = Place::thread(&team, &channel, root.as_deref().unwrap_or(&id));
                (frame.channel_message(&id, &user, place, text), channel.id, root)
            }
        };
        let blank = outgoing::blank(&id, &base, root, &user.id, frame.now);
        outgoing::store(&mut state, Message { text: Some(text.to_owned()), ..blank });
        Ok(activity)
    }

    /// The person presses a button of the card as they see it: by title, verb or id. `inputs` is what they typed, by input id.
    /// `Action.Execute` asks the bot for an answer, `Action.Submit` sends a message or opens a dialog.
    ///
    /// # Errors
    /// Their client would not send anything, or the bot does not answer.
    pub async fn click<'a>(
        &self,
        user: &str,
        activity: &str,
        button: impl Into<Wanted<'a>>,
        inputs: Value,
    ) -> Result<HttpAnswer, Mistake> {
        let activity = self.click_activity(user, activity, button, &inputs)?;
        self.send(activity).await
    }

    /// The person is impatient: two clicks at the same time, each an activity of its own.
    ///
    /// # Errors
    /// Their client would not send anything, or the bot does not answer.
    pub async fn double_click(
        &self,
        user: &str,
        activity: &str,
        button: &str,
        inputs: Value,
    ) -> Result<(HttpAnswer, HttpAnswer), Mistake> {
        let first = self.click_activity(user, activity, button, &inputs)?;
        let second = self.click_activity(user, activity, button, &inputs)?;
        tokio::try_join!(self.send(first), self.send(second))
    }

    /// The activity of a click, not sent: for tests that change it first.
    ///
    /// # Errors
    /// The person's client would not send anything.
    pub fn click_activity<'a>(
        &self,
        user: &str,
        activity: &str,
        button: impl Into<Wanted<'a>>,
        inputs: &Value,
    ) -> Result<Value, Mistake> {
        let card = self.card_for(user, activity)?;
        let button = card_actions::find(&card, button.into())?;
        let data = button.data(inputs)?;
        match button.kind() {
            "Action.Execute" => {
                self.invoke(user, activity, "adaptiveCard/action", execute_value(&button.action, data, "manual"))
            }
            "Action.Submit" => self.submit(user, activity, &button, data),
            kind => Err(Mistake::NotClickable {
                button: text(&button.action, "title").unwrap_or_default().to_owned(),
                why: format!("{kind} sends nothing to the bot"),
            }),
        }
    }

    /// The person's client opens the card: if the card asks for it, it is refreshed for them. None if it does not.
    ///
    /// # Errors
    /// There is no such card, or the bot does not answer.
    pub async fn look(&self, user: &str, activity: &str) -> Result<Option<HttpAnswer>, Mistake> {
        let user = self.known_user(user)?;
        let card = self.card_for(&user.id, activity)?;
        let Some(action) = card.pointer("/refresh/action") else { return Ok(None) };
        let users = card.pointer("/refresh/userIds").and_then(Value::as_array);
        if users.is_some_and(|users| !users.iter().any(|wanted| *wanted == json!(user.id))) {
            return Ok(None);
        }
        let data = action.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
        let activity =
            self.invoke(&user.id, activity, "adaptiveCard/action", execute_value(action, data, "automatic"))?;
        self.send(activity).await.map(Some)
    }

    /// Titles of the buttons that the person sees on the card, in reading order.
    ///
    /// # Errors
    /// There is no such card.
    pub fn buttons(&self, user: &str, activity: &str) -> Result<Vec<String>, Mistake> {
        Ok(card_actions::titles(&self.card_for(user, activity)?))
    }

    /// Where a button leads that only opens a page.
    ///
    /// # Errors
    /// There is no such button, or it does something else.
    pub fn link(&self, user: &str, activity: &str, button: &str) -> Result<String, Mistake> {
        let card = self.card_for(user, activity)?;
        let found = card_actions::find(&card, button.into())?;
        let url = (found.kind() == "Action.OpenUrl").then(|| text(&found.action, "url")).flatten();
        let no_link = || Mistake::NotClickable { button: button.to_owned(), why: "it opens no page".to_owned() };
        url.map(str::to_owned).ok_or_else(no_link)
    }

    /// Opens a dialog with any data. A [`Teams::click`] on a button with `msteams.type` `task/fetch` does the same.
    ///
    /// # Errors
    /// There is no such card, or the bot does not answer.
    pub async fn task_fetch(&self, user: &str, activity: &str, data: Value) -> Result<HttpAnswer, Mistake> {
        let value = json!({ "data": data, "context": { "theme": "default" } });
        let activity = self.invoke(user, activity, "task/fetch", value)?;
        self.send(activity).await
    }

    /// Sends any data from a dialog.
    ///
    /// # Errors
    /// There is no such card, or the bot does not answer.
    pub async fn task_submit(&self, user: &str, activity: &str, data: Value) -> Result<HttpAnswer, Mistake> {
        let value = json!({ "data": data, "context": { "theme": "default" } });
        let activity = self.invoke(user, activity, "task/submit", value)?;
        self.send(activity).await
    }

    /// The person presses a button in the dialog that they have open.
    ///
    /// # Errors
    /// They have no dialog open, their client would not send anything, or the bot does not answer.
    pub async fn submit_dialog<'a>(
        &self,
        user: &str,
        button: impl Into<Wanted<'a>>,
        inputs: Value,
    ) -> Result<HttpAnswer, Mistake> {
        let user = self.known_user(user)?;
        let (activity, dialog) = self.open_dialog(&user)?;
        let button = button.into();
        let found = card_actions::find(&dialog, button)?;
        if found.kind() != "Action.Submit" {
            let why = "inside a dialog only Action.Submit works".to_owned();
            return Err(Mistake::NotClickable { button: button.name.to_owned(), why });
        }
        self.task_submit(&user.id, &activity, Value::Object(found.data(&inputs)?)).await
    }

    /// The card of the dialog that the person has open.
    #[must_use]
    pub fn dialog(&self, user: &str) -> Option<Value> {
        let state = self.lock();
        let user = state.user(user)?;
        state.passing.dialogs.get(&user.id).map(|(_, dialog)| dialog.clone())
    }

    /// The person closes their dialog; the bot hears nothing of it.
    pub fn close_dialog(&self, user: &str) {
        if let Some(user) = self.user(user) {
            self.lock().passing.dialogs.remove(&user.id);
        }
    }

    /// The person types in an `Input.ChoiceSet` that asks the bot for its choices (Teams docs, "Typeahead search in Adaptive
    /// Cards"): on a card, or in the dialog that they have open.
    ///
    /// # Errors
    /// There is no such card or dialog, it asks for no such data set, or the bot does not answer.
    pub async fn search(
        &self,
        user: &str,
        activity: Option<&str>,
        dataset: &str,
        text: &str,
    ) -> Result<HttpAnswer, Mistake> {
        let user = self.known_user(user)?;
        let (activity, card) = match activity {
            Some(activity) => (activity.to_owned(), self.card_for(&user.id, activity)?),
            None => self.open_dialog(&user)?,
        };
        if !card_actions::asks_for(&card, dataset) {
            let why = "the card asks for no such data set".to_owned();
            return Err(Mistake::BadInput { input: dataset.to_owned(), why });
        }
        let value =
            json!({ "queryText": text, "queryOptions": { "skip": 0, "top": MOST_CHOICES }, "dataset": dataset });
        let activity = self.invoke(&user.id, &activity, SEARCH, value)?;
        self.send(activity).await
    }

    /// The message that opened the person's dialog, and the dialog's card.
    fn open_dialog(&self, user: &User) -> Result<(String, Value), Mistake> {
        let open = self.lock().passing.dialogs.get(&user.id).cloned();
        open.ok_or_else(|| Mistake::UnknownMessage("dialog".to_owned()))
    }

    pub(super) fn frame(&self) -> Frame {
        Frame { bot_id: self.bot_id(), service_url: self.service_url(), now: self.now() }
    }

    pub(super) fn invoke(&self, user: &str, card: &str, name: &str, value: Value) -> Result<Value, Mistake> {
        let user = self.known_user(user)?;
        let frame = self.frame();
        let mut state = self.lock();
        let place = place_of_card(&state, &user, card)?;
        let id = state.ids.event(frame.now);
        Ok(frame.invoke(&id, &user, place, name, Some(card), value))
    }

    /// `Action.Submit` does one of several things, depending on `data.msteams` (Teams docs, "Card actions").
    fn submit(&self, user: &str, card: &str, button: &Button, mut data: Map<String, Value>) -> Result<Value, Mistake> {
        let special = data.get("msteams").cloned().unwrap_or_default();
        match text(&special, "type") {
            Some("task/fetch") => {
                self.invoke(user, card, "task/fetch", json!({ "data": data, "context": { "theme": "default" } }))
            }
            Some("signin") => Err(Mistake::NotClickable {
                button: text(&button.action, "title").unwrap_or_default().to_owned(),
                why: "it opens a sign-in window and sends nothing".to_owned(),
            }),
            Some("invoke") => self.invoke(user, card, "composeExtension/onCardButtonClicked", part(&special, "value")),
            kind @ (None | Some("messageBack" | "imBack")) => {
                if kind.is_some() {
                    data.remove("msteams");
                }
                let user = self.known_user(user)?;
                let frame = self.frame();
                let mut state = self.lock();
                let place = place_of_card(&state, &user, card)?;
                let id = state.ids.message(frame.now);
                let mut activity = frame.submit(&id, &user, place, card, Value::Object(data));
                match kind {
                    Some("messageBack") => {
                        set(&mut activity, "text", part(&special, "text"));
                        set(&mut activity, "value", part(&special, "value"));
                    }
                    Some("imBack") => set(&mut activity, "text", part(&special, "value")),
                    _ => {}
                }
                Ok(activity)
            }
            Some(kind) => Err(Mistake::NotClickable {
                button: text(&button.action, "title").unwrap_or_default().to_owned(),
                why: format!("msteams.type {kind:?} is unknown"),
            }),
        }
    }
}

/// Where a person stands, if Teams would bring what they do there to the bot.
enum Spot {
    Channel(super::model::Team, super::model::Channel),
    Chat(Place),
}

impl Spot {
    fn of(state: &State, user: &User, conversation: &str) -> Result<Self, Mistake> {
        let refused = |why: &str| Err(Mistake::NotDeliverable(why.to_owned()));
        if let Some(chat) = state.chat(conversation) {
            return if chat.user == user.id {
                Ok(Self::Chat(Place::chat(chat)))
            } else {
                refused("the chat is another person's")
            };
        }
        let Some((team, channel)) = state.channel(conversation) else {
            return Err(Mistake::UnknownConversation(conversation.to_owned()));
        };
        match (team.members.contains(&user.id), team.bot_is_in(channel)) {
            (false, _) => refused("the person is not a member of the team"),
            (_, false) => {
                refused(if team.bot_in_roster { "the bot is not in the channel" } else { "the bot is not in the team" })
            }
            (true, true) => Ok(Self::Channel(team.clone(), channel.clone())),
        }
    }
}

fn place_of_card(state: &State, user: &User, card: &str) -> Result<Place, Mistake> {
    let message = state.messages.get(card).ok_or_else(|| Mistake::UnknownMessage(card.to_owned()))?;
    Ok(match Spot::of(state, user, &message.conversation)? {
        Spot::Chat(place) => place,
        Spot::Channel(team, channel) => Place::thread(&team, &channel, message.root.as_deref().unwrap_or(&message.id)),
    })
}
