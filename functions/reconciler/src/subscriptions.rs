//! Webhook subscriptions: each connected service has one that delivers here, and there are no others.

use std::collections::BTreeMap;

use domain::ids::{AccountId, ServiceId, SubscriptionId};
use incidents::Connected;
use jiff::Timestamp;
use pagerduty::rest::SubscriptionState;
use runtime::{App, Metric};
use setup::OwnSubscriptions;
use url::Url;

use crate::ReconcileError;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    /// PagerDuty has switched the service's subscription off; events are lost.
    Disabled(ServiceId),
    /// The service has connections and no subscription.
    Missing(ServiceId),
    /// The service's subscription delivers to an address that PagerBridge had before.
    Elsewhere(ServiceId, Url),
    /// Nobody needs the subscription.
    Orphan(ServiceId, SubscriptionId),
}

/// Puts right what is wrong, even if a part of it fails; gives the first failure.
pub(crate) async fn mend(
    app: &App,
    account: &AccountId,
    connected: &Connected,
    deadline: Timestamp,
) -> Result<(), ReconcileError> {
    // Ours first: what is made between the two reads is in PagerDuty's list, and found in use under its lock.
    let mut used = BTreeMap::new();
    for service in connected.services.keys() {
        let known = app.store.subscription_of_service(account, service).await?;
        used.extend(known.map(|known| (service.clone(), known.id)));
    }
    let own = setup::own_subscriptions(app, account).await?;
    let wrong = compare(&own, &used, connected.services.keys());
    let disabled = wrong.iter().filter(|one| matches!(one, Wrong::Disabled(_))).count();
    let mut mended = Mended { disabled, ..Mended::default() };
    let mut first = Ok(());
    for one in wrong {
        if app.clock.now() > deadline {
            break;
        }
        let done = match &one {
            Wrong::Disabled(service) | Wrong::Missing(service) => {
                tracing::error!(service.id = %service, what = one.name(), "webhook subscription does not deliver");
                setup::mend_subscription(app, account, service, None).await.map(|()| mended.reenabled += 1)
            }
            Wrong::Elsewhere(service, url) => {
                tracing::warn!(service.id = %service, host = url.host_str(), "webhook subscription delivers to an old address");
                setup::mend_subscription(app, account, service, Some(url)).await.map(|()| mended.reenabled += 1)
            }
            Wrong::Orphan(service, id) => {
                tracing::warn!(service.id = %service, subscription.id = %id, "webhook subscription that nobody needs");
                setup::remove_orphan(app, account, service, id).await.map(|done| mended.removed += usize::from(done))
            }
        };
        if let Err(error) = done {
            tracing::error!(error = runtime::chain(&error), what = one.name(), "webhook subscription not mended");
            first = first.and(Err(error.into()));
        }
    }
    mended.count(app);
    first
}

/// What is wrong. `own`: what PagerDuty knows of ours; `used`: which subscription each connected service uses.
fn compare<'c>(
    own: &OwnSubscriptions,
    used: &BTreeMap<ServiceId, SubscriptionId>,
    connected: impl IntoIterator<Item = &'c ServiceId>,
) -> Vec<Wrong> {
    let state = |id: &SubscriptionId| own.here.iter().find(|one| &one.id == id).map(|one| one.state);
    let elsewhere = |id: &SubscriptionId| own.elsewhere.iter().find(|one| &one.id == id).map(|one| one.url.clone());
    let services = connected.into_iter().filter_map(|service| {
        let used = used.get(service);
        if let Some(url) = used.and_then(elsewhere) {
            return Some(Wrong::Elsewhere(service.clone(), url));
        }
        match used.and_then(state) {
            Some(SubscriptionState::Active) => None,
            Some(SubscriptionState::Disabled) => Some(Wrong::Disabled(service.clone())),
            Some(SubscriptionState::Gone) | None => Some(Wrong::Missing(service.clone())),
        }
    });
    let orphans = own.here.iter().chain(&own.elsewhere).filter_map(|one| {
        // We make subscriptions of services only; another one was made by a person.
        let service = one.service.as_ref()?;
        (used.get(service) != Some(&one.id)).then(|| Wrong::Orphan(service.clone(), one.id.clone()))
    });
    services.chain(orphans).collect()
}

impl Wrong {
    fn name(&self) -> &'static str {
        match self {
            Self::Disabled(_) => "disabled",
            Self::Missing(_) => "missing",
            Self::Elsewhere(..) => "elsewhere",
            Self::Orphan(..) => "orphan",
        }
    }
}

#[derive(Debug, Default)]
struct Mended {
    disabled: usize,
    reenabled: usize,
    removed: usize,
}

impl Mended {
    fn count(&self, app: &App) {
        let figures = [
            Metric::SubscriptionsDisabled.times(self.disabled),
            Metric::SubscriptionsReenabled.times(self.reenabled),
            Metric::SubscriptionsRemoved.times(self.removed),
        ];
        app.metrics.emit(&figures, app.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pagerduty::rest::ListedSubscription;

    use super::*;

    fn service(id: &str) -> ServiceId {
        ServiceId::new(id).unwrap()
    }

    fn subscription(id: &str) -> SubscriptionId {
        SubscriptionId::new(id).unwrap()
    }

    fn listed(id: &str, of: Option<&str>, state: SubscriptionState) -> ListedSubscription {
        let url = Url::parse("https://bridge.example.com/webhooks/pagerduty").unwrap();
        ListedSubscription { id: subscription(id), service: of.map(service), url, state }
    }

    fn old() -> Url {
        Url::parse("https://old.example.com/webhooks/pagerduty").unwrap()
    }

    #[test]
    fn a_subscription_of_an_old_address_is_made_anew_or_goes() {
        let at_old = |id: &str, state| ListedSubscription { url: old(), ..listed(id, Some("S1"), state) };
        let (here, used) = (listed("P1", Some("S1"), SubscriptionState::Active), |id: &str| {
            BTreeMap::from([(service("S1"), subscription(id))])
        });
        let moved = vec![Wrong::Elsewhere(service("S1"), old())];
        for (name, own, uses, expected) in [
            ("in use", (vec![], vec![at_old("P0", SubscriptionState::Active)]), used("P0"), moved.clone()),
            ("disabled meanwhile", (vec![], vec![at_old("P0", SubscriptionState::Disabled)]), used("P0"), moved),
            (
                "left over",
                (vec![here], vec![at_old("P0", SubscriptionState::Active)]),
                used("P1"),
                vec![Wrong::Orphan(service("S1"), subscription("P0"))],
            ),
        ] {
            let own = OwnSubscriptions { here: own.0, elsewhere: own.1 };
            assert_eq!(compare(&own, &uses, &BTreeSet::from([service("S1")])), expected, "{name}");
        }
    }

    #[test]
    fn each_connected_service_has_one_that_delivers_and_there_are_no_others() {
        use SubscriptionState::{Active, Disabled};
        let used = |pairs: &[(&str, &str)]| pairs.iter().map(|(s, p)| (service(s), subscription(p))).collect();
        let connected = |ids: &[&str]| ids.iter().map(|id| service(id)).collect::<BTreeSet<_>>();
        for (name, lists, uses, connects, expected) in [
            ("in order", vec![listed("P1", Some("S1"), Active)], used(&[("S1", "P1")]), connected(&["S1"]), vec![]),
            (
                "disabled",
                vec![listed("P1", Some("S1"), Disabled)],
                used(&[("S1", "P1")]),
                connected(&["S1"]),
                vec![Wrong::Disabled(service("S1"))],
            ),
            ("deleted there", vec![], used(&[("S1", "P1")]), connected(&["S1"]), vec![Wrong::Missing(service("S1"))]),
            ("never stored", vec![], used(&[]), connected(&["S1"]), vec![Wrong::Missing(service("S1"))]),
            (
                "a second one",
                vec![listed("P1", Some("S1"), Active), listed("P2", Some("S1"), Active)],
                used(&[("S1", "P1")]),
                connected(&["S1"]),
                vec![Wrong::Orphan(service("S1"), subscription("P2"))],
            ),
            (
                "of a service without connections",
                vec![listed("P1", Some("S1"), Active)],
                used(&[]),
                connected(&[]),
                vec![Wrong::Orphan(service("S1"), subscription("P1"))],
            ),
            ("somebody else's of the account", vec![listed("P1", None, Active)], used(&[]), connected(&[]), vec![]),
        ] {
            let own = OwnSubscriptions { here: lists, ..OwnSubscriptions::default() };
            assert_eq!(compare(&own, &uses, &connects), expected, "{name}");
        }
    }
}
