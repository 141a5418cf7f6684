//! Subscriptions as their owner sees them on PagerDuty's pages, and what only those pages can do.

use super::PagerDuty;
use super::model::{Scope, Subscription};

impl PagerDuty {
    /// The ids of the subscriptions that listen to one service.
    #[must_use]
    pub fn subscriptions_of(&self, service: &str) -> Vec<String> {
        let of_service = |known: &&Subscription| known.scope == Scope::Service(service.to_owned());
        self.lock().subscriptions.iter().filter(of_service).map(|known| known.id.clone()).collect()
    }

    /// What a subscription signs with.
    #[must_use]
    pub fn secret_of(&self, subscription: &str) -> Option<String> {
        let state = self.lock();
        state.subscriptions.iter().find(|known| known.id == subscription)?.secrets.first().cloned()
    }

    /// Begins to replace the secret: from now on every delivery is signed with this one as well.
    pub fn sign_also_with(&self, subscription: &str, secret: &str) {
        self.with_subscription("sign_also_with", subscription, |known| known.secrets.push(secret.to_owned()));
    }

    /// Ends the replacement: only this secret signs.
    pub fn sign_only_with(&self, subscription: &str, secret: &str) {
        self.with_subscription("sign_only_with", subscription, |known| known.secrets = vec![secret.to_owned()]);
    }

    /// Whether a subscription is disabled after three dropped deliveries.
    #[must_use]
    pub fn is_disabled(&self, subscription: &str) -> bool {
        let state = self.lock();
        let now = state.passing.now;
        state.subscriptions.iter().any(|known| known.id == subscription && known.is_disabled(now))
    }

    /// Switches a subscription off for a day, as three dropped deliveries do.
    pub fn disable(&self, subscription: &str) {
        let until = self.lock().passing.now + jiff::SignedDuration::from_hours(24);
        self.with_subscription("disable", subscription, |known| known.disabled_until = Some(until));
    }

    /// From now on nobody sees the incident: it is in no list, and not found by its id.
    pub fn hide(&self, incident: &str) {
        self.act("hide", |state| {
            let known = state.incidents.iter().position(|known| known.id == incident);
            state.incidents.remove(known.ok_or_else(|| incident.to_owned())?);
            Ok(String::new())
        });
    }

    fn with_subscription(&self, what: &str, subscription: &str, change: impl FnOnce(&mut Subscription)) {
        self.act(what, |state| {
            change(state.subscription_mut(subscription).ok_or_else(|| subscription.to_owned())?);
            Ok(String::new())
        });
    }
}
