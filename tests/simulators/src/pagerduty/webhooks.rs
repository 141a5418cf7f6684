//! The queue of V3 webhooks: which subscription gets what, in which order, and what follows from an answer (webhook docs,
//! "Behavior"). Sending itself is in [`super::delivery`].

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::events::{Data, data_of};
use super::model::{Agent, Scope, State, Subscription};
use super::references::millis;

pub(super) const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(48);
const DISABLED_FOR: SignedDuration = SignedDuration::from_hours(24);
const DROPS_THAT_DISABLE: u32 = 3;
/// Larger events are never delivered.
const MOST_BYTES: usize = 256 * 1024;

/// A webhook that waits for its next attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    pub(super) webhook_id: String,
    pub(super) subscription: String,
    pub(super) event_type: String,
    /// What keeps its place in the order: one incident's events wait for each other.
    pub(super) resource: String,
    pub(super) body: String,
    pub(super) created_at: Timestamp,
    pub(super) due: Timestamp,
    pub(super) attempts: u32,
}

impl Pending {
    /// Same on every attempt (`X-Webhook-Id`).
    #[must_use]
    pub fn webhook_id(&self) -> &str {
        &self.webhook_id
    }

    /// The event's type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The body as it will be sent, byte for byte.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    pub(super) fn place(&self) -> (String, String) {
        (self.subscription.clone(), self.resource.clone())
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Delivered,
    /// No answer, 5xx or 429: it will be tried again.
    Retry,
    /// Any other answer, two days are over, or the event is too large: it is lost.
    Dropped,
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// 10 s, 20 s, 40 s … up to an hour. PagerDuty does not document its pace.
fn backoff(attempts: u32) -> SignedDuration {
    SignedDuration::from_secs(10_i64 << attempts.min(9)).min(SignedDuration::from_hours(1))
}

/// What happened, before anybody is told.
pub(super) struct Happening<'a> {
    pub(super) event_type: &'a str,
    pub(super) agent: &'a Agent,
    pub(super) at: Timestamp,
    pub(super) client: Value,
    pub(super) data: Value,
}

impl State {
    /// Queues an event that carries the whole incident.
    pub(super) fn announce(&mut self, incident: &str, event_type: &str, agent: &Agent, at: Timestamp) {
        let Some(known) = self.incident(incident) else { return };
        let data = self.incident_data(known);
        self.announce_with(incident, &Happening { event_type, agent, at, client: Value::Null, data });
    }

    /// Queues any event about an incident.
    pub(super) fn announce_with(&mut self, incident: &str, happening: &Happening<'_>) {
        let Some((id, service)) = self.incident(incident).map(|known| (known.id.clone(), known.service.clone())) else {
            return;
        };
        let resource = if happening.event_type.starts_with("service.") { service.clone() } else { id };
        self.queue(&resource, &service, happening);
    }

    /// Queues an event about a service itself.
    pub(super) fn announce_service(&mut self, service: &str, event_type: &str, agent: &Agent) {
        let (at, data) = (self.tick(), self.service_data(service));
        let happening = Happening { event_type, agent, at, client: Value::Null, data };
        self.queue(service, service, &happening);
    }

    fn queue(&mut self, resource: &str, service: &str, happening: &Happening<'_>) {
        let Happening { event_type, agent, at, client, data } = happening;
        let wanting: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|subscription| self.wants(subscription, event_type, service))
            .map(|subscription| subscription.id.clone())
            .collect();
        // The same event goes to every subscription, each time as a webhook of its own.
        let id = match data_of(event_type) {
            Some(Data::WorkflowInstance) => self.ids.decimal(*at),
            _ => self.ids.ulid(*at),
        };
        let resource_type = event_type.split('.').next().unwrap_or_default();
        let event = json!({ "event": {
            "id": id,
            "event_type": event_type,
            "resource_type": resource_type,
            "occurred_at": millis(*at),
            "agent": self.agent_in_webhook(agent, service),
            "client": client,
            "data": data,
        }});
        for subscription in wanting {
            self.push(&subscription, event_type, resource, event.to_string(), *at);
        }
    }

    pub(super) fn queue_ping(&mut self, subscription: &str, agent: &Value) {
        let at = self.tick();
        let event = json!({ "event": {
            "id": self.ids.ulid(at), "event_type": "pagey.ping", "resource_type": "pagey", "occurred_at": millis(at),
            "agent": agent, "client": null,
            "data": { "message": "Hello from your friend Pagey!", "type": "ping" },
        }});
        self.push(subscription, "pagey.ping", "pagey", event.to_string(), at);
    }

    fn push(&mut self, subscription: &str, event_type: &str, resource: &str, body: String, created_at: Timestamp) {
        // Event times are made distinct, so they may be a little ahead of the clock; the webhook is due at once.
        let now = self.passing.now;
        let webhook_id = self.ids.uuid();
        let (subscription, event_type) = (subscription.to_owned(), event_type.to_owned());
        if body.len() > MOST_BYTES {
            let outcome = Outcome::Dropped;
            let lost = Delivery { webhook_id, subscription, event_type, status: None, outcome, at: now };
            self.passing.deliveries.push(lost);
            return;
        }
        let resource = resource.to_owned();
        let due = now;
        self.pending.push_back(Pending {
            webhook_id,
            subscription,
            event_type,
            resource,
            body,
            created_at,
            due,
            attempts: 0,
        });
    }

    /// An inactive or disabled subscription loses what happens meanwhile. An event type that is not documented goes to
    /// everybody: it is there to try what a client makes of it.
    fn wants(&self, subscription: &Subscription, event_type: &str, service: &str) -> bool {
        let covers = match &subscription.scope {
            Scope::Account => true,
            Scope::Service(id) => id == service,
            Scope::Team(id) => self.teams_of(service).contains(id),
        };
        let listens = subscription.events.contains(event_type) || data_of(event_type).is_none();
        covers && listens && subscription.active && !subscription.is_disabled(self.passing.now)
    }

    /// The webhooks that may be attempted now, in order: due, and not behind one that is not.
    pub(super) fn due(&self) -> impl Iterator<Item = &Pending> {
        let mut waiting = self.passing.on_the_way.clone();
        self.pending.iter().filter(move |pending| {
            let is_free = !waiting.contains(&pending.place());
            let is_due = pending.due <= self.passing.now;
            if is_free && !is_due {
                waiting.insert(pending.place());
            }
            is_free && is_due
        })
    }

    pub(super) fn still_due(&self, webhook_id: &str) -> Option<Pending> {
        let known = self.pending.iter().find(|known| known.webhook_id == webhook_id)?;
        (known.due <= self.passing.now).then(|| known.clone())
    }

    /// When the first webhook that is not behind another becomes due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let mut seen = BTreeSet::new();
        self.pending.iter().filter(|pending| seen.insert(pending.place())).map(|pending| pending.due).min()
    }

    /// Where a webhook goes; `None` if its subscription is gone, inactive or disabled.
    pub(super) fn target_of(&self, pending: &Pending) -> Option<Subscription> {
        let known = self.subscriptions.iter().find(|known| known.id == pending.subscription)?;
        (known.active && !known.is_disabled(self.passing.now)).then(|| known.clone())
    }

    /// What an answer means for a webhook. Redirects are not documented; taking them for a refusal is the harsher reading.
    pub(super) fn outcome(&self, pending: &Pending, status: Option<u16>) -> Outcome {
        let too_old = self.passing.now.duration_since(pending.created_at) >= GIVE_UP_AFTER;
        match status {
            Some(200..=299) => Outcome::Delivered,
            None | Some(429 | 500..) if !too_old => Outcome::Retry,
            _ => Outcome::Dropped,
        }
    }

    /// Puts the webhook back or takes it out, and counts what was dropped.
    pub(super) fn settle(&mut self, pending: &Pending, outcome: Outcome) {
        let now = self.passing.now;
        if outcome == Outcome::Retry {
            let known = self.pending.iter_mut().find(|known| known.webhook_id == pending.webhook_id);
            if let Some(known) = known {
                let last = known.created_at + GIVE_UP_AFTER;
                known.due = (now + backoff(known.attempts)).min(last.max(now));
                known.attempts += 1;
            }
            return;
        }
        self.pending.retain(|known| known.webhook_id != pending.webhook_id);
        let Some(subscription) = self.subscription_mut(&pending.subscription) else { return };
        if outcome == Outcome::Delivered {
            subscription.drops_in_a_row = 0;
            return;
        }
        subscription.drops_in_a_row += 1;
        if subscription.drops_in_a_row >= DROPS_THAT_DISABLE {
            subscription.drops_in_a_row = 0;
            subscription.disabled_until = Some(now + DISABLED_FOR);
            self.pending.retain(|known| known.subscription != pending.subscription);
        }
    }
}
