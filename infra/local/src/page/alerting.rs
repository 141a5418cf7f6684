//! An alert as monitoring tools send it: an event for the key of a service, whose severity decides the urgency.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use simulators::pagerduty::Severity;
use url::Url;

use super::World;
use super::acting::{Refusal, Wish, filled};

/// Where alerts of this page come from, for whoever follows them back.
const CLIENT: &str = "PagerBridge's local page";

pub(super) fn routes() -> Router<World> {
    Router::new().route("/demo/api/pagerduty/alert", post(alert))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    service: String,
    summary: String,
    severity: Severity,
    source: String,
    #[serde(default)]
    link: Link,
    /// Its address; empty: none.
    #[serde(default)]
    image: String,
    /// Any JSON, as it was typed; empty: none.
    #[serde(default)]
    details: String,
}

/// Without an address there is none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    text: String,
    href: String,
}

async fn alert(State(world): State<World>, Wish(wish): Wish<Alert>) -> Result<Json<Value>, Refusal> {
    let routing_key = world.pagerduty.routing_key(&wish.service);
    let routing_key = routing_key.ok_or_else(|| Refusal::unknown("service", &wish.service))?;
    let (status, answer) = world.pagerduty.enqueue(&event(&wish, &routing_key)?);
    if status == 202 { Ok(Json(answer)) } else { Err(Refusal::bad(why(&answer))) }
}

/// Without a key of its own each alert is a new one.
fn event(wish: &Alert, routing_key: &str) -> Result<Value, Refusal> {
    let link = address("link", &wish.link.href)?;
    let links: Vec<Value> = link
        .map(|href| {
            let text = wish.link.text.trim();
            json!({ "href": href, "text": if text.is_empty() { href } else { text } })
        })
        .into_iter()
        .collect();
    let image = address("image", &wish.image)?;
    let images: Vec<Value> = image.map(|src| json!({ "src": src, "href": src })).into_iter().collect();
    Ok(json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "payload": {
            "summary": filled("summary", &wish.summary)?,
            "source": filled("source", &wish.source)?,
            "severity": wish.severity,
            "custom_details": details(&wish.details)?,
        },
        "links": links,
        "images": images,
        "client": CLIENT,
    }))
}

fn details(typed: &str) -> Result<Option<Value>, Refusal> {
    if typed.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(typed).map(Some).map_err(|error| Refusal::bad(format!("details are not JSON: {error}")))
}

fn address<'a>(what: &str, typed: &'a str) -> Result<Option<&'a str>, Refusal> {
    let typed = typed.trim();
    let is_web = || Url::parse(typed).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    match typed {
        "" => Ok(None),
        _ if is_web() => Ok(Some(typed)),
        _ => Err(Refusal::bad(format!("{what} is no web address: {typed:?}"))),
    }
}

/// What PagerDuty says is wrong with the event.
fn why(answer: &Value) -> String {
    let errors = answer.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let message = answer.get("message").filter(|_| errors.is_empty());
    let reasons: Vec<&str> = errors.iter().chain(message).filter_map(Value::as_str).collect();
    format!("PagerDuty does not take this alert: {}", reasons.join("; "))
}
