//! Everything that comes from PagerDuty's V3 webhooks: verify, parse, observe.
//!
//! A subscription that the table knows is never answered 4xx, whatever is wrong with its delivery: PagerDuty would drop it for good
//! (see `answer`). What cannot be read is kept, and PagerDuty is asked for its incident (see `unread`).

mod answer;
mod request;
mod subscriptions;
mod unread;

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use domain::cause::{Cause, Occasion};
use domain::incident::{IncidentEvent, is_future};
use incidents::What;
use pagerduty::webhook::{self, Received, ServiceChange, ServiceEvent};
use runtime::{App, Metric, Source};
use store::Subscription;
use tokio::time::Instant;

use crate::answer::{Ended, Outcome, Stranger};
use crate::request::Named;
use crate::subscriptions::{Known, Subscriptions};
use crate::unread::Unread;

/// PagerDuty waits 5 s; an answer of ours that it does not hear is a retry that we could have asked for.
const BUDGET: Duration = Duration::from_millis(4500);

/// What a question to PagerDuty must leave of [`BUDGET`], so that a taken event is answered as taken.
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
    let named = Named::by(&headers);
    let flow = look_at(&ingest, !sources.admit(source), &named, body, ask_until);
    let flow = Box::pin(runtime::all_bookkeeping(flow));
    let outcome = match tokio::time::timeout(BUDGET, flow).await {
        Ok(Ok(ended)) => ended.into(),
        Ok(Err(outcome)) => outcome,
        Err(_) => Ended::TooSlow.into(),
    };
    let status = outcome.status();
    let is_from_elsewhere = outcome == Ended::FromElsewhere.into();
    if is_from_elsewhere {
        tracing::error!(
            source = source.0.map(tracing::field::display),
            "PagerDuty delivers from an address that is not on the list"
        );
    }
    let mut figures = figures(outcome).to_vec();
    if sources.count() > 0 {
        figures.push(Metric::WebhooksFromElsewhere.times(is_from_elsewhere.into()));
    }
    ingest.app.metrics.emit(&figures, ingest.app.clock.now());
    tracing::info!(
        webhook.id = named.webhook,
        subscription.id = named.subscriptions.first().map(tracing::field::display),
        outcome = outcome.name(),
        status = status.as_u16(),
        "webhook"
    );
    status
}

/// What a delivery adds to the metrics.
fn figures(outcome: Outcome) -> [(Metric, f64); 5] {
    let status = outcome.status();
    let is_badly_signed = matches!(outcome, Outcome::Taken(Ended::WrongSignature | Ended::Unsigned));
    [
        Metric::WebhooksReceived.times(1),
        Metric::WebhooksRefused.times(status.is_client_error().into()),
        Metric::WebhooksFailed.times(status.is_server_error().into()),
        Metric::BadSignatures.times(is_badly_signed.into()),
        Metric::UnreadableWebhooks.times((outcome == Ended::Unreadable.into()).into()),
    ]
}

/// Finds out whose delivery it is. The table is asked before the body is read: who names no subscription costs nothing, who names a
/// made-up one a read of the table.
///
/// `outside`: from an address that is not on the operator's list. HTTP APIs know neither resource policies nor AWS WAF, so the list
/// is kept here, and it is one lock more and no replacement of the signature. Who names a subscription is looked up in the table from
/// outside as well. That read costs a tenth of what the HTTP API takes for the request, and the route's throttle bounds both. Without
/// it, a stranger could ring the alarm for PagerDuty's new addresses, or PagerDuty's own delivery would get a 4xx and be lost. Nor does
/// it get one for a subscription that the table does not know, whatever its body: it may have been made this second, and deliver from a
/// new address.
async fn look_at(
    ingest: &Ingest,
    outside: bool,
    named: &Named,
    body: Body,
    ask_until: Instant,
) -> Result<Ended, Outcome> {
    if named.subscriptions.is_empty() {
        return Err(if outside { Stranger::Outsider } else { Stranger::NoSubscription }.into());
    }
    if named.names_too_many() {
        request::whole_body(body).await?;
        return Ok(Ended::NotLookedUp);
    }
    let Some(signature) = &named.signature else {
        for id in &named.subscriptions {
            if ingest.subscriptions.knows(id).await? {
                tracing::error!(subscription.id = %id, "a known subscription delivers without a signature of a known kind");
                request::whole_body(body).await?;
                return Ok(Ended::Unsigned);
            }
        }
        return Err(if outside { Stranger::Outsider } else { Stranger::NoSignature }.into());
    };
    let mut known = Vec::new();
    for id in &named.subscriptions {
        known.extend(ingest.subscriptions.find(id, false).await?);
    }
    let body = request::whole_body(body).await?;
    let Some(first) = known.first() else { return Ok(Ended::UnknownSubscription) };
    if named.subscriptions.len() > 1 {
        tracing::error!(subscription.id = %first.subscription.id, "a delivery names several subscriptions");
        return Ok(Ended::Several);
    }
    let subscription = verified(ingest, first, signature, &body).await?;
    if outside {
        return Ok(Ended::FromElsewhere);
    }
    Ok(Box::pin(take_in(ingest, &subscription, named, &body, ask_until)).await)
}

/// Checks the signature; a mismatch is checked once more against what the table says now, since the secret may have been replaced a
/// moment ago.
async fn verified(ingest: &Ingest, known: &Known, signature: &str, body: &[u8]) -> Result<Subscription, Ended> {
    let fits = |known: &Known| webhook::verify(&known.secrets, Some(signature), body).is_ok();
    if fits(known) {
        return Ok(known.subscription.clone());
    }
    let id = &known.subscription.id;
    let fresh = ingest.subscriptions.find(id, true).await?.ok_or(Ended::UnknownSubscription)?;
    if fits(&fresh) {
        return Ok(fresh.subscription.clone());
    }
    tracing::error!(subscription.id = %id, "signature does not match a known subscription");
    Err(Ended::WrongSignature)
}

/// What PagerDuty has signed.
async fn take_in(
    ingest: &Ingest,
    subscription: &Subscription,
    named: &Named,
    body: &Bytes,
    ask_until: Instant,
) -> Ended {
    let app = &ingest.app;
    let unread = |reason: &str| Unread {
        subscription: subscription.clone(),
        webhook: named.webhook.clone(),
        body: body.clone(),
        reason: reason.to_owned(),
        again_at: None,
    };
    match webhook::parse(body) {
        Ok(Received::Incident(event)) if event.occurred_at.is_some_and(|at| is_future(at, app.clock.now())) => {
            let unread = Unread { again_at: event.occurred_at, ..unread("the event is of the future") };
            let cause = cause(app, &event);
            Box::pin(unread.salvage_event(app, event, cause, ask_until)).await.unwrap_or_else(|ended| ended)
        }
        Ok(Received::Incident(event)) => {
            let mut observed = pin!(observe(ingest, subscription, event, ask_until));
            let renewed = pin!(ingest.subscriptions.renew(&subscription.id));
            // Nobody waits for the cache: it is read anew by the next delivery.
            tokio::select! {
                biased;
                ended = observed.as_mut() => ended,
                () = renewed => observed.await,
            }
        }
        Ok(Received::Service(event)) => follow(ingest, subscription, &event).await,
        Ok(Received::Ping) => Ended::Ping,
        Ok(Received::Unknown { event_type }) => {
            tracing::info!(event.kind = event_type, "event type is not known");
            // Something has become of its incident, if it has one.
            let unread = unread("the event type is not known");
            unread.salvage_unknown(app, ask_until).await.unwrap_or_else(|ended| ended)
        }
        Err(reason) => {
            let unread = unread(&reason.to_string());
            unread.salvage(app, ask_until).await
        }
    }
}

/// A service was renamed or deleted: its connections say so, where people look for the reason that nothing arrives.
async fn follow(ingest: &Ingest, subscription: &Subscription, event: &ServiceEvent) -> Ended {
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
        Ok(()) => Ended::Accepted,
        Err(error) => answer::table_failed(&error),
    }
}

/// PagerDuty gets its answer after the record is stored and the queue is told.
async fn observe(ingest: &Ingest, subscription: &Subscription, event: IncidentEvent, ask_until: Instant) -> Ended {
    let app = &ingest.app;
    let cause = cause(app, &event);
    match Box::pin(incidents::observe(app, &subscription.account, What::Event(event), &cause)).await {
        Ok(observed) => {
            if observed.doubtful {
                // Whatever becomes of that, the event was taken; the reconciler asks again.
                unread::ask(app, &subscription.account, &observed.record.id, cause, ask_until).await;
            }
            Ended::Accepted
        }
        Err(error) => answer::not_observed(error),
    }
}

fn cause(app: &App, event: &IncidentEvent) -> Cause {
    let at = app.clock.now();
    let happened_at = event.occurred_at.filter(|happened| !is_future(*happened, at));
    Cause { id: event.id.clone().into(), occasion: Occasion::Webhook, at, happened_at }
}
