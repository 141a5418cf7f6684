//! People who press buttons.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use simulators::teams::{HttpAnswer, Message, Mistake, Wanted};
use tokio::time::sleep;

use super::cards::{self, Button as Found};
use super::talking::why;
use super::{Answer, Did, Done, People, Person, Press, READING, chosen};
use crate::script::{Button, Card, Manner};

/// Teams sends an activity again after this time.
const RESENT_AFTER: Duration = Duration::from_secs(1);
/// Of the messages that they could scroll to.
const SCROLLED_TO: usize = 20;
const NO_BUTTON: &str = "the card has no such button";

/// What is pressed, and what is typed then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) button: Button,
    pub(super) dialog: &'a [usize],
    pub(super) words: usize,
}

/// A message with a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) conversation: String,
    pub(super) message: String,
}

impl People<'_> {
    pub(super) async fn press(&self, person: usize, card: Card, wish: &Wish<'_>, manner: Manner) -> Done {
        let (person, who) = self.person(person)?;
        let place = self.place(who, card)?;
        let shown = self.teams.card_for(&who.teams, &place.message).map_err(why)?;
        let button = wish.button.on(&cards::buttons(&shown)).ok_or(NO_BUTTON)?;
        let press = |person, again| self.press_one(person, &place.message, &button, wish, again);
        let presses = match manner {
            Manner::With(other) => {
                let (other, _) = self.person(other)?;
                let (first, second) = tokio::join!(press(person, Again::No), press(other, Again::No));
                // Whoever does not see the card or has it otherwise by now presses nothing.
                first.into_iter().chain(second).flatten().collect()
            }
            Manner::Once => press(person, Again::No).await?,
            Manner::Twice => press(person, Again::AtOnce).await?,
            Manner::Resent => press(person, Again::Later).await?,
        };
        if presses.iter().all(|press| !press.answer.was_sent()) {
            return Err(NO_BUTTON);
        }
        Ok(Did::Pressed { conversation: place.conversation, message: place.message, presses })
    }

    pub(super) async fn look(&self, person: usize, card: Card) -> Done {
        let (person, who) = self.person(person)?;
        let Place { conversation, message } = self.place(who, card)?;
        let answer = match self.teams.look(&who.teams, &message).await {
            Ok(None) => None,
            Ok(Some(answer)) => Some(Answer::of_click(&Ok(answer))),
            Err(mistake @ Mistake::NoAnswer(_)) => Some(Answer::of_click(&Err(mistake))),
            Err(mistake) => return Err(why(mistake)),
        };
        Ok(Did::Looked { person, conversation, message, answer })
    }

    /// The card that is meant, if the person can see it.
    fn place(&self, who: &Person, card: Card) -> Done<Place> {
        let chat = self.teams.personal_chat(&who.teams);
        let can_see = |message: &Message| {
            let is_theirs = chat.as_ref() == Some(&message.conversation);
            message.from_bot && (is_theirs || !message.conversation.starts_with("a:"))
        };
        let found = |is_it: &dyn Fn(&Message, &Value) -> bool| {
            let place = |message: &Message| {
                let is_it = can_see(message) && message.card.as_ref().is_some_and(|card| is_it(message, card));
                is_it.then(|| Place { conversation: message.conversation.clone(), message: message.id.clone() })
            };
            self.teams.find(place)
        };
        let newest = |mut places: Vec<Place>, number: usize| {
            places.reverse();
            places.truncate(SCROLLED_TO);
            chosen(&places, number).map(|(_, place)| place.clone())
        };
        let place = match card {
            Card::Of { case, nth } => {
                let incident = self.incident(case)?;
                let places = found(&|_, card| cards::is_about(card, &incident));
                chosen(&places, nth).map(|(_, place)| place.clone())
            }
            Card::Storm { channel } => {
                let (_, channel) = self.channel(channel)?;
                let is_here = |message: &Message| message.conversation == channel.id;
                let here = newest(found(&|message, card| is_here(message) && cards::is_storm(card)), 0);
                here.or_else(|| newest(found(&|_, card| cards::is_storm(card)), 0))
            }
            Card::Mine(number) => {
                let is_mine = |message: &Message| chat.as_ref() == Some(&message.conversation);
                newest(found(&|message, card| is_mine(message) && !cards::buttons(card).is_empty()), number)
            }
            Card::Any(number) => newest(found(&|_, card| !cards::buttons(card).is_empty()), number),
        };
        place.ok_or("there is no such card")
    }

    /// One person presses the button, as they see it, and then those of the dialog. What is done again is the press that does
    /// something: in a dialog its last one.
    async fn press_one(
        &self,
        person: usize,
        message: &str,
        button: &Found,
        wish: &Wish<'_>,
        again: Again,
    ) -> Done<Vec<Press>> {
        let (person, who) = self.person(person)?;
        let wanted = Wanted { name: &button.title, data: Some(&button.data) };
        let nothing = Value::Object(Map::new());
        let activity = self.teams.click_activity(&who.teams, message, wanted, &nothing).map_err(why)?;
        let of_card = if button.opens_dialog() { Again::No } else { again };
        let pressed = Pressed { person, button, on_card: true, typed: None };
        let mut presses = self.send(activity, &pressed, of_card).await;
        for (number, nth) in wish.dialog.iter().enumerate() {
            sleep(READING).await;
            let of_dialog = if number + 1 == wish.dialog.len() { again } else { Again::No };
            let Some(more) = self.submit(person, who, *nth, wish.words, of_dialog).await else { break };
            presses.extend(more);
        }
        if button.opens_dialog() {
            self.teams.close_dialog(&who.teams);
        }
        Ok(presses)
    }

    /// Fills in the dialog that the person has open and presses one of its buttons. `None`: there is none.
    async fn submit(&self, person: usize, who: &Person, nth: usize, words: usize, again: Again) -> Option<Vec<Press>> {
        let form = self.teams.dialog(&who.teams)?;
        let mut found = BTreeMap::new();
        for data_set in cards::data_sets(&form) {
            let answer = self.teams.search(&who.teams, None, &data_set, "").await.ok();
            let choices = answer.and_then(|answer| answer.choices().ok()).unwrap_or_default();
            if let Some((_, choice)) = chosen(&choices, words) {
                found.insert(data_set, choice.value.clone());
            }
        }
        let typed = cards::filled_in(&form, words, &|data_set| found.get(data_set).cloned());
        let buttons = cards::buttons(&form);
        let (_, button) = chosen(&buttons, nth)?;
        let wanted = Wanted { name: &button.title, data: Some(&button.data) };
        let text = ["note", "title"].iter().find_map(|key| typed.get(*key)).and_then(Value::as_str).map(str::to_owned);
        let pressed = Pressed { person, button, on_card: false, typed: text };
        match self.teams.submit_activity(&who.teams, wanted, &Value::Object(typed)) {
            Ok(activity) => Some(self.send(activity, &pressed, again).await),
            Err(mistake) => Some(vec![pressed.with(&Err(mistake), false)]),
        }
    }

    async fn send(&self, activity: Value, pressed: &Pressed<'_>, again: Again) -> Vec<Press> {
        let send = |activity: Value| self.teams.send(activity);
        match again {
            Again::No => vec![pressed.with(&send(activity).await, false)],
            Again::AtOnce => {
                // The client makes another activity of each click.
                let mut second = activity.clone();
                if let Some(Value::String(id)) = second.get_mut("id") {
                    id.push('2');
                }
                let (first, second) = tokio::join!(send(activity), send(second));
                vec![pressed.with(&first, false), pressed.with(&second, true)]
            }
            Again::Later => {
                let first = send(activity.clone()).await;
                sleep(RESENT_AFTER).await;
                vec![pressed.with(&first, false), pressed.with(&send(activity).await, true)]
            }
        }
    }
}

/// Whether the same comes once more.
#[derive(Debug, Clone, Copy)]
enum Again {
    No,
    AtOnce,
    Later,
}

struct Pressed<'a> {
    person: usize,
    button: &'a Found,
    on_card: bool,
    typed: Option<String>,
}

impl Pressed<'_> {
    fn with(&self, answer: &Result<HttpAnswer, Mistake>, again: bool) -> Press {
        let answer = if self.button.executes {
            Answer::of_click(answer)
        } else if self.button.opens_dialog() || !self.on_card {
            Answer::of_dialog(answer)
        } else {
            Answer::of_message(answer)
        };
        Press {
            person: self.person,
            on_card: self.on_card,
            title: self.button.title.clone(),
            verb: self.button.verb(),
            incident: self.button.incident(),
            typed: self.typed.clone(),
            again,
            answer,
        }
    }
}

impl Button {
    fn on(self, buttons: &[Found]) -> Option<Found> {
        let titled = |title: &str| buttons.iter().find(|button| button.title == title);
        let found = match self {
            Self::Acknowledge => titled("Acknowledge"),
            Self::Resolve => titled("Resolve"),
            Self::Note => titled("Add note"),
            Self::Details => titled("Details"),
            Self::Nth(number) => chosen(buttons, number).map(|(_, button)| button),
        };
        found.cloned()
    }
}
