//! Posting to Teams: the Bot Connector's REST API.
//!
//! Creating a message is not idempotent and has no idempotency key, so nothing is repeated here but a call that was refused
//! for its token (401). What may have been carried out without a clear answer is told to the caller as such. The bot's
//! token goes to listed hosts only; the check is made here again, whatever was stored.

mod error;
mod message;
mod token;

use std::time::Duration;

use ::wire::Wire;
use domain::connection::Channel;
use domain::ids::{ActivityId, ChannelId, ConversationId, EntraUserId, ServiceUrl, TeamId, TenantId};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

pub use self::error::{Answer, ConnectorError};
use self::message::{ChannelData, Created, Message, NewConversation, Ref};
pub use self::token::{TokenError, TokenSource};
use crate::auth::TrustedHosts;
use crate::wire;

/// How long one call may take, with its token and its one repetition.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Real answers have some hundred bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A team has at most a thousand channels.
const MAX_LIST_BYTES: usize = 1024 * 1024;

/// The one sub code that says more than the code beside it: the person blocked the bot or removed it.
const WRITES_BLOCKED: &str = "MessageWritesBlocked";

/// Ids contain `:`, `@`, `;` and `=`; only the unreserved characters of RFC 3986 stay as they are.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client of the connector. Cloning is cheap; all clones share connections and the token.
#[derive(Debug, Clone)]
pub struct Connector {
    http: Wire,
    tokens: TokenSource,
    hosts: TrustedHosts,
    /// `28:<app id>`.
    bot: String,
    timeout: Duration,
}

/// What every call needs besides its own arguments.
#[derive(Debug, Clone, Copy)]
pub struct ConnectorAuth<'a> {
    pub secret: &'a SecretString,
    /// The time, to know whether the token still lasts.
    pub now: Timestamp,
}

impl Connector {
    /// `http` must not follow redirects: a redirect would lead past the list of hosts.
    #[must_use]
    pub fn new(http: Wire, tokens: TokenSource, hosts: TrustedHosts, app_id: impl AsRef<str>) -> Self {
        Self { http, tokens, hosts, bot: format!("28:{}", app_id.as_ref()), timeout: DEFAULT_TIMEOUT }
    }

    /// The same client with another limit for one call; 10 s otherwise.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Whether the bot gets a token, without using it.
    ///
    /// # Errors
    /// [`ConnectorError::Token`] says why not.
    pub async fn check_token(&self, auth: &ConnectorAuth<'_>) -> Result<(), ConnectorError> {
        let end = tokio::time::Instant::now() + self.timeout;
        self.tokens.token(auth, end).await.map(drop).map_err(ConnectorError::Token)
    }

    /// Starts a new post in a channel. The answer is the id of its message, which is also the thread's root.
    ///
    /// # Errors
    /// [`ConnectorError`]; if it is [`Unclear`](domain::failure::Class::Unclear), the post may be there.
    pub async fn post_to_channel(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        channel: &ChannelId,
        tenant: &TenantId,
        card: &cards::Card,
    ) -> Result<ActivityId, ConnectorError> {
        let request = NewConversation {
            is_group: true,
            bot: Ref { id: &self.bot },
            members: None,
            tenant_id: tenant.as_str(),
            channel_data: ChannelData {
                channel: Some(Ref { id: channel.as_str() }),
                tenant: Ref { id: tenant.as_str() },
            },
            activity: Some(Message::card(&self.bot, channel.as_str(), card)),
        };
        let answer = self.call(auth, service_url, Method::POST, "/v3/conversations", &request).await?;
        created(answer, |created| ActivityId::new(created.first_message()?).ok()).await
    }

    /// Writes a text into the thread that begins with `root`. It is shown as it is, without Markdown or mentions.
    ///
    /// # Errors
    /// [`ConnectorError`]; if it is [`Unclear`](domain::failure::Class::Unclear), the reply may be there.
    pub async fn reply_in_thread(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        channel: &ChannelId,
        root: &ActivityId,
        text: &str,
    ) -> Result<ActivityId, ConnectorError> {
        // Without `;messageid=` it would become a new post (Teams docs on proactive messages).
        let thread = format!("{channel};messageid={root}");
        self.send(auth, service_url, &thread, &Message::text(&self.bot, &thread, text)).await
    }

    /// Writes into the thread that begins with `root`, and mentions people.
    ///
    /// # Errors
    /// [`ConnectorError`]; if it is [`Unclear`](domain::failure::Class::Unclear), the reply may be there. Teams refuses people whom it
    /// does not know in the tenant.
    pub async fn mention_in_thread(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        channel: &ChannelId,
        root: &ActivityId,
        call: &cards::Call,
    ) -> Result<ActivityId, ConnectorError> {
        let thread = format!("{channel};messageid={root}");
        self.send(auth, service_url, &thread, &Message::call(&self.bot, &thread, call)).await
    }

    /// Replaces a message of a channel by a card, for everybody.
    ///
    /// # Errors
    /// [`ConnectorError`]; repeating an edit is harmless. [`ConnectorError::ActivityGone`] if somebody deleted the message.
    pub async fn edit(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        channel: &ChannelId,
        activity: &ActivityId,
        card: &cards::Card,
    ) -> Result<(), ConnectorError> {
        let path = format!("{}/{}", activities(channel.as_str()), encoded(activity.as_str()));
        let message = Message::card(&self.bot, channel.as_str(), card);
        self.call(auth, service_url, Method::PUT, &path, &message).await.map(drop)
    }

    /// The channels of a team in which the bot is: standard ones, and the private and shared ones to which it was added.
    ///
    /// # Errors
    /// [`ConnectorError`]; repeating it is harmless.
    pub async fn channels(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        team: &TeamId,
    ) -> Result<Vec<Channel>, ConnectorError> {
        let path = format!("/v3/teams/{}/conversations", encoded(team.as_str()));
        let answer = self.call(auth, service_url, Method::GET, &path, &()).await?;
        let status = answer.status().as_u16();
        let operation = operation(&answer);
        let body = match wire::read(answer, MAX_LIST_BYTES).await {
            Ok(body) => body,
            Err(wire::ReadError::Broken(error)) => return Err(ConnectorError::NoAnswer(error)),
            Err(wire::ReadError::TooLarge) => {
                return Err(ConnectorError::NoId(Answer { status, code: String::new(), operation }));
            }
        };
        let unreadable = || ConnectorError::NoId(Answer { status, code: String::new(), operation });
        // Half a list would hide channels.
        let listed = ::wire::read(&body).map_err(|_| unreadable())?;
        let listed = listed.get("conversations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Ok(listed.iter().filter_map(|channel| message::channel(channel, team)).collect())
    }

    /// The sign-in name (UPN) of somebody in a chat, which no other user of the tenant can take; `None`: Teams does not say it.
    ///
    /// # Errors
    /// [`ConnectorError`]; repeating it is harmless.
    pub async fn sign_in_name(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        chat: &ConversationId,
        user: &EntraUserId,
    ) -> Result<Option<String>, ConnectorError> {
        let path = format!("/v3/conversations/{}/members/{}", encoded(chat.as_str()), encoded(user.as_str()));
        let answer = self.call(auth, service_url, Method::GET, &path, &()).await?;
        let body = match wire::read(answer, MAX_ANSWER_BYTES).await {
            Ok(body) => body,
            Err(wire::ReadError::Broken(error)) => return Err(ConnectorError::NoAnswer(error)),
            Err(wire::ReadError::TooLarge) => return Ok(None),
        };
        Ok(message::upn(&wire::json(&body), user))
    }

    /// Opens the chat between the bot and a person, or finds the one that there is.
    ///
    /// # Errors
    /// [`ConnectorError`]; repeating it is harmless. Forbidden if the person has not got the app.
    pub async fn open_personal_chat(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        tenant: &TenantId,
        user: &EntraUserId,
    ) -> Result<ConversationId, ConnectorError> {
        let request = NewConversation {
            is_group: false,
            bot: Ref { id: &self.bot },
            members: Some([Ref { id: user.as_str() }]),
            tenant_id: tenant.as_str(),
            channel_data: ChannelData { channel: None, tenant: Ref { id: tenant.as_str() } },
            activity: None,
        };
        let answer = self.call(auth, service_url, Method::POST, "/v3/conversations", &request).await?;
        created(answer, |created| ConversationId::new(created.id?).ok()).await
    }

    /// Sends a card to a personal chat, or as a new post to a channel.
    ///
    /// # Errors
    /// [`ConnectorError`]; if it is [`Unclear`](domain::failure::Class::Unclear), the message may be there.
    pub async fn send_to_chat(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        conversation: &ConversationId,
        card: &cards::Card,
    ) -> Result<ActivityId, ConnectorError> {
        let message = Message::card(&self.bot, conversation.as_str(), card);
        self.send(auth, service_url, conversation.as_str(), &message).await
    }

    async fn send(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        conversation: &str,
        message: &Message<'_>,
    ) -> Result<ActivityId, ConnectorError> {
        let answer = self.call(auth, service_url, Method::POST, &activities(conversation), message).await?;
        created(answer, |created| ActivityId::new(created.id?).ok()).await
    }

    /// Makes the call; once more with a fresh token if the first one is refused.
    async fn call(
        &self,
        auth: &ConnectorAuth<'_>,
        service_url: &ServiceUrl,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Response, ConnectorError> {
        let base = self.hosts.check(service_url.as_str()).map_err(ConnectorError::UntrustedHost)?;
        let url = address(base, path)?;
        let body = match method {
            Method::GET => Vec::new(),
            _ => serde_json::to_vec(body).map_err(ConnectorError::Unwritable)?,
        };
        let end = Instant::now() + self.timeout;
        let mut fresh = false;
        loop {
            let token = self.tokens.token(auth, end).await.map_err(ConnectorError::Token)?;
            let request = self
                .http
                .client()
                .request(method.clone(), url.clone())
                .timeout(left(end))
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .bearer_auth(token.expose_secret())
                .body(body.clone());
            let response = self.http.send(request).await.map_err(ConnectorError::from_transport)?;
            if response.status().is_success() {
                return Ok(response);
            }
            let error = refusal(&method, response, auth.now).await;
            if fresh || !matches!(error, ConnectorError::Unauthorized(_)) {
                return Err(error);
            }
            self.tokens.forget(&token).await;
            fresh = true;
        }
    }
}

fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

fn encoded(id: &str) -> impl std::fmt::Display {
    utf8_percent_encode(id, ID)
}

fn activities(conversation: &str) -> String {
    format!("/v3/conversations/{}/activities", encoded(conversation))
}

/// `path` below the service URL. An id like `..` would lead elsewhere, so the parser must have kept every character.
fn address(mut base: Url, path: &str) -> Result<Url, ConnectorError> {
    let whole = format!("{}{path}", base.path().trim_end_matches('/'));
    base.set_path(&whole);
    if base.path() == whole { Ok(base) } else { Err(ConnectorError::BadAddress) }
}

/// Reads the id of what was created. It was created, so without an id the outcome is unclear and not a failure.
async fn created<T>(response: Response, id: impl Fn(Created) -> Option<T>) -> Result<T, ConnectorError> {
    let answer = Answer { status: response.status().as_u16(), code: String::new(), operation: operation(&response) };
    let body = match wire::read(response, MAX_ANSWER_BYTES).await {
        Ok(body) => body,
        Err(wire::ReadError::Broken(error)) => return Err(ConnectorError::NoAnswer(error)),
        Err(wire::ReadError::TooLarge) => return Err(ConnectorError::NoId(answer)),
    };
    id(Created::read(&wire::json(&body))).ok_or(ConnectorError::NoId(answer))
}

async fn refusal(of: &Method, response: Response, now: Timestamp) -> ConnectorError {
    let status = response.status().as_u16();
    let operation = operation(&response);
    let after = wire::retry_after(response.headers(), now);
    let body = wire::read(response, MAX_ANSWER_BYTES).await.unwrap_or_default();
    let body = wire::json(&body);
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str);
    let blocked = [text("/subCode"), text("/error/subCode")].into_iter().flatten().find(|code| *code == WRITES_BLOCKED);
    let code = blocked.or(text("/error/code")).unwrap_or_default();
    let answer = Answer { status, code: wire::code(code), operation };
    ConnectorError::from_answer(of, answer, after)
}

fn operation(response: &Response) -> Option<String> {
    let text = response.headers().get("X-Correlating-OperationId")?.to_str().ok()?;
    Some(wire::code(text)).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests;
