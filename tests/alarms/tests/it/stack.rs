//! The stack in virtual time, and the alarms that look at it every minute.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use alarms::{Change, Metric, State, Template, Watch};
use jiff::{SignedDuration, Timestamp};
use local::inside::{Delays, Inside};
use reconciler::Input;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::platform::{Function, Platform, Wrong};

/// 23 November 2026, 09:00 UTC.
pub(crate) const START: Timestamp = Timestamp::constant(1_795_424_400, 0);

static TEMPLATE: LazyLock<Template> =
    LazyLock::new(|| Template::read(include_str!("../../../../template.yaml")).unwrap());

/// The dead-letter queue's name here, and in the template.
const DEAD_LETTERS: (&str, &str) = ("pagerbridge-dead.fifo", "DeadLetterQueue");

const QUEUE_DEPTH: &str = "ApproximateNumberOfMessagesVisible";

/// After the first runs of the reconciler. Until then it is silent indeed.
const SETTLED: SignedDuration = SignedDuration::from_mins(3);

/// As measured from a Lambda function in one region.
const DELAYS: Delays = Delays {
    dynamodb: Duration::ZERO,
    sqs: Duration::ZERO,
    pagerduty: Duration::from_millis(200),
    teams: Duration::from_millis(400),
};

/// How late a schedule may be: AWS promises no second.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lateness {
    /// Always the same.
    Steady,
    /// Up to nearly a minute, another one each time.
    Wild,
}

impl Lateness {
    /// In seconds, of what is due for the how-manyeth time.
    pub(crate) fn of(self, turn: u64) -> u64 {
        match self {
            Self::Steady => 5,
            Self::Wild => turn * 37 % 59,
        }
    }
}

/// A channel that shows one service.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) channel: String,
    pub(crate) service: String,
}

/// The running stack. Dropping it ends all of its tasks.
pub(crate) struct Stack {
    pub(crate) platform: Arc<Platform>,
    pub(crate) team: String,
    watch: Arc<Mutex<Watch>>,
    _tasks: JoinSet<()>,
}

impl Stack {
    /// Everything runs, and no alarm rings.
    pub(crate) async fn new(lateness: Lateness) -> Self {
        Box::pin(Self::with(lateness, async |inside| inside.add_team("Site Reliability").await.unwrap())).await
    }

    /// As it has just been deployed: no team has the bot, and nobody has authorized anything.
    pub(crate) async fn fresh(lateness: Lateness) -> Self {
        Box::pin(Self::with(lateness, async |_| String::new())).await
    }

    async fn with(lateness: Lateness, team: impl AsyncFnOnce(&Inside) -> String) -> Self {
        let sources = ("PAGERBRIDGE_WEBHOOK_SOURCES".to_owned(), "192.0.2.0/24".to_owned());
        let inside = Box::pin(Inside::compose_with(START, DELAYS, BTreeMap::from([sources]), None)).await.unwrap();
        let team = team(&inside).await;
        let platform = Arc::new(Platform::new(inside, &TEMPLATE));
        platform.inside.pagerduty.deliver_to(platform.door());
        platform.inside.teams.deliver_to(platform.door());
        let watch = Arc::new(Mutex::new(Watch::new(TEMPLATE.alarms().unwrap())));
        let mut tasks = JoinSet::new();
        tasks.spawn(work(Arc::clone(&platform), Arc::clone(&watch), lateness));
        Self { platform, team, watch, _tasks: tasks }
    }

    pub(crate) fn inside(&self) -> &Inside {
        &self.platform.inside
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.platform.now()
    }

    /// Changes what is wrong.
    pub(crate) fn wrong(&self, change: impl FnOnce(&mut Wrong)) {
        change(&mut self.platform.wrong());
    }

    /// A channel with a service of its own.
    pub(crate) async fn add_place(&self, name: &str) -> Place {
        let (channel, service) = self.inside().add_channel(&self.team, name).await.unwrap();
        Place { channel, service }
    }

    /// Waits until so much time has passed since the start.
    pub(crate) async fn until(&self, passed: Duration) {
        let at = START.checked_add(passed).unwrap();
        sleep(Duration::try_from(at.duration_since(self.now())).unwrap_or_default()).await;
    }

    /// How many messages nobody could read, or survived.
    pub(crate) fn dead_letters(&self) -> usize {
        self.inside().aws.depth(DEAD_LETTERS.0).map_or(0, |depth| depth.visible)
    }

    /// Somebody has looked at them, and deletes them.
    pub(crate) async fn take_dead_letters(&self) {
        let sqs = &self.platform.clients.sqs;
        let url = self.inside().app.config.queue_url.replace("pagerbridge.fifo", DEAD_LETTERS.0);
        while self.dead_letters() > 0 {
            for message in sqs.receive_message().queue_url(&url).send().await.unwrap().messages() {
                sqs.delete_message()
                    .queue_url(&url)
                    .receipt_handle(message.receipt_handle().unwrap())
                    .send()
                    .await
                    .unwrap();
            }
        }
    }

    pub(crate) fn ringing(&self) -> Vec<String> {
        self.watch.lock().unwrap().ringing().map(str::to_owned).collect()
    }

    /// Each time that an alarm began to ring.
    pub(crate) fn rung(&self) -> Vec<(Timestamp, String)> {
        let watch = self.watch.lock().unwrap();
        let rung = watch.changes().iter().filter(|change| change.to == State::Alarm);
        rung.map(|Change { at, alarm, .. }| (*at, alarm.clone())).collect()
    }

    /// The template's alarms, and nothing has been told yet.
    pub(crate) fn watch() -> Watch {
        Watch::new(TEMPLATE.alarms().unwrap())
    }

    /// All alarms of the template.
    pub(crate) fn alarms() -> Vec<String> {
        TEMPLATE.alarms().unwrap().into_iter().map(|alarm| alarm.name).collect()
    }

    /// The sum of one of our own figures.
    pub(crate) fn counted(&self, function: Function, metric: runtime::Metric) -> f64 {
        let metric = Metric::of("PagerBridge", metric.name(), "FunctionName", function.name());
        self.platform.figures().told.sum(&metric)
    }
}

/// What happens by itself, second by second.
async fn work(platform: Arc<Platform>, watch: Arc<Mutex<Watch>>, lateness: Lateness) {
    let senders: usize = TEMPLATE.default_of("SenderMaximumConcurrency").unwrap().as_u64().unwrap().try_into().unwrap();
    let mut schedules = Schedules::new(lateness);
    let (mut webhooks, mut sending, mut runs) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    loop {
        let now = platform.now();
        if now.as_second() % 60 == 0 && now.duration_since(START) >= SETTLED {
            watch.lock().unwrap().look(platform.figures().seen(now), now).unwrap();
        }
        if now.as_second() % 60 == 30 {
            let depth = platform.inside.aws.depth(DEAD_LETTERS.0).map_or(0, |depth| depth.visible);
            let metric = Metric::of("AWS/SQS", QUEUE_DEPTH, "QueueName", DEAD_LETTERS.1);
            platform.tell(metric, now, f64::from(u32::try_from(depth).unwrap()));
        }
        while let Some(attempt) = platform.inside.pagerduty.deliver_one() {
            webhooks.spawn(attempt);
        }
        for input in schedules.due(now) {
            if !platform.wrong().is_unscheduled {
                runs.spawn(reconcile(Arc::clone(&platform), input));
            }
        }
        let is_visible = platform.inside.aws.next_visible_at().is_some_and(|at| at <= now);
        if is_visible && sending.len() < senders {
            sending.spawn(send(Arc::clone(&platform)));
        }
        while webhooks.try_join_next().is_some() {}
        while sending.try_join_next().is_some() {}
        while runs.try_join_next().is_some() {}
        let next = START.checked_add(SignedDuration::from_secs(platform.now().duration_since(START).as_secs() + 1));
        sleep(Duration::try_from(next.unwrap().duration_since(platform.now())).unwrap_or_default()).await;
    }
}

/// The schedules of the template.
struct Schedules {
    lateness: Lateness,
    /// What is due next, for the how-manyeth time.
    next: Vec<(alarms::Schedule, u32)>,
}

impl Schedules {
    fn new(lateness: Lateness) -> Self {
        let all = TEMPLATE.schedules(Function::Reconciler.name()).unwrap();
        Self { lateness, next: all.into_iter().map(|schedule| (schedule, 1)).collect() }
    }

    /// The inputs of the runs that are to be started now.
    fn due(&mut self, now: Timestamp) -> Vec<String> {
        let mut inputs = Vec::new();
        for (schedule, turn) in &mut self.next {
            let late = self.lateness.of(u64::from(*turn));
            let due = START.checked_add(schedule.every * *turn + Duration::from_secs(late)).unwrap();
            if due <= now {
                *turn += 1;
                inputs.push(schedule.input.clone());
            }
        }
        inputs
    }
}

async fn reconcile(platform: Arc<Platform>, input: String) {
    let extent = serde_json::from_str::<Input>(&input).unwrap().extent();
    let run = platform.invoke(Function::Reconciler, |app, left| async move {
        // As in Lambda: that it has failed is told in figures.
        let _told = Box::pin(reconciler::run(&app, extent, left)).await;
    });
    Box::pin(run).await;
}

/// As Lambda's event source: a message, which is deleted if the sender does not name it.
async fn send(platform: Arc<Platform>) {
    let Ok(batch) = platform.inside.receive(0).await else { return };
    let received = batch.records.clone();
    if received.is_empty() {
        return;
    }
    let handled = platform.invoke(Function::Sender, |app, left| async move {
        Box::pin(notification_sender::handle(&app, batch, left)).await
    });
    let Some(answer) = Box::pin(handled).await else { return };
    for message in received {
        let failed = answer
            .batch_item_failures
            .iter()
            .any(|failure| Some(&failure.item_identifier) == message.message_id.as_ref());
        if let (false, Some(receipt)) = (failed, message.receipt_handle) {
            let _comes_again = platform.inside.delete(&receipt).await;
        }
    }
}
