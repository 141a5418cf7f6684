//! Not by chance: a crash at every outside call of a script, and all orders of what PagerDuty tells.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use simulators::pagerduty::Outcome as Told;
use tokio::time::sleep;

use crate::chronicle::Event;
use crate::dice::Dice;
use crate::faults::{Fault, Faults, Point, Wrong};
use crate::oracle::Breach;
use crate::plan::Plan;
use crate::run::{Judged, Outcome, judge, run};
use crate::script::Script;
use crate::world::World;

/// A plan for each outside call that the script's run makes, before it and after it, in which the process that makes it dies there.
///
/// # Errors
/// The run without a crash cannot be made, or fails by itself.
pub fn crashes(seed: u64, script: &Script) -> anyhow::Result<Vec<Plan>> {
    let plan = |faults| Plan { seed, script: script.clone(), faults };
    let whole = run(&plan(Faults::default()))?;
    anyhow::ensure!(whole.breaches.is_empty(), "it fails without a crash: {:?}", whole.breaches);
    let points = whole.invocations.iter().flat_map(|(invocation, (_, calls))| {
        (0..*calls).flat_map(|call| [Point::Before(call), Point::After(call)]).map(|at| (*invocation, at))
    });
    let crash = |(invocation, at)| Fault { at: Duration::ZERO, wrong: Wrong::CrashIn { invocation, at } };
    Ok(points.map(|point| plan(Faults(vec![crash(point)]))).collect())
}

/// How long it took from the crash until everything was true. `None`: it never was, or nothing has crashed.
#[must_use]
pub fn recovery(outcome: &Outcome) -> Option<Duration> {
    let crash = outcome.chronicle.iter().find(|(_, event)| matches!(event, Event::Ended(_, false)))?.0;
    Duration::try_from(outcome.true_at?.duration_since(crash)).ok()
}

/// How an order ended.
#[derive(Debug, Clone)]
pub struct Ordered {
    pub order: Vec<usize>,
    pub breaches: Vec<Breach>,
    pub healed: Option<Duration>,
}

/// What happens to one incident, each of which PagerDuty tells in one webhook.
const EVENTS: usize = 6;

/// All orders in which six webhooks of one incident can come.
#[must_use]
pub fn orders() -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..EVENTS {
        let longer = |order: Vec<usize>| {
            let rest: Vec<usize> = (0..EVENTS).filter(|event| !order.contains(event)).collect();
            rest.into_iter().map(move |event| order.iter().copied().chain([event]).collect())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}

/// Delivers the six in this order.
///
/// # Errors
/// A stand-in does not start, or PagerDuty tells more or less than six.
pub fn run_order(seed: u64, order: &[usize]) -> anyhow::Result<Ordered> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(Box::pin(deliver(seed, order)))
}

async fn deliver(seed: u64, order: &[usize]) -> anyhow::Result<Ordered> {
    let world = World::compose(&mut Dice::new(seed)).await?;
    let pagerduty = &world.inside.pagerduty;
    let service = world.town.services.first().context("no service")?;
    let (ada, ben) = (
        pagerduty.add_user("Ada Wong", "ada@orders.example", "admin"),
        pagerduty.add_user("Ben Ito", "ben@orders.example", "user"),
    );
    let priority = pagerduty.priorities().first().map(|(id, _)| id.clone()).context("no priority")?;
    // What it has told of the subscriptions themselves.
    drop(pagerduty.take_pending());
    let incident = pagerduty.trigger(service, "Disk is full", "high");
    // Each at a time of its own, as people do it.
    let pause = || sleep(Duration::from_secs(2));
    pause().await;
    pagerduty.acknowledge(&incident, &ada);
    pause().await;
    pagerduty.add_note(&incident, &ada, "I look at it");
    pause().await;
    pagerduty.set_priority(&incident, &ada, Some(&priority));
    pause().await;
    pagerduty.reassign(&incident, &ada, &ben);
    pause().await;
    pagerduty.resolve(&incident, &ben);
    let mut told = pagerduty.take_pending().into_iter().map(Some).collect::<Vec<_>>();
    anyhow::ensure!(told.len() == EVENTS, "PagerDuty tells {} times", told.len());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Arc::clone(&world.platform).work());
    for event in order {
        let webhook = told.get_mut(*event).and_then(Option::take).context("twice the same")?;
        anyhow::ensure!(pagerduty.deliver_this(webhook).await == Told::Delivered, "a webhook was not taken");
        sleep(Duration::from_millis(700)).await;
    }
    let Judged { judgement, healed, .. } = judge(&world).await?;
    Ok(Ordered { order: order.to_vec(), breaches: judgement.breaches, healed })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_720_orders_of_six() {
        let orders: BTreeSet<Vec<usize>> = orders().into_iter().collect();
        assert_eq!(orders.len(), 720);
        assert!(orders.iter().all(|order| order.iter().collect::<BTreeSet<_>>().len() == EVENTS));
    }
}
