//! Somebody who is who they say, linked and logged in, names ids that are another's: nothing of theirs is read, written or asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, header};
use domain::ids::{EntraUserId, TenantId};
use domain::linking::Wanted;
use jiff::SignedDuration;
use local::aws::Call;
use percent_encoding::percent_decode_str;
use runtime::{App, AwsClients};
use serde_json::{Value, json};
use simulators::teams::Flaw;
use tower_service::Service as _;
use url::Url;

use super::dice::Dice;
use super::ground::OTHER_TENANT;
use super::theirs::{self, MARK, Place, Theirs};
use super::wishes::{self, Wish};
use crate::platform::AdminPage;
use crate::world::World;

const COUNT: usize = 10_000;

const TENANT: &str = "99999999-8888-4777-8666-555555555555";
const OTHER_ACCOUNT: &str = "POTHER1";
const ADA: &str = "Ada Wong";

/// In every text of the other tenant's team in the caller's own account: the account's admins may read it on their page.
const MARK_OF_TENANT: &str = "secret-of-the-other-tenant";

/// The functions in this process, with a note of all that they ask PagerDuty and Teams.
struct Attack<'w> {
    world: &'w World,
    app: App,
    router: Router,
    asked: Arc<Mutex<Vec<String>>>,
    cookie: String,
    csrf: String,
    own: Place,
    /// A click of Ada's on her own card, to be bent.
    click: Value,
    /// A message of hers.
    said: Value,
    privately: Value,
    bearer: String,
}

/// Notes every request on its way to the router.
fn noted(router: Router, asked: &Arc<Mutex<Vec<String>>>) -> Router {
    let asked = Arc::clone(asked);
    Router::new().fallback(move |request: Request<Body>| {
        let (mut router, asked) = (router.clone(), Arc::clone(&asked));
        async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let address = percent_decode_str(&head.uri.to_string()).decode_utf8_lossy().into_owned();
            let about = if address.contains("/v3/") { "" } else { std::str::from_utf8(&body).unwrap_or_default() };
            asked.lock().unwrap().push(format!("{} {address} {about}", head.method));
            router.call(Request::from_parts(head, Body::from(body))).await
        }
    })
}

impl<'w> Attack<'w> {
    async fn new(world: &'w World, own: Place, page: &AdminPage<'_>) -> Self {
        let config = world.stack.app.config.as_ref().clone();
        let asked = Arc::default();
        let wire = wire::Inside::new(runtime::http_client().unwrap())
            .with(&config.pagerduty_api_url, noted(world.pagerduty().router(), &asked))
            .with(&Url::parse(&world.teams().base()).unwrap(), noted(world.teams().router(), &asked));
        let clients = AwsClients::over(&config.aws, local::aws::http_client(world.stack.aws.router()));
        let app = App::inside(config, world.stack.app.clock.clone(), wire.into(), clients).unwrap();
        let router = webhook_ingest::router(app.clone())
            .merge(bot_messages::router(app.clone()))
            .merge(oauth_callback::router(app.clone()))
            .merge(admin_api::router(app.clone()));
        let ada = world.person(ADA).teams;
        let teams = world.teams();
        let chat = teams.personal_chat(&ada).unwrap();
        let click = teams.click_activity(&ada, &own.card, "acknowledge", &json!({})).unwrap();
        let said = teams.message_activity(&ada, &own.channel, "x").unwrap();
        let privately = teams.message_activity(&ada, &chat, "x").unwrap();
        let bearer = teams.authorization(&teams.service_url(), Flaw::None).unwrap().unwrap();
        let cookie = page.browser.cookies();
        Self { world, app, router, asked, cookie, csrf: page.csrf.clone(), own, click, said, privately, bearer }
    }

    async fn ask(&self, request: Request<Body>) -> (u16, Bytes) {
        let answer = match self.router.clone().call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status().as_u16();
        (status, to_bytes(answer.into_body(), usize::MAX).await.unwrap())
    }

    async fn route(&self, wish: &Wish, dice: &mut Dice, theirs: &Place) -> (u16, Bytes) {
        let Wish::Route { method, path, query, body } = wish else { panic!("no route") };
        let own = &self.own;
        let mut url = String::new();
        for segment in path.split('/').skip(1) {
            let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let value = match name {
                Some("file") => wishes::part("file", dice, own, theirs),
                Some(name) => crate::platform::path(&wishes::part(name, dice, own, theirs)),
                None => segment.to_owned(),
            };
            url = format!("{url}/{value}");
        }
        // A path of the caller's own team with another's service and channel.
        if url.contains(&crate::platform::path(&theirs.team)) && path.contains("{channel}") && dice.below(3) == 0 {
            url = url.replace(&crate::platform::path(&theirs.team), &crate::platform::path(&own.team));
        }
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        for name in query {
            if dice.below(4) > 0 {
                pairs.append_pair(name, &wishes::part(name, dice, own, theirs));
            }
        }
        let mut headers = HeaderMap::new();
        // Nobody logs out: with a session that is none, another's name is all there is.
        let ends_session = method == "DELETE" && path.ends_with("/session");
        let cookie =
            if ends_session { format!("__Host-pagerbridge-session={}", theirs.wanted) } else { self.cookie.clone() };
        headers.insert(header::COOKIE, cookie.parse().unwrap());
        headers.insert("x-pagerbridge-csrf", self.csrf.parse().unwrap());
        let body = match (body, path.as_str()) {
            (Some(schema), _) => {
                headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
                wishes::body(schema, dice, own, theirs).to_string()
            }
            (None, "/oauth/confirm") => {
                headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
                format!("csrf={}&choice=link", theirs.wanted)
            }
            (None, "/webhooks/pagerduty") => {
                headers.insert("x-webhook-subscription", theirs.subscription.parse().unwrap());
                json!({ "event": { "id": theirs.incident } }).to_string()
            }
            (None, _) => String::new(),
        };
        let mut request = Request::builder().method(method.as_str()).uri(format!("{url}?{}", pairs.finish()));
        *request.headers_mut().unwrap() = headers;
        self.ask(request.body(Body::from(body)).unwrap()).await
    }

    fn invoke(&self, name: &str, value: Value) -> Value {
        let mut activity = self.click.clone();
        activity["name"] = json!(name);
        activity["value"] = value;
        activity
    }

    /// The wish as an activity of Ada's that names what is theirs.
    fn activity(&self, wish: &Wish, dice: &mut Dice, theirs: &Place) -> Value {
        let own = &self.own;
        let with_data = |data: Value, more: Value| {
            let mut data = data;
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        let mut activity = match wish {
            Wish::Route { .. } => panic!("no activity"),
            Wish::Click(verb) => {
                let data = with_data(wishes::data(dice, own, theirs), json!({ "verb": verb.as_str() }));
                let action = json!({ "type": "Action.Execute", "verb": verb.as_str(), "data": data });
                self.invoke("adaptiveCard/action", json!({ "action": action, "trigger": "manual" }))
            }
            Wish::ClickAsMessage(verb) => {
                let mut message = if dice.below(2) == 0 { self.said.clone() } else { self.privately.clone() };
                message["value"] = with_data(wishes::data(dice, own, theirs), json!({ "verb": verb.as_str() }));
                message["text"] = json!("");
                message["entities"] = json!([]);
                message
            }
            Wish::Fetch(verb) | Wish::Submit(verb) => {
                let data = with_data(wishes::data(dice, own, theirs), json!({ "verb": verb.as_str() }));
                let name = if matches!(wish, Wish::Fetch(_)) { "task/fetch" } else { "task/submit" };
                self.invoke(name, json!({ "data": data }))
            }
            Wish::FetchStorm(dialog) => {
                self.invoke("task/fetch", json!({ "data": wishes::storm_data(*dialog, None, dice, own, theirs) }))
            }
            Wish::SubmitStorm(dialog, verb) => {
                self.invoke("task/submit", json!({ "data": wishes::storm_data(*dialog, *verb, dice, own, theirs) }))
            }
            Wish::FetchForm | Wish::SubmitForm => {
                let mut data = with_data(wishes::data(dice, own, theirs), json!({ "dialog": "trigger" }));
                data.as_object_mut().unwrap().retain(|name, _| name != "account" && name != "incident");
                let name = if matches!(wish, Wish::FetchForm) { "task/fetch" } else { "task/submit" };
                self.invoke(name, json!({ "data": data }))
            }
            Wish::Search(dataset) => {
                self.invoke("application/search", json!({ "dataset": dataset, "queryText": theirs.service }))
            }
            Wish::Say { command, privately } => {
                let mut message = if *privately { self.privately.clone() } else { self.said.clone() };
                let argument = wishes::argument(command.name, dice, own, theirs);
                let host = self.world.pagerduty().base();
                let text = format!("{} {}", command.word, argument.replace("HOST", &host));
                message["text"] = json!(text);
                message["entities"] = json!([]);
                // Whoever unlinks themselves would be asked to link first from then on.
                if command.name == cards::CommandName::UnlinkUser {
                    let user = self.world.teams().user(&self.world.person("Chloe Martin").teams).unwrap();
                    message["from"] = json!({ "id": user.id, "name": user.name, "aadObjectId": user.entra });
                }
                message
            }
            Wish::Event(event) => {
                let mut activity = self.of_team(theirs);
                activity["channelData"]["eventType"] = json!(event);
                // Another's channel in the caller's own team.
                if event.starts_with("channel") && dice.below(2) == 0 {
                    activity["channelData"]["team"] = json!({ "id": own.team });
                }
                activity
            }
            Wish::Installation(action) => {
                let mut activity = self.of_team(theirs);
                activity["type"] = json!("installationUpdate");
                activity["action"] = json!(action);
                activity
            }
            Wish::Members { added, bot } => {
                let mut activity = self.of_team(theirs);
                let id = if *bot { activity["recipient"]["id"].clone() } else { json!("29:somebody") };
                activity[if *added { "membersAdded" } else { "membersRemoved" }] = json!([{ "id": id }]);
                activity
            }
            Wish::SignIn => self.invoke("signin/verifyState", json!({ "state": theirs.wanted.repeat(16) })),
            Wish::OtherInvoke => self.invoke("composeExtension/query", json!({ "team": theirs.team })),
            Wish::OtherActivity => {
                let mut activity = self.of_team(theirs);
                activity["type"] = json!("messageReaction");
                activity
            }
        };
        if activity["type"] == "invoke" {
            activity["replyToId"] = json!(dice.pick(&[&theirs.card, &own.card]));
        }
        activity
    }

    /// Something about a team of theirs, which Teams would never say to this tenant.
    fn of_team(&self, theirs: &Place) -> Value {
        let mut activity = self.said.clone();
        activity["type"] = json!("conversationUpdate");
        activity["text"] = json!("");
        activity["conversation"]["id"] = json!(theirs.channel);
        activity["channelData"]["team"] = json!({ "id": theirs.team, "name": "renamed" });
        activity["channelData"]["channel"] = json!({ "id": theirs.channel, "name": "renamed" });
        activity
    }

    /// What it asked for, and what it was answered.
    async fn make(&self, wish: &Wish, number: usize, dice: &mut Dice, theirs: &Place) -> (String, u16, Bytes) {
        if matches!(wish, Wish::Route { .. }) {
            let (status, body) = self.route(wish, dice, theirs).await;
            return (String::new(), status, body);
        }
        let mut activity = self.activity(wish, dice, theirs);
        activity["id"] = json!(format!("f:{number}"));
        let text = activity.to_string();
        let request = Request::post("/api/messages").header(header::AUTHORIZATION, &self.bearer);
        let (status, body) = self.ask(request.body(Body::from(text.clone())).unwrap()).await;
        (text, status, body)
    }
}

/// Whose a team is, only its installation says: it is looked at for that, and for no more. So is a subscription, since a webhook of one
/// that is known must not hear a 4xx, however badly it is signed.
fn is_looking_whose(call: &Call, key: &str) -> bool {
    let installation = key.starts_with("TEAM#") && key.ends_with(" INSTALLATION");
    let subscription = key.starts_with("SUBSCRIPTION#") && key.ends_with(" SUBSCRIPTION");
    (installation || subscription) && matches!(call.operation.as_str(), "GetItem" | "Query")
}

async fn everything_of_theirs(world: &World) -> Vec<Theirs> {
    let mut known_before = theirs::partitions(&world.stack.aws.take_calls());
    // Whatever is touched first for somebody is theirs.
    let mut new = || {
        let touched = theirs::partitions(&world.stack.aws.take_calls());
        let new: BTreeSet<String> = &touched - &known_before;
        known_before.extend(touched);
        new
    };
    let mut all = Vec::new();
    for (name, tenant, account) in [
        ("other-tenant", OTHER_TENANT, local::ACCOUNT),
        ("other-account", TENANT, OTHER_ACCOUNT),
        ("stranger", OTHER_TENANT, OTHER_ACCOUNT),
    ] {
        let known = world.pagerduty().snapshot();
        let mark = if account == local::ACCOUNT { MARK_OF_TENANT } else { MARK };
        let mut place = Box::pin(theirs::plant(world, name, tenant, account, mark)).await;
        let mut partitions = new();
        if account == local::ACCOUNT {
            // The service is in the admin's own PagerDuty: whoever may see it there may connect it as well.
            partitions.retain(|partition| !partition.starts_with("SERVICE#"));
            place.service = "PNOTTHERE".to_owned();
        } else {
            // It is another PagerDuty that knows of it.
            world.pagerduty().restore(known).unwrap();
        }
        all.push(Theirs { place, partitions });
    }
    let place = colleague(world, all[1].place.clone()).await;
    all.push(Theirs { place, partitions: new() });
    all
}

/// Somebody of the same tenant and account, with a link and wishes of their own.
async fn colleague(world: &World, like: Place) -> Place {
    world.link("Ben Okafor").await;
    let user = world.teams().user(&world.person("Ben Okafor").teams).unwrap();
    let person = (TenantId::new(user.tenant.as_str()).unwrap(), EntraUserId::new(user.entra.as_str()).unwrap());
    let what = Wanted::Trigger { title: Some(MARK.to_owned()) };
    theirs::keep_for(world, (&person.0, &person.1), "wanted-colleague", what).await;
    Place { name: "colleague", person: user.entra, wanted: "wanted-colleague".to_owned(), ..like }
}

#[tokio::test]
async fn who_names_what_is_not_theirs_gets_nothing_and_moves_nothing() {
    let world = World::with("TEAMS_ALLOWED_TENANTS", &format!("{TENANT},{OTHER_TENANT}")).await;
    world.teams().set_throttling(false);
    world.stack.aws.watch(std::time::Duration::ZERO);
    world.link(ADA).await;
    let page = AdminPage::open(&world, ADA).await;
    let ours = Box::pin(theirs::plant(&world, "own", TENANT, local::ACCOUNT, "own")).await;
    world.settle_all().await;
    let all = Box::pin(everything_of_theirs(&world)).await;
    for theirs in &all {
        assert!(theirs.partitions.iter().any(|partition| partition.starts_with("USER#")), "{}", theirs.place.name);
    }
    let attack = Attack::new(&world, ours, &page).await;
    let messages = |place: &Place| world.teams().messages(&place.channel).len();
    let before: Vec<usize> = all.iter().map(|theirs| messages(&theirs.place)).collect();
    let shared = world.pagerduty().incident(&all[0].place.incident);

    let wishes = wishes::all();
    let mut dice = Dice::new(0xF0_2E16);
    let (mut kinds, mut statuses) = (BTreeSet::new(), BTreeMap::<u16, usize>::new());
    let mut looked = 0;
    for number in 0..COUNT {
        let wish = &wishes[number % wishes.len()];
        // The page is the whole account's, whatever the tenants of its teams.
        let forbidden = if matches!(wish, Wish::Route { .. }) { &all[1..] } else { &all[..] };
        // What Teams tells of a team of the caller's own tenant is true, whoever's account the team belongs to.
        let others = [&all[0], &all[2]];
        let theirs = if wishes::is_told_by_teams(wish) { *dice.pick(&others) } else { dice.pick(forbidden) };
        world.tick(SignedDuration::from_millis(100));
        attack.asked.lock().unwrap().clear();
        drop(world.stack.aws.take_calls());
        let (text, status, body) = attack.make(wish, number, &mut dice, &theirs.place).await;
        let said = String::from_utf8_lossy(&body);
        let what = || format!("number {number}, {wish:?} of {}: {status} {said}\n{text}", theirs.place.name);
        // Nothing heals in this world, which /health says after five minutes.
        let may_fail = ["/webhooks/pagerduty", "/health"];
        assert!(
            status < 500
                || matches!(wish, Wish::Route { path, .. } if may_fail.iter().any(|known| path.ends_with(known))),
            "{}",
            what()
        );
        let tells = said.contains(MARK) || (!text.is_empty() && said.contains(MARK_OF_TENANT));
        assert!(!tells, "{}", what());
        for call in world.stack.aws.take_calls() {
            for key in &call.touched {
                let partition = key.split(' ').next().unwrap();
                if forbidden.iter().any(|theirs| theirs.partitions.contains(partition)) {
                    assert!(is_looking_whose(&call, key), "{} of {key} for {}", call.operation, what());
                    looked += 1;
                }
            }
        }
        let place = &theirs.place;
        for asked in attack.asked.lock().unwrap().iter() {
            let about =
                [&place.incident, &place.service, &place.team, &place.channel, &place.person, &place.pagerduty_user]
                    .into_iter()
                    .find(|id| asked.contains(id.as_str()));
            assert!(about.is_none() || wishes::asks_pagerduty(wish), "{asked} for {}", what());
        }
        if !text.is_empty() && number < wishes.len() {
            let now = attack.app.clock.now();
            let verified = attack.app.bot_auth.check(Some(&attack.bearer), text.as_bytes(), now).await.unwrap();
            kinds.insert(wishes::kind(&verified.activity().inbound()));
        }
        *statuses.entry(status).or_default() += 1;
    }
    assert_eq!(kinds.len(), wishes::KINDS, "{kinds:?}");
    let after: Vec<usize> = all.iter().map(|theirs| messages(&theirs.place)).collect();
    assert_eq!(after, before, "nothing is posted where they are");
    assert_eq!(world.pagerduty().incident(&all[0].place.incident), shared, "nothing is done to their incident");
    let ada = world.person(ADA).teams;
    for message in world.teams().personal_messages(&ada).iter().filter(|message| message.from_bot) {
        let card = message.card.as_ref().map(Value::to_string).unwrap_or_default();
        assert!(!card.contains(MARK), "{card}");
    }
    println!(
        "{COUNT} requests of {} kinds: {statuses:?}; looked {looked} times whose a team or subscription is",
        wishes.len()
    );
}
