//! The delivery ledger: where a card is, why it is not there, and asking for it again.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::behind::Wish;
use domain::cause::{Cause, Occasion};
use domain::connection::ConnectionKey;
use domain::ids::{AccountId, CauseId, ChannelId, IncidentId, TeamId};
use domain::ledger::{LedgerEntry, Progress};
use domain::routing::Channels;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::{What, observe, place, unfinished_in};
use jiff::Timestamp;
use jiff::civil::Date;
use runtime::App;
use serde::{Deserialize, Serialize};
use setup::SetupError;
use utoipa::{IntoParams, ToSchema};

use crate::error::{Problem, Refusal};
use crate::model::{NamedView, UNKNOWN_CHANNEL};
use crate::reply::{answer, body, ok};
use crate::session::Caller;

/// Deliveries per answer.
const DELIVERIES: usize = 50;

/// Channels that are read at the same time.
const CHANNELS_AT_ONCE: usize = 16;

/// Lines that are read at once, and how often at most for one answer: a filter may fit few of many.
const LINES: u16 = 200;
const MOST_PAGES: usize = 10;

/// Which deliveries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Wanted {
    /// A UTC day, as in `2026-11-23`; today if not given.
    day: Option<String>,
    /// `next` of the answer before.
    before: Option<String>,
    /// One of the outcomes.
    #[param(value_type = Option<String>)]
    outcome: Option<Progress>,
    /// A service's id.
    service: Option<String>,
    /// A channel's id.
    channel: Option<String>,
    /// An incident's id or number.
    incident: Option<String>,
}

impl Wanted {
    fn fits(&self, line: &LedgerEntry) -> bool {
        let is = |wanted: &Option<String>, has: Option<&str>| {
            let wanted = wanted.as_deref().map(str::trim).filter(|wanted| !wanted.is_empty());
            wanted.is_none_or(|wanted| has == Some(wanted))
        };
        let incident = self.incident.as_deref().map_or("", str::trim).trim_start_matches('#');
        let number = line.number.map(|number| number.to_string());
        self.outcome.is_none_or(|wanted| wanted == line.progress)
            && is(&self.service, line.service.as_ref().map(|service| service.id.as_str()))
            && is(&self.channel, line.channel.as_ref().map(ChannelId::as_str))
            && (incident.is_empty() || incident == line.incident.as_str() || number.as_deref() == Some(incident))
    }
}

/// A part of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deliveries {
    deliveries: Vec<DeliveryView>,
    /// Pass it as `before` to go on; there may be more even if this answer is empty.
    next: Option<String>,
    /// How many more wait than are shown; only in the answer to a question without `before`.
    more_waiting: usize,
    /// How long the ledger is kept.
    keeps_days: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct DeliveryView {
    /// The webhook's event id, or the id of what else caused it.
    event: String,
    /// `webhook`, `action`, `restored`, `reconciled`, `replayed`, `disconnected`, or `other`: what a newer version knows.
    #[schema(value_type = String)]
    occasion: Occasion,
    incident: String,
    number: Option<u64>,
    url: String,
    service: Option<NamedView>,
    /// `None`: no channel wants it.
    channel: Option<ChannelOfTeam>,
    received_at: String,
    at: String,
    took_ms: i64,
    /// `queued`, `no_channel`, `posted`, `edited`, `replied`, `coalesced`, `waiting`, `refused`, `dropped`, or `other`: what a newer
    /// version has done.
    #[schema(value_type = String)]
    outcome: Progress,
    why: Option<String>,
    attempts: u32,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct ChannelOfTeam {
    id: String,
    name: String,
    team: Option<String>,
    team_name: Option<String>,
}

/// Which card is to be looked at again.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Replay {
    incident: String,
    channel: String,
}

/// What to look for in the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    event: String,
}

/// What became of each webhook event in each channel, newest first; what waits comes before what is done.
#[utoipa::path(get, path = "/deliveries", params(Wanted),
    responses((status = 200, body = Deliveries), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn deliveries(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    let now = app.clock.now();
    let day = match wanted.day.as_deref().map(str::trim).filter(|day| !day.is_empty()) {
        None => store::ledger_day(now),
        Some(day) => day
            .parse::<Date>()
            .map_err(|_| Refusal::Invalid("The day is not one, as in 2026-11-23.".to_owned()))?
            .to_string(),
    };
    let (waiting, more_waiting) = match &wanted.before {
        None => unfinished(&app, &caller, &wanted, &day, now).await?,
        Some(_) => (Vec::new(), 0),
    };
    let (mut lines, next) = search(&app, &caller, &wanted, &day, now).await?;
    // Done before, and marked again: a webhook that was delivered twice. What waits is the newer word.
    let is_same = |line: &LedgerEntry, other: &LedgerEntry| {
        (&line.cause, &line.incident, &line.channel) == (&other.cause, &other.incident, &other.channel)
    };
    lines.retain(|line| !waiting.iter().any(|waiting| is_same(line, waiting)));
    let web = app.store.account(&caller.session.account).await?.map(|account| account.web).unwrap_or_default();
    let mut names = Names::default();
    let mut deliveries = Vec::with_capacity(lines.len());
    for line in waiting.into_iter().chain(lines) {
        let channel = names.of(&app, &line).await?;
        deliveries.push(DeliveryView::new(line, channel, &web));
    }
    let keeps_days = app.config.retention.as_hours() / 24;
    Ok(ok(Deliveries { deliveries, next, more_waiting, keeps_days }))
}

/// What is unfinished in the account's channels, newest first, and how much more there is than one answer holds.
async fn unfinished(
    app: &App,
    caller: &Caller,
    wanted: &Wanted,
    day: &str,
    now: Timestamp,
) -> Result<(Vec<LedgerEntry>, usize), Refusal> {
    let account = &caller.session.account;
    let mut channels = app.store.channels_of_account(account).await?;
    channels.retain(|channel| wanted.channel.as_deref().is_none_or(|wanted| wanted.trim() == channel.as_str()));
    let looks = stream::iter(channels.into_iter().map(|channel| waiting_in(app, account, channel, now)));
    let mut lines: Vec<LedgerEntry> = looks.buffer_unordered(CHANNELS_AT_ONCE).try_concat().await?;
    // Whatever it has waited for, it waits today.
    let of_the_day = |line: &LedgerEntry| day == store::ledger_day(now) || day == store::ledger_day(line.filed_at());
    lines.retain(|line| wanted.fits(line) && of_the_day(line));
    lines.sort_by_key(|line| (std::cmp::Reverse(line.filed_at()), line.cause.clone()));
    let more = lines.len().saturating_sub(DELIVERIES);
    lines.truncate(DELIVERIES);
    Ok((lines, more))
}

async fn waiting_in(
    app: &App,
    account: &AccountId,
    channel: ChannelId,
    now: Timestamp,
) -> Result<Vec<LedgerEntry>, Refusal> {
    let Some((set, state)) = unfinished_in(app, account, &channel).await? else { return Ok(Vec::new()) };
    Ok(set.iter().flat_map(|item| LedgerEntry::unfinished(item, state.hold.as_ref(), now)).collect())
}

async fn search(
    app: &App,
    caller: &Caller,
    wanted: &Wanted,
    day: &str,
    now: Timestamp,
) -> Result<(Vec<LedgerEntry>, Option<String>), Refusal> {
    let mut found = Vec::new();
    let mut before = wanted.before.clone();
    for _ in 0..MOST_PAGES {
        let (lines, next) = app.store.ledger(&caller.session.account, day, before.as_deref(), LINES, now).await?;
        for (line, cursor) in lines {
            if found.len() == DELIVERIES {
                return Ok((found, before));
            }
            if wanted.fits(&line) {
                found.push(line);
            }
            before = Some(cursor);
        }
        if next.is_none() {
            return Ok((found, None));
        }
        before = next;
    }
    Ok((found, before))
}

/// Names of channels and teams, each looked up once.
#[derive(Default)]
struct Names(BTreeMap<(ChannelId, Option<TeamId>), ChannelOfTeam>);

impl Names {
    async fn of(&mut self, app: &App, line: &LedgerEntry) -> Result<Option<ChannelOfTeam>, Refusal> {
        let Some(channel) = &line.channel else { return Ok(None) };
        let key = (channel.clone(), line.team.clone());
        if let Some(known) = self.0.get(&key) {
            return Ok(Some(known.clone()));
        }
        let (mut name, mut team_name) = (None, None);
        if let Some(team) = &line.team {
            name = app.store.channel(team, channel).await?.map(|known| known.shown_name().to_owned());
            team_name = app.store.installation(team).await?.map(|known| known.shown_name().to_owned());
        }
        let found = ChannelOfTeam {
            id: channel.to_string(),
            name: name.unwrap_or_else(|| UNKNOWN_CHANNEL.to_owned()),
            team: line.team.as_ref().map(ToString::to_string),
            team_name,
        };
        self.0.insert(key, found.clone());
        Ok(Some(found))
    }
}

impl DeliveryView {
    fn new(line: LedgerEntry, channel: Option<ChannelOfTeam>, web: &str) -> Self {
        let took = line.at.duration_since(line.received_at).as_millis();
        Self {
            event: line.cause.into(),
            occasion: line.occasion,
            url: format!("{web}/incidents/{}", line.incident),
            incident: line.incident.into(),
            number: line.number,
            service: line.service.map(|service| NamedView { id: service.id.into(), name: service.name }),
            channel,
            received_at: line.received_at.to_string(),
            at: line.at.to_string(),
            took_ms: i64::try_from(took).unwrap_or(i64::MAX),
            outcome: line.progress,
            why: line.why,
            attempts: line.attempts,
        }
    }
}

/// Has a card looked at again: posted if it is missing, edited if it is out of date. Harmless to repeat.
#[utoipa::path(post, path = "/deliveries/replay", request_body = Replay,
    responses((status = 202, body = Replayed), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn replay(
    State(app): State<App>,
    caller: Caller,
    given: Result<Json<Replay>, JsonRejection>,
) -> Result<Response, Refusal> {
    let wanted = body(given)?;
    let account = caller.session.account.clone();
    let unknown_incident = || missing("unknown_incident", "PagerBridge knows nothing of this incident (any more).");
    let unknown_connection =
        || missing("unknown_connection", "The incident's service is not connected to this channel (any more).");
    let incident = IncidentId::new(wanted.incident).map_err(|_| unknown_incident())?;
    let channel = ChannelId::new(wanted.channel).map_err(|_| unknown_connection())?;
    let (stored, cards) = app.store.incident_with_cards(&account, &incident).await?;
    let record = stored.ok_or_else(unknown_incident)?.record;
    let state = record.state().ok_or_else(unknown_incident)?;
    let key = ConnectionKey { account: account.clone(), service: state.service.id.clone(), channel };
    let home = match (place::connection(&app, &key).await?, cards.iter().find(|card| card.channel == key.channel)) {
        (Some((_, home)), _) => Some(home),
        (None, Some(card)) => place::team(&app, &account, &card.team).await?,
        (None, None) => None,
    };
    let channels = Channels::from([(key.channel, home.ok_or_else(unknown_connection)?.team)]);
    let event = app.random.token().ok().and_then(|token| CauseId::new(token).ok()).ok_or(Refusal::Failed)?;
    let cause = Cause { id: event.clone(), occasion: Occasion::Replayed, at: app.clock.now(), happened_at: None };
    Box::pin(observe(&app, &account, What::Again(&record, channels, Wish::Afresh), &cause))
        .await
        .map_err(SetupError::from)?;
    let text = format!("asked for the card of incident #{} of {} again", state.number, state.service.name);
    setup::note(&app, &account, &caller.actor(), text).await;
    Ok(answer(StatusCode::ACCEPTED, Replayed { event: event.into() }))
}

fn missing(code: &'static str, message: &str) -> Refusal {
    Refusal::Setup { status: StatusCode::NOT_FOUND, code, message: message.to_owned() }
}
