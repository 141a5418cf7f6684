//! The bot's token goes to Teams and nowhere else: neither to an address that an activity names, nor to one that stands in the table.

use std::sync::{Arc, Mutex, OnceLock};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::connection::Installation;
use domain::ids::{ConversationId, EntraUserId, ServiceUrl, TeamId};
use domain::linking::{Purpose, Ticket};
use jiff::SignedDuration;
use local::inside::Inside;
use runtime::AwsClients;
use serde_json::json;
use tower_service::Service as _;
use url::Url;

use super::ground::Ground;
use crate::world::World;

/// Everything here is another place than `https://smba.trafficmanager.net`, or pretends to be that one.
const URLS: &str = include_str!("../../../corpora/service-urls.jsonl");

const TEAMS: &str = "https://smba.trafficmanager.net";

fn urls() -> Vec<String> {
    URLS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Somebody at every address in the world, Teams among them.
#[derive(Clone, Default)]
struct Everywhere {
    teams: Arc<OnceLock<Router>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Everywhere {
    async fn answer(self, request: Request) -> Response {
        let uri = request.uri();
        if uri.scheme_str() == Some("https") && uri.authority().is_some_and(|host| host == "smba.trafficmanager.net") {
            return self.teams.get().unwrap().clone().call(request).await.into_response();
        }
        let bearer = request.headers().get(header::AUTHORIZATION).is_some();
        self.heard.lock().unwrap().push(format!("{} {uri} bearer: {bearer}", request.method()));
        // As somebody would who wants to hear more.
        (StatusCode::CREATED, axum::Json(json!({ "id": "1", "activityId": "1", "access_token": "x" }))).into_response()
    }
}

/// A stack that trusts the real Teams' host alone.
async fn ground() -> (Ground, Everywhere) {
    let everywhere = Everywhere::default();
    let answers = everywhere.clone();
    let router = Router::new().fallback(move |request: Request| answers.clone().answer(request));
    let ground = Ground::with(&[("TEAMS_SERVICE_URL_HOSTS", "smba.trafficmanager.net")], Some(router)).await;
    ground.inside.teams.set_base(TEAMS);
    everywhere.teams.set(ground.inside.teams.router()).unwrap();
    (ground, everywhere)
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_teams_is_not_taken_from_an_activity() {
    let (ground, everywhere) = ground().await;
    let teams = &ground.inside.teams;
    let ada = teams.add_user("Ada Wong");
    let team = ground.inside.add_team("Site Reliability").await.unwrap();
    let channel = teams.add_channel(&team, "alerts");
    let said = teams.message_activity(&ada, &channel, "help").unwrap();
    assert_eq!(ground.activity(&said).await.status, 200, "Teams' own address is taken");
    let mut added = said.clone();
    added["type"] = json!("installationUpdate");
    added["action"] = json!("add");
    let mut privately = said.clone();
    privately["conversation"]["conversationType"] = json!("personal");
    privately["conversation"]["id"] = json!("a:1chat");
    privately["channelData"].as_object_mut().unwrap().remove("team");
    let mut invoked = said.clone();
    invoked["type"] = json!("invoke");
    invoked["name"] = json!("task/fetch");
    invoked["value"] = json!({ "data": { "v": 1, "dialog": "trigger" } });
    ground.settle().await;
    ground.calls();
    let urls = urls();
    assert!(urls.len() >= 60);
    for url in &urls {
        for mut activity in [said.clone(), added.clone(), privately.clone(), invoked.clone()] {
            activity["serviceUrl"] = json!(url);
            let answer = ground.activity(&activity).await;
            assert_eq!(answer.status, 403, "{url:?} as {}", activity["type"]);
        }
    }
    assert_eq!(ground.calls(), [], "nothing is stored or read");
    assert_eq!(*everywhere.heard.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_teams_gets_no_token_although_the_table_has_it() {
    let (ground, everywhere) = ground().await;
    let Inside { app, teams, pagerduty, .. } = &ground.inside;
    let service = pagerduty.add_service("payments");
    let mut asked = Vec::new();
    for (number, url) in urls().iter().enumerate() {
        let name = format!("team-{number}");
        let team = ground.inside.add_team(&name).await.unwrap();
        let channel = teams.add_channel(&team, "alerts");
        local::connect(app, &team, &channel, &service, "payments").await.unwrap();
        put_address(&ground.inside, &team, url).await;
        asked.push(team);
    }
    let good = ground.inside.add_team("Site Reliability").await.unwrap();
    let channel = teams.add_channel(&good, "alerts");
    local::connect(app, &good, &channel, &service, "payments").await.unwrap();

    pagerduty.trigger(&service, "DB down", "high");
    while pagerduty.deliver().await > 0 {}
    assert_eq!(ground.inside.queued(), asked.len() + 1, "all of them are woken");
    ground.work(1).await;
    let cards = teams.messages(&channel).into_iter().filter(|message| message.card.is_some()).count();
    assert_eq!(cards, 1, "the channel with the right address has its card");

    // Listing channels asks Teams, and so does whatever else is told of a team.
    for team in &asked {
        if let Ok(Some(known)) = app.store.installation(&TeamId::new(team.as_str()).unwrap()).await {
            assert!(setup::refresh_channels(app, &known).await.is_err(), "{:?}", known.service_url);
        }
    }
    assert_eq!(*everywhere.heard.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_old_personal_link_is_not_renewed_at_an_address_that_is_not_teams() {
    let (ground, everywhere) = ground().await;
    let Inside { app, teams, .. } = &ground.inside;
    let team = TeamId::new(teams.add_team("Platform")).unwrap();
    let waiting = Installation {
        team: team.clone(),
        tenant: app.config.teams_tenant.clone(),
        team_name: None,
        service_url: ServiceUrl::new(teams.service_url()).unwrap(),
        account: None,
        installed_at: app.clock.now(),
        installer: None,
        removed_at: None,
        connected_at: None,
        added_at: None,
        leaving: None,
    };
    app.store.change_installation(&team, |_| Some(waiting.clone())).await.unwrap();
    let person = teams.user(&teams.add_user("Ada Wong")).unwrap();
    let mut kept = 0;
    for (number, url) in urls().into_iter().chain([teams.service_url()]).enumerate() {
        let Ok(service_url) = ServiceUrl::new(url) else { continue };
        kept += 1;
        let ticket = Ticket {
            tenant: waiting.tenant.clone(),
            user: EntraUserId::new(person.entra.as_str()).unwrap(),
            teams_name: "Ada Wong".to_owned(),
            upn: None,
            purpose: Purpose::Authorize { team: team.clone(), installed_at: waiting.installed_at },
            conversation: ConversationId::new("a:1chat").unwrap(),
            service_url,
            created_at: app.clock.now().checked_sub(SignedDuration::from_hours(2)).unwrap(),
        };
        let secret = format!("secret-{number}");
        app.store.put_ticket(&secret, &ticket).await.unwrap();
        app.store.put_renewal(&secret, &ticket).await.unwrap();
        let start = Request::get(format!("/oauth/start?ticket={secret}")).body(Body::empty()).unwrap();
        let page = ground.ask(start).await;
        assert!(page.status < 500, "{}", page.status);
    }
    assert!(kept >= 60, "{kept}");
    assert_eq!(*everywhere.heard.lock().unwrap(), Vec::<String>::new());
    assert_eq!(teams.unknown_requests().len() + teams.complaints().len(), 0);
}

/// Puts the address into the table, where every check has been passed.
async fn put_address(inside: &Inside, team: &str, url: &str) {
    let clients = AwsClients::over(&inside.app.config.aws, local::aws::http_client(inside.aws.router()));
    clients
        .dynamodb
        .update_item()
        .table_name(&inside.app.config.table)
        .key("pk", AttributeValue::S(format!("TEAM#{team}")))
        .key("sk", AttributeValue::S("INSTALLATION".to_owned()))
        .update_expression("SET #data.service_url = :url")
        .expression_attribute_names("#data", "data")
        .expression_attribute_values(":url", AttributeValue::S(url.to_owned()))
        .send()
        .await
        .unwrap();
}

/// Who listens at an address of this machine, and what they heard.
async fn listener(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> (Url, Arc<Mutex<Vec<String>>>) {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = Arc::clone(&heard);
    let router = Router::new().fallback(move |request: Request| {
        hears.lock().unwrap().push(request.uri().to_string());
        let answer = answer();
        async move { answer }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

#[tokio::test]
async fn the_token_does_not_follow_a_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let (elsewhere, heard) = listener(|| (StatusCode::CREATED, r#"{"id":"1"}"#).into_response()).await;
        let (connector, asked) = listener(move || {
            (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, elsewhere.to_string())]).into_response()
        })
        .await;
        let world = World::new().await;
        let team = TeamId::new(world.demo().team.as_str()).unwrap();
        let moved = ServiceUrl::new(connector.to_string()).unwrap();
        let store = &world.stack.app.store;
        store
            .change_installation(&team, |known| Some(Installation { service_url: moved.clone(), ..known? }))
            .await
            .unwrap();
        world.trigger("Payments", "DB down").await;
        world.settle().await;
        assert_ne!(*asked.lock().unwrap(), Vec::<String>::new(), "a host on the list was asked");
        assert_eq!(*heard.lock().unwrap(), Vec::<String>::new(), "and it could not pass the token on with a {status}");
    }
}
