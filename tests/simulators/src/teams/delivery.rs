//! Bringing an activity to the bot, signed, and showing its answer to the person who waits for it.

use std::sync::PoisonError;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use tower_service::Service as _;

use super::keys::Flaw;
use super::model::{Delivery, State};
use super::people::SEARCH;
use super::values::text_at;
use super::{Effect, HttpAnswer, Mistake, Notice, NoticeKind, Task, Teams};

/// Teams docs (msteams-docs issue 6084): the connector gives up after about this time.
const MESSAGE_BUDGET: Duration = Duration::from_secs(15);

impl Teams {
    /// Signs any activity and sends it as it is.
    ///
    /// # Errors
    /// The bot does not answer.
    pub async fn send(&self, activity: Value) -> Result<HttpAnswer, Mistake> {
        self.send_flawed(activity, Flaw::None).await
    }

    /// Sends any activity with a token that is wrong in one way.
    ///
    /// # Errors
    /// The bot does not answer.
    pub async fn send_flawed(&self, activity: Value, flaw: Flaw) -> Result<HttpAnswer, Mistake> {
        let body = activity.to_string().into_bytes();
        self.send_body(activity, body, flaw).await
    }

    /// Sends an activity whose body is not quite its JSON.
    ///
    /// # Errors
    /// The bot does not answer.
    pub async fn send_bytes(&self, activity: Value, body: Vec<u8>) -> Result<HttpAnswer, Mistake> {
        self.send_body(activity, body, Flaw::None).await
    }

    async fn send_body(&self, activity: Value, body: Vec<u8>, flaw: Flaw) -> Result<HttpAnswer, Mistake> {
        let service_url = text_of(&activity, "/serviceUrl").to_owned();
        let authorization = self.keys().authorization(&self.options().app_id, &service_url, self.now(), flaw)?;
        let (bot, budget) = {
            let places = self.places();
            let is_invoke = text_of(&activity, "/type") == "invoke";
            (places.bot.clone(), if is_invoke { places.invoke_budget } else { MESSAGE_BUDGET })
        };
        let mut request = http_client()?
            .post(bot)
            .timeout(budget)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header("x-ms-conversation-id", text_of(&activity, "/conversation/id"))
            .header("x-ms-tenant-id", text_of(&activity, "/conversation/tenantId"))
            .body(body);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let receiver = self.inner.receiver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = match receiver {
            None => answer_to(request).await,
            Some(bot) => answer_in_process(bot, request, budget).await,
        };
        let mut state = self.lock();
        state.remember_delivery(Delivery { activity: activity.clone(), answer: answer.as_ref().ok().cloned() });
        if let (Ok(answer), Flaw::None, "invoke") = (&answer, flaw, text_of(&activity, "/type")) {
            show(&mut state, &activity, answer, self.now());
        }
        answer
    }

    /// Sends the last activity once more, with the same id and a fresh token, as Teams does when it got no answer.
    ///
    /// # Errors
    /// Nothing was sent before, or the bot does not answer.
    pub async fn redeliver(&self) -> Result<HttpAnswer, Mistake> {
        let last = self.lock().passing.deliveries.last().map(|delivery| delivery.activity.clone());
        self.send(last.ok_or(Mistake::NothingSent)?).await
    }
}

async fn answer_to(request: reqwest::RequestBuilder) -> Result<HttpAnswer, Mistake> {
    let failed = |error: reqwest::Error| Mistake::NoAnswer(error.without_url().to_string());
    let response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(failed)?;
    Ok(answer(status, &text))
}

async fn answer_in_process(
    mut bot: Router,
    request: reqwest::RequestBuilder,
    budget: Duration,
) -> Result<HttpAnswer, Mistake> {
    let failed = |why: String| Mistake::NoAnswer(why);
    let request = request.build().map_err(|error| failed(error.without_url().to_string()))?;
    let request = axum::http::Request::<reqwest::Body>::try_from(request)
        .map_err(|error| failed(error.without_url().to_string()))?;
    let called = tokio::time::timeout(budget, bot.call(request.map(Body::new))).await;
    let Ok(response) = called.map_err(|_| failed("the bot took too long".to_owned()))?;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.map_err(|error| failed(error.to_string()))?;
    Ok(answer(status, &String::from_utf8_lossy(&body)))
}

fn answer(status: u16, text: &str) -> HttpAnswer {
    let body = match text {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    HttpAnswer { status, body }
}

/// What the client of the person who caused the invoke does with the answer.
fn show(state: &mut State, activity: &Value, answer: &HttpAnswer, now: jiff::Timestamp) {
    let (user, card) = (text_of(activity, "/from/id").to_owned(), text_of(activity, "/replyToId").to_owned());
    let notice = |kind, text: &str| Notice { user: user.clone(), at: now, kind, text: text.to_owned() };
    match text_of(activity, "/name") {
        "adaptiveCard/action" => {
            let effect = answer.effect();
            if let Effect::Broken(why) = &effect {
                state.complain(format!("answer to a click cannot be read: {why}"));
            }
            if let Effect::Card(view) = &effect {
                state.look_at_on_phone(Some(view));
            }
            let Some(message) = state.messages.get_mut(&card) else { return };
            match effect {
                Effect::Card(view) => drop(message.views.insert(user.clone(), view)),
                Effect::Toast(text) => message.notices.push(notice(NoticeKind::Toast, &text)),
                Effect::ErrorBar { message: text, .. } => message.notices.push(notice(NoticeKind::ErrorBar, &text)),
                Effect::SignIn(_) => {}
                Effect::Broken(_) => {
                    message.notices.push(notice(NoticeKind::ErrorBar, "Unable to reach app. Please try again."))
                }
            }
        }
        "task/fetch" | "task/submit" => match answer.task() {
            Task::Dialog { card: dialog, .. } => drop(state.passing.dialogs.insert(user, (card, dialog))),
            Task::Message(text) => {
                state.passing.dialogs.remove(&user);
                if let Some(message) = state.messages.get_mut(&card) {
                    message.notices.push(notice(NoticeKind::Toast, &text));
                }
            }
            Task::Closed => drop(state.passing.dialogs.remove(&user)),
            Task::Broken(why) => state.complain(format!("answer to a dialog cannot be read: {why}")),
        },
        SEARCH => {
            if let Err(why) = answer.choices() {
                state.complain(format!("answer to a search cannot be read: {why}"));
            }
        }
        _ => {}
    }
}

pub(super) fn http_client() -> Result<reqwest::Client, Mistake> {
    crate::http::client().map_err(Mistake::Unable)
}

fn text_of<'a>(value: &'a Value, pointer: &str) -> &'a str {
    text_at(value, pointer).unwrap_or_default()
}
