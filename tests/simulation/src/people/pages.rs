//! What people do with a browser: link themselves, connect a team, and use the configuration page.

use axum::http::Method;
use serde_json::{Value, json};
use simulators::teams::Message;
use tokio::time::sleep;
use url::Url;

use super::browser::{Browser, Page};
use super::talking::why;
use super::{Did, Done, Outcome, People, READING, cards};
use crate::script::Way;

const START: &str = "/oauth/start";
const API: &str = "/admin/api/v1";
/// What the simulator's log-in takes for a no.
const DENY: &str = "deny";

/// A service in a channel, both by their numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    pub(super) service: usize,
    pub(super) channel: usize,
}

/// A message with a personal link.
struct PersonalLink {
    message: String,
    url: Url,
}

impl People<'_> {
    pub(crate) async fn link(&self, mut browser: Browser, person: usize, window: bool) -> Done {
        let (person, who) = self.person(person)?;
        let chat = self.chat(who).await?;
        let heard = self.write(who, &chat, "linkUser").await?;
        let pagerduty = who.pagerduty.clone();
        let did = |how| Ok(Did::Linked { person, pagerduty: pagerduty.clone(), how });
        let Some(link) = self.personal_links(&chat, "").pop().filter(|_| !heard.replies.is_empty()) else {
            return did(unclear("no link came"));
        };
        let url = if window {
            let url = self.teams.sign_in_window(&who.teams, &link.message, "Link Accounts").map_err(why)?;
            Url::parse(&url).map_err(|_| "it is no address")?
        } else {
            link.url
        };
        sleep(READING).await;
        let login = pagerduty.as_deref().unwrap_or(DENY);
        let waiting = match self.log_in(&mut browser, &url, login).await {
            Ok(waiting) => waiting,
            Err(how) => return did(how),
        };
        sleep(READING).await;
        let replies = match (waiting.between("data-code=\"", '"'), waiting.between("<p class=\"number\">", '<')) {
            (Some(code), _) if window => {
                let before = self.last_message(&chat);
                // What it says, the bot says in the chat.
                let _answer = self.teams.sign_in(&who.teams, &link.message, code).await;
                self.said_since(&chat, &before)
            }
            (_, Some(number)) => self.write(who, &chat, number).await?.replies,
            _ => return did(unclear("the page shows no number")),
        };
        did(told(&replies, &["successfully linked"]))
    }

    pub(super) async fn unlink(&self, person: usize) -> Done {
        let (person, who) = self.person(person)?;
        let chat = self.chat(who).await?;
        let heard = self.write(who, &chat, "unlinkUser").await?;
        let how = told(&heard.replies, &["unlinked", "Unlinked", "No PagerDuty account is linked"]);
        Ok(Did::Unlinked { person, how })
    }

    pub(super) async fn connect(&self, browser: Browser, person: usize, wish: Connection, way: Way) -> Done {
        let (person, who) = self.person(person)?;
        let (service, channel) = (self.service(wish.service)?.clone(), self.channel(wish.channel)?.1);
        let how = match way {
            Way::Command => {
                let text = format!("connect {}", self.service_url(&service)?);
                let heard = self.write(who, &channel.id, &text).await?;
                told(&heard.replies, &["is now connected to this channel", "is already connected to this channel"])
            }
            Way::Page => {
                let team = &self.team(channel.team)?.1.id;
                let body = json!({ "service": service, "channel": channel.id });
                let path = format!("/teams/{}/connections", encoded(team));
                self.on_page(browser, person, Method::POST, &path, Some(&body)).await?
            }
        };
        Ok(Did::Connected { person, service, channel: channel.id.clone(), how })
    }

    pub(super) async fn remove(&self, browser: Browser, person: usize, wish: Connection, way: Way) -> Done {
        let (person, who) = self.person(person)?;
        let (service, channel) = (self.service(wish.service)?.clone(), self.channel(wish.channel)?.1);
        let how = match way {
            Way::Command => {
                let text = format!("disconnect {}", self.service_url(&service)?);
                let heard = self.write(who, &channel.id, &text).await?;
                told(&heard.replies, &["is no longer connected to this channel"])
            }
            Way::Page => {
                let (team, channel) = (encoded(&self.team(channel.team)?.1.id), encoded(&channel.id));
                let path = format!("/teams/{team}/connections/{service}/{channel}");
                self.on_page(browser, person, Method::DELETE, &path, None).await?
            }
        };
        Ok(Did::Removed { person, service, channel: channel.id.clone(), how })
    }

    pub(super) async fn disconnect(&self, browser: Browser, person: usize, team: usize) -> Done {
        let (person, _) = self.person(person)?;
        let team = self.team(team)?.1.id.clone();
        let path = format!("/teams/{}/disconnect", encoded(&team));
        let body = json!({ "confirm": "disconnect" });
        let how = self.on_page(browser, person, Method::POST, &path, Some(&body)).await?;
        Ok(Did::Disconnected { person, team, how })
    }

    pub(super) async fn authorize(&self, mut browser: Browser, person: usize, team: usize) -> Done {
        let (person, who) = self.person(person)?;
        let login = self.account(person)?;
        let team = self.team(team)?.1.id.clone();
        let name = self.teams.teams().into_iter().find(|known| known.id == team).ok_or("the team is gone")?.name;
        let chat = self.chat(who).await?;
        let before = self.last_message(&chat);
        let heard = self.write(who, &chat, "authorize").await?;
        let did = |how| Ok(Did::Authorized { person, team: team.clone(), how });
        let links = self.personal_links(&chat, &before);
        let named = links.into_iter().rev().find(|link| self.shown(&link.message).contains(&name));
        let Some(link) = named else {
            return did(told(&heard.replies, &[]));
        };
        sleep(READING).await;
        match self.log_in(&mut browser, &link.url, login).await {
            Ok(_) => did(Outcome::Done),
            Err(how) => did(how),
        }
    }

    /// Follows a personal link, logs in at PagerDuty, and says yes to the question whether it is really they. The page then.
    async fn log_in(&self, browser: &mut Browser, link: &Url, login: &str) -> Result<Page, Outcome> {
        let callback = back_from_pagerduty(browser, link, login).await?;
        let question = browser.follow(&callback).await.ok_or_else(|| unclear("no question came"))?;
        let Some(csrf) = question.between("name=\"csrf\" value=\"", '"').map(str::to_owned) else {
            return Err(refused(&question));
        };
        sleep(READING).await;
        let confirm = browser.our("/oauth/confirm").ok_or_else(|| unclear("there is no address"))?;
        let answer = browser.post(&confirm, &[("csrf", &csrf), ("choice", "link")]).await;
        let answer = answer.ok_or_else(|| unclear("no page came"))?;
        if answer.status == 200 { Ok(answer) } else { Err(refused(&answer)) }
    }

    /// Does something on the configuration page, logged in anew.
    async fn on_page(
        &self,
        mut browser: Browser,
        person: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Done<Outcome> {
        let login = self.account(person)?;
        let address = |path: &str| browser.our(path).ok_or("there is no address");
        let start = address(&format!("{START}?for=admin"))?;
        let (session, target) = (address(&format!("{API}/session"))?, address(&format!("{API}{path}"))?);
        let back = match back_from_pagerduty(&mut browser, &start, login).await {
            Ok(back) => back,
            Err(how) => return Ok(how),
        };
        let Some(page) = browser.follow(&back).await else { return Ok(unclear("no page came")) };
        if page.status != 200 {
            return Ok(refused(&page));
        }
        let Some(session) = browser.get(&session).await else { return Ok(unclear("the page does not load")) };
        let session = session.json();
        let Some(csrf) = session.get("csrf").and_then(Value::as_str) else {
            return Ok(unclear("the page does not load"));
        };
        sleep(READING).await;
        let Some(answer) = browser.write(method, &target, csrf, body).await else {
            return Ok(unclear("no answer came"));
        };
        Ok(match answer.status {
            200..300 => Outcome::Done,
            _ => refused(&answer),
        })
    }

    /// The messages of a chat that came after this one and have a personal link.
    fn personal_links(&self, chat: &str, after: &str) -> Vec<PersonalLink> {
        let is_ours = |url: &str| Url::parse(url).is_ok_and(|url| url.path() == START);
        self.teams.find(|message| {
            let is_new = message.conversation == chat && message.from_bot && message.id.as_str() > after;
            let url = is_new.then(|| cards::link(message.card.as_ref()?, is_ours)).flatten()?;
            Some(PersonalLink { message: message.id.clone(), url: Url::parse(&url).ok()? })
        })
    }

    fn last_message(&self, conversation: &str) -> String {
        let of_it = |message: &Message| (message.conversation == conversation).then(|| message.id.clone());
        self.teams.find(of_it).pop().unwrap_or_default()
    }

    fn said_since(&self, conversation: &str, before: &str) -> Vec<String> {
        self.teams.find(|message| {
            let is_new = message.conversation == conversation && message.from_bot && message.id.as_str() > before;
            is_new.then(|| super::talking::shown(message))
        })
    }

    fn shown(&self, message: &str) -> String {
        self.teams.message(message).as_ref().map(super::talking::shown).unwrap_or_default()
    }

    /// A service's page in PagerDuty.
    fn service_url(&self, service: &str) -> Done<String> {
        let base = Url::parse(&self.pagerduty.base()).map_err(|_| "PagerDuty has no address")?;
        Ok(format!("{}/service-directory/{service}", base.origin().ascii_serialization()))
    }
}

/// From one of our addresses to PagerDuty's log-in, up to the address that it leads back to.
async fn back_from_pagerduty(browser: &mut Browser, start: &Url, login: &str) -> Result<Url, Outcome> {
    let start = browser.get(start).await.ok_or_else(|| unclear("no page came"))?;
    let Some(mut log_in) = start.leads_to() else { return Err(refused(&start)) };
    log_in.query_pairs_mut().append_pair("login", login);
    sleep(READING).await;
    let back = browser.get(&log_in).await.ok_or_else(|| unclear("PagerDuty does not answer"))?;
    back.leads_to().ok_or_else(|| refused(&back))
}

/// What a page says that is not the wanted one.
fn refused(page: &Page) -> Outcome {
    let said = page.json().pointer("/error/message").and_then(Value::as_str).map(str::to_owned);
    let said = said.unwrap_or_else(|| format!("HTTP {}", page.status));
    if page.status >= 500 { Outcome::Unclear(said) } else { Outcome::Refused(said) }
}

fn unclear(why: &str) -> Outcome {
    Outcome::Unclear(why.to_owned())
}

/// What the bot's words mean, if one of these says that it is done. Silence says nothing.
fn told(replies: &[String], done: &[&str]) -> Outcome {
    let said = replies.join("\n");
    if done.iter().any(|done| said.contains(done)) {
        Outcome::Done
    } else if said.is_empty() {
        unclear("the bot has said nothing")
    } else {
        Outcome::Refused(said)
    }
}

fn encoded(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}
