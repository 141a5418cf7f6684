//! The routes of the JSON API, and the OpenAPI document that is generated from them.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use domain::connection::{Channel, Connection, ConnectionKey, Installation, Manner};
use domain::ids::{ChannelId, ServiceId};
use domain::incident::ServiceRef;
use domain::zone::Zone;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::place;
use pagerduty::rest::SubscriptionState;
use runtime::App;
use serde::Deserialize;
use setup::{Connected, Wish};
use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Problem, Refusal};
use crate::model::{
    AccountView, Audit, ChangedConnection, ChannelView, Channels, ConnectionView, Connections, Disconnect,
    DisconnectedView, NamedView, NewConnection, RemovedView, Services, SessionView, TeamView, Teams, TestView,
    UNKNOWN_CHANNEL, UserView, end,
};
use crate::reply::{answer, body, forget_cookie, ok};
use crate::session::{Caller, Cookie};
use crate::{deliveries, health};

/// Services per page: a list that a person looks through.
const SERVICES: u32 = 25;

/// Channels per answer.
const CHANNELS: usize = 50;

/// Audit entries per page.
const ENTRIES: u16 = 25;

/// How many subscriptions PagerDuty is asked about at the same time.
const AT_ONCE: usize = 6;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "PagerBridge configuration API", description = "What the configuration page is made of. Log in at /oauth/start?for=admin."),
    servers((url = "/admin/api/v1"))
)]
struct Document;

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(show_session, log_out))
        .routes(routes!(teams))
        .routes(routes!(channels))
        .routes(routes!(services))
        .routes(routes!(connections, connect))
        .routes(routes!(remove, change))
        .routes(routes!(test))
        .routes(routes!(disconnect))
        .routes(routes!(audit))
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(deliveries::replay))
        .routes(routes!(health::parts))
}

/// The description of every route, generated from the routes themselves.
#[must_use]
pub fn open_api() -> OpenApi {
    documented().split_for_parts().1
}

pub(crate) fn router() -> Router<App> {
    let (router, document) = documented().split_for_parts();
    let document = get(move || async move { Json(document) });
    router.route("/openapi.json", document).fallback(|| async { Refusal::NotFound("route") })
}

/// Who is logged in.
#[utoipa::path(get, path = "/session", responses((status = 200, body = SessionView), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn show_session(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    let account = app.store.account(&caller.session.account).await?.ok_or(Refusal::NotFound("account"))?;
    let admin = caller.session.admin;
    Ok(ok(SessionView {
        user: UserView { name: admin.name, email: admin.email, role: admin.role },
        account: AccountView { id: account.id.into(), subdomain: account.subdomain, url: account.web },
        csrf: caller.csrf,
        expires_at: caller.session.expires_at.to_string(),
    }))
}

/// Ends the session, whatever PagerDuty says or does not say, and also one that is over already.
#[utoipa::path(delete, path = "/session", responses((status = 204), (status = 403, body = Problem), (status = 503, body = Problem)))]
async fn log_out(State(app): State<App>, headers: HeaderMap) -> Response {
    let end = async {
        if let Some(cookie) = Cookie::of(&app, &headers).await? {
            cookie.check(&headers)?;
            app.store.delete_session(&cookie.secret).await?;
        }
        Ok(StatusCode::NO_CONTENT)
    };
    match end.await {
        Ok(status) => (status, forget_cookie()).into_response(),
        // The session lives until nobody has used it for a while, but nobody goes on with it in this browser: the person may have left
        // it by now.
        Err(Refusal::Failed) => (forget_cookie(), Refusal::Failed).into_response(),
        // Nothing says that our own page asks. A foreign one must not log anybody out, and a page that is older than the session key
        // says that it has to be loaded again.
        Err(refusal) => refusal.into_response(),
    }
}

/// The teams that are connected to the account.
#[utoipa::path(get, path = "/teams", responses((status = 200, body = Teams), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn teams(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    let installations = app.store.teams_of_account(&caller.session.account).await?;
    let counted = installations.into_iter().map(|team| async {
        let connections = app.store.connections_of_team(&team.team).await?.len();
        Ok::<_, store::Error>(TeamView {
            name: team.shown_name().to_owned(),
            id: team.team.into(),
            tenant: team.tenant.into(),
            installed: team.removed_at.is_none(),
            connected_at: team.connected_at.map(|at| at.to_string()),
            connections,
        })
    });
    let mut teams: Vec<_> = stream::iter(counted).buffered(AT_ONCE).try_collect().await?;
    teams.sort_by_key(|team| team.name.to_lowercase());
    Ok(ok(Teams { teams }))
}

#[derive(Debug, Deserialize, IntoParams)]
struct Search {
    /// A part of the name.
    #[serde(default)]
    query: String,
}

/// The channels of a team.
#[utoipa::path(get, path = "/teams/{team}/channels", params(("team" = String, Path), Search),
    responses((status = 200, body = Channels), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn channels(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<String>,
    Query(search): Query<Search>,
) -> Result<Response, Refusal> {
    let team = caller.team(&app, &team).await?;
    let wanted = search.query.trim().to_lowercase();
    let mut found = matching(app.store.channels_of_team(&team.team).await?, &wanted);
    // Teams is asked when the list is opened, and when nothing fits: events may have been missed.
    if (wanted.is_empty() || found.is_empty())
        && let Ok(fresh) = setup::refresh_channels(&app, &team).await
    {
        found = matching(fresh, &wanted);
    }
    // General first, then by name.
    found.sort_by_key(|channel| (!channel.id.is_general(&team.team), channel.shown_name().to_lowercase()));
    let more = found.len() > CHANNELS;
    let view = |channel: Channel| ChannelView {
        name: channel.shown_name().to_owned(),
        kind: channel.kind,
        id: channel.id.into(),
    };
    Ok(ok(Channels { channels: found.into_iter().take(CHANNELS).map(view).collect(), more }))
}

fn matching(channels: Vec<Channel>, wanted: &str) -> Vec<Channel> {
    let fits = |channel: &Channel| !channel.deleted && channel.shown_name().to_lowercase().contains(wanted);
    channels.into_iter().filter(fits).collect()
}

#[derive(Debug, Deserialize, IntoParams)]
struct ServiceSearch {
    /// A part of the name.
    #[serde(default)]
    query: String,
    /// Where the page begins.
    #[serde(default)]
    offset: u32,
}

/// The services of the account whose name contains the query: searched by PagerDuty, a page at a time.
#[utoipa::path(get, path = "/services", params(ServiceSearch),
    responses((status = 200, body = Services), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn services(
    State(app): State<App>,
    _caller: Caller,
    Query(search): Query<ServiceSearch>,
) -> Result<Response, Refusal> {
    let page = setup::find_services(&app, &search.query, search.offset, SERVICES).await?;
    let view = |service: ServiceRef| NamedView { id: service.id.into(), name: service.name };
    Ok(ok(Services { services: page.items.into_iter().map(view).collect(), next: page.next }))
}

/// The connections of a team, and how they are doing.
#[utoipa::path(get, path = "/teams/{team}/connections", params(("team" = String, Path)),
    responses((status = 200, body = Connections), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn connections(State(app): State<App>, caller: Caller, Path(team): Path<String>) -> Result<Response, Refusal> {
    let team = caller.team(&app, &team).await?;
    let mut known = app.store.connections_of_team(&team.team).await?;
    known.sort_by_key(|connection| connection.service_name.to_lowercase());
    Ok(ok(Connections { connections: views(&app, &team, known).await? }))
}

async fn views(app: &App, team: &Installation, connections: Vec<Connection>) -> Result<Vec<ConnectionView>, Refusal> {
    let channels = app.store.channels_of_team(&team.team).await?;
    let web = match &team.account {
        Some(account) => app.store.account(account).await?.map(|account| account.web).unwrap_or_default(),
        None => String::new(),
    };
    let (channels, web) = (&channels, web.as_str());
    let seen = connections.into_iter().map(|connection| async move {
        let key = connection.key();
        let (delivery, subscription) = tokio::join!(app.store.last_delivery(&key), subscription(app, &connection));
        let channel = channels.iter().find(|known| known.id == key.channel);
        let name = channel.map_or(UNKNOWN_CHANNEL, Channel::shown_name).to_owned();
        Ok::<_, store::Error>(ConnectionView::new(connection, name, web, subscription, delivery?))
    });
    Ok(stream::iter(seen).buffered(AT_ONCE).try_collect().await?)
}

/// `None`: neither the table nor PagerDuty can say.
async fn subscription(app: &App, connection: &Connection) -> Option<SubscriptionState> {
    let known = app.store.subscription_of_service(&connection.account, &connection.service).await.ok()?;
    let Some(known) = known else { return Some(SubscriptionState::Gone) };
    match setup::subscription_state(app, &known.id).await {
        Ok(state) => Some(state),
        Err(error) => {
            tracing::warn!(subscription.id = %known.id, error = runtime::chain(&error), "state not known");
            None
        }
    }
}

/// Connects a service to a channel.
#[utoipa::path(post, path = "/teams/{team}/connections", params(("team" = String, Path)), request_body = NewConnection,
    responses((status = 201, body = ConnectionView), (status = 200, body = ConnectionView, description = "They were connected before."),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn connect(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<String>,
    given: Result<Json<NewConnection>, JsonRejection>,
) -> Result<Response, Refusal> {
    let team = caller.team(&app, &team).await?;
    let wanted = body(given)?;
    let service = ServiceId::new(wanted.service)
        .map_err(|_| Refusal::Invalid("Please choose a PagerDuty service from the list.".to_owned()))?;
    let no_channel = || Refusal::Invalid("Please choose a channel of this team from the list.".to_owned());
    let channel = ChannelId::new(wanted.channel).map_err(|_| no_channel())?;
    let channel = app.store.channel(&team.team, &channel).await?.filter(|known| !known.deleted);
    let channel = channel.ok_or_else(no_channel)?;
    let service = setup::service(&app, &service).await?;
    let service = ServiceRef { id: service.id, name: service.name };
    let actor = caller.actor();
    let zone = zone(wanted.zone.as_deref())?.unwrap_or_default();
    let NewConnection { filter, mentions, .. } = wanted;
    let (service, channel) = (&service, &channel.id);
    let wish = Wish { installation: &team, service, channel, filter, zone: &zone, mentions, actor: &actor };
    let (status, connection) = match setup::connect(&app, &wish).await? {
        Connected::Made(connection) => (StatusCode::CREATED, connection),
        Connected::Already(connection) => (StatusCode::OK, connection),
    };
    let view = views(&app, &team, vec![connection]).await?.pop().ok_or(Refusal::Failed)?;
    Ok(answer(status, view))
}

fn zone(name: Option<&str>) -> Result<Option<Zone>, Refusal> {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(None) };
    let unknown = || "There is no such time zone. Please use a name such as Europe/Berlin.".to_owned();
    Zone::named(name).map(Some).map_err(|_| Refusal::Invalid(unknown()))
}

/// Changes how a channel is told of a service's incidents.
#[utoipa::path(patch, path = "/teams/{team}/connections/{service}/{channel}", request_body = ChangedConnection,
    params(("team" = String, Path), ("service" = String, Path), ("channel" = String, Path)),
    responses((status = 200, body = ConnectionView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    given: Result<Json<ChangedConnection>, JsonRejection>,
) -> Result<Response, Refusal> {
    let team = caller.team(&app, &path.0).await?;
    let connection = found(&app, &caller, path).await?;
    let wanted = body(given)?;
    let manner = Manner { zone: zone(wanted.zone.as_deref())?, mentions: wanted.mentions };
    let now = setup::change_manner(&app, &connection, &manner, &caller.actor()).await?;
    let view = views(&app, &team, vec![now]).await?.pop().ok_or(Refusal::Failed)?;
    Ok(ok(view))
}

/// A connection of a team of the caller's account.
async fn found(
    app: &App,
    caller: &Caller,
    (team, service, channel): (String, String, String),
) -> Result<Connection, Refusal> {
    let team = caller.team(app, &team).await?;
    let missing = || Refusal::NotFound("connection");
    let service = ServiceId::new(service).map_err(|_| missing())?;
    let channel = ChannelId::new(channel).map_err(|_| missing())?;
    let account = caller.session.account.clone();
    let known = place::connection(app, &ConnectionKey { account, service, channel }).await?;
    known.map(|(known, _)| known).filter(|known| known.team == team.team).ok_or_else(missing)
}

/// Removes a connection.
#[utoipa::path(delete, path = "/teams/{team}/connections/{service}/{channel}",
    params(("team" = String, Path), ("service" = String, Path), ("channel" = String, Path)),
    responses((status = 200, body = RemovedView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let connection = found(&app, &caller, path).await?;
    let removed = setup::remove(&app, &connection.key(), Some(&caller.actor())).await?;
    let removed = removed.ok_or(Refusal::NotFound("connection"))?;
    Ok(ok(RemovedView { subscription: end(removed.subscription) }))
}

/// Has a marked test card posted through the real queue.
#[utoipa::path(post, path = "/teams/{team}/connections/{service}/{channel}/test",
    params(("team" = String, Path), ("service" = String, Path), ("channel" = String, Path)),
    responses((status = 202, body = TestView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn test(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let connection = found(&app, &caller, path).await?;
    let id = setup::send_test(&app, &connection, &caller.actor()).await?;
    Ok(answer(StatusCode::ACCEPTED, TestView { id: id.into() }))
}

/// Disconnects a team from PagerDuty: connections, account links and webhook subscriptions go.
#[utoipa::path(post, path = "/teams/{team}/disconnect", params(("team" = String, Path)), request_body = Disconnect,
    responses((status = 200, body = DisconnectedView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn disconnect(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<String>,
    given: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Response, Refusal> {
    let team = caller.team(&app, &team).await?;
    if body(given)?.confirm != "disconnect" {
        return Err(Refusal::Invalid("Please type the word disconnect.".to_owned()));
    }
    let done = setup::disconnect_team(&app, &team, &caller.actor()).await?;
    Ok(ok(DisconnectedView {
        connections_removed: done.connections,
        links_removed: done.links,
        subscriptions_left: done.left,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
struct After {
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/audit", params(After),
    responses((status = 200, body = Audit), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn audit(State(app): State<App>, caller: Caller, Query(after): Query<After>) -> Result<Response, Refusal> {
    let now = app.clock.now();
    let (entries, next) = app.store.audit(&caller.session.account, after.cursor.as_deref(), ENTRIES, now).await?;
    Ok(ok(Audit { entries: entries.into_iter().map(Into::into).collect(), next }))
}
