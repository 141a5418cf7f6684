//! What a person does on the page's Teams side: write to the bot, press buttons of its cards, fill in its dialogs.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use simulators::teams::{Choice, Effect, HttpAnswer, Mistake, Task, Wanted};

use super::World;
use super::acting::{Refusal, Wish, done, filled};

/// As Teams says it when the bot does not answer as it should.
const UNREACHABLE: &str = "Unable to reach app. Please try again.";

pub(super) fn routes() -> Router<World> {
    Router::new()
        .route("/demo/api/teams/say", post(say))
        .route("/demo/api/teams/click", post(click))
        .route("/demo/api/teams/submit", post(submit))
        .route("/demo/api/teams/close", post(close))
        .route("/demo/api/teams/search", post(search))
        .route("/demo/api/teams/sign-in", post(sign_in))
}

/// What the client of the person shows who pressed a button.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Shown {
    /// The card has changed.
    Card,
    /// A line under the card.
    Toast { text: String },
    /// The red bar.
    Error { text: String },
    /// A dialog, or its next page.
    Dialog { title: String, card: Value },
    /// A text in the place of the dialog.
    Message { text: String },
    /// The dialog closes.
    Closed,
    /// A sign-in window opens.
    SignIn { url: String },
}

impl Shown {
    fn unreachable(why: &str) -> Self {
        Self::Error { text: format!("{UNREACHABLE} ({why})") }
    }

    /// What an answer does depends on what was asked.
    fn of(activity: &Value, answer: &HttpAnswer) -> Self {
        match (activity.get("name").and_then(Value::as_str), answer.status) {
            (Some("task/fetch"), _) if answer.task() == Task::Closed => {
                Self::unreachable("there is no dialog in the answer")
            }
            (Some("task/fetch"), _) => answer.task().into(),
            (Some(_), _) => answer.effect().into(),
            // A message is no question: no answer to it is shown.
            (None, 200..300) => Self::Toast { text: "Your response was sent to the app.".to_owned() },
            (None, status) => Self::unreachable(&format!("HTTP {status}")),
        }
    }
}

impl From<Effect> for Shown {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Card(_) => Self::Card,
            Effect::Toast(text) => Self::Toast { text },
            Effect::ErrorBar { message, .. } => Self::Error { text: message },
            Effect::SignIn(_) => {
                Self::Error { text: "The bot asks to sign in, which this page cannot show.".to_owned() }
            }
            Effect::Broken(why) => Self::unreachable(&why),
        }
    }
}

impl From<Task> for Shown {
    fn from(task: Task) -> Self {
        match task {
            Task::Dialog { title, card } => Self::Dialog { title, card },
            Task::Message(text) => Self::Message { text },
            Task::Closed => Self::Closed,
            Task::Broken(why) => Self::unreachable(&why),
        }
    }
}

/// A pressed button.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    /// Its verb, title or id.
    name: String,
    /// Its data, which tells buttons of the same name apart.
    data: Option<Value>,
}

impl Action {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { name: &self.name, data: self.data.as_ref() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Click {
    user: String,
    activity: String,
    action: Action,
    #[serde(default)]
    inputs: Map<String, Value>,
}

async fn click(State(world): State<World>, Wish(wish): Wish<Click>) -> Result<Json<Shown>, Refusal> {
    if let Ok(url) = world.teams.sign_in_window(&wish.user, &wish.activity, wish.action.wanted()) {
        return Ok(Json(Shown::SignIn { url }));
    }
    let inputs = Value::Object(wish.inputs);
    let activity = world.teams.click_activity(&wish.user, &wish.activity, wish.action.wanted(), &inputs)?;
    let answer = world.teams.send(activity.clone()).await;
    shown(answer, |answer| Shown::of(&activity, answer))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Submit {
    user: String,
    action: Action,
    #[serde(default)]
    inputs: Map<String, Value>,
}

/// In the dialog that the person has open.
async fn submit(State(world): State<World>, Wish(wish): Wish<Submit>) -> Result<Json<Shown>, Refusal> {
    let answer = world.teams.submit_dialog(&wish.user, wish.action.wanted(), Value::Object(wish.inputs)).await;
    shown(answer, |answer| answer.task().into())
}

fn shown(answer: Result<HttpAnswer, Mistake>, read: impl FnOnce(&HttpAnswer) -> Shown) -> Result<Json<Shown>, Refusal> {
    match answer {
        Ok(answer) => Ok(Json(read(&answer))),
        Err(Mistake::NoAnswer(why)) => Ok(Json(Shown::unreachable(&why))),
        Err(mistake) => Err(mistake.into()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    user: String,
    activity: String,
    /// What the page in the window has handed over.
    code: String,
}

async fn sign_in(State(world): State<World>, Wish(wish): Wish<SignIn>) -> Result<Json<Value>, Refusal> {
    let answer = world.teams.sign_in(&wish.user, &wish.activity, &wish.code).await?;
    if (200..300).contains(&answer.status) {
        return Ok(done());
    }
    Err(Refusal::of_bot(format!("the bot answered the sign-in with HTTP {}", answer.status)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    user: String,
}

async fn close(State(world): State<World>, Wish(wish): Wish<Close>) -> Result<Json<Value>, Refusal> {
    world.teams.user(&wish.user).ok_or_else(|| Refusal::unknown("user", &wish.user))?;
    world.teams.close_dialog(&wish.user);
    Ok(done())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    user: String,
    /// The card; nothing: the dialog that the person has open.
    activity: Option<String>,
    dataset: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct Choices {
    choices: Vec<Choice>,
}

/// What is typed in an input whose choices come from the bot.
async fn search(State(world): State<World>, Wish(wish): Wish<Search>) -> Result<Json<Choices>, Refusal> {
    let answer = world.teams.search(&wish.user, wish.activity.as_deref(), &wish.dataset, &wish.text).await?;
    let choices =
        answer.choices().map_err(|why| Refusal::of_bot(format!("the bot's choices cannot be read: {why}")))?;
    Ok(Json(Choices { choices }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saying {
    user: String,
    /// A channel, or a thread as `<channel>;messageid=<root>`; nothing: the person's chat with the bot.
    conversation: Option<String>,
    text: String,
}

async fn say(State(world): State<World>, Wish(wish): Wish<Saying>) -> Result<Json<Value>, Refusal> {
    let text = filled("text", &wish.text)?;
    let answer = match &wish.conversation {
        Some(conversation) => world.teams.say(&wish.user, conversation, text).await?,
        None => world.teams.say_privately(&wish.user, text).await?,
    };
    if (200..300).contains(&answer.status) {
        return Ok(done());
    }
    Err(Refusal::of_bot(format!("the bot answered the message with HTTP {}", answer.status)))
}
