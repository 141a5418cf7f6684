//! Webhook subscriptions (REST docs, "Webhooks").

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Call, Refusal, invalid, not_found, ok, refusal, text};
use crate::pagerduty::access::{Caller, missing_scope};
use crate::pagerduty::events::{data_of, scope_for};
use crate::pagerduty::model::{Holder, Scope, State, Subscription};

pub(super) const NEW: &[&str] =
    &["type", "description", "events", "filter", "delivery_method", "active", "oauth_client_id"];
/// The delivery method cannot be changed.
pub(super) const UPDATE: &[&str] = &["type", "description", "events", "filter", "active", "oauth_client_id"];

/// Per service, per team and for the account (support docs).
const MOST: usize = 10;

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let id = || call.one("filter_id").map(str::to_owned).ok_or_else(|| invalid("filter_id is missing"));
    let scope = match call.one("filter_type") {
        None => None,
        Some("account") => Some(Scope::Account),
        Some("service") => Some(Scope::Service(id()?)),
        Some("team") => Some(Scope::Team(id()?)),
        Some(_) => return Err(invalid("filter_type must be account, service or team")),
    };
    let matches = |known: &&Subscription| scope.as_ref().is_none_or(|scope| known.scope == *scope);
    let found: Vec<Value> =
        state.subscriptions.iter().filter(matches).map(|known| state.rest_subscription(known, None)).collect();
    call.page("webhook_subscriptions", &found)
}

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let wanted = &call.wanted;
    if text(wanted, "type") != Some("webhook_subscription") {
        return Err(invalid("type must be webhook_subscription"));
    }
    let events = events(wanted, &call.caller)?.ok_or_else(|| invalid("events are missing"))?;
    let scope = scope(state, wanted, &call.caller)?.ok_or_else(|| invalid("filter is missing"))?;
    let method = wanted.get("delivery_method").ok_or_else(|| invalid("delivery_method is missing"))?;
    let (url, custom_headers) = delivery_method(method)?;
    refuse_oauth_client(wanted)?;
    if state.subscriptions.iter().filter(|known| known.scope == scope).count() >= MOST {
        let why = "Webhook subscription limit exceeded for the selected scope";
        return Err(refusal(StatusCode::BAD_REQUEST, 2019, "Product Limit Reached", &[why]));
    }
    let secret = state.ids.webhook_secret();
    let subscription = Subscription {
        id: state.ids.thing(),
        method_id: state.ids.thing(),
        description: text(wanted, "description").unwrap_or_default().to_owned(),
        events,
        scope,
        url,
        custom_headers,
        secrets: vec![secret.clone()],
        active: active(wanted)?.unwrap_or(true),
        disabled_until: None,
        drops_in_a_row: 0,
    };
    let shown = state.rest_subscription(&subscription, Some(&secret));
    state.subscriptions.push(subscription);
    ok(json!({ "webhook_subscription": shown }))
}

pub(super) fn show(state: &mut State, call: &Call<'_>) -> Answer {
    let known = state.subscriptions.iter().find(|known| known.id == call.id).ok_or_else(not_found)?;
    ok(json!({ "webhook_subscription": state.rest_subscription(known, None) }))
}

pub(super) fn update(state: &mut State, call: &Call<'_>) -> Answer {
    let wanted = &call.wanted;
    own(state, call)?;
    if wanted.get("delivery_method").is_some() {
        return Err(invalid("delivery_method cannot be changed"));
    }
    let (events, active) = (events(wanted, &call.caller)?, active(wanted)?);
    let scope = scope(state, wanted, &call.caller)?;
    refuse_oauth_client(wanted)?;
    let known = state.subscription_mut(call.id).ok_or_else(not_found)?;
    if let Some(description) = text(wanted, "description") {
        description.clone_into(&mut known.description);
    }
    known.events = events.unwrap_or_else(|| known.events.clone());
    known.active = active.unwrap_or(known.active);
    known.scope = scope.unwrap_or_else(|| known.scope.clone());
    show(state, call)
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    own(state, call)?;
    state.subscriptions.retain(|known| known.id != call.id);
    state.pending.retain(|pending| pending.subscription != call.id);
    Ok((StatusCode::NO_CONTENT, None))
}

pub(super) fn enable(state: &mut State, call: &Call<'_>) -> Answer {
    own(state, call)?;
    let known = state.subscription_mut(call.id).ok_or_else(not_found)?;
    known.disabled_until = None;
    known.drops_in_a_row = 0;
    show(state, call)
}

/// The agent of a ping is a bare reference, without a name or addresses (real deliveries).
pub(super) fn ping(state: &mut State, call: &Call<'_>) -> Answer {
    own(state, call)?;
    let agent = match &call.caller.credential.holder {
        Holder::Person(id) => json!({ "id": id, "type": "user_reference" }),
        Holder::App | Holder::Account => Value::Null,
    };
    state.queue_ping(call.id, &agent);
    Ok((StatusCode::ACCEPTED, None))
}

/// The subscription is there, and the caller may change it.
fn own(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    let known = state.subscriptions.iter().find(|known| known.id == call.id).ok_or_else(not_found)?;
    state.may_subscribe(&call.caller, known.scope == Scope::Account)
}

fn events(wanted: &Value, caller: &Caller) -> Result<Option<BTreeSet<String>>, Refusal> {
    let Some(events) = wanted.get("events") else { return Ok(None) };
    let events = events.as_array().ok_or_else(|| invalid("events must be a list"))?;
    let names: BTreeSet<String> = events.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if names.is_empty() || names.len() != events.len() {
        return Err(invalid("events must be at least one, and each once"));
    }
    if let Some(event) = names.iter().find(|event| data_of(event).is_none()) {
        return Err(invalid(&format!("{event} is not an event type")));
    }
    // Subscribing to an event needs the scope to read what it tells.
    if names.iter().any(|event| !caller.has(scope_for(event))) {
        return Err(missing_scope());
    }
    Ok(Some(names))
}

fn scope(state: &State, wanted: &Value, caller: &Caller) -> Result<Option<Scope>, Refusal> {
    let Some(filter) = wanted.get("filter") else { return Ok(None) };
    let scope = match (text(filter, "type"), text(filter, "id").map(str::to_owned)) {
        (Some("account_reference"), None) => Scope::Account,
        (Some("service_reference"), Some(id)) if state.service(&id).is_some() => Scope::Service(id),
        (Some("team_reference"), Some(id)) if state.teams.iter().any(|team| team.id == id) => Scope::Team(id),
        _ => return Err(invalid("filter must be the account, or a service or team that exists")),
    };
    state.may_subscribe(caller, scope == Scope::Account)?;
    Ok(Some(scope))
}

fn active(wanted: &Value) -> Result<Option<bool>, Refusal> {
    let active = wanted.get("active").map(|active| active.as_bool().ok_or_else(|| invalid("active must be a boolean")));
    active.transpose()
}

type Target = (String, Vec<(String, String)>);

fn delivery_method(method: &Value) -> Result<Target, Refusal> {
    if text(method, "type") != Some("http_delivery_method") {
        return Err(invalid("delivery_method.type must be http_delivery_method"));
    }
    let is_usable = |url: &&str| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    let url = text(method, "url").filter(is_usable).ok_or_else(|| invalid("url is not usable"))?;
    let headers = method.get("custom_headers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let pair = |header: &Value| Some((text(header, "name")?.to_owned(), text(header, "value")?.to_owned()));
    let pairs: Option<Vec<(String, String)>> = headers.iter().map(pair).collect();
    let pairs = pairs.ok_or_else(|| invalid("a custom header has a name and a value"))?;
    let names: BTreeSet<String> = pairs.iter().map(|(name, _)| name.to_lowercase()).collect();
    if names.len() != pairs.len() {
        return Err(invalid("custom headers must have different names"));
    }
    Ok((url.to_owned(), pairs))
}

/// No OAuth client for deliveries is registered here.
fn refuse_oauth_client(wanted: &Value) -> Result<(), Refusal> {
    if wanted.get("oauth_client_id").is_none_or(Value::is_null) {
        Ok(())
    } else {
        Err(invalid("oauth client not found"))
    }
}

impl State {
    /// `secret` is shown only when the subscription is made.
    fn rest_subscription(&self, subscription: &Subscription, secret: Option<&str>) -> Value {
        let filter = match &subscription.scope {
            Scope::Account => json!({ "type": "account_reference" }),
            Scope::Service(id) => json!({ "id": id, "type": "service_reference" }),
            Scope::Team(id) => json!({ "id": id, "type": "team_reference" }),
        };
        let names = subscription.custom_headers.iter().map(|(name, _)| name);
        let headers: Vec<Value> = names.map(|name| json!({ "name": name, "value": "-- redacted --" })).collect();
        json!({
            "id": subscription.id,
            "type": "webhook_subscription",
            "active": subscription.active,
            "description": subscription.description,
            "events": subscription.events,
            "filter": filter,
            "delivery_method": {
                "id": subscription.method_id,
                "type": "http_delivery_method",
                "url": subscription.url,
                "secret": secret,
                "custom_headers": headers,
                "temporarily_disabled": subscription.is_disabled(self.passing.now),
            },
        })
    }
}
