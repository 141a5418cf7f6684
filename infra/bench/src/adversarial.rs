//! What 300 KB cost that somebody has thought about, at each door where JSON is read: those who signed it, and those who did not.
//!
//! The table and the queue are stand-ins in this process, so their time and memory count as well.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use jiff::Timestamp;
use local::inside::{Delays, Inside};
use peak_alloc::PeakAlloc;
use secrecy::SecretString;
use serde_json::{Value, json};
use simulators::hostile;
use simulators::teams::Flaw;
use tower_service::Service as _;

use crate::print;

/// 23 November 2026, 09:00 UTC.
const START: Timestamp = Timestamp::constant(1_795_424_400, 0);

/// More than is read of anything, and nearly as much as is.
const SIZES: [usize; 2] = [300 * 1024, 240 * 1024];

/// The time is the shortest of so many tries: what the document costs, and not what else the machine does.
const TRIES: usize = 5;

const MOST_TIME: Duration = Duration::from_millis(10);
const MOST_MEMORY: usize = 8 * 1024 * 1024;

/// Somewhere where JSON is read.
struct Door {
    name: &'static str,
    outer: Value,
    places: &'static [&'static str],
    /// Head and body of a request.
    request: Box<dyn Fn(Vec<u8>) -> anyhow::Result<Request<Body>>>,
}

/// What a document took.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    memory: usize,
    status: u16,
}

/// Prints a table of the dearest document at each door.
///
/// # Errors
/// The stack does not start, or a document takes more than it may.
pub async fn measure(memory: &PeakAlloc) -> anyhow::Result<()> {
    let inside = Box::pin(Inside::compose(START, Delays::default())).await?;
    let router = webhook_ingest::router(inside.app.clone()).merge(bot_messages::router(inside.app.clone()));
    print("| door | documents | the slowest | ms | the largest | KB | above the limits |");
    print("| --- | --- | --- | --- | --- | --- | --- |");
    let mut above = 0;
    for door in doors(&inside).await? {
        let mut costs = Vec::new();
        for size in SIZES {
            for (name, document) in hostile::documents(size) {
                for place in door.places {
                    let body = hostile::inside(&door.outer, place, &document);
                    let cost = cost(&router, &door, &body, memory).await?;
                    costs.push((format!("{name}, {} KB at {place:?} ({})", size / 1024, cost.status), cost));
                }
            }
        }
        let slowest = costs.iter().max_by_key(|(_, cost)| cost.time).context("a document")?;
        let largest = costs.iter().max_by_key(|(_, cost)| cost.memory).context("a document")?;
        let is_above = |cost: &Cost| cost.time > MOST_TIME || cost.memory > MOST_MEMORY;
        let bad = costs.iter().filter(|(_, cost)| is_above(cost)).count();
        above += bad;
        print(&format!(
            "| {} | {} | {} | {:.1} | {} | {} | {bad} |",
            door.name,
            costs.len(),
            slowest.0,
            slowest.1.time.as_secs_f64() * 1000.0,
            largest.0,
            largest.1.memory / 1024
        ));
    }
    ensure!(above == 0, "{above} documents take more than {MOST_TIME:?} or {MOST_MEMORY} bytes");
    Ok(())
}

async fn cost(router: &Router, door: &Door, body: &[u8], memory: &PeakAlloc) -> anyhow::Result<Cost> {
    let mut cost = Cost { time: Duration::MAX, memory: 0, status: 0 };
    for _ in 0..TRIES {
        let request = (door.request)(body.to_vec())?;
        let mut router = router.clone();
        memory.reset_peak_usage();
        let (before, began) = (memory.current_usage(), Instant::now());
        let answer = match router.call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        cost.status = answer.status().as_u16();
        to_bytes(answer.into_body(), usize::MAX).await?;
        cost.time = cost.time.min(began.elapsed());
        cost.memory = cost.memory.max(memory.peak_usage().saturating_sub(before));
    }
    Ok(cost)
}

async fn doors(inside: &Inside) -> anyhow::Result<Vec<Door>> {
    let team = inside.add_team("Site Reliability").await?;
    let (channel, service) = inside.add_channel(&team, "payments").await?;
    let subscription = inside.pagerduty.subscriptions_of(&service).pop().context("a subscription")?;
    let secret = SecretString::from(inside.pagerduty.secret_of(&subscription).context("a secret")?);
    let teams = &inside.teams;
    teams.set_throttling(false);
    let said = teams.message_activity(&teams.add_user("Ada Wong"), &channel, "help")?;
    let bearer = teams.authorization(&teams.service_url(), Flaw::None)?.context("a token")?;
    let incident = json!({ "event": {
        "id": "E1", "event_type": "incident.triggered", "resource_type": "incident",
        "occurred_at": "2026-11-23T09:00:00.000Z", "agent": null, "client": null,
        "data": { "id": "Q1", "type": "incident", "number": 1, "status": "triggered", "title": "x",
                  "service": { "id": service, "type": "service_reference", "summary": "payments" },
                  "assignees": [], "urgency": "high" },
    } });
    let invoke = |name: &str, value: Value| {
        let mut activity = said.clone();
        if let Some(activity) = activity.as_object_mut() {
            activity.extend([
                ("type".to_owned(), json!("invoke")),
                ("name".to_owned(), json!(name)),
                ("value".to_owned(), value),
            ]);
        }
        activity
    };
    let click = json!({ "action": { "type": "Action.Execute", "verb": "acknowledge", "data": {} } });
    let webhook = |signed: bool| {
        let (subscription, secret) = (subscription.clone(), secret.clone());
        let request = move |body: Vec<u8>| {
            let signature =
                if signed { pagerduty::webhook::sign(&secret, &body) } else { format!("v1={}", "0".repeat(64)) };
            let request = Request::post("/webhooks/pagerduty").header("x-webhook-subscription", &subscription);
            Ok(request.header("x-pagerduty-signature", signature).body(Body::from(body))?)
        };
        Box::new(request)
    };
    let activity = |authorization: &str| {
        let authorization = authorization.to_owned();
        let request = move |body: Vec<u8>| {
            Ok(Request::post("/api/messages").header("authorization", &authorization).body(Body::from(body))?)
        };
        Box::new(request)
    };
    let of_webhook: &[&str] = &["", "/event/data", "/event/data/title", "/event/data/assignees", "/event/agent"];
    Ok(vec![
        Door { name: "webhook, not signed", outer: incident.clone(), places: of_webhook, request: webhook(false) },
        Door { name: "webhook, signed", outer: incident, places: of_webhook, request: webhook(true) },
        Door {
            name: "activity, no token",
            outer: said.clone(),
            places: &["", "/text"],
            request: activity("Bearer a.b.c"),
        },
        Door {
            name: "activity",
            outer: said.clone(),
            places: &["", "/text", "/entities", "/channelData", "/conversation", "/from"],
            request: activity(&bearer),
        },
        Door {
            name: "click",
            outer: invoke("adaptiveCard/action", click),
            places: &["/value", "/value/action", "/value/action/data", "/value/action/verb"],
            request: activity(&bearer),
        },
        Door {
            name: "dialog",
            outer: invoke("task/submit", json!({ "data": {} })),
            places: &["/value", "/value/data", "/name"],
            request: activity(&bearer),
        },
    ])
}
