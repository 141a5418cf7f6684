//! Webhook subscriptions over REST.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::PagerDuty;
use super::model::Subscription;
use super::payload;
use super::rest::{Answer, Refusal, invalid, not_found, ok, parsed, refusal};

/// Per service and for the account (support docs).
const MOST: usize = 10;

/// The event types that can be subscribed to (webhook docs, "Overview").
const EVENTS: &[&str] = &[
    "incident.acknowledged",
    "incident.action_invocation.created",
    "incident.action_invocation.terminated",
    "incident.action_invocation.updated",
    "incident.annotated",
    "incident.conference_bridge.updated",
    "incident.custom_field_values.updated",
    "incident.delegated",
    "incident.escalated",
    "incident.incident_type.changed",
    "incident.priority_updated",
    "incident.reassigned",
    "incident.reopened",
    "incident.resolved",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.role.assigned",
    "incident.service_updated",
    "incident.status_update_published",
    "incident.task.completed",
    "incident.task.created",
    "incident.task.updated",
    "incident.triggered",
    "incident.unacknowledged",
    "incident.workflow.completed",
    "incident.workflow.started",
    "service.created",
    "service.custom_field_values.updated",
    "service.deleted",
    "service.updated",
];

/// Subscribing to events of a kind needs the scope to read that kind.
fn scope_for(event: &str) -> &'static str {
    if event.starts_with("incident.workflow") {
        "incident_workflows.read"
    } else if event.starts_with("service.") {
        "services.read"
    } else {
        "incidents.read"
    }
}

pub(super) async fn list(Shared(pagerduty): Shared<PagerDuty>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "webhook_subscriptions.read", false)?;
    let all: Vec<Value> =
        pagerduty.state().subscriptions.iter().map(|known| payload::subscription(known, None)).collect();
    ok(json!({ "webhook_subscriptions": all, "limit": 100, "offset": 0, "more": false, "total": null }))
}

pub(super) async fn create(Shared(pagerduty): Shared<PagerDuty>, headers: HeaderMap, body: Bytes) -> Answer {
    let caller = pagerduty.caller(&headers, "webhook_subscriptions.write", true)?;
    let body = parsed(&body)?;
    let mut wanted = read(body.get("webhook_subscription").ok_or_else(|| invalid("webhook_subscription is missing"))?)?;
    if let Some(event) = wanted.events.iter().find(|event| !caller.token.scopes.contains(scope_for(event))) {
        return Err(refusal(StatusCode::FORBIDDEN, 0, "Token missing required scopes", &[event]));
    }
    let mut state = pagerduty.state();
    if let Some(service) = &wanted.filter_id
        && state.service(service).is_none()
    {
        return Err(invalid("the filter's service is not found"));
    }
    let same_scope =
        |known: &&Subscription| (&known.filter_type, &known.filter_id) == (&wanted.filter_type, &wanted.filter_id);
    if state.subscriptions.iter().filter(same_scope).count() >= MOST {
        let why = "Webhook subscription limit exceeded for the selected scope";
        return Err(refusal(StatusCode::BAD_REQUEST, 2019, "Product Limit Reached", &[why]));
    }
    wanted.id = state.id("PW");
    let secret = state.secret("whs");
    wanted.secrets = vec![secret.clone()];
    let answer = payload::subscription(&wanted, Some(&secret));
    state.subscriptions.push(wanted);
    Ok((StatusCode::CREATED, Json(json!({ "webhook_subscription": answer }))))
}

fn read(value: &Value) -> Result<Subscription, Refusal> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    if text(value.get("type")).as_deref() != Some("webhook_subscription") {
        return Err(invalid("type must be webhook_subscription"));
    }
    let events = value.get("events").and_then(Value::as_array).ok_or_else(|| invalid("events are missing"))?;
    let names: BTreeSet<String> = events.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if names.is_empty() || names.len() != events.len() {
        return Err(invalid("events must be at least one, and each once"));
    }
    if let Some(event) = names.iter().find(|event| !EVENTS.contains(&event.as_str())) {
        return Err(invalid(&format!("{event} is not an event type")));
    }
    let filter = value.get("filter").ok_or_else(|| invalid("filter is missing"))?;
    let filter_type = text(filter.get("type")).unwrap_or_default();
    let filter_id = text(filter.get("id"));
    if !matches!((filter_type.as_str(), &filter_id), ("account_reference", None) | ("service_reference", Some(_))) {
        return Err(invalid("filter must be an account_reference, or a service_reference with an id"));
    }
    let method = value.get("delivery_method").ok_or_else(|| invalid("delivery_method is missing"))?;
    if text(method.get("type")).as_deref() != Some("http_delivery_method") {
        return Err(invalid("delivery_method.type must be http_delivery_method"));
    }
    let headers = method.get("custom_headers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Ok(Subscription {
        id: String::new(),
        description: text(value.get("description")).unwrap_or_default(),
        events: names,
        filter_type,
        filter_id,
        url: text(method.get("url")).filter(|url| url.starts_with("http")).ok_or_else(|| invalid("url is missing"))?,
        custom_headers: headers
            .iter()
            .filter_map(|header| Some((text(header.get("name"))?, text(header.get("value"))?)))
            .collect(),
        secrets: Vec::new(),
        active: value.get("active").and_then(Value::as_bool).unwrap_or(true),
        disabled_until: None,
        drops_in_a_row: 0,
    })
}

pub(super) async fn show(Shared(pagerduty): Shared<PagerDuty>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "webhook_subscriptions.read", false)?;
    let state = pagerduty.state();
    let known = state.subscriptions.iter().find(|known| known.id == id).ok_or_else(not_found)?;
    ok(json!({ "webhook_subscription": payload::subscription(known, None) }))
}

pub(super) async fn delete(
    Shared(pagerduty): Shared<PagerDuty>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    pagerduty.caller(&headers, "webhook_subscriptions.write", false)?;
    let mut state = pagerduty.state();
    let before = state.subscriptions.len();
    state.subscriptions.retain(|known| known.id != id);
    if state.subscriptions.len() == before { Err(not_found()) } else { Ok(StatusCode::NO_CONTENT) }
}

pub(super) async fn enable(Shared(pagerduty): Shared<PagerDuty>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    pagerduty.caller(&headers, "webhook_subscriptions.write", false)?;
    let mut state = pagerduty.state();
    let known = state.subscriptions.iter_mut().find(|known| known.id == id).ok_or_else(not_found)?;
    known.disabled_until = None;
    known.drops_in_a_row = 0;
    ok(json!({ "webhook_subscription": payload::subscription(known, None) }))
}

pub(super) async fn ping(
    Shared(pagerduty): Shared<PagerDuty>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    pagerduty.caller(&headers, "webhook_subscriptions.write", false)?;
    if !pagerduty.state().subscriptions.iter().any(|known| known.id == id) {
        return Err(not_found());
    }
    pagerduty.queue_ping(&id);
    Ok(StatusCode::ACCEPTED)
}

impl PagerDuty {
    /// The ids of a service's subscriptions.
    #[must_use]
    pub fn subscriptions_of(&self, service: &str) -> Vec<String> {
        let state = self.state();
        state
            .subscriptions
            .iter()
            .filter(|known| known.filter_id.as_deref() == Some(service))
            .map(|known| known.id.clone())
            .collect()
    }

    /// What a subscription signs with.
    #[must_use]
    pub fn secret_of(&self, subscription: &str) -> Option<String> {
        self.state().subscriptions.iter().find(|known| known.id == subscription)?.secrets.first().cloned()
    }

    /// From now on every delivery is signed with a new secret as well, as while a secret is rotated.
    pub fn sign_also_with(&self, subscription: &str, secret: &str) {
        if let Some(known) = self.state().subscriptions.iter_mut().find(|known| known.id == subscription) {
            known.secrets.push(secret.to_owned());
        }
    }

    /// Whether a subscription is disabled after three dropped deliveries.
    #[must_use]
    pub fn is_disabled(&self, subscription: &str) -> bool {
        self.state().subscriptions.iter().any(|known| known.id == subscription && known.disabled_until.is_some())
    }
}
