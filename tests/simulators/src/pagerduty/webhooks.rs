//! V3 webhooks: queued per subscription, delivered in order per incident, retried for two days, and given up for good
//! after a 4xx. Three events given up in a row disable the subscription for a day.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PagerDuty;
use super::model::{Agent, Subscription};
use super::payload;

const TIMEOUT: Duration = Duration::from_secs(5);
const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(48);
const DISABLED_FOR: SignedDuration = SignedDuration::from_hours(24);
const DROPS_THAT_DISABLE: u32 = 3;

/// A webhook that waits for its next attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    pub(super) webhook_id: String,
    pub(super) subscription: String,
    /// What keeps its place in the order: one incident's events wait for each other.
    pub(super) resource: String,
    pub(super) body: String,
    pub(super) created_at: Timestamp,
    pub(super) due: Timestamp,
    pub(super) attempts: u32,
}

impl Pending {
    /// What will be sent.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Delivered,
    /// No answer, 5xx or 429: it will be tried again.
    Retry,
    /// A 4xx, or two days are over.
    Dropped,
}

/// One attempt to deliver.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Same on every attempt.
    pub webhook_id: String,
    /// The subscription.
    pub subscription: String,
    /// The event's type.
    pub event_type: String,
    /// The HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    /// What became of it.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
}

pub(super) fn client() -> reqwest::Client {
    #[expect(clippy::expect_used, reason = "a simulator that cannot send is of no use")]
    crate::http::client().expect("an HTTP client")
}

/// 10 s, 20 s, 40 s … up to an hour. PagerDuty does not document its pace.
fn backoff(attempts: u32) -> SignedDuration {
    SignedDuration::from_secs(10_i64 << attempts.min(9)).min(SignedDuration::from_hours(1))
}

impl PagerDuty {
    /// Queues an event for every subscription that wants it. `data`: `None` for the whole incident.
    pub(super) fn announce(&self, incident: &str, event_type: &str, agent: &Agent, at: Timestamp, data: Option<Value>) {
        let base = self.base();
        // Event times are made distinct, so they may be a little ahead of the clock; the webhook is due at once.
        let due = self.now();
        let mut state = self.state();
        let Some(known) = state.incident(incident).cloned() else { return };
        let data = data.unwrap_or_else(|| state.webhook_incident(&base, &known));
        let event = json!({ "event": {
            "id": event_id(at, state.next_id),
            "event_type": event_type,
            "resource_type": "incident",
            "occurred_at": payload::millis(at),
            "agent": state.agent(&base, agent, &known.service),
            "client": null,
            "data": data,
        }});
        let wanting: Vec<String> = state
            .subscriptions
            .iter()
            .filter(|subscription| wants(subscription, event_type, &known.service))
            .map(|subscription| subscription.id.clone())
            .collect();
        for subscription in wanting {
            let webhook_id = uuid_like(state.next_id);
            state.next_id += 1;
            state.pending.push_back(Pending {
                webhook_id,
                subscription,
                resource: incident.to_owned(),
                body: event.to_string(),
                created_at: at,
                due,
                attempts: 0,
            });
        }
    }

    pub(super) fn queue_ping(&self, subscription: &str) {
        let now = self.now();
        let mut state = self.state();
        let body = json!({ "event": {
            "id": event_id(now, state.next_id), "event_type": "pagey.ping", "resource_type": "pagey",
            "occurred_at": payload::millis(now), "agent": null, "client": null,
            "data": { "message": "Hello from your friend Pagey!", "type": "ping" },
        }});
        state.next_id += 1;
        let webhook_id = uuid_like(state.next_id);
        state.pending.push_back(Pending {
            webhook_id,
            subscription: subscription.to_owned(),
            resource: "ping".to_owned(),
            body: body.to_string(),
            created_at: now,
            due: now,
            attempts: 0,
        });
    }

    /// Attempts every webhook that is due, once, in order. Returns how many attempts were made.
    pub async fn deliver(&self) -> usize {
        let mut attempts = 0;
        let mut blocked: BTreeSet<(String, String)> = BTreeSet::new();
        let due: Vec<String> = self.due();
        for webhook_id in due {
            let Some(pending) = self.pending(&webhook_id) else { continue };
            let place = (pending.subscription.clone(), pending.resource.clone());
            if blocked.contains(&place) {
                continue;
            }
            attempts += 1;
            if self.attempt(pending).await == Outcome::Retry {
                blocked.insert(place);
            }
        }
        attempts
    }

    /// When the next attempt is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let state = self.state();
        let mut heads: BTreeSet<(&str, &str)> = BTreeSet::new();
        state.pending.iter().filter(|p| heads.insert((&p.subscription, &p.resource))).map(|p| p.due).min()
    }

    /// Sends the next `times` deliveries twice, as PagerDuty may.
    pub fn duplicate_next_delivery(&self, times: usize) {
        self.passing().duplicates += times;
    }

    /// How many webhooks have not been delivered yet.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.state().pending.len()
    }

    /// Takes every undelivered webhook out of the queue, for a test that delivers them in an order of its own.
    #[must_use]
    pub fn take_pending(&self) -> Vec<Pending> {
        self.state().pending.drain(..).collect()
    }

    /// Delivers a webhook that was taken, at once.
    pub async fn deliver_this(&self, pending: Pending) -> Outcome {
        self.attempt(pending).await
    }

    /// Every attempt so far.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.passing().deliveries.clone()
    }

    fn due(&self) -> Vec<String> {
        let now = self.now();
        let state = self.state();
        let mut waiting: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut due = Vec::new();
        for pending in &state.pending {
            let place = (pending.subscription.as_str(), pending.resource.as_str());
            if pending.due > now {
                waiting.insert(place);
            } else if !waiting.contains(&place) {
                due.push(pending.webhook_id.clone());
            }
        }
        due
    }

    fn pending(&self, webhook_id: &str) -> Option<Pending> {
        self.state().pending.iter().find(|pending| pending.webhook_id == webhook_id).cloned()
    }

    async fn attempt(&self, pending: Pending) -> Outcome {
        let Some(subscription) = self.subscription(&pending.subscription) else {
            self.forget(&pending);
            return Outcome::Dropped;
        };
        let mut status = self.send(&subscription, &pending).await;
        let twice = {
            let mut passing = self.passing();
            let twice = passing.duplicates > 0;
            passing.duplicates = passing.duplicates.saturating_sub(1);
            twice
        };
        if twice {
            status = self.send(&subscription, &pending).await;
        }
        let now = self.now();
        let too_old = now.duration_since(pending.created_at) >= GIVE_UP_AFTER;
        let outcome = match status {
            Some(200..=299) => Outcome::Delivered,
            Some(code) if (400..500).contains(&code) && code != 429 => Outcome::Dropped,
            _ if too_old => Outcome::Dropped,
            _ => Outcome::Retry,
        };
        self.settle(&pending, outcome, now);
        self.passing().deliveries.push(Delivery {
            webhook_id: pending.webhook_id,
            subscription: pending.subscription,
            event_type: event_type(&pending.body),
            status,
            outcome,
            at: now,
        });
        outcome
    }

    async fn send(&self, subscription: &Subscription, pending: &Pending) -> Option<u16> {
        let signature: Vec<String> =
            subscription.secrets.iter().map(|secret| sign(secret, pending.body.as_bytes())).collect();
        let mut request = self
            .inner
            .http
            .post(&subscription.url)
            .timeout(TIMEOUT)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .header("User-Agent", "PagerDuty-Webhook/V3.0")
            .header("X-PagerDuty-Signature", signature.join(","))
            .header("X-Webhook-Id", &pending.webhook_id)
            .header("X-Webhook-Subscription", &subscription.id);
        for (name, value) in &subscription.custom_headers {
            request = request.header(name, value);
        }
        request.body(pending.body.clone()).send().await.ok().map(|answer| answer.status().as_u16())
    }

    fn settle(&self, pending: &Pending, outcome: Outcome, now: Timestamp) {
        if outcome == Outcome::Retry {
            let mut state = self.state();
            if let Some(known) = state.pending.iter_mut().find(|known| known.webhook_id == pending.webhook_id) {
                known.due = now + backoff(known.attempts);
                known.attempts += 1;
            }
            return;
        }
        self.forget(pending);
        let mut state = self.state();
        let Some(subscription) = state.subscriptions.iter_mut().find(|known| known.id == pending.subscription) else {
            return;
        };
        if outcome == Outcome::Delivered {
            subscription.drops_in_a_row = 0;
            return;
        }
        subscription.drops_in_a_row += 1;
        if subscription.drops_in_a_row >= DROPS_THAT_DISABLE {
            subscription.disabled_until = Some(now + DISABLED_FOR);
            state.pending.retain(|known| known.subscription != pending.subscription);
        }
    }

    fn forget(&self, pending: &Pending) {
        self.state().pending.retain(|known| known.webhook_id != pending.webhook_id);
    }

    /// The subscription, if it delivers at present; a disabling that is over ends here.
    fn subscription(&self, id: &str) -> Option<Subscription> {
        let now = self.now();
        let mut state = self.state();
        let known = state.subscriptions.iter_mut().find(|known| known.id == id)?;
        if known.disabled_until.is_some_and(|until| until <= now) {
            known.disabled_until = None;
            known.drops_in_a_row = 0;
        }
        (known.active && known.disabled_until.is_none()).then(|| known.clone())
    }
}

/// A disabled subscription loses what happens meanwhile.
fn wants(subscription: &Subscription, event_type: &str, service: &str) -> bool {
    let covers = match subscription.filter_type.as_str() {
        "account_reference" => true,
        _ => subscription.filter_id.as_deref() == Some(service),
    };
    covers && subscription.active && subscription.disabled_until.is_none() && subscription.events.contains(event_type)
}

fn event_type(body: &str) -> String {
    let event: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    event.pointer("/event/event_type").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let hex: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

/// Sorts by time, as ULIDs do.
fn event_id(at: Timestamp, count: u64) -> String {
    format!("01{:013X}{count:011X}", at.as_millisecond())
}

fn uuid_like(count: u64) -> String {
    format!("5f0c4e1a-0000-4000-8000-{count:012x}")
}
