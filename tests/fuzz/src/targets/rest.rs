//! What PagerDuty's APIs answer, as our clients read it, and log entries on their way into a record.

use std::cell::RefCell;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, header};
use domain::ids::{AccountId, IncidentId, PdUserId, ServiceId, SubscriptionId};
use domain::incident::{Asked, IncidentRecord, Status};
use domain::zone::Zone;
use jiff::SignedDuration;
use pagerduty::oauth::OAuth;
use pagerduty::rest::{Api, ApiError, Auth, Which};
use secrecy::SecretString;
use tokio::runtime::Runtime;
use url::Url;
use wire::Wire;

use super::id;
use crate::engine::outcome;
use crate::harmless;
use crate::stack::START;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1/";

struct Asking {
    runtime: Runtime,
    wire: Wire,
}

thread_local! {
    static ANSWER: RefCell<(u16, Vec<u8>)> = const { RefCell::new((200, Vec::new())) };
    static ASKING: Asking = asking();
}

fn asking() -> Asking {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let router = Router::new().fallback(|| async {
        let (status, body) = ANSWER.with_borrow(Clone::clone);
        let answer =
            Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(Body::from(body));
        answer.unwrap_or_default()
    });
    let client = runtime::http_client().unwrap_or_else(|error| panic!("no client: {error}"));
    let wire = wire::Inside::new(client).elsewhere(router).into();
    Asking { runtime: runtime.unwrap_or_else(|error| panic!("no runtime: {error}")), wire }
}

/// Asks with this as every answer.
fn answered<R>(status: u16, body: &[u8], ask: impl AsyncFnOnce(Wire) -> R) -> R {
    ANSWER.set((status, body.to_vec()));
    ASKING.with(|asking| asking.runtime.block_on(ask(asking.wire.clone())))
}

fn nowhere() -> Url {
    Url::parse(NOWHERE).unwrap_or_else(|error| panic!("{error}"))
}

fn said<T>(name: &'static str, answer: &Result<T, ApiError>) {
    if let Err(error) = answer {
        assert!(error.message().len() <= 2_000, "{} bytes of an error", error.message().len());
        assert!(error.to_string().len() <= 4_000, "{} bytes of an error", error.to_string().len());
    }
    outcome((name, answer.is_ok(), answer.as_ref().err().map(|error| format!("{:?}", error.class()))));
}

/// The first byte chooses between a good answer and a refusal.
pub(super) fn answers(input: &[u8]) {
    let (status, body) = match input {
        [b'!', body @ ..] => (400, body),
        [b'?', body @ ..] => (429, body),
        [b'*', body @ ..] => (503, body),
        body => (200, body),
    };
    let once = answered(status, body, ask_everything);
    let twice = answered(status, body, ask_everything);
    assert_eq!(once, twice, "read twice");
}

async fn ask_everything(wire: Wire) -> Vec<IncidentRecord> {
    let api = Api::new(wire, nowhere());
    let token = SecretString::from("token");
    let auth = Auth::App(&token);
    let (incident, service): (IncidentId, ServiceId) = (id("Q1", "Q1"), id("PSVC", "PSVC"));
    let (user, subscription): (PdUserId, SubscriptionId) = (id("PUSER", "PUSER"), id("PSUB", "PSUB"));
    let services = [service.clone()];
    let mut records = Vec::new();
    let mut incidents = Vec::new();
    let one = api.incident(auth, &incident).await;
    said("incident", &one);
    incidents.extend(one);
    let open = api.open_incidents(auth, &services, None, 100).await;
    said("open incidents", &open);
    incidents.extend(open.map(|page| page.items).unwrap_or_default());
    let newest = api.newest_incidents(auth, &[Status::Resolved], &services, None, 100).await;
    said("newest incidents", &newest);
    let listed = api.incidents(auth, &services, Which::Open, 0).await;
    said("incidents", &listed);
    said("status", &api.set_status(auth, &incident, Status::Resolved).await);
    said("me", &api.me(&token).await);
    said("note", &api.create_note(auth, &incident, "note").await);
    said("service", &api.service(auth, &service).await);
    said("services", &api.services(auth, "x", 0).await);
    said("user", &api.user(auth, &user).await);
    said("users", &api.users(auth, "x", 25).await);
    said("priorities", &api.priorities(auth).await);
    said("on call", &api.oncalls(auth, &[id("PPOL", "PPOL")]).await);
    said("subscriptions", &api.subscriptions(auth, 0).await);
    said("subscription", &api.subscription_state(auth, &subscription).await);
    said("alerts", &api.alerts(auth, &incident, 0, 10).await);
    said("activity", &api.activity(auth, &incident).await);
    said("notes", &api.notes(auth, &incident).await);
    said("responders", &api.responders(auth, &incident).await);
    said("past", &api.past_incidents(auth, &incident).await);
    said("related", &api.related_incidents(auth, &incident).await);
    said("changes", &api.related_changes(auth, &incident).await);
    said("outlier", &api.outlier(auth, &incident).await);
    said("impacts", &api.impacts(auth, &incident).await);
    said("details", &api.details(auth, &incident).await);
    said("resolved before", &api.resolved_before(auth, &incident, START, &user).await);
    let account: AccountId = id("PACC", "PACC");
    for read in incidents {
        let record = read.into_record(account.clone(), Asked::at(START));
        harmless::card(&cards::incident(&cards::IncidentView {
            record: &record,
            frozen_since: None,
            zone: &Zone::UTC,
        }));
        records.push(record);
    }
    records
}

/// The account's log, from the answer to the record.
pub(super) fn log_entries(input: &[u8]) {
    let read = async |wire: Wire| {
        let api = Api::new(wire, nowhere());
        let token = SecretString::from("token");
        let until = START.checked_add(SignedDuration::from_mins(5)).unwrap_or(START);
        let all = api.log_entries(Auth::App(&token), START, until, 0).await;
        let of_one = api.log_entries_of(Auth::App(&token), &id::<IncidentId>("Q1", "Q1"), START, 0).await;
        said("log", &all);
        said("log of one", &of_one);
        (all.ok(), of_one.ok())
    };
    let (all, of_one) = answered(200, input, read);
    assert_eq!(answered(200, input, read), (all.clone(), of_one.clone()), "read twice");
    for line in all.into_iter().chain(of_one).flat_map(|page| page.lines) {
        let Some(event) = line.event else { continue };
        assert_eq!(event.incident, line.incident, "an entry of another incident");
        assert!(event.id.is_of_log());
        let told = IncidentRecord::from_event(id("PACC", "PACC"), event.clone(), START);
        let found = told.clone().merge(IncidentRecord::from_event(id("PACC", "PACC"), event, START));
        assert_eq!(found, told, "found twice is found once");
        outcome(told.log.len() + told.found.len());
        harmless::card(&cards::incident(&cards::IncidentView { record: &told, frozen_since: None, zone: &Zone::UTC }));
    }
}

/// Answers of the token endpoint. What is no good id token of ours is nobody.
pub(super) fn oauth_answers(input: &[u8]) {
    let token = String::from_utf8_lossy(input);
    answered(200, input, async |wire: Wire| {
        let oauth = OAuth::new(wire, nowhere(), "client".to_owned(), nowhere());
        let secret = SecretString::from("secret");
        let grant = oauth.exchange(&secret, "code", &secret, START).await;
        let refreshed = oauth.refresh(&secret, &secret, START).await;
        outcome((grant.is_ok(), refreshed.is_ok()));
        for error in grant.as_ref().err().into_iter().chain(refreshed.as_ref().err()) {
            let text = runtime::chain(error).to_string();
            assert!(text.len() <= 2_000 && !text.contains("secret"), "{text}");
        }
        outcome(oauth.app_token(&secret, pagerduty::Region::Us, "acme", &["read"], START).await.is_ok());
        let identity = oauth.identity(&SecretString::from(token.as_ref()), START);
        outcome(identity.map(|_| ()).map_err(|error| error.to_string()));
    });
}
