//! Each kind of fault rings the alarm that is meant for it, within two minutes of its first effect, and no other.

mod ours;
mod pagerduty;
mod teams;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::stack::{Lateness, Place, Stack};

/// How soon an alarm has to ring.
const SOON: SignedDuration = SignedDuration::from_mins(2);

/// When faults begin: a full round is due soon, and none has just been.
const BEGINNING: Duration = Duration::from_secs(290);

/// How long a fault lasts if nothing is said of it.
const USUAL: Duration = Duration::from_secs(5 * 60);

/// After which time nothing rings any more.
const OVER: Duration = Duration::from_secs(20 * 60);

/// How often something happens in PagerDuty.
const TRAFFIC: Duration = Duration::from_secs(10);

/// A stack with ordinary traffic.
struct Trial {
    stack: Stack,
    place: Place,
    _traffic: JoinSet<()>,
}

impl Trial {
    async fn new() -> Self {
        let stack = Box::pin(Stack::new(Lateness::Steady)).await;
        let place = stack.add_place("payments").await;
        let (mut traffic, pagerduty) = (JoinSet::new(), stack.inside().pagerduty.clone());
        let (service, person) = (place.service.clone(), pagerduty.add_user("Rob Otto", "rob@example.com", "user"));
        traffic.spawn(async move {
            let mut open = Vec::new();
            loop {
                open.push(pagerduty.trigger(&service, "Disk is full", "high"));
                sleep(TRAFFIC).await;
                if let Some(incident) = open.pop() {
                    pagerduty.resolve(&incident, &person);
                }
                sleep(TRAFFIC).await;
            }
        });
        stack.until(BEGINNING).await;
        assert_eq!(stack.rung(), [], "before the fault");
        Self { stack, place, _traffic: traffic }
    }

    /// The fault is there since `effect` and for a while. Then `end` ends it.
    async fn rings(self, alarm: &str, effect: Timestamp, lasts: Duration, end: impl AsyncFnOnce(&Stack)) {
        assert!(Stack::alarms().iter().any(|known| known == alarm), "{alarm} is none of the template's");
        sleep(lasts).await;
        end(&self.stack).await;
        let ended = self.stack.now();
        let left = Duration::try_from(self.stack.now().duration_since(ended)).unwrap();
        sleep(OVER.saturating_sub(left)).await;
        let rung = self.stack.rung();
        println!("{alarm}: rung {rung:?}, effect {effect}, ended {ended}");
        let Some((first, _)) = rung.iter().find(|(_, name)| name == alarm) else {
            panic!("{alarm} has not rung, but {rung:?}")
        };
        let after = first.duration_since(effect);
        assert!(after > SignedDuration::ZERO && after <= SOON, "{alarm} rings {after:#} after the first effect");
        let others: Vec<&(Timestamp, String)> = rung.iter().filter(|(_, name)| name != alarm).collect();
        assert!(others.is_empty(), "{others:?} ring as well");
        assert_eq!(self.stack.ringing(), [""; 0], "long after the fault");
        println!("| {alarm} | {} s |", after.as_secs());
    }
}
