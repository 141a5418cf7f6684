//! Webhook subscriptions: each connected service has one that delivers here, and there are no others.

use std::collections::{BTreeMap, BTreeSet};

use domain::healing::Ended;
use domain::ids::{AccountId, ServiceId, SubscriptionId};
use incidents::Connected;
use jiff::Timestamp;
use pagerduty::rest::{ListedSubscription, SubscriptionState};
use runtime::{App, Metric};
use setup::{OwnSubscriptions, Seen, SetupError};
use store::Subscription;
use url::Url;

use crate::tidying::is_gone;
use crate::{ReconcileError, Run};

/// Requests that the subscriptions leave for the incidents.
const KEPT: usize = 50;

/// So many that can never be mended may come before others in one minute, and not in the next.
const TURN: usize = 11;

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

/// Looks at what PagerDuty lists, and puts right what is wrong, one after another. In a full round subscriptions that nobody needs go
/// as well. Gives how many were switched on or made.
///
/// # Errors
/// The first failure of which it is not known that it was the moment's alone: that service's events are lost.
pub(crate) async fn mend(
    run: &mut Run<'_>,
    connected: &Connected,
    is_full: bool,
) -> Result<(Ended, usize), ReconcileError> {
    let (app, account) = (run.app, run.account);
    // Ours first: what is made between the two reads is in PagerDuty's list, and found in use under its lock.
    let known = app.store.subscriptions_of_account(account).await?;
    let own = setup::own_subscriptions(app, account).await?;
    run.rate.spend(own.asked);
    run.report.skipped += own.skipped;
    let in_order = in_order(&own, &known);
    let alive = connected.services.iter().filter(|(_, connections)| !is_gone(connections)).map(|(service, _)| service);
    let doubtful: BTreeSet<&ServiceId> = alive.filter(|service| !in_order.contains(service)).collect();
    let mut used = BTreeMap::new();
    for service in &doubtful {
        let subscription = app.store.subscription_of_service(account, service).await?;
        used.extend(subscription.map(|known| ((*service).clone(), known.id)));
    }
    let others = |one: &ListedSubscription| {
        let service = one.service.as_ref();
        service.is_some_and(|id| doubtful.contains(id) || !connected.services.contains_key(id))
    };
    let own = OwnSubscriptions {
        here: own.here.into_iter().filter(others).collect(),
        elsewhere: own.elsewhere.into_iter().filter(others).collect(),
        ..own
    };
    let mut wrong = compare(&own, &used, doubtful.iter().copied());
    wrong.retain(|one| is_full || !matches!(one, Wrong::Orphan(..)));
    in_turns(&mut wrong, app.clock.now());
    let disabled = wrong.iter().filter(|one| matches!(one, Wrong::Disabled(_))).count();
    let mut mended = Mended { disabled, ..Mended::default() };
    let (mut ended, mut first) = (Ended::Well, None);
    for one in wrong {
        // The newest incidents are looked at in any case.
        if !run.has_time() || run.rate.left() < KEPT + one.calls() {
            tracing::info!("the next run goes on with the subscriptions");
            ended = Ended::Partly;
            break;
        }
        run.rate.spend(one.calls());
        match Box::pin(mend_one(app, account, &one, &mut mended)).await {
            Ok(()) => {}
            Err(SetupError::Busy) => ended = Ended::Partly,
            Err(error) if is_deleted(run, connected, &one, &error).await => run.report.skipped += 1,
            Err(error) => {
                tracing::error!(error = runtime::chain(&error), what = one.name(), "webhook subscription not mended");
                first = first.or(Some(error));
            }
        }
    }
    mended.count(app);
    first.map_or(Ok((ended, mended.reenabled)), |error| Err(error.into()))
}

async fn mend_one(app: &App, account: &AccountId, one: &Wrong, mended: &mut Mended) -> Result<(), SetupError> {
    match one {
        Wrong::Disabled(service) | Wrong::Missing(service) => {
            tracing::error!(service.id = %service, what = one.name(), "webhook subscription does not deliver");
            let seen = matches!(one, Wrong::Disabled(_)).then_some(Seen::Disabled);
            mended.reenabled += usize::from(setup::mend_subscription(app, account, service, seen).await?);
        }
        Wrong::Elsewhere(service, url) => {
            tracing::warn!(service.id = %service, host = url.host_str(), "webhook subscription delivers to an old address");
            let seen = Some(Seen::Elsewhere(url.clone()));
            mended.reenabled += usize::from(setup::mend_subscription(app, account, service, seen).await?);
        }
        Wrong::Orphan(service, id) => {
            tracing::warn!(service.id = %service, subscription.id = %id, "webhook subscription that nobody needs");
            mended.removed += usize::from(setup::remove_orphan(app, account, service, id).await?);
        }
    }
    Ok(())
}

/// Whether a subscription could not be made since PagerDuty has deleted its service: its connections say so from now on, where people
/// look for the reason that nothing arrives. PagerDuty's webhook of it may have been lost.
async fn is_deleted(run: &mut Run<'_>, connected: &Connected, one: &Wrong, error: &SetupError) -> bool {
    let (app, service) = match one {
        Wrong::Missing(service) | Wrong::Disabled(service) if !error.class().may_pass() => (run.app, service),
        _ => return false,
    };
    run.rate.spend(1);
    let found = app.as_app().call(async |api, auth| api.service(auth, service).await).await;
    if !found.is_err_and(|error| error.is_not_found()) {
        return false;
    }
    tracing::warn!(service.id = %service, "service was deleted in PagerDuty");
    for connection in connected.services.get(service).into_iter().flatten() {
        if let Err(error) = app.store.mark_service_gone(connection, app.clock.now()).await {
            tracing::error!(service.id = %service, error = runtime::chain(&error), "deleted service not noted");
        }
    }
    true
}

/// Those first that are switched on by one request. Of the others another one is the first in each minute: what can never be mended keeps
/// none from its turn.
fn in_turns(wrong: &mut Vec<Wrong>, now: Timestamp) {
    let (mut first, mut others): (Vec<Wrong>, Vec<Wrong>) =
        std::mem::take(wrong).into_iter().partition(|one| matches!(one, Wrong::Disabled(_)));
    let minute = usize::try_from(now.as_second().div_euclid(60)).unwrap_or_default();
    if !others.is_empty() {
        let by = minute.wrapping_mul(TURN) % others.len();
        others.rotate_left(by);
    }
    first.append(&mut others);
    *wrong = first;
}

/// The services of which the lists show by themselves that each has one subscription of ours, which delivers here.
fn in_order(own: &OwnSubscriptions, known: &[Subscription]) -> BTreeSet<ServiceId> {
    let known: BTreeSet<(&ServiceId, &SubscriptionId)> = known.iter().map(|one| (&one.service, &one.id)).collect();
    let elsewhere: BTreeSet<&ServiceId> = own.elsewhere.iter().filter_map(|one| one.service.as_ref()).collect();
    let mut here: BTreeMap<&ServiceId, Vec<&ListedSubscription>> = BTreeMap::new();
    for one in &own.here {
        if let Some(service) = &one.service {
            here.entry(service).or_default().push(one);
        }
    }
    let is_in_order = |service: &ServiceId, listed: &[&ListedSubscription]| match listed {
        [one] => one.state == SubscriptionState::Active && known.contains(&(service, &one.id)),
        _ => false,
    };
    let in_order = here.into_iter().filter(|(service, listed)| is_in_order(service, listed));
    in_order.map(|(service, _)| service).filter(|service| !elsewhere.contains(service)).cloned().collect()
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
    /// How many requests it takes at most.
    fn calls(&self) -> usize {
        match self {
            Self::Disabled(_) | Self::Orphan(..) => 1,
            Self::Missing(_) | Self::Elsewhere(..) => 4,
        }
    }

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
    fn what_can_never_be_mended_keeps_none_from_its_turn() {
        let missing: Vec<Wrong> = (0..40).map(|number| Wrong::Missing(service(&format!("S{number:02}")))).collect();
        let disabled = Wrong::Disabled(service("S99"));
        let mut tried = BTreeSet::new();
        for minute in 0..10 {
            let mut wrong = missing.clone();
            wrong.push(disabled.clone());
            in_turns(&mut wrong, Timestamp::from_second(60 * minute).unwrap());
            assert_eq!((wrong.len(), &wrong[0]), (41, &disabled));
            tried.extend(wrong[1..12].iter().map(|one| format!("{one:?}")));
        }
        assert_eq!(tried.len(), 40);
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
            let own = OwnSubscriptions { here: own.0, elsewhere: own.1, ..OwnSubscriptions::default() };
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
