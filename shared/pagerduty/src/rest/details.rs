//! What is beyond an incident's state: its first alert, what its maker wrote, what PagerDuty will do next.
//!
//! Whoever can send an alert decides what stands in it, of any depth and size, so every part is bounded here.

use domain::details::{Bridge, Details, Fact, LinkTo, MAX_FACTS, MAX_LINKS, Severity};
use domain::ids::IncidentId;
use futures_util::future::join;
use serde_json::Value;

use super::{Api, ApiError, Auth};
use crate::wire::{bounded, is_whole, items, text, text_or_number, time};

const MAX_SUMMARY: usize = 500;
const MAX_SOURCE: usize = 200;
const MAX_BODY: usize = 1000;
const MAX_FACT_NAME: usize = 100;
const MAX_FACT_VALUE: usize = 200;
const MAX_LINK_NAME: usize = 100;
const MAX_NUMBER: usize = 60;

/// How deep details are looked into, and at how many of them at most.
const DEPTH: usize = 5;
const MOST_VALUES: usize = 1000;

impl Api {
    /// How many calls [`Api::details`] makes.
    pub const CALLS_FOR_DETAILS: usize = 2;

    /// What is known of an incident beyond its state, in two calls at the same time. Without its alerts, if PagerDuty does not show
    /// them.
    pub async fn details(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Details, ApiError> {
        let includes = [("include[]", "conference_bridge"), ("include[]", "first_trigger_log_entries")];
        let first = [("limit", "1"), ("sort_by", "created_at:asc")];
        let incident = self.around(auth, id, &[], &includes);
        let (incident, alerts) = join(incident, self.around(auth, id, &["alerts"], &first)).await;
        let (incident, alerts) = match (incident?, alerts) {
            (incident, Ok(alerts)) => (incident, alerts),
            (_, Err(error)) if error.class().may_pass() || error.refuses_token() => return Err(error),
            (incident, Err(_)) => (incident, Value::Null),
        };
        let incident = incident.get("incident").ok_or(ApiError::Unreadable { what: "incident" })?;
        Ok(details(incident, items(&alerts, "alerts").first()))
    }
}

fn details(incident: &Value, alert: Option<&Value>) -> Details {
    let count = incident.get("alert_counts").and_then(|counts| counts.get("all")).and_then(Value::as_u64);
    let pending = items(incident, "pending_actions");
    let mut details = Details {
        alerts: count.unwrap_or_default(),
        body: body(incident),
        bridge: incident.get("conference_bridge").and_then(bridge),
        escalates_at: pending
            .iter()
            .filter(|action| text(action, "type") == Some("escalate"))
            .filter_map(|action| time(action, "at"))
            .min(),
        ..Details::default()
    };
    if let Some(alert) = alert {
        add_alert(&mut details, alert);
    }
    details
}

/// What somebody wrote who opened it by hand: said of the incident itself, or of how it was opened.
fn body(incident: &Value) -> Option<String> {
    let of_body = incident.get("body").and_then(|body| text(body, "details"));
    let channel = incident.get("first_trigger_log_entry").and_then(|entry| entry.get("channel"));
    let by_hand = channel.filter(|channel| text(channel, "type") != Some("nagios"));
    let of_channel = by_hand.and_then(|channel| text(channel, "details").or_else(|| text(channel, "body")));
    of_body.or(of_channel).map(|text| bounded(text.trim(), MAX_BODY))
}

fn bridge(value: &Value) -> Option<Bridge> {
    let url = text(value, "conference_url").filter(is_whole).map(str::to_owned);
    let number = text_or_number(value, "conference_number").map(|number| bounded(&number, MAX_NUMBER));
    (url.is_some() || number.is_some()).then_some(Bridge { url, number })
}

/// What one alert says.
pub(super) fn of_alert(alert: &Value) -> Details {
    let mut details = Details::default();
    add_alert(&mut details, alert);
    details
}

fn add_alert(details: &mut Details, alert: &Value) {
    details.alerts = details.alerts.max(1);
    details.summary = text(alert, "summary").map(|summary| bounded(summary.trim(), MAX_SUMMARY));
    let body = alert.get("body").unwrap_or(&Value::Null);
    let cef = body.get("cef_details").unwrap_or(&Value::Null);
    details.severity = text(alert, "severity").or_else(|| text(cef, "severity")).and_then(severity);
    let source = ["source_origin", "source", "source_component"].iter().find_map(|key| text(cef, key));
    let source = source.or_else(|| body.get("details").and_then(|details| text(details, "source")));
    details.source = source.map(|source| bounded(source.trim(), MAX_SOURCE));
    match body.get("details") {
        Some(Value::String(words)) if !words.trim().is_empty() => {
            details.body.get_or_insert_with(|| bounded(words.trim(), MAX_BODY));
        }
        Some(custom) => {
            let mut facts = Facts::default();
            facts.add("", custom, DEPTH);
            (details.facts, details.more_facts) = (facts.kept, facts.more);
        }
        None => {}
    }
    for context in items(body, "contexts") {
        let is_image = text(context, "type") == Some("image");
        let url = if is_image { text(context, "href").or_else(|| text(context, "src")) } else { text(context, "href") };
        let list = if is_image { &mut details.images } else { &mut details.links };
        let Some(url) = url.filter(is_whole).filter(|_| list.len() < MAX_LINKS) else { continue };
        let name = text(context, "text").map(|name| bounded(name.trim(), MAX_LINK_NAME));
        list.push(LinkTo { text: name, url: url.to_owned() });
    }
}

fn severity(word: &str) -> Option<Severity> {
    match word.to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "error" => Some(Severity::Error),
        "warning" => Some(Severity::Warning),
        "info" => Some(Severity::Info),
        _ => None,
    }
}

/// Scalars, wherever they stand, under the names that lead to them.
#[derive(Default)]
struct Facts {
    kept: Vec<Fact>,
    more: u64,
    seen: usize,
}

impl Facts {
    fn add(&mut self, name: &str, value: &Value, depth: usize) {
        if self.seen >= MOST_VALUES {
            return;
        }
        self.seen += 1;
        let within = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match value {
            Value::Null => {}
            Value::Bool(yes) => self.keep(name, &yes.to_string()),
            Value::Number(number) => self.keep(name, &number.to_string()),
            Value::String(text) if text.trim().is_empty() => {}
            Value::String(text) => self.keep(name, text.trim()),
            Value::Array(list) if list.iter().all(|value| value.is_string() || value.is_number()) => {
                let shown = list
                    .iter()
                    .take(MAX_FACTS)
                    .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                let mut shown = shown.map(|value| bounded(&value, MAX_FACT_VALUE)).collect::<Vec<_>>().join(", ");
                if list.len() > MAX_FACTS {
                    shown.push_str(", …");
                }
                if !list.is_empty() {
                    self.keep(name, &shown);
                }
            }
            Value::Array(_) | Value::Object(_) if depth == 0 => self.keep(name, "…"),
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.add(&bounded(&within(&index.to_string()), MAX_FACT_NAME), value, depth - 1);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.add(&bounded(&within(key), MAX_FACT_NAME), value, depth - 1);
                }
            }
        }
    }

    fn keep(&mut self, name: &str, value: &str) {
        if self.kept.len() < MAX_FACTS {
            let name = if name.is_empty() { "details" } else { name };
            self.kept.push(Fact { name: bounded(name, MAX_FACT_NAME), value: bounded(value, MAX_FACT_VALUE) });
        } else {
            self.more += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(custom: &Value) -> (Vec<(String, String)>, u64) {
        let alert = json!({ "summary": "s", "body": { "details": custom.clone() } });
        let details = details(&json!({}), Some(&alert));
        (details.facts.into_iter().map(|fact| (fact.name, fact.value)).collect(), details.more_facts)
    }

    #[test]
    fn an_alert_and_its_incident_are_read() {
        let incident = json!({
            "alert_counts": { "all": 3, "triggered": 2, "resolved": 1 },
            "conference_bridge": { "conference_number": 4_930_123, "conference_url": "https://meet.example/1" },
            "pending_actions": [
                { "type": "unacknowledge", "at": "2026-11-23T10:00:00Z" },
                { "type": "escalate", "at": "2026-11-23T11:00:00Z" },
                { "type": "escalate", "at": "2026-11-23T10:30:00Z" },
                { "type": "escalate" },
            ],
        });
        let alert = json!({
            "summary": " Replication lag ", "severity": "critical",
            "body": {
                "cef_details": { "source_origin": "db-7", "severity": "info" },
                "contexts": [
                    { "type": "link", "href": "https://wiki.example/1", "text": "Runbook" },
                    { "type": "image", "src": "https://graphs.example/1.png" },
                    { "type": "link", "text": "leads nowhere" },
                    { "type": "link", "href": "x".repeat(501) },
                    3,
                ],
                "details": { "lag": 43 },
            },
        });
        let read = details(&incident, Some(&alert));
        let link = |text: Option<&str>, url: &str| LinkTo { text: text.map(str::to_owned), url: url.to_owned() };
        assert_eq!(
            read,
            Details {
                alerts: 3,
                summary: Some("Replication lag".to_owned()),
                severity: Some(Severity::Critical),
                source: Some("db-7".to_owned()),
                facts: vec![Fact { name: "lag".to_owned(), value: "43".to_owned() }],
                more_facts: 0,
                links: vec![link(Some("Runbook"), "https://wiki.example/1")],
                images: vec![link(None, "https://graphs.example/1.png")],
                body: None,
                bridge: Some(Bridge {
                    url: Some("https://meet.example/1".to_owned()),
                    number: Some("4930123".to_owned())
                }),
                escalates_at: Some("2026-11-23T10:30:00Z".parse().unwrap()),
            }
        );
        assert_eq!(details(&json!({}), None), Details::default());
        let odd = json!({ "alert_counts": [], "pending_actions": "soon", "conference_bridge": {}, "body": "x", "first_trigger_log_entry": 7 });
        assert_eq!(details(&odd, Some(&json!("alert"))), Details { alerts: 1, ..Details::default() });
    }

    #[test]
    fn what_was_written_by_hand_is_read_wherever_it_stands() {
        let channel = |channel: Value| json!({ "first_trigger_log_entry": { "channel": channel } });
        let table = [
            (json!({ "body": { "type": "incident_body", "details": "All of them" } }), Some("All of them")),
            (channel(json!({ "type": "web_trigger", "summary": "s", "details": " two\nlines " })), Some("two\nlines")),
            (channel(json!({ "type": "api", "details": { "host": "db-7" } })), None),
            (channel(json!({ "type": "email", "body": "by mail" })), Some("by mail")),
            (json!({ "body": { "details": "  " } }), None),
        ];
        for (incident, expected) in table {
            assert_eq!(details(&incident, None).body.as_deref(), expected, "{incident}");
        }
    }

    #[test]
    fn details_of_any_shape_become_a_few_facts() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let nested = json!({ "host": { "name": "db-7", "disks": [{ "used": 0.9 }] }, "ok": false, "tags": ["a", 2], "none": null, "blank": " ", "list": [] });
        let expected = pairs(&[("host.disks.0.used", "0.9"), ("host.name", "db-7"), ("ok", "false"), ("tags", "a, 2")]);
        assert_eq!(facts(&nested), (expected, 0));
        assert_eq!(facts(&json!(7)), (pairs(&[("details", "7")]), 0));
        assert_eq!(facts(&json!("in words")), (Vec::new(), 0), "a text is no fact");
        let many: serde_json::Map<String, Value> = (0..20).map(|n| (format!("k{n:02}"), json!(n))).collect();
        let (kept, more) = facts(&many.into());
        assert_eq!((kept.len(), more), (8, 12));
        let mut deep = json!("bottom");
        for _ in 0..100 {
            deep = json!({ "d": deep });
        }
        assert_eq!(facts(&deep), (pairs(&[("d.d.d.d.d", "…")]), 0));
        let wide: Vec<Value> = (0..100_000).map(|n| json!({ "n": n })).collect();
        let (kept, more) = facts(&json!(wide));
        assert_eq!(kept.len(), 8);
        assert!(more < 1000, "{more}");
        let large = facts(&json!({ "x".repeat(1_000_000): "y".repeat(1_000_000) })).0.remove(0);
        assert_eq!((large.0.chars().count(), large.1.chars().count()), (100, 200));
    }
}
