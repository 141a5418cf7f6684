//! Each kind of fault rings the alarm that is meant for it, within two minutes of its first effect, and no other.

mod ours;
mod pagerduty;
mod teams;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use jiff::{SignedDuration, Timestamp};
use runtime::Metric;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_service::Service as _;

use crate::people::Browser;
use crate::platform::Function;
use crate::stack::{Lateness, Place, Stack};

/// How soon an alarm has to ring.
const SOON: SignedDuration = SignedDuration::from_mins(2);

/// When faults begin: a full round is due soon, and none has just been.
const BEGINNING: Duration = Duration::from_secs(290);

/// How long a fault lasts if nothing is said of it.
const USUAL: Duration = Duration::from_secs(5 * 60);

/// For how long a fault lasts that makes cards late: after five minutes they are, and that has an alarm of its own.
const SHORT: Duration = Duration::from_secs(3 * 60);

/// For how long it is looked on after a fault: whether it was the last one.
const AFTERWARDS: Duration = Duration::from_secs(3 * 60);

/// After which time nothing rings any more: an alarm looks back for so long at most.
const OVER: Duration = Duration::from_secs(20 * 60);

/// How often something happens in PagerDuty.
const TRAFFIC: Duration = Duration::from_secs(20);

/// How often somebody looks at the page, wants to log in, or changes something in Teams.
const PEOPLE: Duration = Duration::from_secs(10);

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
        let (door, health) = (stack.platform.door(), stack.inside().app.config.public("/health"));
        traffic.spawn(async move {
            // A monitor.
            loop {
                let request = Request::get(&health).body(Body::empty()).unwrap();
                let _status = door.clone().call(request).await;
                sleep(3 * TRAFFIC).await;
            }
        });
        // Somebody at the page, somebody who wants to log in, and a team that changes.
        let public = |path: &str| stack.inside().app.config.public(path);
        let (page, log_in) = (public("/admin/api/v1/teams"), public("/oauth/start?for=admin"));
        let (admin, mut browser) = (stack.add_person("Rita", "admin"), Browser::default());
        browser.log_in(&stack.platform, &log_in, &admin.pagerduty).await;
        assert_eq!(browser.get(&stack.platform, &page).await.status, 200);
        let platform = Arc::clone(&stack.platform);
        traffic.spawn(async move {
            loop {
                let _page = Box::pin(browser.get(&platform, &page)).await;
                sleep(PEOPLE).await;
            }
        });
        let platform = Arc::clone(&stack.platform);
        traffic.spawn(async move {
            loop {
                let _page = Box::pin(Browser::default().get(&platform, &log_in)).await;
                sleep(PEOPLE).await;
            }
        });
        let (teams, team) = (stack.inside().teams.clone(), stack.team.clone());
        traffic.spawn(async move {
            for times in 1.. {
                let _answer = teams.rename_team(&team, &format!("Site Reliability {times}")).await;
                sleep(PEOPLE).await;
            }
        });
        stack.until(BEGINNING).await;
        assert_eq!(stack.rung(), [], "before the fault");
        Self { stack, place, _traffic: traffic }
    }

    /// When the reconciler begins the next time: at five seconds of each minute.
    fn next_run(&self) -> Timestamp {
        let now = self.stack.now();
        now.checked_add(SignedDuration::from_secs((65 - now.as_second() % 60) % 60)).unwrap()
    }

    /// When a function first told this figure.
    async fn first(&self, function: Function, metric: Metric) -> Timestamp {
        while self.stack.counted(function, metric) == 0.0 {
            sleep(Duration::from_secs(1)).await;
        }
        self.stack.now()
    }

    /// The fault is there since `effect` and for a while. Then `end` ends it.
    async fn rings(self, alarm: &str, effect: Timestamp, lasts: Duration, end: impl AsyncFnOnce(&Stack)) {
        self.rings_and_later(alarm, "", effect, lasts, end).await;
    }

    /// The same where the fault has a second effect some minutes later, which has an alarm of its own.
    async fn rings_and_later(
        self,
        alarm: &str,
        second: &str,
        effect: Timestamp,
        lasts: Duration,
        end: impl AsyncFnOnce(&Stack),
    ) {
        assert!(Stack::alarms().iter().any(|known| known == alarm), "{alarm} is none of the template's");
        sleep(lasts).await;
        end(&self.stack).await;
        sleep(AFTERWARDS).await;
        let is_over = async {
            while !self.stack.ringing().is_empty() {
                sleep(Duration::from_secs(60)).await;
            }
        };
        let silent = timeout(OVER, is_over).await;
        let rung = self.stack.rung();
        let Some((first, _)) = rung.iter().find(|(_, name)| name == alarm) else {
            panic!("{alarm} has not rung, but {rung:?}")
        };
        let after = first.duration_since(effect);
        assert!(after > SignedDuration::ZERO && after <= SOON, "{alarm} rings {after:#} after the first effect");
        let is_second = |at: &Timestamp, name: &str| name == second && at.duration_since(effect) > 2 * SOON;
        let others: Vec<&(Timestamp, String)> =
            rung.iter().filter(|(at, name)| name != alarm && !is_second(at, name)).collect();
        assert!(others.is_empty(), "{others:?} ring as well");
        assert!(silent.is_ok(), "{:?} rings long after the fault", self.stack.ringing());
        println!("| {alarm} | {} s |", after.as_secs());
    }
}

#[test]
fn each_alarm_of_the_template_is_meant_for_a_fault() {
    let faults = [include_str!("faults/ours.rs"), include_str!("faults/pagerduty.rs"), include_str!("faults/teams.rs")];
    let is_made = |alarm: &String| faults.iter().any(|file| file.contains(&format!("\"{alarm}\"")));
    let without: Vec<String> = Stack::alarms().into_iter().filter(|alarm| !is_made(alarm)).collect();
    assert!(without.is_empty(), "no test rings {without:?}");
}
