//! Sending webhooks: headers, signature, the five seconds, and one attempt at a time per subscription and incident.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use jiff::Timestamp;
use tower_service::Service as _;

use super::PagerDuty;
use super::model::Subscription;
use super::webhooks::{Delivery, Outcome, Pending};

/// Webhook docs, "Behavior".
const TIMEOUT: Duration = Duration::from_secs(5);

impl PagerDuty {
    /// Attempts every webhook that is due, once, in order. Returns how many attempts were made.
    pub async fn deliver(&self) -> usize {
        let mut attempts = 0;
        let mut blocked = BTreeSet::new();
        let due: Vec<String> = self.lock().due().map(|pending| pending.webhook_id.clone()).collect();
        for webhook_id in due {
            let Some(pending) = self.lock().still_due(&webhook_id) else { continue };
            let place = pending.place();
            // A second `deliver` may be at it; what comes later must not overtake.
            let turn = if blocked.contains(&place) { None } else { Turn::take(self, &pending) };
            if turn.is_none() {
                blocked.insert(place);
                continue;
            }
            attempts += 1;
            if self.attempt(pending).await == Outcome::Retry {
                blocked.insert(place);
            }
        }
        attempts
    }

    /// Attempts the first webhook that is due and that no other call is at, as one of several senders; `None` if there is none. Until
    /// the answer is dropped or awaited, nothing overtakes it.
    pub fn deliver_one(&self) -> Option<impl Future<Output = Outcome> + Send + use<>> {
        let pending = self.lock().due().next().cloned()?;
        let turn = Turn::take(self, &pending)?;
        Some(async move {
            let outcome = turn.pagerduty.attempt(pending).await;
            drop(turn);
            outcome
        })
    }

    /// When the next attempt is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().next_due()
    }

    /// Sends the next `times` deliveries twice, as PagerDuty may.
    pub fn duplicate_next_delivery(&self, times: usize) {
        self.lock().passing.duplicates += times;
    }

    /// How many webhooks have not been delivered yet.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.lock().pending.len()
    }

    /// Takes every undelivered webhook out of the queue, for a test that delivers them in an order of its own.
    #[must_use]
    pub fn take_pending(&self) -> Vec<Pending> {
        self.lock().pending.drain(..).collect()
    }

    /// Delivers a webhook that was taken, at once. It does not come back into the queue, whatever the answer.
    pub async fn deliver_this(&self, pending: Pending) -> Outcome {
        self.attempt(pending).await
    }

    /// Every attempt so far.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().passing.deliveries.clone()
    }

    async fn attempt(&self, pending: Pending) -> Outcome {
        let (subscription, twice) = {
            let mut state = self.lock();
            let Some(subscription) = state.target_of(&pending) else {
                state.pending.retain(|known| known.webhook_id != pending.webhook_id);
                return Outcome::Dropped;
            };
            let twice = state.passing.duplicates > 0;
            state.passing.duplicates = state.passing.duplicates.saturating_sub(1);
            (subscription, twice)
        };
        let status = self.send(&subscription, &pending).await;
        let outcome = {
            let mut state = self.lock();
            let outcome = state.outcome(&pending, status);
            state.settle(&pending, outcome);
            let at = state.passing.now;
            state.passing.deliveries.push(report(&pending, status, outcome, at));
            outcome
        };
        if twice {
            let status = self.send(&subscription, &pending).await;
            let mut state = self.lock();
            let at = state.passing.now;
            state.passing.deliveries.push(report(&pending, status, outcome, at));
        }
        outcome
    }

    async fn send(&self, subscription: &Subscription, pending: &Pending) -> Option<u16> {
        let signatures: Vec<String> =
            subscription.secrets.iter().map(|secret| sign(secret, pending.body.as_bytes())).collect();
        let mut request = self
            .inner
            .http
            .post(&subscription.url)
            .timeout(TIMEOUT)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .header("User-Agent", "PagerDuty-Webhook/V3.0")
            .header("X-PagerDuty-Signature", signatures.join(","))
            .header("X-Webhook-Id", &pending.webhook_id)
            .header("X-Webhook-Subscription", &subscription.id);
        for (name, value) in &subscription.custom_headers {
            request = request.header(name, value);
        }
        let request = request.body(pending.body.clone());
        let receiver = self.inner.receiver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match receiver {
            None => request.send().await.ok().map(|answer| answer.status().as_u16()),
            Some(mut receiver) => {
                let request = axum::http::Request::<reqwest::Body>::try_from(request.build().ok()?).ok()?;
                let answer = tokio::time::timeout(TIMEOUT, receiver.call(request.map(Body::new))).await.ok()?;
                answer.ok().map(|answer| answer.status().as_u16())
            }
        }
    }
}

/// Keeps a second `deliver` away from the same subscription and resource, until it is dropped.
struct Turn {
    pagerduty: PagerDuty,
    place: (String, String),
}

impl Turn {
    fn take(pagerduty: &PagerDuty, pending: &Pending) -> Option<Self> {
        let place = pending.place();
        let is_free = pagerduty.lock().passing.on_the_way.insert(place.clone());
        is_free.then(|| Self { pagerduty: pagerduty.clone(), place })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pagerduty.lock().passing.on_the_way.remove(&self.place);
    }
}

fn report(pending: &Pending, status: Option<u16>, outcome: Outcome, at: Timestamp) -> Delivery {
    Delivery {
        webhook_id: pending.webhook_id.clone(),
        subscription: pending.subscription.clone(),
        event_type: pending.event_type.clone(),
        status,
        outcome,
        at,
    }
}

/// Webhook docs, "Signatures": the secret as it is, the body as it is, lower-case hex.
fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let hex: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_lower_case_hmac_sha256() {
        // RFC 4231, test case 2.
        let expected = "v1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), expected);
    }
}
