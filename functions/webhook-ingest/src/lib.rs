//! Everything that comes from PagerDuty's V3 webhooks: verify, parse, observe.
//!
//! PagerDuty drops a delivery for good after any 4xx but 429, and three drops disable the subscription for a day
//! (PagerDuty webhook docs, "Behavior"). So `answer::Outcome` gives a 4xx to strangers only.

mod answer;
mod subscriptions;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use domain::cause::{Cause, Occasion};
use domain::ids::{IncidentId, SubscriptionId};
use domain::incident::{IncidentEvent, is_future};
use incidents::{ObserveError, What};
use pagerduty::webhook::{self, Received, ServiceChange, ServiceEvent, SignatureError};
use runtime::{App, Metric, Source};
use store::Subscription;
use tokio::time::Instant;

use crate::answer::Outcome;
use crate::subscriptions::Subscriptions;

/// PagerDuty waits 5 s; an answer of ours that it does not hear is a retry that we could have asked for.
const BUDGET: Duration = Duration::from_millis(4500);

/// How much of that is spent on a question to PagerDuty, after the event was taken.
const ASK_BUDGET: Duration = Duration::from_millis(2000);

/// What the question must leave of [`BUDGET`], so that a taken event is answered as taken.
const RESERVE: Duration = Duration::from_millis(300);

/// The function's HTTP surface: `POST /webhooks/pagerduty`.
pub fn router(app: App) -> Router {
    let ingest = Ingest { subscriptions: Subscriptions::new(app.clone()), app };
    let router = Router::new().route("/webhooks/pagerduty", post(receive)).with_state(ingest);
    runtime::with_headers(router, runtime::NO_PAGE)
}

#[derive(Debug, Clone)]
struct Ingest {
    app: App,
    subscriptions: Subscriptions,
}

async fn receive(State(ingest): State<Ingest>, source: Source, headers: HeaderMap, body: Body) -> StatusCode {
    let ask_until = Instant::now() + BUDGET.saturating_sub(RESERVE);
    let sources = &ingest.app.config.webhook_sources;
    let outside = !sources.admit(source);
    let outcome = if outside && named(&headers).is_err() {
        Outcome::Outsider
    } else {
        match to_bytes(body, webhook::MAX_BODY_BYTES).await {
            Ok(body) => {
                let flow = Box::pin(take_in(&ingest, outside, &headers, body, ask_until));
                tokio::time::timeout(BUDGET, flow).await.unwrap_or(Outcome::TooSlow)
            }
            Err(_) => Outcome::TooLarge,
        }
    };
    let status = outcome.status();
    if outcome == Outcome::FromElsewhere {
        tracing::error!(
            source = source.0.map(tracing::field::display),
            "PagerDuty delivers from an address that is not on the list"
        );
    }
    let mut figures = figures(outcome).to_vec();
    if sources.count() > 0 {
        figures.push(Metric::WebhooksFromElsewhere.times((outcome == Outcome::FromElsewhere).into()));
    }
    ingest.app.metrics.emit(&figures, ingest.app.clock.now());
    tracing::info!(
        webhook.id = header(&headers, "x-webhook-id"),
        subscription.id = header(&headers, "x-webhook-subscription"),
        outcome = outcome.name(),
        status = status.as_u16(),
        "webhook"
    );
    status
}

/// What a delivery adds to the metrics.
fn figures(outcome: Outcome) -> [(Metric, f64); 5] {
    let status = outcome.status();
    [
        Metric::WebhooksReceived.times(1),
        Metric::WebhooksRefused.times(status.is_client_error().into()),
        Metric::WebhooksFailed.times(status.is_server_error().into()),
        Metric::BadSignatures.times((outcome == Outcome::WrongSignature).into()),
        Metric::UnreadableWebhooks.times((outcome == Outcome::Unreadable).into()),
    ]
}

/// The subscription that a request names, and the signature that it brings. A request without is refused before the table is asked:
/// a stranger's must cost nothing.
fn named(headers: &HeaderMap) -> Result<(SubscriptionId, &str), Outcome> {
    let subscription = header(headers, "x-webhook-subscription").and_then(|id| SubscriptionId::new(id).ok());
    let subscription = subscription.ok_or(Outcome::NoSubscription)?;
    let signature = header(headers, "x-pagerduty-signature");
    if let Err(SignatureError::Missing | SignatureError::Malformed) = webhook::verify(&[], signature, &[]) {
        return Err(Outcome::NoSignature);
    }
    Ok((subscription, signature.unwrap_or_default()))
}

/// `outside`: from an address that is not on the operator's list. HTTP APIs know neither resource policies nor AWS WAF, so the list
/// is kept here, and it is one lock more and no replacement of the signature.
///
/// Who names a subscription and brings a signature is looked up in the table from outside as well. That read costs a tenth of what
/// the HTTP API takes for the request, and the route's throttle bounds both. Without it, a stranger could ring the alarm for
/// PagerDuty's new addresses, or PagerDuty's own delivery would get a 4xx and be lost. Nor does it get one for a subscription that
/// the table does not know: it may have been made this second, and deliver from a new address.
async fn take_in(ingest: &Ingest, outside: bool, headers: &HeaderMap, body: Bytes, ask_until: Instant) -> Outcome {
    if body.is_empty() {
        return Outcome::Empty;
    }
    let (subscription, signature) = match named(headers) {
        Ok(named) => named,
        Err(outcome) => return outcome,
    };
    let subscription = match verified(ingest, &subscription, signature, &body).await {
        Ok(_) if outside => return Outcome::FromElsewhere,
        Ok(subscription) => subscription,
        Err(outcome @ (Outcome::UnknownSubscription | Outcome::WrongSignature)) if !is_json(&body) => {
            tracing::warn!(outcome = outcome.name(), "unsigned body that is not JSON");
            return Outcome::NotJson;
        }
        Err(outcome) => return outcome,
    };
    match webhook::parse(&body) {
        Ok(Received::Incident(event)) if event.occurred_at.is_some_and(|at| is_future(at, ingest.app.clock.now())) => {
            let kept = keep_unreadable(ingest, &subscription, headers, &body, "the event is of the future").await;
            ask(&ingest.app, &subscription, &event.incident, &cause(&ingest.app, &event), ask_until).await;
            kept
        }
        Ok(Received::Incident(event)) => {
            let observed = Box::pin(observe(ingest, &subscription, event, ask_until));
            tokio::join!(observed, ingest.subscriptions.renew(&subscription.id)).0
        }
        Ok(Received::Service(event)) => follow(ingest, &subscription, &event).await,
        Ok(Received::Ping) => Outcome::Ping,
        Ok(Received::Unknown { event_type }) => {
            tracing::info!(event.kind = event_type, "event type is not known");
            Outcome::UnknownType
        }
        Err(reason) => keep_unreadable(ingest, &subscription, headers, &body, &reason.to_string()).await,
    }
}

/// A service was renamed or deleted: its connections say so, where people look for the reason that nothing arrives.
async fn follow(ingest: &Ingest, subscription: &Subscription, event: &ServiceEvent) -> Outcome {
    let store = &ingest.app.store;
    let now = ingest.app.clock.now();
    let change = async {
        for connection in store.connections_of_service(&subscription.account, &event.service).await? {
            match &event.change {
                ServiceChange::Deleted => _ = store.mark_service_gone(&connection, now).await?,
                ServiceChange::Updated { name: Some(name) } => _ = store.rename_service(&connection, name).await?,
                ServiceChange::Updated { name: None } | ServiceChange::Created | ServiceChange::CustomFields => {}
            }
        }
        Ok::<_, store::Error>(())
    };
    match change.await {
        Ok(()) => Outcome::Accepted,
        Err(error) => answer::table_failed(&error),
    }
}

/// Finds the subscription and checks the signature; a mismatch is checked once more against what the table says now,
/// since the secret may have been replaced a moment ago.
async fn verified(ingest: &Ingest, id: &SubscriptionId, signature: &str, body: &[u8]) -> Result<Subscription, Outcome> {
    for fresh in [false, true] {
        let Some(known) = ingest.subscriptions.find(id, fresh).await? else { return Err(Outcome::UnknownSubscription) };
        if webhook::verify(&known.secrets, Some(signature), body).is_ok() {
            return Ok(known.subscription.clone());
        }
    }
    tracing::error!(subscription.id = %id, "signature does not match a known subscription");
    Err(Outcome::WrongSignature)
}

/// PagerDuty gets its answer after the record is stored and the queue is told.
async fn observe(ingest: &Ingest, subscription: &Subscription, event: IncidentEvent, ask_until: Instant) -> Outcome {
    let app = &ingest.app;
    let cause = cause(app, &event);
    match Box::pin(incidents::observe(app, &subscription.account, What::Event(event), &cause)).await {
        Ok(observed) => {
            if observed.doubtful {
                ask(app, subscription, &observed.record.id, &cause, ask_until).await;
            }
            Outcome::Accepted
        }
        Err(ObserveError::Table(error)) => answer::table_failed(&error),
        Err(ObserveError::Queue(error)) => answer::queue_failed(&error),
        Err(ObserveError::Random(error)) => answer::no_randomness(error),
    }
}

fn cause(app: &App, event: &IncidentEvent) -> Cause {
    let at = app.clock.now();
    let happened_at = event.occurred_at.filter(|happened| !is_future(*happened, at));
    Cause { id: event.id.clone().into(), occasion: Occasion::Webhook, at, happened_at }
}

/// What an event leaves open is asked of PagerDuty. Whatever becomes of that, the event was taken; the reconciler asks again.
async fn ask(app: &App, subscription: &Subscription, incident: &IncidentId, cause: &Cause, until: Instant) {
    // The queue drops a second message of the same cause.
    let cause = Cause { id: cause.id.numbered(1), ..cause.clone() };
    let asking = Box::pin(incidents::refresh(app, &subscription.account, incident, &cause));
    match tokio::time::timeout_at(until.min(Instant::now() + ASK_BUDGET), asking).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = runtime::chain(&error), incident.id = %incident, "PagerDuty not asked")
        }
        Err(_) => tracing::warn!(incident.id = %incident, "PagerDuty did not answer in time"),
    }
}

async fn keep_unreadable(
    ingest: &Ingest,
    subscription: &Subscription,
    headers: &HeaderMap,
    body: &[u8],
    reason: &str,
) -> Outcome {
    tracing::error!(subscription.id = %subscription.id, reason, "signed event cannot be read; kept for inspection");
    let webhook_id = header(headers, "x-webhook-id").unwrap_or("none");
    let kept =
        ingest.app.store.put_unreadable(&subscription.id, webhook_id, body, reason, ingest.app.clock.now()).await;
    kept.map_or_else(|error| answer::table_failed(&error), |()| Outcome::Unreadable)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}
