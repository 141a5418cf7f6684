//! The language of the scenarios: a world with PagerBridge in it, people who click, and a clock that stands still.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use domain::deed::DeedKind;
use domain::healing::Ended;
use domain::ids::{AccountId, ChannelId, EntraUserId, IncidentId, ServiceId, TenantId};
use domain::plan::{CardKey, CardRecord};
use jiff::{SignedDuration, Timestamp};
use local::{Demo, LocalConfig, Ports, Running};
use runtime::Clock;
use serde_json::{Value, json};
use simulators::pagerduty::{PagerDuty, Pending};
use simulators::teams::{Message, Task, Teams};
use url::Url;

pub(crate) use simulators::teams::Fault;

pub(crate) use crate::browser::{Browser, Page};
pub(crate) use crate::card::{Answer, Card};
pub(crate) use crate::signed::{Signed, Subscription};

/// 23 November 2026, 09:00 UTC.
pub(crate) const START: Timestamp = Timestamp::constant(1_795_424_400, 0);

/// PagerBridge between the two simulators.
pub(crate) struct World {
    pub(crate) stack: Running,
    http: reqwest::Client,
    people: Mutex<Vec<local::DemoPerson>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of(local::compose(config()).await.unwrap())
    }

    /// A world with another variable in the functions' environment.
    pub(crate) async fn with(name: &str, value: &str) -> Self {
        let mut config = config();
        config.environment.insert(name.to_owned(), value.to_owned());
        Self::of(local::compose(config).await.unwrap())
    }

    /// A world whose state is kept in a folder, listening on `port` (0: any).
    pub(crate) async fn in_folder(folder: &Path, port: u16) -> Self {
        Self::in_folder_with(folder, Ports { app: port, ..Ports::default() }, &[]).await
    }

    /// The same with more to choose: the ports of the others, and variables in the functions' environment.
    pub(crate) async fn in_folder_with(folder: &Path, ports: Ports, variables: &[(&str, &str)]) -> Self {
        let mut config = config();
        config.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        config.data_dir = Some(folder.to_owned());
        config.ports = ports;
        Self::of(local::compose(config).await.unwrap())
    }

    /// Where PagerBridge and its two sides listen.
    pub(crate) fn ports(&self) -> Ports {
        let port = |url: &str| Url::parse(url).unwrap().port().unwrap();
        Ports {
            app: port(self.stack.base().as_str()),
            aws: 0,
            pagerduty: port(&self.pagerduty().base()),
            teams: port(&self.teams().service_url()),
        }
    }

    pub(crate) fn of(stack: Running) -> Self {
        let people = Mutex::new(stack.demo.clone().map(|demo| demo.people).unwrap_or_default());
        Self { stack, http: runtime::http_client().unwrap(), people }
    }

    pub(crate) fn pagerduty(&self) -> &PagerDuty {
        self.stack.pagerduty.as_ref().unwrap()
    }

    pub(crate) fn teams(&self) -> &Teams {
        self.stack.teams.as_ref().unwrap()
    }

    pub(crate) fn demo(&self) -> &Demo {
        self.stack.demo.as_ref().unwrap()
    }

    /// Moves what is due now.
    pub(crate) async fn settle(&self) {
        self.stack.settle().await.unwrap();
    }

    /// Lets time pass until nothing waits any more.
    pub(crate) async fn settle_all(&self) {
        self.stack.settle_all().await.unwrap();
    }

    /// Lets time pass, stopping at whatever becomes due.
    pub(crate) async fn advance(&self, by: SignedDuration) {
        self.stack.advance(by).await.unwrap();
    }

    /// Lets time pass without delivering anything.
    pub(crate) fn tick(&self, by: SignedDuration) {
        self.stack.app.clock.advance(by);
    }

    /// One run of the reconciler, and what follows from it.
    pub(crate) async fn reconcile(&self) {
        let report = self.stack.reconcile().await;
        assert!(report.ended() <= Ended::Partly, "{report:?}");
        self.settle_all().await;
    }

    pub(crate) fn counted(&self, metric: runtime::Metric) -> f64 {
        self.stack.app.metrics.sum(metric)
    }

    /// PagerDuty delivers what is due; the queue stays as it is.
    pub(crate) async fn deliver_webhooks(&self) {
        while self.pagerduty().deliver().await > 0 {}
    }

    /// A monitoring tool opens an incident.
    pub(crate) async fn trigger(&self, service: &str, title: &str) -> String {
        let service = self.service(service);
        self.trigger_in(&service, title).await
    }

    pub(crate) async fn trigger_in(&self, service: &str, title: &str) -> String {
        self.tick(SignedDuration::from_millis(1));
        self.pagerduty().trigger(service, title, "high")
    }

    pub(crate) fn service(&self, name: &str) -> String {
        self.pagerduty().service_named(name).unwrap()
    }

    /// A service's page in PagerDuty, as `connect` takes it.
    pub(crate) fn service_url(&self, service: &str) -> String {
        let base = Url::parse(&self.pagerduty().base()).unwrap();
        format!("{}/service-directory/{service}", base.origin().ascii_serialization())
    }

    pub(crate) fn channel(&self, service: &str) -> String {
        self.demo().channels.iter().find(|channel| channel.name == service).unwrap().channel.clone()
    }

    /// Services with a channel each, connected; gives the services' ids.
    pub(crate) async fn add_services(&self, count: usize) -> Vec<String> {
        let team = &self.demo().team;
        let mut services = Vec::new();
        for number in 0..count {
            let name = format!("Service {number}");
            let service = self.pagerduty().add_service(&name);
            let channel = self.teams().add_channel(team, &channel_name(&service));
            local::connect(&self.stack.app, team, &channel, &service, &name).await.unwrap();
            services.push(service);
        }
        services
    }

    /// The cards in the channel of a service, oldest first.
    pub(crate) fn cards(&self, service: &str) -> Vec<Card> {
        self.cards_in_channel(&self.channel(service))
    }

    /// The same for a service of [`World::add_services`].
    pub(crate) fn cards_in(&self, service: &str) -> Vec<Card> {
        let channel = self.teams().channel_named(&self.demo().team, &channel_name(service)).unwrap();
        self.cards_in_channel(&channel)
    }

    pub(crate) fn cards_in_channel(&self, channel: &str) -> Vec<Card> {
        let messages = self.teams().messages(channel);
        let roots =
            messages.iter().filter(|message| message.root.is_none() && message.card.is_some() && !message.deleted);
        let replies_to = |root: &Message| {
            let mine = messages.iter().filter(|message| message.root.as_ref() == Some(&root.id));
            mine.filter_map(|message| message.text.clone()).collect()
        };
        roots.map(|root| Card { replies: replies_to(root), message: root.clone() }).collect()
    }

    #[track_caller]
    pub(crate) fn only_card(&self, service: &str) -> Card {
        let mut cards = self.cards(service);
        assert_eq!(cards.len(), 1, "exactly one card in the channel of {service}");
        cards.remove(0)
    }

    /// The card of an incident in the channel of a service of [`World::add_services`].
    #[track_caller]
    pub(crate) fn card_of(&self, service: &str, incident: &str) -> Card {
        let mut cards: Vec<Card> =
            self.cards_in(service).into_iter().filter(|card| card.json().contains(incident)).collect();
        assert_eq!(cards.len(), 1, "exactly one card of {incident}");
        cards.remove(0)
    }

    pub(crate) fn person(&self, name: &str) -> local::DemoPerson {
        self.people.lock().unwrap().iter().find(|person| person.name == name).unwrap().clone()
    }

    pub(crate) fn pagerduty_user(&self, name: &str) -> String {
        self.person(name).pagerduty
    }

    /// Adds somebody on both sides.
    pub(crate) async fn add_person(&self, name: &str, role: &str) {
        let email = format!("{}@example.com", name.split(' ').next().unwrap().to_lowercase());
        let pagerduty = self.pagerduty().add_user(name, &email, role);
        let teams = self.teams().add_user(name);
        self.teams().set_email(&teams, &email);
        self.teams().add_member(&self.demo().team, &teams).await.unwrap();
        self.people.lock().unwrap().push(local::DemoPerson { name: name.to_owned(), teams, pagerduty });
    }

    pub(crate) async fn click(&self, who: &str, card: &Card, button: &str) -> Answer {
        self.click_with(who, card, button, json!({})).await
    }

    pub(crate) async fn click_with(&self, who: &str, card: &Card, button: &str, inputs: Value) -> Answer {
        self.tick(SignedDuration::from_millis(1));
        let verb = match button {
            "Acknowledge" => DeedKind::Acknowledge,
            "Resolve" => DeedKind::Resolve,
            "Add note" => DeedKind::AddNote,
            other => panic!("no such button: {other}"),
        };
        let person = self.person(who).teams;
        if verb.form().is_empty() {
            return Answer(self.teams().click(&person, &card.message.id, verb.name(), inputs).await.unwrap());
        }
        let opened = self.teams().click(&person, &card.message.id, button, json!({})).await.unwrap();
        let Task::Dialog { card: form, .. } = opened.task() else { return Answer(opened) };
        // Beside whatever other dialogs the person has open.
        let mut data = form["actions"][0]["data"].clone();
        data.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
        Answer(self.teams().task_submit(&person, &card.message.id, data).await.unwrap())
    }

    /// A click whose data somebody has tampered with.
    pub(crate) async fn forge_click(&self, who: &str, card: &Card, verb: &str, data: &Value) -> Answer {
        let person = self.person(who).teams;
        let verb = if verb == "Resolve" { DeedKind::Resolve.name() } else { verb };
        let mut activity = self.teams().click_activity(&person, &card.message.id, verb, &json!({})).unwrap();
        for (key, value) in data.as_object().unwrap() {
            activity["value"]["action"]["data"][key] = value.clone();
        }
        Answer(self.teams().send(activity).await.unwrap())
    }

    /// A click that Teams delivers correctly signed, but for a tenant that may not use the bot.
    pub(crate) async fn click_from_another_tenant(&self, card: &Card) -> Answer {
        let person = self.person("Ada Wong").teams;
        let verb = DeedKind::Resolve.name();
        let mut activity = self.teams().click_activity(&person, &card.message.id, verb, &json!({})).unwrap();
        for tenant in ["/conversation/tenantId", "/channelData/tenant/id"] {
            if let Some(tenant) = activity.pointer_mut(tenant) {
                *tenant = json!("00000000-1111-4222-8333-444444444444");
            }
        }
        Answer(self.teams().send(activity).await.unwrap())
    }

    /// Teams sends the last activity again.
    pub(crate) async fn redeliver(&self) -> Answer {
        Answer(self.teams().redeliver().await.unwrap())
    }

    /// Somebody writes to the bot privately.
    pub(crate) async fn say(&self, who: &str, text: &str) {
        self.tick(SignedDuration::from_millis(1));
        let person = self.person(who).teams;
        if self.teams().personal_chat(&person).is_none() {
            self.teams().install_personal(&person).await.unwrap();
        }
        let answer = self.teams().say_privately(&person, text).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// What the bot wrote to somebody privately, oldest first.
    pub(crate) fn private_cards(&self, who: &str) -> Vec<Card> {
        let person = self.person(who).teams;
        let messages = self.teams().personal_messages(&person).into_iter();
        messages.filter(|message| message.from_bot).map(|message| Card { replies: Vec::new(), message }).collect()
    }

    /// The messages in the General channel, whose id is the team's.
    pub(crate) fn general_messages(&self) -> Vec<String> {
        self.cards_in_channel(&self.demo().team).iter().map(Card::text).collect()
    }

    /// Links somebody to the PagerDuty user of the same name.
    pub(crate) async fn link(&self, who: &str) {
        self.say(who, "linkUser").await;
        self.complete_link(&Browser::new(), who, who).await;
    }

    /// Follows the newest personal link of `who` to its end, logged in at PagerDuty as `as_whom`.
    pub(crate) async fn complete_link(&self, browser: &Browser, who: &str, as_whom: &str) {
        let question = self.log_in(browser, who, as_whom).await;
        let waiting = self.answer_question(browser, &question, "link").await;
        assert_eq!(waiting.status, 200, "{}", waiting.text);
        assert!(!waiting.number.is_empty(), "{}", waiting.text);
        self.say(who, &waiting.number).await;
        assert!(self.is_linked(who).await);
    }

    /// What the page in this browser shows when it is loaded again.
    pub(crate) async fn reload(&self, browser: &Browser) -> Page {
        browser.get(&self.stack.app.config.public("/oauth/callback")).await
    }

    /// The newest message with a personal link of `who`.
    pub(crate) fn message_with_link(&self, who: &str) -> Card {
        self.private_cards(who).into_iter().rev().find(|card| card.any_link().is_some()).expect("a personal link")
    }

    /// Where the window leads that the sign-in button of the newest personal link opens.
    pub(crate) fn sign_in_window(&self, who: &str) -> String {
        let message = self.message_with_link(who).message.id;
        self.teams().sign_in_window(&self.person(who).teams, &message, "Link Accounts").unwrap()
    }

    /// The page in the sign-in window of `who` hands over a code.
    pub(crate) async fn sign_in(&self, who: &str, code: &str) -> u16 {
        let message = self.message_with_link(who).message.id;
        self.teams().sign_in(&self.person(who).teams, &message, code).await.unwrap().status
    }

    /// The newest personal link of `who`, up to the address that PagerDuty leads back to.
    pub(crate) async fn log_in_at_pagerduty(&self, browser: &Browser, who: &str, as_whom: &str) -> String {
        let login = self.person(as_whom).pagerduty;
        self.at_pagerduty(browser, who, &login).await
    }

    pub(crate) async fn at_pagerduty(&self, browser: &Browser, who: &str, login: &str) -> String {
        self.follow_link(browser, &self.message_with_link(who).link(), login).await
    }

    /// From a personal link up to the address that PagerDuty leads back to.
    pub(crate) async fn follow_link(&self, browser: &Browser, link: &str, login: &str) -> String {
        let start = browser.get(link).await;
        assert_eq!(start.status, 303, "{}", start.text);
        let mut authorize = Url::parse(&start.location.unwrap()).unwrap();
        authorize.query_pairs_mut().append_pair("login", login);
        let back = browser.get(authorize.as_str()).await;
        assert_eq!(back.status, 302, "{}", back.text);
        back.location.unwrap()
    }

    /// The newest personal link of `who`, up to the confirmation page.
    pub(crate) async fn log_in(&self, browser: &Browser, who: &str, as_whom: &str) -> Page {
        let callback = self.log_in_at_pagerduty(browser, who, as_whom).await;
        browser.follow(&callback).await
    }

    pub(crate) async fn deny_at_pagerduty(&self, browser: &Browser, who: &str) -> Page {
        let callback = self.at_pagerduty(browser, who, "deny").await;
        browser.follow(&callback).await
    }

    pub(crate) async fn answer_question(&self, browser: &Browser, question: &Page, choice: &str) -> Page {
        let url = self.stack.app.config.public("/oauth/confirm");
        browser.post(&url, &[("csrf", question.csrf.as_str()), ("choice", choice)]).await
    }

    pub(crate) async fn is_linked(&self, who: &str) -> bool {
        let user = self.teams().user(&self.person(who).teams).unwrap();
        let (tenant, entra) = (TenantId::new(user.tenant).unwrap(), EntraUserId::new(user.entra).unwrap());
        !self.stack.app.store.links_of(&tenant, &entra).await.unwrap().is_empty()
    }

    pub(crate) fn status_in_pagerduty(&self, incident: &str) -> String {
        self.pagerduty().incident(incident).unwrap()["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn notes_in_pagerduty(&self, incident: &str) -> Vec<String> {
        let incident = self.pagerduty().incident(incident).unwrap();
        incident["notes"].as_array().unwrap().iter().map(|note| note["content"].as_str().unwrap().to_owned()).collect()
    }

    /// How often something happened to an incident, by PagerDuty's log.
    pub(crate) fn log_in_pagerduty(&self, incident: &str, kind: &str) -> usize {
        let incident = self.pagerduty().incident(incident).unwrap();
        let kind = format!("{kind}_log_entry");
        incident["log"].as_array().unwrap().iter().filter(|entry| entry["type"] == kind.as_str()).count()
    }

    /// Teams refuses the next requests about a service's channel.
    pub(crate) fn fail_posts(&self, service: &str, times: usize, fault: &Fault) {
        self.teams().fail_next_in(&self.channel(service), times, fault);
    }

    pub(crate) fn delete_message(&self, card: &Card) {
        self.teams().delete_message(&card.message.id);
    }

    pub(crate) fn delete_channel(&self, service: &str) {
        self.teams().drop_channel(&self.channel(service));
    }

    pub(crate) async fn restore_channel(&self, service: &str) {
        self.teams().restore_channel(&self.channel(service)).await.unwrap();
    }

    pub(crate) async fn connection_is_broken(&self, service: &str) -> bool {
        let (account, id) = (account(), ServiceId::new(self.service(service)).unwrap());
        let connections = self.stack.app.store.connections_of_service(&account, &id).await.unwrap();
        connections.iter().all(|connection| matches!(connection.health, domain::connection::Health::Broken { .. }))
    }

    pub(crate) async fn card_record(&self, service: &str, incident: &str) -> CardRecord {
        self.stack.app.store.card(&self.card_key(service, incident)).await.unwrap().unwrap()
    }

    pub(crate) fn card_key(&self, service: &str, incident: &str) -> CardKey {
        let channel = ChannelId::new(self.channel(service)).unwrap();
        CardKey { account: account(), incident: IncidentId::new(incident).unwrap(), channel }
    }

    pub(crate) fn subscription(&self, service: &str) -> Subscription {
        let id = self.pagerduty().subscriptions_of(&self.service(service)).remove(0);
        let secret = self.pagerduty().secret_of(&id).unwrap();
        Subscription { id, secret }
    }

    /// Changes what Secrets Manager holds, as `infra/secrets` does: for every function.
    pub(crate) async fn change_secret(&self, change: impl FnOnce(&mut Value)) {
        let app = &self.stack.app;
        let client = runtime::AwsClients::new(&app.config.aws).secrets_manager;
        let known = client.get_secret_value().secret_id(&app.config.secret_id).send().await.unwrap();
        let mut values: Value = serde_json::from_str(known.secret_string().unwrap()).unwrap();
        change(&mut values);
        self.stack.put_secret(&values.to_string()).await.unwrap();
    }

    /// Replaces the stored secret of a subscription, as a rotation does.
    pub(crate) async fn replace_secret(&self, subscription: &Subscription, secret: &str) {
        let app = &self.stack.app;
        let id = domain::ids::SubscriptionId::new(subscription.id.as_str()).unwrap();
        let known = app.store.subscription(&id).await.unwrap().unwrap();
        let values = app.secrets.values(app.clock.now()).await.unwrap();
        let sealed =
            values.webhook_keys().unwrap().seal(secret.as_bytes(), id.as_str(), app.random.bytes().unwrap()).unwrap();
        app.store.put_subscription(&store::Subscription { secrets: vec![sealed], ..known }).await.unwrap();
    }

    pub(crate) async fn post_webhook(&self, body: &[u8], signed: Signed) -> u16 {
        let url = self.stack.app.config.public("/webhooks/pagerduty");
        let mut request = self.http.post(url).header("X-Webhook-Id", "w-1");
        if let Some(signature) = signed.signature.clone().unwrap_or_else(|| Some(signed.signature(body))) {
            request = request.header("X-PagerDuty-Signature", signature);
        }
        if let Some(subscription) = &signed.subscription {
            request = request.header("X-Webhook-Subscription", subscription);
        }
        request.body(body.to_vec()).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn method_on_webhooks(&self, method: &str) -> u16 {
        let url = self.stack.app.config.public("/webhooks/pagerduty");
        self.http.request(method.parse().unwrap(), url).send().await.unwrap().status().as_u16()
    }

    /// What PagerDuty's deliveries for a service were answered, in order.
    pub(crate) fn webhook_answers(&self, service: &str) -> Vec<u16> {
        let subscription = self.subscription(service).id;
        let deliveries = self.pagerduty().deliveries().into_iter();
        deliveries
            .filter(|delivery| delivery.subscription == subscription)
            .filter_map(|delivery| delivery.status)
            .collect()
    }

    /// What `/health` tells a stranger.
    pub(crate) async fn health(&self) -> (u16, Value) {
        let answer = self.http.get(self.stack.app.config.public("/health")).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) fn take_undelivered(&self) -> Vec<Pending> {
        self.pagerduty().take_pending()
    }

    /// Delivers webhooks in an order that PagerDuty would never choose, with the sender at work in between.
    pub(crate) async fn deliver_in_this_order(&self, deliveries: Vec<Pending>) {
        for (number, delivery) in deliveries.into_iter().enumerate() {
            self.pagerduty().deliver_this(delivery).await;
            if number % 25 == 0 {
                self.settle().await;
                self.tick(SignedDuration::from_millis(500));
            }
        }
    }

    /// Writes the state to the folder as the running stack does all the time.
    pub(crate) fn keep_state(&self) {
        self.stack.keep().unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stack.stop().await;
    }

    /// Nothing may be left over, and nobody may have said what the other side does not know.
    pub(crate) fn finish(self) {
        assert_eq!(self.pagerduty().unknown_requests(), Vec::<String>::new());
        assert_eq!(self.teams().unknown_requests(), Vec::<String>::new());
        assert_eq!(self.teams().complaints(), Vec::<String>::new());
        assert_eq!(self.teams().dead_on_phones(), Vec::<String>::new());
    }
}

pub(crate) fn config() -> LocalConfig {
    LocalConfig { calls: Some(calls().to_owned()), ..LocalConfig::for_tests(Clock::manual(START)) }
}

/// Where the calls of AWS are noted that the functions make in all scenarios; `tests/template` compares them with the
/// template's policies. Emptied once, so that nothing of an earlier run is left.
fn calls() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-calls");
        let _was_not_there = std::fs::remove_dir_all(&folder);
        folder
    });
    &FOLDER
}

fn channel_name(service: &str) -> String {
    format!("incidents-of-{service}")
}

pub(crate) fn account() -> AccountId {
    AccountId::new(local::ACCOUNT).unwrap()
}
