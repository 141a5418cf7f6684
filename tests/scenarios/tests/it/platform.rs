//! A second team, "Platform", that nobody has set up yet: the guide begins here.

use domain::ids::{ServiceId, TeamId};
use serde_json::{Value, json};
use url::Url;

use crate::world::{Answer, Browser, Card, Page, World};

/// The team, and a channel in it.
pub(crate) struct Platform<'w> {
    pub(crate) world: &'w World,
    pub(crate) team: String,
    pub(crate) alerts: String,
}

/// An admin's browser on the configuration page.
pub(crate) struct AdminPage<'w> {
    world: &'w World,
    pub(crate) browser: Browser,
    pub(crate) csrf: String,
}

pub(crate) fn path(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

impl<'w> Platform<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let team = world.teams().add_team("Platform");
        let alerts = world.teams().add_channel(&team, "alerts");
        Self { world, team, alerts }
    }

    /// `who` adds the app to the team.
    pub(crate) async fn install(&self, who: &str) {
        let by = self.world.person(who).teams;
        for answer in self.world.teams().install_in(&self.team, &self.team, &by).await.unwrap() {
            assert_eq!(answer.status, 200);
        }
    }

    pub(crate) async fn uninstall(&self) {
        self.world.teams().uninstall(&self.team).await.unwrap();
    }

    /// Follows the newest private link of `who`, logged in at PagerDuty as `as_whom`, up to the question or the refusal.
    pub(crate) async fn log_in(&self, browser: &Browser, who: &str, as_whom: &str) -> Page {
        self.world.log_in(browser, who, as_whom).await
    }

    /// Ada adds the app and authorizes it.
    pub(crate) async fn authorized(world: &'w World) -> Self {
        let platform = Self::new(world);
        platform.install("Ada Wong").await;
        let browser = Browser::new();
        let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
        let done = world.answer_question(&browser, &question, "link").await;
        assert_eq!(done.status, 200, "{}", done.text);
        platform
    }

    /// Somebody writes in the channel, mentioning the bot.
    pub(crate) async fn say(&self, who: &str, text: &str) {
        self.say_in(&self.alerts, who, text).await;
    }

    pub(crate) async fn say_in(&self, channel: &str, who: &str, text: &str) {
        // Teams throttles a bot that answers faster in one conversation.
        self.world.tick(jiff::SignedDuration::from_secs(1));
        let person = self.world.person(who).teams;
        let answer = self.world.teams().say(&person, channel, text).await.unwrap();
        assert_eq!(answer.status, 200);
    }

    /// What the bot wrote in the channel as replies, oldest first.
    pub(crate) fn replies(&self) -> Vec<Card> {
        let messages = self.world.teams().messages(&self.alerts).into_iter();
        messages
            .filter(|message| message.from_bot && message.root.is_some() && message.card.is_some())
            .map(|message| Card { replies: Vec::new(), message })
            .collect()
    }

    #[track_caller]
    pub(crate) fn last_reply(&self) -> Card {
        self.replies().pop().expect("a reply in the channel")
    }

    /// The posts of the bot in the channel, oldest first.
    pub(crate) fn posts(&self) -> Vec<Card> {
        let all = self.world.cards_in_channel(&self.alerts).into_iter();
        all.filter(|card| card.message.from_bot).collect()
    }

    pub(crate) fn general(&self) -> Vec<Card> {
        let all = self.world.cards_in_channel(&self.team).into_iter();
        all.filter(|card| card.message.from_bot).collect()
    }

    pub(crate) async fn press(&self, who: &str, card: &Card, button: &str) -> Answer {
        self.world.tick(jiff::SignedDuration::from_millis(1));
        let person = self.world.person(who).teams;
        Answer(self.world.teams().click(&person, &card.message.id, button, json!({})).await.unwrap())
    }

    /// Who added the app presses the button for a key that an admin can use.
    pub(crate) async fn ask_for_key(&self, who: &str, welcome: &Card) -> String {
        let answer = self.press(who, welcome, "I’m not a PagerDuty Admin").await;
        assert!(answer.message().contains("key"), "{}", answer.message());
        let text = self.world.private_cards(who).pop().unwrap().text();
        text.split("Write: authorize ").nth(1).unwrap().lines().next().unwrap().to_owned()
    }

    /// The address of a service's page.
    pub(crate) fn service_url(&self, service: &str) -> String {
        self.world.service_url(service)
    }

    /// Adds a service in PagerDuty and connects it to the channel by command. Ada must be linked.
    pub(crate) async fn connect(&self, name: &str) -> String {
        let service = self.world.pagerduty().add_service(name);
        self.say("Ada Wong", &format!("connect {}", self.service_url(&service))).await;
        assert!(self.last_reply().shows(&format!("{name} is now connected")), "{}", self.last_reply().text());
        self.world.settle().await;
        service
    }

    pub(crate) async fn connections(&self) -> Vec<domain::connection::Connection> {
        let team = TeamId::new(self.team.as_str()).unwrap();
        self.world.stack.app.store.connections_of_team(&team).await.unwrap()
    }

    pub(crate) async fn installation(&self) -> domain::connection::Installation {
        let team = TeamId::new(self.team.as_str()).unwrap();
        self.world.stack.app.store.installation(&team).await.unwrap().unwrap()
    }

    pub(crate) async fn stored_subscription(&self, service: &str) -> Option<store::Subscription> {
        let account = crate::world::account();
        let service = ServiceId::new(service).unwrap();
        self.world.stack.app.store.subscription_of_service(&account, &service).await.unwrap()
    }
}

impl<'w> AdminPage<'w> {
    /// Logs in as `who`; gives the page that they end on.
    pub(crate) async fn try_open(world: &'w World, who: &str) -> (Browser, Page) {
        let browser = Browser::new();
        let start = browser.get(&world.stack.app.config.public("/oauth/start?for=admin")).await;
        let mut authorize = Url::parse(&start.location.unwrap()).unwrap();
        authorize.query_pairs_mut().append_pair("login", &world.person(who).pagerduty);
        let back = browser.get(authorize.as_str()).await;
        let page = browser.follow(&back.location.unwrap()).await;
        (browser, page)
    }

    pub(crate) async fn open(world: &'w World, who: &str) -> Self {
        let (browser, page) = Self::try_open(world, who).await;
        assert_eq!((page.status, page.url), (200, world.stack.app.config.public("/admin")));
        let mut admin = Self { world, browser, csrf: String::new() };
        let (status, session) = admin.get("/session").await;
        assert_eq!(status, 200, "{session}");
        admin.csrf = session["csrf"].as_str().unwrap().to_owned();
        admin
    }

    fn url(&self, path: &str) -> String {
        self.world.stack.app.config.public(&format!("/admin/api/v1{path}"))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.browser.api("GET", &self.url(path), None, None).await
    }

    pub(crate) async fn write(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.browser.api(method, &self.url(path), Some(&self.csrf), body.as_ref()).await
    }
}
