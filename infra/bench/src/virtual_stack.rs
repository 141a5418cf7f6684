//! The stack in virtual time, with what AWS and PagerDuty do by themselves: deliver webhooks, hand messages to senders, start the
//! reconciler. It needs a runtime with a paused clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use domain::ids::{AccountId, ChannelId, IncidentId};
use domain::incident::Status;
use jiff::Timestamp;
use local::inside::{Delays, Inside};
use reconciler::Extent;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::shown::Shown;
use crate::stats::Stats;

/// 23 November 2026, 09:00 UTC.
const START: Timestamp = Timestamp::constant(1_795_424_400, 0);

/// As measured from a Lambda function in one region: `DynamoDB` answers in single-digit milliseconds, a FIFO queue in about ten.
/// PagerDuty and Teams are seen from the cloud: a REST call about 200 ms, a post or an edit about 400 ms.
pub const DELAYS: Delays = Delays {
    dynamodb: Duration::from_millis(5),
    sqs: Duration::from_millis(10),
    pagerduty: Duration::from_millis(200),
    teams: Duration::from_millis(400),
};

/// How many webhooks PagerDuty sends at once; it does not say.
const WEBHOOKS_AT_ONCE: usize = 50;

/// The functions' time limits in the template.
const SENDER_TIMEOUT: Duration = Duration::from_secs(60);
const RECONCILER_TIMEOUT: Duration = Duration::from_secs(90);

/// The reconciler's schedule.
const RECONCILED_EVERY: Duration = Duration::from_secs(60);

/// Lambda polls without a pause; the SDK's time limit allows a long poll of a second.
const POLL_SECONDS: i32 = 1;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// How many senders the template has at once, unless its operator says otherwise.
///
/// # Errors
/// The template has no such parameter any more.
pub fn senders() -> anyhow::Result<usize> {
    let after = TEMPLATE.split_once("\n  SenderMaximumConcurrency:\n").context("no SenderMaximumConcurrency")?.1;
    let default = after.lines().find_map(|line| line.trim().strip_prefix("Default:")).context("no default")?;
    Ok(default.trim().parse()?)
}

/// A channel that shows one service.
#[derive(Debug, Clone)]
pub struct Place {
    pub channel: String,
    pub service: String,
}

/// An incident that was triggered.
#[derive(Debug, Clone)]
pub struct Case {
    pub id: String,
    pub number: u64,
    pub channel: String,
    /// Which one it is of its channel's, from 1 on.
    pub nth: u64,
    pub at: Timestamp,
}

/// The running stack. Dropping it ends all of its tasks.
#[derive(Debug)]
pub struct VirtualStack {
    pub inside: Inside,
    pub shown: Shown,
    /// Somebody who responds in PagerDuty.
    pub person: String,
    team: String,
    triggered: Arc<Notify>,
    works: watch::Sender<bool>,
    deepest: Arc<AtomicUsize>,
    /// How many incidents each channel has had.
    counted: Mutex<BTreeMap<String, u64>>,
    _tasks: JoinSet<()>,
}

impl VirtualStack {
    /// Composes everything, with one channel that has shown an incident already: tokens and secrets are known.
    ///
    /// # Errors
    /// A stand-in refuses.
    pub async fn new() -> anyhow::Result<Self> {
        let inside = Box::pin(Inside::compose(START, DELAYS)).await?;
        let shown = Shown::watch(&inside.teams, DELAYS.teams);
        let person = inside.pagerduty.add_user("Ada Wong", "ada@example.com", "admin");
        let team = inside.add_team("Site Reliability").await?;
        let (triggered, deepest) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (works, working) = watch::channel(true);
        let mut tasks = JoinSet::new();
        tasks.spawn(deliver(inside.clone(), Arc::clone(&triggered), working.clone()));
        for _ in 0..senders()? {
            tasks.spawn(send(inside.clone(), working.clone()));
        }
        tasks.spawn(reconcile(inside.clone(), working));
        tasks.spawn(measure(inside.clone(), Arc::clone(&deepest)));
        let stack =
            Self { inside, shown, person, team, triggered, works, deepest, counted: Mutex::default(), _tasks: tasks };
        let first = stack.add_place("first").await?;
        let case = stack.trigger(&first, "The first one", "high")?;
        stack.wait_for(&[case], Duration::from_secs(60)).await;
        Ok(stack)
    }

    /// A channel with a service of its own.
    ///
    /// # Errors
    /// PagerDuty or the table refuses.
    pub async fn add_place(&self, name: &str) -> anyhow::Result<Place> {
        let (channel, service) = self.inside.add_channel(&self.team, name).await?;
        Ok(Place { channel, service })
    }

    /// Several of them.
    ///
    /// # Errors
    /// As [`VirtualStack::add_place`].
    pub async fn add_places(&self, name: &str, count: usize) -> anyhow::Result<Vec<Place>> {
        let mut places = Vec::new();
        for number in 0..count {
            places.push(self.add_place(&format!("{name}-{number}")).await?);
        }
        Ok(places)
    }

    /// An incident now.
    ///
    /// # Errors
    /// There is no such service.
    pub fn trigger(&self, place: &Place, title: &str, urgency: &str) -> anyhow::Result<Case> {
        let pagerduty = &self.inside.pagerduty;
        let (id, at) = (pagerduty.trigger(&place.service, title, urgency), self.now());
        let known = pagerduty.incident(&id).context("no incident")?;
        let number = known.get("incident_number").and_then(serde_json::Value::as_u64).context("no number")?;
        self.triggered.notify_one();
        let nth = {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counted.entry(place.channel.clone()).or_insert(0);
            *count += 1;
            *count
        };
        Ok(Case { id, number, channel: place.channel.clone(), nth, at })
    }

    /// The person acknowledges.
    pub fn acknowledge(&self, case: &Case) {
        self.inside.pagerduty.acknowledge(&case.id, &self.person);
        self.triggered.notify_one();
    }

    /// The person resolves.
    pub fn resolve(&self, case: &Case) {
        self.inside.pagerduty.resolve(&case.id, &self.person);
        self.triggered.notify_one();
    }

    /// The person sets the priority, by its id.
    pub fn set_priority(&self, case: &Case, priority: &str) {
        self.inside.pagerduty.set_priority(&case.id, &self.person, Some(priority));
        self.triggered.notify_one();
    }

    /// Lets functions and deliveries rest, or work again. What is under way is finished.
    pub fn works(&self, works: bool) {
        // Nobody listens only if all tasks have ended.
        let _unheard = self.works.send(works);
        self.triggered.notify_one();
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inside.app.clock.now()
    }

    /// The most messages that were ever in the queue at a full second.
    #[must_use]
    pub fn deepest(&self) -> usize {
        self.deepest.load(Ordering::Relaxed)
    }

    /// Calls that Teams answered, and how many of them with a 429.
    #[must_use]
    pub fn calls_to_teams(&self) -> (u32, u32) {
        let all = self.inside.teams.all_counters();
        (all.posts + all.replies + all.edits + all.deletes + all.throttled, all.throttled)
    }

    /// How long each took until it was shown, in any way.
    #[must_use]
    pub fn delays(&self, cases: &[Case]) -> Stats {
        cases.iter().map(|case| delay(case, self.shown.at(&case.channel, case.number, case.nth))).collect()
    }

    /// By how many the open incidents of PagerDuty and what the channels show of them differ: own cards, and what the storms' cards
    /// count as open.
    #[must_use]
    pub fn unaccounted(&self, places: &[Place], cases: &[Case]) -> usize {
        let status = |case: &Case| {
            let known = self.inside.pagerduty.incident(&case.id)?;
            known.get("status").and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let of = |place: &Place| {
            let open = cases.iter().filter(|case| case.channel == place.channel);
            let open: Vec<&Case> = open.filter(|case| status(case).as_deref() != Some("resolved")).collect();
            let is_card = |case: &&&Case| self.shown.own_card_at(&case.channel, case.number).is_some();
            let rows = open.len() - open.iter().filter(is_card).count();
            let (_, counted) = self.shown.now(&place.channel);
            rows.abs_diff(usize::try_from(counted.triggered + counted.acknowledged).unwrap_or(usize::MAX))
        };
        places.iter().map(of).sum()
    }

    /// Whether the incident's channel shows more incidents than it has cards: it may be one of those.
    #[must_use]
    pub fn is_row(&self, case: &Case) -> bool {
        let (_, counted) = self.shown.now(&case.channel);
        counted.triggered + counted.acknowledged > 0
    }

    /// How many of these the table does not know as PagerDuty does.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn unknown(&self, cases: &[Case]) -> anyhow::Result<usize> {
        let account = AccountId::new(local::ACCOUNT)?;
        let mut unknown = 0;
        for case in cases {
            let stored = self.inside.app.store.record(&account, &IncidentId::new(case.id.as_str())?).await?;
            let status = stored.as_ref().and_then(|stored| stored.record.state()).map(|state| state.status);
            let there = self.inside.pagerduty.incident(&case.id).context("no incident")?;
            let there: Option<Status> = there.get("status").cloned().and_then(|it| serde_json::from_value(it).ok());
            unknown += usize::from(status != there);
        }
        Ok(unknown)
    }

    /// How long each took until it had a card of its own.
    #[must_use]
    pub fn own_card_delays(&self, cases: &[Case]) -> Stats {
        cases.iter().map(|case| delay(case, self.shown.own_card_at(&case.channel, case.number))).collect()
    }

    /// Waits until all are shown, or no longer than this.
    pub async fn wait_for(&self, cases: &[Case], patience: Duration) {
        wait_until(cases, patience, |case| self.shown.at(&case.channel, case.number, case.nth).is_some()).await;
    }

    /// Waits until all have cards of their own, or no longer than this.
    pub async fn wait_for_own_cards(&self, cases: &[Case], patience: Duration) {
        wait_until(cases, patience, |case| self.shown.own_card_at(&case.channel, case.number).is_some()).await;
    }

    /// Waits until no webhook, message or mark of these channels is left, or no longer than this. Gives how much is left.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn settle(&self, places: &[Place], patience: Duration) -> anyhow::Result<usize> {
        let end = Instant::now() + patience;
        loop {
            let (undelivered, queued) = (self.inside.pagerduty.undelivered(), self.inside.queued());
            let mut left = undelivered + queued;
            if left == 0 || Instant::now() >= end {
                left += self.marked(places).await?;
                if left == 0 || Instant::now() >= end {
                    return Ok(left);
                }
            }
            sleep(Duration::from_secs(5)).await;
        }
    }

    async fn marked(&self, places: &[Place]) -> anyhow::Result<usize> {
        let account = AccountId::new(local::ACCOUNT)?;
        let mut marked = 0;
        for place in places {
            let set = self.inside.app.store.behind_set(&account, &ChannelId::new(place.channel.as_str())?).await?;
            marked += set.iter().filter(|item| item.parked.is_none()).count();
        }
        Ok(marked)
    }
}

fn delay(case: &Case, shown: Option<Timestamp>) -> Option<Duration> {
    Some(Duration::try_from(shown?.duration_since(case.at)).unwrap_or_default())
}

async fn wait_until(cases: &[Case], patience: Duration, is_there: impl Fn(&Case) -> bool) {
    let end = Instant::now() + patience;
    let mut waiting: Vec<&Case> = cases.iter().collect();
    while Instant::now() < end {
        waiting.retain(|case| !is_there(case));
        if waiting.is_empty() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn until_it_works(works: &mut watch::Receiver<bool>) {
    // The stack is dropped together with its tasks.
    let _ended = works.wait_for(|works| *works).await;
}

async fn deliver(inside: Inside, triggered: Arc<Notify>, mut works: watch::Receiver<bool>) {
    let pagerduty = &inside.pagerduty;
    let mut on_the_way = JoinSet::new();
    loop {
        until_it_works(&mut works).await;
        while on_the_way.len() < WEBHOOKS_AT_ONCE
            && let Some(attempt) = pagerduty.deliver_one()
        {
            on_the_way.spawn(attempt);
        }
        let due = if on_the_way.len() < WEBHOOKS_AT_ONCE { pagerduty.next_due() } else { None };
        let wait = due.and_then(|due| Duration::try_from(due.duration_since(inside.app.clock.now())).ok());
        // What is due already waits for one that is on the way.
        let wait = wait.filter(|wait| !wait.is_zero());
        let later = async {
            match wait {
                Some(wait) => sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(_) = on_the_way.join_next() => {}
            () = triggered.notified() => {}
            () = later => {}
        }
    }
}

/// As Lambda's event source: one message at a time, deleted if the sender does not name it.
async fn send(inside: Inside, mut works: watch::Receiver<bool>) {
    loop {
        until_it_works(&mut works).await;
        if let Err(error) = Box::pin(send_one(&inside)).await {
            tracing::error!(error = format!("{error:#}"), "event source");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn send_one(inside: &Inside) -> anyhow::Result<()> {
    let batch = inside.receive(POLL_SECONDS).await?;
    let received: Vec<(Option<String>, Option<String>)> =
        batch.records.iter().map(|record| (record.message_id.clone(), record.receipt_handle.clone())).collect();
    if received.is_empty() {
        return Ok(());
    }
    let handling = Box::pin(notification_sender::handle(&inside.app, batch, SENDER_TIMEOUT));
    let Ok(answer) = timeout(SENDER_TIMEOUT, handling).await else { return Ok(()) };
    for (id, receipt) in &received {
        let failed = answer.batch_item_failures.iter().any(|failure| Some(&failure.item_identifier) == id.as_ref());
        if let (false, Some(receipt)) = (failed, receipt) {
            inside.delete(receipt).await?;
        }
    }
    Ok(())
}

async fn reconcile(inside: Inside, mut works: watch::Receiver<bool>) {
    let mut runs = JoinSet::new();
    let begun = Instant::now();
    for number in 1_u32.. {
        sleep_until(begun + RECONCILED_EVERY * number).await;
        until_it_works(&mut works).await;
        while runs.try_join_next().is_some() {}
        let app = inside.app.clone();
        runs.spawn(async move {
            let run = Box::pin(reconciler::run(&app, Extent::Due, RECONCILER_TIMEOUT));
            // It has logged what is wrong; the next run tries again.
            let _reported = timeout(RECONCILER_TIMEOUT, run).await;
        });
    }
}

async fn measure(inside: Inside, deepest: Arc<AtomicUsize>) {
    loop {
        deepest.fetch_max(inside.queued(), Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_says_how_many_senders_there_are() {
        assert!((2..=50).contains(&senders().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_incident_takes_as_long_as_its_calls() {
        let stack = VirtualStack::new().await.unwrap();
        let place = stack.add_place("quiet").await.unwrap();
        let cases = [stack.trigger(&place, "Disk is full", "high").unwrap()];
        stack.wait_for(&cases, Duration::from_secs(60)).await;
        let delay = stack.delays(&cases).percentile(100).unwrap();
        assert!(delay > DELAYS.teams && delay < DELAYS.teams + Duration::from_millis(400), "{delay:?}");
        assert_eq!(stack.own_card_delays(&cases).percentile(100), Some(delay));
        assert_eq!(stack.settle(&[place], Duration::from_secs(120)).await.unwrap(), 0);
        assert_eq!(stack.inside.teams.complaints(), [""; 0]);
    }
}
