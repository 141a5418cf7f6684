//! People with a browser and with Teams.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, header};
use simulators::teams::HttpAnswer;
use url::Url;

use crate::platform::Platform;
use crate::stack::Stack;

/// Somebody who is known on both sides.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) teams: String,
    pub(crate) pagerduty: String,
}

/// Somebody's browser.
#[derive(Debug, Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

/// What it shows.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

impl Page {
    fn between(&self, before: &str, after: char) -> String {
        self.text.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_default().to_owned()
    }
}

impl Browser {
    pub(crate) async fn get(&mut self, platform: &Platform, url: &str) -> Page {
        self.ask(platform, Method::GET, url, String::new()).await
    }

    async fn ask(&mut self, platform: &Platform, method: Method, url: &str, form: String) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::COOKIE, cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form));
        let answer = Box::pin(platform.answer(request.unwrap())).await;
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get(header::LOCATION).map(|location| location.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        Page { status, location, text: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Through PagerDuty's log-in, to the page that it leads back to.
    pub(crate) async fn log_in(&mut self, platform: &Platform, start: &str, user: &str) -> Page {
        let begun = self.get(platform, start).await;
        let authorize = begun.location.unwrap_or_else(|| panic!("{}: {}", begun.status, begun.text));
        let back = platform.inside.pagerduty.log_in(&Url::parse(&authorize).unwrap(), user).unwrap();
        let mut page = self.get(platform, back.as_str()).await;
        while let Some(location) = page.location.take() {
            let next = back.join(&location).unwrap();
            page = self.get(platform, next.as_str()).await;
        }
        page
    }
}

impl Stack {
    /// Somebody in the team and in PagerDuty's account.
    pub(crate) fn add_person(&self, name: &str, role: &str) -> Person {
        let inside = self.inside();
        let email = format!("{}@example.com", name.to_lowercase());
        let (teams, pagerduty) = (inside.teams.add_user(name), inside.pagerduty.add_user(name, &email, role));
        inside.teams.set_email(&teams, &email);
        Person { teams, pagerduty }
    }

    /// Links both sides of a person, as they would.
    pub(crate) async fn link(&self, person: &Person) {
        let teams = &self.inside().teams;
        teams.install_personal(&person.teams).await.unwrap();
        teams.say_privately(&person.teams, "linkUser").await.unwrap();
        let links = teams.personal_messages(&person.teams).into_iter().rev().filter_map(|message| {
            let card = message.card.as_ref()?.to_string();
            let link = card.split('"').find(|text| text.contains("/oauth/start?"))?.to_owned();
            Some(link)
        });
        let link = links.into_iter().next().expect("a personal link");
        let mut browser = Browser::default();
        let question = browser.log_in(&self.platform, &link, &person.pagerduty).await;
        let form = format!("csrf={}&choice=link", question.between("name=\"csrf\" value=\"", '"'));
        let confirm = self.inside().app.config.public("/oauth/confirm");
        let mut waiting = browser.ask(&self.platform, Method::POST, &confirm, form).await;
        while let Some(location) = waiting.location.take() {
            let next = Url::parse(&confirm).unwrap().join(&location).unwrap();
            waiting = browser.get(&self.platform, next.as_str()).await;
        }
        let number = waiting.between("<p class=\"number\">", '<');
        assert!(!number.is_empty(), "{}: {}", waiting.status, waiting.text);
        teams.say_privately(&person.teams, &number).await.unwrap();
    }

    /// An admin opens the configuration page and looks at something of its API.
    pub(crate) async fn look_at_page(&self, admin: &Person) -> Page {
        let mut browser = Browser::default();
        let start = self.inside().app.config.public("/oauth/start?for=admin");
        browser.log_in(&self.platform, &start, &admin.pagerduty).await;
        browser.get(&self.platform, &self.inside().app.config.public("/admin/api/v1/teams")).await
    }

    /// A click on the newest card of a channel that offers it.
    pub(crate) async fn click(&self, person: &Person, card: &str, verb: &str) -> HttpAnswer {
        self.inside().teams.click(&person.teams, card, verb, serde_json::json!({})).await.unwrap()
    }

    /// The message with an incident's card.
    pub(crate) fn card_of(&self, channel: &str, title: &str) -> Option<String> {
        let messages = self.inside().teams.messages(channel);
        let shows = |card: &serde_json::Value| card.to_string().contains(title);
        messages.into_iter().rev().find(|message| message.card.as_ref().is_some_and(shows)).map(|message| message.id)
    }
}
