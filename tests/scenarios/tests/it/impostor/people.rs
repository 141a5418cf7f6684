//! The two people, with real browsers and a real bot.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use domain::ids::{EntraUserId, TenantId};
use local::inside::Inside;
use tower_service::Service as _;
use url::Url;

use super::model::{Act, Page, Side, State};

/// What a browser shows.
#[derive(Debug, Default, Clone)]
struct Shown {
    status: u16,
    csrf: String,
    number: String,
    code: String,
    location: Option<String>,
}

struct Person {
    teams: String,
    tenant: TenantId,
    entra: EntraUserId,
    pagerduty: String,
    cookies: BTreeMap<String, String>,
    page: Shown,
    /// The newest personal link, and the message that it is in.
    link: String,
    message: String,
}

pub(super) struct People<'i> {
    inside: &'i Inside,
    functions: Router,
    people: [Person; 2],
    /// For each attempt of the model, the address that comes next.
    attempts: Vec<String>,
    number: bool,
}

impl<'i> People<'i> {
    pub(super) async fn new(inside: &'i Inside, number: bool) -> Self {
        let functions = oauth_callback::router(inside.app.clone());
        let mut people = Vec::new();
        for name in ["Victor Stone", "Mallory Reed"] {
            let teams = inside.teams.add_user(name);
            let user = inside.teams.user(&teams).unwrap();
            people.push(Person {
                pagerduty: inside.pagerduty.add_user(name, &user.email, "user"),
                tenant: TenantId::new(user.tenant).unwrap(),
                entra: EntraUserId::new(user.entra).unwrap(),
                teams,
                cookies: BTreeMap::new(),
                page: Shown::default(),
                link: String::new(),
                message: String::new(),
            });
        }
        let people = people.try_into().unwrap_or_else(|_| unreachable!("there are two"));
        Self { inside, functions, people, attempts: Vec::new(), number }
    }

    /// Does it; `then`: the state that is to follow.
    pub(super) async fn act(&mut self, act: Act, then: &State) {
        match act {
            Act::Ask(side) => self.ask(side).await,
            Act::Open(side, of) => {
                let link = self.people[of.index()].link.clone();
                let start = self.browse(side, Request::get(link)).await;
                assert_eq!(start.status, 303, "{act:?}");
                self.attempts.push(start.location.unwrap());
            }
            Act::LogIn(side, index) => {
                let authorize = Url::parse(&self.attempts[index]).unwrap();
                let login = &self.people[side.index()].pagerduty;
                self.attempts[index] = self.inside.pagerduty.log_in(&authorize, login).unwrap().into();
            }
            Act::Return(side, index) => {
                let back = self.attempts.remove(index);
                let mut shown = self.browse(side, Request::get(back)).await;
                if let Some(location) = shown.location.take() {
                    shown = self.browse(side, Request::get(location)).await;
                }
                let asked = matches!(then.pages[side.index()], Page::Question { .. });
                if shown.status == 200 {
                    assert!(asked && !shown.csrf.is_empty(), "a question where there should be none");
                    self.people[side.index()].page = shown;
                }
            }
            Act::Confirm(side) => {
                let form = format!("csrf={}&choice=link", self.people[side.index()].page.csrf);
                let request = Request::post("http://127.0.0.1:1/oauth/confirm")
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let shown = self.send(side, request, Body::from(form)).await;
                let waits = matches!(then.pages[side.index()], Page::Waits { .. });
                assert_eq!((shown.status == 200, shown.number.is_empty()), (waits, !(waits && self.number)), "{act:?}");
                if waits {
                    self.people[side.index()].page = shown;
                }
            }
            Act::Write(side) => {
                let number = self.people[side.index()].page.number.clone();
                self.say(side, &number).await;
            }
            Act::HandOver(side) => {
                let Person { teams, message, page, .. } = &self.people[side.index()];
                let message = if message.is_empty() { self.any_message(side).await } else { message.clone() };
                let answer = self.inside.teams.sign_in(teams, &message, &page.code).await.unwrap();
                assert_eq!(answer.status, 200);
            }
            Act::Guess => {
                let shown: Vec<String> = self.people.iter().map(|person| person.page.number.replace(' ', "")).collect();
                let guess = (0..).map(|number| format!("{number:06}")).find(|guess| !shown.contains(guess)).unwrap();
                self.say(Side::Attacker, &guess).await;
            }
        }
    }

    /// As whom each of them acts in PagerDuty.
    pub(super) async fn links(&self) -> [Option<Side>; 2] {
        let mut links = [None; 2];
        for side in Side::BOTH {
            let Person { tenant, entra, .. } = &self.people[side.index()];
            let stored = self.inside.app.store.links_of(tenant, entra).await.unwrap();
            assert!(stored.len() <= 1);
            let user = stored.first().map(|stored| stored.link.pd_user.as_str());
            links[side.index()] =
                Side::BOTH.into_iter().find(|whom| Some(self.people[whom.index()].pagerduty.as_str()) == user);
            assert_eq!(links[side.index()].is_some(), user.is_some(), "a third person");
        }
        links
    }

    async fn ask(&mut self, side: Side) {
        self.say(side, "linkUser").await;
        let person = &mut self.people[side.index()];
        let messages = self.inside.teams.personal_messages(&person.teams);
        let message = messages.iter().rev().find(|message| message.from_bot).unwrap();
        person.message.clone_from(&message.id);
        let teams = &self.inside.teams;
        // Its page has a code beside the number.
        person.link = teams.sign_in_window(&person.teams, &message.id, "Link Accounts").unwrap();
    }

    async fn say(&self, side: Side, text: &str) {
        let answer = self.inside.teams.say_privately(&self.people[side.index()].teams, text).await.unwrap();
        assert_eq!(answer.status, 200);
    }

    /// Whoever has asked for nothing has some other message of the bot.
    async fn any_message(&self, side: Side) -> String {
        self.say(side, "help").await;
        let messages = self.inside.teams.personal_messages(&self.people[side.index()].teams);
        messages.iter().rev().find(|message| message.from_bot).unwrap().id.clone()
    }

    async fn browse(&mut self, side: Side, request: axum::http::request::Builder) -> Shown {
        self.send(side, request, Body::empty()).await
    }

    async fn send(&mut self, side: Side, request: axum::http::request::Builder, body: Body) -> Shown {
        let cookies = &mut self.people[side.index()].cookies;
        let line: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header(header::COOKIE, line.join("; ")).body(body).unwrap();
        let answer = self.functions.call(request).await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let status = answer.status().as_u16();
        let location = answer.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let html = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let html = String::from_utf8_lossy(&html);
        let between = |before: &str, after: char| {
            html.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_default().to_owned()
        };
        Shown {
            status,
            csrf: between("name=\"csrf\" value=\"", '"'),
            number: between("<p class=\"number\">", '<'),
            code: between("data-code=\"", '"'),
            location,
        }
    }
}
